/* Where a plan's values lie. */
#include "schedule/memory.h"

#include "base/alloc.h"
#include "schedule/geometry.h"
#include "tensor/dtype.h"

/* ---- writing over a leaf ---------------------------------------------------------------------------------------------- */

static int64_t value_of(const wg_lowered *l, int param) { return param < 0 ? 0 : l->params[param].value; }

/* Two addresses meet the same element at every point of the loops. */
static bool same_address(const wg_lowered *l, const wg_access *a, const wg_access *b) {
    bool same = a->lane == b->lane && a->by_row == b->by_row && value_of(l, a->offset) == value_of(l, b->offset);
    for (int i = 0; i < l->loop.nkept; i++) {
        same = same && value_of(l, a->kept[i]) == value_of(l, b->kept[i]);
    }
    for (int i = 0; i < l->loop.nreduced; i++) {
        same = same && value_of(l, a->reduced[i]) == value_of(l, b->reduced[i]);
    }
    return same;
}

/* Whether the step may store at an address that it also loads from: the work-item that stores an element is the one
 * that loaded it, and nobody loads it later. */
static bool store_follows_loads(const wg_loop *loop, const wg_store *s) {
    const wg_access *a = &loop->access[s->access];
    if (loop->mode == WG_LOOP_MAP) {
        return true;
    }
    if (!a->by_row) {
        return loop->nstages == 1;
    }
    /* A row's results are stored by one work-item for a group that loads together: only after a sum's barrier. */
    return loop->mode == WG_LOOP_COLUMNS || loop->inst[s->inst].stage > 0;
}

static bool may_overwrite(const wg_step *step, int out_buffer, int leaf_buffer) {
    const wg_loop *loop = &step->l.loop;
    const wg_store *store = NULL;
    for (int i = 0; i < loop->nstores; i++) {
        if (loop->access[loop->store[i].access].buffer == out_buffer) {
            store = &loop->store[i];
        }
    }
    if (!store || !store_follows_loads(loop, store) ||
        step->l.buffers[out_buffer].dtype != step->l.buffers[leaf_buffer].dtype) {
        return false;
    }
    /* Reads with an index go anywhere. A matmul reads its operands long before it stores. */
    for (int i = 0; i < loop->ninsts; i++) {
        const wg_inst *in = &loop->inst[i];
        if (in->prim == WG_P_LOAD && loop->access[in->access].buffer == leaf_buffer &&
            (in->a >= 0 || in->b >= 0 ||
             !same_address(&step->l, &loop->access[in->access], &loop->access[store->access]))) {
            return false;
        }
    }
    return step->kind == WG_GROUP_LOOP || (step->kind == WG_GROUP_MATMUL && leaf_buffer > 1);
}

static void overwrite_leaves(wg_plan *plan, const wg_problem *p) {
    for (int i = 0; i < plan->nsteps; i++) {
        const wg_step *step = &plan->steps[i];
        for (int o = 0; o < step->l.nbuffers; o++) {
            wg_slot *out = &plan->slots[step->l.buffers[o].slot];
            if (!step->l.buffers[o].written || out->kind != WG_SLOT_KEPT || out->over >= 0) {
                continue;
            }
            for (int b = 0; b < step->l.nbuffers && out->over < 0; b++) {
                int s = step->l.buffers[b].slot;
                wg_slot *leaf = &plan->slots[s];
                if (leaf->kind == WG_SLOT_LEAF && p->leaves[s].dying && leaf->over < 0 && leaf->last == i &&
                    leaf->elems == out->elems && may_overwrite(step, o, b)) {
                    out->over = s;
                    leaf->over = step->l.buffers[o].slot; /* taken */
                }
            }
        }
    }
}

/* ---- blocks for temporaries ------------------------------------------------------------------------------------------- */

/* The best block free for good at step `now`: the smallest that is large enough, else the largest to enlarge. */
static int free_block(const wg_plan *plan, const int *busy_until, int now, int64_t bytes) {
    int best = -1;
    for (int b = 0; b < plan->nblocks; b++) {
        if (busy_until[b] >= now) {
            continue;
        }
        int64_t size = plan->blocks[b], chosen = best < 0 ? 0 : plan->blocks[best];
        if (best < 0 || (size >= bytes ? chosen < bytes || size < chosen : chosen < bytes && size > chosen)) {
            best = b;
        }
    }
    return best;
}

static bool share_blocks(wg_plan *plan) {
    int *busy_until = wg_mem_alloc(((size_t)plan->nslots + 1) * sizeof *busy_until);
    plan->blocks = wg_mem_alloc(((size_t)plan->nslots + 1) * sizeof *plan->blocks);
    for (int i = 0; busy_until && plan->blocks && i < plan->nsteps; i++) {
        const wg_step *step = &plan->steps[i];
        for (int b = 0; b < step->l.nbuffers; b++) {
            wg_slot *s = &plan->slots[step->l.buffers[b].slot];
            if (s->kind != WG_SLOT_TEMP || s->first != i || s->block >= 0 ||
                step->l.buffers[b].slot == plan->scratch_slot) {
                continue;
            }
            int64_t bytes = s->elems * (int64_t)wg_dtype_size((wg_dtype)s->dtype);
            int block = free_block(plan, busy_until, i, bytes);
            if (block < 0) {
                block = plan->nblocks++;
                plan->blocks[block] = 0;
            }
            plan->blocks[block] = bytes > plan->blocks[block] ? bytes : plan->blocks[block];
            busy_until[block] = s->last;
            s->block = block;
        }
    }
    bool ok = busy_until && plan->blocks;
    wg_mem_free(busy_until);
    return ok;
}

/* ---- slots ------------------------------------------------------------------------------------------------------------- */

static void fill_slots(wg_plan *plan, const wg_partition *part) {
    const wg_problem *p = part->problem;
    for (size_t i = 0; i < p->nleaves; i++) {
        const wg_node *n = p->leaves[i].node;
        plan->slots[i] = (wg_slot){WG_SLOT_LEAF, n->dtype, wg_shape_numel(*n->shape), -1, -1, -1, -1};
    }
    for (size_t i = 0; i < p->ntasks; i++) {
        const wg_node *n = p->tasks[i].node;
        const wg_place *place = &part->places[i];
        wg_slot *s = &plan->slots[wg_slot_task(p, (int)i)], *extra = &plan->slots[wg_slot_extra(p, (int)i)];
        uint8_t kind = p->tasks[i].keep ? WG_SLOT_KEPT : place->stored ? WG_SLOT_TEMP : WG_SLOT_NONE;
        *s = (wg_slot){kind, n->dtype, wg_shape_numel(*n->shape), -1, -1, -1, -1};
        *extra = (wg_slot){.first = -1, .last = -1, .block = -1, .over = -1};
        if (place->copy_group >= 0) {
            extra->kind = WG_SLOT_TEMP;
            extra->dtype = n->in[0]->dtype;
            extra->elems = wg_shape_numel(*n->in[0]->shape);
        } else if (place->partial_group >= 0) {
            extra->kind = WG_SLOT_TEMP;
            extra->dtype = n->dtype;
            extra->elems = wg_shape_numel(part->groups[place->group].space);
        }
    }
}

static void use_slots(wg_plan *plan) {
    for (int i = 0; i < plan->nsteps; i++) {
        const wg_step *step = &plan->steps[i];
        for (int b = 0; b < step->l.nbuffers; b++) {
            wg_slot *s = &plan->slots[step->l.buffers[b].slot];
            s->first = s->first < 0 ? i : s->first;
            s->last = i;
        }
    }
}

bool wg_plan_memory(wg_plan *plan, const wg_partition *part) {
    const wg_problem *p = part->problem;
    plan->nslots = (int)(p->nleaves + 2 * p->ntasks) + 2;
    plan->scratch_slot = wg_slot_scratch(p);
    plan->trap_slot = wg_slot_trap(p);
    plan->slots = wg_mem_alloc((size_t)plan->nslots * sizeof *plan->slots);
    if (!plan->slots) {
        return false;
    }
    fill_slots(plan, part);
    plan->slots[plan->scratch_slot] = (wg_slot){WG_SLOT_TEMP, WG_F32, 0, -1, -1, -1, -1};
    plan->slots[plan->trap_slot] = (wg_slot){WG_SLOT_NONE, WG_I64, 2, -1, -1, -1, -1};
    use_slots(plan);
    overwrite_leaves(plan, p);
    return share_blocks(plan);
}
