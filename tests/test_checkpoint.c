/* label: unit */
/* timeout: 300 */
/* host: too */
/*
 * wg_checkpoint: the same values and gradients to the bit as without it, in less memory, and what happens when its
 * function does what it may not.
 */
#include "harness/check.h"

#include "base/alloc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 6, WIDTH = 8, DEPTH = 4 };

static wg_tensor *total(wg_tensor *t) { return wg_sum(t, NULL, 0, false); }

/* What a function captures. */
typedef struct layer {
    wg_tensor *w, *scale;
    int calls;
    struct layer *inner; /* a checkpoint inside the checkpoint */
} layer;

/* Two inputs, captured parameters, dropout, and the first input used twice. */
static wg_tensor *block(wg_tensor *const *in, size_t n, void *user) {
    layer *l = user;
    l->calls++;
    wg_tensor *h = wg_gelu(wg_linear(in[0], l->w, NULL));
    h = wg_dropout(wg_mul(h, l->scale), 0.3, true);
    if (l->inner) {
        h = wg_checkpoint(block, (wg_tensor *[]){h, in[n - 1]}, 2, l->inner);
    }
    return wg_add(wg_mul(h, wg_exp(wg_neg(wg_square(in[n - 1])))), in[0]);
}

typedef struct model {
    layer layer[DEPTH], inner[DEPTH];
    wg_tensor *x, *gate;
} model;

static wg_tensor *leaf(wg_ctx *ctx, wg_shape s, const char *name, uint64_t seed) {
    rng r = rng_seed(name, seed);
    return wg_param(input_make(ctx, WG_F32, s, LAY_CONTIGUOUS, DOM_ANY, &r).t);
}

static void model_make(wg_ctx *ctx, model *m, bool nested) {
    *m = (model){.x = leaf(ctx, WG_SHAPE(ROWS, WIDTH), "x", 0), .gate = leaf(ctx, WG_SHAPE(WIDTH), "gate", 0)};
    for (int k = 0; k < DEPTH; k++) {
        m->layer[k].w = leaf(ctx, WG_SHAPE(WIDTH, WIDTH), "w", (uint64_t)k);
        m->layer[k].scale = leaf(ctx, WG_SHAPE(WIDTH), "scale", (uint64_t)k);
        m->inner[k].w = leaf(ctx, WG_SHAPE(WIDTH, WIDTH), "inner", (uint64_t)k);
        m->inner[k].scale = m->layer[k].scale; /* shared: contributions of both have to come in the same order */
        m->layer[k].inner = nested ? &m->inner[k] : NULL;
    }
}

static wg_tensor *plain(wg_function fn, wg_tensor *const *in, size_t n, void *user) { return fn(in, n, user); }
typedef wg_tensor *(*caller)(wg_function fn, wg_tensor *const *in, size_t n, void *user);

enum { MOST = 2 + 4 * DEPTH };

/* The loss, a random number drawn after it, and every gradient. */
typedef struct outcome {
    float loss, after;
    float grad[MOST][WIDTH * WIDTH];
} outcome;

static size_t leaves_of(model *m, wg_tensor **out) {
    size_t n = 0;
    out[n++] = m->x, out[n++] = m->gate;
    for (int k = 0; k < DEPTH; k++) {
        out[n++] = m->layer[k].w, out[n++] = m->layer[k].scale, out[n++] = m->inner[k].w;
    }
    return n;
}

static void train(wg_ctx *ctx, caller call, bool nested, bool read_between, outcome *out) {
    model m;
    wg_tensor *leaves[MOST];
    memset(out, 0, sizeof *out);
    wg_seed(ctx, 5);
    model_make(ctx, &m, nested);
    WG_SCOPE(ctx) {
        wg_tensor *h = wg_add(m.x, m.gate);
        for (int k = 0; k < DEPTH; k++) {
            h = call(block, (wg_tensor *[]){h, m.gate}, 2, &m.layer[k]);
        }
        wg_tensor *loss = total(wg_square(h)), *after = wg_rand(ctx, WG_F32, WG_SHAPE());
        cr_assert_not_null(loss, "%s", wg_error(ctx));
        if (read_between) {
            out->loss = (float)wg_item(loss);
        }
        cr_expect_eq(wg_backward(loss), WG_OK, "%s", wg_error(ctx));
        size_t n = leaves_of(&m, leaves);
        for (size_t k = 0; k < n; k++) {
            size_t bytes = (size_t)wg_numel(leaves[k]) * sizeof(float);
            cr_expect_eq(wg_read(wg_grad(leaves[k]), out->grad[k], bytes), WG_OK, "%s", wg_error(ctx));
        }
        out->loss = (float)wg_item(loss);
        out->after = (float)wg_item(wg_add(after, wg_rand(ctx, WG_F32, WG_SHAPE())));
        for (int k = 0; k < DEPTH; k++) {
            cr_expect_eq(m.layer[k].calls, call == plain ? 1 : 2, "layer %d ran %d times", k, m.layer[k].calls);
        }
    }
}

/* Wrong: other dropout masks at the second run; counters not put back after it; gradients added in another order; captured
 * parameters without a gradient. */
Test(checkpoint, same_bits) {
    static outcome want, got;
    const mode modes[] = {MODE_DEFAULT, MODE_UNFUSED, MODE_EAGER};
    const char *device = getenv("WENGERT_DEVICE");
    bool compiles = !device || strcmp(device, "host") != 0; /* then one of the twelve ways is dear enough */
    for (int nested = compiles; nested < 2; nested++) {
        for (int m = 0; m < (compiles ? 1 : 3); m++) {
            for (int between = compiles; between < 2; between++) {
                wg_ctx *ctx = open_mode(modes[m]);
                train(ctx, plain, nested, between, &want);
                train(ctx, wg_checkpoint, nested, between, &got);
                cr_expect(isfinite(want.loss) && want.grad[0][0] != 0 && want.grad[3][0] != 0);
                char label[100];
                snprintf(label, sizeof label, "%s, nested %d, read between %d", mode_name(modes[m]), nested, between);
                expect_same_bits(&got, &want, WG_F32, sizeof want / sizeof(float), label);
                close_ok(ctx);
            }
        }
    }
}

/* ---- memory ---- */

enum { LONG = 24, SEGMENT = 4, SIDE = 64 };

static wg_tensor *segment(wg_tensor *const *in, size_t n, void *user) {
    wg_tensor **w = user, *h = in[0];
    (void)n;
    for (int k = 0; k < SEGMENT; k++) {
        h = w ? wg_tanh(wg_linear(h, w[k], NULL)) : wg_sin(wg_mul(wg_exp(wg_mul_scalar(h, -0.1)), wg_tanh(h)));
    }
    return h;
}

/* The peak of a step, in activations, beyond what was there before it; and the kernels run after the forward was read. */
static double peak(caller call, bool matmuls, bool read_between, uint64_t *kernels) {
    wg_ctx *ctx = wg_open("host");
    wg_tensor *w[LONG], *x = leaf(ctx, WG_SHAPE(4 * SIDE, SIDE), "x", 1);
    for (int k = 0; k < LONG; k++) {
        w[k] = leaf(ctx, WG_SHAPE(SIDE, SIDE), "w", (uint64_t)k);
    }
    uint64_t before = stats_of(ctx).bytes_live;
    WG_SCOPE(ctx) {
        wg_tensor *h = x;
        for (int k = 0; k < LONG; k += SEGMENT) {
            h = call(segment, &h, 1, matmuls ? &w[k] : NULL);
        }
        wg_tensor *loss = total(wg_square(h));
        cr_expect(!read_between || isfinite(wg_item(loss)));
        *kernels = stat_launches(ctx);
        cr_expect_eq(wg_backward(loss), WG_OK, "%s", wg_error(ctx));
        for (int k = 0; matmuls && k < LONG; k++) {
            cr_expect_eq(wg_assign(w[k], wg_sub(w[k], wg_mul_scalar(wg_grad(w[k]), 0.01))), WG_OK);
            wg_zero_grad(w[k]);
        }
    }
    uint64_t most = stats_of(ctx).bytes_peak - before;
    *kernels = stat_launches(ctx) - *kernels;
    cr_expect(wg_has_grad(x));
    close_ok(ctx);
    return (double)most / (4 * SIDE * SIDE * sizeof(float));
}

/* Wrong: intermediates kept from the forward on; the second run merged with the first in a plan that holds both. */
Test(checkpoint, memory) {
    for (int matmuls = 0; matmuls < 2; matmuls++) {
        for (int between = 0; between < 2; between++) {
            uint64_t least, kernels;
            double without = peak(plain, matmuls, between, &least);
            double with = peak(wg_checkpoint, matmuls, between, &kernels);
            /* What checkpoints hold, and that it is far less than what is held without them, whatever the scheduler made of that. */
            cr_expect(with <= 13.1 && with < 0.5 * without,
                      "%s, %s: a peak of %.1f activations with checkpoints, %.1f without", matmuls ? "matmuls" : "maps",
                      between ? "forward read first" : "one plan", with, without);
            /* Wrong: a segment's input not kept, so that the forward up to it runs again too. */
            uint64_t again = between ? (matmuls ? LONG : LONG / SEGMENT) : UINT64_MAX / 2;
            cr_expect(kernels <= least + again, "%s: %d kernels backward with checkpoints, %d without",
                      matmuls ? "matmuls" : "maps", (int)kernels, (int)least);
            cr_log_info("%s, %s: %.1f activations with checkpoints, %.1f without", matmuls ? "matmuls" : "maps",
                        between ? "forward read first" : "one plan", with, without);
        }
    }
}

/* ---- orders, outputs, modes of recording ---- */

static wg_tensor *smooth(wg_tensor *const *in, size_t n, void *user) {
    (void)n;
    return wg_mul(wg_sin(wg_mul(in[0], in[1])), wg_exp(*(wg_tensor **)user));
}
static wg_tensor *doubled(wg_tensor *const *in, size_t n, void *user) {
    wg_tensor *first = wg_checkpoint(smooth, in, n, user);
    return wg_square(wg_add(first, in[1]));
}
static wg_tensor *checkpointed(wg_tensor *const *in, size_t n, void *user) {
    return wg_checkpoint(doubled, in, n, user);
}

Test(checkpoint, gradients_of_both_orders) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *a = wg_param(wg_from_f64(ctx, (double[]){0.3, -1.2, 0.7}, WG_SHAPE(3)));
    wg_tensor *b = wg_param(wg_from_f64(ctx, (double[]){1.1, 0.4, -0.6, 0.2, 0.9, -1}, WG_SHAPE(2, 3)));
    wg_tensor *c = wg_from_f64(ctx, (double[]){0.5}, WG_SHAPE(1));
    cr_expect_eq(wg_gradcheck(checkpointed, (wg_tensor *[]){a, b}, 2, &c, NULL), WG_OK, "%s", wg_error(ctx));
    cr_expect_eq(wg_gradgradcheck(checkpointed, (wg_tensor *[]){a, b}, 2, &c, NULL), WG_OK, "%s", wg_error(ctx));
    close_ok(ctx);
}

/* wg_gradients, of inputs made by ops, of a captured tensor made by ops, and once more through a retained graph. */
Test(checkpoint, gradients_handed_out) {
    wg_ctx *ctx = open_ctx();
    WG_SCOPE(ctx) {
        wg_tensor *p = wg_param(wg_from_f64(ctx, (double[]){2, 3}, WG_SHAPE(2)));
        wg_tensor *a = wg_mul_scalar(p, 2), *b = wg_mul_scalar(p, 3);
        wg_tensor *captured = wg_mul_scalar(p, 0.0);
        wg_tensor *y = wg_checkpoint(smooth, (wg_tensor *[]){wg_mul_scalar(a, 0), b}, 2, &captured);
        wg_gradients_opts o = {.grad_outputs = (wg_tensor *[]){wg_ones_like(y)}, .retain_graph = true};
        for (int k = 0; k < 2; k++) { /* y = sin(0 a b) exp(0 p) */
            wg_tensor *g[3];
            cr_expect_eq(wg_gradients(&y, 1, (wg_tensor *[]){a, captured, p}, 3, g, &o), WG_OK, "%s", wg_error(ctx));
            EXPECT_VALUES(g[0], 0, 0);
            EXPECT_VALUES(g[1], 0, 0);
            EXPECT_VALUES(g[2], 0, 0);
        }
        wg_tensor *one = wg_full_like(p, 0);
        y = wg_checkpoint(smooth, (wg_tensor *[]){wg_full_like(p, 0), b}, 2, &one);
        cr_expect(wg_requires_grad(y));
        wg_backward_opts bo = {.grad = wg_ones_like(y)};
        cr_expect_eq(wg_backward_with(y, &bo), WG_OK);
        EXPECT_VALUES(wg_grad(p), 0, 0);
        cr_expect_eq(wg_backward_with(y, &bo), WG_ERR_GRAPH);
        expect_error(ctx, WG_ERR_GRAPH, "released", "checkpoint", "released", NULL);
    }
    close_ok(ctx);
}

/* Inputs that require no grad, and a captured parameter that does. */
Test(checkpoint, captured_alone) {
    wg_ctx *ctx = open_ctx();
    WG_SCOPE(ctx) {
        wg_tensor *p = wg_param(wg_from_f64(ctx, (double[]){0, 0}, WG_SHAPE(2)));
        wg_tensor *half = wg_full_like(wg_detach(p), asin(0.5)), *one = wg_ones_like(half);
        wg_tensor *y = wg_checkpoint(smooth, (wg_tensor *[]){half, one}, 2, &p);
        cr_expect(wg_requires_grad(y) && !wg_is_leaf(y));
        cr_expect_eq(wg_backward(total(y)), WG_OK);
        double g[2];
        cr_expect(read_doubles(wg_grad(p), g, 2) && fabs(g[0] - 0.5) < 1e-15, "%g", g[0]);
        wg_tensor *none = wg_checkpoint(smooth, (wg_tensor *[]){half, one}, 2, &one);
        cr_expect(none && !wg_requires_grad(none));
        wg_no_grad(ctx, true);
        cr_expect(!wg_requires_grad(wg_checkpoint(smooth, (wg_tensor *[]){half, one}, 2, &p)));
    }
    close_ok(ctx);
}

static wg_tensor *identity(wg_tensor *const *in, size_t n, void *user) {
    (void)n, (void)user;
    return in[0];
}
static wg_tensor *constant(wg_tensor *const *in, size_t n, void *user) {
    (void)in, (void)n;
    return *(wg_tensor **)user;
}

Test(checkpoint, nothing_to_do) {
    wg_ctx *ctx = open_ctx();
    WG_SCOPE(ctx) {
        wg_tensor *p = wg_param(wg_from_f64(ctx, (double[]){2, 3}, WG_SHAPE(2))), *q = wg_square(p);
        wg_tensor *y = wg_add(wg_checkpoint(identity, &p, 1, NULL), wg_checkpoint(constant, &p, 1, &q));
        cr_expect_eq(wg_backward(total(y)), WG_OK, "%s", wg_error(ctx));
        EXPECT_VALUES(wg_grad(p), 5, 7);
        EXPECT_VALUES(p, 2, 3);
    }
    close_ok(ctx);
}

/* ---- what may not be ---- */

typedef struct misdeed {
    int calls, kind;
    wg_tensor *p;
} misdeed;

static wg_tensor *misbehave(wg_tensor *const *in, size_t n, void *user) {
    misdeed *m = user;
    wg_tensor *y = wg_mul(in[0], m->p), *none = NULL;
    m->calls++;
    (void)n;
    switch (m->kind) {
    case 0:
        return m->calls > 1 ? wg_exp(y) : wg_sin(y);
    case 1:
        return m->calls > 1 ? NULL : y;
    case 2:
        return m->calls > 1 ? wg_matmul(y, wg_zeros(wg_context(y), WG_F64, WG_SHAPE(5))) : y;
    case 3:
        if (m->calls > 1) {
            wg_backward(total(y));
        }
        return y;
    case 4:
        wg_gradients(&y, 1, &none, 0, &none, NULL);
        return wg_mul_scalar(y, m->calls);
    default:
        return y;
    }
}

/* The second run does something else: the backward ends in an error, no gradient has changed, and the next one works. */
Test(checkpoint, another_second_run) {
    static const struct {
        wg_status status;
        const char *word;
    } want[] = {{WG_ERR_GRAPH, "other ops"}, {WG_ERR_ARG, "NULL"},        {WG_ERR_SHAPE, "matmul"},
                {WG_ERR_GRAPH, "under way"}, {WG_ERR_GRAPH, "under way"}, {WG_ERR_GRAPH, "assigned"}};
    wg_ctx *ctx = open_ctx();
    for (int kind = 0; kind < 6; kind++) {
        WG_SCOPE(ctx) {
            misdeed m = {.kind = kind, .p = wg_param(wg_from_f64(ctx, (double[]){2, 3}, WG_SHAPE(2)))};
            wg_tensor *x = wg_param(wg_from_f64(ctx, (double[]){1, -1}, WG_SHAPE(2)));
            wg_tensor *y = wg_checkpoint(misbehave, &x, 1, &m);
            if (kind == 4) {
                wg_error_take(ctx, NULL, 0); /* there is no output to take a gradient of */
            }
            cr_assert_not_null(y, "%d: %s", kind, wg_error(ctx));
            if (kind == 5) {
                wg_assign(m.p, wg_add_scalar(m.p, 1));
            }
            cr_expect_eq(wg_backward(total(y)), want[kind].status, "%d: %s", kind, wg_error(ctx));
            expect_error(ctx, want[kind].status, "second run", want[kind].word, NULL);
            cr_expect(!wg_has_grad(x) && !wg_has_grad(m.p), "%d", kind);
            m = (misdeed){.kind = 9, .p = m.p};
            cr_expect_eq(wg_backward(total(wg_checkpoint(misbehave, &x, 1, &m))), WG_OK, "%s", wg_error(ctx));
            EXPECT_VALUES(wg_grad(x), kind == 5 ? 3 : 2, kind == 5 ? 4 : 3);
        }
    }
    close_ok(ctx);
}

static wg_tensor *closes(wg_tensor *const *in, size_t n, void *user) {
    wg_tensor *y = wg_neg(in[0]);
    (void)n;
    wg_scope_end(wg_context(y), *(wg_mark *)user);
    return NULL;
}
static wg_tensor *opens(wg_tensor *const *in, size_t n, void *user) {
    (void)n, (void)user;
    wg_scope_begin(wg_context(in[0]));
    wg_scope_begin(wg_context(in[0]));
    return wg_neg(in[0]);
}

Test(checkpoint, arguments) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *keep = wg_keep(wg_param(wg_from_f64(ctx, (double[]){2, 3}, WG_SHAPE(2)))), *null = NULL;
    wg_mark mark = wg_scope_begin(ctx);
    cr_expect_null(wg_checkpoint(identity, NULL, 0, NULL));
    cr_expect_null(wg_checkpoint(NULL, &keep, 1, NULL));
    expect_error(ctx, WG_ERR_ARG, "no function", "checkpoint", "NULL", NULL);
    cr_expect_null(wg_checkpoint(constant, &keep, 1, &null));
    expect_error(ctx, WG_ERR_ARG, "no result", "checkpoint", "NULL", NULL);
    cr_expect_null(wg_checkpoint(identity, (wg_tensor *[]){keep, NULL}, 2, NULL));
    expect_error(ctx, WG_ERR_ARG, "no input", "checkpoint", "operand 2", NULL);
    wg_tensor *y = wg_checkpoint(opens, &keep, 1, NULL);
    EXPECT_VALUES(y, -2, -3);
    cr_expect_eq(wg_backward(total(y)), WG_OK);
    EXPECT_VALUES(wg_grad(keep), -1, -1);
    cr_expect_null(wg_checkpoint(closes, &keep, 1, &mark));
    cr_expect_neq(wg_error_take(ctx, NULL, 0), WG_OK);
    EXPECT_VALUES(wg_mul_scalar(keep, 2), 4, 6);
    wg_free(keep);
    close_ok(ctx);
}

/* Wrong: memory that a failed run holds on to, or an error after which nothing works. */
Test(checkpoint, every_allocation_fails_once) {
    wg_ctx *ctx = wg_open("host");
    static outcome want;
    uint64_t failures = 0;
    train(ctx, wg_checkpoint, true, false, &want);
    for (uint64_t k = 1; k < 4000; k++) {
        model m;
        model_make(ctx, &m, true);
        bool done = false;
        WG_SCOPE(ctx) {
            wg_fault_arm(WG_FAULT_ALLOC, k);
            wg_tensor *in[] = {m.x, m.gate}, *y = wg_checkpoint(block, in, 2, &m.layer[0]);
            wg_status status = wg_backward(y ? total(y) : NULL);
            done = wg_fault_count(WG_FAULT_ALLOC) < k;
            wg_fault_arm(WG_FAULT_ALLOC, 0);
            cr_expect(done || status != WG_OK || wg_failed(ctx) || wg_has_grad(m.x));
            failures += wg_failed(ctx);
            wg_error_take(ctx, NULL, 0);
        }
        wg_error_take(ctx, NULL, 0);
        if (done) {
            break;
        }
    }
    cr_expect_gt(failures, 5);
    static outcome got;
    train(ctx, wg_checkpoint, true, false, &got);
    expect_same_bits(&got, &want, WG_F32, sizeof want / sizeof(float), "after all failures");
    close_ok(ctx);
}
