/* Error codes of the driver: their names, the wg_status they mean, and those that end a device. */
#include "cuda/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

const char *wg_cu_error_name(const wg_cu_api *cu, wg_cu_result code) {
    const char *name = NULL;
    return cu->cuGetErrorName(code, &name) == WG_CU_SUCCESS && name ? name : "an unknown error";
}

bool wg_cu_is_fatal(wg_cu_result code) {
    return code == WG_CU_DEINITIALIZED || code == WG_CU_ECC_UNCORRECTABLE || code == WG_CU_NVLINK_UNCORRECTABLE ||
           code == WG_CU_CONTAINED || code == WG_CU_ILLEGAL_ADDRESS || code == WG_CU_LAUNCH_TIMEOUT ||
           code == WG_CU_CONTEXT_IS_DESTROYED || code == WG_CU_ASSERT ||
           (code >= WG_CU_HARDWARE_STACK_ERROR && code <= WG_CU_LAUNCH_FAILED) || code == WG_CU_TENSOR_MEMORY_LEAK ||
           code == WG_CU_EXTERNAL_DEVICE || code == WG_CU_UNKNOWN;
}

/* Kernels run behind the host's back: a fatal error belongs to one of those not yet known to be done. */
static void lose(wg_device *dev, wg_cu_result code, const char *what) {
    uint64_t open = dev->launched - dev->finished;
    int n = snprintf(dev->lost, sizeof dev->lost, "%s: %s (%u): the device is lost to this process", what,
                     wg_cu_error_name(dev->cu, code), code);
    char *rest = dev->lost + n;
    size_t room = n > 0 && (size_t)n < sizeof dev->lost ? sizeof dev->lost - (size_t)n : 0;
    if (room && open == 1) {
        snprintf(rest, room, "; it was running %s (%s)", dev->last_kernel, dev->last_ops);
    } else if (room && open > 1) {
        snprintf(rest, room,
                 "; it had %" PRIu64 " kernels to run, the last one %s (%s); WENGERT_CUDA_SYNC=1 finds the one", open,
                 dev->last_kernel, dev->last_ops);
    }
}

wg_status wg_cuda_fail(wg_device *dev, wg_err *err, wg_status status, wg_cu_result code, const char *what) {
    if (code == WG_CU_OUT_OF_MEMORY) {
        status = WG_ERR_DEVICE_MEM;
    }
    if (wg_cu_is_fatal(code)) {
        if (!*dev->lost) {
            lose(dev, code, what);
        }
        return wg_err_set(err, status, "%s", dev->lost);
    }
    return wg_err_set(err, status, "%s: %s (%u)", what, wg_cu_error_name(dev->cu, code), code);
}

wg_status wg_cuda_enter(wg_device *dev, wg_status status, wg_err *err) {
    if (*dev->lost) {
        return wg_err_set(err, status, "%s", dev->lost);
    }
    wg_cu_result code = dev->cu->cuCtxSetCurrent(dev->context);
    return code == WG_CU_SUCCESS ? WG_OK : wg_cuda_fail(dev, err, status, code, "cuCtxSetCurrent");
}

bool wg_cuda_enter_to_release(wg_device *dev) {
    if (getpid() != dev->pid || *dev->lost) {
        return false;
    }
    dev->cu->cuCtxSetCurrent(dev->context); /* if that fails, it most likely is current from before */
    return true;
}
