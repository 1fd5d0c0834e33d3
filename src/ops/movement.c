/* Views: the same elements in another order or shape. No bytes move, but for wg_contiguous. */
#include "ops/common.h"

#include <inttypes.h>

static wg_tensor *view_of(const wg_op *op, wg_tensor *a, const wg_view *view, int64_t attr0, int64_t attr1,
                          int64_t attr2) {
    const int64_t attr[WG_MAX_ATTR] = {attr0, attr1, attr2};
    return wg_record_view(op, a, view, attr);
}

/* ---- contiguous ----------------------------------------------------------------------------------------------------- */

static wg_x emit_contiguous(wg_expr *x, const wg_node *n) {
    (void)n;
    return wg_x_in(x, 0);
}
static void vjp_contiguous(wg_vjp *v) { wg_vjp_set(v, 0, wg_vjp_grad(v)); }
static const wg_op contiguous_op = {
    .name = "contiguous", .kind = WG_OP_MAP, .copies = true, .emit = emit_contiguous, .vjp = vjp_contiguous};

wg_tensor *wg_contiguous(wg_tensor *a) {
    wg_graph *g;
    if (!wg_check("contiguous", &g, &a, 1)) {
        return NULL;
    }
    wg_view view = wg_view_of(a->node);
    return wg_view_is_contiguous(&view) ? wg_op_same(a) : wg_op_map1(g, &contiguous_op, a, wg_op_dtype(a), 0, 0);
}

/* ---- reshape -------------------------------------------------------------------------------------------------------- */

static void vjp_reshape(wg_vjp *v) { wg_vjp_set(v, 0, wg_reshape(wg_vjp_grad(v), *wg_vjp_node(v)->in[0]->shape)); }
static const wg_op reshape_op = {.name = "reshape", .kind = WG_OP_VIEW, .vjp = vjp_reshape};

wg_tensor *wg_op_same(wg_tensor *a) {
    wg_view view = wg_view_of(a->node);
    return view_of(&reshape_op, a, &view, 0, 0, 0);
}

/* Puts a number in the place of the -1 and checks that the elements fit. */
static bool infer_shape(wg_graph *g, const wg_shape *from, wg_shape *to) {
    int unknown = -1, unknowns = 0;
    wg_shape known = *to;
    for (int i = 0; i < to->rank; i++) {
        if (to->dim[i] == -1) {
            unknown = i;
            unknowns++;
            known.dim[i] = 1;
        }
    }
    if (unknowns > 1 || !wg_shape_valid(&known)) {
        wg_fail(g, WG_ERR_SHAPE, "reshape: %s to %s: not a shape", wg_shape_print(from).s, wg_shape_print(to).s);
        return false;
    }
    int64_t have = wg_shape_numel(*from), want = wg_shape_numel(known);
    if (unknown >= 0 && want > 0 && have % want == 0) {
        known.dim[unknown] = have / want;
    } else if (unknown >= 0 || have != want) {
        wg_fail(g, WG_ERR_SHAPE, "reshape: %s to %s: %" PRId64 " elements do not fill it", wg_shape_print(from).s,
                wg_shape_print(to).s, have);
        return false;
    }
    *to = known;
    return true;
}

wg_tensor *wg_reshape(wg_tensor *a, wg_shape shape) {
    wg_graph *g;
    if (!wg_check("reshape", &g, &a, 1) || !infer_shape(g, wg_op_shape(a), &shape)) {
        return NULL;
    }
    wg_view from = wg_view_of(a->node), to;
    if (wg_view_reshape(&from, &shape, &to)) {
        return view_of(&reshape_op, a, &to, 0, 0, 0);
    }
    wg_tensor *copy = wg_contiguous(a), *result = NULL;
    if (copy) {
        to = wg_view_contiguous(&shape);
        result = view_of(&reshape_op, copy, &to, 0, 0, 0);
    }
    wg_free(copy);
    return result;
}

wg_tensor *wg_flatten(wg_tensor *a, int start_dim, int end_dim) {
    wg_graph *g;
    if (!wg_check("flatten", &g, &a, 1)) {
        return NULL;
    }
    int first = wg_op_dim(g, "flatten", a, start_dim), last = wg_op_dim(g, "flatten", a, end_dim);
    if (first < 0 || last < 0) {
        return NULL;
    }
    const wg_shape *s = wg_op_shape(a);
    if (first > last) {
        return wg_fail(g, WG_ERR_ARG, "flatten: %s: dimension %d comes after %d", wg_shape_print(s).s, first, last);
    }
    wg_shape flat = {.rank = first};
    int64_t run = 1;
    for (int i = 0; i < s->rank; i++) {
        if (i < first) {
            flat.dim[i] = s->dim[i];
        } else if (i <= last) {
            run *= s->dim[i];
        } else {
            flat.dim[first + i - last] = s->dim[i];
        }
    }
    flat.dim[first] = run;
    flat.rank = s->rank ? s->rank - (last - first) : 1;
    return wg_reshape(a, flat);
}

wg_tensor *wg_squeeze(wg_tensor *a, int dim) {
    wg_graph *g;
    if (!wg_check("squeeze", &g, &a, 1)) {
        return NULL;
    }
    int d = wg_op_dim(g, "squeeze", a, dim);
    if (d < 0) {
        return NULL;
    }
    wg_view view = wg_view_of(a->node);
    if (view.shape.rank > 0 && view.shape.dim[d] == 1) {
        view = wg_view_remove_dim(&view, d);
    }
    return view_of(&reshape_op, a, &view, 0, 0, 0);
}

wg_tensor *wg_unsqueeze(wg_tensor *a, int dim) {
    wg_graph *g;
    if (!wg_check("unsqueeze", &g, &a, 1)) {
        return NULL;
    }
    wg_view view = wg_view_of(a->node);
    int rank = view.shape.rank;
    if (rank == WG_MAX_RANK) {
        return wg_op_refuse(g, "unsqueeze", WG_ERR_SHAPE, a, "has as many dimensions as a tensor can have");
    }
    if (dim < -rank - 1 || dim > rank) {
        return wg_fail(g, WG_ERR_ARG, "unsqueeze: %s: no place for a dimension %d", wg_shape_print(&view.shape).s, dim);
    }
    view = wg_view_insert_dim(&view, dim < 0 ? dim + rank + 1 : dim);
    return view_of(&reshape_op, a, &view, 0, 0, 0);
}

/* ---- permute: attr 0 is the order, four bits a dim ------------------------------------------------------------------ */

static void vjp_permute(wg_vjp *v) {
    int order[WG_MAX_RANK] = {0};
    for (int i = 0; i < wg_vjp_node(v)->shape->rank; i++) {
        order[wg_vjp_node(v)->attr[0] >> 4 * i & 15] = i;
    }
    wg_vjp_set(v, 0, wg_permute(wg_vjp_grad(v), order));
}
static const wg_op permute_op = {.name = "permute", .kind = WG_OP_VIEW, .vjp = vjp_permute};

wg_tensor *wg_permute(wg_tensor *a, const int *order) {
    wg_graph *g;
    unsigned seen;
    if (!wg_check("permute", &g, &a, 1) || !wg_op_dim_mask(g, "permute", a, order, wg_op_shape(a)->rank, &seen)) {
        return NULL;
    }
    wg_view view = wg_view_of(a->node);
    int dims[WG_MAX_RANK];
    int64_t packed = 0;
    for (int i = 0; i < view.shape.rank; i++) {
        dims[i] = wg_shape_dim(&view.shape, order[i]);
        packed |= (int64_t)dims[i] << 4 * i;
    }
    view = wg_view_permute(&view, dims);
    return view_of(&permute_op, a, &view, packed, 0, 0);
}

wg_tensor *wg_transpose(wg_tensor *a, int dim0, int dim1) {
    wg_graph *g;
    if (!wg_check("transpose", &g, &a, 1)) {
        return NULL;
    }
    int x = wg_op_dim(g, "transpose", a, dim0), y = wg_op_dim(g, "transpose", a, dim1);
    if (x < 0 || y < 0) {
        return NULL;
    }
    int order[WG_MAX_RANK];
    for (int i = 0; i < WG_MAX_RANK; i++) {
        order[i] = i == x ? y : i == y ? x : i;
    }
    return wg_permute(a, order);
}

/* ---- expand --------------------------------------------------------------------------------------------------------- */

/* The backward loop sums the gradient down to the operand's shape. */
static void vjp_expand(wg_vjp *v) { wg_vjp_set(v, 0, wg_vjp_grad(v)); }
static const wg_op expand_op = {.name = "expand", .kind = WG_OP_VIEW, .vjp = vjp_expand};

wg_tensor *wg_expand(wg_tensor *a, wg_shape shape) {
    wg_graph *g;
    if (!wg_check("expand", &g, &a, 1)) {
        return NULL;
    }
    wg_view view = wg_view_of(a->node), wide;
    wg_shape want = shape;
    int lead = shape.rank - view.shape.rank;
    for (int i = lead < 0 ? 0 : lead; lead >= 0 && i < shape.rank; i++) {
        want.dim[i] = shape.dim[i] == -1 ? view.shape.dim[i - lead] : shape.dim[i];
    }
    if (!wg_shape_valid(&want) || !wg_view_expand(&view, &want, &wide)) {
        return wg_fail(g, WG_ERR_SHAPE, "expand: %s to %s: sizes do not broadcast", wg_shape_print(&view.shape).s,
                       wg_shape_print(&shape).s);
    }
    return view_of(&expand_op, a, &wide, 0, 0, 0);
}

/* ---- slices: attr 0 is the dim, 1 the start, 2 the step ------------------------------------------------------------- */

static void vjp_slice(wg_vjp *v) {
    const wg_node *n = wg_vjp_node(v);
    int dim = (int)n->attr[0];
    int64_t start = n->attr[1], step = n->attr[2], count = n->shape->dim[dim];
    int64_t end = count > 0 ? start + (count - 1) * step + 1 : start;
    wg_tensor *zeros = wg_op_zeros(n->graph, (wg_dtype)n->dtype, n->in[0]->shape);
    wg_vjp_set(v, 0, wg_slice_scatter(zeros, wg_vjp_grad(v), dim, start, end, step));
}
static const wg_op slice_op = {.name = "slice", .kind = WG_OP_VIEW, .vjp = vjp_slice};

static wg_tensor *slice(wg_tensor *a, int dim, int64_t start, int64_t count, int64_t step) {
    wg_view view = wg_view_of(a->node);
    view = wg_view_slice(&view, dim, start, count, step);
    return view_of(&slice_op, a, &view, dim, start, step);
}

wg_tensor *wg_narrow(wg_tensor *a, int dim, int64_t start, int64_t length) {
    wg_graph *g;
    if (!wg_check("narrow", &g, &a, 1)) {
        return NULL;
    }
    int d = wg_op_real_dim(g, "narrow", a, dim);
    if (d < 0) {
        return NULL;
    }
    int64_t size = wg_op_shape(a)->dim[d], from = start < 0 ? start + size : start;
    if (from < 0 || length < 0 || from > size || length > size - from) {
        return wg_fail(g, WG_ERR_ARG, "narrow: %s: dimension %d has no %" PRId64 " elements from %" PRId64 " on",
                       wg_shape_print(wg_op_shape(a)).s, d, length, start);
    }
    return slice(a, d, from, length, 1);
}

wg_tensor *wg_select(wg_tensor *a, int dim, int64_t index) {
    wg_graph *g;
    if (!wg_check("select", &g, &a, 1)) {
        return NULL;
    }
    int d = wg_op_real_dim(g, "select", a, dim);
    if (d < 0) {
        return NULL;
    }
    int64_t size = wg_op_shape(a)->dim[d], at = index < 0 ? index + size : index;
    if (at < 0 || at >= size) {
        return wg_fail(g, WG_ERR_ARG, "select: %s: dimension %d has no index %" PRId64,
                       wg_shape_print(wg_op_shape(a)).s, d, index);
    }
    wg_tensor *row = slice(a, d, at, 1, 1), *result = wg_squeeze(row, d);
    wg_free(row);
    return result;
}

wg_tensor *wg_slice(wg_tensor *a, int dim, int64_t start, int64_t end, int64_t step) {
    wg_graph *g;
    if (!wg_check("slice", &g, &a, 1)) {
        return NULL;
    }
    wg_op_range r;
    int d = wg_op_slice_range(g, "slice", a, dim, start, end, step, &r);
    return d < 0 ? NULL : slice(a, d, r.start, r.count, step);
}

/* ---- flip: attr 0 is the mask of dims ------------------------------------------------------------------------------- */

static void vjp_flip(wg_vjp *v) {
    int dims[WG_MAX_RANK], ndims = 0;
    for (int i = 0; i < WG_MAX_RANK; i++) {
        if (wg_vjp_node(v)->attr[0] >> i & 1) {
            dims[ndims++] = i;
        }
    }
    wg_vjp_set(v, 0, wg_flip(wg_vjp_grad(v), dims, ndims));
}
static const wg_op flip_op = {.name = "flip", .kind = WG_OP_VIEW, .vjp = vjp_flip};

wg_tensor *wg_flip(wg_tensor *a, const int *dims, int ndims) {
    wg_graph *g;
    unsigned mask;
    if (!wg_check("flip", &g, &a, 1) || !wg_op_dim_mask(g, "flip", a, dims, ndims, &mask)) {
        return NULL;
    }
    wg_view view = wg_view_of(a->node);
    for (int i = 0; i < view.shape.rank; i++) {
        if ((mask >> i & 1) && view.shape.dim[i] > 1) {
            view = wg_view_slice(&view, i, view.shape.dim[i] - 1, view.shape.dim[i], -1);
        }
    }
    return view_of(&flip_op, a, &view, mask, 0, 0);
}

/* ---- detach --------------------------------------------------------------------------------------------------------- */

static const wg_op detach_op = {.name = "detach", .kind = WG_OP_VIEW};

wg_tensor *wg_detach(wg_tensor *a) {
    wg_graph *g;
    if (!wg_check("detach", &g, &a, 1)) {
        return NULL;
    }
    wg_view view = wg_view_of(a->node);
    return view_of(&detach_op, a, &view, 0, 0, 0);
}
