/* label: ops */
/* timeout: 600 */
/* host: too */
/*
 * f16 and bf16: storage, computed in f32 and rounded once an op. The same bits fused and unfused, in every form; sums kept in
 * f32; gradients beside those of f32; optimisers; what PyTorch does about dtypes and scalars.
 */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include "harness/op_table.h"
#include "harness/recording.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))
static const wg_dtype halves[] = {WG_F16, WG_BF16};
static const mode every_mode[] = {MODE_DEFAULT, MODE_UNFUSED, MODE_EAGER, MODE_SIMT, MODE_HOST};
static const mode schedules[] = {MODE_SIMD, MODE_UNFUSED, MODE_EAGER, MODE_HOST};
static const mode simt_schedules[] = {MODE_SIMT, MODE_SIMT_UNFUSED};

static wg_tensor *leaf(wg_ctx *ctx, wg_dtype t, wg_shape s, layout l, rng *r) {
    return input_make(ctx, t, s, l, DOM_ANY, r).t;
}

/* ---- the same bits in every mode ------------------------------------------------------------------------------------- */

/* Kernels of each kind: maps of neighbours, of steps, of broadcasts; picks; products with what follows them. They differ between
 * the two dtypes in what is loaded, stored and rounded: f16 takes one of each such function. */
static void record_exact(wg_ctx *ctx, recording *rec) {
    for (int k = 0; k < COUNT(halves); k++) {
        wg_dtype t = halves[k];
        rng r = rng_seed("exact", t);
        const char *name = wg_dtype_name(t);
        wg_tensor *x = input_make(ctx, t, WG_SHAPE(7, 37), LAY_CONTIGUOUS, DOM_SPECIAL, &r).t;
        wg_tensor *y = leaf(ctx, t, WG_SHAPE(7, 37), LAY_TRANSPOSED, &r),
                  *z = leaf(ctx, t, WG_SHAPE(37), LAY_STEPPED, &r);
        wg_tensor *a = leaf(ctx, t, WG_SHAPE(19, 37), LAY_CONTIGUOUS, &r),
                  *b = leaf(ctx, t, WG_SHAPE(37, 70), LAY_STEPPED, &r);
        wg_tensor *index = wg_from_i64(ctx, (int64_t[]){3, 0, 3, 6, 3}, WG_SHAPE(5));
        wg_tensor *chain = wg_sub(wg_mul(wg_add(x, y), z), wg_exp(y));
        recording_add(rec, chain, "%s: chain", name);
        recording_add(rec, wg_flip(wg_cat((wg_tensor *[]){x, wg_relu(y)}, 2, 1), (int[]){0}, 1), "%s: joined", name);
        recording_add(rec, wg_mul(wg_index_select(x, 0, index), z), "%s: picked", name);
        recording_add(rec, wg_relu(wg_add_scalar(wg_matmul(a, b), 0.1)), "%s: product", name);
        if (t == WG_F16) {
            continue;
        }
        recording_add(rec, wg_cast(wg_cast(x, WG_F64), WG_I32), "%s: casts", name);
        recording_add(rec, wg_index_add(y, 0, index, wg_narrow(x, 0, 1, 5)), "%s: added at", name);
        recording_add(rec, wg_linear(y, a, leaf(ctx, t, WG_SHAPE(19), LAY_CONTIGUOUS, &r)), "%s: linear", name);
        recording_add(rec, wg_rand(ctx, t, WG_SHAPE(201)), "%s: rand", name);
        recording_add(rec, wg_randn(ctx, t, WG_SHAPE(201)), "%s: randn", name);
        recording_add(rec, wg_arange(ctx, t, 0.1, 40, 0.3), "%s: arange", name);
    }
}

/* Sums of rows and columns, and those that are cut into pieces; kernels of several sums; their gradients. */
static void record_sums(wg_ctx *ctx, recording *rec, bool gradients) {
    for (int k = 0; k < COUNT(halves); k++) {
        wg_dtype t = halves[k];
        rng r = rng_seed("sums", t);
        const char *name = wg_dtype_name(t);
        wg_tensor *x = leaf(ctx, t, WG_SHAPE(9, 67), LAY_CONTIGUOUS, &r),
                  *w = wg_param(leaf(ctx, t, WG_SHAPE(67), 0, &r));
        wg_tensor *long_one = leaf(ctx, t, WG_SHAPE(70001), LAY_CONTIGUOUS, &r), *scaled = wg_mul(wg_param(x), w);
        recording_add(rec, wg_softmax(scaled, 1), "%s: softmax", name);
        recording_add(rec, wg_neg(wg_sum(wg_square(x), (int[]){0}, 1, false)), "%s: column sums", name);
        recording_add(rec, wg_sum(wg_mul_scalar(long_one, 0.7), NULL, 0, false), "%s: long sum", name);
        if (t == WG_F16 || !gradients) {
            continue;
        }
        recording_add(rec, wg_sub(x, wg_amax(wg_sin(x), (int[]){1}, 1, true)), "%s: amax", name);
        recording_add(rec, wg_argmax(wg_mul(x, w), 1, false), "%s: argmax", name);
        wg_tensor *y = wg_layer_norm(scaled, WG_SHAPE(67), NULL, NULL, NULL),
                  *loss = wg_sum(wg_mul(y, w), NULL, 0, false);
        cr_assert(wg_backward(loss) == WG_OK, "%s", wg_error(ctx));
        recording_add(rec, y, "%s: layer_norm", name);
        recording_add(rec, loss, "%s: loss", name);
        recording_add(rec, wg_grad(x), "%s: gradient of x", name);
        recording_add(rec, wg_grad(w), "%s: gradient of w", name);
    }
}

static void record_few_sums(wg_ctx *ctx, recording *rec) { record_sums(ctx, rec, false); }
static void record_all_sums(wg_ctx *ctx, recording *rec) { record_sums(ctx, rec, true); }

Test(half, same_bits_in_every_mode) {
    cr_expect_eq(compare_modes(record_exact, every_mode, COUNT(every_mode)), 14);
    cr_expect_eq(compare_modes(record_all_sums, schedules, COUNT(schedules)), 12);
    cr_expect_eq(compare_modes(record_few_sums, simt_schedules, COUNT(simt_schedules)), 6);
}

/* Every row of the op table, and its gradient, in the interpreter. */
static void record_table(wg_ctx *ctx, recording *rec, wg_dtype t) {
    static const wg_shape shapes[] = {SH(2, 3, 19), SH(1, 19), SH(2, 3, 1)};
    for (int k = 0; k < op_count(); k++) {
        const op *o = op_at(k);
        rng r = rng_seed(o->name, 14);
        for (int v = 0; op_takes(o, t) && v < o->variants; v++) {
            input in[OP_MAX_ARITY];
            op_inputs(o, ctx, v, o->cases ? NULL : shapes, t, LAY_CONTIGUOUS, -1, &r, in);
            bool grads = false;
            for (int j = 0; j < o->arity; j++) {
                bool param = (o->flags & OP_DIFF) && wg_dtype_of(in[j].t) == t;
                in[j].t = param ? wg_param(in[j].t) : in[j].t;
                grads = grads || param;
            }
            wg_tensor *y = op_build(o, ctx, in, v);
            recording_add(rec, y, "%s/%d %s", o->name, v, wg_dtype_name(t));
            if (grads) {
                cr_assert(wg_backward(wg_sum(wg_mul(y, y), NULL, 0, false)) == WG_OK, "%s: %s", o->name, wg_error(ctx));
            }
            for (int j = 0; j < o->arity; j++) {
                if (grads && wg_requires_grad(in[j].t)) {
                    recording_add(rec, wg_grad(in[j].t), "%s/%d %s, gradient %d", o->name, v, wg_dtype_name(t), j);
                }
            }
        }
    }
}
static void record_f16(wg_ctx *ctx, recording *rec) { record_table(ctx, rec, WG_F16); }
static void record_bf16(wg_ctx *ctx, recording *rec) { record_table(ctx, rec, WG_BF16); }

Test(half, every_op_fused_unfused_and_eager) {
    static const mode modes[] = {MODE_DEFAULT, MODE_UNFUSED, MODE_EAGER};
    setenv("WENGERT_DEVICE", "host", 1);
    cr_expect(compare_modes(record_f16, modes, COUNT(modes)) > 400);
    cr_expect(compare_modes(record_bf16, modes, COUNT(modes)) > 400);
}

/* ---- gradients ------------------------------------------------------------------------------------------------------- */

/* The gradients of sum(y * weights) in a dtype, as doubles. Inputs are numbers of `held`. */
static int gradients_in(wg_ctx *ctx, const op *o, int v, wg_dtype held, wg_dtype t, double *out[OP_MAX_ARITY],
                        int64_t *n) {
    static const wg_shape shapes[] = {SH(2, 3, 5), SH(1, 5), SH(2, 3, 1)};
    rng r = rng_seed(o->name, 15 + (uint64_t)v);
    wg_tensor *x[OP_MAX_ARITY];
    int found = 0;
    for (int j = 0; j < o->arity; j++) {
        nd a = nd_new(op_operand_dtype(o, j, held), o->cases ? o->cases[v].in[j] : shapes[j]);
        if (o->indices >> j & 1) {
            gen_index(&a, o->cases[v].limit, &r);
        } else {
            gen_fill(&a, o->grad_dom[j], &r);
        }
        x[j] = nd_tensor(ctx, a);
        if (a.f) {
            x[j] = wg_param(wg_cast(x[j], t));
        }
    }
    wg_tensor *y = o->build(ctx, x, v);
    nd weights = nd_new(held, wg_shape_of(y));
    gen_fill(&weights, DOM_POS, &r);
    wg_tensor *scaled = wg_mul(y, wg_cast(nd_tensor(ctx, weights), t));
    cr_assert(wg_backward(wg_sum(scaled, NULL, 0, false)) == WG_OK, "%s: %s", o->name, wg_error(ctx));
    for (int j = 0; j < o->arity; j++) {
        if (wg_requires_grad(x[j])) {
            n[found] = wg_numel(x[j]);
            out[found] = hold((size_t)n[found] * sizeof(double) + 8);
            cr_expect_eq(wg_dtype_of(wg_grad(x[j])), t, "%s: the gradient's dtype", o->name);
            read_doubles(wg_grad(x[j]), out[found], n[found]);
            found++;
        }
    }
    return found;
}

/* Wrong: a VJP that rounds on its way, or sums in 16 bits. The incoming gradient and the result saved are rounded, so a gradient may
 * be off by a few units of the largest one. */
Test(half, gradients_beside_those_of_f32) {
    wg_ctx *ctx = open_mode(MODE_HOST);
    int compared = 0;
    for (int k = 0; k < op_count() * COUNT(halves); k++) {
        const op *o = op_at(k / COUNT(halves));
        wg_dtype t = halves[k % COUNT(halves)];
        for (int v = 0; (o->flags & OP_DIFF) && op_takes(o, t) && v < o->variants; v++) {
            double *want[OP_MAX_ARITY], *got[OP_MAX_ARITY];
            int64_t n[OP_MAX_ARITY];
            WG_SCOPE(ctx) {
                int found = gradients_in(ctx, o, v, t, WG_F32, want, n);
                cr_assert_eq(gradients_in(ctx, o, v, t, t, got, n), found);
                for (int j = 0; j < found; j++) {
                    char label[120];
                    double most = 0;
                    for (int64_t e = 0; e < n[j]; e++) {
                        most = fmax(most, isfinite(want[j][e]) ? fabs(want[j][e]) : 0);
                    }
                    snprintf(label, sizeof label, "%s/%d %s, gradient %d", o->name, v, wg_dtype_name(t), j);
                    expect_close(got[j], want[j], n[j], 6 * dtype_unit(t) * most, 6 * dtype_unit(t), label);
                    compared++;
                }
            }
        }
    }
    cr_expect(compared > 400, "%d", compared);
    close_ok(ctx);
}
