/*
 * layer_norm and rms_norm: composites of reductions and maps over the last dimensions, which the scheduler fuses into one
 * kernel. Bringing x to unit scale is a node with a gradient of its own, made from its result and the scale; weight and
 * bias are ordinary ops after it. 16-bit floats are rounded once, at the end.
 */
#include "ops/common.h"

#include <float.h>
#include <wengert/nn.h>

/* The mean over the last `count` dims, which stay with size 1. */
static wg_tensor *mean_of(wg_tensor *t, int64_t count) {
    static const int last[WG_MAX_RANK] = {-1, -2, -3, -4, -5, -6, -7, -8};
    return wg_mean(t, last, (int)count, true);
}

/* With m the mean over the normalised dims, y the result, r the scale: r (g - m(g) - y m(g y)), m(g) only where the mean
 * of x was taken out. The scale is an operand with a graph to x of its own, which the first derivative passes by and
 * those of higher order go through. It and the mean are kept: from them and x any kernel makes y again. */
static void vjp_normalize(wg_vjp *v) {
    int64_t count = wg_vjp_node(v)->attr[0], centered = wg_vjp_node(v)->attr[1];
    wg_tensor *g = wg_vjp_grad(v), *y = wg_vjp_out(v);
    wg_tensor *along = wg_mul(y, mean_of(wg_mul(g, y), count));
    wg_tensor *level = centered ? wg_sub(g, mean_of(g, count)) : g;
    wg_vjp_set(v, 0, wg_mul(wg_sub(level, along), wg_vjp_in(v, 2)));
}
static const wg_op layer_norm_op = {.name = "layer_norm",
                                    .kind = WG_OP_VIEW,
                                    .saves = WG_SAVE_OUT | WG_SAVE_IN(2),
                                    .keeps = WG_SAVE_IN(2) | WG_SAVE_IN(3),
                                    .vjp = vjp_normalize};
static const wg_op rms_norm_op = {.name = "rms_norm",
                                  .kind = WG_OP_VIEW,
                                  .saves = WG_SAVE_OUT | WG_SAVE_IN(2),
                                  .keeps = WG_SAVE_IN(2) | WG_SAVE_IN(3),
                                  .vjp = vjp_normalize};

/* Whether x ends in `shape`, and what it is multiplied with or moved by has that shape and x's dtype. */
static bool takes(wg_graph *g, const char *op, wg_tensor *x, const wg_shape *shape, wg_tensor *const *affine, int n) {
    const wg_shape *s = wg_op_shape(x);
    int lead = s->rank - shape->rank;
    bool ends = shape->rank >= 1 && lead >= 0;
    for (int i = 0; ends && i < shape->rank; i++) {
        ends = s->dim[lead + i] == shape->dim[i];
    }
    if (!wg_op_floats_only(g, op, x)) {
        return false;
    }
    if (!ends) {
        wg_fail(g, WG_ERR_SHAPE, "%s: %s: does not end in the normalized shape %s%s", op, wg_shape_print(s).s,
                wg_shape_print(shape).s, shape->rank < 1 ? ", which needs a dimension" : "");
        return false;
    }
    for (int i = 0; i < n; i++) {
        if (affine[i] && (!wg_shape_equal(wg_op_shape(affine[i]), shape) || wg_op_dtype(affine[i]) != wg_op_dtype(x))) {
            wg_fail(g, wg_op_dtype(affine[i]) != wg_op_dtype(x) ? WG_ERR_DTYPE : WG_ERR_SHAPE,
                    "%s: the %s is %s %s, not %s %s", op, i ? "bias" : "weight", wg_dtype_name(wg_op_dtype(affine[i])),
                    wg_shape_print(wg_op_shape(affine[i])).s, wg_dtype_name(wg_op_dtype(x)), wg_shape_print(shape).s);
            return false;
        }
    }
    return true;
}

/* x, less its mean if centered, over the root of its mean square. */
static wg_tensor *normalize(wg_graph *g, const wg_op *op, wg_tensor *x, int64_t count, bool centered, double eps) {
    if (!wg_scope_push(g)) {
        return NULL;
    }
    wg_tensor *mean = centered ? mean_of(x, count) : NULL;
    wg_tensor *level = centered ? wg_sub(x, mean) : x;
    wg_tensor *scale = wg_rsqrt(wg_add_scalar(mean_of(wg_square(level), count), eps));
    bool before = wg_graph_set_no_grad(g, true);
    wg_tensor *y = wg_mul(level, scale);
    wg_graph_set_no_grad(g, before);
    const int64_t attr[WG_MAX_ATTR] = {count, centered};
    return wg_op_leave(g, scale ? wg_record_custom(op, x, y, (wg_tensor *[]){scale, mean}, attr) : NULL);
}

static wg_tensor *norm(const wg_op *op, wg_tensor *x, wg_shape shape, wg_tensor *weight, wg_tensor *bias, double eps) {
    wg_graph *g, *same;
    wg_tensor *affine[] = {weight, bias};
    if (!wg_check(op->name, &g, &x, 1)) {
        return NULL;
    }
    for (int i = 0; i < 2; i++) {
        if (affine[i] && !wg_check(op->name, &same, (wg_tensor *[]){x, affine[i]}, 2)) {
            return NULL;
        }
    }
    if (!takes(g, op->name, x, &shape, affine, 2) || !wg_scope_push(g)) {
        return NULL;
    }
    wg_tensor *y = normalize(g, op, wg_op_widened(x), shape.rank, op == &layer_norm_op, eps);
    y = weight ? wg_mul(y, wg_op_widened(weight)) : y;
    y = bias ? wg_add(y, wg_op_widened(bias)) : y;
    return wg_op_leave(g, wg_op_as(y, wg_op_dtype(x)));
}

wg_layer_norm_opts wg_layer_norm_defaults(void) { return (wg_layer_norm_opts){.eps = 1e-5}; }

wg_tensor *wg_layer_norm(wg_tensor *x, wg_shape normalized_shape, wg_tensor *weight, wg_tensor *bias,
                         const wg_layer_norm_opts *opts) {
    wg_layer_norm_opts o = opts ? *opts : wg_layer_norm_defaults();
    return norm(&layer_norm_op, x, normalized_shape, weight, bias, o.eps);
}

wg_rms_norm_opts wg_rms_norm_defaults(void) { return (wg_rms_norm_opts){.eps = -1}; }

wg_tensor *wg_rms_norm(wg_tensor *x, wg_shape normalized_shape, wg_tensor *weight, const wg_rms_norm_opts *opts) {
    wg_rms_norm_opts o = opts ? *opts : wg_rms_norm_defaults();
    double epsilon = wg_dtype_of(x) == WG_F64 ? DBL_EPSILON : FLT_EPSILON;
    return norm(&rms_norm_op, x, normalized_shape, weight, NULL, o.eps < 0 ? epsilon : o.eps);
}
