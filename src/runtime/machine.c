/* Instructions and loops of the interpreter. */
#include "runtime/machine.h"

#include "base/alloc.h"
#include "codegen/text.h"

#include <string.h>

_Static_assert((int)WG_WIDE == WG_LANES, "lanes are as wide as the kernels'");

/* ---- addresses ------------------------------------------------------------------------------------------------------ */

static int64_t lane_stride(const wg_machine *m, const wg_access *a) {
    const wg_loop *loop = m->loop;
    if (a->lane != WG_LANE_STRIDE) {
        return a->lane == WG_LANE_NEXT;
    }
    return m->p[m->on_rows ? a->reduced[loop->nreduced - 1] : a->kept[loop->nkept - 1]];
}

/* The elements that the lanes of an access stand at. */
static void locate(const wg_machine *m, int access, int64_t *at) {
    const wg_access *a = &m->loop->access[access];
    int64_t step = lane_stride(m, a), first = m->base[access] + m->i * step;
    for (int k = 0; k < m->loop->nreduced - (m->on_rows ? 1 : 0); k++) {
        first += a->reduced[k] >= 0 ? m->r[k] * m->p[a->reduced[k]] : 0;
    }
    for (int l = 0; l < WG_WIDE; l++) {
        at[l] = first + l * step;
    }
}

/* How many kept axes number the rows. */
static int row_axes(const wg_machine *m) { return m->loop->nkept - (m->on_rows ? 0 : 1); }

void wg_machine_enter_row(wg_machine *m, int64_t row) {
    const wg_loop *loop = m->loop;
    int axes = row_axes(m);
    int64_t k[WG_MAX_RANK + 1];
    for (int i = axes - 1; i > 0; i--) {
        k[i] = row % m->p[loop->kept_size[i]];
        row /= m->p[loop->kept_size[i]];
    }
    k[0] = row;
    for (int i = 0; i < loop->naccesses; i++) {
        const wg_access *a = &loop->access[i];
        m->base[i] = m->p[a->offset];
        for (int j = 0; j < axes; j++) {
            m->base[i] += a->kept[j] >= 0 ? k[j] * m->p[a->kept[j]] : 0;
        }
    }
    m->i = 0;
    m->size0 = loop->nreduced > 0 ? m->p[loop->reduced_size[0]] : 0;
    if (loop->chunk >= 0) {
        int64_t chunk = m->p[loop->chunk], left = m->size0 - k[0] * chunk;
        m->size0 = left < chunk ? left : chunk;
    }
}

/* ---- instructions --------------------------------------------------------------------------------------------------- */

static void load(const wg_machine *m, const wg_inst *in, wg_lanes *out) {
    const wg_access *a = &m->loop->access[in->access];
    int64_t at[WG_WIDE];
    int32_t on[WG_WIDE];
    bool same = a->lane == WG_LANE_SAME && in->a < 0 && in->b < 0;
    int n = in->uniform || same ? WG_WIDE : m->n;
    locate(m, in->access, at);
    for (int l = 0; l < WG_WIDE; l++) {
        on[l] = l < n && (in->b < 0 || m->x[in->b].i32[l]);
    }
    for (int l = 0; in->a >= 0 && l < WG_WIDE; l++) {
        at[l] += on[l] ? m->x[in->a].i64[l] * m->p[in->param] : 0;
    }
    wg_lanes_load((wg_dtype)m->l->buffers[a->buffer].dtype, m->mem[a->buffer], at, on, out);
}

static void apply(const wg_machine *m, const wg_inst *in, wg_lanes *out) {
    wg_prim prim = (wg_prim)in->prim;
    uint8_t from = m->loop->inst[prim == WG_P_SELECT ? in->b : in->a].dtype;
    const wg_lanes *a = &m->x[in->a], *b = in->b < 0 ? a : &m->x[in->b], *c = in->c < 0 ? a : &m->x[in->c];
    wg_lanes_apply(prim, (wg_dtype)from, (wg_dtype)in->dtype, a, b, c, out);
}

static void trap(const wg_machine *m, const wg_inst *in, wg_lanes *out) {
    int64_t *words = (int64_t *)(void *)m->mem[in->access] + m->p[in->param];
    *out = m->x[in->a];
    for (int l = 0; l < (in->uniform ? WG_WIDE : m->n); l++) {
        if (!out->i32[l]) {
            words[0] = m->p[in->param + 1];
            words[1] = m->p[in->param + 2];
        }
    }
}

/* Which of a loop's products an instruction stands for. */
static int term_of(const wg_lowered *l, int inst) {
    int t = l->nmore;
    while (t > 0 && l->more[t - 1].inst != inst) {
        t--;
    }
    return t;
}

static void run_inst(wg_machine *m, int inst) {
    const wg_inst *in = &m->loop->inst[inst];
    wg_lanes *out = &m->x[inst];
    wg_dtype dtype = (wg_dtype)in->dtype;
    switch ((wg_prim)in->prim) {
    case WG_P_LOAD:
        load(m, in, out);
        break;
    case WG_P_COORD:
        locate(m, in->access, out->i64);
        break;
    case WG_P_SCALAR:
        wg_lanes_scalar(dtype, m->p[in->param], out);
        break;
    case WG_P_CONST:
        wg_lanes_const(dtype, in->value, out);
        break;
    case WG_P_PRODUCT:
        *out = m->product[term_of(m->l, inst) * m->pieces + m->i / WG_WIDE];
        break;
    case WG_P_RANDOM:
        wg_lanes_random(dtype, &m->x[in->a], m->p[in->param], m->p[in->param + 1], out);
        break;
    case WG_P_TRAP:
        trap(m, in, out);
        break;
    default:
        apply(m, in, out);
    }
}

static void run_list(wg_machine *m, const int *list, int count) {
    for (int k = 0; k < count; k++) {
        run_inst(m, list[k]);
    }
}

static void run_stores(const wg_machine *m, const int *list, int count) {
    for (int k = 0; k < count; k++) {
        const wg_store *s = &m->loop->store[list[k]];
        const wg_access *a = &m->loop->access[s->access];
        int64_t at[WG_WIDE];
        locate(m, s->access, at);
        int n = a->lane == WG_LANE_SAME ? 1 : m->n;
        wg_lanes_store((wg_dtype)m->l->buffers[a->buffer].dtype, m->mem[a->buffer], at, n, &m->x[s->inst]);
    }
}

/* ---- loops ---------------------------------------------------------------------------------------------------------- */

static wg_dtype operand_dtype(const wg_machine *m, int reduction) {
    return (wg_dtype)m->loop->inst[m->loop->inst[reduction].a].dtype;
}

/* One block of lanes in the loops over the reduced axes. */
static void run_elements(wg_machine *m, const wg_work *w) {
    run_list(m, w->elems, w->nelems);
    for (int k = 0; k < w->nreductions; k++) {
        int inst = w->reductions[k];
        const wg_inst *in = &m->loop->inst[inst];
        if (m->on_rows) {
            wg_lanes_take((wg_prim)in->prim, operand_dtype(m, inst), &m->x[in->a], m->n, m->i, 1, &m->c[inst]);
        } else {
            wg_lanes_take((wg_prim)in->prim, operand_dtype(m, inst), &m->x[in->a], WG_WIDE, m->r[0], 0, &m->c[inst]);
        }
    }
    run_stores(m, w->looped, w->nlooped);
}

static void run_along_row(wg_machine *m, const wg_work *w, int64_t length) {
    for (m->i = 0; m->i < length; m->i += WG_WIDE) {
        m->n = length - m->i < WG_WIDE ? (int)(length - m->i) : WG_WIDE;
        run_elements(m, w);
    }
    m->i = 0;
}

static int64_t reduced_size(const wg_machine *m, int axis) {
    return axis == 0 ? m->size0 : m->p[m->loop->reduced_size[axis]];
}

/* The loops over the reduced axes, the outer ones as one. */
static void run_reduced(wg_machine *m, const wg_work *w) {
    int axes = m->loop->nreduced - (m->on_rows ? 1 : 0);
    int64_t count = 1;
    for (int k = 0; k < axes; k++) {
        count *= reduced_size(m, k);
        m->r[k] = 0;
    }
    for (int64_t c = 0; c < count; c++) {
        if (m->on_rows) {
            run_along_row(m, w, reduced_size(m, axes));
        } else {
            run_elements(m, w);
        }
        for (int k = axes - 1; k >= 0 && ++m->r[k] == reduced_size(m, k); k--) {
            m->r[k] = 0;
        }
    }
}

static void run_stage(wg_machine *m, const wg_work *w) {
    for (int k = 0; k < w->nreductions; k++) {
        int inst = w->reductions[k];
        wg_lanes_begin((wg_prim)m->loop->inst[inst].prim, operand_dtype(m, inst), &m->c[inst]);
    }
    run_reduced(m, w);
    for (int k = 0; k < w->nreductions; k++) {
        int inst = w->reductions[k];
        wg_prim prim = (wg_prim)m->loop->inst[inst].prim;
        if (m->on_rows) {
            wg_lanes_across(prim, operand_dtype(m, inst), &m->c[inst]);
        }
        m->x[inst] = prim == WG_P_RARGMAX ? m->c[inst].where : m->c[inst].value;
    }
}

/* Everything of one row, or of 16 neighbouring results, of which the row's uniform values are there. */
static void run_body(wg_machine *m) {
    for (int s = 0; s <= m->loop->nstages; s++) {
        const wg_work *w = &m->work[s];
        if (s > 0 || m->on_rows) {
            run_list(m, w->uniform, w->nuniform);
        }
        run_list(m, w->varying, w->nvarying);
        run_stores(m, w->stores, w->nstores);
        if (s < m->loop->nstages && m->loop->nreduced > 0) {
            run_stage(m, w);
        }
    }
}

void wg_machine_run(wg_machine *m) {
    const wg_loop *loop = m->loop;
    int axes = row_axes(m);
    int64_t rows = 1, inner = m->on_rows ? 0 : m->p[loop->kept_size[axes]];
    for (int i = 0; i < axes; i++) {
        rows *= m->p[loop->kept_size[i]];
    }
    for (int64_t row = 0; row < rows; row++) {
        wg_machine_enter_row(m, row);
        if (row == 0) {
            run_list(m, m->ones, m->nones);
        }
        if (m->on_rows) {
            run_body(m);
            continue;
        }
        run_list(m, m->work[0].uniform, m->work[0].nuniform);
        for (; m->i < inner; m->i += WG_WIDE) {
            m->n = inner - m->i < WG_WIDE ? (int)(inner - m->i) : WG_WIDE;
            run_body(m);
        }
    }
}

void wg_machine_finish(wg_machine *m, const wg_lanes *product, int64_t columns) {
    m->product = product;
    m->pieces = (columns + WG_WIDE - 1) / WG_WIDE;
    run_list(m, m->ones, m->nones);
    if (m->on_rows) {
        run_body(m);
        return;
    }
    run_list(m, m->work[0].uniform, m->work[0].nuniform);
    for (m->i = 0; m->i < columns; m->i += WG_WIDE) {
        m->n = columns - m->i < WG_WIDE ? (int)(columns - m->i) : WG_WIDE;
        run_body(m);
    }
}

const wg_lanes *wg_machine_value(wg_machine *m, int64_t column, int n) {
    m->i = column;
    m->n = n;
    for (int i = 0; i < m->loop->ninsts; i++) {
        run_inst(m, i);
    }
    return &m->x[m->loop->value];
}

/* ---- preparation ---------------------------------------------------------------------------------------------------- */

/* Where lists are made: one after the other, from `start` on the one under way. */
typedef struct lister {
    int *start, *next;
    bool *need;
} lister;

static const int *finish_list(lister *t, int *count) {
    const int *list = t->start;
    *count = (int)(t->next - t->start);
    t->start = t->next;
    return list;
}

static const int *list_insts(lister *t, const wg_loop *loop, wg_level level, int stage, bool uniform, int *count) {
    for (int i = 0; i < loop->ninsts; i++) {
        const wg_inst *in = &loop->inst[i];
        bool wanted = level == WG_LEVEL_ONE || (in->stage == stage && in->uniform == uniform);
        if (in->level == level && wanted && !wg_text_is_reduction(in)) {
            *t->next++ = i;
        }
    }
    return finish_list(t, count);
}

static const int *list_stores(lister *t, const wg_loop *loop, int stage, bool looped, int *count) {
    for (int i = 0; i < loop->nstores; i++) {
        bool in_loop;
        if (wg_text_store_stage(loop, &loop->store[i], &in_loop) == stage && in_loop == looped) {
            *t->next++ = i;
        }
    }
    return finish_list(t, count);
}

static const int *list_elems(lister *t, const wg_loop *loop, int stage, int *count) {
    wg_text_mark(loop, stage, -1, t->need);
    for (int i = 0; i < loop->ninsts; i++) {
        if (t->need[i]) {
            *t->next++ = i;
        }
    }
    return finish_list(t, count);
}

static const int *list_reductions(lister *t, const wg_loop *loop, int stage, int *count) {
    for (int i = 0; i < loop->ninsts; i++) {
        if (wg_text_is_reduction(&loop->inst[i]) && loop->inst[i].stage == stage + 1) {
            *t->next++ = i;
        }
    }
    return finish_list(t, count);
}

static void make_lists(wg_machine *m, lister *t) {
    const wg_loop *loop = m->loop;
    m->ones = list_insts(t, loop, WG_LEVEL_ONE, 0, true, &m->nones);
    for (int s = 0; s <= loop->nstages; s++) {
        wg_work *w = &m->work[s];
        w->uniform = list_insts(t, loop, WG_LEVEL_KEPT, s, true, &w->nuniform);
        w->varying = list_insts(t, loop, WG_LEVEL_KEPT, s, false, &w->nvarying);
        w->stores = list_stores(t, loop, s, false, &w->nstores);
        w->elems = list_elems(t, loop, s, &w->nelems);
        w->reductions = list_reductions(t, loop, s, &w->nreductions);
        w->looped = list_stores(t, loop, s, true, &w->nlooped);
    }
}

static size_t listed(const wg_loop *loop) {
    /* An instruction of level ELEM may be on the list of each stage, all else is on one. */
    return ((size_t)loop->nstages + 2) * (size_t)loop->ninsts + (size_t)loop->nstores;
}

size_t wg_machine_room(const wg_lowered *l) {
    size_t insts = (size_t)l->loop.ninsts, each = sizeof(wg_lanes) + sizeof(wg_accumulator) + sizeof(bool);
    size_t bytes = insts * each + (size_t)l->loop.naccesses * sizeof(int64_t) + listed(&l->loop) * sizeof(int);
    return (bytes + sizeof(wg_lanes) - 1) / sizeof(wg_lanes) * sizeof(wg_lanes);
}

void wg_machine_make(const wg_lowered *l, const int64_t *params, char *const *mem, void *space, wg_machine *out) {
    const wg_loop *loop = &l->loop;
    *out = (wg_machine){.l = l, .loop = loop, .p = params, .mem = mem};
    out->on_rows = loop->mode == WG_LOOP_ROWS;
    out->x = space;
    out->c = (void *)(out->x + loop->ninsts);
    out->base = (void *)(out->c + loop->ninsts);
    int *lists = (void *)(out->base + loop->naccesses);
    lister t = {.start = lists, .next = lists, .need = (void *)(lists + listed(loop))};
    make_lists(out, &t);
}
