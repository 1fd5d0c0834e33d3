/* label: ops */
/* timeout: 600 */
/*
 * Reductions over the rows of a product in the product's own kernel: the bits of two kernels, in every mode, and what is
 * planned for which device.
 */
#include "harness/gen.h"
#include "harness/recording.h"

#include "api/context.h"
#include "base/alloc.h"
#include "schedule/plan.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))
/* The interpreter has the bits of the simd form, and compiles nothing. */
static const mode host_modes[] = {MODE_HOST_UNFUSED, MODE_HOST}, simd_modes[] = {MODE_HOST_UNFUSED, MODE_SIMD};
static const mode simt_modes[] = {MODE_SIMT_UNFUSED, MODE_SIMT};

static wg_tensor *filled(wg_ctx *ctx, wg_dtype t, wg_shape shape, domain d, rng *r) {
    return input_make(ctx, t, shape, LAY_CONTIGUOUS, d, r).t;
}

static wg_tensor *leaf(wg_ctx *ctx, wg_shape shape, rng *r) { return filled(ctx, WG_F32, shape, DOM_ANY, r); }

/* m x n of a sum over k. */
static wg_tensor *product(wg_ctx *ctx, int64_t m, int64_t k, int64_t n, rng *r) {
    return wg_matmul(leaf(ctx, WG_SHAPE(m, k), r), leaf(ctx, WG_SHAPE(k, n), r));
}

static wg_tensor *sum_last(wg_tensor *t) { return wg_sum(t, (int[]){-1}, 1, true); }

/* Rows of one and of several lanes and work-items, shorter and longer than a narrow tile; blocks that end within a tile, several
 * blocks of the sum; NaN and infinities, for which the order of a maximum is seen. */
static void widths(wg_ctx *ctx, recording *rec) {
    rng r = rng_seed("rows", 1);
    static const int64_t sizes[][3] = {{37, 300, 2}, {5, 1, 17}, {131, 40, 64}, {70, 9, 65}, {33, 20, 128}, {1, 0, 3}};
    for (int i = 0; i < COUNT(sizes); i++) {
        const int64_t *s = sizes[i];
        recording_add(rec, wg_softmax(product(ctx, s[0], s[1], s[2], &r), -1), "softmax of %d columns", (int)s[2]);
    }
    wg_tensor *sparse = filled(ctx, WG_F32, WG_SHAPE(50, 2), DOM_SPARSE, &r);
    wg_tensor *odd = wg_matmul(sparse, filled(ctx, WG_F32, WG_SHAPE(2, 30), DOM_SPARSE, &r));
    recording_add(rec, wg_softmax(odd, -1), "of special values");
    recording_add(rec, wg_amax(odd, (int[]){1}, 1, false), "their maximum");
    recording_add(rec, wg_argmax(odd, 1, false), "where it is");
}

/* As in a transformer: batches, a residual, a norm with weights whose numbers the gradient needs, gradients of both; what is
 * stored beside, in another order too. */
static void networks(wg_ctx *ctx, recording *rec) {
    rng r = rng_seed("rows", 3);
    const int swap[] = {0, 2, 1, 3};
    wg_tensor *q = leaf(ctx, WG_SHAPE(2, 9, 3, 8), &r), *k = leaf(ctx, WG_SHAPE(2, 3, 8, 11), &r);
    wg_tensor *v = leaf(ctx, WG_SHAPE(2, 3, 11, 8), &r), *w = leaf(ctx, WG_SHAPE(12, 8), &r);
    wg_tensor *gain = leaf(ctx, WG_SHAPE(12), &r), *bias = leaf(ctx, WG_SHAPE(12), &r), *grads[5];
    wg_tensor *const of[] = {wg_param(q), wg_param(k), wg_param(w), wg_param(gain), wg_param(bias)};
    wg_tensor *p = wg_softmax(wg_mul_scalar(wg_matmul(wg_permute(of[0], swap), of[1]), 0.35), -1);
    wg_tensor *o = wg_matmul(p, v), *x = wg_contiguous(wg_permute(o, swap));
    wg_tensor *h = wg_add(wg_linear(x, of[2], NULL), leaf(ctx, WG_SHAPE(2, 9, 3, 12), &r));
    wg_tensor *y = wg_layer_norm(h, WG_SHAPE(12), of[3], of[4], NULL);
    wg_tensor *loss = wg_sum(wg_square(wg_tanh(y)), NULL, 0, false);
    recording_add(rec, y, "a norm behind a residual");
    if (wg_gradients(&loss, 1, of, 5, grads, NULL) != WG_OK) {
        recording_add(rec, NULL, "gradients");
        return;
    }
    for (int i = 0; i < 5; i++) {
        recording_add(rec, grads[i], "gradient %d", i);
    }
}

/* Results of a row and of its elements, a product that is wanted itself, masks, random numbers, coordinates; a temporary that the
 * result may be written over. */
static void results(wg_ctx *ctx, recording *rec) {
    rng r = rng_seed("rows", 4);
    wg_tensor *c = wg_relu(product(ctx, 45, 7, 21, &r)), *total = sum_last(c);
    recording_add(rec, c, "the product");
    recording_add(rec, total, "its sums");
    recording_add(rec, wg_add(wg_div(c, wg_add_scalar(total, 1)), leaf(ctx, WG_SHAPE(21), &r)), "and what they divide");
    wg_tensor *d = product(ctx, 45, 7, 21, &r), *over = wg_gt(d, sum_last(wg_mul_scalar(d, 0.1)));
    recording_add(rec, wg_where(over, d, wg_neg(leaf(ctx, WG_SHAPE(45, 1), &r))), "a mask");
    recording_add(rec, wg_amax(over, (int[]){1}, 1, false), "any of it");
    wg_tensor *base = wg_exp(leaf(ctx, WG_SHAPE(45, 21), &r)), *e = wg_add(product(ctx, 45, 7, 21, &r), base);
    recording_add(rec, wg_sub(e, sum_last(e)), "over a temporary");
    wg_seed(ctx, 5);
    recording_add(rec, wg_softmax(wg_dropout(product(ctx, 45, 7, 21, &r), 0.3, true), -1), "dropped out");
}

static void dtypes(wg_ctx *ctx, recording *rec) {
    rng r = rng_seed("rows", 5);
    static const wg_dtype types[] = {WG_F64, WG_I64, WG_I32, WG_F16, WG_BF16};
    for (int i = 0; i < COUNT(types); i++) {
        wg_tensor *a = filled(ctx, types[i], WG_SHAPE(29, 40), DOM_ANY, &r);
        wg_tensor *c = wg_matmul(a, filled(ctx, types[i], WG_SHAPE(40, 19), DOM_ANY, &r));
        recording_add(rec, wg_sub(c, wg_amax(c, (int[]){1}, 1, true)), "from the maximum, dtype %d", i);
        recording_add(rec, wg_argmax(c, 1, true), "where it is, dtype %d", i);
        recording_add(rec, sum_last(c), "the sum, dtype %d", i);
    }
}

/* Rows that take more parameters than a product has room for: they stay apart. */
static wg_tensor *crowd(wg_ctx *ctx, int joined, rng *r) {
    const int back[] = {4, 3, 2, 1, 0};
    wg_tensor *x = wg_matmul(leaf(ctx, WG_SHAPE(2, 3, 4, 5, 6), r), leaf(ctx, WG_SHAPE(2, 3, 4, 6, 7), r));
    wg_tensor *y = wg_softmax(x, -1);
    for (int i = 0; i < joined; i++) {
        y = wg_add(y, wg_permute(leaf(ctx, WG_SHAPE(7, 5, 4, 3, 2), r), back));
    }
    return y;
}

static void crowded(wg_ctx *ctx, recording *rec) {
    rng r = rng_seed("rows", 10);
    for (int joined = 8; joined <= 14; joined += 2) {
        recording_add(rec, crowd(ctx, joined, &r), "%d joined", joined);
    }
}

/* The simt form: narrow and wide tiles, the last turn of which some work-items sit out; a row's results and its elements'. */
static void groups(wg_ctx *ctx, recording *rec) {
    rng r = rng_seed("rows", 8);
    recording_add(rec, wg_softmax(product(ctx, 131, 40, 64, &r), -1), "a narrow tile");
    recording_add(rec, wg_softmax(product(ctx, 70, 9, 17, &r), -1), "less than that");
    recording_add(rec, wg_softmax(product(ctx, 33, 20, 128, &r), -1), "a wide tile");
    recording_add(rec, wg_softmax(product(ctx, 70, 9, 65, &r), -1), "less than that");
    wg_tensor *c = product(ctx, 45, 7, 21, &r), *total = sum_last(c);
    recording_add(rec, total, "sums");
    recording_add(rec, wg_argmax(c, 1, false), "where the maximum is");
    recording_add(rec, wg_mul(c, total), "what they scale");
    wg_tensor *half = filled(ctx, WG_F16, WG_SHAPE(29, 40), DOM_ANY, &r);
    c = wg_matmul(half, filled(ctx, WG_F16, WG_SHAPE(40, 19), DOM_ANY, &r));
    recording_add(rec, wg_sub(c, wg_amax(c, (int[]){1}, 1, true)), "in 16 bits");
}

/* What compiles, of all that the interpreter does. */
static void longest(wg_ctx *ctx, recording *rec) {
    rng r = rng_seed("rows", 9);
    recording_add(rec, wg_softmax(product(ctx, 150, 300, 256, &r), -1), "the longest");
    recording_add(rec, wg_softmax(product(ctx, 5, 1, 17, &r), -1), "one panel and a part");
    recording_add(rec, wg_softmax(product(ctx, 1, 0, 3, &r), -1), "no sum");
}

static void compare(recorder record, const mode *modes) { cr_expect_gt(compare_modes(record, modes, 2), 0); }

Test(rows, host) {
    const recorder all[] = {widths, networks, results, dtypes, longest, crowded};
    for (int i = 0; i < COUNT(all); i++) {
        compare(all[i], host_modes);
    }
}
Test(rows, simd) {
    compare(longest, simd_modes);
    compare(networks, simd_modes);
}
Test(rows, simt) { compare(groups, simt_modes); }

/* ---- what is planned ---- */

typedef struct planned {
    const char *device;
    wg_dtype dtype;
    int64_t n;
    int launches;
} planned;

/* Softmax of 96 x 32 times 32 x n; by hand: both operands are read, the result is written, and where two kernels do it the product
 * is written and read. */
static void expect_planned(const planned *want) {
    wg_ctx *ctx = wg_open(want->device);
    rng r = rng_seed("rows", 6);
    const uint64_t size = want->dtype == WG_F64 ? 8 : 4, out = 96 * (uint64_t)want->n * size;
    const uint64_t once = 96 * 32 * size + 32 * (uint64_t)want->n * size + out,
                   bytes = once + (want->launches > 1 ? 2 * out : 0);
    WG_SCOPE(ctx) {
        wg_tensor *a = filled(ctx, want->dtype, WG_SHAPE(96, 32), DOM_ANY, &r);
        wg_tensor *t = wg_softmax(wg_matmul(a, filled(ctx, want->dtype, WG_SHAPE(32, want->n), DOM_ANY, &r)), -1);
        wg_stats before, after;
        wg_get_stats(ctx, &before);
        cr_assert_eq(wg_eval(&t, 1), WG_OK, "%s", wg_error(ctx));
        wg_get_stats(ctx, &after);
        cr_expect(after.launches - before.launches == (uint64_t)want->launches &&
                      after.bytes_moved - before.bytes_moved == bytes,
                  "%s, %d columns: %d launches, %d bytes; %d and %d expected", want->device, (int)want->n,
                  (int)(after.launches - before.launches), (int)(after.bytes_moved - before.bytes_moved),
                  want->launches, (int)bytes);
    }
    cr_expect_eq(wg_close(ctx), WG_OK);
}

/* Wrong: what only the rows need is stored; a product with longer rows than a group holds, or a larger tile than its local memory,
 * takes them in. */
Test(rows, launches) {
    static const planned wanted[] = {
        {"null:cpu", WG_F32, 2, 1},   {"null:cpu", WG_F32, 256, 1}, {"null:cpu", WG_F32, 257, 2},
        {"null:gpu", WG_F32, 64, 1},  {"null:gpu", WG_F32, 128, 1}, {"null:gpu", WG_F32, 129, 2},
        {"null:cuda", WG_F32, 65, 1}, {"null:cpu", WG_F64, 200, 1}, {"null:gpu", WG_F64, 10, 2},
    };
    for (int i = 0; i < COUNT(wanted); i++) {
        expect_planned(&wanted[i]);
    }
}

static void expect_text(wg_ctx *ctx, const char *what, const char *want) {
    wg_str text = {0};
    wg_plan_print(wg_plan_cache_newest(ctx)->plan, &text);
    cr_expect(strstr(wg_str_text(&text), want), "%s: no \"%s\" in the plan\n%s", what, want, wg_str_text(&text));
    wg_str_free(&text);
}

/* Wrong: sums over columns, or over all of a row's batch, are taken for sums over rows; a gather, which reads the product at other
 * places, is torn from its rows for more bytes than are saved. */
Test(rows, chosen) {
    setenv("WENGERT_QUEUES", "1", 1);
    wg_ctx *ctx = wg_open("null:gpu");
    rng r = rng_seed("rows", 7);
    static const int64_t labels[96];
    WG_SCOPE(ctx) {
        wg_tensor *t = wg_softmax(product(ctx, 96, 32, 40, &r), 0);
        wg_eval(&t, 1);
        expect_text(ctx, "columns", "1 matmul 96x32x40: matmul\n");
        wg_tensor *batches = wg_matmul(leaf(ctx, WG_SHAPE(4, 8, 32), &r), leaf(ctx, WG_SHAPE(32, 40), &r));
        t = wg_sum(batches, (int[]){1, 2}, 2, false);
        wg_eval(&t, 1);
        expect_text(ctx, "whole products", "x40: matmul\n");
        wg_tensor *target = wg_from_i64(ctx, labels, WG_SHAPE(96));
        t = wg_cross_entropy(product(ctx, 96, 32, 40, &r), target, NULL);
        wg_eval(&t, 1);
        expect_text(ctx, "a loss", "2 launches");
        t = wg_layer_norm(batches, WG_SHAPE(40), NULL, NULL, NULL);
        wg_eval(&t, 1);
        expect_text(ctx, "rows of a flat product", "1 launches");
        expect_text(ctx, "rows of a flat product", ", then rows: matmul+");
        t = crowd(ctx, 8, &r);
        wg_eval(&t, 1);
        expect_text(ctx, "a few operands", ", then rows: matmul+amax");
        t = crowd(ctx, 14, &r);
        wg_eval(&t, 1);
        expect_text(ctx, "too many", "x7: matmul\n");
    }
    cr_expect_eq(wg_close(ctx), WG_OK);
}

/* Rows, products added up, and a sum of an operand: without memory for a piece of a kernel's text there is no kernel, and the next
 * try has it. Wrong: the text goes on with what is not there. */
static int fail_allocation(const char *device, uint64_t k, bool *hit) {
    wg_ctx *ctx = wg_open(device);
    rng r = rng_seed("rows", 8);
    wg_tensor *a = leaf(ctx, WG_SHAPE(40, 20), &r),
              *c = wg_matmul(wg_transpose(a, 0, 1), leaf(ctx, WG_SHAPE(40, 9), &r));
    wg_tensor *all[] = {wg_softmax(product(ctx, 7, 5, 9, &r), -1), c, wg_sum(a, (int[]){0}, 1, false),
                        wg_add(product(ctx, 3, 5, 9, &r), product(ctx, 3, 6, 9, &r))};
    wg_fault_arm(WG_FAULT_ALLOC, k);
    wg_status status = wg_eval(all, COUNT(all));
    *hit = wg_fault_count(WG_FAULT_ALLOC) >= k;
    wg_fault_arm(WG_FAULT_ALLOC, 0);
    cr_assert(status == WG_OK || (*hit && status == WG_ERR_NOMEM), "%s, allocation %d: %s", device, (int)k,
              wg_error(ctx));
    (void)wg_error_take(ctx, NULL, 0);
    cr_assert_eq(wg_eval(all, COUNT(all)), WG_OK, "%s, allocation %d: %s", device, (int)k, wg_error(ctx));
    cr_expect_eq(wg_close(ctx), WG_OK);
    return status != WG_OK;
}

Test(rows, every_allocation) {
    static const char *const devices[] = {"null:cpu", "null:gpu", "null:cuda"};
    for (int i = 0; i < COUNT(devices); i++) {
        bool hit = true;
        int failures = 0;
        for (uint64_t k = 1; hit && k < 10000; k++) {
            failures += fail_allocation(devices[i], k, &hit);
        }
        cr_expect(!hit && failures > 50, "%s: %d failures", devices[i], failures);
    }
}
