/* label: cuda-double
 *
 * The CUDA double itself: that it catches what a GPU would punish later or never. Memory, kernels that go astray, the order
 * of streams.
 */
#include "cuda_double.h"

#include <glob.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- memory -------------------------------------------------------------------------------------------------------------- */

TestSuite(memory, .init = cu_open);
TestSuite(kernels, .init = cu_open);

Test(memory, comes_back_as_it_went) {
    static const size_t sizes[] = {1, 255, 256, 4096, 70000, 5 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *in = malloc(sizes[i]), *out = calloc(1, sizes[i]);
        memset(in, (int)i + 1, sizes[i]);
        CUdeviceptr p, q;
        DOES(cu.cuMemAlloc(&p, sizes[i]));
        DOES(cu.cuMemAlloc(&q, sizes[i]));
        cr_assert_eq(p % 256, 0);
        DOES(cu.cuMemcpyHtoD(p, in, sizes[i]));
        DOES(cu.cuMemcpyDtoDAsync(q, p, sizes[i], NULL));
        DOES(cu.cuMemcpyDtoH(out, q, sizes[i]));
        cr_expect_eq(memcmp(in, out, sizes[i]), 0);
        DOES(cu.cuMemFree(p));
        DOES(cu.cuMemFree(q));
        free(in);
        free(out);
    }
    cu_close();
}

Test(memory, is_full_of_nonsense_until_written) {
    CUdeviceptr p = cu_memory(NULL, 100);
    cr_expect(isnan(cu_value(p)) && isnan(cu_value(p + 99 * 4)));
    DOES(cu.cuMemsetD32Async(p + 4, 0x3f800000, 2, NULL));
    DOES(cu.cuMemsetD8Async(p + 8, 0, 4, NULL));
    cr_expect(isnan(cu_value(p)) && cu_value(p + 4) == 1 && cu_value(p + 8) == 0 && isnan(cu_value(p + 12)));
    DOES(cu.cuMemFree(p));
    cu_close();
}

Test(memory, ends_where_it_was_asked_to) {
    float v[4] = {0};
    CUdeviceptr p = cu_memory(v, 4), none;
    FAILS_WITH(cu.cuMemcpyHtoD(p, v, 17), CUDA_ERROR_INVALID_VALUE);
    FAILS_WITH(cu.cuMemcpyDtoH(v, p + 4, 16), CUDA_ERROR_INVALID_VALUE);
    FAILS_WITH(cu.cuMemsetD32Async(p, 0, 5, NULL), CUDA_ERROR_INVALID_VALUE);
    FAILS_WITH(cu.cuMemsetD32Async(p + 2, 0, 1, NULL), CUDA_ERROR_INVALID_VALUE);
    FAILS_WITH(cu.cuMemAlloc(&none, 0), CUDA_ERROR_INVALID_VALUE);
    size_t left, total;
    DOES(cu.cuMemGetInfo(&left, &total));
    cr_expect_eq(total - left, 16);
    FAILS_WITH(cu.cuMemAlloc(&none, left + 1), CUDA_ERROR_OUT_OF_MEMORY);
    DOES(cu.cuMemAlloc(&none, left));
    DOES(cu.cuMemFree(none));
    DOES(cu.cuMemFree(p));
    cu_close();
}

Test(memory, freed_twice) {
    CUdeviceptr p = cu_memory(NULL, 4);
    DOES(cu.cuMemFree(p));
    FAILS_WITH(cu.cuMemFree(p), CUDA_ERROR_INVALID_VALUE);
    expect_fault("freed twice");
    FAILS_WITH(cu.cuMemFree(p + 4096 * 64), CUDA_ERROR_INVALID_VALUE);
    expect_fault("never allocated");
    cu_forget();
}

Test(memory, used_after_it_was_freed) {
    float v = 1;
    CUdeviceptr p = cu_memory(&v, 1);
    DOES(cu.cuMemFree(p));
    FAILS_WITH(cu.cuMemcpyHtoD(p, &v, 4), CUDA_ERROR_INVALID_VALUE);
    cu_build();
    FAILS_WITH(launch_poke(p, 0, 1, NULL), CUDA_ERROR_ILLEGAL_ADDRESS);
    expect_fault("poke was launched with byte 0 of freed allocation 1");
    cu_forget();
}

/* Two streams, memory of one used in the other with nothing between them: in some order it is there too late, or gone. */
static int early_or_late(bool waits) {
    int caught = 0;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        CUcontext context;
        DOES(cu.cuDevicePrimaryCtxRetain(&context, 0));
        DOES(cu.cuCtxSetCurrent(context));
        cu.cuda_double_seed(seed);
        CUstream s = cu_stream(), t = cu_stream();
        CUevent there = cu_event(), done = cu_event();
        CUdeviceptr p;
        DOES(cu.cuMemAllocAsync(&p, 4, s));
        int code = (int)cu.cuEventRecord(there, s);
        if (waits) {
            code |= (int)cu.cuStreamWaitEvent(t, there, 0);
        }
        code |= (int)cu.cuMemsetD32Async(p, 0, 1, t);
        code |= (int)cu.cuEventRecord(done, t);
        if (waits) {
            code |= (int)cu.cuStreamWaitEvent(s, done, 0);
        }
        code |= (int)cu.cuMemFreeAsync(p, s);
        code |= (int)cu.cuStreamSynchronize(t);
        code |= (int)cu.cuStreamSynchronize(s);
        caught += code != 0;
        cu_forget();
    }
    return caught;
}

Test(memory, in_stream_order) {
    cr_expect_eq(early_or_late(true), 0);
    int caught = early_or_late(false);
    cr_expect(caught > SEEDS / 3, "only %d of %d seeds", caught, SEEDS);
}

Test(memory, freed_while_a_stream_needs_it) {
    CUdeviceptr p;
    CUstream s = cu_stream();
    cu.cuda_double_seed(0);
    DOES(cu.cuMemAllocAsync(&p, 4, s));
    DOES(cu.cuMemsetD32Async(p, 0, 1, s));
    cu.cuMemFree(p);
    expect_fault("while work that uses it waits");
    cu_forget();
}

/* ---- page-locked memory --------------------------------------------------------------------------------------------------- */

/* What arrives if the source changes right after the call. */
static float changed_after_the_call(float *source, unsigned seed) {
    CUstream s = cu_stream();
    CUdeviceptr p = cu_memory(NULL, 1);
    cu.cuda_double_seed(seed);
    *source = 1;
    DOES(cu.cuMemcpyHtoDAsync(p, source, 4, s));
    *source = 2;
    DOES(cu.cuStreamSynchronize(s));
    float v = cu_value(p);
    DOES(cu.cuStreamDestroy(s));
    DOES(cu.cuMemFree(p));
    return v;
}

Test(memory, page_locked_is_read_when_the_stream_gets_there) {
    float pageable, *pinned;
    int late = 0;
    DOES(cu.cuMemHostAlloc((void **)&pinned, 4, 0));
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        cr_expect_eq(changed_after_the_call(&pageable, seed), 1);
        late += changed_after_the_call(pinned, seed) == 2;
    }
    cr_expect(late > SEEDS / 3 && late < SEEDS, "%d", late);
    DOES(cu.cuMemFreeHost(pinned));
    cu_close();
}

Test(memory, page_locked_is_written_when_the_stream_gets_there) {
    float one = 1, pageable = 0, *pinned;
    CUstream s = cu_stream();
    CUdeviceptr p = cu_memory(&one, 1);
    DOES(cu.cuMemHostAlloc((void **)&pinned, 4, 0));
    cu.cuda_double_seed(0);
    *pinned = 0;
    DOES(cu.cuMemcpyDtoHAsync(pinned, p, 4, s));
    cr_expect_eq(*pinned, 0, "before anybody waited");
    DOES(cu.cuMemcpyDtoHAsync(&pageable, p, 4, s));
    cr_expect_eq(pageable, 1, "a copy to pageable memory returned early");
    DOES(cu.cuStreamSynchronize(s));
    cr_expect_eq(*pinned, 1);
    DOES(cu.cuMemcpyDtoHAsync(pinned, p, 4, s));
    cu.cuMemFreeHost(pinned);
    expect_fault("while a copy that uses it waits");
    cu.cuMemFreeHost(pinned);
    expect_fault("no page-locked memory now");
    cu_forget();
}

/* ---- kernels that do what they must not ----------------------------------------------------------------------------------- */

Test(kernels, writing_just_beyond_the_end) {
    cu_build();
    CUdeviceptr p = cu_memory(NULL, 5);
    DOES(launch_poke(p, 4, 1, NULL));
    DOES(cu.cuStreamSynchronize(NULL));
    DOES(launch_poke(p, 5, 1, NULL));
    FAILS_WITH(cu.cuStreamSynchronize(NULL), CUDA_ERROR_ILLEGAL_ADDRESS);
    expect_fault("poke wrote outside of allocation 1 of 20 bytes, at byte 20");
    cu_forget();
}

Test(kernels, writing_just_before_the_start) {
    cu_build();
    CUdeviceptr p = cu_memory(NULL, 5);
    DOES(launch_poke(p, -1, 1, NULL));
    FAILS_WITH(cu.cuStreamSynchronize(NULL), CUDA_ERROR_ILLEGAL_ADDRESS);
    expect_fault("at byte -4");
    cu_forget();
}

Test(kernels, going_far_astray) {
    cu_build();
    CUdeviceptr p = cu_memory(NULL, 5);
    DOES(launch_poke(p, 1000, 1, NULL));
    FAILS_WITH(cu.cuStreamSynchronize(NULL), CUDA_ERROR_ILLEGAL_ADDRESS);
    expect_fault("kernel poke touched byte 4000 of allocation 1 of 20 bytes");
    CUdeviceptr q;
    FAILS_WITH(cu.cuMemAlloc(&q, 4), CUDA_ERROR_ILLEGAL_ADDRESS); /* from now on, everything */
    FAILS_WITH(cu.cuMemFree(p), CUDA_ERROR_ILLEGAL_ADDRESS);
    cr_expect_eq(cu.cuda_double_live("allocation"), 0, "but it is released");
    cu_forget();
}

/* ---- programs kept on disk ------------------------------------------------------------------------------------------------ */

/* In a process of its own: a kernel computes; returns whether it did. */
static bool computes(void) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        float one = 1;
        cu_open();
        cu_build();
        CUdeviceptr p = cu_memory(&one, 1);
        DOES(launch_scale(p, 1, 3, NULL));
        bool good = cu_value(p) == 3;
        cu_forget();
        _exit(good ? 0 : 1);
    }
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Wrong: nothing is kept, or what is damaged is taken. What is kept is the same file as long as it is good. */
Test(kept, for_other_processes) {
    char folder[] = "/tmp/cuda-double-XXXXXX";
    glob_t found;
    struct stat first, second;
    cr_assert(mkdtemp(folder));
    setenv("WENGERT_DOUBLE_CACHE", folder, 1);
    cr_expect(computes());
    char pattern[64];
    snprintf(pattern, sizeof pattern, "%s/*", folder);
    cr_assert(glob(pattern, 0, NULL, &found) == 0 && found.gl_pathc == 1, "nothing was kept");
    const char *path = found.gl_pathv[0];
    cr_assert(strstr(path, ".pocl") && stat(path, &first) == 0 && first.st_size > 1000);
    cr_expect(computes());
    cr_expect(stat(path, &second) == 0 && first.st_ino == second.st_ino, "it was not used");
    FILE *f = fopen(path, "r+");
    cr_assert(f && fputs("no program at all", f) >= 0 && fclose(f) == 0);
    cr_expect(computes());
    cr_expect(stat(path, &second) == 0 && first.st_ino != second.st_ino, "what was damaged stays");
    remove(path);
    globfree(&found);
    rmdir(folder);
}

/* ---- order ---------------------------------------------------------------------------------------------------------------- */

TestSuite(order, .init = cu_open);

/* p is 2, then doubled in stream s and increased by 2 in t: 6 or 8. Counts the 8s over all seeds. A wait is for the record
 * before it: the event is recorded again on a stream that has nothing to do, and may come first. */
static int eights(CUstream s, CUstream t, bool event) {
    int n = 0;
    float two = 2;
    CUdeviceptr p = cu_memory(&two, 1), q = cu_memory(&two, 1);
    CUevent e = cu_event();
    CUstream idle = cu_stream();
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        cu.cuda_double_seed(seed);
        DOES(cu.cuMemcpyHtoD(p, &two, 4));
        DOES(launch_scale(p, 1, 2, s));
        DOES(cu.cuEventRecord(e, s));
        if (event) {
            DOES(cu.cuStreamWaitEvent(t, e, 0));
            DOES(cu.cuEventRecord(e, idle));
        }
        DOES(launch_add(p, q, 1, t));
        DOES(cu.cuCtxSynchronize());
        float v = cu_value(p);
        cr_assert(v == 6 || v == 8, "%g", (double)v);
        n += v == 8;
    }
    DOES(cu.cuEventDestroy(e));
    DOES(cu.cuStreamDestroy(idle));
    DOES(cu.cuMemFree(p));
    DOES(cu.cuMemFree(q));
    return n;
}

Test(order, what_no_event_orders_comes_in_any_order) {
    cu_build();
    CUstream s = cu_stream(), t = cu_stream(), blocking;
    DOES(cu.cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
    int n = eights(s, t, false);
    cr_expect(n >= 3 && n <= SEEDS - 3, "%d", n);
    cr_expect_eq(eights(s, t, true), 0);
    cr_expect_eq(eights(s, s, false), 0);
    /* the default stream and those that block it */
    cr_expect_eq(eights(NULL, blocking, false), 0);
    cr_expect_eq(eights(blocking, NULL, false), 0);
    cr_expect_eq(eights(CU_STREAM_LEGACY, NULL, false), 0);
    n = eights(NULL, s, false);
    cr_expect(n >= 3 && n <= SEEDS - 3, "%d", n);
    n = eights(blocking, s, false);
    cr_expect(n >= 3 && n <= SEEDS - 3, "%d", n);
    /* the default stream of this thread is one of those */
    cr_expect_eq(eights(NULL, CU_STREAM_PER_THREAD, false), 0);
    cr_expect_eq(eights(CU_STREAM_PER_THREAD, CU_STREAM_PER_THREAD, false), 0);
    n = eights(CU_STREAM_PER_THREAD, blocking, false);
    cr_expect(n >= 3 && n <= SEEDS - 3, "%d", n);
    DOES(cu.cuStreamDestroy(s));
    DOES(cu.cuStreamDestroy(t));
    DOES(cu.cuStreamDestroy(blocking));
    cu_unbuild();
    cu_close();
}

Test(order, an_event_means_its_last_record_before_the_wait) {
    cu_build();
    CUstream s = cu_stream(), t = cu_stream();
    CUevent e = cu_event(), never = cu_event();
    float one = 1;
    CUdeviceptr p = cu_memory(&one, 1);
    cu.cuda_double_seed(0); /* nothing runs before somebody waits */
    DOES(cu.cuEventRecord(e, s));
    DOES(cu.cuStreamWaitEvent(t, e, 0));
    DOES(cu.cuStreamWaitEvent(t, never, 0));
    DOES(launch_scale(p, 1, 3, s));
    DOES(cu.cuEventRecord(e, s));
    FAILS_WITH(cu.cuEventQuery(e), CUDA_ERROR_NOT_READY);
    FAILS_WITH(cu.cuStreamQuery(s), CUDA_ERROR_NOT_READY);
    DOES(cu.cuEventQuery(never));
    DOES(cu.cuEventSynchronize(e));
    DOES(cu.cuStreamQuery(s));
    cr_expect_eq(cu_value(p), 3);
    DOES(cu.cuStreamSynchronize(t));
    DOES(cu.cuEventDestroy(e));
    DOES(cu.cuEventDestroy(never));
    FAILS_WITH(cu.cuEventRecord(e, s), CUDA_ERROR_INVALID_HANDLE);
    expect_fault("an event was used after it was destroyed");
    cu_forget();
}

Test(order, who_asks_often_enough_gets_there) {
    CUstream s = cu_stream();
    CUdeviceptr p = cu_memory(NULL, 1);
    CUevent a, b;
    DOES(cu.cuEventCreate(&a, CU_EVENT_DEFAULT));
    DOES(cu.cuEventCreate(&b, CU_EVENT_DEFAULT));
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        cu.cuda_double_seed(seed);
        DOES(cu.cuEventRecord(a, s));
        DOES(cu.cuMemsetD32Async(p, 0, 1, s));
        DOES(cu.cuEventRecord(b, s));
        int tries = 0;
        while (cu.cuEventQuery(b) == CUDA_ERROR_NOT_READY && tries < 10) {
            tries++;
        }
        cr_expect_lt(tries, 10);
    }
    float ms = -1;
    DOES(cu.cuEventElapsedTime(&ms, a, b));
    cr_expect_geq(ms, 0);
    DOES(cu.cuEventDestroy(a));
    DOES(cu.cuEventDestroy(b));
    DOES(cu.cuStreamDestroy(s));
    DOES(cu.cuMemFree(p));
    cu_close();
}

Test(order, a_destroyed_stream_still_does_its_work) {
    CUstream s = cu_stream();
    CUdeviceptr p = cu_memory(NULL, 1);
    cu.cuda_double_seed(0);
    DOES(cu.cuMemsetD32Async(p, 0x40000000, 1, s));
    DOES(cu.cuStreamDestroy(s));
    DOES(cu.cuCtxSynchronize());
    cr_expect_eq(cu_value(p), 2);
    DOES(cu.cuMemFree(p));
    cu_close();
}
