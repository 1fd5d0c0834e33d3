/*
 * The loops that show what a core can do: copy, read, multiply and add.
 */
#ifndef WENGERT_BENCH_LOOPS_H
#define WENGERT_BENCH_LOOPS_H

#include <stddef.h>

/* Stores that bypass the caches, where the core has them. dst and src are 64-byte aligned, n a multiple of 16. */
void loop_copy_stream(float *dst, const float *src, size_t n);
/* Reads n floats, a multiple of 64, 64-byte aligned; the result keeps the compiler from leaving that out. */
float loop_read(const float *src, size_t n);
/* Fused multiply-adds of independent chains, `steps` each; returns the floating-point operations in *flops. */
float loop_fma(long steps, double *flops);

#endif
