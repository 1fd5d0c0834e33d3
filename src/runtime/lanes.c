/* Operations on sixteen lanes: loops over the one-lane vocabulary of the kernels, whose texts are compiled here as C. */
#include "runtime/lanes.h"

#include "kernels/lanes_host.h"

typedef uint32_t u32;
typedef int64_t i64;
typedef uint64_t u64;

#include "kernels/elementary_f32.cl"
#include "kernels/elementary_f64.cl"

#include "kernels/arithmetic.cl"
#include "kernels/half.cl"

/* In a switch: in this case every lane l of out->t becomes the value. */
#define LANES(which, t, value)                                                                                         \
    case which:                                                                                                        \
        for (int l = 0; l < WG_WIDE; l++) {                                                                            \
            out->t[l] = (value);                                                                                       \
        }                                                                                                              \
        break

/* ---- arithmetic, by dtype ------------------------------------------------------------------------------------------- */

#define FLOATING(t)                                                                                                    \
    static void arithmetic_##t(wg_prim prim, const v##t *a, const v##t *b, wg_lanes *out) {                            \
        switch (prim) {                                                                                                \
            LANES(WG_P_ADD, t, a[l] + b[l]);                                                                           \
            LANES(WG_P_SUB, t, a[l] - b[l]);                                                                           \
            LANES(WG_P_MUL, t, a[l] * b[l]);                                                                           \
            LANES(WG_P_DIV, t, a[l] / b[l]);                                                                           \
            LANES(WG_P_MAX, t, max_##t(a[l], b[l]));                                                                   \
            LANES(WG_P_MIN, t, min_##t(a[l], b[l]));                                                                   \
            LANES(WG_P_NEG, t, -a[l]);                                                                                 \
            LANES(WG_P_ABS, t, abs_##t(a[l]));                                                                         \
            LANES(WG_P_SQRT, t, sqrt_##t(a[l]));                                                                       \
            LANES(WG_P_POW, t, pow_##t(a[l], b[l]));                                                                   \
            LANES(WG_P_EXP, t, exp_##t(a[l]));                                                                         \
            LANES(WG_P_LOG, t, log_##t(a[l]));                                                                         \
            LANES(WG_P_SIN, t, sin_##t(a[l]));                                                                         \
            LANES(WG_P_COS, t, cos_##t(a[l]));                                                                         \
            LANES(WG_P_TANH, t, tanh_##t(a[l]));                                                                       \
            LANES(WG_P_ERF, t, erf_##t(a[l]));                                                                         \
        default:                                                                                                       \
            break;                                                                                                     \
        }                                                                                                              \
    }
FLOATING(f32)
FLOATING(f64)

/* Integers wrap, as unsigned ones do. */
#define INTEGER(t, u)                                                                                                  \
    static void arithmetic_##t(wg_prim prim, const v##t *a, const v##t *b, wg_lanes *out) {                            \
        switch (prim) {                                                                                                \
            LANES(WG_P_ADD, t, (v##t)((u)a[l] + (u)b[l]));                                                             \
            LANES(WG_P_SUB, t, (v##t)((u)a[l] - (u)b[l]));                                                             \
            LANES(WG_P_MUL, t, (v##t)((u)a[l] * (u)b[l]));                                                             \
            LANES(WG_P_DIV, t, div_##t(a[l], b[l]));                                                                   \
            LANES(WG_P_REM, t, rem_##t(a[l], b[l]));                                                                   \
            LANES(WG_P_MAX, t, max_##t(a[l], b[l]));                                                                   \
            LANES(WG_P_MIN, t, min_##t(a[l], b[l]));                                                                   \
            LANES(WG_P_POW, t, pow_##t(a[l], b[l]));                                                                   \
            LANES(WG_P_NEG, t, (v##t)((u)0 - (u)a[l]));                                                                \
            LANES(WG_P_ABS, t, a[l] < 0 ? (v##t)((u)0 - (u)a[l]) : a[l]);                                              \
        default:                                                                                                       \
            break;                                                                                                     \
        }                                                                                                              \
    }
INTEGER(i32, u32)
INTEGER(i64, u64)

static void arithmetic_bool(wg_prim prim, const int32_t *a, const int32_t *b, wg_lanes *out) {
    switch (prim) {
    case WG_P_MUL:
    case WG_P_MIN:
        LANES(WG_P_AND, i32, a[l] & b[l]);
    case WG_P_ADD:
    case WG_P_MAX:
        LANES(WG_P_OR, i32, a[l] | b[l]);
        LANES(WG_P_NOT, i32, a[l] ^ 1);
        LANES(WG_P_ABS, i32, a[l]);
    default:
        break;
    }
}

static void round_lanes(wg_prim prim, const float *a, wg_lanes *out) {
    switch (prim) {
        LANES(WG_P_ROUND_F16, f32, round_f16(a[l]));
        LANES(WG_P_ROUND_BF16, f32, round_bf16(a[l]));
    default:
        break;
    }
}

static void arithmetic(wg_prim prim, wg_dtype dtype, const wg_lanes *a, const wg_lanes *b, wg_lanes *out) {
    switch (dtype) {
    case WG_F32:
        arithmetic_f32(prim, a->f32, b->f32, out);
        break;
    case WG_F64:
        arithmetic_f64(prim, a->f64, b->f64, out);
        break;
    case WG_I64:
        arithmetic_i64(prim, a->i64, b->i64, out);
        break;
    case WG_BOOL:
        arithmetic_bool(prim, a->i32, b->i32, out);
        break;
    default:
        arithmetic_i32(prim, a->i32, b->i32, out);
    }
}

/* ---- comparisons, choices, conversions ------------------------------------------------------------------------------ */

#define COMPARISON(t)                                                                                                  \
    static void compare_##t(wg_prim prim, const v##t *a, const v##t *b, wg_lanes *out) {                               \
        switch (prim) {                                                                                                \
            LANES(WG_P_EQ, i32, a[l] == b[l]);                                                                         \
            LANES(WG_P_NE, i32, a[l] != b[l]);                                                                         \
            LANES(WG_P_LT, i32, a[l] < b[l]);                                                                          \
            LANES(WG_P_LE, i32, a[l] <= b[l]);                                                                         \
            LANES(WG_P_GT, i32, a[l] > b[l]);                                                                          \
            LANES(WG_P_GE, i32, a[l] >= b[l]);                                                                         \
        default:                                                                                                       \
            break;                                                                                                     \
        }                                                                                                              \
    }
COMPARISON(f32)
COMPARISON(f64)
COMPARISON(i32)
COMPARISON(i64)

static void compare(wg_prim prim, wg_dtype from, const wg_lanes *a, const wg_lanes *b, wg_lanes *out) {
    switch (from) {
    case WG_F32:
        compare_f32(prim, a->f32, b->f32, out);
        break;
    case WG_F64:
        compare_f64(prim, a->f64, b->f64, out);
        break;
    case WG_I64:
        compare_i64(prim, a->i64, b->i64, out);
        break;
    default: /* of bools, false < true */
        compare_i32(prim, a->i32, b->i32, out);
    }
}

static bool is_wide(wg_dtype dtype) { return dtype == WG_I64 || dtype == WG_F64; }

static void choose(wg_dtype dtype, const wg_lanes *m, const wg_lanes *a, const wg_lanes *b, wg_lanes *out) {
    if (is_wide(dtype)) {
        for (int l = 0; l < WG_WIDE; l++) {
            out->i64[l] = m->i32[l] ? a->i64[l] : b->i64[l];
        }
    } else {
        for (int l = 0; l < WG_WIDE; l++) {
            out->i32[l] = m->i32[l] ? a->i32[l] : b->i32[l];
        }
    }
}

/* From one type to all others; to bool it is a comparison with 0. */
#define CONVERSION(from, to_f32, to_f64, to_i32, to_i64)                                                               \
    static void convert_##from(wg_dtype to, const v##from *a, wg_lanes *out) {                                         \
        switch (to) {                                                                                                  \
            LANES(WG_F32, f32, to_f32);                                                                                \
            LANES(WG_F64, f64, to_f64);                                                                                \
            LANES(WG_I64, i64, to_i64);                                                                                \
            LANES(WG_BOOL, i32, a[l] != 0);                                                                            \
        default:                                                                                                       \
            for (int l = 0; l < WG_WIDE; l++) {                                                                        \
                out->i32[l] = to_i32;                                                                                  \
            }                                                                                                          \
        }                                                                                                              \
    }
CONVERSION(f32, a[l], cvt_f32_f64(a[l]), cvt_f32_i32(a[l]), cvt_f32_i64(a[l]))
CONVERSION(f64, cvt_f64_f32(a[l]), a[l], cvt_f64_i32(a[l]), cvt_f64_i64(a[l]))
CONVERSION(i32, cvt_i32_f32(a[l]), cvt_i32_f64(a[l]), a[l], cvt_i32_i64(a[l]))
CONVERSION(i64, cvt_i64_f32(a[l]), cvt_i64_f64(a[l]), cvt_i64_i32(a[l]), a[l])

static void convert(wg_dtype from, wg_dtype to, const wg_lanes *a, wg_lanes *out) {
    switch (from) {
    case WG_F32:
        convert_f32(to, a->f32, out);
        break;
    case WG_F64:
        convert_f64(to, a->f64, out);
        break;
    case WG_I64:
        convert_i64(to, a->i64, out);
        break;
    default: /* of bools too: 0 and 1 */
        convert_i32(to, a->i32, out);
    }
    for (int l = 0; to == WG_U8 && (from == WG_F32 || from == WG_F64) && l < WG_WIDE; l++) {
        out->i32[l] = min_i32(max_i32(out->i32[l], 0), 255);
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
    } else if (prim == WG_P_ROUND_F16 || prim == WG_P_ROUND_BF16) {
        round_lanes(prim, a->f32, out);
    } else {
        arithmetic(prim, from, a, b, out);
    }
    for (int l = 0; to == WG_U8 && l < WG_WIDE; l++) {
        out->i32[l] &= 255;
    }
}

void wg_lanes_random(wg_dtype dtype, const wg_lanes *word, int64_t number, int64_t seed, wg_lanes *out) {
    for (int l = 0; l < WG_WIDE; l++) {
        if (dtype == WG_F32) {
            out->f32[l] = random_f32(word->i64[l], number, seed);
        } else {
            out->f64[l] = random_f64(word->i64[l], number, seed);
        }
    }
}

/* ---- numbers and memory --------------------------------------------------------------------------------------------- */

static void splat(wg_dtype dtype, double floating, int64_t integer, wg_lanes *out) {
    switch (dtype) {
        LANES(WG_F32, f32, (float)floating);
        LANES(WG_F64, f64, floating);
        LANES(WG_I64, i64, integer);
        LANES(WG_BOOL, i32, integer != 0);
        LANES(WG_U8, i32, (int32_t)integer & 255);
    default:
        for (int l = 0; l < WG_WIDE; l++) {
            out->i32[l] = (int32_t)integer;
        }
    }
}

void wg_lanes_const(wg_dtype dtype, double value, wg_lanes *out) {
    int64_t integer = dtype == WG_BOOL ? value != 0 : cvt_f64_i64(value);
    splat(dtype, value, integer, out);
}

void wg_lanes_scalar(wg_dtype dtype, int64_t bits, wg_lanes *out) {
    double value = dtype == WG_F32 ? as_vf32((uint32_t)bits) : dtype == WG_F64 ? as_vf64(bits) : 0;
    splat(dtype, value, bits, out);
}

/* In a switch: elements of type c. e is one of them, 0 where nothing is read. */
#define READ(which, t, c, value)                                                                                       \
    case which:                                                                                                        \
        for (int l = 0; l < WG_WIDE; l++) {                                                                            \
            const c e = on[l] ? ((const c *)from)[at[l]] : 0;                                                          \
            out->t[l] = (value);                                                                                       \
        }                                                                                                              \
        break

void wg_lanes_load(wg_dtype dtype, const void *from, const int64_t *at, const int32_t *on, wg_lanes *out) {
    switch (dtype) {
        READ(WG_F16, f32, uint16_t, widen_f16(e));
        READ(WG_BF16, f32, uint16_t, widen_bf16(e));
        READ(WG_F32, f32, float, e);
        READ(WG_F64, f64, double, e);
        READ(WG_I32, i32, int32_t, e);
        READ(WG_I64, i64, int64_t, e);
        READ(WG_U8, i32, uint8_t, e);
        READ(WG_BOOL, i32, uint8_t, e != 0);
    default:
        break;
    }
}

/* In a switch: e, from a register, becomes an element of type c. */
#define WRITE(which, t, c, value)                                                                                      \
    case which:                                                                                                        \
        for (int l = 0; l < n; l++) {                                                                                  \
            const v##t e = x->t[l];                                                                                    \
            ((c *)to)[at[l]] = (c)(value);                                                                             \
        }                                                                                                              \
        break

void wg_lanes_store(wg_dtype dtype, void *to, const int64_t *at, int n, const wg_lanes *x) {
    switch (dtype) {
        WRITE(WG_F16, f32, uint16_t, bits_f16(e));
        WRITE(WG_BF16, f32, uint16_t, bits_bf16(e));
        WRITE(WG_F32, f32, float, e);
        WRITE(WG_F64, f64, double, e);
        WRITE(WG_I32, i32, int32_t, e);
        WRITE(WG_I64, i64, int64_t, e);
        WRITE(WG_U8, i32, uint8_t, e);
        WRITE(WG_BOOL, i32, uint8_t, e);
    default:
        break;
    }
}

#define ELEMENT(t)                                                                                                     \
    static v##t element_##t(const wg_strip *s, int64_t i) { return ((const v##t *)s->from)[i]; }
ELEMENT(f64)
ELEMENT(i32)
ELEMENT(i64)

static float element_f32(const wg_strip *s, int64_t i) {
    uint16_t half = s->dtype == WG_F32 ? 0 : ((const uint16_t *)s->from)[i];
    return s->dtype == WG_F16 ? widen_f16(half) : s->dtype == WG_BF16 ? widen_bf16(half) : ((const float *)s->from)[i];
}

/* In a switch: value is made of an element x of a and y of b, and of the sum so far. */
#define PRODUCT(which, t, value)                                                                                       \
    case which:                                                                                                        \
        for (int64_t j = 0; j < k; j++) {                                                                              \
            for (int l = 0; l < n; l++) {                                                                              \
                const v##t x = element_##t(a, a->at + j * a->step + l * a->lane);                                      \
                const v##t y = element_##t(b, b->at + j * b->step + l * b->lane), sum = out->t[l];                     \
                out->t[l] = (value);                                                                                   \
            }                                                                                                          \
        }                                                                                                              \
        break

void wg_lanes_product(wg_dtype dtype, const wg_strip *a, const wg_strip *b, int64_t k, int n, wg_lanes *out) {
    splat(dtype, 0, 0, out);
    switch (dtype) {
        PRODUCT(WG_F32, f32, fma_f32(x, y, sum));
        PRODUCT(WG_F64, f64, fma_f64(x, y, sum));
        PRODUCT(WG_I32, i32, (vi32)((u32)x * (u32)y + (u32)sum));
        PRODUCT(WG_I64, i64, (vi64)((u64)x * (u64)y + (u64)sum));
    default:
        break;
    }
}
