/* Comparisons, selection by a condition, clamping. */
#include "ops/common.h"

#include <math.h>

/* ---- two tensors ---------------------------------------------------------------------------------------------------- */

/* bool is compared as the integers 0 and 1. */
static wg_x comparable(wg_expr *x, wg_x a) { return wg_x_dtype(x, a) == WG_BOOL ? wg_x_cast(x, a, WG_I32) : a; }

static wg_x compare(wg_expr *x, wg_prim prim) {
    return wg_x_binary(x, prim, comparable(x, wg_x_in(x, 0)), comparable(x, wg_x_in(x, 1)));
}

static wg_tensor *comparison(const wg_op *op, wg_tensor *a, wg_tensor *b) {
    wg_graph *g;
    if (!wg_check(op->name, &g, (wg_tensor *[]){a, b}, 2)) {
        return NULL;
    }
    wg_call call = {.in = {a, b}, .nin = 2, .dtype = WG_BOOL};
    return wg_op_map(g, op, &call, 0, wg_promote_types(wg_op_dtype(a), wg_op_dtype(b)));
}

static wg_x emit_eq(wg_expr *x, const wg_node *n) { return (void)n, compare(x, WG_P_EQ); }
static wg_x emit_ne(wg_expr *x, const wg_node *n) { return (void)n, compare(x, WG_P_NE); }
static wg_x emit_lt(wg_expr *x, const wg_node *n) { return (void)n, compare(x, WG_P_LT); }
static wg_x emit_le(wg_expr *x, const wg_node *n) { return (void)n, compare(x, WG_P_LE); }
static wg_x emit_gt(wg_expr *x, const wg_node *n) { return (void)n, compare(x, WG_P_GT); }
static wg_x emit_ge(wg_expr *x, const wg_node *n) { return (void)n, compare(x, WG_P_GE); }
static const wg_op eq_op = {.name = "eq", .kind = WG_OP_MAP, .emit = emit_eq};
static const wg_op ne_op = {.name = "ne", .kind = WG_OP_MAP, .emit = emit_ne};
static const wg_op lt_op = {.name = "lt", .kind = WG_OP_MAP, .emit = emit_lt};
static const wg_op le_op = {.name = "le", .kind = WG_OP_MAP, .emit = emit_le};
static const wg_op gt_op = {.name = "gt", .kind = WG_OP_MAP, .emit = emit_gt};
static const wg_op ge_op = {.name = "ge", .kind = WG_OP_MAP, .emit = emit_ge};
wg_tensor *wg_eq(wg_tensor *a, wg_tensor *b) { return comparison(&eq_op, a, b); }
wg_tensor *wg_ne(wg_tensor *a, wg_tensor *b) { return comparison(&ne_op, a, b); }
wg_tensor *wg_lt(wg_tensor *a, wg_tensor *b) { return comparison(&lt_op, a, b); }
wg_tensor *wg_le(wg_tensor *a, wg_tensor *b) { return comparison(&le_op, a, b); }
wg_tensor *wg_gt(wg_tensor *a, wg_tensor *b) { return comparison(&gt_op, a, b); }
wg_tensor *wg_ge(wg_tensor *a, wg_tensor *b) { return comparison(&ge_op, a, b); }

/* ---- a tensor and a scalar: attr 0 is the dtype to compare in ------------------------------------------------------- */

/* Wide enough that a whole number outside a's dtype compares as what it is. */
static wg_dtype scalar_compare_dtype(wg_dtype a, double b) {
    if (wg_dtype_is_float(a)) {
        return a;
    }
    if (wg_scalar_kind(b) == WG_KIND_FLOAT) {
        return WG_F32;
    }
    return a == WG_I64 || fabs(b) >= 0x1p31 ? WG_I64 : WG_I32;
}

static wg_x compare_scalar(wg_expr *x, wg_prim prim, const wg_node *n) {
    wg_dtype d = (wg_dtype)n->attr[0];
    wg_x b = wg_x_cast(x, wg_x_scalar(x, 0, d), d); /* a 16-bit float is compared with one */
    return wg_x_binary(x, prim, wg_x_cast(x, wg_x_in(x, 0), d), b);
}

static wg_tensor *scalar_comparison(const wg_op *op, wg_tensor *a, double b) {
    wg_graph *g;
    if (!wg_check(op->name, &g, &a, 1)) {
        return NULL;
    }
    wg_call call = {.in = {a},
                    .nin = 1,
                    .dtype = WG_BOOL,
                    .shape = *wg_op_shape(a),
                    .attr = {scalar_compare_dtype(wg_op_dtype(a), b)},
                    .scalar = {b}};
    return wg_record(g, op, &call);
}

static wg_x emit_eq_scalar(wg_expr *x, const wg_node *n) { return compare_scalar(x, WG_P_EQ, n); }
static wg_x emit_ne_scalar(wg_expr *x, const wg_node *n) { return compare_scalar(x, WG_P_NE, n); }
static wg_x emit_lt_scalar(wg_expr *x, const wg_node *n) { return compare_scalar(x, WG_P_LT, n); }
static wg_x emit_le_scalar(wg_expr *x, const wg_node *n) { return compare_scalar(x, WG_P_LE, n); }
static wg_x emit_gt_scalar(wg_expr *x, const wg_node *n) { return compare_scalar(x, WG_P_GT, n); }
static wg_x emit_ge_scalar(wg_expr *x, const wg_node *n) { return compare_scalar(x, WG_P_GE, n); }
static const wg_op eq_scalar_op = {.name = "eq_scalar", .kind = WG_OP_MAP, .emit = emit_eq_scalar};
static const wg_op ne_scalar_op = {.name = "ne_scalar", .kind = WG_OP_MAP, .emit = emit_ne_scalar};
static const wg_op lt_scalar_op = {.name = "lt_scalar", .kind = WG_OP_MAP, .emit = emit_lt_scalar};
static const wg_op le_scalar_op = {.name = "le_scalar", .kind = WG_OP_MAP, .emit = emit_le_scalar};
static const wg_op gt_scalar_op = {.name = "gt_scalar", .kind = WG_OP_MAP, .emit = emit_gt_scalar};
static const wg_op ge_scalar_op = {.name = "ge_scalar", .kind = WG_OP_MAP, .emit = emit_ge_scalar};
wg_tensor *wg_eq_scalar(wg_tensor *a, double b) { return scalar_comparison(&eq_scalar_op, a, b); }
wg_tensor *wg_ne_scalar(wg_tensor *a, double b) { return scalar_comparison(&ne_scalar_op, a, b); }
wg_tensor *wg_lt_scalar(wg_tensor *a, double b) { return scalar_comparison(&lt_scalar_op, a, b); }
wg_tensor *wg_le_scalar(wg_tensor *a, double b) { return scalar_comparison(&le_scalar_op, a, b); }
wg_tensor *wg_gt_scalar(wg_tensor *a, double b) { return scalar_comparison(&gt_scalar_op, a, b); }
wg_tensor *wg_ge_scalar(wg_tensor *a, double b) { return scalar_comparison(&ge_scalar_op, a, b); }

/* ---- where ---------------------------------------------------------------------------------------------------------- */

static wg_x emit_where(wg_expr *x, const wg_node *n) {
    (void)n;
    return wg_x_select(x, wg_x_in(x, 0), wg_x_in(x, 1), wg_x_in(x, 2));
}
static void vjp_where(wg_vjp *v) {
    if (wg_vjp_needs(v, 1)) {
        wg_vjp_set(v, 1, wg_op_where_or_zero(wg_vjp_in(v, 0), wg_vjp_grad(v)));
    }
    if (wg_vjp_needs(v, 2)) {
        wg_vjp_set(v, 2, wg_op_zero_where(wg_vjp_in(v, 0), wg_vjp_grad(v)));
    }
}
static const wg_op where_op = {
    .name = "where", .kind = WG_OP_MAP, .saves = WG_SAVE_IN(0), .emit = emit_where, .vjp = vjp_where};

wg_tensor *wg_where(wg_tensor *cond, wg_tensor *a, wg_tensor *b) {
    wg_graph *g;
    if (!wg_check("where", &g, (wg_tensor *[]){cond, a, b}, 3)) {
        return NULL;
    }
    if (wg_op_dtype(cond) != WG_BOOL) {
        return wg_op_refuse(g, "where", WG_ERR_DTYPE, cond, "the condition must be bool");
    }
    wg_dtype d = wg_promote_types(wg_op_dtype(a), wg_op_dtype(b));
    wg_call call = {.in = {cond, a, b}, .nin = 3, .dtype = d};
    return wg_op_map(g, &where_op, &call, 1, d);
}

/* ---- clamp: attr 0 tells which bounds there are --------------------------------------------------------------------- */

enum { HAS_LO = 1, HAS_HI = 2 };

static wg_x emit_clamp(wg_expr *x, const wg_node *n) {
    wg_x a = wg_x_in(x, 0);
    if (n->attr[0] & HAS_LO) {
        a = wg_x_binary(x, WG_P_MAX, a, wg_x_scalar(x, 0, (wg_dtype)n->dtype));
    }
    if (n->attr[0] & HAS_HI) {
        a = wg_x_binary(x, WG_P_MIN, a, wg_x_scalar(x, 1, (wg_dtype)n->dtype));
    }
    return a;
}
static void vjp_clamp(wg_vjp *v) {
    const wg_node *n = wg_vjp_node(v);
    wg_tensor *a = wg_vjp_in(v, 0);
    wg_tensor *above = n->attr[0] & HAS_LO ? wg_ge_scalar(a, n->scalar[0]) : NULL;
    wg_tensor *below = n->attr[0] & HAS_HI ? wg_le_scalar(a, n->scalar[1]) : NULL;
    wg_tensor *inside = above && below ? wg_mul(above, below) : above ? above : below;
    wg_vjp_set(v, 0, wg_op_where_or_zero(inside, wg_vjp_grad(v)));
}
static const wg_op clamp_op = {
    .name = "clamp", .kind = WG_OP_MAP, .saves = WG_SAVE_IN(0), .emit = emit_clamp, .vjp = vjp_clamp};

/* Bounds of an integer dtype as doubles; i64's upper one is the last double below 2^63. */
static double least(wg_dtype d) { return d == WG_U8 ? 0 : d == WG_I32 ? -0x1p31 : -0x1p63; }
static double most(wg_dtype d) { return d == WG_U8 ? 255 : d == WG_I32 ? 0x1p31 - 1 : 0x1.fffffffffffffp62; }

wg_tensor *wg_clamp(wg_tensor *a, double lo, double hi) {
    wg_graph *g;
    if (!wg_check("clamp", &g, &a, 1)) {
        return NULL;
    }
    wg_dtype d = wg_op_dtype(a);
    if (d == WG_BOOL) {
        return wg_op_refuse(g, "clamp", WG_ERR_DTYPE, a, "not for bool; cast it first");
    }
    d = isinf(lo) ? d : wg_promote_scalar(d, wg_scalar_kind(lo));
    d = isinf(hi) ? d : wg_promote_scalar(d, wg_scalar_kind(hi));
    if (!wg_dtype_is_float(d)) {
        lo = lo <= least(d) ? -INFINITY : lo > most(d) ? most(d) : lo;
        hi = hi >= most(d) ? INFINITY : hi < least(d) ? least(d) : hi;
    }
    int64_t bounds = (lo == -INFINITY ? 0 : HAS_LO) | (hi == INFINITY ? 0 : HAS_HI);
    if (bounds == 0) {
        return wg_cast(a, d);
    }
    wg_call call = {.in = {a}, .nin = 1, .dtype = d, .attr = {bounds}, .scalar = {lo, hi}};
    return wg_op_map(g, &clamp_op, &call, 0, d);
}
