/*
 * Sinking: a cheap map whose result would be stored for later kernels can instead be computed again in each of them, from
 * values that are stored anyway. The best choice is found by planning: all candidates at first, then those are taken back
 * without which the plan is no better. What counts is bytes moved, and a toll for each launch. In the same way, and with them,
 * it is found which products take rows in (rows.h).
 */
#ifndef WG_SCHEDULE_SINK_H
#define WG_SCHEDULE_SINK_H

#include "schedule/plan.h"

/* How to plan, with the maps in `sink` (a flag for each task, or NULL) told to sink, the products in it to take rows in. */
typedef struct wg_planner wg_planner;
struct wg_planner {
    const wg_problem *problem;
    wg_plan *(*make)(wg_planner *how, const bool *sink,
                     wg_partition *part); /* part is freed by the caller either way */
    int limit;
    wg_form form;
    const wg_limits *limits;
    const wg_joins *joins; /* which are stored by parts, NULL: none */
    wg_terms terms;
    bool share;     /* steps that can share a launch are brought together */
    bool last;      /* the plan that will run: launches are put in order */
    bool too_large; /* the last plan failed because a group fits no kernel */
};

/* Bytes that a launch is worth. */
enum { WG_LAUNCH_TOLL = 128 << 10 };
/* What running a plan costs, in bytes: those moved, those taken, and a toll for each launch. */
int64_t wg_plan_price(const wg_plan *plan);

/* The better of `plan`, which was made of `part` with nothing sunk, and plans with sunk maps, then with joins. Takes over both. */
wg_plan *wg_plan_sink(wg_planner *how, wg_plan *plan, wg_partition *part);

#endif
