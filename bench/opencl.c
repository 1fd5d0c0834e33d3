/* A small OpenCL host program: load, find the device, build four kernels. */
#define CL_TARGET_OPENCL_VERSION 120
#include "opencl.h"

#include <CL/cl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FOUND = 16, GROUP = 256, FMA_STEPS = 1 << 14, FMA_CHAINS = 8, LAUNCHES = 64 };

#define FUNCTIONS(X)                                                                                                   \
    X(clGetPlatformIDs)                                                                                                \
    X(clGetDeviceIDs)                                                                                                  \
    X(clGetDeviceInfo)                                                                                                 \
    X(clCreateContext)                                                                                                 \
    X(clReleaseContext)                                                                                                \
    X(clCreateCommandQueue)                                                                                            \
    X(clReleaseCommandQueue)                                                                                           \
    X(clCreateProgramWithSource)                                                                                       \
    X(clBuildProgram)                                                                                                  \
    X(clReleaseProgram)                                                                                                \
    X(clCreateKernel)                                                                                                  \
    X(clReleaseKernel)                                                                                                 \
    X(clSetKernelArg)                                                                                                  \
    X(clCreateBuffer)                                                                                                  \
    X(clReleaseMemObject)                                                                                              \
    X(clEnqueueNDRangeKernel)                                                                                          \
    X(clFinish)

typedef struct api {
#define X(f) __typeof__(&f) f;
    FUNCTIONS(X)
#undef X
} api;

typedef enum kernel_id { COPY, READ, FMA, EMPTY, KERNELS } kernel_id;

struct opencl {
    api f;
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    cl_program program;
    cl_kernel kernels[KERNELS];
    cl_uint units;
    cl_mem src, dst;
    size_t bytes; /* of each */
};

static const char text[] = "__kernel void copy_all(__global const float4 *a, __global float4 *b, ulong n) {\n"
                           "    for (size_t i = get_global_id(0); i < n; i += get_global_size(0)) b[i] = a[i];\n"
                           "}\n"
                           "__kernel void read_all(__global const float4 *a, __global float4 *b, ulong n) {\n"
                           "    float4 s = 0;\n"
                           "    for (size_t i = get_global_id(0); i < n; i += get_global_size(0)) s += a[i];\n"
                           "    if (s.x == 1e30f) b[0] = s;\n"
                           "}\n"
                           "__kernel void fma_all(__global const float4 *a, __global float4 *b, ulong n) {\n"
                           "    float x[8];\n"
                           "    for (int j = 0; j < 8; j++) x[j] = (float)(get_global_id(0) + j);\n"
                           "    for (ulong i = 0; i < n; i++)\n"
                           "        for (int j = 0; j < 8; j++) x[j] = fma(x[j], 0.999999f, 1e-6f);\n"
                           "    float s = 0;\n"
                           "    for (int j = 0; j < 8; j++) s += x[j];\n"
                           "    if (s == 1e30f) b[0].x = s;\n"
                           "}\n"
                           "__kernel void empty(__global const float4 *a, __global float4 *b, ulong n) {}\n";

static bool load(api *f) {
    void *library = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        return false;
    }
    static const char *const names[] = {
#define X(f) #f,
        FUNCTIONS(X)
#undef X
    };
    void **const places[] = {
#define X(name) (void **)&f->name,
        FUNCTIONS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        *places[i] = dlsym(library, names[i]);
        if (!*places[i]) {
            return false;
        }
    }
    return true;
}

static bool find(opencl *cl, const char *name) {
    cl_platform_id platforms[MAX_FOUND];
    cl_uint nplatforms = 0;
    if (cl->f.clGetPlatformIDs(MAX_FOUND, platforms, &nplatforms) != CL_SUCCESS) {
        return false;
    }
    for (cl_uint p = 0; p < nplatforms && p < MAX_FOUND; p++) {
        cl_device_id ids[MAX_FOUND];
        cl_uint n = 0;
        if (cl->f.clGetDeviceIDs(platforms[p], CL_DEVICE_TYPE_ALL, MAX_FOUND, ids, &n) != CL_SUCCESS) {
            continue;
        }
        for (cl_uint i = 0; i < n && i < MAX_FOUND; i++) {
            char found[256] = "";
            cl->f.clGetDeviceInfo(ids[i], CL_DEVICE_NAME, sizeof found - 1, found, NULL);
            const char *start = found + strspn(found, " ");
            if (*start && strncmp(name, start, strlen(start)) == 0) {
                cl->device = ids[i];
                return true;
            }
        }
    }
    return false;
}

static bool prepare(opencl *cl) {
    static const char *const names[KERNELS] = {"copy_all", "read_all", "fma_all", "empty"};
    const char *source = text;
    cl_int code;
    cl->context = cl->f.clCreateContext(NULL, 1, &cl->device, NULL, NULL, &code);
    if (code == CL_SUCCESS) {
        cl->queue = cl->f.clCreateCommandQueue(cl->context, cl->device, 0, &code);
    }
    if (code == CL_SUCCESS) {
        cl->program = cl->f.clCreateProgramWithSource(cl->context, 1, &source, NULL, &code);
    }
    if (code == CL_SUCCESS) {
        code = cl->f.clBuildProgram(cl->program, 1, &cl->device, "-cl-std=CL1.2", NULL, NULL);
    }
    for (int k = 0; k < KERNELS && code == CL_SUCCESS; k++) {
        cl->kernels[k] = cl->f.clCreateKernel(cl->program, names[k], &code);
    }
    cl->f.clGetDeviceInfo(cl->device, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof cl->units, &cl->units, NULL);
    return code == CL_SUCCESS && cl->units > 0;
}

static void release_buffers(opencl *cl) {
    if (cl->src) {
        cl->f.clReleaseMemObject(cl->src);
    }
    if (cl->dst) {
        cl->f.clReleaseMemObject(cl->dst);
    }
    cl->src = cl->dst = NULL;
    cl->bytes = 0;
}

opencl *opencl_open(const char *name, char *why) {
    opencl *cl = calloc(1, sizeof *cl);
    if (!cl || !load(&cl->f)) {
        snprintf(why, 128, "no OpenCL library to measure limits with");
        free(cl);
        return NULL;
    }
    if (!find(cl, name)) {
        snprintf(why, 128, "no OpenCL device of this name to measure limits on");
    } else if (!prepare(cl)) {
        snprintf(why, 128, "the OpenCL device refuses the kernels that measure limits");
    } else {
        return cl;
    }
    opencl_close(cl);
    return NULL;
}

void opencl_close(opencl *cl) {
    if (!cl) {
        return;
    }
    release_buffers(cl);
    for (int k = 0; k < KERNELS; k++) {
        if (cl->kernels[k]) {
            cl->f.clReleaseKernel(cl->kernels[k]);
        }
    }
    if (cl->program) {
        cl->f.clReleaseProgram(cl->program);
    }
    if (cl->queue) {
        cl->f.clReleaseCommandQueue(cl->queue);
    }
    if (cl->context) {
        cl->f.clReleaseContext(cl->context);
    }
    free(cl);
}

static bool reserve(opencl *cl, size_t bytes) {
    if (bytes > cl->bytes || !cl->dst) {
        cl_int a, b;
        release_buffers(cl);
        cl->src = cl->f.clCreateBuffer(cl->context, CL_MEM_READ_WRITE, bytes, NULL, &a);
        cl->dst = cl->f.clCreateBuffer(cl->context, CL_MEM_READ_WRITE, bytes, NULL, &b);
        if (a != CL_SUCCESS || b != CL_SUCCESS) {
            release_buffers(cl);
            return false;
        }
        cl->bytes = bytes;
    }
    return true;
}

static void set_arguments(opencl *cl, kernel_id k, cl_ulong n) {
    cl->f.clSetKernelArg(cl->kernels[k], 0, sizeof cl->src, &cl->src);
    cl->f.clSetKernelArg(cl->kernels[k], 1, sizeof cl->dst, &cl->dst);
    cl->f.clSetKernelArg(cl->kernels[k], 2, sizeof n, &n);
}

static void enqueue(opencl *cl, kernel_id k, size_t groups, size_t local) {
    size_t global = groups * local;
    cl->f.clEnqueueNDRangeKernel(cl->queue, cl->kernels[k], 1, NULL, &global, &local, 0, NULL, NULL);
}

static size_t full_groups(const opencl *cl) { return (size_t)cl->units * 16; }

static void run_kernel(opencl *cl, kernel_id k) {
    enqueue(cl, k, full_groups(cl), GROUP);
    cl->f.clFinish(cl->queue);
}

static void run_copy(void *user) { run_kernel(user, COPY); }
static void run_read(void *user) { run_kernel(user, READ); }
static void run_fma(void *user) { run_kernel(user, FMA); }

size_t opencl_limit(opencl *cl, limit_kind kind, double amount, side *sides, double *work) {
    size_t each = (size_t)(kind == COPY_LIMIT ? amount / 2 : kind == READ_LIMIT ? amount : 0) / 16 * 16;
    if (!reserve(cl, each ? each : 16)) {
        return 0;
    }
    kernel_id k = kind == COPY_LIMIT ? COPY : kind == READ_LIMIT ? READ : FMA;
    set_arguments(cl, k, k == FMA ? FMA_STEPS : each / 16);
    *work = k == FMA    ? 2.0 * FMA_CHAINS * FMA_STEPS * (double)(full_groups(cl) * GROUP)
            : k == COPY ? 2.0 * (double)each
                        : (double)each;
    sides[0] = (side){.run = k == COPY ? run_copy : k == READ ? run_read : run_fma, .user = cl};
    return 1;
}

double opencl_launch_seconds(opencl *cl) {
    if (!reserve(cl, 16)) {
        return 0;
    }
    set_arguments(cl, EMPTY, 0);
    double best = 0;
    for (int round = 0; round < 50; round++) {
        double start = now();
        for (int i = 0; i < LAUNCHES; i++) {
            enqueue(cl, EMPTY, 1, 1);
        }
        double each = (now() - start) / LAUNCHES;
        cl->f.clFinish(cl->queue);
        best = round == 0 || each < best ? each : best;
    }
    return best;
}
