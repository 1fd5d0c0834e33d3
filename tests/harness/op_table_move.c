/*
 * The op table: views and copies. Every element must arrive unchanged, to the bit.
 */
#include "op_table.h"

#include <math.h>

#define BUILD(name, expr)                                                                                              \
    static wg_tensor *b_##name(wg_ctx *ctx, wg_tensor *const *x, int v) {                                              \
        const op_case *k = &c_##name[v];                                                                               \
        (void)ctx, (void)k;                                                                                            \
        return expr;                                                                                                   \
    }
#define REF(name, expr)                                                                                                \
    static nd r_##name(const nd *x, int v) {                                                                           \
        const op_case *k = &c_##name[v];                                                                               \
        (void)k;                                                                                                       \
        return expr;                                                                                                   \
    }
// clang-format off
#define ROW(n, dt, fl)                                                                                                 \
    {.name = #n, .arity = 1, .variants = sizeof c_##n / sizeof *c_##n, .flags = (fl) | OP_SAME_BITS, .dtypes = dt,     \
     .build = b_##n, .ref = r_##n, .cases = c_##n, .dom = {DOM_SPECIAL}}
// clang-format on

static const op_case c_reshape[] = {
    {.in = {SH(2, 3, 4)}, .to = SH(1, 12)},        {.in = {SH(2, 3, 4)}, .to = SH(3, 2, -1, 3)},
    {.in = {SCALAR}, .to = SH(3, 1, 1, 1)},        {.in = {SH(2, 1, 1)}, .to = SCALAR},
    {.in = {SH(2, 0, 4)}, .to = SH(2, 3, 0)},      {.in = {SH(3, 4, 5, 6)}, .to = SH(2, 20, 6)},
    {.in = {SH(2, 6, 35)}, .to = SH(3, 10, 3, 7)}, {.in = {SH(1, 256)}, .to = SH(8, 2, 2, 2, 2, 2, 2, 2, 2)},
};
BUILD(reshape, wg_reshape(x[0], k->to))
REF(reshape, nd_reshape(x[0], k->to))

static const op_case c_flatten[] = {
    {.in = {SH(3, 2, 3, 4)}, .p = {0, -1}}, {.in = {SH(3, 2, 3, 4)}, .p = {1, 2}},
    {.in = {SH(3, 2, 3, 4)}, .p = {-3, 1}}, {.in = {SCALAR}, .p = {0, -1}},
    {.in = {SH(3, 2, 0, 4)}, .p = {1, 2}},  {.in = {SH(2, 3, 4)}, .p = {1, 1}},
};
BUILD(flatten, wg_flatten(x[0], k->p[0], k->p[1]))
static nd r_flatten(const nd *x, int v) {
    wg_shape s = x[0].shape, to = {0, {0}};
    int a = norm_dim(c_flatten[v].p[0], s.rank), b = norm_dim(c_flatten[v].p[1], s.rank);
    for (int d = 0; d < s.rank; d++) {
        if (d > a && d <= b) {
            to.dim[to.rank - 1] *= s.dim[d];
        } else {
            to.dim[to.rank++] = s.dim[d];
        }
    }
    return nd_reshape(x[0], s.rank ? to : WG_SHAPE(1));
}

static const op_case c_permute[] = {
    {.in = {SH(2, 3, 5)}, .p = {1, 0}},
    {.in = {SH(3, 3, 4, 5)}, .p = {2, 0, 1}},
    {.in = {SH(3, 3, 4, 5)}, .p = {-1, 1, -3}},
    {.in = {SH(3, 3, 0, 5)}, .p = {1, 2, 0}},
    {.in = {SCALAR}},
    {.in = {SH(8, 2, 1, 3, 2, 1, 2, 1, 2)}, .p = {7, 2, 0, 4, 5, 3, 1, 6}},
};
BUILD(permute, wg_permute(x[0], k->p))
REF(permute, nd_permute(x[0], k->p))

static const op_case c_transpose[] = {
    {.in = {SH(2, 3, 5)}, .p = {0, 1}}, {.in = {SH(3, 3, 4, 5)}, .p = {0, -1}}, {.in = {SH(2, 33, 65)}, .p = {-1, -2}},
    {.in = {SH(2, 3, 0)}, .p = {0, 1}}, {.in = {SH(1, 4)}, .p = {0, 0}},        {.in = {SCALAR}, .p = {0, -1}},
};
BUILD(transpose, wg_transpose(x[0], k->p[0], k->p[1]))
REF(transpose, nd_transpose(x[0], k->p[0], k->p[1]))

static const op_case c_expand[] = {
    {.in = {SH(2, 3, 1)}, .to = SH(2, 3, 4)},     {.in = {SH(1, 4)}, .to = SH(2, 3, 4)},
    {.in = {SCALAR}, .to = SH(2, 2, 3)},          {.in = {SH(2, 1, 5)}, .to = SH(2, -1, 5)},
    {.in = {SH(2, 3, 1)}, .to = SH(3, 2, -1, 7)}, {.in = {SH(2, 1, 3)}, .to = SH(2, 0, 3)},
    {.in = {SH(2, 0, 1)}, .to = SH(2, 0, 4)},
};
BUILD(expand, wg_expand(x[0], k->to))
static nd r_expand(const nd *x, int v) {
    wg_shape to = c_expand[v].to, s = x[0].shape;
    for (int d = 0; d < to.rank; d++) {
        to.dim[d] = to.dim[d] < 0 ? s.dim[d - to.rank + s.rank] : to.dim[d];
    }
    return nd_expand(x[0], to);
}

static const op_case c_narrow[] = {
    {.in = {SH(2, 5, 7)}, .p = {0, 1, 3}},  {.in = {SH(2, 5, 7)}, .p = {-1, 0, 7}},
    {.in = {SH(2, 5, 7)}, .p = {1, 7, 0}},  {.in = {SH(1, 9)}, .p = {0, 8, 1}},
    {.in = {SH(2, 5, 7)}, .p = {1, -3, 2}}, {.in = {SH(2, 0, 7)}, .p = {1, 2, 3}},
};
BUILD(narrow, wg_narrow(x[0], k->p[0], k->p[1], k->p[2]))
static nd r_narrow(const nd *x, int v) {
    const int *p = c_narrow[v].p;
    int64_t size = x[0].shape.dim[norm_dim(p[0], x[0].shape.rank)];
    return nd_take(x[0], p[0], p[1] < 0 ? p[1] + size : p[1], p[2], 1);
}

static const op_case c_select[] = {
    {.in = {SH(2, 5, 7)}, .p = {0, 4}},
    {.in = {SH(2, 5, 7)}, .p = {1, -7}},
    {.in = {SH(1, 3)}, .p = {0, 1}},
    {.in = {SH(3, 2, 0, 3)}, .p = {-1, -1}},
};
BUILD(select, wg_select(x[0], k->p[0], k->p[1]))
static nd r_select(const nd *x, int v) {
    const int *p = c_select[v].p;
    wg_shape s = x[0].shape, to = {0, {0}};
    int dim = norm_dim(p[0], s.rank);
    for (int d = 0; d < s.rank; d++) {
        if (d != dim) {
            to.dim[to.rank++] = s.dim[d];
        }
    }
    return nd_reshape(nd_take(x[0], dim, p[1] < 0 ? p[1] + s.dim[dim] : p[1], 1, 1), to);
}

static const op_case c_slice[] = {
    {.in = {SH(2, 5, 7)}, .p = {0, 1, 4, 1}},    {.in = {SH(2, 5, 7)}, .p = {1, 0, 7, 3}},
    {.in = {SH(2, 5, 7)}, .p = {1, -3, 100, 1}}, {.in = {SH(2, 5, 7)}, .p = {-1, -100, -2, 2}},
    {.in = {SH(2, 5, 7)}, .p = {0, 4, 2, 1}},    {.in = {SH(2, 5, 7)}, .p = {0, 9, 12, 1}},
    {.in = {SH(1, 9)}, .p = {0, 2, 9, 9}},       {.in = {SH(2, 0, 7)}, .p = {1, 1, 6, 2}},
};
/* What a[start:end:step] means in Python for a dim of this size. */
static int64_t slice_start(int64_t size, const int *p, int64_t *count) {
    int64_t a = p[1] < 0 ? p[1] + size : p[1], b = p[2] < 0 ? p[2] + size : p[2];
    a = a < 0 ? 0 : a > size ? size : a;
    b = b < 0 ? 0 : b > size ? size : b;
    *count = b > a ? (b - a + p[3] - 1) / p[3] : 0;
    return a;
}
BUILD(slice, wg_slice(x[0], k->p[0], k->p[1], k->p[2], k->p[3]))
static nd r_slice(const nd *x, int v) {
    const int *p = c_slice[v].p;
    int64_t count, start = slice_start(x[0].shape.dim[norm_dim(p[0], x[0].shape.rank)], p, &count);
    return nd_take(x[0], p[0], start, count, p[3]);
}

static const op_case c_flip[] = {
    {.in = {SH(2, 5, 7)}, .p = {0}, .np = 1}, {.in = {SH(3, 3, 4, 5)}, .p = {-1, 0}, .np = 2},
    {.in = {SH(1, 9)}, .p = {0}, .np = 1},    {.in = {SH(2, 0, 3)}, .p = {0, 1}, .np = 2},
    {.in = {SH(2, 1, 3)}, .p = {0}, .np = 1}, {.in = {SH(2, 5, 7)}},
};
BUILD(flip, wg_flip(x[0], k->p, k->np))
REF(flip, nd_flip(x[0], k->p, k->np))

static const op_case c_squeeze[] = {
    {.in = {SH(3, 2, 1, 3)}, .p = {1}, .to = SH(2, 2, 3)},
    {.in = {SH(3, 2, 1, 3)}, .p = {0}, .to = SH(3, 2, 1, 3)},
    {.in = {SH(1, 1)}, .p = {-1}, .to = SCALAR},
    {.in = {SH(2, 0, 1)}, .p = {1}, .to = SH(1, 0)},
    {.in = {SCALAR}, .p = {0}, .to = SCALAR},
};
BUILD(squeeze, wg_squeeze(x[0], k->p[0]))
REF(squeeze, nd_reshape(x[0], k->to))

static const op_case c_unsqueeze[] = {
    {.in = {SH(2, 2, 3)}, .p = {1}, .to = SH(3, 2, 1, 3)},
    {.in = {SH(2, 2, 3)}, .p = {2}, .to = SH(3, 2, 3, 1)},
    {.in = {SH(2, 2, 3)}, .p = {-1}, .to = SH(3, 2, 3, 1)},
    {.in = {SH(2, 2, 3)}, .p = {-3}, .to = SH(3, 1, 2, 3)},
    {.in = {SCALAR}, .p = {0}, .to = SH(1, 1)},
};
BUILD(unsqueeze, wg_unsqueeze(x[0], k->p[0]))
REF(unsqueeze, nd_reshape(x[0], k->to))

static const op_case c_same[] = {
    {.in = {SH(2, 5, 7)}}, {.in = {SCALAR}}, {.in = {SH(2, 0, 3)}}, {.in = {SH(3, 3, 17, 2)}}};
#define c_contiguous c_same
#define c_detach c_same
BUILD(contiguous, wg_contiguous(x[0]))
REF(contiguous, x[0])
BUILD(detach, wg_detach(x[0]))
REF(detach, x[0])

/* p[0] is the dtype. */
static const op_case c_cast[] = {
    {.in = {SH(1, 151)}, .p = {WG_BOOL}}, {.in = {SH(1, 151)}, .p = {WG_U8}},   {.in = {SH(1, 151)}, .p = {WG_I32}},
    {.in = {SH(1, 151)}, .p = {WG_I64}},  {.in = {SH(1, 151)}, .p = {WG_F32}},  {.in = {SH(1, 151)}, .p = {WG_F64}},
    {.in = {SH(1, 151)}, .p = {WG_F16}},  {.in = {SH(1, 151)}, .p = {WG_BF16}}, {.in = {SH(2, 0, 3)}, .p = {WG_U8}},
    {.in = {SCALAR}, .p = {WG_F64}},
};
BUILD(cast, wg_cast(x[0], (wg_dtype)k->p[0]))
REF(cast, nd_cast(x[0], (wg_dtype)k->p[0]))

const op ops_move[] = {
    ROW(reshape, M_ALL, OP_DIFF),
    ROW(flatten, M_ALL, OP_DIFF),
    ROW(permute, M_ALL, OP_DIFF),
    ROW(transpose, M_ALL, OP_DIFF),
    ROW(expand, M_ALL, OP_DIFF),
    ROW(narrow, M_ALL, OP_DIFF),
    ROW(select, M_ALL, OP_DIFF),
    ROW(slice, M_ALL, OP_DIFF),
    ROW(flip, M_ALL, OP_DIFF),
    ROW(squeeze, M_ALL, OP_DIFF),
    ROW(unsqueeze, M_ALL, OP_DIFF),
    ROW(contiguous, M_ALL, OP_DIFF),
    ROW(detach, M_ALL, 0),
    ROW(cast, M_ALL, 0),
    {.name = NULL},
};
