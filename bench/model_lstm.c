/* An LSTM's cell: the state after the last time step is to be a target. */
#include "cases.h"
#include "model.h"

enum { BATCH = 64, WIDTH = 128, GATES = 4 };
enum { OF_INPUT, OF_STATE };
enum { INPUT, HIDDEN, CELL };

static wg_tensor *gate(wg_tensor *all, int i) { return wg_narrow(all, 1, (int64_t)i * WIDTH, WIDTH); }

/* The input is [time, batch, width]. */
static wg_tensor *loss(const model *m) {
    wg_tensor *x = m->inputs[INPUT], *hidden = m->inputs[HIDDEN], *cell = m->inputs[CELL];
    for (int64_t t = 0; t < wg_size(x, 0); t++) {
        wg_tensor *all = wg_add(linear(m, OF_INPUT, wg_select(x, 0, t)), linear(m, OF_STATE, hidden));
        wg_tensor *in = wg_sigmoid(gate(all, 0)), *forget = wg_sigmoid(gate(all, 1));
        wg_tensor *made = wg_tanh(gate(all, 2)), *out = wg_sigmoid(gate(all, 3));
        cell = wg_add(wg_mul(forget, cell), wg_mul(in, made));
        hidden = wg_mul(out, wg_tanh(cell));
    }
    return wg_mse_loss(hidden, m->target, WG_MEAN);
}

static void make(model *m, wg_ctx *ctx, int64_t times) {
    const wg_shape state = WG_SHAPE(BATCH, WIDTH);
    *m = (model){.ctx = ctx, .loss = loss, .target = uniform(ctx, state)};
    m->inputs[INPUT] = uniform(ctx, WG_SHAPE(times, BATCH, WIDTH));
    m->inputs[HIDDEN] = uniform(ctx, state);
    m->inputs[CELL] = uniform(ctx, state);
    add_linear(m, WIDTH, (int64_t)GATES * WIDTH);
    add_linear(m, WIDTH, (int64_t)GATES * WIDTH);
    wg_sgd_opts opts = wg_sgd_defaults();
    opts.lr = 0.1;
    m->optim = wg_sgd_new(m->params, m->nparams, &opts);
}

void lstm_cell(model *m, wg_ctx *ctx) { make(m, ctx, 1); }

void lstm_8(model *m, wg_ctx *ctx) { make(m, ctx, 8); }
