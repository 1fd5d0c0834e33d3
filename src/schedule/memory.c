/* Where a plan's values lie. Time is counted in launches, named by their first step. */
#include "schedule/memory.h"

#include "base/alloc.h"
#include "schedule/geometry.h"
#include "tensor/dtype.h"

#include <stdlib.h>

/* ---- writing over what dies ------------------------------------------------------------------------------------------- */

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

static bool any_dear_before(const wg_loop *loop, int stage) {
    for (int i = 0; i < loop->ninsts; i++) {
        if (loop->inst[i].stage < stage && wg_inst_is_dear(loop, i)) {
            return true;
        }
    }
    return false;
}

/* Whether the step may store at an address that it also loads from: the work-item that stores an element is the one
 * that loaded it, and nobody loads it later. */
static bool store_follows_loads(const wg_loop *loop, const wg_store *s) {
    const wg_access *a = &loop->access[s->access];
    if (loop->mode == WG_LOOP_MAP) {
        return true;
    }
    /* An element that the last stage stores was loaded there, and before that in stages whose sums are done. But a dear value
     * of an earlier stage may wait in its place: see stash.c. */
    if (!a->by_row) {
        return loop->inst[s->inst].stage + 1 == loop->nstages && !any_dear_before(loop, loop->nstages - 1);
    }
    /* A row's results are stored by one work-item for a group that loads together: only after a sum's barrier. */
    return loop->mode == WG_LOOP_COLUMNS || loop->inst[s->inst].stage > 0;
}

/* Whether the step stores to a buffer where it has this address. Several stores to one buffer are to parts of it. */
static bool stores_at(const wg_lowered *l, int buffer, const wg_access *a) {
    for (int i = 0; i < l->loop.nstores; i++) {
        const wg_access *to = &l->loop.access[l->loop.store[i].access];
        if (to->buffer == buffer && same_address(l, a, to)) {
            return true;
        }
    }
    return false;
}

static bool may_overwrite(const wg_step *step, int out_buffer, int in_buffer) {
    const wg_loop *loop = &step->l.loop;
    bool stored = false;
    for (int i = 0; i < loop->nstores; i++) {
        if (loop->access[loop->store[i].access].buffer == out_buffer) {
            stored = true;
            if (!store_follows_loads(loop, &loop->store[i])) {
                return false;
            }
        }
    }
    if (!stored || (step->epilogue.does && step->epilogue.input == in_buffer) ||
        step->l.buffers[out_buffer].dtype != step->l.buffers[in_buffer].dtype) {
        return false;
    }
    /* Reads with an index go anywhere. A product still reads its operands when it has stored a part of itself. */
    for (int i = 0; i < loop->ninsts; i++) {
        const wg_inst *in = &loop->inst[i];
        if (in->prim == WG_P_LOAD && loop->access[in->access].buffer == in_buffer &&
            (in->a >= 0 || in->b >= 0 || !stores_at(&step->l, out_buffer, &loop->access[in->access]))) {
            return false;
        }
    }
    bool operand = false;
    for (int i = 0; i < step->l.noperands; i++) {
        operand = operand || step->l.buffers[i].slot == step->l.buffers[in_buffer].slot;
    }
    return step->kind == WG_GROUP_LOOP || (step->kind == WG_GROUP_MATMUL && !operand);
}

/* Whether a step of the launch beside `step` uses the slot. */
static bool used_beside(const wg_plan *plan, int launch, int step, int slot) {
    for (int i = launch; i < launch + plan->steps[launch].bundle; i++) {
        const wg_lowered *l = &plan->steps[i].l;
        for (int b = 0; i != step && b < l->nbuffers; b++) {
            if (l->buffers[b].slot == slot) {
                return true;
            }
        }
    }
    return false;
}

/* A kept value takes over the bytes of a leaf that nobody else has, a temporary those of another temporary. */
static bool can_take(const wg_plan *plan, const wg_problem *p, const wg_slot *out, int s) {
    const wg_slot *in = &plan->slots[s];
    bool fits = out->kind == WG_SLOT_KEPT ? in->kind == WG_SLOT_LEAF && p->leaves[s].dying : in->kind == WG_SLOT_TEMP;
    return fits && !in->taken && in->elems == out->elems;
}

/* All groups of a chain read what a step before reads, some of them after another has stored its number. */
static void take_over(wg_plan *plan, const wg_problem *p, int launch, int i) {
    const wg_step *step = &plan->steps[i];
    for (int o = 0; step->part != WG_PART_BEFORE && o < step->l.nbuffers; o++) {
        wg_slot *out = &plan->slots[step->l.buffers[o].slot];
        bool wants = step->l.buffers[o].written && (out->kind == WG_SLOT_KEPT || out->kind == WG_SLOT_TEMP) &&
                     out->over < 0 && out->first == launch;
        for (int b = 0; wants && out->over < 0 && b < step->l.nbuffers; b++) {
            int s = step->l.buffers[b].slot;
            wg_slot *in = &plan->slots[s];
            if (!step->l.buffers[b].written && in->last == launch && can_take(plan, p, out, s) &&
                may_overwrite(step, o, b) && !used_beside(plan, launch, i, s)) {
                in->taken = true;
                out->over = in->over < 0 ? s : in->over;
                plan->slots[out->over].until = out->last;
            }
        }
    }
}

static void overwrite(wg_plan *plan, const wg_problem *p) {
    for (int t = 0; t < plan->nsteps; t += plan->steps[t].bundle) {
        for (int i = t; i < t + plan->steps[t].bundle; i++) {
            take_over(plan, p, t, i);
        }
    }
}

/* ---- the arena -------------------------------------------------------------------------------------------------------- */

/* Above this many temporaries they are placed in order of time, which forgets those that are gone; below, in order of
 * size, which leaves fewer gaps. */
#define MANY 4096

/* Bytes in use for a while; placed ones are sorted by arena and place. */
typedef struct span {
    int slot, first, until, arena;
    int64_t at, bytes;
} span;

typedef struct layout {
    wg_plan *plan;
    int64_t largest; /* bytes an arena may have */
    span *placed;
    size_t nplaced;
} layout;

static int by_size(const void *a, const void *b) {
    const span *x = a, *y = b;
    int size = (x->bytes < y->bytes) - (x->bytes > y->bytes), time = (x->first > y->first) - (x->first < y->first);
    return size ? size : time ? time : x->slot - y->slot;
}

static int by_time(const void *a, const void *b) {
    const span *x = a, *y = b;
    int time = (x->first > y->first) - (x->first < y->first);
    return time ? time : by_size(a, b);
}

static void forget(layout *y, int now) {
    size_t out = 0;
    for (size_t i = 0; i < y->nplaced; i++) {
        if (y->placed[i].until >= now) {
            y->placed[out++] = y->placed[i];
        }
    }
    y->nplaced = out;
}

/* Finds the smallest gap among what is in use meanwhile; if there is none, the end of an arena, or a new arena. */
static void find_place(const layout *y, span *s) {
    int64_t best = INT64_MAX;
    size_t i = 0;
    s->arena = -1;
    for (int a = 0; a < y->plan->narenas; a++) {
        int64_t end = 0;
        for (; i < y->nplaced && y->placed[i].arena == a; i++) {
            const span *p = &y->placed[i];
            if (p->until < s->first || p->first > s->until) {
                continue;
            }
            if (p->at - end >= s->bytes && p->at - end < best) {
                best = p->at - end;
                s->arena = a;
                s->at = end;
            }
            end = p->at + p->bytes > end ? p->at + p->bytes : end;
        }
        int64_t left = y->plan->arenas[a] - end, room = y->largest - end;
        if (s->bytes <= left ? left < best : s->arena < 0 && s->bytes <= room) {
            best = s->bytes <= left ? left : INT64_MAX;
            s->arena = a;
            s->at = end;
        }
    }
    if (s->arena < 0) {
        s->arena = y->plan->narenas++;
        s->at = 0;
        y->plan->arenas[s->arena] = 0;
    }
}

static void place(layout *y, span *s) {
    find_place(y, s);
    wg_slot *slot = &y->plan->slots[s->slot];
    int64_t *arena = &y->plan->arenas[s->arena];
    *arena = s->at + s->bytes > *arena ? s->at + s->bytes : *arena;
    slot->arena = s->arena;
    slot->at = s->at;
    size_t i = y->nplaced++;
    for (; i > 0 &&
           (y->placed[i - 1].arena > s->arena || (y->placed[i - 1].arena == s->arena && y->placed[i - 1].at > s->at));
         i--) {
        y->placed[i] = y->placed[i - 1];
    }
    y->placed[i] = *s;
}

static span span_of(const wg_plan *plan, int slot) {
    const wg_slot *s = &plan->slots[slot];
    int64_t bytes = s->elems * (int64_t)wg_dtype_size((wg_dtype)s->dtype);
    return (span){slot, s->first, s->until, s->arena, s->at, bytes ? (bytes + 255) / 256 * 256 : 256};
}

static size_t gather_spans(const wg_plan *plan, span *out) {
    size_t n = 0;
    for (int i = 0; i < plan->nslots; i++) {
        const wg_slot *s = &plan->slots[i];
        if (s->kind == WG_SLOT_TEMP && s->over < 0 && s->first >= 0) {
            out[n++] = span_of(plan, i);
        }
    }
    return n;
}

static bool arrange(wg_plan *plan, int64_t largest) {
    layout y = {.plan = plan, .largest = largest};
    plan->arenas = wg_mem_alloc(((size_t)plan->nslots + 1) * sizeof *plan->arenas);
    y.placed = wg_mem_alloc(((size_t)plan->nslots + 1) * sizeof *y.placed);
    span *spans = wg_mem_alloc(((size_t)plan->nslots + 1) * sizeof *spans);
    bool ok = plan->arenas && y.placed && spans;
    size_t n = ok ? gather_spans(plan, spans) : 0;
    if (n > 1) {
        qsort(spans, n, sizeof *spans, n > MANY ? by_time : by_size);
    }
    for (size_t i = 0; i < n; i++) {
        if (n > MANY) {
            forget(&y, spans[i].first);
        }
        place(&y, &spans[i]);
    }
    for (int i = 0; ok && i < plan->nslots; i++) {
        wg_slot *s = &plan->slots[i];
        if (s->kind == WG_SLOT_TEMP && s->over >= 0) {
            s->arena = plan->slots[s->over].arena;
            s->at = plan->slots[s->over].at;
        }
    }
    wg_mem_free(spans);
    wg_mem_free(y.placed);
    return ok;
}

static int by_place(const void *a, const void *b) {
    const span *x = a, *y = b;
    return x->arena != y->arena ? x->arena - y->arena : (x->at > y->at) - (x->at < y->at);
}

bool wg_plan_place_scratch(wg_plan *plan, int slot, int64_t largest) {
    layout y = {.plan = plan, .largest = largest};
    y.placed = wg_mem_alloc(((size_t)plan->nslots + 1) * sizeof *y.placed);
    if (!y.placed) {
        return false;
    }
    span s = span_of(plan, slot);
    y.nplaced = gather_spans(plan, y.placed);
    if (y.nplaced > 1) {
        qsort(y.placed, y.nplaced, sizeof *y.placed, by_place);
    }
    place(&y, &s);
    wg_mem_free(y.placed);
    return true;
}

/* ---- slots ------------------------------------------------------------------------------------------------------------- */

static wg_slot slot_of(wg_slot_kind kind, wg_dtype dtype, int64_t elems) {
    return (wg_slot){.kind = (uint8_t)kind,
                     .dtype = (uint8_t)dtype,
                     .elems = elems,
                     .first = -1,
                     .last = -1,
                     .over = -1,
                     .until = -1,
                     .arena = -1};
}

static void fill_slots(wg_plan *plan, const wg_partition *part) {
    const wg_problem *p = part->problem;
    for (size_t i = 0; i < p->nleaves; i++) {
        const wg_node *n = p->leaves[i].node;
        plan->slots[i] = slot_of(WG_SLOT_LEAF, (wg_dtype)n->dtype, wg_shape_numel(*n->shape));
    }
    for (size_t i = 0; i < p->ntasks; i++) {
        const wg_node *n = p->tasks[i].node;
        const wg_place *place = &part->places[i];
        wg_slot_kind kind = p->tasks[i].keep ? WG_SLOT_KEPT : place->stored ? WG_SLOT_TEMP : WG_SLOT_NONE;
        wg_slot *extra = &plan->slots[wg_slot_extra(p, (int)i)], *copy = &plan->slots[wg_slot_copy(p, (int)i)];
        plan->slots[wg_slot_task(p, (int)i)] = slot_of(kind, (wg_dtype)n->dtype, wg_shape_numel(*n->shape));
        *copy = *extra = slot_of(WG_SLOT_NONE, WG_F32, 0);
        if (place->copy_group >= 0) {
            *copy = slot_of(WG_SLOT_TEMP, (wg_dtype)n->in[0]->dtype, wg_shape_numel(*n->in[0]->shape));
        }
        if (n->op->kind == WG_OP_MATMUL) {
            *extra = slot_of(WG_SLOT_SCRATCH, wg_dtype_compute((wg_dtype)n->dtype), 0);
        } else if (place->partial_group >= 0) {
            *extra = slot_of(WG_SLOT_TEMP, wg_dtype_compute((wg_dtype)n->dtype),
                             wg_shape_numel(part->groups[place->group].space));
        }
    }
    plan->slots[plan->trap_slot] = slot_of(WG_SLOT_NONE, WG_I64, 2);
}

static void use_slots(wg_plan *plan) {
    for (int i = 0, t = 0; i < plan->nsteps; i++) {
        const wg_step *step = &plan->steps[i];
        t = step->bundle > 0 ? i : t;
        for (int b = 0; b < step->l.nbuffers; b++) {
            wg_slot *s = &plan->slots[step->l.buffers[b].slot];
            s->first = s->first < 0 ? t : s->first;
            s->last = s->until = t;
        }
    }
}

static int64_t new_bytes(const wg_plan *plan) {
    int64_t bytes = 0;
    for (int i = 0; i < plan->nslots; i++) {
        const wg_slot *s = &plan->slots[i];
        bytes += s->kind == WG_SLOT_KEPT && s->over < 0 ? s->elems * (int64_t)wg_dtype_size((wg_dtype)s->dtype) : 0;
    }
    return bytes;
}

void wg_plan_memory_drop(wg_plan *plan) {
    wg_mem_free(plan->slots);
    wg_mem_free(plan->arenas);
    plan->slots = NULL;
    plan->arenas = NULL;
    plan->nslots = plan->narenas = 0;
}

bool wg_plan_memory(wg_plan *plan, const wg_partition *part, int64_t largest) {
    const wg_problem *p = part->problem;
    wg_plan_memory_drop(plan);
    plan->nleaves = (int)p->nleaves;
    plan->nslots = (int)(p->nleaves + 3 * p->ntasks) + 1;
    plan->trap_slot = wg_slot_trap(p);
    plan->slots = wg_mem_alloc((size_t)plan->nslots * sizeof *plan->slots);
    if (!plan->slots) {
        return false;
    }
    fill_slots(plan, part);
    use_slots(plan);
    overwrite(plan, p);
    plan->kept_bytes = new_bytes(plan);
    return arrange(plan, largest);
}

int64_t wg_plan_bytes(const wg_plan *plan) {
    int64_t bytes = plan->kept_bytes;
    for (int i = 0; i < plan->narenas; i++) {
        bytes += plan->arenas[i];
    }
    return bytes;
}
