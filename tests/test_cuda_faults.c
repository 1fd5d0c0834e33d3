/* label: cuda-double
 * timeout: 900
 *
 * Every call of a training step into the driver, NVRTC and cuBLAS fails once, on the CUDA double. Each time the step ends
 * in an error, and the same context then trains to the bits of a run that nothing disturbed; or the device is lost, every
 * later call says so, and closing still gives all back.
 */
#include "cuda_on_double.h"

#include "cuda/loader.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct sweep {
    int points, silent;
} sweep;

/* After a failure the context works, or says that the device is lost. */
static void check_afterwards(wg_ctx *ctx, const bits *expected, const char *label) {
    bits again;
    char text[300];
    train(ctx, &again);
    wg_status status = wg_error_take(ctx, text, sizeof text);
    bool lost = status != WG_OK && strstr(text, "lost to this process");
    cr_expect(status == WG_OK || lost, "%s: the context neither works nor is lost: %s", label, text);
    cr_expect(status != WG_OK || memcmp(&again, expected, sizeof again) == 0, "%s: training gives other bits", label);
}

/* One failure in a run from wg_open to wg_close, and another training in the same context in between. */
static bool one_failure(const char *function, unsigned long n, int code, const bits *expected, sweep *s) {
    char text[300], label[100];
    bits got;
    snprintf(label, sizeof label, "call %lu of %s, code %d", n, function, code);
    cu.cuda_double_fail(function, n, code);
    wg_ctx *ctx = wg_open("cuda:0");
    bool opened = ctx && !wg_failed(ctx);
    train(ctx, &got);
    bool failed = wg_failed(ctx), now = cu.cuda_double_happened();
    wg_status status = wg_error_take(ctx, text, sizeof text);
    if (failed) {
        cr_expect(now, "%s: an error without a failure: %s", label, text);
        cr_expect(strlen(text) > 10 && status != WG_OK, "%s says only '%s'", label, text);
    } else {
        cr_expect(memcmp(&got, expected, sizeof got) == 0, "%s: no error, but other bits", label);
        s->silent += now;
    }
    if (opened && now) {
        cu.cuda_double_fail(NULL, 1, 0);
        check_afterwards(ctx, expected, label);
        cu.cuda_double_fail(function, 1000000, code);
    }
    wg_close(ctx);
    bool happened = now || cu.cuda_double_happened(); /* now, or in closing */
    size_t alive = cu.cuda_double_live(NULL), faults = cu.cuda_double_faults(text, sizeof text);
    cr_expect_eq(alive, 0, "%s: %zu handles live on", label, alive);
    cr_expect_eq(faults, 0, "%s: %s", label, text);
    cu.cuda_double_forget();
    s->points += happened;
    return happened;
}

static void every_call(const char *function, int code, int least) {
    bits expected = undisturbed();
    sweep s = {0};
    for (unsigned long n = 1; one_failure(function, n, code, &expected, &s) && s.points < 5000; n++) {
    }
    fprintf(stderr, "%s, code %d: %d failures, %d of them without effect\n", function, code, s.points, s.silent);
    cr_expect_geq(s.points, least, "only %d points", s.points);
}

enum { STICKS = 719 };

Test(failures, every_call_in_turn) {
    load_double();
    every_call("any", 0, 200);
}

/* Kernels are timed: events around each launch, and no graphs. */
Test(failures, every_call_of_a_profiled_run) {
    static const char *const functions[] = {"cuEventCreate", "cuEventRecord", "cuEventElapsedTime", "cuEventDestroy"};
    setenv("WENGERT_PROFILE", "1", 1);
    load_double();
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        every_call(functions[i], 0, 20);
        every_call(functions[i], STICKS, 20);
    }
}

/* With cuBLASLt: what fails while a plan is made makes it plain. */
Test(failures, every_call_of_cublaslt) {
    load_double();
    setenv("WENGERT_CUBLASLT", "1", 1);
    for (size_t i = 0; i < wg_lt_count; i++) {
        every_call(wg_lt_names[i], 0, 1);
    }
}

/* The disk holds no kernels: NVRTC has to make them. */
static const char *const of_nvrtc[] = {"nvrtcCreateProgram",    "nvrtcCompileProgram", "nvrtcGetCUBINSize",
                                       "nvrtcGetCUBIN",         "nvrtcDestroyProgram", "nvrtcGetNumSupportedArchs",
                                       "nvrtcGetSupportedArchs"};

static void forget_cache(void) {
    load_double();
    setenv("WENGERT_CACHE_DIR", "/dev/null/none", 1);
}

Test(failures, every_call_of_nvrtc) {
    forget_cache();
    for (size_t i = 0; i < sizeof of_nvrtc / sizeof *of_nvrtc; i++) {
        every_call(of_nvrtc[i], 0, 1);
    }
}

/* A device that NVRTC does not know gets PTX. */
Test(failures, every_call_for_ptx) {
    setenv("WENGERT_DOUBLE_ARCH", "130", 1);
    forget_cache();
    every_call("nvrtcGetPTXSize", 0, 1);
    every_call("nvrtcGetPTX", 0, 1);
}

/* A driver that has no pools of memory. */
Test(failures, every_allocation_without_pools) {
    setenv("WENGERT_DOUBLE_POOLS", "0", 1);
    load_double();
    every_call("cuMemAlloc", 0, 3);
    every_call("cuMemFree", 0, 3);
    every_call("cuMemFree", STICKS, 3);
    cr_expect_eq(cu.cuda_double_calls("cuMemAllocAsync"), 0);
}

Test(failures, the_device_is_lost_in_any_call) {
    static const char *const functions[] = {
        "cuMemAllocAsync",     "cuMemFreeAsync",     "cuMemcpyHtoDAsync",
        "cuMemcpyDtoHAsync",   "cuEventRecord",      "cuStreamWaitEvent",
        "cuLaunchKernel",      "cuGraphLaunch",      "cuEventSynchronize",
        "cuStreamSynchronize", "cuStreamEndCapture", "cuModuleUnload",
        "cuModuleLoadData",    "cuGraphExecDestroy", "cuGraphInstantiateWithFlags",
    };
    load_double();
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        every_call(functions[i], STICKS, 1);
    }
}

Test(failures, the_device_is_lost_in_any_kernel) {
    load_double();
    every_call("kernel", 700, 10);
}

/* ---- in a process each ------------------------------------------------------------------------------------------------------ */

/* What one process sees that has these failures planted: an error, and then a context that works, is lost or never was. */
static void in_a_process(const char *planted, wg_status expected) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        setenv("WENGERT_DOUBLE_FAIL", planted, 1);
        bits b;
        wg_ctx *ctx = wg_open("cuda:0");
        train(ctx, &b);
        bool said = wg_error_status(ctx) == expected && strlen(wg_error(ctx)) > 10;
        fprintf(stderr, "%s: %.120s\n", planted, wg_error(ctx));
        wg_close(ctx);
        _exit(said && cu.cuda_double_live(NULL) == 0 && cu.cuda_double_faults(NULL, 0) == 0 ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: %d", planted, status);
}

/* The driver is asked once in a process. */
Test(failures, the_driver_does_not_start) {
    load_double();
    in_a_process("cuInit:1", WG_ERR_NO_DEVICE);
    in_a_process("cuInit:1=34", WG_ERR_NO_DEVICE);
    in_a_process("cuDriverGetVersion:1", WG_ERR_NO_DEVICE);
    in_a_process("cuDeviceGetCount:1", WG_ERR_NO_DEVICE);
}

/* What is called only where something failed already. */
Test(failures, on_top_of_failures) {
    forget_cache();
    in_a_process("cuLaunchKernel:1,cuGetErrorName:1", WG_ERR_LAUNCH);
    in_a_process("cuMemAllocAsync:1=2,cuMemAllocAsync:2=2,cuMemGetInfo:1", WG_ERR_DEVICE_MEM);
    in_a_process("nvrtcCompileProgram:1,nvrtcGetProgramLogSize:1", WG_ERR_BUILD);
    in_a_process("nvrtcCompileProgram:1,nvrtcGetProgramLog:1", WG_ERR_BUILD);
}

/* A function that the backend starts to call belongs into this file. */
Test(failures, no_function_is_left_out) {
    static const char *const elsewhere[] = {
        "cuMemGetInfo_v2",     "cuGetErrorName",      "cuEventElapsedTime", "cuGetErrorString",
        "nvrtcGetPTX",         "nvrtcGetPTXSize",     "nvrtcGetProgramLog", "nvrtcGetProgramLogSize",
        "nvrtcGetErrorString", "cuGraphExecUpdate_v2" /* test_cuda_graph.c */};
    forget_cache();
    setenv("WENGERT_CUBLASLT", "1", 1);
    undisturbed();
    const struct {
        const char *const *names;
        size_t n;
    } tables[] = {{wg_cu_names, wg_cu_count},
                  {wg_rtc_names, wg_rtc_count},
                  {wg_blas_names, wg_blas_count},
                  {wg_lt_names, wg_lt_count}};
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
        for (size_t i = 0; i < tables[t].n; i++) {
            char name[64];
            snprintf(name, sizeof name, "%s", tables[t].names[i]);
            bool called = false;
            for (size_t k = 0; k < sizeof elsewhere / sizeof *elsewhere; k++) {
                called = called || strcmp(name, elsewhere[k]) == 0;
            }
            size_t n = strlen(name);
            name[n > 3 && name[n - 3] == '_' && name[n - 2] == 'v' ? n - 3 : n] = '\0';
            cr_expect(called || cu.cuda_double_calls(name) > 0, "%s is never made to fail", name);
        }
    }
}
