/* Watching plans run. */
#include "runtime/watch.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MANY = 4096 }; /* launches after which the device is asked for their times without being told to */

static void flush_recorded(wg_watch *p) {
    if (p->recorded > 0 && p->timeline) {
        char args[40];
        snprintf(args, sizeof args, "\"ops\":%" PRIu64, p->recorded);
        wg_timeline_span(p->timeline, WG_LANE_RECORD, "record", p->record_from, p->record_to, args);
    }
    p->recorded = 0;
}

/* ---- watching or not ------------------------------------------------------------------------------------------------------ */

static bool watch(wg_engine *e, wg_err *err) {
    if (!e->dev.watch) {
        wg_watch *p = wg_mem_zalloc(sizeof *p);
        if (!p) {
            wg_err_set(err, WG_ERR_NOMEM, "profile: out of host memory");
            return false;
        }
        p->clock = wg_clock;
        e->dev.watch = p;
    }
    return true;
}

/* Both timing and tracing want the device's clock; neither any more: nobody watches. */
static wg_status settle(wg_engine *e, wg_err *err) {
    wg_watch *p = e->dev.watch;
    bool wanted = p->timing || p->timeline;
    wg_status status = WG_OK;
    if (wanted != p->by_device) {
        status = wg_dev_timing(&e->dev, wanted, err);
        p->by_device = status == WG_OK && wanted;
        status = status == WG_ERR_UNSUPPORTED ? WG_OK : status; /* the host's clock does */
    }
    if (!wanted) {
        wg_mem_free(p->timed);
        wg_mem_free(p);
        e->dev.watch = NULL;
    }
    return status;
}

wg_status wg_watch_timing(wg_engine *e, bool on, wg_err *err) {
    if (!e->dev.watch && !on) {
        return WG_OK;
    }
    if (!watch(e, err)) {
        return WG_ERR_NOMEM;
    }
    wg_watch_collect(e);
    e->window += on; /* what was collected stays to be explained */
    e->dev.watch->timing = on;
    return settle(e, err);
}

wg_status wg_watch_trace(wg_engine *e, const char *path, wg_err *err) {
    if (!e->dev.watch && !path) {
        return WG_OK;
    }
    if (!watch(e, err)) {
        return WG_ERR_NOMEM;
    }
    wg_watch *p = e->dev.watch;
    wg_watch_collect(e);
    flush_recorded(p);
    wg_status status = wg_timeline_close(p->timeline, true, err);
    p->timeline = NULL;
    if (path) {
        wg_err why = {0};
        p->timeline = wg_timeline_open(path, e->dev.limits, p->clock(), &why);
        if (!p->timeline) {
            wg_err_set(err, why.status, "%s", wg_err_text(&why));
            status = status == WG_OK ? why.status : status;
        }
        wg_err_clear(&why);
    }
    wg_status settled = settle(e, err);
    return status == WG_OK ? settled : status;
}

wg_status wg_watch_close(wg_engine *e, bool forked, wg_err *err) {
    wg_watch *p = e->dev.watch;
    if (!p) {
        return WG_OK;
    }
    if (!forked) {
        wg_watch_collect(e);
        flush_recorded(p);
    }
    wg_status status = wg_timeline_close(p->timeline, !forked, err);
    wg_mem_free(p->timed);
    wg_mem_free(p);
    e->dev.watch = NULL;
    return status;
}

/* ---- runs ------------------------------------------------------------------------------------------------------------------- */

void wg_watch_forget(wg_engine *e, wg_exec *x) {
    x->ran.window = e->window;
    x->ran.runs = x->ran.host_count = 0;
    x->ran.host = 0;
    wg_mem_free(x->ran.steps);
    x->ran.steps = NULL;
}

static void add_kernel(const wg_watch *p, const wg_timed *t, double from, double to) {
    wg_exec *x = t->exec;
    if (p->timing) {
        if (!x->ran.steps) { /* without memory its times stay unknown */
            x->ran.steps = wg_mem_zalloc((size_t)x->plan->nsteps * sizeof *x->ran.steps);
        }
        wg_step_times *times = x->ran.steps ? &x->ran.steps[t->step] : &(wg_step_times){0};
        times->begun += to - from;
        if (t->last) {
            times->fastest = times->count == 0 || times->begun < times->fastest ? times->begun : times->fastest;
            times->seconds += times->begun;
            times->begun = 0;
            times->count++;
        }
    }
    if (p->timeline) {
        /* Several launches of a step: what it costs stands with the last. */
        wg_cost cost = t->last ? wg_plan_launch_cost(x->plan, t->step) : (wg_cost){0};
        char args[160];
        snprintf(args, sizeof args,
                 "\"plan\":%" PRIu64 ",\"step\":%d,\"read\":%" PRId64 ",\"written\":%" PRId64 ",\"flops\":%" PRId64,
                 x->number, t->step + 1, cost.read, cost.written, cost.flops);
        wg_timeline_span(p->timeline, (wg_lane)(WG_LANE_QUEUE + (int)wg_exec_queue(x, t->step)),
                         wg_launch_ops(&x->plan->steps[t->step]), from, to, args);
    }
}

void wg_watch_collect(wg_engine *e) {
    wg_watch *p = e->dev.watch;
    if (!p || p->ntimed == 0) {
        return;
    }
    wg_launch_time *times = wg_mem_alloc(p->ntimed * sizeof *times);
    size_t n = wg_dev_times(&e->dev, times, times ? p->ntimed : 0);
    for (size_t i = 0; times && i < n; i++) {
        add_kernel(p, &p->timed[i], times[i].from, times[i].to);
    }
    p->ntimed = 0;
    wg_mem_free(times);
}

void wg_watch_skip(wg_engine *e) {
    if (e->dev.watch && e->dev.watch->by_device) {
        wg_dev_times(&e->dev, NULL, 0);
    }
}

void wg_watch_add_launches(wg_engine *e, wg_exec *x, int step, uint64_t n, double from) {
    wg_watch *p = e->dev.watch;
    if (x->ran.window != e->window) {
        wg_watch_forget(e, x);
    }
    wg_watch_span(&e->dev, WG_LANE_LAUNCH, wg_launch_ops(&x->plan->steps[step]), from);
    if (!p->by_device) {
        if (wg_dev_sync(&e->dev, NULL) == WG_OK) { /* an error shows again at the next call that can report it */
            double to = p->clock();
            p->left_out += to - from;
            add_kernel(p, &(wg_timed){x, step, true}, from, to);
        }
        return;
    }
    if (p->ntimed + n > MANY) {
        wg_watch_collect(e);
    }
    for (uint64_t i = 0; i < n; i++) {
        if (!WG_RESERVE(p->timed, p->ntimed, p->timed_cap)) {
            wg_watch_collect(e); /* also forgets the times that have no place */
            p->ntimed = 0;
            break;
        }
        p->timed[p->ntimed++] = (wg_timed){x, step, i + 1 == n};
    }
}

void wg_watch_add_host(wg_engine *e, wg_exec *x, double from) {
    wg_watch *p = e->dev.watch;
    x->ran.host += p->clock() - from - p->left_out;
    x->ran.host_count++;
}

double wg_watch_begin_demand(wg_watch *p) {
    flush_recorded(p);
    p->left_out = 0;
    return p->clock();
}

size_t wg_watch_temporaries(const wg_exec *x) {
    size_t bytes = 0;
    for (int i = 0; i < x->plan->narenas; i++) {
        bytes += (size_t)x->plan->arenas[i];
    }
    return bytes;
}

/* ---- spans of the host -------------------------------------------------------------------------------------------------------- */

void wg_watch_add_span(const wg_watch *p, wg_lane lane, const char *name, double from, const char *args) {
    wg_timeline_span(p->timeline, lane, name, from, p->clock(), args);
}

void wg_watch_add_moved(const wg_watch *p, const char *name, size_t bytes, double from) {
    char args[40];
    snprintf(args, sizeof args, "\"bytes\":%zu", bytes);
    wg_watch_add_span(p, WG_LANE_TRANSFER, name, from, args);
}

void wg_watch_recorded(wg_watch *p) {
    p->record_to = p->clock();
    p->record_from = p->recorded++ ? p->record_from : p->record_to;
}
