/* Every heap allocation of the library goes through here, so that tests can make the Nth one fail. */
#ifndef WG_BASE_ALLOC_H
#define WG_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* malloc, calloc and realloc, by bytes. NULL when there is no memory (or a test says so). */
void *wg_mem_alloc(size_t bytes);
void *wg_mem_zalloc(size_t bytes);
void *wg_mem_resize(void *p, size_t bytes);
void wg_mem_free(void *p);

/* Makes room for one more element in a growable array: `items` (an lvalue pointer), its count and its capacity. False
 * when there is no memory; nothing has changed then. */
#define WG_RESERVE(items, count, cap)                                                                                  \
    ((count) < (cap) || wg_mem_grow((void **)&(items), &(cap), (count) + 1, sizeof *(items)))
bool wg_mem_grow(void **items, size_t *cap, size_t need, size_t size);

/* Memory kept from one use to the next, as large as the largest. All zero is an empty one; freed by freeing data. */
typedef struct wg_room {
    void *data;
    size_t cap;
} wg_room;
/* At least so many bytes, with anything in them. NULL when there is no memory. */
void *wg_room_get(wg_room *room, size_t bytes);

/*
 * Faults for tests. A fault point is a place that can fail for reasons outside the program: a host allocation, a device
 * allocation, a build, a launch, a transfer. wg_fault_arm(kind, n) makes the n-th point of that kind from now on fail
 * (1 = the next); 0 disarms. wg_fault_hit(kind) counts one and tells whether it is to fail. Per thread.
 */
typedef enum wg_fault {
    WG_FAULT_ALLOC,
    WG_FAULT_DEVICE_ALLOC,
    WG_FAULT_BUILD,
    WG_FAULT_LAUNCH,
    WG_FAULT_TRANSFER,
    WG_FAULT_COUNT
} wg_fault;
void wg_fault_arm(wg_fault kind, uint64_t n);
bool wg_fault_hit(wg_fault kind);
/* Points of that kind passed since it was armed last. */
uint64_t wg_fault_count(wg_fault kind);

#endif
