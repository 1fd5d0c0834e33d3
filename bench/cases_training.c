/* Whole training steps: the tutorial's, a small network's, and an embedding's two directions. */
#include "cases.h"

#include <math.h>
#include <stdlib.h>

/* ---- tutorial_step ---- */

typedef struct line_fit {
    wg_ctx *ctx;
    wg_tensor *w;
    double grad;
} line_fit;

static void tutorial_run(void *user) {
    line_fit *t = user;
    WG_SCOPE(t->ctx) {
        wg_tensor *loss = wg_square(wg_sub_scalar(wg_mul_scalar(t->w, 2), 4));
        wg_backward(loss);
        wg_tensor *grad = wg_grad(t->w);
        t->grad = wg_item(grad);
        wg_assign(t->w, wg_sub(t->w, wg_mul_scalar(grad, 0.01)));
        wg_zero_grad(t->w);
    }
}

static void tutorial_step(bench *b, row *r) {
    line_fit t = {.ctx = b->ctx};
    t.w = wg_keep(wg_param(wg_from_f32(b->ctx, (float[]){1}, WG_SHAPE(1))));
    if (measure_host(b, r, (side){.run = tutorial_run, .host_time = true, .user = &t, .ctx = b->ctx}, 1)) {
        check_value(b, r, wg_item(t.w), 2, 1e-4);
        row_note(r, "forward, backward, gradient read, update");
    }
}

/* ---- mlp_step ---- */

enum { BATCH = 128, PIXELS = 784, HIDDEN1 = 256, HIDDEN2 = 128, CLASSES = 10, LAYERS = 3 };

static const int widths[LAYERS + 1] = {PIXELS, HIDDEN1, HIDDEN2, CLASSES};

typedef struct network {
    wg_ctx *ctx;
    wg_tensor *x, *target, *params[2 * LAYERS];
    wg_optim *optim;
    double first_loss, loss;
} network;

static wg_tensor *forward(const network *n) {
    wg_tensor *h = n->x;
    for (size_t i = 0; i < LAYERS; i++) {
        h = wg_linear(h, n->params[2 * i], n->params[2 * i + 1]);
        h = i + 1 < LAYERS ? wg_relu(h) : h;
    }
    return h;
}

/* The loss is read when the scope has closed, so forward, backward and update are one plan. */
static void mlp_run(void *user) {
    network *n = user;
    wg_tensor *loss = NULL;
    WG_SCOPE(n->ctx) {
        loss = wg_keep(wg_cross_entropy(forward(n), n->target, NULL));
        wg_backward(loss);
        wg_optim_step(n->optim);
        wg_optim_zero_grad(n->optim);
    }
    n->loss = wg_item(loss);
    n->first_loss = n->first_loss == 0 ? n->loss : n->first_loss;
    wg_free(loss);
}

/* Uniform values scaled to 1/sqrt(in), as PyTorch initialises linear layers. */
static wg_tensor *weights(wg_ctx *ctx, wg_shape shape, int in) {
    size_t count = (size_t)wg_shape_numel(shape);
    float *values = malloc(count * sizeof *values);
    for (size_t i = 0; values && i < count; i++) {
        values[i] = uniform_at(i) / sqrtf((float)in);
    }
    wg_tensor *t = values ? wg_keep(wg_param(wg_from_f32(ctx, values, shape))) : NULL;
    free(values);
    return t;
}

static network network_new(wg_ctx *ctx) {
    int64_t target[BATCH];
    for (int i = 0; i < BATCH; i++) {
        target[i] = i * 7 % CLASSES;
    }
    network n = {.ctx = ctx, .x = uniform(ctx, WG_SHAPE(BATCH, PIXELS))};
    n.target = wg_keep(wg_from_i64(ctx, target, WG_SHAPE(BATCH)));
    for (size_t i = 0; i < LAYERS; i++) {
        n.params[2 * i] = weights(ctx, WG_SHAPE(widths[i + 1], widths[i]), widths[i]);
        n.params[2 * i + 1] = weights(ctx, WG_SHAPE(widths[i + 1]), widths[i]);
    }
    return n;
}

/* Forward and two products backward, but no gradient of the images. */
static double mlp_flops(void) {
    double flops = -2.0 * BATCH * widths[0] * widths[1];
    for (int i = 0; i < LAYERS; i++) {
        flops += 3 * 2.0 * BATCH * widths[i] * widths[i + 1];
    }
    return flops;
}

static void measure_network(bench *b, row *r, network *n) {
    side ours = {.run = mlp_run, .user = n, .ctx = b->ctx};
    if (measure_case(b, r, ours, (work){.flops = mlp_flops(), .limit = FMA_LIMIT}, NULL) && b->computes) {
        row_note(r, "%.0f images/s, loss %.3g to %.3g", BATCH / r->min, n->first_loss, n->loss);
        if (!(n->loss < n->first_loss)) {
            row_note(r, "WRONG: the loss did not fall");
            r->failed = true;
        }
    }
    wg_optim_free(n->optim);
}

static void mlp_step_sgd(bench *b, row *r) {
    network n = network_new(b->ctx);
    wg_sgd_opts opts = wg_sgd_defaults();
    opts.lr = 0.01;
    n.optim = wg_sgd_new(n.params, 2 * LAYERS, &opts);
    measure_network(b, r, &n);
}

static void mlp_step_adam(bench *b, row *r) {
    network n = network_new(b->ctx);
    n.optim = wg_adam_new(n.params, 2 * LAYERS, NULL);
    measure_network(b, r, &n);
}

/* ---- embedding ---- */

enum { VOCABULARY = 10000, WIDTH = 256, TOKENS = 4096 };

typedef struct lookup {
    wg_ctx *ctx;
    wg_tensor *weight, *index, *upstream, *rows, *grad;
} lookup;

static void embedding_run(void *user) {
    lookup *l = user;
    WG_SCOPE(l->ctx) {
        wg_tensor *rows = wg_embedding(l->weight, l->index);
        wg_backward(wg_sum(wg_mul(rows, l->upstream), NULL, 0, false));
        wg_assign(l->grad, wg_grad(l->weight));
        wg_zero_grad(l->weight);
        wg_assign(l->rows, rows);
    }
    wg_synchronize(l->ctx);
}

static int64_t token(size_t i) { return (int64_t)((i * 2654435761u) % VOCABULARY); }

static void embedding(bench *b, row *r) {
    static int64_t index[TOKENS];
    for (size_t i = 0; i < TOKENS; i++) {
        index[i] = token(i);
    }
    lookup l = {.ctx = b->ctx, .weight = uniform(b->ctx, WG_SHAPE(VOCABULARY, WIDTH))};
    wg_param(l.weight);
    l.index = wg_keep(wg_from_i64(b->ctx, index, WG_SHAPE(TOKENS)));
    l.upstream = uniform(b->ctx, WG_SHAPE(TOKENS, WIDTH));
    l.rows = place_for(b->ctx, WG_SHAPE(TOKENS, WIDTH));
    l.grad = place_for(b->ctx, WG_SHAPE(VOCABULARY, WIDTH));
    /* Rows read and written, the gradient coming down read, the weight's gradient written. */
    double bytes = sizeof(float) * WIDTH * (3.0 * TOKENS + VOCABULARY);
    side ours = {.run = embedding_run, .user = &l, .ctx = b->ctx};
    if (measure_case(b, r, ours, (work){.bytes = bytes, .limit = COPY_LIMIT}, NULL)) {
        double want = 0;
        for (size_t i = 0; i < TOKENS; i++) {
            want += index[i] == token(1) ? (double)uniform_at(i * WIDTH + 3) : 0;
        }
        check_element(b, r, l.grad, token(1) * WIDTH + 3, want, 1e-5);
    }
}

const bench_case training_cases[] = {
    {"tutorial_step", "one inner step of the tutorial: forward, backward, gradient read, update", tutorial_step},
    {"mlp_step_sgd", "one step of a 784-256-128-10 network, batch 128, SGD", mlp_step_sgd},
    {"mlp_step_adam", "the same with Adam", mlp_step_adam},
    {"embedding", "forward and backward of 4096 rows picked from 10000x256", embedding},
    {0},
};
