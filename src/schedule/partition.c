/* Partition of a problem into groups. */
#include "schedule/partition.h"

#include "base/alloc.h"
#include "schedule/epilogue.h"
#include "schedule/join.h"
#include "schedule/place.h"
#include "schedule/prologue.h"
#include "schedule/rows.h"
#include "schedule/summed.h"
#include "schedule/terms.h"
#include "tensor/shape.h"

enum {
    FLOAT_LIMIT = 48, /* a float dearer than this gets its own group */
    FAR = 8           /* groups this many back are joined by their consumers alone */
};

/* The latest group among those that make the operands, -1 if all are leaves or made of leaves alone. */
static int latest_producer(const wg_partition *p, const wg_task *t) {
    int best = -1;
    for (int k = 0; k < t->node->nin; k++) {
        int ref = t->in[k].ref;
        int g = ref < 0                    ? -1
                : !wg_place_floats(p, ref) ? p->places[ref].group
                : p->places[ref].sunk      ? latest_producer(p, &p->problem->tasks[ref])
                                           : -1;
        if (g >= 0) {
            best = best < 0 || wg_place_order(p, g) > wg_place_order(p, best) ? g : best;
        }
    }
    return best;
}

/* The last loop group that reads one of the values that the task, or a float it needs, reads. */
static int latest_reader(const wg_partition *p, const wg_task *t) {
    int best = -1;
    for (int k = 0; k < t->node->nin; k++) {
        int ref = t->in[k].ref;
        int reader = ref < 0                   ? p->leaf_recent[~ref]
                     : wg_place_floats(p, ref) ? latest_reader(p, &p->problem->tasks[ref])
                                               : p->places[ref].reader;
        best = reader > best ? reader : best;
    }
    return best;
}

static bool map_level(const wg_partition *p, int group, const wg_task *t, wg_level *level) {
    const wg_group *g = &p->groups[group];
    int64_t n = wg_numel_of(t->node->shape), all = wg_numel_of(&g->space);
    wg_shape ks = wg_group_kept(g);
    int64_t kept = wg_numel_of(&ks);
    if (g->kind == WG_GROUP_SCATTER || (g->chunk > 0 && n != all)) {
        return false;
    }
    bool on_kept = false;
    for (int k = 0; k < t->node->nin; k++) {
        const wg_entry *e = t->in[k].ref >= 0 ? wg_place_entry(p, group, t->in[k].ref) : NULL;
        on_kept = on_kept || (e && e->level == WG_LEVEL_KEPT);
    }
    *level = g->reduced && n == kept && (on_kept || n != all) ? WG_LEVEL_KEPT : WG_LEVEL_ELEM;
    return n == all || (g->reduced && n == kept);
}

/* A product that a library computes: it reads and leaves bytes, and takes in nothing but an epilogue. */
static bool is_apart(const wg_partition *p, int group) {
    const wg_group *g = &p->groups[group];
    return g->kind == WG_GROUP_MATMUL && wg_product_apart(p, g->entries[0].task);
}

static bool join(wg_partition *p, int group, int task) {
    wg_level level;
    wg_place_demand d = {0};
    const wg_task *t = &p->problem->tasks[task];
    if (!p->limit || group < 0 || !map_level(p, group, t, &level) || !wg_place_fits(p, group, task, level, &d)) {
        return false;
    }
    if ((is_apart(p, group) && !wg_epilogue_takes(p, group, task)) ||
        (p->groups[group].kind == WG_GROUP_MATMUL && t->node->op->elsewhere)) {
        return false;
    }
    wg_terms_bring(p, group, task, &d);
    wg_place_make_way(p, group, task, level);
    wg_place_put(p, group, task, level);
    p->places[task].group = group;
    return true;
}

/* A copy in another order is stored by the group that makes its operand. */
static bool store_reordered(wg_partition *p, int task) {
    const wg_task *t = &p->problem->tasks[task];
    int ref = t->in[0].ref;
    if (!p->limit || !t->node->op->copies || ref < 0 || wg_place_floats(p, ref)) {
        return false;
    }
    int group = p->places[ref].group;
    const wg_entry *e = wg_place_entry(p, group, ref);
    wg_view w;
    if (!e || e->level != WG_LEVEL_ELEM || p->groups[group].kind == WG_GROUP_SCATTER || is_apart(p, group) ||
        p->groups[group].cost >= p->limit || !wg_reordered_view(p->problem, &p->groups[group], task, &w)) {
        return false;
    }
    wg_place_add(p, group, task, WG_ROLE_REORDERED, WG_LEVEL_ELEM);
    p->groups[group].cost++;
    p->places[task].group = group;
    return true;
}

/* Joins a recent group that reads the same: what is far away would lie there, unused, for a long time. */
static bool join_reader(wg_partition *p, int task) {
    int group = latest_reader(p, &p->problem->tasks[task]);
    return group >= (int)p->ngroups - FAR && join(p, group, task);
}

void wg_partition_give_bytes(wg_partition *p, int task) {
    if (!join(p, latest_producer(p, &p->problem->tasks[task]), task)) {
        wg_place_alone(p, task);
    }
}

static void take_map(wg_partition *p, int task) {
    const wg_task *t = &p->problem->tasks[task];
    wg_place *place_ = &p->places[task];
    bool coords;
    wg_probe(t->node, &place_->cost, &coords);
    bool sunk = p->sink && p->sink[task];
    bool floating = p->limit > 0 && (sunk || !t->node->op->elsewhere);
    bool anywhere = !coords;
    int closure = place_->cost;
    for (int k = 0; k < t->node->nin; k++) {
        int ref = t->in[k].ref;
        bool ready =
            ref < 0 || (wg_place_floats(p, ref) ? !p->places[ref].sunk : p->groups[p->places[ref].group].early);
        floating = floating && (sunk || ready);
        anywhere = anywhere && ref >= 0 && p->places[ref].anywhere;
        coords = coords || (wg_place_floats(p, ref) && p->places[ref].coords);
        closure += wg_place_floats(p, ref) ? p->places[ref].closure : 0;
    }
    place_->anywhere = anywhere;
    place_->coords = coords;
    place_->closure = closure;
    place_->sunk = sunk;
    if ((!floating || closure > FLOAT_LIMIT) && !store_reordered(p, task) && !join(p, latest_producer(p, t), task) &&
        !join_reader(p, task)) {
        wg_place_alone(p, task);
    }
}

/* The steps of a join that its parts are stored for wait until it comes itself. */
static void take_map_or_join(wg_partition *p, int task) {
    int root = p->joins ? p->joins->root[task] - 1 : -1;
    bool chosen = root >= 0 && p->joins->chosen[root];
    if (chosen && root == task && !wg_join_place(p, task)) {
        for (int i = 0; i < task; i++) {
            if (p->joins->root[i] == root + 1) {
                take_map(p, i);
            }
        }
        take_map(p, task);
    } else if (!chosen) {
        take_map(p, task);
    }
}

/* Whether a group's loops can step through what it reads and what it stores out of order. */
static bool all_steps(const wg_partition *p, const wg_group *g) {
    for (size_t i = 0; i < g->nreads; i++) {
        if (!wg_group_steps(g, &g->reads[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < g->nentries; i++) {
        const wg_entry *e = &g->entries[i];
        wg_view w, over;
        bool ok = e->role == WG_ROLE_PART        ? wg_group_view(g, e->level, &p->parts[e->part].to, &over)
                  : e->role == WG_ROLE_REORDERED ? wg_reordered_view(p->problem, g, e->task, &w)
                                                 : true;
        if (!ok) {
            return false;
        }
    }
    return true;
}

/* Whether a reduction over `mask` of the group's space can be done in its loops. */
static bool reduction_joins(wg_partition *p, int group, const wg_task *t, const wg_shape *shape, uint32_t mask,
                            int64_t chunk) {
    wg_group *g = &p->groups[group];
    wg_place_demand d = {0};
    bool loops =
        g->kind == WG_GROUP_LOOP ? !g->apart && wg_shape_equal(&g->space, shape) : wg_rows_fit(p, group, shape, mask);
    if (!p->limit || !loops || g->cost + 1 > p->limit) {
        return false;
    }
    mask = wg_rows_mask(g, mask);
    if (g->reduced ? g->reduced != mask || g->chunk != chunk : false) {
        return false;
    }
    const wg_group before = *g;
    g->reduced = mask;
    g->chunk = chunk;
    bool ok = all_steps(p, g) && wg_place_operand_fits(p, group, t, 0, WG_LEVEL_ELEM, &d);
    g->reduced = before.reduced;
    g->chunk = before.chunk;
    return ok && (int)g->nreads + d.reads <= WG_READ_LIMIT;
}

/* The group that adds up the partial results: laid out with the chunks innermost for rows, outermost for columns. */
static int final_group(wg_partition *p, const wg_task *t, const wg_shape *shape, uint32_t mask, int64_t chunk,
                       bool early) {
    int first, last, at = 0;
    int64_t run = wg_first_run(shape, mask, &first, &last), kept = wg_numel_of(t->node->shape);
    bool rows = true;
    for (int d = shape->rank - 1; d >= 0; d--) {
        if (shape->dim[d] != 1) {
            rows = mask >> d & 1;
            break;
        }
    }
    wg_shape space = {.rank = 2};
    space.dim[at] = rows ? kept : (run + chunk - 1) / chunk;
    space.dim[1] = rows ? (run + chunk - 1) / chunk : kept;
    int group = wg_place_group(p, WG_GROUP_LOOP, &space, early);
    if (group >= 0) {
        p->groups[group].reduced = rows ? 2 : 1;
    }
    return group;
}

/* Reads operand k of a task that is no map: a float among them gets bytes of its own. */
static void read_operand(wg_partition *p, int group, const wg_task *t, int k) {
    int ref = t->in[k].ref;
    wg_view w;
    if (wg_place_floats(p, ref)) {
        wg_partition_give_bytes(p, ref);
    }
    if (wg_operand_view(p->problem, t, k, &w)) {
        wg_place_read(p, group, WG_LEVEL_ELEM, &w, ref, p->groups[group].kind != WG_GROUP_LOOP);
    }
}

static void reduce_in(wg_partition *p, int group, int task, const wg_shape *shape, uint32_t mask, int64_t chunk) {
    const wg_task *t = &p->problem->tasks[task];
    p->groups[group].reduced = wg_rows_mask(&p->groups[group], mask);
    p->groups[group].chunk = chunk;
    int ref = t->in[0].ref;
    wg_view w;
    int level = wg_place_floats(p, ref) && wg_operand_view(p->problem, t, 0, &w)
                    ? wg_place_level(p, &p->groups[group], WG_LEVEL_ELEM, ref, &w)
                    : -1;
    if (level >= 0) {
        wg_place_make_way(p, group, ref, (wg_level)level);
        wg_place_put(p, group, ref, (wg_level)level);
    } else if (p->places[task].copy >= 0) {
        w = wg_view_contiguous(shape);
        wg_place_read(p, group, WG_LEVEL_ELEM, &w, p->places[task].copy, false);
    } else if (p->places[task].copy_group < 0 && (ref < 0 || !wg_place_entry(p, group, ref))) {
        read_operand(p, group, t, 0);
    }
    p->groups[group].cost++;
    wg_place_add(p, group, task, chunk ? WG_ROLE_PARTIAL : WG_ROLE_WHOLE, WG_LEVEL_KEPT);
    if (!chunk) {
        p->places[task].group = group;
        return;
    }
    p->places[task].partial_group = group;
    int last = final_group(p, t, shape, mask, chunk, p->groups[group].early);
    if (last >= 0) {
        wg_place_add(p, last, task, WG_ROLE_FINAL, WG_LEVEL_KEPT);
        p->places[task].group = last;
    }
}

/* Whether the loops of a reduction can step through its operand where it lies (or compute it, if it floats); in one loop: then a
 * product can take it along. */
static bool operand_steps(const wg_partition *p, const wg_task *t, const wg_group *future, bool in_one) {
    wg_view w, over;
    return wg_place_floats(p, t->in[0].ref) ||
           (wg_operand_view(p->problem, t, 0, &w) && wg_group_view(future, WG_LEVEL_ELEM, &w, &over) &&
            (!in_one || wg_runs_merge(&over, future->reduced)));
}

/* A recent group that walks the same rows anyway; -1 if there is none. */
static int same_rows(wg_partition *p, const wg_task *t, const wg_shape *shape, uint32_t mask, int64_t chunk) {
    for (int g = (int)p->ngroups - 1; g >= 0 && g >= (int)p->ngroups - FAR; g--) {
        if (p->groups[g].reduced && reduction_joins(p, g, t, shape, mask, chunk)) {
            return g;
        }
    }
    return -1;
}

/* Has a reduction read a copy of its operand that another task makes, if it can be made by now. */
static bool read_copy(wg_partition *p, int task, bool early) {
    int copy = p->limit > 0 && p->problem->tasks[task].in[0].ref >= 0 && !early ? wg_summed_copy(p, task) : -1;
    if (copy >= 0) {
        take_map(p, copy);
    }
    bool made = copy >= 0 && !wg_place_floats(p, copy);
    p->places[task].copy = made ? copy : -1;
    return made;
}

/* The same of a copy of its own. False when there is no memory. */
static bool make_copy(wg_partition *p, int task, bool early) {
    const wg_task *t = &p->problem->tasks[task];
    int group = wg_place_group(p, WG_GROUP_LOOP, t->node->in[0]->shape, early);
    if (group >= 0) {
        read_operand(p, group, t, 0);
        wg_place_add(p, group, task, WG_ROLE_COPY, WG_LEVEL_ELEM);
        p->places[task].copy_group = group;
    }
    return group >= 0;
}

static void take_reduce(wg_partition *p, int task) {
    const wg_task *t = &p->problem->tasks[task];
    const wg_shape *shape = t->node->in[0]->shape;
    uint32_t mask = (uint32_t)t->node->attr[0];
    int64_t chunk = t->node->op->reduce == WG_P_RARGMAX ? 0 : wg_split_length(shape, mask);
    p->places[task].cost = 1;
    int group = latest_producer(p, t);
    bool made = group >= 0 && wg_place_entry(p, group, t->in[0].ref), apart = wg_summed_by_product(p, t, t->in[0].ref);
    group = group < 0 ? latest_reader(p, t) : group;
    bool joins = group >= 0 && reduction_joins(p, group, t, shape, mask, chunk) && (!apart || made);
    if (joins && p->groups[group].kind == WG_GROUP_MATMUL) {
        wg_place *product = &p->places[p->groups[group].entries[0].task];
        product->rows_wanted = product->rows_wanted || !product->sunk;
        joins = product->sunk;
    }
    if (!joins) {
        group = apart ? -1 : same_rows(p, t, shape, mask, chunk);
    }
    if (group >= 0) {
        reduce_in(p, group, task, shape, mask, chunk);
        return;
    }
    const wg_group future = {.space = *shape, .reduced = mask, .chunk = chunk};
    wg_place_prepare(p, task, &future);
    /* A number made of leaves alone (a count, a norm) is ready before anything else, for whoever can use it. */
    bool early = p->limit > 0 && wg_numel_of(t->node->shape) == 1 && wg_place_can_be_early(p, task);
    if (!operand_steps(p, t, &future, true) && !read_copy(p, task, early) && !operand_steps(p, t, &future, false) &&
        !make_copy(p, task, early)) {
        return;
    }
    apart = apart || wg_summed_by_product(p, t, p->places[task].copy);
    group = wg_place_group(p, WG_GROUP_LOOP, shape, early);
    if (group >= 0) {
        p->groups[group].apart = apart;
        reduce_in(p, group, task, shape, mask, chunk);
    }
}

static void take_other(wg_partition *p, int task, wg_group_kind kind) {
    const wg_task *t = &p->problem->tasks[task];
    for (int k = 0; k < t->node->nin; k++) {
        if (wg_place_floats(p, t->in[k].ref) && !(kind == WG_GROUP_MATMUL && wg_prologue_fits(p, task, k))) {
            wg_partition_give_bytes(p, t->in[k].ref);
        }
    }
    int group = wg_place_group(p, kind, t->node->shape, false);
    if (group < 0) {
        return;
    }
    for (int k = 0; k < t->node->nin; k++) {
        if (wg_place_floats(p, t->in[k].ref)) {
            wg_prologue_put(p, group, task, k);
        } else {
            read_operand(p, group, t, k);
        }
    }
    wg_place_add(p, group, task, WG_ROLE_WHOLE, WG_LEVEL_ELEM);
    p->places[task].group = group;
    p->places[task].sunk = p->sink && p->sink[task];
}

/* Kept floats that no group took in. */
static void settle_floats(wg_partition *p) {
    for (size_t i = 0; i < p->problem->ntasks && !p->failed; i++) {
        const wg_task *t = &p->problem->tasks[i];
        if (p->places[i].group < 0 && t->keep && !join(p, latest_producer(p, t), (int)i) &&
            !join(p, latest_reader(p, t), (int)i)) {
            wg_place_alone(p, (int)i);
        }
        p->places[i].stored = p->places[i].stored || t->keep;
    }
}

bool wg_partition_make(const wg_problem *p, int limit, wg_form form, const wg_limits *limits, const bool *sink,
                       const wg_joins *joins, wg_terms terms, wg_partition *out) {
    *out = (wg_partition){
        .problem = p, .limit = limit, .form = form, .limits = limits, .sink = sink, .joins = joins, .terms = terms};
    out->places = wg_mem_alloc(p->ntasks * sizeof *out->places);
    out->leaf_recent = wg_mem_alloc(p->nleaves * sizeof *out->leaf_recent);
    if (!out->places || !out->leaf_recent || !wg_terms_begin(out)) {
        return false;
    }
    for (size_t i = 0; i < p->ntasks; i++) {
        out->places[i] =
            (wg_place){.group = -1, .partial_group = -1, .copy_group = -1, .copy = -1, .recent = -1, .reader = -1};
    }
    for (size_t i = 0; i < p->nleaves; i++) {
        out->leaf_recent[i] = -1;
    }
    wg_summed_find(out);
    for (size_t i = 0; i < p->ntasks && !out->failed; i++) {
        if (out->places[i].group >= 0) {
            continue; /* a copy that was wanted before */
        }
        switch (p->tasks[i].node->op->kind) {
        case WG_OP_MAP:
            take_map_or_join(out, (int)i);
            break;
        case WG_OP_REDUCE:
            take_reduce(out, (int)i);
            break;
        case WG_OP_MATMUL:
            take_other(out, (int)i, WG_GROUP_MATMUL);
            break;
        case WG_OP_SCATTER:
            take_other(out, (int)i, WG_GROUP_SCATTER);
            break;
        case WG_OP_SOURCE:
        case WG_OP_VIEW:
            break; /* have no bytes to compute */
        }
    }
    settle_floats(out);
    return !out->failed;
}

int wg_partition_order(const wg_partition *p, int *order) {
    int n = 0;
    for (int early = 1; early >= 0; early--) {
        for (size_t i = 0; i < p->ngroups; i++) {
            if (p->groups[i].early == (bool)early && p->groups[i].nentries > 0) {
                order[n++] = (int)i;
            }
        }
    }
    return n;
}

void wg_partition_free(wg_partition *p) {
    for (size_t i = 0; i < p->ngroups; i++) {
        wg_mem_free(p->groups[i].entries);
        wg_mem_free(p->groups[i].reads);
        for (int k = 0; k < 2; k++) {
            wg_mem_free(p->groups[i].operand[k].entries);
            for (size_t j = 0; j < p->groups[i].nmore; j++) {
                wg_mem_free(p->groups[i].more[j].operand[k].entries);
            }
        }
        wg_mem_free(p->groups[i].more);
    }
    wg_mem_free(p->readers);
    wg_mem_free(p->last_reader);
    wg_mem_free(p->groups);
    wg_mem_free(p->places);
    wg_mem_free(p->leaf_recent);
    wg_mem_free(p->parts);
    *p = (wg_partition){0};
}
