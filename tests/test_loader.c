/* label: unit */
/* Opening the OpenCL library, and what is said when that fails. */
#include "opencl/internal.h"
#include "runtime/device.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Criterion runs each test in a process of its own: nothing has been loaded before. */

Test(loader, a_missing_library_is_named) {
    wg_cl_api api;
    char why[512] = "";
    cr_assert_not(wg_cl_load_from("/nowhere/libOpenCL.so", &api, why, sizeof why));
    cr_assert(strstr(why, "/nowhere/libOpenCL.so"), "%s", why);
    cr_assert(strstr(why, "OpenCL library"), "%s", why);
}

Test(loader, a_library_without_the_functions_is_refused) {
    wg_cl_api api;
    char why[512] = "";
    cr_assert_not(wg_cl_load_from("libm.so.6", &api, why, sizeof why));
    cr_assert(strstr(why, "libm.so.6 has no clGetPlatformIDs"), "%s", why);
}

Test(loader, the_override_is_used_and_its_failure_kept) {
    setenv("WENGERT_OPENCL_LIB", "/nowhere/else.so", 1);
    wg_err err = {0};
    cr_assert_null(wg_cl_load(&err));
    cr_assert_eq(err.status, WG_ERR_NO_DEVICE);
    cr_assert(strstr(wg_err_text(&err), "/nowhere/else.so"), "%s", wg_err_text(&err));
    wg_err_clear(&err);

    setenv("WENGERT_OPENCL_LIB", "libOpenCL.so.1", 1);
    cr_assert_null(wg_cl_load(&err));
    wg_err_clear(&err);
}

Test(loader, without_a_library_no_device_opens_and_the_reason_is_given) {
    setenv("WENGERT_OPENCL_LIB", "/nowhere/else.so", 1);
    unsetenv("WENGERT_DEVICE");
    const char *const specs[] = {NULL, "", "opencl", "opencl:0"};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        wg_err err = {0};
        wg_dev d;
        cr_assert_eq(wg_dev_open(specs[i], &d, &err), WG_ERR_NO_DEVICE);
        cr_assert_null(d.dev);
        cr_assert(strstr(wg_err_text(&err), "/nowhere/else.so"), "%s", wg_err_text(&err));
        wg_err_clear(&err);
        wg_dev_close(&d);
    }
}

Test(loader, an_installation_without_drivers_says_so) {
    setenv("OCL_ICD_VENDORS", "/nowhere", 1);
    wg_err err = {0};
    const wg_cl_api *cl = wg_cl_load(&err);
    cr_assert_not_null(cl, "%s", wg_err_text(&err));
    wg_cl_list list;
    cr_assert_eq(wg_cl_find(cl, &list, &err), WG_ERR_NO_DEVICE);
    cr_assert(strstr(wg_err_text(&err), "no driver"), "%s", wg_err_text(&err));
    wg_err_clear(&err);
}

Test(loader, loading_twice_gives_the_same_table) {
    wg_err err = {0};
    const wg_cl_api *cl = wg_cl_load(&err);
    cr_assert_not_null(cl, "%s", wg_err_text(&err));
    cr_assert_eq(cl, wg_cl_load(&err));
}

Test(loader, pocl_offers_both_devices_unless_the_user_chose) {
    unsetenv("POCL_DEVICES");
    wg_err err = {0};
    cr_assert_not_null(wg_cl_load(&err));
    cr_assert_str_eq(getenv("POCL_DEVICES"), "pthread basic");
}

Test(loader, the_users_pocl_devices_are_left_alone) {
    setenv("POCL_DEVICES", "pthread", 1);
    wg_err err = {0};
    cr_assert_not_null(wg_cl_load(&err));
    cr_assert_str_eq(getenv("POCL_DEVICES"), "pthread");
}

Test(loader, every_error_code_has_a_name) {
    for (cl_int code = 0; code >= -72; code--) {
        bool reserved = code < -19 && code > -30; /* no codes between the run-time and the compile-time errors */
        bool named = strncmp(wg_cl_error_name(code), "CL_", 3) == 0;
        cr_expect(named != (reserved || code < -68), "%d is %s", code, wg_cl_error_name(code));
    }
    wg_err err = {0};
    cr_expect_eq(wg_cl_fail(&err, WG_ERR_LAUNCH, CL_MEM_OBJECT_ALLOCATION_FAILURE, "clThat"), WG_ERR_DEVICE_MEM);
    cr_expect_str_eq(wg_err_text(&err), "clThat: CL_MEM_OBJECT_ALLOCATION_FAILURE (-4)");
    wg_err_clear(&err);
    cr_expect_eq(wg_cl_fail(&err, WG_ERR_LAUNCH, CL_OUT_OF_HOST_MEMORY, "clThat"), WG_ERR_NOMEM);
    wg_err_clear(&err);
    cr_expect_eq(wg_cl_fail(&err, WG_ERR_LAUNCH, CL_OUT_OF_RESOURCES, "clThat"), WG_ERR_LAUNCH);
    wg_err_clear(&err);
}

/* ---- selectors, over a list that no machine has ---- */

static wg_cl_list three(void) {
    wg_cl_list l = {.n = 3};
    l.found[0] = (wg_cl_found){.type = CL_DEVICE_TYPE_GPU, .name = "Radeon One"};
    l.found[1] = (wg_cl_found){.type = CL_DEVICE_TYPE_ACCELERATOR, .name = "Fast Card"};
    l.found[2] = (wg_cl_found){.type = CL_DEVICE_TYPE_CPU, .name = "pthread-zen"};
    return l;
}

Test(loader, selectors_mean_devices) {
    const wg_cl_list list = three();
    const struct {
        const char *selector;
        int device; /* -1: none */
    } cases[] = {
        {"", 0},
        {"0", 0},
        {"1", 1},
        {"2", 2},
        {"3", -1},
        {"gpu", 0},
        {"GPU", 0},
        {"cpu", 2},
        {"radeon", 0},
        {"CARD", 1},
        {"zen", 2},
        {"pthread-zen", 2},
        {"pthread-zen4", -1},
        {"-1", -1},
        {"gpu0", -1},
        {"99999999999999999999", -1},
        {"00", 0},
        {" ", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wg_err err = {0};
        const wg_cl_found *d = wg_cl_select(&list, cases[i].selector, &err);
        cr_expect_eq(d ? (int)(d - list.found) : -1, cases[i].device, "'%s'", cases[i].selector);
        if (!d) {
            const char *text = wg_err_text(&err);
            char quoted[64];
            snprintf(quoted, sizeof quoted, "'%s'", cases[i].selector);
            cr_expect(strstr(text, quoted) && strstr(text, "0 Radeon One (GPU)") && strstr(text, "2 pthread-zen (CPU)"),
                      "%s", text);
        }
        wg_err_clear(&err);
    }
}
