/* The network of Fashion-MNIST: 784-256-128-10. */
#include "cases.h"
#include "model.h"

enum { LAYERS = 3 };

static const int widths[LAYERS + 1] = {784, 256, 128, 10};

static wg_tensor *loss(const model *m) {
    wg_tensor *h = m->inputs[0];
    for (int i = 0; i < LAYERS; i++) {
        h = linear(m, i, h);
        h = i + 1 < LAYERS ? wg_relu(h) : h;
    }
    return wg_cross_entropy(h, m->target, NULL);
}

static void make(model *m, wg_ctx *ctx) {
    int64_t target[MLP_BATCH];
    for (int i = 0; i < MLP_BATCH; i++) {
        target[i] = i * 7 % widths[LAYERS];
    }
    *m = (model){.ctx = ctx, .loss = loss, .inputs = {uniform(ctx, WG_SHAPE(MLP_BATCH, widths[0]))}};
    m->target = wg_keep(wg_from_i64(ctx, target, WG_SHAPE(MLP_BATCH)));
    for (int i = 0; i < LAYERS; i++) {
        add_linear(m, widths[i], widths[i + 1]);
    }
}

void mlp_sgd(model *m, wg_ctx *ctx) {
    make(m, ctx);
    wg_sgd_opts opts = wg_sgd_defaults();
    opts.lr = 0.01;
    m->optim = wg_sgd_new(m->params, m->nparams, &opts);
}

void mlp_adam(model *m, wg_ctx *ctx) {
    make(m, ctx);
    m->optim = wg_adam_new(m->params, m->nparams, NULL);
}

/* Forward and two products backward, but no gradient of the images. */
double mlp_flops(void) {
    double flops = -2.0 * MLP_BATCH * widths[0] * widths[1];
    for (int i = 0; i < LAYERS; i++) {
        flops += 3 * 2.0 * MLP_BATCH * widths[i] * widths[i + 1];
    }
    return flops;
}
