/*
 * The lane vocabulary, one lane wide, in C17 for the host: what tests compare the device forms with, and what constant
 * folding may use. See lanes_simd.cl; a mask is 0 or 1. Compile with -ffp-contract=off and without -ffast-math, or the
 * bits differ.
 */
#ifndef WG_LANES_HOST_H
#define WG_LANES_HOST_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define WG_LANES 1
#define WG_HAS_F64 1
#define DEVICE_FN static inline
#define I64_C(c) INT64_C(c)
#define U64_C(c) UINT64_C(c)
typedef float vf32;
typedef double vf64;
typedef int32_t vi32;
typedef uint32_t vu32;
typedef int64_t vi64;
typedef uint64_t vu64;
typedef int vmask;
typedef int vmask64;

/* Masks. */
#define mask_from64(m) (m)
#define mask_to64(m) (m)
#define mask_and(a, b) ((a) & (b))
#define mask_or(a, b) ((a) | (b))
#define mask_not(a) ((a) ^ 1)
#define mask_any(m) (m)
#define mask_all(m) (m)
#define splat_mask(c) (c)

/* One value in every lane. */
#define splat_f32(c) ((vf32)(c))
#define splat_f64(c) ((vf64)(c))
#define splat_i32(c) ((vi32)(c))
#define splat_i64(c) ((vi64)(c))
#define splat_u32(c) ((vu32)(c))
#define splat_u64(c) ((vu64)(c))

/* Comparisons: a mask. */
#define lt_f32(a, b) ((a) < (b))
#define le_f32(a, b) ((a) <= (b))
#define gt_f32(a, b) ((a) > (b))
#define ge_f32(a, b) ((a) >= (b))
#define eq_f32(a, b) ((a) == (b))
#define ne_f32(a, b) ((a) != (b))
#define lt_f64(a, b) ((a) < (b))
#define le_f64(a, b) ((a) <= (b))
#define gt_f64(a, b) ((a) > (b))
#define ge_f64(a, b) ((a) >= (b))
#define eq_f64(a, b) ((a) == (b))
#define ne_f64(a, b) ((a) != (b))
#define lt_i32(a, b) ((a) < (b))
#define le_i32(a, b) ((a) <= (b))
#define gt_i32(a, b) ((a) > (b))
#define ge_i32(a, b) ((a) >= (b))
#define eq_i32(a, b) ((a) == (b))
#define ne_i32(a, b) ((a) != (b))
#define lt_i64(a, b) ((a) < (b))
#define le_i64(a, b) ((a) <= (b))
#define gt_i64(a, b) ((a) > (b))
#define ge_i64(a, b) ((a) >= (b))
#define eq_i64(a, b) ((a) == (b))
#define ne_i64(a, b) ((a) != (b))
#define lt_u32(a, b) ((a) < (b))
#define le_u32(a, b) ((a) <= (b))
#define gt_u32(a, b) ((a) > (b))
#define ge_u32(a, b) ((a) >= (b))
#define eq_u32(a, b) ((a) == (b))
#define ne_u32(a, b) ((a) != (b))
#define lt_u64(a, b) ((a) < (b))
#define le_u64(a, b) ((a) <= (b))
#define gt_u64(a, b) ((a) > (b))
#define ge_u64(a, b) ((a) >= (b))
#define eq_u64(a, b) ((a) == (b))
#define ne_u64(a, b) ((a) != (b))

/* sel_*(m, a, b): a where m holds, b elsewhere. */
#define sel_f32(m, a, b) ((m) ? (a) : (b))
#define sel_i32(m, a, b) ((m) ? (a) : (b))
#define sel_u32(m, a, b) ((m) ? (a) : (b))
#define sel_mask(m, a, b) ((m) ? (a) : (b))
#define sel_i64(m, a, b) ((m) ? (a) : (b))
#define sel_u64(m, a, b) ((m) ? (a) : (b))
#define sel_f64(m, a, b) ((m) ? (a) : (b))

/* Correctly rounded arithmetic beyond + - * /. */
#define fma_f32(a, b, c) fmaf(a, b, c)
#define rint_f32(x) rintf(x)
#define floor_f32(x) floorf(x)
#define trunc_f32(x) truncf(x)
#define ceil_f32(x) ceilf(x)
#define sqrt_f32(x) sqrtf(x)
#define abs_f32(x) fabsf(x)
#define fma_f64(a, b, c) fma(a, b, c)
#define rint_f64(x) rint(x)
#define floor_f64(x) floor(x)
#define trunc_f64(x) trunc(x)
#define ceil_f64(x) ceil(x)
#define sqrt_f64(x) sqrt(x)
#define abs_f64(x) fabs(x)

DEVICE_FN vu32 mulhi_u32(vu32 a, vu32 b) { return (vu32)((uint64_t)a * b >> 32); }

/* Bits. Each takes any type of the same width. */
#define WG_BITS(to, from)                                                                                              \
    DEVICE_FN v##to to##_of_##from(v##from x) {                                                                        \
        v##to r;                                                                                                       \
        memcpy(&r, &x, sizeof r);                                                                                      \
        return r;                                                                                                      \
    }
WG_BITS(f32, i32)
WG_BITS(f32, u32)
WG_BITS(i32, f32)
WG_BITS(i32, u32)
WG_BITS(u32, f32)
WG_BITS(u32, i32)
WG_BITS(f64, i64)
WG_BITS(f64, u64)
WG_BITS(i64, f64)
WG_BITS(i64, u64)
WG_BITS(u64, f64)
WG_BITS(u64, i64)
#define as_vf32(x) _Generic((x), vi32 : f32_of_i32, vu32 : f32_of_u32)(x)
#define as_vi32(x) _Generic((x), vf32 : i32_of_f32, vu32 : i32_of_u32)(x)
#define as_vu32(x) _Generic((x), vf32 : u32_of_f32, vi32 : u32_of_i32)(x)
#define as_vf64(x) _Generic((x), vi64 : f64_of_i64, vu64 : f64_of_u64)(x)
#define as_vi64(x) _Generic((x), vf64 : i64_of_f64, vu64 : i64_of_u64)(x)
#define as_vu64(x) _Generic((x), vf64 : u64_of_f64, vi64 : u64_of_i64)(x)

/* Conversions as the hardware has them; lanes_common.cl builds on them. */
#define to_i32(x) ((vi32)(x))
#define to_u32(x) ((vu32)(x))
#define to_i64(x) ((vi64)(x))
#define to_u64(x) ((vu64)(x))
#define to_f32(x) ((vf32)(x))
#define to_f64(x) ((vf64)(x))

DEVICE_FN vi32 max_i32(vi32 a, vi32 b) { return a > b ? a : b; }
DEVICE_FN vi32 min_i32(vi32 a, vi32 b) { return a < b ? a : b; }
DEVICE_FN vu32 max_u32(vu32 a, vu32 b) { return a > b ? a : b; }
DEVICE_FN vu32 min_u32(vu32 a, vu32 b) { return a < b ? a : b; }
DEVICE_FN vi64 max_i64(vi64 a, vi64 b) { return a > b ? a : b; }
DEVICE_FN vi64 min_i64(vi64 a, vi64 b) { return a < b ? a : b; }
DEVICE_FN vu64 max_u64(vu64 a, vu64 b) { return a > b ? a : b; }
DEVICE_FN vu64 min_u64(vu64 a, vu64 b) { return a < b ? a : b; }

#include "kernels/lanes_common.cl"

#endif
