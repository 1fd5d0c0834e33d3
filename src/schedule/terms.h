/*
 * Products that are added up. Where a map reads the result of a product that nothing else reads, and joins another product's
 * group, the first product moves there: the kernel computes one product after the other, each with the sums it has alone.
 * What was made of those before is one value, which waits in a register (or in scratch) while the next product is computed,
 * rounded as if it had been stored.
 *
 * A product moves to a later place only. What it reads is there still, since where values lie, and what is written over
 * them, is decided when all kernels have their places (memory.c). It does not move where its operands would have to stay for
 * more bytes than it saves.
 */
#ifndef WG_SCHEDULE_TERMS_H
#define WG_SCHEDULE_TERMS_H

#include "schedule/lower.h"
#include "schedule/place.h"

/* Counts who reads what. False when there is no memory. */
bool wg_terms_begin(wg_partition *p);
/* Before a map, which adds d to its group, is put there: moves the products to the group that only the map reads. */
void wg_terms_bring(wg_partition *p, int group, int task, const wg_place_demand *d);
/* The task of product t of a group, and its operands. */
int wg_terms_task(const wg_group *g, size_t t);
const wg_prologue *wg_terms_operand(const wg_group *g, size_t t, int k);
/* The product of a group with that task, -1. */
int wg_terms_number(const wg_group *g, int task);
/* A product of the group by its number, with no strides where it makes its operand. In product.c. */
void wg_terms_describe(const wg_problem *p, const wg_group *g, size_t number, wg_product *m);
/* Whether the two agree in all but where they start. */
bool wg_same_layout(const wg_product *a, const wg_product *b);

/* After which product of a kernel each instruction can be computed: its number, -1 for those that no product is part of. */
void wg_terms_depths(const wg_lowered *l, int *depth);
/* The instructions whose values wait: carried[t] while product t + 1 is computed, WG_MAX_TERMS - 1 of them at most. False if
 * more than one would have to. */
bool wg_terms_carried(const wg_lowered *l, const int *depth, int *carried);
/* The instruction that stands for product t. */
static inline int wg_terms_inst(const wg_lowered *l, int t) { return t ? l->more[t - 1].inst : 0; }

/* On a GPU a tile of 64-bit sums leaves no registers for what waits, or for other sums. */
bool wg_product_fills_registers(wg_form form, wg_dtype dtype);

#endif
