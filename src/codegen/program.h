/* A kernel's complete text: its body under a placeholder name, and the sections of the kernel library it needs. */
#ifndef WG_CODEGEN_PROGRAM_H
#define WG_CODEGEN_PROGRAM_H

#include "base/str.h"
#include "runtime/backend.h"
#include "schedule/plan.h"
#include "schedule/share.h"

/* Stands for the kernel's name in a body; it occurs nowhere else in the dialect. */
#define WG_NAME_MARK "@"

/* Prints a loop step. Its text depends on structure alone: equal texts are one kernel. */
void wg_print_loop(const wg_lowered *l, wg_form form, wg_str *body, wg_str *needs);

/*
 * The kernel of a bundle does the same on many tensors, one after the other. Its arguments are WG_BUNDLE_CHUNKS pieces of
 * memory, a table with a row for each tensor, and a struct by value: where the rows begin, how many there are, how far
 * apart their scalars are (0: all have the same), the scalars. A row holds, for each buffer, which piece it lies in, then the
 * parameters that are no scalars. Scalars change from step to step, rows do not.
 */
enum { WG_BUNDLE_CHUNKS = 8, WG_BUNDLE_SCALARS = 96 };
void wg_print_bundle(const wg_lowered *l, wg_form form, wg_str *body, wg_str *needs);
static inline bool wg_in_row(const wg_argument *p) { return p->kind == WG_PARAM_VALUE || p->kind == WG_PARAM_OFFSET; }
/* The kernel of the chain that begins at lead. Its arguments are the buffers of its steps, one step after the other, the
 * tickets if it draws one, then by value the parameters of each step, and the number of its ticket. In chain.c. */
void wg_print_chain(const wg_step *lead, wg_form form, wg_str *body, wg_str *needs);
/* How many neighbouring results a work-item of the simt form computes. In simt.c. */
int wg_simt_lanes(const wg_lowered *l);
/* A sum that a product takes along. Its function NAME_sum_a (b) ends it: it is called with the piece of the sum, the column
 * where the lanes start, in the simd form how many are real, and their sums. */
typedef struct wg_sum_text {
    wg_str params, args; /* the function's first parameters, and as arguments; empty: there is no such sum */
    wg_str given;        /* the arguments as the kernel has them */
    int chunk;           /* the parameter that says how long a piece is; -1: one piece */
} wg_sum_text;

typedef struct wg_product_text {
    wg_str params, args; /* "GLOBAL f32 *b0, ..., const @_params p" and "b0, ..., p" */
    /* With sums alone: the kernel's parameters, and what it begins with so that those names are there. */
    wg_str head, enter;
    wg_str types;       /* of its parameters; in the body already */
    wg_sum_text sum[2]; /* by operand */
    /* With rows, in the simt form: declarations of local memory beside the product's, and a work-item's arguments for it. */
    wg_str local, local_args;
} wg_product_text;

/* Prints the functions that the kernel of a product calls for its operands and with its results, and at the end of the sums
 * that are steps behind it; its own text follows from src/kernels. panel: see wg_gemm_plan. The body has failed
 * where there was no memory for any of it. In sums.c. */
void wg_print_product(const wg_step *lead, wg_form form, int panel, wg_str *body, wg_str *needs, wg_product_text *out);
void wg_product_text_free(wg_product_text *p);
/* Prints an index_add of a dtype; its parameters are outer, n, inner, count, the buffers' offsets, and what a trap
 * reports. */
void wg_print_scatter(const wg_lowered *l, wg_form form, wg_str *body, wg_str *needs);

/* What a program of kernels with these needs begins with, after the backend's prelude. */
void wg_print_library(wg_form form, wg_language language, const char *needs, wg_str *out);
/* Appends a body under the kernel's name. */
void wg_print_named(const char *body, const char *name, wg_str *out);

#endif
