/* What the networks share: parameters, layers, the step. */
#include "model.h"

#include "cases.h"

#include <math.h>
#include <stdlib.h>

/* Uniform values from middle - reach to middle + reach. */
static wg_tensor *filled(wg_ctx *ctx, wg_shape shape, float middle, float reach) {
    size_t n = (size_t)wg_shape_numel(shape);
    float *values = malloc(n * sizeof *values);
    for (size_t i = 0; values && i < n; i++) {
        values[i] = middle + uniform_at(i) * reach;
    }
    wg_tensor *t = values ? wg_keep(wg_from_f32(ctx, values, shape)) : NULL;
    free(values);
    return t;
}

static void push(model *m, wg_tensor *t) {
    if (m->nparams < MAX_PARAMS) {
        m->params[m->nparams++] = wg_param(t);
    }
}

void add_linear(model *m, int64_t in, int64_t out) {
    float reach = 1 / sqrtf((float)in);
    push(m, filled(m->ctx, WG_SHAPE(out, in), 0, reach));
    push(m, filled(m->ctx, WG_SHAPE(out), 0, reach));
}

void add_norm(model *m, int64_t width) {
    push(m, filled(m->ctx, WG_SHAPE(width), 1, 0));
    push(m, filled(m->ctx, WG_SHAPE(width), 0, 0));
}

void add_param(model *m, wg_shape shape) { push(m, filled(m->ctx, shape, 0, 0.02f)); }

wg_tensor *linear(const model *m, int layer, wg_tensor *x) {
    return wg_linear(x, m->params[2 * layer], m->params[2 * layer + 1]);
}

wg_tensor *norm(const model *m, int layer, wg_tensor *x) {
    wg_tensor *gain = m->params[2 * layer], *bias = m->params[2 * layer + 1];
    return wg_layer_norm(x, wg_shape_of(gain), gain, bias, NULL);
}

void model_step(void *user) {
    model *m = user;
    wg_tensor *loss = NULL;
    WG_SCOPE(m->ctx) {
        loss = wg_keep(m->loss(m));
        wg_backward(loss);
        wg_optim_step(m->optim);
        wg_optim_zero_grad(m->optim);
    }
    m->last_loss = wg_item(loss);
    m->first_loss = m->steps++ == 0 ? m->last_loss : m->first_loss;
    wg_free(loss);
}

void model_free(model *m) {
    wg_optim_free(m->optim);
    for (size_t i = 0; i < m->nparams; i++) {
        wg_free(m->params[i]);
    }
    for (size_t i = 0; i < MAX_INPUTS; i++) {
        wg_free(m->inputs[i]);
    }
    wg_free(m->target);
    *m = (model){0};
}
