/*
 * Kernel texts compiled for the host: the CUDA text as it is, under fiber_cuda.h, made a shared library with ThreadSanitizer's
 * instrumentation.
 */
#ifndef PROOFS_FIBER_PROGRAM_H
#define PROOFS_FIBER_PROGRAM_H

#include "fibers.h"
#include "kernels.h"

/* Compiles all kernels into files in `folder` and loads them. With drop >= 0 that barrier, counted through the whole text, is
 * left out. False, and why on stderr, if something fails; *barriers is how many there are. */
bool fiber_program_load(const kernel_text *kernels, size_t n, const char *folder, int drop, int *barriers);
/* NULL if there is no such kernel. */
fiber_kernel fiber_program_find(const char *name);

#endif
