/* Where a plan's values lie: bytes of their own, bytes of a leaf that nothing reads any more, or a shared block. */
#ifndef WG_SCHEDULE_MEMORY_H
#define WG_SCHEDULE_MEMORY_H

#include "schedule/plan.h"

/* Fills slots and blocks of a plan whose steps are lowered. False when there is no memory. */
bool wg_plan_memory(wg_plan *plan, const wg_partition *part);

#endif
