/* New tensors: constants, ranges, random numbers. All are maps without operands, so they cost nothing until used. */
#include "ops/common.h"

#include <math.h>
#include <string.h>

/* A map without operands. */
static wg_tensor *create(wg_graph *g, const wg_op *op, wg_dtype dtype, const wg_shape *shape, double a, double b) {
    if (!wg_op_creatable(g, op->name, dtype, shape)) {
        return NULL;
    }
    return wg_record(g, op, &(wg_call){.dtype = dtype, .shape = *shape, .scalar = {a, b}});
}

/* ---- constants ------------------------------------------------------------------------------------------------------ */

static wg_x emit_zeros(wg_expr *x, const wg_node *n) { return wg_x_const(x, (wg_dtype)n->dtype, 0); }
static wg_x emit_ones(wg_expr *x, const wg_node *n) { return wg_x_const(x, (wg_dtype)n->dtype, 1); }
static wg_x emit_full(wg_expr *x, const wg_node *n) { return wg_x_scalar(x, 0, (wg_dtype)n->dtype); }
static const wg_op zeros_op = {.name = "zeros", .kind = WG_OP_MAP, .zeros = true, .emit = emit_zeros};
static const wg_op ones_op = {.name = "ones", .kind = WG_OP_MAP, .emit = emit_ones};
static const wg_op full_op = {.name = "full", .kind = WG_OP_MAP, .emit = emit_full};

wg_tensor *wg_op_zeros(wg_graph *g, wg_dtype dtype, const wg_shape *shape) {
    return create(g, &zeros_op, dtype, shape, 0, 0);
}

wg_tensor *wg_zeros(wg_ctx *ctx, wg_dtype dtype, wg_shape shape) {
    return ctx ? create(wg_graph_of(ctx), &zeros_op, dtype, &shape, 0, 0) : NULL;
}

wg_tensor *wg_ones(wg_ctx *ctx, wg_dtype dtype, wg_shape shape) {
    return ctx ? create(wg_graph_of(ctx), &ones_op, dtype, &shape, 0, 0) : NULL;
}

wg_tensor *wg_full(wg_ctx *ctx, wg_dtype dtype, wg_shape shape, double value) {
    return ctx ? create(wg_graph_of(ctx), &full_op, dtype, &shape, value, 0) : NULL;
}

/* Their shape and dtype are those of t, whose value does not matter. */
wg_tensor *wg_zeros_like(wg_tensor *t) {
    return t ? create(t->graph, &zeros_op, wg_op_dtype(t), wg_op_shape(t), 0, 0) : NULL;
}

wg_tensor *wg_ones_like(wg_tensor *t) {
    return t ? create(t->graph, &ones_op, wg_op_dtype(t), wg_op_shape(t), 0, 0) : NULL;
}

wg_tensor *wg_full_like(wg_tensor *t, double value) {
    return t ? create(t->graph, &full_op, wg_op_dtype(t), wg_op_shape(t), value, 0) : NULL;
}

/* ---- arange --------------------------------------------------------------------------------------------------------- */

static wg_x emit_arange(wg_expr *x, const wg_node *n) {
    wg_dtype d = wg_dtype_compute((wg_dtype)n->dtype);
    wg_x steps = wg_x_binary(x, WG_P_MUL, wg_x_cast(x, wg_x_coord(x, 0), d), wg_x_scalar(x, 1, d));
    return wg_x_binary(x, WG_P_ADD, wg_x_scalar(x, 0, d), steps);
}
static const wg_op arange_op = {.name = "arange", .kind = WG_OP_MAP, .emit = emit_arange};

wg_tensor *wg_arange(wg_ctx *ctx, wg_dtype dtype, double start, double end, double step) {
    if (!ctx) {
        return NULL;
    }
    wg_graph *g = wg_graph_of(ctx);
    if (!wg_op_creatable(g, "arange", dtype, &(wg_shape){0})) {
        return NULL;
    }
    if (dtype == WG_BOOL) {
        return wg_fail(g, WG_ERR_DTYPE, "arange: dtype bool does not count");
    }
    if (!wg_dtype_is_float(dtype)) { /* as torch: the bounds are of the dtype too */
        start = trunc(start);
        end = trunc(end);
        step = trunc(step);
    }
    double steps = (end - start) / step;
    if (step == 0 || !isfinite(start) || !(steps >= 0 && steps <= 0x1p48)) {
        return wg_fail(g, WG_ERR_ARG, "arange: no way from %g to %g in steps of %g", start, end, step);
    }
    const wg_shape shape = WG_SHAPE((int64_t)ceil(steps));
    return create(g, &arange_op, dtype, &shape, start, step);
}

/* ---- random --------------------------------------------------------------------------------------------------------- */

/* The element's words of Philox begin at `words` times its number; f64 takes two for a uniform number. */
static wg_x uniform(wg_expr *x, wg_dtype d, int words, int offset) {
    wg_x word = wg_x_number(x);
    if (words > 1) {
        word = wg_x_binary(x, WG_P_MUL, word, wg_x_const(x, WG_I64, words));
    }
    if (offset > 0) {
        word = wg_x_binary(x, WG_P_ADD, word, wg_x_const(x, WG_I64, offset));
    }
    return wg_x_random(x, d, word);
}

/* 16-bit floats take as many of the upper bits as they can hold: a number that were rounded could become 1. */
static wg_x emit_rand(wg_expr *x, const wg_node *n) {
    wg_dtype d = (wg_dtype)n->dtype;
    wg_x u = uniform(x, d, d == WG_F64 ? 2 : 1, 0);
    if (!wg_dtype_is_half(d)) {
        return u;
    }
    double steps = d == WG_F16 ? 0x1p11 : 0x1p8;
    wg_x step = wg_x_cast(x, wg_x_binary(x, WG_P_MUL, u, wg_x_const(x, d, steps)), WG_I32);
    return wg_x_binary(x, WG_P_MUL, wg_x_cast(x, step, WG_F32), wg_x_const(x, d, 1 / steps));
}

/* Box & Muller 1958: sqrt(-2 log(1 - u)) cos(2 pi v). 1 - u is never 0. */
static wg_x emit_randn(wg_expr *x, const wg_node *n) {
    wg_dtype d = (wg_dtype)n->dtype;
    int words = d == WG_F64 ? 2 : 1;
    wg_x u = uniform(x, d, 2 * words, 0), v = uniform(x, d, 2 * words, words);
    wg_x log_u = wg_x_unary(x, WG_P_LOG, wg_x_binary(x, WG_P_SUB, wg_x_const(x, d, 1), u));
    wg_x radius = wg_x_unary(x, WG_P_SQRT, wg_x_binary(x, WG_P_MUL, wg_x_const(x, d, -2), log_u));
    wg_x angle = wg_x_binary(x, WG_P_MUL, wg_x_const(x, d, 6.283185307179586), v);
    return wg_x_binary(x, WG_P_MUL, radius, wg_x_unary(x, WG_P_COS, angle));
}
static const wg_op rand_op = {.name = "rand", .kind = WG_OP_MAP, .draws = true, .emit = emit_rand};
static const wg_op randn_op = {.name = "randn", .kind = WG_OP_MAP, .draws = true, .emit = emit_randn};

static wg_tensor *random_tensor(wg_ctx *ctx, const wg_op *op, wg_dtype dtype, const wg_shape *shape) {
    if (!ctx) {
        return NULL;
    }
    wg_graph *g = wg_graph_of(ctx);
    if (!wg_op_creatable(g, op->name, dtype, shape)) {
        return NULL;
    }
    if (!wg_dtype_is_float(dtype)) {
        return wg_fail(g, WG_ERR_DTYPE, "%s: dtype %s is not floating", op->name, wg_dtype_name(dtype));
    }
    double seed; /* its bits: the writers hand them on as they are */
    memcpy(&seed, &g->seed, sizeof seed);
    return create(g, op, dtype, shape, (double)g->random++, seed);
}

wg_tensor *wg_rand(wg_ctx *ctx, wg_dtype dtype, wg_shape shape) { return random_tensor(ctx, &rand_op, dtype, &shape); }
wg_tensor *wg_randn(wg_ctx *ctx, wg_dtype dtype, wg_shape shape) {
    return random_tensor(ctx, &randn_op, dtype, &shape);
}
