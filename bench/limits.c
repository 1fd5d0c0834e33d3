/* Limits of the host's cores; those of other devices come from opencl.c. */
#include "limits.h"

#include "loops.h"
#include "opencl.h"
#include "team.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 16, FMA_STEPS = 20000 }; /* floats, and steps of the chains, that a thread takes at once */

struct limits {
    team *team; /* the host's cores */
    opencl *cl; /* the OpenCL device; on a CPU opened when first asked for */
    bool on_cpu;
    char device_name[256];
    float *src, *dst;
    size_t n, cap;      /* floats in use, and allocated */
    size_t pieces;      /* of the run */
    atomic_size_t next; /* piece to take: where others use the cores too, none waits for a thread that was stopped */
    _Atomic float sink;
};

const char *limit_name(limit_kind kind) {
    static const char *const names[] = {NULL, "copy", "read", "fma"};
    return names[kind];
}

limits *limits_open(bool on_cpu, const char *device_name, char *why) {
    limits *l = calloc(1, sizeof *l);
    if (!l) {
        return NULL;
    }
    l->on_cpu = on_cpu;
    snprintf(l->device_name, sizeof l->device_name, "%s", device_name);
    if (on_cpu) {
        snprintf(why, 128, "no threads to measure limits with");
        l->team = team_new();
    } else {
        l->cl = opencl_open(device_name, why);
    }
    if (on_cpu ? !l->team : !l->cl) {
        limits_close(l);
        return NULL;
    }
    return l;
}

void limits_close(limits *l) {
    if (l) {
        team_free(l->team);
        opencl_close(l->cl);
        free(l->src);
        free(l->dst);
        free(l);
    }
}

/* The next piece: its first float and its length. */
static bool take(limits *l, size_t *at, size_t *n) {
    size_t piece = atomic_fetch_add(&l->next, 1);
    *at = piece * PIECE;
    *n = piece + 1 < l->pieces ? PIECE : l->n - *at;
    return piece < l->pieces;
}

static void touch_job(void *user) {
    limits *l = user;
    for (size_t at, n; take(l, &at, &n);) {
        memset(l->src + at, 0, n * sizeof *l->src);
        memset(l->dst + at, 0, n * sizeof *l->dst);
    }
}

static void plain_job(void *user) {
    limits *l = user;
    for (size_t at, n; take(l, &at, &n);) {
        memcpy(l->dst + at, l->src + at, n * sizeof *l->dst);
    }
}

static void stream_job(void *user) {
    limits *l = user;
    for (size_t at, n; take(l, &at, &n);) {
        loop_copy_stream(l->dst + at, l->src + at, n);
    }
}

static void read_job(void *user) {
    limits *l = user;
    float sum = 0;
    for (size_t at, n; take(l, &at, &n);) {
        sum += loop_read(l->src + at, n);
    }
    l->sink = sum;
}

static void fma_job(void *user) {
    limits *l = user;
    float sum = 0;
    double flops;
    while (atomic_fetch_add(&l->next, 1) < l->pieces) {
        sum += loop_fma(FMA_STEPS, &flops);
    }
    l->sink = sum;
}

static void run_all(limits *l, void (*job)(void *user)) {
    l->next = 0;
    team_run(l->team, job, l);
}

static void run_plain(void *user) { run_all(user, plain_job); }
static void run_stream(void *user) { run_all(user, stream_job); }
static void run_read(void *user) { run_all(user, read_job); }
static void run_fma(void *user) { run_all(user, fma_job); }

/* Room for a run, its pages touched. */
static bool reserve(limits *l, size_t floats) {
    l->n = (floats + 63) / 64 * 64;
    l->pieces = (l->n + PIECE - 1) / PIECE;
    if (l->n <= l->cap) {
        return true;
    }
    free(l->src);
    free(l->dst);
    l->src = aligned_alloc(64, l->n * sizeof(float));
    l->dst = aligned_alloc(64, l->n * sizeof(float));
    l->cap = l->src && l->dst ? l->n : 0;
    if (l->cap) {
        run_all(l, touch_job);
    }
    return l->cap > 0;
}

size_t limits_sides(limits *l, limit_kind kind, double amount, side *sides, double *work) {
    if (!l || kind == NO_LIMIT) {
        return 0;
    }
    if (!l->on_cpu) {
        return opencl_limit(l->cl, kind, amount, sides, work);
    }
    if (kind == FMA_LIMIT) {
        double piece_flops;
        l->sink = loop_fma(FMA_STEPS, &piece_flops);
        l->pieces = (size_t)(amount / piece_flops) + (size_t)team_size(l->team);
        *work = (double)l->pieces * piece_flops;
        sides[0] = (side){.run = run_fma, .user = l};
        return 1;
    }
    if (!reserve(l, (size_t)amount / sizeof(float) / (kind == COPY_LIMIT ? 2 : 1))) {
        return 0;
    }
    *work = (double)l->n * sizeof(float) * (kind == COPY_LIMIT ? 2 : 1);
    if (kind == READ_LIMIT) {
        sides[0] = (side){.run = run_read, .user = l};
        return 1;
    }
    sides[0] = (side){.run = run_plain, .user = l};
    sides[1] = (side){.run = run_stream, .user = l};
    return 2;
}

double limits_driver_launch(limits *l) {
    char why[128];
    if (l && !l->cl) {
        l->cl = opencl_open(l->device_name, why);
    }
    return l && l->cl ? opencl_launch_seconds(l->cl) : 0;
}
