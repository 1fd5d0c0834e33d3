/* What the files of the OpenCL backend share: the structs behind the handles of the vtable. */
#ifndef WG_OPENCL_INTERNAL_H
#define WG_OPENCL_INTERNAL_H

#include "opencl/loader.h"
#include "runtime/backend.h"

#include <sys/types.h>

extern const wg_backend wg_backend_opencl;

/* ---- errors.c ---- */

/* "CL_OUT_OF_RESOURCES" and so on. */
const char *wg_cl_error_name(cl_int code);
/* Fills *err with "what: CL_NAME (-5)". Codes for lack of memory give WG_ERR_DEVICE_MEM or WG_ERR_NOMEM, others status. */
wg_status wg_cl_fail(wg_err *err, wg_status status, cl_int code, const char *what);

/* ---- find.c ---- */

enum { WG_CL_MAX_FOUND = 64 };

typedef struct wg_cl_found {
    cl_platform_id platform;
    cl_device_id id;
    cl_device_id inline_id; /* the device that runs small launches in the calling thread, or NULL */
    cl_device_type type;
    char name[128];
    char platform_name[128];
} wg_cl_found;

/* Devices in the order of their selectors "0", "1", ...: GPUs, accelerators, CPUs. */
typedef struct wg_cl_list {
    size_t n;
    wg_cl_found found[WG_CL_MAX_FOUND];
} wg_cl_list;

wg_status wg_cl_find(const wg_cl_api *cl, wg_cl_list *out, wg_err *err);
/* The device a selector means; NULL and a sentence that names what there is when it means none. */
const wg_cl_found *wg_cl_select(const wg_cl_list *list, const char *selector, wg_err *err);
/* "GPU", "CPU", ... */
const char *wg_cl_type_name(cl_device_type type);
/* clGetDeviceInfo into a string of at most cap bytes; "" when there is none. */
void wg_cl_device_string(const wg_cl_api *cl, cl_device_id id, cl_device_info what, char *out, size_t cap);

/* ---- device.c ---- */

/* A launch that is timed. */
typedef struct wg_cl_timed {
    cl_event event;
    double enqueued; /* the host's clock just before */
} wg_cl_timed;

struct wg_device {
    const wg_cl_api *cl;
    cl_context context;
    cl_device_id id[2];                     /* of the main queue and those beside it, and of the inline queue */
    cl_command_queue queue[WG_QUEUE_COUNT]; /* by wg_queue; NULL where there is none */
    cl_event *marks;                        /* by number */
    size_t nmarks, mark_cap;
    unsigned busy;                  /* bit q: queue q has had launches since it was last finished */
    uint64_t frees;                 /* buffers released so far: a kernel's remembered arguments are of one count */
    size_t host_bytes, host_budget; /* memory of limits.shared_memory devices: in use, and all there is */
    const char *options;            /* for the compiler */
    bool timing;                    /* launches are timed */
    wg_cl_timed *events;
    size_t nevents, event_cap;
    double clocks; /* what the host's clock is ahead of the driver's */
    pid_t pid;     /* a forked child may only free host memory */
    wg_limits limits;
};

/* ---- the slots of the vtable ---- */

wg_status wg_cl_alloc(wg_device *dev, size_t bytes, wg_mem *out, wg_err *err);
void wg_cl_free(wg_device *dev, wg_mem *mem);
wg_status wg_cl_write(wg_device *dev, const wg_mem *mem, size_t offset, const void *src, size_t bytes, wg_err *err);
wg_status wg_cl_read(wg_device *dev, const wg_mem *mem, size_t offset, void *dst, size_t bytes, wg_err *err);
wg_status wg_cl_build(wg_device *dev, wg_queue queue, const char *text, const char *const *names, size_t n,
                      wg_program **program, wg_kernel **kernels, wg_err *err);
void wg_cl_unbuild(wg_device *dev, wg_program *program);
const char *wg_cl_prelude(const wg_device *dev);
wg_status wg_cl_launch(wg_device *dev, wg_queue queue, const wg_launch *l, wg_err *err);
wg_status wg_cl_mark(wg_device *dev, wg_queue queue, int event, wg_err *err);
wg_status wg_cl_wait(wg_device *dev, wg_queue queue, int event, wg_err *err);
wg_status wg_cl_sync(wg_device *dev, wg_err *err);
wg_status wg_cl_timing(wg_device *dev, bool on, wg_err *err);
size_t wg_cl_times(wg_device *dev, wg_launch_time *out, size_t n);

/* The device that a queue is of. */
static inline cl_device_id wg_cl_device_of(const wg_device *dev, int queue) {
    return dev->id[queue == WG_QUEUE_INLINE ? WG_QUEUE_INLINE : WG_QUEUE_MAIN];
}
void wg_cl_forget_marks(wg_device *dev);

/* Where the next launch's event goes; NULL when it is not timed. Counted by the caller once it was launched. */
cl_event *wg_cl_event(wg_device *dev);

/* True when buffers of host memory are one and the same to the host and to every queue, without mapping. */
bool wg_cl_memory_is_shared(wg_device *dev);
/* True in a process that inherited the device by fork: no call into OpenCL would return. */
bool wg_cl_forked(const wg_device *dev);

/* One kernel and the arguments it was given last. */
struct wg_kernel {
    cl_kernel kernel;
    cl_uint nargs;      /* the buffers, then the params */
    uint64_t frees;     /* dev->frees when the buffers below were set */
    cl_mem *buffers;    /* last set, NULL: none */
    size_t param_bytes; /* last set, 0: none */
    char *params;       /* limits.max_param_bytes */
};

#endif
