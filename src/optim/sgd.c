/* Stochastic gradient descent with momentum. */
#include "api/advance.h"
#include "api/fail.h"
#include "optim/optim.h"

#include <wengert/ops.h>

/* a + b s */
static wg_tensor *add_scaled(wg_update *u, wg_tensor *a, wg_tensor *b, double s) {
    return wg_update_note(u, wg_add(a, wg_update_note(u, wg_mul_scalar(b, s))));
}

static void update(const wg_optim *o, const wg_slot *s, wg_tensor *grad, wg_update *u) {
    const wg_sgd_opts *opts = &o->opts.sgd;
    wg_tensor *d = grad;
    if (opts->weight_decay != 0) {
        d = add_scaled(u, d, u->old_param, opts->weight_decay);
    }
    if (opts->momentum != 0) {
        u->first = d; /* the first step's */
        if (s->first) {
            wg_tensor *old = wg_update_note(u, wg_mul_scalar(u->old_first, opts->momentum));
            u->first = add_scaled(u, old, d, 1 - opts->dampening);
        }
        d = opts->nesterov ? add_scaled(u, d, u->first, opts->momentum) : u->first;
    }
    wg_tensor *change = wg_replay_scalar(wg_update_note(u, wg_mul_scalar(d, s->cell[0])), &s->cell[0]);
    u->param = wg_update_note(u, wg_add(u->old_param, change));
}

static void prepare(const wg_optim *o, wg_slot *s) { s->cell[0] = -o->lr; }

wg_sgd_opts wg_sgd_defaults(void) { return (wg_sgd_opts){.lr = 1e-3}; }

wg_optim *wg_sgd_new(wg_tensor *const *params, size_t n, const wg_sgd_opts *opts) {
    wg_optim *o = wg_optim_new("sgd", params, n);
    if (!o) {
        return NULL;
    }
    o->opts.sgd = opts ? *opts : wg_sgd_defaults();
    o->lr = o->opts.sgd.lr;
    o->update = update;
    o->prepare = prepare;
    const wg_sgd_opts *s = &o->opts.sgd;
    const char *why = !(s->lr >= 0)             ? "lr is negative"
                      : !(s->momentum >= 0)     ? "momentum is negative"
                      : !(s->weight_decay >= 0) ? "weight_decay is negative"
                      : s->nesterov && (s->momentum == 0 || s->dampening != 0)
                          ? "nesterov needs momentum, and no dampening"
                          : NULL;
    if (why) {
        wg_ctx_fail(o->ctx, WG_ERR_ARG, "sgd: %s", why);
        wg_optim_free(o);
        return NULL;
    }
    return o;
}
