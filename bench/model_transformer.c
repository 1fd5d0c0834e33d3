/* A transformer's block, attention written with matmul, softmax and views; it learns to give its input back. */
#include "cases.h"
#include "model.h"

#include <math.h>

enum { BATCH = 8, TOKENS = 128, WIDTH = 128, HEADS = 4, DEPTH = WIDTH / HEADS, WIDE = 4 * WIDTH };
enum { NORM_ATTENTION, QUERY_KEY_VALUE, JOIN, NORM_NETWORK, UP, DOWN, LAYERS };

/* [batch, token, width] to itself: each head's tokens look at all of its tokens. */
static wg_tensor *attention(const model *m, wg_tensor *x) {
    const int heads_first[] = {2, 0, 3, 1, 4}, tokens_first[] = {0, 2, 1, 3};
    wg_tensor *all = wg_reshape(linear(m, QUERY_KEY_VALUE, x), WG_SHAPE(BATCH, TOKENS, 3, HEADS, DEPTH));
    all = wg_permute(all, heads_first);
    wg_tensor *query = wg_select(all, 0, 0), *key = wg_select(all, 0, 1), *value = wg_select(all, 0, 2);
    wg_tensor *scores = wg_mul_scalar(wg_matmul(query, wg_transpose(key, 2, 3)), 1 / sqrt(DEPTH));
    wg_tensor *seen = wg_matmul(wg_softmax(scores, 3), value);
    return linear(m, JOIN, wg_reshape(wg_permute(seen, tokens_first), WG_SHAPE(BATCH, TOKENS, WIDTH)));
}

static wg_tensor *loss(const model *m) {
    wg_tensor *positions = m->params[2 * LAYERS];
    wg_tensor *h = wg_add(m->inputs[0], positions);
    h = wg_add(h, attention(m, norm(m, NORM_ATTENTION, h)));
    h = wg_add(h, linear(m, DOWN, wg_gelu(linear(m, UP, norm(m, NORM_NETWORK, h)))));
    return wg_mse_loss(h, m->inputs[0], WG_MEAN);
}

void transformer(model *m, wg_ctx *ctx) {
    *m = (model){.ctx = ctx, .loss = loss, .inputs = {uniform(ctx, WG_SHAPE(BATCH, TOKENS, WIDTH))}};
    add_norm(m, WIDTH);
    add_linear(m, WIDTH, 3 * WIDTH);
    add_linear(m, WIDTH, WIDTH);
    add_norm(m, WIDTH);
    add_linear(m, WIDTH, WIDE);
    add_linear(m, WIDE, WIDTH);
    add_param(m, WG_SHAPE(TOKENS, WIDTH));
    wg_adam_opts opts = wg_adamw_defaults();
    m->optim = wg_adam_new(m->params, m->nparams, &opts);
}
