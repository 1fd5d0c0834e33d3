/* What a recorded run of a step leaves behind, so that its plan can run again. */
#include "api/replay.h"

#include "base/alloc.h"
#include "graph/intern.h"
#include "graph/op.h"

#include <string.h>

/* ---- the plan --------------------------------------------------------------------------------------------------------- */

static void *copy(const void *from, size_t bytes) {
    void *to = wg_mem_alloc(bytes + 1);
    if (to && bytes > 0) {
        memcpy(to, from, bytes);
    }
    return to;
}

/* Nodes go with the run: their numbers stay. Shapes that the plan's messages name are held. */
static void note(wg_capture *c, const wg_problem *p) {
    for (size_t i = 0; i < p->nleaves; i++) {
        c->leaf_id[i] = p->leaves[i].node->id;
        c->p.leaves[i].node = NULL;
    }
    for (size_t i = 0; i < p->ntasks; i++) {
        const wg_node *n = p->tasks[i].node;
        c->task_id[i] = n->id;
        c->p.tasks[i].node = NULL;
        c->cells[i] = n->cell;
        c->draws[i] = n->op->draws;
        if (n->nin > 0) {
            wg_interned_of(n->in[0]->shape)->refs++;
            c->shapes[c->nshapes++] = n->in[0]->shape;
        }
    }
}

void wg_capture_plan(wg_capture *c, const wg_problem *p) {
    if (c->plans++ > 0) {
        c->unfit = true;
        return;
    }
    size_t n = p->ntasks;
    c->p = *p;
    c->p.tasks = copy(p->tasks, n * sizeof *p->tasks);
    c->p.leaves = copy(p->leaves, p->nleaves * sizeof *p->leaves);
    c->p.scalars = copy(p->scalars, n * WG_MAX_SCALAR * sizeof *p->scalars);
    c->p.key = copy(p->key, p->nkey * sizeof *p->key);
    c->leaf_id = wg_mem_alloc((p->nleaves + 1) * sizeof *c->leaf_id);
    c->task_id = wg_mem_alloc(n * sizeof *c->task_id);
    c->cells = wg_mem_alloc(n * sizeof *c->cells);
    c->draws = wg_mem_alloc(n * sizeof *c->draws);
    c->shapes = wg_mem_alloc(n * sizeof *c->shapes);
    c->leaf = wg_mem_zalloc((p->nleaves + 1) * sizeof *c->leaf);
    c->kept = wg_mem_zalloc(n * sizeof *c->kept);
    if (c->p.tasks && c->p.leaves && c->p.scalars && c->p.key && c->leaf_id && c->task_id && c->cells && c->draws &&
        c->shapes && c->leaf && c->kept) {
        note(c, p);
    } else {
        c->p.ntasks = c->p.nleaves = 0;
        c->unfit = true;
    }
}

/* ---- where values stand ----------------------------------------------------------------------------------------------- */

static wg_stand stand_of(wg_tensor *t, bool grad) {
    wg_stand s = {.t = t, .output = -1, .grad = grad};
    const wg_node *n = wg_stand_node(&s);
    s.had_grad = t->leaf && t->leaf->grad;
    s.leaf = t->leaf;
    s.view = wg_intern_id(n->view);
    const wg_node *base = wg_base_of((wg_node *)n);
    s.base_id = base->id;
    s.base_shape = wg_intern_id(base->shape);
    s.refs = n->refs;
    s.base_refs = base->refs;
    s.shape = *n->shape;
    s.dtype = n->dtype;
    s.flags = n->flags & WG_NODE_GRAD;
    return s;
}

bool wg_stand_holds(const wg_stand *s) {
    const wg_node *n = wg_stand_node(s), *base = n ? wg_base_of((wg_node *)n) : NULL;
    return base && base->value && !(base->flags & WG_NODE_LOST) && s->leaf == s->t->leaf &&
           (!s->leaf || s->leaf->hooks.count == 0) && s->had_grad == (s->t->leaf && s->t->leaf->grad) &&
           s->view == wg_intern_id(n->view) && s->base_shape == wg_intern_id(base->shape) && s->refs == n->refs &&
           s->base_refs == base->refs && s->dtype == n->dtype && s->flags == (n->flags & WG_NODE_GRAD) &&
           s->shape.rank == n->shape->rank && memcmp(s->shape.dim, n->shape->dim, sizeof s->shape.dim) == 0;
}

static size_t each_tensor(wg_ctx *ctx, wg_stand *out) {
    size_t n = 0;
    for (size_t i = 0; i < ctx->graph.nscopes; i++) {
        wg_tensor *lists[] = {ctx->graph.scopes[i].tensors, ctx->graph.scopes[i].kept};
        for (int k = 0; k < 2; k++) {
            for (wg_tensor *t = lists[k]; t; t = t->next) {
                for (int grad = 0; grad < (t->leaf && t->leaf->grad ? 2 : 1); grad++, n++) {
                    if (out) {
                        out[n] = stand_of(t, grad);
                    }
                }
            }
        }
    }
    return n;
}

wg_stand *wg_capture_stands(wg_ctx *ctx, size_t *n, bool *unfit) {
    *n = each_tensor(ctx, NULL);
    wg_stand *out = wg_mem_alloc((*n + 1) * sizeof *out);
    if (out) {
        each_tensor(ctx, out);
    } else {
        *unfit = true;
    }
    return out;
}

/* The one stand on a base; NULL if there is none, or more than one. */
static const wg_stand *only_on(const wg_stand *s, size_t n, uint64_t base) {
    const wg_stand *found = NULL;
    for (size_t i = 0; i < n; i++) {
        if (s[i].base_id == base) {
            if (found) {
                return NULL;
            }
            found = &s[i];
        }
    }
    return found;
}

static const wg_stand *same_tensor(const wg_stand *s, size_t n, const wg_stand *of) {
    for (size_t i = 0; i < n; i++) {
        if (s[i].t == of->t && s[i].grad == of->grad) {
            return &s[i];
        }
    }
    return NULL;
}

/* Where the leaves came from: each from one tensor, which is still there and has a gradient now if it had one then. What
 * it holds now may be another value, with as many references. */
static bool bind_leaves(wg_capture *c, const wg_stand *before, size_t n, const wg_stand *after, size_t nafter) {
    for (size_t i = 0; i < c->p.nleaves; i++) {
        const wg_stand *was = only_on(before, n, c->leaf_id[i]);
        const wg_stand *is = was ? same_tensor(after, nafter, was) : NULL;
        if (!is || is->had_grad != was->had_grad || is->leaf != was->leaf) {
            return false;
        }
        c->leaf[i] = *was;
        c->leaf[i].base_refs = is->base_refs;
        c->leaf[i].refs = is->refs;
    }
    return true;
}

/* Where kept values stand now: each in one tensor that was there before, or in one output, and held by nobody else. */
static bool bind_kept(wg_capture *c, const wg_stand *before, size_t n, const wg_stand *after, size_t nafter,
                      wg_tensor *const *outputs, size_t noutputs) {
    for (size_t i = 0; i < c->p.ntasks; i++) {
        if (!c->p.tasks[i].keep) {
            continue;
        }
        const wg_stand *is = only_on(after, nafter, c->task_id[i]);
        if (!is) {
            return false;
        }
        c->kept[i] = *is;
        for (size_t k = 0; k < noutputs; k++) {
            c->kept[i].output = outputs[k] == is->t && !is->grad ? (int)k : c->kept[i].output;
        }
        bool sole = is->base_refs == 1 && is->refs == 1;
        const wg_stand *was = c->kept[i].output < 0 ? same_tensor(before, n, is) : NULL;
        if (!sole || (c->kept[i].output < 0 && (!was || was->had_grad != is->had_grad))) {
            return false;
        }
    }
    return true;
}

void wg_capture_bind(wg_ctx *ctx, wg_capture *c, const wg_stand *before, size_t n, wg_tensor *const *outputs,
                     size_t noutputs) {
    size_t nafter = 0;
    wg_stand *after = c->unfit || c->plans != 1 ? NULL : wg_capture_stands(ctx, &nafter, &c->unfit);
    c->unfit = c->unfit || !after || !bind_leaves(c, before, n, after, nafter) ||
               !bind_kept(c, before, n, after, nafter, outputs, noutputs);
    wg_mem_free(after);
}

/* ---- two runs --------------------------------------------------------------------------------------------------------- */

static bool same_stand(const wg_stand *a, const wg_stand *b) {
    return a->output == b->output && (a->output >= 0 || (a->t == b->t && a->grad == b->grad));
}

/* Scalars may differ where their source is known. */
static bool same_scalars(const wg_capture *a, const wg_capture *b, size_t task) {
    const double *x = a->p.scalars + task * WG_MAX_SCALAR, *y = b->p.scalars + task * WG_MAX_SCALAR;
    if (a->draws[task] != b->draws[task] || a->cells[task] != b->cells[task]) {
        return false;
    }
    if (a->draws[task]) {
        return x[0] - (double)a->random == y[0] - (double)b->random;
    }
    size_t from = a->cells[task] ? 1 : 0;
    return memcmp(x + from, y + from, (WG_MAX_SCALAR - from) * sizeof *x) == 0;
}

bool wg_capture_same(const wg_capture *a, const wg_capture *b) {
    bool same = !a->unfit && !b->unfit && a->plans == 1 && b->plans == 1 && a->p.nkey == b->p.nkey &&
                memcmp(a->p.key, b->p.key, a->p.nkey * sizeof *a->p.key) == 0 && a->nparts == b->nparts &&
                a->nrandom == b->nrandom && a->no_grad == b->no_grad;
    for (size_t i = 0; same && i < a->nparts; i++) {
        same = a->parts[i].user == b->parts[i].user && a->state[i] == b->state[i];
    }
    for (size_t i = 0; same && i < a->p.nleaves; i++) {
        same = same_stand(&a->leaf[i], &b->leaf[i]);
    }
    for (size_t i = 0; same && i < a->p.ntasks; i++) {
        same = same_scalars(a, b, i) && (!a->p.tasks[i].keep || same_stand(&a->kept[i], &b->kept[i]));
    }
    return same;
}

void wg_capture_drop(wg_capture *c) {
    for (size_t i = 0; i < c->nshapes; i++) {
        wg_interned_of(c->shapes[i])->refs--;
    }
    wg_problem_free(&c->p);
    wg_mem_free(c->leaf_id);
    wg_mem_free(c->task_id);
    wg_mem_free(c->cells);
    wg_mem_free(c->draws);
    wg_mem_free(c->shapes);
    wg_mem_free(c->leaf);
    wg_mem_free(c->kept);
    wg_mem_free(c->parts);
    wg_mem_free(c->state);
    *c = (wg_capture){0};
}
