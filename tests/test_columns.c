/* label: ops */
/* timeout: 600 */
/*
 * Reductions of columns whose operands repeat along some of the reduced dims: the bits of what is stored first, in every mode.
 */
#include "harness/gen.h"
#include "harness/recording.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static wg_tensor *leaf(wg_ctx *ctx, wg_dtype t, wg_shape shape, domain d, rng *r) {
    return input_make(ctx, t, shape, LAY_CONTIGUOUS, d, r).t;
}

static wg_tensor *sum(wg_tensor *t) { return wg_sum(t, (int[]){0, 1}, 2, false); }

/* Sums that are one piece, pieces of whole steps, pieces that end within a step, the last of them shorter; columns that fill
 * lanes, and not; each dim repeated, and both. */
static void sizes(wg_ctx *ctx, recording *rec) {
    rng r = rng_seed("columns", 1);
    static const int64_t cases[][3] = {{5, 7, 33}, {3, 1, 20}, {130, 16, 17}, {61, 40, 3}, {47, 49, 16}, {2, 1500, 5}};
    for (int i = 0; i < COUNT(cases); i++) {
        int64_t a = cases[i][0], b = cases[i][1], c = cases[i][2];
        domain d = i % 2 ? DOM_SPARSE : DOM_ANY;
        wg_tensor *x = leaf(ctx, WG_F32, WG_SHAPE(a, b, c), d, &r), *down = leaf(ctx, WG_F32, WG_SHAPE(b, c), d, &r);
        wg_tensor *up = leaf(ctx, WG_F32, WG_SHAPE(a, 1, c), d, &r), *both = leaf(ctx, WG_F32, WG_SHAPE(c), d, &r);
        recording_add(rec, sum(wg_mul(x, up)), "%d: along the inner dim", (int)a);
        recording_add(rec, sum(wg_mul(wg_sub(x, down), up)), "%d: along either", (int)a);
        recording_add(rec, sum(wg_mul(wg_mul(x, both), up)), "%d: along both", (int)a);
        recording_add(rec, sum(wg_expand(up, WG_SHAPE(a, b, c))), "%d: nothing else", (int)a);
    }
}

/* Reduced dims with others between them; views; results that later loops over the same columns use; coordinates. */
static void loops(wg_ctx *ctx, recording *rec) {
    rng r = rng_seed("columns", 2);
    wg_tensor *x = leaf(ctx, WG_F32, WG_SHAPE(6, 5, 4, 3, 20), DOM_ANY, &r);
    wg_tensor *g = leaf(ctx, WG_F32, WG_SHAPE(6, 1, 4, 1, 20), DOM_ANY, &r);
    wg_tensor *product = wg_mul(x, g);
    const int all[] = {0, 1, 2, 3}, some[] = {0, 1, 3}, inner[] = {1, 2};
    recording_add(rec, wg_sum(product, all, 4, false), "four dims");
    recording_add(rec, wg_sum(product, some, 3, true), "with one between");
    recording_add(rec, wg_amax(product, inner, 2, false), "with one before: largest");
    recording_add(
        rec,
        wg_sum(wg_mul(wg_permute(x, (int[]){3, 2, 1, 0, 4}), wg_permute(g, (int[]){3, 2, 1, 0, 4})), all, 4, false),
        "of a view");
    wg_tensor *mean = wg_mean(product, all, 4, true), *centred = wg_sub(product, mean);
    wg_tensor *norm = wg_div(centred, wg_sqrt(wg_mean(wg_square(centred), all, 4, true)));
    recording_add(rec, norm, "a norm of columns");
    recording_add(rec, wg_sum(wg_mul(norm, g), some, 3, false), "and sums of it");
    recording_add(rec, wg_argmax(product, 1, false), "where the largest is");
    wg_tensor *index = wg_arange(ctx, WG_I64, 4, -1, -2);
    recording_add(rec, wg_sum(wg_mul(wg_index_select(x, 1, index), g), some, 3, false), "of what is gathered");
    recording_add(rec, wg_sum(wg_mul(wg_dropout(x, 0.4, true), g), some, 3, false), "of what coordinates choose");
}

static void dtypes(wg_ctx *ctx, recording *rec) {
    rng r = rng_seed("columns", 3);
    static const wg_dtype types[] = {WG_F64, WG_F16, WG_BF16, WG_I32, WG_I64};
    for (int i = 0; i < COUNT(types); i++) {
        wg_tensor *x = leaf(ctx, types[i], WG_SHAPE(70, 32, 18), DOM_ANY, &r);
        wg_tensor *g = leaf(ctx, types[i], WG_SHAPE(70, 1, 18), DOM_ANY, &r);
        recording_add(rec, sum(wg_mul(x, g)), "%s", wg_dtype_name(types[i]));
        recording_add(rec, wg_amin(wg_add(x, g), (int[]){0, 1}, 2, false), "%s: least", wg_dtype_name(types[i]));
    }
}

/* As at the end of a network: the mean of a norm's result, whose gradient repeats along the dim of the mean. */
static void networks(wg_ctx *ctx, recording *rec) {
    rng r = rng_seed("columns", 4);
    wg_tensor *x = leaf(ctx, WG_F32, WG_SHAPE(90, 32, 24), DOM_ANY, &r),
              *w = leaf(ctx, WG_F32, WG_SHAPE(24, 24), DOM_ANY, &r);
    wg_tensor *gain = leaf(ctx, WG_F32, WG_SHAPE(24), DOM_ANY, &r),
              *bias = leaf(ctx, WG_F32, WG_SHAPE(24), DOM_ANY, &r);
    wg_tensor *const of[] = {wg_param(x), wg_param(gain), wg_param(bias), wg_param(w)};
    wg_tensor *y = wg_layer_norm(wg_matmul(of[0], of[3]), WG_SHAPE(24), of[1], of[2], NULL);
    wg_tensor *loss = wg_sum(wg_square(wg_mean(y, (int[]){1}, 1, false)), NULL, 0, false), *grads[4];
    if (wg_gradients(&loss, 1, of, 4, grads, NULL) != WG_OK) {
        recording_add(rec, NULL, "gradients");
        return;
    }
    for (int i = 0; i < 4; i++) {
        recording_add(rec, grads[i], "gradient %d", i);
    }
}

static void compare(recorder record) {
    const mode modes[] = {MODE_HOST_UNFUSED, MODE_HOST, MODE_DEFAULT, MODE_SIMT_UNFUSED, MODE_SIMT};
    cr_expect_gt(compare_modes(record, modes, COUNT(modes)), 0);
}

Test(columns, sizes) { compare(sizes); }
Test(columns, loops) { compare(loops); }
Test(columns, dtypes) { compare(dtypes); }
Test(columns, networks) { compare(networks); }
