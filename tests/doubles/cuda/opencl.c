/* Kernels on POCL: its device that runs them in the calling thread, if there is one. */
#include "double.h"

#include "opencl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Programs are kept for the life of the process: the same text is often built again. */
typedef struct built {
    struct built *next;
    char *text;
    cl_program program;
    cd_types *types; /* NULL: not measured */
} built;

static struct {
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    built *programs;
} st;

static cl_device_id choose(void) {
    cl_platform_id platforms[16];
    cl_uint n = 0;
    cl_device_id chosen = NULL;
    clGetPlatformIDs(16, platforms, &n);
    for (cl_uint i = 0; i < n && i < 16; i++) {
        cl_device_id ids[16];
        cl_uint m = 0;
        clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_CPU, 16, ids, &m);
        for (cl_uint k = 0; k < m && k < 16; k++) {
            char name[256] = "";
            clGetDeviceInfo(ids[k], CL_DEVICE_NAME, sizeof name - 1, name, NULL);
            bool in_thread = strncmp(name, "basic", 5) == 0 || strncmp(name, "cpu-minimal", 11) == 0;
            chosen = in_thread || !chosen ? ids[k] : chosen;
            if (in_thread) {
                return chosen;
            }
        }
    }
    return chosen;
}

bool cd_opencl_open(void) {
    if (st.queue) {
        return true;
    }
    setenv("POCL_DEVICES", "pthread basic", 0); /* as the OpenCL backend does */
    /* Compiling is what costs here: once for work-groups of any size, not once for each size. */
    setenv("POCL_WORK_GROUP_SPECIALIZATION", "0", 0);
    st.device = choose();
    cl_int code = CL_DEVICE_NOT_FOUND;
    st.context = st.device ? clCreateContext(NULL, 1, &st.device, NULL, NULL, &code) : NULL;
    st.queue = code == CL_SUCCESS ? clCreateCommandQueueWithProperties(st.context, st.device, NULL, &code) : NULL;
    return code == CL_SUCCESS;
}

static char *copy_text(const char *text) {
    char *copy = cd_alloc_or_die(strlen(text) + 1);
    return strcpy(copy, text);
}

static char *build_log(cl_program program) {
    size_t n = 0;
    clGetProgramBuildInfo(program, st.device, CL_PROGRAM_BUILD_LOG, 0, NULL, &n);
    char *log = cd_alloc_or_die(n + 1);
    clGetProgramBuildInfo(program, st.device, CL_PROGRAM_BUILD_LOG, n, log, NULL);
    return log;
}

cl_program cd_opencl_build(const char *text, char **log) {
    *log = NULL;
    for (const built *b = st.programs; b; b = b->next) {
        if (strcmp(b->text, text) == 0) {
            return b->program;
        }
    }
    char *cl = cd_dialect(text);
    if (!cl) {
        *log = copy_text("the text has no line '// end of the CUDA prelude': OpenCL's cannot take its place");
        return NULL;
    }
    cl_int code = CL_SUCCESS;
    cl_program program = cd_kept_get(st.context, st.device, cl);
    if (!program) {
        const char *source = cl;
        program = clCreateProgramWithSource(st.context, 1, &source, NULL, &code);
        code = code ? code : clBuildProgram(program, 1, &st.device, CD_OPENCL_OPTIONS, NULL, NULL);
        *log = code == CL_SUCCESS || !program ? NULL : build_log(program);
        if (code == CL_SUCCESS && cd_kept_put(program, cl)) { /* what was kept is compiled */
            cl_program kept = cd_kept_get(st.context, st.device, cl);
            if (kept) {
                clReleaseProgram(program);
                program = kept;
            }
        }
    }
    free(cl);
    if (code != CL_SUCCESS) {
        if (program) {
            clReleaseProgram(program);
        }
        *log = *log ? *log : copy_text("OpenCL has no program for the text");
        return NULL;
    }
    built *b = cd_alloc_or_die(sizeof *b);
    *b = (built){.next = st.programs, .text = copy_text(text), .program = program};
    st.programs = b;
    return program;
}

/* ---- kernels ------------------------------------------------------------------------------------------------------------- */

static const cd_types *types_of(cl_program program) {
    built *b = st.programs;
    while (b->program != program) {
        b = b->next;
    }
    if (!b->types) {
        char *text = cd_dialect(b->text);
        b->types = cd_types_measure(st.context, st.device, st.queue, program, text);
        free(text);
    }
    return b->types;
}

const char *cd_opencl_kernel(cl_program program, const char *name, cd_function *f) {
    cl_int code;
    cl_uint n = 0;
    f->kernel = clCreateKernel(program, name, &code);
    if (code != CL_SUCCESS || clGetKernelInfo(f->kernel, CL_KERNEL_NUM_ARGS, sizeof n, &n, NULL) != CL_SUCCESS) {
        return "OpenCL does not know the kernel";
    }
    bool known = f->shape.nparams >= 0;
    if (n > CD_MOST_PARAMS || (known && (int)n != f->shape.nparams)) {
        return "the CUBIN and OpenCL disagree on how many parameters there are";
    }
    f->shape.nparams = (int)n;
    const cd_types *types = known ? NULL : types_of(program);
    for (cl_uint i = 0; i < n; i++) {
        f->global[i] = cd_types_is_pointer(f->kernel, i);
        f->shape.size[i] = known ? f->shape.size[i] : cd_types_size(types, f->kernel, i);
        if (f->shape.size[i] == 0 || (f->global[i] && f->shape.size[i] != sizeof(CUdeviceptr))) {
            return "the CUBIN and OpenCL disagree on a parameter";
        }
        f->bytes += (size_t)f->shape.size[i];
    }
    return NULL;
}

void cd_opencl_release(cd_function *f) {
    if (f->kernel) {
        clReleaseKernel(f->kernel);
        f->kernel = NULL;
    }
}

int cd_opencl_run(const cd_function *f, const cd_work *w, char *const *memory) {
    cl_int code = CL_SUCCESS;
    for (int i = 0; i < f->shape.nparams && code == CL_SUCCESS; i++) {
        code = f->global[i] ? clSetKernelArgSVMPointer(f->kernel, (cl_uint)i, memory[i])
                            : clSetKernelArg(f->kernel, (cl_uint)i, (size_t)f->shape.size[i], memory[i]);
    }
    size_t global[3], local[3];
    cl_uint dims = 1;
    for (cl_uint i = 0; i < 3; i++) {
        local[i] = w->block[i];
        global[i] = (size_t)w->grid[i] * w->block[i];
        dims = global[i] > 1 ? i + 1 : dims;
    }
    if (code == CL_SUCCESS) {
        code = clEnqueueNDRangeKernel(st.queue, f->kernel, dims, NULL, global, local, 0, NULL, NULL);
    }
    return code == CL_SUCCESS ? clFinish(st.queue) : code;
}
