/* Lowering: running the ops' expressions over a group's loops. The axes are made in axes.c. */
#include "schedule/lower.h"

#include "base/alloc.h"
#include "schedule/axes.h"
#include "schedule/geometry.h"
#include "schedule/place.h"
#include "schedule/terms.h"
#include "tensor/dtype.h"

#include <string.h>

/* The builder that ops write to: one task at one level of one group. In a probe there is no group. */
struct wg_expr {
    wg_lowering *l;
    int task;
    const wg_node *node;
    wg_level level;
    bool probe, coords;
    wg_inst *inst; /* of the loop, or of the probe */
    int *count;
    int cap;
};

/* ---- instructions ----------------------------------------------------------------------------------------------------- */

static int add_inst(wg_expr *x, wg_inst in) {
    if (*x->count >= x->cap) {
        if (x->l) {
            x->l->out->failed = true;
        }
        return x->cap - 1;
    }
    x->inst[*x->count] = in;
    return (*x->count)++;
}

static const wg_inst *at(const wg_expr *x, wg_x i) { return &x->inst[i]; }

wg_dtype wg_x_dtype(const wg_expr *x, wg_x a) { return (wg_dtype)at(x, a)->dtype; }

static uint8_t exact_bit(wg_dtype dtype) {
    return dtype == WG_F16 ? WG_EXACT_F16 : dtype == WG_BF16 ? WG_EXACT_BF16 : 0;
}

/* What gives one of its operands, or that without its sign or with the other one. */
static bool keeps_exact(wg_prim prim) {
    return prim == WG_P_SELECT || prim == WG_P_MAX || prim == WG_P_MIN || prim == WG_P_NEG || prim == WG_P_ABS ||
           prim == WG_P_RMAX || prim == WG_P_RMIN;
}

/* An instruction whose level, stage and lanes follow from its operands. */
static wg_x derive(wg_expr *x, wg_prim prim, wg_dtype dtype, wg_x a, wg_x b, wg_x c) {
    wg_inst in = {
        .prim = (uint8_t)prim, .dtype = (uint8_t)dtype, .a = a, .b = b, .c = c, .access = -1, .uniform = true};
    const wg_x operand[] = {a, b, c};
    in.exact = keeps_exact(prim) ? WG_EXACT_F16 | WG_EXACT_BF16 : 0;
    for (int i = 0; i < 3; i++) {
        if (operand[i] >= 0) {
            const wg_inst *o = at(x, operand[i]);
            in.exact &= prim == WG_P_SELECT && i == 0 ? in.exact : o->exact;
            in.level = o->level > in.level ? o->level : in.level;
            in.stage = o->stage > in.stage ? o->stage : in.stage;
            in.uniform = in.uniform && o->uniform;
        }
    }
    return add_inst(x, in);
}

wg_x wg_x_unary(wg_expr *x, wg_prim prim, wg_x a) { return derive(x, prim, wg_x_dtype(x, a), a, -1, -1); }

wg_x wg_x_binary(wg_expr *x, wg_prim prim, wg_x a, wg_x b) {
    bool comparison = prim >= WG_P_EQ && prim <= WG_P_GE;
    return derive(x, prim, comparison ? WG_BOOL : wg_x_dtype(x, a), a, b, -1);
}

wg_x wg_x_select(wg_expr *x, wg_x cond, wg_x a, wg_x b) { return derive(x, WG_P_SELECT, wg_x_dtype(x, a), cond, a, b); }

wg_x wg_x_cast(wg_expr *x, wg_x a, wg_dtype dtype) {
    wg_dtype compute = wg_dtype_compute(dtype);
    a = wg_x_dtype(x, a) == compute ? a : derive(x, WG_P_CAST, compute, a, -1, -1);
    uint8_t bit = exact_bit(dtype);
    if ((at(x, a)->exact & bit) != bit) {
        a = derive(x, dtype == WG_F16 ? WG_P_ROUND_F16 : WG_P_ROUND_BF16, WG_F32, a, -1, -1);
        x->inst[a].exact = bit;
    }
    return a;
}

wg_x wg_x_const(wg_expr *x, wg_dtype dtype, double value) {
    wg_x i = derive(x, WG_P_CONST, wg_dtype_compute(dtype), -1, -1, -1);
    x->inst[i].value = value;
    x->inst[i].exact = value == 0 || value == 1 || value == -1 ? WG_EXACT_F16 | WG_EXACT_BF16 : 0;
    return i;
}

static wg_x param_inst(wg_expr *x, wg_dtype dtype, wg_argument_kind kind, int32_t index, int64_t value) {
    wg_x i = derive(x, WG_P_SCALAR, dtype, -1, -1, -1);
    x->inst[i].param = x->probe ? 0 : wg_lower_param(x->l->out, kind, dtype, index, value);
    return i;
}

wg_x wg_x_scalar(wg_expr *x, int k, wg_dtype dtype) {
    return param_inst(x, wg_dtype_compute(dtype), WG_PARAM_SCALAR, x->task * WG_MAX_SCALAR + k, 0);
}

wg_x wg_x_size(wg_expr *x, int64_t value) { return param_inst(x, WG_I64, WG_PARAM_VALUE, 0, value); }

wg_x wg_x_trap(wg_expr *x, wg_x in_range) {
    wg_x i = derive(x, WG_P_TRAP, WG_BOOL, in_range, -1, -1);
    if (!x->probe) {
        wg_lowered *out = x->l->out;
        int buffer = wg_lower_buffer(out, wg_slot_trap(x->l->part->problem), WG_I64, true);
        x->inst[i].access = buffer; /* no address of the loops: the buffer's number */
        x->inst[i].param = wg_lower_trap(out, buffer, x->node);
    }
    return i;
}

wg_x wg_x_random(wg_expr *x, wg_dtype dtype, wg_x word) {
    wg_x i = derive(x, WG_P_RANDOM, wg_dtype_compute(dtype), word, -1, -1);
    if (!x->probe) {
        x->inst[i].param = wg_lower_param(x->l->out, WG_PARAM_SCALAR, WG_I64, x->task * WG_MAX_SCALAR, 0);
        wg_lower_param(x->l->out, WG_PARAM_BITS, WG_I64, x->task * WG_MAX_SCALAR + 1, 0);
    }
    return i;
}

/* ---- operands and coordinates ----------------------------------------------------------------------------------------- */

/* A load through `over`, a view over the group's space; the same address is loaded once. */
static wg_x load(wg_expr *x, int slot, wg_dtype dtype, const wg_view *over, wg_x index, wg_x cond) {
    wg_lowered *out = x->l->out;
    int buffer = slot < 0 ? -1 : wg_lower_buffer(out, slot, dtype, false);
    int access = wg_axes_access(x->l, buffer, over, 0);
    wg_prim prim = slot < 0 ? WG_P_COORD : WG_P_LOAD;
    for (int i = 0; index < 0 && cond < 0 && i < *x->count; i++) {
        if (x->inst[i].prim == prim && x->inst[i].access == access && x->inst[i].a < 0 && x->inst[i].b < 0) {
            return i;
        }
    }
    wg_x i = derive(x, prim, wg_dtype_compute(dtype), index, cond, -1);
    const wg_raw_access *raw = &x->l->access[access];
    wg_inst *in = &x->inst[i];
    in->exact = exact_bit(dtype);
    in->access = access;
    in->level = raw->level > in->level ? (uint8_t)raw->level : in->level;
    in->uniform = in->uniform && raw->uniform;
    return i;
}

static wg_x probe_load(wg_expr *x, wg_dtype dtype) {
    wg_x i = derive(x, WG_P_LOAD, wg_dtype_compute(dtype), -1, -1, -1);
    x->inst[i].exact = exact_bit(dtype);
    return i;
}

static const wg_node *operand_node(const wg_expr *x, int i, int *slot) {
    const wg_problem *p = x->l->part->problem;
    int ref = p->tasks[x->task].in[i].ref;
    *slot = wg_lower_slot(p, ref);
    return ref < 0 ? p->leaves[~ref].node : p->tasks[ref].node;
}

/* The number of the entry, lowered already, that makes a task's value in registers; -1 if there is none. */
static int at_hand(const wg_lowering *l, int task) {
    for (size_t i = 0; i < l->done; i++) {
        if (l->entries[i].task == task && wg_role_at_hand(l->entries[i].role)) {
            return (int)i;
        }
    }
    return -1;
}

/* Whether an operand has bytes that this group can read: it is a leaf, or another group stores it. */
static bool has_bytes(const wg_lowering *l, int ref) {
    const wg_place *place = ref < 0 ? NULL : &l->part->places[ref];
    return !place || (place->stored && place->group != l->number);
}

/* A view of a task's shape over what is looped over; false if the loops cannot address it. */
static bool loops_view(const wg_lowering *l, wg_level level, const wg_view *w, wg_view *out) {
    return l->through && level != WG_LEVEL_ONE ? wg_view_through(w, l->through, out)
                                               : wg_group_view(l->group, level, w, out);
}

/* From registers, or from memory: a float may be computed here as it is, and have bytes for those who need it through a
 * view. */
wg_x wg_x_in(wg_expr *x, int i) {
    if (x->probe) {
        return probe_load(x, (wg_dtype)x->node->in[i]->dtype);
    }
    const wg_lowering *l = x->l;
    const wg_task *t = &l->part->problem->tasks[x->task];
    int slot, ref = t->in[i].ref, e = ref >= 0 ? at_hand(l, ref) : -1;
    const wg_node *n = operand_node(x, i, &slot);
    wg_view w, over;
    bool ok = wg_operand_view(l->part->problem, t, i, &w);
    if (ok && e >= 0 && wg_place_serves(l->part, l->group, &l->entries[e], x->level, &w)) {
        return l->value[e];
    }
    if (!ok || !has_bytes(l, ref) || !loops_view(l, x->level, &w, &over)) {
        l->out->failed = true;
        return probe_load(x, (wg_dtype)n->dtype);
    }
    return load(x, slot, (wg_dtype)n->dtype, &over, -1, -1);
}

/* The operand's elements along the task's own dims, sizes of 1 repeated, whatever their size along `dim`. */
static wg_view elsewhere_view(const wg_expr *x, int i, int dim, int64_t *stride) {
    wg_view w;
    wg_operand_view(x->l->part->problem, &x->l->part->problem->tasks[x->task], i, &w);
    for (int d = 0; d < w.shape.rank; d++) {
        w.stride[d] = d != dim && w.shape.dim[d] == 1 ? 0 : w.stride[d];
    }
    *stride = w.stride[dim];
    w.shape = *x->node->shape;
    return w;
}

wg_x wg_x_in_shifted(wg_expr *x, int i, int dim, int64_t shift, wg_x cond) {
    if (x->probe) {
        return probe_load(x, (wg_dtype)x->node->in[i]->dtype);
    }
    int slot;
    int64_t stride;
    const wg_node *n = operand_node(x, i, &slot);
    wg_view w = elsewhere_view(x, i, dim, &stride);
    w.offset -= shift * stride;
    return load(x, slot, (wg_dtype)n->dtype, &w, -1, cond);
}

wg_x wg_x_in_at(wg_expr *x, int i, int dim, wg_x index, wg_x cond) {
    if (x->probe) {
        return derive(x, WG_P_LOAD, wg_dtype_compute((wg_dtype)x->node->in[i]->dtype), index, cond, -1);
    }
    int slot;
    int64_t stride;
    const wg_node *n = operand_node(x, i, &slot);
    wg_view w = elsewhere_view(x, i, dim, &stride);
    w.stride[dim] = 0;
    wg_x r = load(x, slot, (wg_dtype)n->dtype, &w, index, cond);
    x->inst[r].param = wg_lower_param(x->l->out, WG_PARAM_VALUE, WG_I64, 0, stride);
    return r;
}

wg_x wg_x_number(wg_expr *x) {
    x->coords = true;
    if (x->probe) {
        return probe_load(x, WG_I64);
    }
    wg_view w = wg_view_contiguous(x->node->shape), over;
    if (!wg_group_view(x->l->group, x->level, &w, &over)) {
        x->l->out->failed = true;
    }
    return load(x, -1, WG_I64, &over, -1, -1);
}

wg_x wg_x_coord(wg_expr *x, int dim) {
    x->coords = true;
    if (x->probe) {
        return probe_load(x, WG_I64);
    }
    wg_view w = {.shape = *x->node->shape}, over;
    w.stride[dim] = 1;
    if (wg_group_view(x->l->group, x->level, &w, &over)) {
        return load(x, -1, WG_I64, &over, -1, -1);
    }
    /* The loops know the element only by its number: take the coordinate out of that. */
    wg_view c = wg_view_contiguous(x->node->shape);
    wg_x q = wg_x_binary(x, WG_P_DIV, wg_x_number(x), wg_x_size(x, c.stride[dim]));
    return wg_x_binary(x, WG_P_REM, q, wg_x_size(x, c.shape.dim[dim]));
}

/* ---- tasks ------------------------------------------------------------------------------------------------------------ */

void wg_probe(const wg_node *n, int *cost, bool *coords) {
    wg_inst inst[192];
    int count = 0;
    wg_expr x = {.node = n, .probe = true, .inst = inst, .count = &count, .cap = 192};
    n->op->emit(&x, n);
    *cost = 0;
    for (int i = 0; i < count; i++) {
        // cppcheck-suppress uninitvar ; emit wrote it, through x.inst
        wg_prim prim = (wg_prim)inst[i].prim;
        bool dear = (prim >= WG_P_POW && prim <= WG_P_ERF) || prim == WG_P_DIV || prim == WG_P_REM;
        *cost += prim == WG_P_RANDOM ? 16 : dear ? 4 : prim != WG_P_LOAD && prim != WG_P_CONST ? 1 : 0;
    }
    *cost = *cost ? *cost : 1;
    *coords = x.coords;
}

static wg_expr expr_for(wg_lowering *l, int task, wg_level level) {
    return (wg_expr){.l = l,
                     .task = task,
                     .node = l->part->problem->tasks[task].node,
                     .level = level,
                     .inst = l->out->loop.inst,
                     .count = &l->out->loop.ninsts,
                     .cap = WG_MAX_INSTS};
}

static wg_x reduce(wg_lowering *l, const wg_entry *e) {
    const wg_problem *p = l->part->problem;
    wg_expr x = expr_for(l, e->task, WG_LEVEL_ELEM);
    wg_prim prim = x.node->op->reduce;
    wg_x a;
    const wg_place *place = &l->part->places[e->task];
    if (e->role == WG_ROLE_FINAL || place->copy_group >= 0 || place->copy >= 0) {
        /* Partial results, or a copy of the operand, lie as the loops go. */
        wg_view over = wg_view_contiguous(&l->group->space);
        int copy = place->copy >= 0 ? wg_slot_task(p, place->copy) : wg_slot_copy(p, e->task);
        a = e->role == WG_ROLE_FINAL
                ? load(&x, wg_slot_extra(p, e->task), wg_dtype_compute((wg_dtype)x.node->dtype), &over, -1, -1)
                : load(&x, copy, (wg_dtype)x.node->in[0]->dtype, &over, -1, -1);
    } else {
        a = wg_x_in(&x, 0);
    }
    wg_x r = derive(&x, prim, wg_dtype_compute((wg_dtype)x.node->dtype), a, -1, -1);
    wg_inst *in = &x.inst[r];
    in->level = WG_LEVEL_KEPT;
    in->uniform = l->out->loop.mode == WG_LOOP_ROWS;
    in->stage++;
    return r;
}

static void add_store(wg_lowering *l, wg_x inst, int access) {
    wg_loop *loop = &l->out->loop;
    loop->store[loop->nstores++] = (wg_store){inst, access};
}

static void store(wg_lowering *l, const wg_entry *e, wg_x inst) {
    const wg_problem *p = l->part->problem;
    const wg_place *place = &l->part->places[e->task];
    const wg_node *n = p->tasks[e->task].node;
    wg_dtype dtype = (wg_dtype)n->dtype;
    if (e->role == WG_ROLE_COPY) {
        wg_view over = wg_view_contiguous(&l->group->space);
        int buffer = wg_lower_buffer(l->out, wg_slot_copy(p, e->task), (wg_dtype)n->in[0]->dtype, true);
        add_store(l, inst, wg_axes_access(l, buffer, &over, 0));
    } else if (e->role == WG_ROLE_PARTIAL) {
        int64_t step;
        wg_view over = wg_axes_partial_view(l, &step);
        int buffer = wg_lower_buffer(l->out, wg_slot_extra(p, e->task), wg_dtype_compute(dtype), true);
        add_store(l, inst, wg_axes_access(l, buffer, &over, step));
    } else if (e->role == WG_ROLE_REORDERED && place->stored) {
        wg_view w, over;
        wg_reordered_view(p, l->group, e->task, &w);
        if (!wg_group_view(l->group, WG_LEVEL_ELEM, &w, &over)) {
            l->out->failed = true;
            return;
        }
        add_store(l, inst, wg_axes_access(l, wg_lower_buffer(l->out, wg_slot_task(p, e->task), dtype, true), &over, 0));
    } else if (e->role != WG_ROLE_REORDERED && place->stored && place->group == l->number) {
        wg_view w = wg_view_contiguous(n->shape), over;
        if (!wg_group_view(l->group, e->level, &w, &over)) {
            l->out->failed = true;
            return;
        }
        int buffer = wg_lower_buffer(l->out, wg_slot_task(p, e->task), dtype, true);
        add_store(l, inst, wg_axes_access(l, buffer, &over, 0));
    }
}

/* A part of a join: from registers, or copied. */
static wg_x part_value(wg_expr *x, const wg_join_part *part) {
    const wg_lowering *l = x->l;
    int e = part->ref >= 0 ? at_hand(l, part->ref) : -1;
    wg_dtype dtype = (wg_dtype)x->node->dtype;
    wg_x a = e >= 0 ? l->value[e] : load(x, wg_lower_slot(l->part->problem, part->ref), dtype, &part->from, -1, -1);
    return part->plus_zero ? wg_x_binary(x, WG_P_ADD, a, wg_x_const(x, dtype, 0)) : a;
}

static void store_part(wg_lowering *l, const wg_entry *e, wg_x inst) {
    const wg_join_part *part = &l->part->parts[e->part];
    const wg_problem *p = l->part->problem;
    wg_view over;
    if (!wg_group_view(l->group, e->level, &part->to, &over)) {
        l->out->failed = true;
        return;
    }
    int buffer = wg_lower_buffer(l->out, wg_slot_task(p, e->task), (wg_dtype)p->tasks[e->task].node->dtype, true);
    l->out->buffers[buffer].part += wg_numel_of(&part->to.shape);
    add_store(l, inst, wg_axes_access(l, buffer, &over, 0));
}

static void lower_entry(wg_lowering *l, size_t i) {
    const wg_entry *e = &l->entries[i];
    wg_expr x = expr_for(l, e->task, e->level);
    wg_x r;
    if (e->role == WG_ROLE_COPY) {
        r = wg_x_in(&x, 0);
    } else if (e->role == WG_ROLE_REORDERED) {
        r = l->value[at_hand(l, l->part->problem->tasks[e->task].in[0].ref)];
    } else if (e->role == WG_ROLE_PART) {
        r = part_value(&x, &l->part->parts[e->part]);
    } else if (x.node->op->kind == WG_OP_REDUCE) {
        r = reduce(l, e);
    } else if (x.node->op->kind == WG_OP_MATMUL) {
        r = derive(&x, WG_P_PRODUCT, wg_dtype_compute((wg_dtype)x.node->dtype), -1, -1, -1);
        x.inst[r].level = l->group->reduced ? WG_LEVEL_ELEM : WG_LEVEL_KEPT;
        x.inst[r].uniform = false;
        int number = wg_terms_number(l->group, e->task);
        if (number > 0) {
            l->out->more[number - 1].inst = r;
        }
    } else {
        r = x.node->op->emit(&x, x.node);
    }
    /* An op's result is of its dtype, in a register too; but parts of a sum are none, and stay f32. */
    if (e->role == WG_ROLE_WHOLE || e->role == WG_ROLE_FINAL) {
        r = wg_x_cast(&x, r, (wg_dtype)x.node->dtype);
    }
    l->value[i] = r;
    if (!l->through && e->role == WG_ROLE_PART) {
        store_part(l, e, r);
    } else if (!l->through) {
        store(l, e, r);
    }
}

/* ---- the kernel ------------------------------------------------------------------------------------------------------- */

static void count_stages(wg_loop *loop) {
    for (int i = 0; i < loop->nstores; i++) {
        const wg_inst *in = &loop->inst[loop->store[i].inst];
        bool in_loop = in->level == WG_LEVEL_ELEM || !loop->access[loop->store[i].access].by_row;
        int need = in->stage + (loop->nreduced > 0 && in_loop ? 1 : 0);
        loop->nstages = need > loop->nstages ? need : loop->nstages;
    }
    for (int i = 0; i < loop->ninsts; i++) {
        loop->nstages = loop->inst[i].stage > loop->nstages ? loop->inst[i].stage : loop->nstages;
    }
}

void wg_lower_entries(wg_lowering *l, bool product, size_t cache_bytes) {
    wg_lowered *out = l->out;
    wg_loop *loop = &out->loop;
    l->value = wg_mem_alloc((l->nentries + 1) * sizeof *l->value);
    loop->inst = wg_mem_alloc(WG_MAX_INSTS * sizeof *loop->inst);
    loop->store = wg_mem_alloc((l->nentries + 1) * sizeof *loop->store);
    /* One access is always there to stand for those that found no room. */
    if (!l->value || !loop->inst || !loop->store || !WG_RESERVE(l->access, 0, l->access_cap)) {
        out->failed = out->no_memory = true;
    } else {
        wg_axes_begin(l, product);
    }
    for (size_t i = 0; i < l->nentries && !out->failed; i++) {
        lower_entry(l, i);
        l->done = i + 1;
    }
    if (!out->failed) {
        loop->value = l->value[l->nentries - 1];
        wg_axes_finish(l, cache_bytes);
    }
    if (!out->failed) {
        count_stages(loop);
        out->failed = loop->nstages > WG_MAX_STAGES;
    }
    wg_mem_free(l->value);
    wg_mem_free(l->access);
}

wg_lowering wg_lowering_of(const wg_partition *p, int group, wg_lowered *out) {
    const wg_group *g = &p->groups[group];
    return (wg_lowering){
        .part = p, .group = g, .number = group, .entries = g->entries, .nentries = g->nentries, .out = out};
}

bool wg_lower_loop(const wg_partition *p, int group, size_t cache_bytes, wg_lowered *out) {
    wg_lowering l = wg_lowering_of(p, group, out);
    if (wg_lower_begin(out)) {
        wg_lower_entries(&l, false, cache_bytes);
    }
    return !out->failed;
}
