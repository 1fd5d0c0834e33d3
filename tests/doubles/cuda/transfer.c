/*
 * Copies and fills. Of pageable memory the driver makes a copy of its own before it returns, and a copy into pageable
 * memory is complete when the call returns. Page-locked memory is read and written when the stream gets there. While a
 * stream captures, pageable memory is refused: a driver may take it, but what a later launch would read is not what the
 * caller meant.
 */
#include "double.h"

#include <string.h>

static const cd_alloc *pinned(const void *host, size_t bytes) {
    const cd_alloc *a = cd_alloc_find(&cd_pinned, (CUdeviceptr)(uintptr_t)host);
    return a && a->live && (const char *)host + bytes <= a->at + a->bytes ? a : NULL;
}

static CUresult copy(CUstream stream, const cd_work *like, bool waits) {
    cd_stream *s = cd_stream_get(stream);
    cd_work w = *like;
    if (!s) {
        return cd_refuse(CUDA_ERROR_INVALID_HANDLE, "no such stream");
    }
    if (w.bytes == 0) {
        return CUDA_SUCCESS;
    }
    if ((w.what != CD_COPY_OUT && !cd_may_use(s->ctx, w.to, w.bytes)) ||
        (w.what != CD_COPY_IN && !cd_may_use(s->ctx, w.from, w.bytes))) {
        return cd_refuse(CUDA_ERROR_INVALID_VALUE, "not in an allocation of this context");
    }
    bool pageable = w.what != CD_COPY && !pinned(w.host, w.bytes);
    if (pageable && s->capture) {
        cd_capture_spoil(s->capture);
        return cd_refuse(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "pageable memory in a capture");
    }
    if (pageable && w.what == CD_COPY_IN) {
        w.own = cd_alloc_or_die(w.bytes);
        memcpy(w.own, w.host, w.bytes);
        w.host = NULL;
    }
    CUresult code = cd_push(s, &w);
    if (code == CUDA_SUCCESS && !s->capture && (waits || (pageable && w.what == CD_COPY_OUT))) {
        cd_drain(s);
        code = cd_sticky();
    }
    return code;
}

CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    return copy(stream, &(cd_work){.what = CD_COPY_IN, .to = to, .host = (char *)from, .bytes = bytes}, false);
}

CUresult cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    return copy(stream, &(cd_work){.what = CD_COPY_OUT, .from = from, .host = to, .bytes = bytes}, false);
}

CUresult cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    return copy(stream, &(cd_work){.what = CD_COPY, .to = to, .from = from, .bytes = bytes}, false);
}

CUresult cuMemcpyHtoD(CUdeviceptr to, const void *from, size_t bytes) {
    CD_ENTER(CD_NEEDS_CONTEXT | CD_UNSAFE);
    return copy(NULL, &(cd_work){.what = CD_COPY_IN, .to = to, .host = (char *)from, .bytes = bytes}, true);
}

CUresult cuMemcpyDtoH(void *to, CUdeviceptr from, size_t bytes) {
    CD_ENTER(CD_NEEDS_CONTEXT | CD_UNSAFE);
    return copy(NULL, &(cd_work){.what = CD_COPY_OUT, .from = from, .host = to, .bytes = bytes}, true);
}

static CUresult fill(CUstream stream, CUdeviceptr to, unsigned value, unsigned width, size_t count) {
    cd_stream *s = cd_stream_get(stream);
    if (!s) {
        return cd_refuse(CUDA_ERROR_INVALID_HANDLE, "no such stream");
    }
    if (count == 0) {
        return CUDA_SUCCESS;
    }
    if (to % width || count > SIZE_MAX / width || !cd_may_use(s->ctx, to, count * width)) {
        return cd_refuse(CUDA_ERROR_INVALID_VALUE, "not in an allocation of this context, or not aligned");
    }
    return cd_push(
        s,
        &(cd_work){.what = CD_FILL, .to = to, .value = value, .width = width, .count = count, .bytes = count * width});
}

CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t n, CUstream stream) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    return fill(stream, to, value, 1, n);
}

CUresult cuMemsetD32Async(CUdeviceptr to, unsigned int value, size_t n, CUstream stream) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    return fill(stream, to, value, 4, n);
}
