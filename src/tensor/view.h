/*
 * Strided views: how the elements of a tensor lie in the row-major bytes of another one, its base. Pure functions.
 * Strides and offsets count elements; strides may be 0 (expanded) or negative (flipped).
 */
#ifndef WG_TENSOR_VIEW_H
#define WG_TENSOR_VIEW_H

#include <wengert/types.h>

typedef struct wg_view {
    wg_shape shape;
    int64_t stride[WG_MAX_RANK];
    int64_t offset;
} wg_view;

wg_view wg_view_contiguous(const wg_shape *shape);
/* Elements lie one after the other, row-major, wherever they start. */
bool wg_view_is_contiguous(const wg_view *v);

/* order: which dimension of v each result dimension is. */
wg_view wg_view_permute(const wg_view *v, const int *order);
/* False unless v's shape broadcasts to shape. */
bool wg_view_expand(const wg_view *v, const wg_shape *shape, wg_view *out);
/* Elements start, start + step, ... of dim, count of them; step may be negative. The caller has checked the range. */
wg_view wg_view_slice(const wg_view *v, int dim, int64_t start, int64_t count, int64_t step);
wg_view wg_view_remove_dim(const wg_view *v, int dim);
wg_view wg_view_insert_dim(const wg_view *v, int dim);
/* For a view that shows every element of its base once: where the base's elements, in their order, stand in the view. False
 * for other views. out's shape has the base's elements, its dims split as the view needs. */
bool wg_view_inverse(const wg_view *v, int64_t base_numel, wg_view *out);
/* The same elements in row-major order under another shape of as many elements; false if strides do not allow it. */
bool wg_view_reshape(const wg_view *v, const wg_shape *shape, wg_view *out);

/* Where the elements of w lie in v's bytes, if w is a view of v's elements in their row-major order: out has w's shape. False
 * if no strides say so, and for views that walk backwards. */
bool wg_view_through(const wg_view *v, const wg_view *w, wg_view *out);

#endif
