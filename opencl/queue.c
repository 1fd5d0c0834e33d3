/*
 * Launches and waiting. In-order queues share a context: the main queue and those beside it, which are of one device, and the
 * inline queue of another. Only one device has work in flight at a time, because POCL hangs when events tie queues of two
 * devices together: a launch on the other device finishes the queues of the first.
 */
#include "base/alloc.h"
#include "opencl/internal.h"

#include <string.h>

static wg_status finish(wg_device *dev, wg_queue queue, wg_err *err) {
    cl_int code = dev->cl->clFinish(dev->queue[queue]);
    dev->busy &= ~(1u << queue);
    return code == CL_SUCCESS ? WG_OK : wg_cl_fail(err, WG_ERR_LAUNCH, code, "clFinish");
}

wg_status wg_cl_sync(wg_device *dev, wg_err *err) {
    wg_status status = WG_OK;
    for (int q = 0; q < WG_QUEUE_COUNT && dev->busy; q++) {
        if (dev->busy >> q & 1) {
            wg_status s = finish(dev, (wg_queue)q, err);
            status = status ? status : s;
        }
    }
    return status;
}

/* Gives the kernel those arguments that differ from its last launch. */
static cl_int set_args(wg_device *dev, wg_kernel *k, const wg_launch *l) {
    if (k->frees != dev->frees) { /* a new buffer may have the handle of a released one */
        memset(k->buffers, 0, k->nargs * sizeof *k->buffers);
        k->frees = dev->frees;
    }
    for (int i = 0; i < l->nbuffers; i++) {
        cl_mem mem = l->buffers[i]->handle;
        if (k->buffers[i] != mem) {
            cl_int code = dev->cl->clSetKernelArg(k->kernel, (cl_uint)i, sizeof mem, &mem);
            if (code != CL_SUCCESS) {
                k->buffers[i] = NULL;
                return code;
            }
            k->buffers[i] = mem;
        }
    }
    if (k->param_bytes != l->param_bytes || memcmp(k->params, l->params, l->param_bytes) != 0) {
        cl_int code = dev->cl->clSetKernelArg(k->kernel, (cl_uint)l->nbuffers, l->param_bytes, l->params);
        if (code != CL_SUCCESS) {
            k->param_bytes = 0;
            return code;
        }
        k->param_bytes = l->param_bytes;
        memcpy(k->params, l->params, l->param_bytes);
    }
    return CL_SUCCESS;
}

wg_status wg_cl_launch(wg_device *dev, wg_queue queue, const wg_launch *l, wg_err *err) {
    wg_kernel *k = l->kernel;
    if ((cl_uint)l->nbuffers + 1 != k->nargs || l->param_bytes > dev->limits.max_param_bytes) {
        return wg_err_set(err, WG_ERR_LAUNCH, "a kernel of %u arguments was launched with %d buffers and %zu bytes",
                          (unsigned)k->nargs, l->nbuffers, l->param_bytes);
    }
    unsigned inlined = 1u << WG_QUEUE_INLINE;
    if (dev->busy & (queue == WG_QUEUE_INLINE ? ~inlined : inlined)) {
        wg_status status = wg_cl_sync(dev, err);
        if (status) {
            return status;
        }
    }
    cl_int code = set_args(dev, k, l);
    if (code != CL_SUCCESS) {
        return wg_cl_fail(err, WG_ERR_LAUNCH, code, "clSetKernelArg");
    }
    size_t global[3], local[3];
    cl_uint dims = 1;
    for (cl_uint i = 0; i < 3; i++) {
        local[i] = l->local[i];
        global[i] = (size_t)l->groups[i] * l->local[i];
        dims = global[i] > 1 ? i + 1 : dims;
    }
    cl_event *event = dev->timing ? wg_cl_event(dev) : NULL;
    code = dev->cl->clEnqueueNDRangeKernel(dev->queue[queue], k->kernel, dims, NULL, global, local, 0, NULL, event);
    if (code != CL_SUCCESS) {
        return wg_cl_fail(err, WG_ERR_LAUNCH, code, "clEnqueueNDRangeKernel");
    }
    dev->nevents += event != NULL;
    dev->busy |= 1u << queue;
    return WG_OK;
}

/* ---- events between queues ---------------------------------------------------------------------------------------------- */

void wg_cl_forget_marks(wg_device *dev) {
    for (size_t i = 0; i < dev->nmarks; i++) {
        if (dev->marks[i]) {
            dev->cl->clReleaseEvent(dev->marks[i]);
        }
    }
    wg_mem_free(dev->marks);
    dev->marks = NULL;
    dev->nmarks = dev->mark_cap = 0;
}

/* Flushed, so that another queue may wait for it. */
wg_status wg_cl_mark(wg_device *dev, wg_queue queue, int event, wg_err *err) {
    while (dev->nmarks <= (size_t)event) {
        if (!WG_RESERVE(dev->marks, dev->nmarks, dev->mark_cap)) {
            return wg_err_set(err, WG_ERR_NOMEM, "an event: out of host memory");
        }
        dev->marks[dev->nmarks++] = NULL;
    }
    cl_event *mark = &dev->marks[event];
    if (*mark) {
        dev->cl->clReleaseEvent(*mark);
        *mark = NULL;
    }
    cl_int code = dev->cl->clEnqueueMarkerWithWaitList(dev->queue[queue], 0, NULL, mark);
    if (code != CL_SUCCESS) {
        *mark = NULL;
        return wg_cl_fail(err, WG_ERR_LAUNCH, code, "clEnqueueMarkerWithWaitList");
    }
    dev->busy |= 1u << queue;
    code = dev->cl->clFlush(dev->queue[queue]);
    return code == CL_SUCCESS ? WG_OK : wg_cl_fail(err, WG_ERR_LAUNCH, code, "clFlush");
}

wg_status wg_cl_wait(wg_device *dev, wg_queue queue, int event, wg_err *err) {
    cl_int code = dev->cl->clEnqueueBarrierWithWaitList(dev->queue[queue], 1, &dev->marks[event], NULL);
    if (code != CL_SUCCESS) {
        return wg_cl_fail(err, WG_ERR_LAUNCH, code, "clEnqueueBarrierWithWaitList");
    }
    dev->busy |= 1u << queue;
    return WG_OK;
}
