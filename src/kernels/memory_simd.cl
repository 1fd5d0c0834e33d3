// Loads and stores of up to 16 neighbouring or strided elements, and sums across lanes, for the simd form. n is how
// many of the lanes are real; the others read what happens to be there, and are not written. Neighbouring elements are
// loaded sixteen at once even at the end of a row: allocations leave room for that (WG_MEM_SLACK in runtime/backend.h).

//@ memory
DEVICE_FN vmask first_lanes(int n) {
    const vi32 lane = (vi32)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return lane < (vi32)(n);
}
DEVICE_FN vi64 lane_numbers(i64 first, i64 step) {
    const vi64 lane = (vi64)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return lane * (vi64)(step) + (vi64)(first);
}
// These loops run for tails and odd strides only. Unrolled into every load they would make a kernel many times its size,
// and a device's compiler slow.
#define SMALL_LOOP _Pragma("clang loop unroll(disable) vectorize(disable)")
// t: the type in registers, c: in memory; IN and OUT convert a vector of c to the register's type and back.
#define WG_MEMORY(t, r, c, IN, OUT)                                                                                    \
    DEVICE_FN r same_##t(const GLOBAL c *p) { return IN((c##16)(*p)); }                                                \
    DEVICE_FN r load_##t(const GLOBAL c *p, int n) { return IN(vload16(0, p)); }                                       \
    DEVICE_FN r step_##t(const GLOBAL c *p, i64 step, int n) {                                                         \
        c s[16];                                                                                                       \
        vstore16((c##16)(0), 0, s);                                                                                    \
        SMALL_LOOP for (int l = 0; l < n; l++) {                                                                       \
            s[l] = p[l * step];                                                                                        \
        }                                                                                                              \
        return IN(vload16(0, s));                                                                                      \
    }                                                                                                                  \
    DEVICE_FN r pick_##t(const GLOBAL c *p, i64 step, vi64 index, i64 by, vmask cond, int n) {                         \
        c s[16];                                                                                                       \
        long at[16];                                                                                                   \
        int on[16];                                                                                                    \
        vstore16(index, 0, at);                                                                                        \
        vstore16(cond, 0, on);                                                                                         \
        if (step == 1 && n == 16 && mask_all(cond) && at[0] == at[15] && mask_all(eq_i64(index, (vi64)(at[0])))) {     \
            return IN(vload16(0, p + at[0] * by));                                                                     \
        }                                                                                                              \
        SMALL_LOOP for (int l = 0; l < 16; l++) {                                                                      \
            s[l] = l < n && on[l] ? p[l * step + at[l] * by] : (c)0;                                                   \
        }                                                                                                              \
        return IN(vload16(0, s));                                                                                      \
    }                                                                                                                  \
    DEVICE_FN r guard_##t(const GLOBAL c *p, i64 step, vmask cond, int n) {                                            \
        if (step == 1 && n == 16 && mask_all(cond)) {                                                                  \
            return IN(vload16(0, p));                                                                                  \
        }                                                                                                              \
        c s[16] = {0};                                                                                                 \
        if (!mask_any(cond)) {                                                                                         \
            return IN(vload16(0, s));                                                                                  \
        }                                                                                                              \
        int on[16];                                                                                                    \
        vstore16(cond, 0, on);                                                                                         \
        SMALL_LOOP for (int l = 0; l < 16; l++) {                                                                      \
            s[l] = l < n && on[l] ? p[l * step] : (c)0;                                                                \
        }                                                                                                              \
        return IN(vload16(0, s));                                                                                      \
    }                                                                                                                  \
    DEVICE_FN void save_one_##t(GLOBAL c *p, r x) { *p = OUT(x).s0; }                                                  \
    DEVICE_FN void save_##t(GLOBAL c *p, int n, r x) {                                                                 \
        c##16 v = OUT(x);                                                                                              \
        if (n == 16) {                                                                                                 \
            vstore16(v, 0, p);                                                                                         \
            return;                                                                                                    \
        }                                                                                                              \
        c s[16];                                                                                                       \
        vstore16(v, 0, s);                                                                                             \
        SMALL_LOOP for (int l = 0; l < n; l++) {                                                                       \
            p[l] = s[l];                                                                                               \
        }                                                                                                              \
    }                                                                                                                  \
    DEVICE_FN void save_step_##t(GLOBAL c *p, i64 step, int n, r x) {                                                  \
        c s[16];                                                                                                       \
        vstore16(OUT(x), 0, s);                                                                                        \
        SMALL_LOOP for (int l = 0; l < n; l++) {                                                                       \
            p[l * step] = s[l];                                                                                        \
        }                                                                                                              \
    }                                                                                                                  \
    DEVICE_FN void stream_##t(GLOBAL c *p, int n, r x) {                                                               \
        if (n == 16) {                                                                                                 \
            __builtin_nontemporal_store(OUT(x), (GLOBAL c##16 *)p);                                                    \
        } else {                                                                                                       \
            save_##t(p, n, x);                                                                                         \
        }                                                                                                              \
    }
// One number from 16, always by the same tree.
#define WG_ACROSS(t, c, name, OP)                                                                                      \
    DEVICE_FN v##t across_##name##_##t(v##t v) {                                                                       \
        c s[16];                                                                                                       \
        vstore16(v, 0, s);                                                                                             \
        for (int k = 8; k > 0; k >>= 1) {                                                                              \
            for (int l = 0; l < k; l++) {                                                                              \
                c a = s[l], b = s[l + k];                                                                              \
                s[l] = OP;                                                                                             \
            }                                                                                                          \
        }                                                                                                              \
        return (v##t)(s[0]);                                                                                           \
    }
#define WG_ALL_ACROSS(t, c)                                                                                            \
    WG_ACROSS(t, c, sum, a + b)                                                                                        \
    WG_ACROSS(t, c, max, a >= b || a != a ? a : b)                                                                     \
    WG_ACROSS(t, c, min, a <= b || a != a ? a : b)
// The largest value so far and where it stood first; NaN counts as larger than all.
#define WG_ARGMAX(t, c)                                                                                                \
    DEVICE_FN vmask argmax_better_##t(v##t x, v##t best) {                                                             \
        return mask_or(gt_##t(x, best), mask_and(ne_##t(x, x), eq_##t(best, best)));                                   \
    }                                                                                                                  \
    DEVICE_FN vi64 across_argmax_##t(v##t best, vi64 where) {                                                          \
        c s[16];                                                                                                       \
        long at[16];                                                                                                   \
        vstore16(best, 0, s);                                                                                          \
        vstore16(where, 0, at);                                                                                        \
        c b = s[0];                                                                                                    \
        long w = at[0];                                                                                                \
        for (int l = 1; l < 16; l++) {                                                                                 \
            bool nan = s[l] != s[l], better = s[l] > b || (nan && b == b), same = s[l] == b || (nan && b != b);        \
            if (at[l] >= 0 && (w < 0 || better || (same && at[l] < w))) {                                              \
                b = s[l];                                                                                              \
                w = at[l];                                                                                             \
            }                                                                                                          \
        }                                                                                                              \
        return (vi64)(w);                                                                                              \
    }
#define WG_TRUTH(v) (convert_int16((v) != (uchar16)(0)))
#define WG_BYTES(x) (convert_uchar16((x) & (vi32)(1)))

//@ trap : memory
// Notes an op and a shape in the trap words if a real lane's index is out of range; the mask goes on.
DEVICE_FN vmask trap(vmask ok, int n, GLOBAL i64 *words, i64 op, i64 shape) {
    if (mask_any(mask_and(mask_not(ok), first_lanes(n)))) {
        words[0] = op;
        words[1] = shape;
    }
    return ok;
}
//@ memory_f32 : memory
WG_MEMORY(f32, vf32, float, , )
WG_ALL_ACROSS(f32, float)
WG_ARGMAX(f32, float)
//@ memory_f64 : memory
WG_MEMORY(f64, vf64, double, , )
WG_ALL_ACROSS(f64, double)
WG_ARGMAX(f64, double)
//@ memory_i32 : memory
WG_MEMORY(i32, vi32, int, , )
WG_ALL_ACROSS(i32, int)
WG_ARGMAX(i32, int)
//@ memory_i64 : memory
WG_MEMORY(i64, vi64, long, , )
WG_ALL_ACROSS(i64, long)
WG_ARGMAX(i64, long)
//@ memory_f16 : memory memory_f32 f16
#define WG_WIDEN_F16(v) widen_f16(convert_uint16(v))
#define WG_BITS_F16(x) convert_ushort16(bits_f16(x))
WG_MEMORY(f16, vf32, ushort, WG_WIDEN_F16, WG_BITS_F16)
// For products, which load other numbers of elements: widen_f16 of them.
#define WG_F16_TO_FLOAT(n)                                                                                             \
    DEVICE_FN float##n f16_to_float##n(ushort##n v) {                                                                  \
        const uint##n h = convert_uint##n(v), magnitude = (h & 0x7fffu) << 13;                                         \
        const uint##n moved = magnitude + (magnitude >= 0x0f800000u ? (uint##n)(0x70000000u) : (uint##n)(0x38000000u)); \
        const float##n small = as_float##n(magnitude + 0x38800000u) - 0x1p-14f;                                        \
        const uint##n bits = magnitude < 0x00800000u ? as_uint##n(small) : moved;                                      \
        return as_float##n(bits | ((h & 0x8000u) << 16));                                                              \
    }
WG_F16_TO_FLOAT()
WG_F16_TO_FLOAT(2)
WG_F16_TO_FLOAT(4)
WG_F16_TO_FLOAT(8)
WG_F16_TO_FLOAT(16)
//@ memory_bf16 : memory memory_f32 bf16
#define WG_WIDEN_BF16(v) widen_bf16(convert_uint16(v))
#define WG_BITS_BF16(x) convert_ushort16(bits_bf16(x))
WG_MEMORY(bf16, vf32, ushort, WG_WIDEN_BF16, WG_BITS_BF16)
#define bf16_to_float(v) as_float(convert_uint(v) << 16)
#define bf16_to_float2(v) as_float2(convert_uint2(v) << 16)
#define bf16_to_float4(v) as_float4(convert_uint4(v) << 16)
#define bf16_to_float8(v) as_float8(convert_uint8(v) << 16)
#define bf16_to_float16(v) as_float16(convert_uint16(v) << 16)
//@ memory_u8 : memory memory_i32
WG_MEMORY(u8, vi32, uchar, convert_int16, convert_uchar16)
//@ memory_bool : memory
WG_MEMORY(bool, vmask, uchar, WG_TRUTH, WG_BYTES)
#define across_max_mask(m) splat_mask(mask_any(m) != 0)
#define across_min_mask(m) splat_mask(mask_all(m) != 0)
