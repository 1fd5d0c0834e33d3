// 16-bit floats in the lane vocabulary: memory has their bits, registers have f32. Integer code, and additions of normal
// numbers: the same bits everywhere, whatever a device does with subnormals.

//@ f16
DEVICE_FN vf32 widen_f16(vu32 h) {
    vu32 magnitude = (h & splat_u32(0x7fffu)) << 13;
    // The exponent moves from one bias to the other, and once more for infinities and NaN. A subnormal becomes the fraction of
    // 2^-14, which is then taken away.
    vu32 bits = magnitude + sel_u32(ge_u32(magnitude, splat_u32(0x0f800000u)), splat_u32(0x70000000u), splat_u32(0x38000000u));
    vf32 small = as_vf32(magnitude + splat_u32(0x38800000u)) - splat_f32(0x1p-14f);
    bits = sel_u32(lt_u32(magnitude, splat_u32(0x00800000u)), as_vu32(small), bits);
    return as_vf32(bits | ((h & splat_u32(0x8000u)) << 16));
}
// To nearest, ties to even; from 65520 on infinity; NaN quiet. Below 2^-14 an addition of 0.5 rounds to units of 2^-24.
DEVICE_FN vu32 bits_f16(vf32 x) {
    vu32 u = as_vu32(x), magnitude = u & splat_u32(0x7fffffffu);
    vu32 h = (magnitude - splat_u32(0x38000000u - 0xfffu) + ((magnitude >> 13) & splat_u32(1u))) >> 13;
    vu32 small = as_vu32(as_vf32(magnitude) + splat_f32(0.5f)) - splat_u32(0x3f000000u);
    vu32 nan = splat_u32(0x7e00u) | ((magnitude >> 13) & splat_u32(0x3ffu));
    h = sel_u32(lt_u32(magnitude, splat_u32(0x38800000u)), small, h);
    h = sel_u32(ge_u32(magnitude, splat_u32(0x47800000u)), splat_u32(0x7c00u), h);
    h = sel_u32(gt_u32(magnitude, splat_u32(0x7f800000u)), nan, h);
    return h | ((u >> 16) & splat_u32(0x8000u));
}
DEVICE_FN vf32 round_f16(vf32 x) { return widen_f16(bits_f16(x)); }

//@ bf16
DEVICE_FN vf32 widen_bf16(vu32 h) { return as_vf32(h << 16); }
// To nearest, ties to even; NaN quiet.
DEVICE_FN vu32 bits_bf16(vf32 x) {
    vu32 u = as_vu32(x), h = (u + splat_u32(0x7fffu) + ((u >> 16) & splat_u32(1u))) >> 16;
    vmask nan = gt_u32(u & splat_u32(0x7fffffffu), splat_u32(0x7f800000u));
    return sel_u32(nan, (u >> 16) | splat_u32(0x40u), h);
}
DEVICE_FN vf32 round_bf16(vf32 x) { return as_vf32(bits_bf16(x) << 16); }
