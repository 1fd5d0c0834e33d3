/*
 * Small work for proofs that execute kernels: every op of the table, what is fused around reductions and products, sums
 * long enough to be split, and a training step.
 */
#ifndef PROOFS_WALK_H
#define PROOFS_WALK_H

#include "harness/op_table.h"

enum { WALK_MOST = 24 };

/* Results recorded but not demanded. */
typedef struct walk_batch {
    size_t n;
    wg_tensor *t[WALK_MOST];
    char name[WALK_MOST][64];
    nd want[WALK_MOST];     /* what it should be; want.n is -1 where only a comparison with the interpreter tells */
    double ulps[WALK_MOST]; /* how far off it may be, beside want's slack */
} walk_batch;

/* Takes a batch, whose tensors end with it. */
typedef void (*walk_visit)(wg_ctx *ctx, const walk_batch *b, void *user);

/* Every op of a part of the op table, ops_unary and so on: each variant with one dtype, layouts in turn. */
void walk_rows(wg_ctx *ctx, const op *rows, walk_visit visit, void *user);
/* What the table has not: fused groups, split sums, gradients of a step with dropout, embedding and a product. */
void walk_fused(wg_ctx *ctx, walk_visit visit, void *user);

#endif
