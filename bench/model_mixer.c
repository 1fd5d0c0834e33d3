/*
 * An image classifier without convolutions: 28x28 images cut into 4x4 patches of 7x7 pixels, two blocks that mix patches
 * and channels in turn, each by a small network around which the signal is carried past, then the mean over patches.
 */
#include "cases.h"
#include "model.h"

enum { BATCH = 128, SIDE = 4, PIXELS = 7, PATCHES = SIDE * SIDE, WIDTH = 64, BETWEEN = 32, WIDE = 128, CLASSES = 10 };
enum { BLOCKS = 2 };

/* Layers of a block, and where those of the rest are. */
enum { NORM_PATCHES, PATCHES_UP, PATCHES_DOWN, NORM_WIDTH, WIDTH_UP, WIDTH_DOWN, A_BLOCK };
enum { EMBED, FIRST_BLOCK, NORM_LAST = FIRST_BLOCK + BLOCKS * A_BLOCK, HEAD };

/* [batch, 28, 28] to [batch, patch, pixel] */
static wg_tensor *patches(wg_tensor *images) {
    wg_tensor *split = wg_reshape(images, WG_SHAPE(BATCH, SIDE, PIXELS, SIDE, PIXELS));
    return wg_reshape(wg_transpose(split, 2, 3), WG_SHAPE(BATCH, PATCHES, PIXELS * PIXELS));
}

static wg_tensor *block(const model *m, int first, wg_tensor *x) {
    wg_tensor *t = wg_transpose(norm(m, first + NORM_PATCHES, x), 1, 2);
    t = linear(m, first + PATCHES_DOWN, wg_gelu(linear(m, first + PATCHES_UP, t)));
    x = wg_add(x, wg_transpose(t, 1, 2));
    t = linear(m, first + WIDTH_UP, norm(m, first + NORM_WIDTH, x));
    return wg_add(x, linear(m, first + WIDTH_DOWN, wg_gelu(t)));
}

static wg_tensor *loss(const model *m) {
    const int over_patches = 1;
    wg_tensor *h = linear(m, EMBED, patches(m->inputs[0]));
    for (int i = 0; i < BLOCKS; i++) {
        h = block(m, FIRST_BLOCK + i * A_BLOCK, h);
    }
    h = wg_mean(norm(m, NORM_LAST, h), &over_patches, 1, false);
    return wg_cross_entropy(linear(m, HEAD, h), m->target, NULL);
}

void mixer(model *m, wg_ctx *ctx) {
    int64_t target[BATCH];
    for (int i = 0; i < BATCH; i++) {
        target[i] = i * 7 % CLASSES;
    }
    *m = (model){.ctx = ctx, .loss = loss, .inputs = {uniform(ctx, WG_SHAPE(BATCH, SIDE * PIXELS, SIDE * PIXELS))}};
    m->target = wg_keep(wg_from_i64(ctx, target, WG_SHAPE(BATCH)));
    add_linear(m, PIXELS * PIXELS, WIDTH);
    for (int i = 0; i < BLOCKS; i++) {
        add_norm(m, WIDTH);
        add_linear(m, PATCHES, BETWEEN);
        add_linear(m, BETWEEN, PATCHES);
        add_norm(m, WIDTH);
        add_linear(m, WIDTH, WIDE);
        add_linear(m, WIDE, WIDTH);
    }
    add_norm(m, WIDTH);
    add_linear(m, WIDTH, CLASSES);
    wg_adam_opts opts = wg_adamw_defaults();
    m->optim = wg_adam_new(m->params, m->nparams, &opts);
}
