/* The driver's functions that allocate and free: device memory, in stream order or not, and page-locked host memory. */
#include "double.h"

static const size_t PINNED_ADDRESSES = (size_t)1 << 36;

CUresult cuMemGetInfo(size_t *free_bytes, size_t *total) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    const cd_arena *arena = &cd_current()->arena;
    *total = arena->most;
    *free_bytes = arena->most - arena->held;
    return CUDA_SUCCESS;
}

static CUresult allocate(CUdeviceptr *out, size_t bytes, cd_alloc **made) {
    cd_arena *arena = &cd_current()->arena;
    if (bytes == 0) {
        return cd_refuse(CUDA_ERROR_INVALID_VALUE, "an allocation of 0 bytes");
    }
    cd_alloc *a = cd_alloc_new(arena, bytes);
    if (!a) {
        return cd_refuse(CUDA_ERROR_OUT_OF_MEMORY, "%zu bytes, %zu of %zu are in use", bytes, arena->held, arena->most);
    }
    cd_count(CD_ALLOCATION, 1);
    *out = (CUdeviceptr)(uintptr_t)(a->at + arena->shift);
    *made = a;
    return CUDA_SUCCESS;
}

CUresult cuMemAlloc(CUdeviceptr *out, size_t bytes) {
    CD_ENTER(CD_NEEDS_CONTEXT | CD_UNSAFE);
    cd_alloc *a;
    return allocate(out, bytes, &a);
}

/* The allocation that starts at an address and was not yet freed. */
static cd_alloc *to_free(CUdeviceptr at) {
    cd_arena *arena = &cd_current()->arena;
    cd_alloc *a = cd_alloc_find(arena, at);
    bool start = a && (CUdeviceptr)(uintptr_t)(a->at + arena->shift) == at;
    if (!start || a->doomed || !(a->live || a->promised)) {
        char text[160];
        cd_describe((const void *)(uintptr_t)at, text, sizeof text); // NOLINT(performance-no-int-to-ptr)
        cd_fault("%s: %s", start ? "freed twice" : "freed, but never allocated", text);
        return NULL;
    }
    return a;
}

/* Waits for the device, but for memory of cuMemAllocAsync: there the caller must have waited. */
CUresult cuMemFree(CUdeviceptr at) {
    CD_ENTER(CD_NEEDS_CONTEXT | CD_UNSAFE | CD_RELEASES);
    if (at == 0) {
        return CD_LATE;
    }
    cd_alloc *a = to_free(at);
    if (!a) {
        return cd_refuse(CUDA_ERROR_INVALID_VALUE, "not an allocation");
    }
    cd_context *ctx = cd_current();
    if (a->async && cd_uses_device(ctx, at, a->bytes)) {
        cd_fault("cuMemFree of allocation %u of cuMemAllocAsync while work that uses it waits", a->id);
    }
    cd_drain_context(ctx);
    cd_alloc_end(&ctx->arena, a);
    cd_count(CD_ALLOCATION, -1);
    return CD_LATE ? CD_LATE : (int)cd_sticky();
}

/* ---- in stream order: the memory may be used by what comes later in the stream, or waits for it --------------------------- */

CUresult cuMemAllocAsync(CUdeviceptr *out, size_t bytes, CUstream stream) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    cd_stream *s = cd_stream_get(stream);
    cd_alloc *a;
    if (!s || s->capture) {
        return cd_refuse(s ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_HANDLE, "no stream, or one that captures");
    }
    CUresult code = allocate(out, bytes, &a);
    if (code == CUDA_SUCCESS) {
        a->async = true;
        a->live = false;
        a->promised = true;
        code = cd_push(s, &(cd_work){.what = CD_MEMORY_BEGINS, .to = *out, .bytes = bytes});
    }
    return code;
}

CUresult cuMemFreeAsync(CUdeviceptr at, CUstream stream) {
    CD_ENTER(CD_NEEDS_CONTEXT | CD_RELEASES);
    cd_stream *s = cd_stream_get(stream);
    if (!s || s->capture) {
        return cd_refuse(s ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_HANDLE, "no stream, or one that captures");
    }
    if (at == 0) {
        return CD_LATE;
    }
    cd_alloc *a = to_free(at);
    if (!a) {
        return cd_refuse(CUDA_ERROR_INVALID_VALUE, "not an allocation");
    }
    a->doomed = true;
    cd_count(CD_ALLOCATION, -1);
    cd_push(s, &(cd_work){.what = CD_MEMORY_ENDS, .to = at, .bytes = a->bytes});
    return CD_LATE;
}

/* ---- page-locked host memory -------------------------------------------------------------------------------------------- */

CUresult cuMemHostAlloc(void **out, size_t bytes, unsigned int flags) {
    CD_ENTER(CD_NEEDS_CONTEXT | CD_UNSAFE);
    if (bytes == 0 || (flags & ~7u) != 0) {
        return cd_refuse(CUDA_ERROR_INVALID_VALUE, "0 bytes, or unknown flags");
    }
    cd_alloc *a =
        cd_arena_open(&cd_pinned, PINNED_ADDRESSES, PINNED_ADDRESSES, false) ? cd_alloc_new(&cd_pinned, bytes) : NULL;
    if (!a) {
        return cd_refuse(CUDA_ERROR_OUT_OF_MEMORY, "no host memory");
    }
    cd_count(CD_PINNED, 1);
    *out = a->at;
    return CUDA_SUCCESS;
}

CUresult cuMemFreeHost(void *p) {
    CD_ENTER(CD_NEEDS_CONTEXT | CD_UNSAFE | CD_RELEASES);
    cd_alloc *a = cd_alloc_find(&cd_pinned, (CUdeviceptr)(uintptr_t)p);
    if (!a || a->at != p || !a->live) {
        char text[160];
        cd_describe(p, text, sizeof text);
        cd_fault("cuMemFreeHost of what is no page-locked memory now: %s", text);
        return cd_refuse(CUDA_ERROR_INVALID_VALUE, "not page-locked memory");
    }
    if (cd_uses_host(p, a->bytes)) {
        cd_fault("cuMemFreeHost of allocation %u while a copy that uses it waits", a->id);
        cd_drain_context(cd_current());
    }
    cd_alloc_end(&cd_pinned, a);
    cd_count(CD_PINNED, -1);
    return CD_LATE;
}
