/* label: null */
/* timeout: 120 */
/*
 * What plans cost, counted; their tables, to the letter; which plans are meant. On the null device, with a clock of its
 * own.
 */
#include "api/context.h"
#include "harness/check.h"
#include "runtime/watch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static wg_ctx *null_ctx(void) {
    wg_ctx *ctx = wg_open("null:cpu");
    cr_assert(!wg_failed(ctx), "%s", wg_error(ctx));
    return ctx;
}

static wg_tensor *f32(wg_ctx *ctx, wg_shape shape) {
    float *data = calloc((size_t)wg_shape_numel(shape) + 1, sizeof *data);
    wg_tensor *t = wg_from_f32(ctx, data, shape);
    free(data);
    return t;
}

static wg_tensor *i64(wg_ctx *ctx, int64_t n) {
    int64_t *data = calloc((size_t)n + 1, sizeof *data);
    wg_tensor *t = wg_from_i64(ctx, data, WG_SHAPE(n));
    free(data);
    return t;
}

static wg_tensor *sum_dim(wg_tensor *t, int dim) { return wg_sum(t, (int[]){dim}, 1, false); }

/* ---- counting ---------------------------------------------------------------------------------------------------------- */

/* Runs t alone and compares what that adds to the context's counters with what the shapes say. */
static void expect_cost(wg_tensor *t, uint64_t kernels, int64_t bytes, int64_t flops, const char *label) {
    wg_ctx *ctx = wg_context(t);
    cr_assert_not_null(ctx, "%s", label);
    wg_stats a = stats_of(ctx);
    cr_expect_eq(wg_eval(&t, 1), WG_OK, "%s: %s", label, wg_error(ctx));
    wg_stats b = stats_of(ctx);
    cr_expect_eq(b.launches - a.launches, kernels, "%s: %d kernels", label, (int)(b.launches - a.launches));
    cr_expect_eq((int64_t)(b.bytes_moved - a.bytes_moved), bytes, "%s: %lld bytes, not %lld", label,
                 (long long)(b.bytes_moved - a.bytes_moved), (long long)bytes);
    cr_expect_eq((int64_t)(b.flops - a.flops), flops, "%s: %lld flops, not %lld", label, (long long)(b.flops - a.flops),
                 (long long)flops);
}

/* Wrong: an operand counted as often as it is used, or in the size it is broadcast to; a slice counted as all of it. */
Test(cost, of_maps) {
    wg_ctx *ctx = null_ctx();
    wg_tensor *a = f32(ctx, WG_SHAPE(64, 32)), *row = f32(ctx, WG_SHAPE(32)), *sq = f32(ctx, WG_SHAPE(32, 32));
    const int64_t all = 64 * 32;
    expect_cost(wg_add(a, row), 1, 4 * (all + 32 + all), all, "broadcast");
    expect_cost(wg_mul(wg_add(a, a), a), 1, 4 * 2 * all, 2 * all, "an operand used three times");
    expect_cost(wg_add(sq, wg_transpose(sq, 0, 1)), 1, 4 * 2 * 32 * 32, 32 * 32, "the same bytes by two ways");
    expect_cost(wg_neg(wg_narrow(a, 0, 8, 16)), 1, 4 * 2 * 16 * 32, 16 * 32, "a slice of rows");
    expect_cost(wg_neg(wg_narrow(a, 1, 8, 16)), 1, 4 * 2 * 64 * 16, 64 * 16, "a slice of columns");
    expect_cost(wg_add(wg_narrow(a, 0, 0, 8), wg_narrow(a, 0, 56, 8)), 1, 4 * 3 * 8 * 32, 8 * 32, "two slices");
    expect_cost(wg_add(wg_narrow(a, 0, 0, 8), wg_narrow(a, 0, 4, 8)), 1, 4 * (12 + 8) * 32, 8 * 32,
                "two slices that overlap");
    expect_cost(wg_neg(wg_flip(row, (int[]){0}, 1)), 1, 4 * 2 * 32, 32, "backwards");
    expect_cost(wg_contiguous(wg_expand(row, WG_SHAPE(64, 32))), 1, 4 * (32 + all), 0, "repeated rows");
    expect_cost(wg_cat((wg_tensor *[]){a, sq}, 2, 0), 1, 4 * 2 * (all + 32 * 32), 0, "joined");
    close_ok(ctx);
}

/* Wrong: comparisons, selections, casts or integers counted as floating operations. */
Test(cost, of_what_is_no_floating_operation) {
    wg_ctx *ctx = null_ctx();
    wg_tensor *a = f32(ctx, WG_SHAPE(100)), *n = i64(ctx, 100);
    expect_cost(wg_gt_scalar(a, 0), 1, 400 + 100, 0, "comparison");
    expect_cost(wg_where(wg_gt_scalar(a, 0), a, wg_zeros_like(a)), 1, 800, 0, "selection");
    expect_cost(wg_cast(a, WG_I64), 1, 400 + 800, 0, "cast");
    expect_cost(wg_add(n, n), 1, 800 + 800, 0, "integers");
    expect_cost(wg_exp(wg_sqrt(a)), 1, 800, 200, "a root and an exponential");
    close_ok(ctx);
}

/* Wrong: a reduction's points counted by its results; a split one counted twice over. 2^20 elements are cut into 64. */
Test(cost, of_reductions) {
    wg_ctx *ctx = null_ctx();
    wg_tensor *a = f32(ctx, WG_SHAPE(256, 512)), *long_one = f32(ctx, WG_SHAPE(1 << 20));
    const int64_t all = 256 * 512, mega = 1 << 20;
    expect_cost(sum_dim(a, 1), 1, 4 * (all + 256), all, "rows");
    expect_cost(wg_sub(a, wg_amax(a, (int[]){1}, 1, true)), 1, 4 * 2 * all, 2 * all, "rows, and a map over them");
    expect_cost(wg_sum(long_one, NULL, 0, false), 1, 4 * (mega + 64 + 64 + 1), mega + 64, "a long row, in two steps");
    wg_tensor *two = f32(ctx, WG_SHAPE(2, 1 << 20));
    expect_cost(wg_sum(wg_narrow(two, 0, 0, 1), NULL, 0, false), 1, 4 * (mega + 64 + 64 + 1), mega + 64,
                "a long row of two");
    close_ok(ctx);
}

/* Wrong: m n k for 2 m n k; packed operands counted; the epilogue left out. */
Test(cost, of_products) {
    wg_ctx *ctx = null_ctx();
    wg_tensor *a = f32(ctx, WG_SHAPE(40, 30)), *b = f32(ctx, WG_SHAPE(30, 20)), *bias = f32(ctx, WG_SHAPE(20));
    expect_cost(wg_matmul(a, b), 1, 4 * (40 * 30 + 30 * 20 + 40 * 20), 2 * 40 * 30 * 20, "product");
    expect_cost(wg_relu(wg_add(wg_matmul(a, b), bias)), 1, 4 * (40 * 30 + 30 * 20 + 20 + 40 * 20),
                2 * 40 * 30 * 20 + 2 * 40 * 20, "with bias and relu");
    wg_tensor *x = f32(ctx, WG_SHAPE(5, 8, 16)), *y = f32(ctx, WG_SHAPE(5, 16, 4));
    expect_cost(wg_matmul(x, y), 1, 4 * 5 * (8 * 16 + 16 * 4 + 8 * 4), 2 * 5 * 8 * 16 * 4, "batch");
    close_ok(ctx);
}

/* Wrong: the whole table counted for a few rows. */
Test(cost, of_gathers_and_scatters) {
    wg_ctx *ctx = null_ctx();
    wg_tensor *table = f32(ctx, WG_SHAPE(1000, 8)), *at = i64(ctx, 5), *src = f32(ctx, WG_SHAPE(5, 8));
    expect_cost(wg_index_select(table, 0, at), 1, 4 * 2 * 5 * 8 + 8 * 5, 0, "five rows of a table");
    expect_cost(wg_index_add(table, 0, at, src), 1, 4 * (2 * 8000 + 5 * 8) + 8 * 5, 5 * 8, "five rows added");
    expect_cost(f32(ctx, WG_SHAPE(3, 0)), 0, 0, 0, "nothing");
    close_ok(ctx);
}

/* Wrong: of steps that share a launch only the first is counted. */
Test(cost, of_what_shares_a_launch) {
    wg_ctx *ctx = null_ctx();
    wg_kernel_info k;
    wg_tensor *t[] = {wg_neg(f32(ctx, WG_SHAPE(100))), wg_neg(f32(ctx, WG_SHAPE(50))), wg_neg(f32(ctx, WG_SHAPE(20)))};
    cr_expect_eq(wg_eval(t, 3), WG_OK);
    wg_stats s = stats_of(ctx);
    cr_expect(s.launches == 1 && s.bytes_moved == 8 * 170 && s.flops == 170, "%d launches, %d bytes, %d flops",
              (int)s.launches, (int)s.bytes_moved, (int)s.flops);
    cr_expect_eq(wg_get_kernels(ctx, 1, &k, 1), 1);
    cr_expect_str_eq(k.loops, "map 100 and 2 more");
    cr_expect(k.bytes_read == 680 && k.bytes_written == 680 && k.flops == 170);
    close_ok(ctx);
}

/* Wrong: a chain known by its first step, its loops cut in the middle, or only some of its steps counted. */
Test(cost, of_a_chain) {
    wg_ctx *ctx = null_ctx();
    wg_kernel_info k;
    wg_tensor *mean = wg_mean(wg_exp(f32(ctx, WG_SHAPE(65536))), NULL, 0, false);
    cr_expect_eq(wg_eval(&mean, 1), WG_OK);
    cr_assert_eq(wg_get_kernels(ctx, 1, &k, 1), 1);
    cr_expect_str_eq(k.ops, "exp+sum");
    cr_expect_str_eq(k.loops, "rows 4 of 65536, then rows 4");
    cr_expect(k.bytes_read == 4 * (65536 + 4) && k.bytes_written == 4 * 5 && k.flops == 2 * 65536 + 5,
              "%d read, %d written, %d flops", (int)k.bytes_read, (int)k.bytes_written, (int)k.flops);
    wg_tensor *x = f32(ctx, WG_SHAPE(70, 12)), *each[7] = {wg_sum(x, NULL, 0, false)};
    for (int i = 1; i < 7; i++) { /* it needs the one before */
        each[i] = wg_sum(wg_add(wg_narrow(x, 0, i, 50 + i), each[i - 1]), NULL, 0, false);
    }
    cr_expect_eq(wg_eval(each, 7), WG_OK);
    cr_assert_eq(wg_get_kernels(ctx, 2, &k, 1), 1);
    cr_expect_str_eq(k.loops, "rows 840, then rows 612, then rows 624 and 4 more");
    close_ok(ctx);
}

/* Wrong: a replayed plan counts nothing, or what it cost is counted again when it is built. */
Test(cost, is_added_by_every_run) {
    wg_ctx *ctx = null_ctx();
    wg_tensor *a = f32(ctx, WG_SHAPE(100));
    wg_stats s = stats_of(ctx);
    cr_expect_eq(s.bytes_moved, 0);
    for (uint64_t k = 1; k <= 3; k++) {
        WG_SCOPE(ctx) { expect_cost(wg_neg(a), 1, 800, 100, "run"); }
        s = stats_of(ctx);
        cr_expect_eq(s.bytes_moved, 800 * k);
    }
    close_ok(ctx);
}

/* ---- tables ------------------------------------------------------------------------------------------------------------ */

static double ticks;
static double tick(void) { return ticks += 1e-5; }

/* A profiled context whose clock is tick. */
static wg_ctx *ticking_ctx(void) {
    wg_ctx *ctx = null_ctx();
    cr_assert_eq(wg_profile(ctx, true), WG_OK);
    ctx->engine.dev.watch->clock = tick;
    return ctx;
}

/* What wg_explain writes, without the lines of temporaries, whose bytes are rounded, and of the host's time, which depends
 * on how often the clock is read. */
static void expect_table(wg_ctx *ctx, wg_plans which, const char *want) {
    static char got[8192], line[256];
    FILE *f = tmpfile();
    cr_assert_not_null(f);
    cr_expect_eq(wg_explain(ctx, which, f), WG_OK, "%s", wg_error(ctx));
    rewind(f);
    got[0] = '\0';
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, "      temporaries ", 18) != 0 && strncmp(line, "      host ", 11) != 0) {
            strcat(got, line);
        }
    }
    fclose(f);
    cr_expect(strcmp(got, want) == 0, "explained:\n%sshould be:\n%s", got, want);
}

typedef struct model {
    wg_tensor *x, *w, *b;
} model;

static model model_make(wg_ctx *ctx) {
    model m = {f32(ctx, WG_SHAPE(128, 50)), f32(ctx, WG_SHAPE(10, 50)), f32(ctx, WG_SHAPE(10))};
    return m;
}

/* A product with its bias and activation and what follows in its rows, sums of columns. */
static void run_model(wg_ctx *ctx, const model *m) {
    WG_SCOPE(ctx) {
        wg_tensor *h = wg_tanh(wg_linear(m->x, m->w, m->b));
        wg_tensor *p = wg_softmax(h, 1);
        cr_expect_eq(wg_eval((wg_tensor *[]){p, sum_dim(h, 0)}, 2), WG_OK, "%s", wg_error(ctx));
    }
}

/*
 * Without rates and times. By hand, in floats: the product reads 128*50 + 10*50 and the bias's 10, writes 128*10 twice, and does
 * 2*128*50*10, an addition and a tanh for each result; its rows do a maximum, a difference, exp, a sum and a division for
 * each of 1280 elements.
 */
Test(explain, counts) {
    wg_ctx *ctx = null_ctx();
    expect_table(ctx, WG_PLAN_LAST, "no plan was run\n");
    model m = model_make(ctx);
    run_model(ctx, &m);
    wg_plan_info plan;
    cr_expect_eq(wg_get_plans(ctx, WG_PLAN_LAST, &plan, 1), 1);
    cr_expect(plan.temporaries >= 5120 && plan.temporaries < 16000, "tanh's result and the product's sums: %d bytes",
              (int)plan.temporaries);
    expect_table(
        ctx, WG_PLAN_LAST,
        "plan 1\n"
        "   #  ops                                   loops                            read   written     flops\n"
        "   1  matmul+add+tanh+amax+sub+exp+sum+div  matmul 128x50x10, then rows   27.6 kB   10.2 kB     137 k\n"
        "   2  sum                                   columns 10 of 128             5.12 kB      40 B    1.28 k\n"
        "      2 kernels                             2 distinct                    32.8 kB   10.3 kB     138 k\n");
    close_ok(ctx);
}

/* With both. Each kernel takes one tick; `least` is the larger of bytes / 10 GB/s and flops / 100 Gflop/s. */
Test(explain, times_and_shares) {
    wg_ctx *ctx = ticking_ctx();
    model m = model_make(ctx);
    cr_expect_eq(wg_set_rates(ctx, (wg_rates){10e9, 100e9}), WG_OK);
    for (int k = 0; k < 3; k++) {
        run_model(ctx, &m);
    }
    expect_table(ctx, WG_PLAN_ALL,
                 "plan 1, run 3 times\n"
                 "   #  ops                                   loops                            read   written     "
                 "flops     least  "
                 "    time  share\n"
                 "   1  matmul+add+tanh+amax+sub+exp+sum+div  matmul 128x50x10, then rows   27.6 kB   10.2 kB     137 "
                 "k   3.79 us  "
                 " 10.0 us    38%\n"
                 "   2  sum                                   columns 10 of 128             5.12 kB      40 B    1.28 "
                 "k    516 ns  "
                 " 10.0 us     5%\n"
                 "      2 kernels                             2 distinct                    32.8 kB   10.3 kB     138 "
                 "k   4.30 us  "
                 " 20.0 us    22%\n"
                 "all runs together\n"
                 "      6 kernels                             3 runs                        98.3 kB   30.8 kB     415 "
                 "k   12.9 us  "
                 " 60.0 us    22%\n"
                 "at best 10.0 GB/s, 100 Gflop/s\n");
    close_ok(ctx);
}

/* Wrong: the last scope's plans and all are the same; those of an earlier window are still there. */
Test(explain, which_plans) {
    wg_ctx *ctx = null_ctx();
    wg_tensor *a = f32(ctx, WG_SHAPE(100)), *t;
    wg_plan_info info[8];
    cr_expect_eq(wg_get_plans(ctx, WG_PLAN_ALL, info, 8), 0);
    for (int k = 0; k < 2; k++) {
        WG_SCOPE(ctx) { cr_expect_eq(wg_eval((t = wg_neg(a), &t), 1), WG_OK); }
    }
    WG_SCOPE(ctx) {
        for (int k = 0; k < 3; k++) {
            WG_SCOPE(ctx) { cr_expect_eq(wg_eval((t = wg_exp(a), &t), 1), WG_OK); }
        }
        cr_expect_eq(wg_eval((t = sum_dim(wg_square(a), 0), &t), 1), WG_OK);
    }
    cr_expect_eq(wg_get_plans(ctx, WG_PLAN_LAST, info, 8), 1);
    cr_expect(info[0].number == 3 && info[0].runs == 1 && info[0].bytes_read == 400 && info[0].bytes_written == 4);
    cr_expect_eq(wg_get_plans(ctx, WG_PLAN_SCOPE, info, 8), 2);
    cr_expect(info[0].number == 2 && info[0].runs == 3 && info[1].number == 3, "the scope's plans");
    cr_expect_eq(wg_get_plans(ctx, WG_PLAN_ALL, info, 1), 3, "how many there are, not how many fit");
    cr_expect_eq(wg_get_plans(ctx, WG_PLAN_ALL, info, 8), 3);
    cr_expect(info[0].number == 1 && info[0].runs == 2 && info[1].runs == 3);
    cr_expect(isnan(info[0].device_seconds) && isnan(info[0].host_seconds) && isnan(info[0].least_seconds));
    cr_expect_eq(wg_profile(ctx, true), WG_OK);
    cr_expect_eq(wg_get_plans(ctx, WG_PLAN_ALL, info, 8), 0, "a new window is empty");
    WG_SCOPE(ctx) { cr_expect_eq(wg_eval((t = wg_neg(a), &t), 1), WG_OK); }
    cr_expect_eq(wg_get_plans(ctx, WG_PLAN_ALL, info, 8), 1);
    cr_expect(info[0].number == 1 && info[0].runs == 1 && info[0].device_seconds > 0 && info[0].host_seconds > 0);
    cr_expect_eq(wg_profile(ctx, false), WG_OK);
    WG_SCOPE(ctx) { cr_expect_eq(wg_eval((t = wg_neg(a), &t), 1), WG_OK); }
    cr_expect_eq(wg_get_plans(ctx, WG_PLAN_ALL, info, 8), 1);
    cr_expect(info[0].runs == 2 && info[0].device_seconds > 0, "times stay when profiling ends");
    close_ok(ctx);
}

static void replayed(wg_ctx *ctx, wg_tensor **outputs, void *user) {
    (void)ctx;
    wg_tensor *w = user;
    outputs[0] = sum_dim(wg_square(w), 0);
    wg_assign(w, wg_mul_scalar(w, 0.5));
}

/* Wrong: a step that is run again without recording is no scope, moves no bytes or takes no time. */
Test(explain, replayed_steps) {
    wg_ctx *ctx = null_ctx();
    wg_tensor *w = f32(ctx, WG_SHAPE(100));
    wg_replay *r = wg_replay_new(ctx, replayed, 1, w);
    wg_plan_info info[4];
    for (int k = 0; k < 3; k++) { /* until two were recorded alike */
        cr_expect_eq(wg_replay_run(r), WG_OK, "%s", wg_error(ctx));
    }
    wg_stats before = stats_of(ctx);
    cr_expect_eq(wg_profile(ctx, true), WG_OK);
    for (int k = 0; k < 3; k++) {
        cr_expect_eq(wg_replay_run(r), WG_OK, "%s", wg_error(ctx));
    }
    cr_expect_eq(wg_replay_count(r), 3, "replayed %d times", (int)wg_replay_count(r));
    wg_stats after = stats_of(ctx);
    cr_expect_eq(wg_get_plans(ctx, WG_PLAN_SCOPE, info, 4), 1);
    cr_expect_eq(info[0].runs, 1);
    cr_expect_eq(wg_get_plans(ctx, WG_PLAN_ALL, info, 4), 1);
    cr_expect(info[0].runs == 3 && info[0].host_seconds > 0 && info[0].device_seconds > 0);
    cr_expect_eq(after.bytes_moved - before.bytes_moved, 3 * (info[0].bytes_read + info[0].bytes_written));
    wg_replay_free(r);
    close_ok(ctx);
}

/* Wrong: equal texts counted apart; kernels of a plan that is not there. */
Test(explain, kernels) {
    wg_ctx *ctx = null_ctx();
    wg_tensor *a = f32(ctx, WG_SHAPE(8, 8));
    wg_plan_info plan;
    wg_kernel_info k[4];
    cr_expect_eq(wg_get_kernels(ctx, 1, k, 4), 0);
    WG_SCOPE(ctx) {
        wg_tensor *t = wg_matmul(wg_matmul(wg_matmul(a, a), a), a);
        cr_expect_eq(wg_eval(&t, 1), WG_OK);
    }
    cr_expect_eq(wg_get_plans(ctx, WG_PLAN_LAST, &plan, 1), 1);
    cr_expect(plan.kernels == 3 && plan.distinct == 1, "%d kernels, %d distinct", (int)plan.kernels,
              (int)plan.distinct);
    cr_expect_eq(wg_get_kernels(ctx, plan.number, NULL, 0), 3);
    cr_expect_eq(wg_get_kernels(ctx, plan.number, k, 4), 3);
    cr_expect_str_eq(k[2].ops, "matmul");
    cr_expect_str_eq(k[2].loops, "matmul 8x8x8");
    cr_expect(k[0].text == k[2].text && k[2].flops == 1024 && k[2].bytes_read == 512 && k[2].bytes_written == 256);
    close_ok(ctx);
}

/* Wrong: a table of plans that the cache has given up; a crash when those that were timed go. */
Test(explain, more_plans_than_are_remembered) {
    wg_ctx *ctx = null_ctx();
    cr_expect_eq(wg_profile(ctx, true), WG_OK);
    for (int64_t n = 1; n <= 600; n++) {
        WG_SCOPE(ctx) {
            wg_tensor *t = wg_zeros(ctx, WG_F32, WG_SHAPE(n));
            cr_assert_eq(wg_eval(&t, 1), WG_OK);
        }
    }
    size_t n = wg_get_plans(ctx, WG_PLAN_ALL, NULL, 0);
    cr_expect_eq(n, 512, "%zu plans", n);
    close_ok(ctx);
}

/* ---- errors ------------------------------------------------------------------------------------------------------------ */

Test(explain, refuses) {
    wg_ctx *ctx = null_ctx();
    wg_rates r = {1, 2};
    cr_expect_eq(wg_explain(NULL, WG_PLAN_LAST, stdout), WG_ERR_ARG);
    cr_expect_eq(wg_explain(ctx, WG_PLAN_LAST, NULL), WG_ERR_ARG);
    expect_error(ctx, WG_ERR_ARG, "explain", "explain", "file is NULL", NULL);
    FILE *full = fopen("/dev/full", "w");
    cr_expect_eq(wg_explain(ctx, WG_PLAN_LAST, full), WG_ERR_IO);
    expect_error(ctx, WG_ERR_IO, "explain", "explain", "writing", NULL);
    fclose(full);
    cr_expect_eq(wg_set_rates(ctx, (wg_rates){0, 1e9}), WG_ERR_ARG);
    expect_error(ctx, WG_ERR_ARG, "rates", "set_rates", "positive", NULL);
    cr_expect_eq(wg_measure_rates(ctx, &r), WG_ERR_UNSUPPORTED);
    expect_error(ctx, WG_ERR_UNSUPPORTED, "rates", "measure_rates", "null CPU runs no kernels", NULL);
    cr_expect_eq(wg_profile(NULL, true), WG_ERR_ARG);
    cr_expect_eq(wg_get_plans(NULL, WG_PLAN_ALL, NULL, 0), 0);
    cr_expect_eq(wg_get_kernels(NULL, 1, NULL, 0), 0);
    close_ok(ctx);
    wg_ctx *failed = wg_open("zebra");
    cr_expect_eq(wg_explain(failed, WG_PLAN_LAST, stdout), WG_ERR_NO_DEVICE);
    cr_expect_eq(wg_profile(failed, true), WG_ERR_NO_DEVICE);
    cr_expect_eq(wg_measure_rates(failed, NULL), WG_ERR_NO_DEVICE);
    cr_expect_eq(wg_get_plans(failed, WG_PLAN_ALL, NULL, 0), 0);
    cr_expect_eq(wg_close(failed), WG_ERR_NO_DEVICE);
}

/* ---- WENGERT_LOG=memory -------------------------------------------------------------------------------------------------- */

/* What a context writes to stderr while it makes and frees one tensor of 1000 bytes: a block of four units of 256. */
Test(log, memory) {
    setenv("WENGERT_LOG", "memory", 1);
    wg_ctx *ctx = null_ctx();
    unsetenv("WENGERT_LOG");
    char path[] = "/tmp/wengert-log-XXXXXX";
    int file = mkstemp(path), before = dup(STDERR_FILENO);
    fflush(stderr);
    dup2(file, STDERR_FILENO);
    wg_free(wg_from_f32(ctx, (float[250]){0}, WG_SHAPE(250)));
    fflush(stderr);
    dup2(before, STDERR_FILENO);
    char text[1024] = {0};
    cr_expect_gt(pread(file, text, sizeof text - 1, 0), 0);
    cr_expect_str_eq(text, "wengert: memory grow 1048576: 0 live, 1048576 pooled\n"
                           "wengert: memory get 1024: 1024 live, 1048576 pooled, a new peak\n"
                           "wengert: memory put 1024: 0 live, 1048576 pooled\n");
    close(file);
    close(before);
    unlink(path);
    close_ok(ctx);
}
