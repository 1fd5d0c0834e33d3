/*
 * The interpreter's machine: a kernel's instructions run on sixteen lanes at a time, in the order in which
 * src/codegen/simd.c prints them.
 */
#ifndef WG_RUNTIME_MACHINE_H
#define WG_RUNTIME_MACHINE_H

#include "base/alloc.h"
#include "runtime/lanes.h"
#include "schedule/lower.h"

/* What is done before and in the loops of one stage: numbers of instructions and of stores, in order. */
typedef struct wg_work {
    const int *uniform, *varying, *stores;  /* before them */
    const int *elems, *reductions, *looped; /* in them */
    int nuniform, nvarying, nstores, nelems, nreductions, nlooped;
} wg_work;

typedef struct wg_machine {
    const wg_lowered *l;
    const wg_loop *loop;
    const int64_t *p;  /* parameters */
    char *const *mem;  /* buffers */
    wg_lanes *x;       /* a register for each instruction */
    wg_accumulator *c; /* used by those that reduce */
    int64_t *base;     /* where each access starts in the row */
    const int *ones;   /* instructions of level ONE */
    int nones;
    wg_work work[WG_MAX_STAGES + 1];

    bool on_rows;
    int64_t size0;           /* length of the first reduced axis, which a last chunk may not fill */
    int64_t r[WG_MAX_RANK];  /* the reduced coordinates; but for the last one in mode ROWS, where the lanes lie */
    int64_t i;               /* where the lanes start */
    int n;                   /* how many of them are real */
    const wg_lanes *product; /* its row, in a loop around one; then those of the products added to it, */
    int64_t pieces;          /* each of so many */
} wg_machine;

/* The machine lives in `space`, which has wg_machine_room bytes, aligned as for a wg_lanes. */
size_t wg_machine_room(const wg_lowered *l);
void wg_machine_make(const wg_lowered *l, const int64_t *params, char *const *mem, void *space, wg_machine *out);

/* Runs a loop step. */
void wg_machine_run(wg_machine *m);
/* A row of a loop around a product, by its number; then all of it, with that row of the product, 16 columns after 16, and behind
 * it those of the products that are added to it. */
void wg_machine_enter_row(wg_machine *m, int64_t row);
void wg_machine_finish(wg_machine *m, const wg_lanes *product, int64_t columns);
/* In a row of a product's operand: 16 of its values, n of them real. */
const wg_lanes *wg_machine_value(wg_machine *m, int64_t column, int n);

#endif
