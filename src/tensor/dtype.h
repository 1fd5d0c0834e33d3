/* Facts about dtypes: sizes, names, kinds, promotion. */
#ifndef WG_TENSOR_DTYPE_H
#define WG_TENSOR_DTYPE_H

#include <wengert/types.h>

/* Kinds are ordered as promotion widens them. */
typedef enum wg_kind { WG_KIND_BOOL, WG_KIND_INT, WG_KIND_FLOAT } wg_kind;

wg_kind wg_dtype_kind(wg_dtype d);
/* One of the enum's. */
bool wg_dtype_valid(wg_dtype d);
static inline bool wg_dtype_is_half(wg_dtype d) { return d == WG_F16 || d == WG_BF16; }
/* What values of a dtype are computed in, and held in registers as: f32 for the 16-bit floats, else the dtype itself. */
wg_dtype wg_dtype_compute(wg_dtype d);
/* Element i of those at `at` in host memory. */
double wg_dtype_number(wg_dtype d, const void *at, int64_t i);
/* The dtype of combining a tensor of dtype d with a scalar of that kind: the scalar does not widen within its kind. */
wg_dtype wg_promote_scalar(wg_dtype d, wg_kind scalar);
/* The kind of a scalar operand given as double: bool never, integer if it has no fraction. */
wg_kind wg_scalar_kind(double x);

#endif
