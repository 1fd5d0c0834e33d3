/* Recording: from a checked call to a node and its handle. */
#include "graph/node.h"

#include "base/alloc.h"
#include "graph/intern.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

#include <string.h>

static wg_tensor *finish(wg_graph *g, wg_node *n, bool grad) {
    if (grad && !g->scopes[g->nscopes - 1].no_grad && n->op->vjp && wg_dtype_is_float((wg_dtype)n->dtype)) {
        n->flags |= WG_NODE_GRAD;
    }
    wg_trace_node(n);
    wg_tensor *t = wg_handle(g, n);
    wg_node_unref(n); /* the handle's reference stays */
    if (t && !g->hooks.recorded(g, n)) {
        wg_handle_free(t);
        t = NULL;
    }
    return t;
}

wg_tensor *wg_record(wg_graph *g, const wg_op *op, const wg_call *call) {
    const wg_shape *shape = wg_intern_shape(g, &call->shape);
    wg_node *n = shape ? wg_node_new(g, op, call->dtype, shape) : NULL;
    if (!n) {
        return NULL;
    }
    bool grad = false;
    for (int i = 0; i < call->nin; i++) {
        n->in[i] = wg_node_ref(call->in[i]->node);
        grad = grad || (n->in[i]->flags & WG_NODE_GRAD);
    }
    n->nin = (uint8_t)call->nin;
    memcpy(n->attr, call->attr, sizeof n->attr);
    memcpy(n->scalar, call->scalar, sizeof n->scalar);
    return finish(g, n, grad);
}

wg_view wg_view_of(const wg_node *n) { return n->view ? *n->view : wg_view_contiguous(n->shape); }

static wg_node *view_node(wg_graph *g, const wg_op *op, wg_node *shown, const wg_view *view,
                          const int64_t attr[WG_MAX_ATTR]) {
    const wg_view *v = wg_intern_view(g, view);
    const wg_shape *shape = v ? wg_intern_shape(g, &view->shape) : NULL;
    wg_node *n = shape ? wg_node_new(g, op, (wg_dtype)shown->dtype, shape) : NULL;
    if (n) {
        n->view = v;
        wg_interned_of(v)->refs++;
        n->base = wg_node_ref(wg_base_of(shown));
        if (attr) {
            memcpy(n->attr, attr, sizeof n->attr);
        }
    }
    return n;
}

wg_tensor *wg_record_view(const wg_op *op, wg_tensor *a, const wg_view *view, const int64_t attr[WG_MAX_ATTR]) {
    wg_node *n = view_node(a->graph, op, a->node, view, attr);
    if (!n) {
        return NULL;
    }
    n->in[0] = wg_node_ref(a->node);
    n->nin = 1;
    return finish(a->graph, n, a->node->flags & WG_NODE_GRAD);
}

wg_tensor *wg_record_custom(const wg_op *op, wg_tensor *x, wg_tensor *y, wg_tensor *const saved[2],
                            const int64_t attr[WG_MAX_ATTR]) {
    if (!x || !y) {
        return NULL;
    }
    wg_view view = wg_view_of(y->node);
    wg_node *n = view_node(x->graph, op, y->node, &view, attr);
    if (!n) {
        return NULL;
    }
    n->in[0] = wg_node_ref(x->node);
    n->in[1] = wg_node_ref(y->node);
    n->nin = 2;
    for (int i = 0; saved && i < 2 && saved[i]; i++) {
        n->in[n->nin++] = wg_node_ref(saved[i]->node);
    }
    return finish(x->graph, n, x->node->flags & WG_NODE_GRAD);
}

bool wg_settle(wg_tensor *t) { return !t->mutable_at || t->graph->hooks.settle(t); }

bool wg_check(const char *op, wg_graph **g, wg_tensor *const *in, int n) {
    *g = NULL;
    for (int i = 0; i < n && !*g; i++) {
        *g = in[i] ? in[i]->graph : NULL;
    }
    if (!*g || !wg_graph_usable(*g)) {
        return false;
    }
    for (int i = 0; i < n; i++) {
        if (!in[i]) {
            wg_fail(*g, WG_ERR_ARG, "%s: operand %d is NULL", op, i + 1);
            return false;
        }
        if (in[i]->graph != *g) {
            wg_fail(*g, WG_ERR_ARG, "%s: operand %d belongs to another context", op, i + 1);
            return false;
        }
        if (!wg_settle(in[i])) {
            return false;
        }
    }
    return true;
}
