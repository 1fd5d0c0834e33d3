/* dlopen of OpenBLAS. */
#include "blas.h"

#include <dlfcn.h>
#include <stddef.h>
#include <unistd.h>

enum { ROW_MAJOR = 101, NO_TRANSPOSE = 111 };

static struct {
    void (*sgemm)(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float *a,
                  int lda, const float *b, int ldb, float beta, float *c, int ldc);
    void (*set_num_threads)(int n);
    int threads;
} blas;

bool blas_load(void) {
    if (blas.threads > 0) {
        return true;
    }
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        return false;
    }
    *(void **)&blas.sgemm = dlsym(library, "cblas_sgemm");
    *(void **)&blas.set_num_threads = dlsym(library, "openblas_set_num_threads");
    if (!blas.sgemm || !blas.set_num_threads) {
        return false;
    }
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    blas.threads = cores > 0 ? (int)cores : 1;
    blas.set_num_threads(blas.threads);
    return true;
}

int blas_threads(void) { return blas.threads; }

void blas_matmul(float *c, const float *a, const float *b, int n) {
    blas.sgemm(ROW_MAJOR, NO_TRANSPOSE, NO_TRANSPOSE, n, n, n, 1, a, n, b, n, 0, c, n);
}
