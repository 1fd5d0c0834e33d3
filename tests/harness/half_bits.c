/* See half_bits.h. */
#include "half_bits.h"

#include "kernels/lanes_host.h"

#include "kernels/half.cl"

double half_value(wg_dtype t, uint16_t bits) {
    int fraction = t == WG_F16 ? 10 : 7, most = t == WG_F16 ? 31 : 255, bias = most / 2;
    int exponent = bits >> fraction & most, rest = bits & ((1 << fraction) - 1);
    double v = exponent == most ? (rest ? (double)NAN : (double)INFINITY)
               : exponent == 0  ? ldexp(rest, 1 - bias - fraction)
                                : ldexp(rest + (1 << fraction), exponent - bias - fraction);
    return bits >> 15 ? -v : v;
}

/* Among neighbours in the order of the bits, which is that of the magnitudes. */
uint16_t half_reference(wg_dtype t, float x) {
    uint16_t sign = signbit(x) ? 0x8000 : 0, infinity = t == WG_F16 ? 0x7c00 : 0x7f80;
    if (isnan(x)) {
        uint32_t u = as_vu32(x);
        return (uint16_t)(t == WG_F16 ? sign | 0x7e00 | (u >> 13 & 0x3ff) : u >> 16 | 0x40);
    }
    double v = fabs((double)x);
    uint16_t low = 0, high = infinity; /* low <= v < high, as values */
    while (high - low > 1) {
        uint16_t middle = (uint16_t)((low + high) / 2);
        if (half_value(t, middle) <= v) {
            low = middle;
        } else {
            high = middle;
        }
    }
    double below = half_value(t, low);
    double above = high == infinity ? 2 * below - half_value(t, (uint16_t)(low - 1)) : half_value(t, high);
    bool up = v - below > above - v || (v - below == above - v && low % 2 == 1);
    return (uint16_t)(sign | (up ? high : low));
}

float half_widen(wg_dtype t, uint16_t bits) { return t == WG_F16 ? wg_f16_to_f32(bits) : wg_bf16_to_f32(bits); }
uint16_t half_narrow(wg_dtype t, float x) { return t == WG_F16 ? wg_f16_from_f32(x) : wg_bf16_from_f32(x); }
float half_widen_kernel(wg_dtype t, uint16_t bits) { return t == WG_F16 ? widen_f16(bits) : widen_bf16(bits); }
uint16_t half_narrow_kernel(wg_dtype t, float x) { return (uint16_t)(t == WG_F16 ? bits_f16(x) : bits_bf16(x)); }
