/* Whole training steps as plans. */
#include "plan.h"
#include <stdlib.h>

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

void plan_model(bench *b, plan_row *r, model_maker *make) {
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

void plan_losses(bench *b, const char *id, model_maker *make, int steps) {
    model m;
    make(&m, b->ctx);
    printf("%s", id);
    for (int i = 0; i < steps; i++) {
        model_step(&m);
        printf(" %.9g", m.last_loss);
    }
    printf("\n");
    if (getenv("DBG"))
        for (size_t i = 0; i < m.nparams; i++) {
            size_t n = (size_t)wg_numel(m.params[i]);
            const float *v = wg_data_f32(m.params[i]);
            double sum = 0;
            for (size_t j = 0; j < n; j++)
                sum += (double)v[j] * (double)(j % 7 + 1);
            printf("param %zu (%zu) %.9g\n", i, n, sum);
        }
    model_free(&m);
}

/* Targets but the first are a third of the kernels that PyTorch 2.15 launches eagerly, as peers/plan.py counts them. */
const plan_case plan_models[] = {
    {"mlp_sgd", "784-256-128-10, ReLU, batch 128, cross entropy, SGD", 13, mlp_sgd, NULL},
    {"mlp_adam", "the same with Adam", 22, mlp_adam, NULL},
    {"mixer", "images of 28x28 classified by two mixer blocks of width 64, batch 128, AdamW", 116, mixer, NULL},
    {"transformer", "a transformer's block: batch 8, 128 tokens, width 128, 4 heads, AdamW", 57, transformer, NULL},
    {"lstm_cell", "a step of an LSTM's cell, batch 64, width 128, SGD", 12, lstm_cell, NULL},
    {"lstm_8", "the same over 8 time steps", 91, lstm_8, NULL},
    {0},
};
