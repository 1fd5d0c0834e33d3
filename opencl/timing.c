/*
 * Times of launches. Queues that note when a kernel ran are made when they are asked for: on some drivers they are slower.
 *
 * The driver's clock is its own. A launch is enqueued after the host looked at its clock, so the difference between the two
 * is at least the largest of those seen; that is taken for the difference.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "opencl/internal.h"

static void forget(wg_device *dev) {
    for (size_t i = 0; i < dev->nevents; i++) {
        dev->cl->clReleaseEvent(dev->events[i].event);
    }
    dev->nevents = 0;
}

wg_status wg_cl_timing(wg_device *dev, bool on, wg_err *err) {
    wg_status status = wg_cl_sync(dev, err);
    if (status) {
        return status;
    }
    cl_command_queue fresh[WG_QUEUE_COUNT] = {NULL};
    cl_int code = CL_SUCCESS;
    for (int q = 0; q < WG_QUEUE_COUNT && code == CL_SUCCESS; q++) {
        if (dev->queue[q]) {
            cl_command_queue_properties how = on ? CL_QUEUE_PROFILING_ENABLE : 0;
            fresh[q] = dev->cl->clCreateCommandQueue(dev->context, wg_cl_device_of(dev, q), how, &code);
        }
    }
    for (int q = 0; q < WG_QUEUE_COUNT; q++) {
        cl_command_queue old = code == CL_SUCCESS ? dev->queue[q] : fresh[q];
        if (old) {
            dev->cl->clReleaseCommandQueue(old);
        }
        dev->queue[q] = code == CL_SUCCESS ? fresh[q] : dev->queue[q];
    }
    if (code != CL_SUCCESS) {
        return wg_cl_fail(err, WG_ERR_LAUNCH, code, "clCreateCommandQueue with profiling");
    }
    forget(dev);
    if (!on) {
        wg_mem_free(dev->events);
        dev->events = NULL;
        dev->event_cap = 0;
    }
    dev->timing = on;
    dev->clocks = -1e300;
    return WG_OK;
}

cl_event *wg_cl_event(wg_device *dev) {
    if (!dev->timing || !WG_RESERVE(dev->events, dev->nevents, dev->event_cap)) {
        dev->timing = false; /* later launches would be taken for this one */
        return NULL;
    }
    dev->events[dev->nevents] = (wg_cl_timed){.enqueued = wg_clock()};
    return &dev->events[dev->nevents].event;
}

static bool stamp(const wg_device *dev, cl_event event, cl_profiling_info what, double *seconds) {
    cl_ulong ns = 0;
    cl_int code = dev->cl->clGetEventProfilingInfo(event, what, sizeof ns, &ns, NULL);
    *seconds = 1e-9 * (double)ns;
    return code == CL_SUCCESS;
}

size_t wg_cl_times(wg_device *dev, wg_launch_time *out, size_t n) {
    size_t have = n < dev->nevents ? n : dev->nevents;
    bool ok = wg_cl_sync(dev, NULL) == WG_OK;
    for (size_t i = 0; i < dev->nevents && ok; i++) {
        double queued;
        ok = stamp(dev, dev->events[i].event, CL_PROFILING_COMMAND_QUEUED, &queued);
        double apart = dev->events[i].enqueued - queued;
        dev->clocks = apart > dev->clocks ? apart : dev->clocks;
    }
    for (size_t i = 0; i < have && ok; i++) {
        ok = stamp(dev, dev->events[i].event, CL_PROFILING_COMMAND_START, &out[i].from) &&
             stamp(dev, dev->events[i].event, CL_PROFILING_COMMAND_END, &out[i].to);
        out[i].from += dev->clocks;
        out[i].to += dev->clocks;
    }
    forget(dev);
    dev->timing = dev->events != NULL;
    return ok ? have : 0;
}
