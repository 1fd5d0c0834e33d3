/* Running a step again without recording it. */
#include "api/replay.h"

#include "base/alloc.h"
#include "graph/intern.h"
#include "runtime/watch.h"

#include <string.h>
#include <wengert/wengert.h>

struct wg_replay {
    wg_ctx *ctx;
    wg_replay *next; /* in ctx->replays */
    wg_replay_fn fn;
    void *user;
    wg_capture last;  /* the run recorded last */
    bool ready;       /* two runs recorded the same */
    uint64_t unbound; /* bound tensors freed when it became so */
    uint64_t replays;
    size_t noutputs;
    wg_tensor *outputs[];
};

/* ---- parts ------------------------------------------------------------------------------------------------------------ */

void wg_replay_join(wg_ctx *ctx, const wg_replay_part *part) {
    wg_capture *c = ctx->capture;
    if (!c) {
        return;
    }
    for (size_t i = 0; i < c->nparts; i++) {
        c->unfit = c->unfit || c->parts[i].user == part->user; /* two steps in one */
    }
    if (!WG_RESERVE(c->parts, c->nparts, c->part_cap)) {
        c->unfit = true;
        return;
    }
    c->parts[c->nparts++] = *part;
}

void wg_replay_leave(wg_ctx *ctx, const void *user) {
    for (wg_replay *r = ctx->replays; r; r = r->next) {
        for (size_t i = 0; i < r->last.nparts; i++) {
            if (r->last.parts[i].user == user) {
                wg_replay_reset(r);
                break;
            }
        }
    }
}

wg_tensor *wg_replay_scalar(wg_tensor *t, const double *cell) {
    if (t) {
        t->node->cell = cell;
    }
    return t;
}

/* ---- recording -------------------------------------------------------------------------------------------------------- */

static void drop_outputs(wg_replay *r) {
    for (size_t i = 0; i < r->noutputs; i++) {
        wg_free(r->outputs[i]);
        r->outputs[i] = NULL;
    }
}

static wg_status evaluate_outputs(wg_replay *r) {
    wg_status status = WG_OK;
    for (size_t i = 0; i < r->noutputs && status == WG_OK; i++) {
        status = r->outputs[i] ? wg_demand_node(r->ctx, r->outputs[i]->node) : WG_OK;
    }
    return status;
}

/* Calls fn in a scope of its own. An output that fn names twice, or that belongs to somebody, is a view of its own. */
static wg_status call(wg_replay *r) {
    wg_ctx *ctx = r->ctx;
    wg_err before = ctx->graph.err; /* fn's own errors alone count */
    ctx->graph.err = (wg_err){0};
    wg_mark mark = wg_scope_begin(ctx);
    if (mark == 0) {
        wg_err_clear(&before);
        return ctx->graph.err.status;
    }
    r->fn(ctx, r->outputs, r->user);
    for (size_t i = 0; i < r->noutputs; i++) {
        wg_tensor *t = r->outputs[i];
        bool own = t && wg_context(t) == ctx && !t->kept && t->scope == mark && !t->leaf;
        r->outputs[i] = own ? wg_keep(t) : t ? wg_keep(wg_detach(t)) : NULL;
    }
    wg_status failed = ctx->graph.err.status, status = wg_scope_end(ctx, mark);
    status = failed != WG_OK ? failed : status != WG_OK ? status : evaluate_outputs(r);
    if (before.status != WG_OK) {
        wg_err_clear(&ctx->graph.err);
        ctx->graph.err = before;
    }
    return status;
}

static void note_states(wg_capture *c) {
    c->state = wg_mem_alloc((c->nparts + 1) * sizeof *c->state);
    c->unfit = c->unfit || !c->state;
    for (size_t i = 0; c->state && i < c->nparts; i++) {
        c->state[i] = c->parts[i].state(c->parts[i].user);
    }
}

static void bind_tensors(wg_replay *r) {
    for (size_t i = 0; i < r->last.p.nleaves; i++) {
        r->last.leaf[i].t->bound = true;
    }
    for (size_t i = 0; i < r->last.p.ntasks; i++) {
        if (r->last.p.tasks[i].keep && r->last.kept[i].output < 0) {
            r->last.kept[i].t->bound = true;
        }
    }
    r->unbound = r->ctx->graph.unbound;
}

static wg_status record(wg_replay *r) {
    wg_ctx *ctx = r->ctx;
    wg_graph *g = &ctx->graph;
    drop_outputs(r);
    wg_capture now = {.random = g->random, .no_grad = g->scopes[g->nscopes - 1].no_grad};
    size_t n = 0;
    uint64_t hooks = g->hook_id;
    now.unfit = ctx->eager || ctx->anomaly || ctx->capture != NULL || !wg_settle_all(ctx);
    wg_stand *before = now.unfit ? NULL : wg_capture_stands(ctx, &n, &now.unfit);
    wg_capture *outer = ctx->capture;
    if (outer) {
        outer->unfit = true;
    }
    ctx->capture = now.unfit ? NULL : &now;
    wg_status status = call(r);
    ctx->capture = outer;
    now.unfit = now.unfit || status != WG_OK || hooks != g->hook_id;
    now.nrandom = g->random - now.random;
    if (!now.unfit) {
        wg_capture_bind(ctx, &now, before, n, r->outputs, r->noutputs);
        note_states(&now);
    }
    r->ready = wg_capture_same(&r->last, &now);
    wg_capture_drop(&r->last);
    r->last = now;
    if (r->ready) {
        bind_tensors(r);
    }
    wg_mem_free(before);
    return status;
}

/* ---- running again ---------------------------------------------------------------------------------------------------- */

/* Whether a run recorded now would be the last one over again. */
static bool holds(const wg_replay *r) {
    const wg_capture *c = &r->last;
    const wg_ctx *ctx = r->ctx;
    const wg_graph *g = &ctx->graph;
    bool same = r->ready && r->unbound == g->unbound && !ctx->eager && !ctx->anomaly && !ctx->capture &&
                g->scopes[g->nscopes - 1].no_grad == c->no_grad && g->npending == 0;
    for (size_t i = 0; same && i < c->nparts; i++) {
        same = c->state[i] == c->parts[i].state(c->parts[i].user);
    }
    for (size_t i = 0; same && i < c->p.nleaves; i++) {
        same = wg_stand_holds(&c->leaf[i]);
    }
    for (size_t i = 0; same && i < c->p.ntasks; i++) {
        same = !c->p.tasks[i].keep || wg_stand_holds(&c->kept[i]);
    }
    return same;
}

/* What has changed since: nodes, the scalars of optimisers, random counters. */
static void bring_up_to_date(wg_replay *r) {
    wg_capture *c = &r->last;
    wg_graph *g = &r->ctx->graph;
    for (size_t i = 0; i < c->nparts; i++) {
        c->parts[i].advance(c->parts[i].user);
    }
    for (size_t i = 0; i < c->p.nleaves; i++) {
        c->p.leaves[i].node = wg_base_of(wg_stand_node(&c->leaf[i]));
    }
    for (size_t i = 0; i < c->p.ntasks; i++) {
        double *scalar = c->p.scalars + i * WG_MAX_SCALAR;
        c->p.tasks[i].node = c->p.tasks[i].keep ? wg_base_of(wg_stand_node(&c->kept[i])) : NULL;
        if (c->cells[i]) {
            scalar[0] = *c->cells[i];
        } else if (c->draws[i]) {
            scalar[0] += (double)g->random - (double)c->random;
            memcpy(&scalar[1], &g->seed, sizeof scalar[1]);
        }
    }
    c->random = g->random;
    g->random += c->nrandom;
}

/* Gives the nodes that stand for kept values their new bytes. Old ones that were written over are no node's by now. */
static void commit(wg_replay *r, wg_exec *x) {
    const wg_problem *p = &r->last.p;
    for (size_t i = 0; i < p->ntasks; i++) {
        if (p->tasks[i].keep) {
            wg_node *n = p->tasks[i].node;
            int slot = wg_slot_task(p, (int)i);
            wg_value *old = n->value;
            n->value = x->values[slot];
            n->value->node = n;
            x->values[slot] = NULL;
            wg_value_free(&r->ctx->engine.pool, old);
        }
    }
}

static wg_status replay(wg_replay *r, wg_exec *x) {
    wg_ctx *ctx = r->ctx;
    wg_err before = ctx->graph.err;
    ctx->graph.err = (wg_err){0};
    double began = wg_watch_begin(&ctx->engine.dev);
    ctx->engine.scope += ctx->graph.nscopes == 1; /* as the function's own scope would count */
    bring_up_to_date(r);
    wg_status status = wg_exec_run(&ctx->engine, x, &r->last.p, &ctx->graph.err);
    if (status == WG_OK) {
        wg_watch_host(&ctx->engine, x, began);
        commit(r, x);
        r->replays++;
    } else {
        wg_memory_ran_out(ctx);
        r->ready = false;
    }
    if (before.status != WG_OK) {
        wg_err_clear(&ctx->graph.err);
        ctx->graph.err = before;
    }
    return status;
}

/* ---- public ----------------------------------------------------------------------------------------------------------- */

wg_replay *wg_replay_new(wg_ctx *ctx, wg_replay_fn fn, size_t noutputs, void *user) {
    if (!ctx || !wg_graph_usable(&ctx->graph)) {
        return NULL;
    }
    wg_replay *r = fn && noutputs < SIZE_MAX / sizeof(wg_tensor *) / 2
                       ? wg_mem_zalloc(sizeof *r + noutputs * sizeof(wg_tensor *))
                       : NULL;
    if (!r) {
        return wg_fail(&ctx->graph, fn ? WG_ERR_NOMEM : WG_ERR_ARG,
                       fn ? "replay: out of host memory" : "replay: fn is NULL");
    }
    r->ctx = ctx;
    r->fn = fn;
    r->user = user;
    r->noutputs = noutputs;
    r->next = ctx->replays;
    ctx->replays = r;
    return r;
}

wg_status wg_replay_run(wg_replay *r) {
    if (!r) {
        return WG_ERR_ARG;
    }
    wg_ctx *ctx = r->ctx;
    if (!wg_graph_usable(&ctx->graph)) {
        return ctx->graph.err.status;
    }
    bool settled = wg_settle_all(ctx);
    wg_exec *x = settled && holds(r) ? wg_plan_cache_find(ctx, &r->last.p) : NULL;
    return x ? replay(r, x) : record(r);
}

wg_tensor *wg_replay_output(const wg_replay *r, size_t i) { return r && i < r->noutputs ? r->outputs[i] : NULL; }

void wg_replay_reset(wg_replay *r) {
    if (r) {
        wg_capture_drop(&r->last);
        r->ready = false;
    }
}

uint64_t wg_replay_count(const wg_replay *r) { return r ? r->replays : 0; }

void wg_replay_free(wg_replay *r) {
    if (!r) {
        return;
    }
    wg_replay **link = &r->ctx->replays;
    while (*link != r) {
        link = &(*link)->next;
    }
    *link = r->next;
    drop_outputs(r);
    wg_capture_drop(&r->last);
    wg_mem_free(r);
}
