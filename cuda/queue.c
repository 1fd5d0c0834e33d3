/* Launches, events between queues, and waiting for all. */
#include "base/alloc.h"
#include "cuda/internal.h"

#include <stdio.h>
#include <string.h>

wg_status wg_cuda_sync(wg_device *dev, wg_err *err) {
    wg_status status = wg_cuda_enter(dev, WG_ERR_LAUNCH, err);
    if (status) {
        return status;
    }
    wg_cu_result code = dev->cu->cuStreamSynchronize(dev->copy);
    code = code ? code : dev->cu->cuStreamSynchronize(dev->main);
    for (int q = WG_QUEUE_BESIDE; q < WG_QUEUE_COUNT && code == WG_CU_SUCCESS; q++) {
        code = dev->busy >> q & 1 ? dev->cu->cuStreamSynchronize(wg_cuda_stream(dev, (wg_queue)q)) : code;
    }
    if (code != WG_CU_SUCCESS) {
        return wg_cuda_fail(dev, err, WG_ERR_LAUNCH, code, "waiting for the device");
    }
    dev->busy = 0;
    dev->finished = dev->launched;
    for (int q = 0; q < WG_QUEUE_COUNT; q++) {
        dev->joined[q] = dev->copied;
    }
    return WG_OK;
}

static wg_status send_event(wg_device *dev, const wg_cuda_call *c, wg_err *err) {
    wg_cu_stream stream = wg_cuda_stream(dev, c->queue);
    wg_cu_event event = dev->marks[c->event];
    wg_cu_result code =
        c->what == WG_CUDA_MARK ? dev->cu->cuEventRecord(event, stream) : dev->cu->cuStreamWaitEvent(stream, event, 0);
    return code == WG_CU_SUCCESS ? WG_OK : wg_cuda_fail(dev, err, WG_ERR_LAUNCH, code, "an event between queues");
}

wg_status wg_cuda_send(wg_device *dev, const wg_cuda_call *c, wg_err *err) {
    dev->busy |= 1u << c->queue;
    if (c->what == WG_CUDA_PRODUCT) {
        return wg_cuda_send_product(dev, c, err);
    }
    if (c->what != WG_CUDA_KERNEL) {
        return send_event(dev, c, err);
    }
    void *arguments[WG_CUDA_MAX_ARGS + 1];
    for (int i = 0; i < c->npointers; i++) {
        arguments[i] = (void *)&c->pointers[i];
    }
    arguments[c->npointers] = (void *)c->params;
    wg_cu_result code =
        dev->cu->cuLaunchKernel(c->kernel->function, c->groups[0], c->groups[1], c->groups[2], c->local[0], c->local[1],
                                c->local[2], 0, wg_cuda_stream(dev, c->queue), arguments, NULL);
    if (code == WG_CU_SUCCESS) {
        return WG_OK;
    }
    char what[128];
    snprintf(what, sizeof what, "launching %s", c->kernel->name);
    return wg_cuda_fail(dev, err, WG_ERR_LAUNCH, code, what);
}

wg_status wg_cuda_submit(wg_device *dev, const wg_cuda_call *c, wg_err *err) {
    static const char product[WG_CUDA_NAME] = "a product";
    wg_cuda_time_from(dev, wg_cuda_stream(dev, c->queue));
    wg_status status = dev->recording ? wg_cuda_record(dev, c, err) : wg_cuda_send(dev, c, err);
    if (status) {
        return status;
    }
    wg_cuda_time_to(dev, wg_cuda_stream(dev, c->queue));
    dev->launched++;
    memcpy(dev->last_kernel, c->kernel ? c->kernel->name : product, sizeof dev->last_kernel);
    memccpy(dev->last_ops, c->ops ? c->ops : "", '\0', sizeof dev->last_ops - 1);
    return dev->sync_always && !dev->recording ? wg_cuda_sync(dev, err) : WG_OK;
}

wg_status wg_cuda_launch(wg_device *dev, wg_queue queue, const wg_launch *l, wg_err *err) {
    const wg_kernel *k = l->kernel;
    uint64_t threads = (uint64_t)l->local[0] * l->local[1] * l->local[2];
    if (!wg_cuda_has_queue(dev, queue) || l->nbuffers > WG_CUDA_MAX_ARGS ||
        l->param_bytes > dev->limits.max_param_bytes || threads > (uint64_t)k->max_threads) {
        return wg_err_set(err, WG_ERR_LAUNCH,
                          "kernel %s was launched with %d buffers, %zu bytes and groups of %llu; it takes groups of %d",
                          k->name, l->nbuffers, l->param_bytes, (unsigned long long)threads, k->max_threads);
    }
    wg_status status = wg_cuda_enter(dev, WG_ERR_LAUNCH, err);
    wg_cu_pointer pointers[WG_CUDA_MAX_ARGS];
    for (int i = 0; i < l->nbuffers && status == WG_OK; i++) {
        pointers[i] = ((const wg_cuda_mem *)l->buffers[i]->handle)->pointer;
        status = wg_cuda_take(dev, queue, l->buffers[i], err);
    }
    wg_cuda_call call = {.what = WG_CUDA_KERNEL,
                         .queue = queue,
                         .ops = l->ops,
                         .kernel = k,
                         .groups = {l->groups[0], l->groups[1], l->groups[2]},
                         .local = {l->local[0], l->local[1], l->local[2]},
                         .npointers = l->nbuffers,
                         .param_bytes = l->param_bytes,
                         .pointers = pointers,
                         .params = l->params};
    return status ? status : wg_cuda_submit(dev, &call, err);
}

/* ---- events between queues ---------------------------------------------------------------------------------------------- */

void wg_cuda_forget_marks(wg_device *dev) {
    for (size_t i = 0; i < dev->nmarks; i++) {
        dev->cu->cuEventDestroy_v2(dev->marks[i]);
    }
    wg_mem_free(dev->marks);
    dev->marks = NULL;
    dev->nmarks = dev->mark_cap = 0;
}

/* Events are made when a number is first used, which is never while launches are captured. */
static wg_status have_mark(wg_device *dev, int event, wg_err *err) {
    while (dev->nmarks <= (size_t)event) {
        if (!WG_RESERVE(dev->marks, dev->nmarks, dev->mark_cap)) {
            return wg_err_set(err, WG_ERR_NOMEM, "an event: out of host memory");
        }
        wg_cu_result code = dev->cu->cuEventCreate(&dev->marks[dev->nmarks], WG_CU_EVENT_DISABLE_TIMING);
        if (code != WG_CU_SUCCESS) {
            return wg_cuda_fail(dev, err, WG_ERR_LAUNCH, code, "an event between queues");
        }
        dev->nmarks++;
    }
    return WG_OK;
}

static wg_status submit_event(wg_device *dev, wg_cuda_what what, wg_queue queue, int event, wg_err *err) {
    const wg_cuda_call call = {.what = what, .queue = queue, .event = event};
    wg_status status = wg_cuda_enter(dev, WG_ERR_LAUNCH, err);
    status = status ? status : have_mark(dev, event, err);
    return status ? status : dev->recording ? wg_cuda_record(dev, &call, err) : wg_cuda_send(dev, &call, err);
}

wg_status wg_cuda_mark(wg_device *dev, wg_queue queue, int event, wg_err *err) {
    return submit_event(dev, WG_CUDA_MARK, queue, event, err);
}

wg_status wg_cuda_wait(wg_device *dev, wg_queue queue, int event, wg_err *err) {
    return submit_event(dev, WG_CUDA_WAIT, queue, event, err);
}
