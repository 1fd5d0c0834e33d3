/*
 * Collecting a graph and computing what is written beside it. Nothing that was recorded changes: values are computed by
 * copies in a scope of their own, while wg_graph.peek says that nothing else is to be kept.
 */
#include "api/picture.h"

#include "base/alloc.h"
#include "graph/node.h"
#include "graph/op.h"
#include "graph/vjp.h"
#include "tensor/dtype.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wengert/wengert.h>

/* ---- the nodes ------------------------------------------------------------------------------------------------------------ */

/* A composite with a gradient of its own (see wg_record_custom) is drawn as one op: operand 1 is how it is computed. */
int wg_picture_inputs(const wg_node *n) { return n->leaf ? 0 : n->op->kind == WG_OP_VIEW && n->nin > 1 ? 1 : n->nin; }

static int by_id(const void *a, const void *b) {
    uint64_t x = ((const wg_drawn *)a)->node->id, y = ((const wg_drawn *)b)->node->id;
    return (x > y) - (x < y);
}

size_t wg_picture_find(const wg_picture *p, const wg_node *n) {
    const wg_drawn wanted = {.node = (wg_node *)n}, *d = bsearch(&wanted, p->drawn, p->n, sizeof wanted, by_id);
    return d ? (size_t)(d - p->drawn) : p->n;
}

static bool add(wg_picture *p, wg_node *n) {
    if (n->mark == p->graph->epoch) {
        return true;
    }
    if (!WG_RESERVE(p->drawn, p->n, p->cap)) {
        wg_fail(p->graph, WG_ERR_NOMEM, "graph_dot: out of host memory");
        return false;
    }
    n->mark = p->graph->epoch;
    p->drawn[p->n++] = (wg_drawn){.node = wg_node_ref(n)};
    return true;
}

/* The list doubles as the queue of the search. */
bool wg_picture_collect(wg_picture *p, wg_tensor *const *tensors, size_t n) {
    bool ok = true;
    *p = (wg_picture){.graph = tensors[0]->graph};
    p->graph->epoch++;
    for (size_t i = 0; i < n && ok; i++) {
        ok = add(p, tensors[i]->node);
    }
    for (size_t i = 0; i < p->n && ok; i++) {
        wg_node *node = p->drawn[i].node; /* the list may move */
        for (int k = 0; k < wg_picture_inputs(node) && ok; k++) {
            ok = add(p, node->in[k]);
        }
    }
    if (p->n > 1) {
        qsort(p->drawn, p->n, sizeof *p->drawn, by_id);
    }
    return ok;
}

void wg_picture_free(wg_picture *p) {
    for (size_t i = 0; i < p->n; i++) {
        wg_node_unref(p->drawn[i].node);
    }
    wg_mem_free(p->drawn);
}

/* ---- captions -------------------------------------------------------------------------------------------------------------- */

static void write_elements(wg_caption *c, const char *data, wg_dtype dtype, int64_t n) {
    size_t at = 0;
    for (int64_t i = 0; i < n && at < sizeof c->text; i++) {
        const char *before = i ? ", " : n > 1 ? "[" : "", *after = i + 1 == n && n > 1 ? "]" : "";
        at += (size_t)snprintf(c->text + at, sizeof c->text - at, "%s%.4g%s", before, wg_dtype_number(dtype, data, i),
                               after);
    }
}

/* Least, mean and greatest; how many are NaN, which are none of these. */
static void summarize(wg_caption *c, const char *data, wg_dtype dtype, int64_t n) {
    double least = INFINITY, most = -INFINITY, sum = 0;
    int64_t nans = 0;
    for (int64_t i = 0; i < n; i++) {
        double v = wg_dtype_number(dtype, data, i);
        nans += isnan(v);
        least = v < least ? v : least;
        most = v > most ? v : most;
        sum += isnan(v) ? 0 : v;
    }
    int at = 0;
    if (nans < n && least == most) {
        at = snprintf(c->text, sizeof c->text, "all %.4g", least);
    } else if (nans < n) {
        at = snprintf(c->text, sizeof c->text, "%.3g to %.3g\nmean %.3g", least, most, sum / (double)(n - nans));
    }
    if (nans > 0) {
        snprintf(c->text + at, sizeof c->text - (size_t)at, "%s%" PRId64 " NaN", at ? "\n" : "", nans);
    }
}

static bool describe(wg_tensor *t, int64_t elements, wg_caption *c) {
    int64_t n = wg_numel(t);
    wg_dtype dtype = wg_dtype_of(t);
    size_t bytes = (size_t)n * wg_dtype_size(dtype);
    char *data = wg_mem_alloc(bytes);
    if (!data) {
        wg_fail(t->graph, WG_ERR_NOMEM, "graph_dot: out of host memory for %zu bytes", bytes);
        return false;
    }
    bool ok = wg_read(t, data, bytes) == WG_OK;
    if (ok && n == 0) {
        snprintf(c->text, sizeof c->text, "[]");
    } else if (ok && n <= elements) {
        write_elements(c, data, dtype, n);
    } else if (ok) {
        summarize(c, data, dtype, n);
    }
    wg_mem_free(data);
    return ok;
}

/* ---- computing ---------------------------------------------------------------------------------------------------------------- */

/* Tensors to read, and where their captions go. */
typedef struct wanted {
    wg_graph *g;
    wg_tensor **tensors;
    wg_caption **captions;
    size_t n, cap, caption_cap;
} wanted;

static bool want(wanted *w, wg_tensor *t, wg_caption *c) {
    size_t n = w->n;
    if (!t || !WG_RESERVE(w->tensors, n, w->cap) || !WG_RESERVE(w->captions, n, w->caption_cap)) {
        wg_fail(w->g, WG_ERR_NOMEM, "graph_dot: out of host memory");
        return false;
    }
    w->tensors[n] = t;
    w->captions[n] = c;
    w->n++;
    return true;
}

static wg_x emit_copy(wg_expr *x, const wg_node *n) {
    (void)n;
    return wg_x_in(x, 0);
}
static const wg_op copy_op = {.name = "copy", .kind = WG_OP_MAP, .emit = emit_copy};

static bool want_value(wanted *w, wg_drawn *d) {
    wg_node *n = d->node;
    wg_tensor *t = wg_handle(w->g, n);
    if (t && !wg_base_of(n)->value) {
        t = wg_record(w->g, &copy_op, &(wg_call){.in = {t}, .nin = 1, .dtype = (wg_dtype)n->dtype, .shape = *n->shape});
    }
    return want(w, t, &d->value);
}

/* Gradients back through one op: what its operands get and, if it is small and works element by element, by what that was
 * multiplied. */
static bool want_back(wanted *w, wg_drawn *d, wg_tensor *grad, int64_t elements) {
    wg_node *n = d->node;
    wg_tensor *back[WG_MAX_IN] = {NULL}, *local[WG_MAX_IN] = {NULL};
    bool ok = wg_vjp_apply(n, grad, back);
    if (ok && n->op->kind == WG_OP_MAP && wg_numel(grad) <= elements) {
        wg_tensor *ones = wg_ones_like(grad);
        ok = ones && wg_vjp_apply(n, ones, local);
    }
    for (int k = 0; k < n->nin && ok; k++) {
        ok = (!back[k] || want(w, back[k], &d->back[k])) &&
             (!local[k] || n->in[k]->shape != n->shape || want(w, local[k], &d->local[k]));
    }
    return ok;
}

/* Whether there are gradients of the tensors' sum to draw. */
static bool differentiable(const wg_picture *p, wg_tensor *const *tensors, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!(tensors[i]->node->flags & WG_NODE_GRAD) || wg_numel(tensors[i]) != 1) {
            return false;
        }
    }
    for (size_t i = 0; i < p->n; i++) {
        if ((p->drawn[i].node->flags & WG_NODE_GRAD) && (p->drawn[i].node->flags & WG_NODE_RELEASED)) {
            return false;
        }
    }
    return true;
}

static bool want_gradients(wanted *w, wg_picture *p, wg_tensor *const *tensors, size_t n, int64_t elements) {
    size_t count = 0;
    wg_tensor **nodes = wg_mem_alloc(2 * p->n * sizeof *nodes), **grads = nodes + p->n;
    bool ok = nodes != NULL;
    if (!ok) {
        wg_fail(w->g, WG_ERR_NOMEM, "graph_dot: out of host memory");
    }
    for (size_t i = 0; i < p->n && ok; i++) {
        if (p->drawn[i].node->flags & WG_NODE_GRAD) {
            nodes[count] = wg_handle(w->g, p->drawn[i].node);
            ok = nodes[count++] != NULL;
        }
    }
    wg_gradients_opts o = wg_gradients_defaults();
    o.retain_graph = o.allow_unused = true;
    ok = ok && wg_gradients(tensors, n, nodes, count, grads, &o) == WG_OK;
    for (size_t i = 0, k = 0; i < p->n && ok; i++) {
        wg_drawn *d = &p->drawn[i];
        if (d->node->flags & WG_NODE_GRAD) {
            ok = want(w, grads[k], &d->grad);
            if (ok && d->node->op->vjp && wg_picture_inputs(d->node) > 0) {
                ok = want_back(w, d, grads[k], elements);
            }
            k++;
        }
    }
    wg_mem_free(nodes);
    return ok;
}

/* What a backward left in leaves. */
static bool want_accumulated(wanted *w, wg_picture *p) {
    bool ok = true;
    for (size_t i = 0; i < p->n && ok; i++) {
        wg_leaf *leaf = p->drawn[i].node->leaf;
        if (leaf && leaf->grad) {
            wg_drawn held = {.node = leaf->grad};
            ok = want_value(w, &held);
            w->captions[w->n - ok] = &p->drawn[i].grad;
        }
    }
    return ok;
}

bool wg_picture_evaluate(wg_picture *p, wg_tensor *const *tensors, size_t n, int64_t elements) {
    wg_graph *g = p->graph;
    wanted w = {.g = g};
    if (!wg_scope_push(g)) {
        return false;
    }
    wg_ctx *ctx = wg_ctx_of(g);
    bool anomaly = ctx->anomaly, ok = true;
    wg_graph_set_no_grad(g, true);
    g->peek = true;
    ctx->anomaly = false; /* a graph that went wrong can be drawn */
    for (size_t i = 0; i < p->n && ok; i++) {
        ok = want_value(&w, &p->drawn[i]);
    }
    ok = ok && (differentiable(p, tensors, n) ? want_gradients(&w, p, tensors, n, elements) : want_accumulated(&w, p));
    ok = ok && wg_eval(w.tensors, w.n) == WG_OK;
    for (size_t i = 0; i < w.n && ok; i++) {
        ok = describe(w.tensors[i], elements, w.captions[i]);
    }
    g->peek = false;
    ctx->anomaly = anomaly;
    wg_mem_free(w.tensors);
    wg_mem_free(w.captions);
    wg_scope_pop(g);
    return ok;
}
