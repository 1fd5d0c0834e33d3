/* Joining, picking and scattering along one dimension. attr 0 is that dimension. */
#include "base/alloc.h"
#include "ops/common.h"

static wg_x both(wg_expr *x, wg_x a, wg_x b) { return wg_x_binary(x, WG_P_AND, a, b); }
static wg_x at_least(wg_expr *x, wg_x a, int64_t b) { return wg_x_binary(x, WG_P_GE, a, wg_x_size(x, b)); }
static wg_x below(wg_expr *x, wg_x a, int64_t b) { return wg_x_binary(x, WG_P_LT, a, wg_x_size(x, b)); }

/* ---- cat ------------------------------------------------------------------------------------------------------------ */

/* From the last operand to the first: each is read where the coordinate falls into it. Empty ones are never read. */
static wg_x emit_cat(wg_expr *x, const wg_node *n) {
    int dim = (int)n->attr[0];
    wg_x at = wg_x_coord(x, dim), result = -1;
    int64_t end = n->shape->dim[dim];
    for (int i = n->nin - 1; i >= 0; i--) {
        int64_t start = end - n->in[i]->shape->dim[dim];
        if (start == end) {
            continue;
        }
        wg_x inside = at_least(x, at, start);
        if (result < 0) {
            result = wg_x_in_shifted(x, i, dim, start, inside);
        } else {
            wg_x before_end = below(x, at, end);
            wg_x value = wg_x_in_shifted(x, i, dim, start, both(x, inside, before_end));
            result = wg_x_select(x, before_end, value, result);
        }
        end = start;
    }
    return result < 0 ? wg_x_const(x, (wg_dtype)n->dtype, 0) : result;
}
static void vjp_cat(wg_vjp *v) {
    const wg_node *n = wg_vjp_node(v);
    int dim = (int)n->attr[0];
    int64_t start = 0;
    for (int i = 0; i < n->nin; i++) {
        int64_t size = n->in[i]->shape->dim[dim];
        if (wg_vjp_needs(v, i)) {
            wg_vjp_set(v, i, wg_narrow(wg_vjp_grad(v), dim, start, size));
        }
        start += size;
    }
}
static bool slice_of_cat(const wg_node *n, int i, wg_section *out) {
    *out = (wg_section){.dim = (int)n->attr[0], .step = 1};
    for (int k = 0; k < i; k++) {
        out->start += n->in[k]->shape->dim[out->dim];
    }
    return true;
}
static const wg_op cat_op = {.name = "cat",
                             .kind = WG_OP_MAP,
                             .elsewhere = (1 << WG_MAX_IN) - 1,
                             .emit = emit_cat,
                             .slice = slice_of_cat,
                             .vjp = vjp_cat};

/* At most WG_MAX_IN tensors of one dtype. */
static wg_tensor *cat_few(wg_graph *g, wg_tensor *const *t, size_t n, int dim) {
    if (n == 1) {
        return t[0];
    }
    wg_call call = {.nin = (int)n, .dtype = wg_op_dtype(t[0]), .shape = *wg_op_shape(t[0]), .attr = {dim}};
    call.shape.dim[dim] = 0;
    for (size_t i = 0; i < n; i++) {
        call.in[i] = t[i];
        call.shape.dim[dim] += wg_op_shape(t[i])->dim[dim];
    }
    if (!wg_shape_valid(&call.shape)) {
        return wg_fail(g, WG_ERR_SHAPE, "cat: %s: more elements than a tensor can have", wg_shape_print(&call.shape).s);
    }
    return wg_record(g, &cat_op, &call);
}

/* A tensor of shape [0] joins with anything, as in PyTorch. */
static bool is_nothing(const wg_tensor *t) { return wg_op_shape(t)->rank == 1 && wg_op_shape(t)->dim[0] == 0; }

/* Every shape must be like the first one's outside dim; returns that dim, or -1. */
static int cat_dim(wg_graph *g, wg_tensor *const *t, size_t n, int dim) {
    size_t first = 0;
    while (first + 1 < n && is_nothing(t[first])) {
        first++;
    }
    int d = wg_op_real_dim(g, "cat", t[first], dim);
    for (size_t i = 0; d >= 0 && i < n; i++) {
        wg_shape a = *wg_op_shape(t[first]), b = *wg_op_shape(t[i]);
        a.dim[d] = b.dim[d] = 0;
        if (!is_nothing(t[i]) && !wg_shape_equal(&a, &b)) {
            wg_fail(g, WG_ERR_SHAPE, "cat: %s x %s: sizes differ outside dimension %d",
                    wg_shape_print(wg_op_shape(t[first])).s, wg_shape_print(wg_op_shape(t[i])).s, d);
            return -1;
        }
    }
    return d;
}

/* Joins the n tensors in list, four at a time; overwrites list. */
static wg_tensor *cat_tree(wg_graph *g, wg_tensor **list, size_t n, int dim) {
    while (n > 1) {
        size_t joined = 0;
        for (size_t i = 0; i < n; i += WG_MAX_IN) {
            size_t some = n - i < WG_MAX_IN ? n - i : WG_MAX_IN;
            list[joined] = cat_few(g, list + i, some, dim);
            if (!list[joined++]) {
                return NULL;
            }
        }
        n = joined;
    }
    return list[0];
}

/* Leaves out what has shape [0] where the result has not. */
static wg_tensor *cat_checked(wg_graph *g, wg_tensor *const *t, wg_tensor **list, size_t n, int dim) {
    wg_dtype dtype = WG_BOOL;
    int rank = 1;
    for (size_t i = 0; i < n; i++) {
        dtype = wg_promote_types(dtype, wg_op_dtype(t[i]));
        rank = is_nothing(t[i]) ? rank : wg_op_shape(t[i])->rank;
    }
    size_t some = 0;
    for (size_t i = 0; i < n; i++) {
        if (wg_op_shape(t[i])->rank == rank && !(list[some++] = wg_cast(t[i], dtype))) {
            return NULL;
        }
    }
    return cat_tree(g, list, some, dim);
}

wg_tensor *wg_cat(wg_tensor *const *tensors, size_t n, int dim) {
    wg_graph *g;
    if (!tensors || n == 0 || n > INT32_MAX || !wg_check("cat", &g, tensors, (int)n)) {
        return NULL;
    }
    int d = cat_dim(g, tensors, n, dim);
    if (d < 0) {
        return NULL;
    }
    wg_tensor **list = wg_mem_alloc(n * sizeof(wg_tensor *));
    if (!list) {
        return wg_fail(g, WG_ERR_NOMEM, "cat: out of host memory");
    }
    wg_tensor *result = NULL;
    if (wg_scope_push(g)) {
        result = wg_op_leave(g, cat_checked(g, tensors, list, n, d));
    }
    wg_mem_free(list);
    return result;
}

/* ---- slice_scatter: attr 1 is the start, 2 the step ----------------------------------------------------------------- */

static wg_x emit_slice_scatter(wg_expr *x, const wg_node *n) {
    int dim = (int)n->attr[0];
    int64_t start = n->attr[1], step = n->attr[2], count = n->in[1]->shape->dim[dim];
    if (count == 0) {
        return wg_x_in(x, 0);
    }
    wg_x at = wg_x_coord(x, dim), src;
    wg_x inside = both(x, at_least(x, at, start), below(x, at, start + (count - 1) * step + 1));
    if (step == 1) {
        src = wg_x_in_shifted(x, 1, dim, start, inside);
    } else {
        wg_x from_start = wg_x_binary(x, WG_P_SUB, at, wg_x_size(x, start)), by = wg_x_size(x, step);
        wg_x rest = wg_x_binary(x, WG_P_REM, from_start, by);
        inside = both(x, inside, wg_x_binary(x, WG_P_EQ, rest, wg_x_const(x, WG_I64, 0)));
        src = wg_x_in_at(x, 1, dim, wg_x_binary(x, WG_P_DIV, from_start, by), inside);
    }
    return wg_x_select(x, inside, src, wg_x_in(x, 0));
}
static void vjp_slice_scatter(wg_vjp *v) {
    const wg_node *n = wg_vjp_node(v);
    int dim = (int)n->attr[0];
    int64_t start = n->attr[1], step = n->attr[2], count = n->in[1]->shape->dim[dim];
    int64_t end = count > 0 ? start + (count - 1) * step + 1 : start;
    if (wg_vjp_needs(v, 0)) {
        wg_tensor *zeros = wg_op_zeros(n->graph, (wg_dtype)n->dtype, n->in[1]->shape);
        wg_vjp_set(v, 0, wg_slice_scatter(wg_vjp_grad(v), zeros, dim, start, end, step));
    }
    if (wg_vjp_needs(v, 1)) {
        wg_vjp_set(v, 1, wg_slice(wg_vjp_grad(v), dim, start, end, step));
    }
}
static bool slice_of_scatter(const wg_node *n, int i, wg_section *out) {
    *out = (wg_section){.dim = (int)n->attr[0], .start = n->attr[1], .step = n->attr[2]};
    return i == 1;
}
static const wg_op slice_scatter_op = {.name = "slice_scatter",
                                       .kind = WG_OP_MAP,
                                       .elsewhere = 1 << 1,
                                       .emit = emit_slice_scatter,
                                       .slice = slice_of_scatter,
                                       .vjp = vjp_slice_scatter};

wg_tensor *wg_slice_scatter(wg_tensor *a, wg_tensor *src, int dim, int64_t start, int64_t end, int64_t step) {
    wg_graph *g;
    if (!wg_check("slice_scatter", &g, (wg_tensor *[]){a, src}, 2)) {
        return NULL;
    }
    wg_op_range r;
    int d = wg_op_slice_range(g, "slice_scatter", a, dim, start, end, step, &r);
    if (d < 0) {
        return NULL;
    }
    const wg_shape *s = wg_op_shape(a);
    wg_shape slice = *s;
    slice.dim[d] = r.count;
    if (!wg_shape_equal(&slice, wg_op_shape(src))) {
        return wg_fail(g, WG_ERR_SHAPE, "slice_scatter: %s x %s: the slice has shape %s", wg_shape_print(s).s,
                       wg_shape_print(wg_op_shape(src)).s, wg_shape_print(&slice).s);
    }
    wg_tensor *values = wg_cast(src, wg_op_dtype(a)), *result = NULL;
    if (values) {
        wg_call call = {.in = {a, values}, .nin = 2, .dtype = wg_op_dtype(a), .shape = *s, .attr = {d, r.start, step}};
        result = wg_record(g, &slice_scatter_op, &call);
    }
    wg_free(values);
    return result;
}

/* ---- index_select, index_add ---------------------------------------------------------------------------------------- */

static bool is_index(wg_graph *g, const char *op, const wg_tensor *index, int rank) {
    if (wg_op_dtype(index) != WG_I64 && wg_op_dtype(index) != WG_I32) {
        return wg_op_refuse(g, op, WG_ERR_DTYPE, index, "an index is i64 or i32");
    }
    if (rank >= 0 && wg_op_shape(index)->rank != rank) {
        return wg_op_refuse(g, op, WG_ERR_SHAPE, index, "the index must have one dimension");
    }
    return true;
}

static wg_x emit_index_select(wg_expr *x, const wg_node *n) {
    int dim = (int)n->attr[0];
    wg_x index = wg_x_in(x, 1);
    wg_x inside = both(x, at_least(x, index, 0), below(x, index, n->in[0]->shape->dim[dim]));
    return wg_x_in_at(x, 0, dim, index, wg_x_trap(x, inside));
}
static void vjp_index_select(wg_vjp *v) {
    const wg_node *n = wg_vjp_node(v);
    int dim = (int)n->attr[0];
    wg_tensor *index = wg_reshape(wg_vjp_in(v, 1), WG_SHAPE(n->shape->dim[dim]));
    wg_tensor *zeros = wg_op_zeros(n->graph, (wg_dtype)n->dtype, n->in[0]->shape);
    wg_vjp_set(v, 0, wg_index_add(zeros, dim, index, wg_vjp_grad(v)));
}
static const wg_op index_select_op = {.name = "index_select",
                                      .kind = WG_OP_MAP,
                                      .elsewhere = 1 << 0,
                                      .saves = WG_SAVE_IN(1),
                                      .emit = emit_index_select,
                                      .vjp = vjp_index_select};

/* The index lies along dim of the result, with size 1 in all other dimensions. */
wg_tensor *wg_index_select(wg_tensor *a, int dim, wg_tensor *index) {
    wg_graph *g;
    if (!wg_check("index_select", &g, (wg_tensor *[]){a, index}, 2) || !is_index(g, "index_select", index, 1)) {
        return NULL;
    }
    int d = wg_op_real_dim(g, "index_select", a, dim);
    if (d < 0) {
        return NULL;
    }
    wg_shape shape = *wg_op_shape(a), along = {.rank = shape.rank};
    for (int i = 0; i < shape.rank; i++) {
        along.dim[i] = 1;
    }
    shape.dim[d] = along.dim[d] = wg_op_shape(index)->dim[0];
    if (!wg_shape_valid(&shape)) {
        return wg_fail(g, WG_ERR_SHAPE, "index_select: %s: more elements than a tensor can have",
                       wg_shape_print(&shape).s);
    }
    if (wg_op_shape(a)->dim[d] == 0 && wg_shape_numel(shape) > 0) { /* every index is out of range */
        return wg_op_zeros(g, wg_op_dtype(a), &shape);
    }
    if (!wg_scope_push(g)) {
        return NULL;
    }
    wg_tensor *at = wg_reshape(wg_cast(index, WG_I64), along), *result = NULL;
    if (at) {
        wg_call call = {.in = {a, at}, .nin = 2, .dtype = wg_op_dtype(a), .shape = shape, .attr = {d}};
        result = wg_record(g, &index_select_op, &call);
    }
    return wg_op_leave(g, result);
}

static void vjp_index_add(wg_vjp *v) {
    wg_vjp_set(v, 0, wg_vjp_grad(v));
    if (wg_vjp_needs(v, 2)) {
        wg_vjp_set(v, 2, wg_index_select(wg_vjp_grad(v), (int)wg_vjp_node(v)->attr[0], wg_vjp_in(v, 1)));
    }
}
static const wg_op index_add_op = {
    .name = "index_add", .kind = WG_OP_SCATTER, .saves = WG_SAVE_IN(1), .vjp = vjp_index_add};

wg_tensor *wg_index_add(wg_tensor *a, int dim, wg_tensor *index, wg_tensor *src) {
    wg_graph *g;
    if (!wg_check("index_add", &g, (wg_tensor *[]){a, index, src}, 3) || !is_index(g, "index_add", index, 1)) {
        return NULL;
    }
    int d = wg_op_real_dim(g, "index_add", a, dim);
    if (d < 0) {
        return NULL;
    }
    if (wg_op_dtype(a) != wg_op_dtype(src) || wg_op_dtype(a) == WG_BOOL) {
        return wg_fail(g, WG_ERR_DTYPE, "index_add: %s += %s: both must have one dtype, not bool",
                       wg_dtype_name(wg_op_dtype(a)), wg_dtype_name(wg_op_dtype(src)));
    }
    wg_shape want = *wg_op_shape(a);
    want.dim[d] = wg_op_shape(index)->dim[0];
    if (!wg_shape_equal(&want, wg_op_shape(src))) {
        return wg_fail(g, WG_ERR_SHAPE, "index_add: %s x %s: the index asks for slices of shape %s",
                       wg_shape_print(wg_op_shape(a)).s, wg_shape_print(wg_op_shape(src)).s, wg_shape_print(&want).s);
    }
    if (want.dim[d] == 0) { /* nothing to add: a, in whose graph src has its place */
        return wg_slice_scatter(a, src, d, 0, 0, 1);
    }
    if (!wg_scope_push(g)) {
        return NULL;
    }
    /* The kernel walks its operands row by row, and adds up in its result's memory: 16-bit floats would be rounded each time. */
    wg_dtype compute = wg_dtype_compute(wg_op_dtype(a));
    wg_call call = {.in = {wg_contiguous(wg_op_as(a, compute)), wg_contiguous(wg_cast(index, WG_I64)),
                           wg_contiguous(wg_op_as(src, compute))},
                    .nin = 3,
                    .dtype = compute,
                    .shape = *wg_op_shape(a),
                    .attr = {d}};
    bool ok = call.in[0] && call.in[1] && call.in[2];
    return wg_op_leave(g, ok ? wg_op_as(wg_record(g, &index_add_op, &call), wg_op_dtype(a)) : NULL);
}

/* ---- embedding, one_hot --------------------------------------------------------------------------------------------- */

wg_tensor *wg_embedding(wg_tensor *weight, wg_tensor *index) {
    wg_graph *g;
    if (!wg_check("embedding", &g, (wg_tensor *[]){weight, index}, 2) || !is_index(g, "embedding", index, -1)) {
        return NULL;
    }
    const wg_shape *table = wg_op_shape(weight);
    wg_shape shape = *wg_op_shape(index);
    if (table->rank != 2 || shape.rank == WG_MAX_RANK) {
        return wg_fail(g, WG_ERR_SHAPE, "embedding: %s x %s: takes rows of a matrix, and an index of rank up to %d",
                       wg_shape_print(table).s, wg_shape_print(&shape).s, WG_MAX_RANK - 1);
    }
    if (!wg_scope_push(g)) {
        return NULL;
    }
    wg_tensor *flat = wg_reshape(index, WG_SHAPE(wg_shape_numel(shape)));
    shape.dim[shape.rank++] = table->dim[1];
    return wg_op_leave(g, wg_reshape(wg_index_select(weight, 0, flat), shape));
}

static wg_x emit_one_hot(wg_expr *x, const wg_node *n) {
    wg_x hit = wg_x_binary(x, WG_P_EQ, wg_x_in(x, 0), wg_x_coord(x, n->shape->rank - 1));
    return wg_x_cast(x, hit, WG_I64);
}
static const wg_op one_hot_op = {.name = "one_hot", .kind = WG_OP_MAP, .emit = emit_one_hot};

wg_tensor *wg_one_hot(wg_tensor *index, int64_t num_classes) {
    wg_graph *g;
    if (!wg_check("one_hot", &g, &index, 1) || !is_index(g, "one_hot", index, -1)) {
        return NULL;
    }
    wg_shape shape = *wg_op_shape(index);
    if (num_classes < 1) {
        return wg_op_refuse(g, "one_hot", WG_ERR_ARG, index, "there must be at least one class");
    }
    if (shape.rank < WG_MAX_RANK) {
        shape.dim[shape.rank] = num_classes;
    }
    shape.rank++;
    if (!wg_shape_valid(&shape)) {
        return wg_op_refuse(g, "one_hot", WG_ERR_SHAPE, index, "the result would be no shape a tensor can have");
    }
    if (!wg_scope_push(g)) {
        return NULL;
    }
    wg_tensor *column = wg_unsqueeze(wg_cast(index, WG_I64), -1), *result = NULL;
    if (column) {
        result = wg_record(g, &one_hot_op, &(wg_call){.in = {column}, .nin = 1, .dtype = WG_I64, .shape = shape});
    }
    return wg_op_leave(g, result);
}
