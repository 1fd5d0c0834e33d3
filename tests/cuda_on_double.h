/*
 * What the tests share that run the library on the CUDA double: how it gets loaded, what can be asked of it, and a model to
 * train.
 */
#ifndef WG_TESTS_CUDA_ON_DOUBLE_H
#define WG_TESTS_CUDA_ON_DOUBLE_H

#include "harness/check.h"

#include "doubles/cuda/control.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

static struct { CUDA_DOUBLE_CONTROL(CUDA_DOUBLE_POINTER) } cu;

/* The library finds the double where it looks for CUDA. That NVRTC compiles the kernels is proved elsewhere, so here they
 * have a cache of their own. */
static inline void load_double(void) {
    setenv("WENGERT_LIBCUDA", CUDA_DOUBLE_LIBRARY, 1);
    setenv("WENGERT_LIBNVRTC", CUDA_DOUBLE_LIBRARY, 1);
    setenv("WENGERT_LIBCUBLAS", CUDA_DOUBLE_LIBRARY, 1);
    setenv("WENGERT_LIBCUBLASLT", CUDA_DOUBLE_LIBRARY, 1);
    setenv("WENGERT_CACHE_DIR", CUDA_DOUBLE_CACHE, 1);
    setenv("WENGERT_DOUBLE_NVRTC", "none", 1);
    void *library = dlopen(CUDA_DOUBLE_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    cr_assert(library, "%s", dlerror());
#define X(result, name, parameters) cr_assert((*(void **)&cu.name = dlsym(library, #name)), "there is no %s", #name);
    CUDA_DOUBLE_CONTROL(X)
#undef X
}

/* ---- a model ---------------------------------------------------------------------------------------------------------------- */

enum { ROWS = 6, IN = 5, HIDDEN = 8, STEPS = 3, PARAMS = 4 };

static const wg_shape shapes[PARAMS] = {{2, {HIDDEN, IN}}, {1, {HIDDEN}}, {2, {1, HIDDEN}}, {2, {HIDDEN, IN}}};

typedef struct bits {
    float params[PARAMS][HIDDEN * IN];
    float loss[STEPS];
} bits;

static inline void numbers(float *out, int n, int seed) {
    for (int i = 0; i < n; i++) {
        out[i] = (float)((i * 7 + seed * 31) % 23 - 11) / 8;
    }
}

static inline double step(wg_ctx *ctx, wg_tensor **w, wg_optim *optim, int k) {
    float x[ROWS * IN], y[ROWS];
    numbers(x, ROWS * IN, k + 10);
    numbers(y, ROWS, k + 20);
    wg_mark mark = wg_scope_begin(ctx);
    wg_tensor *in = wg_from(ctx, WG_F32, x, WG_SHAPE(ROWS, IN));
    /* Two branches, which run side by side on two queues. */
    wg_tensor *h = wg_mul(wg_tanh(wg_linear(in, w[0], w[1])), wg_tanh(wg_linear(wg_square(in), w[3], NULL)));
    wg_tensor *loss = wg_mse_loss(wg_linear(h, w[2], NULL), wg_from(ctx, WG_F32, y, WG_SHAPE(ROWS, 1)), WG_MEAN);
    if (wg_backward(loss) == WG_OK) {
        wg_optim_step(optim);
    }
    double value = wg_item(loss);
    wg_optim_zero_grad(optim);
    wg_scope_end(ctx, mark);
    return value;
}

/* From the start: STEPS steps. What fails is in ctx. */
static inline void train(wg_ctx *ctx, bits *out) {
    wg_tensor *w[PARAMS];
    memset(out, 0, sizeof *out);
    for (int i = 0; i < PARAMS; i++) {
        numbers(out->params[i], (int)wg_shape_numel(shapes[i]), i);
        w[i] = wg_keep(wg_from(ctx, WG_F32, out->params[i], shapes[i]));
        if (w[i]) {
            wg_param(w[i]);
        }
    }
    wg_optim *optim = wg_failed(ctx) ? NULL : wg_adam_new(w, PARAMS, NULL);
    for (int k = 0; k < STEPS && optim && !wg_failed(ctx); k++) {
        out->loss[k] = (float)step(ctx, w, optim, k);
    }
    for (int i = 0; i < PARAMS && !wg_failed(ctx); i++) {
        wg_read(w[i], out->params[i], (size_t)wg_shape_numel(shapes[i]) * sizeof(float));
    }
    wg_optim_free(optim);
    for (int i = 0; i < PARAMS; i++) {
        wg_free(w[i]);
    }
}

/* Opens, trains, closes; what was wrong, NULL if nothing was. */
static inline const char *whole_run(bits *out) {
    static char why[300];
    wg_ctx *ctx = wg_open("cuda:0");
    train(ctx, out);
    wg_status status = wg_error_take(ctx, why, sizeof why);
    wg_status closed = wg_close(ctx);
    return status ? why : closed ? "closing" : NULL;
}

static inline bits undisturbed(void) {
    bits b;
    const char *wrong = whole_run(&b);
    cr_assert_null(wrong, "%s", wrong);
    for (int k = 0; k < STEPS; k++) {
        cr_assert(b.loss[k] > 0 && b.loss[k] < 100, "loss %g", (double)b.loss[k]);
    }
    return b;
}

#endif
