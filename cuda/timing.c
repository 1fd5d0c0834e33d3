/*
 * Times of launches: an event before each and one after it. Events are kept for later launches.
 *
 * A driver tells how far apart two events are, not when they were. All are held against one event that was recorded when
 * timing began, or times were asked for last. A launch is enqueued after the host looked at its clock, and so was that
 * event, so the difference between the clocks is at least the largest of those seen; that is taken for the difference.
 */
#include "cuda/internal.h"

#include "base/alloc.h"
#include "base/clock.h"

static void stop(wg_device *dev) { dev->times.whole = false; /* later launches would be taken for this one */ }

/* From here on launches are timed anew. */
static wg_cu_result restart(wg_device *dev) {
    dev->times.apart = wg_clock();
    return dev->cu->cuEventRecord(dev->times.origin, dev->main);
}

static void drop(const wg_device *dev, wg_cu_event event) {
    if (event) {
        dev->cu->cuEventDestroy_v2(event);
    }
}

void wg_cuda_close_timing(wg_device *dev) {
    wg_cuda_times *t = &dev->times;
    for (size_t i = 0; i < t->made; i++) {
        drop(dev, t->launches[i].from);
        drop(dev, t->launches[i].to);
    }
    drop(dev, t->origin);
    wg_mem_free(t->launches);
    *t = (wg_cuda_times){0};
}

wg_status wg_cuda_timing(wg_device *dev, bool on, wg_err *err) {
    wg_status status = wg_cuda_sync(dev, err);
    if (status) {
        return status;
    }
    wg_cuda_close_timing(dev);
    wg_cu_result code = on ? dev->cu->cuEventCreate(&dev->times.origin, 0) : WG_CU_SUCCESS;
    if (code != WG_CU_SUCCESS) {
        dev->times.origin = NULL;
        return wg_cuda_fail(dev, err, WG_ERR_LAUNCH, code, "an event to time launches with");
    }
    code = on ? restart(dev) : WG_CU_SUCCESS;
    if (code != WG_CU_SUCCESS) {
        wg_cuda_close_timing(dev);
        return wg_cuda_fail(dev, err, WG_ERR_LAUNCH, code, "cuEventRecord, to time launches");
    }
    dev->times.on = dev->times.whole = on;
    return WG_OK;
}

/* Two more events; false if there are none to be had. */
static bool make_events(wg_device *dev) {
    wg_cuda_times *t = &dev->times;
    if (!WG_RESERVE(t->launches, t->made, t->cap)) {
        return false;
    }
    wg_cuda_timed fresh = {0};
    if (dev->cu->cuEventCreate(&fresh.from, 0) != WG_CU_SUCCESS) {
        return false;
    }
    if (dev->cu->cuEventCreate(&fresh.to, 0) != WG_CU_SUCCESS) {
        drop(dev, fresh.from);
        return false;
    }
    t->launches[t->made++] = fresh;
    return true;
}

void wg_cuda_time_from(wg_device *dev, wg_cu_stream stream) {
    wg_cuda_times *t = &dev->times;
    if (!t->whole) {
        return;
    }
    if (t->n == t->made && !make_events(dev)) {
        stop(dev);
        return;
    }
    t->launches[t->n].enqueued = wg_clock();
    if (dev->cu->cuEventRecord(t->launches[t->n].from, stream) != WG_CU_SUCCESS) {
        stop(dev);
    }
}

void wg_cuda_time_to(wg_device *dev, wg_cu_stream stream) {
    wg_cuda_times *t = &dev->times;
    if (!t->whole) {
        return;
    }
    if (dev->cu->cuEventRecord(t->launches[t->n].to, stream) != WG_CU_SUCCESS) {
        stop(dev);
        return;
    }
    t->n++;
}

static bool between(const wg_device *dev, wg_cu_event a, wg_cu_event b, double *seconds) {
    float ms = 0;
    wg_cu_result code = dev->cu->cuEventElapsedTime(&ms, a, b);
    *seconds = 1e-3 * (double)ms;
    return code == WG_CU_SUCCESS;
}

size_t wg_cuda_times_of(wg_device *dev, wg_launch_time *out, size_t n) {
    wg_cuda_times *t = &dev->times;
    size_t have = n < t->n ? n : t->n;
    bool synced = t->on && wg_cuda_sync(dev, NULL) == WG_OK, ok = synced;
    for (size_t i = 0; i < have && ok; i++) {
        const wg_cuda_timed *l = &t->launches[i];
        double lasted = 0;
        ok = between(dev, t->origin, l->from, &out[i].from) && between(dev, l->from, l->to, &lasted);
        out[i].to = out[i].from + lasted;
        double apart = l->enqueued - out[i].from;
        t->apart = apart > t->apart ? apart : t->apart;
    }
    for (size_t i = 0; i < have && ok; i++) {
        out[i].from += t->apart;
        out[i].to += t->apart;
    }
    t->n = 0;
    t->whole = synced && restart(dev) == WG_CU_SUCCESS;
    return ok ? have : 0;
}
