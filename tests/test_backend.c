/* label: ops
 * timeout: 300
 *
 * The backends through their vtable: device names, memory, builds, the dialect, the log of the null backend. The OpenCL
 * tests run on the first CPU device, which is POCL where there is no other.
 */
#include "base/alloc.h"
#include "device_check.h"
#include "runtime/null.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- device names ---- */

static void collect(const char *text, void *user) { wg_str_addf(user, "%s\n", text); }

Test(names, every_device_is_listed_and_basic_is_not_one) {
    unsetenv("POCL_DEVICES");
    wg_str lines = {0};
    wg_dev_list(collect, &lines);
    cr_expect(strstr(lines.data, "opencl:0: "), "%s", lines.data);
    cr_expect(strstr(lines.data, "null:gpu: "), "%s", lines.data);
    cr_expect(strstr(lines.data, "host: "), "%s", lines.data);
    cr_expect_null(strstr(lines.data, " basic-"), "%s", lines.data);
    wg_str_free(&lines);
}

Test(names, every_selector_finds_its_device) {
    wg_dev d;
    OK(wg_dev_open("opencl:cpu", &d, &err));
    char first_word[64], upper[80];
    snprintf(first_word, sizeof first_word, "%.*s", (int)strcspn(d.limits->name, " ,-"), d.limits->name);
    wg_dev_close(&d);
    snprintf(upper, sizeof upper, "opencl:%s", first_word);
    for (char *p = upper + 7; *p; p++) {
        *p = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
    }
    const char *const specs[] = {"opencl", "opencl:",  "opencl:0", "opencl:CPU", upper,
                                 "null",   "null:cpu", "null:gpu", "host"};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        OK(wg_dev_open(specs[i], &d, &err));
        cr_assert_not_null(d.dev);
        cr_assert_neq(d.limits->name[0], '\0');
        cr_assert(d.limits->max_alloc >= 1 << 20 && d.limits->max_param_bytes >= 256 && d.limits->compute_units > 0);
        cr_assert(d.limits->native_floats > 0 && d.limits->max_groups[0] == 65534);
        wg_dev_close(&d);
        cr_assert_null(d.dev);
    }
}

Test(names, nonsense_is_quoted_with_what_there_is) {
    const struct {
        const char *spec, *asked, *there;
    } cases[] = {
        {"opencl:zebra", "'zebra'", "(CPU)"},       {"opencl:99", "'99'", "0 "},      {"opencl:-1", "'-1'", "0 "},
        {"zebra", "'zebra'", "opencl, null, host"}, {"zebra:0", "'zebra'", "opencl"}, {":0", "''", "opencl"},
        {"openc:0", "'openc'", "opencl"},           {"null:3", "'3'", "cpu, gpu"},    {"host:0", "'0'", "host"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wg_dev d;
        FAILS(wg_dev_open(cases[i].spec, &d, &err), WG_ERR_NO_DEVICE);
        cr_assert_null(d.dev);
        SAYS(cases[i].asked);
        SAYS(cases[i].there);
        wg_err_clear(&err);
    }
}

Test(names, the_environment_names_the_device) {
    wg_dev d;
    setenv("WENGERT_DEVICE", "null:gpu", 1);
    OK(wg_dev_open(NULL, &d, &err));
    cr_assert_str_eq(d.limits->name, "null GPU");
    wg_dev_close(&d);
    OK(wg_dev_open("null:cpu", &d, &err));
    cr_assert_str_eq(d.limits->name, "null CPU");
    wg_dev_close(&d);
    setenv("WENGERT_DEVICE", "zebra", 1); /* named, so nothing else will do */
    FAILS(wg_dev_open(NULL, &d, &err), WG_ERR_NO_DEVICE);
    wg_err_clear(&err);
    setenv("WENGERT_DEVICE", "", 1);
    OK(wg_dev_open(NULL, &d, &err));
    cr_assert(strcmp(d.backend->name, "null") != 0 && strcmp(d.backend->name, "host") != 0);
    wg_dev_close(&d);
}

Test(names, the_users_pocl_devices_decide) {
    setenv("POCL_DEVICES", "pthread", 1);
    wg_dev d;
    OK(wg_dev_open("opencl:pthread", &d, &err));
    cr_assert_not(d.limits->inline_queue);
    wg_program *p;
    wg_kernel *k;
    FAILS(wg_dev_build(&d, WG_QUEUE_INLINE, "", NULL, 0, &p, &k, &err), WG_ERR_UNSUPPORTED);
    SAYS("no inline queue");
    wg_err_clear(&err);
    wg_dev_close(&d);
}

Test(names, basic_alone_is_a_device) {
    setenv("POCL_DEVICES", "basic", 1);
    wg_dev d;
    OK(wg_dev_open("opencl:basic", &d, &err));
    cr_assert_not(d.limits->inline_queue);
    wg_dev_close(&d);
}

Test(names, two_devices_at_once) {
    wg_dev a, b;
    OK(wg_dev_open("opencl:cpu", &a, &err));
    OK(wg_dev_open("opencl:cpu", &b, &err));
    cr_assert_neq(a.dev, b.dev);
    wg_dev_close(&a);
    wg_mem m;
    OK(wg_dev_alloc(&b, 100, &m, &err));
    wg_dev_free(&b, &m);
    wg_dev_close(&b);
}

Test(names, every_backend_fills_every_slot) {
    for (const wg_backend *const *b = wg_backends; *b; b++) {
        cr_expect((*b)->name && (*b)->list && (*b)->open && (*b)->close && (*b)->limits && (*b)->alloc && (*b)->free &&
                      (*b)->write && (*b)->read && (*b)->build && (*b)->unbuild && (*b)->prelude && (*b)->launch &&
                      (*b)->sync,
                  "%s", (*b)->name);
    }
}

/* ---- an open device ---- */

TestSuite(cpu, .init = open_cpu, .fini = close_cpu);

Test(cpu, limits) {
    const wg_limits *l = dev.limits;
    cr_expect_eq(l->form, WG_SIMD);
    cr_expect_eq(l->language, WG_OPENCL_C);
    cr_expect_geq(l->native_floats, 4);
    cr_expect_geq(l->cache_bytes, 1 << 18);
    cr_expect_geq(l->local_bytes, 16 << 10);
    cr_expect(l->shared_memory);
    cr_expect_not(l->interprets);
    cr_expect_null(strchr(l->name, '\n'));
}

Test(cpu, memory_round_trip) {
    static const size_t sizes[] = {1, 3, 64, 100, 4096, 65537, 3 << 20, 20 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t n = sizes[i];
        unsigned char *src = malloc(n), *dst = calloc(1, n);
        for (size_t j = 0; j < n; j++) {
            src[j] = (unsigned char)(j * 7 + i);
        }
        wg_mem m;
        OK(wg_dev_alloc(&dev, n, &m, &err));
        cr_assert_eq(m.bytes, n);
        cr_assert_eq((uintptr_t)m.host % 64, 0);
        OK(wg_dev_write(&dev, &m, 0, src, n, &err));
        OK(wg_dev_read(&dev, &m, 0, dst, n, &err));
        cr_assert_eq(memcmp(src, dst, n), 0);
        OK(wg_dev_write(&dev, &m, n / 2, src, n - n / 2, &err));
        OK(wg_dev_read(&dev, &m, n / 2, dst, n - n / 2, &err));
        cr_assert_eq(memcmp(src, dst, n - n / 2), 0);
        OK(wg_dev_read(&dev, &m, n, NULL, 0, &err));
        wg_dev_free(&dev, &m);
        cr_assert(!m.handle && !m.host);
        wg_dev_free(&dev, &m);
        free(src);
        free(dst);
    }
}

Test(cpu, more_memory_than_there_is) {
    enum { MOST = 4096 };
    static wg_mem held[MOST];
    wg_mem m;
    FAILS(wg_dev_alloc(&dev, dev.limits->max_alloc + 1, &m, &err), WG_ERR_DEVICE_MEM);
    wg_err_clear(&err);
    FAILS(wg_dev_alloc(&dev, SIZE_MAX, &m, &err), WG_ERR_DEVICE_MEM);
    wg_err_clear(&err);
    size_t n = 0; /* never touched, so no memory is really taken */
    while (n < MOST && wg_dev_alloc(&dev, dev.limits->max_alloc, &held[n], &err) == WG_OK) {
        n++;
    }
    cr_assert_lt(n, MOST, "memory without end");
    cr_assert_eq(err.status, WG_ERR_DEVICE_MEM, "%s", wg_err_text(&err));
    wg_err_clear(&err);
    while (n > 0) {
        wg_dev_free(&dev, &held[--n]);
    }
    OK(wg_dev_alloc(&dev, 1 << 20, &m, &err));
    wg_dev_free(&dev, &m);
}

/* ---- builds ---- */

Test(cpu, a_refused_text_comes_back_numbered_with_the_log) {
    const char *names[] = {"f"};
    wg_program *p;
    wg_kernel *k;
    FAILS(wg_dev_build(&dev, WG_QUEUE_MAIN, "__kernel void f(__global float *a, int n) {\n    a[0] = zebra;\n}\n",
                       names, 1, &p, &k, &err),
          WG_ERR_BUILD);
    SAYS("CL_BUILD_PROGRAM_FAILURE");
    SAYS("zebra'"); /* the compiler's own words */
    SAYS("   1| __kernel void f(");
    SAYS("   2|     a[0] = zebra;\n");
    SAYS("   3| }\n");
    wg_err_clear(&err);
}

Test(cpu, a_missing_kernel_is_named) {
    const char *names[] = {"f", "zebra"};
    wg_program *p;
    wg_kernel *k[2];
    FAILS(build(WG_QUEUE_MAIN, "KERNEL f(GLOBAL float *a, i64 n) { a[0] = n; }\n", names, 2, &p, k), WG_ERR_BUILD);
    SAYS("'zebra'");
    SAYS("CL_INVALID_KERNEL_NAME");
    wg_err_clear(&err);
}

/* ---- the dialect ---- */

Test(cpu, the_prelude_has_the_dialect) {
    const char *text =
        "typedef struct { i64 n; f32 x; i32 i; } args;\n"
        "DEVICE_FN float twice(float x) { return x * 2.0f; }\n"
        "KERNEL_GROUP(8, 4, 1) f(GLOBAL float *RESTRICT out, GLOBAL const float *RESTRICT in, args p) {\n"
        "    LOCAL float part[32];\n"
        "    int t = LID(1) * LSZ(0) + LID(0);\n"
        "    LOCAL_PTR float *mine = part + t;\n"
        "    int group = GRP(1) * NGRP(0) + GRP(0);\n"
        "    *mine = twice(in[group * 32 + t]);\n"
        "    BARRIER_LOCAL();\n"
        "    float sum = 0.0f;\n"
        "    UNROLL for (int i = 0; i < 32; i++) { sum += part[i]; }\n"
        "    u64 big = (u64)p.n << 32; u32 low = (u32)big;\n"
        "    if (t == 0) { out[group] = sum + p.x + (float)low; }\n"
        "}\n"
        "#ifdef WG_HAS_F64\n"
        "KERNEL_GROUP(1, 1, 1) g(GLOBAL float *out, i64 n) { f64 third = 1.0 / 3.0; out[0] = (float)(third * n); }\n"
        "#endif\n";
    cr_assert(dev.limits->has_f64);
    const char *names[] = {"f", "g"};
    wg_program *p;
    wg_kernel *k[2];
    OK(build(WG_QUEUE_MAIN, text, names, 2, &p, k));
    enum { GROUPS = 6 };
    float in[GROUPS * 32], out[GROUPS];
    for (int i = 0; i < GROUPS * 32; i++) {
        in[i] = (float)i;
    }
    wg_mem a, b;
    OK(wg_dev_alloc(&dev, sizeof in, &a, &err));
    OK(wg_dev_alloc(&dev, sizeof out, &b, &err));
    OK(wg_dev_write(&dev, &a, 0, in, sizeof in, &err));
    const wg_mem *buffers[] = {&b, &a};
    struct {
        int64_t n;
        float x;
        int32_t i;
    } args = {.n = 5, .x = 0.5f};
    wg_launch l = {.kernel = k[0],
                   .groups = {3, 2, 1},
                   .local = {8, 4, 1},
                   .buffers = buffers,
                   .nbuffers = 2,
                   .params = &args,
                   .param_bytes = sizeof args};
    OK(wg_dev_launch(&dev, WG_QUEUE_MAIN, &l, &err));
    OK(wg_dev_read(&dev, &b, 0, out, sizeof out, &err));
    for (int g = 0; g < GROUPS; g++) {
        cr_assert_eq(out[g], 2 * (float)(g * 32 * 32 + 31 * 16) + 0.5f, "group %d: %g", g, (double)out[g]);
    }
    int64_t n = 3;
    l = (wg_launch){.kernel = k[1],
                    .groups = {1, 1, 1},
                    .local = {1, 1, 1},
                    .buffers = buffers,
                    .nbuffers = 1,
                    .params = &n,
                    .param_bytes = sizeof n};
    OK(wg_dev_launch(&dev, WG_QUEUE_MAIN, &l, &err));
    OK(wg_dev_read(&dev, &b, 0, out, sizeof *out, &err));
    cr_assert_eq(out[0], 1.0f);
    wg_dev_unbuild(&dev, p);
    wg_dev_free(&dev, &a);
    wg_dev_free(&dev, &b);
}

Test(cpu, products_and_sums_are_not_contracted) {
    const char *text =
        "KERNEL_GROUP(1, 1, 1) f(GLOBAL float *a, i64 n) { a[0] = a[1] * a[2] + a[3]; a[4] = a[5] / a[6]; }\n";
    wg_program *p;
    wg_kernel *k;
    OK(build(WG_QUEUE_MAIN, text, (const char *[]){"f"}, 1, &p, &k));
    volatile float x = 1.0f + 0x1p-12f, product = x * x, quotient = 1.0f / 3.1f;
    float a[7] = {0, x, x, -1.0f, 0, 1.0f, 3.1f};
    wg_mem m;
    OK(wg_dev_alloc(&dev, sizeof a, &m, &err));
    OK(wg_dev_write(&dev, &m, 0, a, sizeof a, &err));
    int64_t n = 1;
    const wg_mem *buffers[] = {&m};
    wg_launch l = {.kernel = k,
                   .groups = {1, 1, 1},
                   .local = {1, 1, 1},
                   .buffers = buffers,
                   .nbuffers = 1,
                   .params = &n,
                   .param_bytes = sizeof n};
    OK(wg_dev_launch(&dev, WG_QUEUE_MAIN, &l, &err));
    OK(wg_dev_read(&dev, &m, 0, a, sizeof a, &err));
    cr_assert_eq(a[0], product - 1.0f);
    cr_assert_eq(a[4], quotient);
    wg_dev_unbuild(&dev, p);
    wg_dev_free(&dev, &m);
}

/* ---- null and host ---- */

Test(null, the_log_tells_what_was_asked) {
    OK(wg_dev_open("null:gpu", &dev, &err));
    cr_assert(dev.limits->form == WG_SIMT && !dev.limits->shared_memory);
    wg_mem a, b;
    OK(wg_dev_alloc(&dev, 100, &a, &err));
    OK(wg_dev_alloc(&dev, 200, &b, &err));
    cr_assert_null(a.host);
    int64_t p[2] = {7, 8}, got = 0;
    OK(wg_dev_write(&dev, &a, 8, p, sizeof p, &err));
    OK(wg_dev_read(&dev, &a, 16, &got, sizeof got, &err));
    cr_assert_eq(got, 8);
    wg_program *program;
    wg_kernel *k[2];
    OK(wg_dev_build(&dev, WG_QUEUE_MAIN, "", (const char *[]){"one", "two"}, 2, &program, k, &err));
    const wg_mem *buffers[] = {&b, &a};
    wg_launch l = {.kernel = k[1],
                   .groups = {3, 2, 1},
                   .local = {64, 1, 1},
                   .buffers = buffers,
                   .nbuffers = 2,
                   .params = p,
                   .param_bytes = sizeof p};
    OK(wg_dev_launch(&dev, WG_QUEUE_INLINE, &l, &err));
    p[0] = 0;
    OK(wg_dev_sync(&dev, &err));
    wg_dev_unbuild(&dev, program);
    void *handles[] = {a.handle, b.handle};
    wg_dev_free(&dev, &a);

    static const wg_null_kind kinds[] = {WG_NULL_ALLOC,  WG_NULL_ALLOC, WG_NULL_WRITE, WG_NULL_READ,
                                         WG_NULL_LAUNCH, WG_NULL_SYNC,  WG_NULL_FREE};
    const wg_null_record *r;
    size_t n = wg_null_log(dev.dev, &r);
    cr_assert_eq(n, sizeof kinds / sizeof *kinds);
    for (size_t i = 0; i < n; i++) {
        cr_assert_eq(r[i].kind, kinds[i], "record %zu", i);
    }
    cr_assert(r[1].handle == handles[1] && r[1].bytes == 200);
    cr_assert(r[2].handle == handles[0] && r[2].offset == 8 && r[2].bytes == 16);
    cr_assert_str_eq(r[4].kernel, "two");
    cr_assert(r[4].queue == WG_QUEUE_INLINE && r[4].groups[1] == 2 && r[4].local[0] == 64);
    cr_assert(r[4].nbuffers == 2 && r[4].buffers[0] == handles[1] && r[4].buffers[1] == handles[0]);
    cr_assert_eq(r[4].param_bytes, sizeof p);
    memcpy(p, r[4].params, sizeof p);
    cr_assert_eq(p[0], 7);
    wg_null_log_clear(dev.dev);
    cr_assert_eq(wg_null_log(dev.dev, &r), 0);
    wg_dev_free(&dev, &b);
    wg_dev_close(&dev);
}

Test(null, the_host_device_has_memory_but_no_kernels) {
    OK(wg_dev_open("host", &dev, &err));
    cr_assert(dev.limits->interprets && dev.limits->shared_memory);
    wg_mem m;
    OK(wg_dev_alloc(&dev, 0, &m, &err));
    cr_assert_not_null(m.host);
    wg_dev_free(&dev, &m);
    FAILS(wg_dev_alloc(&dev, dev.limits->max_alloc + 1, &m, &err), WG_ERR_DEVICE_MEM);
    wg_err_clear(&err);
    wg_program *p;
    wg_kernel *k;
    FAILS(wg_dev_build(&dev, WG_QUEUE_MAIN, "", (const char *[]){"f"}, 1, &p, &k, &err), WG_ERR_UNSUPPORTED);
    wg_err_clear(&err);
    wg_launch l = {.local = {1, 1, 1}};
    FAILS(wg_dev_launch(&dev, WG_QUEUE_MAIN, &l, &err), WG_ERR_UNSUPPORTED);
    wg_err_clear(&err);
    OK(wg_dev_sync(&dev, &err));
    wg_dev_close(&dev);
}
