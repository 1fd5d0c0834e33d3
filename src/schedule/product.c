/* Lowering a product: its operands, where they have no bytes, and what joined it. */
#include "schedule/axes.h"
#include "tensor/dtype.h"

/* Operand k of a product: a buffer, or the loop that makes it. */
static void lower_operand(const wg_partition *p, int group, int k, wg_lowered *out) {
    const wg_prologue *o = &p->groups[group].operand[k];
    if (o->nentries == 0) {
        int ref = p->problem->tasks[p->groups[group].entries[0].task].in[k].ref;
        const wg_node *n = ref < 0 ? p->problem->leaves[~ref].node : p->problem->tasks[ref].node;
        int slot = ref < 0 ? wg_slot_leaf(~ref) : wg_slot_task(p->problem, ref);
        /* A buffer of its own, so that a product of one tensor with itself is no other text. */
        out->operand[k] = wg_lower_own_buffer(out, slot, (wg_dtype)n->dtype, false);
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
    out->make[k] = out->loop;
    out->across[k] = o->across;
    out->loop = (wg_loop){0};
}

bool wg_lower_product(const wg_partition *p, int group, bool scratch, wg_lowered *out) {
    const wg_group *g = &p->groups[group];
    wg_lowering l = wg_lowering_of(p, group, out);
    wg_lower_begin(out);
    for (int k = 0; k < 2 && !out->failed; k++) {
        lower_operand(p, group, k, out);
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
    out->failed = out->failed || out->nparams + WG_PRODUCT_PARAMS > WG_MAX_PARAMS;
    return !out->failed;
}
