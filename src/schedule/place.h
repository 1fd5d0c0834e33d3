/* Placing tasks into groups: whether a task fits, with the floats it needs, and putting it there. For partition.c. */
#ifndef WG_SCHEDULE_PLACE_H
#define WG_SCHEDULE_PLACE_H

#include "schedule/geometry.h"

enum { WG_READ_LIMIT = 16 }; /* operands of a kernel */

/* The same of a group, which may add up products: those have operands and parameters that leave less room for others. */
int wg_place_read_limit(const wg_group *g);

/* What a task would add to a group: instructions, reads from memory. */
typedef struct wg_place_demand {
    int cost, reads;
} wg_place_demand;

/* Where a group comes in the order of execution. */
int wg_place_order(const wg_partition *p, int group);
/* A new group; -1 when there is no memory (p->failed). */
int wg_place_group(wg_partition *p, wg_group_kind kind, const wg_shape *space, bool early);
/* The entry that makes a task's value in a group; NULL if it is not made there. */
const wg_entry *wg_place_entry(const wg_partition *p, int group, int task);
/* Whether that value, made in registers, is what an operand seen through w is at a level. */
bool wg_place_serves(const wg_partition *p, const wg_group *g, const wg_entry *e, wg_level level, const wg_view *w);
/* Whether an operand (task number or leaf) is a task that floats. */
bool wg_place_floats(const wg_partition *p, int ref);
/* The level at which a floating operand, seen through w, can be computed inside a group; -1 if it needs bytes. */
int wg_place_level(const wg_partition *p, const wg_group *g, wg_level level, int ref, const wg_view *w);
/* Whether a task can be computed before all main groups: nothing it is made of was placed in one. */
bool wg_place_can_be_early(const wg_partition *p, int task);
/* Whether a map can be computed in a group at a level, with everything floating it needs. */
bool wg_place_fits(wg_partition *p, int group, int task, wg_level level, wg_place_demand *d);
/* The same for one operand of a task. */
bool wg_place_operand_fits(wg_partition *p, int group, const wg_task *t, int k, wg_level level, wg_place_demand *d);
/* Notes that a group reads an operand from memory. */
void wg_place_read(wg_partition *p, int group, wg_level level, const wg_view *w, int ref, bool elsewhere);
/* Adds an entry; the task's operands are seen to by the caller. */
void wg_place_add(wg_partition *p, int group, int task, wg_role role, wg_level level);
/* Before a task that fits a group is put there: the floats it needs that the group cannot compute get bytes of their own.
 * All of them first: one that is read both as it is and through a view must not be found in the group by the second. */
void wg_place_make_way(wg_partition *p, int group, int task, wg_level level);
/* Puts a map into a group it fits, floating operands first. */
void wg_place_put(wg_partition *p, int group, int task, wg_level level);
/* Gives floats that a group like `future` could not compute inside their own groups, before that group exists. */
void wg_place_prepare(wg_partition *p, int task, const wg_group *future);
/* A new loop group for a map, early if it depends on leaves and early groups alone. */
void wg_place_alone(wg_partition *p, int task);

#endif
