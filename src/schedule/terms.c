/* Products that are added up in one kernel: which move together, and what waits between them. */
#include "schedule/terms.h"

#include "base/alloc.h"
#include "schedule/prologue.h"
#include "schedule/queues.h"
#include "schedule/sink.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

/* ---- a group's products ------------------------------------------------------------------------------------------------- */

int wg_terms_task(const wg_group *g, size_t t) { return t ? g->more[t - 1].task : g->entries[0].task; }

const wg_prologue *wg_terms_operand(const wg_group *g, size_t t, int k) {
    return t ? &g->more[t - 1].operand[k] : &g->operand[k];
}

int wg_terms_number(const wg_group *g, int task) {
    for (size_t t = 0; t <= g->nmore; t++) {
        if (wg_terms_task(g, t) == task) {
            return (int)t;
        }
    }
    return -1;
}

bool wg_same_layout(const wg_product *a, const wg_product *b) {
    bool same = a->k == b->k && a->rank == b->rank && a->a_row == b->a_row && a->a_col == b->a_col &&
                a->b_row == b->b_row && a->b_col == b->b_col;
    for (int i = 0; same && i < a->rank; i++) {
        same = a->batch[i] == b->batch[i] && a->a_batch[i] == b->a_batch[i] && a->b_batch[i] == b->b_batch[i];
    }
    return same;
}

/* ---- who reads what ----------------------------------------------------------------------------------------------------- */

static int *last_reader(const wg_partition *p, int ref) {
    return &p->last_reader[ref < 0 ? (int)p->problem->ntasks + ~ref : ref];
}

bool wg_terms_begin(wg_partition *p) {
    const wg_problem *q = p->problem;
    p->readers = wg_mem_zalloc((q->ntasks + 1) * sizeof *p->readers);
    p->last_reader = wg_mem_alloc((q->ntasks + q->nleaves + 1) * sizeof *p->last_reader);
    if (!p->readers || !p->last_reader) {
        return false;
    }
    for (size_t i = 0; i < q->ntasks + q->nleaves; i++) {
        p->last_reader[i] = -1;
    }
    for (size_t i = 0; i < q->ntasks; i++) {
        for (int k = 0; k < q->tasks[i].node->nin; k++) {
            int ref = q->tasks[i].in[k].ref;
            *last_reader(p, ref) = (int)i;
            p->readers[ref < 0 ? 0 : ref] += ref >= 0;
        }
    }
    return true;
}

/* How many operands in the group an entry's value is. */
static int readers_in(const wg_partition *p, const wg_group *g, int task) {
    int n = 0;
    for (size_t i = 0; i < g->nentries; i++) {
        const wg_task *t = &p->problem->tasks[g->entries[i].task];
        for (int k = 0; k < t->node->nin; k++) {
            n += t->in[k].ref == task;
        }
    }
    return n;
}

/* Whether all that the group computes stays in it, but for `result`, which one operand elsewhere is. */
static bool keeps_to_itself(const wg_partition *p, int group, int result) {
    const wg_group *g = &p->groups[group];
    for (size_t i = 0; i < g->nentries; i++) {
        int task = g->entries[i].task;
        const wg_place *place = &p->places[task];
        bool again = place->group < 0; /* a float, computed again wherever it is read */
        if (g->entries[i].role != WG_ROLE_WHOLE ||
            (!again && (place->stored || p->problem->tasks[task].keep ||
                        p->readers[task] != readers_in(p, g, task) + (task == result)))) {
            return false;
        }
    }
    return true;
}

/* ---- what it costs ------------------------------------------------------------------------------------------------------ */

static int64_t bytes_of(const wg_node *n) { return wg_numel_of(n->shape) * (int64_t)wg_dtype_size((wg_dtype)n->dtype); }

/* Bytes that one operand takes longer, as it is read after task `until` only because the group runs later. */
static int64_t held_operand(const wg_partition *p, const wg_group *g, int ref, int until) {
    bool made = ref >= 0 && (p->places[ref].group < 0 || &p->groups[p->places[ref].group] == g);
    if (made || *last_reader(p, ref) >= until || (ref < 0 && !p->problem->leaves[~ref].dying) ||
        (ref >= 0 && p->problem->tasks[ref].keep)) {
        return 0;
    }
    return bytes_of(ref < 0 ? p->problem->leaves[~ref].node : p->problem->tasks[ref].node);
}

static int64_t held_entries(const wg_partition *p, const wg_group *g, const wg_entry *entries, size_t n, int until) {
    int64_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        const wg_task *t = &p->problem->tasks[entries[i].task];
        for (int k = 0; k < t->node->nin; k++) {
            bytes += held_operand(p, g, t->in[k].ref, until);
        }
    }
    return bytes;
}

static int64_t held_bytes(const wg_partition *p, const wg_group *g, int until) {
    int64_t bytes = held_entries(p, g, g->entries, g->nentries, until);
    for (size_t t = 0; t <= g->nmore; t++) {
        for (int k = 0; k < 2; k++) {
            const wg_prologue *o = wg_terms_operand(g, t, k);
            bytes += held_entries(p, g, o->entries, o->nentries, until);
        }
    }
    return bytes;
}

/* Where several queues run side by side, small products that wait for each other in one kernel leave multiprocessors idle: what
 * the first takes is more than a launch, and the bytes of its result. */
static bool loses_width(const wg_partition *p, const wg_group *from, const wg_product *m, int64_t result) {
    const int64_t tile = 64, elems = wg_numel_of(&from->space), size = result / (elems ? elems : 1);
    int64_t batch = m->m && m->n ? elems / (m->m * m->n) : 1;
    int64_t pieces = batch * ((m->m + tile - 1) / tile) * ((m->n + tile - 1) / tile);
    if (p->limits->queues < 2 || 2 * pieces > p->limits->compute_units || pieces == 0) {
        return false;
    }
    int64_t work = size * batch * m->k * (m->m + m->n) + 2 * elems * m->k / WG_FLOPS_A_BYTE;
    return work > pieces * WG_LAUNCH_WIDTH + 2 * result;
}

/* ---- moving ------------------------------------------------------------------------------------------------------------- */

/* Parameters of all products behind the first, when the products of both groups are in one kernel. */
static int params_of(const wg_partition *p, const wg_group *a, const wg_group *b) {
    wg_product m[2 * WG_MAX_TERMS];
    int n = 0, params = -WG_TERM_PARAMS - WG_LAYOUT_PARAMS;
    for (int i = 0; i < 2; i++) {
        const wg_group *g = i ? b : a;
        for (size_t t = 0; t <= g->nmore; t++, n++) {
            wg_terms_describe(p->problem, g, t, &m[n]);
            bool found = false;
            for (int o = 0; o < n && !found; o++) {
                found = wg_same_layout(&m[o], &m[n]);
            }
            params += WG_TERM_PARAMS + (found ? 0 : WG_LAYOUT_PARAMS);
        }
    }
    return params;
}

/* Whether both kernels find room in one, which does d more. */
static bool have_room(const wg_partition *p, const wg_group *a, const wg_group *b, const wg_place_demand *d) {
    const wg_group joined = {.nmore = a->nmore + b->nmore + 1, .more_params = params_of(p, a, b)};
    int reads = (int)(a->nreads + b->nreads) + d->reads - 1;
    return joined.nmore < WG_MAX_TERMS && a->cost + b->cost + d->cost <= p->limit &&
           reads <= wg_place_read_limit(&joined);
}

bool wg_product_fills_registers(wg_form form, wg_dtype dtype) { return form == WG_SIMT && wg_dtype_size(dtype) > 4; }

/* Whether registers of the products' type hold what a task comes to. */
static bool has_type(const wg_partition *p, const wg_group *g, int task) {
    const wg_node *first = p->problem->tasks[wg_terms_task(g, 0)].node, *n = p->problem->tasks[task].node;
    return wg_dtype_compute((wg_dtype)n->dtype) == wg_dtype_compute((wg_dtype)first->dtype);
}

/* What waits in registers is of the products' type, and lies as they do; a library computes one product at a time. On GPUs there are
 * not enough registers for 64-bit sums of a tile and as many values that wait. */
static bool can_wait(const wg_partition *p, const wg_group *a, const wg_group *b, const wg_task *t, int k) {
    const wg_node *first = p->problem->tasks[wg_terms_task(a, 0)].node, *n = p->problem->tasks[t->in[k].ref].node;
    wg_view w;
    if (wg_product_fills_registers(p->form, wg_dtype_compute((wg_dtype)first->dtype))) {
        return false;
    }
    return first->dtype == p->problem->tasks[wg_terms_task(b, 0)].node->dtype && has_type(p, a, t->in[k].ref) &&
           !wg_product_apart(p, wg_terms_task(b, 0)) && wg_shape_equal(&a->space, &b->space) &&
           wg_operand_view(p->problem, t, k, &w) && wg_view_aligned(&w, n) && !(t->node->op->elsewhere >> k & 1);
}

static bool pays(const wg_partition *p, const wg_group *from, const wg_group *into, int result, int64_t *gain) {
    int64_t bytes = bytes_of(p->problem->tasks[result].node);
    wg_product m;
    wg_terms_describe(p->problem, from, from->nmore, &m);
    *gain = from->gain + 3 * bytes + WG_LAUNCH_TOLL; /* written, read, kept meanwhile */
    int64_t most = p->terms == WG_TERMS_IN_PLACE ? bytes : *gain;
    return held_bytes(p, from, wg_terms_task(into, 0)) <= most && !loses_width(p, from, &m, bytes);
}

/* The entries of both, those of the first before: a float that both compute is computed there. */
static bool join_entries(wg_partition *p, int from, int into) {
    wg_group *a = &p->groups[from], *b = &p->groups[into];
    size_t n = a->nentries;
    for (size_t i = 0; i < b->nentries; i++) {
        bool known = false;
        for (size_t j = 0; j < n && !known; j++) {
            known = a->entries[j].task == b->entries[i].task && a->entries[j].level == b->entries[i].level;
        }
        if (known) {
            continue;
        }
        if (!WG_RESERVE(a->entries, a->nentries, a->entry_cap)) {
            return false;
        }
        a->entries[a->nentries++] = b->entries[i];
    }
    return true;
}

static bool join_reads(wg_group *a, wg_group *b) {
    for (size_t i = 0; i < a->nreads; i++) {
        if (!WG_RESERVE(b->reads, b->nreads, b->read_cap)) {
            return false;
        }
        b->reads[b->nreads++] = a->reads[i];
    }
    return true;
}

/* Puts the products of one group before the only one of another. */
static void move(wg_partition *p, int from, int into, int64_t gain) {
    wg_group *a = &p->groups[from], *b = &p->groups[into];
    int second = wg_terms_task(b, 0), params = params_of(p, a, b);
    if (!WG_RESERVE(a->more, a->nmore, a->more_cap) || !join_reads(a, b) || !join_entries(p, from, into)) {
        p->failed = true;
        return;
    }
    a->more[a->nmore++] = (wg_addend){second, {b->operand[0], b->operand[1]}};
    wg_group joined = *a;
    joined.reads = b->reads;
    joined.nreads = b->nreads;
    joined.read_cap = b->read_cap;
    joined.cost += b->cost;
    joined.gain = gain;
    joined.more_params = params;
    *a = (wg_group){.kind = a->kind, .space = a->space, .reads = a->reads, .entries = b->entries};
    *b = joined;
    for (size_t i = 0; i < b->nentries; i++) {
        wg_place *place = &p->places[b->entries[i].task];
        place->group = place->group == from ? into : place->group;
        place->recent = place->recent == from ? into : place->recent;
    }
    p->nmoved++;
}

void wg_terms_bring(wg_partition *p, int group, int task, const wg_place_demand *d) {
    const wg_task *t = &p->problem->tasks[task];
    for (int k = 0; p->terms && k < t->node->nin; k++) {
        int ref = t->in[k].ref, from = ref < 0 ? -1 : p->places[ref].group;
        const wg_group *g = &p->groups[group];
        /* A float of one number is computed once for the kernel, before there is any product. One that is made of a product
         * waits itself. */
        if (wg_place_floats(p, ref) && p->readers[ref] == 1 && wg_numel_of(p->problem->tasks[ref].node->shape) > 1 &&
            g->kind == WG_GROUP_MATMUL && has_type(p, g, ref)) {
            wg_terms_bring(p, group, ref, d);
        }
        int64_t gain;
        if (from >= 0 && from != group && g->kind == WG_GROUP_MATMUL && p->groups[from].kind == WG_GROUP_MATMUL &&
            g->nmore == 0 && !g->reduced && !p->groups[from].reduced && can_wait(p, &p->groups[from], g, t, k) &&
            keeps_to_itself(p, from, ref) && have_room(p, &p->groups[from], g, d) &&
            pays(p, &p->groups[from], g, ref, &gain)) {
            move(p, from, group, gain);
        }
    }
}

/* ---- between the products ------------------------------------------------------------------------------------------------- */

void wg_terms_depths(const wg_lowered *l, int *depth) {
    const wg_loop *loop = &l->loop;
    for (int i = 0, t = 0; i < loop->ninsts; i++) {
        const wg_inst *in = &loop->inst[i];
        const int operand[] = {in->a, in->b, in->c};
        depth[i] = -1;
        for (int k = 0; k < 3; k++) {
            if (operand[k] >= 0 && depth[operand[k]] > depth[i]) {
                depth[i] = depth[operand[k]];
            }
        }
        if (t <= l->nmore && i == wg_terms_inst(l, t)) {
            depth[i] = t++;
        }
    }
}

bool wg_terms_carried(const wg_lowered *l, const int *depth, int *carried) {
    const wg_loop *loop = &l->loop;
    bool one = true;
    for (int t = 0; t < l->nmore; t++) {
        carried[t] = -1;
        for (int i = 0; i < loop->ninsts; i++) {
            const int operand[] = {loop->inst[i].a, loop->inst[i].b, loop->inst[i].c};
            for (int k = 0; depth[i] > t && k < 3; k++) {
                int o = operand[k];
                bool crosses = o >= 0 && depth[o] >= 0 && depth[o] <= t;
                one = one && (!crosses || carried[t] < 0 || carried[t] == o);
                carried[t] = crosses ? o : carried[t];
            }
        }
        one = one && carried[t] >= 0 && depth[carried[t]] == t && loop->inst[carried[t]].dtype == loop->inst[0].dtype;
    }
    for (int s = 0; s < loop->nstores; s++) { /* nothing is stored before the last */
        int d = depth[loop->store[s].inst];
        one = one && (d < 0 || d == l->nmore);
    }
    return one;
}
