/* Which maps sink to their consumers, and which products take rows in. */
#include "schedule/sink.h"

#include "base/alloc.h"
#include "schedule/geometry.h"
#include "schedule/join.h"
#include "schedule/memory.h"
#include "schedule/prologue.h"
#include "schedule/share.h"
#include "tensor/dtype.h"

#include <string.h>

enum {
    CHEAP = 32,       /* instructions that may be done again to save a store */
    ROUNDS = 3,       /* sinking some maps makes candidates of others */
    LONG = 1 << 15,   /* a plan of more tasks is not made twice */
    BUDGET = 1 << 18, /* tasks planned for choosing among the candidates; long plans choose among groups of them */
    LIGHT = 1 << 9,   /* the same where the bytes are few */
    AGAIN = 2,        /* times that all of them are looked at */
    GROUP = 8         /* candidates in a group; where they had to be more, all are taken */
};

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

int64_t wg_plan_price(const wg_plan *plan) {
    int64_t cost = (int64_t)plan->nlaunches * WG_LAUNCH_TOLL + wg_plan_bytes(plan);
    for (int i = 0; i < plan->nsteps; i++) {
        const wg_lowered *l = &plan->steps[i].l;
        for (int b = 0; b < l->nbuffers; b++) {
            int64_t elems = least(plan->slots[l->buffers[b].slot].elems, l->elems); /* scratch has none yet */
            elems = l->buffers[b].part > 0 ? l->buffers[b].part : elems;
            elems = wg_step_touches(&plan->steps[i], b) ? elems : 0;
            cost += elems * (int64_t)wg_dtype_size((wg_dtype)l->buffers[b].dtype);
        }
    }
    return cost;
}

/* Which values something needs in memory: one that is read by neither maps and reductions, each element at its own place,
 * nor products. */
static void find_refused(const wg_partition *part, bool *refused) {
    const wg_problem *p = part->problem;
    memset(refused, 0, p->ntasks * sizeof *refused);
    for (size_t i = 0; i < p->ntasks; i++) {
        const wg_task *t = &p->tasks[i];
        const wg_op *op = t->node->op;
        for (int k = 0; k < t->node->nin; k++) {
            bool in_place = (op->kind == WG_OP_MAP && !(op->elsewhere >> k & 1)) || op->kind == WG_OP_REDUCE ||
                            (op->kind == WG_OP_MATMUL && !wg_product_apart(part, (int)i));
            if (t->in[k].ref >= 0 && !in_place) {
                refused[t->in[k].ref] = true;
            }
        }
    }
}

/* Whether a task's value costs next to nothing to store beside one that is made of it, as a row's mean beside the row. */
static bool is_smaller(const wg_partition *part, int task, int beside) {
    int64_t n = wg_numel_of(part->problem->tasks[task].node->shape);
    return n > 1 && n < wg_numel_of(part->problem->tasks[beside].node->shape);
}

/* The instructions of a map and of those that hand it their values in registers: they would sink with it, but for smaller ones,
 * which are stored instead. No more than `most` and some are counted. With `chain`, notes them there as i's. */
static int chain_cost(const wg_partition *part, int i, int task, int *chain, int most) {
    const wg_task *t = &part->problem->tasks[task];
    int cost = part->places[task].cost;
    if (chain) {
        chain[task] = i + 1;
    }
    for (int k = 0; k < t->node->nin && cost < most; k++) {
        int ref = t->in[k].ref;
        bool register_ = ref >= 0 && !part->places[ref].stored && part->places[ref].group == part->places[task].group &&
                         part->problem->tasks[ref].node->op->kind == WG_OP_MAP && !is_smaller(part, ref, task);
        bool floats = ref >= 0 && part->places[ref].group < 0;
        if ((register_ && !(chain && chain[ref])) || (floats && !chain)) {
            cost += chain_cost(part, i, ref, chain, most - cost);
        }
    }
    return cost;
}

/* Adds the maps that are stored and cheap, with what leads to them from other stored values, and the products whose rows are
 * summed. Returns how many there are that were none before. */
static int add_candidates(const wg_partition *part, int *chain, bool *refused) {
    const wg_problem *p = part->problem;
    int added = 0;
    find_refused(part, refused);
    for (size_t i = 0; i < p->ntasks; i++) {
        const wg_place *place = &part->places[i];
        if (p->tasks[i].node->op->kind == WG_OP_MAP && !p->tasks[i].keep && place->stored && !refused[i] && !chain[i] &&
            place->group >= 0 && chain_cost(part, (int)i, (int)i, NULL, CHEAP) < CHEAP) {
            chain_cost(part, (int)i, (int)i, chain, CHEAP);
            added++;
        } else if (place->rows_wanted && !chain[i]) {
            chain[i] = (int)i + 1;
            added++;
        }
    }
    return added;
}

typedef struct search {
    wg_planner *how;
    size_t ntasks;
    /* What the search has come to: the map, or itself if a product, and 1, that a task sinks with; 0: it does not. */
    int *chain;
    bool *sink;    /* the same for the planner */
    bool *refused; /* scratch */
    wg_plan *plan; /* made with it */
    int64_t cost;
} search;

/* Plans with the chains as they stand, but for those from number `from` to `to`; goes over to that plan if it costs no more
 * than `most`. */
static bool adopt(search *s, size_t from, size_t to, int64_t most, wg_partition *part) {
    for (size_t i = 0; i < s->ntasks; i++) {
        size_t number = (size_t)s->chain[i];
        s->sink[i] = number > 0 && !(number >= from && number < to);
    }
    wg_plan *plan = s->how->make(s->how, s->sink, part);
    int64_t cost = plan ? wg_plan_price(plan) : 0;
    if (!plan || cost > most) {
        wg_plan_free(plan);
        return false;
    }
    wg_plan_free(s->plan);
    s->plan = plan;
    s->cost = cost;
    for (size_t i = 0; i < s->ntasks; i++) {
        s->chain[i] = s->sink[i] ? s->chain[i] : 0;
    }
    return true;
}

/* Has no product take rows in that did not before. */
static void spare_products(search *s, const wg_partition *part) {
    for (size_t i = 0; i < s->ntasks; i++) {
        if (part->problem->tasks[i].node->op->kind == WG_OP_MATMUL && !part->places[i].sunk) {
            s->chain[i] = 0;
        }
    }
}

/* Sinks all candidates, and those that come up by it. */
static void sink_all(search *s, wg_partition *part) {
    for (int round = 0; round < ROUNDS && add_candidates(part, s->chain, s->refused) > 0; round++) {
        wg_partition next;
        bool planned = adopt(s, 0, 0, INT64_MAX, &next);
        if (!planned && s->how->too_large) { /* what joins a product has less room there than in a kernel of its own */
            wg_partition_free(&next);
            spare_products(s, part);
            planned = adopt(s, 0, 0, INT64_MAX, &next);
        }
        for (size_t i = 0; !planned && i < s->ntasks; i++) {
            s->chain[i] = part->places[i].sunk ? s->chain[i] : 0; /* as the last plan has it */
        }
        wg_partition_free(part);
        *part = next;
        if (!planned) {
            return;
        }
    }
}

/* Takes back, a few at a time, what does not pay. */
static void take_back(search *s) {
    size_t chosen = 0;
    for (size_t i = 0; i < s->ntasks; i++) {
        chosen += s->chain[i] == (int)i + 1;
    }
    /* Where it is launches that cost there is little to win. */
    bool light = s->plan && 8 * s->cost < 9 * (int64_t)s->plan->nlaunches * WG_LAUNCH_TOLL;
    size_t few = 1 + chosen * s->ntasks / (light ? LIGHT : BUDGET), n = 0;
    for (size_t i = 0, end = 0; s->plan && few <= GROUP && i < s->ntasks; i = end) {
        for (n = 0; end < s->ntasks && n < few; end++) {
            n += s->chain[end] == (int)end + 1;
        }
        wg_partition part;
        if (n > 0) {
            adopt(s, i + 1, end + 1, s->cost, &part);
            wg_partition_free(&part);
        }
    }
}

/* What takes time to find, shared launches of long plans and a better order, is looked for in the plan that was chosen: it is
 * made once more. */
wg_plan *wg_plan_sink(wg_planner *how, wg_plan *plan, wg_partition *part) {
    size_t n = part->problem->ntasks;
    search s = {.how = how,
                .ntasks = n,
                .chain = wg_mem_zalloc(n * sizeof *s.chain),
                .sink = wg_mem_zalloc(n * sizeof *s.sink),
                .refused = wg_mem_alloc(n * sizeof *s.refused)};
    if (s.chain && s.sink && s.refused && n <= LONG) {
        sink_all(&s, part);
        int64_t before = INT64_MAX;
        for (int again = 0; again < AGAIN && s.cost < before; again++) { /* what pays may not, once others are back */
            before = s.cost;
            take_back(&s);
        }
    }
    bool better = s.plan && s.cost < wg_plan_price(plan);
    wg_plan_free(better ? plan : s.plan);
    plan = better ? s.plan : plan;
    wg_partition_free(part);
    wg_joins joins = {0};
    for (size_t i = 0; better && i < n; i++) {
        s.sink[i] = s.chain[i] != 0;
    }
    const bool *sunk = better ? s.sink : NULL;
    if (n <= LONG && wg_joins_find(how->problem, &joins)) {
        plan = wg_plan_join(how, plan, sunk, &joins);
    }
    how->share = how->last = true;
    wg_plan *last = how->make(how, sunk, part);
    wg_partition_free(part);
    wg_plan_free(last ? plan : NULL);
    plan = last ? last : plan;
    wg_mem_free(s.chain);
    wg_mem_free(s.sink);
    wg_mem_free(s.refused);
    how->joins = NULL;
    wg_joins_free(&joins);
    return plan;
}
