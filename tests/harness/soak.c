/* A small training run, long enough to show what grows. */
#include "soak.h"

#include "api/context.h"
#include "graph/intern.h"

#include <stdio.h>

enum { BATCH = 8, IN = 6, HIDDEN = 10, CLASSES = 3, PARAMS = 4, SETTLED = 100, BATCHES = 16 };

long resident_pages(void) {
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f) {
        if (fscanf(f, "%*s %ld", &pages) != 1) {
            pages = 0;
        }
        fclose(f);
    }
    return pages;
}

/* What must not grow. */
typedef struct holdings {
    wg_memory_info memory;
    size_t interned, kernels;
    uint64_t plans;
    long pages;
} holdings;

static holdings holdings_of(wg_ctx *ctx) {
    holdings h = {.interned = wg_intern_count(&ctx->graph),
                  .kernels = ctx->engine.programs.count,
                  .plans = ctx->plans_built,
                  .pages = resident_pages()};
    wg_memory_stats(ctx, &h.memory);
    return h;
}

typedef struct trainee {
    wg_ctx *ctx;
    wg_tensor *param[PARAMS], *x, *target;
    wg_optim *optim;
} trainee;

static bool make(trainee *t, const char *device) {
    wg_ctx *ctx = t->ctx = wg_open(device);
    static const int64_t sizes[][2] = {{HIDDEN, IN}, {HIDDEN, 1}, {CLASSES, HIDDEN}, {CLASSES, 1}};
    static const float zeros[BATCH * IN];
    static const int64_t none[BATCH];
    WG_SCOPE(ctx) {
        for (int i = 0; i < PARAMS; i++) {
            wg_shape s = i % 2 ? WG_SHAPE(sizes[i][0]) : WG_SHAPE(sizes[i][0], sizes[i][1]);
            t->param[i] = wg_keep(wg_param(wg_mul_scalar(wg_randn(ctx, WG_F32, s), i % 2 ? 0 : 0.4)));
        }
        t->x = wg_keep(wg_from_f32(ctx, zeros, WG_SHAPE(BATCH, IN)));
        t->target = wg_keep(wg_from_i64(ctx, none, WG_SHAPE(BATCH)));
    }
    wg_adam_opts opts = wg_adam_defaults();
    opts.lr = 1e-3;
    t->optim = wg_adam_new(t->param, PARAMS, &opts);
    return t->optim && !wg_failed(ctx);
}

/* One of a few batches that can be learnt: the class is where the largest input lies. */
static bool give(trainee *t, int k) {
    float x[BATCH * IN];
    int64_t target[BATCH];
    for (int i = 0; i < BATCH; i++) {
        target[i] = (k % BATCHES * 5 + i * 3) % CLASSES;
        for (int j = 0; j < IN; j++) {
            x[i * IN + j] = (float)((i * 7 + j * 11 + k % BATCHES * 13) % 17) / 17 + (j == target[i] ? 1.0F : 0.0F);
        }
    }
    return wg_write(t->x, x, sizeof x) == WG_OK && wg_write(t->target, target, sizeof target) == WG_OK;
}

static bool step(trainee *t, int k, double *loss) {
    bool ok = give(t, k);
    wg_mark mark = wg_scope_begin(t->ctx);
    wg_tensor *h = wg_dropout(wg_relu(wg_linear(t->x, t->param[0], t->param[1])), 0.1, true);
    wg_tensor *l = wg_keep(wg_cross_entropy(wg_linear(h, t->param[2], t->param[3]), t->target, NULL));
    ok = ok && wg_backward(l) == WG_OK && wg_optim_step(t->optim) == WG_OK;
    wg_optim_zero_grad(t->optim);
    ok = wg_scope_end(t->ctx, mark) == WG_OK && ok;
    *loss = wg_item(l);
    wg_free(l);
    return ok;
}

static bool same(const holdings *a, const holdings *b, long pages, char *why, size_t cap) {
    bool ok = a->memory.live == b->memory.live && a->memory.pooled == b->memory.pooled &&
              a->memory.peak == b->memory.peak && a->memory.tensors == b->memory.tensors &&
              a->interned == b->interned && a->kernels == b->kernels && a->plans == b->plans &&
              (pages < 0 || b->pages - a->pages <= pages);
    snprintf(why, cap,
             "%llu bytes live, then %llu; pooled %llu, %llu; tensors %llu, %llu; interned %zu, %zu; kernels %zu, %zu; "
             "plans %llu, %llu; pages %ld, %ld",
             (unsigned long long)a->memory.live, (unsigned long long)b->memory.live,
             (unsigned long long)a->memory.pooled, (unsigned long long)b->memory.pooled,
             (unsigned long long)a->memory.tensors, (unsigned long long)b->memory.tensors, a->interned, b->interned,
             a->kernels, b->kernels, (unsigned long long)a->plans, (unsigned long long)b->plans, a->pages, b->pages);
    return ok;
}

bool soak(const char *device, int steps, long pages, char *why, size_t cap) {
    trainee t = {0};
    bool ok = make(&t, device);
    holdings settled = {0};
    double first = 0, last = 0, loss = 0;
    for (int k = 0; ok && k < steps; k++) {
        ok = step(&t, k, &loss);
        first += k < SETTLED ? loss / SETTLED : 0;
        last += k >= steps - SETTLED ? loss / SETTLED : 0;
        if (k == SETTLED) {
            settled = holdings_of(t.ctx);
        }
    }
    if (!ok) {
        snprintf(why, cap, "%s", wg_error(t.ctx));
        wg_error_take(t.ctx, NULL, 0);
    } else {
        holdings now = holdings_of(t.ctx);
        ok = same(&settled, &now, pages, why, cap);
        if (!(last < first / 2)) {
            snprintf(why, cap, "the loss was %g and is %g", first, last);
            ok = false;
        }
    }
    wg_optim_free(t.optim);
    return wg_close(t.ctx) == WG_OK && ok;
}
