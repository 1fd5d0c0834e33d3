/*
 * A plan: the steps that compute a problem, in order, and where every value lies. Pure data; the runtime turns its steps
 * into kernels once and launches them as often as the problem comes back.
 */
#ifndef WG_SCHEDULE_PLAN_H
#define WG_SCHEDULE_PLAN_H

#include "runtime/backend.h"
#include "schedule/lower.h"

typedef enum wg_slot_kind {
    WG_SLOT_NONE, /* not used: its task floats, or lives in registers */
    WG_SLOT_LEAF, /* bytes that were there before */
    WG_SLOT_KEPT, /* bytes that stay */
    WG_SLOT_TEMP  /* bytes that go with the plan: block `block` */
} wg_slot_kind;

typedef struct wg_slot {
    uint8_t kind, dtype;
    int64_t elems;
    int first, last; /* steps that write it first and use it last */
    int block;       /* TEMP */
    int over;        /* KEPT: the leaf slot whose bytes it takes over, -1 for bytes of its own */
} wg_slot;

/* The product of a matmul step; strides and offsets in elements. Buffers 0 and 1 of the step are its operands, 2 is
 * scratch in the simd form. */
typedef struct wg_product {
    int64_t m, n, k;
    int rank;
    int64_t batch[WG_MAX_RANK], a_batch[WG_MAX_RANK], b_batch[WG_MAX_RANK];
    int64_t a_offset, a_row, a_col, b_offset, b_row, b_col;
} wg_product;

/* out = in with slices of src added at index: buffers 0 in, 1 index, 2 src, 3 out. in and out are [outer, n, inner], src
 * is [outer, count, inner], contiguous from their offsets on. */
typedef struct wg_scatter {
    int64_t outer, n, inner, count;
    int64_t offset[3];
    const wg_node *node; /* for messages, while the plan is made */
} wg_scatter;

typedef struct wg_step {
    wg_group_kind kind;
    wg_lowered l;
    wg_product product;
    wg_scatter scatter;
    char ops[96]; /* names of the ops in it, for people */
} wg_step;

typedef struct wg_plan {
    wg_step *steps;
    int nsteps;
    wg_slot *slots;
    int nslots;
    int64_t *blocks; /* bytes of each temporary block */
    int nblocks;
    int scratch_slot; /* scratch of matmul steps; its size is the runtime's */
    int trap_slot;    /* the engine's trap words; used if its `first` is not -1 */
    int64_t work;     /* elements and multiply-adds of all steps: what the queue is chosen by */
} wg_plan;

/* The plan of a problem for a device; NULL with the error set (out of memory, or an op that no kernel can hold). */
wg_plan *wg_plan_make(const wg_problem *p, bool fuse, wg_form form, const wg_limits *limits, wg_err *err);
void wg_plan_free(wg_plan *plan);

#endif
