/* label: cuda-double
 *
 * The CUDA double's cuBLASLt: epilogues against arithmetic done here, captures, and what it finds wrong: an algorithm for
 * another product, memory that lies worse than promised or is gone, results over operands, descriptors that live on.
 */
#include "cuda_double.h"

enum { M = 8, N = 3, K = 5, BYTES = 4096 };

TestSuite(lt, .init = cu_open);

/* D = epilogue(A B + beta C), column-major, with all that a test may want to be otherwise. */
typedef struct call {
    cublasLtHandle_t h;
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t a, b, d;
    cublasLtMatmulPreference_t wish;
    cublasLtMatmulHeuristicResult_t found;
    CUdeviceptr pa, pb, pc, pd, bias, aux, workspace;
    CUstream stream;
} call;

static float of_a[M * K], of_b[K * N], of_c[M * N], of_bias[M];

static void *pointer(CUdeviceptr at) { return (void *)(uintptr_t)at; }

static void set(const call *c, int attribute, const void *value, size_t bytes) {
    DOES(cu.cublasLtMatmulDescSetAttribute(c->operation, (cublasLtMatmulDescAttributes_t)attribute, value, bytes));
}

static cublasStatus_t ask(call *c) {
    int n = 0;
    cublasStatus_t status =
        cu.cublasLtMatmulAlgoGetHeuristic(c->h, c->operation, c->a, c->b, c->d, c->d, c->wish, 1, &c->found, &n);
    cr_assert_eq(n, status == CUBLAS_STATUS_SUCCESS);
    return status;
}

static cublasStatus_t multiply(const call *c, float beta, CUdeviceptr from) {
    float one = 1;
    return cu.cublasLtMatmul(c->h, c->operation, &one, pointer(c->pa), c->a, pointer(c->pb), c->b, &beta, pointer(from),
                             c->d, pointer(c->pd), c->d, &c->found.algo, pointer(c->workspace), BYTES,
                             (cudaStream_t)c->stream);
}

static call begin(uint32_t epilogue) {
    call c = {.stream = cu_stream()};
    const uint64_t most = BYTES;
    const int64_t ld = M;
    for (int i = 0; i < M * K; i++) {
        of_a[i] = (float)(i % 7 - 3) / 2;
    }
    for (int i = 0; i < K * N; i++) {
        of_b[i] = (float)(i % 5 - 2);
    }
    for (int i = 0; i < M * N; i++) {
        of_c[i] = (float)i;
    }
    for (int i = 0; i < M; i++) {
        of_bias[i] = (float)(i - 4) / 4;
    }
    c.pa = cu_memory(of_a, M * K);
    c.pb = cu_memory(of_b, K * N);
    c.pc = cu_memory(of_c, M * N);
    c.pd = cu_memory(NULL, M * N);
    c.bias = cu_memory(of_bias, M);
    c.aux = cu_memory(NULL, M * N);
    c.workspace = cu_memory(NULL, BYTES / sizeof(float));
    DOES(cu.cublasLtCreate(&c.h));
    DOES(cu.cublasLtMatmulDescCreate(&c.operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    DOES(cu.cublasLtMatrixLayoutCreate(&c.a, CUDA_R_32F, M, K, M));
    DOES(cu.cublasLtMatrixLayoutCreate(&c.b, CUDA_R_32F, K, N, K));
    DOES(cu.cublasLtMatrixLayoutCreate(&c.d, CUDA_R_32F, M, N, M));
    DOES(cu.cublasLtMatmulPreferenceCreate(&c.wish));
    DOES(cu.cublasLtMatmulPreferenceSetAttribute(c.wish, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most, sizeof most));
    set(&c, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
    set(&c, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &c.bias, sizeof c.bias);
    set(&c, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, &c.aux, sizeof c.aux);
    set(&c, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, &ld, sizeof ld);
    return c;
}

static void end(call *c) {
    const CUdeviceptr memory[] = {c->pa, c->pb, c->pc, c->pd, c->bias, c->aux, c->workspace};
    DOES(cu.cublasLtMatmulDescDestroy(c->operation));
    DOES(cu.cublasLtMatrixLayoutDestroy(c->a));
    DOES(cu.cublasLtMatrixLayoutDestroy(c->b));
    DOES(cu.cublasLtMatrixLayoutDestroy(c->d));
    DOES(cu.cublasLtMatmulPreferenceDestroy(c->wish));
    DOES(cu.cublasLtDestroy(c->h));
    DOES(cu.cuStreamDestroy(c->stream));
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++) {
        DOES(cu.cuMemFree(memory[i]));
    }
    cu_close();
}

/* What element i, j is before the activation. */
static double sum_at(int i, int j, bool bias, bool addend) {
    float sum = 0;
    for (int k = 0; k < K; k++) {
        sum = fmaf(of_a[k * M + i], of_b[j * K + k], sum);
    }
    sum += addend ? of_c[j * M + i] : 0;
    return (double)(sum + (bias ? of_bias[i] : 0));
}

static double gelu(double v) { return v / 2 * (1 + tanh(sqrt(2 / acos(-1)) * (v + 0.044715 * v * v * v))); }

static void check(const call *c, uint32_t epilogue, bool addend) {
    float got[M * N], before[M * N];
    bool aux = epilogue & 128;
    DOES(cu.cuStreamSynchronize(c->stream));
    DOES(cu.cuMemcpyDtoH(got, c->pd, sizeof got));
    DOES(cu.cuMemcpyDtoH(before, c->aux, sizeof before));
    for (int e = 0; e < M * N; e++) {
        double v = sum_at(e % M, e / M, epilogue & CUBLASLT_EPILOGUE_BIAS, addend);
        double want = epilogue & CUBLASLT_EPILOGUE_RELU ? fmax(v, 0) : epilogue & CUBLASLT_EPILOGUE_GELU ? gelu(v) : v;
        cr_assert_float_eq((double)got[e], want, 1e-6, "epilogue %u, element %d: %g, not %g", epilogue, e,
                           (double)got[e], want);
        cr_assert(!aux || (double)before[e] == v, "epilogue %u, input %d", epilogue, e);
    }
}

Test(lt, epilogues) {
    static const uint32_t known[] = {CUBLASLT_EPILOGUE_DEFAULT,  CUBLASLT_EPILOGUE_RELU,
                                     CUBLASLT_EPILOGUE_BIAS,     CUBLASLT_EPILOGUE_RELU_BIAS,
                                     CUBLASLT_EPILOGUE_GELU,     CUBLASLT_EPILOGUE_GELU_BIAS,
                                     CUBLASLT_EPILOGUE_GELU_AUX, CUBLASLT_EPILOGUE_GELU_AUX_BIAS};
    call c = begin(CUBLASLT_EPILOGUE_DEFAULT);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        set(&c, CUBLASLT_MATMUL_DESC_EPILOGUE, &known[i], sizeof known[i]);
        DOES(ask(&c));
        DOES(multiply(&c, 0, c.pd));
        check(&c, known[i], false);
        DOES(multiply(&c, 1, c.pc));
        check(&c, known[i], true);
    }
    /* In place: what is added lies where the result goes. */
    DOES(cu.cuMemcpyHtoD(c.pd, of_c, sizeof of_c));
    DOES(multiply(&c, 1, c.pd));
    check(&c, CUBLASLT_EPILOGUE_GELU_AUX_BIAS, true);
    end(&c);
}

/* The slope of gelu, by a difference. */
Test(lt, the_gradient_of_gelu) {
    call c = begin(CUBLASLT_EPILOGUE_DGELU);
    float got[M * N];
    DOES(cu.cuMemcpyHtoD(c.aux, of_c, sizeof of_c));
    DOES(ask(&c));
    DOES(multiply(&c, 0, c.pd));
    DOES(cu.cuStreamSynchronize(c.stream));
    DOES(cu.cuMemcpyDtoH(got, c.pd, sizeof got));
    for (int e = 0; e < M * N; e++) {
        double x = (double)of_c[e], slope = (gelu(x + 1e-5) - gelu(x - 1e-5)) / 2e-5;
        double want = sum_at(e % M, e / M, false, false) * slope;
        cr_assert_float_eq((double)got[e], want, 1e-5, "element %d: %g, not %g", e, (double)got[e], want);
    }
    end(&c);
}

Test(lt, a_relu_takes_nan_for_nothing) {
    call c = begin(CUBLASLT_EPILOGUE_RELU);
    float nan = NAN, first = 1;
    DOES(ask(&c));
    DOES(cu.cuMemcpyHtoD(c.pb, &nan, sizeof nan));
    DOES(multiply(&c, 0, c.pd));
    DOES(cu.cuStreamSynchronize(c.stream));
    DOES(cu.cuMemcpyDtoH(&first, c.pd, sizeof first));
    cr_expect_eq(first, 0, "%g", (double)first);
    end(&c);
}

Test(lt, a_capture_keeps_the_epilogue_it_saw) {
    call c = begin(CUBLASLT_EPILOGUE_RELU_BIAS);
    CUdeviceptr other = cu_memory(of_c, M);
    CUgraph g;
    CUgraphExec exec;
    DOES(ask(&c));
    DOES(cu.cuStreamBeginCapture(c.stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    DOES(multiply(&c, 0, c.pd));
    DOES(cu.cuStreamEndCapture(c.stream, &g));
    set(&c, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &other, sizeof other);
    DOES(cu.cuGraphInstantiate(&exec, g, 0));
    DOES(cu.cuGraphDestroy(g));
    DOES(cu.cuGraphLaunch(exec, c.stream));
    check(&c, CUBLASLT_EPILOGUE_RELU_BIAS, false);
    DOES(cu.cuGraphExecDestroy(exec));
    DOES(cu.cuMemFree(other));
    end(&c);
}

Test(lt, refuses_what_cannot_be) {
    static const uint32_t unknown[] = {0, 3, 8, 64, 136, 208};
    call c = begin(CUBLASLT_EPILOGUE_DEFAULT);
    const uint32_t aux = CUBLASLT_EPILOGUE_GELU_AUX, bias = CUBLASLT_EPILOGUE_BIAS;
    const int64_t short_rows = M - 1;
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        set(&c, CUBLASLT_MATMUL_DESC_EPILOGUE, &unknown[i], sizeof unknown[i]);
        FAILS_WITH(ask(&c), CUBLAS_STATUS_NOT_SUPPORTED);
    }
    FAILS_WITH(cu.cublasLtMatmulDescSetAttribute(c.operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &short_rows, 8),
               CUBLAS_STATUS_INVALID_VALUE);
    set(&c, CUBLASLT_MATMUL_DESC_EPILOGUE, &aux, sizeof aux);
    set(&c, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, &short_rows, sizeof short_rows);
    FAILS_WITH(ask(&c), CUBLAS_STATUS_INVALID_VALUE);
    set(&c, CUBLASLT_MATMUL_DESC_EPILOGUE, &bias, sizeof bias);
    DOES(ask(&c));
    cublasLtMatrixLayout_t right = c.b;
    DOES(cu.cublasLtMatrixLayoutCreate(&c.b, CUDA_R_32F, K + 1, N, K + 1));
    FAILS_WITH(ask(&c), CUBLAS_STATUS_INVALID_VALUE);
    DOES(cu.cublasLtMatrixLayoutDestroy(c.b));
    c.b = right;
    end(&c);
}

/* ---- faults ----------------------------------------------------------------------------------------------------------------- */

static void is_found(const call *c, const char *words) {
    cr_expect_neq(multiply(c, 0, c->pd), CUBLAS_STATUS_SUCCESS, "%s", words);
    expect_fault(words);
    cu_forget();
}

Test(lt, an_algorithm_is_for_one_product) {
    call c = begin(CUBLASLT_EPILOGUE_RELU);
    const uint32_t other = CUBLASLT_EPILOGUE_BIAS;
    DOES(ask(&c));
    set(&c, CUBLASLT_MATMUL_DESC_EPILOGUE, &other, sizeof other);
    is_found(&c, "an algorithm for another product");
}

Test(lt, memory_lies_as_was_told) {
    call c = begin(CUBLASLT_EPILOGUE_BIAS);
    DOES(ask(&c));
    c.bias = cu_memory(NULL, M + 1) + sizeof(float);
    set(&c, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &c.bias, sizeof c.bias);
    is_found(&c, "lies worse than it was told");
}

Test(lt, a_bias_is_as_long_as_a_column) {
    call c = begin(CUBLASLT_EPILOGUE_BIAS);
    DOES(ask(&c));
    c.bias = cu_memory(NULL, M - 1);
    set(&c, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &c.bias, sizeof c.bias);
    is_found(&c, "leaves an allocation");
}

Test(lt, results_lie_over_no_operand) {
    call c = begin(CUBLASLT_EPILOGUE_GELU_AUX);
    DOES(ask(&c));
    c.pd = c.aux;
    is_found(&c, "store over what it reads");
}

Test(lt, a_bias_must_live) {
    call c = begin(CUBLASLT_EPILOGUE_BIAS);
    DOES(ask(&c));
    CUgraph g;
    CUgraphExec exec;
    DOES(cu.cuStreamBeginCapture(c.stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    DOES(multiply(&c, 0, c.pd));
    DOES(cu.cuStreamEndCapture(c.stream, &g));
    DOES(cu.cuGraphInstantiate(&exec, g, 0));
    DOES(cu.cuMemFree(c.bias));
    DOES(cu.cuGraphLaunch(exec, c.stream));
    FAILS_WITH(cu.cuStreamSynchronize(c.stream), CUDA_ERROR_ILLEGAL_ADDRESS);
    expect_fault("the bias: byte 0 of freed allocation");
    cu_forget();
}

Test(lt, a_layout_that_was_destroyed) {
    call c = begin(CUBLASLT_EPILOGUE_BIAS);
    DOES(ask(&c));
    DOES(cu.cublasLtMatrixLayoutDestroy(c.d));
    is_found(&c, "a cuBLASLt layout was used after it was destroyed");
}

Test(lt, a_workspace_is_for_one_stream) {
    call c = begin(CUBLASLT_EPILOGUE_RELU);
    DOES(ask(&c));
    DOES(multiply(&c, 0, c.pd));
    c.stream = cu_stream();
    DOES(multiply(&c, 0, c.pd));
    expect_fault("one workspace for two streams");
    cu_forget();
}
