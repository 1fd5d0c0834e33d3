/*
 * Chains: small steps share the launch of a large one. Where a mean is the sum of partial results, or a loss is divided by a count
 * of its targets, a launch costs a GPU more than the work it brings.
 */
#include "schedule/mover.h"

enum {
    /* Elements that a step after may take, and rows, as one group does what a launch would spread: a few microseconds. A
     * single row is one group's work in any launch. */
    AFTER_ELEMS = 1024,
    AFTER_ROWS = 4,
    /* Elements that all groups together may take in a step before: some microseconds where a device does little else; ... */
    BEFORE_ELEMS = 1 << 20,
    /* ... or this part of what they take in the main step. */
    BEFORE_SHARE = 8
};

int wg_chain_main(const wg_step *lead) {
    int i = 0;
    while (lead[i].part == WG_PART_BEFORE) {
        i++;
    }
    return i;
}

bool wg_chain_draws(const wg_step *lead) { return lead[lead->bundle - 1].part == WG_PART_AFTER; }

int wg_chain_items(const wg_step *lead) {
    int items = WG_GROUP_ITEMS_MAP;
    for (int i = 0; i < lead->bundle; i++) {
        items = lead[i].l.loop.mode == WG_LOOP_ROWS ? WG_GROUP_ITEMS_ROWS : items;
    }
    return items;
}

static int64_t resident(wg_form form, const wg_limits *limits, int items) {
    return form == WG_SIMD ? 4 * (int64_t)limits->compute_units : (int64_t)limits->compute_units * WG_RESIDENT / items;
}

int64_t wg_chain_groups(const wg_step *lead, wg_form form, const wg_limits *limits) {
    return resident(form, limits, wg_chain_items(lead));
}

/* ---- which steps ------------------------------------------------------------------------------------------------------ */

static bool is_loop(const wg_step *s) { return s->kind == WG_GROUP_LOOP && s->l.results > 0; }

static bool can_lead(const wg_step *s) { return is_loop(s) && (s->bundle == 1 || wg_step_leads_chain(s)); }

static bool can_follow(const wg_step *s) {
    bool rows = s->l.loop.mode == WG_LOOP_ROWS;
    return is_loop(s) && s->bundle == 1 &&
           ((rows && s->l.results == 1) ||
            (s->l.elems <= AFTER_ELEMS && s->l.results <= (rows ? AFTER_ROWS : AFTER_ELEMS)));
}

/* The slot of its only result if it is one number, the same in all lanes and work-items; else -1. */
static int number_of(const wg_step *s) {
    const wg_loop *loop = &s->l.loop;
    int slot = -1, written = 0;
    for (int i = 0; i < s->l.nbuffers; i++) {
        slot = s->l.buffers[i].written ? s->l.buffers[i].slot : slot;
        written += s->l.buffers[i].part > 0 ? 2 : s->l.buffers[i].written; /* a part of a join is not all of it */
    }
    bool one = is_loop(s) && s->bundle == 1 && loop->mode == WG_LOOP_ROWS && loop->nkept == 0 && written == 1 &&
               loop->nstores == 1 && loop->access[loop->store[0].access].by_row &&
               loop->inst[loop->store[0].inst].uniform;
    return one ? slot : -1;
}

/* How a step uses a slot of one number. */
typedef enum use { NOT_USED, AS_IT_IS, OTHERWISE } use;

static use use_of(const wg_step *s, int slot) {
    use u = NOT_USED;
    for (int b = 0; b < s->l.nbuffers; b++) {
        if (s->l.buffers[b].slot != slot) {
            continue;
        }
        u = u == NOT_USED && !s->l.buffers[b].written ? AS_IT_IS : OTHERWISE;
        for (int i = 0; i < s->l.loop.ninsts; i++) {
            const wg_inst *in = &s->l.loop.inst[i];
            const wg_access *a = in->prim == WG_P_LOAD ? &s->l.loop.access[in->access] : NULL;
            if (a && a->buffer == b && (in->a >= 0 || in->b >= 0 || a->lane != WG_LANE_SAME)) {
                u = OTHERWISE;
            }
        }
    }
    return s->kind == WG_GROUP_LOOP ? u : u == NOT_USED ? NOT_USED : OTHERWISE;
}

/* The arguments of both together find room in a launch. */
static bool have_room(const wg_step *a, const wg_step *b) {
    int words = 0, buffers = 0;
    for (int k = 0; k < 2; k++) {
        const wg_step *s = k ? b : a;
        for (int i = 0; i < s->bundle; i++) {
            words += s[i].l.nparams + s[i].l.nbuffers;
            buffers += s[i].l.nbuffers;
        }
    }
    return words <= WG_CHAIN_WORDS && buffers < WG_MAX_BUFFERS;
}

/* ---- steps after ------------------------------------------------------------------------------------------------------ */

static int lead_of(const wg_plan *plan, int step) {
    while (plan->steps[step].bundle == 0) {
        step--;
    }
    return step;
}

/* The launch that makes the last of what step j reads; -1: there is none. */
static int last_needed(const wg_mover *m, int j) {
    const wg_lowered *l = &m->plan->steps[j].l;
    int last = -1;
    for (int b = 0; b < l->nbuffers; b++) {
        int w = l->buffers[b].written ? -1 : m->writer[l->buffers[b].slot];
        last = w > last ? w : last;
    }
    return last < 0 ? -1 : lead_of(m->plan, last);
}

/* Brings the launch at j behind that at `first`, if nothing has to come between them. False when there is no memory. */
static bool join_parts(wg_mover *m, int first, int j, bool *joined) {
    int count = m->plan->steps[first].bundle, moved = 1;
    m->budget -= 2 * (int64_t)(j - first);
    wg_mover_mark_behind(m, first, count, first, j);
    wg_mover_mark_before(m, first, j);
    for (int i = first + count; i < j && moved; i++) {
        moved = !(m->behind[i] && m->before[i]);
    }
    moved = moved && m->budget > 0 ? wg_mover_join(m, &first, count, j) : 0;
    *joined = moved > 0;
    return moved >= 0;
}

/* Makes step j a step after in the launch that it needs last. */
static bool put_after(wg_mover *m, int j) {
    wg_step *steps = m->plan->steps;
    int first = can_follow(&steps[j]) ? last_needed(m, j) : -1;
    if (first < 0 || !can_lead(&steps[first]) || !have_room(&steps[first], &steps[j])) {
        return true;
    }
    bool draws = wg_chain_draws(&steps[first]), joined = false;
    wg_part part = steps[first].part;
    if (!draws && m->tickets == WG_TICKETS) {
        return true;
    }
    steps[first].part = part == WG_PART_ALIKE ? WG_PART_MAIN : part;
    steps[j].part = WG_PART_AFTER;
    bool ok = join_parts(m, first, j, &joined);
    if (!joined) {
        steps[first].part = part;
        steps[j].part = WG_PART_ALIKE;
    }
    m->tickets += joined && !draws;
    return ok;
}

/* ---- steps before ----------------------------------------------------------------------------------------------------- */

/* The first launch that reads a slot behind step p; -1: there is none, or it could not have the number from a register. */
static int first_reader(wg_mover *m, int p, int slot) {
    const wg_plan *plan = m->plan;
    int r = p + 1;
    while (r < plan->nsteps && use_of(&plan->steps[r], slot) == NOT_USED) {
        r++;
    }
    m->budget -= r - p;
    int lead = r < plan->nsteps ? lead_of(plan, r) : -1;
    for (int i = lead; lead >= 0 && i < lead + plan->steps[lead].bundle; i++) {
        if (use_of(&plan->steps[i], slot) == OTHERWISE) {
            return -1;
        }
    }
    return lead > p ? lead : -1;
}

/* All groups together take little in a step that each of them does. */
static bool is_cheap(const wg_mover *m, const wg_step *p, const wg_step *lead) {
    const wg_lowered *l = &lead[wg_chain_main(lead)].l;
    bool rows = l->loop.mode == WG_LOOP_ROWS;
    int64_t groups = m->form == WG_SIMD ? l->units
                     : rows             ? l->results
                                        : (l->results + WG_GROUP_ITEMS_ROWS - 1) / WG_GROUP_ITEMS_ROWS;
    int64_t most = resident(m->form, m->limits, WG_GROUP_ITEMS_ROWS);
    int64_t elems = (groups < most ? groups : most) * p->l.elems;
    return elems <= BEFORE_ELEMS || elems <= l->elems / BEFORE_SHARE;
}

/* Makes step p a step before in the launch that first reads its number. */
static bool put_before(wg_mover *m, int p, bool *joined) {
    wg_step *steps = m->plan->steps;
    int slot = number_of(&steps[p]), j = slot < 0 ? -1 : first_reader(m, p, slot);
    if (j < 0 || !can_lead(&steps[j]) || !have_room(&steps[p], &steps[j]) || !is_cheap(m, &steps[p], &steps[j])) {
        return true;
    }
    wg_part part = steps[j].part;
    steps[p].part = WG_PART_BEFORE;
    steps[j].part = part == WG_PART_ALIKE ? WG_PART_MAIN : part;
    bool ok = join_parts(m, p, j, joined);
    if (!*joined) {
        steps[p].part = WG_PART_ALIKE;
        steps[j].part = part;
    }
    return ok;
}

bool wg_chain_all(wg_mover *m) {
    bool ok = true;
    for (int j = 1; ok && m->limits->ordered_groups && j < m->plan->nsteps && m->budget > 0; j++) {
        ok = put_after(m, j);
    }
    for (int p = 0; ok && p + 1 < m->plan->nsteps && m->budget > 0;) {
        bool joined = false;
        ok = put_before(m, p, &joined);
        p += !joined; /* else something else came to stand here */
    }
    return ok;
}
