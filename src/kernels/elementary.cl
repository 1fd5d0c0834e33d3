// Elementary functions of our own: one text in the lane vocabulary (lanes_*.{cl,cuh,h}), made only of IEEE + - * /, fma,
// rint and bit operations, so OpenCL scalars, OpenCL vectors, CUDA and the host give the same bits. Every function is
// within 2 ulp of the exact value, subnormal results included, and treats infinities, NaN and signed zeros as C99 does.
//
// A line `//@ name : needs ...` starts a section, which ends at the next such line; a program includes the sections it
// uses and those they need, in this order. f64 sections vanish without WG_HAS_F64.
//
// Polynomials are minimax fits of our own. Clamps are written sel(lt(bound, x), bound, x), so NaN passes through.

//@ exp_f32
// e^x = 2^n e^r with |r| <= ln2 / 2. Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits of the sum.
DEVICE_FN vf32 exp_f32(vf32 x) {
    x = sel_f32(lt_f32(x, splat_f32(-104.0f)), splat_f32(-104.0f), x);
    x = sel_f32(gt_f32(x, splat_f32(89.0f)), splat_f32(89.0f), x);
    vf32 t = fma_f32(x, splat_f32(0x1.715476p+0f), splat_f32(0x1.8p+23f));
    vf32 n = t - splat_f32(0x1.8p+23f);
    vf32 r = fma_f32(n, splat_f32(-0x1.62e43p-1f), x);
    r = fma_f32(n, splat_f32(0x1.05c61p-29f), r);
    vf32 p = splat_f32(0x1.6a2238p-10f);
    p = fma_f32(p, r, splat_f32(0x1.123b02p-7f));
    p = fma_f32(p, r, splat_f32(0x1.5558f8p-5f));
    p = fma_f32(p, r, splat_f32(0x1.55549p-3f));
    p = fma_f32(p, r, splat_f32(0x1.fffffcp-2f));
    p = fma_f32(p * r, r, r) + splat_f32(1.0f);
    // 2^n in two factors: n reaches -150 and 128, which one float does not hold.
    vi32 i = as_vi32(t) - splat_i32(0x4b400000);
    vi32 h = i >> 1;
    return p * as_vf32(as_vu32(h + splat_i32(127)) << 23) * as_vf32(as_vu32(i - h + splat_i32(127)) << 23);
}

//@ log_f32
// x = 2^e m with m in [sqrt(1/2), sqrt(2)), log x = e ln2 + log(1 + f).
DEVICE_FN vf32 log_f32(vf32 x) {
    vmask tiny = lt_f32(x, splat_f32(0x1p-126f));
    vi32 b = as_vi32(as_vu32(sel_f32(tiny, x * splat_f32(0x1p+25f), x)) - splat_u32(0x3f3504f3u));
    vf32 e = cvt_i32_f32((b >> 23) - sel_i32(tiny, splat_i32(25), splat_i32(0)));
    vf32 f = as_vf32((b & splat_i32(0x007fffff)) + splat_i32(0x3f3504f3)) - splat_f32(1.0f);
    vf32 s = f * f;
    vf32 p = splat_f32(-0x1.38b1cp-4f);
    p = fma_f32(p, f, splat_f32(0x1.055a46p-3f));
    p = fma_f32(p, f, splat_f32(-0x1.0d8568p-3f));
    p = fma_f32(p, f, splat_f32(0x1.22da46p-3f));
    p = fma_f32(p, f, splat_f32(-0x1.547246p-3f));
    p = fma_f32(p, f, splat_f32(0x1.99a006p-3f));
    p = fma_f32(p, f, splat_f32(-0x1.000226p-2f));
    p = fma_f32(p, f, splat_f32(0x1.555554p-2f));
    p = fma_f32(p, f, splat_f32(-0.5f));
    vf32 r = fma_f32(e, splat_f32(-0x1.05c61p-29f), s * p);
    r = fma_f32(e, splat_f32(0x1.62e43p-1f), f + r);
    vf32 inf = as_vf32(splat_i32(0x7f800000));
    r = sel_f32(lt_f32(x, inf), r, x); // inf and NaN
    r = sel_f32(lt_f32(x, splat_f32(0.0f)), as_vf32(splat_i32(0x7fc00000)), r);
    return sel_f32(eq_f32(x, splat_f32(0.0f)), -inf, r);
}

//@ exp_f64
#ifdef WG_HAS_F64
// As exp_f32; 1.5 * 2^52 does the rounding.
DEVICE_FN vf64 exp_f64(vf64 x) {
    x = sel_f64(lt_f64(x, splat_f64(-746.0)), splat_f64(-746.0), x);
    x = sel_f64(gt_f64(x, splat_f64(710.0)), splat_f64(710.0), x);
    vf64 t = fma_f64(x, splat_f64(0x1.71547652b82fep+0), splat_f64(0x1.8p+52));
    vf64 n = t - splat_f64(0x1.8p+52);
    vf64 r = fma_f64(n, splat_f64(-0x1.62e42fefa39efp-1), x);
    r = fma_f64(n, splat_f64(-0x1.abc9e3b39803fp-56), r);
    vf64 p = splat_f64(0x1.ad7ee186f7786p-26);
    p = fma_f64(p, r, splat_f64(0x1.28ae33932eda5p-22));
    p = fma_f64(p, r, splat_f64(0x1.71df26e5b0c9ep-19));
    p = fma_f64(p, r, splat_f64(0x1.a0199945355b2p-16));
    p = fma_f64(p, r, splat_f64(0x1.a01a012918b5cp-13));
    p = fma_f64(p, r, splat_f64(0x1.6c16c1846f7d9p-10));
    p = fma_f64(p, r, splat_f64(0x1.1111111128120p-7));
    p = fma_f64(p, r, splat_f64(0x1.5555555550755p-5));
    p = fma_f64(p, r, splat_f64(0x1.55555555554f8p-3));
    p = fma_f64(p, r, splat_f64(0x1.000000000000ap-1));
    p = fma_f64(p * r, r, r) + splat_f64(1.0);
    vi64 i = as_vi64(t) - splat_i64(I64_C(0x4338000000000000));
    vi64 h = i >> 1;
    return p * as_vf64(as_vu64(h + splat_i64(1023)) << 52) * as_vf64(as_vu64(i - h + splat_i64(1023)) << 52);
}
#endif

//@ log_f64
#ifdef WG_HAS_F64
// As log_f32, but log(1 + f) = 2 atanh(s) with s = f / (2 + f), which needs half the terms: with h = f^2 / 2 it is
// f - (h - s (h + s^2 R(s^2))), where only the small last part is rounded more than once.
DEVICE_FN vf64 log_f64(vf64 x) {
    vmask tiny = lt_f64(x, splat_f64(0x1p-1022));
    vi64 b = as_vi64(as_vu64(sel_f64(tiny, x * splat_f64(0x1p+54), x)) - splat_u64(U64_C(0x3fe6a09e667f3bcd)));
    vf64 e = cvt_i32_f64(cvt_i64_i32(b >> 52) - sel_i32(tiny, splat_i32(54), splat_i32(0)));
    vf64 f = as_vf64((b & splat_i64(I64_C(0x000fffffffffffff))) + splat_i64(I64_C(0x3fe6a09e667f3bcd))) - splat_f64(1.0);
    vf64 s = f / (splat_f64(2.0) + f);
    vf64 h = splat_f64(0.5) * f * f;
    vf64 z = s * s;
    vf64 p = splat_f64(0x1.2f061505699c8p-3);
    p = fma_f64(p, z, splat_f64(0x1.39a1a9f05a801p-3));
    p = fma_f64(p, z, splat_f64(0x1.74663f85d46cap-3));
    p = fma_f64(p, z, splat_f64(0x1.c71c52068f538p-3));
    p = fma_f64(p, z, splat_f64(0x1.24924941f450ap-2));
    p = fma_f64(p, z, splat_f64(0x1.999999997fd85p-2));
    p = fma_f64(p, z, splat_f64(0x1.5555555555592p-1));
    vf64 r = fma_f64(s, fma_f64(z, p, h), e * splat_f64(0x1.abc9e3b39803fp-56)) - h;
    r = fma_f64(e, splat_f64(0x1.62e42fefa39efp-1), f + r);
    vf64 inf = as_vf64(splat_i64(I64_C(0x7ff0000000000000)));
    r = sel_f64(lt_f64(x, inf), r, x);
    r = sel_f64(lt_f64(x, splat_f64(0.0)), as_vf64(splat_i64(I64_C(0x7ff8000000000000))), r);
    return sel_f64(eq_f64(x, splat_f64(0.0)), -inf, r);
}
#endif
