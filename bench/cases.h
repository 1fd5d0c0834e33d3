/*
 * What a case is, and what cases share: a context of their own, data, measuring beside a limit, checking results.
 */
#ifndef WENGERT_BENCH_CASES_H
#define WENGERT_BENCH_CASES_H

#include "limits.h"
#include "measure.h"
#include "table.h"

typedef struct bench {
    wg_ctx *ctx;        /* a fresh one for each case */
    const char *device; /* as wg_open takes it, or NULL */
    bool on_cpu;        /* the device is the host's cores */
    bool computes;      /* false on the device that runs nothing */
    double budget;      /* seconds to measure a case for */
    limits *limits;     /* NULL where there are none */
} bench;

typedef struct bench_case {
    const char *id;   /* stable */
    const char *what; /* one line for --list */
    void (*run)(bench *b, row *r);
} bench_case;

/* Each ends with an entry whose id is NULL. */
extern const bench_case host_cases[], memory_cases[], matmul_cases[], training_cases[];

/* Argument that makes the program the child of case cold_start. */
#define CHILD_ARGUMENT "--one-step"
int cold_start_child(const char *device);

/* How much a run does, and which limit that is held against. */
typedef struct work {
    double flops, bytes; /* one of them, or none */
    limit_kind limit;
} work;

/* Measures ours beside the limit, and beside a peer that does the same work unless NULL; fills the row. */
bool measure_case(bench *b, row *r, side ours, work w, side *peer);
/* The same for host time, where one run does n things: the row's times are of one thing. */
bool measure_host(bench *b, row *r, side ours, double n);

/* A tensor of pseudo-random values in [-1, 1), the same ones for the same shape; the caller's, by wg_keep. */
wg_tensor *uniform(wg_ctx *ctx, wg_shape shape);
/* The values it has. */
float uniform_at(size_t i);
/* A leaf of zeros to assign to; the caller's. */
wg_tensor *place_for(wg_ctx *ctx, wg_shape shape);

/* Notes what is wrong, and marks the row as failed, unless the element of t is near want. */
void check_element(bench *b, row *r, wg_tensor *t, int64_t i, double want, double tolerance);
void check_value(bench *b, row *r, double got, double want, double tolerance);

#endif
