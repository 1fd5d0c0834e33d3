/* label: unit */
/*
 * cuda/api.h against the toolkit's headers, line by line, where there are headers: a function whose arguments differ from
 * what NVIDIA declares, or an enumerator with another value, does not compile. The struct tags are NVIDIA's, and an enum is
 * the integer that a C compiler makes of it, so the types must be the same ones.
 */
#include "cuda/loader.h"

#include <criterion/criterion.h>

#ifdef WG_HAVE_CUDA_HEADERS
#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda.h>
#include <nvrtc.h>

/* What cublas_v2.h and cuda.h call by a name without its version is declared under the full one. */
#define SAME(name, arguments)                                                                                          \
    _Static_assert(__builtin_types_compatible_p(__typeof__(&name), unsigned(*) arguments), #name);
WG_CU_FUNCTIONS(SAME)
WG_RTC_FUNCTIONS(SAME)
WG_BLAS_FUNCTIONS(SAME)

/* NVIDIA's structs of cuBLASLt have no tags: ours take their places in the table, and are compared member by member. */
#define wg_lt_operation cublasLtMatmulDesc_t
#define wg_lt_layout cublasLtMatrixLayout_t
#define wg_lt_preference cublasLtMatmulPreference_t
#define wg_lt_algorithm cublasLtMatmulAlgo_t
#define wg_lt_found cublasLtMatmulHeuristicResult_t
WG_LT_FUNCTIONS(SAME)
#undef wg_lt_operation
#undef wg_lt_layout
#undef wg_lt_preference
#undef wg_lt_algorithm
#undef wg_lt_found
#define SAME_PLACE(ours, theirs)                                                                                       \
    _Static_assert(offsetof(wg_lt_found, ours) == offsetof(cublasLtMatmulHeuristicResult_t, theirs), #ours);
SAME_PLACE(algorithm, algo)
SAME_PLACE(workspace, workspaceSize)
SAME_PLACE(state, state)
SAME_PLACE(waves, wavesCount)
_Static_assert(sizeof(wg_lt_found) == sizeof(cublasLtMatmulHeuristicResult_t), "what is found");
_Static_assert(sizeof(wg_lt_algorithm) == sizeof(cublasLtMatmulAlgo_t), "an algorithm");

#define EQUAL(ours, theirs) _Static_assert((int)(ours) == (int)(theirs), #ours);
EQUAL(WG_CU_SUCCESS, CUDA_SUCCESS)
EQUAL(WG_CU_OUT_OF_MEMORY, CUDA_ERROR_OUT_OF_MEMORY)
EQUAL(WG_CU_DEINITIALIZED, CUDA_ERROR_DEINITIALIZED)
EQUAL(WG_CU_STUB_LIBRARY, CUDA_ERROR_STUB_LIBRARY)
EQUAL(WG_CU_NO_DEVICE, CUDA_ERROR_NO_DEVICE)
EQUAL(WG_CU_INVALID_IMAGE, CUDA_ERROR_INVALID_IMAGE)
EQUAL(WG_CU_NO_BINARY_FOR_GPU, CUDA_ERROR_NO_BINARY_FOR_GPU)
EQUAL(WG_CU_ECC_UNCORRECTABLE, CUDA_ERROR_ECC_UNCORRECTABLE)
EQUAL(WG_CU_NVLINK_UNCORRECTABLE, CUDA_ERROR_NVLINK_UNCORRECTABLE)
EQUAL(WG_CU_UNSUPPORTED_PTX_VERSION, CUDA_ERROR_UNSUPPORTED_PTX_VERSION)
EQUAL(WG_CU_CONTAINED, 226) /* newer than 12.0 */
EQUAL(WG_CU_ILLEGAL_ADDRESS, CUDA_ERROR_ILLEGAL_ADDRESS)
EQUAL(WG_CU_LAUNCH_TIMEOUT, CUDA_ERROR_LAUNCH_TIMEOUT)
EQUAL(WG_CU_CONTEXT_IS_DESTROYED, CUDA_ERROR_CONTEXT_IS_DESTROYED)
EQUAL(WG_CU_ASSERT, CUDA_ERROR_ASSERT)
EQUAL(WG_CU_HARDWARE_STACK_ERROR, CUDA_ERROR_HARDWARE_STACK_ERROR)
EQUAL(WG_CU_LAUNCH_FAILED, CUDA_ERROR_LAUNCH_FAILED)
EQUAL(WG_CU_EXTERNAL_DEVICE, CUDA_ERROR_EXTERNAL_DEVICE)
EQUAL(WG_CU_UNKNOWN, CUDA_ERROR_UNKNOWN)
EQUAL(WG_CU_MAX_GRID_DIM_X, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X)
EQUAL(WG_CU_MAX_GRID_DIM_X + 2, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z)
EQUAL(WG_CU_MAX_SHARED_MEMORY_PER_BLOCK, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK)
EQUAL(WG_CU_MULTIPROCESSOR_COUNT, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)
EQUAL(WG_CU_L2_CACHE_SIZE, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)
EQUAL(WG_CU_COMPUTE_CAPABILITY_MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
EQUAL(WG_CU_COMPUTE_CAPABILITY_MINOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)
EQUAL(WG_CU_MEMORY_POOLS_SUPPORTED, CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED)
EQUAL(WG_CU_STREAM_NON_BLOCKING, CU_STREAM_NON_BLOCKING)
EQUAL(WG_CU_EVENT_DISABLE_TIMING, CU_EVENT_DISABLE_TIMING)
EQUAL(WG_CU_CAPTURE_THREAD_LOCAL, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
EQUAL(WG_CU_FUNC_MAX_THREADS_PER_BLOCK, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK)
EQUAL(WG_BLAS_OP_N, CUBLAS_OP_N)
EQUAL(WG_BLAS_OP_T, CUBLAS_OP_T)
EQUAL(WG_BLAS_R_32F, CUDA_R_32F)
EQUAL(WG_BLAS_R_64F, CUDA_R_64F)
EQUAL(WG_BLAS_R_16F, CUDA_R_16F)
EQUAL(WG_BLAS_R_16BF, CUDA_R_16BF)
EQUAL(WG_BLAS_COMPUTE_32F, CUBLAS_COMPUTE_32F)
EQUAL(WG_BLAS_COMPUTE_64F, CUBLAS_COMPUTE_64F)
EQUAL(WG_BLAS_COMPUTE_32F_FAST_TF32, CUBLAS_COMPUTE_32F_FAST_TF32)
EQUAL(WG_BLAS_GEMM_DEFAULT, CUBLAS_GEMM_DEFAULT)
EQUAL(WG_LT_LAYOUT_BATCH_COUNT, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT)
EQUAL(WG_LT_LAYOUT_BATCH_STRIDE, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET)
EQUAL(WG_LT_TRANSPOSE_A, CUBLASLT_MATMUL_DESC_TRANSA)
EQUAL(WG_LT_TRANSPOSE_B, CUBLASLT_MATMUL_DESC_TRANSB)
EQUAL(WG_LT_EPILOGUE, CUBLASLT_MATMUL_DESC_EPILOGUE)
EQUAL(WG_LT_BIAS_POINTER, CUBLASLT_MATMUL_DESC_BIAS_POINTER)
EQUAL(WG_LT_AUX_POINTER, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER)
EQUAL(WG_LT_AUX_LD, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD)
EQUAL(WG_LT_AUX_BATCH_STRIDE, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE)
EQUAL(WG_LT_MOST_WORKSPACE, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES)
EQUAL(WG_LT_REDUCTION_SCHEMES, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK)
EQUAL(WG_LT_ALIGNMENT_A, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES)
EQUAL(WG_LT_ALIGNMENT_A + 3, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES)
EQUAL(WG_LT_REDUCTION_IN_COMPUTE_TYPE, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE)
EQUAL(WG_LT_REDUCTION_ANY, CUBLASLT_REDUCTION_SCHEME_MASK)
EQUAL(WG_LT_EPILOGUE_DEFAULT, CUBLASLT_EPILOGUE_DEFAULT)
EQUAL(WG_LT_EPILOGUE_RELU, CUBLASLT_EPILOGUE_RELU)
EQUAL(WG_LT_EPILOGUE_BIAS, CUBLASLT_EPILOGUE_BIAS)
EQUAL(WG_LT_EPILOGUE_RELU | WG_LT_EPILOGUE_BIAS, CUBLASLT_EPILOGUE_RELU_BIAS)
EQUAL(WG_LT_EPILOGUE_GELU, CUBLASLT_EPILOGUE_GELU)
EQUAL(WG_LT_EPILOGUE_GELU_GRAD, CUBLASLT_EPILOGUE_DGELU)
EQUAL(WG_LT_EPILOGUE_GELU | WG_LT_EPILOGUE_BIAS, CUBLASLT_EPILOGUE_GELU_BIAS)
EQUAL(WG_LT_EPILOGUE_GELU | WG_LT_EPILOGUE_AUX, CUBLASLT_EPILOGUE_GELU_AUX)
EQUAL(WG_LT_EPILOGUE_GELU | WG_LT_EPILOGUE_AUX | WG_LT_EPILOGUE_BIAS, CUBLASLT_EPILOGUE_GELU_AUX_BIAS)
_Static_assert(sizeof(CUgraphExecUpdateResultInfo) <= WG_CU_UPDATE_INFO_BYTES, "what an update reports finds room");

Test(cuda_api, is_what_the_toolkit_declares) {
    cr_log_info("compared with the headers of CUDA %d.%d", CUDA_VERSION / 1000, CUDA_VERSION % 1000 / 10);
    cr_expect_geq(CUDA_VERSION, WG_CU_OLDEST);
}
#else
/* No toolkit, nothing to compare with: the table alone. */
Test(cuda_api, has_no_toolkit_to_be_compared_with) {
    cr_log_info("no toolkit on this machine: cuda/api.h was not compared with NVIDIA's headers");
    cr_expect_eq(WG_CU_OLDEST, 12000);
}
#endif

Test(cuda_api, tables_are_nothing_but_pointers) {
    cr_expect_eq(sizeof(wg_cu_api), wg_cu_count * sizeof(void *));
    cr_expect_eq(sizeof(wg_rtc_api), wg_rtc_count * sizeof(void *));
    cr_expect_eq(sizeof(wg_blas_api), wg_blas_count * sizeof(void *));
    cr_expect_eq(sizeof(wg_lt_api), wg_lt_count * sizeof(void *));
}
