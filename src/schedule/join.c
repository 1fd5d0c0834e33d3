/* What joins there are in a problem, and of which parts they are made. */
#include "schedule/join.h"

#include "base/alloc.h"
#include "schedule/geometry.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

/* ---- which ops join ----------------------------------------------------------------------------------------------------- */

static const wg_op *op_of(const wg_problem *p, int task) { return p->tasks[task].node->op; }

/* Whether an operand is a step of the join that reads it: nobody else wants its value. */
static bool is_step(const wg_problem *p, const wg_joins *j, int ref) {
    return ref >= 0 && j->joins[ref] && j->uses[ref] == 1 && !p->tasks[ref].keep;
}

static bool is_zeros(const wg_problem *p, int ref) { return ref >= 0 && op_of(p, ref)->zeros; }

/* An operand that is 0 where no part of it lies. */
static bool adds_nothing_else(const wg_problem *p, const wg_joins *j, int ref) {
    return is_zeros(p, ref) || is_step(p, j, ref);
}

static bool joins(const wg_problem *p, const wg_joins *j, int task) {
    const wg_task *t = &p->tasks[task];
    const wg_op *op = t->node->op;
    wg_section s;
    bool ok = op->slice || op->sums || op->copies;
    for (int k = 0; ok && k < t->node->nin; k++) {
        bool placed = op->slice && op->slice(t->node, k, &s);
        ok = placed || (op->copies ? is_step(p, j, t->in[k].ref) : adds_nothing_else(p, j, t->in[k].ref));
    }
    return ok;
}

bool wg_joins_find(const wg_problem *p, wg_joins *out) {
    *out = (wg_joins){.uses = wg_mem_zalloc(p->ntasks * sizeof *out->uses),
                      .joins = wg_mem_zalloc(p->ntasks * sizeof *out->joins),
                      .root = wg_mem_zalloc(p->ntasks * sizeof *out->root),
                      .chosen = wg_mem_zalloc(p->ntasks * sizeof *out->chosen)};
    if (!out->uses || !out->joins || !out->root || !out->chosen) {
        return false;
    }
    for (size_t i = 0; i < p->ntasks; i++) {
        for (int k = 0; k < p->tasks[i].node->nin; k++) {
            int ref = p->tasks[i].in[k].ref;
            out->uses[ref < 0 ? 0 : ref] += ref >= 0;
        }
    }
    for (size_t i = 0; i < p->ntasks; i++) {
        out->joins[i] = joins(p, out, (int)i);
    }
    return true;
}

void wg_joins_free(wg_joins *j) {
    wg_mem_free(j->uses);
    wg_mem_free(j->joins);
    wg_mem_free(j->root);
    wg_mem_free(j->chosen);
    *j = (wg_joins){0};
}

/* ---- parts -------------------------------------------------------------------------------------------------------------- */

/* A step still to be looked into: where its elements lie in the joined bytes. */
typedef struct step {
    int task;
    bool summed;
    wg_view at;
} step;

typedef struct walk {
    const wg_problem *p;
    const wg_joins *joins;
    int root, *note;
    wg_join *out;
    step todo[WG_JOIN_PARTS];
    int count;
} walk;

/* Operand k of a step, which lies at `at`. False if the join cannot be described. */
static bool take_operand(walk *w, int task, int k, const wg_view *at, bool summed) {
    const wg_problem *p = w->p;
    const wg_task *t = &p->tasks[task];
    int ref = t->in[k].ref;
    const wg_node *n = ref < 0 ? p->leaves[~ref].node : p->tasks[ref].node;
    wg_join_part part = {
        .ref = ref, .step = task, .plus_zero = summed && wg_dtype_is_float((wg_dtype)n->dtype), .at = *at, .to = *at};
    wg_view own;
    if (n->dtype != p->tasks[w->root].node->dtype || !wg_operand_view(p, t, k, &part.from)) {
        return false;
    }
    part.whole = wg_view_inverse(&part.from, wg_shape_numel(*n->shape), &own) && wg_view_through(at, &own, &part.to);
    if (is_step(p, w->joins, ref)) {
        bool ok = part.whole && w->count < WG_JOIN_PARTS;
        if (ok) {
            w->todo[w->count++] = (step){ref, summed, part.to};
        }
        return ok;
    }
    if (w->out->nparts == WG_JOIN_PARTS) {
        return false;
    }
    w->out->part[w->out->nparts++] = part;
    return true;
}

static bool take_step(walk *w, const step *s) {
    const wg_task *t = &w->p->tasks[s->task];
    const wg_op *op = t->node->op;
    const wg_view whole = wg_view_contiguous(t->node->shape);
    bool ok = true;
    if (w->note) {
        w->note[s->task] = w->root + 1;
    }
    for (int k = 0; ok && k < t->node->nin; k++) {
        wg_section c;
        if (op->slice && op->slice(t->node, k, &c)) {
            int64_t count = t->node->in[k]->shape->dim[c.dim];
            wg_view slice, at;
            if (wg_shape_numel(*t->node->in[k]->shape) > 0) {
                slice = wg_view_slice(&whole, c.dim, c.start, count, c.step);
                ok = wg_view_through(&s->at, &slice, &at) && take_operand(w, s->task, k, &at, s->summed);
            }
        } else if (!is_zeros(w->p, t->in[k].ref)) {
            ok = take_operand(w, s->task, k, &s->at, s->summed || op->sums);
        }
    }
    return ok;
}

/* ---- no two of an element ------------------------------------------------------------------------------------------------ */

/* The coordinates of the joined value between which a part lies. */
typedef struct box {
    int64_t low[WG_MAX_RANK], high[WG_MAX_RANK];
} box;

/* Adds elements `stride` apart. False if they go on past a dim that they do not fill. */
static bool extend(box *b, const wg_view *whole, int64_t size, int64_t stride) {
    for (int d = 0; d < whole->shape.rank && size > 1; d++) {
        if (whole->shape.dim[d] == 1 || whole->stride[d] > stride) {
            continue;
        }
        if (stride % whole->stride[d] != 0) {
            return false;
        }
        int64_t last = b->high[d] + stride / whole->stride[d] * (size - 1);
        if (last < whole->shape.dim[d]) {
            b->high[d] = last;
            return true;
        }
        /* Dims that it fills, and goes on in the next one outside. */
        if (b->high[d] != 0 || stride != whole->stride[d] || size % whole->shape.dim[d] != 0) {
            return false;
        }
        b->high[d] = whole->shape.dim[d] - 1;
        size /= whole->shape.dim[d];
        stride *= whole->shape.dim[d];
        d = -1;
    }
    return size <= 1;
}

static bool box_of(const wg_view *whole, const wg_view *at, box *b) {
    int64_t rest = at->offset;
    *b = (box){{0}, {0}};
    for (int d = 0; d < whole->shape.rank; d++) {
        b->low[d] = b->high[d] = whole->shape.dim[d] == 1 ? 0 : rest / whole->stride[d];
        rest -= b->low[d] * whole->stride[d];
    }
    bool ok = true;
    for (int d = at->shape.rank - 1; ok && d >= 0; d--) {
        ok = at->stride[d] > 0 || at->shape.dim[d] == 1;
        ok = ok && extend(b, whole, at->shape.dim[d], at->stride[d]);
    }
    return ok;
}

static bool apart(const box *a, const box *b, int rank) {
    for (int d = 0; d < rank; d++) {
        if (a->high[d] < b->low[d] || b->high[d] < a->low[d]) {
            return true;
        }
    }
    return false;
}

/* Whether the parts cover every element once. */
static bool covers(const wg_shape *shape, const wg_join *j) {
    const wg_view whole = wg_view_contiguous(shape);
    box boxes[WG_JOIN_PARTS] = {0};
    int64_t elems = 0;
    for (int i = 0; i < j->nparts; i++) {
        elems += wg_numel_of(&j->part[i].at.shape);
        if (!box_of(&whole, &j->part[i].at, &boxes[i])) {
            return false;
        }
        for (int k = 0; k < i; k++) {
            if (!apart(&boxes[i], &boxes[k], shape->rank)) {
                return false;
            }
        }
    }
    return elems == wg_numel_of(shape);
}

bool wg_join_describe(const wg_problem *p, const wg_joins *j, int task, int *root, wg_join *out) {
    const wg_shape *shape = p->tasks[task].node->shape;
    walk w = {.p = p, .joins = j, .root = task, .note = root, .out = out, .count = 1};
    w.todo[0] = (step){task, false, wg_view_contiguous(shape)};
    out->nparts = 0;
    bool ok = wg_numel_of(shape) > 0;
    while (ok && w.count > 0) {
        const step s = w.todo[--w.count];
        ok = take_step(&w, &s);
    }
    return ok && out->nparts > 1 && covers(shape, out);
}
