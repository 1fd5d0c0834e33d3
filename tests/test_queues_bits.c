/* label: unit */
/* timeout: 300 */
/* host: too */
/*
 * Steps whose branches overlap on several queues give the bits that they give on one: recorded, replayed, watched. On CPUs,
 * which have one queue unless they are told otherwise, this is where events between queues are tried.
 */
#include "harness/check.h"

#include "api/context.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N = 16, H = 32, PARAMS = 7, STEPS = 5, LENGTH = 4 * H * H };

typedef struct bits {
    float params[PARAMS][LENGTH], loss[STEPS];
} bits;

typedef struct model {
    wg_tensor *x, *h, *c, *p[PARAMS];
    wg_optim *optim;
} model;

static const wg_shape shapes[PARAMS] = {{2, {4 * H, H}}, {2, {4 * H, H}}, {1, {4 * H}}, {2, {H, H}},
                                        {2, {H, H}},     {2, {H, H}},     {2, {H, H}}};

static wg_tensor *numbers(wg_ctx *ctx, wg_shape shape, int seed) {
    static float values[LENGTH];
    for (int i = 0; i < wg_shape_numel(shape); i++) {
        values[i] = (float)((i * 37 + seed * 101) % 211 - 105) / 400;
    }
    return wg_keep(wg_from_f32(ctx, values, shape));
}

/* A cell of an LSTM, whose output attends to its input. */
static void record(wg_ctx *ctx, wg_tensor **outputs, void *user) {
    model *m = user;
    (void)ctx;
    wg_tensor *z = wg_add(wg_linear(m->x, m->p[0], m->p[2]), wg_linear(m->h, m->p[1], NULL)), *gate[4];
    for (int i = 0; i < 4; i++) {
        gate[i] = wg_narrow(z, 1, i * H, H);
    }
    wg_tensor *c = wg_add(wg_mul(wg_sigmoid(gate[1]), m->c), wg_mul(wg_sigmoid(gate[0]), wg_tanh(gate[2])));
    wg_tensor *h = wg_mul(wg_sigmoid(gate[3]), wg_tanh(c));
    wg_tensor *q = wg_matmul(h, m->p[3]), *k = wg_matmul(m->x, m->p[4]), *v = wg_matmul(m->x, m->p[5]);
    wg_tensor *attended = wg_matmul(wg_softmax(wg_matmul(q, wg_transpose(k, 0, 1)), -1), v);
    outputs[0] = wg_mean(wg_square(wg_add(wg_matmul(attended, m->p[6]), h)), NULL, 0, false);
    wg_backward(outputs[0]);
    wg_optim_step(m->optim);
    wg_optim_zero_grad(m->optim);
}

static void open_model(wg_ctx *ctx, model *m) {
    *m = (model){.x = numbers(ctx, WG_SHAPE(N, H), 1),
                 .h = numbers(ctx, WG_SHAPE(N, H), 2),
                 .c = numbers(ctx, WG_SHAPE(N, H), 3)};
    for (int i = 0; i < PARAMS; i++) {
        m->p[i] = wg_param(numbers(ctx, shapes[i], 4 + i));
    }
    m->optim = wg_adam_new(m->p, PARAMS, NULL);
    cr_assert(m->optim && !wg_failed(ctx), "%s", wg_error(ctx));
}

static void close_model(model *m) {
    wg_optim_free(m->optim);
    for (int i = 0; i < PARAMS; i++) {
        wg_free(m->p[i]);
    }
    wg_free(m->x);
    wg_free(m->h);
    wg_free(m->c);
}

static void train(const char *queues, bool replays, const char *trace, bits *out) {
    model m;
    memset(out, 0, sizeof *out);
    setenv("WENGERT_QUEUES", queues, 1);
    setenv("WENGERT_FORM", "simt",
           1); /* the simd form packs each product's operands where the last one packed its own */
    wg_ctx *ctx = open_mode(MODE_SIMT); /* in the simd form products pack their operands one where the other did */
    int n = ctx->engine.dev.limits->queues;
    cr_expect_eq(n, ctx->engine.dev.limits->interprets ? 1 : atoi(queues));
    open_model(ctx, &m);
    if (trace) {
        cr_assert_eq(wg_trace_begin(ctx, trace), WG_OK, "%s", wg_error(ctx));
    }
    wg_replay *step = wg_replay_new(ctx, record, 1, &m);
    for (int k = 0; k < STEPS; k++) {
        cr_assert_eq(wg_replay_run(step), WG_OK, "%s", wg_error(ctx));
        out->loss[k] = (float)wg_item(wg_replay_output(step, 0));
        if (!replays) {
            wg_replay_reset(step);
        }
    }
    const wg_exec *x = wg_plan_cache_newest(ctx);
    cr_expect_eq(x->plan->turns != NULL, n > 1, "%s queues: the plan is not spread", queues);
    for (int i = 0; i < PARAMS; i++) {
        cr_assert_eq(wg_read(m.p[i], out->params[i], (size_t)wg_shape_numel(shapes[i]) * sizeof(float)), WG_OK);
    }
    wg_replay_free(step);
    close_model(&m);
    close_ok(ctx);
}

static void expect_same(const bits *a, const bits *b, const char *label) {
    expect_same_bits(a->loss, b->loss, WG_F32, STEPS, label);
    for (int i = 0; i < PARAMS; i++) {
        expect_same_bits(a->params[i], b->params[i], WG_F32, LENGTH, label);
    }
}

Test(queues_bits, any_number_of_queues_gives_the_same) {
    static bits one, got;
    train("1", false, NULL, &one);
    for (int round = 0; round < 5; round++) {
        for (int q = 2; q <= WG_MAX_QUEUES; q++) {
            char queues[2] = {(char)('0' + q), '\0'};
            train(queues, round % 2, NULL, &got);
            expect_same(&got, &one, queues);
        }
    }
}

/* Watched, each launch is timed by itself, in the lane of its queue. */
Test(queues_bits, a_trace_has_a_lane_for_each_queue) {
    static bits one, got;
    static char text[1 << 20];
    char path[64];
    snprintf(path, sizeof path, "/tmp/wengert-queues-%d.json", (int)getpid());
    train("1", true, NULL, &one);
    train("2", true, path, &got);
    expect_same(&got, &one, "traced");
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    remove(path);
    const char *device = getenv("WENGERT_DEVICE");
    bool several = !device || strcmp(device, "host") != 0;
    cr_expect_not_null(strstr(text, "\"cat\":\"queue\""));
    cr_expect_eq(strstr(text, "\"cat\":\"queue 1\"") != NULL, several);
    cr_expect_eq(strstr(text, "\"name\":\"queue 1\"") != NULL, several);
    cr_expect_null(strstr(text, "\"queue 2\""), "a lane of a queue that there is not");
}
