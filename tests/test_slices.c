/* label: ops */
/* timeout: 300 */
/*
 * Joins stored by parts: the kernels that make what cat and scattered slices put together store it where it belongs. Bits in
 * every mode, what is stored so and what is not, and who waits for whom.
 */
#include "harness/gen.h"
#include "harness/recording.h"

#include "api/context.h"
#include "schedule/plan.h"

#include <stdlib.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))
#define CAT(dim, ...)                                                                                                  \
    wg_cat((wg_tensor *const[]){__VA_ARGS__}, sizeof((wg_tensor *[]){__VA_ARGS__}) / sizeof(wg_tensor *), dim)

/* Now and then NaN, infinities, -0 among them. */
static wg_tensor *leaf_of(wg_ctx *ctx, wg_dtype t, wg_shape shape, rng *r) {
    return input_make(ctx, t, shape, LAY_CONTIGUOUS, wg_dtype_is_float(t) ? DOM_SPARSE : DOM_ANY, r).t;
}

static wg_tensor *leaf(wg_ctx *ctx, wg_shape shape, rng *r) { return leaf_of(ctx, WG_F32, shape, r); }

/* Where a NaN would hide what is wrong. */
static wg_tensor *tame(wg_ctx *ctx, wg_shape shape, rng *r) {
    return input_make(ctx, WG_F32, shape, LAY_CONTIGUOUS, DOM_ANY, r).t;
}

static wg_tensor *product(wg_ctx *ctx, int64_t m, int64_t n, rng *r) {
    return wg_matmul(leaf(ctx, WG_SHAPE(m, 9), r), leaf(ctx, WG_SHAPE(9, n), r));
}

static wg_tensor *total(wg_tensor *t) { return wg_sum(t, NULL, 0, false); }

static wg_tensor *gradient(wg_tensor *loss, wg_tensor *of) {
    wg_tensor *grad = NULL;
    wg_gradients(&loss, 1, &of, 1, &grad, NULL);
    return grad;
}

/* a in elements from start on, 0 elsewhere: what is left of a slice's gradient. */
static wg_tensor *scattered(wg_tensor *a, int64_t rows, int64_t start, int64_t step) {
    wg_shape s = wg_shape_of(a);
    int64_t end = start + (s.dim[0] - 1) * step + 1;
    s.dim[0] = rows;
    return wg_slice_scatter(wg_zeros(wg_context(a), wg_dtype_of(a), s), a, 0, start, end, step);
}

/* ---- what is joined ---- */

/* An LSTM's gates. */
static wg_tensor *gates_of(wg_tensor *z, wg_tensor *cell) {
    int64_t n = wg_size(z, 1) / 4;
    wg_tensor *g[4];
    for (int i = 0; i < 4; i++) {
        g[i] = wg_narrow(z, 1, i * n, n);
    }
    wg_tensor *next = wg_add(wg_mul(wg_sigmoid(g[1]), cell), wg_mul(wg_sigmoid(g[0]), wg_tanh(g[2])));
    return total(wg_square(wg_mul(wg_sigmoid(g[3]), wg_tanh(next))));
}

static wg_tensor *gates_as(wg_ctx *ctx, wg_dtype t, rng *r) {
    wg_tensor *z = wg_param(leaf_of(ctx, t, WG_SHAPE(7, 4 * 17), r));
    return gradient(gates_of(z, leaf_of(ctx, t, WG_SHAPE(7, 17), r)), z);
}

static wg_tensor *gates(wg_ctx *ctx, rng *r) { return gates_as(ctx, WG_F32, r); }
static wg_tensor *gates_f16(wg_ctx *ctx, rng *r) { return gates_as(ctx, WG_F16, r); }

/* The gates made by a product, whose bytes their gradients take over; a bias and two products read those. */
static wg_tensor *gates_of_a_product(wg_ctx *ctx, rng *r) {
    wg_tensor *x = wg_param(leaf(ctx, WG_SHAPE(7, 9), r)), *w = wg_param(leaf(ctx, WG_SHAPE(4 * 17, 9), r));
    wg_tensor *bias = wg_param(leaf(ctx, WG_SHAPE(4 * 17), r)), *of[] = {x, w, bias}, *grad[3];
    wg_tensor *loss = gates_of(wg_linear(x, w, bias), leaf(ctx, WG_SHAPE(7, 17), r));
    wg_gradients(&loss, 1, of, 3, grad, NULL);
    return CAT(0, wg_flatten(grad[0], 0, 1), wg_flatten(grad[1], 0, 1), grad[2]);
}

/* Attention: query, key and value lie in one tensor, heads in front of tokens. */
static wg_tensor *attention(wg_ctx *ctx, wg_tensor *all, rng *r) {
    const int heads_first[] = {2, 0, 3, 1, 4};
    all = wg_permute(wg_reshape(all, WG_SHAPE(2, 5, 3, 2, 16)), heads_first);
    wg_tensor *query = wg_select(all, 0, 0), *key = wg_select(all, 0, 1), *value = wg_select(all, 0, 2);
    wg_tensor *scores = wg_mul_scalar(wg_matmul(query, wg_transpose(key, 2, 3)), 0.25);
    return total(wg_mul(wg_matmul(wg_softmax(scores, 3), value), leaf(ctx, WG_SHAPE(2, 2, 5, 16), r)));
}

static wg_tensor *heads(wg_ctx *ctx, rng *r) {
    wg_tensor *all = wg_param(leaf(ctx, WG_SHAPE(10, 96), r));
    return gradient(attention(ctx, all, r), all);
}

static wg_tensor *products(wg_ctx *ctx, rng *r) { return CAT(1, product(ctx, 6, 16, r), product(ctx, 6, 21, r)); }

static wg_tensor *rows(wg_ctx *ctx, rng *r) {
    return CAT(0, wg_softmax(leaf(ctx, WG_SHAPE(3, 40), r), -1), wg_softmax(leaf(ctx, WG_SHAPE(2, 40), r), -1));
}

static wg_tensor *sums(wg_ctx *ctx, rng *r) {
    return CAT(0, wg_sum(leaf(ctx, WG_SHAPE(50, 40), r), (int[]){0}, 1, false),
               wg_sum(leaf(ctx, WG_SHAPE(21, 33), r), (int[]){1}, 1, false));
}

static wg_tensor *with_a_leaf(wg_ctx *ctx, rng *r) {
    return CAT(1, leaf(ctx, WG_SHAPE(6, 18), r), product(ctx, 6, 2000, r));
}

static wg_tensor *twice(wg_ctx *ctx, rng *r) {
    wg_tensor *p = product(ctx, 3, 20, r);
    return CAT(0, p, product(ctx, 2, 20, r), p);
}

static wg_tensor *many(wg_ctx *ctx, rng *r) {
    wg_tensor *p[9];
    for (int i = 0; i < 9; i++) {
        p[i] = product(ctx, 2, 16 + i, r);
    }
    return wg_cat(p, 9, 1);
}

/* Batches of matrices side by side, one of them turned on its way. */
static wg_tensor *batches(wg_ctx *ctx, rng *r) {
    const int order[] = {1, 0, 2};
    wg_tensor *a = wg_matmul(leaf(ctx, WG_SHAPE(3, 4, 9), r), leaf(ctx, WG_SHAPE(9, 16), r));
    wg_tensor *b = wg_matmul(leaf(ctx, WG_SHAPE(4, 3, 9), r), leaf(ctx, WG_SHAPE(9, 32), r));
    return CAT(2, a, wg_permute(b, order));
}

static wg_tensor *copied_turned(wg_ctx *ctx, rng *r) {
    wg_tensor *both = wg_reshape(CAT(0, product(ctx, 6, 32, r), product(ctx, 6, 32, r)), WG_SHAPE(2, 6, 32));
    return wg_contiguous(wg_permute(both, (int[]){1, 0, 2}));
}

/* Zeros of either sign, alone in a cat and added to 0 in a sum. */
static wg_tensor *signs(wg_ctx *ctx, rng *r) {
    wg_tensor *zeros = wg_mul_scalar(leaf(ctx, WG_SHAPE(3, 16), r), 0);
    wg_tensor *a = wg_tanh(zeros), *b = wg_tanh(wg_neg(zeros));
    wg_tensor *sum = wg_add(scattered(a, 6, 0, 1), scattered(b, 6, 3, 1));
    return CAT(0, wg_contiguous(sum), wg_tanh(wg_neg(zeros)), wg_tanh(zeros));
}

static wg_tensor *whole_numbers(wg_ctx *ctx, rng *r) {
    wg_tensor *a = wg_matmul(leaf_of(ctx, WG_I32, WG_SHAPE(3, 4), r), leaf_of(ctx, WG_I32, WG_SHAPE(4, 5), r));
    wg_tensor *b = wg_square(leaf_of(ctx, WG_I32, WG_SHAPE(2, 5), r));
    return wg_add(scattered(b, 5, 3, 1), scattered(a, 5, 0, 1));
}

/* Two numbers, each a kernel's: none of them is all that rows of another tensor read. */
static wg_tensor *numbers(wg_ctx *ctx, rng *r) {
    wg_tensor *a = wg_reshape(total(tame(ctx, WG_SHAPE(70), r)), WG_SHAPE(1, 1));
    wg_tensor *b = wg_reshape(total(wg_square(tame(ctx, WG_SHAPE(90), r))), WG_SHAPE(1, 1));
    return wg_softmax(wg_sub(tame(ctx, WG_SHAPE(2, 600), r), CAT(0, a, b)), 1);
}

/* One that another kernel makes in another order. */
static wg_tensor *turned(wg_ctx *ctx, rng *r) {
    wg_tensor *a = wg_tanh(leaf(ctx, WG_SHAPE(4, 3, 32), r)), *b = wg_tanh(leaf(ctx, WG_SHAPE(2, 4, 32), r));
    return CAT(0, wg_permute(a, (int[]){1, 0, 2}), b);
}

/* The first part is made of what the join could be written over, but for other elements being read there. */
static wg_tensor *shifted(wg_ctx *ctx, rng *r) {
    wg_tensor *a = wg_tanh(wg_narrow(wg_matmul(tame(ctx, WG_SHAPE(6, 9), r), tame(ctx, WG_SHAPE(9, 32), r)), 0, 0, 3)),
              *b = product(ctx, 1, 32, r);
    return wg_matmul(CAT(0, b, a, product(ctx, 2, 32, r)), tame(ctx, WG_SHAPE(32, 4), r));
}

/* A reader that shares a launch with what came before all parts. */
static wg_tensor *read_in_a_bundle(wg_ctx *ctx, rng *r) {
    wg_tensor *early = wg_softmax(leaf(ctx, WG_SHAPE(5, 16), r), 1),
              *j = CAT(0, product(ctx, 3, 16, r), product(ctx, 4, 16, r));
    wg_tensor *late = wg_softmax(j, 1), *w = wg_matmul(j, leaf(ctx, WG_SHAPE(16, 2), r));
    return CAT(0, wg_flatten(early, 0, 1), wg_flatten(late, 0, 1), wg_flatten(w, 0, 1));
}

static wg_tensor *with_nothing(wg_ctx *ctx, rng *r) {
    return CAT(0, product(ctx, 3, 20, r), leaf(ctx, WG_SHAPE(0, 20), r), product(ctx, 2, 20, r));
}

/* Some of it is read elsewhere too, as it is. */
static wg_tensor *read_elsewhere(wg_ctx *ctx, rng *r) {
    wg_tensor *p = product(ctx, 5, 40, r), *j = CAT(0, p, product(ctx, 5, 40, r));
    return wg_matmul(wg_matmul(p, leaf(ctx, WG_SHAPE(40, 10), r)), j);
}

/* Two elements of one place. */
static wg_tensor *overlap(wg_ctx *ctx, rng *r) {
    return wg_add(scattered(product(ctx, 3, 16, r), 5, 0, 1), scattered(product(ctx, 3, 16, r), 5, 2, 1));
}

static wg_tensor *gap(wg_ctx *ctx, rng *r) {
    return wg_add(scattered(product(ctx, 2, 16, r), 5, 0, 1), scattered(product(ctx, 2, 16, r), 5, 3, 1));
}

/* As many elements as there are, but one row twice and one never. */
static wg_tensor *overlap_and_gap(wg_ctx *ctx, rng *r) {
    return wg_add(scattered(product(ctx, 3, 16, r), 6, 0, 1), scattered(product(ctx, 3, 16, r), 6, 2, 1));
}

static wg_tensor *over_something(wg_ctx *ctx, rng *r) {
    return wg_slice_scatter(product(ctx, 5, 16, r), product(ctx, 3, 16, r), 0, 1, 4, 1);
}

static wg_tensor *narrow_columns(wg_ctx *ctx, rng *r) { return CAT(1, product(ctx, 6, 3, r), product(ctx, 6, 5, r)); }

static wg_tensor *of_leaves(wg_ctx *ctx, rng *r) {
    return CAT(0, leaf(ctx, WG_SHAPE(3, 16), r), leaf(ctx, WG_SHAPE(4, 16), r));
}

/* Every second row: none lies in a box of its own. */
static wg_tensor *steps(wg_ctx *ctx, rng *r) {
    return wg_add(scattered(product(ctx, 3, 16, r), 6, 0, 2), scattered(product(ctx, 3, 16, r), 6, 1, 2));
}

/* Joined in registers, and nowhere else. */
static wg_tensor *in_registers(wg_ctx *ctx, rng *r) {
    return wg_tanh(CAT(0, product(ctx, 3, 16, r), product(ctx, 4, 16, r)));
}

static wg_tensor *summed(wg_ctx *ctx, rng *r) {
    return total(wg_square(CAT(0, product(ctx, 3, 16, r), product(ctx, 4, 16, r))));
}

static const struct {
    wg_tensor *(*make)(wg_ctx *ctx, rng *r);
    int parts;      /* stored in place, or copied there */
    bool sums_rows; /* whose order depends on the device */
    const char *name;
} joins[] = {
    {gates, 4, false, "gates"},
    {gates_f16, 4, false, "gates, f16"},
    {gates_of_a_product, 7, false, "gates of a product"},
    {heads, 3, true, "heads"},
    {products, 2, false, "products"},
    {rows, 2, true, "rows"},
    {sums, 2, true, "sums"},
    {with_a_leaf, 2, false, "with a leaf"},
    {twice, 3, false, "twice"},
    {many, 9, false, "many"},
    {batches, 2, false, "batches"},
    {copied_turned, 2, false, "copied turned"},
    {signs, 4, false, "signs"},
    {whole_numbers, 2, false, "whole numbers"},
    {numbers, 2, true, "numbers"},
    {turned, 2, false, "turned"},
    {shifted, 3, false, "shifted"},
    {read_in_a_bundle, 5, true, "read in a bundle"},
    {with_nothing, 2, false, "with nothing"},
    {read_elsewhere, 2, false, "read elsewhere"},
    {overlap, 0, false, "overlap"},
    {gap, 0, false, "gap"},
    {overlap_and_gap, 0, false, "overlap and gap"},
    {over_something, 0, false, "over something"},
    {narrow_columns, 0, false, "narrow columns"},
    {of_leaves, 0, false, "of leaves"},
    {steps, 0, false, "steps"},
    {in_registers, 0, false, "in registers"},
    {summed, 2, true, "summed"},
};

/* ---- bits ---- */

/* Each in a plan of its own. */
static void record(wg_ctx *ctx, recording *rec, bool rows, bool others) {
    for (int i = 0; i < COUNT(joins); i++) {
        rng r = rng_seed("slices", (uint64_t)i);
        if (joins[i].sums_rows ? rows : others) {
            wg_tensor *t = joins[i].make(ctx, &r);
            cr_assert_eq(wg_eval(&t, 1), WG_OK, "%s: %s", joins[i].name, wg_error(ctx));
            recording_add(rec, t, "%s", joins[i].name);
        }
    }
}

static void record_all(wg_ctx *ctx, recording *rec) { record(ctx, rec, true, true); }
static void record_rows(wg_ctx *ctx, recording *rec) { record(ctx, rec, true, false); }
static void record_others(wg_ctx *ctx, recording *rec) { record(ctx, rec, false, true); }

Test(slices, bits_of_each_op) {
    const mode modes[] = {MODE_EAGER, MODE_UNFUSED, MODE_DEFAULT};
    setenv("WENGERT_DEVICE", "host", 1);
    cr_expect_eq(compare_modes(record_all, modes, COUNT(modes)), COUNT(joins));
}
Test(slices, bits_of_the_interpreter) {
    const mode modes[] = {MODE_HOST, MODE_DEFAULT, MODE_SIMT};
    cr_expect_gt(compare_modes(record_others, modes, COUNT(modes)), 0);
}
Test(slices, bits_of_rows) {
    const mode simd[] = {MODE_UNFUSED, MODE_DEFAULT}, simt[] = {MODE_SIMT_UNFUSED, MODE_SIMT};
    cr_expect_gt(compare_modes(record_rows, simd, COUNT(simd)), 0);
    cr_expect_gt(compare_modes(record_rows, simt, COUNT(simt)), 0);
}

/* ---- plans ---- */

static int parts_of(const wg_plan *plan) {
    int64_t parts = 0;
    for (int i = 0; i < plan->nsteps; i++) {
        const wg_lowered *l = &plan->steps[i].l;
        for (int k = 0; k < l->loop.nstores; k++) {
            parts += l->buffers[l->loop.access[l->loop.store[k].access].buffer].part > 0;
        }
    }
    return (int)parts;
}

static wg_ctx *open_null(const char *device, const char *queues) {
    setenv("WENGERT_QUEUES", queues, 1);
    wg_ctx *ctx = wg_open(device);
    cr_assert(!wg_failed(ctx), "%s", wg_error(ctx));
    return ctx;
}

Test(slices, what_is_stored_in_place) {
    static const char *const devices[] = {"null:gpu", "null:cpu"};
    for (int d = 0; d < 2; d++) {
        for (int i = 0; i < COUNT(joins); i++) {
            wg_ctx *ctx = open_null(devices[d], "1");
            rng r = rng_seed("slices", (uint64_t)i);
            wg_tensor *t = joins[i].make(ctx, &r);
            cr_assert_eq(wg_eval(&t, 1), WG_OK, "%s: %s", joins[i].name, wg_error(ctx));
            const wg_plan *plan = wg_plan_cache_newest(ctx)->plan;
            wg_str text = {0};
            wg_plan_print(plan, &text);
            cr_expect(parts_of(plan) == joins[i].parts, "%s on %s: %d parts\n%s", joins[i].name, devices[d],
                      parts_of(plan), wg_str_text(&text));
            wg_str_free(&text);
            wg_close(ctx);
        }
    }
}

/* Vectors that go past the cache lie on a multiple of their size. Wrong: parts that begin elsewhere are stored so too. */
Test(slices, no_part_is_streamed_where_vectors_do_not_lie) {
    for (int odd = 0; odd < 2; odd++) {
        wg_ctx *ctx = open_null("null:cpu", "1");
        int64_t n = (64 << 20) + odd;
        wg_tensor *a = wg_sin(wg_arange(ctx, WG_F32, 0, (double)n, 1)),
                  *b = wg_cos(wg_arange(ctx, WG_F32, 0, 64 << 20, 1));
        wg_tensor *t = CAT(0, a, b);
        cr_assert_eq(wg_eval(&t, 1), WG_OK, "%s", wg_error(ctx));
        const wg_plan *plan = wg_plan_cache_newest(ctx)->plan;
        cr_assert_eq(parts_of(plan), 2);
        for (int i = 0; i < 2; i++) {
            const wg_lowered *l = &plan->steps[i].l;
            int64_t offset = l->params[l->loop.access[l->loop.store[0].access].offset].value;
            cr_expect_eq(l->loop.stream, offset % WG_LANES == 0, "a part at %lld", (long long)offset);
        }
        wg_close(ctx);
    }
}

static void expect_plan(wg_ctx *ctx, const char *what, const char *want) {
    const wg_exec *x = wg_plan_cache_newest(ctx);
    wg_str text = {0};
    cr_assert(x && !wg_failed(ctx), "%s: %s", what, wg_error(ctx));
    wg_plan_print(x->plan, &text);
    cr_expect_str_eq(wg_str_text(&text), want, "%s: the plan is\n%s", what, wg_str_text(&text));
    wg_str_free(&text);
}

/* Parts wait for whoever had the bytes, not for each other; who reads them waits for all. */
Test(slices, queues) {
    static float data[64 * 64];
    wg_ctx *ctx = open_null("null:gpu", "2");
    wg_tensor *x = wg_keep(wg_from_f32(ctx, data, WG_SHAPE(32, 32))),
              *w = wg_keep(wg_from_f32(ctx, data, WG_SHAPE(32, 32)));
    WG_SCOPE(ctx) {
        wg_tensor *j = CAT(0, wg_matmul(x, w), wg_matmul(w, x)), *t = wg_matmul(j, x);
        wg_eval(&t, 1);
        expect_plan(ctx, "parts",
                    "3 launches on 2 queues, 16384 bytes: 8192 kept, arena 8192\n"
                    "  1 queue 0: matmul 32x32x32: matmul+cat\n"
                    "      x0 x1 -> part of t2[0+8192]\n"
                    "  2 queue 1 after 0: matmul 32x32x32: matmul+cat\n"
                    "      x1 x0 -> part of t2[0+8192]\n"
                    "  3 queue 1 after 1: matmul 64x32x32: matmul\n"
                    "      t2[0+8192] x0 -> k3\n"
                    "    end after 3\n");
    }
    WG_SCOPE(ctx) {
        wg_tensor *first = wg_matmul(wg_matmul(CAT(0, x, w), x), w);
        wg_tensor *y = wg_matmul(wg_transpose(first, 0, 1), first);
        wg_tensor *t = wg_matmul(CAT(0, wg_matmul(y, w), wg_matmul(w, x)), x);
        wg_eval(&t, 1);
        expect_plan(ctx, "parts where something else lay",
                    "7 launches on 2 queues, 24576 bytes: 8192 kept, arena 16384\n"
                    "  1 queue 0: map 64x32: cat\n"
                    "      x1 x0 -> t0[0+8192]\n"
                    "  2 queue 0: matmul 64x32x32: matmul\n"
                    "      t0[0+8192] x0 -> t1[8192+8192]\n"
                    "  3 queue 0: matmul 64x32x32: matmul\n"
                    "      t1[8192+8192] x1 -> t2[0+8192]\n"
                    "  4 queue 0: matmul 32x64x32: matmul\n"
                    "      t2[0+8192] t2[0+8192] -> t3[8192+4096]\n"
                    "  5 queue 0: matmul 32x32x32: matmul+cat\n"
                    "      t3[8192+4096] x1 -> part of t6[0+8192]\n"
                    "  6 queue 1 after 4: matmul 32x32x32: matmul+cat\n"
                    "      x1 x0 -> part of t6[0+8192]\n"
                    "  7 queue 1 after 5: matmul 64x32x32: matmul\n"
                    "      t6[0+8192] x0 -> k7\n"
                    "    end after 7\n");
    }
    wg_close(ctx);
}
