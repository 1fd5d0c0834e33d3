/*
 * The OpenCL library, opened at run time: nothing links to it, so one build serves machines with and without it.
 * Only functions of OpenCL 1.2, and only those used here.
 */
#ifndef WG_OPENCL_LOADER_H
#define WG_OPENCL_LOADER_H

#include "base/err.h"

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#define WG_CL_FUNCTIONS(X)                                                                                             \
    X(clGetPlatformIDs)                                                                                                \
    X(clGetPlatformInfo)                                                                                               \
    X(clGetDeviceIDs)                                                                                                  \
    X(clGetDeviceInfo)                                                                                                 \
    X(clCreateContext)                                                                                                 \
    X(clReleaseContext)                                                                                                \
    X(clCreateCommandQueue)                                                                                            \
    X(clReleaseCommandQueue)                                                                                           \
    X(clFlush)                                                                                                         \
    X(clFinish)                                                                                                        \
    X(clCreateBuffer)                                                                                                  \
    X(clReleaseMemObject)                                                                                              \
    X(clEnqueueReadBuffer)                                                                                             \
    X(clEnqueueWriteBuffer)                                                                                            \
    X(clEnqueueFillBuffer)                                                                                             \
    X(clCreateProgramWithSource)                                                                                       \
    X(clBuildProgram)                                                                                                  \
    X(clGetProgramBuildInfo)                                                                                           \
    X(clReleaseProgram)                                                                                                \
    X(clCreateKernel)                                                                                                  \
    X(clReleaseKernel)                                                                                                 \
    X(clGetKernelInfo)                                                                                                 \
    X(clSetKernelArg)                                                                                                  \
    X(clEnqueueMarkerWithWaitList)                                                                                     \
    X(clEnqueueBarrierWithWaitList)                                                                                    \
    X(clEnqueueNDRangeKernel)                                                                                          \
    X(clGetEventProfilingInfo)                                                                                         \
    X(clReleaseEvent)

typedef struct wg_cl_api {
#define X(f) __typeof__(f) *f;
    WG_CL_FUNCTIONS(X)
#undef X
} wg_cl_api;

/* The library named by $WENGERT_OPENCL_LIB, or libOpenCL.so.1. Opened once a process and never closed; a failure is
 * kept too. NULL, with a sentence in *err, when it cannot be used. */
const wg_cl_api *wg_cl_load(wg_err *err);

/* Opens one library and fills the table; on failure writes a sentence. For wg_cl_load, and for tests. */
bool wg_cl_load_from(const char *library, wg_cl_api *api, char *why, size_t why_cap);

#endif
