/* Facts about dtypes: sizes, names, kinds, promotion. */
#ifndef WG_TENSOR_DTYPE_H
#define WG_TENSOR_DTYPE_H

#include <wengert/types.h>

/* Kinds are ordered as promotion widens them. */
typedef enum wg_kind { WG_KIND_BOOL, WG_KIND_INT, WG_KIND_FLOAT } wg_kind;

wg_kind wg_dtype_kind(wg_dtype d);
static inline bool wg_dtype_is_float(wg_dtype d) { return wg_dtype_kind(d) == WG_KIND_FLOAT; }
/* A dtype the library computes with today. */
bool wg_dtype_valid(wg_dtype d);
/* The dtype of combining a tensor of dtype d with a scalar of that kind: the scalar does not widen within its kind. */
wg_dtype wg_promote_scalar(wg_dtype d, wg_kind scalar);
/* The kind of a scalar operand given as double: bool never, integer if it has no fraction. */
wg_kind wg_scalar_kind(double x);

#endif
