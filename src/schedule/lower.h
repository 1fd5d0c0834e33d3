/* Lowering: from a group of tasks to the loops of one kernel, its parameters and its buffers. */
#ifndef WG_SCHEDULE_LOWER_H
#define WG_SCHEDULE_LOWER_H

#include "schedule/partition.h"

/* Slots of a plan, by number: leaves, then by task what it stores, then its partial results or the scratch where a product's
 * sums wait, then copies of operands: a reduction that is split may read one while it stores partial results. */
static inline int wg_slot_leaf(int leaf) { return leaf; }
static inline int wg_slot_task(const wg_problem *p, int task) { return (int)p->nleaves + task; }
static inline int wg_slot_extra(const wg_problem *p, int task) { return (int)(p->nleaves + p->ntasks) + task; }
static inline int wg_slot_copy(const wg_problem *p, int task) { return (int)(p->nleaves + 2 * p->ntasks) + task; }

/* The slot of an operand: task, or leaf ~ref. */
static inline int wg_lower_slot(const wg_problem *p, int ref) {
    return ref < 0 ? wg_slot_leaf(~ref) : wg_slot_task(p, ref);
}

/* Two words in which kernels report an index out of range: the op, and the shape it happened in. */
static inline int wg_slot_trap(const wg_problem *p) { return (int)(p->nleaves + 3 * p->ntasks); }

/* A product; strides and offsets in elements. Those of an operand that the product makes say nothing. */
typedef struct wg_product {
    int64_t m, n, k;
    int rank;
    int64_t batch[WG_MAX_RANK], a_batch[WG_MAX_RANK], b_batch[WG_MAX_RANK];
    int64_t a_offset, a_row, a_col, b_offset, b_row, b_col;
} wg_product;

/* A product that is computed behind the first in the same kernel: see terms.h. */
typedef struct wg_term {
    wg_product product;
    int operand[2],
        inst; /* as those of the first, which have their places below; what stands for it in the loop's body */
    wg_loop make[2];
    bool across[2];
} wg_term;

typedef struct wg_lowered {
    wg_loop loop;
    wg_argument *params;
    int nparams;
    wg_buffer_use buffers[WG_MAX_BUFFERS];
    int nbuffers;
    int noperands;   /* the first buffers are read for a product's operands, the last of them may be its scratch: what
                      * the loop reads of the same slots has others */
    int operand[2];  /* of a product: the buffer it lies in; -1 if a loop of its own makes it */
    wg_loop make[2]; /* that loop, a MAP whose last axes are the operand's rows and columns, lanes along either */
    bool across[2];  /* that loop's lanes lie along the result rather than along the sum */
    int scratch;     /* of a product in the simd form: its buffer; else -1 */
    wg_term *more;   /* the products behind the first */
    int nmore;
    int own;                /* where a product's own parameters begin, once its kernel is made */
    int64_t units;          /* pieces of work that can run side by side in the simd form */
    int64_t results;        /* points of the kept axes: work-items, or work-groups for rows, of the simt form */
    int64_t elems;          /* points of the loop nest, for estimates */
    bool failed, no_memory; /* failed: larger than a kernel can be, or out of memory */
} wg_lowered;

/* An empty kernel; false, and failed, when there is no memory. */
bool wg_lower_begin(wg_lowered *out);
/* Lowers a loop group. cache_bytes: results larger than this are stored past the cache. */
bool wg_lower_loop(const wg_partition *p, int group, size_t cache_bytes, wg_lowered *out);
/* Lowers a product: what makes its operands, if they have no bytes, and what joined it. The loop's body computes from the
 * product (its first instruction, WG_P_PRODUCT); kept axes are batch, row, column, not merged. Where reductions over rows
 * joined, the loop is of mode ROWS, and the columns are its reduced axis. */
bool wg_lower_product(const wg_partition *p, int group, bool scratch, wg_lowered *out);
void wg_lowered_free(wg_lowered *l);
/* Whether a loop makes operand k of a product. */
static inline bool wg_makes_operand(const wg_lowered *l, int k) { return l->make[k].inst != NULL; }
/* The kernel with the operands of product t in place of those of the first; they stay where they are. */
wg_lowered wg_lowered_term(const wg_lowered *l, int t);
/* That loop as a kernel's: the parameters and buffers are the kernel's, and stay with it. */
static inline wg_lowered wg_operand_loop(const wg_lowered *l, int k) {
    wg_lowered o = *l;
    o.loop = l->make[k];
    return o;
}

/* Numbers a parameter. */
int wg_lower_param(wg_lowered *l, wg_argument_kind kind, wg_dtype dtype, int32_t index, int64_t value);
/* Three parameters for a trap: the offset of the trap words in `buffer`, then what to write there. The first's number. */
int wg_lower_trap(wg_lowered *l, int buffer, const wg_node *n);
/* The number of a buffer among the kernel's arguments; of one more, whether or not the slot has one. */
int wg_lower_buffer(wg_lowered *l, int slot, wg_dtype dtype, bool written);
int wg_lower_own_buffer(wg_lowered *l, int slot, wg_dtype dtype, bool written);

#endif
