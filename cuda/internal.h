/* What the files of the CUDA backend share: the structs behind the handles of the vtable. */
#ifndef WG_CUDA_INTERNAL_H
#define WG_CUDA_INTERNAL_H

#include "base/str.h"
#include "cuda/loader.h"
#include "runtime/backend.h"

#include <sys/types.h>

extern const wg_backend wg_backend_cuda;

/* ---- errors.c ---- */

/* "CUDA_ERROR_OUT_OF_MEMORY" and so on. */
const char *wg_cu_error_name(const wg_cu_api *cu, wg_cu_result code);
/* True for errors after which a context refuses everything. */
bool wg_cu_is_fatal(wg_cu_result code);
/*
 * Fills *err with "what: CUDA_NAME (700)" and more where it helps. Lack of memory gives WG_ERR_DEVICE_MEM, other codes
 * status. A fatal code loses the device: the text names the kernels it may come from, and is kept for wg_cuda_usable.
 */
wg_status wg_cuda_fail(wg_device *dev, wg_err *err, wg_status status, wg_cu_result code, const char *what);
/* Before any other call: makes the context current. Fails, with this status, for a device that is lost. */
wg_status wg_cuda_enter(wg_device *dev, wg_status status, wg_err *err);
/* Before giving something back, which cannot fail: false in a process that inherited the device by fork, where no call is
 * allowed, and for a lost device, whose context takes all with it. */
bool wg_cuda_enter_to_release(wg_device *dev);

/* ---- find.c ---- */

enum { WG_CUDA_MAX_FOUND = 64 };

typedef struct wg_cuda_found {
    wg_cu_device id;
    int major, minor; /* compute capability */
    int multiprocessors;
    size_t bytes;
    char name[128];
} wg_cuda_found;

typedef struct wg_cuda_list {
    size_t n;
    wg_cuda_found found[WG_CUDA_MAX_FOUND];
} wg_cuda_list;

wg_status wg_cuda_find(const wg_cu_api *cu, wg_cuda_list *out, wg_err *err);
/* The device a selector means: a number, part of a name, "gpu", or "" for the first. */
const wg_cuda_found *wg_cuda_select(const wg_cuda_list *list, const char *selector, wg_err *err);

/* ---- target.c: what kernels are compiled with and for ---- */

/* What NVRTC is told beside the architecture. */
extern const char *const wg_cuda_options[];
extern const size_t wg_cuda_noptions;

typedef struct wg_cuda_target {
    const wg_rtc_api *rtc;
    int major, minor;  /* version of NVRTC */
    int arch;          /* 90 for compute capability 9.0 */
    bool ptx;          /* NVRTC does not know the device: PTX of an older one, which the driver translates */
    char options[256]; /* in one line; the first is the architecture */
} wg_cuda_target;

/* Chooses for a device; WG_ERR_NO_DEVICE when NVRTC is missing or too new for it. */
wg_status wg_cuda_target_of(const wg_cuda_found *found, wg_cuda_target *out, wg_err *err);
/* Compiles; *image is from base/alloc.h. WG_ERR_BUILD carries the log and the numbered source. */
wg_status wg_cuda_compile(const wg_cuda_target *target, const char *text, char **image, size_t *bytes, wg_err *err);

/* ---- cache.c: compiled kernels on disk ---- */

/* $WENGERT_CACHE_DIR, $XDG_CACHE_HOME/wengert or ~/.cache/wengert; false if there is none. */
bool wg_cuda_cache_dir(wg_str *out);
/* What was put under this key, compared in full; NULL if nothing was, or the file is damaged. From base/alloc.h. */
char *wg_cuda_cache_get(const char *dir, const char *key, size_t key_bytes, size_t *bytes);
/* False if it could not be kept: a folder that cannot be written costs time only. */
bool wg_cuda_cache_put(const char *dir, const char *key, size_t key_bytes, const char *image, size_t bytes);

/* ---- device.c ---- */

enum { WG_CUDA_NAME = 48, WG_CUDA_SLOTS = 4, WG_CUDA_SLOT_BYTES = 1 << 20 };

/* A piece of pinned memory that bytes cross in. */
typedef struct wg_cuda_slot {
    wg_cu_event done;  /* of its last copy, if that is marked */
    bool busy, marked; /* a copy may be under way; `done` tells of it */
} wg_cuda_slot;

/* Behind wg_mem.handle. Serial numbers of the device, see memory.c. */
typedef struct wg_cuda_mem {
    wg_cu_pointer pointer;
    uint64_t used;    /* the last launch that took it */
    uint64_t arrived; /* the last write to it */
} wg_cuda_mem;

/* A launch and its events. */
typedef struct wg_cuda_timed {
    wg_cu_event from, to;
    double enqueued; /* on the host's clock, a little before */
} wg_cuda_timed;

/* What is timed, see timing.c. */
typedef struct wg_cuda_times {
    bool on, whole; /* whole: no launch is missing so far */
    wg_cu_event origin;
    double apart; /* seconds from `origin` on, plus this: the host's clock */
    wg_cuda_timed *launches;
    size_t n, made, cap; /* n launches since the origin; events are made for more */
} wg_cuda_times;

struct wg_device {
    const wg_cu_api *cu;
    wg_cu_device id;
    wg_cu_context context;                  /* the primary one */
    wg_cu_stream main;                      /* launches and memory */
    wg_cu_stream copy;                      /* transfers */
    wg_cu_stream beside[WG_MAX_QUEUES - 1]; /* more launches */
    unsigned busy;                          /* bit q: queue q beside the main one may have launches under way */
    wg_cu_event *marks;                     /* by number, for wg_cuda_mark */
    size_t nmarks, mark_cap;
    wg_cu_event launched_mark, copied_mark;
    uint64_t launched, finished;     /* launches so far, and those known to be done */
    uint64_t copied;                 /* writes so far */
    uint64_t joined[WG_QUEUE_COUNT]; /* those that each queue waits for */
    char *staging;                   /* pinned: WG_CUDA_SLOTS times WG_CUDA_SLOT_BYTES */
    wg_cuda_slot slots[WG_CUDA_SLOTS];
    int next_slot;
    bool pools;       /* memory is allocated in the order of the main stream */
    bool sync_always; /* $WENGERT_CUDA_SYNC: waits after each launch, so that an error names its kernel */
    wg_cuda_target target;
    wg_str cache_dir;
    const wg_blas_api *blas; /* NULL: no cuBLAS */
    wg_blas_handle blas_handle;
    wg_queue blas_queue;     /* where its products go */
    wg_cu_pointer workspace; /* a part for each queue */
    bool tf32;
    const wg_lt_api *lt; /* NULL: no cuBLASLt, or it is not wanted */
    wg_lt_handle lt_handle;
    struct wg_cuda_shape *shapes; /* of products that it was asked about */
    size_t nshapes, shape_cap;
    wg_cuda_times times;
    struct wg_recording *recording;               /* the plan whose launches are being held back */
    char last_kernel[WG_CUDA_NAME], last_ops[96]; /* the newest launch, for messages */
    char lost[512];                               /* why the device cannot be used any more; "" while it can */
    pid_t pid;                                    /* a forked child may call nothing */
    wg_limits limits;
};

/* ---- the slots of the vtable ---- */

wg_status wg_cuda_alloc(wg_device *dev, size_t bytes, wg_mem *out, wg_err *err);
void wg_cuda_free(wg_device *dev, wg_mem *mem);
wg_status wg_cuda_write(wg_device *dev, const wg_mem *mem, size_t offset, const void *src, size_t bytes, wg_err *err);
wg_status wg_cuda_read(wg_device *dev, const wg_mem *mem, size_t offset, void *dst, size_t bytes, wg_err *err);
wg_status wg_cuda_build(wg_device *dev, wg_queue queue, const char *text, const char *const *names, size_t n,
                        wg_program **program, wg_kernel **kernels, wg_err *err);
void wg_cuda_unbuild(wg_device *dev, wg_program *program);
wg_status wg_cuda_launch(wg_device *dev, wg_queue queue, const wg_launch *l, wg_err *err);
wg_status wg_cuda_mark(wg_device *dev, wg_queue queue, int event, wg_err *err);
wg_status wg_cuda_wait(wg_device *dev, wg_queue queue, int event, wg_err *err);
wg_status wg_cuda_sync(wg_device *dev, wg_err *err);
wg_status wg_cuda_timing(wg_device *dev, bool on, wg_err *err);
size_t wg_cuda_times_of(wg_device *dev, wg_launch_time *out, size_t n);
wg_status wg_cuda_plan_begin(wg_device *dev, wg_recording **plan, wg_err *err);
wg_status wg_cuda_plan_end(wg_device *dev, bool run, wg_err *err);
void wg_cuda_plan_drop(wg_device *dev, wg_recording *plan);
bool wg_cuda_gemm_takes(wg_device *dev, wg_gemm_call *call);
wg_status wg_cuda_gemm(wg_device *dev, wg_queue queue, const wg_gemm_call *call, wg_err *err);

/* ---- memory.c, queue.c, timing.c, blas.c, lt.c: what they do for each other ---- */

/* Pinned memory and its events; undone by close_transfers, also after a failure. */
wg_status wg_cuda_open_transfers(wg_device *dev, wg_err *err);
void wg_cuda_close_transfers(wg_device *dev);
/* Before work on a queue that takes mem: it waits for bytes on their way there. */
wg_status wg_cuda_take(wg_device *dev, wg_queue queue, const wg_mem *mem, wg_err *err);

static inline wg_cu_stream wg_cuda_stream(const wg_device *dev, wg_queue queue) {
    return queue == WG_QUEUE_MAIN ? dev->main : dev->beside[queue - WG_QUEUE_BESIDE];
}
static inline bool wg_cuda_has_queue(const wg_device *dev, wg_queue queue) {
    return queue == WG_QUEUE_MAIN ||
           (queue >= WG_QUEUE_BESIDE && (int)queue < WG_QUEUE_BESIDE + dev->limits.queues - 1);
}
/* Drops the events of marks. */
void wg_cuda_forget_marks(wg_device *dev);

/* Around a launch on a stream, where launches are timed. A launch between them that failed is none. */
void wg_cuda_time_from(wg_device *dev, wg_cu_stream stream);
void wg_cuda_time_to(wg_device *dev, wg_cu_stream stream);
void wg_cuda_close_timing(wg_device *dev);

/* Opens cuBLAS if it is wanted and can be used. Closing allows for a device without. */
bool wg_cuda_wants_blas(void);
void wg_cuda_open_blas(wg_device *dev);
void wg_cuda_close_blas(wg_device *dev);
/* A variable that says yes or, by "0", no. */
bool wg_cuda_flag(const char *name, bool otherwise);
/* The part of the workspace that belongs to a queue, and its bytes. */
void *wg_cuda_workspace(const wg_device *dev, wg_queue queue, size_t *bytes);

/* The same of cuBLASLt, beside cuBLAS. */
bool wg_cuda_wants_lt(void);
void wg_cuda_open_lt(wg_device *dev);
void wg_cuda_close_lt(wg_device *dev);

struct wg_kernel {
    wg_cu_function function;
    char name[WG_CUDA_NAME];
    int max_threads; /* of a group */
};

enum { WG_CUDA_MAX_ARGS = 64 };

typedef enum wg_cuda_what { WG_CUDA_KERNEL, WG_CUDA_PRODUCT, WG_CUDA_MARK, WG_CUDA_WAIT } wg_cuda_what;

/* A launch as the driver takes it: device pointers, then the struct; or an event between queues. */
typedef struct wg_cuda_call {
    wg_cuda_what what;
    wg_queue queue;
    int event;               /* of mark and wait */
    const char *ops;         /* not kept */
    const wg_kernel *kernel; /* NULL: none. Of a product pointers are WG_CUDA_OPERANDS, params a wg_cuda_product */
    uint32_t groups[3], local[3];
    int npointers;
    size_t param_bytes; /* a multiple of 8 */
    const wg_cu_pointer *pointers;
    const void *params;
} wg_cuda_call;

/* What a product has pointers to: two factors, the result, and what its epilogue takes; 0 for what it does not. */
enum { WG_CUDA_A, WG_CUDA_B, WG_CUDA_C, WG_CUDA_ADDEND, WG_CUDA_BIAS, WG_CUDA_INPUT, WG_CUDA_OPERANDS };

/* A wg_gemm_call in cuBLAS's terms; no padding, so that two can be compared as bytes. */
typedef struct wg_cuda_product {
    int64_t type, size, m, n, k, batch; /* type: of elements of that size, as cuBLAS has it */
    int64_t a_op, a_ld, a_batch;
    int64_t b_op, b_ld, b_batch;
    int64_t epilogue, aligned;
    int64_t shape; /* its number at cuBLASLt, which does the epilogue */
} wg_cuda_product;

/* Sends it to its queue. */
wg_status wg_cuda_send(wg_device *dev, const wg_cuda_call *call, wg_err *err);
wg_status wg_cuda_send_product(wg_device *dev, const wg_cuda_call *call, wg_err *err);
/* One with an epilogue, by cuBLASLt. */
wg_status wg_cuda_send_shape(wg_device *dev, const wg_cuda_call *call, wg_err *err);
/* Whether cuBLASLt computes such a product, asked once for each; its number goes to p->shape. */
bool wg_cuda_find_shape(wg_device *dev, wg_cuda_product *p);
/* Sends it now, or keeps it for the end of the plan. */
wg_status wg_cuda_submit(wg_device *dev, const wg_cuda_call *call, wg_err *err);
/* Keeps a copy in the plan under way. */
wg_status wg_cuda_record(wg_device *dev, const wg_cuda_call *call, wg_err *err);

#endif
