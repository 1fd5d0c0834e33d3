/*
 * A plan: the steps that compute a problem, in order, and where every value lies. Pure data; the runtime turns its steps
 * into kernels once and launches them as often as the problem comes back.
 */
#ifndef WG_SCHEDULE_PLAN_H
#define WG_SCHEDULE_PLAN_H

#include "base/str.h"
#include "runtime/backend.h"
#include "schedule/cost.h"
#include "schedule/epilogue.h"
#include "schedule/lower.h"

typedef enum wg_slot_kind {
    WG_SLOT_NONE,   /* not used: its task floats, or lives in registers */
    WG_SLOT_LEAF,   /* bytes that were there before */
    WG_SLOT_KEPT,   /* bytes that stay */
    WG_SLOT_TEMP,   /* bytes that go with the plan: at `at` in arena `arena` */
    WG_SLOT_SCRATCH /* the same, for one step alone: the runtime says how many elements and has them placed */
} wg_slot_kind;

typedef struct wg_slot {
    uint8_t kind, dtype;
    bool taken; /* something else is written over its bytes when it dies */
    int64_t elems;
    int first, last; /* launches that write it first and use it last, by their first step */
    int over;        /* the slot whose bytes it takes over: a leaf if KEPT, a TEMP if TEMP; -1 for bytes of its own */
    int until;       /* TEMP with bytes of its own: the last launch that uses them, for whatever lies there by then */
    int arena;       /* TEMP; -1: has none */
    int64_t at;      /* TEMP: where its bytes start in the arena */
} wg_slot;

/* out = in with slices of src added at index: buffers 0 in, 1 index, 2 src, 3 out. in and out are [outer, n, inner], src
 * is [outer, count, inner], contiguous from their offsets on. */
typedef struct wg_scatter {
    int64_t outer, n, inner, count;
    int64_t offset[3];
    const wg_node *node; /* for messages, while the plan is made */
} wg_scatter;

/* What a step is among those that share its launch: see share.h. */
typedef enum wg_part {
    WG_PART_ALIKE, /* alone, or of a bundle: kernels of one text on other tensors, none of which needs another */
    WG_PART_BEFORE,
    WG_PART_MAIN,
    WG_PART_AFTER,
    WG_PART_SUM /* behind a product, of whose operand it is a sum */
} wg_part;

typedef struct wg_step {
    wg_group_kind kind;
    int bundle; /* how many steps from this one on share a launch: 1 if it is alone, 0 for those behind the first */
    wg_part part;
    int operand; /* of a sum behind a product: which it sums */
    wg_lowered l;
    wg_product product;
    wg_epilogue epilogue; /* of a product that a library computes */
    wg_scatter scatter;
    char ops[96]; /* names of the ops in it, for people */
    wg_cost cost;
} wg_step;

/* When a launch of a plan on several queues comes: in order on its queue, and after turns on other queues. Turn 0 is the
 * beginning of the plan, turn i + 1 the launch that begins at step i, turn nsteps + 1 the end, which comes after all. */
typedef struct wg_turn {
    int queue;                   /* 0 is the main one, where the plan begins and ends */
    int nwaits;                  /* one for another queue at most */
    int wait[WG_MAX_QUEUES - 1]; /* turns */
    int event;                   /* by which others wait for this one; numbers come again. -1: nobody does */
} wg_turn;

typedef struct wg_plan {
    wg_step *steps;
    int nsteps;
    wg_slot *slots;
    int nslots, nleaves; /* the first nleaves slots are leaves */
    int nlaunches;       /* steps that are not behind another in a launch */
    int64_t *arenas;     /* bytes of each arena, where temporaries lie by lifetime; one, unless the device's largest
                        * allocation is smaller */
    int narenas;
    int64_t kept_bytes; /* of new bytes for kept values */
    int trap_slot;      /* the engine's trap words; used if its `first` is not -1 */
    wg_cost cost;       /* of all steps */
    wg_turn *turns;     /* NULL: all on one queue; see queues.h */
    int nevents;        /* of the turns */
    int64_t work;       /* elements and multiply-adds of all steps: what the queue is chosen by */
} wg_plan;

/* The plan of a problem for a device; NULL with the error set (out of memory, or an op that no kernel can hold). */
wg_plan *wg_plan_make(const wg_problem *p, bool fuse, wg_form form, const wg_limits *limits, wg_err *err);
void wg_plan_free(wg_plan *plan);
/* Appends the plan as text: a line with its bytes; for each launch what it does, then which values it reads and -> writes;
 * steps that share it follow, behind + those of a bundle, behind > those of a chain, behind & sums of a product's operands.
 * x3 is a leaf, k5 a value that stays (k5=x3: in the bytes of x3), t7[256+64] a temporary of 64 bytes at 256 in the arena. On
 * several queues, each launch names its own and the launches on others it waits for, 0 being the beginning. In print.c. */
void wg_plan_print(const wg_plan *plan, wg_str *out);
/* Appends the loops of a step: "map 128x256", "rows 128 of 10", "columns 256 of 128", "matmul 2 of 128x784x256",
 * "matmul 128x784x256, then rows", "scatter". */
void wg_step_print_loops(const wg_step *s, wg_str *out);

#endif
