/* Gradient hooks: functions of the user's that see a gradient, and may replace it, when a backward has recorded it. */
#include "graph/extra.h"

#include "base/alloc.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

#include <wengert/grad.h>

/* A leaf's hooks stay with it when it stands for other values. */
static wg_hooks *hooks_of(const wg_node *n) { return n->leaf ? &n->leaf->hooks : n->extra ? &n->extra->hooks : NULL; }

uint64_t wg_register_hook(wg_tensor *t, wg_grad_hook fn, void *user) {
    wg_graph *g;
    if (!wg_check("register_hook", &g, &t, 1)) {
        return 0;
    }
    if (!fn) {
        wg_fail(g, WG_ERR_ARG, "register_hook: the function is NULL");
        return 0;
    }
    wg_node *n = t->node;
    if (!(n->flags & WG_NODE_GRAD)) {
        wg_fail(g, WG_ERR_GRAPH, "register_hook: %s %s does not require grad", wg_dtype_name((wg_dtype)n->dtype),
                wg_shape_print(n->shape).s);
        return 0;
    }
    if (!n->leaf && !wg_extra_of(n)) {
        return 0;
    }
    wg_hooks *h = hooks_of(n);
    if (!WG_RESERVE(h->list, h->count, h->cap)) {
        wg_fail(g, WG_ERR_NOMEM, "register_hook: out of host memory");
        return 0;
    }
    h->list[h->count++] = (wg_hook){++g->hook_id, fn, user};
    return g->hook_id;
}

wg_status wg_remove_hook(wg_tensor *t, uint64_t hook) {
    wg_graph *g;
    if (!wg_check("remove_hook", &g, &t, 1)) {
        return g ? g->err.status : WG_ERR_ARG;
    }
    wg_hooks *h = hooks_of(t->node);
    for (size_t i = 0; h && i < h->count; i++) {
        if (h->list[i].id == hook) {
            for (h->count--; i < h->count; i++) {
                h->list[i] = h->list[i + 1];
            }
            return WG_OK;
        }
    }
    wg_fail(g, WG_ERR_ARG, "remove_hook: %s: hook %llu is not one of this tensor's", wg_shape_print(t->node->shape).s,
            (unsigned long long)hook);
    return g->err.status;
}

/* The next hook after `id` that was there when the walk came to the tensor: hooks may add and remove hooks. */
static const wg_hook *next_hook(const wg_hooks *h, uint64_t id, uint64_t last) {
    for (size_t i = 0; h && i < h->count; i++) {
        if (h->list[i].id > id && h->list[i].id <= last) {
            return &h->list[i];
        }
    }
    return NULL;
}

static bool replace(wg_node *n, wg_tensor *by) {
    wg_graph *g = n->graph;
    if (by->graph != g || !wg_settle(by)) {
        wg_fail(g, WG_ERR_ARG, "hook: %s: what it returned belongs to another context", wg_shape_print(n->shape).s);
        return false;
    }
    if (by->node->shape != n->shape || by->node->dtype != n->dtype) {
        wg_fail(g, by->node->dtype != n->dtype ? WG_ERR_DTYPE : WG_ERR_SHAPE,
                "hook: it returned %s %s for the gradient of %s %s", wg_dtype_name((wg_dtype)by->node->dtype),
                wg_shape_print(by->node->shape).s, wg_dtype_name((wg_dtype)n->dtype), wg_shape_print(n->shape).s);
        return false;
    }
    wg_node *old = n->adjoint;
    n->adjoint = wg_node_ref(by->node);
    wg_node_unref(old);
    return true;
}

static bool call(wg_node *n, wg_grad_hook fn, void *user) {
    wg_graph *g = n->graph;
    size_t depth = g->nscopes;
    if (!wg_scope_push(g)) {
        return false;
    }
    wg_tensor *grad = wg_handle(g, n->adjoint), *by = grad ? fn(grad, user) : NULL;
    bool ok = grad && (!by || replace(n, by));
    return wg_scope_unwind(g, depth, "hook") && ok && g->err.status == WG_OK;
}

bool wg_hooks_run(wg_node *n) {
    uint64_t last = n->graph->hook_id;
    const wg_hook *h = next_hook(hooks_of(n), 0, last);
    while (h) {
        uint64_t id = h->id;
        if (!call(n, h->fn, h->user)) {
            return false;
        }
        h = next_hook(hooks_of(n), id, last);
    }
    return true;
}
