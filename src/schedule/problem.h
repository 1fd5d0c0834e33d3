/*
 * A problem: the nodes that a demand needs, in record order, with the bytes they start from, as the scheduler sees
 * them. Gathering it is the hot path of a replay: one walk, no allocation in the steady state. The key describes the
 * problem up to scalars and addresses; equal keys have the same plan.
 */
#ifndef WG_SCHEDULE_PROBLEM_H
#define WG_SCHEDULE_PROBLEM_H

#include "graph/graph.h"
#include "graph/op.h"

/* An operand: task number if >= 0, else leaf number ~ref; seen through view (relative to its bytes), NULL for as is. */
typedef struct wg_operand {
    int32_t ref;
    const wg_view *view;
} wg_operand;

typedef struct wg_task {
    wg_node *node;
    wg_operand in[WG_MAX_IN];
    bool keep; /* its bytes are wanted after the plan */
} wg_task;

typedef struct wg_problem_leaf {
    wg_node *node; /* has bytes */
    bool dying;    /* nothing else will read its bytes after the plan: they may be overwritten */
} wg_problem_leaf;

typedef struct wg_problem {
    wg_task *tasks;
    size_t ntasks, task_cap;
    wg_problem_leaf *leaves;
    size_t nleaves, leaf_cap;
    double *scalars; /* WG_MAX_SCALAR for each task */
    size_t scalar_cap;
    uint64_t *key;
    size_t nkey, key_cap;
    uint64_t hash;
    const bool *plain; /* a flag for each task: a product that a library is to store as it is; NULL for none */
} wg_problem;

/*
 * Gathers what the roots need. `final`: these roots are held by the pending list, whose references go after the plan.
 * False when there is no memory (error set in the graph), or when bytes needed are lost (WG_ERR_LOST).
 */
bool wg_problem_gather(wg_graph *g, wg_node *const *roots, size_t nroots, size_t nfinal, wg_problem *p);
void wg_problem_free(wg_problem *p);

#endif
