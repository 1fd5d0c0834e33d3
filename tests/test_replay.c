/* label: unit */
/* timeout: 300 */
/* host: too */
/*
 * Steps run again without recording: the same bits as recorded ones, and recorded again whenever that may not hold.
 */
#include "harness/check.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

enum { ROWS = 16, IN = 6, HIDDEN = 8, CLASSES = 3, PARAMS = 4, STEPS = 100 };

typedef struct model {
    wg_ctx *ctx;
    wg_tensor *x, *target, *p[PARAMS];
    wg_optim *optim;
    wg_replay *replay;
    int calls;
    double factor; /* of the loss: a number that the step takes from the program */
    bool reads;
    int64_t rows;
} model;

static void fill(float *out, size_t n, uint64_t seed) {
    for (size_t i = 0; i < n; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        out[i] = (float)(int32_t)(seed >> 32) * 0x1p-32f;
    }
}

static wg_tensor *param(wg_ctx *ctx, wg_shape shape, uint64_t seed) {
    float values[IN * HIDDEN];
    fill(values, (size_t)wg_shape_numel(shape), seed);
    return wg_keep(wg_param(wg_from_f32(ctx, values, shape)));
}

static void record(wg_ctx *ctx, wg_tensor **outputs, void *user) {
    model *m = user;
    (void)ctx;
    m->calls++;
    wg_tensor *h = wg_dropout(wg_relu(wg_linear(m->x, m->p[0], m->p[1])), 0.25, true);
    wg_tensor *loss = wg_cross_entropy(wg_linear(h, m->p[2], m->p[3]), m->target, NULL);
    if (m->factor != 1) {
        loss = wg_mul_scalar(loss, m->factor);
    }
    outputs[0] = loss;
    if (m->reads) {
        m->factor = 1 + 0 * wg_item(m->x ? wg_select(wg_select(m->x, 0, 0), 0, 0) : NULL);
    }
    wg_backward(loss);
    wg_optim_step(m->optim);
    wg_optim_zero_grad(m->optim);
}

static model model_open(bool adam) {
    model m = {.ctx = open_ctx(), .factor = 1, .rows = ROWS};
    int64_t target[ROWS];
    for (int i = 0; i < ROWS; i++) {
        target[i] = i % CLASSES;
    }
    m.x = wg_keep(wg_zeros(m.ctx, WG_F32, WG_SHAPE(ROWS, IN)));
    wg_eval(&m.x, 1);
    m.target = wg_keep(wg_from_i64(m.ctx, target, WG_SHAPE(ROWS)));
    m.p[0] = param(m.ctx, WG_SHAPE(HIDDEN, IN), 1);
    m.p[1] = param(m.ctx, WG_SHAPE(HIDDEN), 2);
    m.p[2] = param(m.ctx, WG_SHAPE(CLASSES, HIDDEN), 3);
    m.p[3] = param(m.ctx, WG_SHAPE(CLASSES), 4);
    wg_sgd_opts sgd = {.lr = 0.1, .momentum = 0.9};
    wg_adam_opts adamw = wg_adamw_defaults();
    m.optim = adam ? wg_adam_new(m.p, PARAMS, &adamw) : wg_sgd_new(m.p, PARAMS, &sgd);
    wg_seed(m.ctx, 11);
    return m;
}

static void model_close(model *m) {
    wg_replay_free(m->replay);
    wg_optim_free(m->optim);
    close_ok(m->ctx);
}

/* A step on new rows, replayed or in a scope. Returns the loss. */
static double step(model *m, int i, bool replayed) {
    float rows[ROWS * IN];
    fill(rows, ROWS * IN, (uint64_t)i + 100);
    wg_write(m->x, rows, sizeof rows);
    if (i == 40) {
        wg_optim_set_lr(m->optim, 0.02);
    }
    wg_tensor *loss = NULL;
    if (replayed) {
        cr_assert_eq(wg_replay_run(m->replay), WG_OK, "step %d: %s", i, wg_error(m->ctx));
        return wg_item(wg_replay_output(m->replay, 0));
    }
    WG_SCOPE(m->ctx) {
        record(m->ctx, &loss, m);
        wg_keep(loss);
    }
    double value = wg_item(loss);
    wg_free(loss);
    return value;
}

/* Both models have the same bits in their parameters. */
static void expect_same(model *a, model *b, const char *when) {
    for (int k = 0; k < PARAMS; k++) {
        float x[IN * HIDDEN], y[IN * HIDDEN];
        size_t bytes = (size_t)wg_numel(a->p[k]) * sizeof *x;
        cr_assert(wg_read(a->p[k], x, bytes) == WG_OK && wg_read(b->p[k], y, bytes) == WG_OK, "%s: %s", when,
                  wg_error(b->ctx));
        cr_assert(memcmp(x, y, bytes) == 0, "%s: parameter %d differs", when, k);
    }
}

/* Wrong: a step count, a learning rate or a random counter that does not go on; an input that does not change. */
static void check_long_run(bool adam) {
    model a = model_open(adam), b = model_open(adam);
    b.replay = wg_replay_new(b.ctx, record, 1, &b);
    for (int i = 0; i < STEPS; i++) {
        double want = step(&a, i, false), got = step(&b, i, true);
        cr_assert(want == got && !isnan(got), "step %d: the loss is %.9g, not %.9g", i, got, want);
        if (i % 9 == 0) {
            expect_same(&a, &b, "on the way");
        }
    }
    expect_same(&a, &b, "at the end");
    cr_expect(wg_replay_count(b.replay) >= STEPS - 4, "%d calls in %d steps", b.calls, STEPS);
    cr_expect_eq((uint64_t)b.calls + wg_replay_count(b.replay), STEPS);
    /* What is recorded afterwards draws the numbers that it would have drawn. */
    b.calls = 0;
    cr_expect(step(&a, STEPS, false) == step(&b, STEPS, false));
    expect_same(&a, &b, "recorded after replays");
    model_close(&a);
    model_close(&b);
}

/* ---- failures --------------------------------------------------------------------------------------------------------- */

/* Parameters, optimiser and replay as they were in the beginning. */
static void restart(model *m) {
    wg_optim_free(m->optim);
    for (int k = 0; k < PARAMS; k++) {
        float values[IN * HIDDEN];
        fill(values, (size_t)wg_numel(m->p[k]), (uint64_t)k + 1);
        wg_zero_grad(m->p[k]);
        cr_assert_eq(wg_write(m->p[k], values, (size_t)wg_numel(m->p[k]) * sizeof *values), WG_OK, "%s",
                     wg_error(m->ctx));
    }
    wg_adam_opts adamw = wg_adamw_defaults();
    m->optim = wg_adam_new(m->p, PARAMS, &adamw);
    wg_seed(m->ctx, 11);
    if (m->replay) {
        wg_replay_free(m->replay);
        m->replay = wg_replay_new(m->ctx, record, 1, m);
    }
}

/* Everything of a kind that a run of the replay does, recording it first or not, fails once. Each time the run says so, and
 * from a new start the steps are those of a model that nothing disturbed. Wrong: a stale recording after a failure. */
static void fail_each(wg_fault kind, int warm, size_t least) {
    model a = model_open(true), b = model_open(true);
    b.replay = wg_replay_new(b.ctx, record, 1, &b);
    size_t points = 0;
    for (uint64_t n = 1, hit = 1; hit; n++) {
        restart(&a);
        restart(&b);
        for (int i = 0; i < warm; i++) {
            cr_assert(step(&a, i, false) == step(&b, i, true));
        }
        float rows[ROWS * IN] = {0};
        wg_write(b.x, rows, sizeof rows);
        wg_fault_arm(kind, n);
        wg_status status = wg_replay_run(b.replay);
        hit = wg_fault_count(kind) >= n;
        wg_fault_arm(kind, 0);
        cr_expect(status == WG_OK || hit, "%s without a fault", wg_error(b.ctx));
        cr_expect_eq(status != WG_OK, wg_failed(b.ctx), "%llu: %s", (unsigned long long)n, wg_status_name(status));
        wg_error_take(b.ctx, NULL, 0);
        points += hit; /* a step that could not be remembered was run all the same */
        restart(&a);
        restart(&b);
        for (int i = 0; i < 3; i++) {
            double want = step(&a, i, false), got = step(&b, i, true);
            cr_assert(want == got, "fault %llu, step %d: the loss is %.9g, not %.9g", (unsigned long long)n, i, got,
                      want);
        }
        expect_same(&a, &b, "after a failure");
    }
    cr_expect_geq(points, least, "only %zu faults", points);
    model_close(&a);
    model_close(&b);
}

Test(replay, every_launch_fails_once) {
    fail_each(WG_FAULT_LAUNCH, 3, 3);
    fail_each(WG_FAULT_LAUNCH, 0, 3);
}
Test(replay, every_allocation_fails_once) { fail_each(WG_FAULT_ALLOC, 0, 2); }

/* ---- the same bits ---------------------------------------------------------------------------------------------------- */

Test(replay, adam_and_dropout_to_the_bit) { check_long_run(true); }
Test(replay, momentum_and_dropout_to_the_bit) { check_long_run(false); }

/* Runs both until the replay runs without its function. */
static void warm_up(model *a, model *b) {
    for (int i = 0; i < 6; i++) {
        step(a, i, false);
        step(b, i, true);
    }
    cr_assert(wg_replay_count(b->replay) > 0, "nothing was replayed");
    b->calls = 0;
}

static void expect_recorded_again(model *a, model *b, const char *why) {
    int before = b->calls;
    double want = step(a, 7, false), got = step(b, 7, true);
    cr_expect(want == got, "%s: the loss is %.9g, not %.9g", why, got, want);
    cr_expect(b->calls > before, "%s: replayed all the same", why);
    expect_same(a, b, why);
    for (int i = 8; i < 14; i++) {
        cr_expect(step(a, i, false) == step(b, i, true), "%s: step %d", why, i);
    }
    expect_same(a, b, why);
}

static model pair_open(model *b) {
    model a = model_open(true);
    *b = model_open(true);
    b->replay = wg_replay_new(b->ctx, record, 1, b);
    return a;
}

/* Wrong: the snapshot is written over. */
Test(replay, a_held_value_is_not_written_over) {
    model b, a = pair_open(&b);
    warm_up(&a, &b);
    wg_tensor *old = wg_keep(wg_detach(b.p[0])), *same = wg_keep(wg_detach(a.p[0]));
    expect_recorded_again(&a, &b, "a snapshot of a parameter");
    float x[IN * HIDDEN], y[IN * HIDDEN];
    cr_assert(wg_read(old, x, sizeof x) == WG_OK && wg_read(same, y, sizeof y) == WG_OK);
    cr_expect(memcmp(x, y, sizeof x) == 0, "the snapshot changed");
    wg_free(old);
    wg_free(same);
    model_close(&a);
    model_close(&b);
}

/* Wrong: a gradient that is there by now is not added to, or an output that somebody holds changes under them. */
Test(replay, gradients_and_outputs) {
    model b, a = pair_open(&b);
    warm_up(&a, &b);
    model *both[] = {&a, &b};
    for (int k = 0; k < 2; k++) {
        WG_SCOPE(both[k]->ctx) { wg_backward(wg_sum(both[k]->p[2], NULL, 0, false)); }
    }
    expect_recorded_again(&a, &b, "a gradient from elsewhere");
    wg_tensor *loss = wg_keep(wg_detach(wg_replay_output(b.replay, 0)));
    double before = wg_item(loss);
    step(&a, 20, false);
    step(&b, 20, true);
    cr_expect(wg_item(loss) == before, "a held loss changed");
    wg_free(loss);
    model_close(&a);
    model_close(&b);
}

/* Wrong: the old rows are used, or the plan of the old shape. */
Test(replay, another_shape) {
    model b, a = pair_open(&b);
    warm_up(&a, &b);
    model *both[] = {&a, &b};
    for (int k = 0; k < 2; k++) {
        float rows[5 * IN];
        int64_t target[5] = {0, 1, 2, 0, 1};
        fill(rows, 5 * IN, 3);
        wg_free(both[k]->x);
        wg_free(both[k]->target);
        both[k]->x = wg_keep(wg_from_f32(both[k]->ctx, rows, WG_SHAPE(5, IN)));
        both[k]->target = wg_keep(wg_from_i64(both[k]->ctx, target, WG_SHAPE(5)));
    }
    for (int i = 0; i < 6; i++) {
        double want = 0;
        wg_tensor *loss = NULL;
        WG_SCOPE(a.ctx) {
            record(a.ctx, &loss, &a);
            wg_keep(loss);
        }
        want = wg_item(loss);
        wg_free(loss);
        cr_assert_eq(wg_replay_run(b.replay), WG_OK);
        cr_expect(wg_item(wg_replay_output(b.replay, 0)) == want, "step %d", i);
    }
    expect_same(&a, &b, "after another shape");
    model_close(&a);
    model_close(&b);
}

/* Wrong: the number that the program changed is the old one. Two runs that differ in a number are not the same step. */
Test(replay, numbers_of_the_program) {
    model b, a = pair_open(&b);
    for (int i = 0; i < 8; i++) {
        a.factor = b.factor = 1.5 + i;
        cr_expect(step(&a, i, false) == step(&b, i, true), "step %d", i);
    }
    cr_expect_eq(wg_replay_count(b.replay), 0);
    a.factor = b.factor = 2;
    for (int i = 0; i < 6; i++) {
        step(&a, i, false);
        step(&b, i, true);
    }
    cr_expect_gt(wg_replay_count(b.replay), 0);
    a.factor = b.factor = 3;
    wg_replay_reset(b.replay);
    expect_recorded_again(&a, &b, "a reset");
    model_close(&a);
    model_close(&b);
}

/* Wrong: a step that reads a value, and may act on it, is replayed. */
Test(replay, a_step_that_reads_is_always_recorded) {
    model b, a = pair_open(&b);
    a.reads = b.reads = true;
    for (int i = 0; i < 8; i++) {
        cr_expect(step(&a, i, false) == step(&b, i, true), "step %d", i);
    }
    cr_expect_eq(wg_replay_count(b.replay), 0);
    model_close(&a);
    model_close(&b);
}

static void makes_from_host(wg_ctx *ctx, wg_tensor **outputs, void *user) {
    float *v = user;
    *v += 1;
    outputs[0] = wg_mul_scalar(wg_from_f32(ctx, v, WG_SHAPE(1)), 2);
    outputs[1] = outputs[0];
}

static void fails(wg_ctx *ctx, wg_tensor **outputs, void *user) {
    (void)outputs;
    (void)user;
    wg_matmul(wg_zeros(ctx, WG_F32, WG_SHAPE(2, 3)), wg_zeros(ctx, WG_F32, WG_SHAPE(4, 5)));
}

Test(replay, host_data_errors_and_null) {
    wg_ctx *ctx = open_ctx();
    float v = 0;
    wg_replay *r = wg_replay_new(ctx, makes_from_host, 2, &v);
    for (int i = 1; i <= 5; i++) {
        cr_assert_eq(wg_replay_run(r), WG_OK);
        cr_expect(wg_item(wg_replay_output(r, 0)) == 2 * i && wg_item(wg_replay_output(r, 1)) == 2 * i, "run %d", i);
    }
    cr_expect(wg_replay_count(r) == 0 && wg_replay_output(r, 2) == NULL);
    wg_replay_free(r);
    r = wg_replay_new(ctx, fails, 1, NULL);
    cr_expect_eq(wg_replay_run(r), WG_ERR_SHAPE);
    cr_expect(wg_replay_output(r, 0) == NULL && wg_error_take(ctx, NULL, 0) == WG_ERR_SHAPE);
    cr_expect_eq(wg_replay_run(r), WG_ERR_SHAPE, "the context is not usable afterwards");
    wg_error_take(ctx, NULL, 0);
    wg_replay_free(r);
    cr_expect(wg_replay_new(ctx, NULL, 0, NULL) == NULL && wg_error_take(ctx, NULL, 0) == WG_ERR_ARG);
    cr_expect(wg_replay_new(NULL, fails, 0, NULL) == NULL && wg_replay_run(NULL) == WG_ERR_ARG);
    cr_expect(wg_replay_output(NULL, 0) == NULL && wg_replay_count(NULL) == 0);
    wg_replay_reset(NULL);
    wg_replay_free(NULL);
    close_ok(ctx);
}
