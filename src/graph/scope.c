/* Handles and the scopes that own them. Running a scope's updates is the business of src/api. */
#include "base/alloc.h"
#include "graph/intern.h"
#include "graph/node.h"

#include <stdarg.h>
#include <string.h>

bool wg_graph_init(wg_graph *g) {
    g->unrun.prev = g->unrun.next = &g->unrun;
    g->history.prev = g->history.next = &g->history;
    g->intern = wg_intern_new();
    return g->intern && wg_scope_push(g);
}

void wg_graph_free(wg_graph *g) {
    while (g->nscopes > 0) {
        for (wg_tensor *t = g->scopes[g->nscopes - 1].kept, *next; t; t = next) {
            next = t->next;
            wg_handle_free(t);
        }
        wg_scope_pop(g);
    }
    wg_mem_free(g->scopes);
    wg_mem_free(g->pending);
    wg_intern_free(g->intern);
    wg_mem_free(g->walk);
    wg_slab_drop(&g->node_slab);
    wg_slab_drop(&g->tensor_slab);
    wg_slab_drop(&g->leaf_slab);
    wg_err_clear(&g->err);
}

void *wg_fail(wg_graph *g, wg_status status, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    wg_err_setv(&g->err, status, fmt, args);
    va_end(args);
    return NULL;
}

static wg_tensor **list_of(wg_tensor *t) {
    wg_scope *s = &t->graph->scopes[t->scope];
    return t->kept ? &s->kept : &s->tensors;
}

static void link_handle(wg_tensor *t) {
    wg_tensor **head = list_of(t);
    t->prev = NULL;
    t->next = *head;
    if (*head) {
        (*head)->prev = t;
    }
    *head = t;
}

static void unlink_handle(wg_tensor *t) {
    if (t->prev) {
        t->prev->next = t->next;
    } else {
        *list_of(t) = t->next;
    }
    if (t->next) {
        t->next->prev = t->prev;
    }
}

wg_tensor *wg_handle(wg_graph *g, wg_node *n) {
    wg_tensor *t = wg_slab_get(&g->tensor_slab, sizeof *t);
    if (!t) {
        wg_fail(g, WG_ERR_NOMEM, "out of host memory");
    } else {
        memset(t, 0, sizeof *t);
        t->graph = g;
        t->node = wg_node_ref(n);
        t->scope = (uint32_t)g->nscopes - 1;
        link_handle(t);
    }
    return t;
}

void wg_handle_free(wg_tensor *t) {
    t->graph->unbound += t->bound;
    (void)wg_settle(t); /* takes lent bytes off the books; whether they arrive matters to nobody */
    unlink_handle(t);
    wg_node_unref(t->lent);
    if (t->updated) {
        t->node->flags &= (uint8_t)~WG_NODE_CURRENT;
    }
    wg_node_unref(t->node);
    if (t->leaf) {
        /* Nobody can ask for the gradient any more. An unrun one may read the leaf's own value: a cycle. */
        wg_leaf_set_grad(t->leaf, NULL);
        t->leaf->orphan = true;
        wg_leaf_unref(t->leaf);
    }
    wg_slab_put(&t->graph->tensor_slab, t);
}

void wg_handle_raise(wg_tensor *t) {
    unlink_handle(t);
    t->scope--;
    link_handle(t);
}

wg_tensor *wg_keep(wg_tensor *t) {
    if (t && !t->kept) {
        unlink_handle(t);
        t->kept = true;
        link_handle(t);
    }
    return t;
}

void wg_free(wg_tensor *t) {
    if (t) {
        wg_handle_free(t);
    }
}

bool wg_scope_push(wg_graph *g) {
    if (!WG_RESERVE(g->scopes, g->nscopes, g->scope_cap)) {
        wg_fail(g, WG_ERR_NOMEM, "out of host memory");
        return false;
    }
    bool no_grad = g->nscopes > 0 && g->scopes[g->nscopes - 1].no_grad;
    g->scopes[g->nscopes++] = (wg_scope){.no_grad = no_grad, .pending = g->npending, .first_id = g->next_id};
    return true;
}

void wg_scope_pop(wg_graph *g) {
    wg_scope *s = &g->scopes[g->nscopes - 1];
    for (wg_tensor *t = s->tensors, *next; t; t = next) {
        next = t->next;
        wg_handle_free(t);
    }
    while (s->kept) {
        wg_tensor *t = s->kept;
        unlink_handle(t);
        t->scope--;
        link_handle(t);
    }
    for (size_t i = s->pending; i < g->npending && g->nscopes == 1; i++) {
        wg_node_unref(g->pending[i]);
    }
    if (g->nscopes == 1) {
        g->npending = 0;
    }
    wg_mem_free(g->scopes[--g->nscopes].label);
}

bool wg_scope_unwind(wg_graph *g, size_t depth, const char *who) {
    if (g->nscopes < depth) {
        wg_fail(g, WG_ERR_ARG, "%s: the function closed a scope that it did not open", who);
        return false;
    }
    while (g->nscopes > depth) {
        wg_scope_pop(g);
    }
    return true;
}

bool wg_graph_set_no_grad(wg_graph *g, bool no_grad) {
    wg_scope *s = &g->scopes[g->nscopes - 1];
    bool before = s->no_grad;
    s->no_grad = no_grad;
    return before;
}
