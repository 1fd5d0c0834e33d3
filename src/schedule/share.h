/*
 * Steps that share a launch. A bundle does the same to many sets of tensors (bundle.c); a chain puts small steps before or
 * behind a large one (chain.c); a product brings sums of its operands with it (sums.c). Steps move together only where the
 * plan's memory does not grow by it.
 */
#ifndef WG_SCHEDULE_SHARE_H
#define WG_SCHEDULE_SHARE_H

#include "schedule/plan.h"

/* Reorders the steps of a plan and makes bundles and chains of them; its memory is laid out already, and is laid out anew.
 * False when there is no memory. */
bool wg_plan_share(wg_plan *plan, const wg_partition *part, wg_form form, const wg_limits *limits);

/*
 * A chain is made of steps before the main one, that one, and steps after it. Every group of its kernel does all steps
 * before by itself, each for one number that stays in a register; then its share of the main step; and the group that is done
 * last, as a ticket tells it, does the steps after. Bodies and orders of sums are those of launches of their own.
 */
static inline bool wg_step_leads_chain(const wg_step *s) { return s->bundle > 1 && s->part != WG_PART_ALIKE; }
/*
 * A product's kernel goes through its operands along its sum, and so do reductions over that axis: those that sum what it packs
 * or loads, as it lies there, are steps behind it. Their arguments go the way of a chain's. Their loops say what a launch of
 * their own would do, and that is what the interpreter does; kernels have the operand from the product instead.
 */
static inline bool wg_step_is_sum(const wg_step *s) { return s->part == WG_PART_SUM; }
/* Whether a sum behind a product leaves out an instruction: what makes the operand's elements. */
static inline bool wg_sum_leaves_out(const wg_step *s, const wg_inst *in) {
    return wg_step_is_sum(s) && in->level == WG_LEVEL_ELEM;
}
/* Whether a step reads or writes a buffer, which a sum behind a product may not. */
bool wg_step_touches(const wg_step *s, int buffer);
/* The number of its main step, from the chain's first; 0 where a launch is no chain. */
int wg_chain_main(const wg_step *lead);
/* The ops that a launch is known by. */
static inline const char *wg_launch_ops(const wg_step *lead) { return lead[wg_chain_main(lead)].ops; }
/* Whether it has steps after the main one, and so needs a ticket. */
bool wg_chain_draws(const wg_step *lead);
/* Work-items of its groups in the simt form: a row's sum is made by as many everywhere. */
int wg_chain_items(const wg_step *lead);

/* The most groups it is launched with: as many as a device has under way at once, so that few of them do the steps before,
 * and few draw tickets. */
int64_t wg_chain_groups(const wg_step *lead, wg_form form, const wg_limits *limits);

/* Work-items a multiprocessor has under way at once. */
enum { WG_RESIDENT = 2048 };
/* Arguments of a chain's kernel, words of scalars and buffers together: 1024 bytes is what every OpenCL device takes, less
 * two for the ticket. */
enum { WG_CHAIN_WORDS = 126 };
/* Tickets of a plan: each launch has its own, since launches may overlap. */
enum { WG_TICKETS = 1024 };

#endif
