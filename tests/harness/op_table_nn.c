/*
 * The op table: losses and dropout. What is random about dropout is tested elsewhere; here are its fixed points.
 */
#include "op_table.h"

#include <math.h>

/* p = reduction, smoothing in tenths, ignored class or -1. Logits [n, c] or [c], targets below limit. */
static const op_case c_cross_entropy[] = {
    {.in = {SH(2, 5, 7), SH(1, 5)}, .p = {WG_MEAN, 0, -1}, .limit = 7},
    {.in = {SH(2, 5, 7), SH(1, 5)}, .p = {WG_SUM, 0, -1}, .limit = 7},
    {.in = {SH(2, 5, 7), SH(1, 5)}, .p = {WG_NONE, 0, -1}, .limit = 7},
    {.in = {SH(2, 9, 4), SH(1, 9)}, .p = {WG_MEAN, 0, 2}, .limit = 4},
    {.in = {SH(2, 9, 4), SH(1, 9)}, .p = {WG_NONE, 1, 1}, .limit = 4},
    {.in = {SH(2, 9, 4), SH(1, 9)}, .p = {WG_MEAN, 3, 1}, .limit = 4},
    {.in = {SH(1, 6), SCALAR}, .p = {WG_MEAN, 0, -1}, .limit = 6},
    {.in = {SH(1, 6), SCALAR}, .p = {WG_NONE, 2, -1}, .limit = 6},
    {.in = {SH(2, 33, 100), SH(1, 33)}, .p = {WG_MEAN, 0, -1}, .limit = 100},
    {.in = {SH(2, 0, 4), SH(1, 0)}, .p = {WG_SUM, 0, -1}, .limit = 4},
    {.in = {SH(2, 0, 4), SH(1, 0)}, .p = {WG_MEAN, 0, -1}, .limit = 4},
};
static wg_tensor *b_cross_entropy(wg_ctx *ctx, wg_tensor *const *x, int v) {
    const int *p = c_cross_entropy[v].p;
    wg_cross_entropy_opts o = wg_cross_entropy_defaults();
    (void)ctx;
    o.reduction = (wg_reduction)p[0];
    o.label_smoothing = p[1] / 10.0;
    o.ignore_index = p[2] < 0 ? o.ignore_index : p[2];
    return wg_cross_entropy(x[0], x[1], v == 0 ? NULL : &o);
}

static nd reduced(const nd *each, wg_reduction how, double count) {
    if (how == WG_NONE) {
        return *each;
    }
    nd out = nd_new(each->dtype, WG_SHAPE());
    nd_add_slack(&out);
    for (int64_t e = 0; e < each->n; e++) {
        out.f[0] += each->f[e];
        out.slack[0] += each->slack[e] + (8 + sqrt((double)each->n)) * dtype_eps(out.dtype) * fabs(each->f[e]);
    }
    out.f[0] /= how == WG_MEAN ? count : 1;
    out.slack[0] /= how == WG_MEAN ? count : 1;
    return out;
}

static nd r_cross_entropy(const nd *x, int v) {
    const int *p = c_cross_entropy[v].p;
    double smooth = p[1] / 10.0, eps = dtype_eps(x[0].dtype), counted = 0;
    int64_t classes = x[0].shape.dim[x[0].shape.rank - 1];
    nd each = nd_new(x[0].dtype, x[1].shape);
    nd_add_slack(&each);
    for (int64_t r = 0; r < each.n; r++) {
        const double *row = x[0].f + r * classes;
        double top = -INFINITY, mean = 0;
        long double sum = 0;
        for (int64_t c = 0; c < classes; c++) {
            top = fmax(top, row[c]);
        }
        for (int64_t c = 0; c < classes; c++) {
            sum += expl((long double)row[c] - top);
        }
        double lse = top + (double)logl(sum);
        for (int64_t c = 0; c < classes; c++) {
            mean += (lse - row[c]) / (double)classes;
        }
        if (x[1].i[r] != p[2]) {
            each.f[r] = (1 - smooth) * (lse - row[x[1].i[r]]) + smooth * mean;
            each.slack[r] = (12 + sqrt((double)classes)) * eps * (fabs(lse) + fabs(top) + fabs(each.f[r]) + 1);
            counted++;
        }
    }
    return reduced(&each, (wg_reduction)p[0], counted);
}

/* p = reduction; b broadcasts. */
static const op_case c_mse_loss[] = {
    {.in = {SH(2, 5, 7), SH(2, 5, 7)}, .p = {WG_MEAN}}, {.in = {SH(2, 5, 7), SH(1, 7)}, .p = {WG_SUM}},
    {.in = {SH(2, 5, 1), SH(1, 7)}, .p = {WG_NONE}},    {.in = {SCALAR, SCALAR}, .p = {WG_MEAN}},
    {.in = {SH(1, 2000), SCALAR}, .p = {WG_MEAN}},      {.in = {SH(2, 0, 3), SH(2, 0, 3)}, .p = {WG_SUM}},
    {.in = {SH(2, 0, 3), SH(2, 0, 3)}, .p = {WG_MEAN}},
};
static wg_tensor *b_mse_loss(wg_ctx *ctx, wg_tensor *const *x, int v) {
    (void)ctx;
    return wg_mse_loss(x[0], x[1], (wg_reduction)c_mse_loss[v].p[0]);
}
static nd r_mse_loss(const nd *x, int v) {
    wg_shape s = broadcast_shapes(x[0].shape, x[1].shape);
    nd a = nd_expand(x[0], s), b = nd_expand(x[1], s), each = nd_new(a.dtype, s);
    nd_add_slack(&each);
    for (int64_t e = 0; e < each.n; e++) {
        double d = a.f[e] - b.f[e];
        each.f[e] = d * d;
        each.slack[e] = 3 * dtype_eps(a.dtype) * d * d;
    }
    return reduced(&each, (wg_reduction)c_mse_loss[v].p[0], (double)each.n);
}

/* p = probability in tenths, training */
static const op_case c_dropout[] = {
    {.in = {SH(2, 5, 7)}, .p = {5, 0}}, {.in = {SH(2, 5, 7)}, .p = {0, 1}}, {.in = {SH(2, 5, 7)}, .p = {10, 0}},
    {.in = {SH(2, 0, 7)}, .p = {5, 1}}, {.in = {SCALAR}, .p = {0, 1}},
};
static wg_tensor *b_dropout(wg_ctx *ctx, wg_tensor *const *x, int v) {
    (void)ctx;
    return wg_dropout(x[0], c_dropout[v].p[0] / 10.0, c_dropout[v].p[1]);
}
static nd r_dropout(const nd *x, int v) {
    (void)v;
    return x[0];
}

#define ROW(n, ar, ix)                                                                                                 \
    .name = #n, .arity = ar, .variants = sizeof c_##n / sizeof *c_##n, .flags = OP_DIFF, .dtypes = M_FLOAT,            \
    .indices = ix, .build = b_##n, .ref = r_##n, .cases = c_##n

const op ops_nn[] = {
    {ROW(cross_entropy, 2, 2), .ulps = 2},
    {ROW(mse_loss, 2, 0), .ulps = 2},
    {ROW(dropout, 1, 0)},
    {.name = NULL},
};
