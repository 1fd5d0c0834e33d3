/*
 * How large the arguments of a program's kernels are where no CUBIN says so. OpenCL does not tell, and POCL takes any size;
 * so the text is built once more with a kernel at its end that writes down sizeof of each type.
 */
#include "double.h"

#include "opencl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TYPES = 1024, MOST_KERNELS = 1024, NAME = 128 };

struct cd_types {
    char name[MOST_TYPES][NAME];
    cl_uint size[MOST_TYPES];
    int n;
};

static void add(cd_types *t, const char *name) {
    for (int i = 0; i < t->n; i++) {
        if (strcmp(t->name[i], name) == 0) {
            return;
        }
    }
    if (t->n < MOST_TYPES) {
        strcpy(t->name[t->n++], name);
    }
}

bool cd_types_is_pointer(cl_kernel kernel, cl_uint i) {
    cl_kernel_arg_address_qualifier where = CL_KERNEL_ARG_ADDRESS_PRIVATE;
    clGetKernelArgInfo(kernel, i, CL_KERNEL_ARG_ADDRESS_QUALIFIER, sizeof where, &where, NULL);
    return where != CL_KERNEL_ARG_ADDRESS_PRIVATE;
}

static void type_name(cl_kernel kernel, cl_uint i, char *name) {
    name[0] = '\0';
    clGetKernelArgInfo(kernel, i, CL_KERNEL_ARG_TYPE_NAME, NAME - 1, name, NULL);
}

static void collect(cl_program program, cd_types *t) {
    static cl_kernel kernels[MOST_KERNELS];
    cl_uint n = 0, nargs;
    char name[NAME] = "";
    clCreateKernelsInProgram(program, MOST_KERNELS, kernels, &n);
    for (cl_uint k = 0; k < n && k < MOST_KERNELS; k++) {
        nargs = 0;
        clGetKernelInfo(kernels[k], CL_KERNEL_NUM_ARGS, sizeof nargs, &nargs, NULL);
        for (cl_uint i = 0; i < nargs; i++) {
            if (!cd_types_is_pointer(kernels[k], i)) {
                type_name(kernels[k], i, name);
                add(t, name);
            }
        }
        clReleaseKernel(kernels[k]);
    }
}

static bool measure(cl_context context, cl_device_id device, cl_command_queue queue, const char *text, cd_types *t) {
    char *more = cd_alloc_or_die((size_t)t->n * (NAME + 64) + 128), *end = more;
    end += sprintf(end, "\n__kernel void cuda_double_sizes(__global uint *size) {\n");
    for (int i = 0; i < t->n; i++) {
        end += sprintf(end, "    size[%d] = sizeof(%s);\n", i, t->name[i]);
    }
    strcpy(end, "}\n");
    const char *parts[] = {text, more};
    cl_int code;
    cl_program program = clCreateProgramWithSource(context, 2, parts, NULL, &code);
    cl_kernel kernel = NULL;
    cl_mem buffer = NULL;
    size_t one = 1, bytes = sizeof t->size;
    if (clBuildProgram(program, 1, &device, CD_OPENCL_OPTIONS, NULL, NULL) == CL_SUCCESS) {
        kernel = clCreateKernel(program, "cuda_double_sizes", &code);
        buffer = clCreateBuffer(context, CL_MEM_READ_WRITE, bytes, NULL, &code);
    }
    bool done = kernel && buffer && clSetKernelArg(kernel, 0, sizeof buffer, &buffer) == CL_SUCCESS &&
                clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &one, &one, 0, NULL, NULL) == CL_SUCCESS &&
                clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, bytes, t->size, 0, NULL, NULL) == CL_SUCCESS;
    if (buffer) {
        clReleaseMemObject(buffer);
    }
    if (kernel) {
        clReleaseKernel(kernel);
    }
    clReleaseProgram(program);
    free(more);
    return done;
}

cd_types *cd_types_measure(cl_context context, cl_device_id device, cl_command_queue queue, cl_program program,
                           const char *text) {
    cd_types *t = cd_alloc_or_die(sizeof *t);
    collect(program, t);
    if (t->n > 0 && !measure(context, device, queue, text, t)) {
        t->n = 0;
    }
    return t;
}

int cd_types_size(const cd_types *types, cl_kernel kernel, cl_uint i) {
    char name[NAME];
    if (cd_types_is_pointer(kernel, i)) {
        return sizeof(CUdeviceptr);
    }
    type_name(kernel, i, name);
    for (int k = 0; types && k < types->n; k++) {
        if (strcmp(types->name[k], name) == 0) {
            return (int)types->size[k];
        }
    }
    return 0;
}
