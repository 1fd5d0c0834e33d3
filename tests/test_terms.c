/* label: ops */
/* timeout: 600 */
/*
 * Products that are added up: one kernel, with the bits of a kernel each, in every mode; which are, which are not, and what
 * may come between them.
 */
#include "harness/gen.h"
#include "harness/recording.h"

#include <stdlib.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))
static const mode every_mode[] = {MODE_HOST, MODE_DEFAULT, MODE_SIMT};

/* In the interpreter, with a kernel each and together. */
static void compare_plans(recorder record) {
    setenv("WENGERT_DEVICE", "host", 1);
    cr_expect_gt(compare_modes(record, (const mode[]){MODE_HOST, MODE_UNFUSED}, 2), 0);
    unsetenv("WENGERT_DEVICE");
}

static wg_tensor *leaf_of(wg_ctx *ctx, wg_dtype t, wg_shape shape, rng *r) {
    return input_make(ctx, t, shape, LAY_CONTIGUOUS, DOM_ANY, r).t;
}

static wg_tensor *leaf(wg_ctx *ctx, wg_shape shape, rng *r) { return leaf_of(ctx, WG_F32, shape, r); }

static wg_tensor *turned(wg_tensor *a) { return wg_transpose(a, 0, 1); }

/* [m, k] times [k, n] of new leaves; bits of way: either comes transposed, either is made where it is loaded. */
static wg_tensor *product(wg_ctx *ctx, wg_dtype t, int64_t m, int64_t k, int64_t n, int way, rng *r) {
    wg_tensor *a = way & 1 ? turned(leaf_of(ctx, t, WG_SHAPE(k, m), r)) : leaf_of(ctx, t, WG_SHAPE(m, k), r);
    wg_tensor *b = way & 2 ? turned(leaf_of(ctx, t, WG_SHAPE(n, k), r)) : leaf_of(ctx, t, WG_SHAPE(k, n), r);
    return wg_matmul(way & 4 ? wg_neg(a) : a, way & 8 ? wg_square(b) : b);
}

/* More than one block of a sum, blocks that are not full, lengths that differ, operands that are made and lie any way. Wrong:
 * what waits is taken before it is rounded or after the wrong product; a product goes on from the sums of the one before. */
static void kinds(wg_ctx *ctx, recording *rec) {
    rng r = rng_seed("sums", 1);
    wg_tensor *bias = leaf(ctx, WG_SHAPE(45), &r);
    wg_tensor *p = wg_add(product(ctx, WG_F32, 37, 300, 45, 0, &r), bias);
    recording_add(rec, wg_add(p, wg_add(product(ctx, WG_F32, 37, 19, 45, 3, &r), bias)), "two, with biases");
    p = product(ctx, WG_F32, 37, 30, 45, 4, &r);
    p = wg_add(wg_tanh(p), product(ctx, WG_F32, 37, 300, 45, 8, &r));
    p = wg_mul(wg_sigmoid(p), product(ctx, WG_F32, 37, 40, 45, 1 + 4, &r));
    recording_add(rec, wg_relu(wg_add(product(ctx, WG_F32, 37, 200, 45, 2 + 8 + 4, &r), p)), "made, mapped between");
}

static wg_tensor *three(wg_ctx *ctx, wg_dtype t, rng *r) {
    wg_tensor *p = wg_add(product(ctx, t, 9, 40, 21, 0, r), product(ctx, t, 9, 7, 21, 3, r));
    return wg_add(p, product(ctx, t, 9, 140, 21, 4, r));
}

/* Two types of memory, and of arithmetic, that are not the usual one. */
static void other_dtypes(wg_ctx *ctx, recording *rec) {
    rng r = rng_seed("sums", 6);
    recording_add(rec, three(ctx, WG_BF16, &r), "bf16");
    recording_add(rec, three(ctx, WG_I64, &r), "i64");
}

static void more_kinds(wg_ctx *ctx, recording *rec) {
    rng r = rng_seed("sums", 2);
    static const wg_dtype dtypes[] = {WG_F16, WG_BF16, WG_F64, WG_I32, WG_I64};
    for (int i = 0; i < COUNT(dtypes); i++) {
        recording_add(rec, three(ctx, dtypes[i], &r), "%s", wg_dtype_name(dtypes[i]));
    }
    wg_tensor *p = product(ctx, WG_F32, 70, 5, 130, 1, &r);
    for (int i = 0; i < 4; i++) {
        wg_tensor *q = product(ctx, WG_F32, 70, 1 + 40 * (i % 2), 130, i, &r);
        p = i % 2 ? wg_add(q, p) : wg_sub(p, q);
    }
    recording_add(rec, p, "five");
    wg_tensor *a = leaf(ctx, WG_SHAPE(3, 2, 9, 17), &r), *w = leaf(ctx, WG_SHAPE(1, 2, 17, 5), &r);
    wg_tensor *b = leaf(ctx, WG_SHAPE(2, 3, 30, 9), &r), *v = leaf(ctx, WG_SHAPE(3, 1, 30, 5), &r);
    const int order[] = {1, 0, 3, 2};
    recording_add(rec, wg_add(wg_matmul(a, w), wg_matmul(wg_permute(b, order), v)), "batches");
    for (int i = 0; i < 3; i++) {
        const int64_t size[3][3] = {{1, 1, 1}, {4, 0, 3}, {0, 5, 3}};
        p = product(ctx, WG_F32, size[i][0], size[i][1], size[i][2], 0, &r);
        recording_add(rec, wg_add(p, product(ctx, WG_F32, size[i][0], 6, size[i][2], 0, &r)), "size %d", i);
    }
    wg_tensor *nan = wg_div(wg_zeros(ctx, WG_F32, WG_SHAPE(4, 6)), wg_zeros(ctx, WG_F32, WG_SHAPE(4, 6)));
    wg_tensor *low = wg_full(ctx, WG_F32, WG_SHAPE(4, 6), -0.0), *one = wg_ones(ctx, WG_F32, WG_SHAPE(6, 5));
    recording_add(rec, wg_add(wg_matmul(low, one), wg_matmul(low, one)), "minus zero");
    recording_add(rec, wg_add(wg_matmul(nan, one), product(ctx, WG_F32, 4, 9, 5, 0, &r)), "nan");
}

/* What waits is of another type than products are: they are kernels of their own. Wrong: it waits in a register of theirs. */
static void other_types(wg_ctx *ctx, recording *rec) {
    rng r = rng_seed("sums", 9);
    for (int i = 0; i < 2; i++) {
        wg_tensor *w = leaf(ctx, WG_SHAPE(8, 8), &r), *p = product(ctx, WG_F32, 8, 9, 8, 0, &r), *as;
        as = i ? wg_cast(p, WG_F64) : wg_gt(p, w);
        wg_tensor *q = product(ctx, WG_F32, 8, 7, 8, 0, &r);
        recording_add(rec, i ? wg_mul(as, wg_cast(q, WG_F64)) : wg_where(as, q, w), i ? "f64" : "a mask");
    }
    wg_tensor *x = wg_param(wg_matmul(leaf(ctx, WG_SHAPE(8, 6), &r), leaf(ctx, WG_SHAPE(6, 8), &r)));
    wg_tensor *y = wg_relu(x), *slope = product(ctx, WG_F32, 8, 7, 8, 0, &r), *g;
    wg_gradients_opts opts = wg_gradients_defaults();
    opts.grad_outputs = &slope;
    recording_add(rec, wg_gradients(&y, 1, &x, 1, &g, &opts) == WG_OK ? g : NULL, "the gradient of a relu");
}

Test(terms, kinds) {
    cr_expect_gt(compare_modes(kinds, every_mode, COUNT(every_mode)), 0);
    compare_plans(kinds);
}
Test(terms, dtypes) { cr_expect_gt(compare_modes(other_dtypes, every_mode, COUNT(every_mode)), 0); }
Test(terms, other_types) { cr_expect_gt(compare_modes(other_types, every_mode, COUNT(every_mode)), 0); }
Test(terms, shapes) { compare_plans(more_kinds); }

/* ---- what comes between ---- */

/* Between a product and the sum that it is part of, its operands get new values, which would lie where the old ones did. Wrong:
 * the product reads those, as it is computed behind the update. */
static void updates(wg_ctx *ctx, recording *rec) {
    rng r = rng_seed("sums", 3);
    for (int i = 0; i < 6; i++) {
        wg_tensor *x = leaf(ctx, WG_SHAPE(8, 12), &r), *w = leaf(ctx, WG_SHAPE(12, 8), &r);
        wg_tensor *bias = leaf(ctx, WG_SHAPE(8, 8), &r), *seen = i == 5 ? wg_neg(w) : w, *q;
        wg_tensor *p = wg_add(wg_matmul(x, seen), bias);
        wg_assign(i % 3 == 0 ? w : i % 3 == 1 ? x : bias, wg_mul_scalar(i % 3 == 0 ? w : i % 3 == 1 ? x : bias, 0.5));
        q = wg_matmul(x, w);
        if (i > 2) {
            wg_assign(w, wg_add(w, wg_matmul(wg_transpose(x, 0, 1), q)));
            q = wg_matmul(w, turned(w));
            x = product(ctx, WG_F32, 12, 8, 12, 0, &r);
            recording_add(rec, wg_add(wg_add(q, x), wg_matmul(w, turned(w))), "updated twice, %d", i);
            q = product(ctx, WG_F32, 8, 3, 8, 0, &r);
        }
        recording_add(rec, wg_add(p, q), "updated, %d", i);
        recording_add(rec, w, "the weights, %d", i);
        recording_add(rec, bias, "the addend, %d", i);
    }
}

/* What a product in the middle needs comes from one that is summed up; a sum goes over its own operands' bytes. */
static void between(wg_ctx *ctx, recording *rec) {
    rng r = rng_seed("sums", 4);
    wg_tensor *h = leaf(ctx, WG_SHAPE(8, 8), &r), *w = leaf(ctx, WG_SHAPE(8, 8), &r), *dw = NULL;
    for (int t = 0; t < 12; t++) { /* a recurrence, and the sum of all steps of something else */
        wg_tensor *x = wg_neg(leaf(ctx, WG_SHAPE(8, 8), &r)), *g = wg_matmul(turned(h), wg_exp(wg_tanh(x)));
        h = wg_tanh(wg_add(wg_matmul(x, w), wg_add(wg_matmul(h, w), w)));
        dw = dw ? wg_add(dw, g) : g;
    }
    recording_add(rec, h, "state");
    recording_add(rec, wg_sub(w, wg_mul_scalar(dw, 0.1)), "weights");
    wg_tensor *a = wg_matmul(h, w), *b = wg_matmul(w, h), *c = wg_matmul(h, dw), *d = wg_matmul(dw, h);
    recording_add(rec, wg_add(wg_add(a, b), wg_add(c, d)), "pairs");
    recording_add(rec, wg_add(wg_relu(b), wg_matmul(w, w)), "read twice");
    recording_add(rec, wg_add(a, wg_matmul(w, turned(a))), "read by a product");
    recording_add(rec, wg_add(wg_matmul(h, h), turned(wg_matmul(w, dw))), "turned");
    recording_add(rec, wg_add(wg_matmul(wg_slice(h, 0, 0, 1, 1), h), wg_matmul(w, dw)), "broadcast");
    recording_add(rec, wg_where(wg_gt_scalar(wg_matmul(h, dw), 0), wg_matmul(w, h), w), "a mask");
}

Test(terms, updates) { compare_plans(updates); }
Test(terms, between) { compare_plans(between); }

/* ---- what is planned ---- */

/* Two results at once, beside a sum in one kernel, which a plan that gave up on all of them would not have. */
static void expect_both(wg_ctx *ctx, wg_tensor *a, wg_tensor *b, uint64_t launches, const char *what) {
    wg_stats before, after;
    rng r = rng_seed("sums", 7);
    wg_tensor *c = wg_add(product(ctx, WG_F32, 5, 6, 7, 0, &r), product(ctx, WG_F32, 5, 8, 7, 0, &r));
    wg_get_stats(ctx, &before);
    cr_expect_eq(wg_eval((wg_tensor *[]){a, b, c}, 3), WG_OK, "%s: %s", what, wg_error(ctx));
    wg_get_stats(ctx, &after);
    cr_expect_eq(after.launches - before.launches, launches + 1, "%s: %d launches, %d expected", what,
                 (int)(after.launches - before.launches), (int)launches + 1);
}

static wg_tensor *many(wg_ctx *ctx, int n, rng *r) {
    wg_tensor *p = product(ctx, WG_F32, 32, 16, 32, 0, r);
    for (int i = 1; i < n; i++) {
        p = wg_add(p, product(ctx, WG_F32, 32, 16, 32, 0, r));
    }
    return p;
}

/* Large operands of a small result, made for it. */
static wg_tensor *small_sum(wg_ctx *ctx, int64_t k, rng *r) {
    wg_tensor *p = NULL;
    for (int i = 0; i < 2; i++) {
        wg_tensor *dear = wg_exp(wg_tanh(wg_exp(wg_tanh(leaf(ctx, WG_SHAPE(4, k), r)))));
        wg_tensor *q = wg_matmul(dear, leaf(ctx, WG_SHAPE(k, 4), r));
        p = p ? wg_add(p, q) : q;
    }
    return p;
}

/* Wrong: results that others read are lost or moved; more products than a kernel has buffers for; operands stay for longer than
 * it saves. */
Test(terms, launches) {
    wg_ctx *ctx = wg_open("null:cpu");
    rng r = rng_seed("sums", 5);
    WG_SCOPE(ctx) {
        wg_tensor *x = leaf(ctx, WG_SHAPE(32, 64), &r), *w = leaf(ctx, WG_SHAPE(16, 64), &r);
        wg_tensor *h = leaf(ctx, WG_SHAPE(32, 16), &r), *u = leaf(ctx, WG_SHAPE(16, 16), &r);
        wg_tensor *b = leaf(ctx, WG_SHAPE(16), &r);
        const uint64_t out = 4 * 32 * 16, in = 4 * (32 * 64 + 16 * 64 + 16 + 32 * 16 + 16 * 16);
        expect_launches(ctx, wg_add(wg_linear(x, w, b), wg_linear(h, u, b)), 1, in + out, "a cell");
        wg_tensor *p = wg_linear(x, w, NULL), *q = wg_linear(h, u, NULL);
        expect_both(ctx, wg_add(p, q), p, 2, "one that is wanted itself");
        p = wg_linear(x, w, NULL), q = wg_linear(h, u, NULL);
        expect_both(ctx, wg_add(p, q), wg_matmul(turned(p), h), 3, "one that a product reads");
        p = wg_linear(x, w, NULL), q = wg_linear(h, u, NULL);
        expect_both(ctx, wg_add(p, q), wg_sub(wg_linear(h, u, NULL), p), 2 + 1, "one that is read twice");
        expect_launches(ctx, wg_add(wg_linear(x, w, NULL), wg_linear(x, w, NULL)), 1, 2 * 4 * (32 + 16) * 64 + out,
                        "tied weights");
        const uint64_t square = 4 * 32 * 32, each = 2 * 4 * 32 * 16;
        expect_launches(ctx, many(ctx, 8, &r), 1, 8 * each + square, "eight");
        expect_launches(ctx, many(ctx, 10, &r), 1, 10 * each + square, "ten");
        expect_launches(ctx, many(ctx, 11, &r), 2, 11 * each + 3 * square, "eleven");
        const uint64_t k = 1 << 16;
        expect_launches(ctx, small_sum(ctx, (int64_t)k, &r), 3, 2 * 4 * 4 * 4 * k + 3 * 4 * 16, "small sums");
    }
    cr_expect_eq(wg_close(ctx), WG_OK);
}
