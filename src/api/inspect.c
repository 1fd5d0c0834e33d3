/* What ran, in numbers; and what begins and ends watching. */
#include "api/inspect.h"

#include "api/fail.h"
#include "base/alloc.h"
#include "runtime/rates.h"
#include "runtime/watch.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- choosing plans --------------------------------------------------------------------------------------------------------- */

typedef struct choice {
    const wg_engine *engine;
    wg_plans which;
    wg_exec **plans;
    size_t n, cap;
    bool failed;
} choice;

static bool meant(const wg_engine *e, wg_plans which, const wg_ran *r) {
    switch (which) {
    case WG_PLAN_LAST:
        return r->last > 0 && r->last == e->runs;
    case WG_PLAN_SCOPE:
        return r->last > 0 && r->scope == e->scope;
    case WG_PLAN_ALL:
        return r->last > 0 && r->window == e->window;
    }
    return false;
}

static void choose(wg_exec *x, void *user) {
    choice *c = user;
    if (!meant(c->engine, c->which, &x->ran) || c->failed) {
        return;
    }
    if (!WG_RESERVE(c->plans, c->n, c->cap)) {
        c->failed = true;
        return;
    }
    c->plans[c->n++] = x;
}

static int by_last_run(const void *a, const void *b) {
    uint64_t x = (*(wg_exec *const *)a)->ran.last, y = (*(wg_exec *const *)b)->ran.last;
    return (x > y) - (x < y);
}

bool wg_choose_plans(wg_ctx *ctx, wg_plans which, wg_chosen *out) {
    choice c = {.engine = &ctx->engine, .which = which};
    wg_watch_collect(&ctx->engine);
    wg_plan_cache_each(ctx->plans, choose, &c);
    if (c.failed) {
        wg_mem_free(c.plans);
        wg_ctx_fail(ctx, WG_ERR_NOMEM, "explain: out of host memory");
        return false;
    }
    if (c.n > 1) {
        qsort(c.plans, c.n, sizeof *c.plans, by_last_run);
    }
    *out = (wg_chosen){c.plans, c.n};
    return true;
}

/* ---- filling in --------------------------------------------------------------------------------------------------------------- */

bool wg_step_is_kernel(const wg_exec *x, int step) {
    return x->plan->steps[step].l.results > 0 && x->plan->steps[step].bundle > 0;
}

static double least_seconds(const wg_rates *rates, const wg_cost *cost) {
    double bytes = (double)(cost->read + cost->written), flops = (double)cost->flops;
    return rates->bytes > 0 ? fmax(bytes / rates->bytes, flops / rates->flops) : NAN;
}

/* NULL if it was not timed. */
static const wg_step_times *times_of(const wg_exec *x, int step) {
    return x->ran.steps && x->ran.steps[step].count ? &x->ran.steps[step] : NULL;
}

static double mean_seconds(const wg_exec *x, int step) {
    const wg_step_times *t = times_of(x, step);
    return t ? t->seconds / (double)t->count : NAN;
}

static int by_number(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Different texts; without memory to sort them, as many as there are kernels. */
static uint64_t count_distinct(const wg_exec *x, uint64_t kernels) {
    uint64_t *texts = wg_mem_alloc(kernels * sizeof *texts), n = 0, distinct = 0;
    if (!texts) {
        return kernels;
    }
    for (int i = 0; i < x->plan->nsteps; i++) {
        if (wg_step_is_kernel(x, i)) {
            texts[n++] = x->steps[i].text;
        }
    }
    if (n > 1) {
        qsort(texts, n, sizeof *texts, by_number);
    }
    for (uint64_t i = 0; i < n; i++) {
        distinct += i == 0 || texts[i] != texts[i - 1];
    }
    wg_mem_free(texts);
    return distinct;
}

void wg_fill_plan(const wg_ctx *ctx, const wg_exec *x, wg_plans which, wg_plan_info *out) {
    const wg_ran *r = &x->ran;
    const wg_cost *cost = &x->plan->cost;
    *out = (wg_plan_info){.number = x->number,
                          .runs = which == WG_PLAN_LAST    ? 1
                                  : which == WG_PLAN_SCOPE ? r->scope_runs
                                                           : r->runs,
                          .bytes_read = (uint64_t)cost->read,
                          .bytes_written = (uint64_t)cost->written,
                          .flops = (uint64_t)cost->flops,
                          .temporaries = wg_watch_temporaries(x),
                          .host_seconds = r->host_count ? r->host / (double)r->host_count : NAN};
    for (int i = 0; i < x->plan->nsteps; i++) {
        if (wg_step_is_kernel(x, i)) {
            out->kernels++;
            out->device_seconds += mean_seconds(x, i);
            const wg_cost launch = wg_plan_launch_cost(x->plan, i);
            out->least_seconds += least_seconds(&ctx->rates, &launch);
        }
    }
    out->distinct = count_distinct(x, out->kernels);
}

/* The loops of a launch: all of them, or as many as find room. */
static void print_loops(const wg_step *lead, char *out, size_t cap) {
    const size_t reserve = strlen(" and 99 more");
    wg_str loops = {0};
    wg_step_print_loops(lead, &loops);
    int i = 1;
    for (; wg_step_leads_chain(lead) && i < lead->bundle; i++) {
        size_t fits = loops.len;
        wg_str_add(&loops, lead[i].part == WG_PART_SUM ? " with " : ", then ");
        wg_step_print_loops(&lead[i], &loops);
        if (!loops.failed && loops.len + (i + 1 < lead->bundle ? reserve : 0) >= cap) {
            loops.data[loops.len = fits] = '\0';
            break;
        }
    }
    wg_str_addf(&loops, i < lead->bundle ? " and %d more" : "", lead->bundle - i);
    snprintf(out, cap, "%s", wg_str_text(&loops));
    wg_str_free(&loops);
}

void wg_fill_kernel(const wg_ctx *ctx, const wg_exec *x, int step, wg_kernel_info *out) {
    const wg_step *s = &x->plan->steps[step];
    const wg_cost cost = wg_plan_launch_cost(x->plan, step);
    *out = (wg_kernel_info){.ops = wg_launch_ops(s),
                            .queue = x->plan->turns ? x->plan->turns[step + 1].queue : 0,
                            .text = x->steps[step].text,
                            .bytes_read = (uint64_t)cost.read,
                            .bytes_written = (uint64_t)cost.written,
                            .flops = (uint64_t)cost.flops,
                            .device_seconds = mean_seconds(x, step),
                            .fastest_seconds = times_of(x, step) ? times_of(x, step)->fastest : NAN,
                            .least_seconds = least_seconds(&ctx->rates, &cost)};
    print_loops(s, out->loops, sizeof out->loops);
}

/* ---- the calls ------------------------------------------------------------------------------------------------------------------ */

static bool usable(wg_ctx *ctx) { return ctx && wg_graph_usable(&ctx->graph); }

static wg_status refuse(wg_ctx *ctx) { return ctx ? wg_error_status(ctx) : WG_ERR_ARG; }

size_t wg_get_plans(wg_ctx *ctx, wg_plans which, wg_plan_info *out, size_t cap) {
    wg_chosen chosen;
    if (!usable(ctx) || !wg_choose_plans(ctx, which, &chosen)) {
        return 0;
    }
    for (size_t i = 0; i < chosen.n && i < cap; i++) {
        wg_fill_plan(ctx, chosen.plans[i], which, &out[i]);
    }
    wg_mem_free(chosen.plans);
    return chosen.n;
}

typedef struct numbered {
    uint64_t number;
    const wg_exec *found;
} numbered;

static void find_number(wg_exec *x, void *user) {
    numbered *n = user;
    n->found = x->number == n->number ? x : n->found;
}

size_t wg_get_kernels(wg_ctx *ctx, uint64_t number, wg_kernel_info *out, size_t cap) {
    numbered n = {.number = number};
    size_t count = 0;
    if (!usable(ctx)) {
        return 0;
    }
    wg_watch_collect(&ctx->engine);
    wg_plan_cache_each(ctx->plans, find_number, &n);
    for (int i = 0; n.found && i < n.found->plan->nsteps; i++) {
        if (wg_step_is_kernel(n.found, i)) {
            if (count < cap) {
                wg_fill_kernel(ctx, n.found, i, &out[count]);
            }
            count++;
        }
    }
    return count;
}

wg_status wg_profile(wg_ctx *ctx, bool on) {
    return usable(ctx) ? wg_watch_timing(&ctx->engine, on, &ctx->graph.err) : refuse(ctx);
}

wg_status wg_set_rates(wg_ctx *ctx, wg_rates rates) {
    if (!usable(ctx)) {
        return refuse(ctx);
    }
    if (!(rates.bytes > 0 && rates.flops > 0)) {
        return wg_ctx_fail(ctx, WG_ERR_ARG, "set_rates: %g bytes and %g flops a second: both must be positive",
                           rates.bytes, rates.flops);
    }
    ctx->rates = rates;
    return WG_OK;
}

wg_status wg_measure_rates(wg_ctx *ctx, wg_rates *out) {
    if (!usable(ctx)) {
        return refuse(ctx);
    }
    wg_status status = ctx->rates.bytes > 0
                           ? WG_OK
                           : wg_rates_measure(&ctx->engine, &ctx->rates.bytes, &ctx->rates.flops, &ctx->graph.err);
    if (out) {
        *out = ctx->rates;
    }
    return status;
}

static wg_status trace(wg_ctx *ctx, const char *path) {
    wg_status status = wg_watch_trace(&ctx->engine, path, &ctx->graph.err);
    const wg_watch *p = ctx->engine.dev.watch;
    ctx->graph.hooks.recorded = p && p->timeline ? wg_recorded_traced : wg_recorded;
    return status;
}

wg_status wg_trace_begin(wg_ctx *ctx, const char *path) {
    if (!usable(ctx)) {
        return refuse(ctx);
    }
    return path ? trace(ctx, path) : wg_ctx_fail(ctx, WG_ERR_ARG, "trace_begin: the path is NULL");
}

wg_status wg_trace_end(wg_ctx *ctx) { return usable(ctx) ? trace(ctx, NULL) : refuse(ctx); }

void wg_trace_from_environment(wg_ctx *ctx) {
    static _Atomic unsigned begun;
    const char *path = getenv("WENGERT_TRACE");
    char numbered_path[4096];
    if (path && *path) {
        unsigned n = ++begun;
        int len = snprintf(numbered_path, sizeof numbered_path, "%s.%u", path, n);
        (void)trace(ctx, n > 1 && (size_t)len < sizeof numbered_path ? numbered_path : path);
    }
}
