/*
 * The graph of a context: nodes, handles, scopes, and how an op is recorded.
 *
 * A node is one value: the op that makes it, its operands, and, once it ran, its bytes. Nodes are counted references:
 * held by handles, by nodes that read them, by views of them, by leaves (their gradient) and by the pending list.
 * A view node has no bytes of its own; it shows those of `base` through `view`.
 */
#ifndef WG_GRAPH_GRAPH_H
#define WG_GRAPH_GRAPH_H

#include "base/err.h"
#include "base/slab.h"
#include "tensor/view.h"

#include <wengert/tensor.h>

typedef struct wg_op wg_op;
typedef struct wg_node wg_node;
typedef struct wg_leaf wg_leaf;
typedef struct wg_graph wg_graph;
typedef struct wg_extra wg_extra; /* hooks and checkpoints; see graph/extra.h */
typedef struct wg_value wg_value; /* bytes on the device; see runtime/value.h */

#define WG_MAX_IN 4
#define WG_MAX_ATTR 4
#define WG_MAX_SCALAR 2

enum {
    WG_NODE_GRAD = 1,     /* gradients flow through it (or, with a leaf, into it) */
    WG_NODE_RELEASED = 2, /* a backward went through it and did not retain the graph */
    WG_NODE_CURRENT = 4,  /* a handle or a leaf's gradient stands for it: a pending update worth running */
    WG_NODE_LOST = 8,     /* was being overwritten when a launch or a transfer failed, or is made from what was */
    WG_NODE_PARAM = 16,   /* its bytes are, or were, the value of a parameter: for people */
};

struct wg_node {
    const wg_op *op;
    wg_graph *graph;
    const wg_shape *shape; /* interned: equal shapes have equal pointers */
    const wg_view *view;   /* interned; NULL unless this is a view node */
    wg_node *base;         /* view nodes: the node with the bytes, itself no view */
    wg_node *in[WG_MAX_IN];
    int64_t attr[WG_MAX_ATTR];    /* the op's integers: part of a plan's key */
    double scalar[WG_MAX_SCALAR]; /* the op's numbers: kernel arguments, in no key and no text */
    const double *cell;           /* where scalar[0] comes from, if it changes from step to step; else NULL */
    wg_leaf *leaf;                /* where the gradient of a leaf's value accumulates */
    wg_value *value;              /* bytes, once computed */
    wg_extra *extra;              /* NULL for nearly all */
    wg_node *prev, *next;         /* in graph->unrun or graph->history */
    uint64_t id;                  /* order of recording */
    uint32_t refs;
    uint8_t nin, dtype, flags;
    /* Scratch of the walk in progress (demand, backward); see there. */
    uint32_t mark, edges;
    int32_t index;
    wg_node *adjoint;
};

/* A function of the user's that is called with a gradient. */
typedef struct wg_hook {
    uint64_t id;
    wg_tensor *(*fn)(wg_tensor *grad, void *user);
    void *user;
} wg_hook;

/* In order of registration. */
typedef struct wg_hooks {
    wg_hook *list;
    size_t count, cap;
} wg_hooks;

/* Where gradients of a parameter accumulate: shared by its handle and the nodes that were its values. */
struct wg_leaf {
    wg_graph *graph;
    uint32_t refs;
    wg_node *grad;  /* NULL: none */
    bool orphan;    /* its handle is gone: gradients are dropped */
    wg_hooks hooks; /* on its gradient */
};

struct wg_tensor {
    wg_graph *graph;
    wg_node *node;
    wg_leaf *leaf; /* set by wg_param */
    wg_tensor *prev, *next;
    uint32_t scope;   /* index of the owning scope */
    bool kept;        /* owned by the caller */
    bool updated;     /* its node came by assignment: the scope's end runs it */
    bool bound;       /* a step is replayed with it: see api/replay.h */
    void *mutable_at; /* wg_data_mut: the new bytes while the caller may write them */
    wg_node *lent;    /* wg_data: the copy it lends where t's own elements are not contiguous; goes with t's value */
};

typedef struct wg_scope {
    wg_tensor *tensors; /* handles the scope owns */
    wg_tensor *kept;    /* handles made here that the caller owns: they lose their graph when the scope ends */
    size_t pending;     /* where this scope's entries in graph->pending begin */
    uint64_t first_id;  /* nodes from here on were recorded in it */
    char *label;        /* the user's name for it, NULL: none */
    bool user;          /* opened by the user, not by the library for temporaries of its own */
    bool no_grad;
} wg_scope;

/* Calls from the graph to the layer that executes. */
typedef struct wg_graph_hooks {
    /* Frees the bytes of a value whose last node is gone. */
    void (*value_free)(wg_graph *g, wg_value *v);
    /* After a node was recorded: eager execution, and the bound on unrun nodes. False: it failed, the error is set. */
    bool (*recorded)(wg_graph *g, wg_node *n);
    /* The bytes lent by wg_data_mut become t's value. False: it failed, the error is set. */
    bool (*settle)(wg_tensor *t);
} wg_graph_hooks;

/* What was recorded since `first`, as a hash of ops, shapes, scalars and operands (those since `first` by their distance
 * from it): two recordings with equal traces compute the same. */
typedef struct wg_trace {
    struct wg_trace *outer; /* one that began earlier and goes on */
    uint64_t first, hash;
} wg_trace;

typedef struct wg_intern wg_intern;

struct wg_graph {
    wg_err err;
    wg_graph_hooks hooks;
    wg_intern *intern;
    wg_scope *scopes; /* [0] is the root */
    size_t nscopes, scope_cap;
    wg_node **pending; /* updates recorded and not run */
    size_t npending, pending_cap;
    wg_node unrun; /* list head: nodes without bytes, oldest first; views included */
    size_t nunrun;
    wg_node
        history; /* list head: nodes that keep their operands for a backward that may come, or did so until it came */
    uint64_t next_id;
    uint32_t epoch; /* for wg_node.mark */
    uint64_t seed;
    uint64_t random;  /* random ops recorded so far */
    uint64_t unbound; /* bound handles freed so far */
    uint64_t hook_id; /* of the hook registered last */
    wg_node *pulled;  /* the node whose gradient the backward under way passes on; NULL: none is */
    bool walking;     /* a backward is under way: user functions it calls cannot start another */
    wg_trace *trace;  /* kept of what is recorded now; NULL: none */
    size_t flush_at;  /* number of unrun nodes at which the root scope runs its updates */
    wg_slab node_slab, tensor_slab, leaf_slab;
    wg_node **walk; /* the list of the last backward, kept for its memory */
    size_t walk_cap;
    bool peek;     /* what is demanded now is looked at only: nothing is kept for a backward that may come */
    bool unusable; /* failed to open: every call is refused with the error at hand */
    unsigned fork_generation;
};

/* ---- life of a graph ---------------------------------------------------------------------------------------------- */

bool wg_graph_init(wg_graph *g);
void wg_graph_free(wg_graph *g);
/* Keeps the first error; returns NULL so that a builder can `return wg_fail(...)`. */
void *wg_fail(wg_graph *g, wg_status status, const char *fmt, ...) WG_PRINTF(3, 4);
/* False, with the error set, if the context cannot be used (failed to open, or inherited by fork). */
bool wg_graph_usable(wg_graph *g);

/* Interned copies, equal if and only if their pointers are. NULL when there is no memory (error set). */
const wg_shape *wg_intern_shape(wg_graph *g, const wg_shape *s);
const wg_view *wg_intern_view(wg_graph *g, const wg_view *v);

/* ---- nodes and handles -------------------------------------------------------------------------------------------- */

/* What wg_record needs beside the op. */
typedef struct wg_call {
    wg_tensor *in[WG_MAX_IN];
    int nin;
    wg_dtype dtype;
    wg_shape shape;
    int64_t attr[WG_MAX_ATTR];
    double scalar[WG_MAX_SCALAR];
} wg_call;
/* Records an op whose arguments were checked; the result is a handle of the innermost scope, NULL on error. */
wg_tensor *wg_record(wg_graph *g, const wg_op *op, const wg_call *call);
/* Records a view of a's elements. view is relative to a's base (see wg_view_of). */
wg_tensor *wg_record_view(const wg_op *op, wg_tensor *a, const wg_view *view, const int64_t attr[WG_MAX_ATTR]);
/* A node that shows y's bytes but passes gradients to x by op's VJP: for a composite with a gradient of its own. in[0]
 * is x, in[1] is y, in[2] and in[3] what else there is to save (NULL: nothing); whether it requires grad follows x. y is
 * recorded with gradients off. */
wg_tensor *wg_record_custom(const wg_op *op, wg_tensor *x, wg_tensor *y, wg_tensor *const saved[2],
                            const int64_t attr[WG_MAX_ATTR]);
/* Switches recording for gradients off or on in the innermost scope; returns what `no_grad` was. */
bool wg_graph_set_no_grad(wg_graph *g, bool no_grad);
/* How t's elements lie in its base: for the view ops to derive theirs from. */
wg_view wg_view_of(const wg_node *n);
/* The node that holds, or will hold, the bytes. */
static inline wg_node *wg_base_of(wg_node *n) { return n->base ? n->base : n; }

/* A source: a node with bytes and no op. Takes over value. */
wg_node *wg_node_source(wg_graph *g, wg_dtype dtype, const wg_shape *shape, wg_value *value);
static inline wg_node *wg_node_ref(wg_node *n) {
    n->refs++;
    return n;
}
void wg_node_unref(wg_node *n);
/* Gives an unrun node its bytes. Operands stay only if a backward may still ask for them. */
void wg_node_set_value(wg_node *n, wg_value *value);
/* Lets go of the operands: nothing will read them through this node again. */
void wg_node_drop_inputs(wg_node *n);
/* Whether a backward may still go through n. */
static inline bool wg_node_has_history(const wg_node *n) {
    return (n->flags & (WG_NODE_GRAD | WG_NODE_RELEASED)) == WG_NODE_GRAD && !n->leaf;
}
/* Ends the graph of every node recorded from number `first` on: no backward goes through them any more. */
void wg_end_history(wg_graph *g, uint64_t first);
/* Lets go of the operands of the scope's views whose base has its bytes. */
void wg_scope_settle_views(wg_graph *g);

/* A handle of the innermost scope on n (takes a reference of its own). */
wg_tensor *wg_handle(wg_graph *g, wg_node *n);
/* Frees a handle at once. */
void wg_handle_free(wg_tensor *t);
/* Moves a handle to the scope below the innermost one. */
void wg_handle_raise(wg_tensor *t);
/* Makes t stand for n (takes a reference) and, as an update, adds n to the pending list. On failure t is as before. */
bool wg_handle_assign(wg_tensor *t, wg_node *n);
/* Takes what wg_data_mut lent; call before using t's node. */
bool wg_settle(wg_tensor *t);
void wg_leaf_unref(wg_leaf *l);
/* Room for n more updates in the pending list; false with the error set. */
bool wg_reserve_updates(wg_graph *g, size_t n);
/* Sets (takes a reference) or drops a leaf's gradient; a new one is a pending update, for which room was reserved. */
void wg_leaf_set_grad(wg_leaf *l, wg_node *grad);

/* A scope for the library's own temporaries: ends without running anything. */
bool wg_scope_push(wg_graph *g);
void wg_scope_pop(wg_graph *g);
/* After a call of a user's function: closes the scopes above `depth` that it left open. False, with the error set, if it
 * closed one that it did not open. */
bool wg_scope_unwind(wg_graph *g, size_t depth, const char *who);

/* ---- argument checks ------------------------------------------------------------------------------------------------ */

/* True if all are tensors of one usable context; settles lent bytes. NULL operands: false, and no error of their own
 * when the context already has one. Sets *g. */
bool wg_check(const char *op, wg_graph **g, wg_tensor *const *in, int n);

#endif
