/*
 * All kernels for all architectures, by a few processes side by side.
 */
#ifndef PROOFS_COMPILE_H
#define PROOFS_COMPILE_H

#include "cubin.h"
#include "kernels.h"

enum { ARCHS = 13 };
extern const char *const archs[ARCHS];

/* What became of a kernel on an architecture. */
typedef struct outcome {
    bool compiled; /* and its CUBIN was read: facts hold */
    bool refused;  /* or it gave a warning */
    cubin_facts facts;
} outcome;

typedef struct compile_plan {
    /* For each architecture: one in how many kernels is compiled for it, 1: all, 0: none; and which of so many. */
    int every[ARCHS], turn[ARCHS];
    int processes;
} compile_plan;

/* outcome[kernel * ARCHS + arch], of kernels not compiled all zero. What NVRTC says goes to stderr under the kernel's name.
 * False if a process failed or NVRTC is missing. */
bool compile_all(const kernel_text *kernels, size_t n, const compile_plan *plan, outcome **out);

#endif
