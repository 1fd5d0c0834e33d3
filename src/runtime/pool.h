/*
 * Device memory for tensors: few large chunks from the driver, many blocks cut from them.
 *
 * Blocks below 16 MiB share chunks that grow from 1 to 64 MiB; larger ones come from chunks of their own size. Sizes are
 * rounded up to classes, 32 to an octave, so that nearby sizes reuse each other's blocks. A freed block joins its
 * free neighbours; empty chunks stay for reuse until wg_pool_trim. Getting and putting cost no search and, once sizes
 * recur, no heap allocation.
 *
 * Under a limit chunks are cut to measure: what shares one is small against the limit, all else gets chunks of its own
 * size. A program then runs within little more than it has live.
 *
 * Reuse follows the order of launches, not of time: what is launched after a put may overwrite the block. A host that
 * writes through mem->host itself calls wg_dev_sync first.
 */
#ifndef WG_RUNTIME_POOL_H
#define WG_RUNTIME_POOL_H

#include "base/slab.h"
#include "runtime/device.h"

/* A part of a chunk. The first three members are for users; the pool owns the struct. */
typedef struct wg_block {
    wg_mem *mem;   /* the chunk's memory; lives as long as the block */
    size_t offset; /* where the block starts in it, in bytes: a multiple of 256 */
    size_t bytes;  /* at least what was asked for; a multiple of 256, unless it is all the driver gives at once */

    struct wg_chunk *chunk;
    struct wg_block *before, *after;    /* neighbours in the chunk, by address */
    struct wg_block *next_free, **link; /* its place in a free list; link is NULL while it is in use */
} wg_block;

typedef struct wg_pool_stats {
    size_t live;   /* bytes of blocks in use */
    size_t peak;   /* the most live has been */
    size_t pooled; /* bytes obtained from the driver */
    size_t chunks;
} wg_pool_stats;

/* Blocks are filed by size: multiples of 256 up to 8 KiB, then 32 classes an octave, up to 2^55. */
enum { WG_POOL_OCTAVE_BITS = 5, WG_POOL_BINS = (1 << WG_POOL_OCTAVE_BITS) * (1 + 42) };

/* Free blocks by size class; bit b of used is set when free[b] is not empty. */
typedef struct wg_bins {
    wg_block *free[WG_POOL_BINS];
    uint64_t used[(WG_POOL_BINS + 63) / 64];
} wg_bins;

typedef struct wg_pool {
    const wg_dev *dev;
    wg_pool_stats stats;
    size_t limit;  /* set by wg_pool_limit */
    size_t wanted; /* bytes of the last request, or of all that a plan requested together */
    bool exact;    /* for tests: every block is a chunk of its own and not a byte larger, and none is used again */
    bool poison;   /* for tests: fills blocks with 0xA5 when they come and go, on devices with shared memory */
    bool log;      /* writes to stderr what comes and goes */

    wg_bins bins[2]; /* small and large blocks never share a chunk */
    struct wg_chunk *chunks;
    size_t next_chunk; /* bytes of the next shared chunk */
    wg_slab block_slab, value_slab;
    struct wg_value *values; /* all there are: see value.h */
} wg_pool;

/* The pool uses *dev, which stays where it is, until wg_pool_drop. */
void wg_pool_init(wg_pool *pool, const wg_dev *dev);
/* Gives everything back to the driver; blocks still in use too. */
void wg_pool_drop(wg_pool *pool);

/* 0 bytes give a valid block. When the driver or the limit refuses a chunk, free chunks go back and it is tried once more,
 * then any free block will do; then it fails with WG_ERR_DEVICE_MEM. */
wg_status wg_pool_get(wg_pool *pool, size_t bytes, wg_block **out, wg_err *err);
/* NULL is allowed. */
void wg_pool_put(wg_pool *pool, wg_block *block);
/* From now on the driver is never asked for a byte that would make `pooled` exceed the limit; 0: none. When it is exceeded
 * already, free chunks go back. */
void wg_pool_limit(wg_pool *pool, size_t bytes);
/* The bytes of the largest free block. */
size_t wg_pool_largest_free(const wg_pool *pool);
/* Gives chunks without a block in use back to the driver; returns their bytes. */
size_t wg_pool_trim(wg_pool *pool);

#endif
