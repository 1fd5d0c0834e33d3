/* label: unit */
/* timeout: 240 */
/* host: too */
/* double: optimised */
/*
 * Traces and times on the device: files that are JSON to the last byte and say what ran; kernels timed by the device's own
 * clock; what cannot be written; and a forked child, which has no business in its parent's file.
 */
#include "api/context.h"
#include "harness/check.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- reading JSON: strings, numbers, objects, arrays; no more than the format of traces has -------------------------- */

typedef struct event {
    char ph[4], name[160];
    int pid, tid;
    double ts, dur;
    char shown[96]; /* args.name */
    double read, written, bytes, ops;
} event;

typedef struct reader {
    const char *at;
    event events[4096];
    int n;
} reader;

static void space(reader *r) {
    while (isspace((unsigned char)*r->at)) {
        r->at++;
    }
}

static void expect(reader *r, char c) {
    space(r);
    cr_assert(*r->at == c, "'%c' expected at: %.80s", c, r->at);
    r->at++;
}

static void read_string(reader *r, char *out, size_t cap) {
    size_t n = 0;
    expect(r, '"');
    for (; *r->at != '"'; r->at++) {
        cr_assert((unsigned char)*r->at >= ' ', "a control character in a string");
        if (*r->at == '\\') {
            r->at++;
            cr_assert(strchr("\"\\u", *r->at) != NULL, "escape \\%c", *r->at);
        }
        if (n + 1 < cap) {
            out[n++] = *r->at;
        }
    }
    out[n] = '\0';
    r->at++;
}

static void read_object(reader *r, event *e);

static void read_member(reader *r, event *e) {
    char key[64], text[160] = "";
    double value = NAN;
    read_string(r, key, sizeof key);
    expect(r, ':');
    space(r);
    if (*r->at == '{') {
        cr_assert_str_eq(key, "args");
        event args = {0};
        read_object(r, &args);
        memcpy(e->shown, args.name, sizeof e->shown);
        e->read = args.read;
        e->written = args.written;
        e->bytes = args.bytes;
        e->ops = args.ops;
        return;
    }
    if (*r->at == '"') {
        read_string(r, text, sizeof text);
    } else {
        char *end;
        value = strtod(r->at, &end);
        cr_assert(end != r->at && isfinite(value), "a number expected at: %.80s", r->at);
        r->at = end;
    }
    const struct {
        const char *key;
        double *at;
    } numbers[] = {{"ts", &e->ts},           {"dur", &e->dur},     {"read", &e->read},
                   {"written", &e->written}, {"bytes", &e->bytes}, {"ops", &e->ops}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (strcmp(key, numbers[i].key) == 0) {
            *numbers[i].at = value;
        }
    }
    e->pid = strcmp(key, "pid") == 0 ? (int)value : e->pid;
    e->tid = strcmp(key, "tid") == 0 ? (int)value : e->tid;
    if (strcmp(key, "ph") == 0) {
        snprintf(e->ph, sizeof e->ph, "%.3s", text);
    } else if (strcmp(key, "name") == 0) {
        memcpy(e->name, text, sizeof e->name);
    }
}

static void read_object(reader *r, event *e) {
    expect(r, '{');
    space(r);
    while (*r->at != '}') {
        read_member(r, e);
        space(r);
        if (*r->at == ',') {
            r->at++;
            space(r);
            cr_assert(*r->at != '}', "a comma before a brace");
        }
    }
    r->at++;
}

static reader traced; /* the file read last */

static const reader *read_trace(const char *path) {
    static char text[1 << 20];
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f, "%s", path);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    cr_assert_lt(n, sizeof text - 1);
    text[n] = '\0';
    memset(&traced, 0, sizeof traced);
    traced.at = text;
    expect(&traced, '[');
    do {
        cr_assert_lt(traced.n, 4096);
        read_object(&traced, &traced.events[traced.n++]);
        space(&traced);
    } while (*traced.at == ',' && traced.at++);
    expect(&traced, ']');
    space(&traced);
    cr_assert(*traced.at == '\0', "after the end: %.80s", traced.at);
    return &traced;
}

/* The name of an event's thread, by the metadata. */
static const char *lane_of(const reader *r, const event *e) {
    for (int i = 0; i < r->n; i++) {
        const event *m = &r->events[i];
        if (strcmp(m->ph, "M") == 0 && strcmp(m->name, "thread_name") == 0 && m->pid == e->pid && m->tid == e->tid) {
            return m->shown;
        }
    }
    cr_assert(false, "no thread_name for pid %d, tid %d", e->pid, e->tid);
    return "";
}

static int count(const reader *r, const char *lane, const char *name) {
    int n = 0;
    for (int i = 0; i < r->n; i++) {
        const event *e = &r->events[i];
        n += strcmp(e->ph, "X") == 0 && strcmp(lane_of(r, e), lane) == 0 && (!name || strcmp(e->name, name) == 0);
    }
    return n;
}

static const char *temporary(void) {
    static char path[64];
    snprintf(path, sizeof path, "/tmp/wengert-trace-%d.json", (int)getpid());
    return path;
}

/* ---- traces --------------------------------------------------------------------------------------------------------------- */

static double step(wg_ctx *ctx, wg_tensor *w, bool read) {
    double loss = 0;
    WG_SCOPE(ctx) {
        wg_tensor *x = wg_from_f32(ctx, (float[]){1, 2, 3, 4, 5, 6}, WG_SHAPE(2, 3));
        wg_tensor *y = wg_sum(wg_square(wg_matmul(x, w)), NULL, 0, false);
        wg_backward(y);
        wg_assign(w, wg_sub(w, wg_mul_scalar(wg_grad(w), 0.01)));
        wg_zero_grad(w);
        loss = read ? wg_item(y) : 0;
    }
    return loss;
}

static wg_tensor *weight(wg_ctx *ctx) {
    return wg_param(wg_from_f32(ctx, (float[]){1, -1, 0.5f, 2, 0, 1}, WG_SHAPE(3, 2)));
}

/* Wrong: lanes left out; kernels missing, or at times when the host had not launched them yet. */
Test(trace, says_what_ran) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = weight(ctx);
    cr_expect_eq(wg_trace_begin(ctx, temporary()), WG_OK, "%s", wg_error(ctx));
    wg_stats before = stats_of(ctx);
    for (int k = 0; k < 3; k++) {
        step(ctx, w, true);
    }
    wg_stats after = stats_of(ctx);
    cr_expect_eq(wg_trace_end(ctx), WG_OK, "%s", wg_error(ctx));
    step(ctx, w, true); /* no longer traced */
    const reader *r = read_trace(temporary());
    int kernels = 0;
    double bytes = 0, last = 0, ops = 0;
    for (int i = 0; i < r->n; i++) {
        const event *e = &r->events[i];
        if (strcmp(e->ph, "M") == 0) {
            continue;
        }
        cr_expect_str_eq(e->ph, "X");
        cr_expect(e->ts >= 0 && e->dur >= 0 && e->ts + e->dur < 60e6, "%s: at %g for %g us", e->name, e->ts, e->dur);
        last = fmax(last, e->ts + e->dur);
        ops += e->ops;
        if (e->pid == 2) {
            kernels++;
            bytes += e->read + e->written;
        }
    }
    cr_expect_eq(kernels, after.launches - before.launches, "%d kernels", kernels);
    cr_expect_eq(bytes, after.bytes_moved - before.bytes_moved, "%g bytes", bytes);
    cr_expect(ops > 0 && ops <= (double)(after.nodes - before.nodes), "%g ops recorded", ops);
    cr_expect_eq(count(r, "launch", NULL), kernels);
    cr_expect_eq(count(r, "record", "record"), 3, "between the read and the end of a step nothing is recorded");
    cr_expect_eq(count(r, "plan", "plan"), (int)(after.plans_built - before.plans_built));
    cr_expect_eq(count(r, "plan", "gather"), 6);
    cr_expect_eq(count(r, "build", "build"), (int)(after.builds - before.builds));
    cr_expect_eq(count(r, "bind", "bind"), 6);
    cr_expect_eq(count(r, "transfer", "read"), 3);
    cr_expect_eq(count(r, "transfer", "write"), 3);
    /* In order, each kernel begins after its launch did. */
    const event *launches[64];
    int seen = 0, matched = 0;
    for (int i = 0; i < r->n; i++) {
        if (strcmp(r->events[i].ph, "X") == 0 && strcmp(lane_of(r, &r->events[i]), "launch") == 0 && seen < 64) {
            launches[seen++] = &r->events[i];
        }
    }
    for (int i = 0; i < r->n && matched < seen; i++) {
        if (r->events[i].pid == 2 && strcmp(r->events[i].ph, "X") == 0) {
            const event *l = launches[matched++];
            cr_expect_str_eq(r->events[i].name, l->name);
            cr_expect(r->events[i].ts >= l->ts, "%s ran at %g us, launched at %g", l->name, r->events[i].ts, l->ts);
        }
    }
    unlink(temporary());
    close_ok(ctx);
}

/* WENGERT_TRACE: a file for each context, complete when that closes, even with a scope open. */
Test(trace, from_the_environment) {
    char second[80];
    snprintf(second, sizeof second, "%s.2", temporary());
    setenv("WENGERT_TRACE", temporary(), 1);
    wg_ctx *a = open_ctx(), *b = open_ctx();
    unsetenv("WENGERT_TRACE");
    step(a, weight(a), false);
    wg_scope_begin(b);
    step(b, weight(b), true);
    close_ok(a);
    close_ok(b);
    cr_expect_gt(count(read_trace(temporary()), "launch", NULL), 0);
    cr_expect_gt(count(read_trace(second), "launch", NULL), 0);
    unlink(temporary());
    unlink(second);
}

/* Wrong: results that depend on being watched. */
Test(trace, changes_no_result) {
    wg_ctx *a = open_ctx(), *b = open_ctx();
    wg_tensor *u = weight(a), *v = weight(b);
    cr_expect_eq(wg_profile(b, true), WG_OK, "%s", wg_error(b));
    for (int k = 0; k < 6; k++) {
        cr_expect_eq(wg_trace_begin(b, temporary()), WG_OK, "%s", wg_error(b)); /* each ends the one before */
        cr_expect_eq(step(a, u, true), step(b, v, true));
        if (k == 3) {
            cr_expect_eq(wg_profile(b, false), WG_OK, "%s", wg_error(b));
        }
    }
    void *x = read_bytes(u, "plain"), *y = read_bytes(v, "watched");
    expect_same_bits(x, y, WG_F32, 6, "weights");
    close_ok(a);
    close_ok(b);
    unlink(temporary());
}

/* A child that closes, or just exits, leaves the parent's file alone. */
Test(trace, of_a_forked_child) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = weight(ctx);
    cr_expect_eq(wg_trace_begin(ctx, temporary()), WG_OK, "%s", wg_error(ctx));
    step(ctx, w, true);
    for (int closes = 0; closes < 2; closes++) {
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            _exit(closes ? wg_close(ctx) != WG_ERR_FORK : wg_trace_end(ctx) != WG_ERR_FORK);
        }
        int status;
        cr_expect(waitpid(child, &status, 0) == child && status == 0);
    }
    step(ctx, w, true);
    cr_expect_eq(wg_trace_end(ctx), WG_OK, "%s", wg_error(ctx));
    cr_expect_eq(count(read_trace(temporary()), "bind", NULL), 4);
    unlink(temporary());
    close_ok(ctx);
}

Test(trace, refuses) {
    wg_ctx *ctx = open_ctx();
    cr_expect_eq(wg_trace_end(ctx), WG_OK, "there is none to end");
    cr_expect_eq(wg_trace_begin(NULL, temporary()), WG_ERR_ARG);
    cr_expect_eq(wg_trace_begin(ctx, NULL), WG_ERR_ARG);
    expect_error(ctx, WG_ERR_ARG, "path", "trace_begin", "path is NULL", NULL);
    cr_expect_eq(wg_trace_begin(ctx, "/nowhere/trace.json"), WG_ERR_IO);
    expect_error(ctx, WG_ERR_IO, "folder", "/nowhere/trace.json", "No such file", NULL);
    cr_expect_eq(wg_trace_begin(ctx, "/dev/full"), WG_OK);
    step(ctx, weight(ctx), true);
    cr_expect_eq(wg_trace_end(ctx), WG_ERR_IO);
    expect_error(ctx, WG_ERR_IO, "full", "/dev/full", "No space", NULL);
    cr_expect_gt(step(ctx, weight(ctx), true), 0);
    close_ok(ctx);
    setenv("WENGERT_TRACE", "/nowhere/trace.json", 1);
    ctx = wg_open(getenv("WENGERT_DEVICE"));
    unsetenv("WENGERT_TRACE");
    expect_error(ctx, WG_ERR_IO, "at open", "/nowhere/trace.json", NULL);
    cr_expect_gt(step(ctx, weight(ctx), true), 0, "usable all the same");
    close_ok(ctx);
    ctx = wg_open("zebra");
    cr_expect_eq(wg_trace_begin(ctx, temporary()), WG_ERR_NO_DEVICE);
    wg_close(ctx);
}

/* ---- times ------------------------------------------------------------------------------------------------------------------ */

/* Wrong: a kernel's time given to another; times lost when there are many launches. A product of 96 takes longer than an
 * addition of two numbers, on any device. */
Test(profile, times_kernels) {
    enum { RUNS = 30 };
    wg_ctx *ctx = open_ctx();
    wg_tensor *a = wg_ones(ctx, WG_F32, WG_SHAPE(96, 96)), *s = wg_ones(ctx, WG_F32, WG_SHAPE(2));
    wg_eval((wg_tensor *[]){a, s}, 2);
    cr_expect_eq(wg_profile(ctx, true), WG_OK);
    for (int k = 0; k < RUNS; k++) {
        if (k == 1) { /* launches that are no plan's */
            wg_measure_rates(ctx, NULL);
            wg_error_take(ctx, NULL, 0);
        }
        WG_SCOPE(ctx) { cr_assert_eq(wg_eval((wg_tensor *[]){wg_matmul(a, a), wg_exp(s)}, 2), WG_OK); }
    }
    wg_plan_info plan;
    wg_kernel_info k[2];
    cr_expect_eq(wg_get_plans(ctx, WG_PLAN_ALL, &plan, 1), 1);
    cr_expect_eq(plan.runs, RUNS);
    cr_expect_eq(wg_get_kernels(ctx, plan.number, k, 2), 2);
    int product = strcmp(k[0].ops, "matmul") == 0 ? 0 : 1;
    for (int i = 0; i < 2; i++) {
        cr_expect(k[i].fastest_seconds > 0 && k[i].device_seconds >= k[i].fastest_seconds, "%s", k[i].ops);
    }
    cr_expect_gt(k[product].fastest_seconds, k[!product].fastest_seconds, "%s %g s, %s %g s", k[0].ops,
                 k[0].fastest_seconds, k[1].ops, k[1].fastest_seconds);
    cr_expect(fabs(plan.device_seconds - k[0].device_seconds - k[1].device_seconds) < 1e-12);
    cr_expect(plan.host_seconds > 0 && plan.host_seconds < 1, "%g s of host time", plan.host_seconds);
    close_ok(ctx);
}

/* Wrong: times that come for a plan which the cache has given up meanwhile; an environment that is not asked. */
Test(profile, plans_that_go) {
    setenv("WENGERT_PROFILE", "1", 1);
    wg_ctx *ctx = open_ctx();
    unsetenv("WENGERT_PROFILE");
    for (int64_t n = 1; n <= 600; n++) {
        WG_SCOPE(ctx) {
            wg_tensor *t = wg_zeros(ctx, WG_F32, WG_SHAPE(n));
            cr_assert_eq(wg_eval(&t, 1), WG_OK, "%s", wg_error(ctx));
        }
    }
    static wg_plan_info plans[600];
    size_t n = wg_get_plans(ctx, WG_PLAN_ALL, plans, 600);
    cr_expect(n > 100 && n < 600, "%zu plans", n);
    for (size_t i = 0; i < n; i++) {
        cr_expect(plans[i].device_seconds > 0, "plan %d was not timed", (int)plans[i].number);
    }
    close_ok(ctx);
}

/* Measured once: the same afterwards, and within what one could believe, also of a device that others use. */
Test(profile, rates) {
    wg_ctx *ctx = open_ctx();
    wg_rates a = {0}, b = {0};
    if (ctx->engine.dev.limits->interprets) {
        cr_expect_eq(wg_measure_rates(ctx, &a), WG_ERR_UNSUPPORTED);
        wg_error_take(ctx, NULL, 0);
        cr_expect_eq(wg_set_rates(ctx, (wg_rates){1e9, 2e9}), WG_OK);
    }
    cr_expect_eq(wg_measure_rates(ctx, &a), WG_OK, "%s", wg_error(ctx));
    cr_expect_eq(wg_measure_rates(ctx, &b), WG_OK);
    cr_expect(a.bytes > 1e6 && a.bytes < 1e14 && a.flops > 1e7 && a.flops < 1e16, "%g B/s, %g flop/s", a.bytes,
              a.flops);
    cr_expect(a.bytes == b.bytes && a.flops == b.flops);
    cr_expect_eq(stats_of(ctx).bytes_live, 0);
    close_ok(ctx);
}
