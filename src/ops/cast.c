/* Conversion between dtypes. */
#include "ops/common.h"

static wg_x emit_cast(wg_expr *x, const wg_node *n) {
    wg_x a = wg_x_in(x, 0);
    wg_dtype from = wg_x_dtype(x, a);
    if (n->dtype == WG_BOOL && from != WG_BOOL) {
        return wg_x_binary(x, WG_P_NE, a, wg_x_const(x, from, 0));
    }
    return wg_x_cast(x, a, (wg_dtype)n->dtype);
}
/* The backward loop converts the gradient back. */
static void vjp_cast(wg_vjp *v) { wg_vjp_set(v, 0, wg_vjp_grad(v)); }
static const wg_op cast_op = {.name = "cast", .kind = WG_OP_MAP, .emit = emit_cast, .vjp = vjp_cast};

wg_tensor *wg_cast(wg_tensor *a, wg_dtype dtype) {
    wg_graph *g;
    if (!wg_check("cast", &g, &a, 1)) {
        return NULL;
    }
    if (!wg_dtype_valid(dtype)) {
        return wg_fail(g, WG_ERR_DTYPE, "cast: %s: dtype %s is not available", wg_shape_print(wg_op_shape(a)).s,
                       wg_dtype_name(dtype));
    }
    if (dtype == wg_op_dtype(a)) {
        return wg_op_same(a);
    }
    return wg_record(g, &cast_op, &(wg_call){.in = {a}, .nin = 1, .dtype = dtype, .shape = *wg_op_shape(a)});
}
