/* Opens a device: context, in-order queues, limits. And the vtable itself. */
#include "base/alloc.h"
#include "opencl/internal.h"

#include <pthread.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const OPTIONS[2] = {"-w -cl-std=CL1.2", "-w -cl-std=CL1.2 -cl-fp32-correctly-rounded-divide-sqrt"};

bool wg_cl_forked(const wg_device *dev) { return getpid() != dev->pid; }

static size_t info_size(const wg_device *dev, wg_queue queue, cl_device_info what) {
    size_t v = 0;
    dev->cl->clGetDeviceInfo(dev->id[queue], what, sizeof v, &v, NULL);
    return v;
}

static uint64_t info_ulong(const wg_device *dev, wg_queue queue, cl_device_info what) {
    cl_ulong v = 0;
    dev->cl->clGetDeviceInfo(dev->id[queue], what, sizeof v, &v, NULL);
    return v;
}

static int info_uint(const wg_device *dev, wg_queue queue, cl_device_info what) {
    cl_uint v = 0;
    dev->cl->clGetDeviceInfo(dev->id[queue], what, sizeof v, &v, NULL);
    return (int)v;
}

/* OpenCL 1.2 promises no order among groups, but these CPUs keep it: see src/codegen/chain.c. */
#if defined(__x86_64__) || defined(__i386__)
enum { X86 = true };
#else
enum { X86 = false };
#endif

/* The last-level cache one core can fill. sysconf may count every slice of the package, so the driver is asked first. */
static size_t cache_bytes(const wg_device *dev, bool cpu) {
    size_t bytes = (size_t)info_ulong(dev, WG_QUEUE_MAIN, CL_DEVICE_GLOBAL_MEM_CACHE_SIZE);
#ifdef _SC_LEVEL3_CACHE_SIZE
    if (cpu && bytes < (size_t)1 << 20) {
        long l3 = sysconf(_SC_LEVEL3_CACHE_SIZE);
        bytes = l3 > 0 && (size_t)l3 > bytes ? (size_t)l3 : bytes;
    }
#endif
    return bytes;
}

static void fill_limits(wg_device *dev, const wg_cl_found *found) {
    wg_limits *l = &dev->limits;
    bool cpu = (found->type & CL_DEVICE_TYPE_CPU) != 0;
    char version[128], driver[64];
    wg_cl_device_string(dev->cl, found->id, CL_DEVICE_VERSION, version, sizeof version);
    wg_cl_device_string(dev->cl, found->id, CL_DRIVER_VERSION, driver, sizeof driver);
    snprintf(l->name, sizeof l->name, "%.100s, %.80s, driver %.60s", found->name, version, driver);
    l->form = cpu ? WG_SIMD : WG_SIMT;
    l->ordered_groups = cpu && X86;
    l->language = WG_OPENCL_C;
    l->compute_units = info_uint(dev, WG_QUEUE_MAIN, CL_DEVICE_MAX_COMPUTE_UNITS);
    int floats = info_uint(dev, WG_QUEUE_MAIN, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT);
    l->native_floats = cpu && floats > 0 ? floats : 1;
    l->cache_bytes = cache_bytes(dev, cpu);
    l->inline_queue = dev->queue[WG_QUEUE_INLINE] != NULL;
    l->max_alloc = (size_t)info_ulong(dev, WG_QUEUE_MAIN, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
    l->max_param_bytes = info_size(dev, WG_QUEUE_MAIN, CL_DEVICE_MAX_PARAMETER_SIZE);
    l->local_bytes = (size_t)info_ulong(dev, WG_QUEUE_MAIN, CL_DEVICE_LOCAL_MEM_SIZE);
    if (l->inline_queue) {
        size_t other = (size_t)info_ulong(dev, WG_QUEUE_INLINE, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
        l->max_alloc = other < l->max_alloc ? other : l->max_alloc;
    }
    for (int i = 0; i < 3; i++) {
        l->max_groups[i] = 65534; /* POCL compiles a kernel once more for larger ranges */
    }
    cl_device_fp_config f64 = 0, f32 = 0;
    dev->cl->clGetDeviceInfo(found->id, CL_DEVICE_DOUBLE_FP_CONFIG, sizeof f64, &f64, NULL);
    dev->cl->clGetDeviceInfo(found->id, CL_DEVICE_SINGLE_FP_CONFIG, sizeof f32, &f32, NULL);
    l->has_f64 = f64 != 0;
    dev->options = OPTIONS[(f32 & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT) != 0];
    if (cpu) {
        dev->host_budget = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
        l->shared_memory = wg_cl_memory_is_shared(dev);
    }
}

static void close_device(wg_device *dev) {
    if (!wg_cl_forked(dev)) {
        if (dev->nevents > 0) {
            wg_cl_times(dev, NULL, 0);
        }
        wg_cl_forget_marks(dev);
        for (int q = 0; q < WG_QUEUE_COUNT; q++) {
            if (dev->queue[q]) {
                dev->cl->clFinish(dev->queue[q]);
                dev->cl->clReleaseCommandQueue(dev->queue[q]);
            }
        }
        if (dev->context) {
            dev->cl->clReleaseContext(dev->context);
        }
    }
    wg_mem_free(dev->marks);
    wg_mem_free(dev->events);
    wg_mem_free(dev);
}

static wg_status open_found(const wg_cl_api *cl, const wg_cl_found *found, wg_device **out, wg_err *err) {
    wg_device *dev = wg_mem_zalloc(sizeof *dev);
    if (!dev) {
        return wg_err_set(err, WG_ERR_NOMEM, "opening %s: out of host memory", found->name);
    }
    dev->cl = cl;
    dev->pid = getpid();
    dev->id[WG_QUEUE_MAIN] = found->id;
    dev->id[WG_QUEUE_INLINE] = found->inline_id;
    cl_uint ndevices = found->inline_id ? 2 : 1;
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)found->platform, 0};
    cl_int code;
    dev->context = cl->clCreateContext(properties, ndevices, dev->id, NULL, NULL, &code);
    /* A kernel fills the cores of a CPU; a GPU has room for another one beside a small one. */
    dev->limits.queues = wg_queues_wanted(found->type & CL_DEVICE_TYPE_GPU ? 2 : 1);
    for (int q = 0; q < WG_QUEUE_BESIDE + dev->limits.queues - 1 && code == CL_SUCCESS; q++) {
        cl_device_id id = wg_cl_device_of(dev, q);
        dev->queue[q] = id ? cl->clCreateCommandQueue(dev->context, id, 0, &code) : NULL;
    }
    if (code != CL_SUCCESS) {
        close_device(dev);
        return wg_err_set(err, WG_ERR_NO_DEVICE, "opening %s: %s (%d)", found->name, wg_cl_error_name(code), (int)code);
    }
    fill_limits(dev, found);
    *out = dev;
    return WG_OK;
}

static wg_status open_locked(const char *selector, wg_device **out, wg_err *err) {
    const wg_cl_api *cl = wg_cl_load(err);
    if (!cl) {
        return WG_ERR_NO_DEVICE;
    }
    wg_cl_list list;
    wg_status status = wg_cl_find(cl, &list, err);
    if (status) {
        return status;
    }
    const wg_cl_found *found = wg_cl_select(&list, selector, err);
    return found ? open_found(cl, found, out, err) : WG_ERR_NO_DEVICE;
}

static void list_locked(void (*line)(const char *text, void *user), void *user) {
    wg_err err = {0};
    wg_cl_list list;
    char text[512];
    const wg_cl_api *cl = wg_cl_load(&err);
    if (!cl || wg_cl_find(cl, &list, &err)) {
        snprintf(text, sizeof text, "opencl: %s", wg_err_text(&err));
        line(text, user);
        wg_err_clear(&err);
        return;
    }
    for (size_t i = 0; i < list.n; i++) {
        const wg_cl_found *d = &list.found[i];
        cl_uint units = 0;
        cl_ulong bytes = 0;
        char driver[64];
        cl->clGetDeviceInfo(d->id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL);
        cl->clGetDeviceInfo(d->id, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof bytes, &bytes, NULL);
        wg_cl_device_string(cl, d->id, CL_DRIVER_VERSION, driver, sizeof driver);
        snprintf(text, sizeof text, "opencl:%zu: %s (%s, %u compute units, %.1f GiB), %s %s", i, d->name,
                 wg_cl_type_name(d->type), units, (double)bytes / (1 << 30), d->platform_name, driver);
        line(text, user);
    }
}

/* POCL sets itself up at the first call and does not guard that against a second thread. */
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;

static wg_status open_device(const char *selector, wg_device **out, wg_err *err) {
    pthread_mutex_lock(&opening);
    wg_status status = open_locked(selector, out, err);
    pthread_mutex_unlock(&opening);
    return status;
}

static void list_devices(void (*line)(const char *text, void *user), void *user) {
    pthread_mutex_lock(&opening);
    list_locked(line, user);
    pthread_mutex_unlock(&opening);
}

static const wg_limits *limits(const wg_device *dev) { return &dev->limits; }

const wg_backend wg_backend_opencl = {
    .name = "opencl",
    .list = list_devices,
    .open = open_device,
    .close = close_device,
    .limits = limits,
    .alloc = wg_cl_alloc,
    .free = wg_cl_free,
    .write = wg_cl_write,
    .read = wg_cl_read,
    .build = wg_cl_build,
    .unbuild = wg_cl_unbuild,
    .prelude = wg_cl_prelude,
    .launch = wg_cl_launch,
    .sync = wg_cl_sync,
    .mark = wg_cl_mark,
    .wait = wg_cl_wait,
    .timing = wg_cl_timing,
    .times = wg_cl_times,
};
