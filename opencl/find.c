/*
 * Which OpenCL devices there are, and which of them a selector means. POCL's "basic" device is never one of its own
 * where its platform has another: it is that one's inline queue.
 */
#include "base/str.h"
#include "opencl/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void wg_cl_device_string(const wg_cl_api *cl, cl_device_id id, cl_device_info what, char *out, size_t cap) {
    char text[1024] = "";
    if (cl->clGetDeviceInfo(id, what, sizeof text, text, NULL) != CL_SUCCESS) {
        text[0] = '\0';
    }
    text[sizeof text - 1] = '\0';
    const char *start = text + strspn(text, " ");
    size_t len = strlen(start);
    while (len > 0 && start[len - 1] == ' ') {
        len--;
    }
    snprintf(out, cap, "%.*s", (int)len, start);
}

const char *wg_cl_type_name(cl_device_type type) {
    return type & CL_DEVICE_TYPE_GPU           ? "GPU"
           : type & CL_DEVICE_TYPE_ACCELERATOR ? "accelerator"
           : type & CL_DEVICE_TYPE_CPU         ? "CPU"
                                               : "device";
}

static int rank(cl_device_type type) {
    return type & CL_DEVICE_TYPE_GPU ? 0 : type & CL_DEVICE_TYPE_ACCELERATOR ? 1 : type & CL_DEVICE_TYPE_CPU ? 2 : 3;
}

/* POCL's driver that runs kernels in the calling thread; "cpu-minimal" is its name from POCL 4 on. */
static bool is_inline(const wg_cl_found *d) {
    return strstr(d->platform_name, "Portable Computing Language") &&
           (strncmp(d->name, "basic", 5) == 0 || strncmp(d->name, "cpu-minimal", 11) == 0);
}

static bool usable(const wg_cl_api *cl, cl_device_id id) {
    cl_bool available = CL_FALSE, compiler = CL_FALSE;
    cl->clGetDeviceInfo(id, CL_DEVICE_AVAILABLE, sizeof available, &available, NULL);
    cl->clGetDeviceInfo(id, CL_DEVICE_COMPILER_AVAILABLE, sizeof compiler, &compiler, NULL);
    return available && compiler;
}

static void add_platform(const wg_cl_api *cl, cl_platform_id platform, wg_cl_list *out) {
    cl_device_id ids[WG_CL_MAX_FOUND];
    cl_uint n = 0;
    if (cl->clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, WG_CL_MAX_FOUND, ids, &n) != CL_SUCCESS) {
        return;
    }
    n = n < WG_CL_MAX_FOUND ? n : WG_CL_MAX_FOUND;
    size_t first = out->n;
    wg_cl_found basic = {0};
    for (cl_uint i = 0; i < n && out->n < WG_CL_MAX_FOUND; i++) {
        wg_cl_found d = {.platform = platform, .id = ids[i]};
        cl->clGetDeviceInfo(ids[i], CL_DEVICE_TYPE, sizeof d.type, &d.type, NULL);
        wg_cl_device_string(cl, ids[i], CL_DEVICE_NAME, d.name, sizeof d.name);
        cl->clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof d.platform_name, d.platform_name, NULL);
        d.platform_name[sizeof d.platform_name - 1] = '\0';
        if (!usable(cl, ids[i])) {
            continue;
        }
        if (is_inline(&d)) {
            basic = d;
        } else {
            out->found[out->n++] = d;
        }
    }
    if (!basic.id) {
        return;
    }
    bool sibling = false;
    for (size_t i = first; i < out->n; i++) {
        if (out->found[i].type & CL_DEVICE_TYPE_CPU) {
            out->found[i].inline_id = basic.id;
            sibling = true;
        }
    }
    if (!sibling && out->n < WG_CL_MAX_FOUND) {
        out->found[out->n++] = basic;
    }
}

wg_status wg_cl_find(const wg_cl_api *cl, wg_cl_list *out, wg_err *err) {
    cl_platform_id platforms[WG_CL_MAX_FOUND];
    cl_uint n = 0;
    out->n = 0;
    cl_int code = cl->clGetPlatformIDs(WG_CL_MAX_FOUND, platforms, &n);
    if (code != CL_SUCCESS) {
        return wg_err_set(err, WG_ERR_NO_DEVICE, "OpenCL is installed, but no driver for it: %s (%d)",
                          wg_cl_error_name(code), (int)code);
    }
    n = n < WG_CL_MAX_FOUND ? n : WG_CL_MAX_FOUND;
    for (cl_uint i = 0; i < n; i++) {
        add_platform(cl, platforms[i], out);
    }
    if (out->n == 0) {
        return wg_err_set(err, WG_ERR_NO_DEVICE, "OpenCL is installed, but its drivers offer no device that compiles");
    }
    for (size_t i = 1; i < out->n; i++) { /* stable: drivers keep their order within a type */
        wg_cl_found d = out->found[i];
        size_t j = i;
        for (; j > 0 && rank(out->found[j - 1].type) > rank(d.type); j--) {
            out->found[j] = out->found[j - 1];
        }
        out->found[j] = d;
    }
    return WG_OK;
}

static bool matches(const wg_cl_list *list, size_t i, const char *selector) {
    const wg_cl_found *d = &list->found[i];
    if (!*selector) {
        return true;
    }
    if (strspn(selector, "0123456789") == strlen(selector)) {
        return strlen(selector) < 9 && (size_t)atoi(selector) == i;
    }
    if (strcasecmp(selector, "gpu") == 0) {
        return d->type & CL_DEVICE_TYPE_GPU;
    }
    if (strcasecmp(selector, "cpu") == 0) {
        return d->type & CL_DEVICE_TYPE_CPU;
    }
    return wg_str_contains(d->name, selector);
}

const wg_cl_found *wg_cl_select(const wg_cl_list *list, const char *selector, wg_err *err) {
    for (size_t i = 0; i < list->n; i++) {
        if (matches(list, i, selector)) {
            return &list->found[i];
        }
    }
    wg_str there = {0};
    for (size_t i = 0; i < list->n; i++) {
        wg_str_addf(&there, "%s%zu %s (%s)", i ? ", " : "", i, list->found[i].name,
                    wg_cl_type_name(list->found[i].type));
    }
    wg_err_set(err, WG_ERR_NO_DEVICE, "no OpenCL device matches '%s'; there is: %s", selector, wg_str_text(&there));
    wg_str_free(&there);
    return NULL;
}
