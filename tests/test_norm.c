/* label: unit */
/* host: too */
/*
 * layer_norm and rms_norm beyond the op table: kernels they take, errors, frozen and missing parts.
 */
#include "harness/check.h"

#include <math.h>
#include <stdlib.h>

typedef struct counts {
    uint64_t forward, backward, together;
} counts;

static wg_tensor *values(wg_ctx *ctx, wg_shape s, const char *name) {
    rng r = rng_seed(name, 0);
    return input_make(ctx, WG_F32, s, LAY_CONTIGUOUS, DOM_ANY, &r).t;
}

/* Forward read by itself, then the gradients of x, weight and bias together. */
static counts launches(wg_ctx *ctx, wg_shape shape, bool rms) {
    counts c = {0};
    wg_shape last = WG_SHAPE(shape.dim[shape.rank - 1]);
    wg_tensor *x = wg_param(values(ctx, shape, "x")), *w = wg_param(values(ctx, last, "w"));
    wg_tensor *b = wg_param(values(ctx, last, "b")), *g = values(ctx, shape, "g");
    WG_SCOPE(ctx) {
        wg_tensor *y = rms ? wg_rms_norm(x, last, w, NULL) : wg_layer_norm(x, last, w, b, NULL);
        uint64_t before = stat_launches(ctx);
        cr_assert_eq(wg_eval(&y, 1), WG_OK, "%s", wg_error(ctx));
        c.forward = stat_launches(ctx) - before;
        wg_backward_opts o = {.grad = g};
        cr_assert_eq(wg_backward_with(y, &o), WG_OK, "%s", wg_error(ctx));
        wg_tensor *grads[] = {wg_grad(x), wg_grad(w), wg_grad(b)};
        before = stat_launches(ctx);
        cr_assert_eq(wg_eval(grads, rms ? 2 : 3), WG_OK, "%s", wg_error(ctx));
        c.backward = stat_launches(ctx) - before;
    }
    wg_zero_grad(x), wg_zero_grad(w), wg_zero_grad(b);
    WG_SCOPE(ctx) {
        wg_tensor *y = rms ? wg_rms_norm(x, last, w, NULL) : wg_layer_norm(x, last, w, b, NULL);
        wg_backward_opts o = {.grad = g};
        cr_assert_eq(wg_backward_with(y, &o), WG_OK, "%s", wg_error(ctx));
        wg_tensor *all[] = {y, wg_grad(x), wg_grad(w), wg_grad(b)};
        uint64_t before = stat_launches(ctx);
        cr_assert_eq(wg_eval(all, rms ? 3 : 4), WG_OK, "%s", wg_error(ctx));
        c.together = stat_launches(ctx) - before;
    }
    return c;
}

static const wg_shape usual[] = {{2, {33, 100}}, {3, {4, 16, 64}}, {2, {1000, 768}}, {2, {64, 4096}}, {3, {2, 3, 5}}};

/* Wrong: a norm that is not one row kernel forward, and backward more than a row and a column kernel. */
Test(norm, kernels) {
    const char *devices[] = {NULL, "null"};
    for (int d = 0; d < 2; d++) {
        wg_ctx *ctx = devices[d] ? wg_open(devices[d]) : open_ctx();
        for (size_t s = 0; s < sizeof usual / sizeof *usual; s++) {
            for (int rms = 0; rms < 2; rms++) {
                counts c = launches(ctx, usual[s], rms);
                cr_expect(c.forward == 1, "%s %s: %d kernels forward", rms ? "rms_norm" : "layer_norm",
                          shape_text(usual[s]), (int)c.forward);
                cr_expect(c.backward <= 2, "%s %s: %d kernels backward", rms ? "rms_norm" : "layer_norm",
                          shape_text(usual[s]), (int)c.backward);
                cr_expect(c.together <= 3, "%s %s: %d kernels in one plan", rms ? "rms_norm" : "layer_norm",
                          shape_text(usual[s]), (int)c.together);
            }
        }
        close_ok(ctx);
    }
}

Test(norm, errors) {
    wg_ctx *ctx = open_ctx(), *other = open_ctx();
    WG_SCOPE(ctx) {
        wg_tensor *x = wg_zeros(ctx, WG_F32, WG_SHAPE(2, 3)), *w = wg_ones(ctx, WG_F32, WG_SHAPE(3));
        wg_tensor *wide = wg_ones(ctx, WG_F64, WG_SHAPE(3)), *whole = wg_ones(ctx, WG_I64, WG_SHAPE(2, 3));
        wg_tensor *foreign = wg_ones(other, WG_F32, WG_SHAPE(3));
        cr_expect_null(wg_layer_norm(x, WG_SHAPE(2), NULL, NULL, NULL));
        expect_error(ctx, WG_ERR_SHAPE, "shape", "layer_norm", "[2,3]", "[2]", NULL);
        cr_expect_null(wg_layer_norm(x, WG_SHAPE(), NULL, NULL, NULL));
        expect_error(ctx, WG_ERR_SHAPE, "no dims", "layer_norm", "[2,3]", "[]", NULL);
        cr_expect_null(wg_rms_norm(x, WG_SHAPE(1, 2, 3), NULL, NULL));
        expect_error(ctx, WG_ERR_SHAPE, "rank", "rms_norm", "[1,2,3]", NULL);
        cr_expect_null(wg_layer_norm(x, WG_SHAPE(2, 3), w, NULL, NULL));
        expect_error(ctx, WG_ERR_SHAPE, "weight", "weight", "[3]", "[2,3]", NULL);
        cr_expect_null(wg_layer_norm(x, WG_SHAPE(3), w, wide, NULL));
        expect_error(ctx, WG_ERR_DTYPE, "bias", "bias", "f64", "f32", NULL);
        cr_expect_null(wg_rms_norm(whole, WG_SHAPE(3), NULL, NULL));
        expect_error(ctx, WG_ERR_DTYPE, "integers", "rms_norm", "i64", NULL);
        cr_expect_null(wg_rms_norm(x, WG_SHAPE(3), foreign, NULL));
        expect_error(ctx, WG_ERR_ARG, "foreign", "rms_norm", "another context", NULL);
        cr_expect_null(wg_layer_norm(NULL, WG_SHAPE(3), w, w, NULL));
        cr_expect_not_null(wg_layer_norm(x, WG_SHAPE(3), w, w, NULL));
    }
    close_ok(ctx);
    close_ok(other);
}

/* A frozen x still has gradients of weight and bias, and a row of equal numbers is no division by zero. */
Test(norm, frozen_input) {
    wg_ctx *ctx = open_ctx();
    WG_SCOPE(ctx) {
        wg_tensor *x = wg_full(ctx, WG_F64, WG_SHAPE(2, 4), 3), *w = wg_param(wg_ones(ctx, WG_F64, WG_SHAPE(4)));
        wg_tensor *b = wg_param(wg_zeros(ctx, WG_F64, WG_SHAPE(4)));
        wg_tensor *y = wg_layer_norm(x, WG_SHAPE(4), w, b, NULL);
        EXPECT_VALUES(y, 0, 0, 0, 0, 0, 0, 0, 0);
        cr_expect_eq(wg_backward(wg_sum(y, NULL, 0, false)), WG_OK);
        EXPECT_VALUES(wg_grad(w), 0, 0, 0, 0);
        EXPECT_VALUES(wg_grad(b), 2, 2, 2, 2);
    }
    close_ok(ctx);
}
