/* Structs of one size from a free list. Slabs stay until the end: what a program needed once it will need again. */
#include "base/slab.h"

#include "base/alloc.h"

enum { SLAB_ITEMS = 128, HEAD = 16 };

static void push(void **list, void *item) {
    *(void **)item = *list;
    *list = item;
}

static bool refill(wg_slab *s, size_t size) {
    char *slab = wg_mem_alloc(HEAD + SLAB_ITEMS * size);
    if (!slab) {
        return false;
    }
    push(&s->slabs, slab);
    for (size_t i = SLAB_ITEMS; i-- > 0;) {
        push(&s->free, slab + HEAD + i * size);
    }
    return true;
}

void *wg_slab_get(wg_slab *s, size_t size) {
    if (!s->free && !refill(s, size)) {
        return NULL;
    }
    void *item = s->free;
    s->free = *(void **)item;
    return item;
}

void wg_slab_put(wg_slab *s, void *item) { push(&s->free, item); }

bool wg_slab_reserve(wg_slab *s, size_t size, int n) {
    for (void *item = s->free; item && n > 0; item = *(void **)item) {
        n--;
    }
    return n <= 0 || refill(s, size);
}

void wg_slab_drop(wg_slab *s) {
    while (s->slabs) {
        void *next = *(void **)s->slabs;
        wg_mem_free(s->slabs);
        s->slabs = next;
    }
    s->free = NULL;
}
