/*
 * Device memory, and bytes that cross between host and device through pinned memory.
 *
 * Memory belongs to the main stream, launches to that and those beside it; transfers have a stream of their own, so that a write returns when its
 * bytes are in pinned memory and travels while kernels run. What ties the two together is counted: launches and writes
 * have serial numbers, memory remembers its last of each. A transfer waits for the kernels launched so far if one of
 * those not known to be done takes its memory; a launch waits for the writes so far if one of them is to its memory. Between
 * plans the main stream waits for those beside it, so it speaks for all.
 */
#include "base/alloc.h"
#include "cuda/internal.h"

#include <string.h>
#include <unistd.h>

wg_status wg_cuda_open_transfers(wg_device *dev, wg_err *err) {
    void *staging = NULL;
    wg_cu_result code = dev->cu->cuMemHostAlloc(&staging, (size_t)WG_CUDA_SLOTS * WG_CUDA_SLOT_BYTES, 0);
    dev->staging = code == WG_CU_SUCCESS ? staging : NULL;
    wg_cu_event *marks[] = {&dev->launched_mark, &dev->copied_mark,   &dev->slots[0].done,
                            &dev->slots[1].done, &dev->slots[2].done, &dev->slots[3].done};
    for (size_t i = 0; i < sizeof marks / sizeof *marks && code == WG_CU_SUCCESS; i++) {
        code = dev->cu->cuEventCreate(marks[i], WG_CU_EVENT_DISABLE_TIMING);
        *marks[i] = code == WG_CU_SUCCESS ? *marks[i] : NULL;
    }
    return code == WG_CU_SUCCESS ? WG_OK : wg_cuda_fail(dev, err, WG_ERR_NO_DEVICE, code, "pinned memory and events");
}

void wg_cuda_close_transfers(wg_device *dev) {
    for (int i = 0; i < WG_CUDA_SLOTS; i++) {
        if (dev->slots[i].done) {
            dev->cu->cuEventDestroy_v2(dev->slots[i].done);
        }
    }
    if (dev->launched_mark) {
        dev->cu->cuEventDestroy_v2(dev->launched_mark);
    }
    if (dev->copied_mark) {
        dev->cu->cuEventDestroy_v2(dev->copied_mark);
    }
    if (dev->staging) {
        dev->cu->cuMemFreeHost(dev->staging);
    }
}

/* ---- memory ------------------------------------------------------------------------------------------------------------ */

static wg_cu_result allocate(wg_device *dev, size_t bytes, wg_cu_pointer *out) {
    if (!dev->pools) {
        return dev->cu->cuMemAlloc_v2(out, bytes);
    }
    wg_cu_result code = dev->cu->cuMemAllocAsync(out, bytes, dev->main);
    if (code == WG_CU_OUT_OF_MEMORY && wg_cuda_sync(dev, NULL) == WG_OK) {
        code = dev->cu->cuMemAllocAsync(out, bytes, dev->main); /* what was freed is back with the driver now */
    }
    return code;
}

wg_status wg_cuda_alloc(wg_device *dev, size_t bytes, wg_mem *out, wg_err *err) {
    bytes = bytes ? bytes : 1;
    if (bytes > dev->limits.max_alloc) {
        return wg_err_set(err, WG_ERR_DEVICE_MEM, "%zu bytes exceed the device's %zu", bytes, dev->limits.max_alloc);
    }
    wg_status status = wg_cuda_enter(dev, WG_ERR_DEVICE_MEM, err);
    wg_cuda_mem *m = status == WG_OK ? wg_mem_zalloc(sizeof *m) : NULL;
    if (status || !m) {
        return status ? status : wg_err_set(err, WG_ERR_NOMEM, "a device buffer: out of host memory");
    }
    wg_cu_result code = allocate(dev, bytes + WG_MEM_SLACK, &m->pointer);
    if (code == WG_CU_OUT_OF_MEMORY) {
        size_t free_bytes = 0, total = 0;
        wg_mem_free(m);
        return dev->cu->cuMemGetInfo_v2(&free_bytes, &total) == WG_CU_SUCCESS
                   ? wg_err_set(err, WG_ERR_DEVICE_MEM, "no device memory for %zu bytes; %zu of %zu are free", bytes,
                                free_bytes, total)
                   : wg_err_set(err, WG_ERR_DEVICE_MEM, "no device memory for %zu bytes", bytes);
    }
    if (code != WG_CU_SUCCESS) {
        wg_mem_free(m);
        return wg_cuda_fail(dev, err, WG_ERR_DEVICE_MEM, code, "cuMemAlloc");
    }
    if (dev->pools) { /* it is there once the main stream has come to it, as with a kernel's result */
        m->used = dev->launched + 1;
    }
    *out = (wg_mem){.handle = m, .bytes = bytes};
    return WG_OK;
}

void wg_cuda_free(wg_device *dev, wg_mem *mem) {
    wg_cuda_mem *m = mem->handle;
    if (!m) {
        return;
    }
    if (wg_cuda_enter_to_release(dev)) {
        if (!dev->pools) {
            wg_cuda_sync(dev, NULL); /* kernels and transfers under way use it */
            dev->cu->cuMemFree_v2(m->pointer);
        } else {
            if (wg_cuda_take(dev, WG_QUEUE_MAIN, mem, NULL) != WG_OK) {
                dev->cu->cuStreamSynchronize(dev->copy);
            }
            dev->cu->cuMemFreeAsync(m->pointer, dev->main);
        }
    }
    wg_mem_free(m);
    *mem = (wg_mem){0};
}

/* ---- the two streams ---------------------------------------------------------------------------------------------------- */

static wg_cu_result wait_for(wg_device *dev, wg_cu_stream waits, wg_cu_event mark, wg_cu_stream marked) {
    wg_cu_result code = dev->cu->cuEventRecord(mark, marked);
    return code == WG_CU_SUCCESS ? dev->cu->cuStreamWaitEvent(waits, mark, 0) : code;
}

/* What is held back begins when the main stream comes to it. */
wg_status wg_cuda_take(wg_device *dev, wg_queue queue, const wg_mem *mem, wg_err *err) {
    wg_cuda_mem *m = mem->handle;
    wg_queue q = dev->recording ? WG_QUEUE_MAIN : queue;
    if (m->arrived > dev->joined[q]) {
        wg_cu_result code = wait_for(dev, wg_cuda_stream(dev, q), dev->copied_mark, dev->copy);
        if (code != WG_CU_SUCCESS) {
            return wg_cuda_fail(dev, err, WG_ERR_LAUNCH, code, "waiting for a transfer");
        }
        dev->joined[q] = dev->copied;
    }
    m->used = dev->launched + 1;
    return WG_OK;
}

static wg_cu_result before_copy(wg_device *dev, const wg_cuda_mem *m) {
    return m->used > dev->finished ? wait_for(dev, dev->copy, dev->launched_mark, dev->main) : WG_CU_SUCCESS;
}

/* A slot stays busy until a wait for it has succeeded: bytes may cross in it as long. */
static wg_cu_result wait_for_slot(wg_device *dev, wg_cuda_slot *s) {
    wg_cu_result code = !s->busy    ? WG_CU_SUCCESS
                        : s->marked ? dev->cu->cuEventSynchronize(s->done)
                                    : dev->cu->cuStreamSynchronize(dev->copy);
    s->busy = s->busy && code != WG_CU_SUCCESS;
    return code;
}

/* The next piece of pinned memory, once its last copy is done. */
static wg_cu_result take_slot(wg_device *dev, int *slot, char **bytes) {
    *slot = dev->next_slot;
    dev->next_slot = (dev->next_slot + 1) % WG_CUDA_SLOTS;
    *bytes = dev->staging + (size_t)*slot * WG_CUDA_SLOT_BYTES;
    return wait_for_slot(dev, &dev->slots[*slot]);
}

static wg_cu_result mark_slot(wg_device *dev, wg_cuda_slot *s) {
    s->busy = true;
    wg_cu_result code = dev->cu->cuEventRecord(s->done, dev->copy);
    s->marked = code == WG_CU_SUCCESS;
    return code;
}

static size_t piece(size_t left) { return left < WG_CUDA_SLOT_BYTES ? left : WG_CUDA_SLOT_BYTES; }

wg_status wg_cuda_write(wg_device *dev, const wg_mem *mem, size_t offset, const void *src, size_t bytes, wg_err *err) {
    wg_cuda_mem *m = mem->handle;
    wg_status status = wg_cuda_enter(dev, WG_ERR_TRANSFER, err);
    if (status || bytes == 0) {
        return status;
    }
    wg_cu_result code = before_copy(dev, m);
    m->arrived = ++dev->copied;
    for (size_t at = 0; at < bytes && code == WG_CU_SUCCESS; at += WG_CUDA_SLOT_BYTES) {
        int slot;
        char *staged;
        size_t n = piece(bytes - at);
        code = take_slot(dev, &slot, &staged);
        if (code == WG_CU_SUCCESS) {
            memcpy(staged, (const char *)src + at, n);
            code = dev->cu->cuMemcpyHtoDAsync_v2(m->pointer + offset + at, staged, n, dev->copy);
        }
        code = code == WG_CU_SUCCESS ? mark_slot(dev, &dev->slots[slot]) : code;
    }
    return code == WG_CU_SUCCESS ? WG_OK : wg_cuda_fail(dev, err, WG_ERR_TRANSFER, code, "writing to the device");
}

/* Two pieces are under way at a time: one crosses while the other is taken out. */
wg_status wg_cuda_read(wg_device *dev, const wg_mem *mem, size_t offset, void *dst, size_t bytes, wg_err *err) {
    const wg_cuda_mem *m = mem->handle;
    wg_status status = wg_cuda_enter(dev, WG_ERR_TRANSFER, err);
    if (status || bytes == 0) {
        return status;
    }
    uint64_t launched = m->used > dev->finished ? dev->launched : dev->finished;
    wg_cu_result code = before_copy(dev, m);
    int slot = 0, last_slot = 0;
    char *staged = NULL, *last = NULL;
    for (size_t at = 0; code == WG_CU_SUCCESS; at += WG_CUDA_SLOT_BYTES) {
        if (at < bytes) {
            code = take_slot(dev, &slot, &staged);
            code = code ? code
                        : dev->cu->cuMemcpyDtoHAsync_v2(staged, m->pointer + offset + at, piece(bytes - at), dev->copy);
            code = code ? code : mark_slot(dev, &dev->slots[slot]);
        }
        if (code == WG_CU_SUCCESS && last) {
            size_t from = at - WG_CUDA_SLOT_BYTES;
            code = wait_for_slot(dev, &dev->slots[last_slot]);
            if (code == WG_CU_SUCCESS) {
                memcpy((char *)dst + from, last, piece(bytes - from));
            }
        }
        if (at >= bytes) {
            break;
        }
        last = staged;
        last_slot = slot;
    }
    if (code != WG_CU_SUCCESS) {
        return wg_cuda_fail(dev, err, WG_ERR_TRANSFER, code, "reading from the device");
    }
    dev->finished = launched;
    return WG_OK;
}
