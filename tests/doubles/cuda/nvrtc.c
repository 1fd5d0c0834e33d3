/*
 * NVRTC. Where the real one is found it compiles every text, for the architecture asked for: a text that it refuses is
 * refused, with its log, and the image that goes to the driver holds its CUBIN. Where there is none, OpenCL's compiler
 * decides, and one line says what is left out.
 */
#include "double.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REAL_FUNCTIONS(X)                                                                                              \
    X(nvrtcCreateProgram)                                                                                              \
    X(nvrtcCompileProgram)                                                                                             \
    X(nvrtcDestroyProgram)                                                                                             \
    X(nvrtcGetCUBINSize)                                                                                               \
    X(nvrtcGetCUBIN)                                                                                                   \
    X(nvrtcGetPTXSize)                                                                                                 \
    X(nvrtcGetPTX)                                                                                                     \
    X(nvrtcGetProgramLogSize)                                                                                          \
    X(nvrtcGetProgramLog)

static struct {
    bool tried, found;
#define X(f) __typeof__(&f) f;
    REAL_FUNCTIONS(X)
#undef X
} real;

typedef struct program {
    nvrtcProgram real;
    char *text, *name, *log;
    char *cubin, *ptx; /* images, once compiled */
    size_t cubin_bytes;
} program;

static void *open_real(void) {
    static const char *const files[] = {"libnvrtc.so.13", "libnvrtc.so.12", "/usr/local/cuda/lib64/libnvrtc.so"};
    const char *file = cd_setting("WENGERT_DOUBLE_NVRTC", "");
    void *library = *file ? dlopen(file, RTLD_NOW | RTLD_LOCAL) : NULL;
    for (size_t i = 0; !*file && !library && i < sizeof files / sizeof *files; i++) {
        library = dlopen(files[i], RTLD_NOW | RTLD_LOCAL);
    }
    return library;
}

static bool find_real(void) {
    if (real.tried) {
        return real.found;
    }
    real.tried = true;
    void *library = open_real();
    real.found = library != NULL;
#define X(f) real.found = real.found && (*(void **)&real.f = dlsym(library, #f)) != NULL;
    REAL_FUNCTIONS(X)
#undef X
    if (!real.found) {
        fputs("cuda double: no NVRTC here, so nothing proves that it compiles the kernels\n", stderr);
    }
    return real.found;
}

int cuda_double_proves(void) {
    int locked_ __attribute__((cleanup(cd_unlock), unused)) = (cd_lock(), 0);
    return find_real();
}

nvrtcResult nvrtcVersion(int *major, int *minor) {
    CD_ENTER(CD_NEEDS_NOTHING);
    *major = 13;
    *minor = 0;
    return NVRTC_SUCCESS;
}

static const int archs[] = {75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121};

nvrtcResult nvrtcGetNumSupportedArchs(int *n) {
    CD_ENTER(CD_NEEDS_NOTHING);
    *n = sizeof archs / sizeof *archs;
    return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetSupportedArchs(int *out) {
    CD_ENTER(CD_NEEDS_NOTHING);
    memcpy(out, archs, sizeof archs);
    return NVRTC_SUCCESS;
}

const char *nvrtcGetErrorString(nvrtcResult result) {
    static const char *const names[] = {
        "NVRTC_SUCCESS",
        "NVRTC_ERROR_OUT_OF_MEMORY",
        "NVRTC_ERROR_PROGRAM_CREATION_FAILURE",
        "NVRTC_ERROR_INVALID_INPUT",
        "NVRTC_ERROR_INVALID_PROGRAM",
        "NVRTC_ERROR_INVALID_OPTION",
        "NVRTC_ERROR_COMPILATION",
        "NVRTC_ERROR_BUILTIN_OPERATION_FAILURE",
        "NVRTC_ERROR_NO_NAME_EXPRESSIONS_AFTER_COMPILATION",
        "NVRTC_ERROR_NO_LOWERED_NAMES_BEFORE_COMPILATION",
        "NVRTC_ERROR_NAME_EXPRESSION_NOT_VALID",
        "NVRTC_ERROR_INTERNAL_ERROR",
    };
    return (unsigned)result < sizeof names / sizeof *names ? names[result] : "NVRTC_ERROR unknown";
}

static char *copy_text(const char *text) { return strcpy(cd_alloc_or_die(strlen(text) + 1), text); }

nvrtcResult nvrtcCreateProgram(nvrtcProgram *out, const char *text, const char *name, int nheaders,
                               const char *const *headers, const char *const *header_names) {
    CD_ENTER(CD_NEEDS_NOTHING);
    if (!text || nheaders != 0) {
        return cd_refuse(NVRTC_ERROR_INVALID_INPUT, "no text, or headers, which POCL would not see");
    }
    program *p = cd_alloc_or_die(sizeof *p);
    *p = (program){.text = copy_text(text), .log = copy_text("")};
    nvrtcResult code =
        find_real() ? real.nvrtcCreateProgram(&p->real, text, name, nheaders, headers, header_names) : NVRTC_SUCCESS;
    if (code) {
        free(p->text);
        free(p->log);
        free(p);
        return code;
    }
    *out = cd_handle_new(CD_PROGRAM, p);
    return NVRTC_SUCCESS;
}

/* The 80 of "--gpu-architecture=sm_80", 0 if it is virtual ("compute_80") or left out. */
static int real_arch(int n, const char *const *options) {
    int arch = 0;
    for (int i = 0; i < n; i++) {
        const char *value = strstr(options[i], "sm_");
        if (value && (strncmp(options[i], "--gpu-architecture=", 19) == 0 || strncmp(options[i], "-arch=", 6) == 0)) {
            arch = atoi(value + 3);
        }
    }
    return arch;
}

static nvrtcResult compile_really(program *p, int n, const char *const *options) {
    nvrtcResult code = real.nvrtcCompileProgram(p->real, n, options);
    size_t bytes = 0;
    if (real.nvrtcGetProgramLogSize(p->real, &bytes) == NVRTC_SUCCESS && bytes > 1) {
        free(p->log);
        p->log = cd_alloc_or_die(bytes + 1);
        real.nvrtcGetProgramLog(p->real, p->log);
    }
    return code;
}

/* Keeps what the real NVRTC made, with the text. */
static void make_images(program *p, int arch) {
    size_t cubin_bytes = 0, ptx_bytes = 0;
    char *cubin = NULL, *ptx = NULL;
    if (p->real && arch && real.nvrtcGetCUBINSize(p->real, &cubin_bytes) == NVRTC_SUCCESS && cubin_bytes > 0) {
        cubin = cd_alloc_or_die(cubin_bytes);
        real.nvrtcGetCUBIN(p->real, cubin);
    }
    if (p->real && real.nvrtcGetPTXSize(p->real, &ptx_bytes) == NVRTC_SUCCESS && ptx_bytes > 0) {
        ptx = cd_alloc_or_die(ptx_bytes + 1);
        real.nvrtcGetPTX(p->real, ptx);
    }
    if (arch) {
        cd_image image = {.cubin = cubin, .cubin_bytes = cubin ? cubin_bytes : 0, .text = p->text, .arch = arch};
        image.text_bytes = strlen(p->text) + 1;
        p->cubin_bytes = cd_image_bytes(&image);
        p->cubin = cd_alloc_or_die(p->cubin_bytes);
        cd_image_write(&image, p->cubin);
    }
    p->ptx = cd_image_ptx(ptx ? ptx : ".version 9.0\n", p->text);
    free(cubin);
    free(ptx);
}

nvrtcResult nvrtcCompileProgram(nvrtcProgram handle, int n, const char *const *options) {
    CD_ENTER(CD_NEEDS_NOTHING);
    program *p = cd_handle_get(CD_PROGRAM, handle);
    if (!p || p->ptx) {
        return cd_refuse(NVRTC_ERROR_INVALID_PROGRAM, "no program, or compiled already");
    }
    if (p->real) {
        nvrtcResult code = compile_really(p, n, options);
        if (code) {
            return code;
        }
    } else {
        char *log;
        if (!cd_opencl_build(p->text, &log)) {
            free(p->log);
            p->log = log;
            return NVRTC_ERROR_COMPILATION;
        }
    }
    make_images(p, real_arch(n, options));
    return NVRTC_SUCCESS;
}

nvrtcResult nvrtcDestroyProgram(nvrtcProgram *handle) {
    CD_ENTER(CD_RELEASES);
    program *p = cd_handle_get(CD_PROGRAM, *handle);
    if (!p) {
        return cd_refuse(NVRTC_ERROR_INVALID_PROGRAM, "no program");
    }
    if (p->real) {
        real.nvrtcDestroyProgram(&p->real);
    }
    cd_handle_end(CD_PROGRAM, *handle);
    free(p->text);
    free(p->log);
    free(p->cubin);
    free(p->ptx);
    free(p);
    *handle = NULL;
    return CD_LATE;
}

/* ---- results ------------------------------------------------------------------------------------------------------------- */

static nvrtcResult give(nvrtcProgram handle, int what, size_t *bytes, char *out) {
    const program *p = cd_handle_get(CD_PROGRAM, handle);
    if (!p || (what != 'l' && !p->ptx)) {
        return cd_refuse(NVRTC_ERROR_INVALID_PROGRAM, "no program, or not compiled");
    }
    const char *from = what == 'l' ? p->log : what == 'p' ? p->ptx : p->cubin;
    size_t n = !from ? 0 : what == 'c' ? p->cubin_bytes : strlen(from) + 1;
    if (bytes) {
        *bytes = n;
    }
    if (out && n > 0) {
        memcpy(out, from, n);
    }
    return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetCUBINSize(nvrtcProgram p, size_t *bytes) {
    CD_ENTER(CD_NEEDS_NOTHING);
    return give(p, 'c', bytes, NULL);
}

nvrtcResult nvrtcGetCUBIN(nvrtcProgram p, char *out) {
    CD_ENTER(CD_NEEDS_NOTHING);
    return give(p, 'c', NULL, out);
}

nvrtcResult nvrtcGetPTXSize(nvrtcProgram p, size_t *bytes) {
    CD_ENTER(CD_NEEDS_NOTHING);
    return give(p, 'p', bytes, NULL);
}

nvrtcResult nvrtcGetPTX(nvrtcProgram p, char *out) {
    CD_ENTER(CD_NEEDS_NOTHING);
    return give(p, 'p', NULL, out);
}

nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram p, size_t *bytes) {
    CD_ENTER(CD_NEEDS_NOTHING);
    return give(p, 'l', bytes, NULL);
}

nvrtcResult nvrtcGetProgramLog(nvrtcProgram p, char *out) {
    CD_ENTER(CD_NEEDS_NOTHING);
    return give(p, 'l', NULL, out);
}
