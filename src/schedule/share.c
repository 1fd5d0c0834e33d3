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

void wg_mover_mark_behind(wg_mover *m, int first, int count, int from, int last) {
    for (int i = from; i <= last; i++) {
        const wg_lowered *l = &m->plan->steps[i].l;
        m->behind[i] = i < first + count;
        for (int k = 0; k < l->nbuffers && !m->behind[i]; k++) {
            int w = l->buffers[k].written ? -1 : m->writer[l->buffers[k].slot];
            m->behind[i] = w >= first && m->behind[w];
        }
    }
}

void wg_mover_mark_before(wg_mover *m, int first, int j) {
    int last = j + m->plan->steps[j].bundle - 1;
    memset(m->before + first, 0, (size_t)(last - first + 1) * sizeof *m->before);
    memset(m->before + j, true, (size_t)m->plan->steps[j].bundle * sizeof *m->before);
    for (int i = last; i >= first; i--) {
        const wg_lowered *l = &m->plan->steps[i].l;
        for (int k = 0; m->before[i] && k < l->nbuffers; k++) {
            int w = l->buffers[k].written ? -1 : m->writer[l->buffers[k].slot];
            if (w >= first) {
                m->before[w] = true;
            }
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

int wg_mover_try(wg_mover *m, int *first, int count, int j, bool late) {
    m->budget -= 16 * (int64_t)m->plan->nsteps;
    int begins = m->budget <= 0 ? -1 : rearrange(m, *first, count, j, late);
    if (begins < 0) {
        return 0;
    }
    if (!wg_plan_memory(m->plan, m->part, (int64_t)m->limits->max_alloc)) {
        return -1;
    }
    int64_t bytes = wg_plan_bytes(m->plan);
    if (bytes > m->bytes) {
        memcpy(m->plan->steps, m->was, (size_t)m->plan->nsteps * sizeof *m->was);
        return 0;
    }
    m->bytes = bytes;
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
    m->bytes = wg_plan_bytes(m->plan);
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
                  .behind = wg_mem_alloc(n * sizeof *m.behind),
                  .before = wg_mem_alloc(n * sizeof *m.before),
                  .was = wg_mem_alloc(n * sizeof *m.was)};
    bool ok = m.writer && m.behind && m.before && m.was && share_all(&m);
    wg_mem_free(m.writer);
    wg_mem_free(m.behind);
    wg_mem_free(m.before);
    wg_mem_free(m.was);
    return ok;
}
