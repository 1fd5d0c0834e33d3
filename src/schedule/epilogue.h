/*
 * What a library does to a product before it stores it: a bias, an addend, an activation. Only what the device's limits name
 * joins a product that a library computes, and only where nobody else reads what the library then keeps to itself.
 */
#ifndef WG_SCHEDULE_EPILOGUE_H
#define WG_SCHEDULE_EPILOGUE_H

#include "schedule/lower.h"

typedef struct wg_epilogue {
    unsigned does;                        /* WG_EPILOGUE_*; 0: the product is stored as it is */
    int task;                             /* the product's */
    int result, addend, bias, input;      /* buffers of the step; -1: has none */
    int64_t addend_at, bias_at, input_at; /* where they begin in theirs, in elements */
} wg_epilogue;

/* Whether the library can do a task, which fits the group of a product that it computes, after what is in that group. */
bool wg_epilogue_takes(const wg_partition *p, int group, int task);
/* What is in the group of a product, lowered to l. */
void wg_epilogue_describe(const wg_partition *p, int group, const wg_lowered *l, wg_epilogue *out);

#endif
