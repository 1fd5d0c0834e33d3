/* Functions of one tensor. */
#include "ops/common.h"

/* ---- how they are recorded ------------------------------------------------------------------------------------------ */

/* Floating: integers compute in f32. */
static wg_tensor *floating(const wg_op *op, wg_tensor *a) {
    wg_graph *g;
    return wg_check(op->name, &g, &a, 1) ? wg_op_map1(g, op, a, wg_op_floating(wg_op_dtype(a)), 0, 0) : NULL;
}

/* In a's dtype. */
static wg_tensor *keeping(const wg_op *op, wg_tensor *a) {
    wg_graph *g;
    return wg_check(op->name, &g, &a, 1) ? wg_op_map1(g, op, a, wg_op_dtype(a), 0, 0) : NULL;
}

static wg_x of_in(wg_expr *x, wg_prim prim) { return wg_x_unary(x, prim, wg_x_in(x, 0)); }
static bool is_unsigned(const wg_node *n) { return n->dtype == WG_BOOL || n->dtype == WG_U8; }

/* ---- keep the dtype ------------------------------------------------------------------------------------------------- */

static wg_x emit_neg(wg_expr *x, const wg_node *n) {
    (void)n;
    return of_in(x, WG_P_NEG);
}
static void vjp_neg(wg_vjp *v) { wg_vjp_set(v, 0, wg_neg(wg_vjp_grad(v))); }
static const wg_op neg_op = {.name = "neg", .kind = WG_OP_MAP, .emit = emit_neg, .vjp = vjp_neg};
wg_tensor *wg_neg(wg_tensor *a) {
    if (a && wg_op_dtype(a) == WG_BOOL) {
        return wg_op_refuse(a->graph, "neg", WG_ERR_DTYPE, a, "not for bool; cast it first");
    }
    return keeping(&neg_op, a);
}

static wg_x emit_abs(wg_expr *x, const wg_node *n) { return is_unsigned(n) ? wg_x_in(x, 0) : of_in(x, WG_P_ABS); }
static void vjp_abs(wg_vjp *v) { wg_vjp_set(v, 0, wg_mul(wg_vjp_grad(v), wg_detach(wg_sign(wg_vjp_in(v, 0))))); }
static const wg_op abs_op = {
    .name = "abs", .kind = WG_OP_MAP, .saves = WG_SAVE_IN(0), .emit = emit_abs, .vjp = vjp_abs};
wg_tensor *wg_abs(wg_tensor *a) { return keeping(&abs_op, a); }

/* Zeros and NaN stand for themselves. */
static wg_x emit_sign(wg_expr *x, const wg_node *n) {
    wg_dtype d = (wg_dtype)n->dtype;
    wg_x a = wg_x_in(x, 0);
    if (d == WG_BOOL) {
        return a;
    }
    wg_x zero = wg_x_const(x, d, 0), rest = a;
    if (d != WG_U8) {
        rest = wg_x_select(x, wg_x_binary(x, WG_P_LT, a, zero), wg_x_const(x, d, -1), a);
    }
    return wg_x_select(x, wg_x_binary(x, WG_P_GT, a, zero), wg_x_const(x, d, 1), rest);
}
static void vjp_sign(wg_vjp *v) { wg_vjp_set(v, 0, wg_zeros_like(wg_vjp_grad(v))); }
static const wg_op sign_op = {.name = "sign", .kind = WG_OP_MAP, .emit = emit_sign, .vjp = vjp_sign};
wg_tensor *wg_sign(wg_tensor *a) { return keeping(&sign_op, a); }

static wg_x emit_square(wg_expr *x, const wg_node *n) {
    wg_x a = wg_x_in(x, 0);
    return n->dtype == WG_BOOL ? a : wg_x_binary(x, WG_P_MUL, a, a);
}
static void vjp_square(wg_vjp *v) { wg_vjp_set(v, 0, wg_mul(wg_vjp_grad(v), wg_mul_scalar(wg_vjp_in(v, 0), 2))); }
static const wg_op square_op = {
    .name = "square", .kind = WG_OP_MAP, .saves = WG_SAVE_IN(0), .emit = emit_square, .vjp = vjp_square};
wg_tensor *wg_square(wg_tensor *a) { return keeping(&square_op, a); }

/* ---- roots and reciprocals ------------------------------------------------------------------------------------------ */

static wg_x one_over(wg_expr *x, wg_x a) { return wg_x_binary(x, WG_P_DIV, wg_x_const(x, wg_x_dtype(x, a), 1), a); }

static wg_x emit_sqrt(wg_expr *x, const wg_node *n) {
    (void)n;
    return of_in(x, WG_P_SQRT);
}
static void vjp_sqrt(wg_vjp *v) { wg_vjp_set(v, 0, wg_div(wg_vjp_grad(v), wg_mul_scalar(wg_vjp_out(v), 2))); }
static const wg_op sqrt_op = {
    .name = "sqrt", .kind = WG_OP_MAP, .saves = WG_SAVE_OUT, .emit = emit_sqrt, .vjp = vjp_sqrt};
wg_tensor *wg_sqrt(wg_tensor *a) { return floating(&sqrt_op, a); }

static wg_x emit_rsqrt(wg_expr *x, const wg_node *n) {
    (void)n;
    return one_over(x, of_in(x, WG_P_SQRT));
}
static void vjp_rsqrt(wg_vjp *v) {
    wg_vjp_set(v, 0, wg_mul(wg_mul_scalar(wg_vjp_grad(v), -0.5), wg_pow_scalar(wg_vjp_out(v), 3)));
}
static const wg_op rsqrt_op = {
    .name = "rsqrt", .kind = WG_OP_MAP, .saves = WG_SAVE_OUT, .emit = emit_rsqrt, .vjp = vjp_rsqrt};
wg_tensor *wg_rsqrt(wg_tensor *a) { return floating(&rsqrt_op, a); }

static wg_x emit_reciprocal(wg_expr *x, const wg_node *n) {
    (void)n;
    return one_over(x, wg_x_in(x, 0));
}
static void vjp_reciprocal(wg_vjp *v) { wg_vjp_set(v, 0, wg_mul(wg_neg(wg_vjp_grad(v)), wg_square(wg_vjp_out(v)))); }
static const wg_op reciprocal_op = {
    .name = "reciprocal", .kind = WG_OP_MAP, .saves = WG_SAVE_OUT, .emit = emit_reciprocal, .vjp = vjp_reciprocal};
wg_tensor *wg_reciprocal(wg_tensor *a) { return floating(&reciprocal_op, a); }

/* ---- elementary functions ------------------------------------------------------------------------------------------- */

static wg_x emit_exp(wg_expr *x, const wg_node *n) {
    (void)n;
    return of_in(x, WG_P_EXP);
}
static void vjp_exp(wg_vjp *v) { wg_vjp_set(v, 0, wg_mul(wg_vjp_grad(v), wg_vjp_out(v))); }
static const wg_op exp_op = {.name = "exp", .kind = WG_OP_MAP, .saves = WG_SAVE_OUT, .emit = emit_exp, .vjp = vjp_exp};
wg_tensor *wg_exp(wg_tensor *a) { return floating(&exp_op, a); }

static wg_x emit_log(wg_expr *x, const wg_node *n) {
    (void)n;
    return of_in(x, WG_P_LOG);
}
static void vjp_log(wg_vjp *v) { wg_vjp_set(v, 0, wg_div(wg_vjp_grad(v), wg_vjp_in(v, 0))); }
static const wg_op log_op = {
    .name = "log", .kind = WG_OP_MAP, .saves = WG_SAVE_IN(0), .emit = emit_log, .vjp = vjp_log};
wg_tensor *wg_log(wg_tensor *a) { return floating(&log_op, a); }

static wg_x emit_sin(wg_expr *x, const wg_node *n) {
    (void)n;
    return of_in(x, WG_P_SIN);
}
static void vjp_sin(wg_vjp *v) { wg_vjp_set(v, 0, wg_mul(wg_vjp_grad(v), wg_cos(wg_vjp_in(v, 0)))); }
static const wg_op sin_op = {
    .name = "sin", .kind = WG_OP_MAP, .saves = WG_SAVE_IN(0), .emit = emit_sin, .vjp = vjp_sin};
wg_tensor *wg_sin(wg_tensor *a) { return floating(&sin_op, a); }

static wg_x emit_cos(wg_expr *x, const wg_node *n) {
    (void)n;
    return of_in(x, WG_P_COS);
}
static void vjp_cos(wg_vjp *v) { wg_vjp_set(v, 0, wg_mul(wg_vjp_grad(v), wg_neg(wg_sin(wg_vjp_in(v, 0))))); }
static const wg_op cos_op = {
    .name = "cos", .kind = WG_OP_MAP, .saves = WG_SAVE_IN(0), .emit = emit_cos, .vjp = vjp_cos};
wg_tensor *wg_cos(wg_tensor *a) { return floating(&cos_op, a); }

static wg_x emit_tanh(wg_expr *x, const wg_node *n) {
    (void)n;
    return of_in(x, WG_P_TANH);
}
static void vjp_tanh(wg_vjp *v) {
    wg_vjp_set(v, 0, wg_mul(wg_vjp_grad(v), wg_rsub_scalar(wg_square(wg_vjp_out(v)), 1)));
}
static const wg_op tanh_op = {
    .name = "tanh", .kind = WG_OP_MAP, .saves = WG_SAVE_OUT, .emit = emit_tanh, .vjp = vjp_tanh};
wg_tensor *wg_tanh(wg_tensor *a) { return floating(&tanh_op, a); }

static wg_x emit_erf(wg_expr *x, const wg_node *n) {
    (void)n;
    return of_in(x, WG_P_ERF);
}
/* 2 / sqrt(pi) exp(-x^2) */
static void vjp_erf(wg_vjp *v) {
    wg_tensor *bell = wg_exp(wg_neg(wg_square(wg_vjp_in(v, 0))));
    wg_vjp_set(v, 0, wg_mul(wg_mul_scalar(bell, 1.1283791670955126), wg_vjp_grad(v)));
}
static const wg_op erf_op = {
    .name = "erf", .kind = WG_OP_MAP, .saves = WG_SAVE_IN(0), .emit = emit_erf, .vjp = vjp_erf};
wg_tensor *wg_erf(wg_tensor *a) { return floating(&erf_op, a); }
