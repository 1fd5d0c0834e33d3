/* Modules, their functions, and launches. */
#include "double.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

CUresult cuModuleLoadData(CUmodule *out, const void *bytes) {
    CD_ENTER(CD_NEEDS_CONTEXT | CD_UNSAFE);
    cd_image image;
    CUresult code = cd_image_read(bytes, &image);
    if (code) {
        return code;
    }
    char *log;
    struct _cl_program *program = cd_opencl_build(image.text, &log);
    if (!program) {
        cd_fault("OpenCL does not take a text that NVRTC took:\n%.700s", log);
        free(log);
        return CUDA_ERROR_INVALID_IMAGE;
    }
    cd_module *m = cd_alloc_or_die(sizeof *m);
    *m = (cd_module){.ctx = cd_current(), .program = program, .cubin_bytes = image.cubin_bytes};
    if (image.cubin) {
        m->cubin = cd_alloc_or_die(image.cubin_bytes);
        memcpy(m->cubin, image.cubin, image.cubin_bytes);
    }
    m->handle = cd_handle_new(CD_MODULE, m);
    *out = m->handle;
    return CUDA_SUCCESS;
}

/* Waits for the device: kernels of the module may be under way. */
CUresult cuModuleUnload(CUmodule module) {
    CD_ENTER(CD_NEEDS_CONTEXT | CD_UNSAFE | CD_RELEASES);
    cd_module *m = cd_handle_get(CD_MODULE, module);
    if (!m) {
        return cd_refuse(CUDA_ERROR_INVALID_HANDLE, "no module");
    }
    cd_drain_context(m->ctx);
    for (cd_function *f = m->functions; f; f = f->next) {
        cd_handle_end(CD_FUNCTION, f->handle);
        cd_opencl_release(f);
        f->module = NULL; /* the struct stays: an executable graph may hold it */
    }
    free(m->cubin);
    cd_handle_end(CD_MODULE, module);
    free(m);
    return CD_LATE;
}

CUresult cuModuleGetFunction(CUfunction *out, CUmodule module, const char *name) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    cd_module *m = cd_handle_get(CD_MODULE, module);
    if (!m) {
        return cd_refuse(CUDA_ERROR_INVALID_HANDLE, "no module");
    }
    for (cd_function *f = m->functions; f; f = f->next) {
        if (strcmp(f->name, name) == 0) {
            *out = f->handle;
            return CUDA_SUCCESS;
        }
    }
    cd_function *f = cd_alloc_or_die(sizeof *f);
    *f = (cd_function){.module = m, .shape = {.nparams = -1, .most_threads = 1024}, .most_dynamic = 49152};
    snprintf(f->name, sizeof f->name, "%s", name);
    bool found = !m->cubin || cd_cubin_shape(m->cubin, m->cubin_bytes, name, &f->shape);
    const char *wrong = found ? cd_opencl_kernel(m->program, name, f) : "the CUBIN does not know the kernel";
    if (wrong) {
        bool missing = strstr(wrong, "know") != NULL;
        if (!missing) {
            cd_fault("kernel %s: %s", name, wrong);
        }
        cd_opencl_release(f);
        free(f);
        return cd_refuse(missing ? CUDA_ERROR_NOT_FOUND : CUDA_ERROR_INVALID_IMAGE, "%s: %s", name, wrong);
    }
    f->next = m->functions;
    m->functions = f;
    f->handle = cd_handle_new(CD_FUNCTION, f);
    *out = f->handle;
    return CUDA_SUCCESS;
}

CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction function) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    const cd_function *f = cd_handle_get(CD_FUNCTION, function);
    if (!f) {
        return cd_refuse(CUDA_ERROR_INVALID_HANDLE, "no function");
    }
    switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
        *value = f->shape.most_threads;
        break;
    case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
        *value = f->shape.shared;
        break;
    case CU_FUNC_ATTRIBUTE_NUM_REGS:
        *value = f->shape.registers;
        break;
    case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES:
    case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
        *value = 0;
        break;
    case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
    case CU_FUNC_ATTRIBUTE_PTX_VERSION:
        *value = cd_arch();
        break;
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
        *value = f->most_dynamic;
        break;
    default:
        return cd_refuse(CUDA_ERROR_INVALID_VALUE, "the double does not know attribute %d", (int)attribute);
    }
    return CUDA_SUCCESS;
}

CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    cd_function *f = cd_handle_get(CD_FUNCTION, function);
    if (!f || attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES || value < 0 || value > 166912) {
        return cd_refuse(CUDA_ERROR_INVALID_VALUE, "no function, or a value it cannot have");
    }
    f->most_dynamic = value;
    return CUDA_SUCCESS;
}

/* ---- launches ------------------------------------------------------------------------------------------------------------ */

static CUresult check_launch(const cd_function *f, const cd_work *w) {
    const unsigned *g = w->grid, *b = w->block;
    bool shape = g[0] && g[1] && g[2] && b[0] && b[1] && b[2] && g[0] <= 2147483647u && g[1] <= 65535 &&
                 g[2] <= 65535 && b[0] <= 1024 && b[1] <= 1024 && b[2] <= 64;
    uint64_t threads = (uint64_t)b[0] * b[1] * b[2];
    if (!shape || threads > 1024 || threads > (uint64_t)f->shape.most_threads) {
        return cd_refuse(CUDA_ERROR_INVALID_VALUE, "%s cannot have %ux%ux%u blocks of %ux%ux%u threads", f->name, g[0],
                         g[1], g[2], b[0], b[1], b[2]);
    }
    if (w->shared > 0) {
        return cd_refuse(CUDA_ERROR_INVALID_VALUE, "the double has no dynamic shared memory");
    }
    return CUDA_SUCCESS;
}

/* Copies the arguments; a pointer that leads nowhere would be found when the kernel runs, but here the caller is near. */
static bool take_arguments(const cd_context *ctx, cd_work *w, void *const *params) {
    const cd_function *f = w->function;
    size_t offset = 0;
    for (int i = 0; i < f->shape.nparams; i++) {
        memcpy(w->own + offset, params[i], (size_t)f->shape.size[i]);
        CUdeviceptr at = 0;
        if (f->global[i]) {
            memcpy(&at, params[i], sizeof at);
        }
        if (at && !cd_may_use(ctx, at, 1)) {
            char text[160];
            cd_describe((const void *)(uintptr_t)at, text, sizeof text); // NOLINT(performance-no-int-to-ptr)
            cd_fault("kernel %s was launched with %s for argument %d", f->name, text, i);
            cd_stick(CUDA_ERROR_ILLEGAL_ADDRESS);
            return false;
        }
        offset += (size_t)f->shape.size[i];
    }
    return true;
}

CUresult cd_kernel_work(const cd_context *ctx, CUfunction function, const unsigned *grid, const unsigned *block,
                        unsigned shared, void **params, cd_work *out) {
    const cd_function *f = cd_handle_get(CD_FUNCTION, function);
    if (!f || (!params && f->shape.nparams > 0) || f->module->ctx != ctx) {
        return cd_refuse(CUDA_ERROR_INVALID_HANDLE, "no function, not of this context, or no arguments");
    }
    *out = (cd_work){.what = CD_KERNEL, .function = f, .shared = shared};
    memcpy(out->grid, grid, sizeof out->grid);
    memcpy(out->block, block, sizeof out->block);
    CUresult code = check_launch(f, out);
    if (code) {
        return code;
    }
    out->own = cd_alloc_or_die(f->bytes);
    if (!take_arguments(ctx, out, params)) {
        cd_work_drop(out);
        return cd_sticky();
    }
    return CUDA_SUCCESS;
}

CUresult cuLaunchKernel(CUfunction function, unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx,
                        unsigned int by, unsigned int bz, unsigned int shared, CUstream stream, void **params,
                        void **extra) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    cd_stream *s = cd_stream_get(stream);
    if (!s || extra) {
        return cd_refuse(CUDA_ERROR_INVALID_HANDLE, "no such stream, or arguments in a form the double does not know");
    }
    cd_work w;
    CUresult code =
        cd_kernel_work(s->ctx, function, (unsigned[]){gx, gy, gz}, (unsigned[]){bx, by, bz}, shared, params, &w);
    return code ? code : cd_push(s, &w);
}
