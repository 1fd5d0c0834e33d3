/*
 * A device as the rest of the runtime uses it: the vtable of its backend, with fault points, and the reading of device
 * names ("opencl:gpu").
 */
#ifndef WG_RUNTIME_DEVICE_H
#define WG_RUNTIME_DEVICE_H

#include "runtime/backend.h"

typedef struct wg_dev {
    const wg_backend *backend;
    wg_device *dev;
    const wg_limits *limits;
    struct wg_watch *watch; /* who watches; NULL: nobody. See watch.h */
} wg_dev;

/*
 * spec is "backend", "backend:selector", or NULL (or ""): then $WENGERT_DEVICE, then the first backend that offers a
 * device, "null" and "host" apart. A device that was named is never replaced by another.
 */
wg_status wg_dev_open(const char *spec, wg_dev *out, wg_err *err);
/* Everything made on the device has been freed before. NULL in out->dev is allowed. */
void wg_dev_close(wg_dev *d);
/* One line for each device of each backend, or the reason why it has none. */
void wg_dev_list(void (*line)(const char *text, void *user), void *user);

/* The slots of the vtable; see backend.h. Those that can fail are fault points. */
wg_status wg_dev_alloc(const wg_dev *d, size_t bytes, wg_mem *out, wg_err *err);
void wg_dev_free(const wg_dev *d, wg_mem *mem);
wg_status wg_dev_write(const wg_dev *d, const wg_mem *mem, size_t offset, const void *src, size_t bytes, wg_err *err);
wg_status wg_dev_read(const wg_dev *d, const wg_mem *mem, size_t offset, void *dst, size_t bytes, wg_err *err);
wg_status wg_dev_build(const wg_dev *d, wg_queue queue, const char *text, const char *const *names, size_t n,
                       wg_program **program, wg_kernel **kernels, wg_err *err);
void wg_dev_unbuild(const wg_dev *d, wg_program *program);
const char *wg_dev_prelude(const wg_dev *d);
wg_status wg_dev_launch(const wg_dev *d, wg_queue queue, const wg_launch *l, wg_err *err);
wg_status wg_dev_sync(const wg_dev *d, wg_err *err);
wg_status wg_dev_mark(const wg_dev *d, wg_queue queue, int event, wg_err *err);
wg_status wg_dev_wait(const wg_dev *d, wg_queue queue, int event, wg_err *err);
/* WG_ERR_UNSUPPORTED, without a text, where the backend has no clock. */
wg_status wg_dev_timing(const wg_dev *d, bool on, wg_err *err);
size_t wg_dev_times(const wg_dev *d, wg_launch_time *out, size_t n);
/* Those a backend may lack: then nothing happens. */
wg_status wg_dev_plan_begin(const wg_dev *d, wg_recording **plan, wg_err *err);
wg_status wg_dev_plan_end(const wg_dev *d, bool run, wg_err *err);
void wg_dev_plan_drop(const wg_dev *d, wg_recording *plan);
wg_status wg_dev_gemm(const wg_dev *d, wg_queue queue, const wg_gemm_call *call, wg_err *err);

#endif
