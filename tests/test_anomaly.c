/* label: unit */
/* timeout: 300 */
/* host: too */
/*
 * Anomaly mode: the first NaN or infinity, forward or backward, is an error that says where it came from.
 */
#include "harness/check.h"

#include <math.h>
#include <stdlib.h>

static wg_tensor *total(wg_tensor *t) { return wg_sum(t, NULL, 0, false); }
static wg_tensor *values(wg_ctx *ctx, double a, double b) { return wg_from_f64(ctx, (double[]){a, b}, WG_SHAPE(2)); }

/* Wrong: naming a later op that the NaN flowed into, or nothing but the kernel. */
Test(anomaly, forward) {
    wg_ctx *ctx = open_ctx();
    cr_expect(!wg_detect_anomaly(ctx, true));
    cr_expect(wg_detect_anomaly(ctx, true));
    WG_SCOPE(ctx) {
        wg_label(ctx, "encoder");
        wg_tensor *x = wg_param(values(ctx, 4, -1));
        wg_mark inner = wg_scope_begin(ctx);
        wg_label(ctx, "layer 3");
        uint64_t number = stats_of(ctx).nodes;
        char op[40];
        snprintf(op, sizeof op, "op %d,", (int)number + 1);
        wg_tensor *y = wg_exp(wg_sqrt(wg_mul_scalar(x, 2)));
        cr_expect_null(y);
        expect_error(ctx, WG_ERR_ANOMALY, "sqrt", "sqrt: f64 [2]: element [1] is nan", op, "in the forward",
                     "scope depth 2 \"encoder/layer 3\"", "finite operands: f64 [2]", NULL);
        wg_scope_end(ctx, inner);
        cr_expect_null(wg_log(wg_mul_scalar(wg_narrow(x, 0, 0, 1), 0)));
        expect_error(ctx, WG_ERR_ANOMALY, "log", "log: f64 [1]: element [0] is -inf", "scope depth 1 \"encoder\"",
                     NULL);
        cr_expect_null(wg_full(ctx, WG_F32, WG_SHAPE(), INFINITY));
        expect_error(ctx, WG_ERR_ANOMALY, "full", "f32 []: element [] is inf", "no operands", NULL);
        wg_tensor *fine = wg_sqrt(wg_mul(x, x));
        EXPECT_VALUES(fine, 4, 1);
    }
    close_ok(ctx);
}

/* sqrt at 0: the value is finite, its gradient is not. */
Test(anomaly, backward) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *x = wg_param(values(ctx, 4, 0));
    wg_detect_anomaly(ctx, true);
    WG_SCOPE(ctx) {
        wg_label(ctx, "head");
        char op[40];
        snprintf(op, sizeof op, "sqrt f64 [2], op %d", (int)stats_of(ctx).nodes + 1);
        wg_tensor *y = total(wg_sqrt(wg_mul_scalar(x, 2)));
        cr_assert_not_null(y);
        wg_scope_begin(ctx);
        wg_label(ctx, "training");
        cr_expect_eq(wg_backward(y), WG_ERR_ANOMALY);
        expect_error(ctx, WG_ERR_ANOMALY, "sqrt", "element [1] is inf", "in the backward of", op,
                     "scope depth 1 \"head\"", "scope depth 2 \"head/training\"", NULL);
        cr_expect(!wg_has_grad(x));
        cr_expect_eq(wg_backward(total(wg_square(x))), WG_OK, "%s", wg_error(ctx));
        EXPECT_VALUES(wg_grad(x), 8, 0);
    }
    close_ok(ctx);
}

/* What came in is named as what it is: data, written or lent, seen through a view, or a result of before. */
Test(anomaly, brought_in) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *clean = values(ctx, 1, 2), *data = values(ctx, 1, NAN), *late = wg_div(clean, wg_zeros_like(clean));
    wg_detect_anomaly(ctx, true);
    cr_expect_null(wg_add(clean, data));
    expect_error(ctx, WG_ERR_ANOMALY, "data", "add: f64 [2]: element [1] is nan", "operand 2", "data from the host",
                 NULL);
    cr_expect_null(wg_mul_scalar(wg_flip(data, (int[]){0}, 1), 2));
    expect_error(ctx, WG_ERR_ANOMALY, "view", "element [0] is nan", "operand 1", "data from the host", NULL);
    wg_tensor *wide = wg_from_f64(ctx, (double[]){1, 2, 3, 4, 5, NAN}, WG_SHAPE(2, 3));
    cr_expect_null(wg_neg(wg_transpose(wide, 0, 1)));
    expect_error(ctx, WG_ERR_ANOMALY, "transposed", "neg: f64 [3,2]: element [2,1] is nan",
                 "operand 1, f64 [3,2], brought it in: element [2,1] is nan", NULL);
    EXPECT_VALUES(wg_mul_scalar(wg_narrow(data, 0, 0, 1), 2), 2); /* the NaN is elsewhere */
    cr_expect_null(wg_mul_scalar(late, 2));
    expect_error(ctx, WG_ERR_ANOMALY, "late", "operand 1", "element [0] is inf", "before anomalies were looked for",
                 NULL);
    double bad[2] = {-INFINITY, 0};
    cr_expect_eq(wg_write(clean, bad, sizeof bad), WG_OK);
    cr_expect_null(wg_neg(clean));
    expect_error(ctx, WG_ERR_ANOMALY, "written", "neg", "is inf", "element [0] is -inf, data from the host", NULL);
    /* what does not come out is nobody's business */
    wg_tensor *masked = wg_where(wg_ne(data, data), wg_zeros_like(clean), wg_ones_like(clean));
    EXPECT_VALUES(masked, 1, 0);
    wg_detect_anomaly(ctx, false);
    EXPECT_VALUES(wg_neg(clean), INFINITY, 0);
    close_ok(ctx);
}

/* The same values, and no error, where nothing is wrong: a step with everything there is. */
static wg_tensor *block(wg_tensor *const *in, size_t n, void *user) {
    (void)n;
    return wg_dropout(wg_gelu(wg_linear(in[0], *(wg_tensor **)user, NULL)), 0.5, true);
}
static double step(wg_ctx *ctx, double *grad) {
    double loss = NAN;
    rng r = rng_seed("anomaly", 1);
    wg_tensor *w = wg_param(input_make(ctx, WG_F32, WG_SHAPE(4, 4), LAY_CONTIGUOUS, DOM_ANY, &r).t);
    wg_tensor *x = input_make(ctx, WG_F32, WG_SHAPE(3, 4), LAY_TRANSPOSED, DOM_ANY, &r).t;
    wg_tensor *target = wg_from_i64(ctx, (int64_t[]){0, 3, 1}, WG_SHAPE(3));
    WG_SCOPE(ctx) {
        wg_tensor *h = wg_layer_norm(wg_checkpoint(block, &x, 1, &w), WG_SHAPE(4), NULL, NULL, NULL);
        wg_tensor *l = wg_cross_entropy(wg_add(h, x), target, NULL);
        cr_assert_eq(wg_backward(l), WG_OK, "%s", wg_error(ctx));
        loss = wg_item(l);
        read_doubles(wg_grad(w), grad, 16);
    }
    return loss;
}

Test(anomaly, nothing_found) {
    double want[16], got[16];
    wg_ctx *ctx = open_ctx();
    double loss = step(ctx, want);
    close_ok(ctx);
    setenv("WENGERT_ANOMALY", "1", 1);
    ctx = open_ctx();
    cr_expect_eq(step(ctx, got), loss);
    cr_expect(expect_same_bits(want, got, WG_F64, 16, "gradients"));
    cr_expect_null(wg_log(wg_full(ctx, WG_F32, WG_SHAPE(2), -1)));
    expect_error(ctx, WG_ERR_ANOMALY, "environment", "log", "nan", NULL);
    close_ok(ctx);
}

static wg_tensor *divide(wg_tensor *grad, void *user) {
    (void)user;
    return wg_div_scalar(grad, 0);
}

/* Inside what the user's functions record, and in an optimiser's step. */
Test(anomaly, elsewhere) {
    wg_ctx *ctx = open_ctx();
    wg_detect_anomaly(ctx, true);
    wg_tensor *p = wg_param(values(ctx, 1, 2));
    WG_SCOPE(ctx) {
        wg_tensor *h = wg_square(p);
        wg_register_hook(h, divide, NULL);
        cr_expect_eq(wg_backward(total(h)), WG_ERR_ANOMALY);
        expect_error(ctx, WG_ERR_ANOMALY, "hook", "div", "is inf", "in the backward of square", NULL);
    }
    wg_sgd_opts o = wg_sgd_defaults();
    o.lr = 1e308;
    wg_optim *sgd = wg_sgd_new(&p, 1, &o);
    WG_SCOPE(ctx) {
        cr_expect_eq(wg_backward(total(wg_mul_scalar(p, 100))), WG_OK, "%s", wg_error(ctx));
        cr_expect_eq(wg_optim_step(sgd), WG_ERR_ANOMALY);
        expect_error(ctx, WG_ERR_ANOMALY, "optimiser", "is -inf", "in the forward", NULL);
    }
    EXPECT_VALUES(p, 1, 2);
    wg_optim_free(sgd);
    cr_expect_eq(wg_label(ctx, NULL), WG_OK);
    cr_expect_eq(wg_label(NULL, "x"), WG_ERR_ARG);
    cr_expect(!wg_detect_anomaly(NULL, true));
    close_ok(ctx);
}
