/* Launches, and waiting for them. */
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
    if (code != WG_CU_SUCCESS) {
        return wg_cuda_fail(dev, err, WG_ERR_LAUNCH, code, "waiting for the device");
    }
    dev->finished = dev->launched;
    dev->joined = dev->copied;
    return WG_OK;
}

wg_status wg_cuda_send(wg_device *dev, const wg_cuda_call *c, wg_err *err) {
    if (!c->kernel) {
        return wg_cuda_send_product(dev, c, err);
    }
    void *arguments[WG_CUDA_MAX_ARGS + 1];
    for (int i = 0; i < c->npointers; i++) {
        arguments[i] = (void *)&c->pointers[i];
    }
    arguments[c->npointers] = (void *)c->params;
    wg_cu_result code = dev->cu->cuLaunchKernel(c->kernel->function, c->groups[0], c->groups[1], c->groups[2],
                                                c->local[0], c->local[1], c->local[2], 0, dev->main, arguments, NULL);
    if (code == WG_CU_SUCCESS) {
        return WG_OK;
    }
    char what[128];
    snprintf(what, sizeof what, "launching %s", c->kernel->name);
    return wg_cuda_fail(dev, err, WG_ERR_LAUNCH, code, what);
}

wg_status wg_cuda_submit(wg_device *dev, const wg_cuda_call *c, wg_err *err) {
    static const char product[WG_CUDA_NAME] = "a product";
    wg_cuda_time_from(dev, dev->main);
    wg_status status = dev->recording ? wg_cuda_record(dev, c, err) : wg_cuda_send(dev, c, err);
    if (status) {
        return status;
    }
    wg_cuda_time_to(dev, dev->main);
    dev->launched++;
    memcpy(dev->last_kernel, c->kernel ? c->kernel->name : product, sizeof dev->last_kernel);
    memccpy(dev->last_ops, c->ops ? c->ops : "", '\0', sizeof dev->last_ops - 1);
    return dev->sync_always && !dev->recording ? wg_cuda_sync(dev, err) : WG_OK;
}

wg_status wg_cuda_launch(wg_device *dev, wg_queue queue, const wg_launch *l, wg_err *err) {
    const wg_kernel *k = l->kernel;
    uint64_t threads = (uint64_t)l->local[0] * l->local[1] * l->local[2];
    if (queue != WG_QUEUE_MAIN || l->nbuffers > WG_CUDA_MAX_ARGS || l->param_bytes > dev->limits.max_param_bytes ||
        threads > (uint64_t)k->max_threads) {
        return wg_err_set(err, WG_ERR_LAUNCH,
                          "kernel %s was launched with %d buffers, %zu bytes and groups of %llu; it takes groups of %d",
                          k->name, l->nbuffers, l->param_bytes, (unsigned long long)threads, k->max_threads);
    }
    wg_status status = wg_cuda_enter(dev, WG_ERR_LAUNCH, err);
    wg_cu_pointer pointers[WG_CUDA_MAX_ARGS];
    for (int i = 0; i < l->nbuffers && status == WG_OK; i++) {
        pointers[i] = ((const wg_cuda_mem *)l->buffers[i]->handle)->pointer;
        status = wg_cuda_take(dev, l->buffers[i], err);
    }
    wg_cuda_call call = {.ops = l->ops,
                         .kernel = k,
                         .groups = {l->groups[0], l->groups[1], l->groups[2]},
                         .local = {l->local[0], l->local[1], l->local[2]},
                         .npointers = l->nbuffers,
                         .param_bytes = l->param_bytes,
                         .pointers = pointers,
                         .params = l->params};
    return status ? status : wg_cuda_submit(dev, &call, err);
}
