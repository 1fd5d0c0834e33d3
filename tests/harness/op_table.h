/*
 * The table that every op joins: how to build it, what it should give, on which inputs, how exactly.
 *
 * An elementwise op gives f (on doubles) and i (on integers) for one element; ew_ref broadcasts, promotes and rounds around
 * them. Any other op gives cases, with shapes and parameters, and ref. A test walks the table; none names an op.
 */
#ifndef HARNESS_OP_TABLE_H
#define HARNESS_OP_TABLE_H

#include "gen.h"
#include "nd.h"

enum { OP_MAX_ARITY = 3 };

#define M(t) (1u << (t))
#define M_FLOAT (M(WG_F16) | M(WG_BF16) | M(WG_F32) | M(WG_F64))
#define M_INT (M(WG_U8) | M(WG_I32) | M(WG_I64))
#define M_ALL (M_FLOAT | M_INT | M(WG_BOOL))

/* The dtype of an elementwise result, from the promoted dtype of its operands. */
typedef enum rule { RULE_KEEP = 0, RULE_FLOAT, RULE_BOOL } rule;

enum {
    OP_DIFF = 1,      /* differentiable */
    OP_REDUCE = 2,    /* also run on inputs with NaN, infinities and ties */
    OP_COND = 4,      /* operand 0 is bool and does not promote */
    OP_MIXES = 8,     /* structured: operands of different dtypes promote (tested by its own cases else) */
    OP_SAME_BITS = 16 /* structured: the same bits in simd and simt form, and the reference's */
};

/* A case of a structured op: input shapes, small parameters, and where inputs hold indices their limit. */
typedef struct op_case {
    wg_shape in[OP_MAX_ARITY];
    int p[WG_MAX_RANK];
    int np;
    bool keep;
    int64_t limit; /* of indices */
    wg_shape to;   /* a shape parameter */
} op_case;
// clang-format off
#define SH(rank, ...) {rank, {__VA_ARGS__}}
// clang-format on
#define SCALAR SH(0, 0)

typedef struct op {
    const char *name; /* as in wg_<name>; what follows a '#' tells rows of one op apart */
    int arity;
    int variants;
    unsigned flags;
    unsigned dtypes;  /* that the operands may have */
    unsigned indices; /* bit k: operand k holds i64 or i32 indices */
    double ulps;      /* allowed in f32; 0 means the same bits. f64 gets 2 more if not 0, a 16-bit float 1 in all */
    domain dom[OP_MAX_ARITY];      /* for values */
    domain grad_dom[OP_MAX_ARITY]; /* for finite differences: away from kinks and poles */
    wg_tensor *(*build)(wg_ctx *ctx, wg_tensor *const *x, int variant);
    /* elementwise */
    rule rule;
    double (*f)(const double *x); /* operands, then scalars */
    int64_t (*i)(const int64_t *x);
    const double *scalars; /* nscalars for each variant */
    int nscalars;
    double (*slack)(const double *x, double eps, double tiny); /* NULL: none */
    /* structured */
    const op_case *cases;
    nd (*ref)(const nd *x, int variant);
} op;

/* Each file's part, ended by a row without a name. */
extern const op ops_unary[], ops_binary[], ops_reduce[], ops_move[], ops_index[], ops_contract[], ops_nn[];
/* All of them, one after the other: 0 <= k < op_count(). */
int op_count(void);
const op *op_at(int k);

bool op_takes(const op *o, wg_dtype t);
double op_ulps(const op *o, wg_dtype result);
/* What the op should give; any op. */
nd op_ref(const op *o, const nd *x, int variant);
/* The elementwise compute dtype for these operands. */
wg_dtype ew_dtype(const op *o, const nd *x, int variant);
/* Inputs of a variant in dtype t: of the case's shapes, or of these. dom < 0 means the op's own domains. */
void op_inputs(const op *o, wg_ctx *ctx, int variant, const wg_shape *shapes, wg_dtype t, layout l, int dom, rng *r,
               input *out);
wg_tensor *op_build(const op *o, wg_ctx *ctx, const input *in, int variant);
nd op_expected(const op *o, const input *in, int variant);
/* The dtype operand k gets when the op is run in dtype t: bool for conditions, i64 for indices. */
wg_dtype op_operand_dtype(const op *o, int k, wg_dtype t);

#endif
