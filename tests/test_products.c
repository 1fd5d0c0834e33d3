/* label: ops */
/* timeout: 600 */
/*
 * Operands that a product makes where it loads them: the bits of operands in memory, in every mode, and no launch more.
 */
#include "harness/gen.h"
#include "harness/recording.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))
static const mode every_mode[] = {MODE_DEFAULT, MODE_UNFUSED, MODE_EAGER, MODE_HOST};
static const mode simt_modes[] = {MODE_SIMT, MODE_SIMT_UNFUSED};

static wg_tensor *leaf_of(wg_ctx *ctx, wg_dtype t, wg_shape shape, rng *r) {
    return input_make(ctx, t, shape, LAY_CONTIGUOUS, DOM_ANY, r).t;
}

static wg_tensor *leaf(wg_ctx *ctx, wg_shape shape, rng *r) { return leaf_of(ctx, WG_F32, shape, r); }

static wg_tensor *turned(wg_tensor *a) { return wg_transpose(a, 0, 1); }

/* What a norm's last step leaves of [rows, n]: a number for each row and each column. */
static wg_tensor *normed(wg_ctx *ctx, int64_t rows, int64_t n, rng *r) {
    wg_tensor *x = wg_sub(leaf(ctx, WG_SHAPE(rows, n), r), leaf(ctx, WG_SHAPE(rows, 1), r));
    x = wg_mul(wg_mul(x, leaf(ctx, WG_SHAPE(rows, 1), r)), leaf(ctx, WG_SHAPE(n), r));
    return wg_add(x, leaf(ctx, WG_SHAPE(n), r));
}

/* Odd sizes, more than one block of the sum, lanes along either side of either operand. */
static void matrices(wg_ctx *ctx, recording *rec) {
    rng r = rng_seed("products", 1);
    recording_add(rec, wg_matmul(normed(ctx, 37, 300, &r), leaf(ctx, WG_SHAPE(300, 45), &r)), "a, along the sum");
    recording_add(rec, wg_matmul(turned(normed(ctx, 300, 37, &r)), leaf(ctx, WG_SHAPE(300, 45), &r)), "a, across");
    recording_add(rec, wg_matmul(leaf(ctx, WG_SHAPE(37, 300), &r), normed(ctx, 300, 45, &r)), "b, across");
    recording_add(rec, wg_matmul(leaf(ctx, WG_SHAPE(37, 300), &r), turned(normed(ctx, 45, 300, &r))),
                  "b, along the sum");
    recording_add(rec, wg_matmul(normed(ctx, 70, 19, &r), wg_gelu(leaf(ctx, WG_SHAPE(19, 130), &r))), "both");
    recording_add(rec, wg_relu(wg_matmul(wg_neg(leaf(ctx, WG_SHAPE(5, 7), &r)), leaf(ctx, WG_SHAPE(7, 3), &r))),
                  "and an epilogue");
}

/* Batches, broadcast ones too; views with offsets and steps; sizes of 1 and 0. */
static void views(wg_ctx *ctx, recording *rec) {
    rng r = rng_seed("products", 2);
    const int order[] = {2, 0, 1, 3};
    wg_tensor *a = wg_neg(leaf(ctx, WG_SHAPE(3, 9, 2, 17), &r)), *b = wg_square(leaf(ctx, WG_SHAPE(1, 3, 17, 5), &r));
    recording_add(rec, wg_matmul(wg_permute(a, order), b), "batches permuted and broadcast");
    wg_tensor *c = wg_abs(leaf(ctx, WG_SHAPE(21, 40), &r));
    recording_add(rec, wg_matmul(wg_slice(c, 0, 2, 20, 3), wg_slice(turned(c), 1, 3, 9, 2)), "steps");
    wg_tensor *steps = wg_add(leaf(ctx, WG_SHAPE(4, 6, 8), &r), leaf(ctx, WG_SHAPE(6, 1), &r));
    recording_add(rec, wg_matmul(wg_flatten(steps, 0, 1), leaf(ctx, WG_SHAPE(8, 5), &r)), "rows that no stride walks");
    recording_add(rec, wg_matmul(wg_flip(c, (int[]){0}, 1), leaf(ctx, WG_SHAPE(40, 2), &r)), "backwards");
    recording_add(
        rec, wg_matmul(wg_expand(wg_neg(leaf(ctx, WG_SHAPE(1, 6), &r)), WG_SHAPE(9, 6)), leaf(ctx, WG_SHAPE(6, 3), &r)),
        "expanded");
    for (int64_t i = 0; i < 3; i++) {
        const int64_t size[3][3] = {{1, 1, 1}, {4, 0, 3}, {0, 5, 3}};
        const int64_t *s = size[i];
        recording_add(rec, wg_matmul(wg_neg(leaf(ctx, WG_SHAPE(s[0], s[1]), &r)), leaf(ctx, WG_SHAPE(s[1], s[2]), &r)),
                      "size %d", (int)i);
    }
}

/* Batches that do not merge, and views that no dims of merge: each takes a parameter for each dim. */
static void parameters(wg_ctx *ctx, recording *rec) {
    rng r = rng_seed("products", 5);
    const int back[] = {4, 3, 2, 1, 0};
    for (int joined = 12; joined <= 14; joined++) {
        wg_tensor *a = wg_permute(wg_neg(leaf(ctx, WG_SHAPE(6, 5, 4, 3, 2), &r)), back);
        wg_tensor *x = wg_matmul(a, wg_permute(leaf(ctx, WG_SHAPE(7, 6, 4, 3, 2), &r), back));
        for (int i = 0; i < joined; i++) {
            x = wg_add(x, wg_permute(leaf(ctx, WG_SHAPE(7, 5, 4, 3, 2), &r), back));
        }
        recording_add(rec, x, "%d joined", joined);
    }
}

static void dtypes(wg_ctx *ctx, recording *rec) {
    rng r = rng_seed("products", 3);
    wg_tensor *image = leaf_of(ctx, WG_U8, WG_SHAPE(33, 50), &r), *w = leaf(ctx, WG_SHAPE(50, 21), &r);
    recording_add(rec, wg_matmul(wg_div_scalar(wg_cast(image, WG_F32), 255), w), "bytes as floats");
    recording_add(rec, wg_matmul(wg_cast(leaf_of(ctx, WG_F64, WG_SHAPE(7, 50), &r), WG_F32), w), "doubles as floats");
    recording_add(
        rec, wg_matmul(wg_neg(leaf_of(ctx, WG_F64, WG_SHAPE(9, 40), &r)), leaf_of(ctx, WG_F64, WG_SHAPE(40, 6), &r)),
        "f64");
    recording_add(
        rec, wg_matmul(wg_neg(leaf_of(ctx, WG_I64, WG_SHAPE(9, 40), &r)), leaf_of(ctx, WG_I64, WG_SHAPE(40, 6), &r)),
        "i64");
    recording_add(
        rec, wg_matmul(leaf_of(ctx, WG_I32, WG_SHAPE(9, 40), &r), wg_square(leaf_of(ctx, WG_I32, WG_SHAPE(40, 6), &r))),
        "i32");
}

Test(products, matrices) {
    cr_expect_gt(compare_modes(matrices, every_mode, COUNT(every_mode)), 0);
    cr_expect_gt(compare_modes(matrices, simt_modes, COUNT(simt_modes)), 0);
}
Test(products, views) {
    cr_expect_gt(compare_modes(views, every_mode, COUNT(every_mode)), 0);
    cr_expect_gt(compare_modes(views, simt_modes, COUNT(simt_modes)), 0);
}
Test(products, dtypes) {
    cr_expect_gt(compare_modes(dtypes, every_mode, COUNT(every_mode)), 0);
    cr_expect_gt(compare_modes(dtypes, simt_modes, COUNT(simt_modes)), 0);
}
/* Wrong: what joins a product takes the parameters that the product needs for itself. */
Test(products, parameters) {
    const mode planned[] = {MODE_HOST, MODE_UNFUSED};
    cr_expect_gt(compare_modes(parameters, planned, COUNT(planned)), 0);
}

/* ---- what is planned ---- */

/* Wrong: an operand that is made is stored, or counted as if it were; a dear one is made again; a read that strides
 * cannot say is made up. */
Test(products, launches) {
    wg_ctx *ctx = wg_open("null:cpu");
    rng r = rng_seed("products", 4);
    WG_SCOPE(ctx) {
        wg_tensor *image = leaf_of(ctx, WG_U8, WG_SHAPE(32, 64), &r), *w = leaf(ctx, WG_SHAPE(64, 16), &r);
        const uint64_t out = 4 * 32 * 16, weights = 4 * 64 * 16;
        expect_launches(ctx, wg_matmul(wg_cast(image, WG_F32), w), 1, 32 * 64 + weights + out, "a cast");
        expect_launches(ctx, wg_matmul(turned(wg_neg(leaf(ctx, WG_SHAPE(64, 32), &r))), w), 1,
                        4 * 32 * 64 + weights + out, "a view");
        wg_tensor *dear = wg_exp(wg_tanh(wg_exp(wg_tanh(leaf(ctx, WG_SHAPE(32, 64), &r)))));
        expect_launches(ctx, wg_matmul(dear, w), 2, 3 * 4 * 32 * 64 + weights + out, "a dear one");
        wg_tensor *steps = wg_add(leaf(ctx, WG_SHAPE(4, 8, 64), &r), leaf(ctx, WG_SHAPE(8, 1), &r));
        expect_launches(ctx, wg_matmul(wg_flatten(steps, 0, 1), w), 2, 3 * 4 * 32 * 64 + 32 + weights + out,
                        "no strides");
    }
    cr_expect_eq(wg_close(ctx), WG_OK);
}
