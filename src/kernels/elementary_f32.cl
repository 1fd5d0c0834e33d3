// Elementary functions of our own: one text in the lane vocabulary (lanes_*), made only of IEEE + - * /, fma, rint and
// bit operations, so OpenCL scalars, OpenCL vectors, CUDA and the host give the same bits. Every function is
// within 2 ulp of the exact value, subnormal results included, and treats infinities, NaN and signed zeros as C99 does.
//
// A line `//@ name : needs ...` starts a section, which ends at the next such line; a program includes the sections it
// uses and those they need, in this order. f64 sections vanish without WG_HAS_F64.
//
// Polynomials are minimax fits of our own. Clamps are written sel(lt(x, bound), bound, x), so NaN passes through.

//@ exp_f32
// e^x = 2^n e^r with |r| <= ln2 / 2. Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits of the sum;
// 254 more, and 127 for its half, make them exponent fields. 2^n goes on in two factors: n reaches -150 and 128.
DEVICE_FN vf32 exp_f32(vf32 x) {
    x = sel_f32(lt_f32(x, splat_f32(-104.0f)), splat_f32(-104.0f), x);
    x = sel_f32(gt_f32(x, splat_f32(89.0f)), splat_f32(89.0f), x);
    vf32 t = fma_f32(x, splat_f32(0x1.715476p+0f), splat_f32(12582912.0f + 254.0f));
    vf32 n = t - splat_f32(12582912.0f + 254.0f);
    vf32 mid = fma_f32(n, splat_f32(0.5f), splat_f32(12582912.0f + 127.0f));
    vf32 r = fma_f32(n, splat_f32(-0x1.62e43p-1f), x);
    r = fma_f32(n, splat_f32(0x1.05c61p-29f), r);
    vf32 p = splat_f32(0x1.6a2238p-10f);
    p = fma_f32(p, r, splat_f32(0x1.123b02p-7f));
    p = fma_f32(p, r, splat_f32(0x1.5558f8p-5f));
    p = fma_f32(p, r, splat_f32(0x1.55549p-3f));
    p = fma_f32(p, r, splat_f32(0x1.fffffcp-2f));
    p = fma_f32(p * r, r, r) + splat_f32(1.0f);
    return p * as_vf32(as_vu32(mid) << 23) * as_vf32((as_vu32(t) - as_vu32(mid)) << 23);
}

//@ log_sum_f32
// e ln2 + log(1 + f), f in [sqrt(1/2) - 1, sqrt(2) - 1].
DEVICE_FN vf32 log_sum_f32(vf32 e, vf32 f) {
    vf32 p = splat_f32(-0x1.38b1cp-4f);
    p = fma_f32(p, f, splat_f32(0x1.055a46p-3f));
    p = fma_f32(p, f, splat_f32(-0x1.0d8568p-3f));
    p = fma_f32(p, f, splat_f32(0x1.22da46p-3f));
    p = fma_f32(p, f, splat_f32(-0x1.547246p-3f));
    p = fma_f32(p, f, splat_f32(0x1.99a006p-3f));
    p = fma_f32(p, f, splat_f32(-0x1.000226p-2f));
    p = fma_f32(p, f, splat_f32(0x1.555554p-2f));
    p = fma_f32(p, f, splat_f32(-0.5f));
    vf32 r = fma_f32(e, splat_f32(-0x1.05c61p-29f), f * f * p);
    return fma_f32(e, splat_f32(0x1.62e43p-1f), f + r);
}

//@ log_f32 : log_sum_f32
// x = 2^e m with m in [sqrt(1/2), sqrt(2)): subtracting the bits of sqrt(1/2) leaves e in the exponent field.
DEVICE_FN vf32 log_f32(vf32 x) {
    vmask tiny = lt_f32(x, splat_f32(0x1p-126f));
    vi32 b = as_vi32(as_vu32(sel_f32(tiny, x * splat_f32(0x1p+25f), x)) - splat_u32(0x3f3504f3u));
    vf32 e = cvt_i32_f32((b >> 23) - sel_i32(tiny, splat_i32(25), splat_i32(0)));
    vf32 f = as_vf32((b & splat_i32(0x007fffff)) + splat_i32(0x3f3504f3)) - splat_f32(1.0f);
    vf32 inf = as_vf32(splat_i32(0x7f800000));
    vf32 r = sel_f32(lt_f32(x, inf), log_sum_f32(e, f), x); // inf and NaN
    r = sel_f32(lt_f32(x, splat_f32(0.0f)), as_vf32(splat_i32(0x7fc00000)), r);
    return sel_f32(eq_f32(x, splat_f32(0.0f)), -inf, r);
}

//@ log1p_f32 : log_sum_f32
// As log_f32 of 1 + x, but f = 2^-e (1 + x) - 1 comes from x itself, with one rounding. Where e > 24 the 1 no longer
// matters, and f is read from the rounded sum as in log_f32, since 2^-e might be subnormal.
DEVICE_FN vf32 log1p_f32(vf32 x) {
    vi32 b = as_vi32(as_vu32(x + splat_f32(1.0f)) - splat_u32(0x3f3504f3u));
    vi32 e = b >> 23;
    vf32 f = as_vf32((b & splat_i32(0x007fffff)) + splat_i32(0x3f3504f3)) - splat_f32(1.0f);
    vf32 s = as_vf32(as_vu32(splat_i32(127) - e) << 23);
    f = sel_f32(gt_i32(e, splat_i32(24)), f, fma_f32(x, s, s - splat_f32(1.0f)));
    vf32 r = log_sum_f32(cvt_i32_f32(e), f);
    vf32 inf = as_vf32(splat_i32(0x7f800000));
    r = sel_f32(lt_f32(x, inf), r, x); // inf and NaN
    r = sel_f32(lt_f32(x, splat_f32(-1.0f)), as_vf32(splat_i32(0x7fc00000)), r);
    r = sel_f32(eq_f32(x, splat_f32(-1.0f)), -inf, r);
    return sel_f32(eq_f32(x, splat_f32(0.0f)), x, r); // the sum above would lose the sign of -0
}

//@ half_expm1_f32
// (e^x - 1) / 2 for -30 < x < 89, halved so that 2^(n - 1) stays in range: 2^(n-1) (e^r - 1) + (2^(n-1) - 1/2).
DEVICE_FN vf32 half_expm1_f32(vf32 x) {
    vf32 t = fma_f32(x, splat_f32(0x1.715476p+0f), splat_f32(12582912.0f + 126.0f));
    vf32 n = t - splat_f32(12582912.0f + 126.0f);
    vf32 s = as_vf32(as_vu32(t) << 23);
    vf32 r = fma_f32(n, splat_f32(-0x1.62e43p-1f), x);
    r = fma_f32(n, splat_f32(0x1.05c61p-29f), r);
    vf32 p = splat_f32(0x1.a032eep-13f);
    p = fma_f32(p, r, splat_f32(0x1.6d7348p-10f));
    p = fma_f32(p, r, splat_f32(0x1.11118ap-7f));
    p = fma_f32(p, r, splat_f32(0x1.5554bp-5f));
    p = fma_f32(p, r, splat_f32(0x1.555554p-3f));
    p = fma_f32(p, r, splat_f32(0.5f));
    p = fma_f32(p * r, r, r);
    return fma_f32(s, p, s - splat_f32(0.5f));
}

//@ expm1_f32 : half_expm1_f32
DEVICE_FN vf32 expm1_f32(vf32 x) {
    vf32 y = sel_f32(lt_f32(x, splat_f32(-20.0f)), splat_f32(-20.0f), x);
    y = sel_f32(gt_f32(y, splat_f32(89.0f)), splat_f32(89.0f), y);
    vf32 h = half_expm1_f32(y);
    // Tiny x is its own answer, and half of it might not be a float.
    return sel_f32(lt_f32(abs_f32(x), splat_f32(0x1p-25f)), x, h + h);
}

//@ tanh_f32 : half_expm1_f32
// |x| < 0.55: x + x^3 P(x^2). Beyond: h / (h + 1) with h = (e^2|x| - 1) / 2; at 10 tanh is 1.
DEVICE_FN vf32 tanh_f32(vf32 x) {
    vf32 a = abs_f32(x);
    a = sel_f32(gt_f32(a, splat_f32(10.0f)), splat_f32(10.0f), a);
    vf32 z = a * a;
    vf32 p = splat_f32(-0x1.9b305ap-8f);
    p = fma_f32(p, z, splat_f32(0x1.593d0ap-6f));
    p = fma_f32(p, z, splat_f32(-0x1.b9287cp-5f));
    p = fma_f32(p, z, splat_f32(0x1.110d26p-3f));
    p = fma_f32(p, z, splat_f32(-0x1.55554ap-2f));
    p = fma_f32(z * a, p, a);
    vf32 h = half_expm1_f32(a + a);
    vf32 r = sel_f32(lt_f32(a, splat_f32(0.55f)), p, h / (h + splat_f32(1.0f)));
    return as_vf32(as_vu32(r) | (as_vu32(x) & splat_u32(0x80000000u)));
}

//@ erf_f32
// |x| < 0.8: x + x P(x^2). Beyond: 1 - 2^G(|x|), where the small power forgives G its rounding; at 3.95 erf is 1.
DEVICE_FN vf32 erf_f32(vf32 x) {
    vf32 a = abs_f32(x);
    a = sel_f32(gt_f32(a, splat_f32(3.95f)), splat_f32(3.95f), a);
    vf32 z = a * a;
    vf32 p = splat_f32(-0x1.568b38p-11f);
    p = fma_f32(p, z, splat_f32(0x1.4d3e1cp-8f));
    p = fma_f32(p, z, splat_f32(-0x1.b76e16p-6f));
    p = fma_f32(p, z, splat_f32(0x1.ce27fcp-4f));
    p = fma_f32(p, z, splat_f32(-0x1.81272ep-2f));
    p = fma_f32(p, z, splat_f32(0x1.06eba8p-3f));
    p = fma_f32(p, a, a);
    vf32 g = splat_f32(0x1.39d2fep-12f);
    g = fma_f32(g, a, splat_f32(-0x1.2a2a44p-8f));
    g = fma_f32(g, a, splat_f32(0x1.0bc2f8p-5f));
    g = fma_f32(g, a, splat_f32(-0x1.35a43cp-3f));
    g = fma_f32(g, a, splat_f32(-0x1.d5f3aap-1f));
    g = fma_f32(g, a, splat_f32(-0x1.a0b04cp+0f));
    g = fma_f32(g, a, splat_f32(-0x1.8f69ecp-14f));
    vf32 t = g + splat_f32(12582912.0f + 127.0f);
    vf32 f = g - (t - splat_f32(12582912.0f + 127.0f));
    vf32 q = splat_f32(0x1.44ac02p-13f);
    q = fma_f32(q, f, splat_f32(0x1.5f486cp-10f));
    q = fma_f32(q, f, splat_f32(0x1.3b2988p-7f));
    q = fma_f32(q, f, splat_f32(0x1.c6aecep-5f));
    q = fma_f32(q, f, splat_f32(0x1.ebfbep-3f));
    q = fma_f32(q, f, splat_f32(0x1.62e43p-1f));
    q = fma_f32(q, f, splat_f32(1.0f));
    q = fma_f32(q, -as_vf32(as_vu32(t) << 23), splat_f32(1.0f));
    vf32 r = sel_f32(lt_f32(a, splat_f32(0.8f)), p, q);
    return as_vf32(as_vu32(r) | (as_vu32(x) & splat_u32(0x80000000u)));
}

//@ sincos_reduce_f32
// |x| = n pi/2 + r with |r| <= pi/4 (a little more at the seams): r, and n modulo 4. pi/2 comes in three parts,
// which serves up to 2^17; n times the first is subtracted exactly. Beyond, if any lane is there, |x| times 96 bits of
// 2/pi: those that matter, for higher ones make multiples of 4 and lower ones vanish.
DEVICE_FN vf32 sincos_reduce_f32(vf32 x, vi32 *quadrant) {
    vf32 a = abs_f32(x);
    vf32 t = fma_f32(a, splat_f32(0x1.45f306p-1f), splat_f32(12582912.0f));
    vf32 n = t - splat_f32(12582912.0f);
    vf32 r0 = fma_f32(n, splat_f32(-0x1.921fb6p+0f), a);
    vf32 high = n * splat_f32(-0x1.777a5cp-25f);
    vf32 low = fma_f32(n, splat_f32(-0x1.777a5cp-25f), -high);
    vf32 r = r0 - high;
    vf32 rest = (r0 - r) - high; // what r0 - high rounds away
    r = r + fma_f32(n, splat_f32(0x1.ee59dap-50f), rest - low);
    vi32 q = as_vi32(t);
    vmask far = mask_and(ge_f32(a, splat_f32(0x1p+17f)), lt_f32(a, as_vf32(splat_i32(0x7f800000))));
    if (mask_any(far)) {
        // |x| = m 2^(e - 150). Bits of 2/pi are taken from e - 120 on, counting from 32 zeros ahead of its first.
        vi32 b = as_vi32(a);
        vu32 m = as_vu32((b & splat_i32(0x007fffff)) | splat_i32(0x00800000));
        vi32 from = (b >> 23) - splat_i32(120);
        vmask i4 = ne_i32(from & splat_i32(128), splat_i32(0));
        vmask i2 = ne_i32(from & splat_i32(64), splat_i32(0));
        vmask i1 = ne_i32(from & splat_i32(32), splat_i32(0));
        vu32 w0 = sel_u32(i4, splat_u32(0xf534ddc0u), splat_u32(0x00000000u));
        vu32 w1 = sel_u32(i4, splat_u32(0xdb629599u), splat_u32(0xa2f9836eu));
        vu32 w2 = sel_u32(i4, splat_u32(0x3c439041u), splat_u32(0x4e441529u));
        vu32 w3 = sel_u32(i4, splat_u32(0xfe5163abu), splat_u32(0xfc2757d1u));
        vu32 v0 = sel_u32(i2, w2, w0);
        vu32 v1 = sel_u32(i2, w3, w1);
        vu32 v2 = sel_u32(i2, splat_u32(0xf534ddc0u), w2);
        vu32 v3 = sel_u32(i2, splat_u32(0xdb629599u), w3);
        vu32 v4 = sel_u32(i2, splat_u32(0x3c439041u), splat_u32(0xf534ddc0u));
        vu32 u0 = sel_u32(i1, v1, v0);
        vu32 u1 = sel_u32(i1, v2, v1);
        vu32 u2 = sel_u32(i1, v3, v2);
        vu32 u3 = sel_u32(i1, v4, v3);
        vu32 shift = as_vu32(from & splat_i32(31));
        vu32 back_shift = splat_u32(31u) - shift;
        u0 = (u0 << shift) | ((u1 >> 1) >> back_shift);
        u1 = (u1 << shift) | ((u2 >> 1) >> back_shift);
        u2 = (u2 << shift) | ((u3 >> 1) >> back_shift);
        // The product modulo 4, in units of 2^-62.
        vu32 bottom = m * u1 + mulhi_u32(m, u2);
        vu32 carry = sel_u32(lt_u32(bottom, m * u1), splat_u32(1u), splat_u32(0u));
        vu32 top = m * u0 + mulhi_u32(m, u1) + carry;
        vu32 k = (top + splat_u32(0x20000000u)) >> 30;
        vi32 signed_top = as_vi32(top - (k << 30));
        // Three exact floats, then two, times pi/2.
        vf32 f0 = cvt_i32_f32(signed_top & splat_i32(-256)) * splat_f32(0x1p-30f);
        vf32 f1 = cvt_i32_f32(((signed_top & splat_i32(255)) << 16) | as_vi32(bottom >> 16)) * splat_f32(0x1p-46f);
        vf32 f2 = cvt_i32_f32(as_vi32(bottom & splat_u32(0xffffu))) * splat_f32(0x1p-62f);
        vf32 f = f0 + f1;
        vf32 g = (f1 - (f - f0)) + f2;
        vf32 far_r = f * splat_f32(0x1.921fb6p+0f);
        vf32 far_low = fma_f32(f, splat_f32(0x1.921fb6p+0f), -far_r);
        far_r = far_r + fma_f32(g, splat_f32(0x1.921fb6p+0f), fma_f32(f, splat_f32(-0x1.777a5cp-25f), far_low));
        r = sel_f32(far, far_r, r);
        q = sel_i32(far, as_vi32(k), q);
    }
    *quadrant = q;
    return r;
}

//@ sincos_pair_f32
// sin r or, where `other` holds, cos r.
DEVICE_FN vf32 sincos_pair_f32(vf32 r, vmask other) {
    vf32 z = r * r;
    vf32 s = splat_f32(-0x1.99325ep-13f);
    s = fma_f32(s, z, splat_f32(0x1.110708p-7f));
    s = fma_f32(s, z, splat_f32(-0x1.555544p-3f));
    s = fma_f32(z * r, s, r);
    vf32 c = splat_f32(0x1.99db9ap-16f);
    c = fma_f32(c, z, splat_f32(-0x1.6c0bfcp-10f));
    c = fma_f32(c, z, splat_f32(0x1.55554ap-5f));
    c = fma_f32(z * z, c, fma_f32(z, splat_f32(-0.5f), splat_f32(1.0f)));
    return sel_f32(other, c, s);
}

//@ sin_f32 : sincos_reduce_f32 sincos_pair_f32
DEVICE_FN vf32 sin_f32(vf32 x) {
    vi32 q;
    vf32 r = sincos_reduce_f32(x, &q);
    r = sincos_pair_f32(r, ne_i32(q & splat_i32(1), splat_i32(0)));
    vu32 sign = (as_vu32(x) ^ (as_vu32(q) << 30)) & splat_u32(0x80000000u);
    return as_vf32(as_vu32(r) ^ sign);
}

//@ cos_f32 : sincos_reduce_f32 sincos_pair_f32
DEVICE_FN vf32 cos_f32(vf32 x) {
    vi32 q;
    vf32 r = sincos_reduce_f32(x, &q);
    r = sincos_pair_f32(r, eq_i32(q & splat_i32(1), splat_i32(0)));
    vu32 sign = (as_vu32(q + splat_i32(1)) << 30) & splat_u32(0x80000000u);
    return as_vf32(as_vu32(r) ^ sign);
}

//@ log2_pair_f32
// log2 x for finite x > 0 as a sum of two floats, good to about 36 bits: e + 2/ln2 atanh(s) with s = (m - 1) / (m + 1),
// where atanh(s) = s + s z (1/3 + z P(z)), z = s^2. Each *_low is what its partner lost in rounding.
DEVICE_FN vf32 log2_pair_f32(vf32 x, vf32 *low) {
    vmask tiny = lt_f32(x, splat_f32(0x1p-126f));
    vi32 b = as_vi32(as_vu32(sel_f32(tiny, x * splat_f32(0x1p+25f), x)) - splat_u32(0x3f3504f3u));
    vf32 e = cvt_i32_f32((b >> 23) - sel_i32(tiny, splat_i32(25), splat_i32(0)));
    vf32 m = as_vf32((b & splat_i32(0x007fffff)) + splat_i32(0x3f3504f3));
    vf32 above = m + splat_f32(1.0f);
    vf32 above_low = m - (above - splat_f32(1.0f));
    vf32 below = m - splat_f32(1.0f);
    vf32 s = below / above;
    vf32 s_low = (fma_f32(-s, above, below) - s * above_low) / above;
    vf32 z = s * s;
    vf32 z_low = fma_f32(s, s, -z) + (s + s) * s_low;
    vf32 p = splat_f32(0x1.df9d46p-4f);
    p = fma_f32(p, z, splat_f32(0x1.245296p-3f));
    p = fma_f32(p, z, splat_f32(0x1.999ap-3f));
    // 1/3 + z p, and what is lost.
    vf32 zp = z * p;
    vf32 c = splat_f32(0x1.555556p-2f) + zp;
    vf32 c_low = (splat_f32(0x1.555556p-2f) - c) + zp + splat_f32(-0x1.555556p-27f);
    vf32 v = z * c;
    vf32 v_low = fma_f32(z, c, -v) + fma_f32(z, c_low, z_low * c);
    vf32 w = s * v;
    vf32 w_low = fma_f32(s, v, -w) + fma_f32(s, v_low, s_low * v);
    vf32 a = s + w;
    vf32 a_low = (s - a) + w + (w_low + s_low);
    vf32 k = splat_f32(0x1.715476p+1f), k_low = splat_f32(0x1.4ae0cp-25f);
    vf32 l = a * k;
    vf32 l_low = fma_f32(a, k, -l) + fma_f32(a, k_low, a_low * k);
    vf32 sum = e + l;
    l_low = (e - sum) + l + l_low;
    l = sum + l_low;
    *low = l_low - (l - sum);
    return l;
}

//@ pow_f32 : log2_pair_f32
// |x|^y = 2^(y log2 |x|) with the logarithm and the product in two parts, then signs and special values as in C99.
DEVICE_FN vf32 pow_f32(vf32 x, vf32 y) {
    vf32 zero = splat_f32(0.0f), one = splat_f32(1.0f), inf = as_vf32(splat_i32(0x7f800000));
    vf32 a = abs_f32(x);
    vf32 l_low;
    vf32 l = log2_pair_f32(a, &l_low);
    vf32 p = y * l;
    vf32 p_low = fma_f32(y, l, -p) + y * l_low;
    vmask inside = lt_f32(abs_f32(p), splat_f32(200.0f));
    p_low = sel_f32(inside, p_low, zero);
    p = sel_f32(inside, p, sel_f32(lt_f32(p, zero), splat_f32(-200.0f), splat_f32(200.0f)));
    // 2^n in two factors, as in exp_f32.
    vf32 t = p + splat_f32(12582912.0f + 254.0f);
    vf32 n = t - splat_f32(12582912.0f + 254.0f);
    vf32 mid = fma_f32(n, splat_f32(0.5f), splat_f32(12582912.0f + 127.0f));
    vf32 r = (p - n) + p_low;
    vf32 q = splat_f32(0x1.44ac02p-13f);
    q = fma_f32(q, r, splat_f32(0x1.5f486cp-10f));
    q = fma_f32(q, r, splat_f32(0x1.3b2988p-7f));
    q = fma_f32(q, r, splat_f32(0x1.c6aecep-5f));
    q = fma_f32(q, r, splat_f32(0x1.ebfbep-3f));
    q = fma_f32(q, r, splat_f32(0x1.62e43p-1f));
    q = fma_f32(q, r, one);
    q = q * as_vf32(as_vu32(mid) << 23) * as_vf32((as_vu32(t) - as_vu32(mid)) << 23);
    // 0 and inf to a power; 1 to any, since 0 * inf has spoilt that.
    vmask up = gt_f32(y, zero);
    q = sel_f32(eq_f32(a, zero), sel_f32(up, zero, inf), q);
    q = sel_f32(eq_f32(a, inf), sel_f32(up, inf, zero), q);
    q = sel_f32(eq_f32(a, one), one, q);
    // Below zero: y must be an integer, and the sign stays if it is odd.
    vmask whole = eq_f32(rint_f32(y), y);
    vf32 pairs = y * splat_f32(0.5f);
    vmask odd = mask_and(whole, ne_f32(rint_f32(pairs), pairs));
    q = as_vf32(as_vu32(q) | sel_u32(odd, as_vu32(x) & splat_u32(0x80000000u), splat_u32(0u)));
    vmask bad = mask_and(mask_and(lt_f32(x, zero), gt_f32(x, -inf)), mask_not(whole));
    bad = mask_or(bad, mask_or(ne_f32(x, x), ne_f32(y, y)));
    q = sel_f32(bad, as_vf32(splat_i32(0x7fc00000)), q);
    return sel_f32(mask_or(eq_f32(x, one), eq_f32(y, zero)), one, q);
}
