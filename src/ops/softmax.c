/*
 * The softmax family: composites of reductions and maps over one axis, which the scheduler fuses into one kernel. softmax
 * and log_softmax have gradients of their own, made from the result alone; logsumexp's is the composite's. 16-bit floats are
 * rounded once, at the end.
 */
#include "ops/common.h"

#include <math.h>

/* y (g - sum(g y)) */
static void vjp_softmax(wg_vjp *v) {
    int dim = (int)wg_vjp_node(v)->attr[0];
    wg_tensor *g = wg_vjp_grad(v), *y = wg_vjp_out(v);
    wg_vjp_set(v, 0, wg_mul(wg_sub(g, wg_sum(wg_mul(g, y), &dim, 1, true)), y));
}
static const wg_op softmax_op = {.name = "softmax", .kind = WG_OP_VIEW, .saves = WG_SAVE_OUT, .vjp = vjp_softmax};

/* g - exp(y) sum(g) */
static void vjp_log_softmax(wg_vjp *v) {
    int dim = (int)wg_vjp_node(v)->attr[0];
    wg_tensor *g = wg_vjp_grad(v);
    wg_vjp_set(v, 0, wg_sub(g, wg_mul(wg_exp(wg_vjp_out(v)), wg_sum(g, &dim, 1, true))));
}
static const wg_op log_softmax_op = {
    .name = "log_softmax", .kind = WG_OP_VIEW, .saves = WG_SAVE_OUT, .vjp = vjp_log_softmax};

static wg_tensor *softmax_value(wg_tensor *a, int dim) {
    wg_tensor *e = wg_exp(wg_sub(a, wg_amax(a, &dim, 1, true)));
    return wg_div(e, wg_sum(e, &dim, 1, true));
}

static wg_tensor *log_softmax_value(wg_tensor *a, int dim) {
    wg_tensor *shifted = wg_sub(a, wg_amax(a, &dim, 1, true));
    return wg_sub(shifted, wg_log(wg_sum(wg_exp(shifted), &dim, 1, true)));
}

static wg_tensor *soft(const wg_op *op, wg_tensor *a, int dim, wg_tensor *(*value)(wg_tensor *, int)) {
    wg_graph *g;
    if (!wg_check(op->name, &g, &a, 1) || !wg_op_floats_only(g, op->name, a)) {
        return NULL;
    }
    dim = wg_op_dim(g, op->name, a, dim);
    if (dim < 0) {
        return NULL;
    }
    if (wg_shape_numel(*wg_op_shape(a)) == 0) {
        return wg_op_same(a);
    }
    if (!wg_scope_push(g)) {
        return NULL;
    }
    bool before = wg_graph_set_no_grad(g, true);
    wg_tensor *y = wg_op_as(value(wg_op_widened(a), dim), wg_op_dtype(a));
    wg_graph_set_no_grad(g, before);
    const int64_t attr[WG_MAX_ATTR] = {dim};
    return wg_op_leave(g, wg_record_custom(op, a, y, NULL, attr));
}

wg_tensor *wg_softmax(wg_tensor *a, int dim) { return soft(&softmax_op, a, dim, softmax_value); }
wg_tensor *wg_log_softmax(wg_tensor *a, int dim) { return soft(&log_softmax_op, a, dim, log_softmax_value); }

/* What to subtract so that no exponential overflows: the maximum, but 0 for an infinite one. It cancels out of the value,
 * so no gradient flows through it. */
static wg_tensor *shift_of(wg_graph *g, wg_tensor *a, const int *dims, int ndims) {
    bool before = wg_graph_set_no_grad(g, true);
    wg_tensor *top = wg_amax(a, dims, ndims, true);
    wg_tensor *shift = wg_op_zero_where(wg_eq_scalar(wg_abs(top), INFINITY), top);
    wg_graph_set_no_grad(g, before);
    return shift;
}

wg_tensor *wg_logsumexp(wg_tensor *a, const int *dims, int ndims, bool keepdim) {
    wg_graph *g;
    unsigned mask;
    if (!wg_check("logsumexp", &g, &a, 1) || !wg_op_floats_only(g, "logsumexp", a) ||
        !wg_op_dim_mask(g, "logsumexp", a, dims, ndims, &mask) || !wg_scope_push(g)) {
        return NULL;
    }
    wg_tensor *x = wg_op_widened(a), *result;
    if (wg_shape_numel(*wg_op_shape(a)) == 0) {
        result = wg_log(wg_sum(wg_exp(x), dims, ndims, keepdim));
    } else {
        wg_tensor *shift = shift_of(g, x, dims, ndims);
        wg_tensor *sum = wg_log(wg_sum(wg_exp(wg_sub(x, shift)), dims, ndims, keepdim));
        result = sum ? wg_add(sum, wg_reshape(shift, *wg_op_shape(sum))) : NULL;
    }
    return wg_op_leave(g, wg_op_as(result, wg_op_dtype(a)));
}
