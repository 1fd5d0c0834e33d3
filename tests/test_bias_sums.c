/* label: ops */
/* timeout: 600 */
/*
 * Sums of a product's operands that its kernel takes along, as the gradient of a bias beside that of a weight: the bits of
 * kernels of their own, in every mode, a launch less, and what is assigned between the two kept apart.
 */
#include "harness/gen.h"
#include "harness/recording.h"

#include <stdio.h>
#include <string.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static wg_tensor *leaf(wg_ctx *ctx, wg_dtype t, wg_shape shape, domain d, rng *r) {
    return input_make(ctx, t, shape, LAY_CONTIGUOUS, d, r).t;
}

static wg_tensor *turned(wg_tensor *a) { return wg_transpose(a, 0, 1); }
static wg_tensor *columns(wg_tensor *a) { return wg_sum(a, (int[]){0}, 1, false); }

/* ---- bits ------------------------------------------------------------------------------------------------------------- */

/* A product over k of [k, m] and [k, n], and the sums of either or both, before or after it. */
static void add_product(recording *rec, wg_tensor *a, wg_tensor *b, int which, const char *what) {
    wg_tensor *sums[2] = {NULL};
    for (int o = 0; o < 2; o++) {
        sums[o] = which >> o & 1 ? columns(o ? b : a) : NULL;
    }
    wg_tensor *product = wg_matmul(turned(a), b);
    recording_add(rec, product, "%s: product", what);
    for (int o = 0; o < 2; o++) {
        if (which >> (o + 2) & 1) {
            sums[o] = columns(o ? b : a);
        }
        if (sums[o]) {
            recording_add(rec, sums[o], "%s: sums of %c", what, "ab"[o]);
            recording_add(rec, wg_sqrt(wg_abs(wg_mul_scalar(sums[o], -0.5))), "%s: made of them", what);
        }
    }
}

enum { BEFORE_A = 1, BEFORE_B = 2, AFTER_A = 4, AFTER_B = 8 };

/* Odd sizes, more than one block either way, more than one block of the sum, and sums in pieces that no block ends with. */
static void sizes(wg_ctx *ctx, recording *rec) {
    rng r = rng_seed("bias", 1);
    const struct {
        int64_t k, m, n;
        int which;
    } cases[] = {{300, 37, 45, BEFORE_A},
                 {270, 500, 3, AFTER_A},
                 {131, 5, 1100, BEFORE_B},
                 {1, 6, 50, AFTER_B},
                 {5000, 37, 20, BEFORE_A | AFTER_B},
                 {2049, 2, 130, AFTER_A | BEFORE_B}};
    for (int i = 0; i < COUNT(cases); i++) {
        char what[40];
        snprintf(what, sizeof what, "%dx%dx%d", (int)cases[i].m, (int)cases[i].k, (int)cases[i].n);
        domain d = i % 3 ? DOM_ANY : DOM_SPARSE; /* a long sum of which is NaN whatever its order */
        wg_tensor *a = leaf(ctx, WG_F32, WG_SHAPE(cases[i].k, cases[i].m), d, &r);
        wg_tensor *b = leaf(ctx, WG_F32, WG_SHAPE(cases[i].k, cases[i].n), d, &r);
        add_product(rec, a, b, cases[i].which, what);
    }
    float zeros[40 * 20];
    for (int i = 0; i < COUNT(zeros); i++) {
        zeros[i] = -0.0f;
    }
    add_product(rec, wg_from_f32(ctx, zeros, WG_SHAPE(40, 20)), leaf(ctx, WG_F32, WG_SHAPE(40, 6), DOM_ANY, &r),
                BEFORE_A, "of -0");
}

/* Operands that the product makes; sums over two dims; views. */
static void operands(wg_ctx *ctx, recording *rec) {
    rng r = rng_seed("bias", 2);
    wg_tensor *x = leaf(ctx, WG_F32, WG_SHAPE(6, 50, 33), DOM_ANY, &r);
    wg_tensor *scaled = wg_mul(wg_relu(x), leaf(ctx, WG_F32, WG_SHAPE(33), DOM_ANY, &r));
    recording_add(rec, wg_sum(scaled, (int[]){0, 1}, 2, true), "over two dims");
    recording_add(rec, wg_matmul(turned(wg_flatten(scaled, 0, 1)), leaf(ctx, WG_F32, WG_SHAPE(300, 20), DOM_ANY, &r)),
                  "made");
    wg_tensor *y = leaf(ctx, WG_F32, WG_SHAPE(280, 70), DOM_ANY, &r), *part = wg_slice(y, 1, 3, 40, 1);
    add_product(rec, leaf(ctx, WG_F32, WG_SHAPE(280, 9), DOM_ANY, &r), wg_neg(part), BEFORE_B, "made, of b");
}

static void dtypes(wg_ctx *ctx, recording *rec) {
    rng r = rng_seed("bias", 3);
    const wg_dtype types[] = {WG_I32, WG_F16};
    for (int i = 0; i < COUNT(types); i++) {
        wg_tensor *a = leaf(ctx, types[i], WG_SHAPE(290, 21), DOM_ANY, &r);
        add_product(rec, a, leaf(ctx, types[i], WG_SHAPE(290, 40), DOM_ANY, &r), i == 0 ? AFTER_B : BEFORE_A,
                    wg_dtype_name(types[i]));
    }
}

/* The interpreter takes each step by itself. */
static void compare(recorder record) {
    const mode modes[] = {MODE_HOST, MODE_DEFAULT, MODE_SIMT};
    cr_expect_gt(compare_modes(record, modes, COUNT(modes)), 0);
}

Test(bias_sums, sizes) { compare(sizes); }
Test(bias_sums, operands) { compare(operands); }
Test(bias_sums, dtypes) { compare(dtypes); }

/* ---- steps of a model ------------------------------------------------------------------------------------------------- */

enum { ROWS = 90, IN = 20, OUT = 24, STEPS = 4 };

/* What comes between the gradients of a bias and of a weight, and who reads the bias. */
typedef enum between { NOTHING, OPERAND_ASSIGNED, BIAS_ASSIGNED, BIAS_READ, SUM_READ } between;

static void run_steps(mode m, between what, float *out) {
    wg_ctx *ctx = open_mode(m);
    rng r = rng_seed("bias", 4);
    wg_tensor *x = leaf(ctx, WG_F32, WG_SHAPE(ROWS, IN), DOM_ANY, &r);
    wg_tensor *w = wg_param(leaf(ctx, WG_F32, WG_SHAPE(OUT, IN), DOM_ANY, &r));
    wg_tensor *b = wg_param(leaf(ctx, WG_F32, WG_SHAPE(OUT), DOM_ANY, &r));
    wg_tensor *d = wg_param(leaf(ctx, WG_F32, WG_SHAPE(ROWS, OUT), DOM_ANY, &r));
    for (int i = 0; i < STEPS; i++) {
        WG_SCOPE(ctx) {
            wg_tensor *db = columns(d);
            if (what == OPERAND_ASSIGNED) {
                wg_assign(d, wg_mul_scalar(d, 0.5));
            } else if (what == BIAS_ASSIGNED) {
                wg_assign(b, wg_sub(b, wg_mul_scalar(db, 0.25)));
            }
            wg_tensor *dw = wg_matmul(turned(d), x);
            if (what == BIAS_READ) {
                dw = wg_add(dw, wg_reshape(b, WG_SHAPE(OUT, 1)));
            } else if (what == SUM_READ) {
                dw = wg_mul(dw, wg_reshape(db, WG_SHAPE(OUT, 1)));
            }
            wg_assign(w, wg_sub(w, wg_mul_scalar(dw, 0.01)));
            wg_assign(b, wg_sub(b, wg_mul_scalar(db, 0.01)));
        }
    }
    wg_tensor *all[] = {w, b, d};
    for (int i = 0; i < COUNT(all); i++) {
        const float *data = wg_data(all[i]);
        int64_t n = wg_numel(all[i]);
        cr_assert(data != NULL, "%s", wg_error(ctx));
        memcpy(out, data, (size_t)n * sizeof *out);
        out += n;
    }
    close_ok(ctx);
}

/* Wrong: a sum taken of what was assigned later, or of a bias updated before it was read. */
Test(bias_sums, updates_in_place) {
    enum { ALL = OUT * IN + OUT + ROWS * OUT };
    static float want[ALL], got[ALL];
    const mode modes[] = {MODE_HOST, MODE_DEFAULT};
    for (int what = NOTHING; what <= SUM_READ; what++) {
        run_steps(MODE_UNFUSED, (between)what, want);
        for (int i = 0; i < (what == NOTHING ? COUNT(modes) : 1); i++) { /* what goes wrong is planned wrong */
            run_steps(modes[i], (between)what, got);
            char label[64];
            snprintf(label, sizeof label, "%s, case %d", mode_name(modes[i]), what);
            expect_same_bits(got, want, WG_F32, ALL, label);
        }
    }
}

/* ---- what is planned -------------------------------------------------------------------------------------------------- */

static void expect_plan(wg_ctx *ctx, wg_tensor **t, int n, uint64_t launches, uint64_t bytes, const char *what) {
    wg_stats before, after;
    wg_get_stats(ctx, &before);
    cr_expect_eq(wg_eval(t, (size_t)n), WG_OK, "%s: %s", what, wg_error(ctx));
    wg_get_stats(ctx, &after);
    cr_expect(after.launches - before.launches == launches && after.bytes_moved - before.bytes_moved == bytes,
              "%s: %d launches, %d bytes; %d and %d expected", what, (int)(after.launches - before.launches),
              (int)(after.bytes_moved - before.bytes_moved), (int)launches, (int)bytes);
}

/* What the same is without a launch shared is known from its bytes: `again` are those of an operand read twice. */
static void plans_on(const char *device, wg_dtype type, bool taken) {
    enum { K = 400, M = 24, N = 16, LONG = 5000, PIECES = 5 };
    const uint64_t size = type == WG_F32 || type == WG_I32 ? 4 : 2, a_bytes = size * K * M;
    const uint64_t all = a_bytes + size * (K * N + M * N + M), again = taken ? 0 : a_bytes, more = !taken;
    wg_ctx *ctx = wg_open(device);
    rng r = rng_seed("bias", 5);
    WG_SCOPE(ctx) {
        wg_tensor *a = leaf(ctx, type, WG_SHAPE(K, M), DOM_ANY, &r), *b = leaf(ctx, type, WG_SHAPE(K, N), DOM_ANY, &r);
        wg_tensor *early[] = {columns(a), wg_matmul(turned(a), b)};
        expect_plan(ctx, early, 2, 1 + more, all + again, "a sum and a product");
        wg_tensor *late[] = {wg_matmul(turned(a), b), columns(a)};
        expect_plan(ctx, late, 2, 1 + more, all + again, "a product and a sum");
        wg_tensor *other[] = {wg_matmul(turned(b), a), columns(a)};
        expect_plan(ctx, other, 2, 1 + more, all + again, "of the second operand");
        wg_tensor *made = wg_mul_scalar(a, 3), *of_made[] = {columns(made), wg_matmul(turned(made), b)};
        expect_plan(ctx, of_made, 2, taken ? 1 : 2, all + (taken ? 0 : 2 * a_bytes), "of an operand that is made");
        wg_tensor *value[] = {columns(wg_neg(a)), wg_matmul(turned(a), b)};
        expect_plan(ctx, value, 2, 2, all + a_bytes, "of another value");
        wg_tensor *c = leaf(ctx, type, WG_SHAPE(M, N), DOM_ANY, &r), *axis[] = {columns(a), wg_matmul(a, c)};
        expect_plan(ctx, axis, 2, 2, 2 * a_bytes + size * (M + M * N + K * N), "along another axis");
        wg_tensor *batch = leaf(ctx, type, WG_SHAPE(2, K, M), DOM_ANY, &r);
        wg_tensor *batches[] = {wg_sum(batch, (int[]){1}, 1, false), wg_matmul(wg_transpose(batch, 1, 2), b)};
        expect_plan(ctx, batches, 2, 2, 4 * a_bytes + size * (K * N + 2 * M * N + 2 * M), "of several products");
    }
    cr_expect_eq(wg_close(ctx), WG_OK);
}

/* Wrong: a sum that reads its operand in a launch of its own; one that is taken from a product of something else, or taken by a
 * library. */
Test(bias_sums, launches) {
    plans_on("null:cpu", WG_F32, true);
    plans_on("null:cpu", WG_F16, true);
}
