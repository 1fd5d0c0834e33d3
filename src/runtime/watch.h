/*
 * Watching plans run: how often each did, how long its kernels took, and a trace. What is counted is counted always;
 * clocks are read only while somebody watches, which is when wg_dev.watch is set.
 */
#ifndef WG_RUNTIME_WATCH_H
#define WG_RUNTIME_WATCH_H

#include "runtime/exec.h"
#include "runtime/timeline.h"

/* A launch whose times the device has not been asked for yet. */
typedef struct wg_timed {
    wg_exec *exec;
    int step;
    bool last; /* of the step's launches */
} wg_timed;

typedef struct wg_watch {
    bool timing;           /* kernels are timed for wg_explain */
    bool by_device;        /* by the device's own clock; else the host waits for every kernel */
    wg_timeline *timeline; /* NULL: no trace */
    double (*clock)(void);
    double left_out; /* of host time, since wg_watch_begin: for planning, building, waiting for kernels */
    wg_timed *timed;
    size_t ntimed, timed_cap;
    /* Ops recorded since the last demand. */
    uint64_t recorded;
    double record_from, record_to;
} wg_watch;

/* Times kernels, or does so no longer. Waits for the device. */
wg_status wg_watch_timing(wg_engine *e, bool on, wg_err *err);
/* Begins a trace, which ends the one before; path NULL ends it. */
wg_status wg_watch_trace(wg_engine *e, const char *path, wg_err *err);
/* Stops watching, at the end of a context. In a forked child the trace is not its own. */
wg_status wg_watch_close(wg_engine *e, bool forked, wg_err *err);

/* Asks the device for the times of the launches so far. To be called before an exec goes. */
void wg_watch_collect(wg_engine *e);
/* Forgets the times of launches that are no plan's. Those before were collected. */
void wg_watch_skip(wg_engine *e);

/* The time; 0 while nobody watches. */
static inline double wg_watch_now(const wg_dev *d) { return d->watch ? d->watch->clock() : 0; }

/* A span on a lane from `from`, what wg_watch_now gave, to now. */
void wg_watch_add_span(const wg_watch *p, wg_lane lane, const char *name, double from, const char *args);
static inline void wg_watch_span(const wg_dev *d, wg_lane lane, const char *name, double from) {
    if (d->watch && d->watch->timeline) {
        wg_watch_add_span(d->watch, lane, name, from, "");
    }
}

/* The same for bytes between host and device. */
void wg_watch_add_moved(const wg_watch *p, const char *name, size_t bytes, double from);
static inline void wg_watch_moved(const wg_dev *d, const char *name, size_t bytes, double from) {
    if (d->watch && d->watch->timeline) {
        wg_watch_add_moved(d->watch, name, bytes, from);
    }
}

/* A step took n launches, the first at `from`. */
void wg_watch_add_launches(wg_engine *e, wg_exec *x, int step, uint64_t n, double from);
static inline void wg_watch_launched(wg_engine *e, wg_exec *x, int step, uint64_t n, double from) {
    if (e->dev.watch && n > 0) {
        wg_watch_add_launches(e, x, step, n, from);
    }
}

/* A demand begins: the ops recorded since the last one become a span. The time, 0 while nobody watches. */
double wg_watch_begin_demand(wg_watch *p);
static inline double wg_watch_begin(const wg_dev *d) { return d->watch ? wg_watch_begin_demand(d->watch) : 0; }

/* What was done from `from` to now is done once for many runs. */
static inline void wg_watch_leave_out(const wg_dev *d, double from) {
    if (d->watch) {
        d->watch->left_out += d->watch->clock() - from;
    }
}

/* The run that wg_watch_begin began has been handed to the device. */
void wg_watch_add_host(wg_engine *e, wg_exec *x, double from);
static inline void wg_watch_host(wg_engine *e, wg_exec *x, double from) {
    if (e->dev.watch) {
        wg_watch_add_host(e, x, from);
    }
}

/* An op was recorded. */
void wg_watch_recorded(wg_watch *p);

/* What is known of the plan's runs belongs to an earlier window. */
void wg_watch_forget(wg_engine *e, wg_exec *x);

/* A plan ran. */
static inline void wg_watch_ran(wg_engine *e, wg_exec *x) {
    wg_ran *r = &x->ran;
    r->last = ++e->runs;
    if (r->window != e->window) {
        wg_watch_forget(e, x);
    }
    if (r->scope != e->scope) {
        r->scope = e->scope;
        r->scope_runs = 0;
    }
    r->runs++;
    r->scope_runs++;
    e->bytes_moved += (uint64_t)(x->plan->cost.read + x->plan->cost.written);
    e->flops += (uint64_t)x->plan->cost.flops;
}

/* Bytes of temporaries that a run of the plan holds. */
size_t wg_watch_temporaries(const wg_exec *x);

#endif
