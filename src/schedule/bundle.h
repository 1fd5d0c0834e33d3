/*
 * Bundles: steps whose kernels have one text, and none of which needs another, share a launch, so that updating a model's
 * parameters costs one launch and not one for each of them. Steps move together only where the plan's memory does not
 * grow by it.
 */
#ifndef WG_SCHEDULE_BUNDLE_H
#define WG_SCHEDULE_BUNDLE_H

#include "schedule/plan.h"

/* Reorders and bundles the steps of a plan, whose memory is laid out already and is laid out anew. False when there is no
 * memory. */
bool wg_plan_bundle(wg_plan *plan, const wg_partition *part, int64_t largest);

#endif
