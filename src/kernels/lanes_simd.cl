// The lane vocabulary, 16 lanes wide, in OpenCL C 1.2: every name stands for one operation on sixteen values at once.
// The same names with one lane are in lanes_simt.cl, lanes_cuda.cuh and lanes_host.h; text written in them, such as
// elementary_f32.cl and generated kernels, gives the same bits under all four. A mask is 0 or -1 in each lane.
// Build with -cl-fp32-correctly-rounded-divide-sqrt where the device offers it.
#pragma OPENCL FP_CONTRACT OFF
#ifdef WG_HAS_F64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#endif
#define WG_LANES 16
#define DEVICE_FN static inline
#define I64_C(c) c##L
#define U64_C(c) c##UL
typedef float16 vf32;
typedef int16 vi32;
typedef uint16 vu32;
typedef long16 vi64;
typedef ulong16 vu64;
typedef int16 vmask;
typedef long16 vmask64;
#ifdef WG_HAS_F64
typedef double16 vf64;
#endif

// Masks.
#define mask_from64(m) convert_int16(m)
#define mask_to64(m) convert_long16(m)
#define mask_and(a, b) ((a) & (b))
#define mask_or(a, b) ((a) | (b))
#define mask_not(a) (~(a))
// By halves: any() and all() take POCL sixteen moves out of a vector.
static inline int mask_any(vmask m) {
    const long8 a = as_long8(m);
    const long4 b = a.lo | a.hi;
    const long2 c = b.lo | b.hi;
    return (c.x | c.y) != 0;
}
static inline int mask_all(vmask m) {
    const long8 a = as_long8(m);
    const long4 b = a.lo & a.hi;
    const long2 c = b.lo & b.hi;
    return (c.x & c.y) == -1;
}
#define splat_mask(c) ((vmask)(-(c))) // from 0 or 1

// One value in every lane.
#define splat_f32(c) ((vf32)(c))
#ifdef WG_HAS_F64
#define splat_f64(c) ((vf64)(c))
#endif
#define splat_i32(c) ((vi32)(c))
#define splat_i64(c) ((vi64)(c))
#define splat_u32(c) ((vu32)(c))
#define splat_u64(c) ((vu64)(c))

// Comparisons: a mask.
#define lt_f32(a, b) ((a) < (b))
#define le_f32(a, b) ((a) <= (b))
#define gt_f32(a, b) ((a) > (b))
#define ge_f32(a, b) ((a) >= (b))
#define eq_f32(a, b) ((a) == (b))
#define ne_f32(a, b) ((a) != (b))
#ifdef WG_HAS_F64
#define lt_f64(a, b) mask_from64((a) < (b))
#define le_f64(a, b) mask_from64((a) <= (b))
#define gt_f64(a, b) mask_from64((a) > (b))
#define ge_f64(a, b) mask_from64((a) >= (b))
#define eq_f64(a, b) mask_from64((a) == (b))
#define ne_f64(a, b) mask_from64((a) != (b))
#endif
#define lt_i32(a, b) ((a) < (b))
#define le_i32(a, b) ((a) <= (b))
#define gt_i32(a, b) ((a) > (b))
#define ge_i32(a, b) ((a) >= (b))
#define eq_i32(a, b) ((a) == (b))
#define ne_i32(a, b) ((a) != (b))
#define lt_i64(a, b) mask_from64((a) < (b))
#define le_i64(a, b) mask_from64((a) <= (b))
#define gt_i64(a, b) mask_from64((a) > (b))
#define ge_i64(a, b) mask_from64((a) >= (b))
#define eq_i64(a, b) mask_from64((a) == (b))
#define ne_i64(a, b) mask_from64((a) != (b))
#define lt_u32(a, b) ((a) < (b))
#define le_u32(a, b) ((a) <= (b))
#define gt_u32(a, b) ((a) > (b))
#define ge_u32(a, b) ((a) >= (b))
#define eq_u32(a, b) ((a) == (b))
#define ne_u32(a, b) ((a) != (b))
#define lt_u64(a, b) mask_from64((a) < (b))
#define le_u64(a, b) mask_from64((a) <= (b))
#define gt_u64(a, b) mask_from64((a) > (b))
#define ge_u64(a, b) mask_from64((a) >= (b))
#define eq_u64(a, b) mask_from64((a) == (b))
#define ne_u64(a, b) mask_from64((a) != (b))

// sel_*(m, a, b): a where m holds, b elsewhere.
#define sel_f32(m, a, b) ((m) ? (a) : (b))
#define sel_i32(m, a, b) ((m) ? (a) : (b))
#define sel_u32(m, a, b) ((m) ? (a) : (b))
#define sel_mask(m, a, b) ((m) ? (a) : (b))
#define sel_i64(m, a, b) (mask_to64(m) ? (a) : (b))
#define sel_u64(m, a, b) (mask_to64(m) ? (a) : (b))
#ifdef WG_HAS_F64
#define sel_f64(m, a, b) (mask_to64(m) ? (a) : (b))
#endif

// Correctly rounded arithmetic beyond + - * /.
#define fma_f32(a, b, c) fma(a, b, c)
#define rint_f32(x) rint(x)
#define floor_f32(x) floor(x)
#define trunc_f32(x) trunc(x)
#define ceil_f32(x) ceil(x)
#define sqrt_f32(x) sqrt(x)
#define abs_f32(x) fabs(x)
#ifdef WG_HAS_F64
#define fma_f64(a, b, c) fma(a, b, c)
#define rint_f64(x) rint(x)
#define floor_f64(x) floor(x)
#define trunc_f64(x) trunc(x)
#define ceil_f64(x) ceil(x)
#define sqrt_f64(x) sqrt(x)
#define abs_f64(x) fabs(x)
#endif

// Bits. Each takes any type of the same width.
#define as_vf32(x) as_float16(x)
#define as_vi32(x) as_int16(x)
#define as_vu32(x) as_uint16(x)
#define as_vi64(x) as_long16(x)
#define as_vu64(x) as_ulong16(x)
#ifdef WG_HAS_F64
#define as_vf64(x) as_double16(x)
#endif
#define mulhi_u32(a, b) mul_hi(a, b)

// Conversions as the hardware has them; lanes_common.cl builds on them.
#define to_i32(x) convert_int16(x)
#define to_u32(x) convert_uint16(x)
#define to_i64(x) convert_long16(x)
#define to_u64(x) convert_ulong16(x)
#define to_f32(x) convert_float16(x)
#define to_f64(x) convert_double16(x)

#define max_i32(a, b) max(a, b)
#define min_i32(a, b) min(a, b)
#define max_u32(a, b) max(a, b)
#define min_u32(a, b) min(a, b)
#define max_i64(a, b) max(a, b)
#define min_i64(a, b) min(a, b)
#define max_u64(a, b) max(a, b)
#define min_u64(a, b) min(a, b)
