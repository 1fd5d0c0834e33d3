/*
 * Buffers. On a CPU device the memory is ours and OpenCL uses it in place, so that host and kernels see the same bytes;
 * elsewhere buffers belong to the driver and bytes are copied.
 */
#include "opencl/internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LINE = 64, PAGE = 4096, HUGE_PAGE = 2 << 20 };

static size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

/* Whole lines, pages or huge pages: nothing else shares them, and large buffers walk fewer page tables. */
static void *host_alloc(size_t bytes) {
    size_t unit = bytes >= 4 * (size_t)HUGE_PAGE ? HUGE_PAGE : bytes >= PAGE ? PAGE : LINE;
    size_t alignment = unit < 128 ? 128 : unit; /* POCL's own alignment is 128 */
    size_t room = round_up(bytes + WG_MEM_SLACK, alignment);
    void *p = aligned_alloc(alignment, room);
    if (p && unit == HUGE_PAGE) {
        (void)madvise(p, room, MADV_HUGEPAGE);
    }
    return p;
}

static wg_status host_buffer(wg_device *dev, size_t bytes, wg_mem *out, wg_err *err) {
    if (bytes > dev->host_budget - dev->host_bytes) {
        return wg_err_set(err, WG_ERR_DEVICE_MEM, "%zu bytes more than the %zu in use exceed the machine's %zu", bytes,
                          dev->host_bytes, dev->host_budget);
    }
    void *host = host_alloc(bytes);
    if (!host) {
        return wg_err_set(err, WG_ERR_DEVICE_MEM, "no memory for a buffer of %zu bytes", bytes);
    }
    cl_int code;
    cl_mem mem = dev->cl->clCreateBuffer(dev->context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, bytes, host, &code);
    if (code != CL_SUCCESS) {
        free(host);
        return wg_cl_fail(err, WG_ERR_DEVICE_MEM, code, "clCreateBuffer");
    }
    dev->host_bytes += bytes;
    *out = (wg_mem){.handle = mem, .host = host, .bytes = bytes};
    return WG_OK;
}

wg_status wg_cl_alloc(wg_device *dev, size_t bytes, wg_mem *out, wg_err *err) {
    bytes = bytes ? bytes : 1;
    if (bytes > dev->limits.max_alloc) {
        return wg_err_set(err, WG_ERR_DEVICE_MEM, "%zu bytes exceed the device's largest buffer, %zu", bytes,
                          dev->limits.max_alloc);
    }
    if (dev->limits.shared_memory) {
        return host_buffer(dev, bytes, out, err);
    }
    cl_int code;
    cl_mem mem = dev->cl->clCreateBuffer(dev->context, CL_MEM_READ_WRITE, bytes + WG_MEM_SLACK, NULL, &code);
    if (code != CL_SUCCESS) {
        return wg_cl_fail(err, WG_ERR_DEVICE_MEM, code, "clCreateBuffer");
    }
    *out = (wg_mem){.handle = mem, .bytes = bytes};
    return WG_OK;
}

void wg_cl_free(wg_device *dev, wg_mem *mem) {
    if (!mem->handle) {
        return;
    }
    if (!wg_cl_forked(dev)) {
        if (mem->host) {
            wg_cl_sync(dev, NULL); /* kernels in flight use the memory itself */
        }
        dev->cl->clReleaseMemObject(mem->handle);
    }
    if (mem->host) {
        free(mem->host);
        dev->host_bytes -= mem->bytes;
    }
    dev->frees++;
    *mem = (wg_mem){0};
}

wg_status wg_cl_write(wg_device *dev, const wg_mem *mem, size_t offset, const void *src, size_t bytes, wg_err *err) {
    wg_status status = dev->busy ? wg_cl_sync(dev, err) : WG_OK;
    if (status || bytes == 0) {
        return status;
    }
    if (mem->host) {
        memcpy(mem->host + offset, src, bytes);
        return WG_OK;
    }
    cl_int code = dev->cl->clEnqueueWriteBuffer(dev->queue[WG_QUEUE_MAIN], mem->handle, CL_TRUE, offset, bytes, src, 0,
                                                NULL, NULL);
    return code == CL_SUCCESS ? WG_OK : wg_cl_fail(err, WG_ERR_TRANSFER, code, "clEnqueueWriteBuffer");
}

wg_status wg_cl_read(wg_device *dev, const wg_mem *mem, size_t offset, void *dst, size_t bytes, wg_err *err) {
    wg_status status = dev->busy ? wg_cl_sync(dev, err) : WG_OK;
    if (status || bytes == 0) {
        return status;
    }
    if (mem->host) {
        memcpy(dst, mem->host + offset, bytes);
        return WG_OK;
    }
    cl_int code = dev->cl->clEnqueueReadBuffer(dev->queue[WG_QUEUE_MAIN], mem->handle, CL_TRUE, offset, bytes, dst, 0,
                                               NULL, NULL);
    return code == CL_SUCCESS ? WG_OK : wg_cl_fail(err, WG_ERR_TRANSFER, code, "clEnqueueReadBuffer");
}

/* Asks the device rather than its manual: a fill on each queue must show at the pointer, and what is stored at the
 * pointer must be read through each queue. */
bool wg_cl_memory_is_shared(wg_device *dev) {
    enum { N = 1024 };
    wg_mem mem = {0};
    dev->limits.shared_memory = true;
    if (wg_cl_alloc(dev, N * sizeof(uint32_t), &mem, NULL) || !mem.host) {
        return false;
    }
    bool shared = true;
    volatile uint32_t *words = (volatile uint32_t *)(void *)mem.host;
    for (uint32_t q = 0; q < 2 && dev->queue[q]; q++) {
        uint32_t pattern = 0x5EED0000u + q, seen = 0;
        shared = shared &&
                 dev->cl->clEnqueueFillBuffer(dev->queue[q], mem.handle, &pattern, sizeof pattern, 0, mem.bytes, 0,
                                              NULL, NULL) == CL_SUCCESS &&
                 dev->cl->clFinish(dev->queue[q]) == CL_SUCCESS && words[0] == pattern && words[N - 1] == pattern;
        words[N / 2] = ~pattern;
        shared = shared &&
                 dev->cl->clEnqueueReadBuffer(dev->queue[q], mem.handle, CL_TRUE, N / 2 * sizeof pattern,
                                              sizeof pattern, &seen, 0, NULL, NULL) == CL_SUCCESS &&
                 seen == ~pattern;
    }
    wg_cl_free(dev, &mem);
    return shared;
}
