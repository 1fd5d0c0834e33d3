/*
 * Fuzzing as a test: see fuzz/.
 */
#ifndef HARNESS_FUZZING_H
#define HARNESS_FUZZING_H

#include "fuzz/session.h"

/* Runs `count` graphs from a seed on; fails the test with the graph that differs, made small. NULL is the best device, or
 * the one that $WENGERT_DEVICE says. */
void fuzz_check(const char *device, fuzz_profile profile, uint64_t seed, uint64_t count);
/* Replays the corpus; returns how many programs it has. */
int fuzz_check_corpus(const char *device);

#endif
