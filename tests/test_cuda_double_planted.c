/* label: cuda-double
 *
 * The CUDA double itself, continued: failures planted in it, processes, the report at exit.
 */
#include "cuda_double.h"

#include <sys/wait.h>
#include <unistd.h>

/* ---- planted failures ----------------------------------------------------------------------------------------------------- */

TestSuite(planted, .init = cu_open);

Test(planted, the_nth_call_fails) {
    CUdeviceptr p[3];
    unsigned long before = cu.cuda_double_calls("cuMemAlloc");
    cu.cuda_double_fail("cuMemAlloc", 2, 0);
    DOES(cu.cuMemAlloc(&p[0], 4));
    cr_expect_not(cu.cuda_double_happened());
    FAILS_WITH(cu.cuMemAlloc(&p[1], 4), CUDA_ERROR_OUT_OF_MEMORY);
    cr_expect(cu.cuda_double_happened());
    DOES(cu.cuMemAlloc(&p[1], 4));
    cr_expect_eq(cu.cuda_double_calls("cuMemAlloc"), before + 3);
    cu.cuda_double_fail("any", 2, 801);
    DOES(cu.cuMemAlloc(&p[2], 4));
    FAILS_WITH(cu.cuCtxSynchronize(), 801);
    cu.cuda_double_fail("cuMemFree", 1, 0);
    FAILS_WITH(cu.cuMemFree(p[0]), CUDA_ERROR_OPERATING_SYSTEM); /* says so, but the memory is gone */
    DOES(cu.cuMemFree(p[1]));
    DOES(cu.cuMemFree(p[2]));
    cu_close();
}

Test(planted, an_error_that_sticks) {
    CUdeviceptr p = cu_memory(NULL, 1);
    CUstream s = cu_stream();
    cu.cuda_double_fail("cuStreamSynchronize", 1, CUDA_ERROR_LAUNCH_FAILED);
    FAILS_WITH(cu.cuStreamSynchronize(s), CUDA_ERROR_LAUNCH_FAILED);
    FAILS_WITH(cu.cuMemsetD32Async(p, 0, 1, s), CUDA_ERROR_LAUNCH_FAILED);
    FAILS_WITH(cu.cuStreamDestroy(s), CUDA_ERROR_LAUNCH_FAILED);
    FAILS_WITH(cu.cuMemFree(p), CUDA_ERROR_LAUNCH_FAILED);
    FAILS_WITH(cu.cuDevicePrimaryCtxRelease(0), CUDA_ERROR_LAUNCH_FAILED);
    cr_expect_eq(cu.cuda_double_live(NULL), 0);
    cu_forget();
}

Test(planted, a_kernel_faults_when_it_runs) {
    cu_build();
    float one = 1;
    CUdeviceptr p = cu_memory(&one, 1);
    cu.cuda_double_seed(0);
    cu.cuda_double_fail("kernel", 2, CUDA_ERROR_ILLEGAL_ADDRESS);
    DOES(launch_scale(p, 1, 2, NULL));
    DOES(launch_scale(p, 1, 2, NULL));
    FAILS_WITH(cu.cuStreamSynchronize(NULL), CUDA_ERROR_ILLEGAL_ADDRESS);
    cu_forget();
}

Test(planted, a_call_does_nothing_and_says_that_it_did) {
    CUdeviceptr p = cu_memory(NULL, 1);
    cu.cuda_double_drop("cuMemsetD32Async", 1);
    DOES(cu.cuMemsetD32Async(p, 0, 1, NULL));
    cr_expect(isnan(cu_value(p)));
    DOES(cu.cuMemFree(p));
    cu_close();
}

/* ---- processes ------------------------------------------------------------------------------------------------------------ */

Test(planted, a_forked_child_cannot_use_the_device) {
    pid_t child = fork();
    if (child == 0) {
        CUdeviceptr p;
        _exit(cu.cuMemAlloc(&p, 4) == CUDA_ERROR_NOT_INITIALIZED && cu.cuInit(0) == CUDA_ERROR_NOT_INITIALIZED ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    cu_close();
}

/* The exit status of a process that does this, or -1 if a signal ended it; what it says at the end goes to said. */
static int status_of(void (*what)(void), char *said, size_t cap) {
    int ends[2], status = 0;
    cr_assert_eq(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        what();
        exit(0);
    }
    close(ends[1]);
    size_t n = 0;
    for (ssize_t got; (got = read(ends[0], said + n, cap - 1 - n)) > 0;) {
        n += (size_t)got;
    }
    said[n] = '\0';
    close(ends[0]);
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void release_all(void) {
    cu_open();
    DOES(cu.cuMemFree(cu_memory(NULL, 1)));
    DOES(cu.cuDevicePrimaryCtxRelease(0));
}
static void keep_memory(void) {
    cu_open();
    cu_memory(NULL, 1);
    DOES(cu.cuDevicePrimaryCtxRelease(0));
}
static void keep_stream(void) {
    cu_open();
    cu_stream();
    DOES(cu.cuDevicePrimaryCtxRelease(0));
}
static void keep_context(void) { cu_open(); }
static void free_twice(void) {
    cu_open();
    CUdeviceptr p = cu_memory(NULL, 1);
    DOES(cu.cuMemFree(p));
    cu.cuMemFree(p);
    DOES(cu.cuDevicePrimaryCtxRelease(0));
}

static void touch_memory(void) {
    cu_open();
    volatile float *p = (float *)(uintptr_t)cu_memory(NULL, 4); // NOLINT(performance-no-int-to-ptr)
    p[1] = 1;
}

Test(exit, what_was_not_released_shows) {
    static const struct {
        void (*what)(void);
        int status;
        const char *said;
    } cases[] = {
        {release_all, 0, ""},
        {keep_memory, 98, "LEAK: 1 of kind allocation"},
        {keep_stream, 98, "LEAK: 1 of kind stream"},
        {keep_context, 98, "LEAK: 1 of kind context"},
        {free_twice, 98, "FAULT: freed twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char said[4096];
        int status = status_of(cases[i].what, said, sizeof said);
        cr_expect_eq(status, cases[i].status, "case %zu: %d", i, status);
        cr_expect(strstr(said, cases[i].said), "case %zu: %s", i, said);
    }
}

Test(exit, the_host_cannot_touch_device_memory) {
    char said[4096];
    cr_expect_neq(status_of(touch_memory, said, sizeof said), 0);
    cr_expect(strstr(said, "the host touched byte 4 of allocation 1 of 16 bytes"), "%s", said);
}

Test(exit, the_environment_plants_too) {
    setenv("WENGERT_DOUBLE_FAIL", "cuMemAlloc:2=2,cuStreamCreate:1", 1);
    cu_open();
    CUdeviceptr p = cu_memory(NULL, 1), q;
    CUstream s;
    FAILS_WITH(cu.cuMemAlloc(&q, 4), CUDA_ERROR_OUT_OF_MEMORY);
    FAILS_WITH(cu.cuStreamCreate(&s, 0), CUDA_ERROR_OPERATING_SYSTEM);
    DOES(cu.cuMemFree(p));
    cu_close();
}
