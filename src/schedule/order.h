/* The order of a plan's launches: as recorded, but where another one takes less memory. For one queue: what lies over what has
 * just died cannot overlap with it on several. */
#ifndef WG_SCHEDULE_ORDER_H
#define WG_SCHEDULE_ORDER_H

#include "schedule/plan.h"

/* Moves launches of a plan whose memory is laid out, and lays it out anew, if that makes it smaller. False when there is no
 * memory. */
bool wg_plan_order(wg_plan *plan, const wg_partition *part, const wg_limits *limits);

#endif
