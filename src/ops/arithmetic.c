/* Arithmetic of two tensors, and of a tensor and a scalar. */
#include "ops/common.h"

/* ---- how they are recorded ------------------------------------------------------------------------------------------ */

/* The dtype an op computes in and gives. */
typedef enum rule {
    PROMOTED,    /* that of the operands together */
    FLOATING,    /* the same, but f32 instead of an integer */
    NO_BOOL,     /* promoted; a bool operand is refused, as PyTorch does where bools have no obvious meaning */
    NO_BOOL_BOTH /* promoted; refused if that is bool */
} rule;

static bool refused(wg_graph *g, const wg_op *op, rule r, wg_tensor *a, wg_dtype d) {
    bool refuse = (r == NO_BOOL && wg_op_dtype(a) == WG_BOOL) || (r == NO_BOOL_BOTH && d == WG_BOOL);
    if (refuse) {
        wg_op_refuse(g, op->name, WG_ERR_DTYPE, a, "not for bool; cast it first");
    }
    return refuse;
}

static wg_tensor *binary(const wg_op *op, rule r, wg_tensor *a, wg_tensor *b) {
    wg_graph *g;
    if (!wg_check(op->name, &g, (wg_tensor *[]){a, b}, 2)) {
        return NULL;
    }
    wg_dtype d = wg_promote_types(wg_op_dtype(a), wg_op_dtype(b));
    if (refused(g, op, r, a, d) || refused(g, op, r, b, d)) {
        return NULL;
    }
    d = r == FLOATING ? wg_op_floating(d) : d;
    wg_call call = {.in = {a, b}, .nin = 2, .dtype = d};
    return wg_op_map(g, op, &call, 0, d);
}

static wg_tensor *with_scalar(const wg_op *op, rule r, wg_tensor *a, double b) {
    wg_graph *g;
    if (!wg_check(op->name, &g, &a, 1)) {
        return NULL;
    }
    wg_dtype d = wg_promote_scalar(wg_op_dtype(a), wg_scalar_kind(b));
    if (refused(g, op, r, a, d)) {
        return NULL;
    }
    return wg_op_map1(g, op, a, r == FLOATING ? wg_op_floating(d) : d, b, 0);
}

static wg_x in_op_in(wg_expr *x, wg_prim prim) { return wg_x_binary(x, prim, wg_x_in(x, 0), wg_x_in(x, 1)); }
static wg_x in_op_scalar(wg_expr *x, wg_prim prim, const wg_node *n) {
    return wg_x_binary(x, prim, wg_x_in(x, 0), wg_x_scalar(x, 0, (wg_dtype)n->dtype));
}
static wg_x scalar_op_in(wg_expr *x, wg_prim prim, const wg_node *n) {
    return wg_x_binary(x, prim, wg_x_scalar(x, 0, (wg_dtype)n->dtype), wg_x_in(x, 0));
}
static wg_prim for_bool(const wg_node *n, wg_prim boolean, wg_prim other) {
    return n->dtype == WG_BOOL ? boolean : other;
}

/* ---- add, sub ------------------------------------------------------------------------------------------------------- */

static wg_x emit_add(wg_expr *x, const wg_node *n) { return in_op_in(x, for_bool(n, WG_P_OR, WG_P_ADD)); }
static void vjp_add(wg_vjp *v) {
    wg_vjp_set(v, 0, wg_vjp_grad(v));
    wg_vjp_set(v, 1, wg_vjp_grad(v));
}
static const wg_op add_op = {
    .name = "add", .kind = WG_OP_MAP, .sums = true, .after = WG_AFTER_ADD, .emit = emit_add, .vjp = vjp_add};
wg_tensor *wg_add(wg_tensor *a, wg_tensor *b) { return binary(&add_op, PROMOTED, a, b); }

static wg_x emit_sub(wg_expr *x, const wg_node *n) {
    (void)n;
    return in_op_in(x, WG_P_SUB);
}
static void vjp_sub(wg_vjp *v) {
    wg_vjp_set(v, 0, wg_vjp_grad(v));
    if (wg_vjp_needs(v, 1)) {
        wg_vjp_set(v, 1, wg_neg(wg_vjp_grad(v)));
    }
}
static const wg_op sub_op = {.name = "sub", .kind = WG_OP_MAP, .emit = emit_sub, .vjp = vjp_sub};
wg_tensor *wg_sub(wg_tensor *a, wg_tensor *b) { return binary(&sub_op, NO_BOOL, a, b); }

static void vjp_pass(wg_vjp *v) { wg_vjp_set(v, 0, wg_vjp_grad(v)); }

static wg_x emit_add_scalar(wg_expr *x, const wg_node *n) { return in_op_scalar(x, WG_P_ADD, n); }
static const wg_op add_scalar_op = {.name = "add_scalar", .kind = WG_OP_MAP, .emit = emit_add_scalar, .vjp = vjp_pass};
wg_tensor *wg_add_scalar(wg_tensor *a, double b) { return with_scalar(&add_scalar_op, PROMOTED, a, b); }

static wg_x emit_sub_scalar(wg_expr *x, const wg_node *n) { return in_op_scalar(x, WG_P_SUB, n); }
static const wg_op sub_scalar_op = {.name = "sub_scalar", .kind = WG_OP_MAP, .emit = emit_sub_scalar, .vjp = vjp_pass};
wg_tensor *wg_sub_scalar(wg_tensor *a, double b) { return with_scalar(&sub_scalar_op, NO_BOOL, a, b); }

static wg_x emit_rsub_scalar(wg_expr *x, const wg_node *n) { return scalar_op_in(x, WG_P_SUB, n); }
static void vjp_rsub_scalar(wg_vjp *v) { wg_vjp_set(v, 0, wg_neg(wg_vjp_grad(v))); }
static const wg_op rsub_scalar_op = {
    .name = "rsub_scalar", .kind = WG_OP_MAP, .emit = emit_rsub_scalar, .vjp = vjp_rsub_scalar};
wg_tensor *wg_rsub_scalar(wg_tensor *a, double b) { return with_scalar(&rsub_scalar_op, NO_BOOL, a, b); }

/* ---- mul, div ------------------------------------------------------------------------------------------------------- */

static wg_x emit_mul(wg_expr *x, const wg_node *n) { return in_op_in(x, for_bool(n, WG_P_AND, WG_P_MUL)); }
static void vjp_mul(wg_vjp *v) {
    for (int i = 0; i < 2; i++) {
        if (wg_vjp_needs(v, i)) {
            wg_vjp_set(v, i, wg_mul(wg_vjp_grad(v), wg_vjp_in(v, 1 - i)));
        }
    }
}
static const wg_op mul_op = {
    .name = "mul", .kind = WG_OP_MAP, .saves = WG_SAVE_IN(0) | WG_SAVE_IN(1), .emit = emit_mul, .vjp = vjp_mul};
wg_tensor *wg_mul(wg_tensor *a, wg_tensor *b) { return binary(&mul_op, PROMOTED, a, b); }

static wg_x emit_mul_scalar(wg_expr *x, const wg_node *n) { return in_op_scalar(x, WG_P_MUL, n); }
static void vjp_mul_scalar(wg_vjp *v) { wg_vjp_set(v, 0, wg_mul_scalar(wg_vjp_grad(v), wg_vjp_node(v)->scalar[0])); }
static const wg_op mul_scalar_op = {
    .name = "mul_scalar", .kind = WG_OP_MAP, .emit = emit_mul_scalar, .vjp = vjp_mul_scalar};
wg_tensor *wg_mul_scalar(wg_tensor *a, double b) { return with_scalar(&mul_scalar_op, PROMOTED, a, b); }

static wg_x emit_div(wg_expr *x, const wg_node *n) {
    (void)n;
    return in_op_in(x, WG_P_DIV);
}
static void vjp_div(wg_vjp *v) {
    wg_tensor *g = wg_vjp_grad(v), *b = wg_vjp_in(v, 1);
    if (wg_vjp_needs(v, 0)) {
        wg_vjp_set(v, 0, wg_div(g, b));
    }
    if (wg_vjp_needs(v, 1)) {
        wg_vjp_set(v, 1, wg_mul(wg_neg(g), wg_div(wg_div(wg_vjp_in(v, 0), b), b)));
    }
}
static const wg_op div_op = {
    .name = "div", .kind = WG_OP_MAP, .saves = WG_SAVE_IN(0) | WG_SAVE_IN(1), .emit = emit_div, .vjp = vjp_div};
wg_tensor *wg_div(wg_tensor *a, wg_tensor *b) { return binary(&div_op, FLOATING, a, b); }

static wg_x emit_div_scalar(wg_expr *x, const wg_node *n) { return in_op_scalar(x, WG_P_DIV, n); }
static void vjp_div_scalar(wg_vjp *v) { wg_vjp_set(v, 0, wg_div_scalar(wg_vjp_grad(v), wg_vjp_node(v)->scalar[0])); }
static const wg_op div_scalar_op = {
    .name = "div_scalar", .kind = WG_OP_MAP, .emit = emit_div_scalar, .vjp = vjp_div_scalar};
wg_tensor *wg_div_scalar(wg_tensor *a, double b) { return with_scalar(&div_scalar_op, FLOATING, a, b); }

static wg_x emit_rdiv_scalar(wg_expr *x, const wg_node *n) { return scalar_op_in(x, WG_P_DIV, n); }
static void vjp_rdiv_scalar(wg_vjp *v) {
    wg_tensor *a = wg_vjp_in(v, 0);
    wg_tensor *quotient = wg_rdiv_scalar(a, wg_vjp_node(v)->scalar[0]);
    wg_vjp_set(v, 0, wg_mul(wg_neg(wg_vjp_grad(v)), wg_div(quotient, a)));
}
static const wg_op rdiv_scalar_op = {
    .name = "rdiv_scalar", .kind = WG_OP_MAP, .saves = WG_SAVE_IN(0), .emit = emit_rdiv_scalar, .vjp = vjp_rdiv_scalar};
wg_tensor *wg_rdiv_scalar(wg_tensor *a, double b) { return with_scalar(&rdiv_scalar_op, FLOATING, a, b); }

/* ---- pow ------------------------------------------------------------------------------------------------------------ */

/* The integer primitive multiplies repeatedly and takes exponents >= 0. Of the powers with a negative one only those of
 * 1 and -1 are integers, and there the exponent's parity decides. */
static wg_x emit_pow(wg_expr *x, const wg_node *n) {
    wg_dtype d = (wg_dtype)n->dtype;
    wg_x a = wg_x_in(x, 0), b = wg_x_in(x, 1);
    if (d == WG_U8 || wg_dtype_is_float(d)) {
        return wg_x_binary(x, WG_P_POW, a, b);
    }
    wg_x zero = wg_x_const(x, d, 0), one = wg_x_const(x, d, 1), two = wg_x_const(x, d, 2);
    wg_x negative = wg_x_binary(x, WG_P_LT, b, zero);
    wg_x parity = wg_x_unary(x, WG_P_ABS, wg_x_binary(x, WG_P_REM, b, two));
    wg_x power = wg_x_binary(x, WG_P_POW, a, wg_x_select(x, negative, parity, b));
    wg_x fraction = wg_x_binary(x, WG_P_NE, wg_x_unary(x, WG_P_ABS, a), one);
    return wg_x_select(x, wg_x_binary(x, WG_P_AND, negative, fraction), zero, power);
}

/* Masks keep 0 * inf out of both gradients, and out of their gradients. d/da = b a^(b-1), 0 where b = 0.
 * d/db = a^b log a, 0 where a = 0 and b >= 0. */
static void vjp_pow(wg_vjp *v) {
    wg_tensor *g = wg_vjp_grad(v), *a = wg_vjp_in(v, 0), *b = wg_vjp_in(v, 1);
    if (wg_vjp_needs(v, 0)) {
        wg_tensor *flat = wg_eq_scalar(b, 0);
        wg_tensor *slope = wg_mul(b, wg_pow(a, wg_op_zero_where(flat, wg_sub_scalar(b, 1))));
        wg_vjp_set(v, 0, wg_op_zero_where(flat, wg_mul(g, slope)));
    }
    if (wg_vjp_needs(v, 1)) {
        wg_tensor *edge = wg_mul(wg_eq_scalar(a, 0), wg_ge_scalar(b, 0));
        wg_tensor *log_a = wg_log(wg_where(edge, wg_ones_like(a), a));
        wg_vjp_set(v, 1, wg_mul(g, wg_mul(wg_vjp_out(v), log_a)));
    }
}
static const wg_op pow_op = {.name = "pow",
                             .kind = WG_OP_MAP,
                             .saves = WG_SAVE_IN(0) | WG_SAVE_IN(1) | WG_SAVE_OUT,
                             .emit = emit_pow,
                             .vjp = vjp_pow};
wg_tensor *wg_pow(wg_tensor *a, wg_tensor *b) { return binary(&pow_op, NO_BOOL_BOTH, a, b); }

static wg_x emit_pow_scalar(wg_expr *x, const wg_node *n) { return in_op_scalar(x, WG_P_POW, n); }
static void vjp_pow_scalar(wg_vjp *v) {
    wg_tensor *g = wg_vjp_grad(v);
    double b = wg_vjp_node(v)->scalar[0];
    wg_vjp_set(v, 0, b == 0 ? wg_zeros_like(g) : wg_mul(g, wg_mul_scalar(wg_pow_scalar(wg_vjp_in(v, 0), b - 1), b)));
}
static const wg_op pow_scalar_op = {
    .name = "pow_scalar", .kind = WG_OP_MAP, .saves = WG_SAVE_IN(0), .emit = emit_pow_scalar, .vjp = vjp_pow_scalar};

static wg_x emit_cube(wg_expr *x, const wg_node *n) {
    (void)n;
    wg_x a = wg_x_in(x, 0);
    return wg_x_binary(x, WG_P_MUL, wg_x_binary(x, WG_P_MUL, a, a), a);
}
static const wg_op cube_op = {
    .name = "pow_scalar", .kind = WG_OP_MAP, .saves = WG_SAVE_IN(0), .emit = emit_cube, .vjp = vjp_pow_scalar};

/* Integers to a whole power. */
static bool exponent_fits(wg_graph *g, const wg_tensor *a, wg_dtype d, double b) {
    double most = d == WG_U8 ? 255 : d == WG_I32 ? 0x1p31 - 1 : 0x1p62;
    if (b >= 0 && b <= most) {
        return true;
    }
    wg_fail(g, WG_ERR_ARG, "pow_scalar: %s %s: the exponent %g is %s", wg_dtype_name(wg_op_dtype(a)),
            wg_shape_print(wg_op_shape(a)).s, b, b < 0 ? "negative, and integers stay integers" : "outside the dtype");
    return false;
}

wg_tensor *wg_pow_scalar(wg_tensor *a, double b) {
    wg_graph *g;
    if (!wg_check("pow_scalar", &g, &a, 1)) {
        return NULL;
    }
    wg_dtype d = wg_promote_scalar(wg_op_dtype(a), wg_scalar_kind(b));
    if (!wg_dtype_is_float(d) && !exponent_fits(g, a, d, b)) {
        return NULL;
    }
    if (!wg_scope_push(g)) {
        return NULL;
    }
    wg_tensor *base = d == wg_op_dtype(a) ? a : wg_cast(a, d), *r;
    if (!base) {
        r = NULL;
    } else if (b == 1) {
        r = wg_op_same(base);
    } else if (b == 2) {
        r = wg_square(base);
    } else if (b == 3) {
        r = wg_op_map1(g, &cube_op, base, d, b, 0);
    } else if (b == 0.5) {
        r = wg_sqrt(base);
    } else if (b == -0.5) {
        r = wg_rsqrt(base);
    } else if (b == -1) {
        r = wg_reciprocal(base);
    } else if (b == -2) {
        r = wg_op_as(wg_reciprocal(wg_square(wg_op_widened(base))), d);
    } else {
        r = wg_op_map1(g, &pow_scalar_op, base, d, b, 0);
    }
    return wg_op_leave(g, r);
}

/* ---- maximum, minimum ----------------------------------------------------------------------------------------------- */

static wg_x emit_maximum(wg_expr *x, const wg_node *n) { return in_op_in(x, for_bool(n, WG_P_OR, WG_P_MAX)); }
static wg_x emit_minimum(wg_expr *x, const wg_node *n) { return in_op_in(x, for_bool(n, WG_P_AND, WG_P_MIN)); }

/* Half at ties, nothing to the operand that loses; where one is NaN neither loses. */
static void vjp_extreme(wg_vjp *v, wg_tensor *(*loses)(wg_tensor *, wg_tensor *)) {
    wg_tensor *g = wg_vjp_grad(v), *in[2] = {wg_vjp_in(v, 0), wg_vjp_in(v, 1)};
    wg_tensor *share = wg_where(wg_eq(in[0], in[1]), wg_mul_scalar(g, 0.5), g);
    for (int i = 0; i < 2; i++) {
        if (wg_vjp_needs(v, i)) {
            wg_vjp_set(v, i, wg_op_zero_where(loses(in[i], in[1 - i]), share));
        }
    }
}
static void vjp_maximum(wg_vjp *v) { vjp_extreme(v, wg_lt); }
static void vjp_minimum(wg_vjp *v) { vjp_extreme(v, wg_gt); }
static const wg_op maximum_op = {.name = "maximum",
                                 .kind = WG_OP_MAP,
                                 .saves = WG_SAVE_IN(0) | WG_SAVE_IN(1),
                                 .emit = emit_maximum,
                                 .vjp = vjp_maximum};
static const wg_op minimum_op = {.name = "minimum",
                                 .kind = WG_OP_MAP,
                                 .saves = WG_SAVE_IN(0) | WG_SAVE_IN(1),
                                 .emit = emit_minimum,
                                 .vjp = vjp_minimum};
wg_tensor *wg_maximum(wg_tensor *a, wg_tensor *b) { return binary(&maximum_op, PROMOTED, a, b); }
wg_tensor *wg_minimum(wg_tensor *a, wg_tensor *b) { return binary(&minimum_op, PROMOTED, a, b); }
