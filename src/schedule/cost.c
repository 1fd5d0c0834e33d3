/* What a step moves and computes. */
#include "schedule/cost.h"

#include "schedule/share.h"
#include "tensor/dtype.h"

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t value_of(const wg_lowered *l, int param) { return param < 0 ? 0 : l->params[param].value; }

/* ---- elements of a buffer ----------------------------------------------------------------------------------------------- */

/* A set of elements: how many, and the first and last that can be among them. */
typedef struct span {
    int64_t elems, low, high;
} span;

static const span nothing = {0, INT64_MAX, INT64_MIN};

static span at(int64_t offset) { return (span){1, offset, offset}; }

/* The set repeated `size` times, `stride` elements apart. */
static void repeat(span *s, int64_t size, int64_t stride) {
    if (stride != 0) {
        s->elems *= size;
        *(stride > 0 ? &s->high : &s->low) += stride * (size - 1);
        s->elems = smaller(s->elems, s->high - s->low + 1);
    }
}

static void join(span *s, span other) {
    s->low = smaller(s->low, other.low);
    s->high = s->high > other.high ? s->high : other.high;
    s->elems = smaller(s->elems + other.elems, s->high - s->low + 1);
}

/* ---- loops ---------------------------------------------------------------------------------------------------------------- */

/* The stride along the axis that lanes lie on is in no parameter when it is 1. */
static int64_t stride_of(const wg_lowered *l, const wg_access *a, int param, bool lanes) {
    return param >= 0 ? value_of(l, param) : lanes && a->lane == WG_LANE_NEXT ? 1 : 0;
}

static span span_of(const wg_lowered *l, const wg_access *a) {
    const wg_loop *loop = &l->loop;
    bool rows = loop->mode == WG_LOOP_ROWS;
    span s = at(value_of(l, a->offset));
    int64_t first = 0;
    for (int i = loop->nreduced - 1; i >= 0; i--) {
        first = stride_of(l, a, a->reduced[i], rows && i == loop->nreduced - 1);
        repeat(&s, value_of(l, loop->reduced_size[i]), first);
    }
    for (int i = loop->nkept - 1; i >= 0; i--) {
        /* Where a long reduction is split, axis 0 numbers pieces of what the first reduced axis walks as a whole. */
        if (i > 0 || loop->chunk < 0 || first == 0) {
            repeat(&s, value_of(l, loop->kept_size[i]), stride_of(l, a, a->kept[i], !rows && i == loop->nkept - 1));
        }
    }
    return s;
}

/* How often an instruction of each level is carried out. */
static void count_points(const wg_lowered *l, int64_t points[3]) {
    const wg_loop *loop = &l->loop;
    int64_t kept = 1, reduced = 1, pieces = loop->chunk < 0 ? 1 : value_of(l, loop->kept_size[0]);
    for (int i = 0; i < loop->nkept; i++) {
        kept *= value_of(l, loop->kept_size[i]);
    }
    for (int i = 0; i < loop->nreduced; i++) {
        reduced *= value_of(l, loop->reduced_size[i]);
    }
    points[WG_LEVEL_ONE] = 1;
    points[WG_LEVEL_KEPT] = kept;
    points[WG_LEVEL_ELEM] = kept / (pieces ? pieces : 1) * reduced;
}

static bool is_arithmetic(const wg_loop *loop, const wg_inst *in) {
    if (in->prim >= WG_P_RSUM && in->prim <= WG_P_RARGMAX) {
        return wg_dtype_is_float((wg_dtype)loop->inst[in->a].dtype);
    }
    return in->prim >= WG_P_ADD && in->prim <= WG_P_ERF && wg_dtype_is_float((wg_dtype)in->dtype);
}

/* ---- steps ---------------------------------------------------------------------------------------------------------------- */

static int64_t whole(const wg_plan *plan, const wg_step *s, int buffer) {
    return plan->slots[s->l.buffers[buffer].slot].elems;
}

static void count_loop(const wg_plan *plan, const wg_step *s, const wg_lowered *l, span *read, span *written,
                       int64_t *flops) {
    const wg_loop *loop = &l->loop;
    int64_t points[3];
    count_points(l, points);
    for (int i = 0; i < loop->ninsts; i++) {
        const wg_inst *in = &loop->inst[i];
        bool reduction = in->prim >= WG_P_RSUM && in->prim <= WG_P_RARGMAX;
        if (!reduction && l == &s->l && wg_sum_leaves_out(s, in)) {
            continue;
        }
        if (in->prim == WG_P_LOAD) {
            const wg_access *a = &loop->access[in->access];
            int64_t all = whole(plan, s, a->buffer);
            /* An index leads anywhere in the buffer. */
            join(&read[a->buffer], in->a < 0 ? span_of(l, a) : (span){points[in->level], 0, all - 1});
        } else if (is_arithmetic(loop, in)) {
            *flops += points[reduction ? WG_LEVEL_ELEM : in->level];
        }
    }
    for (int i = 0; i < loop->nstores; i++) {
        const wg_access *a = &loop->access[loop->store[i].access];
        join(&written[a->buffer], span_of(l, a));
    }
}

static void count_product(const wg_lowered *l, const wg_product *m, span *read, int64_t *flops) {
    span a = at(m->a_offset), b = at(m->b_offset);
    int64_t batch = 1;
    repeat(&a, m->m, m->a_row);
    repeat(&a, m->k, m->a_col);
    repeat(&b, m->k, m->b_row);
    repeat(&b, m->n, m->b_col);
    for (int i = 0; i < m->rank; i++) {
        repeat(&a, m->batch[i], m->a_batch[i]);
        repeat(&b, m->batch[i], m->b_batch[i]);
        batch *= m->batch[i];
    }
    if (!wg_makes_operand(l, 0)) {
        join(&read[l->operand[0]], a);
    }
    if (!wg_makes_operand(l, 1)) {
        join(&read[l->operand[1]], b);
    }
    if (wg_dtype_is_float((wg_dtype)l->loop.inst[0].dtype)) {
        *flops += 2 * batch * m->m * m->n * m->k;
    }
}

static void count_scatter(const wg_step *s, span *read, span *written, int64_t *flops) {
    const wg_scatter *c = &s->scatter;
    int64_t out = c->outer * c->n * c->inner, src = c->outer * c->count * c->inner;
    const int64_t elems[] = {out, c->count, src};
    for (int i = 0; i < 3; i++) {
        read[i] = (span){elems[i], c->offset[i], c->offset[i] + elems[i] - 1};
    }
    written[3] = (span){out, 0, out - 1};
    *flops += wg_dtype_is_float((wg_dtype)s->l.buffers[3].dtype) ? src : 0;
}

static wg_cost count_step(const wg_plan *plan, const wg_step *s) {
    wg_cost cost = {0};
    span read[WG_MAX_BUFFERS], written[WG_MAX_BUFFERS];
    for (int b = 0; b < WG_MAX_BUFFERS; b++) {
        read[b] = written[b] = nothing;
    }
    if (s->l.results == 0) {
        return cost;
    }
    if (s->kind == WG_GROUP_SCATTER) {
        count_scatter(s, read, written, &cost.flops);
    } else {
        count_loop(plan, s, &s->l, read, written, &cost.flops);
    }
    for (int t = 0; s->kind == WG_GROUP_MATMUL && t <= s->l.nmore; t++) {
        const wg_lowered term = wg_lowered_term(&s->l, t);
        count_product(&term, t ? &s->l.more[t - 1].product : &s->product, read, &cost.flops);
        for (int k = 0; k < 2; k++) {
            if (wg_makes_operand(&term, k)) {
                const wg_lowered made = wg_operand_loop(&term, k);
                count_loop(plan, s, &made, read, written, &cost.flops);
            }
        }
    }
    for (int b = 0; b < s->l.nbuffers; b++) {
        int64_t size = (int64_t)wg_dtype_size((wg_dtype)s->l.buffers[b].dtype), all = whole(plan, s, b);
        cost.read += size * smaller(read[b].elems, all);
        cost.written += size * smaller(written[b].elems, all);
    }
    return cost;
}

static void add(wg_cost *sum, const wg_cost *c) {
    sum->read += c->read;
    sum->written += c->written;
    sum->flops += c->flops;
}

void wg_plan_count(wg_plan *plan) {
    plan->cost = (wg_cost){0};
    for (int i = 0; i < plan->nsteps; i++) {
        plan->steps[i].cost = count_step(plan, &plan->steps[i]);
        add(&plan->cost, &plan->steps[i].cost);
    }
}

wg_cost wg_plan_launch_cost(const wg_plan *plan, int step) {
    wg_cost sum = {0};
    for (int i = step; i < step + plan->steps[step].bundle; i++) {
        add(&sum, &plan->steps[i].cost);
    }
    return sum;
}
