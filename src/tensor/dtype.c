/* Facts about dtypes. */
#include "tensor/dtype.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    uint8_t size, kind;
} facts[WG_DTYPE_COUNT] = {
    [WG_BOOL] = {"bool", 1, WG_KIND_BOOL}, [WG_U8] = {"u8", 1, WG_KIND_INT},     [WG_I32] = {"i32", 4, WG_KIND_INT},
    [WG_I64] = {"i64", 8, WG_KIND_INT},    [WG_F16] = {"f16", 2, WG_KIND_FLOAT}, [WG_BF16] = {"bf16", 2, WG_KIND_FLOAT},
    [WG_F32] = {"f32", 4, WG_KIND_FLOAT},  [WG_F64] = {"f64", 8, WG_KIND_FLOAT},
};

static bool known(wg_dtype d) { return (unsigned)d < WG_DTYPE_COUNT; }

size_t wg_dtype_size(wg_dtype d) { return known(d) ? facts[d].size : 0; }

const char *wg_dtype_name(wg_dtype d) { return known(d) ? facts[d].name : "?"; }

wg_kind wg_dtype_kind(wg_dtype d) { return known(d) ? (wg_kind)facts[d].kind : WG_KIND_FLOAT; }

bool wg_dtype_is_float(wg_dtype d) { return known(d) && facts[d].kind == WG_KIND_FLOAT; }

bool wg_dtype_valid(wg_dtype d) { return known(d); }

wg_dtype wg_dtype_compute(wg_dtype d) { return wg_dtype_is_half(d) ? WG_F32 : d; }

wg_dtype wg_promote_types(wg_dtype a, wg_dtype b) {
    if (a == b) {
        return a;
    }
    if ((a == WG_F16 && b == WG_BF16) || (a == WG_BF16 && b == WG_F16)) {
        return WG_F32;
    }
    /* The enum is ordered so that the wider dtype, or the higher kind, has the larger number. */
    return a > b ? a : b;
}

wg_dtype wg_promote_scalar(wg_dtype d, wg_kind scalar) {
    if (scalar <= wg_dtype_kind(d)) {
        return d;
    }
    return scalar == WG_KIND_INT ? WG_I64 : WG_F32;
}

wg_kind wg_scalar_kind(double x) { return floor(x) == x && fabs(x) <= 0x1p63 ? WG_KIND_INT : WG_KIND_FLOAT; }

/* ---- 16-bit floats: src/kernels/half.cl in C, number by number ---------------------------------------------------------- */

static uint32_t bits_of(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static float float_of(uint32_t u) {
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

uint16_t wg_f16_from_f32(float x) {
    uint32_t u = bits_of(x), sign = u >> 16 & 0x8000u, magnitude = u & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {
        return (uint16_t)(sign | 0x7e00u | (magnitude >> 13 & 0x3ffu));
    }
    if (magnitude >= 0x47800000u) { /* 2^16 */
        return (uint16_t)(sign | 0x7c00u);
    }
    if (magnitude < 0x38800000u) { /* 2^-14: adding 0.5 leaves the units of 2^-24 at the end of the fraction, rounded */
        return (uint16_t)(sign | (bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f)));
    }
    uint32_t odd = magnitude >> 13 & 1u;
    return (uint16_t)(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13));
}

uint16_t wg_bf16_from_f32(float x) {
    uint32_t u = bits_of(x);
    if ((u & 0x7fffffffu) > 0x7f800000u) {
        return (uint16_t)(u >> 16 | 0x40u);
    }
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}

float wg_f16_to_f32(uint16_t bits) {
    uint32_t sign = (bits & 0x8000u) << 16, magnitude = (bits & 0x7fffu) << 13;
    if (magnitude >= 0x0f800000u) {
        return float_of(sign | (magnitude + 0x70000000u));
    }
    if (magnitude < 0x00800000u) { /* units of 2^-24 */
        float x = (float)(bits & 0x3ffu) * 0x1p-24f;
        return sign ? -x : x;
    }
    return float_of(sign | (magnitude + 0x38000000u));
}

float wg_bf16_to_f32(uint16_t bits) { return float_of((uint32_t)bits << 16); }

double wg_dtype_number(wg_dtype d, const void *at, int64_t i) {
    switch (d) {
    case WG_I32:
        return ((const int32_t *)at)[i];
    case WG_I64:
        return (double)((const int64_t *)at)[i];
    case WG_F16:
        return (double)wg_f16_to_f32(((const uint16_t *)at)[i]);
    case WG_BF16:
        return (double)wg_bf16_to_f32(((const uint16_t *)at)[i]);
    case WG_F32:
        return (double)((const float *)at)[i];
    case WG_F64:
        return ((const double *)at)[i];
    default:
        return ((const uint8_t *)at)[i];
    }
}
