/* Lowering a product: its operands, where they have no bytes, and what joined it. */
#include "base/alloc.h"
#include "schedule/axes.h"
#include "schedule/place.h"
#include "schedule/terms.h"
#include "tensor/dtype.h"

/* Adjacent batch dims that both operands step through evenly become one. */
static void merge_batch(wg_product *m) {
    int out = 0;
    for (int i = 0; i < m->rank; i++) {
        if (m->batch[i] == 1) {
            continue;
        }
        if (out > 0 && m->a_batch[out - 1] == m->a_batch[i] * m->batch[i] &&
            m->b_batch[out - 1] == m->b_batch[i] * m->batch[i]) {
            m->batch[out - 1] *= m->batch[i];
        } else {
            m->batch[out++] = m->batch[i];
        }
        m->a_batch[out - 1] = m->a_batch[i];
        m->b_batch[out - 1] = m->b_batch[i];
    }
    m->rank = out;
}

void wg_terms_describe(const wg_problem *p, const wg_group *g, size_t number, wg_product *m) {
    const wg_task *t = &p->tasks[wg_terms_task(g, number)];
    wg_view a, b;
    wg_operand_view(p, t, 0, &a);
    wg_operand_view(p, t, 1, &b);
    int r = a.shape.rank;
    const wg_shape *out = t->node->shape;
    *m = (wg_product){.m = a.shape.dim[r - 2], .k = a.shape.dim[r - 1], .n = b.shape.dim[r - 1], .rank = r - 2};
    bool a_lies = wg_terms_operand(g, number, 0)->nentries == 0, b_lies = wg_terms_operand(g, number, 1)->nentries == 0;
    for (int i = 0; i < r - 2; i++) {
        m->batch[i] = out->dim[i];
        m->a_batch[i] = a.shape.dim[i] == 1 || !a_lies ? 0 : a.stride[i];
        m->b_batch[i] = b.shape.dim[i] == 1 || !b_lies ? 0 : b.stride[i];
    }
    if (a_lies) {
        m->a_offset = a.offset;
        m->a_row = a.stride[r - 2];
        m->a_col = a.stride[r - 1];
    }
    if (b_lies) {
        m->b_offset = b.offset;
        m->b_row = b.stride[r - 2];
        m->b_col = b.stride[r - 1];
    }
    merge_batch(m);
}

/* Where an operand of a product is noted. */
typedef struct place {
    int *buffer;
    wg_loop *make;
    bool *across;
} place;

static place place_of(wg_lowered *out, size_t t, int k) {
    wg_term *m = t ? &out->more[t - 1] : NULL;
    return m ? (place){&m->operand[k], &m->make[k], &m->across[k]}
             : (place){&out->operand[k], &out->make[k], &out->across[k]};
}

/* Operand k of product t: a buffer, or the loop that makes it. */
static void lower_operand(const wg_partition *p, int group, size_t t, int k, wg_lowered *out) {
    const wg_prologue *o = wg_terms_operand(&p->groups[group], t, k);
    place to = place_of(out, t, k);
    if (o->nentries == 0) {
        int ref = p->problem->tasks[wg_terms_task(&p->groups[group], t)].in[k].ref;
        const wg_node *n = ref < 0 ? p->problem->leaves[~ref].node : p->problem->tasks[ref].node;
        int slot = ref < 0 ? wg_slot_leaf(~ref) : wg_slot_task(p->problem, ref);
        /* A buffer of its own, so that a product of one tensor with itself is no other text. */
        *to.buffer = wg_lower_own_buffer(out, slot, (wg_dtype)n->dtype, false);
        return;
    }
    wg_view through = o->through;
    int last = through.shape.rank - 1, order[WG_MAX_RANK];
    for (int d = 0; d <= last; d++) {
        order[d] = d;
    }
    if (o->across == (k == 0)) { /* lanes go down its columns */
        order[last - 1] = last;
        order[last] = last - 1;
        through = wg_view_permute(&through, order);
    }
    const wg_group looped = {.kind = WG_GROUP_LOOP, .space = through.shape};
    wg_lowering l = {.part = p,
                     .group = &looped,
                     .number = group,
                     .through = &through,
                     .entries = o->entries,
                     .nentries = o->nentries,
                     .out = out};
    wg_lower_entries(&l, true, SIZE_MAX);
    *to.make = out->loop;
    *to.across = o->across;
    out->loop = (wg_loop){0};
}

/* The products behind the first, without their operands. */
static void begin_more(const wg_partition *p, const wg_group *g, wg_lowered *out) {
    out->more = g->nmore ? wg_mem_zalloc(g->nmore * sizeof *out->more) : NULL;
    out->failed = out->no_memory = g->nmore && !out->more;
    for (size_t t = 1; !out->failed && t <= g->nmore; t++) {
        wg_term *m = &out->more[out->nmore++];
        wg_terms_describe(p->problem, g, t, &m->product);
        m->operand[0] = m->operand[1] = -1;
    }
}

/* Parameters of the product, or of all of them. */
static int own_params(const wg_partition *p, const wg_group *g, const wg_lowered *l) {
    wg_product first;
    int params = WG_PRODUCT_PARAMS;
    wg_terms_describe(p->problem, g, 0, &first);
    for (int t = 0; t < l->nmore; t++) {
        bool found = wg_same_layout(&first, &l->more[t].product);
        for (int o = 0; o < t && !found; o++) {
            found = wg_same_layout(&l->more[o].product, &l->more[t].product);
        }
        params += WG_TERM_PARAMS + (found ? 0 : WG_LAYOUT_PARAMS);
    }
    return params;
}

static bool one_waits(const wg_lowered *l) {
    int depth[WG_MAX_INSTS], carried[WG_MAX_TERMS];
    wg_terms_depths(l, depth);
    return wg_terms_carried(l, depth, carried);
}

bool wg_lower_product(const wg_partition *p, int group, bool scratch, wg_lowered *out) {
    const wg_group *g = &p->groups[group];
    wg_lowering l = wg_lowering_of(p, group, out);
    if (wg_lower_begin(out)) {
        begin_more(p, g, out);
    }
    for (size_t t = 0; t <= g->nmore; t++) {
        for (int k = 0; k < 2 && !out->failed; k++) {
            lower_operand(p, group, t, k, out);
        }
    }
    if (scratch && !out->failed) {
        int task = g->entries[0].task;
        wg_dtype sums = wg_dtype_compute((wg_dtype)p->problem->tasks[task].node->dtype);
        out->scratch = wg_lower_buffer(out, wg_slot_extra(p->problem, task), sums, true);
    }
    out->noperands = out->nbuffers;
    if (!out->failed) {
        wg_lower_entries(&l, true, SIZE_MAX);
    }
    /* Devices take as many arguments as a kernel of 16 buffers has at most. */
    int over = out->nmore > 0 && out->nbuffers > WG_READ_LIMIT ? out->nbuffers - WG_READ_LIMIT : 0;
    out->failed = out->failed || out->nparams + own_params(p, g, out) > WG_MAX_PARAMS - over ||
                  (out->nmore > 0 && !one_waits(out));
    return !out->failed;
}
