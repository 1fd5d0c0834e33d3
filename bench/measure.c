/* Clock, warm-up, and turns. */
#include "measure.h"

#include <stdlib.h>
#include <time.h>

enum { TURNS = 6, RUNS_A_TURN = 1 << 14, MAX_RUNS = TURNS * RUNS_A_TURN, MAX_WARM_UP = 40, QUIET_RUNS = 3 };

double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void rest(double seconds) {
    struct timespec t = {.tv_sec = (time_t)seconds};
    t.tv_nsec = (long)(1e9 * (seconds - (double)t.tv_sec));
    nanosleep(&t, NULL);
}

static void run_once(side *s) {
    s->run(s->user);
    if (s->host_time) {
        wg_synchronize(s->ctx);
    }
}

static bool failed(const side *s) { return s->ctx && wg_failed(s->ctx); }

static uint64_t built(const side *s) {
    wg_stats stats;
    wg_get_stats(s->ctx, &stats);
    return stats.plans_built + stats.kernels_built;
}

static void warm_up(side *s) {
    if (!s->ctx) {
        run_once(s);
        run_once(s);
        return;
    }
    uint64_t last = built(s);
    for (int runs = 0, quiet = 0; runs < MAX_WARM_UP && quiet < QUIET_RUNS && !failed(s); runs++) {
        run_once(s);
        quiet = built(s) == last ? quiet + 1 : 0;
        last = built(s);
    }
}

static void take_turn(side *s, double *samples, double seconds) {
    rest(s->rest);
    size_t stop = s->runs + RUNS_A_TURN;
    double end = now() + seconds;
    do {
        double start = now();
        s->run(s->user);
        double t = now() - start;
        if (s->host_time) {
            wg_synchronize(s->ctx);
        }
        samples[s->runs++] = t;
    } while (s->runs < stop && now() < end && !failed(s));
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

bool measure(side *sides, size_t n, double budget) {
    double *samples = calloc(n * MAX_RUNS, sizeof *samples);
    bool ok = samples != NULL;
    for (size_t i = 0; i < n && ok; i++) {
        warm_up(&sides[i]);
        ok = !failed(&sides[i]);
        sides[i].runs = 0;
        if (sides[i].ctx) {
            wg_get_stats(sides[i].ctx, &sides[i].before);
        }
    }
    for (int turn = 0; turn < TURNS && ok; turn++) {
        for (size_t i = 0; i < n && ok; i++) {
            take_turn(&sides[i], samples + i * MAX_RUNS, budget / (double)(n * TURNS));
            ok = !failed(&sides[i]);
        }
    }
    for (size_t i = 0; i < n && ok; i++) {
        double *mine = samples + i * MAX_RUNS;
        qsort(mine, sides[i].runs, sizeof *mine, by_size);
        sides[i].min = mine[0];
        sides[i].median = mine[sides[i].runs / 2];
        if (sides[i].ctx) {
            wg_get_stats(sides[i].ctx, &sides[i].after);
        }
    }
    free(samples);
    return ok;
}
