/*
 * Which queue a launch goes to, and what it waits for. In the order of the plan, each launch goes to the queue where it can
 * begin first by an estimate (list scheduling), most often that of the launch it needs, if nothing has come there since.
 *
 * What it needs are the launches that wrote what it reads, and those that read or wrote the bytes it writes. Every launch
 * has a clock: for each queue, how many of its launches are done when this one is. It waits only for what neither the
 * launch before it on its queue nor another one it waits for knows to be done.
 */
#include "schedule/queues.h"

#include "base/alloc.h"
#include "tensor/dtype.h"

#include <string.h>

/* Bytes that a multiprocessor moves while one queue hears of another. */
enum { CROSSING = 16 << 10 };
/* Looks at pieces of arenas before the plan stays on one queue: plans can be very long. */
enum { BUDGET = 1 << 22 };

/* For each queue, a number of launches on it. */
typedef struct times {
    int n[WG_MAX_QUEUES];
} times;

/* Who used a slot's bytes, on each queue the last. */
typedef struct users {
    bool begun;
    times wrote; /* what is in them now: several who wrote parts of a join, else one */
    times last;
    bool opened, filled; /* the slot is a join of which some part is about to be written, is there */
    times before;        /* what the first part had to wait for, and so all have */
} users;

/* A piece of an arena and the slot that it belongs to, now or until not long ago. */
typedef struct piece {
    int arena, slot;
    int64_t from, to;
} piece;

typedef struct spread {
    wg_plan *plan;
    int nqueues, compute_units;
    users *users; /* by slot */
    piece *pieces;
    size_t npieces, piece_cap;
    int64_t budget;
    times *clock; /* by turn */
    double *end;  /* by turn, by the estimate */
    int *turn;    /* on queue q, launch number k (from 1): turn[q * stride + k] */
    size_t stride;
    times tail;           /* launches on each queue so far */
    double total, shared; /* all launches one after the other; what they take of the whole device */
} spread;

static int turn_of(const spread *s, int queue, int number) {
    return s->turn[(size_t)queue * s->stride + (size_t)number];
}

static void join(times *a, const times *b) {
    for (int q = 0; q < WG_MAX_QUEUES; q++) {
        a->n[q] = b->n[q] > a->n[q] ? b->n[q] : a->n[q];
    }
}

/* ---- what a launch needs ------------------------------------------------------------------------------------------------ */

/* The slot whose bytes they are. */
static int owner(const wg_plan *plan, int slot) { return plan->slots[slot].over < 0 ? slot : plan->slots[slot].over; }

static bool in_arena(const wg_slot *s) {
    return (s->kind == WG_SLOT_TEMP || s->kind == WG_SLOT_SCRATCH) && s->arena >= 0;
}

static piece piece_of(const wg_plan *plan, int slot) {
    const wg_slot *s = &plan->slots[slot];
    return (piece){s->arena, slot, s->at, s->at + s->elems * (int64_t)wg_dtype_size((wg_dtype)s->dtype)};
}

static bool overlap(const piece *a, const piece *b) {
    return a->arena == b->arena && a->from < b->to && b->from < a->to;
}

/* Calls f for the bytes that the launch uses. Two words that many launches write in any order tie nobody. */
static void each_use(spread *s, int launch, void (*f)(spread *s, const wg_buffer_use *b, void *arg), void *arg) {
    const wg_plan *plan = s->plan;
    for (int i = launch; i < launch + plan->steps[launch].bundle; i++) {
        const wg_lowered *l = &plan->steps[i].l;
        for (int b = 0; b < l->nbuffers; b++) {
            if (l->buffers[b].slot != plan->trap_slot) {
                f(s, &l->buffers[b], arg);
            }
        }
    }
}

/* Who had the bytes before. */
static void add_users_before(spread *s, int slot, times *need) {
    if (s->users[slot].begun) {
        join(need, &s->users[slot].last);
    } else if (in_arena(&s->plan->slots[slot])) {
        const piece p = piece_of(s->plan, slot);
        for (size_t i = 0; i < s->npieces; i++) {
            if (overlap(&s->pieces[i], &p)) {
                join(need, &s->users[s->pieces[i].slot].last);
            }
        }
        s->budget -= (int64_t)s->npieces;
    }
}

static void add_need(spread *s, const wg_buffer_use *b, void *need) {
    int slot = owner(s->plan, b->slot);
    users *whole = &s->users[b->slot];
    if (b->part > 0) {
        if (!whole->opened) {
            add_users_before(s, slot, &whole->before);
        }
        whole->opened = true;
        join(need, &whole->before);
    } else if (b->written || !s->users[slot].begun) {
        add_users_before(s, slot, need);
    } else {
        join(need, &s->users[slot].wrote);
    }
}

/* Takes a slot's bytes from those that had them; they keep what lies around. False when there is no memory. */
static bool claim(spread *s, int slot) {
    const piece p = piece_of(s->plan, slot);
    for (size_t i = s->npieces; i-- > 0;) {
        piece *old = &s->pieces[i], behind = *old;
        if (!overlap(old, &p)) {
            continue;
        }
        behind.from = p.to;
        old->to = p.from;
        if (old->from >= old->to) {
            *old = behind.from < behind.to ? behind : s->pieces[--s->npieces];
        } else if (behind.from < behind.to) {
            if (!WG_RESERVE(s->pieces, s->npieces, s->piece_cap)) {
                return false;
            }
            s->pieces[s->npieces++] = behind;
        }
    }
    if (!WG_RESERVE(s->pieces, s->npieces, s->piece_cap)) {
        return false;
    }
    s->pieces[s->npieces++] = p;
    return true;
}

typedef struct use {
    int turn;
    bool no_memory;
} use;

static void note_use(spread *s, const wg_buffer_use *b, void *arg) {
    use *now = arg;
    int slot = owner(s->plan, b->slot);
    users *u = &s->users[slot];
    const wg_turn *t = &s->plan->turns[now->turn];
    int number = s->clock[now->turn].n[t->queue];
    if (!u->begun && in_arena(&s->plan->slots[slot])) {
        now->no_memory = now->no_memory || !claim(s, slot);
    }
    u->begun = true;
    u->last.n[t->queue] = number;
    if (b->written) {
        bool more = b->part > 0 && s->users[b->slot].filled; /* parts are there already */
        u->wrote = more ? u->wrote : (times){{0}};
        u->wrote.n[t->queue] = number;
        s->users[b->slot].filled = b->part > 0;
    }
}

/* ---- where it goes ------------------------------------------------------------------------------------------------------- */

/* What is known to be done when the next launch of a queue begins. */
static times known(const spread *s, int queue) {
    int tail = s->tail.n[queue];
    return tail > 0 ? s->clock[turn_of(s, queue, tail)] : (times){{0}};
}

/* When a launch could begin on a queue; *crossings: for how many others it would wait. */
static double beginning(const spread *s, int queue, const times *need, int *crossings) {
    times done = known(s, queue);
    double begin = s->tail.n[queue] > 0 ? s->end[turn_of(s, queue, s->tail.n[queue])] : 0;
    *crossings = 0;
    for (int q = 0; q < s->nqueues; q++) {
        if (q != queue && need->n[q] > done.n[q]) {
            double heard = s->end[turn_of(s, q, need->n[q])] + CROSSING;
            begin = heard > begin ? heard : begin;
            ++*crossings;
        }
    }
    return begin;
}

static int choose(const spread *s, const times *need, double *begin) {
    int best = 0, fewest = 0;
    for (int q = 0; q < s->nqueues; q++) {
        int crossings;
        double at = beginning(s, q, need, &crossings);
        if (q == 0 || at < *begin || (at <= *begin && crossings < fewest)) {
            *begin = at;
            fewest = crossings;
            best = q;
        }
    }
    return best;
}

/* Puts a turn on a queue, behind what it needs. */
static void take_turn(spread *s, int number, int queue, const times *need) {
    wg_turn *t = &s->plan->turns[number];
    const times done = known(s, queue);
    times *clock = &s->clock[number];
    *t = (wg_turn){.queue = queue, .event = -1};
    *clock = done;
    for (int q = 0; q < s->nqueues; q++) {
        bool waits = q != queue && need->n[q] > done.n[q];
        for (int o = 0; o < s->nqueues && waits; o++) { /* another one that it waits for comes after this one */
            waits = o == q || o == queue || need->n[o] <= done.n[o] ||
                    s->clock[turn_of(s, o, need->n[o])].n[q] < need->n[q];
        }
        if (waits) {
            int other = turn_of(s, q, need->n[q]);
            t->wait[t->nwaits++] = other;
            join(clock, &s->clock[other]);
        }
    }
    clock->n[queue] = ++s->tail.n[queue];
    s->turn[(size_t)queue * s->stride + (size_t)s->tail.n[queue]] = number;
}

/* Pieces of work that can run side by side. */
static double width(const wg_step *s) {
    double results = (double)s->l.results;
    const wg_product *m = &s->product;
    if (s->kind == WG_GROUP_LOOP && s->l.loop.mode == WG_LOOP_ROWS) {
        return results;
    }
    double each = s->kind == WG_GROUP_MATMUL ? (double)((m->m < 64 ? m->m : 64) * (m->n < 64 ? m->n : 64)) : 256;
    return results > each ? results / each : 1;
}

/* How long a launch takes that has the device to itself, and how long as a share of the whole device. */
static double estimate(const spread *s, int launch, double *share) {
    wg_cost cost = wg_plan_launch_cost(s->plan, launch);
    double work = (double)(cost.read + cost.written) + (double)cost.flops / WG_FLOPS_A_BYTE, pieces = 0;
    for (int i = launch; i < launch + s->plan->steps[launch].bundle; i++) {
        pieces += width(&s->plan->steps[i]);
    }
    *share = work / s->compute_units;
    return WG_LAUNCH_WIDTH + work / (pieces < s->compute_units ? pieces : s->compute_units);
}

/* False when there is no memory. */
static bool place_launch(spread *s, int launch) {
    times need = {{1}}; /* the beginning, on queue 0 */
    double begin = 0, share;
    use now = {.turn = launch + 1};
    each_use(s, launch, add_need, &need);
    int queue = choose(s, &need, &begin);
    double alone = estimate(s, launch, &share);
    take_turn(s, now.turn, queue, &need);
    each_use(s, launch, note_use, &now);
    s->end[now.turn] = begin + alone;
    s->total += alone;
    s->shared += share;
    return !now.no_memory;
}

/* ---- events -------------------------------------------------------------------------------------------------------------- */

/* Numbers the events, each again once all that wait for it have come. False when there is no memory. */
static bool number_events(wg_plan *plan) {
    int n = plan->nsteps + 2, nfree = 0;
    int *waiter = wg_mem_zalloc((size_t)n * sizeof *waiter); /* the last one */
    int *unused = wg_mem_alloc((size_t)n * sizeof *unused);
    for (int i = 0; waiter && unused && i < n; i++) {
        for (int k = 0; k < plan->turns[i].nwaits; k++) {
            waiter[plan->turns[i].wait[k]] = i;
        }
    }
    for (int i = 0; waiter && unused && i < n; i++) {
        wg_turn *t = &plan->turns[i];
        for (int k = 0; k < t->nwaits; k++) {
            if (waiter[t->wait[k]] == i) {
                unused[nfree++] = plan->turns[t->wait[k]].event;
            }
        }
        if (waiter[i] > 0) {
            t->event = nfree > 0 ? unused[--nfree] : plan->nevents++;
        }
    }
    bool ok = waiter && unused;
    wg_mem_free(waiter);
    wg_mem_free(unused);
    return ok;
}

/* ---- the whole ----------------------------------------------------------------------------------------------------------- */

/* Whether the estimate is better than one queue by a twentieth. */
static bool pays(const spread *s) {
    double ends = s->shared;
    for (int q = 0; q < s->nqueues; q++) {
        int tail = s->tail.n[q];
        double end = tail > 0 ? s->end[turn_of(s, q, tail)] + (q > 0 ? CROSSING : 0) : 0;
        ends = end > ends ? end : ends;
    }
    return ends < 0.95 * s->total;
}

static bool allocate(spread *s) {
    size_t n = s->stride, nslots = (size_t)s->plan->nslots;
    s->plan->turns = wg_mem_zalloc(n * sizeof *s->plan->turns);
    s->users = wg_mem_zalloc(nslots * sizeof *s->users);
    s->clock = wg_mem_zalloc(n * sizeof *s->clock);
    s->end = wg_mem_zalloc(n * sizeof *s->end);
    s->turn = wg_mem_zalloc((size_t)s->nqueues * (n + 1) * sizeof *s->turn);
    s->stride = n + 1;
    return s->plan->turns && s->users && s->clock && s->end && s->turn;
}

static bool place_all(spread *s) {
    wg_plan *plan = s->plan;
    const times nothing = {{0}};
    bool ok = allocate(s);
    for (int i = 0; ok && i < plan->nsteps + 2; i++) {
        plan->turns[i].event = -1;
    }
    if (ok) {
        take_turn(s, 0, 0, &nothing);
    }
    for (int i = 0; ok && i < plan->nsteps && s->budget > 0; i += plan->steps[i].bundle) {
        ok = plan->steps[i].l.results == 0 || place_launch(s, i);
    }
    bool spreads = ok && s->budget > 0 && pays(s);
    if (spreads) {
        const times all = s->tail;
        take_turn(s, plan->nsteps + 1, 0, &all);
        ok = number_events(plan);
    }
    if (!spreads || !ok) {
        wg_mem_free(plan->turns);
        plan->turns = NULL;
    }
    return ok;
}

bool wg_plan_queues(wg_plan *plan, const wg_limits *limits) {
    if (limits->queues < 2 || plan->nlaunches < 2) {
        return true;
    }
    spread s = {.plan = plan,
                .nqueues = limits->queues < WG_MAX_QUEUES ? limits->queues : WG_MAX_QUEUES,
                .compute_units = limits->compute_units,
                .stride = (size_t)plan->nsteps + 2,
                .budget = BUDGET};
    bool ok = place_all(&s);
    wg_mem_free(s.users);
    wg_mem_free(s.pieces);
    wg_mem_free(s.clock);
    wg_mem_free(s.end);
    wg_mem_free(s.turn);
    return ok;
}
