/* Limits of the host's cores; those of other devices come from opencl.c. */
#include "limits.h"

#include "loops.h"
#include "opencl.h"
#include "team.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FMA_STEPS = 200000, CHUNK = 64 }; /* floats that are not divided between threads */

struct limits {
    team *team; /* the host's cores */
    opencl *cl; /* the OpenCL device; on a CPU opened when first asked for */
    bool on_cpu;
    char device_name[256];
    float *src, *dst;
    size_t n, cap; /* floats in use, and allocated */
    double *flops; /* of each thread */
    float sink;
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
        l->flops = l->team ? calloc((size_t)team_size(l->team), sizeof *l->flops) : NULL;
    } else {
        l->cl = opencl_open(device_name, why);
    }
    if (on_cpu ? !l->flops : !l->cl) {
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
        free(l->flops);
        free(l);
    }
}

/* The part of thread i, in whole chunks. */
static size_t part(const limits *l, int i, int size, size_t *n) {
    size_t chunks = l->n / CHUNK;
    size_t begin = chunks * (size_t)i / (size_t)size, end = chunks * (size_t)(i + 1) / (size_t)size;
    *n = (end - begin) * CHUNK;
    return begin * CHUNK;
}

static void touch_job(void *user, int i, int size) {
    limits *l = user;
    size_t n, at = part(l, i, size, &n);
    memset(l->src + at, 0, n * sizeof *l->src);
    memset(l->dst + at, 0, n * sizeof *l->dst);
}

static void plain_job(void *user, int i, int size) {
    limits *l = user;
    size_t n, at = part(l, i, size, &n);
    memcpy(l->dst + at, l->src + at, n * sizeof *l->dst);
}

static void stream_job(void *user, int i, int size) {
    limits *l = user;
    size_t n, at = part(l, i, size, &n);
    loop_copy_stream(l->dst + at, l->src + at, n);
}

static void read_job(void *user, int i, int size) {
    limits *l = user;
    size_t n, at = part(l, i, size, &n);
    float sum = loop_read(l->src + at, n);
    if (sum != 0) {
        l->sink = sum;
    }
}

static void fma_job(void *user, int i, int size) {
    limits *l = user;
    (void)size;
    float sum = loop_fma(FMA_STEPS, &l->flops[i]);
    if (sum == 0) {
        l->sink = sum;
    }
}

static void run_plain(void *user) { team_run(((limits *)user)->team, plain_job, user); }
static void run_stream(void *user) { team_run(((limits *)user)->team, stream_job, user); }
static void run_read(void *user) { team_run(((limits *)user)->team, read_job, user); }
static void run_fma(void *user) { team_run(((limits *)user)->team, fma_job, user); }

/* Fresh pages, first touched by the threads that will use them. */
static bool reserve(limits *l, size_t floats) {
    l->n = (floats + CHUNK - 1) / CHUNK * CHUNK;
    if (l->n <= l->cap) {
        return true;
    }
    free(l->src);
    free(l->dst);
    l->src = aligned_alloc(64, l->n * sizeof(float));
    l->dst = aligned_alloc(64, l->n * sizeof(float));
    l->cap = l->src && l->dst ? l->n : 0;
    if (l->cap) {
        team_run(l->team, touch_job, l);
    }
    return l->cap > 0;
}

size_t limits_sides(limits *l, limit_kind kind, size_t bytes, side *sides, double *work) {
    if (!l || kind == NO_LIMIT) {
        return 0;
    }
    if (!l->on_cpu) {
        return opencl_limit(l->cl, kind, bytes, sides, work);
    }
    if (kind == FMA_LIMIT) {
        run_fma(l);
        *work = 0;
        for (int i = 0; i < team_size(l->team); i++) {
            *work += l->flops[i];
        }
        sides[0] = (side){.run = run_fma, .user = l};
        return 1;
    }
    if (!reserve(l, bytes / sizeof(float) / (kind == COPY_LIMIT ? 2 : 1))) {
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
