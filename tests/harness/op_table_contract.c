/*
 * The op table: contractions. Each element is one chain of fused multiply-adds in the order of the inner index, starting from
 * zero, so the reference is the same chain and the bits must agree.
 */
#include "op_table.h"

#include <math.h>

static const op_case c_matmul[] = {
    {.in = {SH(2, 3, 4), SH(2, 4, 5)}},
    {.in = {SH(2, 1, 1), SH(2, 1, 1)}},
    {.in = {SH(1, 4), SH(1, 4)}},
    {.in = {SH(2, 3, 4), SH(1, 4)}},
    {.in = {SH(1, 4), SH(2, 4, 5)}},
    {.in = {SH(3, 2, 3, 4), SH(3, 2, 4, 5)}},
    {.in = {SH(4, 2, 1, 3, 4), SH(3, 5, 4, 2)}},
    {.in = {SH(3, 6, 2, 3), SH(1, 3)}},
    {.in = {SH(1, 3), SH(3, 2, 3, 4)}},
    {.in = {SH(2, 0, 4), SH(2, 4, 3)}},
    {.in = {SH(2, 3, 0), SH(2, 0, 4)}},
    {.in = {SH(3, 0, 2, 3), SH(2, 3, 2)}},
    {.in = {SH(1, 0), SH(1, 0)}},
    {.in = {SH(2, 17, 33), SH(2, 33, 19)}},
    {.in = {SH(2, 65, 40), SH(2, 40, 70)}},
    {.in = {SH(2, 1, 300), SH(2, 300, 1)}},
    {.in = {SH(2, 64, 64), SH(2, 64, 64)}},
    {.in = {SH(2, 130, 9), SH(2, 9, 257)}},
    {.in = {SH(3, 3, 31, 17), SH(2, 17, 16)}},
};

/* a [..., m, k] and b [..., k, n], with vectors as matrices of one row or column that goes away again. */
static nd matmul(nd a, nd b, bool bits) {
    bool row = a.shape.rank == 1, column = b.shape.rank == 1;
    a = row ? nd_reshape(a, WG_SHAPE(1, a.n)) : a;
    b = column ? nd_reshape(b, WG_SHAPE(b.n, 1)) : b;
    wg_shape ab = a.shape, bb = b.shape;
    int64_t m = ab.dim[ab.rank - 2], inner = ab.dim[ab.rank - 1], n = bb.dim[bb.rank - 1];
    ab.rank -= 2;
    bb.rank -= 2;
    wg_shape batch = broadcast_shapes(ab, bb), s = batch;
    int64_t *amap = broadcast_map(ab, batch), *bmap = broadcast_map(bb, batch), batches = wg_shape_numel(batch);
    if (!row) {
        s.dim[s.rank++] = m;
    }
    if (!column) {
        s.dim[s.rank++] = n;
    }
    nd out = nd_new(a.dtype, s);
    if (out.f && !bits) {
        nd_add_slack(&out);
    }
    for (int64_t e = 0; e < batches * m * n; e++) {
        int64_t batch_at = e / (m * n), i = e / n % m, j = e % n;
        int64_t pa = (amap[batch_at] * m + i) * inner, pb = bmap[batch_at] * inner * n + j;
        float chain32 = 0;
        double chain64 = 0, magnitude = 0;
        uint64_t sum = 0;
        for (int64_t k = 0; k < inner; k++) {
            if (!a.f) {
                sum += (uint64_t)a.i[pa + k] * (uint64_t)b.i[pb + k * n];
                continue;
            }
            chain32 = fmaf((float)a.f[pa + k], (float)b.f[pb + k * n], chain32);
            chain64 = fma(a.f[pa + k], b.f[pb + k * n], chain64);
            magnitude += fabs(a.f[pa + k] * b.f[pb + k * n]);
        }
        if (!a.f) {
            out.i[e] = wrap_int((int64_t)sum, a.dtype);
            continue;
        }
        out.f[e] = bits && a.dtype != WG_F64 ? (double)chain32 : chain64;
        if (out.slack) {
            out.slack[e] = (8 + sqrt((double)inner)) * dtype_eps(a.dtype) * magnitude;
        }
    }
    return out;
}

static nd r_matmul(const nd *x, int v) {
    (void)v;
    return matmul(x[0], x[1], true);
}
static wg_tensor *b_matmul(wg_ctx *ctx, wg_tensor *const *x, int v) {
    (void)ctx, (void)v;
    return wg_matmul(x[0], x[1]);
}

/* x [..., in], w [out, in], b [out] */
static const op_case c_linear[] = {
    {.in = {SH(2, 3, 4), SH(2, 5, 4), SH(1, 5)}},     {.in = {SH(1, 4), SH(2, 5, 4), SH(1, 5)}},
    {.in = {SH(3, 2, 3, 4), SH(2, 5, 4), SH(1, 5)}},  {.in = {SH(2, 0, 4), SH(2, 5, 4), SH(1, 5)}},
    {.in = {SH(2, 3, 0), SH(2, 5, 0), SH(1, 5)}},     {.in = {SH(2, 33, 65), SH(2, 40, 65), SH(1, 40)}},
    {.in = {SH(2, 1, 128), SH(2, 1, 128), SH(1, 1)}},
};
static wg_tensor *b_linear(wg_ctx *ctx, wg_tensor *const *x, int v) {
    (void)ctx, (void)v;
    return wg_linear(x[0], x[1], x[2]);
}
static wg_tensor *b_linear_nobias(wg_ctx *ctx, wg_tensor *const *x, int v) {
    (void)ctx, (void)v;
    return wg_linear(x[0], x[1], NULL);
}
static nd r_linear_nobias(const nd *x, int v) {
    (void)v;
    return matmul(x[0], nd_transpose(x[1], 0, 1), true);
}
static nd r_linear(const nd *x, int v) {
    (void)v;
    nd out = matmul(x[0], nd_transpose(x[1], 0, 1), false);
    for (int64_t e = 0; e < out.n; e++) {
        if (out.f) {
            out.slack[e] +=
                dtype_is_half(out.dtype) ? dtype_unit(out.dtype) * fabs(out.f[e]) : 0; /* the product's rounding */
            out.f[e] += x[2].f[e % x[2].n];
            out.slack[e] += dtype_eps(out.dtype) * fabs(out.f[e]);
        } else {
            out.i[e] = wrap_int(out.i[e] + x[2].i[e % x[2].n], out.dtype);
        }
    }
    return out;
}

#define ROW(n, ar, cs)                                                                                                 \
    .name = n, .arity = ar, .variants = sizeof cs / sizeof *cs, .dtypes = M_FLOAT | M(WG_I32) | M(WG_I64),             \
    .cases = cs, .flags = OP_DIFF | OP_SAME_BITS

const op ops_contract[] = {
    {ROW("matmul", 2, c_matmul), .build = b_matmul, .ref = r_matmul},
    {ROW("linear", 3, c_linear), .build = b_linear, .ref = r_linear, .ulps = 1},
    {ROW("linear#nobias", 2, c_linear), .build = b_linear_nobias, .ref = r_linear_nobias},
    {.name = NULL},
};
