/* Pure functions on shapes. */
#ifndef WG_TENSOR_SHAPE_H
#define WG_TENSOR_SHAPE_H

#include <wengert/types.h>

bool wg_shape_equal(const wg_shape *a, const wg_shape *b);
/* True for a rank of 0..8, sizes >= 0 and a number of elements that fits 2^48. */
bool wg_shape_valid(const wg_shape *s);
/* NumPy broadcasting; false if the shapes do not fit. out may be a or b. */
bool wg_shape_broadcast(const wg_shape *a, const wg_shape *b, wg_shape *out);
/* dim in -rank..rank-1 to 0..rank-1; -1 if it is outside. A scalar takes 0 and -1 as if it had one dimension. */
int wg_shape_dim(const wg_shape *s, int dim);

/* Text of a shape, "[2,3]", by value so that two fit into one printf. */
typedef struct wg_shape_text {
    char s[WG_MAX_RANK * 21 + 3];
} wg_shape_text;
wg_shape_text wg_shape_print(const wg_shape *s);

#endif
