/* label: unit */
/* host: too */
/*
 * Conversions between f32 and the 16-bit floats, bit for bit: what the kernels do, in the interpreter's build and on the device,
 * and what the public functions do, against a reference of their own. slow_half.c goes through every f32.
 */
#include "harness/check.h"
#include "harness/half_bits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))
enum { ALL = 1 << 16 };
static const wg_dtype halves[] = {WG_F16, WG_BF16};

static float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static bool is_nan(wg_dtype t, uint16_t bits) { return (bits & 0x7fff) > (t == WG_F16 ? 0x7c00 : 0x7f80); }

/* Wrong: a value is widened to another one, or a NaN loses its sign, its upper bits, or itself. */
Test(half_bits, every_value_goes_to_f32_and_back) {
    for (int k = 0; k < COUNT(halves); k++) {
        wg_dtype t = halves[k];
        uint16_t quiet = t == WG_F16 ? 0x200 : 0x40;
        for (uint32_t u = 0; u < ALL; u++) {
            uint16_t bits = (uint16_t)u;
            double want = half_value(t, bits);
            float got = half_widen(t, bits), ours = half_widen_kernel(t, bits);
            cr_assert(is_nan(t, bits) ? isnan(got) && isnan(ours) : (double)got == want && (double)ours == want,
                      "%s %04x is %a and %a, not %a", wg_dtype_name(t), u, (double)got, (double)ours, want);
            cr_assert_eq(bits_of(got) >> 31, u >> 15);
            cr_assert_eq(bits_of(ours) >> 31, u >> 15);
            uint16_t back = is_nan(t, bits) ? bits | quiet : bits;
            cr_assert_eq(half_narrow(t, got), back, "%s %04x comes back as %04x", wg_dtype_name(t), u,
                         half_narrow(t, got));
            cr_assert_eq(half_narrow_kernel(t, ours), back);
        }
    }
}

/* The f32 at and around all values, and halfway between neighbours: three for each of 2^16. */
static float boundary(wg_dtype t, uint32_t i) {
    uint16_t bits = (uint16_t)(i / 3);
    float here = half_widen(t, bits), next = half_widen(t, (uint16_t)(bits + 1));
    bool edge = !isfinite(next) && isfinite(here); /* the place where infinity begins: as if the numbers went on */
    double beyond = edge ? 2.0 * (double)here - (double)half_widen(t, (uint16_t)(bits - 1)) : (double)next;
    float middle = (float)(((double)here + beyond) / 2);
    return float_of(bits_of(middle) + i % 3 - 1);
}

Test(half_bits, rounds_to_nearest_even) {
    static const uint32_t special[] = {0x7f800000, 0xff800000, 0x7fc00000, 0xffc12345, 0x7f800001, 0x7f802000,
                                       0x7f8fffff, 0x7f7fffff, 0xff7fffff, 0x00000001, 0x80000001, 0x007fffff,
                                       0,          0x80000000, 0x33000000, 0x33000001, 0x33c00000, 0x477fefff,
                                       0x477ff000, 0x7f7f7fff, 0x7f7f8000};
    for (int k = 0; k < COUNT(halves); k++) {
        wg_dtype t = halves[k];
        rng r = rng_seed("bits", k);
        for (uint32_t i = 0; i < 3 * ALL + COUNT(special) + 500000; i++) {
            float x = i < 3 * ALL                    ? boundary(t, i)
                      : i < 3 * ALL + COUNT(special) ? float_of(special[i - 3 * ALL])
                                                     : float_of((uint32_t)rng_next(&r));
            uint16_t want = half_reference(t, x);
            cr_assert_eq(half_narrow(t, x), want, "%s of %a (%08x) is %04x, not %04x", wg_dtype_name(t), (double)x,
                         bits_of(x), half_narrow(t, x), want);
            cr_assert_eq(half_narrow_kernel(t, x), want, "%s of %a (%08x): the kernel's is %04x, not %04x",
                         wg_dtype_name(t), (double)x, bits_of(x), half_narrow_kernel(t, x), want);
        }
    }
}

/* The same in kernels: sixteen lanes, tails and neighbours, strides, single values. */
static void device_converts(mode m) {
    wg_ctx *ctx = open_mode(m);
    for (int k = 0; k < COUNT(halves); k++) {
        wg_dtype t = halves[k];
        int64_t n = 3 * ALL - 5;
        uint16_t *all = hold(ALL * sizeof *all);
        float *x = hold((size_t)n * sizeof *x);
        for (uint32_t i = 0; i < ALL; i++) {
            all[i] = (uint16_t)i;
        }
        for (int64_t i = 0; i < n; i++) {
            x[i] = boundary(t, (uint32_t)i);
        }
        wg_tensor *bits = wg_from(ctx, t, all, WG_SHAPE(ALL)), *floats = wg_from_f32(ctx, x, WG_SHAPE(n));
        const float *wide = wg_data_f32(wg_cast(bits, WG_F32));
        const uint16_t *narrow = wg_data(wg_cast(floats, t));
        const uint16_t *stepped = wg_data(wg_cast(wg_slice(floats, 0, 1, n, 3), t));
        const uint16_t *same = wg_data(wg_contiguous(wg_flip(bits, (int[]){0}, 1)));
        cr_assert(wide && narrow && stepped && same, "%s", wg_error(ctx));
        for (uint32_t i = 0; i < ALL; i++) {
            cr_assert(is_nan(t, all[i]) ? isnan(wide[i]) : bits_of(wide[i]) == bits_of(half_widen(t, all[i])));
            uint16_t mirrored = same[ALL - 1 - i];
            cr_assert(is_nan(t, all[i]) ? is_nan(t, mirrored) : mirrored == all[i]);
        }
        for (int64_t i = 0; i < n; i++) {
            uint16_t want = half_reference(t, x[i]);
            cr_assert(narrow[i] == want || (isnan(x[i]) && is_nan(t, narrow[i])), "%s of %a is %04x, not %04x",
                      wg_dtype_name(t), (double)x[i], narrow[i], want);
            cr_assert(i % 3 != 1 || stepped[i / 3] == narrow[i] || isnan(x[i]));
        }
    }
    close_ok(ctx);
}
Test(half_bits, device_converts_simd) { device_converts(MODE_SIMD); }
Test(half_bits, device_converts_simt) { device_converts(MODE_SIMT); }
