/* Programs: one text, many kernels, built for the device of one queue. */
#include "base/alloc.h"
#include "base/str.h"
#include "opencl/internal.h"

#include <string.h>

struct wg_program {
    cl_program program;
    size_t n;
    wg_kernel *kernels;
};

/* The compiler's words, then the text with line numbers as the compiler counts them. */
static wg_status build_failed(wg_device *dev, cl_program program, cl_device_id id, cl_int code, const char *text,
                              wg_err *err) {
    wg_str s = {0};
    size_t len = 0;
    wg_str_addf(&s, "the OpenCL compiler refused a program: %s (%d)\n", wg_cl_error_name(code), (int)code);
    dev->cl->clGetProgramBuildInfo(program, id, CL_PROGRAM_BUILD_LOG, 0, NULL, &len);
    char *log = len > 1 ? wg_mem_zalloc(len + 1) : NULL;
    if (log && dev->cl->clGetProgramBuildInfo(program, id, CL_PROGRAM_BUILD_LOG, len, log, NULL) == CL_SUCCESS) {
        wg_str_add(&s, log);
        wg_str_add(&s, "\n");
    }
    wg_mem_free(log);
    wg_str_add_numbered(&s, text);
    wg_err_set(err, WG_ERR_BUILD, "%s", wg_str_text(&s));
    wg_str_free(&s);
    return WG_ERR_BUILD;
}

static wg_status make_kernel(wg_device *dev, wg_program *p, const char *name, wg_kernel *k, wg_err *err) {
    cl_int code;
    k->kernel = dev->cl->clCreateKernel(p->program, name, &code);
    if (code != CL_SUCCESS) {
        k->kernel = NULL;
        return wg_err_set(err, WG_ERR_BUILD, "kernel '%s' of a program: %s (%d)", name, wg_cl_error_name(code),
                          (int)code);
    }
    code = dev->cl->clGetKernelInfo(k->kernel, CL_KERNEL_NUM_ARGS, sizeof k->nargs, &k->nargs, NULL);
    if (code != CL_SUCCESS || k->nargs == 0) {
        return wg_err_set(err, WG_ERR_BUILD, "kernel '%s' takes no arguments", name);
    }
    k->buffers = wg_mem_zalloc(k->nargs * sizeof *k->buffers + dev->limits.max_param_bytes);
    if (!k->buffers) {
        return wg_err_set(err, WG_ERR_NOMEM, "kernel '%s': out of host memory", name);
    }
    k->params = (char *)(k->buffers + k->nargs);
    return WG_OK;
}

void wg_cl_unbuild(wg_device *dev, wg_program *p) {
    if (!p) {
        return;
    }
    bool forked = wg_cl_forked(dev);
    for (size_t i = 0; i < p->n; i++) {
        if (p->kernels[i].kernel && !forked) {
            dev->cl->clReleaseKernel(p->kernels[i].kernel);
        }
        wg_mem_free(p->kernels[i].buffers);
    }
    if (p->program && !forked) {
        dev->cl->clReleaseProgram(p->program);
    }
    wg_mem_free(p->kernels);
    wg_mem_free(p);
}

wg_status wg_cl_build(wg_device *dev, wg_queue queue, const char *text, const char *const *names, size_t n,
                      wg_program **program, wg_kernel **kernels, wg_err *err) {
    if (!dev->queue[queue]) {
        return wg_err_set(err, WG_ERR_UNSUPPORTED, "%s has no inline queue", dev->limits.name);
    }
    wg_program *p = wg_mem_zalloc(sizeof *p);
    wg_kernel *ks = wg_mem_zalloc((n ? n : 1) * sizeof *ks);
    if (!p || !ks) {
        wg_mem_free(p);
        wg_mem_free(ks);
        return wg_err_set(err, WG_ERR_NOMEM, "building a program: out of host memory");
    }
    p->kernels = ks;
    p->n = n;
    cl_int code;
    wg_status status = WG_OK;
    p->program = dev->cl->clCreateProgramWithSource(dev->context, 1, &text, NULL, &code);
    if (code != CL_SUCCESS) {
        p->program = NULL;
        status = wg_cl_fail(err, WG_ERR_BUILD, code, "clCreateProgramWithSource");
    } else {
        code = dev->cl->clBuildProgram(p->program, 1, &dev->id[queue], dev->options, NULL, NULL);
        status = code == CL_SUCCESS ? WG_OK : build_failed(dev, p->program, dev->id[queue], code, text, err);
    }
    for (size_t i = 0; i < n && status == WG_OK; i++) {
        status = make_kernel(dev, p, names[i], &ks[i], err);
        kernels[i] = &ks[i];
    }
    if (status) {
        wg_cl_unbuild(dev, p);
        return status;
    }
    *program = p;
    return WG_OK;
}
