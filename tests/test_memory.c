/* label: unit */
/*
 * Device memory as its users see it: the figures, trimming, the limit, and the error that names the largest tensors.
 * Sizes are those of real training steps on the null device, which computes nothing; what a step computes after it had
 * run out of memory is compared with an undisturbed run on the interpreter.
 */
#include "harness/check.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LAYERS = 12, CLASSES = 10 };

/* An MLP with Adam; widths[i] is what goes into layer i. */
typedef struct net {
    const char *device;
    int layers, batch;
    int64_t width[MAX_LAYERS + 1];
} net;

static const net mlp = {"null:cpu", 3, 256, {784, 512, 256, CLASSES}};
static const net deep = {"null:gpu", 12, 64, {300, 900, 40, 700, 700, 700, 100, 1300, 20, 512, 640, 333, CLASSES}};
static const net wide = {"null:cpu", 2, 32, {3000, 4000, CLASSES}}; /* weights beyond 16 MiB: chunks of their own */
static const net small = {"host", 3, 32, {24, 40, 30, CLASSES}};

typedef struct model {
    const net *n;
    wg_ctx *ctx;
    wg_tensor *x, *param[2 * MAX_LAYERS];
    wg_optim *optim;
} model;

static bool make(model *m, const net *n, wg_ctx *ctx) {
    *m = (model){.n = n, .ctx = ctx};
    wg_seed(ctx, 3);
    for (int i = 0; i < n->layers; i++) {
        m->param[2 * i] = wg_keep(wg_zeros(ctx, WG_F32, WG_SHAPE(n->width[i + 1], n->width[i])));
        m->param[2 * i + 1] = wg_keep(wg_zeros(ctx, WG_F32, WG_SHAPE(n->width[i + 1])));
        wg_assign(m->param[2 * i], wg_mul_scalar(wg_rand(ctx, WG_F32, wg_shape_of(m->param[2 * i])), 0.2));
        wg_param(m->param[2 * i]);
        wg_param(m->param[2 * i + 1]);
    }
    m->x = wg_keep(wg_zeros(ctx, WG_F32, WG_SHAPE(n->batch, n->width[0])));
    m->optim = wg_adam_new(m->param, (size_t)n->layers * 2, NULL);
    return wg_eval(m->param, (size_t)n->layers * 2) == WG_OK && m->optim && m->x;
}

static wg_status give(model *m, int k) {
    const net *n = m->n;
    size_t bytes = (size_t)n->batch * (size_t)n->width[0] * sizeof(float);
    float *x = malloc(bytes);
    for (int64_t i = 0; i < n->batch * n->width[0]; i++) {
        x[i] = (float)((i * 7 + k * 3) % 19 - 9) / 10;
    }
    wg_status status = wg_write(m->x, x, bytes);
    free(x);
    return status;
}

/* Records a step and ends its scope; *loss is kept. */
static wg_status step(model *m, int k, wg_tensor **loss) {
    const net *n = m->n;
    int64_t *target = malloc((size_t)n->batch * sizeof *target);
    for (int i = 0; i < n->batch; i++) {
        target[i] = (i + k) % CLASSES;
    }
    wg_mark mark = wg_scope_begin(m->ctx);
    wg_tensor *h = m->x;
    for (int i = 0; i < n->layers; i++) {
        h = wg_linear(h, m->param[2 * i], m->param[2 * i + 1]);
        h = i < n->layers - 1 ? wg_relu(h) : h;
    }
    *loss = wg_keep(wg_cross_entropy(h, wg_from_i64(m->ctx, target, WG_SHAPE(n->batch)), NULL));
    if (wg_backward(*loss) == WG_OK) {
        wg_optim_step(m->optim);
    }
    wg_optim_zero_grad(m->optim);
    free(target);
    return wg_scope_end(m->ctx, mark);
}

/* Steps that succeed; *losses has their losses. */
static void steps(model *m, int from, int count, double *losses) {
    for (int k = from; k < from + count; k++) {
        wg_tensor *loss;
        cr_assert(give(m, k) == WG_OK && step(m, k, &loss) == WG_OK, "%s", wg_error(m->ctx));
        double value = wg_item(loss);
        if (losses) {
            losses[k] = value;
        }
        wg_free(loss);
    }
}

static void done(model *m) {
    wg_optim_free(m->optim);
    close_ok(m->ctx);
}

static wg_memory_info info_of(wg_ctx *ctx) {
    wg_memory_info i;
    wg_memory_stats(ctx, &i);
    return i;
}

/* The most that three steps have live. */
static uint64_t planned_peak(const net *n, double *losses) {
    model m;
    cr_assert(make(&m, n, wg_open(n->device)), "%s", wg_error(m.ctx));
    wg_memory_reset_peak(m.ctx);
    steps(&m, 0, 3, losses);
    uint64_t peak = info_of(m.ctx).peak;
    done(&m);
    return peak;
}

/* ---- figures ------------------------------------------------------------------------------------------------------------ */

Test(memory, figures) {
    const uint64_t mib = 1 << 20;
    wg_ctx *ctx = wg_open("null:cpu");
    wg_memory_info i = info_of(ctx);
    cr_expect(i.live == 0 && i.peak == 0 && i.pooled == 0 && i.tensors == 0 && i.limit == 0 && i.chunks == 0);
    float *data = calloc(mib, sizeof *data);
    wg_tensor *a = wg_from_f32(ctx, data, WG_SHAPE(1024, 256)), *b = wg_from_f32(ctx, data, WG_SHAPE(256));
    wg_tensor *view = wg_reshape(a, WG_SHAPE(256, 1024)), *never_run = wg_exp(a);
    i = info_of(ctx);
    cr_expect_eq(i.live, mib + 1024);
    cr_expect_eq(i.peak, i.live);
    cr_expect_eq(i.pooled, 3 * mib, "a chunk of one, and a chunk of two");
    cr_expect_eq(i.free, i.pooled - i.live);
    cr_expect_eq(i.largest_free, 2 * mib - 1024);
    cr_expect_eq(i.chunks, 2);
    cr_expect_eq(i.tensors, 2, "%llu", (unsigned long long)i.tensors);
    wg_free(never_run);
    wg_free(view);
    wg_free(a);
    i = info_of(ctx);
    cr_expect(i.live == 1024 && i.peak == mib + 1024 && i.tensors == 1);
    wg_memory_reset_peak(ctx);
    cr_expect(info_of(ctx).peak == 1024 && stats_of(ctx).bytes_peak == 1024);
    cr_expect_eq(wg_memory_trim(ctx), mib);
    cr_expect_eq(wg_memory_trim(ctx), 0);
    i = info_of(ctx);
    cr_expect(i.pooled == 2 * mib && i.chunks == 1 && i.tensors == 1);
    wg_free(b);
    cr_expect_eq(wg_memory_trim(ctx), 2 * mib);
    cr_expect_eq(info_of(ctx).largest_free, 0);
    free(data);
    close_ok(ctx);
}

Test(memory, no_context) {
    wg_memory_info i = {.live = 1};
    char text[8] = "junk";
    wg_memory_stats(NULL, &i);
    cr_expect_eq(i.live, 0);
    wg_memory_stats(NULL, NULL);
    wg_memory_reset_peak(NULL);
    cr_expect_eq(wg_memory_trim(NULL), 0);
    cr_expect_eq(wg_memory_limit(NULL, 5), WG_ERR_ARG);
    cr_expect(wg_memory_report(NULL, text, sizeof text) == 0 && text[0] == '\0');
    wg_ctx *ctx = wg_open("no such device");
    cr_expect_eq(wg_memory_limit(ctx, 5), WG_ERR_NO_DEVICE);
    cr_expect_eq(wg_memory_trim(ctx), 0);
    cr_expect_eq(wg_memory_report(ctx, NULL, 0), 0);
    wg_close(ctx);
}

Test(memory, the_report) {
    wg_ctx *ctx = wg_open("null:cpu");
    static const float data[6000];
    wg_mark mark = wg_scope_begin(ctx);
    wg_label(ctx, "encoder");
    wg_tensor *p = wg_param(wg_keep(wg_from_f32(ctx, data, WG_SHAPE(50, 100))));
    wg_tensor *x = wg_from_f32(ctx, data, WG_SHAPE(60, 50)), *k = wg_keep(wg_from_f32(ctx, data, WG_SHAPE(10)));
    wg_tensor *y = wg_matmul(x, p);
    wg_backward(wg_sum(wg_square(wg_exp(y)), NULL, 0, false));
    wg_eval(&y, 1);
    wg_tensor *g = wg_grad(p);
    wg_eval(&g, 1);
    wg_free(g);
    char text[1000], cut[40];
    size_t n = wg_memory_report(ctx, text, sizeof text);
    cr_log_info("%s", text);
    cr_expect_eq(n, strlen(text));
    cr_expect_eq(wg_memory_report(ctx, NULL, 0), n);
    cr_expect_eq(wg_memory_report(ctx, cut, sizeof cut), n);
    cr_expect(strlen(cut) == sizeof cut - 1 && strncmp(cut, text, sizeof cut - 1) == 0);
    const char *const lines[] = {" bytes live, at most ",
                                 "no limit; the largest of ",
                                 "\n  24000 bytes: f32 [60,100] made by matmul, of scope 1 encoder",
                                 "\n  20000 bytes: f32 [50,100] made by source, a kept parameter",
                                 "\n  20000 bytes: f32 [50,100] made by matmul, the gradient of a parameter",
                                 "\n  12000 bytes: f32 [60,50] made by source, of scope 1",
                                 "\n  40 bytes: f32 [10] made by source, kept"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        cr_expect(strstr(text, lines[i]), "'%s' is not in '%s'", lines[i], text);
    }
    cr_expect(strstr(text, "24000") < strstr(text, "20000") && strstr(text, "20000") < strstr(text, "12000"));
    wg_scope_end(ctx, mark);
    wg_free(p);
    wg_free(k);
    wg_memory_report(ctx, text, sizeof text);
    cr_expect(strstr(text, "no tensors"), "%s", text);
    close_ok(ctx);
}

/* ---- the limit ---------------------------------------------------------------------------------------------------------- */

static void runs_within(const net *n) {
    uint64_t peak = planned_peak(n, NULL), limit = peak * 6 / 5;
    wg_ctx *ctx = wg_open(n->device);
    model m;
    wg_memory_limit(ctx, limit);
    cr_assert(make(&m, n, ctx), "%s", wg_error(ctx));
    for (int k = 0; k < 20; k++) {
        steps(&m, k, 1, NULL);
        cr_expect_leq(info_of(ctx).pooled, limit);
    }
    wg_memory_info i = info_of(ctx);
    cr_log_info("%s, %d layers: peak %llu, limit %llu, pooled %llu in %llu chunks", n->device, n->layers,
                (unsigned long long)peak, (unsigned long long)limit, (unsigned long long)i.pooled,
                (unsigned long long)i.chunks);
    cr_expect_eq(i.limit, limit);
    done(&m);
}

Test(limit, a_fifth_more_than_the_peak_is_enough) {
    runs_within(&mlp);
    runs_within(&deep);
    runs_within(&wide);
    runs_within(&small);
}

static uint64_t random_state = 1;
static int below(int n) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int)((random_state >> 33) % (uint64_t)n);
}

Test(limit, a_fifth_more_is_enough_for_random_nets) {
    for (int i = 0; i < 40; i++) {
        net n = {i % 2 ? "null:cpu" : "null:gpu", 1 + below(MAX_LAYERS), 1 << below(9), {0}};
        for (int k = 0; k < n.layers; k++) {
            n.width[k] = below(3) ? 1 + below(below(2) ? 60 : 2000) : 64 << below(6);
        }
        n.width[n.layers] = CLASSES;
        runs_within(&n);
    }
}

/* Runs out at half of what it takes; the same context then does what it would have done. */
Test(limit, half_the_peak_is_an_error_and_nothing_is_lost) {
    double want[3], got[3];
    uint64_t peak = planned_peak(&small, want);
    wg_ctx *ctx = wg_open(small.device);
    model m;
    wg_memory_limit(ctx, peak / 2);
    cr_assert(make(&m, &small, ctx), "%s", wg_error(ctx));
    cr_expect_leq(info_of(ctx).pooled, peak / 2);
    int failures = 0;
    for (int k = 0; k < 3; k++) {
        wg_tensor *loss;
        cr_assert_eq(give(&m, k), WG_OK, "%s", wg_error(ctx));
        wg_memory_limit(ctx, peak / 2);
        wg_status status = step(&m, k, &loss);
        if (status != WG_OK) {
            char text[2048];
            cr_expect_eq(status, WG_ERR_DEVICE_MEM);
            cr_expect_eq(wg_error_take(ctx, text, sizeof text), WG_ERR_DEVICE_MEM);
            cr_log_info("%s", text);
            char limit[60];
            snprintf(limit, sizeof limit, "limit %llu; the largest of", (unsigned long long)peak / 2);
            cr_expect(strstr(text, "no device memory for ") == text && strstr(text, "the memory limit is reached") &&
                          strstr(text, limit) && strstr(text, " bytes live") &&
                          strstr(text, "a parameter before its update"),
                      "%s", text);
            cr_expect_not(wg_failed(ctx));
            failures++;
        }
        cr_assert_not_null(loss, "it failed while it was recorded");
        wg_memory_limit(ctx, peak * 2); /* the loss is demanded before the updates now: that takes more at a time */
        got[k] = wg_item(loss);
        wg_free(loss);
        wg_eval(m.param, (size_t)small.layers * 2);
    }
    cr_expect_geq(failures, 1);
    cr_expect(want[0] == got[0] && want[1] == got[1] && want[2] == got[2], "%.9g %.9g %.9g, not %.9g %.9g %.9g", got[0],
              got[1], got[2], want[0], want[1], want[2]);
    done(&m);
}

Test(limit, below_what_is_held) {
    wg_ctx *ctx = wg_open("null:cpu");
    float *data = calloc(1 << 20, sizeof *data);
    wg_tensor *a = wg_from_f32(ctx, data, WG_SHAPE(1 << 20)), *b = wg_from_f32(ctx, data, WG_SHAPE(1 << 20));
    wg_free(b);
    cr_expect_eq(wg_memory_limit(ctx, 1 << 20), WG_OK);
    wg_memory_info i = info_of(ctx);
    cr_expect(i.live == 4 << 20 && i.pooled == 4 << 20, "what is free goes back, what is used stays");
    cr_expect_null(wg_from_f32(ctx, data, WG_SHAPE(10)));
    expect_error(ctx, WG_ERR_DEVICE_MEM, "from", "for 40 bytes (the memory limit is reached): 4194304 bytes live",
                 "limit 1048576; the largest of 1 tensors:\n  4194304 bytes: f32 [1048576] made by source, of scope 0",
                 NULL);
    wg_free(a);
    wg_tensor *c = wg_from_f32(ctx, data, WG_SHAPE(1 << 17));
    cr_expect_not_null(c, "%s", wg_error(ctx));
    cr_expect_leq(info_of(ctx).pooled, 1 << 20, "the 4 MiB went back first");
    cr_expect_eq(wg_memory_limit(ctx, 0), WG_OK);
    cr_expect_not_null(wg_from_f32(ctx, data, WG_SHAPE(1 << 20)));
    free(data);
    close_ok(ctx);
}

Test(limit, from_the_environment) {
    static const struct {
        const char *text;
        uint64_t bytes; /* 1: refused */
    } cases[] = {{"512M", 512 << 20},
                 {"3K", 3 << 10},
                 {"2G", (uint64_t)2 << 30},
                 {"1000", 1000},
                 {"0", 0},
                 {"", 0},
                 {"M", 1},
                 {"5T", 1},
                 {"-5", 1},
                 {"12 M", 1},
                 {"99999999999999999999", 1},
                 {"5MB", 1},
                 {"1.5G", 1},
                 {" 5", 1},
                 {"18446744073709551615G", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setenv("WENGERT_MEMORY_LIMIT", cases[i].text, 1);
        wg_ctx *ctx = wg_open("null:cpu");
        if (cases[i].bytes == 1) {
            cr_expect(wg_failed(ctx) && strstr(wg_error(ctx), cases[i].text), "%s: %s", cases[i].text, wg_error(ctx));
            cr_expect_eq(wg_error_status(ctx), WG_ERR_ARG);
            cr_expect_null(wg_zeros(ctx, WG_F32, WG_SHAPE(2)));
            wg_close(ctx);
        } else {
            cr_expect_eq(info_of(ctx).limit, cases[i].bytes, "%s", cases[i].text);
            close_ok(ctx);
        }
    }
    unsetenv("WENGERT_MEMORY_LIMIT");
}

/* ---- the error ---------------------------------------------------------------------------------------------------------- */

Test(out_of_memory, of_the_driver) {
    wg_ctx *ctx = wg_open("null:cpu");
    static const float data[100];
    wg_fault_arm(WG_FAULT_DEVICE_ALLOC, 1);
    cr_expect_null(wg_from_f32(ctx, data, WG_SHAPE(100)));
    expect_error(ctx, WG_ERR_DEVICE_MEM, "first", "for 400 bytes (injected", "no limit; no tensors", NULL);
    wg_tensor *t = wg_from_f32(ctx, data, WG_SHAPE(4, 25));
    wg_tensor *big = wg_expand(wg_reshape(t, WG_SHAPE(1, 100)), WG_SHAPE(1 << 25, 100));
    wg_tensor *sum = wg_exp(big); /* 13 GB: more than the device has at once */
    cr_expect_eq(wg_eval(&sum, 1), WG_ERR_DEVICE_MEM);
    expect_error(ctx, WG_ERR_DEVICE_MEM, "a plan", "no device memory for 13421772800 bytes (",
                 "exceed the device's largest", "400 bytes: f32 [4,25] made by source, of scope 0", NULL);
    cr_expect_eq(wg_eval(&t, 1), WG_OK);
    close_ok(ctx);
}

/* Whatever allocation of the host fails on the way, an error of device memory has its whole text. */
Test(out_of_memory, without_host_memory) {
    wg_ctx *ctx = wg_open("null:cpu");
    static const float data[100];
    wg_tensor *t = wg_from_f32(ctx, data, WG_SHAPE(100));
    wg_memory_limit(ctx, 1024);
    int whole = 0;
    for (uint64_t n = 1;; n++) {
        wg_tensor *many[8] = {0};
        wg_fault_arm(WG_FAULT_ALLOC, n);
        for (int i = 0; i < 8 && !wg_failed(ctx); i++) {
            many[i] = wg_from(ctx, WG_F32, (const float[1 << 19]){0}, WG_SHAPE(1 << 19));
        }
        bool hit = wg_fault_count(WG_FAULT_ALLOC) >= n;
        wg_fault_arm(WG_FAULT_ALLOC, 0);
        char text[2048];
        wg_status status = wg_error_take(ctx, text, sizeof text);
        cr_expect(status == WG_ERR_DEVICE_MEM || status == WG_ERR_NOMEM);
        if (status == WG_ERR_DEVICE_MEM) {
            whole++;
            cr_expect(strstr(text, "no device memory for 2097152 bytes (") == text &&
                          strstr(text, "400 bytes: f32 [100] made by source, of scope 0"),
                      "%s", text);
        }
        for (int i = 0; i < 8; i++) {
            wg_free(many[i]);
        }
        if (!hit) {
            break;
        }
    }
    cr_expect_geq(whole, 2, "with its reason, and without");
    wg_free(t);
    close_ok(ctx);
}
