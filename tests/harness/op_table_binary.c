/*
 * The op table: elementwise functions of two and three tensors.
 */
#include "op_table.h"

#include <math.h>

#define F(name, expr)                                                                                                  \
    static double f_##name(const double *x) {                                                                          \
        const double a = x[0], b = x[1];                                                                               \
        return expr;                                                                                                   \
    }
#define I(name, expr)                                                                                                  \
    static int64_t i_##name(const int64_t *x) {                                                                        \
        const uint64_t a = (uint64_t)x[0], b = (uint64_t)x[1];                                                         \
        const int64_t sa = x[0], sb = x[1];                                                                            \
        (void)a, (void)b, (void)sa, (void)sb;                                                                          \
        return (int64_t)(expr);                                                                                        \
    }
#define BUILD2(name)                                                                                                   \
    static wg_tensor *b_##name(wg_ctx *ctx, wg_tensor *const *x, int v) {                                              \
        (void)ctx, (void)v;                                                                                            \
        return wg_##name(x[0], x[1]);                                                                                  \
    }

F(add, a + b)
F(sub, a - b)
F(mul, a *b)
F(div, a / b)
F(pow, pow(a, b))
F(maximum, isnan(a) || isnan(b) ? NAN : a > b ? a : b)
F(minimum, isnan(a) || isnan(b) ? NAN : a < b ? a : b)
F(eq, a == b)
F(ne, a != b)
F(lt, a < b)
F(le, a <= b)
F(gt, a > b)
F(ge, a >= b)
I(add, a + b)
I(sub, a - b)
I(mul, a *b)
I(maximum, sa > sb ? sa : sb)
I(minimum, sa < sb ? sa : sb)
I(eq, sa == sb)
I(ne, sa != sb)
I(lt, sa < sb)
I(le, sa <= sb)
I(gt, sa > sb)
I(ge, sa >= sb)

static int64_t i_pow(const int64_t *x) {
    uint64_t r = 1, base = (uint64_t)x[0];
    if (x[1] < 0) {
        return x[0] == 1 ? 1 : x[0] != -1 ? 0 : x[1] % 2 ? -1 : 1;
    }
    for (uint64_t e = (uint64_t)x[1]; e; e >>= 1) {
        r *= e & 1 ? base : 1;
        base *= base;
    }
    return (int64_t)r;
}

static double f_where(const double *x) { return x[0] != 0 ? x[1] : x[2]; }
static int64_t i_where(const int64_t *x) { return x[0] ? x[1] : x[2]; }
static wg_tensor *b_where(wg_ctx *ctx, wg_tensor *const *x, int v) {
    (void)ctx, (void)v;
    return wg_where(x[0], x[1], x[2]);
}

BUILD2(add)
BUILD2(sub)
BUILD2(mul)
BUILD2(div)
BUILD2(pow)
BUILD2(maximum)
BUILD2(minimum)
BUILD2(eq)
BUILD2(ne)
BUILD2(lt)
BUILD2(le)
BUILD2(gt)
BUILD2(ge)

/* Of two zeros either may be the larger. */
static double any_zero(const double *x, double eps, double tiny) {
    (void)x, (void)eps, (void)tiny;
    return 0x1p-1074;
}

#define TWO(n, dt, ulp, g0, g1)                                                                                        \
    .name = #n, .arity = 2, .variants = 1, .dtypes = dt, .ulps = ulp, .dom = {DOM_SPECIAL, DOM_SPECIAL},               \
    .grad_dom = {g0, g1}, .build = b_##n, .f = f_##n

const op ops_binary[] = {
    {TWO(add, M_ALL, 0, DOM_ANY, DOM_ANY), .i = i_add, .flags = OP_DIFF},
    {TWO(sub, M_FLOAT | M_INT, 0, DOM_ANY, DOM_ANY), .i = i_sub, .flags = OP_DIFF},
    {TWO(mul, M_ALL, 0, DOM_ANY, DOM_ANY), .i = i_mul, .flags = OP_DIFF},
    {TWO(div, M_ALL, 0, DOM_ANY, DOM_AWAY), .rule = RULE_FLOAT, .flags = OP_DIFF},
    {TWO(pow, M_FLOAT | M_INT, 2, DOM_POS, DOM_EXP), .i = i_pow, .flags = OP_DIFF},
    {TWO(maximum, M_ALL, 0, DOM_ANY, DOM_ANY), .i = i_maximum, .flags = OP_DIFF, .slack = any_zero},
    {TWO(minimum, M_ALL, 0, DOM_ANY, DOM_ANY), .i = i_minimum, .flags = OP_DIFF, .slack = any_zero},
    {TWO(eq, M_ALL, 0, DOM_ANY, DOM_ANY), .i = i_eq, .rule = RULE_BOOL},
    {TWO(ne, M_ALL, 0, DOM_ANY, DOM_ANY), .i = i_ne, .rule = RULE_BOOL},
    {TWO(lt, M_ALL, 0, DOM_ANY, DOM_ANY), .i = i_lt, .rule = RULE_BOOL},
    {TWO(le, M_ALL, 0, DOM_ANY, DOM_ANY), .i = i_le, .rule = RULE_BOOL},
    {TWO(gt, M_ALL, 0, DOM_ANY, DOM_ANY), .i = i_gt, .rule = RULE_BOOL},
    {TWO(ge, M_ALL, 0, DOM_ANY, DOM_ANY), .i = i_ge, .rule = RULE_BOOL},
    {.name = "where",
     .arity = 3,
     .variants = 1,
     .dtypes = M_ALL,
     .dom = {DOM_BIT, DOM_SPECIAL, DOM_SPECIAL},
     .grad_dom = {DOM_BIT, DOM_ANY, DOM_ANY},
     .build = b_where,
     .f = f_where,
     .i = i_where,
     .flags = OP_DIFF | OP_COND},
    {.name = NULL},
};
