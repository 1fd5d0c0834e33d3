/*
 * The op table: losses, normalisation and dropout. What is random about dropout is tested elsewhere; here are its fixed points.
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
            if (dtype_is_half(each.dtype)) { /* logarithms of probabilities are rounded */
                each.slack[r] += dtype_unit(each.dtype) * each.f[r];
            }
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

/* ---- normalisation: np = normalised dims; p = eps in thousandths, or -1 for the defaults ---- */

static const op_case c_layer_norm[] = {
    {.in = {SH(2, 5, 7), SH(1, 7), SH(1, 7)}, .p = {-1}, .np = 1},
    {.in = {SH(3, 3, 2, 5), SH(2, 2, 5), SH(2, 2, 5)}, .p = {-1}, .np = 2},
    {.in = {SH(3, 3, 2, 5), SH(1, 5), SH(1, 5)}, .p = {100}, .np = 1},
    {.in = {SH(1, 6), SH(1, 6), SH(1, 6)}, .p = {1}, .np = 1},
    {.in = {SH(2, 4, 1), SH(1, 1), SH(1, 1)}, .p = {-1}, .np = 1},
    {.in = {SH(2, 33, 100), SH(1, 100), SH(1, 100)}, .p = {-1}, .np = 1},
    {.in = {SH(2, 2, 3000), SH(1, 3000), SH(1, 3000)}, .p = {-1}, .np = 1},
    {.in = {SH(2, 0, 3), SH(1, 3), SH(1, 3)}, .p = {-1}, .np = 1},
    {.in = {SH(2, 3, 0), SH(1, 0), SH(1, 0)}, .p = {-1}, .np = 1},
};
enum { NORMS = sizeof c_layer_norm / sizeof *c_layer_norm };
static wg_shape normalized(wg_tensor *x, int dims) {
    wg_shape s = wg_shape_of(x);
    return wg_shape_make(dims, s.dim + s.rank - dims);
}
static wg_tensor *layer_norm(wg_tensor *x, wg_tensor *weight, wg_tensor *bias, int v) {
    const op_case *c = &c_layer_norm[v];
    wg_layer_norm_opts o = {.eps = c->p[0] / 1000.0};
    return wg_layer_norm(x, normalized(x, c->np), weight, bias, c->p[0] < 0 ? NULL : &o);
}
static wg_tensor *rms_norm(wg_tensor *x, wg_tensor *weight, int v) {
    const op_case *c = &c_layer_norm[v];
    wg_rms_norm_opts o = {.eps = c->p[0] / 1000.0};
    return wg_rms_norm(x, normalized(x, c->np), weight, c->p[0] < 0 ? NULL : &o);
}

static nd norm(nd x, const nd *weight, const nd *bias, bool centered, int v) {
    const op_case *c = &c_layer_norm[v];
    int64_t n = 1;
    nd out = nd_new(x.dtype, x.shape);
    nd_add_slack(&out);
    for (int d = x.shape.rank - c->np; d < x.shape.rank; d++) {
        n *= x.shape.dim[d];
    }
    double unit = dtype_eps(x.dtype), eps = c->p[0] >= 0 ? c->p[0] / 1000.0 : centered ? 1e-5 : dtype_eps(x.dtype);
    for (int64_t r = 0; n > 0 && r < x.n / n; r++) {
        const double *row = x.f + r * n;
        long double mean = 0, square = 0, most = 0;
        for (int64_t k = 0; k < n; k++) {
            mean += centered ? (long double)row[k] / (long double)n : 0;
            most = fmaxl(most, fabsl((long double)row[k]));
        }
        for (int64_t k = 0; k < n; k++) {
            square += (row[k] - mean) * (row[k] - mean) / (long double)n;
        }
        long double scale = 1 / sqrtl(square + (long double)eps);
        for (int64_t k = 0; k < n; k++) {
            double w = weight ? weight->f[k] : 1, b = bias ? bias->f[k] : 0;
            double y = (double)((row[k] - mean) * scale);
            out.f[r * n + k] = y * w + b;
            out.slack[r * n + k] = (12 + sqrt((double)n)) * unit *
                                   (fabs(y * w) + fabs(b) + fabs(w) * (centered ? (double)(most * scale) : 0));
        }
    }
    return out;
}

#define NORM(name, call, wants, bias, centered)                                                                        \
    static wg_tensor *b_##name(wg_ctx *ctx, wg_tensor *const *x, int v) {                                              \
        (void)ctx;                                                                                                     \
        return call;                                                                                                   \
    }                                                                                                                  \
    static nd r_##name(const nd *x, int v) { return norm(x[0], wants, bias, centered, v); }
NORM(layer_norm, layer_norm(x[0], x[1], x[2], v), &x[1], &x[2], true)
NORM(layer_norm_weight, layer_norm(x[0], x[1], NULL, v), &x[1], NULL, true)
NORM(layer_norm_alone, layer_norm(x[0], NULL, NULL, v), NULL, NULL, true)
NORM(rms_norm, rms_norm(x[0], x[1], v), &x[1], NULL, false)
NORM(rms_norm_alone, rms_norm(x[0], NULL, v), NULL, NULL, false)

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

#define NORM_ROW(row, n, ar)                                                                                           \
    .name = row, .arity = ar, .variants = NORMS, .flags = OP_DIFF, .dtypes = M_FLOAT, .build = b_##n, .ref = r_##n,    \
    .cases = c_layer_norm, .ulps = 2

const op ops_nn[] = {
    {NORM_ROW("layer_norm", layer_norm, 3)},
    {NORM_ROW("layer_norm#weight", layer_norm_weight, 2)},
    {NORM_ROW("layer_norm#alone", layer_norm_alone, 1)},
    {NORM_ROW("rms_norm", rms_norm, 2)},
    {NORM_ROW("rms_norm#alone", rms_norm_alone, 1)},
    {ROW(cross_entropy, 2, 2), .ulps = 2},
    {ROW(mse_loss, 2, 0), .ulps = 2},
    {ROW(dropout, 1, 0)},
    {.name = NULL},
};
