/* What few nodes have beside the usual: gradient hooks, a function to run again for the backward, where they are from. */
#ifndef WG_GRAPH_EXTRA_H
#define WG_GRAPH_EXTRA_H

#include "graph/graph.h"

/* What wg_checkpoint's node remembers of its function. */
typedef struct wg_checkpoint_call {
    wg_tensor *(*fn)(wg_tensor *const *inputs, size_t n, void *user);
    void *user;
    uint64_t seed, random; /* of the context when it ran */
    uint64_t trace;        /* what it recorded: see wg_trace */
    size_t n;
    wg_node *inputs[];
} wg_checkpoint_call;

struct wg_extra {
    wg_hooks hooks;
    wg_checkpoint_call *checkpoint;
    char *where; /* while anomalies are looked for: where it was recorded, as messages have it */
};

/* n's, made if there is none. NULL when there is no memory (error set). */
wg_extra *wg_extra_of(wg_node *n);
void wg_extra_free(wg_node *n);
void wg_hooks_free(wg_hooks *h);

/* Passes n's gradient, complete in n->adjoint, through the hooks of its leaf or its own. False: the error is set. */
bool wg_hooks_run(wg_node *n);

static inline wg_checkpoint_call *wg_checkpoint_of(const wg_node *n) { return n->extra ? n->extra->checkpoint : NULL; }
/* Records the function of n's checkpoint once more, with gradients; the result's node, with a reference for the caller.
 * NULL on error. */
wg_node *wg_checkpoint_again(wg_node *n);

#endif
