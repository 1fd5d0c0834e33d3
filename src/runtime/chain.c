/* Launching chains: the arguments of all steps together, and the tickets that tell which group is done last. */
#include "runtime/exec.h"

#include "codegen/program.h"

#include <string.h>

wg_status wg_chain_bind(wg_engine *e, wg_err *err) {
    static const int32_t none[WG_TICKETS];
    bool fresh = !e->tickets.handle;
    wg_status status = fresh ? wg_dev_alloc(&e->dev, sizeof none, &e->tickets, err) : WG_OK;
    if (status == WG_OK && (fresh || e->tickets_lost)) {
        e->tickets_lost = true;
        status = wg_dev_write(&e->dev, &e->tickets, 0, none, sizeof none, err);
        e->tickets_lost = status != WG_OK;
    }
    return status;
}

wg_status wg_chain_launch(wg_engine *e, const wg_exec *x, int step, const wg_problem *p, wg_err *err) {
    const wg_exec_step *s = &x->steps[step];
    const wg_step *lead = &x->plan->steps[step];
    int64_t params[WG_CHAIN_WORDS + 1];
    const wg_mem *buffers[WG_MAX_BUFFERS];
    int nparams = 0, nbuffers = 0;
    for (int i = 0; i < lead->bundle; i++) {
        wg_exec_params(x, step + i, p, params + nparams);
        nparams += lead[i].l.nparams;
        for (int b = 0; b < lead[i].l.nbuffers; b++) {
            buffers[nbuffers++] = x->mem[lead[i].l.buffers[b].slot];
        }
    }
    params[nparams++] = s->ticket;
    if (wg_chain_draws(lead)) {
        buffers[nbuffers++] = &e->tickets;
    }
    wg_launch launch = {.kernel = s->kernel,
                        .groups = {s->groups[0], s->groups[1], s->groups[2]},
                        .local = {s->local[0], s->local[1], s->local[2]},
                        .buffers = buffers,
                        .nbuffers = nbuffers,
                        .params = params,
                        .param_bytes = (size_t)nparams * sizeof *params,
                        .ops = wg_launch_ops(lead)};
    wg_status status = wg_dev_launch(&e->dev, wg_exec_queue(x, step), &launch, err);
    e->launches += status == WG_OK;
    return status;
}
