/*
 * The op table: functions of one tensor, and of one tensor and scalars.
 */
#include "op_table.h"

#include <math.h>

#define F(name, expr)                                                                                                  \
    static double f_##name(const double *x) {                                                                          \
        const double a = x[0], b = x[1], c = x[2];                                                                     \
        (void)a, (void)b, (void)c;                                                                                     \
        return expr;                                                                                                   \
    }
#define I(name, expr)                                                                                                  \
    static int64_t i_##name(const int64_t *x) {                                                                        \
        const uint64_t a = (uint64_t)x[0], b = (uint64_t)x[1];                                                         \
        const int64_t sa = x[0], sb = x[1], sc = x[2];                                                                 \
        (void)a, (void)b, (void)sa, (void)sb, (void)sc;                                                                \
        return (int64_t)(expr);                                                                                        \
    }
#define BUILD1(name)                                                                                                   \
    static wg_tensor *b_##name(wg_ctx *ctx, wg_tensor *const *x, int v) {                                              \
        (void)ctx, (void)v;                                                                                            \
        return wg_##name(x[0]);                                                                                        \
    }
#define BUILD_SCALAR(name, table)                                                                                      \
    static wg_tensor *b_##name##_##table(wg_ctx *ctx, wg_tensor *const *x, int v) {                                    \
        (void)ctx;                                                                                                     \
        return wg_##name(x[0], table[v]);                                                                              \
    }

/* ---- functions ---- */

F(neg, -a)
F(abs, fabs(a))
F(sign, isnan(a) ? NAN : (a > 0) - (a < 0))
F(square, a *a)
F(sqrt, sqrt(a))
F(rsqrt, 1 / sqrt(a))
F(reciprocal, 1 / a)
F(exp, exp(a))
F(log, log(a))
F(sin, sin(a))
F(cos, cos(a))
F(tanh, tanh(a))
F(erf, erf(a))
F(sigmoid, 1 / (1 + exp(-a)))
F(relu, isnan(a) ? NAN : a > 0 ? a : 0)
F(gelu, a * 0.5 * (1 + erf(a * 0.70710678118654752440)))
F(gelu_tanh, a * 0.5 * (1 + tanh(0.79788456080286535588 * (a + 0.044715 * a * a * a))))
I(neg, -a)
I(abs, sa < 0 ? -a : a)
I(sign, (sa > 0) - (sa < 0))
I(square, a *a)
I(relu, sa > 0 ? sa : 0)

/* The sign of a zero result is not specified. */
static double any_zero(const double *x, double eps, double tiny) {
    (void)x, (void)eps, (void)tiny;
    return 0x1p-1074;
}
/* 1 + erf and 1 + tanh cancel for negative inputs. */
static double gelu_slack(const double *x, double eps, double tiny) { return 4 * fabs(x[0]) * eps + tiny * eps; }
/* 1 / (1 + exp(-a)) may flush what is below the smallest normal number. */
static double flush(const double *x, double eps, double tiny) {
    (void)x, (void)eps;
    return tiny;
}

BUILD1(neg)
BUILD1(abs)
BUILD1(sign)
BUILD1(square)
BUILD1(sqrt)
BUILD1(rsqrt)
BUILD1(reciprocal)
BUILD1(exp)
BUILD1(log)
BUILD1(sin)
BUILD1(cos)
BUILD1(tanh)
BUILD1(erf)
BUILD1(sigmoid)
BUILD1(relu)
BUILD1(gelu)
BUILD1(gelu_tanh)

/* ---- scalars ---- */

static const double plain[] = {2.5, -3, 0.1};
static const double divisors[] = {2.5, -3, 0.1};
static const double compared[] = {1, 2.5, 0.1};
static const double powers[] = {2, 3, -1, 0, 2.5, -2, 1};
static const double whole_powers[] = {2, 3, 0, 1, 2.5};
static const double bounds[] = {-0.7123, 0.81, -INFINITY, 0.5, 0.25, INFINITY};
static const double whole_bounds[] = {2, 100, -INFINITY, 7};

F(add, a + b)
F(sub, a - b)
F(rsub, b - a)
F(mul, a *b)
F(div, a / b)
F(rdiv, b / a)
F(pow, pow(a, b))
F(clamp, isnan(a) ? NAN : fmin(fmax(a, b), c))
F(eq, a == b)
F(ne, a != b)
F(lt, a < b)
F(le, a <= b)
F(gt, a > b)
F(ge, a >= b)
I(add, a + b)
I(sub, a - b)
I(rsub, b - a)
I(mul, a *b)
// clang-format off
I(clamp, sa < sb ? (sb > sc ? sc : sb) : sa > sc ? sc : sa)
// clang-format on
I(eq, sa == sb)
I(ne, sa != sb)
I(lt, sa < sb)
I(le, sa <= sb)
I(gt, sa > sb)
I(ge, sa >= sb)

static int64_t i_pow(const int64_t *x) {
    uint64_t r = 1;
    for (int64_t k = 0; k < x[1]; k++) {
        r *= (uint64_t)x[0];
    }
    return (int64_t)r;
}

BUILD_SCALAR(add_scalar, plain)
BUILD_SCALAR(sub_scalar, plain)
BUILD_SCALAR(rsub_scalar, plain)
BUILD_SCALAR(mul_scalar, plain)
BUILD_SCALAR(div_scalar, divisors)
BUILD_SCALAR(rdiv_scalar, divisors)
BUILD_SCALAR(pow_scalar, powers)
BUILD_SCALAR(pow_scalar, whole_powers)
BUILD_SCALAR(eq_scalar, compared)
BUILD_SCALAR(ne_scalar, compared)
BUILD_SCALAR(lt_scalar, compared)
BUILD_SCALAR(le_scalar, compared)
BUILD_SCALAR(gt_scalar, compared)
BUILD_SCALAR(ge_scalar, compared)
static wg_tensor *b_clamp(wg_ctx *ctx, wg_tensor *const *x, int v) {
    (void)ctx;
    return wg_clamp(x[0], bounds[2 * v], bounds[2 * v + 1]);
}
static wg_tensor *b_clamp_whole(wg_ctx *ctx, wg_tensor *const *x, int v) {
    (void)ctx;
    return wg_clamp(x[0], whole_bounds[2 * v], whole_bounds[2 * v + 1]);
}

#define COMMON(n, dt, ulp, gd)                                                                                         \
    .name = #n, .arity = 1, .dtypes = dt, .ulps = ulp, .dom = {DOM_SPECIAL}, .grad_dom = {gd}, .f = f_##n
#define ONE(n, dt, ulp, gd) COMMON(n, dt, ulp, gd), .variants = 1, .flags = OP_DIFF, .build = b_##n
#define SCAL(n, fn, dt, ulp, gd, table)                                                                                \
    .name = #n "_scalar", .arity = 1, .dtypes = dt, .ulps = ulp, .dom = {DOM_SPECIAL}, .grad_dom = {gd}, .f = f_##fn,  \
    .variants = sizeof table / sizeof *table, .build = b_##n##_scalar_##table, .scalars = table, .nscalars = 1
#define COMPARE(n)                                                                                                     \
    { SCAL(n, n, M_ALL, 0, DOM_ANY, compared), .i = i_##n, .rule = RULE_BOOL }

const op ops_unary[] = {
    {ONE(neg, M_FLOAT | M_INT, 0, DOM_ANY), .i = i_neg},
    {ONE(abs, M_FLOAT | M_INT, 0, DOM_AWAY), .i = i_abs},
    {COMMON(sign, M_FLOAT | M_INT, 0, DOM_AWAY), .variants = 1, .build = b_sign, .i = i_sign, .slack = any_zero},
    {ONE(square, M_FLOAT | M_INT, 0, DOM_ANY), .i = i_square},
    {ONE(sqrt, M_ALL, 0, DOM_POS), .rule = RULE_FLOAT},
    {ONE(rsqrt, M_ALL, 2, DOM_POS), .rule = RULE_FLOAT},
    {ONE(reciprocal, M_ALL, 0, DOM_AWAY), .rule = RULE_FLOAT},
    {ONE(exp, M_ALL, 2, DOM_EXP), .rule = RULE_FLOAT},
    {ONE(log, M_ALL, 2, DOM_POS), .rule = RULE_FLOAT},
    {ONE(sin, M_ALL, 2, DOM_ANY), .rule = RULE_FLOAT},
    {ONE(cos, M_ALL, 2, DOM_ANY), .rule = RULE_FLOAT},
    {ONE(tanh, M_ALL, 2, DOM_EXP), .rule = RULE_FLOAT},
    {ONE(erf, M_ALL, 2, DOM_EXP), .rule = RULE_FLOAT},
    {ONE(sigmoid, M_ALL, 4, DOM_EXP), .rule = RULE_FLOAT, .slack = flush},
    {ONE(relu, M_FLOAT | M_INT, 0, DOM_AWAY), .i = i_relu, .slack = any_zero},
    {ONE(gelu, M_ALL, 4, DOM_EXP), .rule = RULE_FLOAT, .slack = gelu_slack},
    {ONE(gelu_tanh, M_ALL, 4, DOM_EXP), .rule = RULE_FLOAT, .slack = gelu_slack},
    {COMMON(clamp, M_FLOAT, 0, DOM_AWAY), .variants = 3, .flags = OP_DIFF, .build = b_clamp, .scalars = bounds,
     .nscalars = 2},
    {.name = "clamp#whole",
     .arity = 1,
     .dtypes = M_INT,
     .dom = {DOM_SPECIAL},
     .f = f_clamp,
     .i = i_clamp,
     .variants = 2,
     .build = b_clamp_whole,
     .scalars = whole_bounds,
     .nscalars = 2},
    {SCAL(add, add, M_ALL, 0, DOM_ANY, plain), .i = i_add, .flags = OP_DIFF},
    {SCAL(sub, sub, M_FLOAT | M_INT, 0, DOM_ANY, plain), .i = i_sub, .flags = OP_DIFF},
    {SCAL(rsub, rsub, M_FLOAT | M_INT, 0, DOM_ANY, plain), .i = i_rsub, .flags = OP_DIFF},
    {SCAL(mul, mul, M_ALL, 0, DOM_ANY, plain), .i = i_mul, .flags = OP_DIFF},
    {SCAL(div, div, M_ALL, 0, DOM_ANY, divisors), .rule = RULE_FLOAT, .flags = OP_DIFF},
    {SCAL(rdiv, rdiv, M_ALL, 0, DOM_AWAY, divisors), .rule = RULE_FLOAT, .flags = OP_DIFF},
    {SCAL(pow, pow, M_FLOAT, 2, DOM_POS, powers), .flags = OP_DIFF, .slack = flush},
    {.name = "pow_scalar#whole",
     .arity = 1,
     .dtypes = M_INT,
     .ulps = 2,
     .dom = {DOM_SPECIAL},
     .f = f_pow,
     .i = i_pow,
     .variants = 5,
     .build = b_pow_scalar_whole_powers,
     .scalars = whole_powers,
     .nscalars = 1},
    COMPARE(eq),
    COMPARE(ne),
    COMPARE(lt),
    COMPARE(le),
    COMPARE(gt),
    COMPARE(ge),
    {.name = NULL},
};
