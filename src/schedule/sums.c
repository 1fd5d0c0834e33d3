/*
 * Sums behind products: a reduction over the axis that a product sums over, of what it has at hand anyway. The gradient of a
 * linear layer's bias is such a one, beside the gradient of its weight.
 */
#include "schedule/mover.h"
#include "schedule/terms.h"
#include "tensor/dtype.h"

#include <string.h>

bool wg_step_touches(const wg_step *s, int buffer) {
    const wg_loop *loop = &s->l.loop;
    bool touches = !wg_step_is_sum(s) || s->l.buffers[buffer].written;
    for (int i = 0; i < loop->ninsts && !touches; i++) {
        const wg_inst *in = &loop->inst[i];
        touches = in->prim == WG_P_LOAD && loop->access[in->access].buffer == buffer && !wg_sum_leaves_out(s, in);
    }
    return touches;
}

/* ---- where values lie ------------------------------------------------------------------------------------------------- */

static int64_t value_of(const wg_lowered *l, int param) { return param < 0 ? 0 : l->params[param].value; }

/* Where the elements of an operand lie: one more along the product's sum, one more across it. */
typedef struct where {
    int slot;
    int64_t offset, along, across;
} where;

static bool same_place(const where *a, const where *b) {
    return a->slot == b->slot && a->offset == b->offset && a->along == b->along && a->across == b->across;
}

/* The step along the axis that lanes lie on. */
static int64_t lane_step(const wg_lowered *l, const wg_access *a, int axis) {
    return a->kept[axis] >= 0 ? value_of(l, a->kept[axis]) : a->lane == WG_LANE_NEXT;
}

static where in_sum(const wg_lowered *l, const wg_access *a) {
    return (where){.slot = l->buffers[a->buffer].slot,
                   .offset = value_of(l, a->offset),
                   .along = value_of(l, a->reduced[0]),
                   .across = lane_step(l, a, l->loop.nkept - 1)};
}

static where in_operand(const wg_lowered *l, int k, const wg_access *a) {
    int last = l->make[k].nkept - 1;
    int64_t lanes = lane_step(l, a, last), lines = value_of(l, a->kept[last - 1]);
    return (where){.slot = l->buffers[a->buffer].slot,
                   .offset = value_of(l, a->offset),
                   .along = l->across[k] ? lines : lanes,
                   .across = l->across[k] ? lanes : lines};
}

static where of_product(const wg_step *s, int k) {
    const wg_product *m = &s->product;
    return (where){.slot = s->l.buffers[s->l.operand[k]].slot,
                   .offset = k == 0 ? m->a_offset : m->b_offset,
                   .along = k == 0 ? m->a_col : m->b_row,
                   .across = k == 0 ? m->a_row : m->b_col};
}

/* ---- what is summed --------------------------------------------------------------------------------------------------- */

static bool same_scalar(const wg_argument *a, const wg_argument *b) {
    return a->kind == b->kind && a->dtype == b->dtype && a->index == b->index && a->value == b->value;
}

/* Whether instruction i of a sum is what instruction j of the loop that makes a product's operand is. Operands are small: see
 * WG_PROLOGUE_CHEAP. */
static bool same_value(const wg_lowered *sum, int i, const wg_lowered *product, int k, int j) {
    const wg_inst *a = &sum->loop.inst[i], *b = &product->make[k].inst[j];
    if (a->prim != b->prim || a->dtype != b->dtype || !wg_same_number(a->value, b->value)) {
        return false;
    }
    if (a->prim == WG_P_LOAD) {
        where x = in_sum(sum, &sum->loop.access[a->access]);
        where y = in_operand(product, k, &product->make[k].access[b->access]);
        return a->a < 0 && a->b < 0 && b->a < 0 && b->b < 0 && same_place(&x, &y);
    }
    if (a->prim == WG_P_SCALAR) {
        return same_scalar(&sum->params[a->param], &product->params[b->param]);
    }
    const int x[] = {a->a, a->b, a->c}, y[] = {b->a, b->b, b->c};
    bool same = a->prim == WG_P_CONST || (a->prim >= WG_P_ADD && a->prim <= WG_P_ROUND_BF16);
    for (int n = 0; n < 3 && same; n++) {
        same = x[n] < 0 || y[n] < 0 ? x[n] == y[n] : same_value(sum, x[n], product, k, y[n]);
    }
    return same;
}

/* The one sum of a step that could be taken along: over one axis, for results along another, nothing else in its loop. -1 if it
 * is none. */
static int sum_of(const wg_step *s) {
    const wg_loop *loop = &s->l.loop;
    int sum = -1, sums = 0;
    if (s->kind != WG_GROUP_LOOP || s->bundle != 1 || s->l.results == 0 || loop->mode != WG_LOOP_COLUMNS ||
        loop->nstages != 1 || loop->nreduced != 1 || loop->nkept != (loop->chunk < 0 ? 1 : 2)) {
        return -1;
    }
    for (int i = 0; i < loop->ninsts; i++) {
        bool reduction = loop->inst[i].prim >= WG_P_RSUM && loop->inst[i].prim <= WG_P_RARGMAX;
        sums += reduction;
        sum = loop->inst[i].prim == WG_P_RSUM ? i : sum;
    }
    for (int i = 0; i < loop->nstores; i++) {
        sums += loop->access[loop->store[i].access].by_row ? 0 : 2;
    }
    return sums == 1 ? sum : -1;
}

/* Whether a step's sum is one of operand k of a product, in which the pieces that a long one is made of end where tiles do. */
static bool sums_operand(const wg_step *s, int sum, const wg_step *product, int k) {
    const wg_lowered *l = &s->l, *p = &product->l;
    const wg_loop *loop = &l->loop;
    const wg_product *m = &product->product;
    const wg_inst *in = &loop->inst[loop->inst[sum].a];
    if (m->k == 0 || value_of(l, loop->reduced_size[0]) != m->k || value_of(l, loop->chunk) % WG_LANES != 0 ||
        value_of(l, loop->kept_size[loop->nkept - 1]) != (k == 0 ? m->m : m->n) || in->dtype != p->loop.inst[0].dtype) {
        return false;
    }
    if (wg_makes_operand(p, k)) {
        return same_value(l, loop->inst[sum].a, p, k, p->make[k].value);
    }
    where x = of_product(product, k);
    where y = in->prim == WG_P_LOAD ? in_sum(l, &loop->access[in->access]) : (where){.slot = -1};
    return in->a < 0 && in->b < 0 && same_place(&x, &y);
}

/* ---- which steps ------------------------------------------------------------------------------------------------------ */

static bool of_library(const wg_mover *m, const wg_step *product) {
    return m->limits->gemm_library && wg_dtype_is_float((wg_dtype)product->l.loop.inst[0].dtype);
}

/* Products that a library computes take nothing along, nor do those whose tiles are as wide as their rows. */
static bool can_take_along(const wg_mover *m, const wg_step *p) {
    return p->kind == WG_GROUP_MATMUL && p->bundle > 0 && p->l.results > 0 && p->l.nmore == 0 && p->product.rank == 0 &&
           p->l.loop.mode != WG_LOOP_ROWS && !of_library(m, p) &&
           !wg_product_fills_registers(m->form, (wg_dtype)p->l.loop.inst[0].dtype);
}

static bool takes_already(const wg_step *p, int k) {
    bool takes = false;
    for (int i = 1; i < p->bundle; i++) {
        takes = takes || p[i].operand == k;
    }
    return takes;
}

/* The arguments of all find room in a launch. */
static bool has_room(const wg_step *p, const wg_step *s) {
    int words = WG_PRODUCT_PARAMS + s->l.nparams + s->l.nbuffers, buffers = s->l.nbuffers;
    for (int i = 0; i < p->bundle; i++) {
        words += p[i].l.nparams + p[i].l.nbuffers;
        buffers += p[i].l.nbuffers;
    }
    return words <= WG_CHAIN_WORDS && buffers < WG_MAX_BUFFERS;
}

/* The operand of the product at p whose sum step s can be; -1 for neither. */
static int operand_for(const wg_mover *m, int s, int sum, int p) {
    const wg_step *steps = m->plan->steps;
    int operand = -1;
    for (int k = 0; k < 2 && operand < 0 && can_take_along(m, &steps[p]); k++) {
        bool taken = takes_already(&steps[p], k) || !sums_operand(&steps[s], sum, &steps[p], k);
        operand = taken ? -1 : k;
    }
    return operand >= 0 && has_room(&steps[p], &steps[s]) ? operand : -1;
}

/* ---- putting them there ----------------------------------------------------------------------------------------------- */

/* Whether a step of the launch at j needs that of `count` steps at `first`. */
static bool depends(wg_mover *m, int first, int count, int j) {
    int last = j + m->plan->steps[j].bundle - 1;
    bool needs = false;
    wg_mover_mark_behind(m, first, count, first, last);
    for (int i = j; i <= last; i++) {
        needs = needs || m->behind[i];
    }
    return needs;
}

/* Puts step s behind the product at p, which stays where it is among the others. 1: done, 0: it cannot be, -1: no memory. */
static int put_behind(wg_mover *m, int s, int p, int operand) {
    wg_step *steps = m->plan->steps;
    int first = s < p ? s : p, j = s < p ? p : s, count = steps[first].bundle, all = steps[p].bundle + 1;
    m->budget -= 2 * (int64_t)(j - first);
    if (depends(m, first, count, j)) {
        return 0;
    }
    wg_mover_mark_before(m, first, j);
    int moved = wg_mover_try(m, &first, count, j, s < p);
    if (moved <= 0) {
        return moved;
    }
    if (s < p) {
        const wg_step sum = steps[first];
        memmove(steps + first, steps + first + 1, (size_t)(all - 1) * sizeof *steps);
        steps[first + all - 1] = sum;
        steps[first].bundle = all;
        steps[first + all - 1].bundle = 0;
        wg_mover_renew(m);
    }
    steps[first].part = WG_PART_MAIN;
    steps[first + all - 1].part = WG_PART_SUM;
    steps[first + all - 1].operand = operand;
    return 1;
}

/* Puts step s behind the first product that takes it along. */
static int take_along(wg_mover *m, int s) {
    int sum = sum_of(&m->plan->steps[s]), moved = 0;
    for (int p = 0; sum >= 0 && p < m->plan->nsteps && m->budget > 0 && moved == 0; p++) {
        int operand = operand_for(m, s, sum, p);
        m->budget--;
        moved = operand < 0 ? 0 : put_behind(m, s, p, operand);
    }
    return moved;
}

bool wg_sums_all(wg_mover *m) {
    int moved = 0;
    for (int s = 0; s < m->plan->nsteps && moved >= 0; s += moved == 0) { /* else something else came to stand here */
        moved = take_along(m, s);
    }
    return moved >= 0;
}
