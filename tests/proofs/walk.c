/* Work for proofs that execute kernels: see walk.h. */
#include "walk.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

/* ---- batches ---------------------------------------------------------------------------------------------------------- */

typedef struct walk {
    wg_ctx *ctx;
    walk_visit visit;
    void *user;
    walk_batch batch;
} walk;

static void flush(walk *w) {
    if (w->batch.n > 0) {
        w->visit(w->ctx, &w->batch, w->user);
        w->batch.n = 0;
    }
}

static const nd unknown = {.n = -1};

static void add(walk *w, wg_tensor *t, nd want, double ulps, const char *fmt, ...) WG_PRINTF(5, 6);
static void add(walk *w, wg_tensor *t, nd want, double ulps, const char *fmt, ...) {
    walk_batch *b = &w->batch;
    va_list args;
    va_start(args, fmt);
    vsnprintf(b->name[b->n], sizeof b->name[b->n], fmt, args);
    va_end(args);
    b->t[b->n] = wg_contiguous(t);
    b->want[b->n] = want;
    b->ulps[b->n++] = ulps;
}

/* ---- the table -------------------------------------------------------------------------------------------------------- */

static wg_dtype dtype_for(const op *o, int variant) {
    static const wg_dtype order[] = {WG_F32, WG_F64, WG_I32, WG_I64, WG_U8, WG_BOOL};
    for (int k = 0; k < COUNT(order); k++) {
        wg_dtype t = order[(variant + k) % COUNT(order)];
        if (op_takes(o, t)) {
            return t;
        }
    }
    return WG_F32;
}

static void table_variant(walk *w, const op *o, int v) {
    static const wg_shape shapes[] = {SH(2, 7, 1), SH(1, 3), SH(2, 7, 3)};
    rng r = rng_seed(o->name, (uint64_t)v);
    wg_dtype t = o->cases ? (op_takes(o, WG_F32) ? WG_F32 : dtype_for(o, v)) : dtype_for(o, v);
    input in[OP_MAX_ARITY];
    op_inputs(o, w->ctx, v, o->cases ? NULL : shapes, t, (layout)(v % LAY_COUNT), -1, &r, in);
    nd want = op_expected(o, in, v);
    add(w, op_build(o, w->ctx, in, v), want, op_ulps(o, want.dtype), "%s/%d %s", o->name, v, wg_dtype_name(t));
}

void walk_rows(wg_ctx *ctx, const op *rows, walk_visit visit, void *user) {
    walk w = {.ctx = ctx, .visit = visit, .user = user};
    while (rows->name) {
        WG_SCOPE(ctx) {
            for (; rows->name && w.batch.n < WALK_MOST / 2; rows++) {
                for (int v = 0; v < rows->variants && w.batch.n < WALK_MOST; v++) {
                    table_variant(&w, rows, v);
                }
            }
            flush(&w);
        }
    }
}

/* ---- what is fused ---------------------------------------------------------------------------------------------------- */

static wg_tensor *leaf(wg_ctx *ctx, wg_dtype t, wg_shape s) {
    rng r = rng_seed("walk", (uint64_t)(wg_shape_numel(s) + t));
    return input_make(ctx, t, s, LAY_CONTIGUOUS, DOM_AWAY, &r).t;
}

static wg_tensor *layer_norm(wg_tensor *x, int dim) {
    wg_tensor *d = wg_sub(x, wg_mean(x, &dim, 1, true));
    return wg_mul(d, wg_rsqrt(wg_add_scalar(wg_mean(wg_square(d), &dim, 1, true), 1e-5)));
}

static void around_reductions(walk *w, wg_dtype t, wg_shape s) {
    wg_tensor *x = leaf(w->ctx, t, s), *y = wg_mul_scalar(leaf(w->ctx, t, s), 0.5);
    for (int d = -2; d < 0; d++) {
        const char *at = shape_text(s);
        add(w, wg_mul_scalar(wg_softmax(wg_add(wg_mul(x, y), y), d), 3), unknown, 8, "softmax %s %d", at, d);
        add(w, wg_exp(wg_log_softmax(wg_neg(x), d)), unknown, 8, "log_softmax %s %d", at, d);
        add(w, wg_add(layer_norm(wg_add(x, y), d), y), unknown, 8, "layer norm %s %d", at, d);
        add(w, wg_sub(wg_amax(wg_sin(x), &d, 1, true), x), unknown, 8, "amax %s %d", at, d);
        add(w, wg_argmax(wg_cos(wg_mul(x, y)), d, false), unknown, 0, "argmax %s %d", at, d);
    }
    flush(w);
}

/* Sums that are split into chunks whose sums are summed: over rows, over columns, over all. Of positive numbers, so that
 * (8 + sqrt n) ulps of the result are what a sum in another order may be off. */
static void split_sums(walk *w) {
    rng r = rng_seed("split", 1);
    wg_tensor *x = input_make(w->ctx, WG_F32, WG_SHAPE(4099, 9), LAY_CONTIGUOUS, DOM_POS, &r).t;
    wg_tensor *row = input_make(w->ctx, WG_F32, WG_SHAPE(1, 33001), LAY_CONTIGUOUS, DOM_POS, &r).t;
    add(w, wg_sum(x, NULL, 0, false), unknown, 8 + 192, "sum of all");
    add(w, wg_sum(x, (int[]){0}, 1, false), unknown, 8 + 64, "sum of columns");
    add(w, wg_amax(row, (int[]){1}, 1, false), unknown, 0, "amax of a long row");
    flush(w);
}

static wg_tensor *turned(wg_tensor *x) { return wg_transpose(x, 0, 1); }

/* What products take along: rows in a narrow and a wide tile, whose last turn and last block are not full, of a batch; other
 * products, one of no terms. */
static void products(walk *w, wg_dtype t) {
    static const int64_t columns[] = {17, 65};
    wg_ctx *ctx = w->ctx;
    const char *name = wg_dtype_name(t);
    for (int i = 0; i < COUNT(columns); i++) {
        wg_tensor *x = wg_matmul(leaf(ctx, t, WG_SHAPE(2, 70, 19)), leaf(ctx, t, WG_SHAPE(2, 19, columns[i])));
        add(w, wg_softmax(wg_mul_scalar(x, 0.5), -1), unknown, 64, "softmax of products, %s", name);
        x = wg_matmul(leaf(ctx, t, WG_SHAPE(70, 33)), leaf(ctx, t, WG_SHAPE(33, columns[i])));
        add(w, wg_argmax(x, -1, false), unknown, 0, "argmax of products, %s", name);
    }
    wg_tensor *a = wg_matmul(leaf(ctx, t, WG_SHAPE(67, 35)), wg_neg(leaf(ctx, t, WG_SHAPE(35, 70))));
    wg_tensor *b = wg_matmul(leaf(ctx, t, WG_SHAPE(67, 0)), leaf(ctx, t, WG_SHAPE(0, 70)));
    wg_tensor *c = wg_matmul(turned(leaf(ctx, t, WG_SHAPE(9, 67))), leaf(ctx, t, WG_SHAPE(9, 70)));
    add(w, wg_add(wg_add(wg_tanh(wg_mul_scalar(a, 0.01)), b), c), unknown, 64, "products added up, %s", name);
    flush(w);
}

static void sums_beside_products(walk *w, wg_dtype t) {
    wg_ctx *ctx = w->ctx;
    wg_tensor *a = leaf(ctx, t, WG_SHAPE(35, 67)), *b = wg_neg(leaf(ctx, t, WG_SHAPE(35, 5)));
    add(w, wg_matmul(turned(a), b), unknown, 256, "a product, %s", wg_dtype_name(t));
    add(w, wg_sum(a, (int[]){0}, 1, false), unknown, 64, "sums beside it");
    add(w, wg_sum(b, (int[]){0}, 1, false), unknown, 64, "sums of what it makes");
    flush(w);
}

static void step(walk *w, wg_dtype t) {
    static const int64_t words[] = {3, 1, 4, 1, 5, 9, 2}, classes[] = {0, 2, 1, 1, 0, 2, 2};
    wg_ctx *ctx = w->ctx;
    wg_tensor *index = wg_from_i64(ctx, words, WG_SHAPE(7)), *target = wg_from_i64(ctx, classes, WG_SHAPE(7));
    wg_tensor *p[] = {leaf(ctx, t, WG_SHAPE(10, 20)), leaf(ctx, t, WG_SHAPE(21, 20)), leaf(ctx, t, WG_SHAPE(21)),
                      leaf(ctx, t, WG_SHAPE(3, 21)), leaf(ctx, t, WG_SHAPE(3))};
    for (int k = 0; k < COUNT(p); k++) {
        wg_param(p[k]);
    }
    wg_seed(ctx, 1);
    wg_tensor *h = layer_norm(wg_embedding(p[0], index), -1);
    h = wg_dropout(wg_gelu(wg_linear(h, p[1], p[2])), 0.3, true);
    wg_tensor *loss = wg_cross_entropy(wg_linear(h, p[3], p[4]), target, NULL);
    wg_backward(loss);
    add(w, loss, unknown, 16, "loss %s", wg_dtype_name(t));
    for (int k = 0; k < COUNT(p); k++) {
        add(w, wg_grad(p[k]), unknown, 64, "gradient %d %s", k, wg_dtype_name(t));
    }
    add(w, wg_randn(ctx, t, WG_SHAPE(101)), unknown, 4, "randn %s", wg_dtype_name(t));
    add(w, wg_rand(ctx, t, WG_SHAPE(3, 11)), unknown, 0, "rand %s", wg_dtype_name(t));
    flush(w);
}

void walk_fused(wg_ctx *ctx, walk_visit visit, void *user) {
    static const wg_shape shapes[] = {SH(2, 7, 33), SH(2, 3, 131), SH(3, 2, 5, 3)};
    walk w = {.ctx = ctx, .visit = visit, .user = user};
    for (int s = 0; s < COUNT(shapes); s++) {
        WG_SCOPE(ctx) { around_reductions(&w, s == 2 ? WG_F64 : WG_F32, shapes[s]); }
    }
    WG_SCOPE(ctx) { split_sums(&w); }
    WG_SCOPE(ctx) { products(&w, WG_F32); }
    WG_SCOPE(ctx) { sums_beside_products(&w, WG_I32); }
    WG_SCOPE(ctx) { sums_beside_products(&w, WG_F32); }
    WG_SCOPE(ctx) { step(&w, WG_F32); }
    WG_SCOPE(ctx) { step(&w, WG_F64); }
}
