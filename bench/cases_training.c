/* Whole training steps: the tutorial's, a small network's, and an embedding's two directions. */
#include "cases.h"
#include "model.h"

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

static void measure_mlp(bench *b, row *r, model_maker *make) {
    model m;
    make(&m, b->ctx);
    side ours = {.run = model_step, .user = &m, .ctx = b->ctx};
    if (measure_case(b, r, ours, (work){.flops = mlp_flops(), .limit = FMA_LIMIT}, NULL) && b->computes) {
        row_note(r, "%.0f images/s, loss %.3g to %.3g", MLP_BATCH / r->min, m.first_loss, m.last_loss);
        if (!(m.last_loss < m.first_loss)) {
            row_note(r, "WRONG: the loss did not fall");
            r->failed = true;
        }
    }
    model_free(&m);
}

static void mlp_step_sgd(bench *b, row *r) { measure_mlp(b, r, mlp_sgd); }

static void mlp_step_adam(bench *b, row *r) { measure_mlp(b, r, mlp_adam); }

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
