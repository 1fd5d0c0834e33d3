/*
 * The ops. Names, argument order, defaults, broadcasting, type promotion and edge cases are PyTorch's:
 * torch.foo(a, b, dim) is wg_foo(a, b, dim); a scalar second operand is wg_foo_scalar.
 *
 * Said once for all of them:
 *  - Operands belong to one context. NULL operands give NULL. The result belongs to the innermost open scope.
 *  - Shapes of binary ops broadcast as in NumPy; dtypes promote as in PyTorch; a scalar operand does not widen the
 *    dtype within its kind (i32 + 2.5 is f32, f32 + 2.5 stays f32).
 *  - dim counts from the end when negative. Errors are WG_ERR_ARG, WG_ERR_SHAPE, WG_ERR_DTYPE, named in wg_error.
 *  - Each result is rounded to its dtype, whatever it is fused with; integers wrap. f16 and bf16 are computed in f32 and rounded
 *    once, by each op and by each op's gradient. A scalar operand is an f32 then, but a number of the dtype in comparisons.
 *  - Ops are differentiable, twice and more, unless marked (f).
 */
#ifndef WENGERT_OPS_H
#define WENGERT_OPS_H

#include <wengert/tensor.h>
#include <wengert/types.h>

WG_BEGIN_DECLS

/* ---- arithmetic ------------------------------------------------------------------------------------------------- */

WG_API wg_tensor *wg_add(wg_tensor *a, wg_tensor *b);
WG_API wg_tensor *wg_sub(wg_tensor *a, wg_tensor *b);
WG_API wg_tensor *wg_mul(wg_tensor *a, wg_tensor *b);
/* True division: integers are divided as f32. x/0 is inf or NaN. */
WG_API wg_tensor *wg_div(wg_tensor *a, wg_tensor *b);
/* a to the b. Integers: by repeated multiplication; negative integer exponents are an error of the scalar form and
 * give 0 (or +-1 for a = +-1) elementwise. d/da is 0 where b = 0; d/db at a = 0, b >= 0 is 0. */
WG_API wg_tensor *wg_pow(wg_tensor *a, wg_tensor *b);
/* NaN if either is NaN. At ties each operand gets half of the gradient. */
WG_API wg_tensor *wg_maximum(wg_tensor *a, wg_tensor *b);
WG_API wg_tensor *wg_minimum(wg_tensor *a, wg_tensor *b);

WG_API wg_tensor *wg_add_scalar(wg_tensor *a, double b);
WG_API wg_tensor *wg_sub_scalar(wg_tensor *a, double b);
WG_API wg_tensor *wg_rsub_scalar(wg_tensor *a, double b); /* b - a */
WG_API wg_tensor *wg_mul_scalar(wg_tensor *a, double b);
WG_API wg_tensor *wg_div_scalar(wg_tensor *a, double b);
WG_API wg_tensor *wg_rdiv_scalar(wg_tensor *a, double b); /* b / a */
WG_API wg_tensor *wg_pow_scalar(wg_tensor *a, double b);

/* ---- functions of one tensor: floating in, same dtype out; integers compute in f32 -------------------------------- */

WG_API wg_tensor *wg_neg(wg_tensor *a);    /* any dtype but bool; keeps it */
WG_API wg_tensor *wg_abs(wg_tensor *a);    /* keeps the dtype; gradient 0 at 0 */
WG_API wg_tensor *wg_sign(wg_tensor *a);   /* (f: gradient 0) keeps the dtype; NaN for NaN as sign(NaN) in the dtype */
WG_API wg_tensor *wg_square(wg_tensor *a); /* keeps the dtype */
WG_API wg_tensor *wg_sqrt(wg_tensor *a);   /* correctly rounded */
WG_API wg_tensor *wg_rsqrt(wg_tensor *a);  /* 1 / sqrt(a) */
WG_API wg_tensor *wg_reciprocal(wg_tensor *a);
WG_API wg_tensor *wg_exp(wg_tensor *a);
WG_API wg_tensor *wg_log(wg_tensor *a);
WG_API wg_tensor *wg_sin(wg_tensor *a);
WG_API wg_tensor *wg_cos(wg_tensor *a);
WG_API wg_tensor *wg_tanh(wg_tensor *a);
WG_API wg_tensor *wg_erf(wg_tensor *a);
WG_API wg_tensor *wg_sigmoid(wg_tensor *a);   /* 1 / (1 + exp(-a)) */
WG_API wg_tensor *wg_relu(wg_tensor *a);      /* keeps the dtype; NaN stays NaN; gradient 0 at 0 */
WG_API wg_tensor *wg_gelu(wg_tensor *a);      /* a * (1 + erf(a / sqrt 2)) / 2  (Hendrycks & Gimpel 2016) */
WG_API wg_tensor *wg_gelu_tanh(wg_tensor *a); /* the tanh approximation of the same paper */

/* min(max(a, lo), hi); an infinite bound is no bound. Gradient 1 on the closed interval, 0 outside. */
WG_API wg_tensor *wg_clamp(wg_tensor *a, double lo, double hi);

/* ---- comparisons and selection ------------------------------------------------------------------------------------ */

/* (f) bool results; operands are promoted first; any comparison with NaN is false, but ne is true. */
WG_API wg_tensor *wg_eq(wg_tensor *a, wg_tensor *b);
WG_API wg_tensor *wg_ne(wg_tensor *a, wg_tensor *b);
WG_API wg_tensor *wg_lt(wg_tensor *a, wg_tensor *b);
WG_API wg_tensor *wg_le(wg_tensor *a, wg_tensor *b);
WG_API wg_tensor *wg_gt(wg_tensor *a, wg_tensor *b);
WG_API wg_tensor *wg_ge(wg_tensor *a, wg_tensor *b);
WG_API wg_tensor *wg_eq_scalar(wg_tensor *a, double b);
WG_API wg_tensor *wg_ne_scalar(wg_tensor *a, double b);
WG_API wg_tensor *wg_lt_scalar(wg_tensor *a, double b);
WG_API wg_tensor *wg_le_scalar(wg_tensor *a, double b);
WG_API wg_tensor *wg_gt_scalar(wg_tensor *a, double b);
WG_API wg_tensor *wg_ge_scalar(wg_tensor *a, double b);

/* a where cond (bool) is true, else b. All three broadcast; a and b promote. */
WG_API wg_tensor *wg_where(wg_tensor *cond, wg_tensor *a, wg_tensor *b);

/* ---- reductions ---------------------------------------------------------------------------------------------------- */

/*
 * Reductions over the ndims dimensions in dims, which must be distinct; ndims = 0 reduces all of them. keepdim leaves
 * them in the shape with size 1. The order of additions depends on the shape alone; 16-bit floats are added in f32.
 */
/* Integers and bool sum in i64. The sum of nothing is 0. */
WG_API wg_tensor *wg_sum(wg_tensor *a, const int *dims, int ndims, bool keepdim);
/* Floating dtypes. The mean of nothing is NaN. */
WG_API wg_tensor *wg_mean(wg_tensor *a, const int *dims, int ndims, bool keepdim);
/* NaN if there is one. Ties share the gradient evenly. Nothing to reduce is WG_ERR_SHAPE. */
WG_API wg_tensor *wg_amax(wg_tensor *a, const int *dims, int ndims, bool keepdim);
WG_API wg_tensor *wg_amin(wg_tensor *a, const int *dims, int ndims, bool keepdim);
/* Variance with divisor max(0, n - correction): correction 1 is PyTorch's default (unbiased). Two passes. */
WG_API wg_tensor *wg_var(wg_tensor *a, const int *dims, int ndims, double correction, bool keepdim);
/* (f) i64 index of the first largest element (the first NaN, if any) along dim. */
WG_API wg_tensor *wg_argmax(wg_tensor *a, int dim, bool keepdim);

/* Along one dimension, shifted by the maximum so that nothing overflows. Floating dtypes. */
WG_API wg_tensor *wg_softmax(wg_tensor *a, int dim);
WG_API wg_tensor *wg_log_softmax(wg_tensor *a, int dim);
WG_API wg_tensor *wg_logsumexp(wg_tensor *a, const int *dims, int ndims, bool keepdim);

/* ---- contractions --------------------------------------------------------------------------------------------------- */

/* As torch.matmul: vectors, matrices and batches of matrices whose leading dimensions broadcast. a and b have the same
 * dtype, not bool or u8. Each element is one chain of fused multiply-adds in the order of the inner index, of 16-bit floats in f32. */
WG_API wg_tensor *wg_matmul(wg_tensor *a, wg_tensor *b);
/* x [..., in] times w [out, in] transposed, plus b [out] unless it is NULL: [..., out]. Two ops: 16-bit floats are rounded
 * before b is added. */
WG_API wg_tensor *wg_linear(wg_tensor *x, wg_tensor *w, wg_tensor *b);

/* ---- views: no bytes move (reshape copies when strides leave no choice) ----------------------------------------------- */

/* One size may be -1 and is inferred. */
WG_API wg_tensor *wg_reshape(wg_tensor *a, wg_shape shape);
WG_API wg_tensor *wg_flatten(wg_tensor *a, int start_dim, int end_dim);
/* order holds wg_rank(a) distinct dims. */
WG_API wg_tensor *wg_permute(wg_tensor *a, const int *order);
WG_API wg_tensor *wg_transpose(wg_tensor *a, int dim0, int dim1);
/* Sizes of 1 are repeated to shape's; new dimensions are added in front; -1 keeps a size. */
WG_API wg_tensor *wg_expand(wg_tensor *a, wg_shape shape);
/* length elements of dim from start on. */
WG_API wg_tensor *wg_narrow(wg_tensor *a, int dim, int64_t start, int64_t length);
/* The index-th slice of dim, which goes away. */
WG_API wg_tensor *wg_select(wg_tensor *a, int dim, int64_t index);
/* As a[start:end:step] in Python: out-of-range ends are clipped, negative ones count from the end; step >= 1. */
WG_API wg_tensor *wg_slice(wg_tensor *a, int dim, int64_t start, int64_t end, int64_t step);
WG_API wg_tensor *wg_flip(wg_tensor *a, const int *dims, int ndims);
/* Removes dim if its size is 1 (else returns the same view). */
WG_API wg_tensor *wg_squeeze(wg_tensor *a, int dim);
/* Inserts a size 1 before dim; dim may be the rank. */
WG_API wg_tensor *wg_unsqueeze(wg_tensor *a, int dim);
/* The same value, cut off from the graph of gradients. */
WG_API wg_tensor *wg_detach(wg_tensor *a);

/* ---- copies and indexing ------------------------------------------------------------------------------------------------ */

/* The same elements, row-major in memory of their own if they are not already. */
WG_API wg_tensor *wg_contiguous(wg_tensor *a);
/* Conversion as in C, made total: floating to integer truncates, saturates, and takes NaN to 0; to bool is != 0. To f16 and bf16
 * it goes through f32, and what is too large becomes infinite. */
WG_API wg_tensor *wg_cast(wg_tensor *a, wg_dtype dtype);
/* The n tensors one after the other along dim; other sizes equal; dtypes promote. n >= 1. */
WG_API wg_tensor *wg_cat(wg_tensor *const *tensors, size_t n, int dim);
/* a with src written over the slice start:end:step of dim; src has the slice's shape. */
WG_API wg_tensor *wg_slice_scatter(wg_tensor *a, wg_tensor *src, int dim, int64_t start, int64_t end, int64_t step);
/* Rows (slices of dim) picked by index, i64 or i32 of rank 1. An index out of range gives zeros, and WG_ERR_INDEX when
 * the value is next read. */
WG_API wg_tensor *wg_index_select(wg_tensor *a, int dim, wg_tensor *index);
/* a with the slices of src added at index along dim; repeated indices add up in order, so the result is
 * deterministic; of 16-bit floats the sums are f32, rounded at the end. Index errors as index_select. */
WG_API wg_tensor *wg_index_add(wg_tensor *a, int dim, wg_tensor *index, wg_tensor *src);
/* Rows of weight [n, d] picked by index of any shape: [..., d]. */
WG_API wg_tensor *wg_embedding(wg_tensor *weight, wg_tensor *index);
/* (f) i64 [..., num_classes], 1 at the index; an index out of range gives a row of zeros. num_classes >= 1. */
WG_API wg_tensor *wg_one_hot(wg_tensor *index, int64_t num_classes);

WG_END_DECLS

#endif
