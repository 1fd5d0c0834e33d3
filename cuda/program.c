/* Programs: one text, many kernels; from the cache on disk, or compiled and put there. */
#include "base/alloc.h"
#include "cuda/internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <wengert/version.h>

struct wg_program {
    wg_cu_module module;
    size_t n;
    wg_kernel kernels[];
};

/* All that the image depends on. */
static void cache_key(const wg_device *dev, const char *text, wg_str *key) {
    const wg_cuda_target *t = &dev->target;
    wg_str_addf(key, "wengert %s\nnvrtc %d.%d\n%s\n", WG_VERSION_STRING, t->major, t->minor, t->options);
    wg_str_add(key, text);
}

static wg_status load(wg_device *dev, const char *image, wg_cu_module *module, wg_err *err) {
    wg_cu_result code = dev->cu->cuModuleLoadData(module, image);
    if (code == WG_CU_SUCCESS) {
        return WG_OK;
    }
    *module = NULL;
    if (code == WG_CU_UNSUPPORTED_PTX_VERSION || code == WG_CU_INVALID_IMAGE || code == WG_CU_NO_BINARY_FOR_GPU) {
        int version = wg_cu_version();
        return wg_err_set(
            err, WG_ERR_BUILD,
            "the driver refuses what NVRTC %d.%d made: %s (%u); it is of CUDA %d.%d: update it, or name an "
            "older NVRTC in WENGERT_LIBNVRTC",
            dev->target.major, dev->target.minor, wg_cu_error_name(dev->cu, code), code, version / 1000,
            version % 1000 / 10);
    }
    return wg_cuda_fail(dev, err, WG_ERR_BUILD, code, "cuModuleLoadData");
}

/* A cached image that the driver refuses (its kind of damage) is compiled again. */
static wg_status load_or_compile(wg_device *dev, const char *text, wg_cu_module *module, wg_err *err) {
    wg_str key = {0};
    bool cached = dev->cache_dir.len > 0;
    if (cached) {
        cache_key(dev, text, &key);
        cached = !key.failed;
    }
    size_t bytes = 0;
    char *image = cached ? wg_cuda_cache_get(dev->cache_dir.data, key.data, key.len, &bytes) : NULL;
    bool found = image && load(dev, image, module, NULL) == WG_OK;
    wg_mem_free(image);
    image = NULL;
    wg_status status = WG_OK;
    if (!found) {
        status = *dev->lost ? wg_err_set(err, WG_ERR_BUILD, "%s", dev->lost)
                            : wg_cuda_compile(&dev->target, text, &image, &bytes, err);
        status = status ? status : load(dev, image, module, err);
        if (status == WG_OK && cached) {
            wg_cuda_cache_put(dev->cache_dir.data, key.data, key.len, image, bytes);
        }
        wg_mem_free(image);
    }
    wg_str_free(&key);
    return status;
}

static wg_status find_kernel(wg_device *dev, wg_program *p, const char *name, wg_kernel *k, wg_err *err) {
    snprintf(k->name, sizeof k->name, "%s", name);
    wg_cu_result code = dev->cu->cuModuleGetFunction(&k->function, p->module, name);
    if (code == WG_CU_SUCCESS) {
        code = dev->cu->cuFuncGetAttribute(&k->max_threads, WG_CU_FUNC_MAX_THREADS_PER_BLOCK, k->function);
    }
    if (code == WG_CU_SUCCESS) {
        return WG_OK;
    }
    char what[128];
    snprintf(what, sizeof what, "kernel '%s' of a program", name);
    return wg_cuda_fail(dev, err, WG_ERR_BUILD, code, what);
}

void wg_cuda_unbuild(wg_device *dev, wg_program *p) {
    if (p && p->module && wg_cuda_enter_to_release(dev)) {
        dev->cu->cuModuleUnload(p->module);
    }
    wg_mem_free(p);
}

wg_status wg_cuda_build(wg_device *dev, wg_queue queue, const char *text, const char *const *names, size_t n,
                        wg_program **program, wg_kernel **kernels, wg_err *err) {
    if (queue != WG_QUEUE_MAIN) {
        return wg_err_set(err, WG_ERR_UNSUPPORTED, "%s has no inline queue", dev->limits.name);
    }
    wg_status status = wg_cuda_enter(dev, WG_ERR_BUILD, err);
    if (status) {
        return status;
    }
    wg_program *p = wg_mem_zalloc(sizeof *p + n * sizeof *p->kernels);
    if (!p) {
        return wg_err_set(err, WG_ERR_NOMEM, "building a program: out of host memory");
    }
    p->n = n;
    status = load_or_compile(dev, text, &p->module, err);
    for (size_t i = 0; i < n && status == WG_OK; i++) {
        status = find_kernel(dev, p, names[i], &p->kernels[i], err);
        kernels[i] = &p->kernels[i];
    }
    if (status) {
        wg_cuda_unbuild(dev, p);
        return status;
    }
    *program = p;
    return WG_OK;
}
