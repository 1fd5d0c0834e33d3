/* Whole training steps as plans. */
#include "model.h"
#include "plan.h"

/* On a device that runs nothing a step takes the time that the host takes. */
static void measure_host_time(bench *b, plan_row *r, model_maker *make) {
    wg_ctx *null = wg_open("null");
    model m;
    make(&m, null);
    side s = {.run = model_step, .user = &m, .ctx = null};
    if (measure(&s, 1, 0.4 * b->budget)) {
        r->host = s.min;
    } else {
        plan_note(r, "null: %s", wg_error(null));
        r->failed = true;
    }
    model_free(&m);
    wg_close(null);
}

static void measure_model(bench *b, plan_row *r, model_maker *make) {
    model m;
    make(&m, b->ctx);
    if (plan_measure(b, r, model_step, &m) && b->computes) {
        plan_note(r, "loss %.4g to %.4g in %zu steps", m.first_loss, m.last_loss, m.steps);
        if (!(m.last_loss < m.first_loss)) {
            plan_note(r, "WRONG: it did not fall");
            r->failed = true;
        }
    }
    model_free(&m);
    measure_host_time(b, r, make);
}

static void run_mlp_sgd(bench *b, plan_row *r) { measure_model(b, r, mlp_sgd); }
static void run_mlp_adam(bench *b, plan_row *r) { measure_model(b, r, mlp_adam); }
static void run_mixer(bench *b, plan_row *r) { measure_model(b, r, mixer); }
static void run_transformer(bench *b, plan_row *r) { measure_model(b, r, transformer); }
static void run_lstm_cell(bench *b, plan_row *r) { measure_model(b, r, lstm_cell); }
static void run_lstm_8(bench *b, plan_row *r) { measure_model(b, r, lstm_8); }

const plan_case plan_models[] = {
    {"mlp_sgd", "784-256-128-10, ReLU, batch 128, cross entropy, SGD", run_mlp_sgd, 13},
    {"mlp_adam", "the same with Adam", run_mlp_adam, 0},
    {"mixer", "images of 28x28 classified by two mixer blocks of width 64, batch 128, AdamW", run_mixer, 0},
    {"transformer", "a transformer's block: batch 8, 128 tokens, width 128, 4 heads, AdamW", run_transformer, 0},
    {"lstm_cell", "a step of an LSTM's cell, batch 64, width 128, SGD", run_lstm_cell, 0},
    {"lstm_8", "the same over 8 time steps", run_lstm_8, 0},
    {0},
};
