/*
 * A run of the fuzzer: graphs of consecutive seeds, in blocks that share their contexts, until the count or the time is
 * up or one differs.
 */
#ifndef FUZZ_SESSION_H
#define FUZZ_SESSION_H

#include "compare.h"
#include "generate.h"

typedef struct fuzz_session {
    const char *device;
    uint64_t seed, count; /* count 0: for the time alone */
    double seconds;       /* 0: for the count alone */
    unsigned patience;    /* seconds a block may take before SIGALRM; 0: as long as it likes */
    fuzz_profile profile;
    bool shrink;
    void (*progress)(const struct fuzz_session *s); /* before each block; NULL for none */

    uint64_t done, next_seed; /* graphs compared; the seed that is next, or that differs */
    double elapsed;
    char why[400];
    fuzz_program found; /* the graph that differs, made small */
} fuzz_session;

/* False if a graph differs; it is in `found`, for the caller to free. */
bool fuzz_session_run(fuzz_session *s);

#endif
