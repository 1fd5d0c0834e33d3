/*
 * Timing. Sides are measured in turns (A B A B), so that a ratio between them is one of the same minutes.
 */
#ifndef WENGERT_BENCH_MEASURE_H
#define WENGERT_BENCH_MEASURE_H

#include <wengert/wengert.h>

/* Seconds of the monotonic clock. */
double now(void);

/* Sleeps. */
void rest(double seconds);

/* Something that is run again and again, and how long it took. */
typedef struct side {
    void (*run)(void *user); /* what is timed */
    void *user;
    wg_ctx *ctx;        /* whose counters are taken and which is asked for errors; NULL for what is not Wengert */
    bool host_time;     /* waiting for the device is not timed */
    double rest;        /* seconds to sleep before its turn: a peer's threads may still spin */
    double min, median; /* seconds a run; 0 when nothing was measured */
    size_t runs;
    wg_stats before, after; /* counters of ctx around the measured runs */
} side;

/*
 * Warms each side up, ours until it builds no more plans and kernels, then measures them in turns for about `budget`
 * seconds altogether; each side runs at least a few times, whatever that takes. False if a context has an error.
 */
bool measure(side *sides, size_t n, double budget);

#endif
