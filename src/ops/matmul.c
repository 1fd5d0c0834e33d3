/* Products of matrices. A node has operands of the result's rank; vectors, matrices and batches are brought to that. */
#include "ops/common.h"

enum { MAX_BATCH = 3 }; /* batch dimensions a node may have */

/* A matrix whose columns lie one after the other in memory, such as the transposed weight of linear. */
static bool lies_by_columns(const wg_node *n) {
    int r = n->shape->rank;
    return n->view && n->view->stride[r - 2] == 1 && n->view->stride[r - 1] != 1;
}

static wg_tensor *flipped(wg_tensor *t) { return wg_transpose(t, -2, -1); }

/* The gradient of an operand is made in the order in which that operand lies, so that what follows (its transposition
 * back, an update) finds it element by element in its own place. */
static void vjp_matmul(wg_vjp *v) {
    wg_tensor *g = wg_vjp_grad(v);
    const wg_node *n = wg_vjp_node(v);
    if (wg_vjp_needs(v, 0)) {
        wg_tensor *b = wg_vjp_in(v, 1);
        wg_vjp_set(v, 0, lies_by_columns(n->in[0]) ? flipped(wg_matmul(b, flipped(g))) : wg_matmul(g, flipped(b)));
    }
    if (wg_vjp_needs(v, 1)) {
        wg_tensor *a = wg_vjp_in(v, 0);
        wg_vjp_set(v, 1, lies_by_columns(n->in[1]) ? flipped(wg_matmul(flipped(g), a)) : wg_matmul(flipped(a), g));
    }
}
static const wg_op matmul_op = {
    .name = "matmul", .kind = WG_OP_MATMUL, .saves = WG_SAVE_IN(0) | WG_SAVE_IN(1), .vjp = vjp_matmul};

/* ---- checks --------------------------------------------------------------------------------------------------------- */

static bool multipliable(wg_graph *g, const char *op, const wg_tensor *a, const wg_tensor *b) {
    wg_dtype d = wg_op_dtype(a);
    if (d != wg_op_dtype(b)) {
        wg_fail(g, WG_ERR_DTYPE, "%s: %s x %s: the dtypes differ", op, wg_dtype_name(d), wg_dtype_name(wg_op_dtype(b)));
        return false;
    }
    return (d != WG_BOOL && d != WG_U8) || wg_op_refuse(g, op, WG_ERR_DTYPE, a, "not for bool and u8; cast first");
}

/* The last dim of a meets dim `inner` of b. */
static bool fits(wg_graph *g, const char *op, const wg_tensor *a, const wg_tensor *b, int inner) {
    const wg_shape *sa = wg_op_shape(a), *sb = wg_op_shape(b);
    int64_t x = sa->dim[sa->rank - 1], y = sb->dim[inner];
    if (x != y) {
        wg_fail(g, WG_ERR_SHAPE, "%s: %s x %s: inner sizes %lld and %lld differ", op, wg_shape_print(sa).s,
                wg_shape_print(sb).s, (long long)x, (long long)y);
    }
    return x == y;
}

/* ---- recording ------------------------------------------------------------------------------------------------------ */

/* The batch dims and the last two. */
static wg_shape matrices(const wg_shape *batch, int64_t rows, int64_t columns) {
    wg_shape s = *batch;
    s.dim[s.rank++] = rows;
    s.dim[s.rank++] = columns;
    return s;
}

static wg_shape batch_of(const wg_shape *s) {
    wg_shape r = {.rank = s->rank - 2};
    for (int i = 0; i < r.rank; i++) {
        r.dim[i] = s->dim[i];
    }
    return r;
}

/* Brings t to the rank of a result with that batch, by sizes of 1 in front; a batch of more dims than a node may have
 * becomes one dimension. */
static wg_tensor *with_batch(wg_tensor *t, const wg_shape *batch) {
    const wg_shape *s = wg_op_shape(t);
    int64_t rows = s->dim[s->rank - 2], columns = s->dim[s->rank - 1];
    wg_shape own = batch_of(s), padded = {.rank = batch->rank};
    if (batch->rank > MAX_BATCH) {
        return wg_reshape(wg_expand(t, matrices(batch, rows, columns)),
                          WG_SHAPE(wg_shape_numel(*batch), rows, columns));
    }
    if (own.rank == batch->rank) {
        return t;
    }
    for (int i = 0, lead = batch->rank - own.rank; i < batch->rank; i++) {
        padded.dim[i] = i < lead ? 1 : own.dim[i - lead];
    }
    return wg_reshape(t, matrices(&padded, rows, columns));
}

/* a [..., m, k] x b [..., k, n] with at least two dims each. */
static wg_tensor *multiply(wg_graph *g, wg_tensor *a, wg_tensor *b) {
    const wg_shape *sa = wg_op_shape(a), *sb = wg_op_shape(b);
    int64_t m = sa->dim[sa->rank - 2], n = sb->dim[sb->rank - 1];
    wg_shape batch_a = batch_of(sa), batch_b = batch_of(sb), batch;
    if (!wg_shape_broadcast(&batch_a, &batch_b, &batch)) {
        return wg_fail(g, WG_ERR_SHAPE, "matmul: %s x %s: batch sizes do not broadcast", wg_shape_print(sa).s,
                       wg_shape_print(sb).s);
    }
    wg_shape shape = matrices(&batch, m, n);
    if (!wg_shape_valid(&shape)) {
        return wg_fail(g, WG_ERR_SHAPE, "matmul: %s: more elements than a tensor can have", wg_shape_print(&shape).s);
    }
    bool merged = batch.rank > MAX_BATCH;
    wg_call call = {.in = {with_batch(a, &batch), with_batch(b, &batch)},
                    .nin = 2,
                    .dtype = wg_op_dtype(a),
                    .shape = merged ? WG_SHAPE(wg_shape_numel(batch), m, n) : shape};
    if (!call.in[0] || !call.in[1]) {
        return NULL;
    }
    wg_tensor *product = wg_record(g, &matmul_op, &call);
    return merged ? wg_reshape(product, shape) : product;
}

/* a [..., m, k] x b [k, n] as one product of matrices, if a's leading dimensions merge without a copy. NULL if not. */
static wg_tensor *multiply_flat(wg_graph *g, wg_tensor *a, wg_tensor *b) {
    wg_shape shape = *wg_op_shape(a);
    int64_t k = shape.dim[shape.rank - 1], rows = 1;
    for (int i = 0; i < shape.rank - 1; i++) {
        rows *= shape.dim[i];
    }
    wg_view view = wg_view_of(a->node), flat;
    const wg_shape two = WG_SHAPE(rows, k);
    if (!wg_view_reshape(&view, &two, &flat)) {
        return NULL;
    }
    shape.dim[shape.rank - 1] = wg_op_shape(b)->dim[1];
    wg_tensor *rows_of_a = wg_reshape(a, two);
    return rows_of_a ? wg_reshape(multiply(g, rows_of_a, b), shape) : NULL;
}

wg_tensor *wg_matmul(wg_tensor *a, wg_tensor *b) {
    wg_graph *g;
    if (!wg_check("matmul", &g, (wg_tensor *[]){a, b}, 2) || !multipliable(g, "matmul", a, b)) {
        return NULL;
    }
    int ra = wg_op_shape(a)->rank, rb = wg_op_shape(b)->rank;
    if (ra == 0 || rb == 0) {
        return wg_fail(g, WG_ERR_SHAPE, "matmul: %s x %s: a scalar has no inner dimension",
                       wg_shape_print(wg_op_shape(a)).s, wg_shape_print(wg_op_shape(b)).s);
    }
    if (!fits(g, "matmul", a, b, rb == 1 ? 0 : rb - 2) || !wg_scope_push(g)) {
        return NULL;
    }
    wg_tensor *x = ra == 1 ? wg_unsqueeze(a, 0) : a, *y = rb == 1 ? wg_unsqueeze(b, 1) : b, *r = NULL;
    if (x && y && ra > 2 && rb <= 2) {
        r = multiply_flat(g, x, y);
    }
    if (x && y && !r) {
        r = multiply(g, x, y);
    }
    if (ra == 1) {
        r = wg_squeeze(r, -2);
    }
    if (rb == 1) {
        r = wg_squeeze(r, -1);
    }
    return wg_op_leave(g, r);
}

wg_tensor *wg_linear(wg_tensor *x, wg_tensor *w, wg_tensor *b) {
    wg_graph *g;
    if (!wg_check("linear", &g, (wg_tensor *[]){x, w, b}, b ? 3 : 2) || !multipliable(g, "linear", x, w) ||
        (b && !multipliable(g, "linear", w, b))) {
        return NULL;
    }
    const wg_shape *sx = wg_op_shape(x), *sw = wg_op_shape(w);
    if (sx->rank == 0 || sw->rank != 2) {
        return wg_fail(g, WG_ERR_SHAPE, "linear: %s x %s: takes [..., in] and [out, in]", wg_shape_print(sx).s,
                       wg_shape_print(sw).s);
    }
    if (b && (wg_op_shape(b)->rank != 1 || wg_op_shape(b)->dim[0] != sw->dim[0])) {
        return wg_fail(g, WG_ERR_SHAPE, "linear: %s x %s: the bias %s does not fit", wg_shape_print(sx).s,
                       wg_shape_print(sw).s, wg_shape_print(wg_op_shape(b)).s);
    }
    if (!fits(g, "linear", x, w, 1) || !wg_scope_push(g)) {
        return NULL;
    }
    wg_tensor *product = wg_matmul(x, wg_transpose(w, 0, 1));
    return wg_op_leave(g, b ? wg_add(product, b) : product);
}
