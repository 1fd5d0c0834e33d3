/* The backends "null" and "host": memory, and a log instead of a device. */
#include "runtime/null.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const wg_backend wg_backend_null, wg_backend_host;

enum { MAX_RECORDS = 1 << 16 };

struct wg_kernel {
    char *name;
};

struct wg_program {
    struct wg_program *next; /* of the device: names outlive the program, for the log */
    size_t n;
    wg_kernel kernels[];
};

struct wg_device {
    wg_limits limits;
    bool logs;
    wg_null_record *log;
    size_t nlog, log_cap;
    wg_program *unbuilt;
};

/* ---- the log: plain malloc, so that keeping it is no fault point ---- */

static wg_null_record *new_record(wg_device *dev, wg_null_kind kind) {
    if (!dev->logs || dev->nlog == MAX_RECORDS) {
        return NULL;
    }
    if (dev->nlog == dev->log_cap) {
        size_t cap = dev->log_cap ? dev->log_cap * 2 : 64;
        wg_null_record *grown = realloc(dev->log, cap * sizeof *grown);
        if (!grown) {
            return NULL;
        }
        dev->log = grown;
        dev->log_cap = cap;
    }
    wg_null_record *r = &dev->log[dev->nlog++];
    *r = (wg_null_record){.kind = kind};
    return r;
}

static void log_memory(wg_device *dev, wg_null_kind kind, void *handle, size_t offset, size_t bytes) {
    wg_null_record *r = new_record(dev, kind);
    if (r) {
        r->handle = handle;
        r->offset = offset;
        r->bytes = bytes;
    }
}

size_t wg_null_log(wg_device *dev, const wg_null_record **out) {
    *out = dev->log;
    return dev->nlog;
}

static void free_program(wg_program *p) {
    for (size_t i = 0; i < p->n; i++) {
        wg_mem_free(p->kernels[i].name);
    }
    wg_mem_free(p);
}

void wg_null_log_clear(wg_device *dev) {
    for (size_t i = 0; i < dev->nlog; i++) {
        free((void *)dev->log[i].buffers);
    }
    dev->nlog = 0;
    while (dev->unbuilt) {
        wg_program *next = dev->unbuilt->next;
        free_program(dev->unbuilt);
        dev->unbuilt = next;
    }
}

/* ---- open and close ---- */

static const wg_limits cpu_limits = {
    .name = "null CPU",
    .form = WG_SIMD,
    .language = WG_OPENCL_C,
    .compute_units = 2,
    .native_floats = 8,
    .cache_bytes = (size_t)32 << 20,
    .max_alloc = (size_t)2 << 30,
    .max_param_bytes = 1024,
    .local_bytes = 512 << 10,
    .max_groups = {65534, 65534, 65534},
    .shared_memory = true,
    .has_f64 = true,
    .ordered_groups = true,
    .queues = 1,
    .inline_queue = true,
};

static const wg_limits gpu_limits = {
    .name = "null GPU",
    .form = WG_SIMT,
    .language = WG_OPENCL_C,
    .compute_units = 64,
    .native_floats = 1,
    .cache_bytes = (size_t)32 << 20,
    .max_alloc = (size_t)8 << 30,
    .max_param_bytes = 4096,
    .local_bytes = 48 << 10,
    .max_groups = {65534, 65534, 65534},
    .has_f64 = true,
    .ordered_groups = true,
    .queues = 4,
};

static const wg_limits cuda_limits = {
    .name = "null CUDA",
    .form = WG_SIMT,
    .language = WG_CUDA_CPP,
    .compute_units = 132,
    .native_floats = 1,
    .cache_bytes = (size_t)50 << 20,
    .max_alloc = (size_t)8 << 30,
    .max_param_bytes = 4096,
    .local_bytes = 48 << 10,
    .max_groups = {INT32_MAX, 65535, 65535},
    .has_f64 = true,
    .ordered_groups = true,
    .queues = 4,
};

static const struct {
    const char *selector;
    const wg_limits *limits;
} kinds[] = {{"", &cpu_limits}, {"cpu", &cpu_limits}, {"gpu", &gpu_limits}, {"cuda", &cuda_limits}};

static wg_status open_with(const wg_limits *limits, bool logs, wg_device **out, wg_err *err) {
    wg_device *dev = wg_mem_zalloc(sizeof *dev);
    if (!dev) {
        return wg_err_set(err, WG_ERR_NOMEM, "opening %s: out of host memory", limits->name);
    }
    dev->limits = *limits;
    dev->limits.queues = logs ? wg_queues_wanted(limits->queues) : 1;
    dev->logs = logs;
    *out = dev;
    return WG_OK;
}

static wg_status null_open(const char *selector, wg_device **out, wg_err *err) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(selector, kinds[i].selector) == 0) {
            return open_with(kinds[i].limits, true, out, err);
        }
    }
    return wg_err_set(err, WG_ERR_NO_DEVICE, "no null device '%s'; there is: cpu, gpu, cuda", selector);
}

static wg_status host_open(const char *selector, wg_device **out, wg_err *err) {
    if (*selector) {
        return wg_err_set(err, WG_ERR_NO_DEVICE, "no host device '%s'; the only one is 'host'", selector);
    }
    wg_limits limits = cpu_limits;
    snprintf(limits.name, sizeof limits.name, "host interpreter");
    limits.compute_units = 1;
    limits.inline_queue = false;
    limits.interprets = true;
    return open_with(&limits, false, out, err);
}

static void close_device(wg_device *dev) {
    wg_null_log_clear(dev);
    free(dev->log);
    wg_mem_free(dev);
}

static void null_list(void (*line)(const char *text, void *user), void *user) {
    line("null:cpu: records, runs nothing; limits of a CPU", user);
    line("null:gpu: records, runs nothing; limits of a GPU", user);
    line("null:cuda: records, runs nothing; limits of a GPU, kernels in CUDA C++", user);
}

static void host_list(void (*line)(const char *text, void *user), void *user) {
    line("host: a slow interpreter, for tests", user);
}

static const wg_limits *limits(const wg_device *dev) { return &dev->limits; }

/* ---- memory ---- */

static wg_status alloc(wg_device *dev, size_t bytes, wg_mem *out, wg_err *err) {
    if (bytes > dev->limits.max_alloc) {
        return wg_err_set(err, WG_ERR_DEVICE_MEM, "%zu bytes exceed the device's largest buffer, %zu", bytes,
                          dev->limits.max_alloc);
    }
    void *p = aligned_alloc(256, (bytes + 256) & ~(size_t)255);
    if (!p) {
        return wg_err_set(err, WG_ERR_DEVICE_MEM, "no memory for a buffer of %zu bytes", bytes);
    }
    *out = (wg_mem){.handle = p, .host = dev->limits.shared_memory ? p : NULL, .bytes = bytes};
    log_memory(dev, WG_NULL_ALLOC, p, 0, bytes);
    return WG_OK;
}

static void free_mem(wg_device *dev, wg_mem *mem) {
    if (mem->handle) {
        log_memory(dev, WG_NULL_FREE, mem->handle, 0, mem->bytes);
        free(mem->handle);
        *mem = (wg_mem){0};
    }
}

static wg_status write(wg_device *dev, const wg_mem *mem, size_t offset, const void *src, size_t bytes, wg_err *err) {
    (void)err;
    if (bytes) {
        memcpy((char *)mem->handle + offset, src, bytes);
    }
    log_memory(dev, WG_NULL_WRITE, mem->handle, offset, bytes);
    return WG_OK;
}

static wg_status read(wg_device *dev, const wg_mem *mem, size_t offset, void *dst, size_t bytes, wg_err *err) {
    (void)err;
    if (bytes) {
        memcpy(dst, (const char *)mem->handle + offset, bytes);
    }
    log_memory(dev, WG_NULL_READ, mem->handle, offset, bytes);
    return WG_OK;
}

/* ---- programs ---- */

static wg_status build(wg_device *dev, wg_queue queue, const char *text, const char *const *names, size_t n,
                       wg_program **program, wg_kernel **kernels, wg_err *err) {
    (void)queue;
    (void)text;
    if (dev->limits.interprets) {
        return wg_err_set(err, WG_ERR_UNSUPPORTED, "the host device builds no kernels");
    }
    wg_program *p = wg_mem_zalloc(sizeof *p + n * sizeof *p->kernels);
    for (size_t i = 0; p && i < n; i++) {
        size_t size = strlen(names[i]) + 1;
        p->kernels[i].name = wg_mem_alloc(size);
        p->n = i + 1;
        if (!p->kernels[i].name) {
            free_program(p);
            p = NULL;
        } else {
            memcpy(p->kernels[i].name, names[i], size);
            kernels[i] = &p->kernels[i];
        }
    }
    if (!p) {
        return wg_err_set(err, WG_ERR_NOMEM, "building a program: out of host memory");
    }
    *program = p;
    return WG_OK;
}

static void unbuild(wg_device *dev, wg_program *p) {
    if (p) {
        p->next = dev->unbuilt;
        dev->unbuilt = p;
    }
}

static const char *prelude(const wg_device *dev) {
    (void)dev;
    return "";
}

static wg_status launch(wg_device *dev, wg_queue queue, const wg_launch *l, wg_err *err) {
    if (dev->limits.interprets) {
        return wg_err_set(err, WG_ERR_UNSUPPORTED, "the host device launches no kernels");
    }
    wg_null_record *r = new_record(dev, WG_NULL_LAUNCH);
    size_t handles = (size_t)l->nbuffers * sizeof(void *);
    void **copy = r ? malloc(handles + l->param_bytes + 1) : NULL;
    if (!copy) {
        dev->nlog -= r != NULL;
        return WG_OK;
    }
    for (int i = 0; i < l->nbuffers; i++) {
        copy[i] = l->buffers[i]->handle;
    }
    memcpy((char *)copy + handles, l->params, l->param_bytes);
    r->kernel = l->kernel->name;
    r->queue = queue;
    memcpy(r->groups, l->groups, sizeof r->groups);
    memcpy(r->local, l->local, sizeof r->local);
    r->nbuffers = l->nbuffers;
    r->buffers = copy;
    r->params = (char *)copy + handles;
    r->param_bytes = l->param_bytes;
    return WG_OK;
}

static wg_status note(wg_device *dev, wg_null_kind kind, wg_queue queue, int event) {
    wg_null_record *r = new_record(dev, kind);
    if (r) {
        r->queue = queue;
        r->event = event;
    }
    return WG_OK;
}

static wg_status mark(wg_device *dev, wg_queue queue, int event, wg_err *err) {
    (void)err;
    return note(dev, WG_NULL_MARK, queue, event);
}

static wg_status wait(wg_device *dev, wg_queue queue, int event, wg_err *err) {
    (void)err;
    return note(dev, WG_NULL_WAIT, queue, event);
}

static wg_status sync(wg_device *dev, wg_err *err) {
    (void)err;
    new_record(dev, WG_NULL_SYNC);
    return WG_OK;
}

#define SLOTS                                                                                                          \
    .close = close_device, .limits = limits, .alloc = alloc, .free = free_mem, .write = write, .read = read,           \
    .build = build, .unbuild = unbuild, .prelude = prelude, .launch = launch, .sync = sync, .mark = mark, .wait = wait

const wg_backend wg_backend_null = {.name = "null", .list = null_list, .open = null_open, SLOTS};
const wg_backend wg_backend_host = {.name = "host", .list = host_list, .open = host_open, SLOTS};
