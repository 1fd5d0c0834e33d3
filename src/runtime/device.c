/* Device names, and the vtable with fault points. */
#include "runtime/device.h"

#include "base/alloc.h"
#include "base/str.h"
#include "runtime/watch.h"

#include <stdlib.h>
#include <string.h>

/* Backends that compute nothing, or slowly: opened only when named. */
static bool for_tests(const wg_backend *b) { return strcmp(b->name, "null") == 0 || strcmp(b->name, "host") == 0; }

static wg_status open_on(const wg_backend *b, const char *selector, wg_dev *out, wg_err *err) {
    wg_device *dev = NULL;
    wg_status status = b->open(selector, &dev, err);
    if (status == WG_OK) {
        *out = (wg_dev){.backend = b, .dev = dev, .limits = b->limits(dev)};
    }
    return status;
}

static wg_status open_named(const char *spec, wg_dev *out, wg_err *err) {
    size_t n = strcspn(spec, ":");
    const char *selector = spec[n] ? spec + n + 1 : "";
    wg_str names = {0};
    for (const wg_backend *const *b = wg_backends; *b; b++) {
        if (strncmp((*b)->name, spec, n) == 0 && (*b)->name[n] == '\0') {
            wg_str_free(&names);
            return open_on(*b, selector, out, err);
        }
        wg_str_addf(&names, "%s%s", b == wg_backends ? "" : ", ", (*b)->name);
    }
    wg_err_set(err, WG_ERR_NO_DEVICE, "no backend '%.*s' for device '%s'; this build has %s", (int)n, spec, spec,
               wg_str_text(&names));
    wg_str_free(&names);
    return WG_ERR_NO_DEVICE;
}

static wg_status open_best(wg_dev *out, wg_err *err) {
    wg_str reasons = {0};
    for (const wg_backend *const *b = wg_backends; *b; b++) {
        if (for_tests(*b)) {
            continue;
        }
        wg_err e = {0};
        wg_status status = open_on(*b, "", out, &e);
        if (status == WG_OK || status == WG_ERR_NOMEM) {
            wg_err_set(err, status, "%s: %s", (*b)->name, wg_err_text(&e));
            wg_err_clear(&e);
            wg_str_free(&reasons);
            return status;
        }
        wg_str_addf(&reasons, "%s%s: %s", reasons.len ? "; " : "", (*b)->name, wg_err_text(&e));
        wg_err_clear(&e);
    }
    wg_err_set(err, WG_ERR_NO_DEVICE, "no device to compute on: %s", wg_str_text(&reasons));
    wg_str_free(&reasons);
    return WG_ERR_NO_DEVICE;
}

wg_status wg_dev_open(const char *spec, wg_dev *out, wg_err *err) {
    *out = (wg_dev){0};
    if (wg_queues_wanted(1) == 0) {
        return wg_err_set(err, WG_ERR_ARG, "WENGERT_QUEUES=%s: it takes a number from 1 to %d",
                          getenv("WENGERT_QUEUES"), WG_MAX_QUEUES);
    }
    if (!spec || !*spec) {
        spec = getenv("WENGERT_DEVICE");
    }
    if (!spec || !*spec) {
        return open_best(out, err);
    }
    wg_err e = {0};
    wg_status status = open_named(spec, out, &e);
    if (status != WG_OK) {
        wg_err_set(err, status, "device '%s': %s", spec, wg_err_text(&e));
    }
    wg_err_clear(&e);
    return status;
}

void wg_dev_close(wg_dev *d) {
    if (d->dev) {
        d->backend->close(d->dev);
    }
    *d = (wg_dev){0};
}

void wg_dev_list(void (*line)(const char *text, void *user), void *user) {
    for (const wg_backend *const *b = wg_backends; *b; b++) {
        (*b)->list(line, user);
    }
}

wg_status wg_dev_alloc(const wg_dev *d, size_t bytes, wg_mem *out, wg_err *err) {
    if (wg_fault_hit(WG_FAULT_DEVICE_ALLOC)) {
        return wg_err_set(err, WG_ERR_DEVICE_MEM, "injected: no device memory for %zu bytes", bytes);
    }
    return d->backend->alloc(d->dev, bytes, out, err);
}

void wg_dev_free(const wg_dev *d, wg_mem *mem) { d->backend->free(d->dev, mem); }

wg_status wg_dev_write(const wg_dev *d, const wg_mem *mem, size_t offset, const void *src, size_t bytes, wg_err *err) {
    if (wg_fault_hit(WG_FAULT_TRANSFER)) {
        return wg_err_set(err, WG_ERR_TRANSFER, "injected: writing %zu bytes failed", bytes);
    }
    double from = wg_watch_now(d);
    wg_status status = d->backend->write(d->dev, mem, offset, src, bytes, err);
    wg_watch_moved(d, "write", bytes, from);
    return status;
}

wg_status wg_dev_read(const wg_dev *d, const wg_mem *mem, size_t offset, void *dst, size_t bytes, wg_err *err) {
    if (wg_fault_hit(WG_FAULT_TRANSFER)) {
        return wg_err_set(err, WG_ERR_TRANSFER, "injected: reading %zu bytes failed", bytes);
    }
    double from = wg_watch_now(d);
    wg_status status = d->backend->read(d->dev, mem, offset, dst, bytes, err);
    wg_watch_moved(d, "read", bytes, from);
    return status;
}

wg_status wg_dev_build(const wg_dev *d, wg_queue queue, const char *text, const char *const *names, size_t n,
                       wg_program **program, wg_kernel **kernels, wg_err *err) {
    if (wg_fault_hit(WG_FAULT_BUILD)) {
        return wg_err_set(err, WG_ERR_BUILD, "injected: a build of %zu kernels failed", n);
    }
    double from = wg_watch_now(d);
    wg_status status = d->backend->build(d->dev, queue, text, names, n, program, kernels, err);
    wg_watch_span(d, WG_LANE_BUILD, "build", from);
    return status;
}

void wg_dev_unbuild(const wg_dev *d, wg_program *program) { d->backend->unbuild(d->dev, program); }

const char *wg_dev_prelude(const wg_dev *d) { return d->backend->prelude(d->dev); }

wg_status wg_dev_launch(const wg_dev *d, wg_queue queue, const wg_launch *l, wg_err *err) {
    if (wg_fault_hit(WG_FAULT_LAUNCH)) {
        return wg_err_set(err, WG_ERR_LAUNCH, "injected: a launch failed");
    }
    return d->backend->launch(d->dev, queue, l, err);
}

wg_status wg_dev_mark(const wg_dev *d, wg_queue queue, int event, wg_err *err) {
    if (wg_fault_hit(WG_FAULT_LAUNCH)) {
        return wg_err_set(err, WG_ERR_LAUNCH, "injected: marking an event failed");
    }
    return d->backend->mark(d->dev, queue, event, err);
}

wg_status wg_dev_wait(const wg_dev *d, wg_queue queue, int event, wg_err *err) {
    if (wg_fault_hit(WG_FAULT_LAUNCH)) {
        return wg_err_set(err, WG_ERR_LAUNCH, "injected: waiting for an event failed");
    }
    return d->backend->wait(d->dev, queue, event, err);
}

wg_status wg_dev_sync(const wg_dev *d, wg_err *err) { return d->backend->sync(d->dev, err); }

wg_status wg_dev_timing(const wg_dev *d, bool on, wg_err *err) {
    return d->backend->timing ? d->backend->timing(d->dev, on, err) : WG_ERR_UNSUPPORTED;
}

size_t wg_dev_times(const wg_dev *d, wg_launch_time *out, size_t n) { return d->backend->times(d->dev, out, n); }

wg_status wg_dev_plan_begin(const wg_dev *d, wg_recording **plan, wg_err *err) {
    return d->backend->plan_begin ? d->backend->plan_begin(d->dev, plan, err) : WG_OK;
}

wg_status wg_dev_plan_end(const wg_dev *d, bool run, wg_err *err) {
    return d->backend->plan_end ? d->backend->plan_end(d->dev, run, err) : WG_OK;
}

void wg_dev_plan_drop(const wg_dev *d, wg_recording *plan) {
    if (plan) {
        d->backend->plan_drop(d->dev, plan);
    }
}

wg_status wg_dev_gemm(const wg_dev *d, wg_queue queue, const wg_gemm_call *call, wg_err *err) {
    if (wg_fault_hit(WG_FAULT_LAUNCH)) {
        return wg_err_set(err, WG_ERR_LAUNCH, "injected: a launch failed");
    }
    return d->backend->gemm(d->dev, queue, call, err);
}
