/* Printing fused groups as kernel text: what the two forms share. */
#ifndef WG_CODEGEN_TEXT_H
#define WG_CODEGEN_TEXT_H

#include "base/str.h"
#include "runtime/backend.h"
#include "schedule/lower.h"

/* The kernel under print: its lowered group, its text, and which sections of the kernel library it needs. */
typedef struct wg_text {
    const wg_lowered *l;
    wg_form form;
    bool bundle; /* it works on many tensors: see wg_print_bundle */
    const char *name;
    wg_str body;
    wg_str needs;      /* names of sections, a space after each */
    const char *index; /* the type of coordinates: i64, or i32 where all of the loop nest can be counted in it */
    int items;         /* work-items of a group in the simt form */
    /* In a chain (chain.c): one group does the step; it is a step before; by buffer, the register h0, h1, ... that its one
     * number is in, -1: none. */
    bool alone, before;
    const int *registers;
    int panel;        /* around a product, in the simd form: columns that lie side by side in its sums */
    const char *item; /* number of the work-item that looks at a row */
    /* A dear value that a second loop needs again waits where that loop will store its result: exp in a softmax. */
    int stash;       /* the instruction; -1: none */
    int stash_store; /* the store whose place it waits in */
    int stash_stage; /* the loop that computes it */
} wg_text;

/* "f32", "i64", ...: names in the lane vocabulary; u8 computes in i32, 16-bit floats in f32, bool is "mask". */
const char *wg_text_type(uint8_t dtype);
/* The type of a register: "vf32", "vmask", ... */
const char *wg_text_register(uint8_t dtype);
/* The type in memory: "float", "uchar", ... */
const char *wg_text_memory(uint8_t dtype);
/* The name of a dtype in memory functions: u8, bool and 16-bit floats have their own. */
const char *wg_text_memory_name(uint8_t dtype);
/* Notes that a section is needed. */
void wg_text_need(wg_text *t, const char *format, uint8_t dtype);

/* A size as a coordinate's type has it: "p.v[3]" or "(i32)p.v[3]". */
typedef struct wg_size_text {
    char s[24];
} wg_size_text;
wg_size_text wg_text_size(const wg_text *t, int param);
/* The place of an access: "a3 + r0 * p.v[5]", plus that of the lane. */
void wg_text_place(wg_text *t, const wg_access *a, int number, bool with_lane);

/* "const vf32 x7 = ...;" for an instruction that is no reduction, at the given indentation. */
void wg_text_inst(wg_text *t, int inst, int indent);
/* The stashed value, put in its place or read back from there. */
void wg_text_waiting(wg_text *t, bool back, int indent);
/* The store of an instruction's value. */
void wg_text_store(wg_text *t, const wg_store *s, int indent);
/* Accumulator of a reduction: declaration, and one step with x; `masked`: only the first n lanes count. */
void wg_text_acc_begin(wg_text *t, int inst, int indent);
void wg_text_acc_step(wg_text *t, int inst, int indent, bool masked, const char *position);

/* Kernel parameters "GLOBAL f32 *b0, ..., const NAME_params p", and as arguments "b0, ..., p". */
void wg_text_params(const wg_text *t, wg_str *out);
void wg_text_args(const wg_text *t, wg_str *out);

/* The kernel's head, its `items` work-items to a group; then, behind what stands at its top scope, the start of the work
 * on one set of tensors, and its end. */
void wg_text_head(wg_text *t, int items);
void wg_text_enter(wg_text *t);
void wg_text_leave(wg_text *t);

/* Prints the kernel named t->name into t->body; its body alone. */
void wg_text_simd(wg_text *t);
void wg_text_simt(wg_text *t);
void wg_text_simd_body(wg_text *t);
void wg_text_simt_body(wg_text *t);
/* What both do with one row, where it is known which. */
void wg_text_simd_row(wg_text *t);
void wg_text_simt_row(wg_text *t);
/* Local memory for sums across a group of the simt form: what the rows of a loop need, and its declarations for as many rows as
 * are summed at a time. */
enum { WG_TEXT_SCRATCH = WG_DTYPE_COUNT + 1 };
void wg_text_mark_scratch(const wg_loop *loop, bool *scratch);
void wg_text_scratch(wg_text *t, int rows, const bool *scratch);
/* The number of the group, and of groups, among which the work is shared. */
static inline const char *wg_text_group(const wg_text *t) { return t->alone ? "0" : "GRP(0)"; }
static inline const char *wg_text_groups(const wg_text *t) { return t->alone ? "1" : "NGRP(0)"; }
/* Prints what a product calls with each piece of it, as function `NAME_epilogue`, and what makes its operands, `NAME_a` and
 * `NAME_b`. In around.c. */
void wg_text_around(wg_text *t);
/* Local memory that rows of a product need beside its own, as declarations, and a work-item's arguments for it. */
void wg_text_row_scratch(const wg_lowered *l, wg_str *declarations, wg_str *args);

/* The ELEM instructions that the loop of a stage computes, as flags in need[ninsts]. What only `cut` needs is left out; -1
 * for none. */
void wg_text_mark(const wg_loop *loop, int stage, int cut, bool *need);
/* Whether a store happens in a loop over the reduced axes, and in which; else the stage after which it can. */
int wg_text_store_stage(const wg_loop *loop, const wg_store *s, bool *in_loop);
bool wg_text_is_reduction(const wg_inst *in);
/* Looks for a value worth keeping from one loop to the next. */
void wg_text_find_stash(wg_text *t);
/* An ELEM instruction in the loop of a stage: computed, kept, or read back. */
void wg_text_elem(wg_text *t, int inst, int stage, int indent);
/* Into its register what a step before stores after a stage. */
void wg_text_hand_on(wg_text *t, int stage, int indent);
/* Instructions of level ONE; of level KEPT at a stage, uniform or not; the stores of a stage, in loops or between. */
void wg_text_ones(wg_text *t, int indent);
void wg_text_kept(wg_text *t, int stage, bool uniform, int indent);
void wg_text_stores(wg_text *t, int stage, bool looped, int indent);
/* Before the loops of a stage: what it computes, into need, and the starts of its reductions; inside them: all of it,
 * masked and position as for wg_text_acc_step. */
void wg_text_stage_begin(wg_text *t, int stage, int indent, bool *need);
void wg_text_stage_step(wg_text *t, int stage, int indent, const bool *need, bool masked, const char *position);
/* The coordinates k0, k1, ... of a unit of work, whose number among the rows is the expression `row`. */
void wg_text_rows(wg_text *t, int indent, const char *row);
/* Where each access starts in that row (a0, a1, ...), and size0, the length of the first reduced axis. */
void wg_text_bases(wg_text *t, int indent);

#endif
