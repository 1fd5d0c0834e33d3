/* label: unit */
/* timeout: 300 */
/* host: too */
/*
 * Chains of steps in one launch, run again and again: tickets that start anew, values that go on through registers, updates in
 * place beside them, and launches that fail.
 */
#include "harness/check.h"

#include "api/context.h"
#include "base/alloc.h"

#include <math.h>
#include <stdlib.h>

enum { LONG = 33001 }; /* a sum of so many is made of partial sums */

static wg_tensor *filled(wg_ctx *ctx, int64_t n, float value) {
    float *data = malloc((size_t)n * sizeof *data);
    for (int64_t i = 0; i < n; i++) {
        data[i] = value;
    }
    wg_tensor *t = wg_from_f32(ctx, data, WG_SHAPE(n));
    free(data);
    return t;
}

static wg_tensor *mean_square(wg_tensor *t) { return wg_mean(wg_square(t), NULL, 0, false); }

/* The loss of w, which goes from 1 to 4 and back to 1. */
static void count_on(wg_ctx *ctx, wg_tensor **outputs, void *user) {
    wg_tensor *w = user;
    (void)ctx;
    outputs[0] = mean_square(w);
    wg_tensor *back = wg_mul_scalar(wg_cast(wg_gt_scalar(w, 3.5), WG_F32), 4);
    wg_assign(w, wg_sub(wg_add_scalar(w, 1), back));
}

/* Wrong: a ticket that is not put back, so that no group takes itself for the last one. */
Test(chain, a_thousand_replays) {
    enum { RUNS = 1000 };
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = wg_param(filled(ctx, LONG, 1));
    wg_replay *r = wg_replay_new(ctx, count_on, 1, w);
    for (int i = 0; i < RUNS; i++) {
        uint64_t before = stat_launches(ctx);
        cr_assert_eq(wg_replay_run(r), WG_OK, "%s", wg_error(ctx));
        double want = (i % 4 + 1) * (i % 4 + 1), got = wg_item(wg_replay_output(r, 0));
        cr_assert_eq(got, want, "run %d: %g, not %g", i, got, want);
        cr_assert_eq(stat_launches(ctx) - before, 1, "run %d: %d launches", i, (int)(stat_launches(ctx) - before));
    }
    cr_expect_geq(wg_replay_count(r), RUNS - 4);
    wg_replay_free(r);
    close_ok(ctx);
}

/* Wrong: a number of a step before that is not there, or is that of another run. */
Test(chain, a_count_that_changes) {
    enum { ROWS = 129, CLASSES = 3 };
    wg_ctx *ctx = open_ctx();
    for (int i = 1; i < 40; i++) {
        int64_t target[ROWS];
        int counted = 1 + i * 3;
        for (int k = 0; k < ROWS; k++) {
            target[k] = k < counted ? 0 : -100;
        }
        WG_SCOPE(ctx) {
            static const float zeros[ROWS * CLASSES];
            wg_tensor *logits = wg_param(wg_from_f32(ctx, zeros, WG_SHAPE(ROWS, CLASSES))), *both[2];
            both[0] = wg_cross_entropy(logits, wg_from_i64(ctx, target, WG_SHAPE(ROWS)), NULL);
            wg_gradients(both, 1, &logits, 1, both + 1, NULL);
            uint64_t before = stat_launches(ctx);
            cr_assert_eq(wg_eval(both, 2), WG_OK, "%s", wg_error(ctx));
            cr_expect_eq(stat_launches(ctx) - before, 1);
            double loss = wg_item(both[0]), grad[ROWS * CLASSES], ignored = counted < ROWS ? 0 : (1. / 3 - 1) / counted;
            cr_expect(fabs(loss - log(CLASSES)) < 1e-6, "%d counted: %g", counted, loss);
            cr_assert(read_doubles(both[1], grad, ROWS * CLASSES));
            double want = (1. / 3 - 1) / counted;
            cr_expect(fabs(grad[0] - want) < 1e-6 * fabs(want), "%d counted: %g, not %g", counted, grad[0], want);
            cr_expect(fabs(grad[(ROWS - 1) * CLASSES] - ignored) < 1e-8, "%d counted", counted);
        }
    }
    close_ok(ctx);
}

/* Wrong: the mean taken, by groups that come late, of what others have overwritten. */
Test(chain, an_update_in_the_bytes_it_is_the_mean_of) {
    enum { N = 20011, RUNS = 100 };
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = wg_param(filled(ctx, N, 3));
    for (int i = 0; i < RUNS; i++) { /* one more each time */
        WG_SCOPE(ctx) {
            wg_tensor *twice = wg_mul_scalar(wg_mean(w, NULL, 0, false), 2);
            wg_assign(w, wg_sub(wg_add_scalar(twice, 1), w));
        }
    }
    const float *data = wg_data(w);
    cr_assert(data != NULL, "%s", wg_error(ctx));
    for (int i = 0; i < N; i++) {
        cr_assert_eq(data[i], 3 + RUNS, "element %d is %g", i, (double)data[i]);
    }
    close_ok(ctx);
}

static struct { wg_tensor *sum, *by, *scaled; } running;

/* A number made of what its last value was, and of a sum; then what takes it. */
static void run_on(wg_ctx *ctx, wg_tensor **outputs, void *user) {
    (void)ctx;
    (void)user;
    wg_tensor *sum = wg_add(wg_mul_scalar(running.sum, 0.5), wg_sum(running.by, NULL, 0, false));
    outputs[0] = wg_mul(running.scaled, sum);
    wg_assign(running.sum, sum);
}

/* Wrong: the number stored over its last value by a group that comes before others that read it. */
Test(chain, a_number_in_the_bytes_it_is_made_of) {
    enum { BY = 3000, N = 400001 };
    wg_ctx *ctx = open_ctx();
    running.sum = wg_param(wg_zeros(ctx, WG_F32, (wg_shape){.rank = 0}));
    running.by = wg_param(filled(ctx, BY, 1));
    running.scaled = wg_param(filled(ctx, N, 2));
    wg_replay *r = wg_replay_new(ctx, run_on, 1, NULL);
    double sum = 0;
    for (int i = 0; i < 6; i++) {
        cr_assert_eq(wg_replay_run(r), WG_OK, "%s", wg_error(ctx));
        sum = 0.5 * sum + BY;
        const float *data = wg_data(wg_replay_output(r, 0));
        cr_assert(data != NULL, "%s", wg_error(ctx));
        for (int k = 0; k < N; k++) {
            cr_assert_eq(data[k], 2 * sum, "run %d, element %d: %g, not %g", i, k, (double)data[k], 2 * sum);
        }
    }
    wg_replay_free(r);
    close_ok(ctx);
}

/* Wrong: tickets of a launch that ended half way, which the next one goes on to count. */
Test(chain, a_launch_that_fails) {
    wg_ctx *ctx = open_ctx();
    for (int i = 1; i < 20; i++) {
        wg_mark mark = wg_scope_begin(ctx);
        wg_tensor *mean = mean_square(filled(ctx, LONG, (float)(i % 8)));
        if (i % 3 == 0) {
            const int32_t drawn[] = {1, 7};
            if (ctx->engine.tickets.handle) {
                wg_dev_write(&ctx->engine.dev, &ctx->engine.tickets, 0, drawn, sizeof drawn, NULL);
            }
            wg_fault_arm(WG_FAULT_LAUNCH, 1);
            cr_expect_eq(wg_eval(&mean, 1), WG_ERR_LAUNCH);
            wg_fault_arm(WG_FAULT_LAUNCH, 0);
            cr_expect_eq(wg_error_take(ctx, NULL, 0), WG_ERR_LAUNCH);
        }
        EXPECT_VALUES(mean, (i % 8) * (i % 8));
        wg_scope_end(ctx, mark);
    }
    close_ok(ctx);
}

/* Tickets that cannot be made or zeroed are an error, and come with the next run. */
Test(chain, tickets_that_do_not_come) {
    static const wg_fault kinds[] = {WG_FAULT_DEVICE_ALLOC, WG_FAULT_TRANSFER};
    for (int k = 0; k < 2; k++) {
        bool hit = true;
        for (uint64_t n = 1; hit; n++) {
            wg_ctx *ctx = open_ctx();
            wg_tensor *x = filled(ctx, LONG, 2);
            cr_expect_eq(wg_synchronize(ctx), WG_OK);
            wg_tensor *mean = mean_square(x);
            wg_fault_arm(kinds[k], n);
            wg_status status = wg_eval(&mean, 1);
            hit = wg_fault_count(kinds[k]) >= n;
            wg_fault_arm(kinds[k], 0);
            cr_expect_eq(status == WG_OK, !hit, "fault %d, %d: %s", k, (int)n, wg_error(ctx));
            wg_error_take(ctx, NULL, 0);
            EXPECT_VALUES(mean, 4);
            close_ok(ctx);
        }
    }
}
