/* Operations on sixteen lanes: loops over the one-lane vocabulary of the kernels, whose texts are compiled here as C. */
#include "runtime/lanes.h"

#include "kernels/lanes_host.h"

typedef uint32_t u32;
typedef int64_t i64;
typedef uint64_t u64;

#include "kernels/elementary.cl"
#include "kernels/arithmetic.cl"

/* An expression of lane l for every lane of `out`. */
#define LANES(member, value)                                                                                           \
    for (int l = 0; l < WG_WIDE; l++) {                                                                                \
        out->member[l] = (value);                                                                                      \
    }                                                                                                                  \
    break

/* ---- arithmetic, by dtype ----------------------------------------------------------------------------------------------- */

#define FLOATING(t)                                                                                                    \
    static void arithmetic_##t(wg_prim prim, const v##t *a, const v##t *b, wg_lanes *out) {                            \
        switch (prim) {                                                                                                \
        case WG_P_ADD: LANES(t, a[l] + b[l]);                                                                          \
        case WG_P_SUB: LANES(t, a[l] - b[l]);                                                                          \
        case WG_P_MUL: LANES(t, a[l] * b[l]);                                                                          \
        case WG_P_DIV: LANES(t, a[l] / b[l]);                                                                          \
        case WG_P_MAX: LANES(t, max_##t(a[l], b[l]));                                                                  \
        case WG_P_MIN: LANES(t, min_##t(a[l], b[l]));                                                                  \
        case WG_P_NEG: LANES(t, -a[l]);                                                                                \
        case WG_P_ABS: LANES(t, abs_##t(a[l]));                                                                        \
        case WG_P_SQRT: LANES(t, sqrt_##t(a[l]));                                                                      \
        case WG_P_POW: LANES(t, pow_##t(a[l], b[l]));                                                                  \
        case WG_P_EXP: LANES(t, exp_##t(a[l]));                                                                        \
        case WG_P_LOG: LANES(t, log_##t(a[l]));                                                                        \
        case WG_P_SIN: LANES(t, sin_##t(a[l]));                                                                        \
        case WG_P_COS: LANES(t, cos_##t(a[l]));                                                                        \
        case WG_P_TANH: LANES(t, tanh_##t(a[l]));                                                                      \
        case WG_P_ERF: LANES(t, erf_##t(a[l]));                                                                        \
        default: break;                                                                                                \
        }                                                                                                              \
    }
FLOATING(f32)
FLOATING(f64)

/* Integers wrap, as unsigned ones do. */
#define INTEGER(t, u)                                                                                                  \
    static void arithmetic_##t(wg_prim prim, const v##t *a, const v##t *b, wg_lanes *out) {                            \
        switch (prim) {                                                                                                \
        case WG_P_ADD: LANES(t, (v##t)((u)a[l] + (u)b[l]));                                                            \
        case WG_P_SUB: LANES(t, (v##t)((u)a[l] - (u)b[l]));                                                            \
        case WG_P_MUL: LANES(t, (v##t)((u)a[l] * (u)b[l]));                                                            \
        case WG_P_DIV: LANES(t, div_##t(a[l], b[l]));                                                                  \
        case WG_P_REM: LANES(t, rem_##t(a[l], b[l]));                                                                  \
        case WG_P_MAX: LANES(t, max_##t(a[l], b[l]));                                                                  \
        case WG_P_MIN: LANES(t, min_##t(a[l], b[l]));                                                                  \
        case WG_P_POW: LANES(t, pow_##t(a[l], b[l]));                                                                  \
        case WG_P_NEG: LANES(t, (v##t)((u)0 - (u)a[l]));                                                               \
        case WG_P_ABS: LANES(t, a[l] < 0 ? (v##t)((u)0 - (u)a[l]) : a[l]);                                             \
        default: break;                                                                                                \
        }                                                                                                              \
    }
INTEGER(i32, u32)
INTEGER(i64, u64)

static void arithmetic_bool(wg_prim prim, const int32_t *a, const int32_t *b, wg_lanes *out) {
    switch (prim) {
    case WG_P_MUL:
    case WG_P_MIN:
    case WG_P_AND: LANES(i32, a[l] & b[l]);
    case WG_P_ADD:
    case WG_P_MAX:
    case WG_P_OR: LANES(i32, a[l] | b[l]);
    case WG_P_NOT: LANES(i32, a[l] ^ 1);
    case WG_P_ABS: LANES(i32, a[l]);
    default: break;
    }
}

static void arithmetic(wg_prim prim, wg_dtype dtype, const wg_lanes *a, const wg_lanes *b, wg_lanes *out) {
    switch (dtype) {
    case WG_F32: arithmetic_f32(prim, a->f32, b->f32, out); break;
    case WG_F64: arithmetic_f64(prim, a->f64, b->f64, out); break;
    case WG_I64: arithmetic_i64(prim, a->i64, b->i64, out); break;
    case WG_BOOL: arithmetic_bool(prim, a->i32, b->i32, out); break;
    default: arithmetic_i32(prim, a->i32, b->i32, out); break;
    }
}

/* ---- comparisons, choices, conversions ---------------------------------------------------------------------------------- */

/* The result may lie on top of wider operands, so it is put together aside. */
#define COMPARISON(t)                                                                                                  \
    static void compare_##t(wg_prim prim, const v##t *a, const v##t *b, wg_lanes *out) {                               \
        switch (prim) {                                                                                                \
        case WG_P_EQ: LANES(i32, a[l] == b[l]);                                                                        \
        case WG_P_NE: LANES(i32, a[l] != b[l]);                                                                        \
        case WG_P_LT: LANES(i32, a[l] < b[l]);                                                                         \
        case WG_P_LE: LANES(i32, a[l] <= b[l]);                                                                        \
        case WG_P_GT: LANES(i32, a[l] > b[l]);                                                                         \
        case WG_P_GE: LANES(i32, a[l] >= b[l]);                                                                        \
        default: break;                                                                                                \
        }                                                                                                              \
    }
COMPARISON(f32)
COMPARISON(f64)
COMPARISON(i32)
COMPARISON(i64)

static void compare(wg_prim prim, wg_dtype from, const wg_lanes *a, const wg_lanes *b, wg_lanes *out) {
    wg_lanes r = {{0}};
    switch (from) {
    case WG_F32: compare_f32(prim, a->f32, b->f32, &r); break;
    case WG_F64: compare_f64(prim, a->f64, b->f64, &r); break;
    case WG_I64: compare_i64(prim, a->i64, b->i64, &r); break;
    default: compare_i32(prim, a->i32, b->i32, &r); break; /* of bools, false < true */
    }
    *out = r;
}

static void choose(wg_dtype dtype, const wg_lanes *m, const wg_lanes *a, const wg_lanes *b, wg_lanes *out) {
    wg_lanes r;
    bool wide = dtype == WG_I64 || dtype == WG_F64;
    for (int l = 0; l < WG_WIDE; l++) {
        const wg_lanes *x = m->i32[l] ? a : b;
        if (wide) {
            r.i64[l] = x->i64[l];
        } else {
            r.i32[l] = x->i32[l];
        }
    }
    *out = r;
}

/* From each type to all others; to bool it is a comparison with 0. */
#define CONVERSION(s, to_f32, to_f64, to_i32, to_i64)                                                                  \
    static void convert_##s(wg_dtype to, const v##s *a, wg_lanes *out) {                                               \
        switch (to) {                                                                                                  \
        case WG_F32: LANES(f32, to_f32);                                                                               \
        case WG_F64: LANES(f64, to_f64);                                                                               \
        case WG_I64: LANES(i64, to_i64);                                                                               \
        case WG_BOOL: LANES(i32, a[l] != 0);                                                                           \
        default: LANES(i32, to_i32);                                                                                   \
        }                                                                                                              \
    }
CONVERSION(f32, a[l], cvt_f32_f64(a[l]), cvt_f32_i32(a[l]), cvt_f32_i64(a[l]))
CONVERSION(f64, cvt_f64_f32(a[l]), a[l], cvt_f64_i32(a[l]), cvt_f64_i64(a[l]))
CONVERSION(i32, cvt_i32_f32(a[l]), cvt_i32_f64(a[l]), a[l], cvt_i32_i64(a[l]))
CONVERSION(i64, cvt_i64_f32(a[l]), cvt_i64_f64(a[l]), cvt_i64_i32(a[l]), a[l])

static void convert(wg_dtype from, wg_dtype to, const wg_lanes *a, wg_lanes *out) {
    const wg_lanes x = *a;
    switch (from) {
    case WG_F32: convert_f32(to, x.f32, out); break;
    case WG_F64: convert_f64(to, x.f64, out); break;
    case WG_I64: convert_i64(to, x.i64, out); break;
    default: convert_i32(to, x.i32, out); break; /* of bools too: 0 and 1 */
    }
    if (to == WG_U8 && (from == WG_F32 || from == WG_F64)) {
        for (int l = 0; l < WG_WIDE; l++) {
            out->i32[l] = min_i32(max_i32(out->i32[l], 0), 255);
        }
    }
}

static void wrap(wg_lanes *x) {
    for (int l = 0; l < WG_WIDE; l++) {
        x->i32[l] &= 255;
    }
}

void wg_lanes_apply(wg_prim prim, wg_dtype from, wg_dtype to, const wg_lanes *a, const wg_lanes *b, const wg_lanes *c,
                    wg_lanes *out) {
    if (prim >= WG_P_EQ && prim <= WG_P_GE) {
        compare(prim, from, a, b, out);
    } else if (prim == WG_P_SELECT) {
        choose(from, a, b, c, out);
    } else if (prim == WG_P_CAST) {
        convert(from, to, a, out);
    } else {
        arithmetic(prim, from, a, b, out);
    }
    if (to == WG_U8) {
        wrap(out);
    }
}

void wg_lanes_random(wg_dtype dtype, const wg_lanes *word, int64_t number, int64_t seed, wg_lanes *out) {
    const wg_lanes w = *word;
    for (int l = 0; l < WG_WIDE; l++) {
        if (dtype == WG_F32) {
            out->f32[l] = random_f32(w.i64[l], number, seed);
        } else {
            out->f64[l] = random_f64(w.i64[l], number, seed);
        }
    }
}

/* ---- numbers and memory --------------------------------------------------------------------------------------------------- */

static void splat(wg_dtype dtype, double floating, int64_t integer, wg_lanes *out) {
    switch (dtype) {
    case WG_F32: LANES(f32, (float)floating);
    case WG_F64: LANES(f64, floating);
    case WG_I64: LANES(i64, integer);
    case WG_BOOL: LANES(i32, integer != 0);
    case WG_U8: LANES(i32, (int32_t)integer & 255);
    default: LANES(i32, (int32_t)integer);
    }
}

void wg_lanes_const(wg_dtype dtype, double value, wg_lanes *out) {
    bool floating = dtype == WG_F32 || dtype == WG_F64;
    splat(dtype, value, floating ? 0 : dtype == WG_BOOL ? value != 0 : cvt_f64_i64(value), out);
}

void wg_lanes_scalar(wg_dtype dtype, int64_t bits, wg_lanes *out) {
    double value = dtype == WG_F32 ? as_vf32((uint32_t)bits) : dtype == WG_F64 ? as_vf64(bits) : 0;
    splat(dtype, value, bits, out);
}

#define READ(member, type, value)                                                                                      \
    for (int l = 0; l < WG_WIDE; l++) {                                                                                \
        type e = on[l] ? ((const type *)from)[at[l]] : 0;                                                              \
        out->member[l] = (value);                                                                                      \
    }                                                                                                                  \
    break

void wg_lanes_load(wg_dtype dtype, const void *from, const int64_t *at, const int32_t *on, wg_lanes *out) {
    switch (dtype) {
    case WG_F32: READ(f32, float, e);
    case WG_F64: READ(f64, double, e);
    case WG_I64: READ(i64, int64_t, e);
    case WG_BOOL: READ(i32, uint8_t, e != 0);
    case WG_U8: READ(i32, uint8_t, e);
    default: READ(i32, int32_t, e);
    }
}

#define WRITE(type, value)                                                                                             \
    for (int l = 0; l < n; l++) {                                                                                      \
        ((type *)to)[at[l]] = (type)(value);                                                                           \
    }                                                                                                                  \
    break

void wg_lanes_store(wg_dtype dtype, void *to, const int64_t *at, int n, const wg_lanes *x) {
    switch (dtype) {
    case WG_F32: WRITE(float, x->f32[l]);
    case WG_F64: WRITE(double, x->f64[l]);
    case WG_I64: WRITE(int64_t, x->i64[l]);
    case WG_BOOL:
    case WG_U8: WRITE(uint8_t, x->i32[l]);
    default: WRITE(int32_t, x->i32[l]);
    }
}

/* ---- reductions ------------------------------------------------------------------------------------------------------------ */

static wg_prim step_of(wg_prim reduction) {
    return reduction == WG_P_RSUM ? WG_P_ADD : reduction == WG_P_RMIN ? WG_P_MIN : WG_P_MAX;
}

/* What changes no sum or extreme. */
static void identity(wg_prim prim, wg_dtype dtype, wg_lanes *out) {
    if (prim == WG_P_RSUM) {
        splat(dtype, 0, 0, out);
        return;
    }
    bool most = prim == WG_P_RMIN;
    int64_t integer = dtype == WG_I64    ? (most ? INT64_MAX : INT64_MIN)
                      : dtype == WG_I32  ? (most ? INT32_MAX : INT32_MIN)
                      : dtype == WG_BOOL ? most
                                         : (most ? 255 : 0);
    splat(dtype, most ? (double)INFINITY : -(double)INFINITY, integer, out);
}

void wg_lanes_begin(wg_prim prim, wg_dtype dtype, wg_accumulator *acc) {
    identity(prim, dtype, &acc->value);
    splat(WG_I64, 0, -1, &acc->where);
}

/* Where x is larger than best; NaN counts as larger than all. */
static void larger(wg_dtype dtype, const wg_lanes *x, const wg_lanes *best, wg_lanes *out) {
    wg_lanes nan, number;
    compare(WG_P_NE, dtype, x, x, &nan);
    compare(WG_P_EQ, dtype, best, best, &number);
    compare(WG_P_GT, dtype, x, best, out);
    for (int l = 0; l < WG_WIDE; l++) {
        out->i32[l] |= nan.i32[l] & number.i32[l];
    }
}

static void take_larger(wg_dtype dtype, const wg_lanes *x, int n, int64_t first, int64_t step, wg_accumulator *acc) {
    wg_lanes better;
    larger(dtype, x, &acc->value, &better);
    for (int l = 0; l < WG_WIDE; l++) {
        better.i32[l] = l < n && (better.i32[l] || acc->where.i64[l] < 0);
        acc->where.i64[l] = better.i32[l] ? first + l * step : acc->where.i64[l];
    }
    choose(dtype, &better, x, &acc->value, &acc->value);
}

void wg_lanes_take(wg_prim prim, wg_dtype dtype, const wg_lanes *x, int n, int64_t first, int64_t step,
                   wg_accumulator *acc) {
    if (prim == WG_P_RARGMAX) {
        take_larger(dtype, x, n, first, step, acc);
        return;
    }
    wg_lanes valid, y, none;
    if (n < WG_WIDE) {
        for (int l = 0; l < WG_WIDE; l++) {
            valid.i32[l] = l < n;
        }
        identity(prim, dtype, &none);
        choose(dtype, &valid, x, &none, &y);
        x = &y;
    }
    arithmetic(step_of(prim), dtype, &acc->value, x, &acc->value);
}

/* x with lane l + k in place of lane l; the last k stay. */
static wg_lanes shifted(wg_dtype dtype, const wg_lanes *x, int k) {
    wg_lanes y = *x;
    if (dtype == WG_I64 || dtype == WG_F64) {
        memcpy(y.i64, x->i64 + k, (size_t)(WG_WIDE - k) * sizeof y.i64[0]);
    } else {
        memcpy(y.i32, x->i32 + k, (size_t)(WG_WIDE - k) * sizeof y.i32[0]);
    }
    return y;
}

/* Of equal values the first counts. No value is better than NaN, so the order of comparisons does not matter. */
static void combine_larger(wg_dtype dtype, const wg_accumulator *other, wg_accumulator *acc) {
    wg_lanes better, worse;
    larger(dtype, &other->value, &acc->value, &better);
    larger(dtype, &acc->value, &other->value, &worse);
    for (int l = 0; l < WG_WIDE; l++) {
        int64_t theirs = other->where.i64[l], ours = acc->where.i64[l];
        better.i32[l] = theirs >= 0 && (ours < 0 || better.i32[l] || (!worse.i32[l] && theirs < ours));
    }
    choose(dtype, &better, &other->value, &acc->value, &acc->value);
    choose(WG_I64, &better, &other->where, &acc->where, &acc->where);
}

void wg_lanes_across(wg_prim prim, wg_dtype dtype, wg_accumulator *acc) {
    for (int k = WG_WIDE / 2; k > 0; k /= 2) {
        wg_accumulator other = {.value = shifted(dtype, &acc->value, k), .where = shifted(WG_I64, &acc->where, k)};
        if (prim == WG_P_RARGMAX) {
            combine_larger(dtype, &other, acc);
        } else {
            arithmetic(step_of(prim), dtype, &acc->value, &other.value, &acc->value);
        }
    }
    const wg_accumulator first = *acc;
    for (int l = 0; l < WG_WIDE; l++) {
        acc->where.i64[l] = first.where.i64[0];
        if (dtype == WG_I64 || dtype == WG_F64) {
            acc->value.i64[l] = first.value.i64[0];
        } else {
            acc->value.i32[l] = first.value.i32[0];
        }
    }
}
