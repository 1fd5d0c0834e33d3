/*
 * Deterministic inputs: see gen.h.
 */
#include "gen.h"

#include <float.h>
#include <math.h>

rng rng_seed(const char *name, uint64_t seed) {
    rng r = {0x9E3779B97F4A7C15u ^ seed * 0xD1342543DE82EF95u};
    for (; *name; name++) {
        r.state = (r.state ^ (unsigned char)*name) * 0x100000001B3u;
    }
    return r;
}

uint64_t rng_next(rng *r) { /* splitmix64 (Steele et al. 2014) */
    uint64_t z = r->state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

int64_t rng_below(rng *r, int64_t n) { return (int64_t)(rng_next(r) % (uint64_t)n); }
double rng_unit(rng *r) { return (double)(rng_next(r) >> 11) * 0x1p-53; }
double rng_normal(rng *r) {
    double s = -6;
    for (int k = 0; k < 12; k++) {
        s += rng_unit(r);
    }
    return s;
}

static const double float_specials[] = {
    0.0,     -0.0,      INFINITY, -INFINITY,   NAN,         FLT_MIN, FLT_MIN / 2,  -FLT_MIN / 4, 0x1p-149,  -0x1p-149,
    FLT_MAX, -FLT_MAX,  1,        -1,          0.5,         -0.5,    1.5,          2.5,          -2.5,      2,
    -2,      3,         -3,       16777216,    1e-20,       -1e20,   88.72,        -87.34,       -103.9,    89,
    1.5708,  -3.14159,  1e6,      1 + 0x1p-23, 1 - 0x1p-24, 0.1,     -8388609,     0x1p31,       0x1p-1060, 1e300,
    65504,   -65519.99, 65520,    0x1p-24,     0x1.8p-25,   0x1p-14, -0x1.ffcp-15, /* of f16 */
};
static const int64_t int_specials[] = {0,         1,     -1,  2,   -2,  3,         7,         -8,
                                       100,       -3,    127, 255, 128, INT32_MAX, INT32_MIN, INT64_MAX,
                                       INT64_MIN, 65536, -9,  11,  64,  16777217,  1 << 30};
#define COUNT(a) ((int64_t)(sizeof(a) / sizeof *(a)))

nd gen_specials(wg_dtype dtype) {
    bool fl = dtype_is_float(dtype);
    nd out = nd_new(dtype, WG_SHAPE(fl ? COUNT(float_specials) : COUNT(int_specials)));
    for (int64_t k = 0; k < out.n; k++) {
        if (fl) {
            out.f[k] = round_to(float_specials[k], dtype);
        } else {
            out.i[k] = wrap_int(int_specials[k], dtype);
        }
    }
    return out;
}

nd gen_cross(wg_dtype dtype, int which) {
    nd s = gen_specials(dtype), out = nd_new(dtype, WG_SHAPE(s.n * s.n));
    for (int64_t k = 0; k < out.n; k++) {
        nd_copy_at(&out, k, &s, which ? k % s.n : k / s.n);
    }
    return out;
}

static double float_of(domain dom, rng *r) {
    static const double sparse[] = {NAN, INFINITY, -INFINITY, -0.0, 0x1p-140, 0};
    static const double scale[] = {1, 1, 1, 30, 1e-3, 1e6};
    double sign = rng_next(r) & 1 ? 1 : -1;
    switch (dom) {
    case DOM_SPECIAL:
        if (rng_below(r, 3) == 0) {
            return float_specials[rng_below(r, COUNT(float_specials))];
        }
        return rng_normal(r) * scale[rng_below(r, COUNT(scale))];
    case DOM_SPARSE:
        return rng_below(r, 12) ? rng_normal(r) : sparse[rng_below(r, COUNT(sparse))];
    case DOM_POS:
        return 0.3 + 1.7 * rng_unit(r);
    case DOM_AWAY:
        return sign * (0.4 + 1.3 * rng_unit(r));
    case DOM_TIES:
        return (double)rng_below(r, 5) - 2;
    case DOM_EXP:
        return 4 * rng_unit(r) - 2;
    case DOM_BIT:
        return (double)rng_below(r, 2);
    default:
        return rng_normal(r);
    }
}

static int64_t int_of(domain dom, rng *r) {
    switch (dom) {
    case DOM_TIES:
        return rng_below(r, 5) - 2;
    case DOM_EXP:
        return rng_below(r, 13) - 3;
    case DOM_BIT:
        return rng_below(r, 2);
    case DOM_SPECIAL:
        if (rng_below(r, 3) == 0) {
            return int_specials[rng_below(r, COUNT(int_specials))];
        } /* fall through */
    default:
        return rng_below(r, 4) ? rng_below(r, 21) - 10 : rng_below(r, 200001) - 100000;
    }
}

void gen_fill(nd *a, domain dom, rng *r) {
    for (int64_t k = 0; k < a->n; k++) {
        if (a->f) {
            a->f[k] = round_to(float_of(dom, r), a->dtype);
        } else {
            a->i[k] = a->dtype == WG_BOOL ? rng_below(r, 2) : wrap_int(int_of(dom, r), a->dtype);
        }
    }
}

void gen_index(nd *a, int64_t limit, rng *r) {
    for (int64_t k = 0; k < a->n; k++) {
        a->i[k] = rng_below(r, limit);
    }
}

const char *layout_name(layout l) {
    static const char *const names[] = {"contiguous", "transposed", "narrowed", "stepped",
                                        "flipped",    "expanded",   "mixed"};
    return names[l];
}

static bool applies(wg_shape want, layout l) {
    return want.rank >= (l == LAY_TRANSPOSED || l == LAY_MIXED ? 2 : l == LAY_CONTIGUOUS ? 0 : 1);
}

wg_shape layout_base(wg_shape want, layout l) {
    wg_shape s = want;
    int last = want.rank - 1;
    if (!applies(want, l)) {
        return s;
    }
    switch (l) {
    case LAY_TRANSPOSED:
        s.dim[last] = want.dim[last - 1];
        s.dim[last - 1] = want.dim[last];
        break;
    case LAY_NARROWED:
        for (int d = 0; d <= last; d++) {
            s.dim[d] += 2;
        }
        break;
    case LAY_STEPPED:
        s.dim[last] = 2 * s.dim[last] + 1;
        break;
    case LAY_EXPANDED:
        s.dim[0] = 1;
        break;
    case LAY_MIXED:
        for (int d = 0; d <= last; d++) {
            s.dim[d] = want.dim[last - d];
        }
        s.dim[0] = 3 * s.dim[0] + 1; /* the view's last dim */
        break;
    default:
        break;
    }
    return s;
}

static void reversed(int rank, int *order) {
    for (int d = 0; d < rank; d++) {
        order[d] = rank - 1 - d;
    }
}

wg_tensor *layout_apply(wg_tensor *t, wg_shape want, layout l) {
    static const int all[WG_MAX_RANK] = {0, 1, 2, 3, 4, 5, 6, 7};
    int order[WG_MAX_RANK];
    if (!applies(want, l)) {
        return t;
    }
    switch (l) {
    case LAY_TRANSPOSED:
        return wg_transpose(t, -2, -1);
    case LAY_NARROWED:
        for (int d = 0; d < want.rank; d++) {
            t = wg_narrow(t, d, 1, want.dim[d]);
        }
        return t;
    case LAY_STEPPED:
        return wg_slice(t, -1, 1, 2 * want.dim[want.rank - 1] + 1, 2);
    case LAY_FLIPPED:
        return wg_flip(t, all, want.rank);
    case LAY_EXPANDED:
        return wg_expand(t, want);
    case LAY_MIXED:
        reversed(want.rank, order);
        t = wg_slice(wg_permute(t, order), -1, 1, 3 * want.dim[want.rank - 1] + 1, 3);
        return wg_flip(t, all, 1);
    default:
        return t;
    }
}

nd layout_apply_nd(nd a, wg_shape want, layout l) {
    static const int all[WG_MAX_RANK] = {0, 1, 2, 3, 4, 5, 6, 7};
    int order[WG_MAX_RANK];
    if (!applies(want, l)) {
        return a;
    }
    switch (l) {
    case LAY_TRANSPOSED:
        return nd_transpose(a, -2, -1);
    case LAY_NARROWED:
        for (int d = 0; d < want.rank; d++) {
            a = nd_take(a, d, 1, want.dim[d], 1);
        }
        return a;
    case LAY_STEPPED:
        return nd_take(a, -1, 1, want.dim[want.rank - 1], 2);
    case LAY_FLIPPED:
        return nd_flip(a, all, want.rank);
    case LAY_EXPANDED:
        return nd_expand(a, want);
    case LAY_MIXED:
        reversed(want.rank, order);
        return nd_flip(nd_take(nd_permute(a, order), -1, 1, want.dim[want.rank - 1], 3), all, 1);
    default:
        return a;
    }
}

input input_of(wg_ctx *ctx, nd v) { return (input){nd_tensor(ctx, v), v}; }

input input_make(wg_ctx *ctx, wg_dtype dtype, wg_shape shape, layout l, domain dom, rng *r) {
    nd base = nd_new(dtype, layout_base(shape, l));
    gen_fill(&base, dom, r);
    return (input){layout_apply(nd_tensor(ctx, base), shape, l), layout_apply_nd(base, shape, l)};
}
