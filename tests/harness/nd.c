/*
 * Host arrays: see nd.h.
 */
#include "nd.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct block { struct block *next; } * blocks; /* reachable to the end, so that leak checkers stay quiet */

void *hold(size_t bytes) {
    struct block *b = calloc(1, sizeof *b + bytes + 16);
    if (!b) {
        abort();
    }
    b->next = blocks;
    blocks = b;
    return (char *)b + 16;
}

/* Of a floating dtype: bits of its fraction, exponent of its smallest number, largest number. */
static const struct {
    int fraction, least;
    double most;
} formats[WG_DTYPE_COUNT] = {
    [WG_F16] = {10, -24, 65504},
    [WG_BF16] = {7, -133, 0x1.fep127},
    [WG_F32] = {23, -149, 0x1.fffffep127},
    [WG_F64] = {52, -1074, DBL_MAX},
};

bool dtype_is_float(wg_dtype t) { return formats[t].fraction > 0; }
bool dtype_is_half(wg_dtype t) { return t == WG_F16 || t == WG_BF16; }
wg_dtype dtype_promote(wg_dtype a, wg_dtype b) {
    return a != b && dtype_is_half(a) && dtype_is_half(b) ? WG_F32 : a > b ? a : b;
}
double dtype_unit(wg_dtype t) { return ldexp(1, -formats[t].fraction - 1); }
double dtype_most(wg_dtype t) { return formats[t].most; }

double dtype_ulp(double v, wg_dtype t) {
    int e = v == 0 || !isfinite(v) ? INT_MIN / 2 : ilogb(v) - formats[t].fraction;
    return ldexp(1, e > formats[t].least ? e : formats[t].least);
}

double dtype_eps(wg_dtype t) { return t == WG_F64 ? DBL_EPSILON : (double)FLT_EPSILON; }
double dtype_tiny(wg_dtype t) { return t == WG_F64 ? DBL_MIN : (double)FLT_MIN; }

int64_t wrap_int(int64_t v, wg_dtype t) {
    switch (t) {
    case WG_BOOL:
        return v != 0;
    case WG_U8:
        return (uint8_t)v;
    case WG_I32:
        return (int32_t)(uint32_t)v;
    default:
        return v;
    }
}

double round_to(double v, wg_dtype t) {
    if (t == WG_F64) {
        return v;
    }
    v = (double)(float)v;
    if (t == WG_F32 || !isfinite(v)) {
        return v;
    }
    double unit = dtype_ulp(v, t), r = rint(v / unit) * unit;
    return fabs(r) > dtype_most(t) ? copysign(INFINITY, v) : r;
}

bool shape_equal(wg_shape a, wg_shape b) {
    if (a.rank != b.rank) {
        return false;
    }
    for (int d = 0; d < a.rank; d++) {
        if (a.dim[d] != b.dim[d]) {
            return false;
        }
    }
    return true;
}

const char *shape_text(wg_shape s) {
    static char text[8][160];
    static int next;
    char *p = text[next++ & 7];
    int len = snprintf(p, 160, "[");
    for (int d = 0; d < s.rank; d++) {
        len += snprintf(p + len, 160 - (size_t)len, "%s%lld", d ? "," : "", (long long)s.dim[d]);
    }
    snprintf(p + len, 160 - (size_t)len, "]");
    return p;
}

nd nd_new(wg_dtype dtype, wg_shape shape) {
    nd a = {dtype, shape, wg_shape_numel(shape), NULL, NULL, NULL};
    void *p = hold((size_t)a.n * 8);
    if (dtype_is_float(dtype)) {
        a.f = p;
    } else {
        a.i = p;
    }
    return a;
}

double nd_f(const nd *a, int64_t k) { return a->f ? a->f[k] : (double)a->i[k]; }
int64_t nd_i(const nd *a, int64_t k) { return a->i ? a->i[k] : (int64_t)a->f[k]; }

void nd_copy_at(nd *to, int64_t k, const nd *from, int64_t j) {
    if (to->f) {
        to->f[k] = from->f[j];
    } else {
        to->i[k] = from->i[j];
    }
}

void nd_add_slack(nd *a) { a->slack = hold((size_t)a->n * sizeof(double)); }

void strides_of(wg_shape s, int64_t *stride) {
    int64_t step = 1;
    for (int d = s.rank - 1; d >= 0; d--) {
        stride[d] = step;
        step *= s.dim[d];
    }
}

void unravel(int64_t k, wg_shape s, int64_t *index) {
    for (int d = s.rank - 1; d >= 0; d--) {
        index[d] = k % s.dim[d];
        k /= s.dim[d];
    }
}

wg_shape broadcast_shapes(wg_shape a, wg_shape b) {
    wg_shape out = {a.rank > b.rank ? a.rank : b.rank, {0}};
    for (int d = 1; d <= out.rank; d++) {
        int64_t x = d <= a.rank ? a.dim[a.rank - d] : 1, y = d <= b.rank ? b.dim[b.rank - d] : 1;
        out.dim[out.rank - d] = x == 1 ? y : x;
    }
    return out;
}

int64_t *broadcast_map(wg_shape from, wg_shape to) {
    int64_t n = wg_shape_numel(to), *map = hold((size_t)n * sizeof(int64_t)), stride[WG_MAX_RANK], at[WG_MAX_RANK];
    strides_of(from, stride);
    for (int64_t k = 0; k < n; k++) {
        unravel(k, to, at);
        for (int d = 0; d < from.rank; d++) {
            map[k] += from.dim[d] == 1 ? 0 : at[d + to.rank - from.rank] * stride[d];
        }
    }
    return map;
}

int norm_dim(int dim, int rank) { return dim < 0 ? dim + rank : dim; }

nd nd_view(nd a, wg_shape shape, int64_t offset, const int64_t *stride) {
    nd out = nd_new(a.dtype, shape);
    int64_t at[WG_MAX_RANK];
    for (int64_t k = 0; k < out.n; k++) {
        int64_t from = offset;
        unravel(k, shape, at);
        for (int d = 0; d < shape.rank; d++) {
            from += at[d] * stride[d];
        }
        nd_copy_at(&out, k, &a, from);
    }
    return out;
}

nd nd_permute(nd a, const int *order) {
    int64_t stride[WG_MAX_RANK], to[WG_MAX_RANK];
    wg_shape s = a.shape;
    strides_of(a.shape, stride);
    for (int d = 0; d < s.rank; d++) {
        int from = norm_dim(order[d], s.rank);
        s.dim[d] = a.shape.dim[from];
        to[d] = stride[from];
    }
    return nd_view(a, s, 0, to);
}

nd nd_transpose(nd a, int d0, int d1) {
    int order[WG_MAX_RANK];
    for (int d = 0; d < a.shape.rank; d++) {
        order[d] = d;
    }
    if (a.shape.rank) {
        d0 = norm_dim(d0, a.shape.rank);
        d1 = norm_dim(d1, a.shape.rank);
        order[d0] = d1;
        order[d1] = d0;
    }
    return nd_permute(a, order);
}

nd nd_take(nd a, int dim, int64_t start, int64_t count, int64_t step) {
    int64_t stride[WG_MAX_RANK];
    wg_shape s = a.shape;
    dim = norm_dim(dim, s.rank);
    strides_of(s, stride);
    int64_t offset = start * stride[dim];
    s.dim[dim] = count;
    stride[dim] *= step;
    return nd_view(a, s, offset, stride);
}

nd nd_flip(nd a, const int *dims, int n) {
    for (int j = 0; j < n; j++) {
        int64_t size = a.shape.dim[norm_dim(dims[j], a.shape.rank)];
        a = nd_take(a, dims[j], size - 1, size, -1);
    }
    return a;
}

nd nd_expand(nd a, wg_shape shape) {
    nd out = nd_new(a.dtype, shape);
    int64_t *map = broadcast_map(a.shape, shape);
    for (int64_t k = 0; k < out.n; k++) {
        nd_copy_at(&out, k, &a, map[k]);
    }
    return out;
}

nd nd_reshape(nd a, wg_shape shape) {
    int64_t known = 1;
    for (int d = 0; d < shape.rank; d++) {
        known *= shape.dim[d] < 0 ? 1 : shape.dim[d];
    }
    for (int d = 0; d < shape.rank; d++) {
        shape.dim[d] = shape.dim[d] < 0 ? a.n / known : shape.dim[d];
    }
    a.shape = shape;
    return a;
}

static int64_t saturate(double v, wg_dtype t) {
    double lo = t == WG_U8 ? 0 : t == WG_I32 ? INT32_MIN : -0x1p63;
    double hi = t == WG_U8 ? 255 : t == WG_I32 ? INT32_MAX : 0x1p63;
    if (isnan(v)) {
        return t == WG_BOOL;
    }
    if (t == WG_BOOL) {
        return v != 0;
    }
    v = trunc(v);
    if (v <= lo) {
        return t == WG_I64 ? INT64_MIN : (int64_t)lo;
    }
    return v >= hi ? (t == WG_I64 ? INT64_MAX : (int64_t)hi) : (int64_t)v;
}

nd nd_cast(nd a, wg_dtype dtype) {
    nd out = nd_new(dtype, a.shape);
    for (int64_t k = 0; k < a.n; k++) {
        if (out.i) {
            out.i[k] = a.i ? wrap_int(a.i[k], dtype) : saturate(a.f[k], dtype);
        } else if (a.f) {
            out.f[k] = round_to(a.f[k], dtype);
        } else {
            out.f[k] = dtype == WG_F64 ? (double)a.i[k] : round_to((double)(float)a.i[k], dtype);
        }
    }
    return out;
}

void *nd_pack(const nd *a) {
    size_t size = wg_dtype_size(a->dtype);
    char *out = hold((size_t)a->n * size);
    for (int64_t k = 0; k < a->n; k++) {
        float f32 = a->f ? (float)a->f[k] : 0;
        int32_t i32 = a->i ? (int32_t)a->i[k] : 0;
        uint8_t u8 = a->i ? (uint8_t)a->i[k] : 0;
        uint16_t half = a->dtype == WG_F16 ? wg_f16_from_f32(f32) : wg_bf16_from_f32(f32);
        const void *from = a->dtype == WG_F64        ? (void *)&a->f[k]
                           : a->dtype == WG_I64      ? (void *)&a->i[k]
                           : a->dtype == WG_F32      ? (void *)&f32
                           : dtype_is_half(a->dtype) ? (void *)&half
                           : a->dtype == WG_I32      ? (void *)&i32
                                                     : (void *)&u8;
        memcpy(out + (size_t)k * size, from, size);
    }
    return out;
}

wg_tensor *nd_tensor(wg_ctx *ctx, nd a) { return wg_from(ctx, a.dtype, nd_pack(&a), a.shape); }
