/* How tasks, views and loops fit together. */
#ifndef WG_SCHEDULE_GEOMETRY_H
#define WG_SCHEDULE_GEOMETRY_H

#include "schedule/partition.h"

static inline int64_t wg_numel_of(const wg_shape *s) { return wg_shape_numel(*s); }
/* The group's space with reduced dims of size 1: the shape of its KEPT tasks. */
wg_shape wg_group_kept(const wg_group *g);
wg_loop_mode wg_group_mode(const wg_group *g);
/* Whether a view steps evenly through adjacent reduced dims, so that they can be one loop. */
bool wg_runs_merge(const wg_view *v, uint32_t reduced);
/* Whether they are one loop whatever is read: lanes lie on it, or it is cut in chunks that end within a dim. Other columns are
 * summed in the same order by a loop for each dim. (What tells where an element stood reduces one dim.) */
bool wg_group_runs_are_one(const wg_group *g);
/* Whether a group's loops can step through a view over its space. */
bool wg_group_steps(const wg_group *g, const wg_view *v);
/* Where a group that makes the operand of a copying task would store the copy, as a view over the operand's elements; false
 * if the copy is none of each element once, or the group's loops cannot address it. */
bool wg_reordered_view(const wg_problem *p, const wg_group *g, int task, wg_view *out);
/* The view shows all of a task's elements in their own order. */
bool wg_view_aligned(const wg_view *w, const wg_node *n);
/* The view repeats a KEPT task's elements along the reduced axes. */
bool wg_view_repeats_kept(const wg_group *g, const wg_view *w);

/* Length of a chunk of the first reduced run for a reduction of `shape` over `mask`, 0 if it is not split. Depends on
 * the shape alone: the tree of additions must not depend on the device or on what is fused. */
int64_t wg_split_length(const wg_shape *shape, uint32_t mask);
/* The first reduced run: adjacent reduced dims (sizes of 1 aside), as first dim, last dim and number of elements. */
int64_t wg_first_run(const wg_shape *shape, uint32_t mask, int *first, int *last);
/* How many elements of it a step along its first dim passes. */
int64_t wg_run_step(const wg_shape *shape, uint32_t mask);

/* w, a view of a task's shape, over the group's space at a level; false if the loops cannot address it. */
bool wg_group_view(const wg_group *g, wg_level level, const wg_view *w, wg_view *out);
/* The operand as it lies in its bytes, broadcast to the task's shape. */
bool wg_operand_view(const wg_problem *p, const wg_task *t, int k, wg_view *out);

#endif
