/* Placing tasks into groups. */
#include "schedule/place.h"

#include "base/alloc.h"
#include "tensor/shape.h"

enum {
    AGAIN_LIMIT = 12, /* a float cheaper than this is computed again in each group that reads it */
    EARLY_BASE = 1 << 28,
};

/* Stands for a read at places that follow from coordinates: it steps through no two dims as if they were one. */
static wg_view reads_anywhere(const wg_group *g) {
    wg_view v = {.shape = g->space};
    for (int d = 0; d < v.shape.rank; d++) {
        v.stride[d] = 1;
    }
    return v;
}

/* A read takes a buffer and some parameters, of which a kernel has as many as a device takes arguments. */
int wg_place_read_limit(const wg_group *g) {
    enum { MOST = WG_MAX_BUFFERS - 4, EACH = 4, COMMON = 27 };
    int operands = 2 * (int)(g->nmore + 1);
    int limit = operands + (WG_MAX_PARAMS - COMMON - g->more_params - operands) / EACH;
    return g->nmore == 0 ? WG_READ_LIMIT : limit < MOST ? limit : MOST;
}

int wg_place_order(const wg_partition *p, int group) { return p->groups[group].early ? group : EARLY_BASE + group; }

int wg_place_group(wg_partition *p, wg_group_kind kind, const wg_shape *space, bool early) {
    if (!WG_RESERVE(p->groups, p->ngroups, p->group_cap)) {
        p->failed = true;
        return -1;
    }
    p->groups[p->ngroups] = (wg_group){.kind = kind, .space = *space, .early = early};
    return (int)p->ngroups++;
}

const wg_entry *wg_place_entry(const wg_partition *p, int group, int task) {
    const wg_place *place = &p->places[task];
    if (place->recent != group && place->group != group) {
        if (place->group >= 0) {
            return NULL; /* placed elsewhere for good */
        }
    }
    const wg_group *g = &p->groups[group];
    for (size_t i = g->nentries; i-- > 0;) {
        if (g->entries[i].task == task && wg_role_at_hand(g->entries[i].role)) {
            return &g->entries[i];
        }
    }
    return NULL;
}

bool wg_place_floats(const wg_partition *p, int ref) { return ref >= 0 && p->places[ref].group < 0; }

/* How a floating operand can be computed inside the group: at which level, or -1 if it needs bytes of its own. */
int wg_place_level(const wg_partition *p, const wg_group *g, wg_level level, int ref, const wg_view *w) {
    const wg_node *n = p->problem->tasks[ref].node;
    if (p->places[ref].anywhere || wg_numel_of(n->shape) == 1) {
        return WG_LEVEL_ONE;
    }
    if (wg_view_aligned(w, n)) {
        return (int)level;
    }
    return level == WG_LEVEL_ELEM && g->reduced && wg_view_repeats_kept(g, w) ? WG_LEVEL_KEPT : -1;
}

/* Whether a float can be computed before all main groups: nothing it is made of was placed in one since. */
bool wg_place_can_be_early(const wg_partition *p, int task) {
    const wg_task *t = &p->problem->tasks[task];
    for (int k = 0; k < t->node->nin; k++) {
        int ref = t->in[k].ref;
        if (ref >= 0 &&
            (wg_place_floats(p, ref) ? !wg_place_can_be_early(p, ref) : !p->groups[p->places[ref].group].early)) {
            return false;
        }
    }
    return true;
}

bool wg_place_serves(const wg_partition *p, const wg_group *g, const wg_entry *e, wg_level level, const wg_view *w) {
    return e->level == WG_LEVEL_ONE || (e->level == level && wg_view_aligned(w, p->problem->tasks[e->task].node)) ||
           (e->level == WG_LEVEL_KEPT && level == WG_LEVEL_ELEM && wg_view_repeats_kept(g, w));
}

bool wg_place_operand_fits(wg_partition *p, int group, const wg_task *t, int k, wg_level level, wg_place_demand *d) {
    wg_group *g = &p->groups[group];
    int ref = t->in[k].ref;
    wg_view w, over;
    if (!wg_operand_view(p->problem, t, k, &w)) {
        return false;
    }
    bool elsewhere = t->node->op->elsewhere >> k & 1;
    const wg_entry *e = ref >= 0 ? wg_place_entry(p, group, ref) : NULL;
    if (e && !elsewhere) {
        return wg_place_serves(p, g, e, level, &w);
    }
    if (e) {
        return false;
    }
    if (wg_place_floats(p, ref) && !elsewhere) {
        int at = wg_place_level(p, g, level, ref, &w);
        if (at >= 0) {
            return wg_place_fits(p, group, ref, (wg_level)at, d);
        }
    }
    /* Its own group would have to run before this one. */
    if (wg_place_floats(p, ref) && (g->early || !wg_place_can_be_early(p, ref))) {
        return false;
    }
    if (ref >= 0 && !wg_place_floats(p, ref) && wg_place_order(p, p->places[ref].group) >= wg_place_order(p, group)) {
        return false;
    }
    d->reads++;
    over = reads_anywhere(g);
    return elsewhere ? wg_group_steps(g, &over) : wg_group_view(g, level, &w, &over);
}

/* Whether a map can be computed in a group at a level, with everything floating it needs. */
bool wg_place_fits(wg_partition *p, int group, int task, wg_level level, wg_place_demand *d) {
    const wg_task *t = &p->problem->tasks[task];
    const wg_op *op = t->node->op;
    wg_group *g = &p->groups[group];
    if (wg_place_entry(p, group, task)) {
        return true;
    }
    if (op->elsewhere && (level != WG_LEVEL_ELEM || !wg_shape_equal(t->node->shape, &g->space))) {
        return false;
    }
    d->cost += p->places[task].cost;
    for (int k = 0; k < t->node->nin; k++) {
        if (!wg_place_operand_fits(p, group, t, k, level, d)) {
            return false;
        }
    }
    return g->cost + d->cost <= p->limit && (int)g->nreads + d->reads <= wg_place_read_limit(g);
}

void wg_place_read(wg_partition *p, int group, wg_level level, const wg_view *w, int ref, bool elsewhere) {
    wg_group *g = &p->groups[group];
    if (!WG_RESERVE(g->reads, g->nreads, g->read_cap)) {
        p->failed = true;
        return;
    }
    wg_view over;
    g->reads[g->nreads++] = !elsewhere && wg_group_view(g, level, w, &over) ? over : reads_anywhere(g);
    bool loops = g->kind == WG_GROUP_LOOP;
    if (ref >= 0) {
        p->places[ref].stored = true;
        p->places[ref].reader = loops ? group : p->places[ref].reader;
    } else if (loops) {
        p->leaf_recent[~ref] = group;
    }
}

void wg_place_add(wg_partition *p, int group, int task, wg_role role, wg_level level) {
    wg_group *g = &p->groups[group];
    if (!WG_RESERVE(g->entries, g->nentries, g->entry_cap)) {
        p->failed = true;
        return;
    }
    g->entries[g->nentries++] = (wg_entry){task, role, level, 0};
    p->places[task].recent = group;
}

/* Puts a task into a group it fits, floating operands first. */
void wg_place_put(wg_partition *p, int group, int task, wg_level level) {
    const wg_task *t = &p->problem->tasks[task];
    if (p->failed || wg_place_entry(p, group, task)) {
        return;
    }
    for (int k = 0; k < t->node->nin; k++) {
        int ref = t->in[k].ref;
        bool elsewhere = t->node->op->elsewhere >> k & 1;
        wg_view w;
        if (!wg_operand_view(p->problem, t, k, &w) || (ref >= 0 && !elsewhere && wg_place_entry(p, group, ref))) {
            continue;
        }
        if (wg_place_floats(p, ref)) {
            int at = elsewhere ? -1 : wg_place_level(p, &p->groups[group], level, ref, &w);
            if (at >= 0) {
                wg_place_put(p, group, ref, (wg_level)at);
                continue;
            }
            wg_place_alone(p, ref);
        }
        wg_place_read(p, group, level, &w, ref, elsewhere);
    }
    wg_place_add(p, group, task, WG_ROLE_WHOLE, level);
    p->groups[group].cost += p->places[task].cost;
    /* A float that is dear, or wanted afterwards, is computed here and nowhere else. */
    bool again = p->places[task].closure < AGAIN_LIMIT && !t->keep;
    if (p->places[task].group < 0 && (!again || !p->limit) && level != WG_LEVEL_ONE) {
        p->places[task].group = group;
    }
}

void wg_place_make_way(wg_partition *p, int group, int task, wg_level level) {
    const wg_task *t = &p->problem->tasks[task];
    for (int k = 0; k < t->node->nin; k++) {
        int ref = t->in[k].ref;
        bool elsewhere = t->node->op->elsewhere >> k & 1;
        wg_view w;
        if (!wg_place_floats(p, ref) || !wg_operand_view(p->problem, t, k, &w) ||
            (!elsewhere && wg_place_entry(p, group, ref))) {
            continue;
        }
        int at = elsewhere ? -1 : wg_place_level(p, &p->groups[group], level, ref, &w);
        if (at < 0) {
            wg_place_alone(p, ref);
        } else {
            wg_place_make_way(p, group, ref, (wg_level)at);
        }
    }
}

/* Whether a group could compute a float at a level: every read of its closure is one that the loops can step through. */
static bool closure_steps(const wg_partition *p, const wg_group *future, int task, wg_level level) {
    const wg_task *t = &p->problem->tasks[task];
    if (t->node->op->elsewhere && (level != WG_LEVEL_ELEM || !wg_shape_equal(t->node->shape, &future->space))) {
        return false;
    }
    for (int k = 0; k < t->node->nin; k++) {
        int ref = t->in[k].ref;
        bool elsewhere = t->node->op->elsewhere >> k & 1;
        wg_view w, over = reads_anywhere(future);
        if (!wg_operand_view(p->problem, t, k, &w)) {
            return false;
        }
        int at = wg_place_floats(p, ref) && !elsewhere ? wg_place_level(p, future, level, ref, &w) : -1;
        bool steps = at >= 0     ? closure_steps(p, future, ref, (wg_level)at)
                     : elsewhere ? !wg_place_floats(p, ref) && wg_group_steps(future, &over)
                                 : wg_group_view(future, level, &w, &over);
        if (!steps) {
            return false;
        }
    }
    return true;
}

/* Gives floats that a new group of this shape could not compute inside their own groups, before that group exists. */
void wg_place_prepare(wg_partition *p, int task, const wg_group *future) {
    const wg_task *t = &p->problem->tasks[task];
    for (int k = 0; k < t->node->nin; k++) {
        int ref = t->in[k].ref;
        wg_view w;
        if (!wg_place_floats(p, ref) || !wg_operand_view(p->problem, t, k, &w)) {
            continue;
        }
        int at = (t->node->op->elsewhere >> k & 1) ? -1 : wg_place_level(p, future, WG_LEVEL_ELEM, ref, &w);
        if (at < 0 || !closure_steps(p, future, ref, (wg_level)at)) {
            wg_place_alone(p, ref);
        } else {
            wg_place_prepare(p, ref, future);
        }
    }
}

/* A new loop group for a map, early if it depends on leaves and early groups alone. */
void wg_place_alone(wg_partition *p, int task) {
    const wg_group future = {.space = *p->problem->tasks[task].node->shape};
    wg_place_prepare(p, task, &future);
    int group = wg_place_group(p, WG_GROUP_LOOP, &future.space, wg_place_can_be_early(p, task));
    if (group >= 0) {
        wg_place_put(p, group, task, WG_LEVEL_ELEM);
        p->places[task].group = group;
    }
}
