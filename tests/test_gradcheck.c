/* label: ops */
/* host: too */
/*
 * wg_gradcheck and wg_gradgradcheck on what tables of ops do not reach: odd inputs and results, bad arguments, what the
 * error says, and what a check leaves behind.
 */
#include "harness/check.h"

#include <stdio.h>
#include <string.h>

static wg_tensor *square(wg_tensor *const *x, size_t n, void *user) {
    (void)n, (void)user;
    return wg_square(x[0]);
}
/* rows of x[0] picked by x[1], times x[2], which requires no grad */
static wg_tensor *picked(wg_tensor *const *x, size_t n, void *user) {
    (void)n, (void)user;
    return wg_mul(wg_square(wg_index_select(x[0], 0, x[1])), x[2]);
}
static wg_tensor *product(wg_tensor *const *x, size_t n, void *user) {
    (void)n, (void)user;
    return wg_mul(wg_square(x[0]), x[1]);
}
static wg_tensor *first_alone(wg_tensor *const *x, size_t n, void *user) {
    (void)n, (void)user;
    return wg_exp(x[0]);
}
static wg_tensor *constant(wg_tensor *const *x, size_t n, void *user) {
    (void)n, (void)user;
    return wg_detach(wg_zeros_like(x[0]));
}
static wg_tensor *itself(wg_tensor *const *x, size_t n, void *user) {
    (void)n, (void)user;
    return x[0];
}
static wg_tensor *nothing(wg_tensor *const *x, size_t n, void *user) {
    (void)n, (void)user, (void)x;
    return NULL;
}
static wg_tensor *comparison(wg_tensor *const *x, size_t n, void *user) {
    (void)n, (void)user;
    return wg_gt_scalar(x[0], 0);
}
static wg_tensor *ill_shaped(wg_tensor *const *x, size_t n, void *user) {
    (void)n, (void)user;
    return wg_add(x[0], wg_ones(wg_context(x[0]), WG_F64, WG_SHAPE(5, 7)));
}
/* Grows with each call. */
static wg_tensor *fickle(wg_tensor *const *x, size_t n, void *user) {
    (void)n;
    return wg_expand(x[0], WG_SHAPE(++*(int *)user, -1));
}
/* The gradient of the third element of the second input is wrong. */
static wg_tensor *wrong_in_one(wg_tensor *const *x, size_t n, void *user) {
    (void)n, (void)user;
    wg_tensor *last = wg_narrow(x[1], 0, 2, 1);
    return wg_add(wg_cat((wg_tensor *[]){wg_square(wg_narrow(x[1], 0, 0, 2)), wg_mul(last, wg_detach(last))}, 2, 0),
                  x[0]);
}

static wg_tensor *variable(wg_ctx *ctx, wg_shape shape) {
    double values[24];
    for (int64_t i = 0; i < wg_shape_numel(shape); i++) {
        values[i] = 0.3 + 0.41 * (double)((i * 5) % 7);
    }
    return wg_param(wg_from_f64(ctx, values, shape));
}

static void passes(wg_function fn, wg_tensor *const *inputs, size_t n, const char *label) {
    wg_ctx *ctx = wg_context(inputs[0]);
    cr_expect_eq(wg_gradcheck(fn, inputs, n, NULL, NULL), WG_OK, "%s: %s", label, wg_error(ctx));
    wg_error_take(ctx, NULL, 0);
    cr_expect_eq(wg_gradgradcheck(fn, inputs, n, NULL, NULL), WG_OK, "%s, second order: %s", label, wg_error(ctx));
    wg_error_take(ctx, NULL, 0);
}

Test(gradcheck, inputs_of_all_kinds) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *x = variable(ctx, WG_SHAPE(3, 2)), *scalar = variable(ctx, WG_SHAPE()),
              *none = variable(ctx, WG_SHAPE(0, 2));
    wg_tensor *index = wg_from_i64(ctx, (int64_t[]){2, 0, 2}, WG_SHAPE(3)),
              *fixed = wg_ones(ctx, WG_F32, WG_SHAPE(3, 2));
    passes(square, &x, 1, "a matrix");
    passes(square, &scalar, 1, "a scalar");
    passes(square, &none, 1, "no elements");
    passes(picked, (wg_tensor *[]){x, index, fixed}, 3, "integers and inputs without grad");
    passes(product, (wg_tensor *[]){x, scalar}, 2, "two inputs");
    passes(product, (wg_tensor *[]){x, x}, 2, "an input twice");
    passes(product, (wg_tensor *[]){scalar, none}, 2, "one of them empty");
    passes(product, (wg_tensor *[]){x, wg_square(x)}, 2, "one made from the other");
    passes(first_alone, (wg_tensor *[]){x, scalar}, 2, "one unused");
    passes(constant, &x, 1, "no dependence at all");
    passes(itself, &x, 1, "the input itself");
    bool before = wg_no_grad(ctx, true);
    passes(square, &x, 1, "while nothing is recorded");
    wg_no_grad(ctx, before);
    close_ok(ctx);
}

Test(gradcheck, the_error_names_the_element) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *x[] = {variable(ctx, WG_SHAPE(3)), wg_param(wg_from_f64(ctx, (double[]){1, 2, 3}, WG_SHAPE(3)))};
    cr_expect_eq(wg_gradcheck(wrong_in_one, x, 2, NULL, NULL), WG_ERR_GRAPH);
    expect_error(ctx, WG_ERR_GRAPH, "first order", "gradcheck: input 1, element 2: analytic", "numeric",
                 "1 of 6 elements differ", (char *)NULL);
    cr_expect_eq(wg_gradgradcheck(wrong_in_one, x, 2, NULL, NULL), WG_ERR_GRAPH);
    expect_error(ctx, WG_ERR_GRAPH, "second order", "gradgradcheck: input 1, element 2", (char *)NULL);
    close_ok(ctx);
}

Test(gradcheck, options) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *x = wg_param(wg_from_f64(ctx, (double[]){1, 2, 3}, WG_SHAPE(3)));
    wg_tensor *both[] = {x, x};
    wg_gradcheck_opts o = wg_gradcheck_defaults();
    cr_expect(o.eps == 1e-6 && o.atol == 1e-5 && o.rtol == 1e-3);
    o.rtol = 0.6; /* half of the gradient is missing */
    cr_expect_eq(wg_gradcheck(wrong_in_one, both, 2, NULL, &o), WG_OK, "%s", wg_error(ctx));
    o = (wg_gradcheck_opts){.eps = 0, .atol = 1e-5, .rtol = 1e-3};
    cr_expect_eq(wg_gradcheck(square, &x, 1, NULL, &o), WG_ERR_ARG);
    expect_error(ctx, WG_ERR_ARG, "no step", "eps", (char *)NULL);
    close_ok(ctx);
}

#define REFUSES(call, status, ...)                                                                                     \
    do {                                                                                                               \
        cr_expect_eq(call, status, "%s", #call);                                                                       \
        expect_error(ctx, status, #call, __VA_ARGS__, (char *)NULL);                                                   \
    } while (0)

Test(gradcheck, bad_arguments) {
    wg_ctx *ctx = open_ctx();
    int calls = 0;
    wg_tensor *x = variable(ctx, WG_SHAPE(2, 3)), *row = variable(ctx, WG_SHAPE(1, 3)), *plain = wg_detach(x);
    wg_tensor *single = wg_param(wg_ones(ctx, WG_F32, WG_SHAPE(2)));
    cr_expect_eq(wg_gradcheck(square, NULL, 0, NULL, NULL), WG_ERR_ARG);
    REFUSES(wg_gradcheck(NULL, &x, 1, NULL, NULL), WG_ERR_ARG, "gradcheck: the function is NULL");
    REFUSES(wg_gradcheck(product, ((wg_tensor *[]){x, NULL}), 2, NULL, NULL), WG_ERR_ARG, "input 1 is NULL");
    REFUSES(wg_gradcheck(square, &plain, 1, NULL, NULL), WG_ERR_GRAPH, "no input requires grad");
    REFUSES(wg_gradcheck(square, &single, 1, NULL, NULL), WG_ERR_DTYPE, "input 0", "f32", "f64");
    REFUSES(wg_gradcheck(nothing, &x, 1, NULL, NULL), WG_ERR_ARG, "the function gave NULL");
    REFUSES(wg_gradcheck(comparison, &x, 1, NULL, NULL), WG_ERR_DTYPE, "the function gave bool");
    REFUSES(wg_gradcheck(ill_shaped, &x, 1, NULL, NULL), WG_ERR_SHAPE, "add", "[2,3]");
    REFUSES(wg_gradcheck(fickle, &row, 1, &calls, NULL), WG_ERR_SHAPE, "another shape");
    passes(square, &x, 1, "after all that");
    close_ok(ctx);
}

Test(gradcheck, leaves_nothing_behind) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *x = variable(ctx, WG_SHAPE(2, 2)), *made = wg_square(x), *loss = wg_sum(made, NULL, 0, false);
    wg_seed(ctx, 3);
    double drawn = wg_item(wg_rand(ctx, WG_F64, WG_SHAPE()));
    double next = wg_item(wg_rand(ctx, WG_F64, WG_SHAPE()));
    wg_seed(ctx, 3);
    cr_expect_eq(wg_item(wg_rand(ctx, WG_F64, WG_SHAPE())), drawn);
    passes(square, &made, 1, "made by an op");
    cr_expect_eq(wg_item(wg_rand(ctx, WG_F64, WG_SHAPE())), next, "the random state has changed");
    EXPECT_VALUES(x, 0.3, 0.3 + 0.41 * 5, 0.3 + 0.41 * 3, 0.3 + 0.41 * 1);
    cr_expect(!wg_has_grad(x) && wg_requires_grad(x) && wg_is_leaf(x));
    cr_expect_eq(wg_backward(loss), WG_OK, "the graph of an input is still there: %s", wg_error(ctx));
    close_ok(ctx);
}
