/* The driver itself: versions, devices, primary contexts, names of errors. */
#include "double.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

cd_context cd_contexts[CD_MOST_DEVICES];
cd_arena cd_pinned;

static struct {
    pid_t pid; /* of the process that called cuInit, 0: none */
    int ndevices;
    size_t memory;
} st;

static const size_t ADDRESSES = (size_t)1 << 37; /* of a device: nothing is used twice */

static _Thread_local cd_context *current;

bool cd_not_here(void) { return st.pid == 0 || getpid() != st.pid; }
int cd_arch(void) { return atoi(cd_setting("WENGERT_DOUBLE_ARCH", "80")); }
int cd_driver_version(void) { return atoi(cd_setting("WENGERT_DOUBLE_DRIVER", "13000")); }
cd_context *cd_current(void) { return current && current->retained > 0 ? current : NULL; }

CUresult cuInit(unsigned int flags) {
    CD_ENTER(CD_NEEDS_NOTHING);
    if (flags != 0) {
        return cd_refuse(CUDA_ERROR_INVALID_VALUE, "flags must be 0");
    }
    if (!cd_not_here()) {
        return CUDA_SUCCESS;
    }
    if (st.pid != 0) {
        return cd_refuse(CUDA_ERROR_NOT_INITIALIZED, "in a forked child of a process that used CUDA");
    }
    st.ndevices = atoi(cd_setting("WENGERT_DOUBLE_DEVICES", "2"));
    st.memory = strtoull(cd_setting("WENGERT_DOUBLE_MEMORY", "4294967296"), NULL, 10);
    if (st.ndevices < 1 || st.ndevices > CD_MOST_DEVICES || !cd_opencl_open()) {
        return cd_refuse(CUDA_ERROR_NO_DEVICE, "no OpenCL device to run on");
    }
    cd_run_open();
    st.pid = getpid();
    return CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int *version) {
    CD_ENTER(CD_NEEDS_NOTHING);
    *version = cd_driver_version();
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *count) {
    CD_ENTER(CD_NEEDS_INIT);
    *count = st.ndevices;
    return CUDA_SUCCESS;
}

static bool is_device(CUdevice device) { return device >= 0 && device < st.ndevices; }

CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    CD_ENTER(CD_NEEDS_INIT);
    if (!is_device(ordinal)) {
        return cd_refuse(CUDA_ERROR_INVALID_DEVICE, "there is no device %d", ordinal);
    }
    *device = ordinal;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char *name, int len, CUdevice device) {
    CD_ENTER(CD_NEEDS_INIT);
    if (!is_device(device) || len < 1) {
        return cd_refuse(CUDA_ERROR_INVALID_DEVICE, "there is no device %d", device);
    }
    snprintf(name, (size_t)len, "CUDA double on POCL %d", device);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device) {
    CD_ENTER(CD_NEEDS_INIT);
    if (!is_device(device)) {
        return cd_refuse(CUDA_ERROR_INVALID_DEVICE, "there is no device %d", device);
    }
    memset(uuid, 0xcd, sizeof *uuid);
    uuid->bytes[15] = (char)device;
    return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem(size_t *bytes, CUdevice device) {
    CD_ENTER(CD_NEEDS_INIT);
    if (!is_device(device)) {
        return cd_refuse(CUDA_ERROR_INVALID_DEVICE, "there is no device %d", device);
    }
    *bytes = st.memory;
    return CUDA_SUCCESS;
}

/* As an A100 has them. */
CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
    CD_ENTER(CD_NEEDS_INIT);
    if (!is_device(device)) {
        return cd_refuse(CUDA_ERROR_INVALID_DEVICE, "there is no device %d", device);
    }
    static const struct {
        CUdevice_attribute attribute;
        int value;
    } known[] = {
        {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 1024},
        {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, 1024},
        {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, 1024},
        {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, 64},
        {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, 2147483647},
        {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, 65535},
        {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, 65535},
        {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, 49152},
        {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 166912},
        {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, 167936},
        {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK, 65536},
        {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR, 65536},
        {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, 2048},
        {CU_DEVICE_ATTRIBUTE_WARP_SIZE, 32},
        {CU_DEVICE_ATTRIBUTE_CLOCK_RATE, 1410000},
        {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 108},
        {CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, 41943040},
        {CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE, 1215000},
        {CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, 5120},
        {CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT, 3},
        {CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS, 1},
        {CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, 1},
        {CU_DEVICE_ATTRIBUTE_COMPUTE_MODE, CU_COMPUTEMODE_DEFAULT},
        {CU_DEVICE_ATTRIBUTE_INTEGRATED, 0},
        {CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY, 1},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].attribute == attribute) {
            *value = known[i].value;
            return CUDA_SUCCESS;
        }
    }
    if (attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) {
        *value = cd_arch() / 10;
    } else if (attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR) {
        *value = cd_arch() % 10;
    } else if (attribute == CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED) {
        *value = atoi(cd_setting("WENGERT_DOUBLE_POOLS", "1"));
    } else {
        return cd_refuse(CUDA_ERROR_INVALID_VALUE, "the double does not know attribute %d", (int)attribute);
    }
    return CUDA_SUCCESS;
}

/* ---- contexts ---------------------------------------------------------------------------------------------------------- */

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    CD_ENTER(CD_NEEDS_INIT);
    if (!is_device(device)) {
        return cd_refuse(CUDA_ERROR_INVALID_DEVICE, "there is no device %d", device);
    }
    cd_context *c = &cd_contexts[device];
    if (c->retained == 0) {
        if (!cd_arena_open(&c->arena, ADDRESSES, st.memory, true)) {
            return cd_refuse(CUDA_ERROR_OUT_OF_MEMORY, "no room for the device's addresses");
        }
        c->device = device;
        c->handle = cd_handle_new(CD_CONTEXT, c);
        c->legacy = cd_stream_new(c, true, true);
    }
    c->retained++;
    *context = c->handle;
    return CUDA_SUCCESS;
}

/* Whatever lives in the context ends with it. */
static void end_all_in(cd_context *c) {
    cd_arena *const arenas[] = {&c->arena, &cd_pinned};
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < arenas[k]->n; i++) {
            cd_alloc *a = &arenas[k]->allocs[i];
            if (a->live || a->promised) {
                cd_count(k == 0 ? CD_ALLOCATION : CD_PINNED, a->doomed ? 0 : -1);
                cd_alloc_end(arenas[k], a);
            }
        }
    }
    cd_handles_end(c);
    while (c->streams) {
        cd_stream_drop(c->streams);
    }
    c->legacy = NULL;
}

static void drop_default_streams(cd_context *c) {
    for (cd_stream *s = c->streams, *next; s; s = next) {
        next = s->next;
        if (!s->handle) {
            cd_stream_drop(s);
        }
    }
    c->legacy = NULL;
}

/* A program that could release what it made has to. After an error that sticks it cannot: the context's end must do. */
CUresult cuDevicePrimaryCtxRelease(CUdevice device) {
    CD_ENTER(CD_NEEDS_INIT | CD_RELEASES);
    if (!is_device(device) || cd_contexts[device].retained == 0) {
        return cd_refuse(CUDA_ERROR_INVALID_CONTEXT, "released more often than retained");
    }
    cd_context *c = &cd_contexts[device];
    if (c->retained == 1) {
        cd_drain_context(c);
        cd_handle_end(CD_CONTEXT, c->handle);
        if (cd_sticky()) {
            end_all_in(c);
        } else {
            drop_default_streams(c);
        }
    }
    c->retained--;
    return CD_LATE;
}

CUresult cuCtxSetCurrent(CUcontext context) {
    CD_ENTER(CD_NEEDS_INIT);
    cd_context *c = context ? cd_handle_get(CD_CONTEXT, context) : NULL;
    if (context && !c) {
        return cd_refuse(CUDA_ERROR_INVALID_CONTEXT, "no such context");
    }
    current = c;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext *context) {
    CD_ENTER(CD_NEEDS_INIT);
    *context = cd_current() ? cd_current()->handle : NULL;
    return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize(void) {
    CD_ENTER(CD_NEEDS_CONTEXT | CD_UNSAFE);
    cd_drain_context(cd_current());
    return cd_sticky();
}

void cd_contexts_forget(void) {
    for (int i = 0; i < CD_MOST_DEVICES; i++) {
        if (cd_contexts[i].retained > 0) {
            end_all_in(&cd_contexts[i]);
            cd_contexts[i].retained = 0;
        }
    }
}

/* ---- errors ------------------------------------------------------------------------------------------------------------ */

static const struct {
    CUresult code;
    const char *name, *text;
} errors[] = {
#define E(code, text)                                                                                                  \
    { code, #code, text }
    E(CUDA_SUCCESS, "no error"),
    E(CUDA_ERROR_INVALID_VALUE, "invalid argument"),
    E(CUDA_ERROR_OUT_OF_MEMORY, "out of memory"),
    E(CUDA_ERROR_NOT_INITIALIZED, "initialization error"),
    E(CUDA_ERROR_DEINITIALIZED, "driver shutting down"),
    E(CUDA_ERROR_STUB_LIBRARY, "CUDA driver is a stub library"),
    E(CUDA_ERROR_NO_DEVICE, "no CUDA-capable device is detected"),
    E(CUDA_ERROR_INVALID_DEVICE, "invalid device ordinal"),
    E(CUDA_ERROR_INVALID_IMAGE, "device kernel image is invalid"),
    E(CUDA_ERROR_INVALID_CONTEXT, "invalid device context"),
    E(CUDA_ERROR_NO_BINARY_FOR_GPU, "no kernel image is available for execution on the device"),
    E(CUDA_ERROR_ECC_UNCORRECTABLE, "uncorrectable ECC error encountered"),
    E(CUDA_ERROR_INVALID_PTX, "a PTX JIT compilation failed"),
    E(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, "the provided PTX was compiled with an unsupported toolchain"),
    E(CUDA_ERROR_OPERATING_SYSTEM, "OS call failed or operation not supported on this OS"),
    E(CUDA_ERROR_INVALID_HANDLE, "invalid resource handle"),
    E(CUDA_ERROR_ILLEGAL_STATE, "the operation cannot be performed in the present state"),
    E(CUDA_ERROR_NOT_FOUND, "named symbol not found"),
    E(CUDA_ERROR_NOT_READY, "device not ready"),
    E(CUDA_ERROR_ILLEGAL_ADDRESS, "an illegal memory access was encountered"),
    E(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "too many resources requested for launch"),
    E(CUDA_ERROR_LAUNCH_TIMEOUT, "the launch timed out and was terminated"),
    E(CUDA_ERROR_CONTEXT_IS_DESTROYED, "context is destroyed"),
    E(CUDA_ERROR_ILLEGAL_INSTRUCTION, "an illegal instruction was encountered"),
    E(CUDA_ERROR_MISALIGNED_ADDRESS, "misaligned address"),
    E(CUDA_ERROR_LAUNCH_FAILED, "unspecified launch failure"),
    E(CUDA_ERROR_NOT_SUPPORTED, "operation not supported"),
    E(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "operation not permitted when stream is capturing"),
    E(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "operation failed due to a previous error during capture"),
    E(CUDA_ERROR_STREAM_CAPTURE_MERGE, "operation would result in a merge of separate capture sequences"),
    E(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "capture was not ended in the same stream as it began"),
    E(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, "capturing stream has unjoined work"),
    E(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "dependency created on uncaptured work in another stream"),
    E(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT,
      "operation would make the legacy stream depend on a capturing blocking stream"),
    E(CUDA_ERROR_CAPTURED_EVENT, "operation not permitted on an event last recorded in a capturing stream"),
    E(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD,
      "attempt to terminate a thread-local capture sequence from another thread"),
    E(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, "the graph update was not performed because it included changes which "
                                            "violated constraints specific to instantiated graph update"),
    E(CUDA_ERROR_UNKNOWN, "unknown error"),
#undef E
};

CUresult cuGetErrorName(CUresult error, const char **out) {
    CD_ENTER(CD_NEEDS_NOTHING);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        if (errors[i].code == error) {
            *out = errors[i].name;
            return CUDA_SUCCESS;
        }
    }
    *out = NULL;
    return cd_refuse(CUDA_ERROR_INVALID_VALUE, "there is no error %d", (int)error);
}

CUresult cuGetErrorString(CUresult error, const char **out) {
    CD_ENTER(CD_NEEDS_NOTHING);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        if (errors[i].code == error) {
            *out = errors[i].text;
            return CUDA_SUCCESS;
        }
    }
    *out = NULL;
    return cd_refuse(CUDA_ERROR_INVALID_VALUE, "there is no error %d", (int)error);
}
