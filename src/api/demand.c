/* Demand and close: when recorded ops run. */
#include "api/replay.h"

#include "base/alloc.h"
#include "graph/intern.h"
#include "graph/op.h"
#include "runtime/watch.h"

#include <wengert/wengert.h>

/* At the root scope, which never closes, this many unrun nodes make the updates run. */
#define ROOT_BOUND 16384

bool wg_demand_root(wg_ctx *ctx, wg_node *n) {
    if (!WG_RESERVE(ctx->roots, ctx->nroots, ctx->root_cap)) {
        wg_fail(&ctx->graph, WG_ERR_NOMEM, "out of host memory");
        return false;
    }
    ctx->roots[ctx->nroots++] = n;
    return true;
}

/* Hands the values of a run to their nodes. The nodes are held meanwhile: operands let go may be the last reference. */
static void commit(wg_exec *x, const wg_problem *p) {
    for (size_t i = 0; i < p->ntasks; i++) {
        if (p->tasks[i].keep) {
            wg_node_ref(p->tasks[i].node);
        }
    }
    for (size_t i = p->ntasks; i-- > 0;) {
        if (p->tasks[i].keep) {
            int slot = wg_slot_task(p, (int)i);
            x->values[slot]->node = p->tasks[i].node;
            wg_node_set_value(p->tasks[i].node, x->values[slot]);
            x->values[slot] = NULL;
            wg_node_unref(p->tasks[i].node);
        }
    }
}

/* After a failed launch: what reads lost bytes can never be computed, so it is lost too and lets go of its operands. All
 * else is computed when it is demanded again. */
static void spread_loss(const wg_problem *p) {
    for (size_t i = 0; i < p->ntasks; i++) {
        wg_node *n = wg_node_ref(p->tasks[i].node);
        for (int k = 0; k < n->nin; k++) {
            n->flags |= wg_base_of(n->in[k])->flags & WG_NODE_LOST;
        }
    }
    for (size_t i = 0; i < p->ntasks; i++) {
        wg_node *n = p->tasks[i].node;
        if ((n->flags & WG_NODE_LOST) && !wg_node_has_history(n)) {
            wg_node_drop_inputs(n);
        }
        wg_node_unref(n);
    }
}

wg_status wg_demand(wg_ctx *ctx, size_t nfinal) {
    wg_graph *g = &ctx->graph;
    wg_problem *p = &ctx->problem;
    wg_err before = g->err; /* a demand may run while an earlier error waits to be taken */
    g->err = (wg_err){0};
    wg_status status = WG_OK;
    double began = wg_watch_begin(&ctx->engine.dev);
    if (!ctx->engine.trap_armed) { /* the trap's words may name a shape */
        wg_intern_prune(g);
    }
    if (!wg_problem_gather(g, ctx->roots, ctx->nroots, nfinal, p)) {
        status = g->err.status;
    } else if (p->ntasks > 0) {
        wg_watch_span(&ctx->engine.dev, WG_LANE_PLAN, "gather", began);
        wg_exec *x = wg_plan_cache_get(ctx, p);
        status = x ? wg_exec_run(&ctx->engine, x, p, &g->err) : g->err.status;
        if (x && status == WG_OK) {
            wg_watch_host(&ctx->engine, x, began);
            if (ctx->capture) {
                wg_capture_plan(ctx->capture, p);
            }
            commit(x, p);
        } else {
            spread_loss(p);
        }
    }
    if (before.status == WG_OK) {
        wg_memory_ran_out(ctx);
    } else {
        wg_err_clear(&g->err);
        g->err = before;
    }
    return status;
}

wg_status wg_demand_node(wg_ctx *ctx, wg_node *n) {
    if (wg_base_of(n)->value && !(wg_base_of(n)->flags & WG_NODE_LOST)) {
        return WG_OK;
    }
    ctx->nroots = 0;
    return wg_demand_root(ctx, n) ? wg_demand(ctx, 0) : ctx->graph.err.status;
}

/* Pending updates that something still stands for come first in roots; the others are forgotten. */
static bool gather_updates(wg_ctx *ctx, size_t from) {
    wg_graph *g = &ctx->graph;
    size_t kept = from;
    ctx->nroots = 0;
    for (size_t i = from; i < g->npending; i++) {
        wg_node *n = g->pending[i], *b = wg_base_of(n);
        bool wanted =
            (n->flags & WG_NODE_CURRENT) && n->refs > 1 && !b->value && !((n->flags | b->flags) & WG_NODE_LOST);
        if (wanted) {
            g->pending[kept++] = n;
        } else {
            wg_node_unref(n);
        }
    }
    g->npending = kept;
    for (size_t i = from; i < kept; i++) {
        if (!wg_demand_root(ctx, g->pending[i])) {
            return false;
        }
    }
    return true;
}

wg_status wg_run_updates(wg_ctx *ctx, bool with_kept) {
    wg_graph *g = &ctx->graph;
    wg_scope *s = &g->scopes[g->nscopes - 1];
    size_t from = s->pending;
    if (!gather_updates(ctx, from)) {
        return WG_ERR_NOMEM;
    }
    size_t updates = ctx->nroots;
    if (updates == 0) {
        return WG_OK;
    }
    for (wg_tensor *t = with_kept ? s->kept : NULL; t; t = t->next) {
        if (!wg_base_of(t->node)->value && !wg_demand_root(ctx, t->node)) {
            return WG_ERR_NOMEM;
        }
    }
    wg_status status = wg_demand(ctx, updates);
    if (status == WG_OK) {
        for (size_t i = from; i < g->npending; i++) {
            wg_node_unref(g->pending[i]);
        }
        g->npending = from;
    }
    return status;
}

/* What was kept is a plain value from now on: no gradient flows through it into the scope that has ended. */
static void end_kept(wg_scope *s) {
    for (wg_tensor *t = s->kept; t; t = t->next) {
        if (!t->node->leaf) {
            t->node->flags &= (uint8_t)~WG_NODE_GRAD;
        }
    }
}

wg_status wg_close_scope(wg_ctx *ctx) {
    wg_graph *g = &ctx->graph;
    wg_scope *s = &g->scopes[g->nscopes - 1];
    wg_status status = wg_settle_all(ctx) ? WG_OK : g->err.status;
    while (s->tensors) {
        wg_handle_free(s->tensors);
    }
    end_kept(s);
    wg_end_history(g, s->first_id);
    wg_status ran = wg_run_updates(ctx, true);
    if (ran != WG_OK && g->err.status == WG_OK) {
        wg_fail(g, ran, "scope end: %s", wg_status_name(ran));
    }
    wg_scope_settle_views(g);
    wg_scope_pop(g);
    return status != WG_OK ? status : ran;
}

wg_mark wg_scope_begin(wg_ctx *ctx) {
    if (!ctx || !wg_graph_usable(&ctx->graph)) {
        return 0;
    }
    wg_graph *g = &ctx->graph;
    if (!wg_scope_push(g)) {
        return 0;
    }
    g->scopes[g->nscopes - 1].user = true;
    if (g->nscopes == 2) {
        ctx->engine.scope++;
        /* The root scope may never close: its updates, and what a scope that failed left to it, run with this one's. */
        g->scopes[1].pending = g->scopes[0].pending;
    }
    return g->nscopes - 1;
}

wg_status wg_scope_end(wg_ctx *ctx, wg_mark mark) {
    if (!ctx || !wg_graph_usable(&ctx->graph)) {
        return ctx ? wg_error_status(ctx) : WG_ERR_ARG;
    }
    wg_status status = WG_OK;
    while (mark > 0 && ctx->graph.nscopes > mark) {
        wg_status s = wg_close_scope(ctx);
        status = status == WG_OK ? s : status;
    }
    return status;
}

bool wg_no_grad(wg_ctx *ctx, bool on) { return ctx && ctx->opened && wg_graph_set_no_grad(&ctx->graph, on); }

wg_status wg_eval(wg_tensor *const *tensors, size_t n) {
    wg_graph *g;
    if (n == 0) {
        return WG_OK;
    }
    if (!tensors || !wg_check("eval", &g, tensors, (int)n)) {
        return tensors && g && g->err.status != WG_OK ? g->err.status : WG_ERR_ARG;
    }
    wg_ctx *ctx = wg_ctx_of(g);
    ctx->nroots = 0;
    for (size_t i = 0; i < n; i++) {
        if (!wg_demand_root(ctx, tensors[i]->node)) {
            return g->err.status;
        }
    }
    return wg_demand(ctx, 0);
}

bool wg_recorded_traced(wg_graph *g, wg_node *n) {
    wg_watch_recorded(wg_ctx_of(g)->engine.dev.watch);
    return wg_recorded(g, n);
}

/* The hook after recording: eager execution, and the root scope's bound. */
bool wg_recorded(wg_graph *g, wg_node *n) {
    wg_ctx *ctx = wg_ctx_of(g);
    if (ctx->anomaly) {
        return wg_anomaly_run(ctx, n);
    }
    if (ctx->eager) {
        return n->base || wg_demand_node(ctx, n) == WG_OK;
    }
    if (g->nscopes > 1 || g->nunrun < g->flush_at) {
        return true;
    }
    wg_status status = wg_run_updates(ctx, false);
    status = status == WG_OK ? wg_demand_node(ctx, n) : status;
    g->flush_at = g->nunrun + ROOT_BOUND;
    return status == WG_OK;
}
