/* label: unit */
/*
 * Training with 16-bit parameters, in the interpreter: optimisers against their formulas, hooks, checkpoints, and networks that
 * learn, with the same bits op by op.
 */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include "harness/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))
static const wg_dtype halves[] = {WG_F16, WG_BF16};

/* ---- optimisers ------------------------------------------------------------------------------------------------------ */

static const double start[] = {1, -2, 0.5, 3, 0}, slope[] = {0.5, -1, 0.25, 2, -3};
enum { N = 5, STEPS = 10 };

/* One step of Adam with decoupled decay, or of SGD with momentum: in double, parameter and state rounded at its end. */
static void step_ref(bool adam, wg_dtype t, int step, double *p, double *m, double *v) {
    for (int k = 0; k < N; k++) {
        double g = round_to(slope[k], t);
        if (adam) {
            p[k] *= 1 - 0.01 * 0.1;
            m[k] += 0.1 * (g - m[k]);
            v[k] = 0.999 * v[k] + 0.001 * g * g;
            p[k] -= 0.01 / (1 - pow(0.9, step)) * m[k] / (sqrt(v[k]) / sqrt(1 - pow(0.999, step)) + 1e-8);
        } else {
            m[k] = step == 1 ? g : 0.9 * m[k] + g;
            p[k] -= 0.01 * m[k];
        }
        p[k] = round_to(p[k], t);
        m[k] = round_to(m[k], t);
        v[k] = round_to(v[k], t);
    }
}

/* Wrong: an update rounded at each of its ops, or state of another dtype. */
Test(half_training, optimisers_round_once_a_step) {
    wg_ctx *ctx = open_mode(MODE_HOST);
    for (int which = 0; which < 4; which++) {
        wg_dtype t = halves[which % 2];
        bool adam = which / 2;
        nd a = nd_new(t, WG_SHAPE(N)), g = nd_new(t, WG_SHAPE(N));
        double p[N], m[N] = {0}, v[N] = {0};
        memcpy(a.f, start, sizeof start);
        memcpy(g.f, slope, sizeof slope);
        memcpy(p, start, sizeof start);
        wg_tensor *param = wg_param(nd_tensor(ctx, a)), *gradient = nd_tensor(ctx, g);
        wg_adam_opts ao = wg_adamw_defaults();
        wg_sgd_opts so = wg_sgd_defaults();
        ao.lr = so.lr = 0.01;
        ao.weight_decay = 0.1;
        so.momentum = 0.9;
        wg_optim *o = adam ? wg_adam_new(&param, 1, &ao) : wg_sgd_new(&param, 1, &so);
        for (int step = 1; step <= STEPS; step++) {
            WG_SCOPE(ctx) {
                cr_assert_eq(wg_backward(wg_sum(wg_mul(param, gradient), NULL, 0, false)), WG_OK);
                cr_assert_eq(wg_optim_step(o), WG_OK, "%s", wg_error(ctx));
                wg_optim_zero_grad(o);
            }
            step_ref(adam, t, step, p, m, v);
        }
        nd want = nd_new(t, WG_SHAPE(N));
        memcpy(want.f, p, sizeof p);
        expect_nd(param, want, 1, adam ? "adamw" : "sgd");
        wg_optim_free(o);
    }
    close_ok(ctx);
}

/* ---- hooks, checkpoints ---------------------------------------------------------------------------------------------- */

static wg_tensor *note(wg_tensor *grad, void *user) {
    *(wg_dtype *)user = wg_dtype_of(grad);
    return wg_mul_scalar(grad, 2);
}

static wg_tensor *block(wg_tensor *const *in, size_t n, void *user) {
    (void)n, (void)user;
    return wg_gelu(wg_matmul(in[0], in[1]));
}

Test(half_training, hooks_and_checkpoints) {
    wg_ctx *ctx = open_mode(MODE_HOST);
    for (int k = 0; k < COUNT(halves); k++) {
        wg_dtype t = halves[k], seen = WG_DTYPE_COUNT;
        wg_tensor *x = wg_param(wg_randn(ctx, t, WG_SHAPE(3, 4))), *w = wg_param(wg_randn(ctx, t, WG_SHAPE(4, 5)));
        wg_tensor *in[] = {x, w};
        uint16_t plain[20];
        cr_assert_eq(wg_backward(wg_sum(block(in, 2, NULL), NULL, 0, false)), WG_OK, "%s", wg_error(ctx));
        cr_assert_eq(wg_read(wg_grad(w), plain, sizeof plain), WG_OK);
        wg_zero_grad(w);
        cr_assert_eq(wg_backward(wg_sum(wg_checkpoint(block, in, 2, NULL), NULL, 0, false)), WG_OK, "%s",
                     wg_error(ctx));
        expect_same_bits(wg_data(wg_grad(w)), plain, t, 20, "gradient through a checkpoint");
        wg_zero_grad(w);
        cr_expect(wg_register_hook(w, note, &seen) != 0);
        cr_assert_eq(wg_backward(wg_sum(block(in, 2, NULL), NULL, 0, false)), WG_OK, "%s", wg_error(ctx));
        for (int e = 0; e < 20; e++) {
            plain[e] = t == WG_F16 ? wg_f16_from_f32(2 * wg_f16_to_f32(plain[e]))
                                   : wg_bf16_from_f32(2 * wg_bf16_to_f32(plain[e]));
        }
        expect_same_bits(wg_data(wg_grad(w)), plain, t, 20, "gradient through a hook");
        cr_expect_eq(seen, t);
    }
    close_ok(ctx);
}

/* ---- learning -------------------------------------------------------------------------------------------------------- */

enum { EXAMPLES = 96, FEATURES = 2, HIDDEN = 32, CLASSES = 3, EPOCHS = 150 };

/* Points in three rings about each other, which no plane separates. */
static void make_examples(float *x, int64_t *y) {
    rng r = rng_seed("rings", 1);
    for (int i = 0; i < EXAMPLES; i++) {
        double radius = 0.5 + i % CLASSES + 0.1 * rng_normal(&r), angle = 6.2831853 * rng_unit(&r);
        x[2 * i] = (float)(radius * cos(angle));
        x[2 * i + 1] = (float)(radius * sin(angle));
        y[i] = i % CLASSES;
    }
}

/* An MLP with parameters of dtype t. The loss times `scale` is differentiated, and its gradients are divided by that. */
static double train(mode m, wg_dtype t, bool adam, double scale, int epochs, uint16_t *last, double *first) {
    static float x[EXAMPLES * FEATURES];
    static int64_t y[EXAMPLES];
    make_examples(x, y);
    setenv("WENGERT_DEVICE", "host", 1);
    wg_ctx *ctx = open_mode(m);
    wg_seed(ctx, 7);
    wg_tensor *in = wg_cast(wg_from_f32(ctx, x, WG_SHAPE(EXAMPLES, FEATURES)), t);
    wg_tensor *target = wg_from_i64(ctx, y, WG_SHAPE(EXAMPLES));
    wg_tensor *p[] = {wg_param(wg_mul_scalar(wg_randn(ctx, t, WG_SHAPE(HIDDEN, FEATURES)), 0.7)),
                      wg_param(wg_zeros(ctx, t, WG_SHAPE(HIDDEN))),
                      wg_param(wg_mul_scalar(wg_randn(ctx, t, WG_SHAPE(HIDDEN, HIDDEN)), 0.2)),
                      wg_param(wg_zeros(ctx, t, WG_SHAPE(HIDDEN))),
                      wg_param(wg_mul_scalar(wg_randn(ctx, t, WG_SHAPE(CLASSES, HIDDEN)), 0.2)),
                      wg_param(wg_zeros(ctx, t, WG_SHAPE(CLASSES)))};
    wg_adam_opts ao = wg_adam_defaults();
    wg_sgd_opts so = wg_sgd_defaults();
    ao.lr = 0.01;
    ao.eps = 1e-4;
    so.lr = 0.2;
    so.momentum = 0.9;
    wg_optim *o = adam ? wg_adam_new(p, COUNT(p), &ao) : wg_sgd_new(p, COUNT(p), &so);
    double loss = NAN;
    for (int e = 0; e < epochs; e++) {
        WG_SCOPE(ctx) {
            wg_tensor *h = wg_relu(wg_linear(in, p[0], p[1]));
            h = wg_relu(wg_layer_norm(wg_linear(h, p[2], p[3]), WG_SHAPE(HIDDEN), NULL, NULL, NULL));
            wg_tensor *l = wg_cross_entropy(wg_linear(h, p[4], p[5]), target, NULL);
            cr_assert_eq(wg_backward(wg_mul_scalar(l, scale)), WG_OK, "%s", wg_error(ctx));
            for (int k = 0; scale != 1 && k < COUNT(p); k++) {
                wg_tensor *unscaled = wg_div_scalar(wg_grad(p[k]), scale);
                wg_zero_grad(p[k]);
                cr_assert_eq(wg_backward(wg_sum(wg_mul(p[k], unscaled), NULL, 0, false)), WG_OK, "%s", wg_error(ctx));
            }
            cr_assert_eq(wg_optim_step(o), WG_OK, "%s", wg_error(ctx));
            wg_optim_zero_grad(o);
            loss = wg_item(l);
            *first = e == 0 ? loss : *first;
        }
    }
    cr_expect_eq(wg_dtype_of(p[2]), t);
    cr_assert_eq(wg_read(p[2], last, HIDDEN * HIDDEN * sizeof *last), WG_OK, "%s", wg_error(ctx));
    wg_optim_free(o);
    close_ok(ctx);
    return loss;
}

Test(half_training, networks_learn) {
    static uint16_t bits[HIDDEN * HIDDEN];
    for (int k = 0; k < 4; k++) {
        wg_dtype t = halves[k % 2];
        bool adam = k / 2;
        double first, loss = train(MODE_DEFAULT, t, adam, t == WG_F16 ? 1024 : 1, EPOCHS, bits, &first);
        cr_expect(first > 0.9 && loss < 0.15, "%s with %s: the loss goes from %g to %g", wg_dtype_name(t),
                  adam ? "adam" : "sgd", first, loss);
    }
}

Test(half_training, the_same_op_by_op) {
    static uint16_t fused[HIDDEN * HIDDEN], eager[HIDDEN * HIDDEN], unfused[HIDDEN * HIDDEN];
    for (int k = 0; k < COUNT(halves); k++) {
        double first;
        train(MODE_DEFAULT, halves[k], k == 0, 1, 12, fused, &first);
        train(MODE_EAGER, halves[k], k == 0, 1, 12, eager, &first);
        train(MODE_UNFUSED, halves[k], k == 0, 1, 12, unfused, &first);
        expect_same_bits(eager, fused, halves[k], HIDDEN * HIDDEN, "eager");
        expect_same_bits(unfused, fused, halves[k], HIDDEN * HIDDEN, "unfused");
    }
}
