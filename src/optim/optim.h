/* What the optimisers share: parameters with their state, and the rule that makes a parameter's new value. */
#ifndef WG_OPTIM_OPTIM_H
#define WG_OPTIM_OPTIM_H

#include <wengert/optim.h>

/* A parameter, and what is remembered of its past: tensors of the optimiser's own, NULL until needed. */
typedef struct wg_slot {
    wg_tensor *param, *first, *second;
    int64_t steps;
} wg_slot;

/* Handles made by one update, freed when it is recorded. */
enum { WG_UPDATE_HANDLES = 16 };
typedef struct wg_update {
    wg_tensor *handle[WG_UPDATE_HANDLES];
    int count;
} wg_update;

/* Notes a handle (NULL is allowed) and returns it. */
wg_tensor *wg_update_note(wg_update *u, wg_tensor *t);
/* Gives *state the value v; makes it, as zeros that the optimiser owns, if there is none yet. */
bool wg_update_state(wg_tensor **state, wg_tensor *v);

struct wg_optim {
    wg_ctx *ctx;
    double lr;
    /* The value of s->param after the step; updates the state. NULL on error. */
    wg_tensor *(*update)(const wg_optim *o, wg_slot *s, wg_tensor *grad, wg_update *u);
    union {
        wg_sgd_opts sgd;
        wg_adam_opts adam;
    } opts;
    size_t count;
    wg_slot slots[];
};

/* An optimiser without options yet. NULL, with the error in the context, on error; name is for messages. */
wg_optim *wg_optim_new(const char *name, wg_tensor *const *params, size_t n);

#endif
