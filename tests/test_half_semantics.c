/* label: unit */
/*
 * What f16 and bf16 mean to a program, in the interpreter: promotion, scalars, special values, where rounding happens and where
 * not, host memory, optimisers, hooks and checkpoints; and networks that learn in them.
 */
#include "harness/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))
static const wg_dtype halves[] = {WG_F16, WG_BF16};

static wg_tensor *numbers(wg_ctx *ctx, wg_dtype t, const double *x, int n) {
    nd a = nd_new(t, WG_SHAPE(n));
    for (int k = 0; k < n; k++) {
        a.f[k] = round_to(x[k], t);
    }
    return nd_tensor(ctx, a);
}
#define NUMBERS(ctx, t, ...)                                                                                           \
    numbers(ctx, t, (const double[]){__VA_ARGS__}, (int)(sizeof((const double[]){__VA_ARGS__}) / sizeof(double)))

/* ---- dtypes and scalars ---------------------------------------------------------------------------------------------- */

Test(half_semantics, promotes_as_pytorch) {
    wg_ctx *ctx = open_mode(MODE_HOST);
    wg_tensor *h = NUMBERS(ctx, WG_F16, 1, 2), *b = NUMBERS(ctx, WG_BF16, 1, 2);
    cr_expect_eq(wg_dtype_of(wg_add(h, b)), WG_F32);
    cr_expect_eq(wg_dtype_of(wg_add(h, wg_ones(ctx, WG_F32, WG_SHAPE(2)))), WG_F32);
    cr_expect_eq(wg_dtype_of(wg_mul(wg_ones(ctx, WG_I64, WG_SHAPE(2)), b)), WG_BF16);
    cr_expect_eq(wg_dtype_of(wg_mul(wg_gt_scalar(h, 1), h)), WG_F16);
    cr_expect_eq(wg_dtype_of(wg_mul_scalar(h, 0.1)), WG_F16);
    cr_expect_eq(wg_dtype_of(wg_sum(b, NULL, 0, false)), WG_BF16);
    cr_expect_eq(wg_dtype_of(wg_where(wg_gt_scalar(h, 1), h, b)), WG_F32);
    cr_expect(wg_matmul(h, b) == NULL);
    expect_error(ctx, WG_ERR_DTYPE, "matmul", "f16 x bf16", NULL);
    cr_expect(wg_dtype_is_float(WG_F16) && wg_dtype_is_float(WG_BF16) && !wg_dtype_is_float(WG_I64));
    cr_expect_eq(wg_dtype_size(WG_F16), 2);
    cr_expect_eq(wg_dtype_size(WG_BF16), 2);
    close_ok(ctx);
}

/* A scalar is an f32 in arithmetic, and a number of the dtype in a comparison. */
Test(half_semantics, scalars) {
    wg_ctx *ctx = open_mode(MODE_HOST);
    float third = wg_bf16_to_f32(wg_bf16_from_f32(1.0f / 3)), product = 3 * (1.0f / 3), rounded = 3 * third;
    cr_assert(product == 1 && rounded != 1);
    EXPECT_VALUES(wg_mul_scalar(NUMBERS(ctx, WG_BF16, 3), 1.0 / 3), 1);
    for (int k = 0; k < COUNT(halves); k++) {
        wg_tensor *x = NUMBERS(ctx, halves[k], 0.1, 0.2);
        EXPECT_VALUES(wg_cast(wg_eq_scalar(x, 0.1), WG_I64), 1, 0);
        EXPECT_VALUES(wg_cast(wg_lt_scalar(x, 0.1), WG_I64), 0, 0);
        cr_expect_eq(wg_item(wg_full(ctx, halves[k], WG_SHAPE(), 0.1)), round_to(0.1, halves[k]));
        cr_expect_eq(wg_item(wg_amax(wg_clamp(x, -1, 0.15), NULL, 0, false)), round_to(0.15, halves[k]));
    }
    close_ok(ctx);
}

Test(half_semantics, host_memory) {
    wg_ctx *ctx = open_mode(MODE_HOST);
    static const uint16_t f16[] = {0x3c00, 0xc000, 0x7bff, 0x0001}, bf16[] = {0x3f80, 0xc000, 0x7f7f, 0x0001};
    wg_tensor *h = wg_from_f16(ctx, f16, WG_SHAPE(4)), *b = wg_from_bf16(ctx, bf16, WG_SHAPE(4));
    EXPECT_VALUES(h, 1, -2, 65504, 0x1p-24);
    EXPECT_VALUES(b, 1, -2, 0x1.fep127, 0x1p-133);
    cr_expect_arr_eq(wg_data(h), f16, sizeof f16);
    cr_expect_arr_eq(wg_data(b), bf16, sizeof bf16);
    cr_expect_eq(wg_item(wg_select(h, 0, 2)), 65504);
    cr_expect_eq(wg_item_i64(wg_select(b, 0, 1)), -2);
    cr_expect(wg_data_f32(h) == NULL);
    expect_error(ctx, WG_ERR_DTYPE, "data_f32", "f16", NULL);
    uint16_t *bits = wg_data_mut(h);
    bits[0] = 0xbc00;
    EXPECT_VALUES(h, -1, -2, 65504, 0x1p-24);
    cr_expect_eq(wg_write(b, f16, sizeof f16), WG_OK);
    cr_expect_eq(wg_assign(b, h), WG_ERR_DTYPE);
    expect_error(ctx, WG_ERR_DTYPE, "assign", "bf16 [4] = f16 [4]", NULL);
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    wg_print(h, out);
    fclose(out);
    cr_expect_str_eq(text, "tensor([-1.0000e+00, -2.0000e+00,  6.5504e+04,  5.9605e-08], dtype=f16)\n");
    free(text);
    close_ok(ctx);
}

/* ---- special values -------------------------------------------------------------------------------------------------- */

Test(half_semantics, special_values) {
    wg_ctx *ctx = open_mode(MODE_HOST);
    wg_tensor *most = NUMBERS(ctx, WG_F16, 65504, -65504, 256);
    EXPECT_VALUES(wg_add_scalar(most, 15.99), 65504, -65504, 272);
    EXPECT_VALUES(wg_add_scalar(most, 16), INFINITY, -65472, 272);
    EXPECT_VALUES(wg_mul(most, most), INFINITY, INFINITY, INFINITY);
    EXPECT_VALUES(wg_sub(wg_mul(most, most), wg_mul(most, most)), NAN, NAN, NAN);
    EXPECT_VALUES(wg_cast(NUMBERS(ctx, WG_F32, 65519, 65520, 1e-8, -1e-8, 3e-8), WG_F16), 65504, INFINITY, 0, -0.0,
                  0x1p-24);
    EXPECT_VALUES(wg_cast(NUMBERS(ctx, WG_F64, 3.4e38, -1e300, 1e-41, 5e-41), WG_BF16), INFINITY, -INFINITY, 0,
                  0x1p-133);
    EXPECT_VALUES(wg_mul_scalar(NUMBERS(ctx, WG_F16, 0x1p-24, -0x1p-24, 0x1.8p-23), 0.5), 0, -0.0, 0x1p-23);
    cr_expect(signbit(wg_item(wg_neg(wg_zeros(ctx, WG_F16, WG_SHAPE())))));
    EXPECT_VALUES(wg_cast(NUMBERS(ctx, WG_F16, INFINITY, -INFINITY, NAN, -2.5), WG_I32), INT32_MAX, INT32_MIN, 0, -2);
    EXPECT_VALUES(wg_cast(wg_from_i64(ctx, (int64_t[]){2049, 2051, 70000}, WG_SHAPE(3)), WG_F16), 2048, 2052, INFINITY);
    EXPECT_VALUES(wg_relu(NUMBERS(ctx, WG_BF16, NAN, -1, -0.0)), NAN, 0, 0);
    wg_tensor *none = wg_zeros(ctx, WG_BF16, WG_SHAPE(0, 3));
    cr_expect_eq(wg_item(wg_sum(none, NULL, 0, false)), 0);
    cr_expect(isnan(wg_item(wg_mean(none, NULL, 0, false))));
    cr_expect_eq(wg_numel(wg_softmax(none, 1)), 0);
    close_ok(ctx);
}

/* ---- where rounding happens, and where not --------------------------------------------------------------------------- */

/* Wrong: a sum in 16 bits stops where its terms are less than half a unit: at 256 in bf16, at 2048 in f16. */
Test(half_semantics, sums_are_f32_rounded_once) {
    wg_ctx *ctx = open_mode(MODE_HOST);
    for (int k = 0; k < COUNT(halves); k++) {
        wg_dtype t = halves[k];
        wg_tensor *ones = wg_ones(ctx, t, WG_SHAPE(4096)), *column = wg_reshape(ones, WG_SHAPE(4096, 1));
        cr_expect_eq(wg_item(wg_sum(ones, NULL, 0, false)), 4096);
        cr_expect_eq(wg_item(wg_sum(wg_ones(ctx, t, WG_SHAPE(40000)), NULL, 0, false)), round_to(40000, t));
        cr_expect_eq(wg_item(wg_matmul(ones, ones)), 4096);
        EXPECT_VALUES(wg_sum(wg_expand(column, WG_SHAPE(4096, 2)), (int[]){0}, 1, false), 4096, 4096);
        wg_tensor *index = wg_zeros(ctx, WG_I64, WG_SHAPE(4096));
        EXPECT_VALUES(wg_index_add(wg_zeros(ctx, t, WG_SHAPE(2, 1)), 0, index, column), 4096, 0);
        wg_tensor *table = wg_param(wg_zeros(ctx, t, WG_SHAPE(3, 1)));
        cr_expect_eq(wg_backward(wg_sum(wg_embedding(table, index), NULL, 0, false)), WG_OK);
        EXPECT_VALUES(wg_grad(table), 4096, 0, 0);
        wg_tensor *bias = wg_param(wg_zeros(ctx, t, WG_SHAPE(2)));
        cr_expect_eq(wg_backward(wg_sum(wg_add(wg_expand(column, WG_SHAPE(4096, 2)), bias), NULL, 0, false)), WG_OK);
        EXPECT_VALUES(wg_grad(bias), 4096, 4096);
    }
    /* what would overflow on the way does not */
    EXPECT_VALUES(wg_mean(wg_full(ctx, WG_F16, WG_SHAPE(1000), 60000), NULL, 0, false), 60000);
    EXPECT_VALUES(wg_var(NUMBERS(ctx, WG_F16, 0, 300, 0, 300), NULL, 0, 0, false), 22496);
    EXPECT_VALUES(wg_mse_loss(NUMBERS(ctx, WG_F16, 300, 0), NUMBERS(ctx, WG_F16, 0, 0), WG_MEAN), 44992);
    EXPECT_VALUES(wg_rms_norm(NUMBERS(ctx, WG_F16, 600, 600), WG_SHAPE(2), NULL, NULL), 1, 1);
    close_ok(ctx);
}

/* Wrong: operands are widened in memory before a product of f32 reads them. */
Test(half_semantics, a_product_loads_what_it_converts) {
    wg_ctx *ctx = open_mode(MODE_HOST);
    for (int k = 0; k < COUNT(halves); k++) {
        wg_tensor *x = NUMBERS(ctx, halves[k], 1, 2, 3, 4, 5, 6),
                  *w = wg_from_f32(ctx, (float[]){0.5f, 1, 2}, WG_SHAPE(3, 1));
        uint64_t before = stat_launches(ctx);
        EXPECT_VALUES(wg_matmul(wg_cast(wg_reshape(x, WG_SHAPE(2, 3)), WG_F32), w), 8.5, 19);
        cr_expect_eq(stat_launches(ctx) - before, 1);
        EXPECT_VALUES(wg_matmul(wg_reshape(x, WG_SHAPE(2, 3)), wg_neg(wg_cast(w, halves[k]))), -8.5, -19);
        cr_expect_eq(stat_launches(ctx) - before, 2);
    }
    close_ok(ctx);
}

/* Wrong: the sums of the pieces that a long sum is cut into, of 2^14 or 2^10 terms, are rounded: each term's 2^-7 would be lost. */
Test(half_semantics, parts_of_a_sum_are_f32) {
    enum { N = 200000 };
    wg_ctx *ctx = open_mode(MODE_HOST);
    nd a = nd_new(WG_BF16, WG_SHAPE(N));
    double all = 0, half = 0;
    for (int i = 0; i < N; i++) {
        a.f[i] = i / 2 % 3 ? 1 : 1 + 0x1p-7;
        all += a.f[i];
        half += i % 2 ? a.f[i] : 0;
    }
    wg_tensor *x = nd_tensor(ctx, a), *columns = wg_sum(wg_reshape(x, WG_SHAPE(N / 2, 2)), (int[]){0}, 1, false);
    cr_expect_eq(wg_item(wg_sum(x, NULL, 0, false)), round_to(all, WG_BF16));
    cr_expect_eq(wg_item(wg_select(columns, 0, 1)), round_to(half, WG_BF16));
    close_ok(ctx);
}

static wg_tensor *power(wg_tensor *x) { return wg_pow_scalar(x, 2.5); }
static wg_tensor *largest(wg_tensor *x) { return wg_amax(wg_reshape(x, WG_SHAPE(-1, 4)), (int[]){1}, 1, false); }

/* Wrong: a gradient rounds on its way. Of one op it is the f32 gradient, rounded. */
Test(half_semantics, a_gradient_rounds_once) {
    static wg_tensor *(*const functions[])(wg_tensor *) = {wg_gelu, wg_gelu_tanh,  power,
                                                           wg_sin,  wg_reciprocal, largest};
    enum { N = 400 };
    wg_ctx *ctx = open_mode(MODE_HOST);
    for (int k = 0; k < 2 * COUNT(functions); k++) {
        wg_dtype t = halves[k % 2];
        rng r = rng_seed("gradient", (uint64_t)k);
        nd x = nd_new(t, WG_SHAPE(N)), want = nd_new(t, WG_SHAPE(N));
        gen_fill(&x, DOM_POS, &r);
        wg_tensor *half = wg_param(nd_tensor(ctx, x)), *wide = wg_param(wg_cast(nd_tensor(ctx, x), WG_F32));
        wg_tensor *y = functions[k / 2](half), *z = functions[k / 2](wide);
        wg_tensor *g = wg_full_like(y, 0.75);
        cr_assert_eq(wg_backward(wg_sum(wg_mul(y, g), NULL, 0, false)), WG_OK, "%s", wg_error(ctx));
        cr_assert_eq(wg_backward(wg_sum(wg_mul(z, wg_cast(g, WG_F32)), NULL, 0, false)), WG_OK, "%s", wg_error(ctx));
        read_doubles(wg_grad(wide), want.f, N);
        expect_nd(wg_grad(half), want, functions[k / 2] == wg_reciprocal ? 2 : 0, "gradient"); /* made of the result */
    }
    close_ok(ctx);
}

/* Each op rounds: 1 + 2^-9 is 1 in bf16, so that taking 1 away leaves nothing, fused or not. */
Test(half_semantics, each_op_rounds) {
    wg_ctx *ctx = open_mode(MODE_HOST);
    wg_tensor *x = NUMBERS(ctx, WG_BF16, 0x1p-9, 0x1p-8, 0x1.8p-8);
    EXPECT_VALUES(wg_sub_scalar(wg_add_scalar(x, 1), 1), 0, 0, 0x1p-7);
    EXPECT_VALUES(wg_sum(wg_sub_scalar(wg_add_scalar(x, 1), 1), NULL, 0, false), 0x1p-7);
    EXPECT_VALUES(wg_cast(wg_mul_scalar(wg_cast(x, WG_F32), 1 + 0x1p-20), WG_F32), 0x1p-9 + 0x1p-29, 0x1p-8 + 0x1p-28,
                  0x1.8p-8 * (1 + 0x1p-20));
    /* gradients that meet in a leaf are rounded when they are added */
    wg_tensor *p = wg_param(wg_zeros(ctx, WG_BF16, WG_SHAPE(1)));
    cr_expect_eq(wg_backward(wg_sum(p, NULL, 0, false)), WG_OK);
    cr_expect_eq(wg_backward(wg_sum(wg_mul_scalar(p, 0x1p-8), NULL, 0, false)), WG_OK);
    cr_expect_eq(wg_dtype_of(wg_grad(p)), WG_BF16);
    EXPECT_VALUES(wg_grad(p), 1);
    close_ok(ctx);
}

Test(half_semantics, random_numbers) {
    enum { N = 20000 };
    wg_ctx *ctx = open_mode(MODE_HOST);
    for (int k = 0; k < COUNT(halves); k++) {
        double *u = hold(N * sizeof *u), steps = halves[k] == WG_F16 ? 2048 : 256, sum = 0, square = 0;
        read_doubles(wg_rand(ctx, halves[k], WG_SHAPE(N)), u, N);
        for (int i = 0; i < N; i++) {
            cr_assert(u[i] >= 0 && u[i] < 1 && u[i] * steps == floor(u[i] * steps), "%g", u[i]);
            sum += u[i];
        }
        cr_expect_float_eq(sum / N, 0.5 - 0.5 / steps, 0.01);
        read_doubles(wg_randn(ctx, halves[k], WG_SHAPE(N)), u, N);
        sum = 0;
        for (int i = 0; i < N; i++) {
            sum += u[i];
            square += u[i] * u[i];
        }
        cr_expect_float_eq(sum / N, 0, 0.03);
        cr_expect_float_eq(square / N, 1, 0.05);
        read_doubles(wg_dropout(wg_ones(ctx, halves[k], WG_SHAPE(N)), 0.25, true), u, N);
        for (int i = 0; i < N; i++) {
            cr_assert(u[i] == 0 || u[i] == round_to(1 / 0.75, halves[k]), "%g", u[i]);
        }
    }
    close_ok(ctx);
}
