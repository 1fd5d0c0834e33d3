/*
 * What we use of the CUDA driver, NVRTC, cuBLAS and cuBLASLt, declared by ourselves: the library is the same with and without a
 * toolkit on the machine that builds it. Struct tags are NVIDIA's; enums are the integer a C compiler makes of them, so
 * that tests/test_cuda_api.c can compare every line with the toolkit's headers.
 *
 * Symbols carry their version. The newest are of CUDA 12.0.
 */
#ifndef WG_CUDA_API_H
#define WG_CUDA_API_H

#include <stddef.h>
#include <stdint.h>

typedef unsigned wg_cu_result;
typedef int wg_cu_device;
typedef unsigned long long wg_cu_pointer;
typedef struct CUctx_st *wg_cu_context;
typedef struct CUstream_st *wg_cu_stream;
typedef struct CUevent_st *wg_cu_event;
typedef struct CUmod_st *wg_cu_module;
typedef struct CUfunc_st *wg_cu_function;
typedef struct CUgraph_st *wg_cu_graph;
typedef struct CUgraphExec_st *wg_cu_graph_exec;
typedef struct CUgraphNode_st *wg_cu_graph_node;
typedef struct CUgraphExecUpdateResultInfo_st wg_cu_update_info; /* only ever a pointer to one */

enum {
    WG_CU_SUCCESS = 0,
    WG_CU_OUT_OF_MEMORY = 2,
    WG_CU_DEINITIALIZED = 4,
    WG_CU_STUB_LIBRARY = 34,
    WG_CU_NO_DEVICE = 100,
    WG_CU_INVALID_IMAGE = 200,
    WG_CU_NO_BINARY_FOR_GPU = 209,
    WG_CU_ECC_UNCORRECTABLE = 214,
    WG_CU_NVLINK_UNCORRECTABLE = 220,
    WG_CU_UNSUPPORTED_PTX_VERSION = 222,
    WG_CU_CONTAINED = 226,
    WG_CU_ILLEGAL_ADDRESS = 700,
    WG_CU_LAUNCH_TIMEOUT = 702,
    WG_CU_CONTEXT_IS_DESTROYED = 709,
    WG_CU_ASSERT = 710,
    WG_CU_HARDWARE_STACK_ERROR = 714,
    WG_CU_LAUNCH_FAILED = 719,
    WG_CU_TENSOR_MEMORY_LEAK = 721,
    WG_CU_EXTERNAL_DEVICE = 911,
    WG_CU_UNKNOWN = 999
};

enum {
    WG_CU_MAX_GRID_DIM_X = 5, /* Y and Z follow */
    WG_CU_MAX_SHARED_MEMORY_PER_BLOCK = 8,
    WG_CU_MULTIPROCESSOR_COUNT = 16,
    WG_CU_L2_CACHE_SIZE = 38,
    WG_CU_COMPUTE_CAPABILITY_MAJOR = 75,
    WG_CU_COMPUTE_CAPABILITY_MINOR = 76,
    WG_CU_MEMORY_POOLS_SUPPORTED = 115
};

enum {
    WG_CU_STREAM_NON_BLOCKING = 1,
    WG_CU_EVENT_DISABLE_TIMING = 2,
    WG_CU_CAPTURE_THREAD_LOCAL = 1,
    WG_CU_FUNC_MAX_THREADS_PER_BLOCK = 0,
    WG_CU_UPDATE_INFO_BYTES = 32 /* room for a wg_cu_update_info */
};

#define WG_CU_FUNCTIONS(X)                                                                                             \
    X(cuInit, (unsigned))                                                                                              \
    X(cuDriverGetVersion, (int *))                                                                                     \
    X(cuGetErrorName, (wg_cu_result, const char **))                                                                   \
    X(cuDeviceGetCount, (int *))                                                                                       \
    X(cuDeviceGet, (wg_cu_device *, int))                                                                              \
    X(cuDeviceGetName, (char *, int, wg_cu_device))                                                                    \
    X(cuDeviceGetAttribute, (int *, unsigned, wg_cu_device))                                                           \
    X(cuDeviceTotalMem_v2, (size_t *, wg_cu_device))                                                                   \
    X(cuDevicePrimaryCtxRetain, (wg_cu_context *, wg_cu_device))                                                       \
    X(cuDevicePrimaryCtxRelease_v2, (wg_cu_device))                                                                    \
    X(cuCtxSetCurrent, (wg_cu_context))                                                                                \
    X(cuMemAlloc_v2, (wg_cu_pointer *, size_t))                                                                        \
    X(cuMemFree_v2, (wg_cu_pointer))                                                                                   \
    X(cuMemAllocAsync, (wg_cu_pointer *, size_t, wg_cu_stream))                                                        \
    X(cuMemFreeAsync, (wg_cu_pointer, wg_cu_stream))                                                                   \
    X(cuMemGetInfo_v2, (size_t *, size_t *))                                                                           \
    X(cuMemHostAlloc, (void **, size_t, unsigned))                                                                     \
    X(cuMemFreeHost, (void *))                                                                                         \
    X(cuMemcpyHtoDAsync_v2, (wg_cu_pointer, const void *, size_t, wg_cu_stream))                                       \
    X(cuMemcpyDtoHAsync_v2, (void *, wg_cu_pointer, size_t, wg_cu_stream))                                             \
    X(cuStreamCreate, (wg_cu_stream *, unsigned))                                                                      \
    X(cuStreamSynchronize, (wg_cu_stream))                                                                             \
    X(cuStreamWaitEvent, (wg_cu_stream, wg_cu_event, unsigned))                                                        \
    X(cuStreamDestroy_v2, (wg_cu_stream))                                                                              \
    X(cuEventCreate, (wg_cu_event *, unsigned))                                                                        \
    X(cuEventRecord, (wg_cu_event, wg_cu_stream))                                                                      \
    X(cuEventSynchronize, (wg_cu_event))                                                                               \
    X(cuEventElapsedTime, (float *, wg_cu_event, wg_cu_event))                                                         \
    X(cuEventDestroy_v2, (wg_cu_event))                                                                                \
    X(cuModuleLoadData, (wg_cu_module *, const void *))                                                                \
    X(cuModuleGetFunction, (wg_cu_function *, wg_cu_module, const char *))                                             \
    X(cuModuleUnload, (wg_cu_module))                                                                                  \
    X(cuFuncGetAttribute, (int *, unsigned, wg_cu_function))                                                           \
    X(cuLaunchKernel, (wg_cu_function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,           \
                       wg_cu_stream, void **, void **))                                                                \
    X(cuStreamBeginCapture_v2, (wg_cu_stream, unsigned))                                                               \
    X(cuStreamEndCapture, (wg_cu_stream, wg_cu_graph *))                                                               \
    X(cuGraphInstantiateWithFlags, (wg_cu_graph_exec *, wg_cu_graph, unsigned long long))                              \
    X(cuGraphExecUpdate_v2, (wg_cu_graph_exec, wg_cu_graph, wg_cu_update_info *))                                      \
    X(cuGraphLaunch, (wg_cu_graph_exec, wg_cu_stream))                                                                 \
    X(cuGraphDestroy, (wg_cu_graph))                                                                                   \
    X(cuGraphExecDestroy, (wg_cu_graph_exec))

typedef unsigned wg_rtc_result;
typedef struct _nvrtcProgram *wg_rtc_program;

#define WG_RTC_FUNCTIONS(X)                                                                                            \
    X(nvrtcVersion, (int *, int *))                                                                                    \
    X(nvrtcGetNumSupportedArchs, (int *))                                                                              \
    X(nvrtcGetSupportedArchs, (int *))                                                                                 \
    X(nvrtcCreateProgram,                                                                                              \
      (wg_rtc_program *, const char *, const char *, int, const char *const *, const char *const *))                   \
    X(nvrtcCompileProgram, (wg_rtc_program, int, const char *const *))                                                 \
    X(nvrtcDestroyProgram, (wg_rtc_program *))                                                                         \
    X(nvrtcGetCUBINSize, (wg_rtc_program, size_t *))                                                                   \
    X(nvrtcGetCUBIN, (wg_rtc_program, char *))                                                                         \
    X(nvrtcGetPTXSize, (wg_rtc_program, size_t *))                                                                     \
    X(nvrtcGetPTX, (wg_rtc_program, char *))                                                                           \
    X(nvrtcGetProgramLogSize, (wg_rtc_program, size_t *))                                                              \
    X(nvrtcGetProgramLog, (wg_rtc_program, char *))

typedef unsigned wg_blas_status;
typedef struct cublasContext *wg_blas_handle;

enum {
    WG_BLAS_OP_N = 0,
    WG_BLAS_OP_T = 1,
    WG_BLAS_R_32F = 0,
    WG_BLAS_R_64F = 1,
    WG_BLAS_R_16F = 2,
    WG_BLAS_R_16BF = 14,
    WG_BLAS_COMPUTE_32F = 68,
    WG_BLAS_COMPUTE_64F = 70,
    WG_BLAS_COMPUTE_32F_FAST_TF32 = 77,
    WG_BLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION = 16,
    WG_BLAS_GEMM_DEFAULT = -1
};

#define WG_BLAS_FUNCTIONS(X)                                                                                           \
    X(cublasCreate_v2, (wg_blas_handle *))                                                                             \
    X(cublasDestroy_v2, (wg_blas_handle))                                                                              \
    X(cublasGetVersion_v2, (wg_blas_handle, int *))                                                                    \
    X(cublasSetStream_v2, (wg_blas_handle, wg_cu_stream))                                                              \
    X(cublasSetWorkspace_v2, (wg_blas_handle, void *, size_t))                                                         \
    X(cublasSetMathMode, (wg_blas_handle, unsigned))                                                                   \
    X(cublasGemmStridedBatchedEx,                                                                                      \
      (wg_blas_handle, unsigned, unsigned, int, int, int, const void *, const void *, unsigned, int, long long,        \
       const void *, unsigned, int, long long, const void *, void *, unsigned, int, long long, int, unsigned, int))

/* cuBLASLt: what a product is, and how its matrices lie, is told by descriptors. */
typedef struct cublasLtContext *wg_lt_handle;
typedef struct wg_lt_opaque *wg_lt_operation, *wg_lt_layout, *wg_lt_preference; /* of theirs only pointers */

/* A way to compute a product, and what is said of it. */
typedef struct wg_lt_algorithm {
    uint64_t data[8];
} wg_lt_algorithm;
typedef struct wg_lt_found {
    wg_lt_algorithm algorithm;
    size_t workspace;
    wg_blas_status state;
    float waves;
    int reserved[4];
} wg_lt_found;

enum {
    WG_LT_LAYOUT_BATCH_COUNT = 5, /* int32_t */
    WG_LT_LAYOUT_BATCH_STRIDE = 6,
    WG_LT_TRANSPOSE_A = 3, /* int32_t, and B */
    WG_LT_TRANSPOSE_B = 4,
    WG_LT_EPILOGUE = 7, /* uint32_t */
    WG_LT_BIAS_POINTER = 8,
    WG_LT_AUX_POINTER = 11,
    WG_LT_AUX_LD = 12, /* int64_t, and the stride */
    WG_LT_AUX_BATCH_STRIDE = 13,
    WG_LT_MOST_WORKSPACE = 1,    /* uint64_t */
    WG_LT_REDUCTION_SCHEMES = 3, /* uint32_t, and alignments of A, B, C, D */
    WG_LT_ALIGNMENT_A = 5,
    WG_LT_REDUCTION_IN_COMPUTE_TYPE = 2,
    WG_LT_REDUCTION_ANY = 7,
    WG_LT_EPILOGUE_DEFAULT = 1,
    WG_LT_EPILOGUE_RELU = 2,
    WG_LT_EPILOGUE_BIAS = 4,
    WG_LT_EPILOGUE_GELU = 32,
    WG_LT_EPILOGUE_AUX = 128,
    WG_LT_EPILOGUE_GELU_GRAD = 192 /* with AUX */
};

#define WG_LT_FUNCTIONS(X)                                                                                             \
    X(cublasLtCreate, (wg_lt_handle *))                                                                                \
    X(cublasLtDestroy, (wg_lt_handle))                                                                                 \
    X(cublasLtMatmulDescCreate, (wg_lt_operation *, unsigned, unsigned))                                               \
    X(cublasLtMatmulDescDestroy, (wg_lt_operation))                                                                    \
    X(cublasLtMatmulDescSetAttribute, (wg_lt_operation, unsigned, const void *, size_t))                               \
    X(cublasLtMatrixLayoutCreate, (wg_lt_layout *, unsigned, uint64_t, uint64_t, int64_t))                             \
    X(cublasLtMatrixLayoutDestroy, (wg_lt_layout))                                                                     \
    X(cublasLtMatrixLayoutSetAttribute, (wg_lt_layout, unsigned, const void *, size_t))                                \
    X(cublasLtMatmulPreferenceCreate, (wg_lt_preference *))                                                            \
    X(cublasLtMatmulPreferenceDestroy, (wg_lt_preference))                                                             \
    X(cublasLtMatmulPreferenceSetAttribute, (wg_lt_preference, unsigned, const void *, size_t))                        \
    X(cublasLtMatmulAlgoGetHeuristic, (wg_lt_handle, wg_lt_operation, wg_lt_layout, wg_lt_layout, wg_lt_layout,        \
                                       wg_lt_layout, wg_lt_preference, int, wg_lt_found *, int *))                     \
    X(cublasLtMatmul, (wg_lt_handle, wg_lt_operation, const void *, const void *, wg_lt_layout, const void *,          \
                       wg_lt_layout, const void *, const void *, wg_lt_layout, void *, wg_lt_layout,                   \
                       const wg_lt_algorithm *, void *, size_t, wg_cu_stream))

#define WG_CUDA_MEMBER(name, arguments) unsigned(*name) arguments;
typedef struct wg_cu_api {
    WG_CU_FUNCTIONS(WG_CUDA_MEMBER)
} wg_cu_api;
typedef struct wg_rtc_api {
    WG_RTC_FUNCTIONS(WG_CUDA_MEMBER)
} wg_rtc_api;
typedef struct wg_blas_api {
    WG_BLAS_FUNCTIONS(WG_CUDA_MEMBER)
} wg_blas_api;
typedef struct wg_lt_api {
    WG_LT_FUNCTIONS(WG_CUDA_MEMBER)
} wg_lt_api;
#undef WG_CUDA_MEMBER

#endif
