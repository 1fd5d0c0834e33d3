/* What else is done with the operand of a reduction: a copy that is made anyway can be summed in its place, and a product that
 * goes through it along the same axis can take the sum along (sums.c). For partition.c. */
#ifndef WG_SCHEDULE_SUMMED_H
#define WG_SCHEDULE_SUMMED_H

#include "schedule/partition.h"

/* Notes which values are operands of products. */
void wg_summed_find(wg_partition *p);
/* Whether a product goes along the axis that task reduces, of that value: another task's, whose elements are its operand's. */
bool wg_summed_by_product(const wg_partition *p, const wg_task *t, int ref);
/* A task, later than `task`, that copies what it reduces in the order of its elements; -1 if there is none near. */
int wg_summed_copy(const wg_partition *p, int task);

#endif
