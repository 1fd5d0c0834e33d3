/* Heap allocation with fault points. */
#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

static _Thread_local struct { uint64_t fail_at, count; } faults[WG_FAULT_COUNT];

void wg_fault_arm(wg_fault kind, uint64_t n) {
    faults[kind].fail_at = n;
    faults[kind].count = 0;
}

bool wg_fault_hit(wg_fault kind) { return ++faults[kind].count == faults[kind].fail_at; }

uint64_t wg_fault_count(wg_fault kind) { return faults[kind].count; }

void *wg_mem_alloc(size_t bytes) { return wg_fault_hit(WG_FAULT_ALLOC) ? NULL : malloc(bytes ? bytes : 1); }

void *wg_mem_zalloc(size_t bytes) { return wg_fault_hit(WG_FAULT_ALLOC) ? NULL : calloc(1, bytes ? bytes : 1); }

void *wg_mem_resize(void *p, size_t bytes) {
    return wg_fault_hit(WG_FAULT_ALLOC) ? NULL : realloc(p, bytes ? bytes : 1);
}

void wg_mem_free(void *p) { free(p); }

bool wg_mem_grow(void **items, size_t *cap, size_t need, size_t size) {
    size_t want = *cap ? *cap * 2 : 16;
    while (want < need) {
        want *= 2;
    }
    if (want > SIZE_MAX / size) {
        return false;
    }
    void *p = wg_mem_resize(*items, want * size);
    if (!p) {
        return false;
    }
    *items = p;
    *cap = want;
    return true;
}

void *wg_room_get(wg_room *room, size_t bytes) {
    return bytes <= room->cap || wg_mem_grow(&room->data, &room->cap, bytes, 1) ? room->data : NULL;
}
