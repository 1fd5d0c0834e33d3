/* Initialisers: new random values for leaves. */
#include "api/fail.h"
#include "nn/temporaries.h"
#include "nn/text.h"

#include <math.h>
#include <wengert/nn.h>
#include <wengert/ops.h>

typedef wg_tensor *(*draw)(wg_ctx *ctx, wg_dtype dtype, wg_shape shape);

/* t = draw * scale + shift */
static wg_status init(wg_tensor *t, draw random, double scale, double shift) {
    wg_ctx *ctx = wg_context(t);
    if (!ctx) {
        return WG_ERR_ARG;
    }
    bool before = wg_no_grad(ctx, true);
    temporaries made = {0};
    wg_tensor *raw = temporary(&made, random(ctx, wg_dtype_of(t), wg_shape_of(t)));
    wg_tensor *value = temporary(&made, wg_add_scalar(temporary(&made, wg_mul_scalar(raw, scale)), shift));
    wg_status status = value ? wg_assign(t, value) : wg_error_status(ctx);
    finish(&made, NULL);
    wg_no_grad(ctx, before);
    return status;
}

wg_status wg_init_uniform(wg_tensor *t, double lo, double hi) { return init(t, wg_rand, hi - lo, lo); }

wg_status wg_init_normal(wg_tensor *t, double mean, double std) { return init(t, wg_randn, std, mean); }

/* 1 / ((1 + a^2) fan_in), the variance in terms of which both forms are given; negative on error. */
static double kaiming(const char *name, wg_tensor *t, double a) {
    if (wg_rank(t) < 2) {
        if (t) {
            wg_ctx_fail(wg_context(t), WG_ERR_SHAPE, "%s: %s: takes a rank of 2 or more", name, shape_of(t).s);
        }
        return -1;
    }
    double fan_in = 1;
    for (int i = 1; i < wg_rank(t); i++) {
        fan_in *= (double)wg_size(t, i);
    }
    return 1 / ((1 + a * a) * fmax(fan_in, 1));
}

wg_status wg_init_kaiming_uniform(wg_tensor *t, double a) {
    double v = kaiming("init_kaiming_uniform", t, a), bound = sqrt(6 * v);
    return v < 0 ? (t ? WG_ERR_SHAPE : WG_ERR_ARG) : wg_init_uniform(t, -bound, bound);
}

wg_status wg_init_kaiming_normal(wg_tensor *t, double a) {
    double v = kaiming("init_kaiming_normal", t, a);
    return v < 0 ? (t ? WG_ERR_SHAPE : WG_ERR_ARG) : wg_init_normal(t, 0, sqrt(2 * v));
}
