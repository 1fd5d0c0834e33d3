/* label: ops */
/* timeout: 600 */
/*
 * What chains compute is what their steps compute by themselves, to the bit, in either form: losses and their gradients,
 * long reductions, and values that all groups need, with odd sizes.
 */
#include "harness/check.h"
#include "harness/op_table.h"
#include "harness/recording.h"

#include <stdlib.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))
static const mode schedules[] = {MODE_SIMD, MODE_SIMD, MODE_UNFUSED, MODE_EAGER, MODE_HOST};
static const mode simt_schedules[] = {MODE_SIMT, MODE_SIMT, MODE_SIMT_UNFUSED};

static wg_tensor *leaf(wg_ctx *ctx, wg_dtype t, wg_shape s, rng *r) {
    return input_make(ctx, t, s, LAY_CONTIGUOUS, DOM_ANY, r).t;
}

static void add_with_gradient(recording *rec, wg_tensor *loss, wg_tensor *of, const char *what, int64_t n) {
    wg_tensor *grad;
    cr_assert_eq(wg_gradients(&loss, 1, &of, 1, &grad, NULL), WG_OK, "%s of %d", what, (int)n);
    recording_add(rec, loss, "%s of %d", what, (int)n);
    recording_add(rec, grad, "gradient of %s of %d", what, (int)n);
}

/* Every third target is ignored. With no rows the mean is NaN. */
static void cross_entropies(wg_ctx *ctx, recording *rec) {
    static const int64_t rows[] = {0, 1, 2, 17, 64, 65, 777, 1024}, classes[] = {3, 1, 100, 7, 33, 2, 5, 10};
    rng r = rng_seed("cross entropy", 1);
    for (int k = 0; k < COUNT(rows); k++) {
        int64_t target[1024];
        for (int64_t i = 0; i < rows[k]; i++) {
            target[i] = i % 3 == 2 ? -100 : i * 5 % classes[k];
        }
        wg_tensor *logits = wg_param(leaf(ctx, k == 4 ? WG_F64 : WG_F32, WG_SHAPE(rows[k], classes[k]), &r));
        wg_tensor *loss = wg_cross_entropy(logits, wg_from_i64(ctx, target, WG_SHAPE(rows[k])), NULL);
        add_with_gradient(rec, loss, logits, "cross entropy", rows[k]);
    }
}

static void long_reductions(wg_ctx *ctx, recording *rec) {
    static const int64_t sizes[] = {0, 1, 3, 1025, 32768, 33001, 100003};
    rng r = rng_seed("long", 1);
    for (int k = 0; k < COUNT(sizes); k++) {
        int64_t n = sizes[k];
        wg_tensor *a = wg_param(leaf(ctx, WG_F32, WG_SHAPE(n), &r)), *b = leaf(ctx, WG_F32, WG_SHAPE(n), &r);
        wg_tensor *d = leaf(ctx, WG_F64, WG_SHAPE(n), &r), *i = leaf(ctx, WG_I64, WG_SHAPE(n), &r);
        add_with_gradient(rec, wg_mse_loss(a, b, WG_MEAN), a, "mse", n);
        recording_add(rec, wg_sum(d, NULL, 0, false), "f64 sum of %d", (int)n);
        recording_add(rec, wg_sum(i, NULL, 0, true), "i64 sum of %d", (int)n);
        recording_add(rec, wg_mean(wg_exp(wg_neg(wg_square(d))), NULL, 0, false), "mean of exp of %d", (int)n);
        if (n > 0) {
            recording_add(rec, wg_amax(wg_sub(a, b), NULL, 0, false), "amax of %d", (int)n);
            recording_add(rec, wg_argmax(a, 0, false), "argmax of %d", (int)n);
            recording_add(rec, wg_amax(wg_gt_scalar(a, 1), NULL, 0, false), "any of %d", (int)n);
            recording_add(rec, wg_sqrt(wg_add_scalar(wg_sum(wg_square(b), NULL, 0, false), 1)), "norm of %d", (int)n);
        }
    }
}

/* A number that everything else needs: of few, of many; for maps, rows, columns, and twice in one launch. */
static void numbers_for_all(wg_ctx *ctx, recording *rec) {
    static const int64_t few[] = {1, 2, 129, 4001};
    rng r = rng_seed("numbers", 1);
    for (int k = 0; k < COUNT(few); k++) {
        wg_tensor *s = leaf(ctx, WG_F32, WG_SHAPE(few[k]), &r), *x = leaf(ctx, WG_F32, WG_SHAPE(301, 67), &r);
        wg_tensor *v = wg_sum(wg_square(s), NULL, 0, false), *most = wg_amax(s, NULL, 0, false);
        wg_tensor *y = wg_div(wg_sub(x, v), wg_add_scalar(wg_square(most), 1));
        wg_tensor *rows = wg_sum(wg_mul(x, v), (int[]){1}, 1, false);
        recording_add(rec, y, "scaled by %d", (int)few[k]);
        recording_add(rec, rows, "rows scaled by %d", (int)few[k]);
        recording_add(rec, wg_sum(wg_mul(x, most), (int[]){0}, 1, false), "columns scaled by %d", (int)few[k]);
        recording_add(rec, wg_mul(wg_amax(rows, NULL, 0, false), v), "and by the sum of %d again", (int)few[k]);
        recording_add(rec, wg_mul(wg_cast(wg_argmax(s, 0, false), WG_F32), x), "argmax of %d", (int)few[k]);
        recording_add(rec, wg_where(wg_amax(wg_gt_scalar(s, 2), NULL, 0, false), x, wg_neg(x)), "any of %d",
                      (int)few[k]);
        recording_add(rec, wg_sub(s, wg_mean(s, NULL, 0, false)), "centred %d", (int)few[k]);
        recording_add(rec, v, "the sum of %d itself", (int)few[k]);
    }
}

static void compare(recorder record, int least) {
    cr_expect_geq(compare_modes(record, schedules, COUNT(schedules)), least);
    cr_expect_geq(compare_modes(record, simt_schedules, COUNT(simt_schedules)), least);
}
Test(chain_modes, cross_entropies) { compare(cross_entropies, 16); }
Test(chain_modes, long_reductions) { compare(long_reductions, 7 * 5 + 6 * 4); }
Test(chain_modes, numbers_for_all) { compare(numbers_for_all, 4 * 8); }

/* The tests above are of what they are meant to be of: alone, each is one launch. */
Test(chain_modes, are_chains) {
    static const mode forms[] = {MODE_SIMD, MODE_SIMT};
    for (int m = 0; m < COUNT(forms); m++) {
        wg_ctx *ctx = open_mode(forms[m]);
        rng r = rng_seed("are chains", 1);
        wg_tensor *x = leaf(ctx, WG_F32, WG_SHAPE(301, 67), &r), *s = leaf(ctx, WG_F32, WG_SHAPE(129), &r);
        wg_tensor *whole = leaf(ctx, WG_F32, WG_SHAPE(100003), &r);
        WG_SCOPE(ctx) {
            wg_tensor *each[] = {wg_sub(x, wg_sum(s, NULL, 0, false)), wg_mean(whole, NULL, 0, false)};
            for (int k = 0; k < COUNT(each); k++) {
                uint64_t before = stat_launches(ctx);
                cr_expect_eq(wg_eval(&each[k], 1), WG_OK, "%s", wg_error(ctx));
                cr_expect_eq(stat_launches(ctx) - before, 1, "%s: number %d", mode_name(forms[m]), k);
            }
        }
        close_ok(ctx);
    }
}
