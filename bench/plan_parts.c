/* Parts of training steps that have a target of their own. */
#include "plan.h"

enum { ROWS = 1024, COLUMNS = 512, CLASSES = 100 };

/* ---- layer_norm ---- */

typedef struct norm_part {
    wg_ctx *ctx;
    model m;                        /* one norm, and x among its inputs */
    uint64_t kernels, bytes, flops; /* of the backward pass */
} norm_part;

static norm_part norm_part_new(wg_ctx *ctx) {
    const wg_shape shape = WG_SHAPE(ROWS, COLUMNS);
    norm_part p = {.ctx = ctx, .m = {.ctx = ctx, .inputs = {wg_param(uniform(ctx, shape))}}};
    p.m.target = uniform(ctx, shape);
    add_norm(&p.m, COLUMNS);
    return p;
}

static void norm_forward(void *user) {
    norm_part *p = user;
    WG_SCOPE(p->ctx) {
        wg_tensor *y = norm(&p->m, 0, p->m.inputs[0]);
        wg_eval(&y, 1);
    }
    wg_synchronize(p->ctx);
}

/* The gradients of what goes in, given that of what comes out; the forward pass has run before. */
static void norm_backward(void *user) {
    norm_part *p = user;
    wg_stats before, after;
    WG_SCOPE(p->ctx) {
        wg_tensor *y = norm(&p->m, 0, p->m.inputs[0]), *grads[3];
        wg_tensor *inputs[] = {p->m.inputs[0], p->m.params[0], p->m.params[1]};
        wg_gradients_opts opts = wg_gradients_defaults();
        opts.grad_outputs = &p->m.target;
        wg_gradients(&y, 1, inputs, 3, grads, &opts);
        wg_eval(&y, 1);
        wg_get_stats(p->ctx, &before);
        wg_eval(grads, 3);
        wg_get_stats(p->ctx, &after);
        p->kernels = after.launches - before.launches;
        p->bytes = after.bytes_moved - before.bytes_moved;
        p->flops = after.flops - before.flops;
    }
    wg_synchronize(p->ctx);
}

static void run_norm_forward(bench *b, plan_row *r) {
    norm_part p = norm_part_new(b->ctx);
    plan_measure(b, r, norm_forward, &p);
    model_free(&p.m);
}

static void run_norm_backward(bench *b, plan_row *r) {
    norm_part p = norm_part_new(b->ctx);
    if (plan_measure(b, r, norm_backward, &p)) {
        plan_note(r, "of %g with the forward pass, which memory and time include", r->kernels);
        r->kernels = (double)p.kernels;
        r->bytes = (double)p.bytes;
        r->flops = (double)p.flops;
    }
    model_free(&p.m);
}

/* ---- cross_entropy ---- */

typedef struct loss_part {
    wg_ctx *ctx;
    wg_tensor *logits, *target;
} loss_part;

static void loss_and_gradient(void *user) {
    loss_part *p = user;
    WG_SCOPE(p->ctx) {
        wg_tensor *both[2];
        both[0] = wg_cross_entropy(p->logits, p->target, NULL);
        wg_gradients(both, 1, &p->logits, 1, both + 1, NULL);
        wg_eval(both, 2);
    }
    wg_synchronize(p->ctx);
}

static void run_cross_entropy(bench *b, plan_row *r) {
    int64_t target[ROWS];
    for (int i = 0; i < ROWS; i++) {
        target[i] = i * 7 % CLASSES;
    }
    loss_part p = {.ctx = b->ctx, .logits = wg_param(uniform(b->ctx, WG_SHAPE(ROWS, CLASSES)))};
    p.target = wg_keep(wg_from_i64(b->ctx, target, WG_SHAPE(ROWS)));
    plan_measure(b, r, loss_and_gradient, &p);
}

/* ---- adamw ---- */

enum { TENSORS = 64, SMALL = 32 };

typedef struct update_part {
    wg_ctx *ctx;
    wg_optim *optim;
} update_part;

static void update_all(void *user) {
    update_part *p = user;
    WG_SCOPE(p->ctx) { wg_optim_step(p->optim); }
    wg_synchronize(p->ctx);
}

/* The gradients are there before, as after a backward pass in a scope of its own. */
static void run_adamw(bench *b, plan_row *r) {
    wg_tensor *params[TENSORS];
    for (int i = 0; i < TENSORS; i++) {
        params[i] = wg_param(uniform(b->ctx, WG_SHAPE(i % 2 ? SMALL : SMALL * SMALL)));
    }
    WG_SCOPE(b->ctx) {
        wg_tensor *sum = NULL;
        for (int i = 0; i < TENSORS; i++) {
            wg_tensor *each = wg_sum(wg_square(params[i]), NULL, 0, false);
            sum = sum ? wg_add(sum, each) : each;
        }
        wg_backward(sum);
    }
    wg_adam_opts opts = wg_adamw_defaults();
    update_part p = {.ctx = b->ctx, .optim = wg_adam_new(params, TENSORS, &opts)};
    if (plan_measure(b, r, update_all, &p)) {
        plan_note(r, "%d tensors", TENSORS);
    }
    wg_optim_free(p.optim);
}

/* ---- host time ---- */

/* The ops of a step without the update, never demanded. */
static void record_mlp(void *user) {
    const model *m = user;
    WG_SCOPE(m->ctx) {
        wg_tensor *loss = m->loss(m), *grads[MAX_PARAMS];
        wg_gradients(&loss, 1, m->params, m->nparams, grads, NULL);
    }
}

static double each_run(const side *s, uint64_t before, uint64_t after) {
    return (double)(after - before) / (double)s->runs;
}

static void train_mlp(wg_ctx *ctx, wg_tensor **outputs, void *user) {
    const model *m = user;
    (void)ctx;
    outputs[0] = m->loss(m);
    wg_backward(outputs[0]);
    wg_optim_step(m->optim);
    wg_optim_zero_grad(m->optim);
}

static void replay_mlp(void *user) { wg_replay_run(user); }

/* What a step takes on a device that runs nothing: recorded alone, recorded and run, and replayed. Each side has a context, so
 * that counters are its own. */
static void run_mlp_replay(bench *b, plan_row *r) {
    enum { SIDES = 3 };
    wg_ctx *null[SIDES];
    model m[SIDES];
    for (int i = 0; i < SIDES; i++) {
        null[i] = wg_open("null");
        mlp_sgd(&m[i], null[i]);
    }
    wg_replay *replay = wg_replay_new(null[2], train_mlp, 1, &m[2]);
    side s[SIDES] = {{.run = model_step, .user = &m[0], .ctx = null[0]},
                     {.run = record_mlp, .user = &m[1], .ctx = null[1]},
                     {.run = replay_mlp, .user = replay, .ctx = null[2]}};
    if (measure(s, SIDES, b->budget)) {
        r->kernels = each_run(&s[0], s[0].before.launches, s[0].after.launches);
        r->nodes = each_run(&s[0], s[0].before.nodes, s[0].after.nodes);
        r->host = s[0].min;
        double an_op = s[1].min / each_run(&s[1], s[1].before.nodes, s[1].after.nodes);
        plan_note(r,
                  "%s an op recorded, %s with its plan found and launched (target 300 ns); by wg_replay %s a kernel "
                  "(target 500 ns)",
                  duration_of(an_op).text, duration_of(r->host / r->nodes).text,
                  duration_of(s[2].min / r->kernels).text);
    } else {
        plan_note(r, "null: %s", wg_failed(null[0]) ? wg_error(null[0]) : wg_error(null[1]));
        r->failed = true;
    }
    wg_replay_free(replay);
    for (int i = 0; i < SIDES; i++) {
        model_free(&m[i]);
        wg_close(null[i]);
    }
}

const plan_case plan_parts[] = {
    {"layer_norm", "layer norm of each row of 1024x512", 1, NULL, run_norm_forward},
    {"layer_norm_back", "its three gradients, after the forward pass", 2, NULL, run_norm_backward},
    {"cross_entropy", "loss and gradient of logits 1024x100", 1, NULL, run_cross_entropy},
    {"adamw_64", "AdamW on 64 small tensors whose gradients are there", 2, NULL, run_adamw},
    {"mlp_replay", "host time of mlp_sgd: recording an op, replaying a kernel", 0, NULL, run_mlp_replay},
    {0},
};
