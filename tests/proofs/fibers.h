/*
 * A work-group on the host: a fiber for each work-item, with barriers for the group and for warps of 32. ThreadSanitizer takes
 * each fiber for a thread, and the barriers for the only thing that orders them.
 */
#ifndef PROOFS_FIBERS_H
#define PROOFS_FIBERS_H

#include <stdbool.h>
#include <stdint.h>

enum { FIBERS_MOST = 1024, FIBERS_WARP = 32 };

/* Runs one work-item of a kernel: the entry point that generated code exports for it. */
typedef void (*fiber_kernel)(void *const *buffers, const void *params);

/* Runs groups one after the other, in one dimension. False, and why on stderr, if some work-items of a group wait where others do
 * not come. */
bool fibers_run(const char *name, fiber_kernel kernel, uint32_t groups, uint32_t items, void *const *buffers,
                const void *params);

/* From now on every group leaves out barrier number `which` of those it comes to: a fault on purpose. */
void fibers_drop_barrier(int which);

/* What generated code calls, through fiber_cuda.h: where the fiber is, and meeting the others. */
typedef struct fiber_place {
    unsigned x, y, z;
} fiber_place;
extern fiber_place fiber_thread, fiber_block, fiber_block_size, fiber_grid_size;
void fiber_barrier(void);
/* Every lane of the warp puts in a value and gets the one of lane `from`. */
uint64_t fiber_exchange(uint64_t value, unsigned from);
unsigned fiber_lane(void);

#endif
