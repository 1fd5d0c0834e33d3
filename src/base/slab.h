/* Structs of one size from a free list that slabs refill: for those that come and go with every op. */
#ifndef WG_BASE_SLAB_H
#define WG_BASE_SLAB_H

#include <stdbool.h>
#include <stddef.h>

/* All zero is an empty one. It serves structs of one size, at least a pointer's, which each call is told. */
typedef struct wg_slab {
    void *free;  /* items, each beginning with the address of the next */
    void *slabs; /* likewise: what items are cut from */
} wg_slab;

/* An item with anything in it. NULL when there is no memory. */
void *wg_slab_get(wg_slab *s, size_t size);
void wg_slab_put(wg_slab *s, void *item);
/* Makes sure that the next n gets succeed; n <= 64. False when there is no memory. */
bool wg_slab_reserve(wg_slab *s, size_t size, int n);
/* Frees all items, those in use too. */
void wg_slab_drop(wg_slab *s);

#endif
