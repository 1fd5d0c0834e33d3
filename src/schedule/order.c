/*
 * Launches moved so that less lives at once: the last reader of a value comes before a launch that may then write over it. A
 * launch at a time goes to where the pressure is least, for as long as that lowers it.
 */
#include "schedule/order.h"

#include "base/alloc.h"
#include "schedule/memory.h"
#include "tensor/dtype.h"

#include <string.h>

/* Steps to look at, as plans can be very long, and rounds. */
enum { BUDGET = 1 << 17, ROUNDS = 4 };

typedef struct orderer {
    wg_plan *plan;
    const wg_partition *part;
    const wg_limits *limits;
    wg_step *was;  /* the steps before a move */
    int64_t *live; /* bytes of temporaries in use, by step */
    int64_t bytes; /* of the plan as it stands */
    double pressure;
    int64_t kept; /* of values that stay: what is written over its own bytes goes on to be */
    int64_t budget;
} orderer;

/* One of two launches uses what the other writes. Words that many steps write in any order tie nobody. */
static bool tied(const wg_plan *plan, int a, int b) {
    for (int i = a; i < a + plan->steps[a].bundle; i++) {
        for (int j = b; j < b + plan->steps[b].bundle; j++) {
            const wg_lowered *l = &plan->steps[i].l, *m = &plan->steps[j].l;
            for (int k = 0; k < l->nbuffers; k++) {
                for (int n = 0; n < m->nbuffers; n++) {
                    if (l->buffers[k].slot == m->buffers[n].slot && l->buffers[k].slot != plan->trap_slot &&
                        (l->buffers[k].written || m->buffers[n].written)) {
                        return true;
                    }
                }
            }
        }
    }
    return false;
}

/* Large where much is in use at once. */
static double pressure_of(orderer *o) {
    const wg_plan *plan = o->plan;
    memset(o->live, 0, ((size_t)plan->nsteps + 1) * sizeof *o->live);
    for (int i = 0; i < plan->nslots; i++) {
        const wg_slot *s = &plan->slots[i];
        if (s->over < 0 && s->first >= 0 && (s->kind == WG_SLOT_TEMP || s->kind == WG_SLOT_KEPT)) {
            int64_t bytes = s->elems * (int64_t)wg_dtype_size((wg_dtype)s->dtype);
            o->live[s->first] += bytes;
            o->live[s->kind == WG_SLOT_KEPT ? plan->nsteps : s->until + 1] -= bytes;
        }
    }
    double pressure = 0;
    int64_t live = 0;
    for (int i = 0; i < plan->nsteps; i++) {
        live += o->live[i];
        if (plan->steps[i].bundle > 0) {
            pressure += (double)live * (double)live;
        }
    }
    return pressure;
}

/* Puts the n steps at `from` where they begin at `to`; those between make way. */
static void shift(orderer *o, int from, int to, int n) {
    wg_step *steps = o->plan->steps;
    memcpy(o->was, steps + from, (size_t)n * sizeof *steps);
    if (to < from) {
        memmove(steps + to + n, steps + to, (size_t)(from - to) * sizeof *steps);
    } else {
        memmove(steps + from, steps + from + n, (size_t)(to - from) * sizeof *steps);
    }
    memcpy(steps + to, o->was, (size_t)n * sizeof *steps);
}

static bool lay_out(orderer *o) { return wg_plan_memory(o->plan, o->part, (int64_t)o->limits->max_alloc); }

/* Tries the launch at j before that at i, or (i > j) behind it; *best is where it begins at best so far. */
static bool consider(orderer *o, int j, int i, int *best) {
    int n = o->plan->steps[j].bundle, at = i < j ? i : i + o->plan->steps[i].bundle - n;
    shift(o, j, at, n);
    o->budget -= o->plan->nsteps;
    bool ok = lay_out(o);
    if (ok) {
        double pressure = pressure_of(o);
        int64_t bytes = wg_plan_bytes(o->plan);
        if (bytes <= o->bytes && pressure < o->pressure && o->plan->kept_bytes <= o->kept) {
            o->pressure = pressure;
            o->bytes = bytes;
            *best = at;
        }
    }
    shift(o, at, j, n);
    return ok;
}

static int launch_before(const wg_plan *plan, int j) {
    do {
        j--;
    } while (j >= 0 && plan->steps[j].bundle == 0);
    return j;
}

/* Moves the launch at *at to where it is best; *at is that of the next then. */
static bool find_place(orderer *o, int *at, bool *moved) {
    const wg_plan *plan = o->plan;
    int j = *at, best = j, n = plan->steps[j].bundle;
    bool ok = true;
    for (int i = launch_before(plan, j); ok && i >= 0 && !tied(plan, i, j) && o->budget > 0;
         i = launch_before(plan, i)) {
        ok = consider(o, j, i, &best);
    }
    for (int i = j + n; ok && i < plan->nsteps && !tied(plan, i, j) && o->budget > 0; i += plan->steps[i].bundle) {
        ok = consider(o, j, i, &best);
    }
    if (ok && best != j) {
        shift(o, j, best, n);
        *moved = true;
    }
    *at = best > j ? j : j + n;
    return ok;
}

bool wg_plan_order(wg_plan *plan, const wg_partition *part, const wg_limits *limits) {
    size_t n = (size_t)plan->nsteps;
    if (n < 3) { /* nothing is between what makes a value and what reads it last */
        return true;
    }
    orderer o = {.plan = plan,
                 .part = part,
                 .limits = limits,
                 .was = wg_mem_alloc((n + 1) * sizeof *o.was),
                 .live = wg_mem_alloc((n + 1) * sizeof *o.live),
                 .bytes = wg_plan_bytes(plan),
                 .kept = plan->kept_bytes,
                 .budget = BUDGET};
    wg_step *recorded = wg_mem_alloc((n + 1) * sizeof *recorded);
    bool ok = o.was && o.live && recorded, moved = true;
    if (ok) {
        memcpy(recorded, plan->steps, n * sizeof *recorded);
        o.pressure = pressure_of(&o);
    }
    int64_t bytes = o.bytes;
    for (int round = 0; ok && moved && round < ROUNDS; round++) {
        moved = false;
        for (int j = 0; ok && j < plan->nsteps;) {
            ok = find_place(&o, &j, &moved);
        }
    }
    if (ok && o.bytes >= bytes) {
        memcpy(plan->steps, recorded, n * sizeof *recorded);
    }
    ok = ok && lay_out(&o);
    wg_mem_free(o.was);
    wg_mem_free(o.live);
    wg_mem_free(recorded);
    return ok;
}
