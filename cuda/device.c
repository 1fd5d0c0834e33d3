/* Opens a device: the primary context, streams, compiler and cuBLAS, limits. And the vtable itself. */
#include "base/alloc.h"
#include "cuda/internal.h"
#include "kernels/texts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int attribute(const wg_device *dev, unsigned what, int otherwise) {
    int value = 0;
    return dev->cu->cuDeviceGetAttribute(&value, what, dev->id) == WG_CU_SUCCESS && value > 0 ? value : otherwise;
}

static void fill_limits(wg_device *dev, const wg_cuda_found *found) {
    wg_limits *l = &dev->limits;
    int version = wg_cu_version(), blas = 0;
    char product[64] = "own matmul";
    if (dev->blas && dev->blas->cublasGetVersion_v2(dev->blas_handle, &blas) == 0) {
        snprintf(product, sizeof product, "cuBLAS %d.%d%s", blas / 10000, blas % 10000 / 100,
                 dev->lt ? " with cuBLASLt" : "");
    }
    snprintf(l->name, sizeof l->name, "%.100s, sm_%d%d, driver of CUDA %d.%d, NVRTC %d.%d, %s", found->name,
             found->major, found->minor, version / 1000, version % 1000 / 10, dev->target.major, dev->target.minor,
             product);
    l->form = WG_SIMT;
    l->language = WG_CUDA_CPP;
    l->compute_units = found->multiprocessors;
    l->native_floats = 1;
    l->cache_bytes = (size_t)attribute(dev, WG_CU_L2_CACHE_SIZE, 1 << 20);
    l->max_alloc = found->bytes;
    l->max_param_bytes = 4096; /* of all arguments, for drivers and devices of any age */
    l->local_bytes = (size_t)attribute(dev, WG_CU_MAX_SHARED_MEMORY_PER_BLOCK, 48 << 10);
    for (unsigned i = 0; i < 3; i++) {
        l->max_groups[i] = attribute(dev, WG_CU_MAX_GRID_DIM_X + i, 65535);
    }
    l->has_f64 = true;
    l->ordered_groups = true;
    l->gemm_library = dev->blas != NULL;
    if (dev->lt) {
        l->epilogues = WG_EPILOGUE_ADDEND | WG_EPILOGUE_BIAS | WG_EPILOGUE_RELU | WG_EPILOGUE_GELU_TANH |
                       WG_EPILOGUE_GELU_INPUT | WG_EPILOGUE_GELU_GRAD;
    }
    dev->pools = attribute(dev, WG_CU_MEMORY_POOLS_SUPPORTED, 0) != 0;
}

static void close_device(wg_device *dev) {
    if (getpid() == dev->pid) {
        dev->cu->cuCtxSetCurrent(dev->context); /* a lost device too gives back what it can */
        if (dev->main) {
            dev->cu->cuStreamSynchronize(dev->main);
        }
        if (dev->copy) {
            dev->cu->cuStreamSynchronize(dev->copy);
        }
        for (int i = 0; i < WG_MAX_QUEUES - 1; i++) {
            if (dev->beside[i]) {
                dev->cu->cuStreamSynchronize(dev->beside[i]);
            }
        }
        wg_cuda_close_timing(dev);
        wg_cuda_close_blas(dev);
        wg_cuda_close_transfers(dev);
        wg_cuda_forget_marks(dev);
        for (int i = 0; i < WG_MAX_QUEUES - 1; i++) {
            if (dev->beside[i]) {
                dev->cu->cuStreamDestroy_v2(dev->beside[i]);
            }
        }
        if (dev->main) {
            dev->cu->cuStreamDestroy_v2(dev->main);
        }
        if (dev->copy) {
            dev->cu->cuStreamDestroy_v2(dev->copy);
        }
        if (dev->context) {
            dev->cu->cuDevicePrimaryCtxRelease_v2(dev->id);
        }
    }
    wg_mem_free(dev->marks); /* this and the next: a forked child's */
    wg_mem_free(dev->times.launches);
    wg_mem_free(dev->shapes);
    wg_str_free(&dev->cache_dir);
    wg_mem_free(dev);
}

static wg_status start(wg_device *dev, const wg_cuda_found *found, wg_err *err) {
    const wg_cu_api *cu = dev->cu;
    wg_status status = wg_cuda_target_of(found, &dev->target, err);
    if (status) {
        return status;
    }
    wg_cu_result code = cu->cuDevicePrimaryCtxRetain(&dev->context, dev->id);
    dev->context = code == WG_CU_SUCCESS ? dev->context : NULL;
    code = code ? code : cu->cuCtxSetCurrent(dev->context);
    wg_cu_stream *const streams[] = {&dev->main, &dev->copy, &dev->beside[0], &dev->beside[1], &dev->beside[2]};
    dev->limits.queues = wg_queues_wanted(WG_MAX_QUEUES);
    for (int i = 0; i < dev->limits.queues + 1 && code == WG_CU_SUCCESS; i++) {
        code = cu->cuStreamCreate(streams[i], WG_CU_STREAM_NON_BLOCKING);
        *streams[i] = code == WG_CU_SUCCESS ? *streams[i] : NULL;
    }
    if (code != WG_CU_SUCCESS) {
        return wg_err_set(err, WG_ERR_NO_DEVICE, "opening %s: %s (%u)", found->name, wg_cu_error_name(cu, code), code);
    }
    wg_cuda_open_blas(dev);
    fill_limits(dev, found);
    return wg_cuda_open_transfers(dev, err);
}

static wg_status open_device(const char *selector, wg_device **out, wg_err *err) {
    const wg_cu_api *cu = wg_cu_load(err);
    wg_cuda_list list;
    if (!cu || wg_cuda_find(cu, &list, err)) {
        return WG_ERR_NO_DEVICE;
    }
    const wg_cuda_found *found = wg_cuda_select(&list, selector, err);
    wg_device *dev = found ? wg_mem_zalloc(sizeof *dev) : NULL;
    if (!dev) {
        return found ? wg_err_set(err, WG_ERR_NOMEM, "opening %s: out of host memory", found->name) : WG_ERR_NO_DEVICE;
    }
    dev->cu = cu;
    dev->id = found->id;
    dev->pid = getpid();
    const char *sync = getenv("WENGERT_CUDA_SYNC");
    dev->sync_always = sync && *sync && strcmp(sync, "0") != 0;
    if (!wg_cuda_cache_dir(&dev->cache_dir)) {
        wg_str_free(&dev->cache_dir);
    }
    wg_status status = start(dev, found, err);
    if (status) {
        close_device(dev);
        return status == WG_ERR_NOMEM ? status : WG_ERR_NO_DEVICE;
    }
    *out = dev;
    return WG_OK;
}

/* ---- wengert-info ------------------------------------------------------------------------------------------------------- */

/* What cuBLAS is followed by. */
static void list_lt(wg_str *text) {
    wg_err err = {0};
    if (wg_cuda_wants_lt()) {
        bool there = wg_lt_load(&err) != NULL;
        wg_str_addf(text, there ? " with cuBLASLt" : ", what follows products by kernels of our own: %s",
                    wg_err_text(&err));
    }
    wg_err_clear(&err);
}

static void list_one(const wg_cuda_found *d, size_t number, void (*line)(const char *text, void *user), void *user) {
    wg_err err = {0};
    wg_cuda_target target;
    wg_str text = {0};
    wg_str_addf(&text, "cuda:%zu: %s (sm_%d%d, %d multiprocessors, %.1f GiB), driver of CUDA %d.%d, ", number, d->name,
                d->major, d->minor, d->multiprocessors, (double)d->bytes / (1 << 30), wg_cu_version() / 1000,
                wg_cu_version() % 1000 / 10);
    if (wg_cuda_target_of(d, &target, &err)) {
        wg_str_addf(&text, "cannot be used: %s", wg_err_text(&err));
    } else {
        wg_str_addf(&text, "NVRTC %d.%d%s, ", target.major, target.minor,
                    target.ptx ? " (too old for it: the driver translates PTX)" : "");
        if (!wg_cuda_wants_blas()) {
            wg_str_add(&text, "matmul by kernels of our own (WENGERT_CUBLAS=0)");
        } else if (wg_blas_load(&err)) {
            wg_str_add(&text, "cuBLAS");
            list_lt(&text);
        } else {
            wg_str_addf(&text, "matmul by kernels of our own: %s", wg_err_text(&err));
        }
    }
    line(wg_str_text(&text), user);
    wg_str_free(&text);
    wg_err_clear(&err);
}

static void list_devices(void (*line)(const char *text, void *user), void *user) {
    wg_err err = {0};
    wg_cuda_list list;
    const wg_cu_api *cu = wg_cu_load(&err);
    if (!cu || wg_cuda_find(cu, &list, &err)) {
        wg_str text = {0};
        wg_str_addf(&text, "cuda: %s", wg_err_text(&err));
        line(wg_str_text(&text), user);
        wg_str_free(&text);
        wg_err_clear(&err);
        return;
    }
    for (size_t i = 0; i < list.n; i++) {
        list_one(&list.found[i], i, line, user);
    }
}

static const wg_limits *limits(const wg_device *dev) { return &dev->limits; }

static const char *prelude(const wg_device *dev) {
    (void)dev;
    return wg_text_prelude_cuda;
}

const wg_backend wg_backend_cuda = {
    .name = "cuda",
    .list = list_devices,
    .open = open_device,
    .close = close_device,
    .limits = limits,
    .alloc = wg_cuda_alloc,
    .free = wg_cuda_free,
    .write = wg_cuda_write,
    .read = wg_cuda_read,
    .build = wg_cuda_build,
    .unbuild = wg_cuda_unbuild,
    .prelude = prelude,
    .launch = wg_cuda_launch,
    .sync = wg_cuda_sync,
    .mark = wg_cuda_mark,
    .wait = wg_cuda_wait,
    .timing = wg_cuda_timing,
    .times = wg_cuda_times_of,
    .plan_begin = wg_cuda_plan_begin,
    .plan_end = wg_cuda_plan_end,
    .plan_drop = wg_cuda_plan_drop,
    .gemm_takes = wg_cuda_gemm_takes,
    .gemm = wg_cuda_gemm,
};
