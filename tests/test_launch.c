/* label: ops
 * timeout: 300
 *
 * Launches through the vtable: queues, events between them, arguments that change, waiting, faults, and a forked child. On the first CPU
 * device of OpenCL.
 */
#include "base/alloc.h"
#include "device_check.h"
#include "opencl/internal.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- launches ---- */

typedef struct params {
    int64_t n;
    float factor;
    int32_t pad;
} params;

static const char texts[] =
    "typedef struct { i64 n; f32 factor; i32 pad; } params;\n"
    "KERNEL_GROUP(1, 1, 1) scale(GLOBAL float *RESTRICT a, params p) {\n" /* a = a * factor + 1 */
    "    i64 per = (p.n + NGRP(0) - 1) / NGRP(0), from = GRP(0) * per, to = min(from + per, p.n);\n"
    "    for (i64 i = from; i < to; i++) { a[i] = a[i] * p.factor + 1.0f; }\n"
    "}\n"
    "KERNEL_GROUP(1, 1, 1) add(GLOBAL float *out, GLOBAL const float *b, params p) {\n"
    "    for (i64 i = GRP(0); i < p.n; i += NGRP(0)) { out[i] += b[i] * p.factor; }\n"
    "}\n";

static const char *const kernel_names[] = {"scale", "add"};
static wg_program *programs[2];
static wg_kernel *kernels[2][2];
enum { SCALE, ADD };

static void open_built(void) {
    setenv("WENGERT_QUEUES", "3", 1);
    open_cpu();
    cr_assert_eq(dev.limits->queues, 3);
    cr_assert(dev.limits->inline_queue, "POCL offers no basic device");
    for (int q = 0; q < 2; q++) {
        OK(build((wg_queue)q, texts, kernel_names, 2, &programs[q], kernels[q]));
    }
}

static void close_built(void) {
    for (int q = 0; q < 2; q++) {
        wg_dev_unbuild(&dev, programs[q]);
    }
    close_cpu();
}

TestSuite(built, .init = open_built, .fini = close_built);

static void launch_on(wg_queue queue, int kernel, uint32_t groups, const wg_mem *a, const wg_mem *b, params p) {
    const wg_mem *buffers[] = {a, b};
    wg_launch l = {.kernel = kernels[queue == WG_QUEUE_INLINE][kernel],
                   .groups = {groups, 1, 1},
                   .local = {1, 1, 1},
                   .buffers = buffers,
                   .nbuffers = kernel == SCALE ? 1 : 2,
                   .params = &p,
                   .param_bytes = sizeof p};
    OK(wg_dev_launch(&dev, queue, &l, &err));
}

static void launch(int q, int kernel, uint32_t groups, const wg_mem *a, const wg_mem *b, params p) {
    launch_on((wg_queue)q, kernel, groups, a, b, p);
}

static wg_mem zeros(size_t n) {
    wg_mem m;
    OK(wg_dev_alloc(&dev, n * sizeof(float), &m, &err));
    float *z = calloc(n, sizeof *z);
    OK(wg_dev_write(&dev, &m, 0, z, n * sizeof *z, &err));
    free(z);
    return m;
}

static void expect_all(const wg_mem *m, size_t n, float value) {
    float *got = malloc(n * sizeof *got);
    OK(wg_dev_read(&dev, m, 0, got, n * sizeof *got, &err));
    for (size_t i = 0; i < n; i++) {
        cr_assert_eq(got[i], value, "element %zu is %g, not %g", i, (double)got[i], (double)value);
    }
    free(got);
}

Test(built, the_host_pointer_shows_what_kernels_wrote) {
    enum { N = 100000 };
    wg_mem m = zeros(N);
    for (int q = 0; q < 2; q++) {
        float *host = (float *)(void *)m.host;
        for (int round = 0; round < 50; round++) {
            for (int i = 0; i < N; i += 997) {
                host[i] = (float)round; /* idle now, so the host may write */
            }
            launch(q, SCALE, 7, &m, NULL, (params){.n = N, .factor = 2});
            OK(wg_dev_sync(&dev, &err));
            for (int i = 0; i < N; i += 997) {
                cr_assert_eq(host[i], (float)(2 * round + 1), "queue %d", q);
            }
        }
    }
    wg_dev_free(&dev, &m);
}

Test(built, buffers_of_the_driver_work_as_on_a_gpu) {
    enum { N = 10000 };
    dev.dev->limits.shared_memory = false;
    wg_mem m = zeros(N), x = zeros(N);
    cr_assert(!m.host && !x.host);
    float expected = 0;
    for (int i = 0; i < 50; i++) {
        int q = i % 5 == 0;
        float value = (float)i;
        OK(wg_dev_write(&dev, &x, 7 * sizeof value, &value, sizeof value, &err));
        launch(q, ADD, 3, &m, &x, (params){.n = N, .factor = 2});
        expected += 2 * value;
    }
    float got[3];
    OK(wg_dev_read(&dev, &m, 6 * sizeof *got, got, sizeof got, &err));
    cr_assert(got[0] == 0 && got[1] == expected && got[2] == 0);
    launch(0, SCALE, 3, &x, NULL, (params){.n = N, .factor = 0});
    wg_dev_free(&dev, &m);
    expect_all(&x, N, 1);
    wg_dev_free(&dev, &x);
}

Test(built, queues_cross_in_order) {
    enum { N = 5000 };
    wg_mem m = zeros(N);
    float expected = 0;
    for (int i = 0; i < 400; i++) {
        int q = i % 3 == 0 || i % 7 == 0;
        float factor = i % 5 == 0 ? 0.5f : 1.0f;
        launch(q, SCALE, 1 + (uint32_t)i % 4, &m, NULL, (params){.n = N, .factor = factor});
        expected = expected * factor + 1.0f;
    }
    expect_all(&m, N, expected);
    wg_dev_free(&dev, &m);
}

/* Work goes from queue to queue of the main device by events, and now and then to the inline queue, which waits for all. */
Test(built, events_order_the_queues_of_a_device) {
    enum { N = 5000, QUEUES = 3 };
    wg_mem m = zeros(N);
    float expected = 0;
    for (int i = 0; i < 600; i++) {
        int at = i % QUEUES, next = (i + 1) % QUEUES;
        float factor = i % 5 == 0 ? 0.5f : 1.0f;
        launch_on(wg_queue_number(at), SCALE, 1 + (uint32_t)i % 4, &m, NULL, (params){.n = N, .factor = factor});
        expected = expected * factor + 1.0f;
        if (i % 37 == 0) {
            launch_on(WG_QUEUE_INLINE, SCALE, 1, &m, NULL, (params){.n = N, .factor = 0.5f});
            expected = expected * 0.5f + 1.0f;
        }
        OK(wg_dev_mark(&dev, wg_queue_number(at), i % 7, &err));
        OK(wg_dev_wait(&dev, wg_queue_number(next), i % 7, &err));
    }
    OK(wg_dev_sync(&dev, &err));
    expect_all(&m, N, expected);
    wg_dev_free(&dev, &m);
}

/* What was launched before a wait is not held up by it: queues that wait for each other in turn all get on. */
Test(built, queues_that_wait_for_each_other_get_on) {
    enum { N = 200000, ROUNDS = 200 };
    wg_mem m[2] = {zeros(N), zeros(N)};
    for (int i = 0; i < ROUNDS; i++) {
        for (int q = 0; q < 2; q++) {
            launch_on(wg_queue_number(q), SCALE, 2, &m[q], NULL, (params){.n = N, .factor = 1});
            OK(wg_dev_mark(&dev, wg_queue_number(q), q, &err));
        }
        for (int q = 0; q < 2; q++) {
            OK(wg_dev_wait(&dev, wg_queue_number(q), !q, &err));
        }
        for (int q = 0; q < 2; q++) { /* what the other one made */
            launch_on(wg_queue_number(q), ADD, 2, &m[!q], &m[!q], (params){.n = N, .factor = 1});
            OK(wg_dev_mark(&dev, wg_queue_number(q), q, &err));
        }
        for (int q = 0; q < 2; q++) {
            OK(wg_dev_wait(&dev, wg_queue_number(q), !q, &err));
            launch_on(wg_queue_number(q), SCALE, 2, &m[q], NULL, (params){.n = N, .factor = 0.25f});
        }
    }
    OK(wg_dev_wait(&dev, WG_QUEUE_MAIN, 0, &err));
    OK(wg_dev_sync(&dev, &err));
    float expected = 0;
    for (int i = 0; i < ROUNDS; i++) {
        expected = (expected + 1) * 2 * 0.25f + 1;
    }
    expect_all(&m[0], N, expected);
    expect_all(&m[1], N, expected);
    wg_dev_free(&dev, &m[0]);
    wg_dev_free(&dev, &m[1]);
}

Test(built, transfers_wait_for_launches) {
    enum { N = 200000 };
    wg_mem m = zeros(N);
    for (int i = 0; i < 100; i++) {
        int q = i & 1;
        float start = (float)i;
        OK(wg_dev_write(&dev, &m, (N - 1) * sizeof(float), &start, sizeof start, &err));
        launch(q, SCALE, 2, &m, NULL, (params){.n = N, .factor = 2});
        float got = 0;
        OK(wg_dev_read(&dev, &m, (N - 1) * sizeof(float), &got, sizeof got, &err));
        cr_assert_eq(got, 2 * start + 1);
    }
    wg_dev_free(&dev, &m);
}

Test(built, thousands_of_launches) {
    enum { N = 64, LAUNCHES = 5000 };
    for (int q = 0; q < 2; q++) {
        wg_mem m = zeros(N);
        for (int i = 0; i < LAUNCHES; i++) {
            launch(q, SCALE, 1, &m, NULL, (params){.n = N, .factor = 1});
        }
        expect_all(&m, N, LAUNCHES);
        wg_dev_free(&dev, &m);
    }
}

Test(built, arguments_change_from_launch_to_launch) {
    enum { N = 32 };
    for (int q = 0; q < 2; q++) {
        wg_mem sum = zeros(N), x[3];
        float expected = 0;
        for (int i = 0; i < 3; i++) {
            x[i] = zeros(N);
            launch(q, SCALE, 1, &x[i], NULL, (params){.n = N, .factor = 0});
        }
        for (int i = 0; i < 300; i++) {
            if (i % 10 == 9) { /* a new buffer often has the handle of the one just released */
                wg_dev_free(&dev, &x[i % 3]);
                x[i % 3] = zeros(N);
                launch(q, SCALE, 1, &x[i % 3], NULL, (params){.n = N, .factor = 0});
            }
            float factor = (float)(i % 4);
            launch(q, ADD, 2, &sum, &x[i % 3], (params){.n = N, .factor = factor});
            expected += factor;
        }
        expect_all(&sum, N, expected);
        wg_dev_free(&dev, &sum);
        for (int i = 0; i < 3; i++) {
            wg_dev_free(&dev, &x[i]);
        }
    }
}

Test(built, freeing_waits_for_the_kernels_that_use_it) {
    enum { N = 1 << 20 };
    for (int i = 0; i < 20; i++) {
        wg_mem m = zeros(N);
        for (int j = 0; j < 4; j++) {
            launch(0, SCALE, 8, &m, NULL, (params){.n = N, .factor = 2});
        }
        wg_dev_free(&dev, &m); /* a sanitizer or a crash would tell */
    }
}

Test(built, a_launch_with_other_arguments_is_refused) {
    wg_mem m = zeros(8);
    const wg_mem *buffers[] = {&m, &m};
    params p = {.n = 8};
    wg_launch l = {.kernel = kernels[0][SCALE],
                   .groups = {1, 1, 1},
                   .local = {1, 1, 1},
                   .buffers = buffers,
                   .nbuffers = 2,
                   .params = &p,
                   .param_bytes = sizeof p};
    FAILS(wg_dev_launch(&dev, WG_QUEUE_MAIN, &l, &err), WG_ERR_LAUNCH);
    wg_err_clear(&err);
    l.nbuffers = 1;
    l.local[0] = 3; /* the kernel requires 1 */
    FAILS(wg_dev_launch(&dev, WG_QUEUE_MAIN, &l, &err), WG_ERR_LAUNCH);
    SAYS("CL_INVALID_WORK_GROUP_SIZE");
    wg_err_clear(&err);
    l.local[0] = 1;
    OK(wg_dev_launch(&dev, WG_QUEUE_MAIN, &l, &err));
    expect_all(&m, 8, 1);
    wg_dev_free(&dev, &m);
}

Test(built, every_fault_is_an_error_and_passes) {
    wg_mem m = zeros(8), other;
    params p = {.n = 8, .factor = 1};
    const wg_mem *buffers[] = {&m};
    wg_launch l = {.kernel = kernels[0][SCALE],
                   .groups = {1, 1, 1},
                   .local = {1, 1, 1},
                   .buffers = buffers,
                   .nbuffers = 1,
                   .params = &p,
                   .param_bytes = sizeof p};
    wg_program *prog;
    wg_kernel *k[2];
    float x = 0;
    wg_fault_arm(WG_FAULT_DEVICE_ALLOC, 1);
    FAILS(wg_dev_alloc(&dev, 8, &other, &err), WG_ERR_DEVICE_MEM);
    wg_err_clear(&err);
    wg_fault_arm(WG_FAULT_BUILD, 1);
    FAILS(build(WG_QUEUE_MAIN, texts, kernel_names, 2, &prog, k), WG_ERR_BUILD);
    wg_err_clear(&err);
    wg_fault_arm(WG_FAULT_LAUNCH, 1);
    FAILS(wg_dev_launch(&dev, WG_QUEUE_MAIN, &l, &err), WG_ERR_LAUNCH);
    wg_err_clear(&err);
    wg_fault_arm(WG_FAULT_TRANSFER, 2);
    OK(wg_dev_write(&dev, &m, 0, &x, sizeof x, &err));
    FAILS(wg_dev_read(&dev, &m, 0, &x, sizeof x, &err), WG_ERR_TRANSFER);
    SAYS("injected");
    wg_err_clear(&err);
    OK(wg_dev_launch(&dev, WG_QUEUE_MAIN, &l, &err));
    expect_all(&m, 8, 1);
    wg_dev_free(&dev, &m);
}

Test(built, host_allocations_of_a_build_fail_one_by_one) {
    for (uint64_t n = 1;; n++) {
        cr_assert_lt(n, 20);
        wg_program *p;
        wg_kernel *k[2];
        wg_fault_arm(WG_FAULT_ALLOC, n);
        wg_status status = wg_dev_build(&dev, WG_QUEUE_MAIN, "kernel void f(global int *a, long n) { a[0] = n; }",
                                        (const char *[]){"f"}, 1, &p, k, &err);
        bool hit = wg_fault_count(WG_FAULT_ALLOC) >= n;
        wg_fault_arm(WG_FAULT_ALLOC, 0);
        cr_assert_eq(status, hit ? WG_ERR_NOMEM : WG_OK);
        wg_err_clear(&err);
        if (!hit) {
            wg_dev_unbuild(&dev, p);
            break;
        }
    }
}

/* ---- after fork ---- */

Test(built, a_child_may_close_what_it_inherited) {
    enum { N = 1000 };
    wg_mem m = zeros(N);
    launch(0, SCALE, 2, &m, NULL, (params){.n = N, .factor = 1});
    pid_t child = fork();
    if (child == 0) {
        alarm(20); /* a call into POCL would hang */
        for (int q = 0; q < 2; q++) {
            wg_dev_unbuild(&dev, programs[q]);
        }
        wg_dev_free(&dev, &m);
        wg_dev_close(&dev);
        _exit(m.host == NULL && dev.dev == NULL ? 0 : 1);
    }
    int status = -1;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with %d", status);
    launch(1, SCALE, 2, &m, NULL, (params){.n = N, .factor = 1});
    expect_all(&m, N, 2);
    wg_dev_free(&dev, &m);
}
