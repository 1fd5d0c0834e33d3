/*
 * Typed expressions: what a map computes for one element, in static single assignment form. Ops write them through
 * the functions below; the writers of src/codegen print them, and the host evaluator interprets them.
 *
 * 16-bit floats are no dtype of instructions: whoever names one here gets f32. Operands come widened, lowering rounds what an op's
 * expression gives, and in between an expression rounds nothing but by wg_x_cast.
 */
#ifndef WG_GRAPH_EXPR_H
#define WG_GRAPH_EXPR_H

#include <wengert/types.h>

typedef enum wg_prim {
    /* leaves */
    WG_P_LOAD,    /* element of a buffer: access, [index], [condition] */
    WG_P_COORD,   /* a coordinate of the result, i64: access without a buffer */
    WG_P_SCALAR,  /* a number of the op, by kernel argument */
    WG_P_CONST,   /* a number in the text */
    WG_P_PRODUCT, /* an element of the product that a kernel is made around; no op writes this */
    WG_P_RANDOM,  /* a word of Philox, uniform in [0,1): see wg_x_random */
    /* arithmetic, operands of one dtype */
    WG_P_ADD,
    WG_P_SUB,
    WG_P_MUL,
    WG_P_DIV, /* floating: IEEE; integers: truncated, x/0 = 0 */
    WG_P_REM, /* integers: sign of the dividend, x%0 = 0 */
    WG_P_MAX, /* NaN if either is */
    WG_P_MIN,
    WG_P_POW,
    WG_P_NEG,
    WG_P_ABS,
    WG_P_SQRT,
    WG_P_EXP,
    WG_P_LOG,
    WG_P_SIN,
    WG_P_COS,
    WG_P_TANH,
    WG_P_ERF,
    /* comparisons: bool of two operands of one dtype */
    WG_P_EQ,
    WG_P_NE,
    WG_P_LT,
    WG_P_LE,
    WG_P_GT,
    WG_P_GE,
    /* bool */
    WG_P_AND,
    WG_P_OR,
    WG_P_NOT,
    /* mixed */
    WG_P_SELECT, /* condition, a, b */
    WG_P_CAST,
    WG_P_ROUND_F16, /* f32: the nearest number of that dtype */
    WG_P_ROUND_BF16,
    WG_P_TRAP, /* a condition, passed on; where it is false for an element the plan reports an index error */
    /* reductions: operand over the reduced axes; the index of the first largest */
    WG_P_RSUM,
    WG_P_RMAX,
    WG_P_RMIN,
    WG_P_RARGMAX,
    WG_P_COUNT
} wg_prim;

/* An instruction is named by its number in the list; -1 is none. */
typedef int wg_x;

/* A builder: a list of instructions under construction, for one op at one place of a kernel. */
typedef struct wg_expr wg_expr;

/* Operand i at the element computed (broadcast to the result's shape). */
wg_x wg_x_in(wg_expr *x, int i);
/* Operand i with its coordinate `dim` reduced by shift (the others as the result's), 0 where cond is false; nothing is
 * read there. The op must list i in `elsewhere`. The operand has the result's rank. */
wg_x wg_x_in_shifted(wg_expr *x, int i, int dim, int64_t shift, wg_x cond);
/* Operand i with its coordinate `dim` replaced by index (i64), 0 where cond is false. As above. */
wg_x wg_x_in_at(wg_expr *x, int i, int dim, wg_x index, wg_x cond);
/* A coordinate of the result, as i64; the row-major number of the element. */
wg_x wg_x_coord(wg_expr *x, int dim);
wg_x wg_x_number(wg_expr *x);
/* The node's k-th scalar converted to dtype. Never part of the text. */
wg_x wg_x_scalar(wg_expr *x, int k, wg_dtype dtype);
/* An integer that depends on sizes or attributes, as i64 kernel argument. */
wg_x wg_x_size(wg_expr *x, int64_t value);
/* A number that belongs to the op's definition (the 0.5 of gelu): part of the text. */
wg_x wg_x_const(wg_expr *x, wg_dtype dtype, double value);
/* Uniform in [0,1) of a floating dtype: word `word % 4` of the Philox 4x32-10 block with counter (word / 4, scalar[0])
 * and key scalar[1]; random ops record their number and the bits of the seed there (wg_graph.random, seed). f32: the
 * upper 24 bits times 2^-24; f64: the upper 53 bits of this word and the next one, so take even words. */
wg_x wg_x_random(wg_expr *x, wg_dtype dtype, wg_x word);

wg_x wg_x_unary(wg_expr *x, wg_prim prim, wg_x a);
wg_x wg_x_binary(wg_expr *x, wg_prim prim, wg_x a, wg_x b);
wg_x wg_x_select(wg_expr *x, wg_x cond, wg_x a, wg_x b);
/* a itself if it has that dtype; to a 16-bit float through f32, and rounded. */
wg_x wg_x_cast(wg_expr *x, wg_x a, wg_dtype dtype);
/* The condition itself; an element for which it is false makes the next read of a value report WG_ERR_INDEX, naming the op
 * and the shape of its first operand. */
wg_x wg_x_trap(wg_expr *x, wg_x in_range);
wg_dtype wg_x_dtype(const wg_expr *x, wg_x a);

#endif
