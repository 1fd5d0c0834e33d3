/* label: unit */
/* timeout: 300 */
/* host: too */
/*
 * Plans: what is remembered from step to step, how many plans a step takes, and graphs far deeper than a stack.
 */
#include "harness/check.h"

#include <math.h>

static wg_tensor *total(wg_tensor *t) { return wg_sum(t, NULL, 0, false); }

typedef struct net {
    wg_tensor *w1, *b1, *w2;
} net;

static net net_make(wg_ctx *ctx) {
    rng r = rng_seed("net", 0);
    net n = {wg_param(input_make(ctx, WG_F32, WG_SHAPE(16, 8), LAY_CONTIGUOUS, DOM_ANY, &r).t),
             wg_param(wg_zeros(ctx, WG_F32, WG_SHAPE(16))),
             wg_param(input_make(ctx, WG_F32, WG_SHAPE(3, 16), LAY_CONTIGUOUS, DOM_ANY, &r).t)};
    return n;
}

/* One step on a batch of n rows; returns the loss, read inside the scope or after it. */
static double step(wg_ctx *ctx, net *n, int64_t rows, double lr, bool read_inside) {
    double value = NAN;
    wg_tensor *kept = NULL, *params[] = {n->w1, n->b1, n->w2};
    rng r = rng_seed("rows", (uint64_t)rows);
    nd x = nd_new(WG_F32, WG_SHAPE(rows, 8)), target = nd_new(WG_I64, WG_SHAPE(rows));
    gen_fill(&x, DOM_ANY, &r);
    gen_index(&target, 3, &r);
    WG_SCOPE(ctx) {
        wg_tensor *h = wg_tanh(wg_linear(nd_tensor(ctx, x), n->w1, n->b1));
        wg_tensor *loss = wg_cross_entropy(wg_linear(h, n->w2, NULL), nd_tensor(ctx, target), NULL);
        if (read_inside) {
            value = wg_item(loss);
        } else {
            kept = wg_keep(loss);
        }
        wg_backward(loss);
        for (int k = 0; k < 3; k++) {
            wg_assign(params[k], wg_sub(params[k], wg_mul_scalar(wg_grad(params[k]), lr)));
            wg_zero_grad(params[k]);
        }
    }
    if (kept) {
        value = wg_item(kept);
        wg_free(kept);
    }
    return value;
}

static uint64_t plans(const wg_stats *a, const wg_stats *b) {
    return b->plans_built + b->plans_reused - a->plans_built - a->plans_reused;
}

/* Wrong: a step of the same shape is planned or compiled again, or a changed scalar is text or key. */
Test(plan, is_reused) {
    wg_ctx *ctx = open_ctx();
    net n = net_make(ctx);
    double first = step(ctx, &n, 64, 0.1, false);
    step(ctx, &n, 64, 0.1, false);
    wg_stats s2 = stats_of(ctx);
    step(ctx, &n, 64, 0.1, false);
    wg_stats s3 = stats_of(ctx);
    double last = step(ctx, &n, 64, 0.025, false);
    wg_stats s4 = stats_of(ctx);
    cr_expect_eq(s3.plans_built, s2.plans_built, "an identical step was planned again");
    cr_expect_gt(s3.plans_reused, s2.plans_reused);
    cr_expect_eq(s3.kernels_built, s2.kernels_built, "an identical step built kernels");
    cr_expect_eq(s4.plans_built, s3.plans_built, "another learning rate made a new plan");
    cr_expect_eq(s4.kernels_built, s3.kernels_built, "another learning rate built kernels");
    cr_expect_eq(s4.launches - s3.launches, s3.launches - s2.launches);
    cr_expect_eq(s4.bytes_live, s2.bytes_live, "steps leak");
    cr_expect(last < first, "the loss does not fall: %g to %g", first, last);
    close_ok(ctx);
}

/* Wrong: sizes are text. A short last batch makes a plan and builds no kernel. */
Test(plan, of_another_batch_size_builds_no_kernel) {
    wg_ctx *ctx = open_ctx();
    net n = net_make(ctx);
    step(ctx, &n, 128, 0.1, false);
    step(ctx, &n, 128, 0.1, false);
    wg_stats before = stats_of(ctx);
    step(ctx, &n, 100, 0.1, false);
    wg_stats after = stats_of(ctx);
    cr_expect_gt(after.plans_built, before.plans_built);
    cr_expect_eq(after.kernels_built, before.kernels_built, "a short batch built %llu kernels",
                 (unsigned long long)(after.kernels_built - before.kernels_built));
    step(ctx, &n, 128, 0.1, false);
    step(ctx, &n, 100, 0.1, false);
    wg_stats last = stats_of(ctx);
    cr_expect_eq(last.plans_built, after.plans_built, "plans of two batch sizes do not both stay");
    close_ok(ctx);
}

/* Wrong: two plans (or three) where the loss is kept and read after the scope; recomputing the forward where it is read inside. */
Test(plan, one_for_a_step_two_if_read_inside) {
    wg_ctx *ctx = open_ctx(), *other = open_ctx();
    net n = net_make(ctx), m = net_make(other);
    for (int k = 0; k < 3; k++) {
        wg_stats a = stats_of(ctx), b = stats_of(other);
        double kept = step(ctx, &n, 64, 0.1, false), inside = step(other, &m, 64, 0.1, true);
        wg_stats a1 = stats_of(ctx), b1 = stats_of(other);
        cr_expect_eq(plans(&a, &a1), 1, "kept and read after: %llu plans", (unsigned long long)plans(&a, &a1));
        cr_expect_eq(plans(&b, &b1), 2, "read inside: %llu plans", (unsigned long long)plans(&b, &b1));
        cr_expect_eq(kept, inside, "step %d: %.9g and %.9g", k, kept, inside);
    }
    close_ok(ctx);
    close_ok(other);
}

/* Wrong: a plan made for one leaf being two operands is used where they are two leaves, and the like. */
Test(plan, key_tells_identity_apart) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *a = wg_from_f32(ctx, (float[]){1, 2, 3}, WG_SHAPE(3)),
              *b = wg_from_f32(ctx, (float[]){10, 20, 30}, WG_SHAPE(3));
    EXPECT_VALUES(wg_sub(wg_mul(a, a), a), 0, 2, 6);
    EXPECT_VALUES(wg_sub(wg_mul(a, b), a), 9, 38, 87);
    EXPECT_VALUES(wg_sub(wg_mul(b, a), a), 9, 38, 87);
    EXPECT_VALUES(wg_sub(wg_mul(a, b), b), 0, 20, 60);
    EXPECT_VALUES(wg_sub(wg_mul(b, b), b), 90, 380, 870);
    EXPECT_VALUES(wg_add_scalar(wg_mul_scalar(a, 2), 2), 4, 6, 8); /* equal scalars now, different ones next */
    EXPECT_VALUES(wg_add_scalar(wg_mul_scalar(a, 3), 5), 8, 11, 14);
    EXPECT_VALUES(wg_add(wg_mul_scalar(a, 2), wg_mul_scalar(a, 2)), 4, 8, 12);
    EXPECT_VALUES(wg_add(wg_mul_scalar(a, 2), wg_mul_scalar(a, 3)), 5, 10, 15);
    EXPECT_VALUES(wg_narrow(wg_mul(a, b), 0, 1, 2), 40, 90);
    EXPECT_VALUES(wg_narrow(wg_mul(a, b), 0, 0, 2), 10, 40);
    EXPECT_VALUES(wg_flip(wg_mul(a, b), (int[]){0}, 1), 90, 40, 10);
    for (int k = 0; k < 2; k++) { /* in place allowed, then not because the old value is kept */
        WG_SCOPE(ctx) { wg_assign(a, wg_add_scalar(a, 1)); }
        wg_tensor *old = k ? NULL : wg_keep(wg_detach(a));
        WG_SCOPE(ctx) { wg_assign(a, wg_add_scalar(a, 1)); }
        if (old) {
            EXPECT_VALUES(old, 2, 3, 4);
            wg_free(old);
        }
    }
    EXPECT_VALUES(a, 5, 6, 7);
    close_ok(ctx);
}

/* ---- depth ---- */

/* Wrong: a walk of the graph that recurses. 2 and 1/2 in turn keep every value exact. */
Test(depth, chain_of_200000_nodes) {
    enum { N = 200000 };
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = wg_param(wg_from_f64(ctx, (double[]){3, -5}, WG_SHAPE(2)));
    WG_SCOPE(ctx) {
        wg_tensor *y = w;
        for (int k = 0; k < N; k++) {
            y = wg_mul_scalar(y, k % 2 ? 0.5 : 2);
        }
        cr_assert_not_null(y, "%s", wg_error(ctx));
        wg_tensor *loss = total(y);
        cr_expect_eq(wg_backward(loss), WG_OK, "%s", wg_error(ctx));
        cr_expect_eq(wg_item(loss), -2);
        EXPECT_VALUES(wg_grad(w), 1, 1);
    }
    WG_SCOPE(ctx) { /* and one that is thrown away unrun */
        wg_tensor *y = w;
        for (int k = 0; k < N; k++) {
            y = wg_square(y);
        }
        cr_expect(wg_requires_grad(y));
    }
    EXPECT_VALUES(w, 3, -5);
    close_ok(ctx);
}

/* A leaf used 20,000 times: as many contributions to one gradient. */
Test(depth, many_contributions_to_one_leaf) {
    enum { N = 20000 };
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = wg_param(wg_from_f64(ctx, (double[]){3, -5}, WG_SHAPE(2)));
    WG_SCOPE(ctx) {
        wg_tensor *y = wg_mul_scalar(w, 0);
        for (int k = 0; k < N; k++) {
            y = wg_add(y, w);
        }
        wg_backward(total(y));
        EXPECT_VALUES(wg_grad(w), N, N);
    }
    close_ok(ctx);
}

/* One plan with thousands of results and hundreds of operands: no kernel may need more arguments than a device takes. */
Test(depth, wide) {
    enum { N = 600 };
    wg_ctx *ctx = open_ctx();
    static wg_tensor *out[N];
    WG_SCOPE(ctx) {
        wg_tensor *sum = wg_zeros(ctx, WG_F32, WG_SHAPE(3)), *leaves[N];
        for (int k = 0; k < N; k++) {
            leaves[k] = wg_from_f32(ctx, (float[]){(float)k, 1, -1}, WG_SHAPE(3));
            sum = wg_add(sum, leaves[k]);
            out[k] = wg_mul_scalar(leaves[k], 2);
        }
        cr_expect_eq(wg_eval(out, N), WG_OK, "%s", wg_error(ctx));
        EXPECT_VALUES(sum, N * (N - 1) / 2, N, -N);
        EXPECT_VALUES(out[N - 1], 2 * (N - 1), 2, -2);
        wg_tensor *joined = wg_cat(leaves, N, 0);
        cr_expect_eq(wg_numel(joined), 3 * N);
        EXPECT_VALUES(wg_narrow(joined, 0, 3 * N - 3, 3), N - 1, 1, -1);
        EXPECT_VALUES(wg_sum(joined, NULL, 0, false), N * (N - 1) / 2);
    }
    close_ok(ctx);
}

/* ---- residuals ---- */

/* v + v w, or v + w v, and that times w: read as it is made, or in one plan. */
static void residual(wg_ctx *ctx, wg_tensor *x, wg_tensor *w, bool left, bool at_once, float *out) {
    WG_SCOPE(ctx) {
        wg_tensor *v = wg_mul_scalar(x, 2);
        cr_expect(at_once || wg_data(v));
        wg_tensor *product = left ? wg_matmul(w, v) : wg_matmul(v, w);
        cr_expect(at_once || wg_data(product));
        wg_tensor *sum = wg_add(product, v);
        cr_expect(at_once || wg_data(sum));
        cr_expect_eq(wg_read(wg_matmul(sum, w), out, 1600 * sizeof *out), WG_OK, "%s", wg_error(ctx));
    }
}

/* Wrong: an epilogue that names a matmul's own operand as the matmul does, which is no name in its text; a sum written
 * over an operand that other rows still need. */
Test(residual, matmul_and_its_own_operand) {
    wg_ctx *ctx = open_ctx();
    rng r = rng_seed("residual", 0);
    wg_tensor *x = input_make(ctx, WG_F32, WG_SHAPE(40, 40), LAY_CONTIGUOUS, DOM_ANY, &r).t;
    wg_tensor *w = input_make(ctx, WG_F32, WG_SHAPE(40, 40), LAY_CONTIGUOUS, DOM_ANY, &r).t;
    for (int left = 0; left < 2; left++) {
        float want[1600], got[1600];
        residual(ctx, x, w, left, false, want);
        residual(ctx, x, w, left, true, got);
        expect_same_bits(got, want, WG_F32, 1600, left ? "v + w v" : "v + v w");
    }
    close_ok(ctx);
}

/* ---- rows ---- */

enum { ROW = 300, ROWS = 3 };

/* sin(h softmax(h)) of h = x w, and that times w: read as it is made, or in one plan. */
static void rows(wg_ctx *ctx, wg_tensor *x, wg_tensor *w, bool at_once, float *out) {
    WG_SCOPE(ctx) {
        wg_tensor *h = wg_matmul(x, w);
        cr_expect(at_once || wg_data(h));
        wg_tensor *soft = wg_softmax(h, -1);
        cr_expect(at_once || wg_data(soft));
        wg_tensor *seen = wg_sin(wg_mul(h, soft));
        cr_expect(at_once || wg_data(seen));
        cr_expect_eq(wg_read(wg_matmul(seen, w), out, ROWS * ROW * sizeof *out), WG_OK, "%s", wg_error(ctx));
    }
}

/* Wrong: the rows' result lies over h, which dies in that kernel; an exp that waits in the result's place is then there before h is
 * loaded for the last time. */
Test(rows, over_what_they_read) {
    wg_ctx *ctx = open_ctx();
    rng r = rng_seed("rows", 1);
    wg_tensor *x = input_make(ctx, WG_F32, WG_SHAPE(ROWS, ROW), LAY_CONTIGUOUS, DOM_ANY, &r).t;
    wg_tensor *w = input_make(ctx, WG_F32, WG_SHAPE(ROW, ROW), LAY_CONTIGUOUS, DOM_ANY, &r).t;
    static float want[ROWS * ROW], got[ROWS * ROW];
    rows(ctx, x, w, false, want);
    rows(ctx, x, w, true, got);
    expect_same_bits(got, want, WG_F32, ROWS * ROW, "sin(h softmax(h))");
    close_ok(ctx);
}
