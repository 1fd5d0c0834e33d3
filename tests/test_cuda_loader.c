/* label: unit */
/*
 * Where CUDA cannot be used, the reason is one sentence and the next backend is taken, unless CUDA was asked for by name.
 * Nothing here needs a driver or a toolkit; what a toolkit adds is its link stub, in the place of a driver.
 */
#include "cuda/internal.h"
#include "runtime/device.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wengert/wengert.h>

#define STUB "/usr/local/cuda/lib64/stubs/libcuda.so"

/* Criterion runs each test in a process of its own: nothing has been loaded before. */

static bool has_stub(void) {
    bool there = access(STUB, R_OK) == 0;
    if (!there) {
        cr_log_info("no toolkit on this machine: its stub was not tried as a driver");
    }
    return there;
}

static void collect(const char *text, void *user) { wg_str_addf(user, "%s\n", text); }

/* The line wengert-info prints for CUDA, and nothing computed on it by that name. */
static void unusable_because(const char *reason) {
    wg_str lines = {0};
    wg_backend_cuda.list(collect, &lines);
    cr_expect(strncmp(lines.data, "cuda: ", 6) == 0 && strstr(lines.data, reason), "%s", lines.data);
    cr_expect_eq(strchr(lines.data, '\n'), lines.data + lines.len - 1, "more than one line: %s", lines.data);
    wg_str_free(&lines);

    const char *const names[] = {"cuda", "cuda:0", "cuda:1", "cuda:nvidia"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        wg_ctx *ctx = wg_open(names[i]);
        cr_expect(wg_failed(ctx));
        cr_expect_eq(wg_error_status(ctx), WG_ERR_NO_DEVICE);
        cr_expect(strstr(wg_error(ctx), names[i]) && strstr(wg_error(ctx), reason), "%s", wg_error(ctx));
        cr_expect_eq(wg_close(ctx), WG_ERR_NO_DEVICE);
    }
}

/* The same process computes on OpenCL. */
static void opencl_works(void) {
    unsetenv("WENGERT_DEVICE");
    wg_ctx *ctx = wg_open(NULL);
    cr_assert_not(wg_failed(ctx), "%s", wg_error(ctx));
    WG_SCOPE(ctx) {
        wg_tensor *x = wg_from_f32(ctx, (float[]){1, 2, 3}, WG_SHAPE(3));
        cr_expect_eq(wg_item(wg_sum(wg_square(x), NULL, 0, false)), 14);
    }
    cr_expect_eq(wg_close(ctx), WG_OK);
}

Test(cuda_loader, no_driver) {
    setenv("WENGERT_LIBCUDA", "/nowhere/libcuda.so.1", 1);
    unusable_because("no NVIDIA driver: /nowhere/libcuda.so.1");
    opencl_works();
}

Test(cuda_loader, a_library_that_is_no_driver) {
    setenv("WENGERT_LIBCUDA", "libm.so.6", 1);
    unusable_because("libm.so.6 has no cuInit: not a driver of CUDA 12.0 or later");
    opencl_works();
}

Test(cuda_loader, the_toolkits_stub) {
    if (has_stub()) {
        setenv("WENGERT_LIBCUDA", STUB, 1);
        unusable_because(STUB " is the toolkit's link stub, not an NVIDIA driver");
        opencl_works();
    }
}

Test(cuda_loader, every_symbol_resolves_in_the_stub) {
    char why[512] = "";
    wg_cu_api api;
    if (has_stub()) {
        cr_expect(wg_cuda_resolve(STUB, wg_cu_names, wg_cu_count, &api, why, sizeof why), "%s", why);
        cr_expect_eq(api.cuInit(0), WG_CU_STUB_LIBRARY);
    }
}

Test(cuda_loader, every_symbol_resolves_in_nvrtc_and_cublas) {
    char why[512] = "";
    wg_rtc_api rtc;
    wg_blas_api blas;
    if (has_stub()) {
        const char *nvrtc = "/usr/local/cuda/lib64/libnvrtc.so", *cublas = "/usr/local/cuda/lib64/libcublas.so";
        int major = 0, minor = 0;
        cr_assert(wg_cuda_resolve(nvrtc, wg_rtc_names, wg_rtc_count, &rtc, why, sizeof why), "%s", why);
        cr_expect_eq(rtc.nvrtcVersion(&major, &minor), 0);
        cr_expect_geq(major, 12);
        cr_expect(wg_cuda_resolve(cublas, wg_blas_names, wg_blas_count, &blas, why, sizeof why), "%s", why);
    }
}

/* The toolkit's own cuBLASLt, which makes descriptors without a device, takes ours: it refuses values of another size. */
Test(cuda_loader, cublaslt_takes_our_attributes) {
    static const struct {
        unsigned attribute;
        size_t bytes;
    } of_operation[] = {{WG_LT_TRANSPOSE_A, 4},  {WG_LT_TRANSPOSE_B, 4}, {WG_LT_EPILOGUE, 4},
                        {WG_LT_BIAS_POINTER, 8}, {WG_LT_AUX_POINTER, 8}, {WG_LT_AUX_BATCH_STRIDE, 8},
                        {WG_LT_AUX_LD, 8}},
      of_layout[] = {{WG_LT_LAYOUT_BATCH_COUNT, 4}, {WG_LT_LAYOUT_BATCH_STRIDE, 8}},
      of_preference[] = {{WG_LT_MOST_WORKSPACE, 8},  {WG_LT_REDUCTION_SCHEMES, 4}, {WG_LT_ALIGNMENT_A, 4},
                         {WG_LT_ALIGNMENT_A + 1, 4}, {WG_LT_ALIGNMENT_A + 2, 4},   {WG_LT_ALIGNMENT_A + 3, 4}};
    const int64_t one = 1;
    char why[512] = "";
    wg_lt_api lt;
    wg_lt_operation o;
    wg_lt_layout l;
    wg_lt_preference p;
    if (!has_stub()) {
        return;
    }
    const char *library = "/usr/local/cuda/lib64/libcublasLt.so";
    cr_assert(wg_cuda_resolve(library, wg_lt_names, wg_lt_count, &lt, why, sizeof why), "%s", why);
    cr_assert_eq(lt.cublasLtMatmulDescCreate(&o, WG_BLAS_COMPUTE_32F, WG_BLAS_R_32F), 0);
    cr_assert_eq(lt.cublasLtMatrixLayoutCreate(&l, WG_BLAS_R_16F, 8, 4, 8), 0);
    cr_assert_eq(lt.cublasLtMatmulPreferenceCreate(&p), 0);
    for (size_t i = 0; i < sizeof of_operation / sizeof *of_operation; i++) {
        unsigned a = of_operation[i].attribute;
        cr_expect_eq(lt.cublasLtMatmulDescSetAttribute(o, a, &one, of_operation[i].bytes), 0, "attribute %u", a);
        cr_expect_neq(lt.cublasLtMatmulDescSetAttribute(o, a, &one, 12 - of_operation[i].bytes), 0, "attribute %u", a);
    }
    for (size_t i = 0; i < sizeof of_layout / sizeof *of_layout; i++) {
        cr_expect_eq(lt.cublasLtMatrixLayoutSetAttribute(l, of_layout[i].attribute, &one, of_layout[i].bytes), 0);
    }
    for (size_t i = 0; i < sizeof of_preference / sizeof *of_preference; i++) {
        cr_expect_eq(
            lt.cublasLtMatmulPreferenceSetAttribute(p, of_preference[i].attribute, &one, of_preference[i].bytes), 0);
    }
    cr_expect_eq(lt.cublasLtMatmulDescDestroy(o), 0);
    cr_expect_eq(lt.cublasLtMatrixLayoutDestroy(l), 0);
    cr_expect_eq(lt.cublasLtMatmulPreferenceDestroy(p), 0);
}

/* Symbols of one library do not serve another: the tables are filled from the library they are of. */
Test(cuda_loader, what_is_loaded_stays_local) {
    char why[512] = "";
    wg_cu_api api;
    if (has_stub() && wg_cuda_resolve(STUB, wg_cu_names, wg_cu_count, &api, why, sizeof why)) {
        cr_expect_null(dlsym(RTLD_DEFAULT, "cuInit"));
    }
}

Test(cuda_loader, a_failure_is_kept) {
    wg_err err = {0};
    setenv("WENGERT_LIBCUDA", "/nowhere/one.so", 1);
    cr_expect_null(wg_cu_load(&err));
    wg_err_clear(&err);
    setenv("WENGERT_LIBCUDA", "/nowhere/two.so", 1);
    cr_expect_null(wg_cu_load(&err));
    cr_expect(strstr(wg_err_text(&err), "/nowhere/one.so"), "%s", wg_err_text(&err));
    cr_expect_eq(err.status, WG_ERR_NO_DEVICE);
    wg_err_clear(&err);
}

Test(cuda_loader, nvrtc_and_cublas_say_what_is_missing) {
    setenv("WENGERT_LIBNVRTC", "/nowhere/nvrtc.so", 1);
    setenv("WENGERT_LIBCUBLAS", "/nowhere/cublas.so", 1);
    wg_err err = {0};
    cr_expect_null(wg_rtc_load(&err));
    cr_expect(strstr(wg_err_text(&err), "no NVRTC to compile kernels with: /nowhere/nvrtc.so"), "%s",
              wg_err_text(&err));
    wg_err_clear(&err);
    cr_expect_null(wg_blas_load(&err));
    cr_expect(strstr(wg_err_text(&err), "no cuBLAS: /nowhere/cublas.so"), "%s", wg_err_text(&err));
    wg_err_clear(&err);
}

/* Without a device neither NVRTC nor cuBLAS is opened: they cost a quarter of a second and 190 MB. */
Test(cuda_loader, without_a_device_nothing_more_is_loaded) {
    setenv("WENGERT_LIBCUDA", "/nowhere/libcuda.so.1", 1);
    wg_str lines = {0};
    wg_backend_cuda.list(collect, &lines);
    wg_str_free(&lines);
    wg_device *dev = NULL;
    cr_expect_eq(wg_backend_cuda.open("", &dev, NULL), WG_ERR_NO_DEVICE);
    FILE *maps = fopen("/proc/self/maps", "r");
    cr_assert_not_null(maps);
    char line[1024];
    while (fgets(line, sizeof line, maps)) {
        cr_expect(!strstr(line, "libnvrtc") && !strstr(line, "libcublas"), "%s", line);
    }
    fclose(maps);
}

/* ---- selectors, and products, that need no device ---- */

Test(cuda_loader, selectors_mean_devices) {
    static wg_cuda_list list = {.n = 2, .found = {{.name = "NVIDIA H100 80GB HBM3"}, {.name = "NVIDIA A100"}}};
    const struct {
        const char *selector;
        int device; /* -1: none */
    } cases[] = {{"", 0},     {"gpu", 0},    {"0", 0},   {"1", 1},    {"2", -1},
                 {"a100", 1}, {"NVIDIA", 0}, {"-1", -1}, {"cpu", -1}, {"99999999999999999999", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wg_err err = {0};
        const wg_cuda_found *d = wg_cuda_select(&list, cases[i].selector, &err);
        cr_expect_eq(d ? (int)(d - list.found) : -1, cases[i].device, "'%s'", cases[i].selector);
        cr_expect(d || strstr(wg_err_text(&err), "0 NVIDIA H100 80GB HBM3, 1 NVIDIA A100"), "%s", wg_err_text(&err));
        wg_err_clear(&err);
    }
}

Test(cuda_loader, products_that_cublas_takes) {
    const wg_gemm_call plain = {
        .dtype = WG_F32, .m = 2, .n = 3, .k = 4, .batch = 1, .a_row = 4, .a_col = 1, .b_row = 3, .b_col = 1};
    wg_gemm_call c = plain;
    cr_expect(wg_cuda_gemm_takes(NULL, &c));
    c = plain, c.a_row = 1, c.a_col = 2; /* transposed */
    cr_expect(wg_cuda_gemm_takes(NULL, &c));
    c = plain, c.b_row = 7; /* rows with a gap */
    cr_expect(wg_cuda_gemm_takes(NULL, &c));
    c = plain, c.b_row = 0; /* one row repeated */
    cr_expect_not(wg_cuda_gemm_takes(NULL, &c));
    c = plain, c.a_row = 8, c.a_col = 2; /* every other element */
    cr_expect_not(wg_cuda_gemm_takes(NULL, &c));
    c = plain, c.a_row = -4; /* flipped */
    cr_expect_not(wg_cuda_gemm_takes(NULL, &c));
    c = plain, c.k = 0;
    cr_expect_not(wg_cuda_gemm_takes(NULL, &c));
    c = plain, c.dtype = WG_I32;
    cr_expect_not(wg_cuda_gemm_takes(NULL, &c));
    c = plain, c.k = 1, c.a_row = 1, c.a_col = 0, c.b_row = 0; /* an outer product of vectors */
    cr_expect(wg_cuda_gemm_takes(NULL, &c));
    c = plain, c.m = 1, c.a_row = 0; /* a row times a matrix */
    cr_expect(wg_cuda_gemm_takes(NULL, &c));
}
