/*
 * Random programs: leaves, then a body of instructions in a scope, then copies of that body with other data, other scalars
 * and a few other instructions, so that remembered plans are met again, and almost met.
 *
 * Each instruction is tried on a device that computes nothing, so that the generator knows shapes and keeps what works.
 */
#ifndef FUZZ_GENERATE_H
#define FUZZ_GENERATE_H

#include "machine.h"

typedef enum fuzz_profile {
    FUZZ_WIDE, /* everything: for the interpreter */
    FUZZ_FEW   /* short programs of few different ops: where each new kernel has to be compiled */
} fuzz_profile;

/* Appends the program of a seed. Equal seeds give equal programs. */
void fuzz_generate(fuzz_program *p, uint64_t seed, fuzz_profile profile);

#endif
