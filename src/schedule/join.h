/*
 * Joins: values put together of parts that do not overlap, by cat, by slices scattered into zeros, by sums of such, in
 * whatever order they are copied at last. The kernels that make the parts can store them where they belong in the joined
 * bytes; then nothing is left of the join but a copy of those parts that nobody could store so.
 *
 * Which values are joins is seen from the ops alone (join.c), which of them pay is found by planning (join_choose.c), and
 * join_place.c has the parts stored.
 */
#ifndef WG_SCHEDULE_JOIN_H
#define WG_SCHEDULE_JOIN_H

#include "schedule/partition.h"
#include "schedule/sink.h"

enum { WG_JOIN_PARTS = 32 };

typedef struct wg_join {
    wg_join_part part[WG_JOIN_PARTS];
    int nparts;
} wg_join;

/* What is known of a problem's joins. */
struct wg_joins {
    int *uses;    /* by task: operands that it is */
    bool *joins;  /* by task: an op that joins what it is made of, if that does not overlap */
    int *root;    /* by task: the join, and 1, that it is a step of; 0: of none */
    bool *chosen; /* by task: a join whose parts are stored where they belong */
};

/* False when there is no memory. Freed either way by wg_joins_free. */
bool wg_joins_find(const wg_problem *p, wg_joins *out);
void wg_joins_free(wg_joins *j);
/* The parts of a join; false where they overlap, or leave something out, or are too many. Notes in `root` which tasks are its
 * steps. */
bool wg_join_describe(const wg_problem *p, const wg_joins *j, int task, int *root, wg_join *out);

/* Has the parts of a chosen join stored by the groups that make them; false, and nothing is changed, if none can. */
bool wg_join_place(wg_partition *p, int task);
/* Whether who makes a part might store it in place, as far as is seen without groups. */
bool wg_join_may_store(const wg_problem *p, const wg_join_part *part);

/* The better of `plan`, made with the maps in `sink` (or NULL) sunk, and plans with joins stored by parts, which the planner is left
 * set to. Takes over the plan. */
wg_plan *wg_plan_join(wg_planner *how, wg_plan *plan, const bool *sink, wg_joins *joins);

#endif
