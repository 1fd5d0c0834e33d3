// lanes_common.cl - what the lane vocabularies share: conversions and extremes. Follows lanes_simd.cl, lanes_simt.cl,
// lanes_cuda.cuh or lanes_host.h, which say what to_T, a conversion to T as the hardware has it, is.

// cvt_a_b converts from a to b: integers wrap, floats round to nearest even.
// cvt_in_range_a_b truncates, and means nothing outside the range of b.
#define cvt_in_range_f32_i32(x) to_i32(x)
#define cvt_in_range_f32_i64(x) to_i64(x)
#define cvt_in_range_f32_u32(x) to_u32(x)
#define cvt_in_range_f32_u64(x) to_u64(x)
#define cvt_i32_f32(x) to_f32(x)
#define cvt_i32_i64(x) to_i64(x)
#define cvt_i32_u32(x) to_u32(x)
#define cvt_i32_u64(x) to_u64(x)
#define cvt_i64_f32(x) to_f32(x)
#define cvt_i64_i32(x) to_i32(x)
#define cvt_i64_u32(x) to_u32(x)
#define cvt_i64_u64(x) to_u64(x)
#define cvt_u32_f32(x) to_f32(x)
#define cvt_u32_i32(x) to_i32(x)
#define cvt_u32_i64(x) to_i64(x)
#define cvt_u32_u64(x) to_u64(x)
#define cvt_u64_f32(x) to_f32(x)
#define cvt_u64_i32(x) to_i32(x)
#define cvt_u64_i64(x) to_i64(x)
#define cvt_u64_u32(x) to_u32(x)
#ifdef WG_HAS_F64
#define cvt_f32_f64(x) to_f64(x)
#define cvt_f64_f32(x) to_f32(x)
#define cvt_in_range_f64_i32(x) to_i32(x)
#define cvt_in_range_f64_i64(x) to_i64(x)
#define cvt_in_range_f64_u32(x) to_u32(x)
#define cvt_in_range_f64_u64(x) to_u64(x)
#define cvt_i32_f64(x) to_f64(x)
#define cvt_i64_f64(x) to_f64(x)
#define cvt_u32_f64(x) to_f64(x)
#define cvt_u64_f64(x) to_f64(x)
#endif

// Float to integer saturates and sends NaN to 0 on every target: the hardware sees only values it can represent.
// (Between -2147483649 and -2147483648 f64 truncates to the least i32, which is what saturation gives too.)
#define WG_SATURATING(from, to, least_float, above, least, most)                                                       \
    DEVICE_FN v##to cvt_##from##_##to(v##from x) {                                                                     \
        vmask high = ge_##from(x, splat_##from(above));                                                                \
        vmask fits = mask_and(ge_##from(x, splat_##from(least_float)), lt_##from(x, splat_##from(above)));             \
        v##to r = cvt_in_range_##from##_##to(sel_##from(fits, x, splat_##from(0)));                                    \
        r = sel_##to(lt_##from(x, splat_##from(least_float)), splat_##to(least), r);                                   \
        return sel_##to(high, splat_##to(most), r);                                                                    \
    }
WG_SATURATING(f32, i32, -2147483648.0f, 2147483648.0f, (-2147483647 - 1), 2147483647)
WG_SATURATING(f32, u32, 0.0f, 4294967296.0f, 0u, 4294967295u)
WG_SATURATING(f32, i64, -9223372036854775808.0f, 9223372036854775808.0f, (-I64_C(9223372036854775807) - 1),
              I64_C(9223372036854775807))
WG_SATURATING(f32, u64, 0.0f, 18446744073709551616.0f, 0u, U64_C(18446744073709551615))
#ifdef WG_HAS_F64
WG_SATURATING(f64, i32, -2147483648.0, 2147483648.0, (-2147483647 - 1), 2147483647)
WG_SATURATING(f64, u32, 0.0, 4294967296.0, 0u, 4294967295u)
WG_SATURATING(f64, i64, -9223372036854775808.0, 9223372036854775808.0, (-I64_C(9223372036854775807) - 1),
              I64_C(9223372036854775807))
WG_SATURATING(f64, u64, 0.0, 18446744073709551616.0, 0u, U64_C(18446744073709551615))
#endif

// NaN if either is NaN; of two equal values the first.
#define WG_EXTREMES(t)                                                                                                 \
    DEVICE_FN v##t max_##t(v##t a, v##t b) { return sel_##t(mask_or(ge_##t(a, b), ne_##t(a, a)), a, b); }              \
    DEVICE_FN v##t min_##t(v##t a, v##t b) { return sel_##t(mask_or(le_##t(a, b), ne_##t(a, a)), a, b); }
WG_EXTREMES(f32)
#ifdef WG_HAS_F64
WG_EXTREMES(f64)
#endif
