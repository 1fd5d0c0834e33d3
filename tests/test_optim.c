/* label: unit */
/* timeout: 300 */
/* host: too */
/*
 * Optimisers against PyTorch's formulas in double, ten steps each; parameters without gradients; the learning rate.
 */
#include "harness/check.h"

#include <math.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))
enum { N = 5, STEPS = 10 };

static const double start[N] = {1, -2, 0.5, 3, 0};

/* The gradient of step t: what the loss sum(p * c) has, c of this step. */
static void gradient_of(int t, double *g) {
    rng r = rng_seed("gradient", (uint64_t)t);
    for (int k = 0; k < N; k++) {
        g[k] = round_to(rng_normal(&r), WG_F32);
    }
}

static wg_tensor *make_param(wg_ctx *ctx, wg_dtype t) {
    nd a = nd_new(t, WG_SHAPE(N));
    for (int k = 0; k < N; k++) {
        a.f[k] = start[k];
    }
    return wg_param(nd_tensor(ctx, a));
}

/* One step of o with gradient_of(t) on p. */
static void take_step(wg_ctx *ctx, wg_optim *o, wg_tensor *p, int t) {
    nd c = nd_new(wg_dtype_of(p), WG_SHAPE(N));
    gradient_of(t, c.f);
    WG_SCOPE(ctx) {
        cr_assert_eq(wg_backward(wg_sum(wg_mul(p, nd_tensor(ctx, c)), NULL, 0, false)), WG_OK, "%s", wg_error(ctx));
        cr_assert_eq(wg_optim_step(o), WG_OK, "%s", wg_error(ctx));
        wg_optim_zero_grad(o);
    }
}

static void sgd_ref(const wg_sgd_opts *o, int t, double *p, double *buf) {
    double g[N];
    gradient_of(t, g);
    for (int k = 0; k < N; k++) {
        double d = g[k] + o->weight_decay * p[k];
        if (o->momentum != 0) {
            buf[k] = t == 1 ? d : o->momentum * buf[k] + (1 - o->dampening) * d;
            d = o->nesterov ? d + o->momentum * buf[k] : buf[k];
        }
        p[k] -= o->lr * d;
    }
}

static void adam_ref(const wg_adam_opts *o, int t, double *p, double *m, double *v) {
    double g[N];
    gradient_of(t, g);
    for (int k = 0; k < N; k++) {
        if (o->decoupled) {
            p[k] *= 1 - o->lr * o->weight_decay;
        } else {
            g[k] += o->weight_decay * p[k];
        }
        m[k] = o->beta1 * m[k] + (1 - o->beta1) * g[k];
        v[k] = o->beta2 * v[k] + (1 - o->beta2) * g[k] * g[k];
        double denominator = sqrt(v[k]) / sqrt(1 - pow(o->beta2, t)) + o->eps;
        p[k] -= o->lr / (1 - pow(o->beta1, t)) * m[k] / denominator;
    }
}

static void expect_param(wg_tensor *p, const double *want, const char *what) {
    double got[N];
    bool wide = wg_dtype_of(p) == WG_F64;
    read_doubles(p, got, N);
    expect_close(got, want, N, wide ? 1e-13 : 2e-6, wide ? 1e-12 : 2e-6, what);
}

Test(optim, sgd) {
    static const wg_sgd_opts cases[] = {
        {.lr = 0.1},
        {.lr = 0.1, .weight_decay = 0.05},
        {.lr = 0.1, .momentum = 0.9},
        {.lr = 0.1, .momentum = 0.9, .dampening = 0.3, .weight_decay = 0.01},
        {.lr = 0.1, .momentum = 0.8, .nesterov = true, .weight_decay = 0.01},
    };
    wg_ctx *ctx = open_ctx();
    for (int c = 0; c < 2 * COUNT(cases); c++) {
        wg_tensor *p = make_param(ctx, c % 2 ? WG_F64 : WG_F32);
        wg_optim *o = wg_sgd_new(&p, 1, &cases[c / 2]);
        cr_assert_not_null(o, "%s", wg_error(ctx));
        double want[N], buf[N] = {0};
        for (int k = 0; k < N; k++) {
            want[k] = start[k];
        }
        for (int t = 1; t <= STEPS; t++) {
            take_step(ctx, o, p, t);
            sgd_ref(&cases[c / 2], t, want, buf);
        }
        expect_param(p, want, "sgd");
        cr_expect(wg_requires_grad(p) && wg_is_leaf(p) && !wg_has_grad(p));
        wg_optim_free(o);
    }
    close_ok(ctx);
}

Test(optim, adam) {
    wg_adam_opts cases[5];
    for (int c = 0; c < COUNT(cases); c++) {
        cases[c] = c < 3 ? wg_adam_defaults() : wg_adamw_defaults();
        cases[c].lr = 0.05;
    }
    cases[1].weight_decay = 0.1;
    cases[2].beta1 = 0.5;
    cases[2].beta2 = 0.9;
    cases[2].eps = 1e-3;
    cases[4].weight_decay = 0.3;
    cr_expect(cases[3].decoupled && cases[3].weight_decay == 1e-2 && !cases[0].decoupled && cases[0].weight_decay == 0);
    cr_expect(cases[0].beta1 == 0.9 && cases[0].beta2 == 0.999 && cases[0].eps == 1e-8 &&
              wg_adam_defaults().lr == 1e-3);
    wg_ctx *ctx = open_ctx();
    for (int c = 0; c < 2 * COUNT(cases); c++) {
        wg_tensor *p = make_param(ctx, c % 2 ? WG_F64 : WG_F32);
        wg_optim *o = wg_adam_new(&p, 1, &cases[c / 2]);
        cr_assert_not_null(o, "%s", wg_error(ctx));
        double want[N], m[N] = {0}, v[N] = {0};
        for (int k = 0; k < N; k++) {
            want[k] = start[k];
        }
        for (int t = 1; t <= STEPS; t++) {
            take_step(ctx, o, p, t);
            adam_ref(&cases[c / 2], t, want, m, v);
        }
        expect_param(p, want, "adam");
        wg_optim_free(o);
    }
    close_ok(ctx);
}

/* Wrong: a parameter without a gradient decays, moves by its momentum, or counts the step. */
Test(optim, leaves_parameters_without_gradient_alone) {
    wg_ctx *ctx = open_ctx();
    wg_adam_opts a = wg_adam_defaults();
    a.weight_decay = 0.1;
    a.lr = 0.05;
    wg_tensor *p[] = {make_param(ctx, WG_F64), make_param(ctx, WG_F64)};
    wg_optim *o = wg_adam_new(p, 2, &a);
    double one[N], both[N], m[N] = {0}, v[N] = {0}, m2[N] = {0}, v2[N] = {0};
    for (int k = 0; k < N; k++) {
        one[k] = both[k] = start[k];
    }
    for (int t = 1; t <= STEPS; t++) {
        nd c = nd_new(WG_F64, WG_SHAPE(N));
        gradient_of(t, c.f);
        WG_SCOPE(ctx) {
            wg_tensor *ct = nd_tensor(ctx, c), *loss = wg_mul(p[0], ct);
            loss = t <= 3 ? loss : wg_add(loss, wg_mul(p[1], ct)); /* the second parameter joins at step 4 */
            wg_backward(wg_sum(loss, NULL, 0, false));
            wg_optim_step(o);
            wg_optim_zero_grad(o);
        }
        adam_ref(&a, t, one, m, v);
        if (t == 3) {
            expect_param(p[1], start, "a parameter that had no gradient yet");
        }
    }
    expect_param(p[0], one, "a parameter that always had a gradient");
    for (int t = 1; t <= STEPS - 3; t++) { /* its own count: gradients of steps 4.. at t = 1.. */
        double g[N];
        gradient_of(t + 3, g);
        for (int k = 0; k < N; k++) {
            g[k] += a.weight_decay * both[k];
            m2[k] = a.beta1 * m2[k] + (1 - a.beta1) * g[k];
            v2[k] = a.beta2 * v2[k] + (1 - a.beta2) * g[k] * g[k];
            both[k] -= a.lr / (1 - pow(a.beta1, t)) * m2[k] / (sqrt(v2[k]) / sqrt(1 - pow(a.beta2, t)) + a.eps);
        }
    }
    expect_param(p[1], both, "a parameter that joined late");
    wg_optim_free(o);
    close_ok(ctx);
}

/* Wrong: the rate is text; or the step runs when it is called. */
Test(optim, learning_rate_and_laziness) {
    wg_ctx *ctx = open_ctx();
    wg_sgd_opts s = wg_sgd_defaults();
    cr_expect(s.lr == 1e-3 && s.momentum == 0 && s.dampening == 0 && s.weight_decay == 0 && !s.nesterov);
    s.lr = 0.5;
    wg_tensor *p = make_param(ctx, WG_F64);
    wg_optim *o = wg_sgd_new(&p, 1, &s);
    double want[N], unused[N] = {0};
    for (int k = 0; k < N; k++) {
        want[k] = start[k];
    }
    wg_stats before = {0}, after;
    for (int t = 1; t <= 4; t++) {
        if (t == 3) {
            before = stats_of(ctx);
        }
        wg_optim_set_lr(o, s.lr = t == 1 ? 0.5 : 0.1 * t);
        cr_expect_eq(wg_optim_lr(o), s.lr);
        take_step(ctx, o, p, t);
        sgd_ref(&s, t, want, unused);
    }
    after = stats_of(ctx);
    cr_expect(after.plans_built == before.plans_built && after.kernels_built == before.kernels_built,
              "another rate built something");
    expect_param(p, want, "a changing rate");
    WG_SCOPE(ctx) {
        wg_backward(wg_sum(p, NULL, 0, false));
        uint64_t launches = stat_launches(ctx);
        wg_optim_step(o);
        cr_expect_eq(stat_launches(ctx), launches);
        wg_optim_zero_grad(o);
    }
    wg_optim_free(o);
    wg_optim_free(NULL);
    close_ok(ctx);
}

/* Updates are in place: memory does not grow from step to step. */
Test(optim, memory_is_constant) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *p = make_param(ctx, WG_F32);
    wg_optim *o = wg_adam_new(&p, 1, NULL);
    uint64_t live = 0;
    for (int t = 1; t <= 30; t++) {
        take_step(ctx, o, p, t);
        live = t == 5 ? stats_of(ctx).bytes_live : live;
    }
    cr_expect_eq(stats_of(ctx).bytes_live, live);
    wg_optim_free(o);
    close_ok(ctx);
}
