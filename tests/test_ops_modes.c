/* label: ops */
/* timeout: 1500 */
/*
 * Fusion is invisible: the same bits from the default plan, from a kernel for each op, from each op run at its call, from
 * the GPU form where nothing is reduced, and from the interpreter.
 *
 * Reductions have one order for each shape and form. Between the simd and the simt form they may differ by what the op table
 * allows against the float64 reference: (8 + sqrt n) eps times the sum of magnitudes for a sum of n terms.
 */
#include "harness/op_table.h"
#include "harness/recording.h"

#include "api/context.h"

#include <math.h>
#include <string.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))
static const mode every_mode[] = {MODE_DEFAULT, MODE_DEFAULT, MODE_UNFUSED, MODE_EAGER,
                                  MODE_SIMD,    MODE_SIMT,    MODE_HOST};
static const mode simt_schedules[] = {MODE_SIMT, MODE_SIMT, MODE_SIMT_UNFUSED};

/* The device's own form, however the ops are scheduled. The interpreter sums in the order of the simd form. */
static int compare_schedules(recorder record) {
    static const mode schedules[] = {MODE_DEFAULT, MODE_DEFAULT, MODE_UNFUSED, MODE_EAGER, MODE_HOST};
    wg_ctx *ctx = open_mode(MODE_DEFAULT);
    bool simd = ctx->engine.form == WG_SIMD;
    close_ok(ctx);
    return compare_modes(record, schedules, COUNT(schedules) - !simd);
}

/* ---- elementwise ops ---- */

static void record_elementwise(wg_ctx *ctx, recording *rec, wg_dtype t, const wg_shape *shapes, layout l) {
    for (int k = 0; k < op_count(); k++) {
        const op *o = op_at(k);
        rng r = rng_seed(o->name, 11);
        for (int v = 0; !o->cases && op_takes(o, t) && v < o->variants; v++) {
            input in[OP_MAX_ARITY];
            op_inputs(o, ctx, v, shapes, t, l, -1, &r, in);
            recording_add(rec, op_build(o, ctx, in, v), "%s/%d %s %s %s", o->name, v, wg_dtype_name(t),
                          shape_text(shapes[0]), layout_name(l));
        }
    }
}

static void elementwise_f32(wg_ctx *ctx, recording *rec) {
    record_elementwise(ctx, rec, WG_F32, (wg_shape[]){SH(1, 1003), SH(1, 1003), SH(1, 1003)}, LAY_CONTIGUOUS);
    record_elementwise(ctx, rec, WG_F32, (wg_shape[]){SH(2, 7, 1), SH(2, 7, 19), SH(1, 19)}, LAY_TRANSPOSED);
}
static void elementwise_others(wg_ctx *ctx, recording *rec) {
    record_elementwise(ctx, rec, WG_F64, (wg_shape[]){SH(1, 517), SH(1, 517), SH(1, 517)}, LAY_CONTIGUOUS);
    record_elementwise(ctx, rec, WG_I32, (wg_shape[]){SH(1, 77), SH(1, 77), SH(1, 77)}, LAY_FLIPPED);
    record_elementwise(ctx, rec, WG_U8, (wg_shape[]){SH(1, 77), SH(1, 77), SH(1, 77)}, LAY_CONTIGUOUS);
}
Test(modes, elementwise_f32) { cr_expect(compare_modes(elementwise_f32, every_mode, COUNT(every_mode)) > 100); }
Test(modes, elementwise_others) { cr_expect(compare_modes(elementwise_others, every_mode, COUNT(every_mode)) > 100); }

/* ---- random chains ---- */

enum { CHAIN = 6, CHAINS = 48 };

/* One more op on a value; other operands are earlier values and leaves, so chains branch and join. */
static wg_tensor *random_op(const op *o, int v, wg_ctx *ctx, wg_tensor *t, wg_tensor *const *pool, int n, rng *r) {
    wg_tensor *x[OP_MAX_ARITY] = {t};
    int first = o->flags & OP_COND ? 1 : 0;
    for (int j = 0; j < o->arity; j++) {
        x[j] = j == first ? t : pool[rng_below(r, n)];
    }
    if (first) {
        x[0] = wg_gt_scalar(pool[rng_below(r, n)], 0.25);
    }
    return o->build(ctx, x, v);
}

static void chains(wg_ctx *ctx, recording *rec) {
    static const layout lays[] = {LAY_CONTIGUOUS, LAY_TRANSPOSED, LAY_FLIPPED, LAY_EXPANDED};
    rng r = rng_seed("chains", 5);
    for (int c = 0; c < CHAINS; c++) {
        wg_tensor *pool[3 + CHAIN];
        wg_shape s = c % 3 == 0 ? WG_SHAPE(211) : WG_SHAPE(5, 43);
        wg_dtype t = c % 6 == 5 ? WG_F64 : WG_F32;
        pool[0] = input_make(ctx, t, s, LAY_CONTIGUOUS, DOM_SPECIAL, &r).t;
        pool[1] = input_make(ctx, t, s, lays[c % 4], DOM_ANY, &r).t;
        pool[2] = input_make(ctx, t, c % 2 ? WG_SHAPE() : WG_SHAPE(s.dim[s.rank - 1]), LAY_CONTIGUOUS, DOM_POS, &r).t;
        int n = 3;
        for (int k = 0; k < CHAIN; k++) {
            const op *o;
            do {
                o = op_at((int)rng_below(&r, op_count()));
            } while (o->cases || !op_takes(o, t));
            int v = (int)rng_below(&r, o->variants);
            wg_tensor *y = random_op(o, v, ctx, pool[n - 1 - (k > 2 ? rng_below(&r, 2) : 0)], pool, n, &r);
            cr_assert_not_null(y, "chain %d: %s: %s", c, o->name, wg_error(ctx));
            y = wg_dtype_of(y) == WG_BOOL ? wg_cast(y, t) : y;
            pool[n++] = y;
        }
        recording_add(rec, pool[n - 1], "chain %d", c);
        if (c % 4 == 0) { /* a value inside is wanted too */
            recording_add(rec, pool[n - 3], "chain %d, inside", c);
        }
    }
}
Test(modes, random_chains) { cr_expect_eq(compare_modes(chains, every_mode, COUNT(every_mode)), CHAINS + CHAINS / 4); }

/* ---- everything that is not elementwise ---- */

static void record_structured(wg_ctx *ctx, recording *rec, bool exact) {
    for (int k = 0; k < op_count(); k++) {
        const op *o = op_at(k);
        rng r = rng_seed(o->name, 12);
        wg_dtype t = op_takes(o, WG_F32) ? WG_F32 : WG_I64;
        for (int v = 0; o->cases && !(o->flags & OP_SAME_BITS) == !exact && v < o->variants; v++) {
            input in[OP_MAX_ARITY];
            op_inputs(o, ctx, v, NULL, t, LAY_CONTIGUOUS, -1, &r, in);
            recording_add(rec, op_build(o, ctx, in, v), "%s/%d", o->name, v);
        }
    }
}
static void structured_exact(wg_ctx *ctx, recording *rec) { record_structured(ctx, rec, true); }
static void structured_ordered(wg_ctx *ctx, recording *rec) { record_structured(ctx, rec, false); }

/* Moves, indexing and contractions: every form gives the same bits. A matmul's are those of a chain of fmaf. */
Test(modes, moves_and_contractions) { cr_expect(compare_modes(structured_exact, every_mode, COUNT(every_mode)) > 100); }
Test(modes, reductions) {
    cr_expect(compare_schedules(structured_ordered) > 100);
    cr_expect(compare_modes(structured_ordered, simt_schedules, COUNT(simt_schedules)) > 100);
}
Test(modes, simt_form_within_its_bound) {
    wg_ctx *ctx = open_mode(MODE_SIMT);
    batch *b = batch_new(ctx);
    for (int k = 0; k < op_count(); k++) {
        const op *o = op_at(k);
        rng r = rng_seed(o->name, 13);
        wg_dtype t = op_takes(o, WG_F32) ? WG_F32 : WG_I64;
        for (int v = 0; o->cases && v < o->variants; v++) {
            input in[OP_MAX_ARITY];
            op_inputs(o, ctx, v, NULL, t, (layout)(v % LAY_COUNT), -1, &r, in);
            nd want = op_expected(o, in, v);
            batch_add(b, op_build(o, ctx, in, v), want, op_ulps(o, want.dtype), "simt: %s/%d", o->name, v);
        }
    }
    batch_run(b);
    cr_expect(batch_compared(b) > 150);
    close_ok(ctx);
}

/* ---- reductions and contractions with something fused before and after ---- */

static wg_tensor *leaf(wg_ctx *ctx, wg_shape s, rng *r) {
    return input_make(ctx, WG_F32, s, LAY_CONTIGUOUS, DOM_ANY, r).t;
}

static wg_tensor *layer_norm(wg_tensor *x, int dim) {
    wg_tensor *d = wg_sub(x, wg_mean(x, &dim, 1, true));
    return wg_mul(d, wg_rsqrt(wg_add_scalar(wg_mean(wg_square(d), &dim, 1, true), 1e-5)));
}

static void fused_reductions(wg_ctx *ctx, recording *rec) {
    static const wg_shape shapes[] = {SH(2, 7, 33), SH(2, 33, 7), SH(2, 3, 1031), SH(2, 513, 2), SH(3, 4, 5, 6)};
    rng r = rng_seed("fused", 6);
    for (int s = 0; s < COUNT(shapes); s++) {
        wg_tensor *x = leaf(ctx, shapes[s], &r), *y = leaf(ctx, shapes[s], &r), *z = leaf(ctx, WG_SHAPE(), &r);
        for (int d = -2; d < 0; d++) {
            const char *at = shape_text(shapes[s]);
            wg_tensor *before = wg_add(wg_mul(wg_exp(x), y), z), *sum = wg_sum(before, &d, 1, true);
            recording_add(rec, wg_tanh(wg_mul_scalar(sum, 0.1)), "tanh sum exp(x) y of %s over %d", at, d);
            recording_add(rec, wg_mul(wg_var(wg_add_scalar(wg_mul(x, y), 1), &d, 1, 1, true), y), "var of %s over %d",
                          at, d);
            recording_add(rec, wg_mul_scalar(wg_softmax(wg_add(wg_mul(x, y), z), d), 3), "softmax of %s over %d", at,
                          d);
            recording_add(rec, wg_exp(wg_log_softmax(wg_neg(x), d)), "log_softmax of %s over %d", at, d);
            recording_add(rec, wg_add(wg_mul(layer_norm(wg_add(x, y), d), y), z), "layer norm of %s over %d", at, d);
            recording_add(rec, wg_sub(wg_amax(wg_sin(x), &d, 1, true), x), "amax of %s over %d", at, d);
            recording_add(rec, wg_sqrt(wg_logsumexp(wg_square(x), &d, 1, false)), "logsumexp of %s over %d", at, d);
            recording_add(rec, wg_argmax(wg_cos(wg_mul(x, y)), d, false), "argmax of %s over %d", at, d);
        }
        wg_tensor *total = wg_mean(wg_square(wg_sub(x, y)), NULL, 0, false);
        recording_add(rec, wg_div(wg_sub(x, total), total), "scaled by the mean of %s", shape_text(shapes[s]));
        recording_add(rec, wg_sum(wg_sum(wg_mul(x, y), (int[]){0}, 1, false), NULL, 0, false), "sum of sums of %s",
                      shape_text(shapes[s]));
    }
}

/* A small network's loss and all gradients, with cross entropy, embedding and a normalised layer. */
static void training_step(wg_ctx *ctx, recording *rec) {
    rng r = rng_seed("network", 1);
    static const int64_t words[] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5}, classes[] = {0, 2, 1, 1, 0, 2, 2, 1, 0, 0, 1};
    wg_tensor *index = wg_from_i64(ctx, words, WG_SHAPE(11)), *target = wg_from_i64(ctx, classes, WG_SHAPE(11));
    wg_tensor *p[] = {leaf(ctx, WG_SHAPE(10, 20), &r), leaf(ctx, WG_SHAPE(31, 20), &r), leaf(ctx, WG_SHAPE(31), &r),
                      leaf(ctx, WG_SHAPE(3, 31), &r), leaf(ctx, WG_SHAPE(3), &r)};
    for (int k = 0; k < COUNT(p); k++) {
        wg_param(p[k]);
    }
    wg_tensor *h = layer_norm(wg_embedding(p[0], index), -1);
    h = wg_dropout(wg_gelu(wg_linear(h, p[1], p[2])), 0.3, true);
    wg_tensor *loss = wg_cross_entropy(wg_linear(h, p[3], p[4]), target, NULL);
    cr_assert(wg_backward(loss) == WG_OK, "%s", wg_error(ctx));
    recording_add(rec, loss, "loss");
    for (int k = 0; k < COUNT(p); k++) {
        recording_add(rec, wg_grad(p[k]), "gradient %d", k);
    }
    recording_add(rec, wg_randn(ctx, WG_F32, WG_SHAPE(101)), "randn");
    recording_add(rec, wg_rand(ctx, WG_F64, WG_SHAPE(33)), "rand f64");
}

Test(modes, fused_reductions) {
    cr_expect(compare_schedules(fused_reductions) > 80);
    cr_expect(compare_modes(fused_reductions, simt_schedules, COUNT(simt_schedules)) > 80);
}
Test(modes, training_step) {
    cr_expect_eq(compare_schedules(training_step), 8);
    cr_expect_eq(compare_modes(training_step, simt_schedules, COUNT(simt_schedules)), 8);
}
