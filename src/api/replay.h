/* What wg_replay knows of the step under way: the plan that ran, and where its values come from and go to. */
#ifndef WG_API_REPLAY_H
#define WG_API_REPLAY_H

#include "api/advance.h"
#include "api/context.h"

#include <wengert/replay.h>

/* What a tensor looked like when the step began, or where a value of the step stands when it has ended. */
typedef struct wg_stand {
    wg_tensor *t;
    int output; /* number of the output; -1: t is a tensor that was there before */
    bool grad;  /* t's gradient, not its value */
    bool had_grad;
    const wg_leaf *leaf;
    uint64_t base_id, base_shape, view; /* numbers of the base, of its shape, of the view (0: none) */
    uint32_t refs, base_refs;
    wg_shape shape;
    uint8_t dtype, flags;
} wg_stand;

/* A run of the step as it was recorded. */
typedef struct wg_capture {
    int plans;                   /* that ran; more than one cannot be replayed */
    bool unfit;                  /* something happened that cannot be replayed */
    wg_problem p;                /* the plan's problem, without its nodes */
    uint64_t *leaf_id, *task_id; /* their numbers */
    const double **cells;        /* for each task */
    bool *draws;                 /* for each task */
    wg_stand *leaf, *kept;       /* for each leaf; for each task that is kept */
    wg_replay_part *parts;
    uint64_t *state; /* of the parts, at the end */
    size_t nparts, part_cap;
    uint64_t random, nrandom; /* random ops before it, and in it */
    bool no_grad;
    const wg_shape **shapes; /* of first operands, which the plan's messages may name: a reference each */
    size_t nshapes;
} wg_capture;

/* In capture.c: what a recorded run leaves behind. */

/* The plan that is about to be committed. */
void wg_capture_plan(wg_capture *c, const wg_problem *p);
/* All tensors as they stand now; NULL, with *unfit set, when there is no memory. */
wg_stand *wg_capture_stands(wg_ctx *ctx, size_t *n, bool *unfit);
/* Finds where leaves came from, among the n tensors as they stood before, and where kept values stand now, outputs too. */
void wg_capture_bind(wg_ctx *ctx, wg_capture *c, const wg_stand *before, size_t n, wg_tensor *const *outputs,
                     size_t noutputs);
/* Two runs recorded the same step. */
bool wg_capture_same(const wg_capture *a, const wg_capture *b);
void wg_capture_drop(wg_capture *c);

/* The node that a stand's tensor, or its gradient, is now; NULL if there is none. */
static inline wg_node *wg_stand_node(const wg_stand *s) {
    return !s->grad ? s->t->node : s->t->leaf ? s->t->leaf->grad : NULL;
}
/* Whether it stands as it did: the same kind of value, held by nobody else. */
bool wg_stand_holds(const wg_stand *s);

#endif
