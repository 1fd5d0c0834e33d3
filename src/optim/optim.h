/* What the optimisers share: parameters with their state, and the rule that makes a parameter's new value. */
#ifndef WG_OPTIM_OPTIM_H
#define WG_OPTIM_OPTIM_H

#include <wengert/optim.h>

/* A parameter, and what is remembered of its past: tensors of the optimiser's own, NULL until there is something. */
typedef struct wg_slot {
    wg_tensor *param, *first, *second;
    int64_t steps;  /* taken, the one in progress included */
    bool stepped;   /* the last step of the optimiser was one of this parameter too */
    double cell[3]; /* numbers of the update that change from step to step */
} wg_slot;

/* One step of one parameter under construction: the handles made on the way (17 in the first step of Adam with decay, and 7
 * conversions of 16-bit floats), the values it starts from, and what is to be assigned. */
enum { WG_UPDATE_HANDLES = 25 };
typedef struct wg_update {
    wg_tensor *handle[WG_UPDATE_HANDLES];
    int count;
    wg_tensor *old_param, *old_first, *old_second; /* the slot's, 16-bit floats as f32 */
    wg_tensor *param, *first, *second;             /* new values; NULL for what the slot does not have */
} wg_update;

/* Notes a handle (NULL is allowed), to be freed when the step is recorded, and returns it. */
wg_tensor *wg_update_note(wg_update *u, wg_tensor *t);

struct wg_optim {
    wg_ctx *ctx;
    double lr;
    /* Sets the cells for the step that s->steps counts. */
    void (*prepare)(const wg_optim *o, wg_slot *s);
    /* Fills in the new values, made of the old ones; param NULL on error. Scalars that change are those of the cells. */
    void (*update)(const wg_optim *o, const wg_slot *s, wg_tensor *grad, wg_update *u);
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
