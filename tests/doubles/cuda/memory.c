/*
 * Memory. Addresses are given out once, in ascending order, so that one of a dead allocation is known as such. What the
 * program gets is the address plus a shift into a range where nothing is ever mapped: the host cannot touch it. An
 * allocation ends at the end of its mapping, but for what rounds it up to 256 bytes; an unmapped page follows:
 *
 *     | mapping: ...  64 bytes red | bytes | red up to a multiple of 256 | unmapped page |
 */
#include "double.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    PAGE = 4096,
    ALIGNMENT = 256,
    FRONT = 64,
    RED = 0xcb,    /* in red zones */
    POISON = 0xff, /* in memory never written: not a number, or -1 */
    MOST_POISONED =
        64 << 20, /* bytes at the start of an allocation: larger ones stay unbacked where they are not used */
};

static size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

bool cd_arena_open(cd_arena *arena, size_t bytes, size_t most, bool hidden) {
    if (!arena->base) {
        void *base =
            mmap(NULL, hidden ? 2 * bytes : bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (base == MAP_FAILED) {
            return false;
        }
        *arena = (cd_arena){.base = base, .bytes = bytes, .shift = hidden ? (ptrdiff_t)bytes : 0};
    }
    arena->most = most;
    return true;
}

static void paint_red(const cd_alloc *a) {
    memset(a->at - FRONT, RED, FRONT);
    memset(a->at + a->bytes, RED, round_up(a->bytes, ALIGNMENT) - a->bytes);
}

void cd_alloc_poison(const cd_alloc *a) { memset(a->at, POISON, a->bytes < MOST_POISONED ? a->bytes : MOST_POISONED); }

cd_alloc *cd_alloc_new(cd_arena *arena, size_t bytes) {
    size_t room = round_up(bytes, ALIGNMENT);
    size_t map = round_up(room + FRONT, PAGE);
    if (bytes > arena->most - arena->held || arena->used + map + PAGE > arena->bytes) {
        return NULL;
    }
    char *start = arena->base + arena->used;
    if (mprotect(start, map, PROT_READ | PROT_WRITE)) {
        return NULL;
    }
    if (arena->n == arena->room) {
        size_t more = arena->room ? arena->room * 2 : 256;
        cd_alloc *allocs = realloc(arena->allocs, more * sizeof *allocs);
        if (!allocs) {
            return NULL;
        }
        arena->allocs = allocs;
        arena->room = more;
    }
    arena->used += map + PAGE;
    arena->held += bytes;
    cd_alloc *a = &arena->allocs[arena->n++];
    *a = (cd_alloc){.at = start + map - room, .bytes = bytes, .map = map, .id = (unsigned)arena->n, .live = true};
    paint_red(a);
    cd_alloc_poison(a);
    return a;
}

void cd_alloc_check(const cd_alloc *a, const char *after) {
    const unsigned char *p = (const unsigned char *)a->at;
    size_t end = round_up(a->bytes, ALIGNMENT);
    for (ptrdiff_t i = -FRONT; i < (ptrdiff_t)end; i = i == -1 ? (ptrdiff_t)a->bytes : i + 1) {
        if (i >= 0 && (size_t)i >= end) {
            break;
        }
        if (p[i] != RED) {
            cd_fault("%s wrote outside of allocation %u of %zu bytes, at byte %td", after, a->id, a->bytes, i);
            paint_red(a);
            cd_stick(CUDA_ERROR_ILLEGAL_ADDRESS);
            return;
        }
    }
}

void cd_alloc_end(cd_arena *arena, cd_alloc *a) {
    cd_alloc_check(a, "something");
    char *start = a->at + round_up(a->bytes, ALIGNMENT) - a->map;
    mmap(start, a->map, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    arena->held -= a->bytes;
    a->live = false;
    a->promised = false;
}

/* ---- what an address means ---------------------------------------------------------------------------------------------- */

cd_alloc *cd_alloc_find(const cd_arena *arena, CUdeviceptr at) {
    if (!arena->base) {
        return NULL;
    }
    const char *p = (const char *)(uintptr_t)at - arena->shift; // NOLINT(performance-no-int-to-ptr)
    size_t low = 0, high = arena->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (arena->allocs[mid].at <= p) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    cd_alloc *a = low > 0 ? &arena->allocs[low - 1] : NULL;
    return a && p < a->at + a->bytes ? a : NULL;
}

static bool holds(const cd_arena *arena, const cd_alloc *a, CUdeviceptr at, size_t bytes) {
    size_t offset = (size_t)(at - (CUdeviceptr)(uintptr_t)(a->at + arena->shift));
    return bytes <= a->bytes - offset;
}

bool cd_may_use(const cd_context *ctx, CUdeviceptr at, size_t bytes) {
    const cd_alloc *a = cd_alloc_find(&ctx->arena, at);
    return a && (a->live || a->promised) && !a->doomed && holds(&ctx->arena, a, at, bytes);
}

char *cd_memory(const cd_context *ctx, CUdeviceptr at, size_t bytes, const char *what) {
    const cd_alloc *a = cd_alloc_find(&ctx->arena, at);
    if (a && a->live && holds(&ctx->arena, a, at, bytes)) {
        return (char *)(uintptr_t)at - ctx->arena.shift; // NOLINT(performance-no-int-to-ptr)
    }
    char text[160];
    cd_describe((const void *)(uintptr_t)at, text, sizeof text); // NOLINT(performance-no-int-to-ptr)
    cd_fault("%s: %s%s", what, text, a && a->live ? ", beyond its end" : "");
    cd_stick(CUDA_ERROR_ILLEGAL_ADDRESS);
    return NULL;
}

static bool describe_in(const cd_arena *arena, const char *where, const char *p, ptrdiff_t shift, char *text,
                        size_t cap) {
    if (!arena->base || p - shift < arena->base || p - shift >= arena->base + arena->bytes) {
        return false;
    }
    for (size_t i = arena->n; i > 0; i--) {
        const cd_alloc *a = &arena->allocs[i - 1];
        const char *end = a->at + round_up(a->bytes, ALIGNMENT);
        if (p - shift >= end - a->map && p - shift < end + PAGE) {
            snprintf(text, cap, "byte %td of %sallocation %u of %zu bytes%s", p - shift - a->at,
                     a->live       ? ""
                     : a->promised ? "not yet begun "
                                   : "freed ",
                     a->id, a->bytes, where);
            return true;
        }
    }
    snprintf(text, cap, "an address never given out%s", where);
    return true;
}

void cd_describe(const void *address, char *text, size_t cap) {
    const char *p = address;
    for (int i = 0; i < CD_MOST_DEVICES; i++) {
        const cd_arena *arena = &cd_contexts[i].arena;
        if (describe_in(arena, "", p, arena->shift, text, cap) ||
            describe_in(arena, "", p, 0, text, cap)) { /* as kernels see it */
            return;
        }
    }
    if (!describe_in(&cd_pinned, " (pinned)", p, 0, text, cap)) {
        snprintf(text, cap, "%p, which is no device memory", address);
    }
}
