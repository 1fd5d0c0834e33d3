/* Finding steps that can share a launch, and moving them together. */
#include "schedule/bundle.h"

#include "base/alloc.h"
#include "schedule/memory.h"

#include <string.h>

/* Tables of large kernels would be read for nothing. */
enum { BUFFER_LIMIT = 16 };

/* ---- steps of one text ------------------------------------------------------------------------------------------------ */

static bool same_ints(const int *a, const int *b, int n) { return memcmp(a, b, (size_t)n * sizeof *a) == 0; }

/* 0 and -0 are two numbers in a text, NaN is one. */
static bool same_number(double a, double b) {
    uint64_t x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    return x == y;
}

static bool same_inst(const wg_inst *a, const wg_inst *b) {
    return a->prim == b->prim && a->dtype == b->dtype && a->level == b->level && a->stage == b->stage &&
           a->uniform == b->uniform && a->a == b->a && a->b == b->b && a->c == b->c && a->access == b->access &&
           a->param == b->param && same_number(a->value, b->value);
}

static bool same_access(const wg_access *a, const wg_access *b) {
    return a->buffer == b->buffer && a->offset == b->offset && a->lane == b->lane && a->by_row == b->by_row &&
           same_ints(a->kept, b->kept, WG_MAX_RANK) && same_ints(a->reduced, b->reduced, WG_MAX_RANK);
}

static bool same_frame(const wg_loop *a, const wg_loop *b) {
    return a->mode == b->mode && a->nkept == b->nkept && a->nreduced == b->nreduced && a->block == b->block &&
           a->chunk == b->chunk && a->stream == b->stream && a->ninsts == b->ninsts && a->naccesses == b->naccesses &&
           a->nstores == b->nstores && a->nstages == b->nstages && same_ints(a->kept_size, b->kept_size, a->nkept) &&
           same_ints(a->reduced_size, b->reduced_size, a->nreduced);
}

/* Equal but for the values of parameters and the tensors they work on: printed, they are one text. */
static bool alike(const wg_lowered *a, const wg_lowered *b) {
    bool same = same_frame(&a->loop, &b->loop) && a->nparams == b->nparams && a->nbuffers == b->nbuffers;
    for (int i = 0; same && i < a->nbuffers; i++) {
        same = a->buffers[i].dtype == b->buffers[i].dtype && a->buffers[i].written == b->buffers[i].written;
    }
    for (int i = 0; same && i < a->nparams; i++) {
        const wg_argument *p = &a->params[i], *q = &b->params[i];
        same = p->kind == q->kind && p->dtype == q->dtype && (p->kind != WG_PARAM_OFFSET || p->index == q->index);
    }
    for (int i = 0; same && i < a->loop.ninsts; i++) {
        same = same_inst(&a->loop.inst[i], &b->loop.inst[i]);
    }
    for (int i = 0; same && i < a->loop.naccesses; i++) {
        same = same_access(&a->loop.access[i], &b->loop.access[i]);
    }
    for (int i = 0; same && i < a->loop.nstores; i++) {
        same = a->loop.store[i].inst == b->loop.store[i].inst && a->loop.store[i].access == b->loop.store[i].access;
    }
    return same;
}

static bool can_share(const wg_step *s) {
    return s->kind == WG_GROUP_LOOP && s->l.results > 0 && s->l.nbuffers <= BUFFER_LIMIT;
}

/* ---- moving them together --------------------------------------------------------------------------------------------- */

typedef struct bundler {
    wg_plan *plan;
    const wg_partition *part;
    int64_t largest, bytes; /* bytes: what the plan takes as it stands */
    int *writer;            /* by slot: the step that writes it, -1 */
    bool *behind, *before;  /* by step: needs the bundle; is needed by the candidate */
    wg_step *was;           /* the steps before a move */
    int64_t budget;         /* steps that may still be looked at: plans can be very long */
} bundler;

/* Two words that many steps write in any order tie nobody. */
static bool ties(const wg_plan *plan, int slot) { return slot != plan->trap_slot; }

static void find_writers(bundler *b) {
    for (int i = 0; i < b->plan->nslots; i++) {
        b->writer[i] = -1;
    }
    for (int i = 0; i < b->plan->nsteps; i++) {
        const wg_lowered *l = &b->plan->steps[i].l;
        for (int k = 0; k < l->nbuffers; k++) {
            if (l->buffers[k].written && ties(b->plan, l->buffers[k].slot)) {
                b->writer[l->buffers[k].slot] = i;
            }
        }
    }
}

/* Marks which of the steps `from` to `last` need the bundle of `count` at `first`; those before `from` are marked. */
static void mark_behind(bundler *b, int first, int count, int from, int last) {
    for (int i = from; i <= last; i++) {
        const wg_lowered *l = &b->plan->steps[i].l;
        b->behind[i] = i < first + count;
        for (int k = 0; k < l->nbuffers && !b->behind[i]; k++) {
            int w = l->buffers[k].written ? -1 : b->writer[l->buffers[k].slot];
            b->behind[i] = w >= first && b->behind[w];
        }
    }
}

/* Marks which steps from `first` on the step `last` needs. */
static void mark_before(bundler *b, int first, int last) {
    memset(b->before + first, 0, (size_t)(last - first + 1) * sizeof *b->before);
    b->before[last] = true;
    for (int i = last; i >= first; i--) {
        const wg_lowered *l = &b->plan->steps[i].l;
        for (int k = 0; b->before[i] && k < l->nbuffers; k++) {
            int w = l->buffers[k].written ? -1 : b->writer[l->buffers[k].slot];
            if (w >= first) {
                b->before[w] = true;
            }
        }
    }
}

/* Puts step j right behind the bundle at `first`, and the steps between them before or after: as early as they can, or
 * (late) as few of them after it as can be. Bundles between them stay whole, or the move is refused. */
static bool rearrange(bundler *b, int first, int count, int j, bool late) {
    wg_step *steps = b->plan->steps;
    int at = first;
    for (int i = first + count; i < j; i++) {
        bool ahead = late ? !b->behind[i] : b->before[i];
        if (i > first + count && steps[i].bundle == 0) {
            bool leader_ahead = late ? !b->behind[i - 1] : b->before[i - 1];
            if (ahead != leader_ahead) {
                return false;
            }
        }
    }
    memcpy(b->was, steps, (size_t)b->plan->nsteps * sizeof *steps);
    for (int i = first + count; i < j; i++) {
        if (late ? !b->behind[i] : b->before[i]) {
            steps[at++] = b->was[i];
        }
    }
    steps[at] = b->was[first];
    steps[at].bundle = count + 1;
    for (int i = 1; i < count; i++) {
        steps[at + i] = b->was[first + i];
    }
    at += count;
    steps[at] = b->was[j];
    steps[at++].bundle = 0;
    for (int i = first + count; i < j; i++) {
        if (late ? b->behind[i] : !b->before[i]) {
            steps[at++] = b->was[i];
        }
    }
    return true;
}

/* 1: done; 0: memory would grow, and all is as before; -1: no memory. */
static int try_move(bundler *b, int first, int count, int j, bool late) {
    b->budget -= 16 * (int64_t)b->plan->nsteps;
    if (b->budget <= 0 || !rearrange(b, first, count, j, late)) {
        return 0;
    }
    if (!wg_plan_memory(b->plan, b->part, b->largest)) {
        return -1;
    }
    int64_t bytes = wg_plan_bytes(b->plan);
    if (bytes > b->bytes) {
        memcpy(b->plan->steps, b->was, (size_t)b->plan->nsteps * sizeof *b->was);
        return 0;
    }
    b->bytes = bytes;
    find_writers(b);
    return 1;
}

/* Gathers steps for the bundle that `first` begins. Returns where it begins then; -1 if there is no memory. */
static int gather(bundler *b, int first) {
    int count = 1, marked = first;
    for (int j = first + 1; j < b->plan->nsteps && b->budget > 0; j++) {
        const wg_step *lead = &b->plan->steps[first], *s = &b->plan->steps[j];
        b->budget--;
        if (s->bundle != 1 || !can_share(s) || !alike(&lead->l, &s->l)) {
            continue;
        }
        mark_behind(b, first, count, marked, j);
        b->budget -= j - marked;
        marked = j + 1;
        if (b->behind[j]) {
            continue;
        }
        mark_before(b, first, j);
        b->budget -= j - first;
        int moved = try_move(b, first, count, j, false);
        moved = moved == 0 && j > first + count ? try_move(b, first, count, j, true) : moved;
        if (moved < 0) {
            return -1;
        }
        if (moved > 0) {
            count++;
            while (b->plan->steps[first].bundle != count) {
                first++;
            }
            marked = first;
        }
    }
    return first;
}

static bool bundle_all(bundler *b) {
    find_writers(b);
    b->bytes = wg_plan_bytes(b->plan);
    for (int i = 0; i < b->plan->nsteps;) {
        const wg_step *s = &b->plan->steps[i];
        int at = s->bundle == 1 && can_share(s) ? gather(b, i) : i;
        if (at < 0) {
            return false;
        }
        i = at == i ? i + b->plan->steps[i].bundle : i; /* something else came to stand here */
    }
    return wg_plan_memory(b->plan, b->part, b->largest);
}

bool wg_plan_bundle(wg_plan *plan, const wg_partition *part, int64_t largest) {
    size_t n = (size_t)plan->nsteps + 1;
    bundler b = {.plan = plan,
                 .part = part,
                 .largest = largest,
                 .writer = wg_mem_alloc((size_t)plan->nslots * sizeof *b.writer),
                 .behind = wg_mem_alloc(n * sizeof *b.behind),
                 .before = wg_mem_alloc(n * sizeof *b.before),
                 .was = wg_mem_alloc(n * sizeof *b.was),
                 .budget = 1 << 20};
    bool ok = b.writer && b.behind && b.before && b.was && bundle_all(&b);
    wg_mem_free(b.writer);
    wg_mem_free(b.behind);
    wg_mem_free(b.before);
    wg_mem_free(b.was);
    return ok;
}
