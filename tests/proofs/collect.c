/*
 * collect FOLDER: makes the library write every kernel text it has for the op table, for optimisers and for training
 * steps, in the CUDA dialect; runs nothing.
 *
 * Texts depend on dtypes, on ranks and strides as far as loops differ, and on what is fused, not on sizes. So each op goes
 * through its variants, dtypes and layouts alone, in a plan of its own, with its gradients of first and second order. What
 * ops are in company, fused and unfused, the test suite's own programs show on the same device.
 */
#include "harness/gen.h"
#include "harness/op_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))
static const wg_dtype dtypes[] = {WG_BOOL, WG_U8, WG_I32, WG_I64, WG_F32, WG_F64};

static int failures;

/* Says what the context has against the op, and goes on. */
static void report(wg_ctx *ctx, const char *what, const char *name) {
    char text[300];
    if (wg_error_take(ctx, text, sizeof text) != WG_OK) {
        fprintf(stderr, "collect: %s: %s: %s\n", name, what, text);
        failures++;
    }
}

/* ---- one op ----------------------------------------------------------------------------------------------------------- */

/* Gradients of first and second order of y with respect to the floating inputs, each demanded on its own. */
static void differentiate(wg_ctx *ctx, const op *o, input *in, wg_tensor *y, rng *r) {
    wg_tensor *x[OP_MAX_ARITY], *first[OP_MAX_ARITY], *second[OP_MAX_ARITY];
    size_t n = 0;
    for (int k = 0; k < o->arity; k++) {
        if (in[k].v.f) {
            x[n++] = in[k].t;
        }
    }
    wg_tensor *weight = input_make(ctx, wg_dtype_of(y), wg_shape_of(y), LAY_CONTIGUOUS, DOM_ANY, r).t;
    wg_gradients_opts opts = wg_gradients_defaults();
    opts.create_graph = true;
    opts.allow_unused = true;
    opts.grad_outputs = &weight;
    if (wg_gradients(&y, 1, x, n, first, &opts) == WG_OK) {
        wg_eval(first, n);
        wg_tensor *slopes[OP_MAX_ARITY];
        size_t live = 0;
        for (size_t k = 0; k < n; k++) {
            if (wg_requires_grad(first[k])) {
                slopes[live++] = wg_sum(wg_square(first[k]), NULL, 0, false);
            }
        }
        opts.grad_outputs = NULL;
        opts.create_graph = false;
        if (live > 0 && wg_gradients(slopes, live, x, n, second, &opts) == WG_OK) {
            wg_eval(second, n);
        }
    }
    report(ctx, "gradients", o->name);
}

static void run(wg_ctx *ctx, const op *o, int variant, const wg_shape *shapes, wg_dtype t, layout l, bool grads) {
    WG_SCOPE(ctx) {
        rng r = rng_seed(o->name, (uint64_t)variant);
        input in[OP_MAX_ARITY];
        op_inputs(o, ctx, variant, shapes, t, l, -1, &r, in);
        grads = grads && (o->flags & OP_DIFF) && dtype_is_float(t);
        for (int k = 0; k < o->arity; k++) {
            if (grads && in[k].v.f) {
                wg_param(in[k].t);
            }
        }
        wg_tensor *y = op_build(o, ctx, in, variant);
        wg_eval(&y, 1);
        report(ctx, "forward", o->name);
        if (grads && y && wg_numel(y) > 0) {
            differentiate(ctx, o, in, y, &r);
        }
    }
}

static void run_elementwise(wg_ctx *ctx, const op *o, wg_dtype t) {
    static const wg_shape shapes[][OP_MAX_ARITY] = {
        {SH(1, 19), SH(1, 19), SH(1, 19)},
        {SH(2, 7, 1), SH(1, 3), SH(2, 7, 3)},
        {SCALAR, SH(3, 2, 1, 5), SH(2, 3, 1)},
        {SH(3, 4, 3, 2), SCALAR, SCALAR},
    };
    static const wg_shape full[] = {SH(3, 4, 3, 5), SH(3, 4, 3, 5), SH(3, 4, 3, 5)};
    for (int v = 0; v < o->variants; v++) {
        for (int s = 0; s < COUNT(shapes); s++) {
            run(ctx, o, v, shapes[s], t, LAY_CONTIGUOUS, s == 0 || (s == 1 && v == 0));
        }
    }
    for (int l = 1; l < LAY_COUNT; l++) {
        run(ctx, o, 0, full, t, (layout)l, false);
    }
}

static void run_structured(wg_ctx *ctx, const op *o, wg_dtype t) {
    for (int v = 0; v < o->variants; v++) {
        run(ctx, o, v, NULL, t, LAY_CONTIGUOUS, true);
        run(ctx, o, v, NULL, t, (layout)(1 + v % (LAY_COUNT - 1)), false);
    }
}

static void run_table(wg_ctx *ctx) {
    for (int k = 0; k < op_count(); k++) {
        for (int d = 0; d < COUNT(dtypes); d++) {
            if (op_takes(op_at(k), dtypes[d])) {
                (op_at(k)->cases ? run_structured : run_elementwise)(ctx, op_at(k), dtypes[d]);
            }
        }
    }
}

/* ---- training --------------------------------------------------------------------------------------------------------- */

enum { LAYERS = 2, PARAMS = 2 * LAYERS + 1, WORDS = 11 };

static wg_tensor *values(wg_ctx *ctx, wg_dtype t, wg_shape s) {
    rng r = rng_seed("collect", (uint64_t)wg_shape_numel(s));
    return wg_keep(input_make(ctx, t, s, LAY_CONTIGUOUS, DOM_ANY, &r).t);
}

static wg_tensor *layer_norm(wg_tensor *x) {
    const int last = -1;
    wg_tensor *d = wg_sub(x, wg_mean(x, &last, 1, true));
    return wg_mul(d, wg_rsqrt(wg_add_scalar(wg_mean(wg_square(d), &last, 1, true), 1e-5)));
}

/* An embedding, a normalised layer with dropout, and a loss: what a step of a language model is made of. */
static wg_tensor *loss_of(wg_tensor *const *p, wg_tensor *index, wg_tensor *target, bool classes) {
    wg_tensor *h = layer_norm(wg_embedding(p[0], index));
    h = wg_dropout(wg_gelu(wg_linear(h, p[1], p[2])), 0.3, true);
    h = wg_linear(wg_relu(h), p[3], p[4]);
    return classes ? wg_cross_entropy(h, target, NULL) : wg_mse_loss(wg_softmax(h, -1), wg_log_softmax(h, -1), WG_MEAN);
}

static wg_optim *make_optim(int kind, wg_tensor *const *p) {
    wg_sgd_opts sgd = wg_sgd_defaults();
    sgd.momentum = kind > 0 ? 0.9 : 0;
    sgd.dampening = kind == 2 ? 0.1 : 0;
    sgd.weight_decay = kind > 0 ? 0.01 : 0;
    sgd.nesterov = kind == 3;
    wg_adam_opts adam = kind == 6 ? wg_adamw_defaults() : wg_adam_defaults();
    adam.weight_decay = kind == 4 ? 0 : 0.01;
    return kind < 4 ? wg_sgd_new(p, PARAMS, &sgd) : wg_adam_new(p, PARAMS, &adam);
}

/* Three steps: the first differs, and the third replays the second. Then two that add up gradients. */
static void train(wg_ctx *ctx, wg_dtype t, int kind) {
    static const int64_t words[WORDS] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5}, classes[WORDS] = {0, 2, 1, 1, 0, 2, 2, 1};
    wg_tensor *index = wg_keep(wg_from_i64(ctx, words, WG_SHAPE(WORDS)));
    wg_tensor *target = wg_keep(wg_from_i64(ctx, classes, WG_SHAPE(WORDS)));
    wg_tensor *p[PARAMS] = {values(ctx, t, WG_SHAPE(10, 20)), values(ctx, t, WG_SHAPE(31, 20)),
                            values(ctx, t, WG_SHAPE(31)), values(ctx, t, WG_SHAPE(3, 31)), values(ctx, t, WG_SHAPE(3))};
    for (int k = 0; k < PARAMS; k++) {
        wg_param(p[k]);
    }
    wg_optim *o = make_optim(kind, p);
    for (int step = 0; step < 5; step++) {
        WG_SCOPE(ctx) {
            wg_backward(loss_of(p, index, target, kind % 2));
            if (step != 3) {
                wg_optim_step(o);
                wg_optim_zero_grad(o);
            }
        }
        report(ctx, "training", wg_dtype_name(t));
    }
    wg_optim_free(o);
}

/* ---- all of it -------------------------------------------------------------------------------------------------------- */

static void collect(const char *fuse) {
    setenv("WENGERT_FUSE", fuse, 1);
    wg_ctx *ctx = wg_open("null:cuda");
    if (wg_failed(ctx)) {
        fprintf(stderr, "collect: %s\n", wg_error(ctx));
        exit(1);
    }
    if (strcmp(fuse, "1") == 0) {
        run_table(ctx);
    }
    for (int kind = 0; kind < 7; kind++) {
        train(ctx, WG_F32, kind);
        train(ctx, WG_F64, kind);
    }
    wg_close(ctx);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: collect FOLDER\n");
        return 2;
    }
    setenv("WENGERT_KERNELS", argv[1], 1);
    collect("1");
    collect("0");
    if (failures > 0) {
        fprintf(stderr, "collect: %d failures\n", failures);
    }
    return failures > 0;
}
