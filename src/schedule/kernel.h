/*
 * A fused group, lowered: the loops of one kernel and what they compute, independent of any language. The writers of
 * src/codegen print it, the host evaluator runs it. Also the other kinds of work a plan launches.
 *
 * Loops. The kept axes enumerate results, the reduced axes are summed over. 16 lanes lie on the last axis:
 *   MAP     no reduced axes; lanes on the last kept axis
 *   ROWS    the last axis is reduced: a unit of work is one row, lanes share it
 *   COLUMNS reductions over outer axes: lanes are 16 neighbouring results, each with a chain of its own
 * A body runs its instructions in stages: stage s loops over the reduced axes once; a reduction done in stage s can be
 * used from stage s + 1 on.
 */
#ifndef WG_SCHEDULE_KERNEL_H
#define WG_SCHEDULE_KERNEL_H

#include "graph/expr.h"
#include "graph/graph.h"

#include <string.h>

#define WG_LANES 16
#define WG_STRIPS 64 /* of 16 columns each, that the simd form sums side by side */
/* Work-items of a group in the simt form. */
#define WG_GROUP_ITEMS_MAP 256
#define WG_GROUP_ITEMS_ROWS 64
#define WG_MAX_BUFFERS 24
#define WG_MAX_PARAMS 110
#define WG_PRODUCT_PARAMS 25 /* of them, a product's own: sizes, strides, blocking; added when its kernel is made */
#define WG_TERM_PARAMS 2     /* the same of each product more that a kernel computes: where its operands start, ... */
#define WG_LAYOUT_PARAMS 15  /* ... and its sizes and strides, where they are none that another one has */
#define WG_MAX_TERMS 10
#define WG_MAX_INSTS 512
#define WG_MAX_STAGES 16

typedef enum wg_loop_mode { WG_LOOP_MAP, WG_LOOP_ROWS, WG_LOOP_COLUMNS } wg_loop_mode;

/* Where an instruction's value lives: the same for the whole kernel, one for each result, one for each element. */
typedef enum wg_level { WG_LEVEL_ONE, WG_LEVEL_KEPT, WG_LEVEL_ELEM } wg_level;

typedef enum wg_lane_step { WG_LANE_SAME, WG_LANE_NEXT, WG_LANE_STRIDE } wg_lane_step;

/* An address: element offset plus strides along the kernel's axes; parameters by number, -1 for a stride of 0. */
typedef struct wg_access {
    int buffer; /* -1: a coordinate, not memory */
    int offset;
    int kept[WG_MAX_RANK], reduced[WG_MAX_RANK];
    wg_lane_step lane;
    bool by_row; /* depends on the kept axes only */
} wg_access;

enum { WG_EXACT_F16 = 1, WG_EXACT_BF16 = 2 };

typedef struct wg_inst {
    uint8_t prim, dtype, level;
    uint8_t stage; /* the first stage whose loop, or after which level KEPT, can compute it */
    bool uniform;  /* all lanes are equal */
    uint8_t exact; /* of an f32, as bits: WG_EXACT_F16, WG_EXACT_BF16 if rounding to that would change no value of it */
    int a, b, c;   /* operands; for LOAD: a = index or -1, b = condition or -1 */
    int access;    /* LOAD, COORD */
    int param; /* SCALAR: its number; LOAD with index: the stride it is multiplied with; RANDOM: counter, then seed */
    double value; /* CONST */
} wg_inst;

/* Numbers of a text: 0 and -0 are two, NaN is one. */
static inline bool wg_same_number(double a, double b) {
    uint64_t x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    return x == y;
}

typedef struct wg_store {
    int inst, access;
} wg_store;

/* Where a parameter's value comes from when the plan is bound. */
typedef enum wg_argument_kind {
    WG_PARAM_VALUE,  /* fixed in the plan */
    WG_PARAM_OFFSET, /* value + the element offset of buffer `index` */
    WG_PARAM_SCALAR, /* scalar `index` of the problem, converted to dtype */
    WG_PARAM_BITS    /* the same, its 64 bits as they are */
} wg_argument_kind;

typedef struct wg_argument {
    uint8_t kind, dtype;
    int32_t index;
    int64_t value;
} wg_argument;

typedef struct wg_buffer_use {
    int slot; /* of the plan */
    uint8_t dtype;
    bool written;
    int64_t part; /* elements, if it is parts of a join that are written, and others write the rest */
} wg_buffer_use;

typedef struct wg_loop {
    wg_loop_mode mode;
    int nkept, nreduced;
    int kept_size[WG_MAX_RANK], reduced_size[WG_MAX_RANK]; /* parameters */
    int block;   /* parameter: lanes a unit walks along the last kept axis (MAP), or a multiple of 16 (COLUMNS) */
    int chunk;   /* parameter: length of a chunk of the first reduced axis, numbered by kept axis 0; -1 if not split */
    bool stream; /* results are larger than the cache: store past it */
    int ninsts, naccesses, nstores, nstages;
    int value; /* of a product's operand: the instruction that makes it */
    wg_inst *inst;
    wg_access *access;
    wg_store *store;
} wg_loop;

/* Whether what an instruction makes of elements is so dear that a later loop over the row does not make it again: it waits in the
 * place of a result. In lowered.c. */
bool wg_inst_is_dear(const wg_loop *loop, int inst);

#endif
