/* Which CUDA devices there are, and which of them a selector means. Their order is the driver's. */
#include "cuda/internal.h"

#include "base/str.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static wg_cu_result describe(const wg_cu_api *cu, int ordinal, wg_cuda_found *d) {
    wg_cu_result code = cu->cuDeviceGet(&d->id, ordinal);
    const struct {
        unsigned attribute;
        int *value;
    } wanted[] = {{WG_CU_COMPUTE_CAPABILITY_MAJOR, &d->major},
                  {WG_CU_COMPUTE_CAPABILITY_MINOR, &d->minor},
                  {WG_CU_MULTIPROCESSOR_COUNT, &d->multiprocessors}};
    for (size_t i = 0; code == WG_CU_SUCCESS && i < sizeof wanted / sizeof *wanted; i++) {
        code = cu->cuDeviceGetAttribute(wanted[i].value, wanted[i].attribute, d->id);
    }
    code = code == WG_CU_SUCCESS ? cu->cuDeviceGetName(d->name, (int)sizeof d->name, d->id) : code;
    d->name[sizeof d->name - 1] = '\0';
    return code == WG_CU_SUCCESS ? cu->cuDeviceTotalMem_v2(&d->bytes, d->id) : code;
}

wg_status wg_cuda_find(const wg_cu_api *cu, wg_cuda_list *out, wg_err *err) {
    int n = 0;
    out->n = 0;
    wg_cu_result code = cu->cuDeviceGetCount(&n);
    n = n < WG_CUDA_MAX_FOUND ? n : WG_CUDA_MAX_FOUND;
    for (int i = 0; i < n && code == WG_CU_SUCCESS; i++) {
        out->found[i] = (wg_cuda_found){0};
        code = describe(cu, i, &out->found[i]);
        out->n = (size_t)i + 1;
    }
    if (code != WG_CU_SUCCESS) {
        out->n = 0;
        return wg_err_set(err, WG_ERR_NO_DEVICE, "the NVIDIA driver does not describe its devices: %s (%u)",
                          wg_cu_error_name(cu, code), code);
    }
    return out->n ? WG_OK : wg_err_set(err, WG_ERR_NO_DEVICE, "the NVIDIA driver is installed, but finds no device");
}

static bool matches(const wg_cuda_list *list, size_t i, const char *selector) {
    if (!*selector || strcasecmp(selector, "gpu") == 0) {
        return true;
    }
    if (strspn(selector, "0123456789") == strlen(selector)) {
        return strlen(selector) < 9 && (size_t)atoi(selector) == i;
    }
    return wg_str_contains(list->found[i].name, selector);
}

const wg_cuda_found *wg_cuda_select(const wg_cuda_list *list, const char *selector, wg_err *err) {
    for (size_t i = 0; i < list->n; i++) {
        if (matches(list, i, selector)) {
            return &list->found[i];
        }
    }
    wg_str there = {0};
    for (size_t i = 0; i < list->n; i++) {
        wg_str_addf(&there, "%s%zu %s", i ? ", " : "", i, list->found[i].name);
    }
    wg_err_set(err, WG_ERR_NO_DEVICE, "no CUDA device matches '%s'; there is: %s", selector, wg_str_text(&there));
    wg_str_free(&there);
    return NULL;
}
