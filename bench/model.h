/*
 * Networks whose whole training steps are counted and timed: forward, backward and update, the loss kept and read after
 * the scope. bench/peers/pytorch.py has the same ones.
 */
#ifndef WENGERT_BENCH_MODEL_H
#define WENGERT_BENCH_MODEL_H

#include <wengert/wengert.h>

enum { MAX_LAYERS = 16, MAX_PARAMS = 2 * MAX_LAYERS, MAX_INPUTS = 3 };

/* A network, what it learns from, and what updates it. A layer is a pair of parameters: weight and bias of a linear map,
 * gain and bias of a norm. */
typedef struct model {
    wg_ctx *ctx;
    wg_tensor *(*loss)(const struct model *m); /* records the forward pass */
    wg_tensor *inputs[MAX_INPUTS], *target;
    wg_tensor *params[MAX_PARAMS]; /* of layer i at 2 i and 2 i + 1; others after them */
    size_t nparams;
    wg_optim *optim;
    double first_loss, last_loss; /* of the steps taken */
    size_t steps;
} model;

/* Each fills *m, whose contents model_free gives back; errors are in the context. */
typedef void model_maker(model *m, wg_ctx *ctx);

/* Layers of `widths` with ReLU between them, batch 128, cross entropy. */
model_maker mlp_sgd, mlp_adam;
enum { MLP_BATCH = 128 };
/* Floating-point operations of the products of a step of either. */
double mlp_flops(void);

/* A mixer of patches (Tolstikhin et al. 2021) that classifies 28x28 images; AdamW. */
model_maker mixer;
/* A transformer's block with position embeddings (Vaswani et al. 2017), the norms first; AdamW. */
model_maker transformer;
/* An LSTM's cell (Hochreiter & Schmidhuber 1997) for one and for eight time steps; SGD. */
model_maker lstm_cell, lstm_8;

/* One step of the model that it is given. */
void model_step(void *user);
void model_free(model *m);

/* Parameters for the next layer: a linear map's, uniform in +-1/sqrt(in) as PyTorch initialises them, and a norm's. */
void add_linear(model *m, int64_t in, int64_t out);
void add_norm(model *m, int64_t width);
/* Any other parameter, of small uniform values; after the layers. */
void add_param(model *m, wg_shape shape);

wg_tensor *linear(const model *m, int layer, wg_tensor *x);
/* Over the last dimension. */
wg_tensor *norm(const model *m, int layer, wg_tensor *x);

#endif
