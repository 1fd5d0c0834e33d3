// Elementary functions of our own for f64. See elementary_f32.cl, whose rules hold here; a device without f64 has none of
// these.

//@ exp_f64
#ifdef WG_HAS_F64
// As exp_f32.
DEVICE_FN vf64 exp_f64(vf64 x) {
    x = sel_f64(lt_f64(x, splat_f64(-746.0)), splat_f64(-746.0), x);
    x = sel_f64(gt_f64(x, splat_f64(710.0)), splat_f64(710.0), x);
    vf64 t = fma_f64(x, splat_f64(0x1.71547652b82fep+0), splat_f64(0x1.8p+52 + 2046.0));
    vf64 n = t - splat_f64(0x1.8p+52 + 2046.0);
    vf64 mid = fma_f64(n, splat_f64(0.5), splat_f64(0x1.8p+52 + 1023.0));
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
    return p * as_vf64(as_vu64(mid) << 52) * as_vf64((as_vu64(t) - as_vu64(mid)) << 52);
}
#endif

//@ log_sum_f64
#ifdef WG_HAS_F64
// e ln2 + log(1 + f), as log_sum_f32; but log(1 + f) = 2 atanh(s) with s = f / (2 + f) needs half the terms. With
// h = f^2 / 2 it is f - (h - s (h + s^2 R(s^2))), where only the small last part is rounded more than once.
DEVICE_FN vf64 log_sum_f64(vf64 e, vf64 f) {
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
    return fma_f64(e, splat_f64(0x1.62e42fefa39efp-1), f + r);
}
#endif

//@ log_f64 : log_sum_f64
#ifdef WG_HAS_F64
// As log_f32.
DEVICE_FN vf64 log_f64(vf64 x) {
    vmask tiny = lt_f64(x, splat_f64(0x1p-1022));
    vi64 b = as_vi64(as_vu64(sel_f64(tiny, x * splat_f64(0x1p+54), x)) - splat_u64(U64_C(0x3fe6a09e667f3bcd)));
    vf64 e = cvt_i32_f64(cvt_i64_i32(b >> 52) - sel_i32(tiny, splat_i32(54), splat_i32(0)));
    vf64 f = as_vf64((b & splat_i64(I64_C(0x000fffffffffffff))) + splat_i64(I64_C(0x3fe6a09e667f3bcd)));
    f = f - splat_f64(1.0);
    vf64 inf = as_vf64(splat_i64(I64_C(0x7ff0000000000000)));
    vf64 r = sel_f64(lt_f64(x, inf), log_sum_f64(e, f), x);
    r = sel_f64(lt_f64(x, splat_f64(0.0)), as_vf64(splat_i64(I64_C(0x7ff8000000000000))), r);
    return sel_f64(eq_f64(x, splat_f64(0.0)), -inf, r);
}
#endif

//@ log1p_f64 : log_sum_f64
#ifdef WG_HAS_F64
// As log1p_f32.
DEVICE_FN vf64 log1p_f64(vf64 x) {
    vi64 b = as_vi64(as_vu64(x + splat_f64(1.0)) - splat_u64(U64_C(0x3fe6a09e667f3bcd)));
    vi64 e = b >> 52;
    vf64 f = as_vf64((b & splat_i64(I64_C(0x000fffffffffffff))) + splat_i64(I64_C(0x3fe6a09e667f3bcd)));
    f = f - splat_f64(1.0);
    vf64 s = as_vf64(as_vu64(splat_i64(1023) - e) << 52);
    f = sel_f64(gt_i64(e, splat_i64(53)), f, fma_f64(x, s, s - splat_f64(1.0)));
    vf64 inf = as_vf64(splat_i64(I64_C(0x7ff0000000000000)));
    vf64 r = sel_f64(lt_f64(x, inf), log_sum_f64(cvt_i32_f64(cvt_i64_i32(e)), f), x);
    r = sel_f64(lt_f64(x, splat_f64(-1.0)), as_vf64(splat_i64(I64_C(0x7ff8000000000000))), r);
    r = sel_f64(eq_f64(x, splat_f64(-1.0)), -inf, r);
    return sel_f64(eq_f64(x, splat_f64(0.0)), x, r);
}
#endif

//@ half_expm1_f64
#ifdef WG_HAS_F64
// As half_expm1_f32, for -60 < x < 710, but e^r - 1 comes in two parts, the first of them r0, which is exact.
DEVICE_FN vf64 half_expm1_f64(vf64 x) {
    vf64 t = fma_f64(x, splat_f64(0x1.71547652b82fep+0), splat_f64(0x1.8p+52 + 1022.0));
    vf64 n = t - splat_f64(0x1.8p+52 + 1022.0);
    vf64 s = as_vf64(as_vu64(t) << 52);
    vf64 r0 = fma_f64(n, splat_f64(-0x1.62e42fefa39efp-1), x); // exact
    vf64 low = n * splat_f64(-0x1.abc9e3b39803fp-56);
    vf64 r = r0 + low;
    vf64 p = splat_f64(0x1.1ee86b18b6561p-29);
    p = fma_f64(p, r, splat_f64(0x1.af5f6662d132ep-26));
    p = fma_f64(p, r, splat_f64(0x1.27e536a870412p-22));
    p = fma_f64(p, r, splat_f64(0x1.71ddf7ff98f81p-19));
    p = fma_f64(p, r, splat_f64(0x1.a01a017b5acdbp-16));
    p = fma_f64(p, r, splat_f64(0x1.a01a01b001708p-13));
    p = fma_f64(p, r, splat_f64(0x1.6c16c16c1f275p-10));
    p = fma_f64(p, r, splat_f64(0x1.111111110f675p-7));
    p = fma_f64(p, r, splat_f64(0x1.555555555553ep-5));
    p = fma_f64(p, r, splat_f64(0x1.5555555555559p-3));
    p = fma_f64(p, r, splat_f64(0.5));
    return fma_f64(s, fma_f64(p * r, r, low), fma_f64(s, r0, s - splat_f64(0.5)));
}
#endif

//@ expm1_f64 : half_expm1_f64
#ifdef WG_HAS_F64
DEVICE_FN vf64 expm1_f64(vf64 x) {
    vf64 y = sel_f64(lt_f64(x, splat_f64(-40.0)), splat_f64(-40.0), x);
    y = sel_f64(gt_f64(y, splat_f64(709.9)), splat_f64(709.9), y);
    vf64 h = half_expm1_f64(y);
    return sel_f64(lt_f64(abs_f64(x), splat_f64(0x1p-54)), x, h + h);
}
#endif

//@ tanh_f64 : half_expm1_f64
#ifdef WG_HAS_F64
// As tanh_f32; at 20 tanh is 1.
DEVICE_FN vf64 tanh_f64(vf64 x) {
    vf64 a = abs_f64(x);
    a = sel_f64(gt_f64(a, splat_f64(20.0)), splat_f64(20.0), a);
    vf64 z = a * a;
    vf64 p = splat_f64(-0x1.4711469632875p-16);
    p = fma_f64(p, z, splat_f64(0x1.5d7472672808cp-14));
    p = fma_f64(p, z, splat_f64(-0x1.e96fce4a1eab7p-13));
    p = fma_f64(p, z, splat_f64(0x1.3483af625e5b0p-11));
    p = fma_f64(p, z, splat_f64(-0x1.7d8fd3c6aae90p-10));
    p = fma_f64(p, z, splat_f64(0x1.d6d29b98d00fcp-9));
    p = fma_f64(p, z, splat_f64(-0x1.226e2f1486746p-7));
    p = fma_f64(p, z, splat_f64(0x1.664f485970f43p-6));
    p = fma_f64(p, z, splat_f64(-0x1.ba1ba1b97d89ep-5));
    p = fma_f64(p, z, splat_f64(0x1.111111111079fp-3));
    p = fma_f64(p, z, splat_f64(-0x1.555555555554fp-2));
    p = fma_f64(z * a, p, a);
    vf64 h = half_expm1_f64(a + a);
    vf64 r = sel_f64(lt_f64(a, splat_f64(0.55)), p, h / (h + splat_f64(1.0)));
    return as_vf64(as_vu64(r) | (as_vu64(x) & splat_u64(U64_C(0x8000000000000000))));
}
#endif

//@ erf_f64 : exp_f64
#ifdef WG_HAS_F64
// |x| < 1: x + x P(x^2). Beyond: 1 - e^G(|x| - 1); at 5.95 erf is 1.
DEVICE_FN vf64 erf_f64(vf64 x) {
    vf64 a = abs_f64(x);
    a = sel_f64(gt_f64(a, splat_f64(5.95)), splat_f64(5.95), a);
    vf64 z = a * a;
    vf64 p = splat_f64(0x1.0447a160c5989p-34);
    p = fma_f64(p, z, splat_f64(-0x1.37fb968dfa532p-30));
    p = fma_f64(p, z, splat_f64(0x1.f780c9455a999p-27));
    p = fma_f64(p, z, splat_f64(-0x1.5f1a006d17bd5p-23));
    p = fma_f64(p, z, splat_f64(0x1.b9de92d0addbbp-20));
    p = fma_f64(p, z, splat_f64(-0x1.f4d1d8046ed68p-17));
    p = fma_f64(p, z, splat_f64(0x1.f9a32143bc429p-14));
    p = fma_f64(p, z, splat_f64(-0x1.c02db3d5d22efp-11));
    p = fma_f64(p, z, splat_f64(0x1.565bcd0d9f754p-8));
    p = fma_f64(p, z, splat_f64(-0x1.b82ce312842fcp-6));
    p = fma_f64(p, z, splat_f64(0x1.ce2f21a042b0bp-4));
    p = fma_f64(p, z, splat_f64(-0x1.812746b0379e6p-2));
    p = fma_f64(p, z, splat_f64(0x1.06eba8214db69p-3));
    p = fma_f64(p, a, a);
    vf64 u = a - splat_f64(1.0);
    vf64 g = splat_f64(-0x1.56546437a8369p-38);
    g = fma_f64(g, u, splat_f64(0x1.0664051561915p-33));
    g = fma_f64(g, u, splat_f64(-0x1.6a94e093a74fap-30));
    g = fma_f64(g, u, splat_f64(0x1.24b21ae9e9db7p-27));
    g = fma_f64(g, u, splat_f64(-0x1.1ed28c2941d23p-25));
    g = fma_f64(g, u, splat_f64(0x1.f24cb55471f5bp-25));
    g = fma_f64(g, u, splat_f64(0x1.b7d6943d4786bp-23));
    g = fma_f64(g, u, splat_f64(-0x1.1e251739a2b9cp-19));
    g = fma_f64(g, u, splat_f64(0x1.44848e52be375p-17));
    g = fma_f64(g, u, splat_f64(-0x1.c852ba2df0ba4p-16));
    g = fma_f64(g, u, splat_f64(0x1.b92de2a593e2dp-16));
    g = fma_f64(g, u, splat_f64(0x1.f1b04a15bd525p-13));
    g = fma_f64(g, u, splat_f64(-0x1.033f5a10c6207p-9));
    g = fma_f64(g, u, splat_f64(0x1.48c9d37fa66fap-7));
    g = fma_f64(g, u, splat_f64(-0x1.5477f099b5f36p-5));
    g = fma_f64(g, u, splat_f64(-0x1.afabc11a2afe7p-1));
    g = fma_f64(g, u, splat_f64(-0x1.51c9b0006c21ap+1));
    g = fma_f64(g, u, splat_f64(-0x1.d97fbf27aa2a1p+0));
    vf64 r = sel_f64(lt_f64(a, splat_f64(1.0)), p, splat_f64(1.0) - exp_f64(g));
    return as_vf64(as_vu64(r) | (as_vu64(x) & splat_u64(U64_C(0x8000000000000000))));
}
#endif

//@ two_sum_f64
#ifdef WG_HAS_F64
// a + b, and in *low what it rounds away.
DEVICE_FN vf64 two_sum_f64(vf64 a, vf64 b, vf64 *low) {
    vf64 s = a + b;
    vf64 c = s - a;
    *low = (a - (s - c)) + (b - c);
    return s;
}
#endif

//@ sincos_far_f64 : two_sum_f64
#ifdef WG_HAS_F64
// x = n pi/2 + r + *r_low for finite x >= 2^30, and n modulo 4. The bits of 2/pi stand in 25 chunks of 48, each an
// integer: of them x = m 2^e needs five from j = (e - 2) / 48 on, because earlier ones only add multiples of 4. The
// products are exact pairs; whatever is large is taken modulo 4, and the rest is added up in triple precision.
DEVICE_FN vf64 sincos_far_f64(vf64 x, vf64 *r_low, vi64 *quadrant) {
    vi64 bits = as_vi64(x);
    vi32 e = cvt_i64_i32(bits >> 52) - splat_i32(1075);
    vi32 j = (max_i32(e - splat_i32(2), splat_i32(0)) * splat_i32(1366)) >> 16; // the quotient, below 1000
    vi64 field = cvt_i32_i64(e + splat_i32(1075 - 48) - j * splat_i32(48));
    vf64 m = as_vf64((bits & splat_i64(I64_C(0x000fffffffffffff))) | (field << 52));
    vmask j16 = ne_i32(j & splat_i32(16), splat_i32(0));
    vmask j8 = ne_i32(j & splat_i32(8), splat_i32(0));
    vmask j4 = ne_i32(j & splat_i32(4), splat_i32(0));
    vmask j2 = ne_i32(j & splat_i32(2), splat_i32(0));
    vmask j1 = ne_i32(j & splat_i32(1), splat_i32(0));
    vf64 a0 = sel_f64(j16, splat_f64(0x1.de5e2316b414p+47), splat_f64(0x1.45f306dc9c88p+47));
    vf64 a1 = sel_f64(j16, splat_f64(0x1.b47db4d9fb3cp+46), splat_f64(0x1.529fc2757d1p+44));
    vf64 a2 = sel_f64(j16, splat_f64(0x1.3e584dba7a3p+45), splat_f64(0x1.ea69bb81b6c4p+47));
    vf64 a3 = sel_f64(j16, splat_f64(0x1.fb34f2ff5168p+45), splat_f64(0x1.2b3278872082p+47));
    vf64 a4 = sel_f64(j16, splat_f64(0x1.d49eeb1faf94p+46), splat_f64(0x1.fca2c757bd76p+47));
    vf64 a5 = sel_f64(j16, splat_f64(0x1.e2f67a0e73eep+47), splat_f64(0x1.8ac36e48dc74p+47));
    vf64 a6 = sel_f64(j16, splat_f64(0x1.14a525d4d7f6p+47), splat_f64(0x1.09374b801924p+46));
    vf64 a7 = sel_f64(j16, splat_f64(0x1.7ec47e35742p+46), splat_f64(0x1.77504e8c90ep+45));
    vf64 a8 = sel_f64(j16, splat_f64(0x1.580cc11bf1ecp+46), splat_f64(0x1.fc3bd6396252p+47));
    vf64 b0 = sel_f64(j8, a8, a0);
    vf64 b1 = sel_f64(j8, splat_f64(0x1.4e7dd1046beap+47), a1);
    vf64 b2 = sel_f64(j8, splat_f64(0x1.75da24274cep+45), a2);
    vf64 b3 = sel_f64(j8, splat_f64(0x1.c09ad17df904p+46), a3);
    vf64 b4 = sel_f64(j8, splat_f64(0x1.cc8eb1cc1a98p+45), a4);
    vf64 b5 = sel_f64(j8, splat_f64(0x1.cfa4e422fc58p+45), a5);
    vf64 b6 = sel_f64(j8, splat_f64(0x1.7bf250763ffp+47), a6);
    vf64 b7 = sel_f64(j8, splat_f64(0x1.2fffbc0b301ep+47), a7);
    vf64 b8 = sel_f64(j8, splat_f64(0x1.de5e2316b414p+47), a8);
    vf64 b9 = sel_f64(j8, splat_f64(0x1.b47db4d9fb3cp+46), splat_f64(0x1.4e7dd1046beap+47));
    vf64 b10 = sel_f64(j8, splat_f64(0x1.3e584dba7a3p+45), splat_f64(0x1.75da24274cep+45));
    vf64 b11 = sel_f64(j8, splat_f64(0x1.fb34f2ff5168p+45), splat_f64(0x1.c09ad17df904p+46));
    vf64 c0 = sel_f64(j4, b4, b0);
    vf64 c1 = sel_f64(j4, b5, b1);
    vf64 c2 = sel_f64(j4, b6, b2);
    vf64 c3 = sel_f64(j4, b7, b3);
    vf64 c4 = sel_f64(j4, b8, b4);
    vf64 c5 = sel_f64(j4, b9, b5);
    vf64 c6 = sel_f64(j4, b10, b6);
    vf64 c7 = sel_f64(j4, b11, b7);
    vf64 d0 = sel_f64(j2, c2, c0);
    vf64 d1 = sel_f64(j2, c3, c1);
    vf64 d2 = sel_f64(j2, c4, c2);
    vf64 d3 = sel_f64(j2, c5, c3);
    vf64 d4 = sel_f64(j2, c6, c4);
    vf64 d5 = sel_f64(j2, c7, c5);
    vf64 k0 = sel_f64(j1, d1, d0);
    vf64 k1 = sel_f64(j1, d2, d1);
    vf64 k2 = sel_f64(j1, d3, d2);
    vf64 k3 = sel_f64(j1, d4, d3);
    vf64 k4 = sel_f64(j1, d5, d4);
    k1 = k1 * splat_f64(0x1p-48);
    k2 = k2 * splat_f64(0x1p-96);
    k3 = k3 * splat_f64(0x1p-144);
    k4 = k4 * splat_f64(0x1p-192);
    vf64 p0 = m * k0, p1 = m * k1, p2 = m * k2, p3 = m * k3;
    vf64 q0 = fma_f64(m, k0, -p0), q1 = fma_f64(m, k1, -p1), q2 = fma_f64(m, k2, -p2), q3 = fma_f64(m, k3, -p3);
    vf64 four = splat_f64(4.0), fourth = splat_f64(0.25);
    p0 = fma_f64(rint_f64(p0 * fourth), -four, p0);
    q0 = fma_f64(rint_f64(q0 * fourth), -four, q0);
    p1 = fma_f64(rint_f64(p1 * fourth), -four, p1);
    p2 = fma_f64(rint_f64(p2 * fourth), -four, p2);
    vf64 l0, l1, l2, l3, l4, l5, t0, t1, t2, t3, t4;
    vf64 s = two_sum_f64(p0, q0, &l0);
    s = two_sum_f64(s, p1, &l1);
    s = two_sum_f64(s, q1, &l2);
    s = two_sum_f64(s, p2, &l3);
    s = two_sum_f64(s, q2, &l4);
    s = two_sum_f64(s, p3, &l5);
    vf64 n = rint_f64(s);
    s = s - n;
    l0 = two_sum_f64(l0, l1, &t0);
    l0 = two_sum_f64(l0, l2, &t1);
    l0 = two_sum_f64(l0, l3, &t2);
    l0 = two_sum_f64(l0, l4, &t3);
    l0 = two_sum_f64(l0, l5, &t4);
    vf64 tail = ((t0 + t1) + (t2 + t3)) + (t4 + fma_f64(m, k4, q3));
    s = two_sum_f64(s, l0, &l1);
    s = two_sum_f64(s, l1 + tail, &l1);
    // Times pi/2.
    vf64 r = s * splat_f64(0x1.921fb54442d18p+0);
    vf64 low = fma_f64(s, splat_f64(0x1.921fb54442d18p+0), -r);
    low = low + fma_f64(l1, splat_f64(0x1.921fb54442d18p+0), s * splat_f64(0x1.1a62633145c07p-54));
    *quadrant = as_vi64(n + splat_f64(0x1.8p+52));
    vf64 sum = r + low;
    *r_low = low - (sum - r);
    return sum;
}
#endif

//@ sincos_f64 : sincos_far_f64
#ifdef WG_HAS_F64
// sin |x| for turn = 0, sin(|x| + pi/2) for turn = 1. The reduction is that of sincos_reduce_f32, up to 2^30 here, and
// keeps r as a pair; the low part goes into the polynomials: sin(r + low) = sin r + low, cos(r + low) = cos r - r low.
DEVICE_FN vf64 sincos_f64(vf64 x, vi64 turn) {
    vf64 a = abs_f64(x);
    vf64 t = fma_f64(a, splat_f64(0x1.45f306dc9c883p-1), splat_f64(0x1.8p+52));
    vf64 n = t - splat_f64(0x1.8p+52);
    vf64 r0 = fma_f64(n, splat_f64(-0x1.921fb54442d18p+0), a);
    vf64 high = n * splat_f64(0x1.1a62633145c07p-54);
    vf64 low = fma_f64(n, splat_f64(0x1.1a62633145c07p-54), -high);
    vf64 r1 = r0 - high;
    vf64 back = r1 - r0;
    vf64 rest = (r0 - (r1 - back)) - (high + back);
    low = fma_f64(n, splat_f64(0x1.f1976b7ed8fbcp-110), rest - low);
    vf64 r = r1 + low;
    low = low - (r - r1);
    vi64 q = as_vi64(t);
    vmask far = mask_and(ge_f64(a, splat_f64(0x1p+30)), lt_f64(a, as_vf64(splat_i64(I64_C(0x7ff0000000000000)))));
    if (mask_any(far)) {
        vf64 far_low;
        vi64 far_q;
        vf64 far_r = sincos_far_f64(sel_f64(far, a, splat_f64(0x1p+30)), &far_low, &far_q);
        r = sel_f64(far, far_r, r);
        low = sel_f64(far, far_low, low);
        q = sel_i64(far, far_q, q);
    }
    q = q + turn;
    vf64 z = r * r;
    vf64 s = splat_f64(-0x1.aa98631d178e7p-41);
    s = fma_f64(s, z, splat_f64(0x1.61207887d2a73p-33));
    s = fma_f64(s, z, splat_f64(-0x1.ae64526ed1020p-26));
    s = fma_f64(s, z, splat_f64(0x1.71de3a53193fdp-19));
    s = fma_f64(s, z, splat_f64(-0x1.a01a01a018951p-13));
    s = fma_f64(s, z, splat_f64(0x1.111111111110ap-7));
    s = fma_f64(s, z, splat_f64(-0x1.5555555555555p-3));
    s = r + fma_f64(z * r, s, low);
    vf64 c = splat_f64(-0x1.8f9a69b9f03d1p-37);
    c = fma_f64(c, z, splat_f64(0x1.1ee9c462ac5bdp-29));
    c = fma_f64(c, z, splat_f64(-0x1.27e4f7cee55dap-22));
    c = fma_f64(c, z, splat_f64(0x1.a01a019c5e88cp-16));
    c = fma_f64(c, z, splat_f64(-0x1.6c16c16c14e17p-10));
    c = fma_f64(c, z, splat_f64(0x1.555555555554ap-5));
    vf64 h = z * splat_f64(0.5);
    vf64 w = splat_f64(1.0) - h;
    c = w + (((splat_f64(1.0) - w) - h) + fma_f64(z * z, c, -r * low));
    r = sel_f64(ne_i64(q & splat_i64(1), splat_i64(0)), c, s);
    return as_vf64(as_vu64(r) ^ ((as_vu64(q) << 62) & splat_u64(U64_C(0x8000000000000000))));
}
#endif

//@ sin_f64 : sincos_f64
#ifdef WG_HAS_F64
DEVICE_FN vf64 sin_f64(vf64 x) {
    vf64 r = sincos_f64(x, splat_i64(0));
    return as_vf64(as_vu64(r) ^ (as_vu64(x) & splat_u64(U64_C(0x8000000000000000))));
}
#endif

//@ cos_f64 : sincos_f64
#ifdef WG_HAS_F64
DEVICE_FN vf64 cos_f64(vf64 x) { return sincos_f64(x, splat_i64(1)); }
#endif

//@ log2_pair_f64
#ifdef WG_HAS_F64
// As log2_pair_f32, good to about 68 bits; one more term of the series is kept in two parts.
DEVICE_FN vf64 log2_pair_f64(vf64 x, vf64 *low) {
    vmask tiny = lt_f64(x, splat_f64(0x1p-1022));
    vi64 b = as_vi64(as_vu64(sel_f64(tiny, x * splat_f64(0x1p+54), x)) - splat_u64(U64_C(0x3fe6a09e667f3bcd)));
    vf64 e = cvt_i32_f64(cvt_i64_i32(b >> 52) - sel_i32(tiny, splat_i32(54), splat_i32(0)));
    vf64 m = as_vf64((b & splat_i64(I64_C(0x000fffffffffffff))) + splat_i64(I64_C(0x3fe6a09e667f3bcd)));
    vf64 above = m + splat_f64(1.0);
    vf64 above_low = m - (above - splat_f64(1.0));
    vf64 below = m - splat_f64(1.0);
    vf64 s = below / above;
    vf64 s_low = (fma_f64(-s, above, below) - s * above_low) / above;
    vf64 z = s * s;
    vf64 z_low = fma_f64(s, s, -z) + (s + s) * s_low;
    vf64 p = splat_f64(0x1.e7de50eac47d5p-5);
    p = fma_f64(p, z, splat_f64(0x1.de9eb05c55729p-5));
    p = fma_f64(p, z, splat_f64(0x1.111dcd6f25f89p-4));
    p = fma_f64(p, z, splat_f64(0x1.3b137839ff230p-4));
    p = fma_f64(p, z, splat_f64(0x1.745d17d7507f4p-4));
    p = fma_f64(p, z, splat_f64(0x1.c71c71c65a294p-4));
    p = fma_f64(p, z, splat_f64(0x1.24924924927cdp-3));
    // 1/5 + z p, then 1/3 + z times that, and what is lost.
    vf64 zp = z * p;
    vf64 d = splat_f64(0x1.999999999999ap-3) + zp;
    vf64 d_low = (splat_f64(0x1.999999999999ap-3) - d) + zp + splat_f64(-0x1.999999999999ap-57);
    vf64 zd = z * d;
    vf64 zd_low = fma_f64(z, d, -zd) + fma_f64(z, d_low, z_low * d);
    vf64 c = splat_f64(0x1.5555555555555p-2) + zd;
    vf64 c_low = (splat_f64(0x1.5555555555555p-2) - c) + zd + (zd_low + splat_f64(0x1.5555555555555p-56));
    vf64 v = z * c;
    vf64 v_low = fma_f64(z, c, -v) + fma_f64(z, c_low, z_low * c);
    vf64 w = s * v;
    vf64 w_low = fma_f64(s, v, -w) + fma_f64(s, v_low, s_low * v);
    vf64 a = s + w;
    vf64 a_low = (s - a) + w + (w_low + s_low);
    vf64 k = splat_f64(0x1.71547652b82fep+1), k_low = splat_f64(0x1.777d0ffda0d24p-55);
    vf64 l = a * k;
    vf64 l_low = fma_f64(a, k, -l) + fma_f64(a, k_low, a_low * k);
    vf64 sum = e + l;
    l_low = (e - sum) + l + l_low;
    l = sum + l_low;
    *low = l_low - (l - sum);
    return l;
}
#endif

//@ pow_f64 : log2_pair_f64
#ifdef WG_HAS_F64
// As pow_f32.
DEVICE_FN vf64 pow_f64(vf64 x, vf64 y) {
    vf64 zero = splat_f64(0.0), one = splat_f64(1.0), inf = as_vf64(splat_i64(I64_C(0x7ff0000000000000)));
    vf64 a = abs_f64(x);
    vf64 l_low;
    vf64 l = log2_pair_f64(a, &l_low);
    vf64 p = y * l;
    vf64 p_low = fma_f64(y, l, -p) + y * l_low;
    vmask inside = lt_f64(abs_f64(p), splat_f64(1200.0));
    p_low = sel_f64(inside, p_low, zero);
    p = sel_f64(inside, p, sel_f64(lt_f64(p, zero), splat_f64(-1200.0), splat_f64(1200.0)));
    // 2^n in two factors, as in exp_f64.
    vf64 t = p + splat_f64(0x1.8p+52 + 2046.0);
    vf64 n = t - splat_f64(0x1.8p+52 + 2046.0);
    vf64 mid = fma_f64(n, splat_f64(0.5), splat_f64(0x1.8p+52 + 1023.0));
    vf64 r = (p - n) + p_low;
    vf64 q = splat_f64(0x1.c4d6641491231p-36);
    q = fma_f64(q, r, splat_f64(0x1.e9faae9ff8765p-32));
    q = fma_f64(q, r, splat_f64(0x1.e4ceec39e03edp-28));
    q = fma_f64(q, r, splat_f64(0x1.b524e2c4102e4p-24));
    q = fma_f64(q, r, splat_f64(0x1.62c0224c3a43ep-20));
    q = fma_f64(q, r, splat_f64(0x1.ffcbfc718de2bp-17));
    q = fma_f64(q, r, splat_f64(0x1.430912f8694d8p-13));
    q = fma_f64(q, r, splat_f64(0x1.5d87fe78a350ep-10));
    q = fma_f64(q, r, splat_f64(0x1.3b2ab6fba4e7fp-7));
    q = fma_f64(q, r, splat_f64(0x1.c6b08d704a0c8p-5));
    q = fma_f64(q, r, splat_f64(0x1.ebfbdff82c58fp-3));
    q = fma_f64(q, r, splat_f64(0x1.62e42fefa39efp-1));
    q = fma_f64(q, r, one);
    q = q * as_vf64(as_vu64(mid) << 52) * as_vf64((as_vu64(t) - as_vu64(mid)) << 52);
    // 0 and inf to a power; 1 to any, since 0 * inf has spoilt that.
    vmask up = gt_f64(y, zero);
    q = sel_f64(eq_f64(a, zero), sel_f64(up, zero, inf), q);
    q = sel_f64(eq_f64(a, inf), sel_f64(up, inf, zero), q);
    q = sel_f64(eq_f64(a, one), one, q);
    // Below zero: y must be an integer, and the sign stays if it is odd.
    vmask whole = eq_f64(rint_f64(y), y);
    vf64 pairs = y * splat_f64(0.5);
    vmask odd = mask_and(whole, ne_f64(rint_f64(pairs), pairs));
    q = as_vf64(as_vu64(q) | sel_u64(odd, as_vu64(x) & splat_u64(U64_C(0x8000000000000000)), splat_u64(0u)));
    vmask bad = mask_and(mask_and(lt_f64(x, zero), gt_f64(x, -inf)), mask_not(whole));
    bad = mask_or(bad, mask_or(ne_f64(x, x), ne_f64(y, y)));
    q = sel_f64(bad, as_vf64(splat_i64(I64_C(0x7ff8000000000000))), q);
    return sel_f64(mask_or(eq_f64(x, one), eq_f64(y, zero)), one, q);
}
#endif
