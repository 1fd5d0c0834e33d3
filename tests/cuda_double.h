/* What the tests of the CUDA double share: its functions by name, a context and kernels, and checks that print. */
#ifndef WG_TESTS_CUDA_DOUBLE_H
#define WG_TESTS_CUDA_DOUBLE_H

#include "doubles/cuda/control.h"
#include "doubles/cuda/toolkit.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CUDA_FUNCTIONS(X)                                                                                              \
    X(cuInit)                                                                                                          \
    X(cuDeviceGetAttribute)                                                                                            \
    X(cuDevicePrimaryCtxRetain)                                                                                        \
    X(cuDevicePrimaryCtxRelease)                                                                                       \
    X(cuCtxSetCurrent)                                                                                                 \
    X(cuCtxSynchronize)                                                                                                \
    X(cuMemGetInfo)                                                                                                    \
    X(cuMemAlloc)                                                                                                      \
    X(cuMemFree)                                                                                                       \
    X(cuMemAllocAsync)                                                                                                 \
    X(cuMemFreeAsync)                                                                                                  \
    X(cuMemHostAlloc)                                                                                                  \
    X(cuMemFreeHost)                                                                                                   \
    X(cuMemcpyHtoD)                                                                                                    \
    X(cuMemcpyDtoH)                                                                                                    \
    X(cuMemcpyHtoDAsync)                                                                                               \
    X(cuMemcpyDtoHAsync)                                                                                               \
    X(cuMemcpyDtoDAsync)                                                                                               \
    X(cuMemsetD8Async)                                                                                                 \
    X(cuMemsetD32Async)                                                                                                \
    X(cuStreamCreate)                                                                                                  \
    X(cuStreamDestroy)                                                                                                 \
    X(cuStreamSynchronize)                                                                                             \
    X(cuStreamQuery)                                                                                                   \
    X(cuStreamWaitEvent)                                                                                               \
    X(cuStreamBeginCapture)                                                                                            \
    X(cuStreamEndCapture)                                                                                              \
    X(cuStreamIsCapturing)                                                                                             \
    X(cuEventCreate)                                                                                                   \
    X(cuEventDestroy)                                                                                                  \
    X(cuEventRecord)                                                                                                   \
    X(cuEventQuery)                                                                                                    \
    X(cuEventSynchronize)                                                                                              \
    X(cuEventElapsedTime)                                                                                              \
    X(cuModuleLoadData)                                                                                                \
    X(cuModuleGetFunction)                                                                                             \
    X(cuModuleUnload)                                                                                                  \
    X(cuFuncGetAttribute)                                                                                              \
    X(cuLaunchKernel)                                                                                                  \
    X(cuGraphInstantiate)                                                                                              \
    X(cuGraphExecUpdate)                                                                                               \
    X(cuGraphExecKernelNodeSetParams)                                                                                  \
    X(cuGraphLaunch)                                                                                                   \
    X(cuGraphDestroy)                                                                                                  \
    X(cuGraphExecDestroy)                                                                                              \
    X(cuGraphGetNodes)                                                                                                 \
    X(cuGetErrorName)                                                                                                  \
    X(nvrtcCreateProgram)                                                                                              \
    X(nvrtcCompileProgram)                                                                                             \
    X(nvrtcDestroyProgram)                                                                                             \
    X(nvrtcGetCUBINSize)                                                                                               \
    X(nvrtcGetCUBIN)                                                                                                   \
    X(nvrtcGetPTXSize)                                                                                                 \
    X(nvrtcGetPTX)                                                                                                     \
    X(nvrtcGetProgramLogSize)                                                                                          \
    X(nvrtcGetProgramLog)                                                                                              \
    X(cublasCreate)                                                                                                    \
    X(cublasDestroy)                                                                                                   \
    X(cublasSetStream)                                                                                                 \
    X(cublasSetWorkspace)                                                                                              \
    X(cublasGemmEx)                                                                                                    \
    X(cublasGemmStridedBatchedEx)                                                                                      \
    X(cublasLtCreate)                                                                                                  \
    X(cublasLtDestroy)                                                                                                 \
    X(cublasLtMatmulDescCreate)                                                                                        \
    X(cublasLtMatmulDescDestroy)                                                                                       \
    X(cublasLtMatmulDescSetAttribute)                                                                                  \
    X(cublasLtMatrixLayoutCreate)                                                                                      \
    X(cublasLtMatrixLayoutDestroy)                                                                                     \
    X(cublasLtMatrixLayoutSetAttribute)                                                                                \
    X(cublasLtMatmulPreferenceCreate)                                                                                  \
    X(cublasLtMatmulPreferenceDestroy)                                                                                 \
    X(cublasLtMatmulPreferenceSetAttribute)                                                                            \
    X(cublasLtMatmulAlgoGetHeuristic)                                                                                  \
    X(cublasLtMatmul)

/* cu.cuMemAlloc(...): the headers' macros name the version. */
static struct {
#define X(f) __typeof__(&f) f;
    CUDA_FUNCTIONS(X)
#undef X
    CUDA_DOUBLE_CONTROL(CUDA_DOUBLE_POINTER)
} cu;

#define TEXT_OF(x) #x
#define NAME_OF(x) TEXT_OF(x) /* after the macros */

static inline void cu_load(void) {
    void *library = dlopen(CUDA_DOUBLE_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    cr_assert(library, "%s", dlerror());
#define X(f) cr_assert((*(void **)&cu.f = dlsym(library, NAME_OF(f))), "there is no %s", NAME_OF(f));
    CUDA_FUNCTIONS(X)
#undef X
#define X(result, name, parameters) cr_assert((*(void **)&cu.name = dlsym(library, #name)), "there is no %s", #name);
    CUDA_DOUBLE_CONTROL(X)
#undef X
}

#define GIVES(call, code) cr_assert_eq((int)(call), (int)(code), "%s gave %d", #call, (int)(call))
#define DOES(call)                                                                                                     \
    do {                                                                                                               \
        int code_ = (int)(call);                                                                                       \
        cr_assert_eq(code_, 0, "%s gave %d", #call, code_);                                                            \
    } while (0)
#define FAILS_WITH(call, code)                                                                                         \
    do {                                                                                                               \
        int code_ = (int)(call);                                                                                       \
        cr_assert_eq(code_, (int)(code), "%s gave %d, not %s", #call, code_, #code);                                   \
    } while (0)

/* The double found what words say, once; then everything starts anew. */
static inline void expect_fault(const char *words) {
    char text[1024] = "";
    size_t n = cu.cuda_double_faults(text, sizeof text);
    cr_assert(n > 0, "no fault was found: %s", words);
    cr_assert(strstr(text, words), "'%s' is not in: %s", words, text);
}

/* ---- a context, and what lives in it ------------------------------------------------------------------------------------- */

static inline void cu_open(void) {
    CUcontext context;
    cu_load();
    DOES(cu.cuInit(0));
    DOES(cu.cuDevicePrimaryCtxRetain(&context, 0));
    DOES(cu.cuCtxSetCurrent(context));
}

static inline void cu_close(void) {
    DOES(cu.cuDevicePrimaryCtxRelease(0));
    cr_expect_eq(cu.cuda_double_live(NULL), 0, "something lives on");
    cr_expect_eq(cu.cuda_double_faults(NULL, 0), 0, "faults were found");
}

/* After a test that made the double find fault: nothing else can be asked. */
static inline void cu_forget(void) { cu.cuda_double_forget(); }

static inline CUdeviceptr cu_memory(const float *from, size_t n) {
    CUdeviceptr p = 0;
    DOES(cu.cuMemAlloc(&p, n * sizeof(float)));
    if (from) {
        DOES(cu.cuMemcpyHtoD(p, from, n * sizeof(float)));
    }
    return p;
}

static inline CUstream cu_stream(void) {
    CUstream s;
    DOES(cu.cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    return s;
}

static inline CUevent cu_event(void) {
    CUevent e;
    DOES(cu.cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
    return e;
}

static inline float cu_value(CUdeviceptr p) {
    float v = 0;
    DOES(cu.cuMemcpyDtoH(&v, p, sizeof v));
    return v;
}

/* ---- kernels ------------------------------------------------------------------------------------------------------------- */

/* The little of CUDA's prelude that these kernels need. */
#define CU_PRELUDE                                                                                                     \
    "#define KERNEL_GROUP(x, y, z) extern \"C\" __global__ void __launch_bounds__((x) * (y) * (z))\n"                  \
    "#define GLOBAL\n"                                                                                                 \
    "typedef long long i64;\n"                                                                                         \
    "#define LID(d) ((int)threadIdx.x)\n"                                                                              \
    "#define GRP(d) ((int)blockIdx.x)\n"                                                                               \
    "// end of the CUDA prelude\n"

static const char cu_text[] =
    CU_PRELUDE "typedef struct { i64 n; float by; int pad; } args;\n"
               "KERNEL_GROUP(64, 1, 1) scale(GLOBAL float *a, args p) {\n"
               "    i64 i = (i64)GRP(0) * 64 + LID(0);\n"
               "    if (i < p.n) { a[i] *= p.by; }\n"
               "}\n"
               "KERNEL_GROUP(1, 1, 1) add(GLOBAL float *a, GLOBAL const float *b, i64 n) {\n"
               "    for (i64 i = 0; i < n; i++) { a[i] += b[i]; }\n"
               "}\n"
               "KERNEL_GROUP(1, 1, 1) poke(GLOBAL float *a, i64 at, float v) { a[at] = v; }\n";

typedef struct scale_args {
    int64_t n;
    float by;
    int32_t pad;
} scale_args;

/* The image of a text; NULL if it does not compile, with the log. */
static inline char *cu_compile(const char *text, const char *arch, char *log, size_t cap) {
    nvrtcProgram p;
    char option[64], *image = NULL;
    snprintf(option, sizeof option, "--gpu-architecture=%s", arch);
    const char *options[] = {option, "--fmad=false"};
    size_t n = 0;
    DOES(cu.nvrtcCreateProgram(&p, text, "kernels", 0, NULL, NULL));
    nvrtcResult result = cu.nvrtcCompileProgram(p, 2, options);
    DOES(cu.nvrtcGetProgramLogSize(p, &n));
    if (log && n < cap) {
        DOES(cu.nvrtcGetProgramLog(p, log));
    }
    bool binary = strncmp(arch, "sm_", 3) == 0;
    if (result == NVRTC_SUCCESS) {
        DOES(binary ? cu.nvrtcGetCUBINSize(p, &n) : cu.nvrtcGetPTXSize(p, &n));
        image = malloc(n);
        DOES(binary ? cu.nvrtcGetCUBIN(p, image) : cu.nvrtcGetPTX(p, image));
    }
    DOES(cu.nvrtcDestroyProgram(&p));
    return image;
}

static CUmodule cu_module;
static CUfunction cu_scale, cu_add, cu_poke;

static inline void cu_build(void) {
    char *image = cu_compile(cu_text, "sm_80", NULL, 0);
    cr_assert(image);
    DOES(cu.cuModuleLoadData(&cu_module, image));
    free(image);
    DOES(cu.cuModuleGetFunction(&cu_scale, cu_module, "scale"));
    DOES(cu.cuModuleGetFunction(&cu_add, cu_module, "add"));
    DOES(cu.cuModuleGetFunction(&cu_poke, cu_module, "poke"));
}

static inline void cu_unbuild(void) { DOES(cu.cuModuleUnload(cu_module)); }

static inline CUresult launch_scale(CUdeviceptr a, int64_t n, float by, CUstream s) {
    scale_args p = {.n = n, .by = by};
    void *params[] = {&a, &p};
    return cu.cuLaunchKernel(cu_scale, (unsigned)((n + 63) / 64), 1, 1, 64, 1, 1, 0, s, params, NULL);
}

static inline CUresult launch_add(CUdeviceptr a, CUdeviceptr b, int64_t n, CUstream s) {
    void *params[] = {&a, &b, &n};
    return cu.cuLaunchKernel(cu_add, 1, 1, 1, 1, 1, 1, 0, s, params, NULL);
}

static inline CUresult launch_poke(CUdeviceptr a, int64_t at, float v, CUstream s) {
    void *params[] = {&a, &at, &v};
    return cu.cuLaunchKernel(cu_poke, 1, 1, 1, 1, 1, 1, 0, s, params, NULL);
}

enum { SEEDS = 20 };

#endif
