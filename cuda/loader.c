/* dlopen of the driver, NVRTC, cuBLAS and cuBLASLt. */
#include "cuda/loader.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME(name, arguments) #name,
const char *const wg_cu_names[] = {WG_CU_FUNCTIONS(NAME)};
const char *const wg_rtc_names[] = {WG_RTC_FUNCTIONS(NAME)};
const char *const wg_blas_names[] = {WG_BLAS_FUNCTIONS(NAME)};
const char *const wg_lt_names[] = {WG_LT_FUNCTIONS(NAME)};
#undef NAME
const size_t wg_cu_count = sizeof wg_cu_names / sizeof *wg_cu_names;
const size_t wg_rtc_count = sizeof wg_rtc_names / sizeof *wg_rtc_names;
const size_t wg_blas_count = sizeof wg_blas_names / sizeof *wg_blas_names;
const size_t wg_lt_count = sizeof wg_lt_names / sizeof *wg_lt_names;

bool wg_cuda_resolve(const char *library, const char *const *names, size_t n, void *table, char *why, size_t cap) {
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char *reason = dlerror();
        snprintf(why, cap, "%s", reason ? reason : library);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        void *f = dlsym(handle, names[i]);
        if (!f) {
            snprintf(why, cap, "%s has no %s", library, names[i]);
            return false;
        }
        memcpy((char *)table + i * sizeof f, &f, sizeof f);
    }
    return true;
}

/* ---- the driver -------------------------------------------------------------------------------------------------------- */

static struct {
    pthread_once_t once;
    wg_cu_api api;
    bool usable;
    int version;
    pid_t pid; /* a child cannot use what its parent started */
    char why[768];
} driver = {.once = PTHREAD_ONCE_INIT};

static bool start_driver(const char *library) {
    wg_cu_result code = driver.api.cuInit(0);
    if (code == WG_CU_STUB_LIBRARY) {
        snprintf(driver.why, sizeof driver.why, "%s is the toolkit's link stub, not an NVIDIA driver", library);
    } else if (code == WG_CU_NO_DEVICE) {
        snprintf(driver.why, sizeof driver.why, "the NVIDIA driver is installed, but finds no device");
    } else if (code != WG_CU_SUCCESS) {
        const char *name = NULL;
        driver.api.cuGetErrorName(code, &name);
        snprintf(driver.why, sizeof driver.why, "the NVIDIA driver does not start: cuInit: %s (%u)",
                 name ? name : "an unknown error", code);
    } else if ((code = driver.api.cuDriverGetVersion(&driver.version)) != WG_CU_SUCCESS) {
        snprintf(driver.why, sizeof driver.why, "the NVIDIA driver does not tell its version: error %u", code);
    } else if (driver.version < WG_CU_OLDEST) {
        snprintf(driver.why, sizeof driver.why, "the NVIDIA driver is of CUDA %d.%d; Wengert needs %d.%d or later",
                 driver.version / 1000, driver.version % 1000 / 10, WG_CU_OLDEST / 1000, WG_CU_OLDEST % 1000 / 10);
    }
    return code == WG_CU_SUCCESS && driver.version >= WG_CU_OLDEST;
}

static void load_driver(void) {
    const char *library = getenv("WENGERT_LIBCUDA");
    char why[512];
    driver.pid = getpid();
    library = library && *library ? library : "libcuda.so.1";
    if (wg_cuda_resolve(library, wg_cu_names, wg_cu_count, &driver.api, why, sizeof why)) {
        driver.usable = start_driver(library);
    } else if (strstr(why, " has no ")) {
        snprintf(driver.why, sizeof driver.why, "%s: not a driver of CUDA %d.%d or later", why, WG_CU_OLDEST / 1000,
                 WG_CU_OLDEST % 1000 / 10);
    } else {
        snprintf(driver.why, sizeof driver.why, "no NVIDIA driver: %s", why);
    }
}

const wg_cu_api *wg_cu_load(wg_err *err) {
    pthread_once(&driver.once, load_driver);
    if (!driver.usable) {
        wg_err_set(err, WG_ERR_NO_DEVICE, "%s", driver.why);
        return NULL;
    }
    if (getpid() != driver.pid) {
        wg_err_set(err, WG_ERR_NO_DEVICE, "CUDA was started before fork(), and works in the parent process alone");
        return NULL;
    }
    return &driver.api;
}

int wg_cu_version(void) { return driver.version; }

/* ---- NVRTC, cuBLAS and cuBLASLt ----------------------------------------------------------------------------------------- */

/* Where the loader looks, then the toolkit's usual place. A library newer than the driver makes code that the driver may
 * refuse, so that of the driver's own generation comes first. */
static bool load_library(const char *variable, const char *stem, const char *const *names, size_t n, void *table,
                         char *why, size_t cap) {
    static const char *const folders[] = {"", "/usr/local/cuda/lib64/"};
    const char *library = getenv(variable);
    if (library && *library) {
        return wg_cuda_resolve(library, names, n, table, why, cap);
    }
    bool old = driver.version < 13000;
    char path[128], reason[512] = "";
    for (int generation = 0; generation < 2; generation++) {
        for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
            snprintf(path, sizeof path, "%s%s.so.%d", folders[i], stem, (generation == 0) == old ? 12 : 13);
            bool first = generation == 0 && i == 0;
            if (wg_cuda_resolve(path, names, n, table, first ? why : reason, first ? cap : sizeof reason)) {
                return true;
            }
        }
    }
    return false;
}

static struct {
    pthread_once_t once;
    wg_rtc_api api;
    bool usable;
    char why[512];
} nvrtc = {.once = PTHREAD_ONCE_INIT};

static void load_nvrtc(void) {
    nvrtc.usable = load_library("WENGERT_LIBNVRTC", "libnvrtc", wg_rtc_names, wg_rtc_count, &nvrtc.api, nvrtc.why,
                                sizeof nvrtc.why);
}

const wg_rtc_api *wg_rtc_load(wg_err *err) {
    pthread_once(&nvrtc.once, load_nvrtc);
    if (!nvrtc.usable) {
        wg_err_set(err, WG_ERR_NO_DEVICE, "no NVRTC to compile kernels with: %s", nvrtc.why);
        return NULL;
    }
    return &nvrtc.api;
}

static struct {
    pthread_once_t once;
    wg_blas_api api;
    bool usable;
    char why[512];
} cublas = {.once = PTHREAD_ONCE_INIT};

static void load_cublas(void) {
    cublas.usable = load_library("WENGERT_LIBCUBLAS", "libcublas", wg_blas_names, wg_blas_count, &cublas.api,
                                 cublas.why, sizeof cublas.why);
}

const wg_blas_api *wg_blas_load(wg_err *err) {
    pthread_once(&cublas.once, load_cublas);
    if (!cublas.usable) {
        wg_err_set(err, WG_ERR_NO_DEVICE, "no cuBLAS: %s", cublas.why);
        return NULL;
    }
    return &cublas.api;
}

static struct {
    pthread_once_t once;
    wg_lt_api api;
    bool usable;
    char why[512];
} cublaslt = {.once = PTHREAD_ONCE_INIT};

static void load_cublaslt(void) {
    cublaslt.usable = load_library("WENGERT_LIBCUBLASLT", "libcublasLt", wg_lt_names, wg_lt_count, &cublaslt.api,
                                   cublaslt.why, sizeof cublaslt.why);
}

const wg_lt_api *wg_lt_load(wg_err *err) {
    pthread_once(&cublaslt.once, load_cublaslt);
    if (!cublaslt.usable) {
        wg_err_set(err, WG_ERR_NO_DEVICE, "no cuBLASLt: %s", cublaslt.why);
        return NULL;
    }
    return &cublaslt.api;
}
