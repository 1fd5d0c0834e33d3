/*
 * The fuzzer's question: does a program give the same bits scheduled as op by op?
 */
#ifndef FUZZ_COMPARE_H
#define FUZZ_COMPARE_H

#include "machine.h"

typedef enum fuzz_mode { FUZZ_SCHEDULED, FUZZ_EAGER, FUZZ_UNFUSED } fuzz_mode;

/* Runs the program in fresh contexts on a device and compares with eager execution; NULL device as wg_open. With
 * `unfused`, WENGERT_FUSE=0 is compared too. False, with what differs in `why` (unless NULL), if anything does. */
bool fuzz_same(const fuzz_program *p, const char *device, bool unfused, char why[400]);

/* Removes instructions for as long as the program still differs. Each candidate runs in a child process if `fork`, so
 * that one which crashes counts as differing. */
void fuzz_shrink(fuzz_program *p, const char *device, bool unfused, bool forks);

/* How many instructions were run, and how many the library refused, so far. */
typedef struct fuzz_counts {
    uint64_t instructions, values, refused;
} fuzz_counts;
extern fuzz_counts fuzz_counted;

#endif
