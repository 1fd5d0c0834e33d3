/* What the tests of backends share: one error, and checks that print it. */
#ifndef WG_TESTS_DEVICE_CHECK_H
#define WG_TESTS_DEVICE_CHECK_H

#include "base/str.h"
#include "runtime/device.h"

#include <criterion/criterion.h>
#include <string.h>

static wg_err err;
static wg_dev dev;

#define OK(call) cr_assert_eq((call), WG_OK, "%s", wg_err_text(&err))
#define FAILS(call, code)                                                                                              \
    do {                                                                                                               \
        cr_assert_eq((call), (code), "%s", wg_err_text(&err));                                                         \
        cr_assert_eq(err.status, (code));                                                                              \
    } while (0)
#define SAYS(part) cr_assert(strstr(wg_err_text(&err), (part)), "'%s' is not in: %s", (part), wg_err_text(&err))

static inline void open_cpu(void) { OK(wg_dev_open("opencl:cpu", &dev, &err)); }

static inline void close_cpu(void) {
    wg_dev_close(&dev);
    wg_err_clear(&err);
}

/* Builds the prelude and text. */
static inline wg_status build(wg_queue queue, const char *text, const char *const *names, size_t n, wg_program **p,
                              wg_kernel **k) {
    wg_str s = {0};
    wg_str_add(&s, wg_dev_prelude(&dev));
    wg_str_add(&s, text);
    wg_status status = wg_dev_build(&dev, queue, wg_str_text(&s), names, n, p, k, &err);
    wg_str_free(&s);
    return status;
}

#endif
