/* What inspect.c and explain.c share. */
#ifndef WG_API_INSPECT_H
#define WG_API_INSPECT_H

#include "api/context.h"

/* Plans that are meant, in the order in which they ran last. */
typedef struct wg_chosen {
    wg_exec **plans;
    size_t n;
} wg_chosen;

/* Asks the device for the times so far, then chooses. False, with the error set, if there is no memory. */
bool wg_choose_plans(wg_ctx *ctx, wg_plans which, wg_chosen *out);

void wg_fill_plan(const wg_ctx *ctx, const wg_exec *x, wg_plans which, wg_plan_info *out);
void wg_fill_kernel(const wg_ctx *ctx, const wg_exec *x, int step, wg_kernel_info *out);

/* Steps with nothing to do are no kernels, nor are those behind another in its launch. */
bool wg_step_is_kernel(const wg_exec *x, int step);

#endif
