/* Which maps a library does to a product that it computes. */
#include "schedule/epilogue.h"

#include "schedule/geometry.h"
#include "schedule/place.h"
#include "schedule/prologue.h"
#include "tensor/dtype.h"

enum { WHOLE_ROWS = 8 }; /* the rows of an input are a multiple of this */

static const wg_node *product_of(const wg_partition *p, const wg_group *g) {
    return p->problem->tasks[g->entries[0].task].node;
}

/* Each element once, in order; or a row, repeated. Dims of size 1 have any stride. */
static bool lies_whole(const wg_view *v) {
    int64_t next = 1;
    bool whole = true;
    for (int d = v->shape.rank - 1; d >= 0; d--) {
        whole = whole && (v->shape.dim[d] == 1 || v->stride[d] == next);
        next *= v->shape.dim[d];
    }
    return whole;
}

static bool repeats_row(const wg_view *v) {
    int last = v->shape.rank - 1;
    bool row = v->stride[last] == 1;
    for (int d = 0; d < last; d++) {
        row = row && (v->shape.dim[d] == 1 || v->stride[d] == 0);
    }
    return row;
}

static bool has_whole_rows(const wg_partition *p, const wg_group *g) {
    const wg_shape *s = product_of(p, g)->shape;
    return s->dim[s->rank - 1] % WHOLE_ROWS == 0;
}

/* Operand k of a map, over the product's elements; false if it has no bytes, or others than the product's. */
static bool in_bytes(const wg_partition *p, const wg_group *g, const wg_task *t, int k, wg_view *over) {
    int ref = t->in[k].ref;
    const wg_node *n = ref < 0 ? p->problem->leaves[~ref].node : p->problem->tasks[ref].node;
    wg_view w;
    return !wg_place_floats(p, ref) && n->dtype == product_of(p, g)->dtype && wg_operand_view(p->problem, t, k, &w) &&
           wg_group_view(g, WG_LEVEL_ELEM, &w, over);
}

/* The operand of a map that is not `before`: the number of the other, -1 if `before` is none or both. */
static int other_operand(const wg_task *t, int before) {
    bool first = t->in[0].ref == before, second = t->in[1].ref == before;
    return first == second ? -1 : first ? 1 : 0;
}

/* What a task does to the value of the task before it in the group, as the library can: 0 if it cannot. */
static unsigned what_it_does(const wg_partition *p, const wg_group *g, int task, int before) {
    const wg_task *t = &p->problem->tasks[task];
    wg_view over;
    int other;
    if (t->node->dtype != product_of(p, g)->dtype) {
        return 0;
    }
    switch ((wg_after_product)t->node->op->after) {
    case WG_AFTER_ADD:
        other = other_operand(t, before);
        return other < 0 || !in_bytes(p, g, t, other, &over) ? 0
               : lies_whole(&over)                           ? WG_EPILOGUE_ADDEND
               : repeats_row(&over)                          ? WG_EPILOGUE_BIAS
                                                             : 0;
    case WG_AFTER_RELU:
        return t->in[0].ref == before ? WG_EPILOGUE_RELU : 0;
    case WG_AFTER_GELU_TANH:
        return t->in[0].ref == before ? WG_EPILOGUE_GELU_TANH : 0;
    case WG_AFTER_GELU_TANH_GRAD:
        return t->in[0].ref == before && t->in[1].ref != before && has_whole_rows(p, g) &&
                       in_bytes(p, g, t, 1, &over) && lies_whole(&over)
                   ? WG_EPILOGUE_GELU_GRAD
                   : 0;
    case WG_AFTER_NONE:
        break;
    }
    return 0;
}

bool wg_epilogue_takes(const wg_partition *p, int group, int task) {
    const wg_group *g = &p->groups[group];
    const wg_node *product = product_of(p, g);
    int before = g->entries[g->nentries - 1].task;
    unsigned does = 0;
    if (!p->limits->epilogues || product->dtype == WG_F64 ||
        (p->problem->plain && p->problem->plain[g->entries[0].task])) {
        return false;
    }
    for (size_t i = 1; i < g->nentries; i++) {
        does |= what_it_does(p, g, g->entries[i].task, g->entries[i - 1].task);
    }
    unsigned now = what_it_does(p, g, task, before);
    bool over = does & (WG_EPILOGUE_RELU | WG_EPILOGUE_GELU_TANH | WG_EPILOGUE_GELU_GRAD);
    if (!(now & p->limits->epilogues) || (now & does) || over || (now == WG_EPILOGUE_GELU_GRAD && does)) {
        return false;
    }
    if (p->readers[before] == 1 && !p->problem->tasks[before].keep) {
        return true;
    }
    return now == WG_EPILOGUE_GELU_TANH && (p->limits->epilogues & WG_EPILOGUE_GELU_INPUT) &&
           !(does & WG_EPILOGUE_ADDEND) && has_whole_rows(p, g);
}

/* The buffer of a slot that the loop uses: a product's operands have others. */
static int buffer_of(const wg_lowered *l, int slot) {
    for (int i = l->noperands; i < l->nbuffers; i++) {
        if (l->buffers[i].slot == slot) {
            return i;
        }
    }
    return -1;
}

void wg_epilogue_describe(const wg_partition *p, int group, const wg_lowered *l, wg_epilogue *out) {
    const wg_problem *problem = p->problem;
    const wg_group *g = &p->groups[group];
    *out = (wg_epilogue){.task = g->entries[0].task, .result = -1, .addend = -1, .bias = -1, .input = -1};
    if (!wg_product_apart(p, out->task)) {
        return;
    }
    for (size_t i = 1; i < g->nentries; i++) {
        int task = g->entries[i].task, before = g->entries[i - 1].task;
        unsigned does = what_it_does(p, g, task, before);
        out->does |= does;
        if (does & (WG_EPILOGUE_ADDEND | WG_EPILOGUE_BIAS | WG_EPILOGUE_GELU_GRAD)) {
            const wg_task *t = &problem->tasks[task];
            int k = other_operand(t, before), ref = t->in[k].ref;
            wg_view over = {0};
            in_bytes(p, g, t, k, &over);
            *(does == WG_EPILOGUE_BIAS     ? &out->bias
              : does == WG_EPILOGUE_ADDEND ? &out->addend
                                           : &out->input) =
                buffer_of(l, ref < 0 ? wg_slot_leaf(~ref) : wg_slot_task(problem, ref));
            *(does == WG_EPILOGUE_BIAS     ? &out->bias_at
              : does == WG_EPILOGUE_ADDEND ? &out->addend_at
                                           : &out->input_at) = over.offset;
        } else if (p->places[before].stored) {
            out->does |= WG_EPILOGUE_GELU_INPUT;
            out->input = buffer_of(l, wg_slot_task(problem, before));
        }
    }
    out->result = buffer_of(l, wg_slot_task(problem, g->entries[g->nentries - 1].task));
}
