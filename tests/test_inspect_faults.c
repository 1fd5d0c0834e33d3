/* label: unit */
/* timeout: 240 */
/*
 * Looking inside when memory is short: every allocation of every call fails in turn, and the context goes on as if nobody
 * had looked.
 */
#include "base/alloc.h"
#include "harness/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static FILE *sink;
static char path[64];

typedef struct subject {
    wg_ctx *ctx;
    wg_tensor *w, *loss;
} subject;

static wg_status explain(subject *s) { return wg_explain(s->ctx, WG_PLAN_ALL, sink); }
static wg_status draw(subject *s) { return wg_graph_dot(&s->loss, 1, NULL, sink); }
static wg_status trace(subject *s) {
    wg_status status = wg_trace_begin(s->ctx, path);
    return status == WG_OK ? wg_trace_end(s->ctx) : status;
}
static wg_status profile(subject *s) {
    wg_status status = wg_profile(s->ctx, true);
    return status == WG_OK ? wg_profile(s->ctx, false) : status;
}

/* A run that is watched: whether its times are known afterwards matters to nobody, its result does. */
static wg_status watched_run(subject *s) {
    wg_status status = wg_profile(s->ctx, true);
    WG_SCOPE(s->ctx) {
        wg_tensor *t = wg_mul_scalar(s->w, 2);
        status = status == WG_OK && wg_eval(&t, 1) != WG_OK ? wg_error_status(s->ctx) : status;
    }
    wg_profile(s->ctx, false);
    return status;
}

static const struct {
    const char *name;
    wg_status (*call)(subject *s);
} calls[] = {{"explain", explain}, {"graph_dot", draw}, {"trace", trace}, {"profile", profile}, {"a run", watched_run}};

static void fail_each(const char *name, wg_status (*call)(subject *s)) {
    subject s = {.ctx = open_mode(MODE_HOST)};
    s.w = wg_param(wg_from_f32(s.ctx, (float[]){1, 2, 3, 4}, WG_SHAPE(2, 2)));
    s.loss = wg_sum(wg_square(wg_matmul(s.w, s.w)), NULL, 0, false);
    wg_tensor *warm = wg_exp(s.w);
    cr_assert_eq(wg_eval(&warm, 1), WG_OK);
    size_t live = stats_of(s.ctx).bytes_live;
    int failed = 0;
    for (uint64_t n = 1;; n++) {
        cr_assert_lt(n, 3000, "%s never succeeds", name);
        wg_fault_arm(WG_FAULT_ALLOC, n);
        wg_status status = call(&s);
        bool hit = wg_fault_count(WG_FAULT_ALLOC) >= n;
        wg_fault_arm(WG_FAULT_ALLOC, 0);
        cr_expect(status == WG_OK || status == WG_ERR_NOMEM, "%s, allocation %d: %s", name, (int)n,
                  wg_status_name(status));
        cr_expect_eq(wg_error_status(s.ctx), status, "%s, allocation %d: %s but the context has %s", name, (int)n,
                     wg_status_name(status), wg_error(s.ctx));
        failed += status != WG_OK;
        wg_error_take(s.ctx, NULL, 0);
        if (!hit) {
            break;
        }
    }
    cr_expect_gt(failed, 0, "%s needs no memory", name);
    cr_expect_eq(stats_of(s.ctx).bytes_live, live, "%s leaks device memory", name);
    cr_expect_eq(wg_backward(s.loss), WG_OK, "%s", wg_error(s.ctx));
    cr_expect_eq(wg_item(s.loss), 7 * 7 + 10 * 10 + 15 * 15 + 22 * 22);
    close_ok(s.ctx);
}

/* Wrong: a crash, an error without a word in the context, an unbalanced scope, bytes that stay. */
Test(inspect, survives_every_failed_allocation) {
    sink = fopen("/dev/null", "w");
    snprintf(path, sizeof path, "/tmp/wengert-fault-%d.json", (int)getpid());
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        fail_each(calls[i].name, calls[i].call);
    }
    unlink(path);
    fclose(sink);
}
