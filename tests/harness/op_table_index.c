/*
 * The op table: joining, writing into slices, and indexing by tensors.
 */
#include "op_table.h"

#include <math.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

/* ---- cat ---- */

static const op_case c_cat[] = {
    {.in = {SH(2, 2, 3), SH(2, 4, 3), SH(2, 1, 3)}, .p = {0}},
    {.in = {SH(2, 3, 2), SH(2, 3, 5), SH(2, 3, 1)}, .p = {-1}},
    {.in = {SH(3, 2, 1, 3), SH(3, 2, 0, 3), SH(3, 2, 4, 3)}, .p = {1}},
    {.in = {SH(1, 1), SH(1, 17), SH(1, 3)}, .p = {0}},
    {.in = {SH(2, 0, 3), SH(2, 0, 2), SH(2, 0, 1)}, .p = {1}},
};
static wg_tensor *b_cat(wg_ctx *ctx, wg_tensor *const *x, int v) {
    (void)ctx;
    return wg_cat(x, 3, c_cat[v].p[0]);
}
static nd r_cat(const nd *x, int v) {
    int dim = norm_dim(c_cat[v].p[0], x[0].shape.rank);
    wg_shape s = x[0].shape;
    wg_dtype t = x[0].dtype;
    for (int k = 1; k < 3; k++) {
        s.dim[dim] += x[k].shape.dim[dim];
        t = dtype_promote(t, x[k].dtype);
    }
    nd out = nd_new(t, s);
    int64_t at[WG_MAX_RANK], stride[WG_MAX_RANK], base = 0;
    strides_of(s, stride);
    for (int k = 0; k < 3; k++) {
        nd from = nd_cast(x[k], t);
        for (int64_t e = 0; e < from.n; e++) {
            int64_t to = base * stride[dim];
            unravel(e, from.shape, at);
            for (int d = 0; d < s.rank; d++) {
                to += at[d] * stride[d];
            }
            nd_copy_at(&out, to, &from, e);
        }
        base += from.shape.dim[dim];
    }
    return out;
}

/* ---- slice_scatter: p = dim, start, end, step ---- */

static const op_case c_slice_scatter[] = {
    {.in = {SH(2, 5, 7), SH(2, 3, 7)}, .p = {0, 1, 4, 1}},    {.in = {SH(2, 5, 7), SH(2, 5, 3)}, .p = {1, 0, 7, 3}},
    {.in = {SH(2, 5, 7), SH(2, 5, 2)}, .p = {-1, -2, 99, 1}}, {.in = {SH(1, 9), SH(1, 0)}, .p = {0, 4, 2, 1}},
    {.in = {SH(2, 0, 7), SH(2, 0, 2)}, .p = {1, 1, 3, 1}},
};
static wg_tensor *b_slice_scatter(wg_ctx *ctx, wg_tensor *const *x, int v) {
    const int *p = c_slice_scatter[v].p;
    (void)ctx;
    return wg_slice_scatter(x[0], x[1], p[0], p[1], p[2], p[3]);
}
static nd r_slice_scatter(const nd *x, int v) {
    const int *p = c_slice_scatter[v].p;
    nd out = nd_reshape(nd_take(x[0], 0, 0, x[0].shape.dim[0], 1), x[0].shape); /* a copy */
    int dim = norm_dim(p[0], x[0].shape.rank);
    int64_t start = p[1] < 0 ? p[1] + x[0].shape.dim[dim] : p[1], at[WG_MAX_RANK], stride[WG_MAX_RANK];
    strides_of(out.shape, stride);
    for (int64_t e = 0; e < x[1].n; e++) {
        int64_t to = 0;
        unravel(e, x[1].shape, at);
        at[dim] = start + at[dim] * p[3];
        for (int d = 0; d < out.shape.rank; d++) {
            to += at[d] * stride[d];
        }
        nd_copy_at(&out, to, &x[1], e);
    }
    return out;
}

/* ---- index_select(a, dim, index), index_add(a, dim, index, src): p = dim; limit = size of dim ---- */

static const op_case c_index_select[] = {
    {.in = {SH(2, 5, 7), SH(1, 9)}, .p = {0}, .limit = 5}, {.in = {SH(2, 5, 7), SH(1, 3)}, .p = {-1}, .limit = 7},
    {.in = {SH(1, 6), SH(1, 20)}, .p = {0}, .limit = 6},   {.in = {SH(2, 5, 7), SH(1, 0)}, .p = {0}, .limit = 5},
    {.in = {SH(2, 5, 0), SH(1, 4)}, .p = {0}, .limit = 5}, {.in = {SH(3, 2, 3, 4), SH(1, 5)}, .p = {1}, .limit = 3},
};
static wg_tensor *b_index_select(wg_ctx *ctx, wg_tensor *const *x, int v) {
    (void)ctx;
    return wg_index_select(x[0], c_index_select[v].p[0], x[1]);
}
/* The element of a, with index[j] instead of j along dim, that element e of the picked slices is. */
static int64_t picked(nd a, wg_shape slices, int dim, nd index, int64_t e) {
    int64_t at[WG_MAX_RANK], stride[WG_MAX_RANK], from = 0;
    strides_of(a.shape, stride);
    unravel(e, slices, at);
    at[dim] = index.i[at[dim]];
    for (int d = 0; d < slices.rank; d++) {
        from += at[d] * stride[d];
    }
    return from;
}
static nd r_index_select(const nd *x, int v) {
    int dim = norm_dim(c_index_select[v].p[0], x[0].shape.rank);
    wg_shape s = x[0].shape;
    s.dim[dim] = x[1].n;
    nd out = nd_new(x[0].dtype, s);
    for (int64_t e = 0; e < out.n; e++) {
        nd_copy_at(&out, e, &x[0], picked(x[0], s, dim, x[1], e));
    }
    return out;
}

static const op_case c_index_add[] = {
    {.in = {SH(2, 5, 7), SH(1, 9), SH(2, 9, 7)}, .p = {0}, .limit = 5},
    {.in = {SH(2, 5, 7), SH(1, 3), SH(2, 5, 3)}, .p = {-1}, .limit = 7},
    {.in = {SH(1, 3), SH(1, 200), SH(1, 200)}, .p = {0}, .limit = 3},
    {.in = {SH(2, 5, 7), SH(1, 0), SH(2, 0, 7)}, .p = {0}, .limit = 5},
    {.in = {SH(3, 2, 3, 4), SH(1, 5), SH(3, 2, 5, 4)}, .p = {1}, .limit = 3},
};
static wg_tensor *b_index_add(wg_ctx *ctx, wg_tensor *const *x, int v) {
    (void)ctx;
    return wg_index_add(x[0], c_index_add[v].p[0], x[1], x[2]);
}
static nd r_index_add(const nd *x, int v) {
    int dim = norm_dim(c_index_add[v].p[0], x[0].shape.rank);
    nd out = nd_cast(x[0], x[0].dtype);
    if (out.f) {
        nd_add_slack(&out);
    }
    for (int64_t e = 0; e < x[2].n; e++) {
        int64_t to = picked(x[0], x[2].shape, dim, x[1], e);
        if (out.f) {
            out.f[to] += x[2].f[e];
            out.slack[to] += (fabs(x[2].f[e]) + fabs(out.f[to])) * dtype_eps(out.dtype);
        } else {
            out.i[to] = wrap_int(out.i[to] + x[2].i[e], out.dtype);
        }
    }
    return out;
}

/* ---- embedding(weight, index) ---- */

static const op_case c_embedding[] = {
    {.in = {SH(2, 6, 5), SH(1, 9)}, .limit = 6},       {.in = {SH(2, 6, 5), SH(2, 3, 4)}, .limit = 6},
    {.in = {SH(2, 6, 5), SCALAR}, .limit = 6},         {.in = {SH(2, 6, 5), SH(2, 0, 4)}, .limit = 6},
    {.in = {SH(2, 100, 1), SH(1, 300)}, .limit = 100},
};
static wg_tensor *b_embedding(wg_ctx *ctx, wg_tensor *const *x, int v) {
    (void)ctx, (void)v;
    return wg_embedding(x[0], x[1]);
}
static nd r_embedding(const nd *x, int v) {
    wg_shape s = x[1].shape;
    int64_t width = x[0].shape.dim[1];
    (void)v;
    s.dim[s.rank++] = width;
    nd out = nd_new(x[0].dtype, s);
    for (int64_t e = 0; e < out.n; e++) {
        nd_copy_at(&out, e, &x[0], x[1].i[e / width] * width + e % width);
    }
    return out;
}

/* ---- one_hot(index, p classes): indices from 0 to limit-1, some past the classes ---- */

static const op_case c_one_hot[] = {
    {.in = {SH(1, 9)}, .p = {6}, .limit = 6},  {.in = {SH(2, 3, 4)}, .p = {5}, .limit = 7},
    {.in = {SCALAR}, .p = {3}, .limit = 3},    {.in = {SH(1, 0)}, .p = {3}, .limit = 3},
    {.in = {SH(1, 40)}, .p = {1}, .limit = 2},
};
static wg_tensor *b_one_hot(wg_ctx *ctx, wg_tensor *const *x, int v) {
    (void)ctx;
    return wg_one_hot(x[0], c_one_hot[v].p[0]);
}
static nd r_one_hot(const nd *x, int v) {
    wg_shape s = x[0].shape;
    int64_t classes = c_one_hot[v].p[0];
    s.dim[s.rank++] = classes;
    nd out = nd_new(WG_I64, s);
    for (int64_t e = 0; e < out.n; e++) {
        out.i[e] = x[0].i[e / classes] == e % classes;
    }
    return out;
}

#define ROW(n, ar, dt, ix, fl)                                                                                         \
    .name = #n, .arity = ar, .variants = COUNT(c_##n), .flags = fl, .dtypes = dt, .indices = ix, .build = b_##n,       \
    .ref = r_##n, .cases = c_##n

const op ops_index[] = {
    {ROW(cat, 3, M_ALL, 0, OP_DIFF | OP_SAME_BITS | OP_MIXES)},
    {ROW(slice_scatter, 2, M_ALL, 0, OP_DIFF | OP_SAME_BITS)},
    {ROW(index_select, 2, M_ALL, 2, OP_DIFF | OP_SAME_BITS)},
    {ROW(index_add, 3, M_FLOAT | M_INT, 2, OP_DIFF), .ulps = 1},
    {ROW(embedding, 2, M_FLOAT, 2, OP_DIFF | OP_SAME_BITS)},
    {ROW(one_hot, 1, M(WG_I64) | M(WG_I32), 1, OP_SAME_BITS)},
    {.name = NULL},
};
