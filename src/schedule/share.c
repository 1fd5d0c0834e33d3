/* Moving steps of a plan together so that they share launches. */
#include "schedule/mover.h"

#include "base/alloc.h"
#include "schedule/memory.h"

#include <string.h>

/* ---- what needs what -------------------------------------------------------------------------------------------------- */

/* Two words that many steps write in any order tie nobody. */
static bool ties(const wg_plan *plan, int slot) { return slot != plan->trap_slot; }

void wg_mover_renew(wg_mover *m) {
    for (int i = 0; i < m->plan->nslots; i++) {
        m->writer[i] = -1;
    }
    for (int i = 0; i < m->plan->nsteps; i++) {
        const wg_lowered *l = &m->plan->steps[i].l;
        for (int k = 0; k < l->nbuffers; k++) {
            if (l->buffers[k].written && ties(m->plan, l->buffers[k].slot)) {
                m->writer[l->buffers[k].slot] = i;
            }
        }
    }
}

/* Whether a step writes, or reads, a slot that is marked. */
static bool touches(const wg_mover *m, int step, bool written, const int *marks, int round) {
    const wg_lowered *l = &m->plan->steps[step].l;
    for (int k = 0; k < l->nbuffers; k++) {
        if (l->buffers[k].written == written && marks[l->buffers[k].slot] == round) {
            return true;
        }
    }
    return false;
}

static void mark(const wg_mover *m, int step, bool written, int *marks, int round) {
    const wg_lowered *l = &m->plan->steps[step].l;
    for (int k = 0; k < l->nbuffers; k++) {
        if (l->buffers[k].written == written && ties(m->plan, l->buffers[k].slot)) {
            marks[l->buffers[k].slot] = round;
        }
    }
}

void wg_mover_mark_behind(wg_mover *m, int first, int count, int from, int last) {
    m->behind_round += from == first;
    for (int i = from; i <= last; i++) {
        m->behind[i] = i < first + count || touches(m, i, false, m->made, m->behind_round);
        if (m->behind[i]) {
            mark(m, i, true, m->made, m->behind_round);
        }
    }
}

void wg_mover_mark_before(wg_mover *m, int first, int j) {
    int last = j + m->plan->steps[j].bundle - 1;
    m->before_round++;
    for (int i = last; i >= first; i--) {
        m->before[i] = i >= j || touches(m, i, true, m->needed, m->before_round);
        if (m->before[i]) {
            mark(m, i, false, m->needed, m->before_round);
        }
    }
}

/* ---- moving them together --------------------------------------------------------------------------------------------- */

/* Puts the launch at j right behind that at `first`, as part of it, and the steps between them before or after: as early as
 * they can, or (late) as few of them after it as can be. Launches between them stay whole, or the move is refused. Returns
 * where the launch begins, -1 if refused. */
static int rearrange(wg_mover *m, int first, int count, int j, bool late) {
    wg_step *steps = m->plan->steps;
    int at = first, joining = steps[j].bundle;
    for (int i = first + count; i < j; i++) {
        bool ahead = late ? !m->behind[i] : m->before[i];
        if (i > first + count && steps[i].bundle == 0) {
            bool leader_ahead = late ? !m->behind[i - 1] : m->before[i - 1];
            if (ahead != leader_ahead) {
                return -1;
            }
        }
    }
    memcpy(m->was, steps, (size_t)m->plan->nsteps * sizeof *steps);
    for (int i = first + count; i < j; i++) {
        if (late ? !m->behind[i] : m->before[i]) {
            steps[at++] = m->was[i];
        }
    }
    int begins = at;
    memcpy(steps + at, m->was + first, (size_t)count * sizeof *steps);
    memcpy(steps + at + count, m->was + j, (size_t)joining * sizeof *steps);
    steps[begins].bundle = count + joining;
    steps[begins + count].bundle = 0;
    at += count + joining;
    for (int i = first + count; i < j; i++) {
        if (late ? m->behind[i] : !m->before[i]) {
            steps[at++] = m->was[i];
        }
    }
    return begins;
}

/* Counted so, a few numbers that live longer are no reason for one more launch. */
static int64_t pages_of(const wg_plan *plan) {
    enum { PAGE = 4096 };
    return (wg_plan_bytes(plan) + PAGE - 1) / PAGE;
}

int wg_mover_try(wg_mover *m, int *first, int count, int j, bool late) {
    m->budget -= 16 * (int64_t)m->plan->nsteps;
    int begins = m->budget <= 0 ? -1 : rearrange(m, *first, count, j, late);
    if (begins < 0) {
        return 0;
    }
    if (!wg_plan_memory(m->plan, m->part, (int64_t)m->limits->max_alloc)) {
        return -1;
    }
    int64_t pages = pages_of(m->plan);
    if (pages > m->pages || m->plan->kept_bytes > m->kept) {
        memcpy(m->plan->steps, m->was, (size_t)m->plan->nsteps * sizeof *m->was);
        return 0;
    }
    m->pages = pages;
    m->kept = m->plan->kept_bytes;
    *first = begins;
    wg_mover_renew(m);
    return 1;
}

int wg_mover_join(wg_mover *m, int *first, int count, int j) {
    int moved = wg_mover_try(m, first, count, j, false);
    return moved == 0 && j > *first + count ? wg_mover_try(m, first, count, j, true) : moved;
}

/* Steps to look at: a bundle saves a launch for each tensor of a model, chains are few. */
enum { FOR_SUMS = 1 << 20, FOR_BUNDLES = 1 << 20, FOR_CHAINS = 1 << 17 };

static bool share_all(wg_mover *m) {
    wg_mover_renew(m);
    m->pages = pages_of(m->plan);
    m->kept = m->plan->kept_bytes;
    m->budget = FOR_SUMS;
    bool ok = wg_sums_all(m);
    m->budget = FOR_BUNDLES;
    ok = ok && wg_bundle_all(m);
    m->budget = FOR_CHAINS;
    return ok && wg_chain_all(m) && wg_plan_memory(m->plan, m->part, (int64_t)m->limits->max_alloc);
}

bool wg_plan_share(wg_plan *plan, const wg_partition *part, wg_form form, const wg_limits *limits) {
    size_t n = (size_t)plan->nsteps + 1;
    wg_mover m = {.plan = plan,
                  .part = part,
                  .limits = limits,
                  .form = form,
                  .writer = wg_mem_alloc((size_t)plan->nslots * sizeof *m.writer),
                  .made = wg_mem_zalloc((size_t)plan->nslots * sizeof *m.made),
                  .needed = wg_mem_zalloc((size_t)plan->nslots * sizeof *m.needed),
                  .behind = wg_mem_alloc(n * sizeof *m.behind),
                  .before = wg_mem_alloc(n * sizeof *m.before),
                  .was = wg_mem_alloc(n * sizeof *m.was)};
    bool ok = m.writer && m.made && m.needed && m.behind && m.before && m.was && share_all(&m);
    wg_mem_free(m.writer);
    wg_mem_free(m.made);
    wg_mem_free(m.needed);
    wg_mem_free(m.behind);
    wg_mem_free(m.before);
    wg_mem_free(m.was);
    return ok;
}
