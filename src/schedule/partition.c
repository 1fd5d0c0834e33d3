/* Partition of a problem into groups. */
#include "schedule/partition.h"

#include "base/alloc.h"
#include "tensor/shape.h"

enum {
    READ_LIMIT = 16,   /* operands of a kernel */
    AGAIN_LIMIT = 12,  /* a float cheaper than this is computed again in each group that reads it */
    FLOAT_LIMIT = 48,  /* a float dearer than this gets its own group */
    EARLY_BASE = 1 << 28,
};

/* ---- geometry -------------------------------------------------------------------------------------------------------- */

int64_t wg_first_run(const wg_shape *shape, uint32_t mask, int *first, int *last) {
    int64_t run = 1;
    *first = *last = -1;
    for (int d = 0; d < shape->rank; d++) {
        if (shape->dim[d] == 1) {
            continue;
        }
        if (mask >> d & 1) {
            *first = *first < 0 ? d : *first;
            *last = d;
            run *= shape->dim[d];
        } else if (*first >= 0) {
            break;
        }
    }
    return run;
}

int64_t wg_split_length(const wg_shape *shape, uint32_t mask) {
    const int64_t chunk_elems = 1 << 14, enough_units = 64;
    int first, last;
    int64_t run = wg_first_run(shape, mask, &first, &last);
    int64_t kept = 1, reduced = 1, inner = 1;
    for (int d = 0; d < shape->rank; d++) {
        *((mask >> d & 1) ? &reduced : &kept) *= shape->dim[d];
    }
    for (int d = shape->rank - 1; d >= 0 && !(mask >> d & 1); d--) {
        inner *= shape->dim[d];
    }
    bool rows = first >= 0 && inner == 1;
    int64_t units = rows ? kept : (kept / (inner ? inner : 1)) * ((inner + WG_LANES - 1) / WG_LANES);
    if (first < 0 || kept == 0 || units >= enough_units || reduced < 2 * chunk_elems / (rows ? 1 : WG_LANES)) {
        return 0;
    }
    int64_t rest = reduced / run * (rows ? 1 : WG_LANES); /* elements a step along the run costs one unit */
    int64_t length = (chunk_elems + rest - 1) / rest;
    return length < run ? length : 0;
}

static int64_t numel(const wg_shape *s) { return wg_shape_numel(*s); }

static wg_shape kept_shape(const wg_group *g) {
    wg_shape s = g->space;
    for (int d = 0; d < s.rank; d++) {
        s.dim[d] = (g->reduced >> d & 1) ? 1 : s.dim[d];
    }
    return s;
}

/* Adjacent reduced dims form one loop, so an address must step through them evenly. */
static bool runs_merge(const wg_view *v, uint32_t reduced) {
    int outer = -1;
    for (int d = 0; d < v->shape.rank; d++) {
        if (v->shape.dim[d] == 1) {
            continue;
        }
        bool r = reduced >> d & 1;
        if (r && outer >= 0 && v->stride[outer] != v->stride[d] * v->shape.dim[d]) {
            return false;
        }
        outer = r ? d : -1;
    }
    return true;
}

bool wg_group_view(const wg_group *g, wg_level level, const wg_view *w, wg_view *out) {
    if (level == WG_LEVEL_ONE) {
        *out = (wg_view){.shape = g->space, .offset = w->offset};
        return numel(&w->shape) == 1;
    }
    wg_shape shape = level == WG_LEVEL_KEPT ? kept_shape(g) : g->space;
    if (numel(&w->shape) != numel(&shape) || !wg_view_reshape(w, &shape, out)) {
        return false;
    }
    if (level == WG_LEVEL_KEPT) {
        for (int d = 0; d < g->space.rank; d++) {
            out->stride[d] = (g->reduced >> d & 1) ? 0 : out->stride[d];
        }
        out->shape = g->space;
        return true;
    }
    return runs_merge(out, g->reduced);
}

bool wg_operand_view(const wg_problem *p, const wg_task *t, int k, wg_view *out) {
    const wg_operand *o = &t->in[k];
    const wg_node *n = o->ref < 0 ? p->leaves[~o->ref].node : p->tasks[o->ref].node;
    wg_view v = o->view ? *o->view : wg_view_contiguous(n->shape);
    if ((t->node->op->elsewhere >> k & 1) || t->node->op->kind != WG_OP_MAP) {
        *out = v;
        return true;
    }
    return wg_view_expand(&v, t->node->shape, out);
}

/* The view of all of a task's elements in their own order. */
static bool aligned(const wg_view *w, const wg_node *n) {
    return w->offset == 0 && numel(&w->shape) == numel(n->shape) && wg_view_is_contiguous(w);
}

/* The view repeats a KEPT task's elements along the reduced axes. */
static bool repeats_kept(const wg_group *g, const wg_view *w) {
    wg_view over, kept;
    wg_shape shape = kept_shape(g);
    if (numel(&w->shape) != numel(&g->space) || !wg_view_reshape(w, &g->space, &over) || over.offset != 0) {
        return false;
    }
    kept = wg_view_contiguous(&shape);
    for (int d = 0; d < g->space.rank; d++) {
        int64_t want = (g->reduced >> d & 1) ? 0 : kept.stride[d];
        if (g->space.dim[d] != 1 && over.stride[d] != want) {
            return false;
        }
    }
    return true;
}

/* ---- groups ---------------------------------------------------------------------------------------------------------- */

/* Stands for a read at places that follow from coordinates: it steps through no two dims as if they were one. */
static wg_view reads_anywhere(const wg_group *g) {
    wg_view v = {.shape = g->space};
    for (int d = 0; d < v.shape.rank; d++) {
        v.stride[d] = 1;
    }
    return v;
}

static int order_of(const wg_partition *p, int group) { return p->groups[group].early ? group : EARLY_BASE + group; }

static int new_group(wg_partition *p, wg_group_kind kind, const wg_shape *space, bool early) {
    if (!WG_RESERVE(p->groups, p->ngroups, p->group_cap)) {
        p->failed = true;
        return -1;
    }
    p->groups[p->ngroups] = (wg_group){.kind = kind, .space = *space, .early = early};
    return (int)p->ngroups++;
}

static const wg_entry *entry_in(const wg_partition *p, int group, int task) {
    const wg_place *place = &p->places[task];
    if (place->recent != group && place->group != group) {
        if (place->group >= 0) {
            return NULL; /* placed elsewhere for good */
        }
    }
    const wg_group *g = &p->groups[group];
    for (size_t i = g->nentries; i-- > 0;) {
        if (g->entries[i].task == task && g->entries[i].role != WG_ROLE_PARTIAL &&
            g->entries[i].role != WG_ROLE_COPY) {
            return &g->entries[i];
        }
    }
    return NULL;
}

static bool floats(const wg_partition *p, int ref) { return ref >= 0 && p->places[ref].group < 0; }

/* How a floating operand can be computed inside the group: at which level, or -1 if it needs bytes of its own. */
static int level_for_float(const wg_partition *p, const wg_group *g, wg_level level, int ref, const wg_view *w) {
    const wg_node *n = p->problem->tasks[ref].node;
    if (p->places[ref].anywhere || numel(n->shape) == 1) {
        return WG_LEVEL_ONE;
    }
    if (aligned(w, n)) {
        return (int)level;
    }
    return level == WG_LEVEL_ELEM && g->reduced && repeats_kept(g, w) ? WG_LEVEL_KEPT : -1;
}

/* Whether a float can be computed before all main groups: nothing it is made of was placed in one since. */
static bool can_be_early(const wg_partition *p, int task) {
    const wg_task *t = &p->problem->tasks[task];
    for (int k = 0; k < t->node->nin; k++) {
        int ref = t->in[k].ref;
        if (ref >= 0 && (floats(p, ref) ? !can_be_early(p, ref) : !p->groups[p->places[ref].group].early)) {
            return false;
        }
    }
    return true;
}

static void own_group(wg_partition *p, int task);

typedef struct demand {
    int cost, reads;
} demand;

static bool fits(wg_partition *p, int group, int task, wg_level level, demand *d);

static bool operand_fits(wg_partition *p, int group, const wg_task *t, int k, wg_level level, demand *d) {
    wg_group *g = &p->groups[group];
    int ref = t->in[k].ref;
    wg_view w, over;
    if (!wg_operand_view(p->problem, t, k, &w)) {
        return false;
    }
    bool elsewhere = t->node->op->elsewhere >> k & 1;
    const wg_entry *e = ref >= 0 ? entry_in(p, group, ref) : NULL;
    if (e && !elsewhere) {
        const wg_node *n = p->problem->tasks[ref].node;
        return e->level == WG_LEVEL_ONE || (e->level == level && aligned(&w, n)) ||
               (e->level == WG_LEVEL_KEPT && level == WG_LEVEL_ELEM && repeats_kept(g, &w));
    }
    if (e) {
        return false;
    }
    if (floats(p, ref) && !elsewhere) {
        int at = level_for_float(p, g, level, ref, &w);
        if (at >= 0) {
            return fits(p, group, ref, (wg_level)at, d);
        }
    }
    /* Its own group would have to run before this one. */
    if (floats(p, ref) && (g->early || !can_be_early(p, ref))) {
        return false;
    }
    if (ref >= 0 && !floats(p, ref) && order_of(p, p->places[ref].group) >= order_of(p, group)) {
        return false;
    }
    d->reads++;
    over = reads_anywhere(g);
    return elsewhere ? runs_merge(&over, g->reduced) : wg_group_view(g, level, &w, &over);
}

/* Whether a map can be computed in a group at a level, with everything floating it needs. */
static bool fits(wg_partition *p, int group, int task, wg_level level, demand *d) {
    const wg_task *t = &p->problem->tasks[task];
    const wg_op *op = t->node->op;
    wg_group *g = &p->groups[group];
    if (entry_in(p, group, task)) {
        return true;
    }
    if (op->elsewhere && (level != WG_LEVEL_ELEM || !wg_shape_equal(t->node->shape, &g->space))) {
        return false;
    }
    d->cost += p->places[task].cost;
    for (int k = 0; k < t->node->nin; k++) {
        if (!operand_fits(p, group, t, k, level, d)) {
            return false;
        }
    }
    return g->cost + d->cost <= p->limit && (int)g->nreads + d->reads <= READ_LIMIT;
}

static void note_read(wg_partition *p, int group, wg_level level, const wg_view *w, int ref, bool elsewhere) {
    wg_group *g = &p->groups[group];
    if (!WG_RESERVE(g->reads, g->nreads, g->read_cap)) {
        p->failed = true;
        return;
    }
    wg_view over;
    g->reads[g->nreads++] = !elsewhere && wg_group_view(g, level, w, &over) ? over : reads_anywhere(g);
    if (ref >= 0) {
        p->places[ref].stored = true;
    } else if (g->kind == WG_GROUP_LOOP) {
        p->leaf_recent[~ref] = group;
    }
}

static void add_entry(wg_partition *p, int group, int task, wg_role role, wg_level level) {
    wg_group *g = &p->groups[group];
    if (!WG_RESERVE(g->entries, g->nentries, g->entry_cap)) {
        p->failed = true;
        return;
    }
    g->entries[g->nentries++] = (wg_entry){task, role, level};
    p->places[task].recent = group;
}

/* Puts a task into a group it fits, floating operands first. */
static void put(wg_partition *p, int group, int task, wg_level level) {
    const wg_task *t = &p->problem->tasks[task];
    if (p->failed || entry_in(p, group, task)) {
        return;
    }
    for (int k = 0; k < t->node->nin; k++) {
        int ref = t->in[k].ref;
        bool elsewhere = t->node->op->elsewhere >> k & 1;
        wg_view w;
        if (!wg_operand_view(p->problem, t, k, &w) || (ref >= 0 && !elsewhere && entry_in(p, group, ref))) {
            continue;
        }
        if (floats(p, ref)) {
            int at = elsewhere ? -1 : level_for_float(p, &p->groups[group], level, ref, &w);
            if (at >= 0) {
                put(p, group, ref, (wg_level)at);
                continue;
            }
            own_group(p, ref);
        }
        note_read(p, group, level, &w, ref, elsewhere);
    }
    add_entry(p, group, task, WG_ROLE_WHOLE, level);
    p->groups[group].cost += p->places[task].cost;
    /* A float that is dear, or wanted afterwards, is computed here and nowhere else. */
    bool again = p->places[task].closure < AGAIN_LIMIT && !t->keep;
    if (p->places[task].group < 0 && (!again || !p->limit) && level != WG_LEVEL_ONE) {
        p->places[task].group = group;
    }
}

/* Whether a group could compute a float at a level: every read of its closure is one that the loops can step through. */
static bool closure_steps(const wg_partition *p, const wg_group *future, int task, wg_level level) {
    const wg_task *t = &p->problem->tasks[task];
    for (int k = 0; k < t->node->nin; k++) {
        int ref = t->in[k].ref;
        wg_view w, over;
        if (!wg_operand_view(p->problem, t, k, &w)) {
            return false;
        }
        int at = floats(p, ref) ? level_for_float(p, future, level, ref, &w) : -1;
        if (at >= 0 ? !closure_steps(p, future, ref, (wg_level)at) : !wg_group_view(future, level, &w, &over)) {
            return false;
        }
    }
    return true;
}

/* Gives floats that a new group of this shape could not compute inside their own groups, before that group exists. */
static void prepare(wg_partition *p, int task, const wg_group *future) {
    const wg_task *t = &p->problem->tasks[task];
    for (int k = 0; k < t->node->nin; k++) {
        int ref = t->in[k].ref;
        wg_view w;
        if (!floats(p, ref) || !wg_operand_view(p->problem, t, k, &w)) {
            continue;
        }
        int at = (t->node->op->elsewhere >> k & 1) ? -1 : level_for_float(p, future, WG_LEVEL_ELEM, ref, &w);
        if (at < 0 || !closure_steps(p, future, ref, (wg_level)at)) {
            own_group(p, ref);
        } else {
            prepare(p, ref, future);
        }
    }
}

/* A new loop group for a map, early if it depends on leaves and early groups alone. */
static void own_group(wg_partition *p, int task) {
    const wg_group future = {.space = *p->problem->tasks[task].node->shape};
    prepare(p, task, &future);
    int group = new_group(p, WG_GROUP_LOOP, &future.space, can_be_early(p, task));
    if (group >= 0) {
        put(p, group, task, WG_LEVEL_ELEM);
        p->places[task].group = group;
    }
}

/* ---- tasks ----------------------------------------------------------------------------------------------------------- */

/* The latest group among those that make the operands, -1 if all are leaves or float. */
static int latest_producer(const wg_partition *p, const wg_task *t) {
    int best = -1;
    for (int k = 0; k < t->node->nin; k++) {
        int ref = t->in[k].ref;
        if (ref >= 0 && !floats(p, ref)) {
            int g = p->places[ref].group;
            best = best < 0 || order_of(p, g) > order_of(p, best) ? g : best;
        }
    }
    return best;
}

/* The last loop group that reads one of the leaves that the task, or a float it needs, reads. */
static int latest_reader(const wg_partition *p, const wg_task *t) {
    int best = -1;
    for (int k = 0; k < t->node->nin; k++) {
        int ref = t->in[k].ref;
        int reader = ref < 0          ? p->leaf_recent[~ref]
                     : floats(p, ref) ? latest_reader(p, &p->problem->tasks[ref])
                                      : -1;
        best = reader > best ? reader : best;
    }
    return best;
}

static bool map_level(const wg_partition *p, int group, const wg_task *t, wg_level *level) {
    const wg_group *g = &p->groups[group];
    int64_t n = numel(t->node->shape), all = numel(&g->space);
    wg_shape ks = kept_shape(g);
    int64_t kept = numel(&ks);
    if (g->kind == WG_GROUP_SCATTER || (g->chunk > 0 && n != all)) {
        return false;
    }
    bool on_kept = false;
    for (int k = 0; k < t->node->nin; k++) {
        const wg_entry *e = t->in[k].ref >= 0 ? entry_in(p, group, t->in[k].ref) : NULL;
        on_kept = on_kept || (e && e->level == WG_LEVEL_KEPT);
    }
    *level = g->reduced && n == kept && (on_kept || n != all) ? WG_LEVEL_KEPT : WG_LEVEL_ELEM;
    return n == all || (g->reduced && n == kept);
}

static bool join(wg_partition *p, int group, int task) {
    wg_level level;
    demand d = {0};
    const wg_task *t = &p->problem->tasks[task];
    if (!p->limit || group < 0 || !map_level(p, group, t, &level) || !fits(p, group, task, level, &d)) {
        return false;
    }
    if (p->groups[group].kind == WG_GROUP_MATMUL && t->node->op->elsewhere) {
        return false;
    }
    put(p, group, task, level);
    p->places[task].group = group;
    return true;
}

static void take_map(wg_partition *p, int task) {
    const wg_task *t = &p->problem->tasks[task];
    wg_place *place_ = &p->places[task];
    wg_probe(t->node, &place_->cost, &place_->coords);
    bool floating = p->limit > 0 && !t->node->op->elsewhere;
    bool anywhere = !place_->coords;
    int closure = place_->cost;
    for (int k = 0; k < t->node->nin; k++) {
        int ref = t->in[k].ref;
        floating = floating && (ref < 0 || floats(p, ref) || p->groups[p->places[ref].group].early);
        anywhere = anywhere && ref >= 0 && p->places[ref].anywhere;
        closure += floats(p, ref) ? p->places[ref].closure : 0;
    }
    place_->anywhere = anywhere;
    place_->closure = closure;
    if ((!floating || closure > FLOAT_LIMIT) && !join(p, latest_producer(p, t), task)) {
        own_group(p, task);
    }
}

/* Whether a reduction over `mask` of the group's space can be done in its loops. */
static bool reduction_joins(wg_partition *p, int group, const wg_task *t, const wg_shape *shape, uint32_t mask,
                            int64_t chunk) {
    wg_group *g = &p->groups[group];
    demand d = {0};
    if (!p->limit || g->kind != WG_GROUP_LOOP || !wg_shape_equal(&g->space, shape) || g->cost + 1 > p->limit) {
        return false;
    }
    if (g->reduced ? g->reduced != mask || g->chunk != chunk : false) {
        return false;
    }
    for (size_t i = 0; !g->reduced && i < g->nreads; i++) {
        if (!runs_merge(&g->reads[i], mask)) {
            return false;
        }
    }
    uint32_t before = g->reduced;
    g->reduced = mask;
    bool ok = operand_fits(p, group, t, 0, WG_LEVEL_ELEM, &d);
    g->reduced = before;
    return ok && (int)g->nreads + d.reads <= READ_LIMIT;
}

/* The group that adds up the partial results: laid out with the chunks innermost for rows, outermost for columns. */
static int final_group(wg_partition *p, const wg_task *t, const wg_shape *shape, uint32_t mask, int64_t chunk, bool early) {
    int first, last, at = 0;
    int64_t run = wg_first_run(shape, mask, &first, &last), kept = numel(t->node->shape);
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
    int group = new_group(p, WG_GROUP_LOOP, &space, early);
    if (group >= 0) {
        p->groups[group].reduced = rows ? 2 : 1;
    }
    return group;
}

/* Reads operand k of a task that is no map: a float among them gets bytes of its own. */
static void read_operand(wg_partition *p, int group, const wg_task *t, int k) {
    int ref = t->in[k].ref;
    wg_view w;
    if (floats(p, ref)) {
        own_group(p, ref);
    }
    if (wg_operand_view(p->problem, t, k, &w)) {
        note_read(p, group, WG_LEVEL_ELEM, &w, ref, p->groups[group].kind != WG_GROUP_LOOP);
    }
}

static void reduce_in(wg_partition *p, int group, int task, const wg_shape *shape, uint32_t mask, int64_t chunk) {
    const wg_task *t = &p->problem->tasks[task];
    p->groups[group].reduced = mask;
    p->groups[group].chunk = chunk;
    int ref = t->in[0].ref;
    wg_view w;
    if (floats(p, ref) && wg_operand_view(p->problem, t, 0, &w) &&
        level_for_float(p, &p->groups[group], WG_LEVEL_ELEM, ref, &w) >= 0) {
        put(p, group, ref, (wg_level)level_for_float(p, &p->groups[group], WG_LEVEL_ELEM, ref, &w));
    } else if (p->places[task].copy_group < 0 && (ref < 0 || !entry_in(p, group, ref))) {
        read_operand(p, group, t, 0);
    }
    p->groups[group].cost++;
    add_entry(p, group, task, chunk ? WG_ROLE_PARTIAL : WG_ROLE_WHOLE, WG_LEVEL_KEPT);
    if (!chunk) {
        p->places[task].group = group;
        return;
    }
    p->places[task].partial_group = group;
    int last = final_group(p, t, shape, mask, chunk, p->groups[group].early);
    if (last >= 0) {
        add_entry(p, last, task, WG_ROLE_FINAL, WG_LEVEL_KEPT);
        p->places[task].group = last;
    }
}

/* Whether the loops of a reduction can step through its operand where it lies (or compute it, if it floats). */
static bool operand_steps(const wg_partition *p, const wg_task *t, const wg_group *future) {
    wg_view w, over;
    return floats(p, t->in[0].ref) ||
           (wg_operand_view(p->problem, t, 0, &w) && wg_group_view(future, WG_LEVEL_ELEM, &w, &over));
}

/* A recent group that walks the same rows anyway; -1 if there is none. */
static int same_rows(wg_partition *p, const wg_task *t, const wg_shape *shape, uint32_t mask, int64_t chunk) {
    const int far = 8;
    for (int g = (int)p->ngroups - 1; g >= 0 && g >= (int)p->ngroups - far; g--) {
        if (p->groups[g].reduced == mask && reduction_joins(p, g, t, shape, mask, chunk)) {
            return g;
        }
    }
    return -1;
}

static void take_reduce(wg_partition *p, int task) {
    const wg_task *t = &p->problem->tasks[task];
    const wg_shape *shape = t->node->in[0]->shape;
    uint32_t mask = (uint32_t)t->node->attr[0];
    int64_t chunk = t->node->op->reduce == WG_P_RARGMAX ? 0 : wg_split_length(shape, mask);
    p->places[task].cost = 1;
    int group = latest_producer(p, t);
    group = group < 0 ? latest_reader(p, t) : group;
    if (group < 0 || !reduction_joins(p, group, t, shape, mask, chunk)) {
        group = same_rows(p, t, shape, mask, chunk);
    }
    if (group >= 0) {
        reduce_in(p, group, task, shape, mask, chunk);
        return;
    }
    const wg_group future = {.space = *shape, .reduced = mask};
    prepare(p, task, &future);
    /* A number made of leaves alone (a count, a norm) is ready before anything else, for whoever can use it. */
    bool early = p->limit > 0 && numel(t->node->shape) == 1 && can_be_early(p, task);
    if (!operand_steps(p, t, &future)) {
        int copy = new_group(p, WG_GROUP_LOOP, shape, early);
        if (copy < 0) {
            return;
        }
        read_operand(p, copy, t, 0);
        add_entry(p, copy, task, WG_ROLE_COPY, WG_LEVEL_ELEM);
        p->places[task].copy_group = copy;
    }
    group = new_group(p, WG_GROUP_LOOP, shape, early);
    if (group >= 0) {
        reduce_in(p, group, task, shape, mask, chunk);
    }
}

static void take_other(wg_partition *p, int task, wg_group_kind kind) {
    const wg_task *t = &p->problem->tasks[task];
    for (int k = 0; k < t->node->nin; k++) {
        if (floats(p, t->in[k].ref)) {
            own_group(p, t->in[k].ref);
        }
    }
    int group = new_group(p, kind, t->node->shape, false);
    if (group < 0) {
        return;
    }
    for (int k = 0; k < t->node->nin; k++) {
        read_operand(p, group, t, k);
    }
    add_entry(p, group, task, WG_ROLE_WHOLE, WG_LEVEL_ELEM);
    p->places[task].group = group;
}

/* Kept floats that no group took in. */
static void settle_floats(wg_partition *p) {
    for (size_t i = 0; i < p->problem->ntasks && !p->failed; i++) {
        const wg_task *t = &p->problem->tasks[i];
        if (p->places[i].group < 0 && t->keep && !join(p, latest_producer(p, t), (int)i) &&
            !join(p, latest_reader(p, t), (int)i)) {
            own_group(p, (int)i);
        }
        p->places[i].stored = p->places[i].stored || t->keep;
    }
}

bool wg_partition_make(const wg_problem *p, int limit, wg_partition *out) {
    *out = (wg_partition){.problem = p, .limit = limit};
    out->places = wg_mem_alloc(p->ntasks * sizeof *out->places);
    out->leaf_recent = wg_mem_alloc(p->nleaves * sizeof *out->leaf_recent);
    if (!out->places || !out->leaf_recent) {
        return false;
    }
    for (size_t i = 0; i < p->ntasks; i++) {
        out->places[i] = (wg_place){.group = -1, .partial_group = -1, .copy_group = -1, .recent = -1};
    }
    for (size_t i = 0; i < p->nleaves; i++) {
        out->leaf_recent[i] = -1;
    }
    for (size_t i = 0; i < p->ntasks && !out->failed; i++) {
        switch (p->tasks[i].node->op->kind) {
        case WG_OP_MAP:
            take_map(out, (int)i);
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

void wg_partition_order(const wg_partition *p, int *order) {
    int n = 0;
    for (int early = 1; early >= 0; early--) {
        for (size_t i = 0; i < p->ngroups; i++) {
            if (p->groups[i].early == (bool)early) {
                order[n++] = (int)i;
            }
        }
    }
}

void wg_partition_free(wg_partition *p) {
    for (size_t i = 0; i < p->ngroups; i++) {
        wg_mem_free(p->groups[i].entries);
        wg_mem_free(p->groups[i].reads);
    }
    wg_mem_free(p->groups);
    wg_mem_free(p->places);
    wg_mem_free(p->leaf_recent);
    *p = (wg_partition){0};
}
