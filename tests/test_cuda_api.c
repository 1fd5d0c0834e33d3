/* label: unit */
/*
 * cuda/api.h against the toolkit's headers, line by line, where there are headers: a function whose arguments differ from
 * what NVIDIA declares, or an enumerator with another value, does not compile. The struct tags are NVIDIA's, and an enum is
 * the integer that a C compiler makes of it, so the types must be the same ones.
 */
#include "cuda/loader.h"

#include <criterion/criterion.h>

#ifdef WG_HAVE_CUDA_HEADERS
#include <cublas_v2.h>
#include <cuda.h>
#include <nvrtc.h>

/* What cublas_v2.h and cuda.h call by a name without its version is declared under the full one. */
#define SAME(name, arguments)                                                                                          \
    _Static_assert(__builtin_types_compatible_p(__typeof__(&name), unsigned(*) arguments), #name);
WG_CU_FUNCTIONS(SAME)
WG_RTC_FUNCTIONS(SAME)
WG_BLAS_FUNCTIONS(SAME)

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
}
