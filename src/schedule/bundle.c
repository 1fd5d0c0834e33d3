/*
 * Bundles: steps whose kernels have one text, and none of which needs another, share a launch, so that updating a model's
 * parameters costs one launch and not one for each of them.
 */
#include "schedule/mover.h"

#include <string.h>

/* Tables of large kernels would be read for nothing; and on a GPU all that the table says of a buffer takes registers, where
 * a kernel for one set of tensors has it in its parameters. */
enum { BUFFER_LIMIT = 10 };

/* ---- steps of one text ------------------------------------------------------------------------------------------------ */

static bool same_ints(const int *a, const int *b, int n) { return memcmp(a, b, (size_t)n * sizeof *a) == 0; }

static bool same_inst(const wg_inst *a, const wg_inst *b) {
    return a->prim == b->prim && a->dtype == b->dtype && a->level == b->level && a->stage == b->stage &&
           a->uniform == b->uniform && a->a == b->a && a->b == b->b && a->c == b->c && a->access == b->access &&
           a->param == b->param && wg_same_number(a->value, b->value);
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

/* ---- bringing them together ------------------------------------------------------------------------------------------- */

/* Gathers steps for the bundle that `first` begins. Returns where it begins then; -1 if there is no memory. */
static int gather(wg_mover *m, int first) {
    int count = 1, marked = first;
    for (int j = first + 1; j < m->plan->nsteps && m->budget > 0; j++) {
        const wg_step *lead = &m->plan->steps[first], *s = &m->plan->steps[j];
        m->budget--;
        if (s->bundle != 1 || !can_share(s) || !alike(&lead->l, &s->l)) {
            continue;
        }
        wg_mover_mark_behind(m, first, count, marked, j);
        m->budget -= j - marked;
        marked = j + 1;
        if (m->behind[j]) {
            continue;
        }
        wg_mover_mark_before(m, first, j);
        m->budget -= j - first;
        int moved = wg_mover_join(m, &first, count, j);
        if (moved < 0) {
            return -1;
        }
        if (moved > 0) {
            count++;
            marked = first;
        }
    }
    return first;
}

bool wg_bundle_all(wg_mover *m) {
    for (int i = 0; i < m->plan->nsteps;) {
        const wg_step *s = &m->plan->steps[i];
        int at = s->bundle == 1 && can_share(s) ? gather(m, i) : i;
        if (at < 0) {
            return false;
        }
        i = at == i ? i + m->plan->steps[i].bundle : i; /* something else came to stand here */
    }
    return true;
}
