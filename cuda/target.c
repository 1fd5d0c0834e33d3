/* NVRTC: what it is asked to compile for, and compiling. */
#include "base/alloc.h"
#include "cuda/internal.h"

#include <stdio.h>
#include <string.h>

/*
 * Results must not depend on what was fused, nor differ from other devices': no contraction, and IEEE division, roots and
 * subnormals. 1097 is an attribute the compiler does not know, and would go on without.
 */
const char *const wg_cuda_options[] = {"--std=c++17",      "--fmad=false", "--prec-div=true",
                                       "--prec-sqrt=true", "--ftz=false",  "--diag-error=1097"};
enum { NOPTIONS = sizeof wg_cuda_options / sizeof *wg_cuda_options, MAX_ARCHS = 256 };
const size_t wg_cuda_noptions = NOPTIONS;

wg_status wg_cuda_target_of(const wg_cuda_found *found, wg_cuda_target *out, wg_err *err) {
    *out = (wg_cuda_target){.rtc = wg_rtc_load(err)};
    if (!out->rtc) {
        return WG_ERR_NO_DEVICE;
    }
    int n = 0, archs[MAX_ARCHS], wanted = found->major * 10 + found->minor, oldest = 0;
    if (out->rtc->nvrtcVersion(&out->major, &out->minor) || out->rtc->nvrtcGetNumSupportedArchs(&n) || n < 1 ||
        n > MAX_ARCHS || out->rtc->nvrtcGetSupportedArchs(archs)) {
        return wg_err_set(err, WG_ERR_NO_DEVICE, "NVRTC does not tell its version and architectures");
    }
    for (int i = 0; i < n; i++) {
        out->arch = archs[i] <= wanted && archs[i] > out->arch ? archs[i] : out->arch;
        oldest = !oldest || archs[i] < oldest ? archs[i] : oldest;
    }
    if (!out->arch) {
        return wg_err_set(err, WG_ERR_NO_DEVICE, "%s is an sm_%d; NVRTC %d.%d compiles for sm_%d and later",
                          found->name, wanted, out->major, out->minor, oldest);
    }
    out->ptx = out->arch != wanted;
    int at =
        snprintf(out->options, sizeof out->options, "--gpu-architecture=%s_%d", out->ptx ? "compute" : "sm", out->arch);
    for (int i = 0; i < NOPTIONS; i++) {
        at += snprintf(out->options + at, sizeof out->options - (size_t)at, " %s", wg_cuda_options[i]);
    }
    return WG_OK;
}

/* The compiler's words, then the text with line numbers as the compiler counts them. */
static wg_status compile_failed(const wg_rtc_api *rtc, wg_rtc_program program, wg_rtc_result code, const char *text,
                                wg_err *err) {
    wg_str s = {0};
    size_t len = 0;
    wg_str_addf(&s, "NVRTC refused a program (error %u)\n", code);
    bool has_log = rtc->nvrtcGetProgramLogSize(program, &len) == 0 && len > 1;
    char *log = has_log ? wg_mem_zalloc(len + 1) : NULL;
    if (log && rtc->nvrtcGetProgramLog(program, log) == 0) {
        wg_str_addf(&s, "%s\n", log);
    }
    wg_mem_free(log);
    wg_str_add_numbered(&s, text);
    wg_err_set(err, WG_ERR_BUILD, "%s", wg_str_text(&s));
    wg_str_free(&s);
    return WG_ERR_BUILD;
}

static wg_status take_image(const wg_cuda_target *t, wg_rtc_program program, char **image, size_t *bytes, wg_err *err) {
    const wg_rtc_api *rtc = t->rtc;
    wg_rtc_result code = t->ptx ? rtc->nvrtcGetPTXSize(program, bytes) : rtc->nvrtcGetCUBINSize(program, bytes);
    *image = code == 0 ? wg_mem_alloc(*bytes) : NULL;
    if (code == 0 && !*image) {
        return wg_err_set(err, WG_ERR_NOMEM, "out of host memory for a program of %zu bytes", *bytes);
    }
    code = code ? code : t->ptx ? rtc->nvrtcGetPTX(program, *image) : rtc->nvrtcGetCUBIN(program, *image);
    if (code) {
        wg_mem_free(*image);
        *image = NULL;
        return wg_err_set(err, WG_ERR_BUILD, "NVRTC compiled a program, but does not hand it out (error %u)", code);
    }
    return WG_OK;
}

wg_status wg_cuda_compile(const wg_cuda_target *t, const char *text, char **image, size_t *bytes, wg_err *err) {
    char arch[64];
    snprintf(arch, sizeof arch, "%.*s", (int)strcspn(t->options, " "), t->options);
    const char *arguments[NOPTIONS + 1] = {arch};
    memcpy(arguments + 1, wg_cuda_options, sizeof wg_cuda_options);
    wg_rtc_program program = NULL;
    wg_rtc_result code = t->rtc->nvrtcCreateProgram(&program, text, "wengert.cu", 0, NULL, NULL);
    if (code) {
        return wg_err_set(err, WG_ERR_BUILD, "nvrtcCreateProgram: error %u", code);
    }
    code = t->rtc->nvrtcCompileProgram(program, NOPTIONS + 1, arguments);
    wg_status status =
        code ? compile_failed(t->rtc, program, code, text, err) : take_image(t, program, image, bytes, err);
    t->rtc->nvrtcDestroyProgram(&program);
    return status;
}
