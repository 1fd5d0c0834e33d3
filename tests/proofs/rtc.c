/* NVRTC through the CUDA backend's own table of functions: see rtc.h. */
#include "rtc.h"

#include "base/hash.h"
#include "cuda/internal.h"
#include "cuda/loader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const wg_rtc_api *api;

bool rtc_load(void) {
    wg_err err = {0};
    api = wg_rtc_load(&err);
    if (!api) {
        fprintf(stderr, "proofs: %s\n", wg_err_text(&err));
    }
    wg_err_clear(&err);
    return api != NULL;
}

uint64_t rtc_compiler(void) {
    int major = 0, minor = 0;
    api->nvrtcVersion(&major, &minor);
    uint64_t h = wg_hash_mix((uint64_t)major, (uint64_t)minor);
    for (size_t i = 0; i < wg_cuda_noptions; i++) {
        h = wg_hash_mix(h, wg_hash_bytes(wg_cuda_options[i], strlen(wg_cuda_options[i])));
    }
    return h;
}

static char *log_of(wg_rtc_program program) {
    size_t size = 0;
    bool has_log = api->nvrtcGetProgramLogSize(program, &size) == 0;
    char *log = calloc(1, size + 1);
    if (log && has_log && size > 0 && api->nvrtcGetProgramLog(program, log) != 0) {
        log[0] = '\0';
    }
    return log;
}

static void *image_of(wg_rtc_program program, size_t *size) {
    void *image = api->nvrtcGetCUBINSize(program, size) == 0 && *size > 0 ? malloc(*size) : NULL;
    if (image && api->nvrtcGetCUBIN(program, image) != 0) {
        free(image);
        image = NULL;
    }
    return image;
}

void *rtc_compile(const char *text, const char *arch, size_t *size, char **log) {
    char target[48];
    const char *options[32] = {target};
    snprintf(target, sizeof target, "--gpu-architecture=sm_%s", arch);
    memcpy(options + 1, wg_cuda_options, wg_cuda_noptions * sizeof *options);
    wg_rtc_program program;
    *log = NULL;
    if (api->nvrtcCreateProgram(&program, text, "kernels.cu", 0, NULL, NULL) != 0) {
        return NULL;
    }
    bool compiled = api->nvrtcCompileProgram(program, 1 + (int)wg_cuda_noptions, options) == 0;
    void *image = compiled ? image_of(program, size) : NULL;
    *log = log_of(program);
    api->nvrtcDestroyProgram(&program);
    return image;
}
