/* What a step moves and computes, counted from its loops: no device is asked. */
#ifndef WG_SCHEDULE_COST_H
#define WG_SCHEDULE_COST_H

#include <stdint.h>

/*
 * Bytes: each buffer once, by the elements its addresses meet, however often they are met. A gather counts an element for
 * each point of its loops, at most the whole buffer. What stays in registers, in local memory or in the packed blocks of a
 * product is not counted. Operations on floating dtypes: an addition, multiplication, division, root, extreme or elementary
 * function is one for each element, a product of matrices 2 m n k, a reduction one for each element it takes in;
 * comparisons, selections, conversions and random numbers are none.
 */
typedef struct wg_cost {
    int64_t read, written; /* bytes */
    int64_t flops;
} wg_cost;

struct wg_plan;

/* Fills in the cost of each step of a plan and of the whole. */
void wg_plan_count(struct wg_plan *plan);
/* The cost of a launch: of its step and those that share it. */
wg_cost wg_plan_launch_cost(const struct wg_plan *plan, int step);

#endif
