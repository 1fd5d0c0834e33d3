/* label: unit */
/* timeout: 300 */
/* host: too */
/*
 * Bad input: each call is refused with its status and a text that names the op and the shapes, in the form
 * "op: [3,4] x [5,6]: reason"; the first error stays until it is taken; the context works afterwards.
 */
#include "harness/check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define NO ((char *)NULL)
static wg_tensor *f32(wg_ctx *ctx, wg_shape s) { return wg_ones(ctx, WG_F32, s); }

/* A call that must return NULL. */
#define REFUSED(call, status, ...)                                                                                     \
    do {                                                                                                               \
        cr_expect_null(call, "%s was accepted", #call);                                                                \
        expect_error(ctx, status, #call, __VA_ARGS__, NO);                                                             \
    } while (0)
/* A call that must return the status. */
#define FAILS(call, status, ...)                                                                                       \
    do {                                                                                                               \
        wg_status got_ = call;                                                                                         \
        cr_expect(got_ == status, "%s gave %s", #call, wg_status_name(got_));                                          \
        expect_error(ctx, status, #call, __VA_ARGS__, NO);                                                             \
    } while (0)

Test(errors, shapes) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *a = f32(ctx, WG_SHAPE(3, 4)), *b = f32(ctx, WG_SHAPE(5, 6)), *v = f32(ctx, WG_SHAPE(7));
    wg_tensor *scalar = f32(ctx, WG_SHAPE()), *cond = wg_ones(ctx, WG_BOOL, WG_SHAPE(2)),
              *none = f32(ctx, WG_SHAPE(3, 0));
    REFUSED(wg_add(a, b), WG_ERR_SHAPE, "add", "[3,4]", "[5,6]");
    REFUSED(wg_lt(a, v), WG_ERR_SHAPE, "lt", "[3,4]", "[7]");
    REFUSED(wg_where(cond, a, b), WG_ERR_SHAPE, "where", "[2]", "[3,4]");
    REFUSED(wg_matmul(a, b), WG_ERR_SHAPE, "matmul: [3,4] x [5,6]:");
    REFUSED(wg_matmul(scalar, a), WG_ERR_SHAPE, "matmul", "[]", "[3,4]");
    REFUSED(wg_matmul(f32(ctx, WG_SHAPE(2, 3, 4)), f32(ctx, WG_SHAPE(3, 4, 5))), WG_ERR_SHAPE, "matmul", "[2,3,4]",
            "[3,4,5]");
    REFUSED(wg_linear(a, b, NULL), WG_ERR_SHAPE, "linear", "[3,4]", "[5,6]");
    REFUSED(wg_linear(a, f32(ctx, WG_SHAPE(6, 4)), v), WG_ERR_SHAPE, "linear", "[7]");
    REFUSED(wg_reshape(a, WG_SHAPE(5, 2)), WG_ERR_SHAPE, "reshape", "[3,4]", "[5,2]");
    REFUSED(wg_reshape(a, WG_SHAPE(-1, 5)), WG_ERR_SHAPE, "reshape", "[3,4]");
    REFUSED(wg_reshape(a, WG_SHAPE(-1, -1)), WG_ERR_SHAPE, "reshape", "[3,4]");
    REFUSED(wg_reshape(none, WG_SHAPE(-1, 0)), WG_ERR_SHAPE, "reshape", "[3,0]");
    REFUSED(wg_expand(a, WG_SHAPE(3, 5)), WG_ERR_SHAPE, "expand", "[3,4]", "[3,5]");
    REFUSED(wg_expand(a, WG_SHAPE(4)), WG_ERR_SHAPE, "expand", "[3,4]", "[4]");
    REFUSED(wg_cat((wg_tensor *[]){a, b}, 2, 0), WG_ERR_SHAPE, "cat", "[3,4]", "[5,6]");
    REFUSED(wg_cat((wg_tensor *[]){scalar, scalar}, 2, 0), WG_ERR_SHAPE, "cat", "[]");
    REFUSED(wg_slice_scatter(a, b, 0, 0, 2, 1), WG_ERR_SHAPE, "slice_scatter", "[3,4]", "[5,6]");
    REFUSED(wg_amax(none, (int[]){1}, 1, false), WG_ERR_SHAPE, "amax", "[3,0]");
    REFUSED(wg_amin(none, NULL, 0, false), WG_ERR_SHAPE, "amin", "[3,0]");
    REFUSED(wg_argmax(none, 1, false), WG_ERR_SHAPE, "argmax", "[3,0]");
    wg_tensor *index = wg_zeros(ctx, WG_I64, WG_SHAPE(2)), *grid = wg_zeros(ctx, WG_I64, WG_SHAPE(2, 2));
    REFUSED(wg_index_select(a, 0, grid), WG_ERR_SHAPE, "index_select", "[2,2]");
    REFUSED(wg_index_add(a, 0, index, b), WG_ERR_SHAPE, "index_add", "[3,4]", "[5,6]");
    REFUSED(wg_embedding(v, index), WG_ERR_SHAPE, "embedding", "[7]");
    REFUSED(wg_cross_entropy(a, index, NULL), WG_ERR_SHAPE, "cross_entropy", "[3,4]", "[2]");
    REFUSED(wg_mse_loss(a, b, WG_MEAN), WG_ERR_SHAPE, "[3,4]", "[5,6]");
    wg_shape bad = wg_shape_make(9, (int64_t[9]){1, 1, 1, 1, 1, 1, 1, 1, 1});
    REFUSED(wg_zeros(ctx, WG_F32, bad), WG_ERR_SHAPE, "zeros");
    REFUSED(wg_zeros(ctx, WG_F32, WG_SHAPE(2, -3)), WG_ERR_SHAPE, "zeros", "[2,-3]");
    REFUSED(wg_zeros(ctx, WG_F32, WG_SHAPE(INT64_C(1) << 40, INT64_C(1) << 40)), WG_ERR_SHAPE, "zeros");
    REFUSED(wg_unsqueeze(f32(ctx, WG_SHAPE(1, 1, 1, 1, 1, 1, 1, 1)), 0), WG_ERR_SHAPE, "unsqueeze");
    close_ok(ctx);
}

Test(errors, arguments) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *a = f32(ctx, WG_SHAPE(3, 4)), *index = wg_zeros(ctx, WG_I64, WG_SHAPE(2));
    REFUSED(wg_sum(a, (int[]){2}, 1, false), WG_ERR_ARG, "sum", "[3,4]", "2");
    REFUSED(wg_sum(a, (int[]){-3}, 1, false), WG_ERR_ARG, "sum", "-3");
    REFUSED(wg_mean(a, (int[]){0, -2}, 2, false), WG_ERR_ARG, "mean", "[3,4]");
    REFUSED(wg_softmax(a, 5), WG_ERR_ARG, "softmax", "5");
    REFUSED(wg_argmax(a, -3, false), WG_ERR_ARG, "argmax");
    REFUSED(wg_transpose(a, 0, 2), WG_ERR_ARG, "transpose", "2");
    REFUSED(wg_permute(a, (int[]){0, 0}), WG_ERR_ARG, "permute");
    REFUSED(wg_narrow(a, 0, 2, 2), WG_ERR_ARG, "narrow", "[3,4]");
    REFUSED(wg_narrow(a, 0, 0, -1), WG_ERR_ARG, "narrow");
    REFUSED(wg_select(a, 1, 4), WG_ERR_ARG, "select", "4");
    REFUSED(wg_slice(a, 0, 0, 2, 0), WG_ERR_ARG, "slice", "step");
    REFUSED(wg_slice(a, 0, 0, 2, -1), WG_ERR_ARG, "slice", "step");
    REFUSED(wg_flip(a, (int[]){2}, 1), WG_ERR_ARG, "flip");
    REFUSED(wg_squeeze(a, 2), WG_ERR_ARG, "squeeze");
    REFUSED(wg_unsqueeze(a, 3), WG_ERR_ARG, "unsqueeze", "3");
    REFUSED(wg_flatten(a, 1, 0), WG_ERR_ARG, "flatten");
    REFUSED(wg_cat(&a, 1, 2), WG_ERR_ARG, "cat");
    REFUSED(wg_index_select(a, 2, index), WG_ERR_ARG, "index_select");
    REFUSED(wg_one_hot(index, 0), WG_ERR_ARG, "one_hot");
    REFUSED(wg_dropout(a, 1.5, true), WG_ERR_ARG, "dropout", "1.5");
    REFUSED(wg_dropout(a, NAN, true), WG_ERR_ARG, "dropout");
    REFUSED(wg_arange(ctx, WG_F32, 0, 5, 0), WG_ERR_ARG, "arange");
    REFUSED(wg_arange(ctx, WG_F32, 0, 5, -1), WG_ERR_ARG, "arange");
    REFUSED(wg_pow_scalar(wg_ones(ctx, WG_I32, WG_SHAPE(2)), -1), WG_ERR_ARG, "pow");
    REFUSED(wg_from_f32(ctx, NULL, WG_SHAPE(2)), WG_ERR_ARG, "from");
    wg_cross_entropy_opts ce = wg_cross_entropy_defaults();
    ce.label_smoothing = 1.5;
    REFUSED(wg_cross_entropy(wg_reshape(a, WG_SHAPE(4, 3)), wg_zeros(ctx, WG_I64, WG_SHAPE(4)), &ce), WG_ERR_ARG,
            "cross_entropy");
    wg_sgd_opts s = wg_sgd_defaults();
    s.nesterov = true;
    cr_expect_null(wg_sgd_new(&a, 1, &s));
    expect_error(ctx, WG_ERR_ARG, "nesterov without momentum", "nesterov", NO);
    close_ok(ctx);
}

Test(errors, dtypes) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *i = wg_ones(ctx, WG_I32, WG_SHAPE(2, 2)), *f = f32(ctx, WG_SHAPE(2, 2));
    wg_tensor *t = wg_ones(ctx, WG_BOOL, WG_SHAPE(2, 2)), *d = wg_ones(ctx, WG_F64, WG_SHAPE(2, 2));
    REFUSED(wg_matmul(f, d), WG_ERR_DTYPE, "matmul", "f32", "f64");
    REFUSED(wg_matmul(t, t), WG_ERR_DTYPE, "matmul", "bool");
    REFUSED(wg_mean(i, NULL, 0, false), WG_ERR_DTYPE, "mean", "i32");
    REFUSED(wg_softmax(i, 0), WG_ERR_DTYPE, "softmax", "i32");
    REFUSED(wg_neg(t), WG_ERR_DTYPE, "neg", "bool");
    REFUSED(wg_sub(t, t), WG_ERR_DTYPE, "sub", "bool");
    REFUSED(wg_where(f, f, f), WG_ERR_DTYPE, "where", "f32");
    REFUSED(wg_index_select(f, 0, wg_select(f, 0, 0)), WG_ERR_DTYPE, "index_select", "f32");
    REFUSED(wg_embedding(f, f), WG_ERR_DTYPE, "embedding", "f32");
    REFUSED(wg_one_hot(f, 3), WG_ERR_DTYPE, "one_hot", "f32");
    REFUSED(wg_param(i), WG_ERR_DTYPE, "param", "i32");
    REFUSED(wg_rand(ctx, WG_I32, WG_SHAPE(2)), WG_ERR_DTYPE, "rand", "i32");
    REFUSED(wg_arange(ctx, WG_BOOL, 0, 2, 1), WG_ERR_DTYPE, "arange", "bool");
    REFUSED(wg_zeros(ctx, WG_DTYPE_COUNT, WG_SHAPE(2)), WG_ERR_DTYPE, "zeros");
    REFUSED(wg_cast(f, (wg_dtype)77), WG_ERR_DTYPE, "cast");
    REFUSED(wg_data_i64(f), WG_ERR_DTYPE, "f32");
    REFUSED(wg_data_f32(i), WG_ERR_DTYPE, "i32");
    REFUSED(wg_cross_entropy(f, wg_zeros(ctx, WG_F32, WG_SHAPE(2)), NULL), WG_ERR_DTYPE, "cross_entropy", "f32");
    FAILS(wg_assign(f, d), WG_ERR_DTYPE, "assign", "f32", "f64");
    FAILS(wg_init_normal(i, 0, 1), WG_ERR_DTYPE, "i32");
    cr_expect_null(wg_adam_new(&i, 1, NULL));
    expect_error(ctx, WG_ERR_DTYPE, "an integer parameter", "i32", NO);
    close_ok(ctx);
}

Test(errors, reading_and_replacing) {
    wg_ctx *ctx = open_ctx();
    float buf[12] = {0};
    wg_tensor *a = f32(ctx, WG_SHAPE(3, 4)), *made = wg_square(wg_param(f32(ctx, WG_SHAPE(3, 4))));
    cr_expect(isnan(wg_item(a)));
    expect_error(ctx, WG_ERR_SHAPE, "item of twelve", "item", "[3,4]", NO);
    cr_expect_eq(wg_item_i64(a), 0);
    expect_error(ctx, WG_ERR_SHAPE, "item_i64 of twelve", "item", "[3,4]", NO);
    FAILS(wg_read(a, buf, 44), WG_ERR_ARG, "read", "[3,4]", "48", "44");
    FAILS(wg_read(a, NULL, 48), WG_ERR_ARG, "read");
    FAILS(wg_write(a, buf, 52), WG_ERR_ARG, "write", "48", "52");
    FAILS(wg_assign(a, f32(ctx, WG_SHAPE(4, 3))), WG_ERR_SHAPE, "assign", "[3,4]", "[4,3]");
    FAILS(wg_assign(made, a), WG_ERR_GRAPH, "assign");
    FAILS(wg_write(made, buf, 48), WG_ERR_GRAPH, "write");
    REFUSED(wg_data_mut(made), WG_ERR_GRAPH, "data_mut");
    FAILS(wg_eval((wg_tensor *[]){a, NULL}, 2), WG_ERR_ARG, "eval");
    EXPECT_VALUES(wg_sum(a, NULL, 0, false), 12);
    cr_expect(isnan(wg_item(NULL)) && !wg_data(NULL) && wg_read(NULL, buf, 4) == WG_ERR_ARG);
    cr_expect(wg_assign(NULL, NULL) == WG_ERR_ARG && wg_backward(NULL) == WG_ERR_ARG);
    close_ok(ctx);
}

/* Wrong: a NULL in a chain replaces the first error by its own. */
Test(errors, null_passes_through_and_the_first_error_stays) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *a = f32(ctx, WG_SHAPE(3, 4)), *b = f32(ctx, WG_SHAPE(5, 6));
    cr_expect_str_eq(wg_error(ctx), "");
    cr_expect(!wg_failed(ctx) && wg_error_status(ctx) == WG_OK && wg_error_take(ctx, NULL, 0) == WG_OK);
    wg_tensor *y = wg_sum(wg_relu(wg_add(wg_matmul(a, b), a)), NULL, 0, false);
    cr_expect_null(y);
    cr_expect_null(wg_reshape(a, WG_SHAPE(99)));
    cr_expect_null(wg_where(NULL, a, b));
    cr_expect_null(wg_cat((wg_tensor *[]){a, NULL}, 2, 0));
    cr_expect(isnan(wg_item(y)));
    cr_expect(wg_failed(ctx) && wg_error_status(ctx) == WG_ERR_SHAPE);
    cr_expect(strstr(wg_error(ctx), "matmul") != NULL, "%s", wg_error(ctx));
    char small[8];
    memset(small, 'x', sizeof small);
    cr_expect_eq(wg_error_take(ctx, small, sizeof small), WG_ERR_SHAPE);
    cr_expect_str_eq(small, "matmul:");
    cr_expect(!wg_failed(ctx) && *wg_error(ctx) == '\0');
    EXPECT_VALUES(wg_sum(a, NULL, 0, false), 12);
    wg_matmul(a, b);
    cr_expect_eq(wg_close(ctx), WG_ERR_SHAPE, "close does not tell of an error nobody took");
}

/* NULL with no context to keep the error in must not crash. */
Test(errors, null_alone) {
    cr_expect(!wg_add(NULL, NULL) && !wg_sum(NULL, NULL, 0, false) && !wg_keep(NULL) && !wg_grad(NULL) &&
              !wg_param(NULL));
    cr_expect(!wg_cat((wg_tensor *[]){NULL, NULL}, 2, 0) && !wg_zeros(NULL, WG_F32, WG_SHAPE(2)) && !wg_detach(NULL));
    cr_expect(!wg_has_grad(NULL) && !wg_requires_grad(NULL) && wg_size(NULL, 0) == -1);
    wg_zero_grad(NULL);
    wg_free(NULL);
    cr_expect_eq(wg_close(NULL), WG_OK);
    cr_expect(wg_failed(NULL));
}

Test(errors, contexts_do_not_mix) {
    wg_ctx *ctx = open_ctx(), *other = open_ctx();
    wg_tensor *a = f32(ctx, WG_SHAPE(2)), *b = f32(other, WG_SHAPE(2));
    REFUSED(wg_add(a, b), WG_ERR_ARG, "add", "context");
    REFUSED(wg_cat((wg_tensor *[]){a, b}, 2, 0), WG_ERR_ARG, "cat", "context");
    FAILS(wg_assign(a, b), WG_ERR_ARG, "assign", "context");
    FAILS(wg_eval((wg_tensor *[]){a, b}, 2), WG_ERR_ARG, "eval", "context");
    wg_error_take(other, NULL, 0);
    EXPECT_VALUES(a, 1, 1);
    EXPECT_VALUES(b, 1, 1);
    close_ok(other);
    close_ok(ctx);
}

/* A context that could not open takes every call and answers with its error. */
Test(errors, no_such_device) {
    static const char *const names[] = {"opencl:99", "nonsense:0", "nonsense", "opencl:toaster"};
    for (int k = 0; k < 4; k++) {
        wg_ctx *ctx = wg_open(names[k]);
        cr_assert_not_null(ctx, "%s", names[k]);
        cr_expect(wg_failed(ctx) && wg_error_status(ctx) == WG_ERR_NO_DEVICE, "\"%s\": %s: %s", names[k],
                  wg_status_name(wg_error_status(ctx)), wg_error(ctx));
        cr_expect(strstr(wg_error(ctx), names[k]) != NULL, "\"%s\": %s", names[k], wg_error(ctx));
        cr_expect_null(wg_zeros(ctx, WG_F32, WG_SHAPE(2)));
        cr_expect_neq(wg_synchronize(ctx), WG_OK);
        wg_mark m = wg_scope_begin(ctx);
        wg_scope_end(ctx, m);
        wg_stats s = stats_of(ctx);
        cr_expect_eq(s.launches, 0);
        cr_expect_eq(wg_error_take(ctx, NULL, 0), WG_ERR_NO_DEVICE);
        cr_expect(wg_failed(ctx), "it cannot become usable");
        cr_expect_eq(wg_close(ctx), WG_OK, "the error was taken");
    }
}

/* An index out of range gives zeros there, and an error when the value is next read. */
Test(errors, index_out_of_range) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *a = wg_from_f32(ctx, (float[]){1, 2, 3}, WG_SHAPE(3));
    static const int64_t bad[][2] = {{1, 3}, {-1, 1}, {1, INT64_C(1) << 33}};
    float got[2];
    for (int k = 0; k < 3; k++) {
        wg_tensor *y = wg_index_select(a, 0, wg_from_i64(ctx, bad[k], WG_SHAPE(2)));
        memset(got, 0xA5, sizeof got);
        cr_expect_eq(wg_read(y, got, sizeof got), WG_ERR_INDEX);
        expect_error(ctx, WG_ERR_INDEX, "index_select out of range", "index_select", NO);
        wg_tensor *e = wg_embedding(wg_unsqueeze(a, 1), wg_from_i64(ctx, bad[k], WG_SHAPE(2)));
        cr_expect_eq(wg_read(e, got, sizeof got), WG_ERR_INDEX);
        wg_error_take(ctx, NULL, 0);
        EXPECT_VALUES(wg_index_select(a, 0, wg_from_i64(ctx, (int64_t[]){2, 0}, WG_SHAPE(2))), 3, 1);
    }
    close_ok(ctx);
}

/* After errors of every kind the context computes what it did before. */
Test(errors, leave_the_context_usable) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = wg_param(wg_from_f32(ctx, (float[]){1, 2}, WG_SHAPE(2)));
    for (int k = 0; k < 3; k++) {
        WG_SCOPE(ctx) {
            wg_backward(wg_sum(wg_square(w), NULL, 0, false));
            wg_backward(wg_square(w));
            wg_matmul(w, wg_ones(ctx, WG_F32, WG_SHAPE(5)));
            wg_assign(w, wg_ones(ctx, WG_F32, WG_SHAPE(5)));
            wg_assign(w, wg_sub(w, wg_mul_scalar(wg_grad(w), 0.25)));
            wg_zero_grad(w);
        }
        expect_error(ctx, WG_ERR_SHAPE, "the first of them", "backward", NO);
    }
    EXPECT_VALUES(w, 0.125, 0.25);
    close_ok(ctx);
}
