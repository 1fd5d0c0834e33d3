/* Where a plan's values lie: bytes of their own, bytes of a leaf that nothing reads any more, or a place in an arena that
 * temporaries share by lifetime. */
#ifndef WG_SCHEDULE_MEMORY_H
#define WG_SCHEDULE_MEMORY_H

#include "schedule/plan.h"

/* Fills slots and arenas of a plan whose steps are lowered and share launches, anew if they were filled before. `largest`: bytes
 * the device allocates at once. False when there is no memory. */
bool wg_plan_memory(wg_plan *plan, const wg_partition *part, int64_t largest);
/* Gives a slot of scratch, whose size is known by now, a place for its step. False when there is no memory. */
bool wg_plan_place_scratch(wg_plan *plan, int slot, int64_t largest);
void wg_plan_memory_drop(wg_plan *plan);
/* Bytes that a run takes beyond those of its leaves: arenas and kept values, scratch once it is placed. */
int64_t wg_plan_bytes(const wg_plan *plan);

#endif
