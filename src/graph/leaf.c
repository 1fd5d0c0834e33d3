/* Leaves: parameters, their gradients, and assignment. */
#include "graph/node.h"

#include "tensor/dtype.h"
#include "tensor/shape.h"

#include <wengert/grad.h>
#include <wengert/ops.h>

static bool is_leaf_node(const wg_node *n) { return n->leaf || !(n->flags & WG_NODE_GRAD); }

bool wg_is_leaf(const wg_tensor *t) { return t && is_leaf_node(t->node); }

bool wg_requires_grad(const wg_tensor *t) { return t && (t->node->flags & WG_NODE_GRAD); }

/* A node of its own with v's value, cut off from v's history, into which t's gradients flow if t has a leaf. */
static wg_node *leaf_node(wg_tensor *v, wg_leaf *leaf) {
    wg_tensor *cut = wg_detach(v);
    if (!cut) {
        return NULL;
    }
    wg_node *n = wg_node_ref(cut->node);
    wg_handle_free(cut);
    if (leaf) {
        wg_base_of(n)->flags |= WG_NODE_PARAM;
        n->flags |= WG_NODE_GRAD;
        n->leaf = leaf;
        leaf->refs++;
    }
    return n;
}

/* Replaces t's node without making that an update: the value stays the same. */
static bool renew(wg_tensor *t) {
    wg_node *n = leaf_node(t, t->leaf);
    if (!n) {
        return false;
    }
    wg_node_unref(t->node);
    t->node = n;
    return true;
}

wg_tensor *wg_param(wg_tensor *t) {
    wg_graph *g;
    if (!wg_check("param", &g, &t, 1)) {
        return NULL;
    }
    if (!wg_dtype_is_float((wg_dtype)t->node->dtype)) {
        return wg_fail(g, WG_ERR_DTYPE, "param: %s: only floating dtypes have gradients",
                       wg_dtype_name((wg_dtype)t->node->dtype));
    }
    if (t->leaf) {
        return t;
    }
    t->leaf = wg_slab_get(&g->leaf_slab, sizeof *t->leaf);
    if (!t->leaf) {
        return wg_fail(g, WG_ERR_NOMEM, "param: out of host memory");
    }
    *t->leaf = (wg_leaf){.graph = g, .refs = 1};
    if (!renew(t)) {
        wg_leaf_unref(t->leaf);
        t->leaf = NULL;
        return NULL;
    }
    return t;
}

wg_status wg_set_requires_grad(wg_tensor *t, bool on) {
    wg_graph *g;
    if (!wg_check("set_requires_grad", &g, &t, 1)) {
        return g ? g->err.status : WG_ERR_ARG;
    }
    if (!is_leaf_node(t->node)) {
        wg_fail(g, WG_ERR_GRAPH, "set_requires_grad: %s %s was made by ops; use detach", t->node->op->name,
                wg_shape_print(t->node->shape).s);
        return g->err.status;
    }
    if (on) {
        return wg_param(t) ? WG_OK : g->err.status;
    }
    if (t->leaf) {
        wg_leaf *leaf = t->leaf;
        t->leaf = NULL;
        if (!renew(t)) {
            t->leaf = leaf;
            return g->err.status;
        }
        wg_leaf_unref(leaf);
    }
    return WG_OK;
}

wg_tensor *wg_grad(wg_tensor *t) {
    wg_graph *g;
    if (!wg_check("grad", &g, &t, 1)) {
        return NULL;
    }
    return t->leaf && t->leaf->grad ? wg_handle(g, t->leaf->grad) : wg_zeros_like(t);
}

bool wg_has_grad(const wg_tensor *t) { return t && t->leaf && t->leaf->grad; }

void wg_zero_grad(wg_tensor *t) {
    if (t && t->leaf) {
        wg_leaf_set_grad(t->leaf, NULL);
    }
}

wg_status wg_assign(wg_tensor *t, wg_tensor *v) {
    wg_graph *g;
    if (!wg_check("assign", &g, (wg_tensor *[]){t, v}, 2)) {
        return g ? g->err.status : WG_ERR_ARG;
    }
    if (!is_leaf_node(t->node)) {
        wg_fail(g, WG_ERR_GRAPH, "assign: %s %s was made by ops; only leaves can be assigned to", t->node->op->name,
                wg_shape_print(t->node->shape).s);
        return g->err.status;
    }
    if (t->node->shape != v->node->shape || t->node->dtype != v->node->dtype) {
        wg_fail(g, t->node->dtype != v->node->dtype ? WG_ERR_DTYPE : WG_ERR_SHAPE,
                "assign: %s %s = %s %s: shape and dtype must be the same", wg_dtype_name((wg_dtype)t->node->dtype),
                wg_shape_print(t->node->shape).s, wg_dtype_name((wg_dtype)v->node->dtype),
                wg_shape_print(v->node->shape).s);
        return g->err.status;
    }
    wg_node *n = leaf_node(v, t->leaf);
    bool ok = n && wg_handle_assign(t, n);
    if (n) {
        wg_node_unref(n);
    }
    return ok ? WG_OK : g->err.status;
}
