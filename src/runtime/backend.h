/*
 * The vtable of a backend: memory, programs, queues; never ops. One const struct a backend, listed in backends.c.
 *
 * A backend is called by one thread at a time for a device. Functions returning wg_status fill *err on failure with a
 * sentence that names the driver's own error. The pool, the program cache and fault injection sit above it.
 */
#ifndef WG_RUNTIME_BACKEND_H
#define WG_RUNTIME_BACKEND_H

#include "base/err.h"

#include <wengert/types.h>

/* An open device, a built program and one of its kernels: the backend's own structs. */
typedef struct wg_device wg_device;
typedef struct wg_program wg_program;
typedef struct wg_kernel wg_kernel;

/* Two ways to write the same kernel: one work-item walks a row with wide vectors (CPU devices), or a work-group
 * shares it (GPUs). */
typedef enum wg_form { WG_SIMD, WG_SIMT } wg_form;

typedef enum wg_language { WG_OPENCL_C, WG_CUDA_CPP } wg_language;

/*
 * What a vendor's product of f32 or 16-bit floats may have after its sums: act(A B + addend + bias), rounded once, at the end,
 * and perhaps added in another order. No more than one activation, nothing after it. A NaN may come out of a relu as 0.
 * An input is another matrix as large as the result, of rows of a multiple of 8 elements, which lies apart from it; where there
 * is one there is no addend.
 */
enum {
    WG_EPILOGUE_ADDEND = 1,      /* a matrix as large as the result */
    WG_EPILOGUE_BIAS = 2,        /* a number for each column, neighbours in memory */
    WG_EPILOGUE_RELU = 4,        /* the larger of it and 0 */
    WG_EPILOGUE_GELU_TANH = 8,   /* by the tanh approximation */
    WG_EPILOGUE_GELU_INPUT = 16, /* with that: what it is taken of is stored as the input */
    WG_EPILOGUE_GELU_GRAD = 32   /* the product alone, times the derivative of that function at the input */
};

/* What schedule, codegen and executor need to know of a device. Constant while it is open. */
typedef struct wg_limits {
    char name[256];         /* one line: device, driver, version */
    wg_form form;           /* the form this device prefers */
    wg_language language;   /* what build() takes */
    int compute_units;      /* cores of a CPU, multiprocessors of a GPU */
    int native_floats;      /* floats in a hardware vector, 1 on GPUs */
    size_t cache_bytes;     /* last-level cache; stores of larger results bypass it */
    size_t max_alloc;       /* largest single allocation */
    size_t max_param_bytes; /* all arguments of one kernel together */
    size_t local_bytes;     /* local memory of a work-group */
    int64_t max_groups[3];  /* work-groups in each dimension of a launch */
    bool shared_memory;     /* wg_mem.host is the memory itself: no copies (after sync) */
    bool has_f64;
    int queues;          /* WG_QUEUE_MAIN and those beside it, whose launches may overlap; at most WG_MAX_QUEUES */
    bool inline_queue;   /* WG_QUEUE_INLINE exists: runs small launches in the calling thread at once */
    bool interprets;     /* no kernels: the executor interprets fused groups on the host */
    bool ordered_groups; /* what a work-group wrote before it drew a ticket is seen by groups that draw later ones */
    bool gemm_library;   /* gemm() is there: products of f32 and f64 get a step, and bytes, of their own */
    unsigned epilogues;  /* WG_EPILOGUE_*: what gemm() can do to a product before it stores it */
} wg_limits;

/* Kernels may read (and ignore) this many bytes past the end of an allocation: vectors are loaded whole. */
#define WG_MEM_SLACK 128

/* One allocation. Kernels take (handle, element offset). */
typedef struct wg_mem {
    void *handle; /* cl_mem, a struct of the backend's, host pointer */
    char *host;   /* the same bytes in the host's address space if limits.shared_memory, else NULL */
    size_t bytes;
} wg_mem;

/*
 * The queue a launch goes to. A plan uses the inline queue throughout, or the main queue and those beside it, for which there
 * is one build: what is built for the main queue.
 */
typedef enum wg_queue {
    WG_QUEUE_MAIN = 0,
    WG_QUEUE_INLINE = 1,
    WG_QUEUE_BESIDE = 2, /* and on: limits.queues - 1 of them */
    WG_QUEUE_COUNT = 5
} wg_queue;
enum { WG_MAX_QUEUES = 1 + WG_QUEUE_COUNT - WG_QUEUE_BESIDE };
/* Queue i < limits.queues of those that overlap. */
static inline wg_queue wg_queue_number(int i) { return i == 0 ? WG_QUEUE_MAIN : (wg_queue)(WG_QUEUE_BESIDE + i - 1); }
/* For limits.queues: $WENGERT_QUEUES, or what the backend finds good for its device. 0 if the variable is no number from 1 to
 * WG_MAX_QUEUES; then no device is opened. */
int wg_queues_wanted(int otherwise);

/* Arguments of a kernel: the buffers, then one struct by value. groups[i] * local[i] work-items in dimension i. */
typedef struct wg_launch {
    wg_kernel *kernel;
    uint32_t groups[3];
    uint32_t local[3];
    const wg_mem *const *buffers;
    int nbuffers;
    const void *params;
    size_t param_bytes; /* a multiple of 8, at least 8 */
    const char *ops;    /* what it computes, for messages; NULL: not known */
} wg_launch;

/* When a kernel began and ended, in seconds of CLOCK_MONOTONIC. */
typedef struct wg_launch_time {
    double from, to;
} wg_launch_time;

/* C[b,i,j] = sum over k of A[b,i,k] B[b,k,j], or what `epilogue` makes of that; offsets and strides in elements. C is contiguous,
 * and so are addend and input, of C's shape, and bias. The addend may be C itself. */
typedef struct wg_gemm_call {
    wg_dtype dtype;
    int64_t m, n, k, batch;
    const wg_mem *a, *b, *c;
    int64_t a_offset, a_row, a_col, a_batch;
    int64_t b_offset, b_row, b_col, b_batch;
    int64_t c_offset;
    unsigned epilogue; /* WG_EPILOGUE_* */
    const wg_mem *addend, *bias, *input;
    int64_t addend_offset, bias_offset, input_offset;
    int64_t aligned;  /* bytes that all of them begin at a multiple of, in every run */
    int64_t prepared; /* what gemm_takes noted for gemm */
} wg_gemm_call;

/* What a backend keeps of a plan that is run again and again: a list of launches, made one. */
typedef struct wg_recording wg_recording;

typedef struct wg_backend {
    const char *name; /* "opencl": what stands before the colon in a device name */

    /* Calls line once for each device, or once with the reason why there is none. */
    void (*list)(void (*line)(const char *text, void *user), void *user);
    /* selector is what stands after the colon, "" for the best device. WG_ERR_NO_DEVICE says why in *err. */
    wg_status (*open)(const char *selector, wg_device **out, wg_err *err);
    void (*close)(wg_device *dev);
    const wg_limits *(*limits)(const wg_device *dev);

    /* Memory is at least 64-byte aligned (256 on GPUs) and followed by WG_MEM_SLACK readable bytes. WG_ERR_DEVICE_MEM when
     * there is none. */
    wg_status (*alloc)(wg_device *dev, size_t bytes, wg_mem *out, wg_err *err);
    void (*free)(wg_device *dev, wg_mem *mem);
    /* Transfers are ordered after everything launched before on any queue, if the main queue waits for those beside it; read returns when the bytes are there,
     * write when src may be reused. */
    wg_status (*write)(wg_device *dev, const wg_mem *mem, size_t offset, const void *src, size_t bytes, wg_err *err);
    wg_status (*read)(wg_device *dev, const wg_mem *mem, size_t offset, void *dst, size_t bytes, wg_err *err);

    /*
     * Builds text, which starts with what prelude() returned, for one queue, and looks up its n kernels by name.
     * WG_ERR_BUILD carries the driver's log and the numbered source. The program owns the kernels.
     */
    wg_status (*build)(wg_device *dev, wg_queue queue, const char *text, const char *const *names, size_t n,
                       wg_program **program, wg_kernel **kernels, wg_err *err);
    void (*unbuild)(wg_device *dev, wg_program *program);
    /* The dialect's macros in this backend's language: KERNEL, GLOBAL, LOCAL, BARRIER_LOCAL, LID, ... */
    const char *(*prelude)(const wg_device *dev);

    /* Launches are in order within a queue. One on the inline queue waits for all before it on others, and one on another for
     * those on the inline queue. */
    wg_status (*launch)(wg_device *dev, wg_queue queue, const wg_launch *l, wg_err *err);
    /* Waits for all queues. After it, host pointers show what kernels wrote. */
    wg_status (*sync)(wg_device *dev, wg_err *err);

    /* From here on slots may be NULL. */

    /*
     * If limits.queues > 1. mark: the event (a small number, chosen by the caller) now stands for all that was launched on the
     * queue so far. wait: what is launched on the queue from here on comes after what the event stands for.
     */
    wg_status (*mark)(wg_device *dev, wg_queue queue, int event, wg_err *err);
    wg_status (*wait)(wg_device *dev, wg_queue queue, int event, wg_err *err);

    /*
     * Both or neither. timing begins or ends the timing of launches, and waits for those before. times waits,
     * hands out the times of the launches since it, or timing, was called last, in their order, and forgets them; it
     * returns how many it has, at most n. Fewer than were launched: there was no memory for the others.
     */
    wg_status (*timing)(wg_device *dev, bool on, wg_err *err);
    size_t (*times)(wg_device *dev, wg_launch_time *out, size_t n);

    /*
     * The launches between plan_begin and plan_end are one run of a plan, with no other call in between but mark and wait; it
     * begins on the main queue, and ends there when all else is done.
     * *plan, NULL before the first run, is what the backend keeps of it until plan_drop. Launches may be held back and
     * done, all or none, by plan_end; with `run` false it forgets those it holds.
     */
    wg_status (*plan_begin)(wg_device *dev, wg_recording **plan, wg_err *err);
    wg_status (*plan_end)(wg_device *dev, bool run, wg_err *err);
    void (*plan_drop)(wg_device *dev, wg_recording *plan);

    /* A vendor's matrix product, if limits.gemm_library; in order with launches. Its sums may be in another order than our
     * kernel's. Whether it takes a call is asked once for a plan, without memory and offsets; for one without an epilogue
     * strides alone decide. */
    bool (*gemm_takes)(wg_device *dev, wg_gemm_call *call);
    wg_status (*gemm)(wg_device *dev, wg_queue queue, const wg_gemm_call *call, wg_err *err);
} wg_backend;

/* Every backend of this build, best first, NULL at the end. */
extern const wg_backend *const wg_backends[];

#endif
