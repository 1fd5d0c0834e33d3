/* From a partition to a plan: lowering the groups in order. Where values lie is decided in memory.c. */
#include "schedule/plan.h"

#include "base/alloc.h"
#include "schedule/geometry.h"
#include "schedule/memory.h"
#include "schedule/order.h"
#include "schedule/share.h"
#include "schedule/sink.h"
#include "schedule/terms.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

#include <stdio.h>
#include <string.h>

/* Instructions that may share a kernel. A group with more buffers or parameters than a kernel can take makes the whole
 * plan start again with a quarter of it. */
#define KERNEL_LIMIT 160
/* In plans of more tasks steps come to share launches only once the plan is chosen. */
#define SHORT 1024

static void describe_scatter(const wg_problem *p, const wg_task *t, wg_step *s) {
    const wg_shape *out = t->node->shape;
    int dim = (int)t->node->attr[0];
    wg_scatter *c = &s->scatter;
    *c = (wg_scatter){.outer = 1, .inner = 1, .n = out->dim[dim], .node = t->node};
    for (int i = 0; i < out->rank; i++) {
        *(i < dim ? &c->outer : i > dim ? &c->inner : &c->count) *= out->dim[i];
    }
    wg_view index;
    wg_operand_view(p, t, 1, &index);
    c->count = wg_shape_numel(index.shape);
    for (int k = 0; k < 3; k++) {
        int ref = t->in[k].ref;
        wg_view w;
        wg_operand_view(p, t, k, &w);
        c->offset[k] = w.offset;
        const wg_node *n = ref < 0 ? p->leaves[~ref].node : p->tasks[ref].node;
        s->l.buffers[s->l.nbuffers++] =
            (wg_buffer_use){ref < 0 ? wg_slot_leaf(~ref) : wg_slot_task(p, ref), n->dtype, false, 0};
    }
    int task = (int)(t - p->tasks);
    s->l.buffers[s->l.nbuffers++] = (wg_buffer_use){wg_slot_task(p, task), t->node->dtype, true, 0};
    s->l.results = c->outer * c->inner;
    s->l.buffers[s->l.nbuffers++] = (wg_buffer_use){wg_slot_trap(p), WG_I64, true, 0};
    s->l.units = c->outer * c->inner;
    s->l.elems = c->outer * c->inner * (c->count + c->n);
}

static size_t add_ops(const wg_partition *part, const wg_entry *entries, size_t n, size_t at, wg_step *s) {
    for (size_t i = 0; i < n && at < sizeof s->ops; i++) {
        int task = entries[i].role == WG_ROLE_PART ? part->parts[entries[i].part].step : entries[i].task;
        const char *name = part->problem->tasks[task].node->op->name;
        at += (size_t)snprintf(s->ops + at, sizeof s->ops - at, at ? "+%s" : "%s", name);
    }
    return at;
}

/* In the order in which they are computed. */
static void describe_ops(const wg_partition *part, const wg_group *g, wg_step *s) {
    size_t at = 0;
    for (size_t i = 0; i < g->nentries; i++) {
        int product = g->kind == WG_GROUP_MATMUL ? wg_terms_number(g, g->entries[i].task) : -1;
        for (int k = 0; product >= 0 && k < 2; k++) {
            const wg_prologue *o = wg_terms_operand(g, (size_t)product, k);
            at = add_ops(part, o->entries, o->nentries, at, s);
        }
        at = add_ops(part, &g->entries[i], 1, at, s);
    }
    if (at >= sizeof s->ops) {
        memcpy(s->ops + sizeof s->ops - 4, "...", 4);
    }
}

static bool make_step(const wg_partition *part, int group, wg_form form, const wg_limits *limits, wg_step *s) {
    const wg_problem *p = part->problem;
    const wg_group *g = &part->groups[group];
    const wg_task *t = &p->tasks[g->entries[0].task];
    s->kind = g->kind;
    s->bundle = 1;
    describe_ops(part, g, s);
    switch (g->kind) {
    case WG_GROUP_LOOP:
        return wg_lower_loop(part, group, form == WG_SIMD ? limits->cache_bytes : SIZE_MAX, &s->l);
    case WG_GROUP_MATMUL:
        wg_terms_describe(p, g, 0, &s->product);
        if (!wg_lower_product(part, group, form == WG_SIMD, &s->l)) {
            return false;
        }
        s->l.results = wg_shape_numel(*t->node->shape);
        s->l.elems = s->l.results * (s->product.k + 1);
        for (int i = 0; i < s->l.nmore; i++) {
            s->l.elems += s->l.results * s->l.more[i].product.k;
        }
        wg_epilogue_describe(part, group, &s->l, &s->epilogue);
        return true;
    case WG_GROUP_SCATTER:
        if (!wg_lower_begin(&s->l)) {
            return false;
        }
        describe_scatter(p, t, s);
        return true;
    }
    return false;
}

static bool steps_of(wg_plan *plan, const wg_partition *part, wg_form form, const wg_limits *limits, bool *too_large) {
    int *order = wg_mem_alloc((part->ngroups + 1) * sizeof *order);
    plan->steps = wg_mem_zalloc((part->ngroups + 1) * sizeof *plan->steps);
    if (!order || !plan->steps) {
        wg_mem_free(order);
        return false;
    }
    int ngroups = wg_partition_order(part, order);
    bool ok = true;
    for (int i = 0; ok && i < ngroups; i++) {
        wg_step *s = &plan->steps[plan->nsteps++];
        ok = make_step(part, order[i], form, limits, s);
        *too_large = !ok && !s->l.no_memory;
        plan->work += s->l.elems;
    }
    wg_mem_free(order);
    return ok;
}

/* One way to plan; a group that no kernel can hold leaves too_large set. The partition is the caller's, made or not. */
static wg_plan *plan_with(wg_planner *how, const bool *sink, wg_partition *part) {
    wg_plan *plan = wg_mem_zalloc(sizeof *plan);
    int64_t largest = (int64_t)how->limits->max_alloc;
    how->too_large = false;
    bool ok =
        wg_partition_make(how->problem, how->limit, how->form, how->limits, sink, how->joins, how->terms, part) && plan;
    ok = ok && steps_of(plan, part, how->form, how->limits, &how->too_large) && wg_plan_memory(plan, part, largest) &&
         (how->limit == 0 || !how->share || wg_plan_share(plan, part, how->form, how->limits)) &&
         (how->limit == 0 || !how->last || how->limits->queues > 1 || wg_plan_order(plan, part, how->limits));
    for (int i = 0; ok && i < plan->nsteps; i += plan->steps[i].bundle) {
        plan->nlaunches++;
    }
    if (!ok) {
        wg_plan_free(plan);
        return NULL;
    }
    return plan;
}

/* Whether products added up in one kernel make a plan cheaper than it is without, and no larger. */
static bool terms_pay(const wg_plan *plan, const wg_plan *without) {
    return wg_plan_bytes(plan) <= wg_plan_bytes(without) && wg_plan_price(plan) <= wg_plan_price(without);
}

/* The plan with as many of them as pay. */
static wg_plan *plan_terms(wg_planner *how, wg_partition *part) {
    how->terms = how->limit > 0 ? WG_TERMS_ALL : WG_TERMS_NONE;
    wg_plan *plan = plan_with(how, NULL, part);
    if (how->limit == 0 || (plan ? part->nmoved == 0 : !how->too_large)) {
        return plan;
    }
    wg_partition other;
    how->terms = WG_TERMS_NONE;
    wg_plan *without = plan_with(how, NULL, &other);
    for (wg_terms terms = WG_TERMS_ALL; terms > WG_TERMS_NONE; terms--) {
        if (plan && (!without || terms_pay(plan, without))) {
            wg_plan_free(without);
            wg_partition_free(&other);
            how->terms = terms;
            return plan;
        }
        wg_plan_free(plan);
        wg_partition_free(part);
        how->terms = terms - 1;
        plan = terms > WG_TERMS_IN_PLACE ? plan_with(how, NULL, part) : NULL;
    }
    *part = other;
    return without;
}

wg_plan *wg_plan_make(const wg_problem *p, bool fuse, wg_form form, const wg_limits *limits, wg_err *err) {
    wg_planner how = {.problem = p,
                      .make = plan_with,
                      .form = form,
                      .limits = limits,
                      .limit = fuse ? KERNEL_LIMIT : 0,
                      .share = p->ntasks <= SHORT};
    for (;; how.limit /= 4) {
        wg_partition part;
        wg_plan *plan = plan_terms(&how, &part);
        if (plan && fuse) {
            return wg_plan_sink(&how, plan, &part);
        }
        wg_partition_free(&part);
        if (plan) {
            return plan;
        }
        if (!how.too_large || how.limit == 0) {
            break;
        }
    }
    wg_err_set(err, how.too_large ? WG_ERR_UNSUPPORTED : WG_ERR_NOMEM, "a plan of %zu ops: %s", p->ntasks,
               how.too_large ? "an op does not fit a kernel" : "out of host memory");
    return NULL;
}

void wg_plan_free(wg_plan *plan) {
    if (!plan) {
        return;
    }
    for (int i = 0; plan->steps && i < plan->nsteps; i++) {
        wg_lowered_free(&plan->steps[i].l);
    }
    wg_mem_free(plan->steps);
    wg_mem_free(plan->turns);
    wg_plan_memory_drop(plan);
    wg_mem_free(plan);
}
