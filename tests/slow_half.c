/*
 * Every f32 rounded to f16 and to bf16: the kernels' text and the public functions agree, the rounding never goes down as the
 * number goes up, and at the places where it changes it is the reference's. A minute.
 */
#include "harness/half_bits.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* All floats of one sign in the order of their magnitude; returns how many are wrong. */
static long check(wg_dtype t, uint32_t sign) {
    long wrong = 0;
    uint16_t before = half_reference(t, sign ? -0.0f : 0.0f);
    for (uint32_t magnitude = 0; magnitude < 0x80000000u; magnitude++) {
        uint32_t u = sign | magnitude;
        float x;
        memcpy(&x, &u, sizeof x);
        uint16_t got = half_narrow(t, x);
        bool changes = got != before || isnan(x) || magnitude % 4096 == 0;
        bool ok = got == half_narrow_kernel(t, x) && (!changes || got == half_reference(t, x)) &&
                  (isnan(x) || got == before || got == before + 1);
        if (changes && !isnan(x) && magnitude > 0) { /* and just before */
            float y;
            uint32_t v = u - 1;
            memcpy(&y, &v, sizeof y);
            ok = ok && half_reference(t, y) == before;
        }
        if (!ok && wrong++ < 10) {
            printf("%s of %a (%08x) is %04x and %04x, not %04x\n", wg_dtype_name(t), (double)x, u, got,
                   half_narrow_kernel(t, x), half_reference(t, x));
        }
        before = got;
    }
    return wrong;
}

int main(void) {
    long wrong = 0;
    for (int k = 0; k < 2; k++) {
        wrong += check(k ? WG_BF16 : WG_F16, 0) + check(k ? WG_BF16 : WG_F16, 0x80000000u);
    }
    printf("%ld of 2 * 2^32 conversions are wrong\n", wrong);
    return wrong ? 1 : 0;
}
