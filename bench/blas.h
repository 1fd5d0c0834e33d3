/*
 * OpenBLAS, if it is installed: loaded at run time.
 */
#ifndef WENGERT_BENCH_BLAS_H
#define WENGERT_BENCH_BLAS_H

#include <stdbool.h>

/* False when there is none. It uses one thread for each core from here on. */
bool blas_load(void);
int blas_threads(void);
/* c = a b, all n x n, row-major. */
void blas_matmul(float *c, const float *a, const float *b, int n);

#endif
