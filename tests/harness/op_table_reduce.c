/*
 * The op table: reductions, and the softmax family.
 *
 * The order of additions is the library's own, so sums of n terms are held to (8 + sqrt n) eps times the sum of magnitudes.
 */
#include "op_table.h"

#include <math.h>

typedef enum kind { SUM, MEAN, AMAX, AMIN, VAR, LSE } kind;

/* Cases whose reduced dims are not empty come first; LIVE of them. */
static const op_case cases[] = {
    {.in = {SH(2, 5, 7)}},
    {.in = {SH(2, 5, 7)}, .p = {0}, .np = 1},
    {.in = {SH(2, 5, 7)}, .p = {1}, .np = 1, .keep = true},
    {.in = {SH(3, 4, 5, 6)}, .p = {0, 2}, .np = 2},
    {.in = {SH(3, 4, 5, 6)}, .p = {1}, .np = 1, .keep = true},
    {.in = {SH(3, 4, 5, 6)}, .p = {-1, 0}, .np = 2, .keep = true},
    {.in = {SH(1, 1000)}},
    {.in = {SH(2, 3, 1000)}, .p = {1}, .np = 1},
    {.in = {SH(2, 1000, 3)}, .p = {0}, .np = 1},
    {.in = {SCALAR}},
    {.in = {SCALAR}, .p = {-1}, .np = 1, .keep = true},
    {.in = {SH(2, 0, 3)}, .p = {1}, .np = 1},
    {.in = {SH(2, 1, 1)}, .p = {-1}, .np = 1},
    {.in = {SH(8, 2, 3, 1, 2, 1, 2, 1, 3)}, .p = {1, 3, -1}, .np = 3},
    {.in = {SH(8, 2, 1, 3, 1, 2, 2, 1, 2)}, .p = {0, 6}, .np = 2, .keep = true},
    {.in = {SH(2, 17, 33)}, .p = {-2}, .np = 1},
    {.in = {SH(2, 33, 17)}, .p = {1}, .np = 1},
    {.in = {SH(1, 4097)}, .p = {0}, .np = 1, .keep = true},
    {.in = {SH(3, 2, 65, 3)}},
    {.in = {SH(1, 0)}},
    {.in = {SH(2, 3, 0)}, .p = {1}, .np = 1},
    {.in = {SH(3, 2, 0, 3)}, .p = {0, 1}, .np = 2, .keep = true},
};
enum { ALL = sizeof cases / sizeof *cases, LIVE = ALL - 3 };

static double divisor(int64_t n, int v) {
    double d = (double)n - (v % 2 ? 0 : 1); /* var: correction 1, 0, 1, ... */
    return d > 0 ? d : 0;
}

/* For each element of a the element of the result it goes to; the result's shape; how many go to each. */
static int64_t *reduce_map(wg_shape s, const op_case *k, wg_shape *out, int64_t *count) {
    bool gone[WG_MAX_RANK] = {false};
    wg_shape kept = s;
    int64_t n = wg_shape_numel(s), *map = hold((size_t)n * sizeof(int64_t)), at[WG_MAX_RANK], stride[WG_MAX_RANK];
    *count = 1;
    for (int d = 0; d < s.rank; d++) {
        gone[d] = k->np == 0;
        for (int j = 0; j < k->np; j++) {
            gone[d] = gone[d] || norm_dim(k->p[j], s.rank) == d;
        }
        kept.dim[d] = gone[d] ? 1 : s.dim[d];
        *count *= gone[d] ? s.dim[d] : 1;
    }
    strides_of(kept, stride);
    for (int64_t e = 0; e < n; e++) {
        unravel(e, s, at);
        for (int d = 0; d < s.rank; d++) {
            map[e] += gone[d] ? 0 : at[d] * stride[d];
        }
    }
    out->rank = 0;
    for (int d = 0; d < s.rank; d++) {
        if (k->keep || !gone[d]) {
            out->dim[out->rank++] = kept.dim[d];
        }
    }
    return map;
}

static nd reduce_ints(nd a, kind what, const int64_t *map, wg_shape shape) {
    nd out = nd_new(what == SUM ? WG_I64 : a.dtype, shape);
    bool *seen = hold((size_t)out.n + 1);
    for (int64_t e = 0; e < a.n; e++) {
        int64_t *to = &out.i[map[e]], v = a.i[e];
        if (what == SUM) {
            *to = (int64_t)((uint64_t)*to + (uint64_t)v);
        } else if (!seen[map[e]] || (what == AMAX ? v > *to : v < *to)) {
            *to = v;
        }
        seen[map[e]] = true;
    }
    return out;
}

static nd reduce_floats(nd a, kind what, const int64_t *map, wg_shape shape, int64_t count, int v) {
    nd out = nd_new(a.dtype, shape);
    double nan_or = what == AMAX ? -INFINITY : INFINITY, eps = dtype_eps(a.dtype) * (8 + sqrt((double)count));
    long double *sum = hold((size_t)out.n * sizeof *sum), *mag = hold((size_t)out.n * sizeof *mag);
    double *top = hold((size_t)out.n * sizeof *top), *big = hold((size_t)out.n * sizeof *big);
    for (int64_t o = 0; o < out.n; o++) {
        top[o] = what == LSE ? -INFINITY : nan_or;
    }
    for (int64_t e = 0; e < a.n; e++) {
        int64_t o = map[e];
        double x = a.f[e];
        sum[o] += x;
        mag[o] += fabs(x);
        big[o] = fmax(big[o], fabs(x));
        bool wins = what == AMIN ? x < top[o] : x > top[o];
        top[o] = isnan(top[o]) || isnan(x) ? NAN : wins ? x : top[o];
    }
    if (what != AMAX && what != AMIN) {
        nd_add_slack(&out);
    } else {
        nd_add_slack(&out);
        for (int64_t o = 0; o < out.n; o++) { /* of two zeros either may be the larger */
            out.slack[o] = 0x1p-1074;
        }
    }
    long double *second = hold((size_t)out.n * sizeof *second), *cross = hold((size_t)out.n * sizeof *cross);
    for (int64_t e = 0; e < a.n && (what == VAR || what == LSE); e++) {
        int64_t o = map[e];
        double shift = isinf(top[o]) ? 0 : top[o];
        long double d = what == VAR ? a.f[e] - sum[o] / (long double)count : 0;
        second[o] += what == VAR ? d * d : expl((long double)a.f[e] - shift);
        cross[o] += fabsl(d) * big[o];
    }
    for (int64_t o = 0; o < out.n; o++) {
        double shift = isinf(top[o]) ? 0 : top[o], n = what == MEAN ? (double)count : 1, shifted;
        switch (what) {
        case SUM:
        case MEAN:
            out.f[o] = (double)(sum[o] / n);
            out.slack[o] = eps * (double)mag[o] / n;
            break;
        case VAR:
            out.f[o] = (double)(second[o] / divisor(count, v));
            /* The mean is rounded: off by `shifted`, it adds the square of that to every term. */
            shifted = eps * (double)mag[o] / (double)count;
            out.slack[o] = eps * (double)((second[o] + cross[o]) / divisor(count, v));
            out.slack[o] += (double)count * shifted * shifted / divisor(count, v);
            break;
        case LSE:
            out.f[o] = (double)(logl(second[o]) + shift);
            out.slack[o] = eps * (1 + 2 * big[o] + fabs(out.f[o]));
            break;
        default:
            out.f[o] = top[o];
        }
    }
    return out;
}

static nd reduce(nd a, kind what, int v) {
    wg_shape shape;
    int64_t count, *map = reduce_map(a.shape, &cases[v], &shape, &count);
    return a.f ? reduce_floats(a, what, map, shape, count, v) : reduce_ints(a, what, map, shape);
}

#define REDUCTION(name, what)                                                                                          \
    static nd r_##name(const nd *x, int v) { return reduce(x[0], what, v); }                                           \
    static wg_tensor *b_##name(wg_ctx *ctx, wg_tensor *const *x, int v) {                                              \
        (void)ctx;                                                                                                     \
        return wg_##name(x[0], cases[v].p, cases[v].np, cases[v].keep);                                                \
    }
REDUCTION(sum, SUM)
REDUCTION(mean, MEAN)
REDUCTION(amax, AMAX)
REDUCTION(amin, AMIN)
REDUCTION(logsumexp, LSE)
static nd r_var(const nd *x, int v) { return reduce(x[0], VAR, v); }
static wg_tensor *b_var(wg_ctx *ctx, wg_tensor *const *x, int v) {
    (void)ctx;
    return wg_var(x[0], cases[v].p, cases[v].np, v % 2 ? 0 : 1, cases[v].keep);
}

/* ---- along one dim ---- */

static const op_case rows[] = {
    {.in = {SH(2, 5, 7)}, .p = {1}, .np = 1},
    {.in = {SH(2, 5, 7)}, .p = {0}, .np = 1, .keep = true},
    {.in = {SH(3, 4, 5, 6)}, .p = {-2}, .np = 1},
    {.in = {SCALAR}, .p = {0}, .np = 1},
    {.in = {SH(1, 1)}, .p = {-1}, .np = 1},
    {.in = {SH(2, 3, 1000)}, .p = {1}, .np = 1},
    {.in = {SH(2, 1000, 3)}, .p = {0}, .np = 1, .keep = true},
    {.in = {SH(2, 0, 3)}, .p = {1}, .np = 1},
    {.in = {SH(2, 33, 17)}, .p = {1}, .np = 1},
    {.in = {SH(8, 2, 1, 3, 1, 2, 5, 1, 2)}, .p = {-3}, .np = 1},
    {.in = {SH(1, 4097)}, .p = {0}, .np = 1},
};
enum { ROWS = sizeof rows / sizeof *rows };

static nd r_argmax(const nd *x, int v) {
    wg_shape shape;
    nd a = x[0];
    int64_t count, at[WG_MAX_RANK], *map = reduce_map(a.shape, &rows[v], &shape, &count);
    nd out = nd_new(WG_I64, shape);
    int64_t *best = hold((size_t)(out.n + 1) * sizeof *best); /* element + 1 */
    for (int64_t e = 0; e < a.n; e++) {
        int64_t *b = &best[map[e]], had = *b - 1;
        bool wins = had < 0 || (a.f ? !isnan(a.f[had]) && (isnan(a.f[e]) || a.f[e] > a.f[had]) : a.i[e] > a.i[had]);
        if (!wins) {
            continue;
        }
        *b = e + 1;
        unravel(e, a.shape, at);
        out.i[map[e]] = a.shape.rank ? at[norm_dim(rows[v].p[0], a.shape.rank)] : 0;
    }
    return out;
}
static wg_tensor *b_argmax(wg_ctx *ctx, wg_tensor *const *x, int v) {
    (void)ctx;
    return wg_argmax(x[0], rows[v].p[0], rows[v].keep);
}

static nd soft(nd a, bool take_log, int v) {
    wg_shape shape;
    int64_t count, *map = reduce_map(a.shape, &rows[v], &shape, &count);
    int64_t n = wg_shape_numel(shape);
    nd out = nd_new(a.dtype, a.shape);
    double *top = hold((size_t)n * sizeof *top), eps = dtype_eps(a.dtype) * (8 + sqrt((double)count));
    long double *sum = hold((size_t)n * sizeof *sum);
    nd_add_slack(&out);
    for (int64_t o = 0; o < n; o++) {
        top[o] = -INFINITY;
    }
    for (int64_t e = 0; e < a.n; e++) {
        double *t = &top[map[e]];
        *t = isnan(*t) || isnan(a.f[e]) ? NAN : fmax(*t, a.f[e]);
    }
    for (int64_t e = 0; e < a.n; e++) {
        sum[map[e]] += expl((long double)a.f[e] - top[map[e]]);
    }
    for (int64_t e = 0; e < a.n; e++) {
        long double d = (long double)a.f[e] - top[map[e]], s = sum[map[e]];
        out.f[e] = (double)(take_log ? d - logl(s) : expl(d) / s);
        out.slack[e] = eps * (double)(take_log ? 1 + fabsl(d) + fabs(out.f[e]) : out.f[e] * (1 + fabsl(d)));
        out.slack[e] += take_log ? 0 : dtype_tiny(a.dtype);
    }
    return out;
}
static nd r_softmax(const nd *x, int v) { return soft(x[0], false, v); }
static nd r_log_softmax(const nd *x, int v) { return soft(x[0], true, v); }
static wg_tensor *b_softmax(wg_ctx *ctx, wg_tensor *const *x, int v) {
    (void)ctx;
    return wg_softmax(x[0], rows[v].p[0]);
}
static wg_tensor *b_log_softmax(wg_ctx *ctx, wg_tensor *const *x, int v) {
    (void)ctx;
    return wg_log_softmax(x[0], rows[v].p[0]);
}

#define RED(n, count, dt, diff, cs)                                                                                    \
    {                                                                                                                  \
        .name = #n, .arity = 1, .variants = count, .flags = OP_REDUCE | (diff), .dtypes = dt, .build = b_##n,          \
        .ref = r_##n, .cases = cs, .ulps = 0                                                                           \
    }

const op ops_reduce[] = {
    RED(sum, ALL, M_ALL, OP_DIFF, cases),
    RED(mean, ALL, M_FLOAT, OP_DIFF, cases),
    RED(amax, LIVE, M_FLOAT | M_INT, OP_DIFF, cases),
    RED(amin, LIVE, M_FLOAT | M_INT, OP_DIFF, cases),
    RED(var, ALL, M_FLOAT, OP_DIFF, cases),
    RED(logsumexp, ALL, M_FLOAT, OP_DIFF, cases),
    RED(argmax, ROWS, M_FLOAT | M_INT, 0, rows),
    RED(softmax, ROWS, M_FLOAT, OP_DIFF, rows),
    RED(log_softmax, ROWS, M_FLOAT, OP_DIFF, rows),
    {.name = NULL},
};
