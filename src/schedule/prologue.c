/* Operands of a product that are computed where it loads them. */
#include "schedule/prologue.h"

#include "base/alloc.h"
#include "schedule/place.h"
#include "tensor/dtype.h"

/* A walk over the floats that an operand is made of. */
typedef struct walk {
    const wg_partition *p;
    wg_view through;
    int cost, reads;
    int near[2]; /* reads of whole matrices whose neighbours lie down the operand's columns, along its rows */
} walk;

bool wg_product_apart(const wg_partition *p, int task) {
    return p->limits->gemm_library && wg_dtype_is_float((wg_dtype)p->problem->tasks[task].node->dtype);
}

static bool is_one(const wg_partition *p, int ref) {
    return p->places[ref].anywhere || wg_numel_of(p->problem->tasks[ref].node->shape) == 1;
}

/* Operand k of a product among its task's elements, its batch dims repeated as the product needs them. */
static wg_view operand_of(const wg_partition *p, int task, int k) {
    const wg_task *t = &p->problem->tasks[task];
    wg_view w;
    wg_operand_view(p->problem, t, k, &w);
    for (int d = 0; d < w.shape.rank - 2; d++) {
        w.stride[d] = w.shape.dim[d] == 1 ? 0 : w.stride[d];
        w.shape.dim[d] = t->node->shape->dim[d];
    }
    return w;
}

/* One that is read, seen through w by a task of the operand. */
static bool read_fits(walk *s, const wg_view *w) {
    wg_view over;
    int last = s->through.shape.rank - 1;
    s->reads++;
    if (wg_numel_of(&w->shape) == 1) {
        return true;
    }
    if (!wg_view_through(w, &s->through, &over)) {
        return false;
    }
    s->near[0] += over.stride[last - 1] == 1 && over.stride[last] != 0;
    s->near[1] += over.stride[last] == 1 && over.stride[last - 1] != 0;
    return true;
}

static bool task_fits(walk *s, int ref) {
    const wg_partition *p = s->p;
    const wg_task *t = &p->problem->tasks[ref];
    const wg_op *op = t->node->op;
    s->cost += p->places[ref].cost;
    if (op->kind != WG_OP_MAP || op->elsewhere || p->places[ref].coords || s->cost >= WG_PROLOGUE_CHEAP) {
        return false;
    }
    for (int k = 0; k < t->node->nin; k++) {
        wg_view w;
        int in = t->in[k].ref;
        if (!wg_operand_view(p->problem, t, k, &w)) {
            return false;
        }
        bool at_hand = wg_place_floats(p, in) && (is_one(p, in) || wg_view_aligned(&w, p->problem->tasks[in].node));
        if (wg_place_floats(p, in) ? !at_hand || !task_fits(s, in) : !read_fits(s, &w)) {
            return false;
        }
    }
    return s->reads <= WG_READ_LIMIT / 2;
}

bool wg_prologue_fits(const wg_partition *p, int task, int k) {
    int ref = p->problem->tasks[task].in[k].ref;
    walk s = {.p = p, .through = operand_of(p, task, k)};
    return p->limit > 0 && !wg_product_apart(p, task) && !p->problem->tasks[ref].keep && task_fits(&s, ref);
}

/* ---- putting it there ------------------------------------------------------------------------------------------------- */

static void put_task(wg_partition *p, int group, wg_prologue *o, int ref) {
    const wg_task *t = &p->problem->tasks[ref];
    for (size_t i = 0; i < o->nentries; i++) {
        if (o->entries[i].task == ref) {
            return;
        }
    }
    for (int k = 0; k < t->node->nin; k++) {
        wg_view w;
        if (wg_place_floats(p, t->in[k].ref)) {
            put_task(p, group, o, t->in[k].ref);
        } else if (wg_operand_view(p->problem, t, k, &w)) {
            wg_place_read(p, group, WG_LEVEL_ELEM, &w, t->in[k].ref, true);
        }
    }
    if (!WG_RESERVE(o->entries, o->nentries, o->entry_cap)) {
        p->failed = true;
        return;
    }
    o->entries[o->nentries++] = (wg_entry){ref, WG_ROLE_WHOLE, is_one(p, ref) ? WG_LEVEL_ONE : WG_LEVEL_ELEM, 0};
}

void wg_prologue_put(wg_partition *p, int group, int task, int k) {
    int ref = p->problem->tasks[task].in[k].ref;
    walk s = {.p = p, .through = operand_of(p, task, k)};
    wg_prologue o = {.through = s.through};
    task_fits(&s, ref);
    /* Rows of the first operand and columns of the second are the result's. */
    o.across = s.near[k] >= s.near[1 - k];
    put_task(p, group, &o, ref);
    p->groups[group].operand[k] = o;
}
