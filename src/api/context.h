/* The context: a graph, an engine that runs its plans, and the plans remembered. */
#ifndef WG_API_CONTEXT_H
#define WG_API_CONTEXT_H

#include "graph/graph.h"
#include "runtime/exec.h"

#include <wengert/inspect.h>

typedef struct wg_plan_cache wg_plan_cache;
typedef struct wg_capture wg_capture; /* see api/replay.h */

struct wg_ctx {
    wg_graph graph; /* first: a graph's address is its context's */
    wg_engine engine;
    wg_problem problem; /* of the demand under way; kept for its memory */
    wg_plan_cache *plans;
    wg_node **roots; /* of the demand under way */
    size_t nroots, root_cap;
    wg_tensor **lent; /* tensors whose new bytes wg_data_mut lent */
    size_t nlent, lent_cap;
    bool eager, anomaly, opened;
    char memory_text[2048]; /* the error of the device memory that ran out: see wg_memory_ran_out */
    wg_rates rates;         /* of the device; 0: not known */
    uint64_t plans_built, plans_reused;
    struct wg_replay *replays; /* of this context, linked */
    wg_capture *capture;       /* the replay that is recording; NULL: none is */
};

static inline wg_ctx *wg_ctx_of(wg_graph *g) { return (wg_ctx *)g; }
/* NULL for NULL. */
wg_graph *wg_graph_of(wg_ctx *ctx);

/* Runs what the roots in ctx->roots need; the first nfinal of them are held by the pending list. */
wg_status wg_demand(wg_ctx *ctx, size_t nfinal);
/* Adds a root; false when there is no memory (error set). */
bool wg_demand_root(wg_ctx *ctx, wg_node *n);
/* The same for a single node. */
wg_status wg_demand_node(wg_ctx *ctx, wg_node *n);

/* Runs the innermost scope's updates, frees its handles and closes it. The root scope stays open. */
wg_status wg_close_scope(wg_ctx *ctx);
/* Runs the updates of the innermost scope recorded so far. */
wg_status wg_run_updates(wg_ctx *ctx, bool with_kept);
/* Takes what wg_data_mut lent, for all tensors. */
bool wg_settle_all(wg_ctx *ctx);

/* The hooks of the graph: see wg_graph_hooks. */
bool wg_recorded(wg_graph *g, wg_node *n);
bool wg_recorded_traced(wg_graph *g, wg_node *n); /* while there is a trace */
bool wg_settle_tensor(wg_tensor *t);

/* Runs n, just recorded, and looks at its result: see wg_detect_anomaly. False: the error is set. */
bool wg_anomaly_run(wg_ctx *ctx, wg_node *n);
/* Device memory ran out: the context's error, if it is that, gets a text that says who holds it. Allocates nothing. */
void wg_memory_ran_out(wg_ctx *ctx);
/* Reads "512M": a number of bytes, or of K, M or G of 1024. False if it is none. */
bool wg_memory_parse(const char *text, size_t *bytes);

wg_plan_cache *wg_plan_cache_new(void);
void wg_plan_cache_free(wg_plan_cache *c);
/* The compiled plan of a problem, from the cache or made now. NULL with the error set. */
wg_exec *wg_plan_cache_get(wg_ctx *ctx, const wg_problem *p);
/* The same from the cache alone; NULL, without an error, if it is not there. */
wg_exec *wg_plan_cache_find(wg_ctx *ctx, const wg_problem *p);
/* The plan used last; NULL if there is none. */
const wg_exec *wg_plan_cache_newest(const wg_ctx *ctx);
/* Visits every plan, the one longest unused first. */
void wg_plan_cache_each(const wg_plan_cache *c, void (*visit)(wg_exec *x, void *user), void *user);

/* The trace that WENGERT_TRACE asks for. */
void wg_trace_from_environment(wg_ctx *ctx);

#endif
