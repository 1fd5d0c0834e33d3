/* The clock that everything is timed with. */
#ifndef WG_BASE_CLOCK_H
#define WG_BASE_CLOCK_H

#include <time.h>

/* Seconds of CLOCK_MONOTONIC. */
static inline double wg_clock(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
