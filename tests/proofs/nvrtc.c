/* NVRTC by dlopen: see nvrtc.h. */
#include "nvrtc.h"

#include <dlfcn.h>
#include <nvrtc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUNCTIONS(X)                                                                                                   \
    X(nvrtcCreateProgram)                                                                                              \
    X(nvrtcCompileProgram)                                                                                             \
    X(nvrtcDestroyProgram)                                                                                             \
    X(nvrtcGetProgramLogSize)                                                                                          \
    X(nvrtcGetProgramLog)                                                                                              \
    X(nvrtcGetCUBINSize)                                                                                               \
    X(nvrtcGetCUBIN)

static struct {
#define X(f) __typeof__(&f) f;
    FUNCTIONS(X)
#undef X
} api;

const char *const nvrtc_options[] = {
    "--std=c++17", "--fmad=false", "--prec-div=true", "--prec-sqrt=true", "--ftz=false", "--diag-error=1097", NULL};

static void *open_library(void) {
    static const char *const names[] = {"libnvrtc.so.13", "libnvrtc.so.12", "/usr/local/cuda/lib64/libnvrtc.so.13",
                                        "/usr/local/cuda/lib64/libnvrtc.so.12"};
    const char *chosen = getenv("WENGERT_LIBNVRTC");
    if (chosen && *chosen) {
        return dlopen(chosen, RTLD_NOW | RTLD_LOCAL);
    }
    void *handle = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && !handle; i++) {
        handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    }
    return handle;
}

bool nvrtc_load(void) {
    void *handle = open_library();
    if (!handle) {
        fprintf(stderr, "proofs: no NVRTC: %s\n", dlerror());
        return false;
    }
    static const char *const names[] = {
#define X(f) #f,
        FUNCTIONS(X)
#undef X
    };
    void **const places[] = {
#define X(f) (void **)&api.f,
        FUNCTIONS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        *places[i] = dlsym(handle, names[i]);
        if (!*places[i]) {
            fprintf(stderr, "proofs: NVRTC has no %s\n", names[i]);
            return false;
        }
    }
    return true;
}

static char *log_of(nvrtcProgram program) {
    size_t size = 0;
    char *log = NULL;
    if (api.nvrtcGetProgramLogSize(program, &size) == NVRTC_SUCCESS && size > 0) {
        log = calloc(1, size + 1);
        if (log && api.nvrtcGetProgramLog(program, log) != NVRTC_SUCCESS) {
            log[0] = '\0';
        }
    }
    return log ? log : calloc(1, 1);
}

void *nvrtc_compile(const char *text, const char *arch, size_t *size, char **log) {
    char target[48];
    const char *options[16] = {target};
    int n = 1;
    for (const char *const *o = nvrtc_options; *o; o++) {
        options[n++] = *o;
    }
    snprintf(target, sizeof target, "--gpu-architecture=sm_%s", arch);
    *log = NULL;
    nvrtcProgram program;
    if (api.nvrtcCreateProgram(&program, text, "kernels.cu", 0, NULL, NULL) != NVRTC_SUCCESS) {
        *log = strdup("nvrtcCreateProgram failed");
        return NULL;
    }
    void *cubin = NULL;
    bool compiled = api.nvrtcCompileProgram(program, n, options) == NVRTC_SUCCESS;
    *log = log_of(program);
    if (compiled && api.nvrtcGetCUBINSize(program, size) == NVRTC_SUCCESS && *size > 0) {
        cubin = malloc(*size);
        if (cubin && api.nvrtcGetCUBIN(program, cubin) != NVRTC_SUCCESS) {
            free(cubin);
            cubin = NULL;
        }
    }
    api.nvrtcDestroyProgram(&program);
    return cubin;
}
