/* Nodes: storage, references, the list of nodes without bytes. */
#include "graph/node.h"

#include "base/alloc.h"
#include "graph/extra.h"
#include "graph/intern.h"

#include <string.h>

static void link_last(wg_node *head, wg_node *n) {
    n->prev = head->prev;
    n->next = head;
    n->prev->next = n;
    head->prev = n;
}

static void unlink_node(wg_node *n) {
    if (n->next) {
        n->prev->next = n->next;
        n->next->prev = n->prev;
        n->prev = n->next = NULL;
        n->graph->nunrun -= !n->value;
    }
}

wg_node *wg_node_new(wg_graph *g, const wg_op *op, wg_dtype dtype, const wg_shape *shape) {
    wg_node *n = wg_slab_get(&g->node_slab, sizeof *n);
    if (!n) {
        wg_fail(g, WG_ERR_NOMEM, "out of host memory");
    } else {
        memset(n, 0, sizeof *n);
        n->op = op;
        n->graph = g;
        n->dtype = (uint8_t)dtype;
        n->shape = shape;
        wg_interned_of(shape)->refs++;
        n->id = g->next_id++;
        n->refs = 1;
        link_last(&g->unrun, n);
        g->nunrun++;
    }
    return n;
}

static const wg_op source_op = {.name = "source", .kind = WG_OP_SOURCE};

wg_node *wg_node_source(wg_graph *g, wg_dtype dtype, const wg_shape *shape, wg_value *value) {
    wg_node *n = wg_node_new(g, &source_op, dtype, shape);
    if (n) {
        wg_node_set_value(n, value);
        wg_trace_node(n);
    }
    return n;
}

/* Takes one reference off n. A node whose last one went is pushed on the stack of dead nodes, linked by `adjoint`: freeing is a
 * loop, so that a chain of a million nodes needs no deep stack. */
static void unref_onto(wg_node **dead, wg_node *n) {
    if (n && --n->refs == 0) {
        n->adjoint = *dead;
        *dead = n;
    }
}

static void drop_onto(wg_node **dead, wg_node *n) {
    for (int i = 0; i < n->nin; i++) {
        unref_onto(dead, n->in[i]);
        n->in[i] = NULL;
    }
    n->nin = 0;
    wg_checkpoint_call *c = wg_checkpoint_of(n);
    if (c) {
        n->extra->checkpoint = NULL;
        for (size_t i = 0; i < c->n; i++) {
            unref_onto(dead, c->inputs[i]);
        }
        wg_mem_free(c);
    }
}

static void free_leaf(wg_leaf *l) {
    wg_hooks_free(&l->hooks);
    wg_slab_put(&l->graph->leaf_slab, l);
}

static void reap(wg_node *dead) {
    while (dead) {
        wg_node *n = dead;
        dead = n->adjoint;
        drop_onto(&dead, n);
        unref_onto(&dead, n->base);
        if (n->leaf && --n->leaf->refs == 0) {
            unref_onto(&dead, n->leaf->grad);
            free_leaf(n->leaf);
        }
        wg_extra_free(n);
        unlink_node(n);
        wg_interned_of(n->shape)->refs--;
        if (n->view) {
            wg_interned_of(n->view)->refs--;
        }
        if (n->value) {
            n->graph->hooks.value_free(n->graph, n->value);
        }
        wg_slab_put(&n->graph->node_slab, n);
    }
}

void wg_node_unref(wg_node *n) {
    wg_node *dead = NULL;
    unref_onto(&dead, n);
    reap(dead);
}

void wg_node_drop_inputs(wg_node *n) {
    wg_node *dead = NULL;
    if (n->value || n->base) {
        unlink_node(n); /* nothing left to run, nothing left to keep */
        if ((n->flags & WG_NODE_GRAD) && !n->leaf) {
            link_last(&n->graph->history, n); /* released: the end of its scope still has to make a plain value of it */
            n->graph->nunrun += !n->value;
        }
    }
    drop_onto(&dead, n);
    reap(dead);
}

void wg_node_set_value(wg_node *n, wg_value *value) {
    unlink_node(n);
    n->value = value;
    if (wg_node_has_history(n)) {
        link_last(&n->graph->history, n);
    } else {
        wg_node_drop_inputs(n);
    }
}

/* The nodes of a list are held one ahead of the walk: dropping operands may free its neighbours. */
static void for_recent(wg_node *head, uint64_t first, bool sorted, void (*visit)(wg_node *n)) {
    wg_node *n = head->prev;
    if (n != head) {
        wg_node_ref(n);
    }
    while (n != head && (!sorted || n->id >= first)) {
        wg_node *before = n->prev;
        if (before != head) {
            wg_node_ref(before);
        }
        if (n->id >= first) {
            visit(n);
        }
        wg_node_unref(n);
        n = before;
    }
    if (n != head) {
        wg_node_unref(n);
    }
}

static void end_history(wg_node *n) {
    if (!n->leaf) {
        n->flags = (uint8_t)((n->flags | WG_NODE_RELEASED) & ~WG_NODE_GRAD);
    }
    if (n->value || n->nin == 0 || wg_checkpoint_of(n)) {
        wg_node_drop_inputs(n);
    }
}

static void settle_view(wg_node *n) {
    if (n->base && n->base->value && !wg_node_has_history(n)) {
        wg_node_drop_inputs(n);
    }
}

void wg_end_history(wg_graph *g, uint64_t first) {
    for_recent(&g->unrun, first, true, end_history);
    for_recent(&g->history, first, false, end_history);
}

void wg_scope_settle_views(wg_graph *g) {
    for_recent(&g->unrun, g->scopes[g->nscopes - 1].first_id, true, settle_view);
}

void wg_leaf_unref(wg_leaf *l) {
    if (l && --l->refs == 0) {
        if (l->grad) {
            wg_node_unref(l->grad);
        }
        free_leaf(l);
    }
}

bool wg_reserve_updates(wg_graph *g, size_t n) {
    size_t need = g->npending + n;
    if (need > g->pending_cap && !wg_mem_grow((void **)&g->pending, &g->pending_cap, need, sizeof *g->pending)) {
        wg_fail(g, WG_ERR_NOMEM, "out of host memory for %zu updates", need);
        return false;
    }
    return true;
}

/* Adds n to the updates that the scope's end runs, unless something else stands in its place by then. Room is reserved. */
static void pend(wg_node *n) {
    wg_graph *g = n->graph;
    n->flags |= WG_NODE_CURRENT;
    if (!wg_base_of(n)->value) {
        g->pending[g->npending++] = wg_node_ref(n);
    }
}

void wg_leaf_set_grad(wg_leaf *l, wg_node *grad) {
    wg_node *old = l->grad;
    grad = l->orphan ? NULL : grad;
    l->grad = grad ? wg_node_ref(grad) : NULL;
    if (old) {
        old->flags &= (uint8_t)~WG_NODE_CURRENT;
        wg_node_unref(old);
    }
    if (grad) {
        pend(grad);
    }
}

bool wg_handle_assign(wg_tensor *t, wg_node *n) {
    if (!wg_reserve_updates(n->graph, 1)) {
        return false;
    }
    wg_node *old = t->node;
    t->node = wg_node_ref(n);
    wg_node_unref(t->lent);
    t->lent = NULL;
    if (t->updated) {
        old->flags &= (uint8_t)~WG_NODE_CURRENT;
    }
    t->updated = true;
    wg_node_unref(old);
    pend(n);
    return true;
}
