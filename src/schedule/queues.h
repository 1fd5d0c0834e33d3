/* Spreading the launches of a plan over several queues, so that branches that need nothing of each other overlap. */
#ifndef WG_SCHEDULE_QUEUES_H
#define WG_SCHEDULE_QUEUES_H

#include "schedule/plan.h"

/* Bytes that a multiprocessor moves while a launch begins and ends; operations it does while it moves one. Rough: they only
 * weigh branches against each other. */
enum { WG_LAUNCH_WIDTH = 64 << 10, WG_FLOPS_A_BYTE = 16 };

/*
 * Fills in plan->turns of a plan that is counted and whose values all have their places, scratch too. The launches keep their
 * order and memory stays as it is: bytes that are used for one thing after another make launches wait for each other like
 * values do. Where nothing is gained, turns stay NULL: one queue, no events. False when there is no memory.
 */
bool wg_plan_queues(wg_plan *plan, const wg_limits *limits);

#endif
