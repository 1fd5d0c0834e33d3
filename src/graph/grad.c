/* The backward loop, the only one: gradients of all ops are accumulated, cut and reshaped here. */
#include "graph/vjp.h"

#include "base/alloc.h"
#include "graph/extra.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

#include <assert.h>
#include <wengert/grad.h>
#include <wengert/ops.h>

/* ---- what a VJP sees ------------------------------------------------------------------------------------------------ */

const wg_node *wg_vjp_node(const wg_vjp *v) { return v->node; }

/* Whether a VJP computes: then that of a 16-bit op is given f32, and what it gives is rounded once. Those that move elements
 * about, products, and those that are one op, take them as they are. */
static bool computes(const wg_op *op) {
    bool moves = op->copies || op->elsewhere || op->vjp_narrow;
    return op->kind == WG_OP_MAP ? !moves : op->kind != WG_OP_MATMUL && op->kind != WG_OP_SCATTER && op->saves;
}

static wg_tensor *widened(const wg_vjp *v, wg_tensor *t) {
    bool half = t && wg_dtype_is_half((wg_dtype)t->node->dtype);
    return half && computes(v->node->op) ? wg_cast(t, WG_F32) : t;
}

wg_tensor *wg_vjp_grad(wg_vjp *v) { return v->wide = v->wide ? v->wide : widened(v, v->grad); }
bool wg_vjp_needs(const wg_vjp *v, int i) { return i < v->node->nin && (v->node->in[i]->flags & WG_NODE_GRAD); }

wg_tensor *wg_vjp_in(wg_vjp *v, int i) {
    assert((v->node->op->saves & WG_SAVE_IN(i)) && "a VJP reads an operand that its op does not save");
    return widened(v, wg_handle(v->node->graph, v->node->in[i]));
}

wg_tensor *wg_vjp_out(wg_vjp *v) {
    assert((v->node->op->saves & WG_SAVE_OUT) && "a VJP reads a result that its op does not save");
    return widened(v, wg_handle(v->node->graph, v->node));
}

/* A gradient that is passed on as it came was widened for nothing. */
void wg_vjp_set(wg_vjp *v, int i, wg_tensor *grad) { v->result[i] = grad && grad == v->wide ? v->grad : grad; }

/* ---- the walk ------------------------------------------------------------------------------------------------------- */

typedef struct walk {
    wg_graph *g;
    wg_node **nodes; /* everything gradients flow through, newest first once sorted; a reference each */
    size_t count, cap;
    size_t depth; /* scopes open at its beginning */
    bool begun;
} walk;

/* Walks share the scratch of nodes: a function of the user's that one calls cannot start another. The list's memory is that of
 * the walk before, so that a step that comes back allocates nothing. */
static bool begin(walk *w, const char *op) {
    if (w->g->walking) {
        wg_fail(w->g, WG_ERR_GRAPH, "%s: called by a hook or a checkpoint's function while a backward is under way",
                op);
        return false;
    }
    w->begun = w->g->walking = true;
    w->nodes = w->g->walk;
    w->cap = w->g->walk_cap;
    return true;
}

static void end(walk *w) {
    for (size_t i = 0; i < w->count; i++) {
        wg_node_unref(w->nodes[i]);
    }
    if (w->begun) {
        w->g->walking = false;
        w->g->pulled = NULL;
        w->g->walk = w->nodes;
        w->g->walk_cap = w->cap;
    }
}

static bool reach(walk *w, wg_node *n) {
    if (!(n->flags & WG_NODE_GRAD) || n->mark == w->g->epoch) {
        return true;
    }
    if (n->flags & WG_NODE_RELEASED) {
        wg_fail(w->g, WG_ERR_GRAPH,
                "backward: %s %s: its graph was released by an earlier backward, or ended with its scope "
                "(retain_graph keeps it)",
                n->op->name, wg_shape_print(n->shape).s);
        return false;
    }
    if (!WG_RESERVE(w->nodes, w->count, w->cap)) {
        wg_fail(w->g, WG_ERR_NOMEM, "backward: out of host memory");
        return false;
    }
    n->mark = w->g->epoch;
    n->adjoint = NULL;
    w->nodes[w->count++] = wg_node_ref(n);
    return true;
}

/* Restores the order of a heap whose root is its oldest node, below i. */
static void sift(wg_node **heap, size_t i, size_t n) {
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        child += child + 1 < n && heap[child + 1]->id < heap[child]->id;
        if (heap[i]->id < heap[child]->id) {
            return;
        }
        wg_node *moved = heap[i];
        heap[i] = heap[child];
        heap[child] = moved;
    }
}

/* In place: qsort may allocate. */
static void sort_newest_first(wg_node **nodes, size_t n) {
    for (size_t i = n / 2; i-- > 0;) {
        sift(nodes, i, n);
    }
    while (n-- > 1) {
        wg_node *oldest = nodes[0];
        nodes[0] = nodes[n];
        nodes[n] = oldest;
        sift(nodes, 0, n);
    }
}

/* Adds what nodes from number `from` on lead to. The list doubles as the queue of the search. Those from `sorted` on are
 * brought in order. */
static bool search(walk *w, size_t from, size_t sorted) {
    for (size_t i = from; i < w->count; i++) {
        wg_node *node = w->nodes[i];
        for (int k = 0; !node->leaf && k < node->nin; k++) {
            if (!reach(w, node->in[k])) {
                return false;
            }
        }
    }
    if (w->count > sorted) { /* none: nodes may be NULL */
        sort_newest_first(w->nodes + sorted, w->count - sorted);
    }
    return true;
}

/* Collects the nodes between outputs and leaves. */
static bool collect(walk *w, wg_tensor *const *outputs, size_t n) {
    w->g->epoch++;
    for (size_t i = 0; i < n; i++) {
        if (!reach(w, outputs[i]->node)) {
            return false;
        }
    }
    return search(w, 0, 0);
}

/* Adds n and what it leads to, while the walk is at `at`: marks may have been used for something else since. */
static bool collect_more(walk *w, size_t at, wg_node *n) {
    size_t before = w->count;
    w->g->epoch++;
    for (size_t i = at; i < before; i++) {
        w->nodes[i]->mark = w->g->epoch;
    }
    return reach(w, n) && search(w, before, at + 1);
}

/* Brings a gradient to the shape and dtype of the operand it belongs to: undoes broadcasting and promotion. */
static wg_tensor *fit(wg_tensor *grad, const wg_node *operand) {
    const wg_shape *have = grad->node->shape, *want = operand->shape;
    if (have != want) {
        int dims[WG_MAX_RANK], ndims = 0, lead = have->rank - want->rank;
        for (int i = 0; i < have->rank; i++) {
            if (i < lead || (want->dim[i - lead] == 1 && have->dim[i] != 1)) {
                dims[ndims++] = i;
            }
        }
        if (ndims > 0) {
            grad = wg_sum(grad, dims, ndims, true);
        }
        grad = wg_reshape(grad, *want);
    }
    return grad && grad->node->dtype != operand->dtype ? wg_cast(grad, (wg_dtype)operand->dtype) : grad;
}

static bool accumulate(wg_node *n, wg_tensor *grad) {
    grad = grad ? fit(grad, n) : NULL;
    if (grad && n->adjoint) {
        wg_tensor *sum = wg_handle(n->graph, n->adjoint);
        grad = sum ? wg_add(sum, grad) : NULL;
    }
    if (!grad) {
        return false;
    }
    wg_node *old = n->adjoint;
    n->adjoint = wg_node_ref(grad->node);
    if (old) {
        wg_node_unref(old);
    }
    return true;
}

/* The gradient of a checkpoint flows through its function's ops, recorded again. Being the newest they come next. */
static bool pull_back_checkpoint(walk *w, size_t at) {
    wg_node *n = w->nodes[at], *again = wg_checkpoint_again(n);
    bool ok = again && collect_more(w, at, again);
    wg_tensor *grad = ok ? wg_handle(w->g, n->adjoint) : NULL;
    ok = grad && accumulate(again, grad);
    if (again) {
        wg_node_unref(again);
    }
    return ok && w->g->err.status == WG_OK;
}

/* Passes one node's gradient on to its operands. */
static bool pull_back(wg_node *n) {
    wg_vjp v = {.node = n, .grad = wg_handle(n->graph, n->adjoint)};
    if (!v.grad) {
        return false;
    }
    n->op->vjp(&v);
    for (int i = 0; i < n->nin; i++) {
        if (wg_vjp_needs(&v, i) && v.result[i] && !accumulate(n->in[i], v.result[i])) {
            return false;
        }
    }
    return n->graph->err.status == WG_OK;
}

bool wg_vjp_apply(wg_node *n, wg_tensor *grad, wg_tensor *out[WG_MAX_IN]) {
    wg_vjp v = {.node = n, .grad = grad};
    n->op->vjp(&v);
    for (int i = 0; i < n->nin; i++) {
        out[i] = wg_vjp_needs(&v, i) && v.result[i] ? fit(v.result[i], n->in[i]) : NULL;
    }
    return n->graph->err.status == WG_OK;
}

static void drop_adjoints(walk *w) {
    for (size_t i = 0; i < w->count; i++) {
        if (w->nodes[i]->adjoint) {
            wg_node_unref(w->nodes[i]->adjoint);
            w->nodes[i]->adjoint = NULL;
        }
    }
}

static void release(walk *w) {
    for (size_t i = 0; i < w->count; i++) {
        wg_node *n = w->nodes[i];
        if (!n->leaf) {
            n->flags |= WG_NODE_RELEASED;
        }
    }
    for (size_t i = 0; i < w->count; i++) {
        wg_node *n = w->nodes[i];
        if (!n->leaf && (wg_base_of(n)->value || wg_checkpoint_of(n))) {
            wg_node_drop_inputs(n);
        }
    }
}

static bool seed(wg_tensor *out, wg_tensor *grad) {
    if (!grad) {
        if (wg_shape_numel(*out->node->shape) != 1) {
            wg_fail(out->graph, WG_ERR_SHAPE, "backward: %s: a gradient is needed unless there is one element",
                    wg_shape_print(out->node->shape).s);
            return false;
        }
        grad = wg_ones_like(out);
    } else if (grad->node->shape != out->node->shape || grad->node->dtype != out->node->dtype) {
        wg_fail(out->graph, WG_ERR_SHAPE, "backward: the gradient %s %s does not fit the tensor %s %s",
                wg_dtype_name((wg_dtype)grad->node->dtype), wg_shape_print(grad->node->shape).s,
                wg_dtype_name((wg_dtype)out->node->dtype), wg_shape_print(out->node->shape).s);
        return false;
    }
    return grad && accumulate(out->node, grad);
}

static bool pull(walk *w, size_t at) {
    wg_node *n = w->nodes[at];
    return n->leaf || (wg_checkpoint_of(n) ? pull_back_checkpoint(w, at) : !n->op->vjp || pull_back(n));
}

/* Records the gradients of all collected nodes into their `adjoint`. */
static bool propagate(walk *w, wg_tensor *const *outputs, wg_tensor *const *grads, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!seed(outputs[i], grads ? grads[i] : NULL)) {
            return false;
        }
    }
    for (size_t i = 0; i < w->count; i++) {
        wg_node *node = w->nodes[i];
        w->g->pulled = node;
        if (node->adjoint && !(wg_hooks_run(node) && pull(w, i))) {
            return false;
        }
    }
    return true;
}

/* A walk tells from the context's error whether it failed: one that waits there already is set aside meanwhile. */
static wg_err set_aside(wg_graph *g) {
    wg_err before = g->err;
    g->err = (wg_err){0};
    return before;
}

static wg_status outcome(wg_graph *g, bool ok, wg_err before) {
    wg_status status = ok ? WG_OK : g->err.status;
    if (before.status != WG_OK) {
        wg_err_clear(&g->err);
        g->err = before;
    }
    return status;
}

static bool outputs_ok(wg_graph *g, const char *op, wg_tensor *const *outputs, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!(outputs[i]->node->flags & WG_NODE_GRAD)) {
            wg_fail(g, WG_ERR_GRAPH,
                    "%s: %s: it was not made from a tensor that requires grad (while recording was on)", op,
                    wg_shape_print(outputs[i]->node->shape).s);
            return false;
        }
    }
    return true;
}

/* ---- backward: into leaves ------------------------------------------------------------------------------------------ */

/* A leaf's new gradient: what this backward found, and the previous gradient added last. All are recorded before the
 * first leaf changes, so that a failure changes none. */
static bool into_leaves(walk *w) {
    if (!wg_reserve_updates(w->g, w->count)) {
        return false;
    }
    for (size_t i = 0; i < w->count; i++) {
        wg_node *n = w->nodes[i];
        if (n->leaf && n->adjoint && n->leaf->grad) {
            wg_tensor *now = wg_handle(w->g, n->adjoint), *before = wg_handle(w->g, n->leaf->grad);
            wg_tensor *sum = now && before ? wg_add(now, before) : NULL;
            if (!sum) {
                return false;
            }
            wg_node_unref(n->adjoint);
            n->adjoint = wg_node_ref(sum->node);
        }
    }
    for (size_t i = 0; i < w->count; i++) {
        wg_node *n = w->nodes[i];
        if (n->leaf && n->adjoint) {
            wg_leaf_set_grad(n->leaf, n->adjoint);
        }
    }
    return true;
}

wg_backward_opts wg_backward_defaults(void) { return (wg_backward_opts){0}; }

wg_status wg_backward(wg_tensor *loss) { return wg_backward_with(loss, NULL); }

wg_status wg_backward_with(wg_tensor *t, const wg_backward_opts *opts) {
    wg_backward_opts o = opts ? *opts : wg_backward_defaults();
    wg_graph *g;
    wg_tensor *operands[] = {t, o.grad};
    if (!wg_check("backward", &g, operands, o.grad ? 2 : 1)) {
        return g ? g->err.status : WG_ERR_ARG;
    }
    wg_err before = set_aside(g);
    walk w = {.g = g, .depth = g->nscopes};
    bool ok = begin(&w, "backward") && outputs_ok(g, "backward", &t, 1) && collect(&w, &t, 1) && wg_scope_push(g);
    if (ok) {
        wg_graph_set_no_grad(g, !o.create_graph);
        ok = propagate(&w, &t, &o.grad, 1) && into_leaves(&w);
        drop_adjoints(&w);
        ok = wg_scope_unwind(g, w.depth, "backward") && ok;
        if (ok && !o.retain_graph && !o.create_graph) {
            release(&w);
        }
    }
    end(&w);
    return outcome(g, ok, before);
}

/* ---- gradients: handed out ------------------------------------------------------------------------------------------ */

wg_gradients_opts wg_gradients_defaults(void) { return (wg_gradients_opts){0}; }

static bool inputs_ok(wg_graph *g, wg_tensor *const *inputs, size_t n, bool allow_unused) {
    for (size_t i = 0; i < n; i++) {
        wg_node *node = inputs[i]->node;
        if (!(node->flags & WG_NODE_GRAD) && !allow_unused) {
            wg_fail(g, WG_ERR_GRAPH, "gradients: input %zu %s does not require grad", i + 1,
                    wg_shape_print(node->shape).s);
            return false;
        }
    }
    return true;
}

/* Turns the inputs' adjoints into nodes with a reference each; zeros for an input without one. */
static bool harvest(walk *w, wg_tensor *const *inputs, size_t n, wg_tensor **grads, bool allow_unused) {
    for (size_t i = 0; i < n; i++) {
        wg_node *node = inputs[i]->node;
        bool reached = node->adjoint != NULL;
        if (!reached && !allow_unused) {
            wg_fail(w->g, WG_ERR_GRAPH, "gradients: no output depends on input %zu %s (see allow_unused)", i + 1,
                    wg_shape_print(node->shape).s);
            return false;
        }
        grads[i] = reached ? wg_handle(w->g, node->adjoint) : wg_zeros_like(inputs[i]);
        if (!grads[i]) {
            return false;
        }
    }
    for (size_t i = 0; i < n; i++) {
        wg_handle_raise(grads[i]);
    }
    return true;
}

wg_status wg_gradients(wg_tensor *const *outputs, size_t noutputs, wg_tensor *const *inputs, size_t ninputs,
                       wg_tensor **grads, const wg_gradients_opts *opts) {
    wg_gradients_opts o = opts ? *opts : wg_gradients_defaults();
    for (size_t i = 0; grads && i < ninputs; i++) {
        grads[i] = NULL;
    }
    if (!outputs || !inputs || !grads || noutputs == 0) {
        return WG_ERR_ARG;
    }
    wg_graph *g, *same;
    bool ok = wg_check("gradients", &g, outputs, (int)noutputs);
    ok = ok && (ninputs == 0 || (wg_check("gradients", &same, inputs, (int)ninputs) && same == g));
    for (size_t i = 0; ok && o.grad_outputs && i < noutputs; i++) {
        ok = !o.grad_outputs[i] || wg_check("gradients", &same, (wg_tensor *[]){outputs[i], o.grad_outputs[i]}, 2);
    }
    if (!ok) {
        return g && g->err.status != WG_OK ? g->err.status : WG_ERR_ARG;
    }
    wg_err before = set_aside(g);
    walk w = {.g = g, .depth = g->nscopes};
    ok = begin(&w, "gradients") && outputs_ok(g, "gradients", outputs, noutputs) &&
         inputs_ok(g, inputs, ninputs, o.allow_unused) && collect(&w, outputs, noutputs) && wg_scope_push(g);
    if (ok) {
        wg_graph_set_no_grad(g, !o.create_graph);
        ok = propagate(&w, outputs, o.grad_outputs, noutputs) && harvest(&w, inputs, ninputs, grads, o.allow_unused);
        drop_adjoints(&w);
        ok = wg_scope_unwind(g, w.depth, "gradients") && ok;
        if (ok && !o.retain_graph && !o.create_graph) {
            release(&w);
        }
    }
    end(&w);
    for (size_t i = 0; !ok && i < ninputs; i++) {
        grads[i] = NULL;
    }
    return outcome(g, ok, before);
}
