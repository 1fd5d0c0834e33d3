/* Adam and AdamW. */
#include "api/advance.h"
#include "api/fail.h"
#include "optim/optim.h"

#include <math.h>
#include <wengert/ops.h>

/* m + w (g - m), from whichever end is nearer: torch.lerp. */
static wg_tensor *lerp(wg_update *u, wg_tensor *m, wg_tensor *g, double w) {
    wg_tensor *way = wg_update_note(u, wg_sub(g, m));
    if (w < 0.5) {
        return wg_update_note(u, wg_add(m, wg_update_note(u, wg_mul_scalar(way, w))));
    }
    return wg_update_note(u, wg_sub(g, wg_update_note(u, wg_mul_scalar(way, 1 - w))));
}

/* beta v + (1 - beta) g g */
static wg_tensor *mean_square(wg_update *u, wg_tensor *v, wg_tensor *g, double beta) {
    wg_tensor *square = wg_update_note(u, wg_mul(wg_update_note(u, wg_mul_scalar(g, 1 - beta)), g));
    return wg_update_note(u, wg_add(wg_update_note(u, wg_mul_scalar(v, beta)), square));
}

/* Cells of a slot. */
enum { DECAY, STEP, CORRECTION };

static wg_tensor *with_cell(wg_update *u, wg_tensor *t, const wg_slot *s, int cell) {
    return wg_replay_scalar(wg_update_note(u, t), &s->cell[cell]);
}

static void prepare(const wg_optim *o, wg_slot *s) {
    const wg_adam_opts *opts = &o->opts.adam;
    s->cell[DECAY] = 1 - o->lr * opts->weight_decay;
    s->cell[STEP] = o->lr / (1 - pow(opts->beta1, (double)s->steps));
    s->cell[CORRECTION] = sqrt(1 - pow(opts->beta2, (double)s->steps));
}

/* The corrections for the averages' start at 0 are numbers, so that a step's text is that of the step before. */
static void update(const wg_optim *o, const wg_slot *s, wg_tensor *grad, wg_update *u) {
    const wg_adam_opts *opts = &o->opts.adam;
    wg_tensor *p = u->old_param, *g = grad;
    if (opts->weight_decay != 0 && opts->decoupled) {
        p = with_cell(u, wg_mul_scalar(p, s->cell[DECAY]), s, DECAY);
    } else if (opts->weight_decay != 0) {
        g = wg_update_note(u, wg_add(g, wg_update_note(u, wg_mul_scalar(p, opts->weight_decay))));
    }
    wg_tensor *zero = s->first && s->second ? NULL : wg_update_note(u, wg_zeros_like(p));
    u->first = lerp(u, s->first ? u->old_first : zero, g, 1 - opts->beta1);
    u->second = mean_square(u, s->second ? u->old_second : zero, g, opts->beta2);
    wg_tensor *second = wg_update_note(u, wg_sqrt(u->second));
    wg_tensor *root = with_cell(u, wg_div_scalar(second, s->cell[CORRECTION]), s, CORRECTION);
    wg_tensor *denominator = wg_update_note(u, wg_add_scalar(root, opts->eps));
    wg_tensor *step = with_cell(u, wg_mul_scalar(u->first, s->cell[STEP]), s, STEP);
    wg_tensor *change = wg_update_note(u, wg_div(step, denominator));
    u->param = wg_update_note(u, wg_sub(p, change));
}

wg_adam_opts wg_adam_defaults(void) { return (wg_adam_opts){.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8}; }

wg_adam_opts wg_adamw_defaults(void) {
    wg_adam_opts o = wg_adam_defaults();
    o.weight_decay = 1e-2;
    o.decoupled = true;
    return o;
}

wg_optim *wg_adam_new(wg_tensor *const *params, size_t n, const wg_adam_opts *opts) {
    wg_optim *o = wg_optim_new("adam", params, n);
    if (!o) {
        return NULL;
    }
    o->opts.adam = opts ? *opts : wg_adam_defaults();
    o->lr = o->opts.adam.lr;
    o->update = update;
    o->prepare = prepare;
    const wg_adam_opts *a = &o->opts.adam;
    const char *why = !(a->lr >= 0)                      ? "lr is negative"
                      : !(a->beta1 >= 0 && a->beta1 < 1) ? "beta1 is outside [0,1)"
                      : !(a->beta2 >= 0 && a->beta2 < 1) ? "beta2 is outside [0,1)"
                      : !(a->eps >= 0)                   ? "eps is negative"
                      : !(a->weight_decay >= 0)          ? "weight_decay is negative"
                                                         : NULL;
    if (why) {
        wg_ctx_fail(o->ctx, WG_ERR_ARG, "adam: %s", why);
        wg_optim_free(o);
        return NULL;
    }
    return o;
}
