/* Instructions on state: gradients, updates, demands, ownership, scopes. */
#include "ops.h"

#include <stdlib.h>
#include <string.h>

static wg_tensor *get(const fuzz_machine *m, const fuzz_inst *in, int i) { return fuzz_reg_get(m, in->reg[i]); }

static bool is(const fuzz_inst *in, const char *name) { return strcmp(in->op->name, name) == 0; }

/* ---- gradients ------------------------------------------------------------------------------------------------------ */

wg_tensor *fuzz_call_param(fuzz_machine *m, const fuzz_inst *in) {
    if (is(in, "requires_grad")) {
        wg_set_requires_grad(get(m, in, 0), in->num[0] & 1);
    } else {
        wg_param(get(m, in, 0));
    }
    return NULL;
}

enum { RETAIN = 1, CREATE = 2, UNUSED = 4 };

wg_tensor *fuzz_call_backward(fuzz_machine *m, const fuzz_inst *in) {
    wg_backward_opts opts = {get(m, in, 1), in->num[0] & RETAIN, in->num[0] & CREATE};
    wg_backward_with(get(m, in, 0), &opts);
    return NULL;
}

/* The first result is the instruction's; a second input's gradient goes to the register before it. */
wg_tensor *fuzz_call_gradients(fuzz_machine *m, const fuzz_inst *in) {
    wg_tensor *output = get(m, in, 0), *input = get(m, in, 1), *grad = NULL, *seed = get(m, in, 2);
    wg_gradients_opts opts = {&seed, in->num[0] & RETAIN, in->num[0] & CREATE, in->num[0] & UNUSED};
    if (output && input) {
        wg_gradients(&output, 1, &input, 1, &grad, &opts);
    }
    return grad;
}

wg_tensor *fuzz_call_zero_grad(fuzz_machine *m, const fuzz_inst *in) {
    if (get(m, in, 0)) {
        wg_zero_grad(get(m, in, 0));
    }
    return NULL;
}

/* ---- updates -------------------------------------------------------------------------------------------------------- */

static void overwrite(wg_tensor *t, uint64_t seed) {
    size_t bytes = (size_t)wg_numel(t) * wg_dtype_size(wg_dtype_of(t));
    void *data = malloc(bytes + 1);
    fuzz_fill(wg_dtype_of(t), wg_numel(t), seed, data);
    wg_write(t, data, bytes);
    free(data);
}

wg_tensor *fuzz_call_update(fuzz_machine *m, const fuzz_inst *in) {
    wg_tensor *t = get(m, in, 0);
    if (!t) {
        return NULL;
    }
    fuzz_end_loan(m, in->reg[0]);
    m->reg[in->reg[0]].limit = 0;
    if (is(in, "assign")) {
        wg_assign(t, get(m, in, 1));
    } else if (is(in, "write")) {
        overwrite(t, (uint64_t)in->num[0]);
    } else if (m->log) { /* it demands the old value */
        char *data = wg_data_mut(t);
        if (data) {
            /* the first half anew, the rest as it was */
            fuzz_fill(wg_dtype_of(t), (wg_numel(t) + 1) / 2, (uint64_t)in->num[0], data);
        }
    }
    return NULL;
}

/* Makes an optimiser of up to three parameters; they stay until the program ends. */
wg_tensor *fuzz_call_optim(fuzz_machine *m, const fuzz_inst *in) {
    wg_tensor *params[3];
    int k = (int)fuzz_mod(in->num[0], FUZZ_OPTIMS);
    size_t n = 0;
    for (int i = 0; i < 3; i++) {
        wg_tensor *t = get(m, in, i);
        bool twice = i > 0 && (t == get(m, in, 0) || (i > 1 && t == get(m, in, 1)));
        if (t && !twice && wg_is_leaf(t) && wg_requires_grad(t)) {
            params[n++] = t;
        }
    }
    if (m->optim[k] || n == 0) {
        return NULL;
    }
    if (is(in, "sgd")) {
        wg_sgd_opts opts = {in->scalar[0], in->scalar[1], 0, in->scalar[2], in->num[1] & 1};
        m->optim[k] = wg_sgd_new(params, n, &opts);
    } else {
        wg_adam_opts opts = wg_adam_defaults();
        opts.lr = in->scalar[0];
        opts.beta1 = in->scalar[1];
        opts.weight_decay = in->scalar[2];
        opts.decoupled = in->num[1] & 1;
        m->optim[k] = wg_adam_new(params, n, &opts);
    }
    for (int i = 0; m->optim[k] && i < FUZZ_REGS; i++) {
        for (size_t j = 0; j < n; j++) {
            if (m->reg[i].t == params[j]) {
                wg_keep(params[j]);
                m->reg[i].kept = m->reg[i].pinned = true;
            }
        }
    }
    return NULL;
}

wg_tensor *fuzz_call_optim_step(fuzz_machine *m, const fuzz_inst *in) {
    wg_optim *o = m->optim[fuzz_mod(in->num[0], FUZZ_OPTIMS)];
    if (!o) {
        return NULL;
    }
    if (is(in, "set_lr")) {
        wg_optim_set_lr(o, in->scalar[0]);
    } else if (is(in, "optim_zero_grad")) {
        wg_optim_zero_grad(o);
    } else {
        for (int k = 0; k < FUZZ_REGS; k++) {
            if (m->reg[k].pinned) {
                fuzz_end_loan(m, k);
            }
        }
        wg_optim_step(o);
    }
    return NULL;
}

/* ---- demands -------------------------------------------------------------------------------------------------------- */

wg_tensor *fuzz_call_demand(fuzz_machine *m, const fuzz_inst *in) {
    wg_tensor *several[3];
    size_t n = 0;
    if (!m->log) {
        return NULL;
    }
    if (is(in, "eval")) {
        for (int i = 0; i < 3; i++) {
            if (get(m, in, i)) {
                several[n++] = get(m, in, i);
            }
        }
        wg_eval(several, n);
        return NULL;
    }
    if (!get(m, in, 0)) {
        return NULL;
    }
    if (is(in, "data")) {
        fuzz_lend(m, in->reg[0]);
    } else {
        fuzz_log_value(m, in->reg[0], get(m, in, 0));
    }
    return NULL;
}

/* ---- ownership and scopes ------------------------------------------------------------------------------------------- */

wg_tensor *fuzz_call_owner(fuzz_machine *m, const fuzz_inst *in) {
    fuzz_reg *r = in->reg[0] < 0 ? NULL : &m->reg[in->reg[0]];
    if (!r || !r->t) {
        return NULL;
    }
    if (is(in, "keep")) {
        wg_keep(r->t);
        r->kept = true;
    } else if (!r->pinned) {
        fuzz_reg_drop(m, in->reg[0], true);
    }
    return NULL;
}

wg_tensor *fuzz_call_scope(fuzz_machine *m, const fuzz_inst *in) {
    if (is(in, "begin")) {
        if (m->depth < FUZZ_DEPTH) {
            m->mark[m->depth++] = wg_scope_begin(m->ctx);
        }
    } else if (is(in, "end")) {
        fuzz_scope_end(m);
    } else if (is(in, "no_grad")) {
        wg_no_grad(m->ctx, in->num[0] & 1);
    } else { /* the next program in the same context */
        fuzz_machine_finish(m);
        wg_seed(m->ctx, (uint64_t)in->num[0]);
        wg_no_grad(m->ctx, false);
    }
    return NULL;
}
