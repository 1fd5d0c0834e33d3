/* Activation functions of one tensor. */
#include "ops/common.h"

static wg_tensor *floating(const wg_op *op, wg_tensor *a) {
    wg_graph *g;
    return wg_check(op->name, &g, &a, 1) ? wg_op_map1(g, op, a, wg_op_floating(wg_op_dtype(a)), 0, 0) : NULL;
}

static wg_x add(wg_expr *x, wg_x a, wg_x b) { return wg_x_binary(x, WG_P_ADD, a, b); }
static wg_x mul(wg_expr *x, wg_x a, wg_x b) { return wg_x_binary(x, WG_P_MUL, a, b); }

/* ---- relu ----------------------------------------------------------------------------------------------------------- */

static wg_x emit_relu(wg_expr *x, const wg_node *n) {
    return n->dtype == WG_U8 ? wg_x_in(x, 0)
                             : wg_x_binary(x, WG_P_MAX, wg_x_in(x, 0), wg_x_const(x, (wg_dtype)n->dtype, 0));
}
/* Where a is NaN the gradient passes, as in PyTorch. */
static void vjp_relu(wg_vjp *v) { wg_vjp_set(v, 0, wg_op_zero_where(wg_le_scalar(wg_vjp_out(v), 0), wg_vjp_grad(v))); }
static const wg_op relu_op = {.name = "relu",
                              .kind = WG_OP_MAP,
                              .saves = WG_SAVE_OUT,
                              .after = WG_AFTER_RELU,
                              .emit = emit_relu,
                              .vjp = vjp_relu};
wg_tensor *wg_relu(wg_tensor *a) {
    wg_graph *g;
    if (!wg_check("relu", &g, &a, 1)) {
        return NULL;
    }
    if (wg_op_dtype(a) == WG_BOOL) {
        return wg_op_refuse(g, "relu", WG_ERR_DTYPE, a, "not for bool; cast it first");
    }
    return wg_op_map1(g, &relu_op, a, wg_op_dtype(a), 0, 0);
}

/* ---- sigmoid -------------------------------------------------------------------------------------------------------- */

static wg_x emit_sigmoid(wg_expr *x, const wg_node *n) {
    wg_x one = wg_x_const(x, (wg_dtype)n->dtype, 1);
    wg_x e = wg_x_unary(x, WG_P_EXP, wg_x_unary(x, WG_P_NEG, wg_x_in(x, 0)));
    return wg_x_binary(x, WG_P_DIV, one, add(x, one, e));
}
/* g (1 - y) y */
static void vjp_sigmoid(wg_vjp *v) {
    wg_tensor *y = wg_vjp_out(v);
    wg_vjp_set(v, 0, wg_mul(wg_mul(wg_vjp_grad(v), wg_rsub_scalar(y, 1)), y));
}
static const wg_op sigmoid_op = {
    .name = "sigmoid", .kind = WG_OP_MAP, .saves = WG_SAVE_OUT, .emit = emit_sigmoid, .vjp = vjp_sigmoid};
wg_tensor *wg_sigmoid(wg_tensor *a) { return floating(&sigmoid_op, a); }

/* ---- gelu ----------------------------------------------------------------------------------------------------------- */

static const double sqrt_half = 0.70710678118654752440;
static const double density_0 = 0.39894228040143267794; /* 1 / sqrt(2 pi): the normal density at 0 */
static const double sqrt_2_over_pi = 0.79788456080286535588;
static const double cubic = 0.044715;

/* a/2 (1 + erf(a / sqrt 2)) */
static wg_x emit_gelu(wg_expr *x, const wg_node *n) {
    wg_dtype d = (wg_dtype)n->dtype;
    wg_x a = wg_x_in(x, 0);
    wg_x e = wg_x_unary(x, WG_P_ERF, mul(x, a, wg_x_const(x, d, sqrt_half)));
    return mul(x, mul(x, a, wg_x_const(x, d, 0.5)), add(x, wg_x_const(x, d, 1), e));
}
/* g (Phi(a) + a phi(a)), Phi and phi the normal distribution and density */
static void vjp_gelu(wg_vjp *v) {
    wg_tensor *a = wg_vjp_in(v, 0);
    wg_tensor *cdf = wg_mul_scalar(wg_add_scalar(wg_erf(wg_mul_scalar(a, sqrt_half)), 1), 0.5);
    wg_tensor *pdf = wg_mul_scalar(wg_exp(wg_mul_scalar(wg_square(a), -0.5)), density_0);
    wg_vjp_set(v, 0, wg_mul(wg_vjp_grad(v), wg_add(cdf, wg_mul(a, pdf))));
}
static const wg_op gelu_op = {
    .name = "gelu", .kind = WG_OP_MAP, .saves = WG_SAVE_IN(0), .emit = emit_gelu, .vjp = vjp_gelu};
wg_tensor *wg_gelu(wg_tensor *a) { return floating(&gelu_op, a); }

/* a/2 (1 + tanh(sqrt(2/pi) (a + 0.044715 a^3))) */
static wg_x emit_gelu_tanh(wg_expr *x, const wg_node *n) {
    wg_dtype d = (wg_dtype)n->dtype;
    wg_x a = wg_x_in(x, 0);
    wg_x cube = mul(x, mul(x, a, a), a);
    wg_x inner = mul(x, wg_x_const(x, d, sqrt_2_over_pi), add(x, a, mul(x, wg_x_const(x, d, cubic), cube)));
    wg_x one_plus = add(x, wg_x_const(x, d, 1), wg_x_unary(x, WG_P_TANH, inner));
    return mul(x, mul(x, wg_x_const(x, d, 0.5), a), one_plus);
}
/* With t = tanh(u): g ((1 + t) / 2 + a/2 (1 - t^2) u'). An op of its own, so that a library's product can end in it. */
static wg_x emit_gelu_tanh_backward(wg_expr *x, const wg_node *n) {
    wg_dtype d = (wg_dtype)n->dtype;
    wg_x a = wg_x_in(x, 1), aa = mul(x, a, a), one = wg_x_const(x, d, 1), half = wg_x_const(x, d, 0.5);
    wg_x slope = wg_x_const(x, d, sqrt_2_over_pi);
    wg_x t = wg_x_unary(x, WG_P_TANH, mul(x, add(x, a, mul(x, mul(x, aa, a), wg_x_const(x, d, cubic))), slope));
    wg_x left = mul(x, add(x, t, one), half);
    wg_x du = mul(x, add(x, mul(x, aa, wg_x_const(x, d, 3 * cubic)), one), slope);
    wg_x right = mul(x, mul(x, mul(x, a, half), wg_x_binary(x, WG_P_SUB, one, mul(x, t, t))), du);
    return mul(x, wg_x_in(x, 0), add(x, left, right));
}
static wg_tensor *gelu_tanh_backward(wg_tensor *grad, wg_tensor *a);
/* The derivative of that factor is (1 - t^2) (u' + a/2 (u'' - 2 t u'^2)). */
static void vjp_gelu_tanh_backward(wg_vjp *v) {
    wg_tensor *a = wg_vjp_in(v, 1), *aa = wg_square(a);
    if (wg_vjp_needs(v, 0)) {
        wg_vjp_set(v, 0, gelu_tanh_backward(wg_vjp_grad(v), a));
    }
    if (wg_vjp_needs(v, 1)) {
        wg_tensor *t = wg_tanh(wg_mul_scalar(wg_add(a, wg_mul_scalar(wg_mul(aa, a), cubic)), sqrt_2_over_pi));
        wg_tensor *du = wg_mul_scalar(wg_add_scalar(wg_mul_scalar(aa, 3 * cubic), 1), sqrt_2_over_pi);
        wg_tensor *ddu = wg_mul_scalar(a, 6 * cubic * sqrt_2_over_pi);
        wg_tensor *bend = wg_sub(ddu, wg_mul(wg_mul_scalar(t, 2), wg_square(du)));
        wg_tensor *factor = wg_add(du, wg_mul(wg_mul_scalar(a, 0.5), bend));
        factor = wg_mul(wg_rsub_scalar(wg_square(t), 1), factor);
        wg_vjp_set(v, 1, wg_mul(wg_mul(wg_vjp_grad(v), wg_vjp_in(v, 0)), factor));
    }
}
static const wg_op gelu_tanh_backward_op = {.name = "gelu_tanh_backward",
                                            .kind = WG_OP_MAP,
                                            .saves = WG_SAVE_IN(0) | WG_SAVE_IN(1),
                                            .after = WG_AFTER_GELU_TANH_GRAD,
                                            .emit = emit_gelu_tanh_backward,
                                            .vjp = vjp_gelu_tanh_backward};
static wg_tensor *gelu_tanh_backward(wg_tensor *grad, wg_tensor *a) {
    wg_graph *g;
    if (!wg_check("gelu_tanh_backward", &g, (wg_tensor *[]){grad, a}, 2)) {
        return NULL;
    }
    wg_call call = {.in = {grad, a}, .nin = 2, .dtype = wg_op_dtype(a)};
    return wg_op_map(g, &gelu_tanh_backward_op, &call, 0, wg_op_dtype(a));
}
static void vjp_gelu_tanh(wg_vjp *v) { wg_vjp_set(v, 0, gelu_tanh_backward(wg_vjp_grad(v), wg_vjp_in(v, 0))); }
static const wg_op gelu_tanh_op = {.name = "gelu_tanh",
                                   .kind = WG_OP_MAP,
                                   .vjp_narrow = true,
                                   .saves = WG_SAVE_IN(0),
                                   .after = WG_AFTER_GELU_TANH,
                                   .emit = emit_gelu_tanh,
                                   .vjp = vjp_gelu_tanh};
wg_tensor *wg_gelu_tanh(wg_tensor *a) { return floating(&gelu_tanh_op, a); }
