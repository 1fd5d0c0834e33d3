/* What the library itself costs: recording, launching, replaying a plan, starting. */
#include "cases.h"

#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { CHAIN = 1000, SMALL_KERNELS = 64 };

typedef struct operands {
    wg_ctx *ctx;
    wg_tensor *x, *y;
} operands;

/* ---- record_op ---- */

static void record_chain(void *user) {
    operands *o = user;
    WG_SCOPE(o->ctx) {
        wg_tensor *t = o->x;
        for (int i = 0; i < CHAIN; i++) {
            t = wg_add(t, o->y);
        }
    }
}

static void record_op(bench *b, row *r) {
    operands o = {.ctx = b->ctx, .x = uniform(b->ctx, WG_SHAPE(16)), .y = uniform(b->ctx, WG_SHAPE(16))};
    measure_host(b, r, (side){.run = record_chain, .user = &o, .ctx = b->ctx}, CHAIN);
    row_note(r, "an op recorded and freed; target 300 ns");
}

/* ---- launch ---- */

static void launch_one(void *user) {
    operands *o = user;
    WG_SCOPE(o->ctx) {
        wg_tensor *t = wg_add(o->x, o->y);
        wg_eval(&t, 1);
    }
}

static void launch(bench *b, row *r) {
    operands o = {.ctx = b->ctx, .x = uniform(b->ctx, WG_SHAPE(1)), .y = uniform(b->ctx, WG_SHAPE(1))};
    measure_host(b, r, (side){.run = launch_one, .host_time = true, .user = &o, .ctx = b->ctx}, 1);
    double bare = limits_driver_launch(b->limits);
    if (bare > 0) {
        row_note(r, "the driver's launch alone %s", duration_of(bare).text);
    }
}

/* ---- replay_kernel ---- */

static wg_tensor *small_matmuls(const operands *o) {
    wg_tensor *t = o->x;
    for (int i = 0; i < SMALL_KERNELS; i++) {
        t = wg_matmul(t, o->y);
    }
    return t;
}

static void replay(void *user) {
    operands *o = user;
    WG_SCOPE(o->ctx) {
        wg_tensor *t = small_matmuls(o);
        wg_eval(&t, 1);
    }
}

static void record_only(void *user) {
    operands *o = user;
    WG_SCOPE(o->ctx) { small_matmuls(o); }
}

/* Host seconds a kernel of the plan in ctx, remembered, and of recording its op. */
typedef struct replay_times {
    double min, median, recording;
} replay_times;

static replay_times replay_in(wg_ctx *ctx, double budget) {
    operands o = {.ctx = ctx, .x = uniform(ctx, WG_SHAPE(4, 4)), .y = uniform(ctx, WG_SHAPE(4, 4))};
    side sides[] = {{.run = replay, .user = &o, .ctx = ctx, .host_time = true},
                    {.run = record_only, .user = &o, .ctx = ctx}};
    if (!measure(sides, 2, budget)) {
        return (replay_times){0};
    }
    const wg_stats *x = &sides[0].before, *y = &sides[0].after;
    double launches = (double)(y->launches - x->launches) / (double)sides[0].runs;
    return (replay_times){sides[0].min / launches, sides[0].median / launches, sides[1].min / launches};
}

/* The same plan on a device whose launches cost nothing is what the library adds to the driver's. */
static void replay_kernel(bench *b, row *r) {
    wg_ctx *null = wg_open("null");
    replay_times t = replay_in(null, 0.5 * b->budget);
    if (wg_failed(null)) {
        row_note(r, "null: %s", wg_error(null));
        r->failed = true;
    }
    wg_close(null);
    r->min = t.min;
    r->median = t.median;
    row_note(r, "of %d kernels, beyond the driver's launch; recording is %s of it; on the device %s", SMALL_KERNELS,
             duration_of(t.recording).text, duration_of(replay_in(b->ctx, 0.5 * b->budget).min).text);
}

/* ---- cold_start ---- */

typedef struct child {
    char *arguments[4];
    char said[80];
    bool failed;
} child;

/* The first step of the tutorial, in a process of its own. */
int cold_start_child(const char *device) {
    double start = now();
    wg_ctx *ctx = wg_open(device);
    double opened = now();
    wg_tensor *w = wg_param(wg_from_f32(ctx, (float[]){1}, WG_SHAPE(1)));
    WG_SCOPE(ctx) {
        wg_tensor *loss = wg_square(wg_sub_scalar(wg_mul_scalar(w, 1), 2));
        wg_backward(loss);
        wg_item(wg_grad(w));
        wg_assign(w, wg_sub(w, wg_mul_scalar(wg_grad(w), 0.01)));
        wg_zero_grad(w);
    }
    double value = wg_item(w), stepped = now();
    bool computes = strncmp(wg_device_name(ctx), "null", 4) != 0;
    wg_status status = wg_close(ctx);
    printf("open %s, step %s", duration_of(opened - start).text, duration_of(stepped - opened).text);
    return status != WG_OK || (computes && !(value > 1.0199 && value < 1.0201));
}

static void run_child(void *user) {
    child *c = user;
    int ends[2], status = 1;
    pid_t pid;
    posix_spawn_file_actions_t actions;
    c->failed = true;
    if (pipe(ends)) {
        return;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    int error = posix_spawn(&pid, "/proc/self/exe", &actions, NULL, c->arguments, environ);
    close(ends[1]);
    if (!error) {
        ssize_t n = read(ends[0], c->said, sizeof c->said - 1);
        c->said[n > 0 ? n : 0] = '\0';
        c->failed = waitpid(pid, &status, 0) != pid || status != 0;
    }
    close(ends[0]);
    posix_spawn_file_actions_destroy(&actions);
}

static void cold_start(bench *b, row *r) {
    child c = {.arguments = {(char *)"wengert-bench", (char *)CHILD_ARGUMENT, (char *)b->device, NULL}};
    side s = {.run = run_child, .user = &c};
    measure(&s, 1, b->budget);
    r->min = s.min;
    r->median = s.median;
    row_note(r, "a process that takes one step, kernels in the driver's disk cache: %s; target 300 ms", c.said);
    if (c.failed) {
        r->failed = true;
    }
}

const bench_case host_cases[] = {
    {"record_op", "host time to record one op: a chain of 1000 adds, never demanded", record_op},
    {"launch", "host time to demand one tiny kernel, its plan remembered", launch},
    {"replay_kernel", "host time a kernel of a remembered plan, beyond the driver's launch", replay_kernel},
    {"cold_start", "a process that opens a context and takes one training step", cold_start},
    {0},
};
