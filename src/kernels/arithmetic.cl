// Integer arithmetic made total, and random words: the parts of the generator's vocabulary that are not elementary
// functions. Written once for all forms.

//@ integer_i32
// x / 0 and x % 0 are 0, and the least integer divided by -1 wraps.
DEVICE_FN vi32 div_i32(vi32 a, vi32 b) {
    vmask odd = mask_or(eq_i32(b, splat_i32(0)), eq_i32(b, splat_i32(-1)));
    vi32 q = a / sel_i32(odd, splat_i32(1), b);
    q = sel_i32(eq_i32(b, splat_i32(-1)), as_vi32(splat_u32(0u) - as_vu32(a)), q);
    return sel_i32(eq_i32(b, splat_i32(0)), splat_i32(0), q);
}
DEVICE_FN vi32 rem_i32(vi32 a, vi32 b) {
    vmask odd = mask_or(eq_i32(b, splat_i32(0)), eq_i32(b, splat_i32(-1)));
    return sel_i32(odd, splat_i32(0), a % sel_i32(odd, splat_i32(1), b));
}
//@ integer_i64
DEVICE_FN vi64 div_i64(vi64 a, vi64 b) {
    vmask odd = mask_or(eq_i64(b, splat_i64(0)), eq_i64(b, splat_i64(-1)));
    vi64 q = a / sel_i64(odd, splat_i64(1), b);
    q = sel_i64(eq_i64(b, splat_i64(-1)), as_vi64(splat_u64(0) - as_vu64(a)), q);
    return sel_i64(eq_i64(b, splat_i64(0)), splat_i64(0), q);
}
DEVICE_FN vi64 rem_i64(vi64 a, vi64 b) {
    vmask odd = mask_or(eq_i64(b, splat_i64(0)), eq_i64(b, splat_i64(-1)));
    return sel_i64(odd, splat_i64(0), a % sel_i64(odd, splat_i64(1), b));
}
//@ power_i64
// a^b by squaring, wrapping; b < 0: 1/a^-b truncated, so 0 except for a = 1 and -1 (and 0 for a = 0).
DEVICE_FN vi64 pow_i64(vi64 a, vi64 b) {
    vu64 result = splat_u64(1), base = as_vu64(a), e = as_vu64(b);
    for (int i = 0; i < 64; i++) {
        result = sel_u64(ne_u64(e & splat_u64(1), splat_u64(0)), result * base, result);
        base = base * base;
        e = e >> 1;
        if (!mask_any(ne_u64(e, splat_u64(0)))) {
            break;
        }
    }
    vi64 odd = sel_i64(ne_i64(b & splat_i64(1), splat_i64(0)), splat_i64(-1), splat_i64(1));
    vi64 inverse = sel_i64(eq_i64(a, splat_i64(-1)), odd,
                           sel_i64(eq_i64(a, splat_i64(1)), splat_i64(1), splat_i64(0)));
    return sel_i64(lt_i64(b, splat_i64(0)), inverse, as_vi64(result));
}
//@ power_i32 : power_i64
DEVICE_FN vi32 pow_i32(vi32 a, vi32 b) { return cvt_i64_i32(pow_i64(cvt_i32_i64(a), cvt_i32_i64(b))); }

//@ philox
// Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3; SC 2011). Word `word % 4`
// of the block with counter (word / 4, number) and key seed.
DEVICE_FN vu32 philox_word(vi64 word, i64 number, i64 seed) {
    vu64 block = as_vu64(word) >> 2;
    vu32 c0 = cvt_u64_u32(block), c1 = cvt_u64_u32(block >> 32);
    vu32 c2 = splat_u32((u32)number), c3 = splat_u32((u32)((u64)number >> 32));
    u32 k0 = (u32)seed, k1 = (u32)((u64)seed >> 32);
    for (int round = 0; round < 10; round++) {
        vu32 h0 = mulhi_u32(c0, splat_u32(0xD2511F53u)), l0 = c0 * splat_u32(0xD2511F53u);
        vu32 h1 = mulhi_u32(c2, splat_u32(0xCD9E8D57u)), l1 = c2 * splat_u32(0xCD9E8D57u);
        c0 = h1 ^ c1 ^ splat_u32(k0);
        c1 = l1;
        c2 = h0 ^ c3 ^ splat_u32(k1);
        c3 = l0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    vu32 which = cvt_u64_u32(as_vu64(word)) & splat_u32(3u);
    vu32 low = sel_u32(eq_u32(which, splat_u32(0u)), c0, c1);
    vu32 high = sel_u32(eq_u32(which, splat_u32(2u)), c2, c3);
    return sel_u32(lt_u32(which, splat_u32(2u)), low, high);
}
//@ random_f32 : philox
DEVICE_FN vf32 random_f32(vi64 word, i64 number, i64 seed) {
    return cvt_u32_f32(philox_word(word, number, seed) >> 8) * splat_f32(0x1p-24f);
}
//@ random_f64 : philox
DEVICE_FN vf64 random_f64(vi64 word, i64 number, i64 seed) {
    vu64 high = cvt_u32_u64(philox_word(word, number, seed));
    vu64 low = cvt_u32_u64(philox_word(word + splat_i64(1), number, seed));
    return cvt_u64_f64(((high << 32) | low) >> 11) * splat_f64(0x1p-53);
}
