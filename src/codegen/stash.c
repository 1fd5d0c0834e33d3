/* Keeping a dear value from one loop over a row to the next, in memory that the row's result will take anyway. */
#include "base/alloc.h"
#include "codegen/text.h"

/* Whether memory of a dtype gives back what was put there. */
static bool holds(uint8_t dtype, const wg_inst *value) {
    return dtype == WG_F16    ? value->exact & WG_EXACT_F16
           : dtype == WG_BF16 ? value->exact & WG_EXACT_BF16
                              : dtype == value->dtype;
}

/* The in-loop store of a stage that could hold the value until then: neighbouring elements of a dtype for it. */
static int place_for(const wg_text *t, const wg_inst *value, int stage) {
    const wg_loop *loop = &t->l->loop;
    for (int i = 0; i < loop->nstores; i++) {
        bool in_loop;
        const wg_access *a = &loop->access[loop->store[i].access];
        if (wg_text_store_stage(loop, &loop->store[i], &in_loop) == stage && in_loop && a->lane == WG_LANE_NEXT &&
            holds(t->l->buffers[a->buffer].dtype, value)) {
            return i;
        }
    }
    return -1;
}

void wg_text_find_stash(wg_text *t) {
    const wg_loop *loop = &t->l->loop;
    size_t n = (size_t)loop->ninsts;
    t->stash = -1;
    bool *need = loop->nstages > 1 ? wg_mem_alloc(n * (size_t)loop->nstages) : NULL; /* by stage */
    for (int s = 0; need && s < loop->nstages; s++) {
        wg_text_mark(loop, s, -1, need + (size_t)s * n);
    }
    for (int i = loop->ninsts - 1; need && i >= 0 && t->stash < 0; i--) {
        int first = loop->nstages, last = -1;
        for (int s = 0; s < loop->nstages; s++) {
            if (need[(size_t)s * n + (size_t)i]) {
                first = s < first ? s : first;
                last = s;
            }
        }
        /* The place is taken for good in the last loop that needs the value: no later one reads it back. */
        int store = last > first && wg_inst_is_dear(loop, i) ? place_for(t, &loop->inst[i], last) : -1;
        if (store >= 0) {
            t->stash = i;
            t->stash_store = store;
            t->stash_stage = first;
        }
    }
    wg_mem_free(need);
}

void wg_text_elem(wg_text *t, int inst, int stage, int indent) {
    if (inst != t->stash || stage == t->stash_stage) {
        wg_text_inst(t, inst, indent);
    }
    if (inst == t->stash) {
        wg_text_waiting(t, stage > t->stash_stage, indent);
    }
}
