/*
 * The vocabulary of every other header: status codes, dtypes, shapes, and the two opaque handles.
 */
#ifndef WENGERT_TYPES_H
#define WENGERT_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define WG_BEGIN_DECLS extern "C" {
#define WG_END_DECLS }
#else
#define WG_BEGIN_DECLS
#define WG_END_DECLS
#endif

#if defined(__GNUC__)
#define WG_API __attribute__((visibility("default")))
#define WG_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define WG_API
#define WG_PRINTF(fmt, first)
#endif

WG_BEGIN_DECLS

/* A context: one device, its graph, its errors. Used by one thread at a time. See context.h. */
typedef struct wg_ctx wg_ctx;

/* A handle on a value. Owned by a scope or, after wg_keep, by the caller. See tensor.h. */
typedef struct wg_tensor wg_tensor;

/* What went wrong. The text, with op name, shapes and reason, is wg_error(ctx). */
typedef enum wg_status {
    WG_OK = 0,
    WG_ERR_ARG,         /* an argument is NULL, out of range, or from another context */
    WG_ERR_SHAPE,       /* shapes do not fit the op or each other */
    WG_ERR_DTYPE,       /* the op, or the device, does not take this dtype */
    WG_ERR_GRAPH,       /* no gradient to be had: graph released, not differentiable, no requires_grad */
    WG_ERR_INDEX,       /* an index held in a tensor was out of range when a kernel used it */
    WG_ERR_NOMEM,       /* host memory exhausted */
    WG_ERR_DEVICE_MEM,  /* device memory exhausted */
    WG_ERR_NO_DEVICE,   /* no such device, or no usable backend */
    WG_ERR_BUILD,       /* the driver refused a kernel; the text holds its numbered source */
    WG_ERR_LAUNCH,      /* the driver refused or lost a launch */
    WG_ERR_TRANSFER,    /* a copy between host and device failed */
    WG_ERR_LOST,        /* the tensor was being overwritten when a launch or transfer failed; assign it again */
    WG_ERR_FORK,        /* the context was opened before fork(); open one in the child */
    WG_ERR_IO,          /* a file is missing, truncated or not what it should be */
    WG_ERR_UNSUPPORTED, /* not available on this device or in this build */
    WG_ERR_ANOMALY,     /* a NaN or an infinity, while wg_detect_anomaly looks for them */
} wg_status;

/* "WG_ERR_SHAPE" and so on; "WG_ERR_?" for a number that is none. Static storage. */
WG_API const char *wg_status_name(wg_status status);

/* Element types. WG_BOOL is one byte, 0 or 1. WG_F16 (IEEE binary16) and WG_BF16 (the upper half of an f32) are for storage:
 * an op computes in f32 and its result is rounded to them, to nearest, ties to even. Host memory has them as their bits, in
 * uint16_t. */
typedef enum wg_dtype {
    WG_BOOL = 0,
    WG_U8,
    WG_I32,
    WG_I64,
    WG_F16,  /* 5 bits of exponent, 10 of fraction */
    WG_BF16, /* 8 and 7 */
    WG_F32,
    WG_F64,
    WG_DTYPE_COUNT
} wg_dtype;

/* Bytes an element takes; 0 for a value that is no dtype. */
WG_API size_t wg_dtype_size(wg_dtype dtype);
/* "f32", "bool", ...; "?" for a value that is no dtype. Static storage. */
WG_API const char *wg_dtype_name(wg_dtype dtype);
/* Whether it is f16, bf16, f32 or f64. */
WG_API bool wg_dtype_is_float(wg_dtype dtype);
/* The dtype of the result of combining two tensors, as torch.promote_types: f16 with bf16 is f32. */
WG_API wg_dtype wg_promote_types(wg_dtype a, wg_dtype b);

/* The bits of the 16-bit float nearest to x, ties to even. Beyond the largest number: an infinity of x's sign; NaN stays NaN,
 * made quiet. What kernels do, bit for bit. */
WG_API uint16_t wg_f16_from_f32(float x);
WG_API uint16_t wg_bf16_from_f32(float x);
/* The number that such bits stand for, exactly. */
WG_API float wg_f16_to_f32(uint16_t bits);
WG_API float wg_bf16_to_f32(uint16_t bits);

#define WG_MAX_RANK 8

/* Sizes of each dimension, outermost first. rank 0 is a scalar (one element); a size may be 0. */
typedef struct wg_shape {
    int rank;
    int64_t dim[WG_MAX_RANK];
} wg_shape;

/* The shape of `rank` sizes. A rank outside 0..8 gives a shape that every function refuses. */
static inline wg_shape wg_shape_make(int rank, const int64_t *dim) {
    wg_shape s;
    s.rank = rank < 0 || rank > WG_MAX_RANK ? -1 : rank;
    for (int i = 0; i < WG_MAX_RANK; i++) {
        s.dim[i] = i < s.rank ? dim[i] : 0;
    }
    return s;
}

/* Number of elements; 1 for rank 0. */
static inline int64_t wg_shape_numel(wg_shape s) {
    int64_t n = 1;
    for (int i = 0; i < s.rank; i++) {
        n *= s.dim[i];
    }
    return n;
}

WG_END_DECLS

/* WG_SHAPE(2, 3): the shape [2,3]. WG_SHAPE(): the shape of a scalar. */
#ifdef __cplusplus
template <class... Dims> static inline wg_shape wg_shape_from_(Dims... dims) {
    const int64_t dim[] = {0, static_cast<int64_t>(dims)...};
    return wg_shape_make(static_cast<int>(sizeof...(dims)), dim + 1);
}
#define WG_SHAPE(...) wg_shape_from_(__VA_ARGS__)
#else
#define WG_SHAPE(...)                                                                                                  \
    wg_shape_make((int)(sizeof((const int64_t[]){0, __VA_ARGS__}) / sizeof(int64_t)) - 1,                              \
                  &((const int64_t[]){0, __VA_ARGS__})[1])
#endif

#endif
