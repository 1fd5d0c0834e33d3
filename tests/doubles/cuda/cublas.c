/*
 * cuBLAS: handles and matrix products. A product is work of the handle's stream, a kernel node in a capture. Its sums are
 * those of the library's own kernels, sum = fma(a, b, sum) with k ascending, so that results can be compared to the bit:
 * the real cuBLAS promises no order. Matrices are column-major, as in Fortran.
 */
#include "double.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct blas {
    cd_context *ctx;
    CUstream stream;
    CUdeviceptr workspace;
    size_t workspace_bytes;
    cublasMath_t mode;
    cd_workspaces workspaces;
} blas;

cublasStatus_t cublasCreate(cublasHandle_t *out) {
    CD_ENTER(CD_NEEDS_CONTEXT | CD_UNSAFE);
    blas *b = cd_alloc_or_die(sizeof *b);
    b->ctx = cd_current();
    *out = cd_handle_new(CD_CUBLAS, b);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle) {
    CD_ENTER(CD_NEEDS_CONTEXT | CD_UNSAFE | CD_RELEASES);
    blas *b = cd_handle_get(CD_CUBLAS, handle);
    if (!b) {
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }
    cd_drain_context(b->ctx);
    cd_handle_end(CD_CUBLAS, handle);
    free(b);
    return CD_LATE;
}

cublasStatus_t cublasGetVersion(cublasHandle_t handle, int *version) {
    CD_ENTER(CD_NEEDS_NOTHING);
    (void)handle;
    *version = atoi(cd_setting("WENGERT_DOUBLE_CUBLAS", "130000"));
    return CUBLAS_STATUS_SUCCESS;
}

/* Takes the workspace away, as the real one does. */
cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    blas *b = cd_handle_get(CD_CUBLAS, handle);
    if (!b || !cd_stream_get((CUstream)stream)) {
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }
    b->stream = (CUstream)stream;
    b->workspace = 0;
    b->workspace_bytes = 0;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void *workspace, size_t bytes) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    blas *b = cd_handle_get(CD_CUBLAS, handle);
    CUdeviceptr at = (CUdeviceptr)(uintptr_t)workspace;
    if (!b || (bytes > 0 && (at % 256 != 0 || !cd_may_use(b->ctx, at, bytes)))) {
        return cd_refuse(b ? CUBLAS_STATUS_INVALID_VALUE : CUBLAS_STATUS_NOT_INITIALIZED, "no handle or workspace");
    }
    b->workspace = at;
    b->workspace_bytes = bytes;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    blas *b = cd_handle_get(CD_CUBLAS, handle);
    if (!b) {
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }
    b->mode = mode;
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- calls --------------------------------------------------------------------------------------------------------------- */

static size_t size_of(cudaDataType_t type) {
    return type == CUDA_R_64F ? 8 : type == CUDA_R_32F ? 4 : type == CUDA_R_16F || type == CUDA_R_16BF ? 2 : 0;
}

size_t cd_extent(int64_t rows, int64_t columns, int64_t ld, int64_t stride, int batch, cudaDataType_t type) {
    if (rows == 0 || columns == 0) {
        return 0;
    }
    return (size_t)((batch - 1) * stride + (columns - 1) * ld + rows) * size_of(type);
}

static bool supported(const cd_product *p, cublasComputeType_t compute) {
    if (compute == CUBLAS_COMPUTE_64F || compute == CUBLAS_COMPUTE_64F_PEDANTIC) {
        return p->ta_type == CUDA_R_64F && p->tb_type == CUDA_R_64F && p->tc_type == CUDA_R_64F;
    }
    bool f32 = compute == CUBLAS_COMPUTE_32F || compute == CUBLAS_COMPUTE_32F_PEDANTIC ||
               compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    return f32 && p->ta_type == p->tb_type && p->ta_type != CUDA_R_64F && size_of(p->ta_type) > 0 &&
           (p->tc_type == p->ta_type || p->tc_type == CUDA_R_32F);
}

cublasStatus_t cd_product_check(const cd_context *ctx, const cd_product *p, cublasComputeType_t compute) {
    int rows_a = p->ta ? p->k : p->m, rows_b = p->tb ? p->n : p->k;
    if (p->m < 0 || p->n < 0 || p->k < 0 || p->batch < 0 || p->lda < rows_a || p->ldb < rows_b || p->ldc < p->m ||
        p->lda < 1 || p->ldb < 1 || p->ldc < 1) {
        return cd_refuse(CUBLAS_STATUS_INVALID_VALUE, "sizes or leading dimensions");
    }
    if (!supported(p, compute)) {
        return cd_refuse(CUBLAS_STATUS_NOT_SUPPORTED, "types");
    }
    size_t na = cd_extent(rows_a, p->ta ? p->m : p->k, p->lda, p->sa, p->batch, p->ta_type);
    size_t nb = cd_extent(rows_b, p->tb ? p->k : p->n, p->ldb, p->sb, p->batch, p->tb_type);
    size_t nc = cd_extent(p->m, p->n, p->ldc, p->sc, p->batch, p->tc_type);
    if ((na && !cd_may_use(ctx, p->a, na)) || (nb && !cd_may_use(ctx, p->b, nb)) ||
        (nc && !cd_may_use(ctx, p->c, nc))) {
        cd_fault("a matrix product of %dx%d by %dx%d, batch %d, leaves an allocation", p->m, p->k, p->k, p->n,
                 p->batch);
        return CUBLAS_STATUS_EXECUTION_FAILED;
    }
    return CUBLAS_STATUS_SUCCESS;
}

/* They disturb each other, unless the streams wait for each other, which nobody should have to see to. */
void cd_workspace_check(cd_workspaces *w, CUdeviceptr at, size_t bytes, CUstream stream) {
    for (int i = 0; i < w->n; i++) {
        if (w->used[i].at == at) {
            if (w->used[i].stream != stream) {
                cd_fault("cuBLAS was given one workspace for two streams");
            }
            return;
        }
    }
    if (bytes > 0 && w->n < (int)(sizeof w->used / sizeof *w->used)) {
        w->used[w->n].at = at;
        w->used[w->n++].stream = stream;
    }
}

static cublasStatus_t multiply(cublasHandle_t handle, cd_product *p, cublasComputeType_t compute, const void *alpha,
                               const void *beta) {
    blas *b = cd_handle_get(CD_CUBLAS, handle);
    cd_stream *s = b ? cd_stream_get(b->stream) : NULL;
    if (!s) {
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }
    cd_workspace_check(&b->workspaces, b->workspace, b->workspace_bytes, b->stream);
    bool f64 = compute == CUBLAS_COMPUTE_64F || compute == CUBLAS_COMPUTE_64F_PEDANTIC;
    p->alpha = f64 ? *(const double *)alpha : *(const float *)alpha;
    p->beta = f64 ? *(const double *)beta : *(const float *)beta;
    p->workspace = b->workspace;
    p->workspace_bytes = b->workspace_bytes;
    cublasStatus_t status = cd_product_check(b->ctx, p, compute);
    if (status || p->m == 0 || p->n == 0 || p->batch == 0) {
        return status;
    }
    if (s->capture && b->workspace_bytes == 0) {
        cd_fault("cuBLAS was captured without a workspace of the caller's: its own would not outlive the capture");
    }
    return cd_push(s, &(cd_work){.what = CD_PRODUCT, .product = *p}) ? CUBLAS_STATUS_EXECUTION_FAILED
                                                                     : CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m,
                                          int n, int k, const void *alpha, const void *a, cudaDataType a_type, int lda,
                                          long long int sa, const void *b, cudaDataType b_type, int ldb,
                                          long long int sb, const void *beta, void *c, cudaDataType c_type, int ldc,
                                          long long int sc, int batch, cublasComputeType_t compute,
                                          cublasGemmAlgo_t algo) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    (void)algo;
    cd_product p = {.ta = ta != CUBLAS_OP_N, .tb = tb != CUBLAS_OP_N, .m = m, .n = n, .k = k, .batch = batch};
    p.lda = lda;
    p.ldb = ldb;
    p.ldc = ldc;
    p.sa = sa;
    p.sb = sb;
    p.sc = sc;
    p.a = (CUdeviceptr)(uintptr_t)a;
    p.b = (CUdeviceptr)(uintptr_t)b;
    p.c = (CUdeviceptr)(uintptr_t)c;
    p.ta_type = a_type;
    p.tb_type = b_type;
    p.tc_type = c_type;
    return multiply(handle, &p, compute, alpha, beta);
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k,
                            const void *alpha, const void *a, cudaDataType a_type, int lda, const void *b,
                            cudaDataType b_type, int ldb, const void *beta, void *c, cudaDataType c_type, int ldc,
                            cublasComputeType_t compute, cublasGemmAlgo_t algo) {
    return cublasGemmStridedBatchedEx(handle, ta, tb, m, n, k, alpha, a, a_type, lda, 0, b, b_type, ldb, 0, beta, c,
                                      c_type, ldc, 0, 1, compute, algo);
}
