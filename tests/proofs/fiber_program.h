/*
 * Kernel texts compiled for the host: the CUDA text as it is, under fiber_cuda.h, made a shared library with ThreadSanitizer's
 * instrumentation.
 */
#ifndef PROOFS_FIBER_PROGRAM_H
#define PROOFS_FIBER_PROGRAM_H

#include "fibers.h"
#include "kernels.h"

/* Compiles all kernels into two libraries in `folder`, side by side, and loads them. False, and why on stderr, if something
 * fails. */
bool fiber_program_make(const kernel_text *kernels, size_t n, const char *folder);
/* Loads those made before. */
bool fiber_program_load(const char *folder);
/* NULL if there is no such kernel. */
fiber_kernel fiber_program_find(const char *name);

#endif
