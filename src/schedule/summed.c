/* What else is done with the operand of a reduction. */
#include "schedule/summed.h"

#include "schedule/geometry.h"
#include "schedule/place.h"
#include "schedule/prologue.h"

/* How far behind a reduction a copy may be: it is made earlier than it would be. */
enum { NEAR = 32 };

/* A matrix whose rows lie one after the other in a task's bytes is walked down its columns by a product. */
static void find_operand(wg_partition *p, int task, int k) {
    const wg_task *t = &p->problem->tasks[task];
    int ref = t->in[k].ref;
    wg_view w;
    if (ref < 0 || wg_product_apart(p, task) || !wg_operand_view(p->problem, t, k, &w)) {
        return;
    }
    int down = w.shape.rank - 1 - (k == 1), across = w.shape.rank - 1 - (k == 0);
    int64_t rows = w.shape.dim[down], columns = w.shape.dim[across];
    bool whole = w.offset == 0 && rows * columns == wg_numel_of(p->problem->tasks[ref].node->shape);
    if (whole && w.stride[across] == 1 && w.stride[down] == columns) {
        p->places[ref].walked = rows;
    }
}

void wg_summed_find(wg_partition *p) {
    for (size_t i = 0; p->limit > 0 && i < p->problem->ntasks; i++) {
        for (int k = 0; k < 2 && p->problem->tasks[i].node->op->kind == WG_OP_MATMUL; k++) {
            find_operand(p, (int)i, k);
        }
    }
}

bool wg_summed_by_product(const wg_partition *p, const wg_task *t, int ref) {
    const wg_shape *shape = t->node->in[0]->shape;
    uint32_t mask = (uint32_t)t->node->attr[0];
    int64_t reduced = 1;
    bool kept = false, outer = true; /* the reduced dims come before those that are kept */
    for (int d = 0; d < shape->rank; d++) {
        bool r = mask >> d & 1;
        reduced *= r ? shape->dim[d] : 1;
        outer = outer && !(r && kept && shape->dim[d] != 1);
        kept = kept || (!r && shape->dim[d] != 1);
    }
    return ref >= 0 && t->node->op->reduce == WG_P_RSUM && outer && p->places[ref].walked == reduced;
}

int wg_summed_copy(const wg_partition *p, int task) {
    const wg_operand *o = &p->problem->tasks[task].in[0];
    for (size_t i = (size_t)task + 1; i < p->problem->ntasks && i < (size_t)task + NEAR; i++) {
        const wg_task *c = &p->problem->tasks[i];
        if (c->node->op->copies && c->in[0].ref == o->ref && c->in[0].view == o->view) {
            return (int)i;
        }
    }
    return -1;
}
