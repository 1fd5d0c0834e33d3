/*
 * What a training step comes to as a plan: kernels, bytes, memory, host time. `wengert-bench plan`.
 */
#ifndef WENGERT_BENCH_PLAN_H
#define WENGERT_BENCH_PLAN_H

#include "cases.h"
#include "model.h"

/* What is not known, or does not apply, is 0. */
typedef struct plan_row {
    const char *id;
    double kernels;     /* launched in a step */
    double distinct;    /* of different text among them */
    double bytes;       /* that kernels read and write in a step */
    double flops;       /* floating-point operations of a step, likewise */
    double peak;        /* bytes of device memory at most: parameters, their state, inputs, and */
    double temporaries; /* what a step has beyond what is there between steps */
    double nodes;       /* ops recorded in a step */
    double host;        /* seconds a step on a device that runs nothing: recording, finding the plan, binding it */
    double step;        /* seconds a step on the device, the loss read; the shortest */
    double target;      /* kernels at most; 0 where that is said relative to a peer */
    bool failed;
    char note[160];
} plan_row;

typedef struct plan_case {
    const char *id;                     /* stable */
    const char *what;                   /* one line for --list */
    double target;                      /* kernels at most */
    model_maker *make;                  /* a network whose step it is, or NULL */
    void (*run)(bench *b, plan_row *r); /* what else is counted; b->ctx is a fresh context */
} plan_case;

/* Each ends with an entry whose id is NULL. */
extern const plan_case plan_models[], plan_parts[];

/* Fills the row of a network. */
void plan_model(bench *b, plan_row *r, model_maker *make);
/* Prints the losses of so many of its steps instead, digit for digit. */
void plan_losses(bench *b, const char *id, model_maker *make, int steps);

void plan_note(plan_row *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Measures what is run again and again in b->ctx; fills what the counters and the clock say, of one run. */
bool plan_measure(bench *b, plan_row *r, void (*run)(void *), void *user);

void plan_print_head(FILE *out);
void plan_print_row(FILE *out, const plan_row *r);
/* {"version": ..., "device": ..., "plan": [...]}; false with errno set if the file cannot be written. */
bool plan_write_json(const char *path, const char *device, const plan_row *rows, size_t n);

#endif
