// The lane vocabulary, one lane wide, in CUDA C++ for NVRTC without headers: one value per thread. See lanes_simd.cl; a
// mask is 0 or 1. Compile with --fmad=false --prec-div=true --prec-sqrt=true --ftz=false, or the bits differ.
#pragma nv_diag_suppress 177 // helpers a program does not use
#define WG_LANES 1
#define WG_HAS_F64 1
#define DEVICE_FN static __device__ __forceinline__
#define LANE_LOOP _Pragma("unroll") // or what is indexed in it would live in local memory
#define SHUFFLE_DOWN(x, k) __shfl_down_sync(0xffffffffu, x, k)
#define I64_C(c) c##LL
#define U64_C(c) c##ULL
typedef float vf32;
typedef double vf64;
typedef int vi32;
typedef unsigned int vu32;
typedef long long vi64;
typedef unsigned long long vu64;
typedef longlong2 i64x2;
typedef int vmask;
typedef int vmask64;

// Masks.
#define mask_from64(m) (m)
#define mask_to64(m) (m)
#define mask_and(a, b) ((a) & (b))
#define mask_or(a, b) ((a) | (b))
#define mask_not(a) ((a) ^ 1)
#define mask_any(m) (m)
#define mask_all(m) (m)
#define splat_mask(c) (c)

// One value in every lane.
#define splat_f32(c) ((vf32)(c))
#define splat_f64(c) ((vf64)(c))
#define splat_i32(c) ((vi32)(c))
#define splat_i64(c) ((vi64)(c))
#define splat_u32(c) ((vu32)(c))
#define splat_u64(c) ((vu64)(c))

// Comparisons: a mask.
#define lt_f32(a, b) ((int)((a) < (b)))
#define le_f32(a, b) ((int)((a) <= (b)))
#define gt_f32(a, b) ((int)((a) > (b)))
#define ge_f32(a, b) ((int)((a) >= (b)))
#define eq_f32(a, b) ((int)((a) == (b)))
#define ne_f32(a, b) ((int)((a) != (b)))
#define lt_f64(a, b) ((int)((a) < (b)))
#define le_f64(a, b) ((int)((a) <= (b)))
#define gt_f64(a, b) ((int)((a) > (b)))
#define ge_f64(a, b) ((int)((a) >= (b)))
#define eq_f64(a, b) ((int)((a) == (b)))
#define ne_f64(a, b) ((int)((a) != (b)))
#define lt_i32(a, b) ((int)((a) < (b)))
#define le_i32(a, b) ((int)((a) <= (b)))
#define gt_i32(a, b) ((int)((a) > (b)))
#define ge_i32(a, b) ((int)((a) >= (b)))
#define eq_i32(a, b) ((int)((a) == (b)))
#define ne_i32(a, b) ((int)((a) != (b)))
#define lt_i64(a, b) ((int)((a) < (b)))
#define le_i64(a, b) ((int)((a) <= (b)))
#define gt_i64(a, b) ((int)((a) > (b)))
#define ge_i64(a, b) ((int)((a) >= (b)))
#define eq_i64(a, b) ((int)((a) == (b)))
#define ne_i64(a, b) ((int)((a) != (b)))
#define lt_u32(a, b) ((int)((a) < (b)))
#define le_u32(a, b) ((int)((a) <= (b)))
#define gt_u32(a, b) ((int)((a) > (b)))
#define ge_u32(a, b) ((int)((a) >= (b)))
#define eq_u32(a, b) ((int)((a) == (b)))
#define ne_u32(a, b) ((int)((a) != (b)))
#define lt_u64(a, b) ((int)((a) < (b)))
#define le_u64(a, b) ((int)((a) <= (b)))
#define gt_u64(a, b) ((int)((a) > (b)))
#define ge_u64(a, b) ((int)((a) >= (b)))
#define eq_u64(a, b) ((int)((a) == (b)))
#define ne_u64(a, b) ((int)((a) != (b)))

// sel_*(m, a, b): a where m holds, b elsewhere.
#define sel_f32(m, a, b) ((m) ? (a) : (b))
#define sel_i32(m, a, b) ((m) ? (a) : (b))
#define sel_u32(m, a, b) ((m) ? (a) : (b))
#define sel_mask(m, a, b) ((m) ? (a) : (b))
#define sel_i64(m, a, b) ((m) ? (a) : (b))
#define sel_u64(m, a, b) ((m) ? (a) : (b))
#define sel_f64(m, a, b) ((m) ? (a) : (b))

// Correctly rounded arithmetic beyond + - * /.
#define fma_f32(a, b, c) __fmaf_rn(a, b, c)
#define rint_f32(x) rintf(x)
#define floor_f32(x) floorf(x)
#define trunc_f32(x) truncf(x)
#define ceil_f32(x) ceilf(x)
#define sqrt_f32(x) __fsqrt_rn(x)
#define abs_f32(x) fabsf(x)
#define fma_f64(a, b, c) __fma_rn(a, b, c)
#define rint_f64(x) rint(x)
#define floor_f64(x) floor(x)
#define trunc_f64(x) trunc(x)
#define ceil_f64(x) ceil(x)
#define sqrt_f64(x) __dsqrt_rn(x)
#define abs_f64(x) fabs(x)

// Bits. Each takes any type of the same width.
DEVICE_FN vf32 as_vf32(vi32 x) { return __int_as_float(x); }
DEVICE_FN vf32 as_vf32(vu32 x) { return __uint_as_float(x); }
DEVICE_FN vi32 as_vi32(vf32 x) { return __float_as_int(x); }
DEVICE_FN vi32 as_vi32(vu32 x) { return (vi32)x; }
DEVICE_FN vu32 as_vu32(vf32 x) { return __float_as_uint(x); }
DEVICE_FN vu32 as_vu32(vi32 x) { return (vu32)x; }
DEVICE_FN vf64 as_vf64(vi64 x) { return __longlong_as_double(x); }
DEVICE_FN vf64 as_vf64(vu64 x) { return __longlong_as_double((vi64)x); }
DEVICE_FN vi64 as_vi64(vf64 x) { return __double_as_longlong(x); }
DEVICE_FN vi64 as_vi64(vu64 x) { return (vi64)x; }
DEVICE_FN vu64 as_vu64(vf64 x) { return (vu64)__double_as_longlong(x); }
DEVICE_FN vu64 as_vu64(vi64 x) { return (vu64)x; }
#define mulhi_u32(a, b) __umulhi(a, b)

// Conversions as the hardware has them; lanes_common.cl builds on them.
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
