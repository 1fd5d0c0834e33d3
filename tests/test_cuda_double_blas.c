/* label: cuda-double
 *
 * The CUDA double's cuBLAS: products to the bit, in stream order, in captures.
 */
#include "cuda_double.h"

#include <math.h>

enum { M = 5, N = 4, K = 37, BATCH = 3 };

TestSuite(blas, .init = cu_open);

/* Element (i, j) of a column-major matrix that may be transposed. */
static float at(const float *m, bool transposed, int ld, int i, int j) {
    return transposed ? m[i * ld + j] : m[j * ld + i];
}

static void fill(float *x, int n, unsigned seed) {
    for (int i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(int)seed / 1e9f;
    }
}

Test(blas, products_are_chains_of_fma_in_order) {
    static float a[BATCH * M * K], b[BATCH * K * N], c[BATCH * M * N];
    float one = 1, zero = 0;
    fill(a, BATCH * M * K, 1);
    fill(b, BATCH * K * N, 2);
    CUdeviceptr pa = cu_memory(a, BATCH * M * K), pb = cu_memory(b, BATCH * K * N), pc = cu_memory(NULL, BATCH * M * N);
    CUstream s = cu_stream();
    cublasHandle_t h;
    DOES(cu.cublasCreate(&h));
    DOES(cu.cublasSetStream(h, (cudaStream_t)s));
    for (int form = 0; form < 4; form++) {
        bool ta = form & 1, tb = form & 2;
        int lda = ta ? K : M, ldb = tb ? N : K;
        DOES(cu.cublasGemmStridedBatchedEx(h, ta ? CUBLAS_OP_T : CUBLAS_OP_N, tb ? CUBLAS_OP_T : CUBLAS_OP_N, M, N, K,
                                           &one, (void *)(uintptr_t)pa, CUDA_R_32F, lda, M * K, (void *)(uintptr_t)pb,
                                           CUDA_R_32F, ldb, K * N, &zero, (void *)(uintptr_t)pc, CUDA_R_32F, M, M * N,
                                           BATCH, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
        DOES(cu.cuStreamSynchronize(s));
        DOES(cu.cuMemcpyDtoH(c, pc, sizeof c));
        for (int z = 0; z < BATCH; z++) {
            for (int e = 0; e < M * N; e++) {
                int i = e % M, j = e / M;
                float sum = 0;
                for (int k = 0; k < K; k++) {
                    sum = fmaf(at(a + z * M * K, ta, lda, i, k), at(b + z * K * N, tb, ldb, k, j), sum);
                }
                cr_assert_eq(c[z * M * N + e], sum, "form %d, %d: %a, not %a", form, e, (double)c[z * M * N + e],
                             (double)sum);
            }
        }
    }
    DOES(cu.cublasDestroy(h));
    DOES(cu.cuStreamDestroy(s));
    DOES(cu.cuMemFree(pa));
    DOES(cu.cuMemFree(pb));
    DOES(cu.cuMemFree(pc));
    cu_close();
}

/* 2 x 2 matrices of small numbers, which every type holds; with alpha 2 and beta 1. */
static void narrow(cudaDataType_t type, cublasComputeType_t compute, const void *a, const void *c, size_t bytes,
                   const void *expected) {
    CUdeviceptr pa, pc;
    unsigned char got[32];
    float f[2] = {2, 1};
    double d[2] = {2, 1};
    bool f64 = type == CUDA_R_64F;
    cublasHandle_t h;
    DOES(cu.cuMemAlloc(&pa, bytes));
    DOES(cu.cuMemAlloc(&pc, bytes));
    DOES(cu.cuMemcpyHtoD(pa, a, bytes));
    DOES(cu.cuMemcpyHtoD(pc, c, bytes));
    DOES(cu.cublasCreate(&h));
    DOES(cu.cublasGemmEx(h, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, f64 ? (void *)d : (void *)f, (void *)(uintptr_t)pa, type,
                         2, (void *)(uintptr_t)pa, type, 2, f64 ? (void *)(d + 1) : (void *)(f + 1),
                         (void *)(uintptr_t)pc, type, 2, compute, CUBLAS_GEMM_DEFAULT));
    DOES(cu.cuMemcpyDtoH(got, pc, bytes));
    cr_expect_eq(memcmp(got, expected, bytes), 0, "type %d", (int)type);
    DOES(cu.cublasDestroy(h));
    DOES(cu.cuMemFree(pa));
    DOES(cu.cuMemFree(pc));
}

/* [1 3; 2 4] squared is [7 15; 10 22]; twice that and ones: 15 31; 21 45. */
Test(blas, other_types) {
    narrow(CUDA_R_64F, CUBLAS_COMPUTE_64F, (double[]){1, 2, 3, 4}, (double[]){1, 1, 1, 1}, 32,
           (double[]){15, 21, 31, 45});
    narrow(CUDA_R_16F, CUBLAS_COMPUTE_32F, (uint16_t[]){0x3c00, 0x4000, 0x4200, 0x4400},
           (uint16_t[]){0x3c00, 0x3c00, 0x3c00, 0x3c00}, 8, (uint16_t[]){0x4b80, 0x4d40, 0x4fc0, 0x51a0});
    narrow(CUDA_R_16BF, CUBLAS_COMPUTE_32F, (uint16_t[]){0x3f80, 0x4000, 0x4040, 0x4080},
           (uint16_t[]){0x3f80, 0x3f80, 0x3f80, 0x3f80}, 8, (uint16_t[]){0x4170, 0x41a8, 0x41f8, 0x4234});
    cu_close();
}

static cublasStatus_t square(cublasHandle_t h, CUdeviceptr p, int n, int ld) {
    float one = 1, zero = 0;
    void *m = (void *)(uintptr_t)p;
    return cu.cublasGemmEx(h, CUBLAS_OP_N, CUBLAS_OP_N, n, n, n, &one, m, CUDA_R_32F, ld, m, CUDA_R_32F, ld, &zero, m,
                           CUDA_R_32F, ld, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
}

Test(blas, refuses_what_cannot_be) {
    cublasHandle_t h;
    CUdeviceptr p = cu_memory(NULL, 16);
    DOES(cu.cublasCreate(&h));
    FAILS_WITH(square(h, p, 4, 3), CUBLAS_STATUS_INVALID_VALUE);
    FAILS_WITH(cu.cublasSetWorkspace(h, (void *)(uintptr_t)p, 65), CUBLAS_STATUS_INVALID_VALUE);
    FAILS_WITH(square(h, p, 5, 5), CUBLAS_STATUS_EXECUTION_FAILED);
    expect_fault("leaves an allocation");
    cu_forget();
}

Test(blas, a_capture_needs_a_workspace_and_a_new_stream_takes_it_away) {
    cublasHandle_t h;
    float eye[] = {2, 0, 0, 2};
    CUdeviceptr p = cu_memory(eye, 4), w = cu_memory(NULL, 1024);
    CUstream s = cu_stream();
    CUgraph g;
    CUgraphExec exec;
    DOES(cu.cublasCreate(&h));
    DOES(cu.cublasSetStream(h, (cudaStream_t)s));
    DOES(cu.cublasSetWorkspace(h, (void *)(uintptr_t)w, 4096));
    DOES(cu.cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    DOES(square(h, p, 2, 2));
    DOES(square(h, p, 2, 2));
    DOES(cu.cuStreamEndCapture(s, &g));
    DOES(cu.cuGraphInstantiate(&exec, g, 0));
    DOES(cu.cuGraphDestroy(g));
    cr_expect_eq(cu_value(p), 2);
    DOES(cu.cuGraphLaunch(exec, s));
    DOES(cu.cuStreamSynchronize(s));
    cr_expect_eq(cu_value(p), 16);
    DOES(cu.cuGraphExecDestroy(exec));
    DOES(cu.cublasSetStream(h, (cudaStream_t)s));
    DOES(cu.cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    square(h, p, 2, 2);
    expect_fault("without a workspace");
    cu_forget();
}

Test(blas, the_workspace_must_live) {
    cublasHandle_t h;
    float eye[] = {2, 0, 0, 2};
    CUdeviceptr p = cu_memory(eye, 4), w = cu_memory(NULL, 1024);
    DOES(cu.cublasCreate(&h));
    DOES(cu.cublasSetWorkspace(h, (void *)(uintptr_t)w, 4096));
    DOES(cu.cuMemFree(w));
    square(h, p, 2, 2);
    FAILS_WITH(cu.cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
    expect_fault("its workspace: byte 0 of freed allocation");
    cu_forget();
}

Test(blas, a_workspace_is_for_one_stream) {
    cublasHandle_t h;
    float eye[] = {2, 0, 0, 2};
    CUdeviceptr p = cu_memory(eye, 4), w = cu_memory(NULL, 1024);
    DOES(cu.cublasCreate(&h));
    for (int i = 0; i < 2; i++) {
        cr_expect_eq(cu.cuda_double_faults(NULL, 0), 0);
        DOES(cu.cublasSetStream(h, (cudaStream_t)cu_stream()));
        DOES(cu.cublasSetWorkspace(h, (void *)(uintptr_t)w, 4096));
        DOES(square(h, p, 2, 2));
    }
    expect_fault("one workspace for two streams");
    cu_forget();
}
