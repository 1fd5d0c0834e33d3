/*
 * The op table as one list, and the reference of elementwise ops.
 */
#include "op_table.h"

#include <math.h>
#include <stdlib.h>

static const op *const parts[] = {ops_unary, ops_binary, ops_reduce, ops_move, ops_index, ops_contract, ops_nn};
enum { PARTS = sizeof parts / sizeof *parts };

const op *op_at(int k) {
    for (int p = 0; p < PARTS; p++) {
        for (const op *o = parts[p]; o->name; o++) {
            if (k-- == 0) {
                return o;
            }
        }
    }
    return NULL;
}

int op_count(void) {
    int n = 0;
    while (op_at(n)) {
        n++;
    }
    return n;
}

bool op_takes(const op *o, wg_dtype t) { return o->dtypes & M(t); }

double op_ulps(const op *o, wg_dtype result) {
    bool exact = o->ulps == 0 && (!o->cases || o->flags & OP_SAME_BITS);
    return dtype_is_half(result) && !exact ? 1 : o->ulps > 0 && result == WG_F64 ? o->ulps + 2 : o->ulps;
}

wg_dtype op_operand_dtype(const op *o, int k, wg_dtype t) {
    return o->indices >> k & 1 ? WG_I64 : (o->flags & OP_COND) && k == 0 ? WG_BOOL : t;
}

static const double *scalars_of(const op *o, int variant) {
    return o->scalars ? o->scalars + variant * o->nscalars : NULL;
}

wg_dtype ew_dtype(const op *o, const nd *x, int variant) {
    wg_dtype t = WG_BOOL;
    for (int k = o->flags & OP_COND ? 1 : 0; k < o->arity; k++) {
        t = dtype_promote(t, x[k].dtype);
    }
    const double *s = scalars_of(o, variant);
    for (int j = 0; s && j < o->nscalars; j++) {
        bool whole = isinf(s[j]) || s[j] == floor(s[j]);
        if (!dtype_is_float(t)) {
            t = !whole ? WG_F32 : t == WG_BOOL ? WG_I64 : t;
        }
    }
    return o->rule == RULE_FLOAT && !dtype_is_float(t) ? WG_F32 : t;
}

static nd ew_ref(const op *o, const nd *x, int variant) {
    wg_dtype t = ew_dtype(o, x, variant);
    const double *s = scalars_of(o, variant);
    wg_shape shape = x[0].shape;
    nd in[OP_MAX_ARITY];
    int64_t *map[OP_MAX_ARITY];
    for (int k = 1; k < o->arity; k++) {
        shape = broadcast_shapes(shape, x[k].shape);
    }
    for (int k = 0; k < o->arity; k++) {
        in[k] = nd_cast(x[k], t);
        map[k] = broadcast_map(x[k].shape, shape);
    }
    nd out = nd_new(o->rule == RULE_BOOL ? WG_BOOL : t, shape);
    if (out.f && o->slack) {
        nd_add_slack(&out);
    }
    for (int64_t k = 0; k < out.n; k++) {
        double f[OP_MAX_ARITY + 2] = {0};
        int64_t i[OP_MAX_ARITY + 2] = {0};
        for (int j = 0; j < o->arity; j++) {
            if (dtype_is_float(t)) {
                f[j] = in[j].f[map[j][k]];
            } else {
                i[j] = in[j].i[map[j][k]];
            }
        }
        for (int j = 0; s && j < o->nscalars; j++) {
            f[o->arity + j] = round_to(s[j], dtype_is_half(t) && o->rule != RULE_BOOL ? WG_F32 : t);
            i[o->arity + j] = isinf(s[j]) ? (s[j] < 0 ? INT64_MIN : INT64_MAX) : wrap_int((int64_t)s[j], t);
        }
        if (!out.f) {
            out.i[k] = dtype_is_float(t) ? (int64_t)o->f(f) : wrap_int(o->i(i), out.dtype);
            continue;
        }
        out.f[k] = o->f(f);
        if (out.slack) {
            out.slack[k] = o->slack(f, dtype_eps(t), dtype_tiny(t));
        }
    }
    return out;
}

nd op_ref(const op *o, const nd *x, int variant) { return o->ref ? o->ref(x, variant) : ew_ref(o, x, variant); }

void op_inputs(const op *o, wg_ctx *ctx, int variant, const wg_shape *shapes, wg_dtype t, layout l, int dom, rng *r,
               input *out) {
    for (int k = 0; k < o->arity; k++) {
        wg_shape s = shapes ? shapes[k] : o->cases[variant].in[k];
        if (o->indices >> k & 1) {
            nd index = nd_new(t == WG_I32 ? WG_I32 : WG_I64, s);
            gen_index(&index, o->cases[variant].limit, r);
            out[k] = input_of(ctx, index);
        } else {
            out[k] = input_make(ctx, op_operand_dtype(o, k, t), s, l, dom < 0 ? o->dom[k] : (domain)dom, r);
        }
    }
}

wg_tensor *op_build(const op *o, wg_ctx *ctx, const input *in, int variant) {
    wg_tensor *x[OP_MAX_ARITY];
    for (int k = 0; k < o->arity; k++) {
        x[k] = in[k].t;
    }
    return o->build(ctx, x, variant);
}

nd op_expected(const op *o, const input *in, int variant) {
    nd x[OP_MAX_ARITY];
    for (int k = 0; k < o->arity; k++) {
        x[k] = in[k].v;
    }
    return op_ref(o, x, variant);
}
