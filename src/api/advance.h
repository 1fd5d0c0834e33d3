/* For layers above the public interface: taking part in a step that wg_replay runs again without recording it. */
#ifndef WG_API_ADVANCE_H
#define WG_API_ADVANCE_H

#include <wengert/types.h>

/* Something outside the graph that goes on by a step each time, an optimiser. */
typedef struct wg_replay_part {
    void *user;
    void (*advance)(void *user);         /* as the step's call would: counts it, and sets the cells of its scalars */
    uint64_t (*state)(const void *user); /* differs if its next step would record something else */
} wg_replay_part;

/* Joins the step being recorded, if one is. */
void wg_replay_join(wg_ctx *ctx, const wg_replay_part *part);
/* The part is gone: no replay goes on with it. */
void wg_replay_leave(wg_ctx *ctx, const void *user);
/* t's first scalar, just recorded, is *cell, which advance brings up to date. Returns t. */
wg_tensor *wg_replay_scalar(wg_tensor *t, const double *cell);

#endif
