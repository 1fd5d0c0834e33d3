/* Reductions over some of the dimensions. attr 0 is the mask of those; nodes keep them, with size 1. */
#include "ops/common.h"

/* ---- shapes --------------------------------------------------------------------------------------------------------- */

/* What is to be reduced: the dims (no list means all), and how many elements each result is made of. */
typedef struct span {
    unsigned mask;
    int64_t count;
} span;

static bool span_of(wg_graph *g, const char *op, wg_tensor *a, const int *dims, int ndims, span *out) {
    const wg_shape *s = wg_op_shape(a);
    if (!wg_op_dim_mask(g, op, a, dims, ndims, &out->mask)) {
        return false;
    }
    unsigned all = (1u << s->rank) - 1;
    out->mask = ndims == 0 ? all : out->mask & all;
    out->count = 1;
    for (int i = 0; i < s->rank; i++) {
        out->count *= out->mask >> i & 1 ? s->dim[i] : 1;
    }
    return true;
}

static wg_shape reduced(const wg_shape *s, unsigned mask, bool keepdim) {
    wg_shape r = {0};
    for (int i = 0; i < s->rank; i++) {
        if (!(mask >> i & 1)) {
            r.dim[r.rank++] = s->dim[i];
        } else if (keepdim) {
            r.dim[r.rank++] = 1;
        }
    }
    return r;
}

/* a, in dtype `compute`, over sp; the result is given as dtype `result`. One element is its own sum and maximum. */
static wg_tensor *reduce(wg_graph *g, const wg_op *op, wg_tensor *a, wg_dtype compute, wg_dtype result, span sp,
                         bool keepdim) {
    if (!wg_scope_push(g)) {
        return NULL;
    }
    const wg_shape *from = wg_op_shape(a), to = reduced(from, sp.mask, keepdim);
    wg_tensor *r = wg_op_as(a, compute);
    if (r && sp.count != 1) {
        wg_call call = {.in = {r},
                        .nin = 1,
                        .dtype = op->reduce == WG_P_RARGMAX ? WG_I64 : compute,
                        .shape = reduced(from, sp.mask, true),
                        .attr = {sp.mask}};
        r = wg_record(g, op, &call);
    }
    r = wg_op_as(r, result);
    if (r && (r == a || !wg_shape_equal(wg_op_shape(r), &to))) {
        r = wg_reshape(r, to);
    }
    return wg_op_leave(g, r);
}

/* ---- sum, mean, var ------------------------------------------------------------------------------------------------- */

static void vjp_sum(wg_vjp *v) { wg_vjp_set(v, 0, wg_expand(wg_vjp_grad(v), *wg_vjp_node(v)->in[0]->shape)); }
static const wg_op sum_op = {.name = "sum", .kind = WG_OP_REDUCE, .reduce = WG_P_RSUM, .vjp = vjp_sum};

wg_tensor *wg_sum(wg_tensor *a, const int *dims, int ndims, bool keepdim) {
    wg_graph *g;
    span sp;
    if (!wg_check("sum", &g, &a, 1) || !span_of(g, "sum", a, dims, ndims, &sp)) {
        return NULL;
    }
    wg_dtype d = wg_dtype_is_float(wg_op_dtype(a)) ? wg_op_dtype(a) : WG_I64;
    return reduce(g, &sum_op, a, d, d, sp, keepdim);
}

wg_tensor *wg_mean(wg_tensor *a, const int *dims, int ndims, bool keepdim) {
    wg_graph *g;
    span sp;
    if (!wg_check("mean", &g, &a, 1) || !wg_op_floats_only(g, "mean", a) || !span_of(g, "mean", a, dims, ndims, &sp)) {
        return NULL;
    }
    if (!wg_scope_push(g)) {
        return NULL;
    }
    wg_dtype d = wg_dtype_compute(wg_op_dtype(a)); /* a sum may be larger than any number of a 16-bit float */
    wg_tensor *mean = wg_div_scalar(reduce(g, &sum_op, a, d, d, sp, keepdim), (double)sp.count);
    return wg_op_leave(g, wg_op_as(mean, wg_op_dtype(a)));
}

wg_tensor *wg_var(wg_tensor *a, const int *dims, int ndims, double correction, bool keepdim) {
    wg_graph *g;
    span sp;
    if (!wg_check("var", &g, &a, 1) || !wg_op_floats_only(g, "var", a) || !span_of(g, "var", a, dims, ndims, &sp) ||
        !wg_scope_push(g)) {
        return NULL;
    }
    double divisor = (double)sp.count - correction;
    wg_tensor *x = wg_op_widened(a), *squares = wg_square(wg_sub(x, wg_mean(x, dims, ndims, true)));
    wg_tensor *var = wg_div_scalar(wg_sum(squares, dims, ndims, keepdim), divisor > 0 ? divisor : 0);
    return wg_op_leave(g, wg_op_as(var, wg_op_dtype(a)));
}

/* ---- amax, amin, argmax --------------------------------------------------------------------------------------------- */

/* The elements that equal the result share the gradient evenly. */
static void vjp_extreme(wg_vjp *v) {
    int dims[WG_MAX_RANK], ndims = 0;
    for (int i = 0; i < WG_MAX_RANK; i++) {
        if (wg_vjp_node(v)->attr[0] >> i & 1) {
            dims[ndims++] = i;
        }
    }
    wg_tensor *ties = wg_eq(wg_vjp_in(v, 0), wg_vjp_out(v));
    wg_vjp_set(v, 0, wg_div(wg_mul(wg_vjp_grad(v), ties), wg_sum(ties, dims, ndims, true)));
}
static const wg_op amax_op = {.name = "amax",
                              .kind = WG_OP_REDUCE,
                              .saves = WG_SAVE_IN(0) | WG_SAVE_OUT,
                              .reduce = WG_P_RMAX,
                              .vjp = vjp_extreme};
static const wg_op amin_op = {.name = "amin",
                              .kind = WG_OP_REDUCE,
                              .saves = WG_SAVE_IN(0) | WG_SAVE_OUT,
                              .reduce = WG_P_RMIN,
                              .vjp = vjp_extreme};
static const wg_op argmax_op = {.name = "argmax", .kind = WG_OP_REDUCE, .reduce = WG_P_RARGMAX};

/* Reductions by comparison of the small integers are done in i32. */
static wg_dtype comparable(wg_dtype d) { return d == WG_BOOL || d == WG_U8 ? WG_I32 : d; }

static wg_tensor *extreme(const wg_op *op, wg_tensor *a, const int *dims, int ndims, bool keepdim) {
    wg_graph *g;
    span sp;
    if (!wg_check(op->name, &g, &a, 1) || !span_of(g, op->name, a, dims, ndims, &sp)) {
        return NULL;
    }
    if (sp.count == 0) {
        return wg_op_refuse(g, op->name, WG_ERR_SHAPE, a, "nothing has no extreme");
    }
    return reduce(g, op, a, comparable(wg_op_dtype(a)), wg_op_dtype(a), sp, keepdim);
}

wg_tensor *wg_amax(wg_tensor *a, const int *dims, int ndims, bool keepdim) {
    return extreme(&amax_op, a, dims, ndims, keepdim);
}

wg_tensor *wg_amin(wg_tensor *a, const int *dims, int ndims, bool keepdim) {
    return extreme(&amin_op, a, dims, ndims, keepdim);
}

wg_tensor *wg_argmax(wg_tensor *a, int dim, bool keepdim) {
    wg_graph *g;
    span sp;
    if (!wg_check("argmax", &g, &a, 1) || !span_of(g, "argmax", a, &dim, 1, &sp)) {
        return NULL;
    }
    if (sp.count == 0) {
        return wg_op_refuse(g, "argmax", WG_ERR_SHAPE, a, "nothing has no largest element");
    }
    if (sp.count == 1) {
        const wg_shape to = reduced(wg_op_shape(a), sp.mask, keepdim);
        return wg_op_zeros(g, WG_I64, &to);
    }
    return reduce(g, &argmax_op, a, comparable(wg_op_dtype(a)), WG_I64, sp, keepdim);
}
