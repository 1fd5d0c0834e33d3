/*
 * What the constructors of all ops share: recording with promotion and broadcasting, checks with messages of one form,
 * and scopes for the temporaries of composites.
 */
#ifndef WG_OPS_COMMON_H
#define WG_OPS_COMMON_H

#include "graph/op.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

#include <wengert/ops.h>

static inline wg_dtype wg_op_dtype(const wg_tensor *t) { return (wg_dtype)t->node->dtype; }
static inline const wg_shape *wg_op_shape(const wg_tensor *t) { return t->node->shape; }
/* The dtype of functions that are floating whatever they are given: f32 for integers. */
static inline wg_dtype wg_op_floating(wg_dtype d) { return wg_dtype_is_float(d) ? d : WG_F32; }

/* The graph of a context; src/api says. */
wg_graph *wg_graph_of(wg_ctx *ctx);

/* ---- checks: on failure the error is set ---------------------------------------------------------------------------- */

/* NULL, and "op: f32 [2,3]: why". */
void *wg_op_refuse(wg_graph *g, const char *op, wg_status status, const wg_tensor *a, const char *why);
/* dim in 0..rank-1, or -1. A scalar takes 0 and -1 as if it had one dimension. */
int wg_op_dim(wg_graph *g, const char *op, const wg_tensor *a, int dim);
/* The same for ops that need a dimension to work on: a scalar has none. */
int wg_op_real_dim(wg_graph *g, const char *op, const wg_tensor *a, int dim);
/* Distinct dims as a bit mask. No dims: 0. */
bool wg_op_dim_mask(wg_graph *g, const char *op, const wg_tensor *a, const int *dims, int ndims, unsigned *mask);
bool wg_op_floats_only(wg_graph *g, const char *op, const wg_tensor *a);
/* What a[start:end:step] of dim means in Python, for step >= 1: where it begins and how many elements it has. Returns
 * the dim, or -1. */
typedef struct wg_op_range {
    int64_t start, count;
} wg_op_range;
int wg_op_slice_range(wg_graph *g, const char *op, const wg_tensor *a, int dim, int64_t start, int64_t end,
                      int64_t step, wg_op_range *out);
/* For new tensors: a usable context, a shape that exists, a dtype that the library computes with. */
bool wg_op_creatable(wg_graph *g, const char *op, wg_dtype dtype, const wg_shape *shape);

/* ---- recording ------------------------------------------------------------------------------------------------------ */

/* Records a map: broadcasts the operands into call->shape, brings those from `first` on to dtype `compute`. */
wg_tensor *wg_op_map(wg_graph *g, const wg_op *op, wg_call *call, int first, wg_dtype compute);
/* A map of one tensor, computed in and giving dtype; scalars b and c (0 if it has none). */
wg_tensor *wg_op_map1(wg_graph *g, const wg_op *op, wg_tensor *a, wg_dtype dtype, double b, double c);
/* a itself if it has that dtype, else converted. NULL for NULL. */
wg_tensor *wg_op_as(wg_tensor *a, wg_dtype dtype);
/* a, or a 16-bit a as f32: for composites, which are rounded once, at their end. */
static inline wg_tensor *wg_op_widened(wg_tensor *a) {
    return a ? wg_op_as(a, wg_dtype_compute(wg_op_dtype(a))) : NULL;
}
/* Zeros that need no context at hand. */
wg_tensor *wg_op_zeros(wg_graph *g, wg_dtype dtype, const wg_shape *shape);
/* A view that shows a as it is: a new handle where an op has nothing to do. */
wg_tensor *wg_op_same(wg_tensor *a);
/* t where cond, 0 elsewhere, and the other way round. */
wg_tensor *wg_op_where_or_zero(wg_tensor *cond, wg_tensor *t);
wg_tensor *wg_op_zero_where(wg_tensor *cond, wg_tensor *t);

/* Composites: wg_scope_push, then wg_op_leave frees every temporary and hands the result (NULL is allowed) to the scope
 * below. */
wg_tensor *wg_op_leave(wg_graph *g, wg_tensor *result);

#endif
