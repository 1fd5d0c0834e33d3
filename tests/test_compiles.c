/* label: ops */
/*
 * The device compiles: a suite that passed because nothing ran on it would be worth nothing.
 */
#include "harness/check.h"

Test(compiles, the_device_builds_kernels_and_they_run) {
    wg_ctx *ctx = wg_open("opencl");
    cr_assert(!wg_failed(ctx), "%s", wg_error(ctx));
    static float x[100000];
    for (int k = 0; k < 100000; k++) {
        x[k] = (float)k;
    }
    wg_tensor *t = wg_from_f32(ctx, x, WG_SHAPE(100000));
    wg_tensor *y = wg_add_scalar(wg_mul_scalar(t, 2), 1), *few = wg_neg(wg_narrow(t, 0, 1, 3));
    const float *out = wg_data_f32(y);
    cr_assert_not_null(out, "%s", wg_error(ctx));
    for (int k = 0; k < 100000; k++) {
        cr_assert_eq(out[k], 2 * x[k] + 1, "element %d", k);
    }
    EXPECT_VALUES(few, -1, -2, -3);
    wg_stats s;
    wg_get_stats(ctx, &s);
    cr_expect_geq(s.kernels_built, 2);
    cr_expect_geq(s.builds, 1);
    cr_expect_geq(s.launches, 2);
    close_ok(ctx);
}
