/* A kernel as lowering makes it: its parameters and buffers by number. */
#include "base/alloc.h"
#include "schedule/lower.h"

bool wg_lower_begin(wg_lowered *out) {
    *out = (wg_lowered){.operand = {-1, -1}, .scratch = -1};
    out->params = wg_mem_alloc(WG_MAX_PARAMS * sizeof *out->params);
    out->failed = out->no_memory = !out->params;
    return !out->failed;
}

int wg_lower_param(wg_lowered *l, wg_argument_kind kind, wg_dtype dtype, int32_t index, int64_t value) {
    if (l->nparams >= WG_MAX_PARAMS) {
        l->failed = true;
        return 0;
    }
    l->params[l->nparams] = (wg_argument){(uint8_t)kind, (uint8_t)dtype, index, value};
    return l->nparams++;
}

int wg_lower_trap(wg_lowered *l, int buffer, const wg_node *n) {
    int param = wg_lower_param(l, WG_PARAM_OFFSET, WG_I64, buffer, 0);
    wg_lower_param(l, WG_PARAM_VALUE, WG_I64, 0, (int64_t)(intptr_t)n->op);
    wg_lower_param(l, WG_PARAM_VALUE, WG_I64, 0, (int64_t)(intptr_t)n->in[0]->shape);
    return param;
}

int wg_lower_buffer(wg_lowered *l, int slot, wg_dtype dtype, bool written) {
    for (int i = l->noperands; i < l->nbuffers; i++) {
        if (l->buffers[i].slot == slot) {
            l->buffers[i].written = l->buffers[i].written || written;
            return i;
        }
    }
    return wg_lower_own_buffer(l, slot, dtype, written);
}

int wg_lower_own_buffer(wg_lowered *l, int slot, wg_dtype dtype, bool written) {
    if (l->nbuffers >= WG_MAX_BUFFERS) {
        l->failed = true;
        return 0;
    }
    l->buffers[l->nbuffers] = (wg_buffer_use){slot, (uint8_t)dtype, written, 0};
    return l->nbuffers++;
}

bool wg_inst_is_dear(const wg_loop *loop, int inst) {
    const wg_inst *in = &loop->inst[inst];
    const wg_inst *made = in->prim == WG_P_ROUND_F16 || in->prim == WG_P_ROUND_BF16 ? &loop->inst[in->a] : in;
    return in->level == WG_LEVEL_ELEM &&
           ((made->prim >= WG_P_POW && made->prim <= WG_P_ERF) || made->prim == WG_P_RANDOM);
}

static void free_loop(wg_loop *loop) {
    wg_mem_free(loop->inst);
    wg_mem_free(loop->access);
    wg_mem_free(loop->store);
}

wg_lowered wg_lowered_term(const wg_lowered *l, int t) {
    wg_lowered o = *l;
    for (int k = 0; t > 0 && k < 2; k++) {
        o.operand[k] = l->more[t - 1].operand[k];
        o.make[k] = l->more[t - 1].make[k];
        o.across[k] = l->more[t - 1].across[k];
    }
    return o;
}

void wg_lowered_free(wg_lowered *l) {
    wg_mem_free(l->params);
    free_loop(&l->loop);
    for (int t = 0; t <= l->nmore; t++) {
        free_loop(t ? &l->more[t - 1].make[0] : &l->make[0]);
        free_loop(t ? &l->more[t - 1].make[1] : &l->make[1]);
    }
    wg_mem_free(l->more);
    *l = (wg_lowered){0};
}
