/*
 * Host arrays: the plain loops that every reference value is computed with.
 *
 * An nd is always row-major; a view is taken by copying. Floating dtypes live in f as doubles (a reference result is left
 * unrounded there), all others in i. Memory comes from an arena that lives as long as the process.
 */
#ifndef HARNESS_ND_H
#define HARNESS_ND_H

#include <wengert/wengert.h>

typedef struct nd {
    wg_dtype dtype;
    wg_shape shape;
    int64_t n;
    double *f;     /* floating dtypes */
    int64_t *i;    /* integers and bool */
    double *slack; /* NULL, or how far each element may be off, absolutely, on top of the ulps allowed */
} nd;

/* Zeroed memory for the rest of the process. */
void *hold(size_t bytes);

bool dtype_is_float(wg_dtype t);
bool dtype_is_half(wg_dtype t); /* f16 and bf16: computed in f32, rounded once */
/* As torch.promote_types: the later of bool < u8 < i32 < i64 < f16, bf16 < f32 < f64; of f16 and bf16 f32. */
wg_dtype dtype_promote(wg_dtype a, wg_dtype b);
/* Of what a dtype is computed in: the spacing at 1, the smallest normal number. */
double dtype_eps(wg_dtype t);
double dtype_tiny(wg_dtype t);
/* Half of the dtype's own spacing at 1: how far rounding to it moves a number, relatively. */
double dtype_unit(wg_dtype t);
double dtype_most(wg_dtype t); /* largest finite number */
/* The spacing of the dtype's numbers at v; that of the smallest ones for 0, infinities and NaN. */
double dtype_ulp(double v, wg_dtype t);
/* v wrapped to the dtype's range; bool: v != 0. */
int64_t wrap_int(int64_t v, wg_dtype t);
/* v rounded to the dtype; to 16-bit floats through f32. */
double round_to(double v, wg_dtype t);
bool shape_equal(wg_shape a, wg_shape b);
/* "[3,4]" in one of a few static buffers. */
const char *shape_text(wg_shape s);

nd nd_new(wg_dtype dtype, wg_shape shape);
/* The element as a double, or as an integer. */
double nd_f(const nd *a, int64_t k);
int64_t nd_i(const nd *a, int64_t k);
void nd_copy_at(nd *to, int64_t k, const nd *from, int64_t j);
void nd_add_slack(nd *a);

/* Row-major strides, and the indices of the k-th element. */
void strides_of(wg_shape s, int64_t *stride);
void unravel(int64_t k, wg_shape s, int64_t *index);
wg_shape broadcast_shapes(wg_shape a, wg_shape b);
/* For each element of `to`, the element of a (of a shape that broadcasts to it) it comes from. */
int64_t *broadcast_map(wg_shape from, wg_shape to);
int norm_dim(int dim, int rank);

nd nd_view(nd a, wg_shape shape, int64_t offset, const int64_t *stride);
nd nd_permute(nd a, const int *order);
nd nd_transpose(nd a, int d0, int d1);
/* count elements of dim from start on, step apart; step may be negative. */
nd nd_take(nd a, int dim, int64_t start, int64_t count, int64_t step);
nd nd_flip(nd a, const int *dims, int n);
nd nd_expand(nd a, wg_shape shape);
nd nd_reshape(nd a, wg_shape shape);
/* As wg_cast: truncates, saturates, NaN to 0; rounds to f32. */
nd nd_cast(nd a, wg_dtype dtype);

/* The bytes of a in its dtype, and a tensor made of them. */
void *nd_pack(const nd *a);
wg_tensor *nd_tensor(wg_ctx *ctx, nd a);

#endif
