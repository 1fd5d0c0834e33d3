/* Having the parts of a join stored where they belong. */
#include "base/alloc.h"
#include "schedule/join.h"
#include "schedule/place.h"
#include "schedule/prologue.h"
#include "tensor/shape.h"

/* Neighbours lie next to each other, for as many as the lanes of a kernel at least, or for all there are. */
static bool lies_near(const wg_view *to) {
    int64_t run = 1;
    for (int d = to->shape.rank - 1; d >= 0; d--) {
        if (to->shape.dim[d] == 1) {
            continue;
        }
        if (to->stride[d] != run) {
            break;
        }
        run *= to->shape.dim[d];
    }
    return run >= WG_LANES || run == wg_numel_of(&to->shape);
}

/* Whether the loops of a group can store a part it makes. */
static bool stores(const wg_partition *p, int group, const wg_join_part *part) {
    const wg_group *g = &p->groups[group];
    const wg_entry *e = wg_place_entry(p, group, part->ref);
    wg_view over;
    bool takes = g->kind == WG_GROUP_LOOP ||
                 (g->kind == WG_GROUP_MATMUL && !wg_product_apart(p, g->entries[0].task)); /* a library stores bytes */
    return takes && e && e->level != WG_LEVEL_ONE && g->cost < p->limit && wg_group_view(g, e->level, &part->to, &over);
}

bool wg_join_may_store(const wg_problem *p, const wg_join_part *part) {
    return part->ref >= 0 && part->whole && lies_near(&part->to) && p->tasks[part->ref].node->op->kind != WG_OP_SCATTER;
}

/* A part that floats gets bytes of its own, and with them a group. */
static bool stores_in_place(const wg_partition *p, const wg_join_part *part) {
    return wg_join_may_store(p->problem, part) &&
           (wg_place_floats(p, part->ref) || stores(p, p->places[part->ref].group, part));
}

/* A new group that copies a part. */
static int copy_group(wg_partition *p, wg_join_part *part) {
    int group = wg_place_group(p, WG_GROUP_LOOP, &part->from.shape, false);
    if (group >= 0) {
        wg_place_read(p, group, WG_LEVEL_ELEM, &part->from, part->ref, false);
    }
    return group;
}

/* Adds a part to a group; false when there is no memory. */
static bool add_part(wg_partition *p, int group, int task, wg_level level, const wg_join_part *part) {
    if (group < 0 || !WG_RESERVE(p->parts, p->nparts, p->part_cap)) {
        p->failed = true;
        return false;
    }
    wg_place_add(p, group, task, WG_ROLE_PART, level);
    if (!p->failed) {
        wg_group *g = &p->groups[group];
        g->entries[g->nentries - 1].part = (int)p->nparts;
        g->cost++;
        p->parts[p->nparts++] = *part;
    }
    return !p->failed;
}

/* Has one part stored, and returns the group that does it; -1 when there is no memory. */
static int place_part(wg_partition *p, int task, wg_join_part *part) {
    if (part->ref >= 0 && wg_place_floats(p, part->ref)) {
        wg_partition_give_bytes(p, part->ref);
    }
    bool here = !p->failed && stores_in_place(p, part);
    wg_level level = WG_LEVEL_ELEM;
    int group = here ? p->places[part->ref].group : -1;
    if (here) {
        level = wg_place_entry(p, group, part->ref)->level;
    } else if (!p->failed) {
        part->to = part->at;
        group = copy_group(p, part);
    }
    return add_part(p, group, task, level, part) ? group : -1;
}

bool wg_join_place(wg_partition *p, int task) {
    wg_join j;
    bool some = false;
    if (!wg_join_describe(p->problem, p->joins, task, NULL, &j)) {
        return false;
    }
    for (int i = 0; i < j.nparts && !some; i++) {
        some = stores_in_place(p, &j.part[i]);
    }
    int last = -1;
    for (int i = 0; some && i < j.nparts; i++) {
        int group = place_part(p, task, &j.part[i]);
        if (group < 0) {
            return true; /* failed: there is no memory */
        }
        last = last < 0 || wg_place_order(p, group) > wg_place_order(p, last) ? group : last;
    }
    p->places[task].group = last;
    /* Its parts are stored even if all who read it come to make them again. */
    p->places[task].stored = p->places[task].stored || some;
    return some;
}
