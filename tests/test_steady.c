/* label: unit */
/*
 * A training step that comes back allocates nothing, neither on the host nor from the driver: recording, gathering,
 * binding, launching and the scope's end live on what the first steps left behind.
 */
#include "harness/check.h"

#include "base/alloc.h"

#include <stdlib.h>

enum { BATCH = 16, IN = 12, HIDDEN = 32, CLASSES = 5, LAYERS = 4, PARAMS = 2 * LAYERS, STEPS = 100, WARM_UP = 10 };

typedef struct model {
    wg_ctx *ctx;
    wg_tensor *param[PARAMS], *x, *mask, *target;
    wg_optim *optim;
} model;

static model make(const char *device, bool adam) {
    model m = {.ctx = wg_open(device)};
    cr_assert(m.ctx && !wg_failed(m.ctx), "%s", wg_error(m.ctx));
    for (int i = 0; i < LAYERS; i++) {
        int64_t in = i == 0 ? IN : HIDDEN, out = i == LAYERS - 1 ? CLASSES : HIDDEN;
        m.param[2 * i] = wg_param(wg_keep(wg_mul_scalar(wg_rand(m.ctx, WG_F32, WG_SHAPE(out, in)), 0.1)));
        m.param[2 * i + 1] = wg_param(wg_keep(wg_zeros(m.ctx, WG_F32, WG_SHAPE(out))));
    }
    m.x = wg_keep(wg_zeros(m.ctx, WG_F32, WG_SHAPE(BATCH, IN)));
    m.mask = wg_keep(wg_zeros(m.ctx, WG_BOOL, WG_SHAPE(BATCH, IN)));
    m.target = wg_keep(wg_zeros(m.ctx, WG_I64, WG_SHAPE(BATCH)));
    wg_sgd_opts sgd = wg_sgd_defaults();
    sgd.momentum = 0.9;
    m.optim = adam ? wg_adam_new(m.param, PARAMS, NULL) : wg_sgd_new(m.param, PARAMS, &sgd);
    cr_assert(m.optim && m.x && m.mask, "%s", wg_error(m.ctx));
    return m;
}

static void write_batch(model *m, int k) {
    float x[BATCH * IN];
    uint8_t mask[BATCH * IN];
    int64_t target[BATCH];
    for (int i = 0; i < BATCH * IN; i++) {
        x[i] = (float)((i * 7 + k * 3) % 19 - 9) / 10;
        mask[i] = (i + k) % 5 != 0;
    }
    for (int i = 0; i < BATCH; i++) {
        target[i] = (i + k) % CLASSES;
    }
    cr_assert_eq(wg_write(m->x, x, sizeof x), WG_OK, "%s", wg_error(m->ctx));
    cr_assert_eq(wg_write(m->mask, mask, sizeof mask), WG_OK, "%s", wg_error(m->ctx));
    cr_assert_eq(wg_write(m->target, target, sizeof target), WG_OK, "%s", wg_error(m->ctx));
}

static void record(wg_ctx *ctx, wg_tensor **loss, void *user) {
    const model *m = user;
    (void)ctx;
    wg_tensor *h = wg_where(m->mask, m->x, wg_zeros_like(m->x));
    for (int i = 0; i < LAYERS; i++) {
        h = wg_linear(h, m->param[2 * i], m->param[2 * i + 1]);
        h = i < LAYERS - 1 ? wg_dropout(wg_relu(h), 0.1, true) : h;
    }
    *loss = wg_cross_entropy(h, m->target, NULL);
    wg_backward(*loss);
    wg_optim_step(m->optim);
    wg_optim_zero_grad(m->optim);
}

/* Replayed, or recorded if replay is NULL. */
static double step(model *m, int k, wg_replay *replay) {
    write_batch(m, k);
    if (replay) {
        cr_assert_eq(wg_replay_run(replay), WG_OK, "%s", wg_error(m->ctx));
        return wg_item(wg_replay_output(replay, 0));
    }
    wg_tensor *loss;
    wg_mark mark = wg_scope_begin(m->ctx);
    record(m->ctx, &loss, m);
    wg_keep(loss);
    cr_assert_eq(wg_scope_end(m->ctx, mark), WG_OK, "%s", wg_error(m->ctx));
    double value = wg_item(loss);
    wg_free(loss);
    return value;
}

static void run_steps(const char *device, bool adam, bool replayed) {
    model m = make(device, adam);
    wg_replay *replay = replayed ? wg_replay_new(m.ctx, record, 1, &m) : NULL;
    for (int k = 0; k < WARM_UP; k++) {
        step(&m, k, replay);
    }
    uint64_t recorded = wg_replay_count(replay);
    wg_stats before = stats_of(m.ctx);
    wg_fault_arm(WG_FAULT_ALLOC, 0);
    wg_fault_arm(WG_FAULT_DEVICE_ALLOC, 0);
    for (int k = 0; k < STEPS; k++) {
        step(&m, WARM_UP + k, replay);
    }
    uint64_t host = wg_fault_count(WG_FAULT_ALLOC), driver = wg_fault_count(WG_FAULT_DEVICE_ALLOC);
    wg_stats after = stats_of(m.ctx);
    cr_expect_eq(host, 0, "%s: %llu heap allocations in %d steps", device, (unsigned long long)host, STEPS);
    cr_expect_eq(driver, 0, "%s: %llu driver allocations in %d steps", device, (unsigned long long)driver, STEPS);
    cr_expect_eq(after.plans_built, before.plans_built);
    cr_expect(after.launches >= before.launches + STEPS, "nothing was run");
    cr_expect_eq(after.bytes_live, before.bytes_live);
    cr_expect_eq(wg_replay_count(replay) - recorded, replayed ? STEPS : 0, "%s: steps were recorded again", device);
    wg_replay_free(replay);
    wg_optim_free(m.optim);
    close_ok(m.ctx);
}

static void steps_allocate_nothing(const char *device, bool adam) {
    run_steps(device, adam, false);
    run_steps(device, adam, true);
}

static const char *real_device(void) {
    const char *s = getenv("WENGERT_DEVICE");
    return s && *s ? s : "opencl";
}

Test(steady, host) {
    steps_allocate_nothing("host", false);
    steps_allocate_nothing("host", true);
}

Test(steady, null) {
    steps_allocate_nothing("null:cpu", true);
    steps_allocate_nothing("null:gpu", true);
}

Test(steady, device) {
    steps_allocate_nothing(real_device(), false);
    steps_allocate_nothing(real_device(), true);
}
