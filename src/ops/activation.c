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
/* With t = tanh(u): g ((1 + t) / 2 + a/2 (1 - t^2) u') */
static void vjp_gelu_tanh(wg_vjp *v) {
    wg_tensor *a = wg_vjp_in(v, 0), *aa = wg_square(a);
    wg_tensor *u = wg_mul_scalar(wg_add(a, wg_mul_scalar(wg_mul(aa, a), cubic)), sqrt_2_over_pi);
    wg_tensor *t = wg_tanh(u);
    wg_tensor *left = wg_mul_scalar(wg_add_scalar(t, 1), 0.5);
    wg_tensor *du = wg_mul_scalar(wg_add_scalar(wg_mul_scalar(aa, 3 * cubic), 1), sqrt_2_over_pi);
    wg_tensor *right = wg_mul(wg_mul(wg_mul_scalar(a, 0.5), wg_rsub_scalar(wg_square(t), 1)), du);
    wg_vjp_set(v, 0, wg_mul(wg_vjp_grad(v), wg_add(left, right)));
}
static const wg_op gelu_tanh_op = {.name = "gelu_tanh",
                                   .kind = WG_OP_MAP,
                                   .saves = WG_SAVE_IN(0),
                                   .after = WG_AFTER_GELU_TANH,
                                   .emit = emit_gelu_tanh,
                                   .vjp = vjp_gelu_tanh};
wg_tensor *wg_gelu_tanh(wg_tensor *a) { return floating(&gelu_tanh_op, a); }
