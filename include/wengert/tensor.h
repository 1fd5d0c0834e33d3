/*
 * Tensors: handles on values that never change, and how to make, read, keep and replace them.
 *
 * Ownership. What a function here or in ops.h returns belongs to the innermost open scope and is freed when that
 * closes. wg_keep makes the caller the owner; wg_free ends that (or frees a scope's tensor early). wg_close frees all.
 *
 * Values. A handle stands for a value. wg_assign, wg_data_mut and optimiser steps make it stand for another one; views
 * and recorded ops go on using the value they saw.
 *
 * Every function returning a tensor returns NULL on error, with the reason in the context.
 */
#ifndef WENGERT_TENSOR_H
#define WENGERT_TENSOR_H

#include <wengert/context.h>
#include <wengert/types.h>

WG_BEGIN_DECLS

/* ---- making --------------------------------------------------------------------------------------------------- */

/* A tensor holding a copy of wg_shape_numel(shape) elements at data, row-major. data may be NULL if there are none. */
WG_API wg_tensor *wg_from(wg_ctx *ctx, wg_dtype dtype, const void *data, wg_shape shape);
WG_API wg_tensor *wg_from_f32(wg_ctx *ctx, const float *data, wg_shape shape);
WG_API wg_tensor *wg_from_f64(wg_ctx *ctx, const double *data, wg_shape shape);
/* data holds the bits of 16-bit floats: wg_f16_from_f32 and wg_bf16_from_f32 give them. */
WG_API wg_tensor *wg_from_f16(wg_ctx *ctx, const uint16_t *data, wg_shape shape);
WG_API wg_tensor *wg_from_bf16(wg_ctx *ctx, const uint16_t *data, wg_shape shape);
WG_API wg_tensor *wg_from_i32(wg_ctx *ctx, const int32_t *data, wg_shape shape);
WG_API wg_tensor *wg_from_i64(wg_ctx *ctx, const int64_t *data, wg_shape shape);
WG_API wg_tensor *wg_from_u8(wg_ctx *ctx, const uint8_t *data, wg_shape shape);
/* Any non-zero byte is true. */
WG_API wg_tensor *wg_from_bool(wg_ctx *ctx, const uint8_t *data, wg_shape shape);

/* Constant tensors; they take no memory until something needs their bytes. */
WG_API wg_tensor *wg_zeros(wg_ctx *ctx, wg_dtype dtype, wg_shape shape);
WG_API wg_tensor *wg_ones(wg_ctx *ctx, wg_dtype dtype, wg_shape shape);
WG_API wg_tensor *wg_full(wg_ctx *ctx, wg_dtype dtype, wg_shape shape, double value);
WG_API wg_tensor *wg_zeros_like(wg_tensor *t);
WG_API wg_tensor *wg_ones_like(wg_tensor *t);
WG_API wg_tensor *wg_full_like(wg_tensor *t, double value);

/* start, start+step, ...: the ceil((end-start)/step) values before end, as torch.arange; computed as start + i*step in
 * the dtype (16-bit floats: in f32). step must not be 0 and must point from start to end. Not for WG_BOOL. */
WG_API wg_tensor *wg_arange(wg_ctx *ctx, wg_dtype dtype, double start, double end, double step);

/* Uniform in [0,1), normal(0,1): Philox 4x32-10 keyed by the context's seed (Salmon et al., SC 2011), Box-Muller for
 * the normal. Floating dtypes; a uniform f16 or bf16 has 11 or 8 random bits, so that it stays below 1. Values do not depend on
 * the device. */
WG_API wg_tensor *wg_rand(wg_ctx *ctx, wg_dtype dtype, wg_shape shape);
WG_API wg_tensor *wg_randn(wg_ctx *ctx, wg_dtype dtype, wg_shape shape);

/* ---- asking --------------------------------------------------------------------------------------------------- */

WG_API wg_ctx *wg_context(const wg_tensor *t);       /* NULL for NULL */
WG_API wg_shape wg_shape_of(const wg_tensor *t);     /* rank -1 for NULL */
WG_API int wg_rank(const wg_tensor *t);              /* -1 for NULL */
WG_API int64_t wg_size(const wg_tensor *t, int dim); /* negative dims count from the end; -1 on error */
WG_API int64_t wg_numel(const wg_tensor *t);         /* -1 for NULL */
WG_API wg_dtype wg_dtype_of(const wg_tensor *t);     /* WG_DTYPE_COUNT for NULL */
WG_API bool wg_requires_grad(const wg_tensor *t);    /* whether gradients flow to it */
WG_API bool wg_is_leaf(const wg_tensor *t);          /* made by the user or detached, not by a recorded op */

/* ---- reading: these run what the value needs -------------------------------------------------------------------- */

/* Runs what the values of n tensors need, in one plan. NULL entries are an error. */
WG_API wg_status wg_eval(wg_tensor *const *tensors, size_t n);

/* The value of a one-element tensor. NaN on error. i64 beyond 2^53 rounds; wg_item_i64 is exact for integers. */
WG_API double wg_item(wg_tensor *t);
WG_API int64_t wg_item_i64(wg_tensor *t); /* 0 on error; floating values truncate */

/* Lends the elements, contiguous and read-only, until the tensor's scope closes, the tensor is freed, or it stands for
 * another value. NULL on error; also NULL, without error, when there are no elements. No copy on a CPU device. 16-bit floats
 * are uint16_t. */
WG_API const void *wg_data(wg_tensor *t);
WG_API const float *wg_data_f32(wg_tensor *t); /* WG_ERR_DTYPE unless the dtype is f32 */
WG_API const int64_t *wg_data_i64(wg_tensor *t);

/* Copies the elements out, row-major; bytes must be numel times the dtype's size. */
WG_API wg_status wg_read(wg_tensor *t, void *out, size_t bytes);

/* Writes the elements as text, as PyTorch prints tensors: long ones are summarised, and a dtype other than f32, i64 and
 * bool, and requires_grad, are named. */
WG_API wg_status wg_print(wg_tensor *t, FILE *out);

/* ---- replacing -------------------------------------------------------------------------------------------------- */

/* Gives t, which must be a leaf, a new value copied from bytes at data (size as wg_read). */
WG_API wg_status wg_write(wg_tensor *t, const void *data, size_t bytes);

/* Gives t, a leaf, a new value that starts as the old one and can be written through the result until t is used again:
 * the next op, read or scope end takes what is there. NULL on error. */
WG_API void *wg_data_mut(wg_tensor *t);

/* Makes t, a leaf, stand for v's value: same shape and dtype. No gradient flows through an assignment. */
WG_API wg_status wg_assign(wg_tensor *t, wg_tensor *v);

/* ---- owning ----------------------------------------------------------------------------------------------------- */

/* The caller owns t from now on; returns t. It stays valid until wg_free or wg_close. */
WG_API wg_tensor *wg_keep(wg_tensor *t);
/* Ends the caller's ownership, or frees a scope's tensor early. NULL is allowed. */
WG_API void wg_free(wg_tensor *t);

WG_END_DECLS

#endif
