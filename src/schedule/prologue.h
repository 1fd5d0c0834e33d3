/* Operands of a product that are computed where it loads them: cheap maps (a cast, a scale, an activation, a norm's last
 * step) then need no bytes of their own. For partition.c. */
#ifndef WG_SCHEDULE_PROLOGUE_H
#define WG_SCHEDULE_PROLOGUE_H

#include "schedule/partition.h"

enum { WG_PROLOGUE_CHEAP = 12 }; /* instructions of an operand: a product loads its elements several times */

/* Whether a library computes a product, from bytes. */
bool wg_product_apart(const wg_partition *p, int task);
/* Whether operand k of a product, a float, can be computed by the product. */
bool wg_prologue_fits(const wg_partition *p, int task, int k);
/* Has it computed there. */
void wg_prologue_put(wg_partition *p, int group, int task, int k);

#endif
