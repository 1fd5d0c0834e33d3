/*
 * Checkpoints: a function recorded without a graph, and recorded again, with one, when a backward comes to its result.
 *
 * The result is a view of what the function made, and remembers the function and its inputs. The second recording has to
 * be the first one's twin, or gradients would be those of something else: each is boiled down to a trace as it goes.
 */
#include "graph/extra.h"

#include "base/alloc.h"
#include "graph/op.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

#include <wengert/grad.h>

static const wg_op checkpoint_op = {.name = "checkpoint", .kind = WG_OP_VIEW};

/* Calls the function in a scope of its own, traced. The result's node, with a reference for the caller. */
static wg_node *call(wg_graph *g, wg_function fn, wg_tensor *const *inputs, size_t n, void *user, uint64_t *trace) {
    size_t depth = g->nscopes;
    wg_trace mine = {.outer = g->trace, .first = g->next_id};
    if (!wg_scope_push(g)) {
        return NULL;
    }
    g->trace = &mine;
    wg_tensor *y = fn(inputs, n, user);
    wg_node *node = NULL;
    if (y && y->graph == g && wg_settle(y)) {
        node = wg_node_ref(y->node);
    } else if (g->err.status == WG_OK) {
        wg_fail(g, WG_ERR_ARG, "checkpoint: the function returned %s", y ? "a tensor of another context" : "NULL");
    }
    *trace = mine.hash;
    g->trace = mine.outer;
    if (!wg_scope_unwind(g, depth, "checkpoint") && node) {
        wg_node_unref(node);
        node = NULL;
    }
    return node;
}

static wg_checkpoint_call *remember(wg_graph *g, wg_function fn, wg_tensor *const *inputs, size_t n, void *user) {
    wg_checkpoint_call *c = wg_mem_alloc(sizeof *c + n * sizeof(wg_node *));
    if (!c) {
        return wg_fail(g, WG_ERR_NOMEM, "checkpoint: out of host memory");
    }
    *c = (wg_checkpoint_call){.fn = fn, .user = user, .seed = g->seed, .random = g->random, .n = n};
    for (size_t i = 0; i < n; i++) {
        c->inputs[i] = wg_node_ref(inputs[i]->node);
    }
    return c;
}

static void forget(wg_checkpoint_call *c) {
    for (size_t i = 0; i < c->n; i++) {
        wg_node_unref(c->inputs[i]);
    }
    wg_mem_free(c);
}

/* The node that stands for y and remembers c, which it takes over. */
static wg_tensor *stand_for(wg_graph *g, wg_node *y, wg_checkpoint_call *c) {
    wg_tensor *shown = wg_handle(g, y), *t = NULL;
    if (shown) {
        wg_view view = wg_view_of(y);
        t = wg_record_view(&checkpoint_op, shown, &view, NULL);
        wg_handle_free(shown);
    }
    if (!t || !wg_extra_of(t->node)) {
        forget(c);
        wg_free(t);
        return NULL;
    }
    t->node->extra->checkpoint = c;
    t->node->flags |= WG_NODE_GRAD;
    return t;
}

wg_tensor *wg_checkpoint(wg_function fn, wg_tensor *const *inputs, size_t n, void *user) {
    wg_graph *g;
    uint64_t trace;
    if (!inputs || n == 0 || !wg_check("checkpoint", &g, inputs, (int)n)) {
        return NULL;
    }
    if (!fn) {
        return wg_fail(g, WG_ERR_ARG, "checkpoint: the function is NULL");
    }
    wg_checkpoint_call *c = remember(g, fn, inputs, n, user);
    uint64_t first = g->next_id;
    wg_node *y = c ? call(g, fn, inputs, n, user, &trace) : NULL;
    if (!y) {
        if (c) {
            forget(c);
        }
        return NULL;
    }
    c->trace = trace;
    bool grad = (y->flags & WG_NODE_GRAD) && !g->scopes[g->nscopes - 1].no_grad;
    wg_tensor *result = NULL;
    if (grad) {
        wg_end_history(g, first);
        result = stand_for(g, y, c);
    } else {
        forget(c);
        result = wg_handle(g, y);
    }
    wg_node_unref(y);
    return result;
}

/* Handles on the inputs, in the innermost scope. */
static wg_tensor **input_handles(wg_graph *g, const wg_checkpoint_call *c) {
    wg_tensor **inputs = wg_mem_alloc(c->n * sizeof(wg_tensor *));
    if (!inputs) {
        return wg_fail(g, WG_ERR_NOMEM, "checkpoint: out of host memory");
    }
    for (size_t i = 0; i < c->n; i++) {
        inputs[i] = wg_handle(g, c->inputs[i]);
        if (!inputs[i]) {
            wg_mem_free(inputs);
            return NULL;
        }
    }
    return inputs;
}

wg_node *wg_checkpoint_again(wg_node *n) {
    wg_graph *g = n->graph;
    const wg_checkpoint_call *c = n->extra->checkpoint;
    size_t depth = g->nscopes;
    uint64_t seed = g->seed, random = g->random, trace = 0;
    if (!wg_scope_push(g)) {
        return NULL;
    }
    wg_graph_set_no_grad(g, false);
    wg_tensor **inputs = input_handles(g, c);
    g->seed = c->seed;
    g->random = c->random;
    wg_node *y = inputs ? call(g, c->fn, inputs, c->n, c->user, &trace) : NULL;
    g->seed = seed;
    g->random = random;
    wg_mem_free(inputs);
    wg_scope_unwind(g, depth, "checkpoint");
    if (y && trace != c->trace) {
        wg_node_unref(y);
        return wg_fail(g, WG_ERR_GRAPH,
                       "checkpoint: %s: in the backward the function recorded other ops than before, or read other "
                       "tensors (was one that it uses assigned to?)",
                       wg_shape_print(n->shape).s);
    }
    return y;
}
