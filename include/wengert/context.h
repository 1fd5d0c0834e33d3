/*
 * Contexts, errors, scopes: when things run and who owns them.
 *
 * Errors. Functions that build tensors return NULL on bad input, and take NULL quietly, so a chain of calls needs one
 * check at its end. The context keeps the FIRST error until wg_error_take. Functions that run or move something
 * return a wg_status. Nothing aborts, exits or prints unless its name says so (wg_print).
 *
 * When things run. An op records a node and returns; kernels run when a value is demanded (wg_item, wg_data, wg_read,
 * wg_eval, wg_print), and when a scope closes, which runs the updates recorded in it: assignments, optimiser steps and
 * gradients accumulated into leaves. WENGERT_EAGER=1 in the environment runs each op at its call; WENGERT_FUSE=0 keeps
 * the plan but gives each op a kernel of its own. Results are the same to the bit.
 *
 * Threads. A context and its tensors belong to one thread at a time; contexts share nothing. After fork() a child's
 * calls on an inherited context give WG_ERR_FORK; wg_close is the one that works.
 */
#ifndef WENGERT_CONTEXT_H
#define WENGERT_CONTEXT_H

#include <stdio.h>
#include <wengert/types.h>

WG_BEGIN_DECLS

/*
 * Open a context on a device: "cuda:0", "opencl:0", "opencl:cpu", "opencl:gpu", "opencl", "null" (records, runs nothing),
 * "host" (a slow interpreter, for tests). NULL or "" means $WENGERT_DEVICE, or the best device found.
 * Always returns a context unless the host is out of memory (then NULL); ask wg_failed whether it can be used. A failed
 * context takes every call and answers with its error. The caller closes it with wg_close.
 * Environment, read here: WENGERT_DEVICE; WENGERT_FORM=simd|simt forces the form of generated kernels;
 * WENGERT_EAGER=1; WENGERT_FUSE=0; WENGERT_ANOMALY=1 (see wg_detect_anomaly); WENGERT_MEMORY_LIMIT=512M is the limit of
 * wg_memory_limit: bytes, or K, M or G of 1024; anything else makes the context fail with WG_ERR_ARG; WENGERT_QUEUES=1 runs
 * kernels one after the other where a device would otherwise run independent ones at the same time (2, 3 or 4: on as many
 * queues; by itself 4 on CUDA, 2 on GPUs of OpenCL, 1 on CPUs; the results are the same); WENGERT_PROFILE=1 and
 * WENGERT_TRACE=file (see inspect.h); WENGERT_LOG, a list that says what is written to stderr: "plan", each plan when it is
 * made, with its kernels; "kernel", each launch; "memory", each block of device memory that is taken or given back, growth
 * of the pool, new peaks. WENGERT_KERNELS=DIR keeps the text of each kernel built in that folder, which must exist, as
 * DIR/<name>.kernel. On CUDA: WENGERT_CUBLAS=0 leaves products to our own kernels; WENGERT_TF32=1 lets cuBLAS round operands of
 * f32 products to TF32; WENGERT_CUBLASLT=1 lets cuBLASLt do what follows a product, in its own order and rounding (README).
 */
WG_API wg_ctx *wg_open(const char *device);

/* Waits for the device and frees the context with every tensor in it, kept ones too. Returns the first error the
 * context had and nobody took, or WG_OK. NULL is allowed. */
WG_API wg_status wg_close(wg_ctx *ctx);

/* True when an error is waiting in the context (or ctx is NULL). */
WG_API bool wg_failed(const wg_ctx *ctx);
/* The first error's text, "" when there is none. Valid until the next call on the context. */
WG_API const char *wg_error(const wg_ctx *ctx);
/* The first error's code, WG_OK when there is none. */
WG_API wg_status wg_error_status(const wg_ctx *ctx);
/* Copies the text into buf (cut to cap bytes, always terminated; buf may be NULL), clears the error and returns its
 * code. The context is usable afterwards, whatever the error was, unless it failed to open or was inherited by fork. */
WG_API wg_status wg_error_take(wg_ctx *ctx, char *buf, size_t cap);

/* The device's name and driver, one line. Valid as long as the context. */
WG_API const char *wg_device_name(const wg_ctx *ctx);

/* One line for each device found and each backend that cannot be used, with the reason, passed to `line` in order. */
WG_API void wg_devices(void (*line)(const char *text, void *user), void *user);

/* Seeds the random ops of the context (0 at open). Values depend on the seed and on how many random ops were recorded
 * since, not on device or fusion. */
WG_API void wg_seed(wg_ctx *ctx, uint64_t seed);

/* Waits until the device has finished everything submitted. Runs nothing that was not demanded. */
WG_API wg_status wg_synchronize(wg_ctx *ctx);

/* ---- scopes --------------------------------------------------------------------------------------------------- */

/* A place in the stack of open scopes. 0 is the root scope, which is open as long as the context. */
typedef size_t wg_mark;

/* Opens a scope; tensors made from now on belong to it. The result is for wg_scope_end. */
WG_API wg_mark wg_scope_begin(wg_ctx *ctx);
/*
 * Runs the updates recorded in the scope, then frees its tensors; closes every scope opened after it too. A tensor that
 * was kept lives on as a plain value: the graph that made it ends with the scope. Returns the status of the updates.
 * Those for which there was no memory, or whose kernels did not build, are not lost: they run when they are read or when
 * the next scope ends. After a failed launch what was being overwritten, and what can only be made from that, reads
 * WG_ERR_LOST until it is assigned again.
 */
WG_API wg_status wg_scope_end(wg_ctx *ctx, wg_mark mark);

/* Until the innermost scope closes, record no graph for gradients (true) or do so again (false). Nested scopes
 * inherit it. Returns what was in force. */
WG_API bool wg_no_grad(wg_ctx *ctx, bool on);

typedef struct wg_scope_guard {
    wg_ctx *ctx;
    wg_mark mark;
    bool open;
} wg_scope_guard;

static inline wg_scope_guard wg_scope_enter_(wg_ctx *ctx) {
    wg_scope_guard g = {ctx, wg_scope_begin(ctx), true};
    return g;
}
static inline void wg_scope_leave_(wg_scope_guard *g) { (void)wg_scope_end(g->ctx, g->mark); }

#define WG_CONCAT2_(a, b) a##b
#define WG_CONCAT_(a, b) WG_CONCAT2_(a, b)

/*
 * WG_SCOPE(ctx) { ... }: a scope for the block. It closes at the end of the block and also on return, break and goto
 * (GCC and Clang, C and C++). `break` and `continue` leave the scope's block, not a loop around it. An error of the
 * updates is in the context.
 */
#define WG_SCOPE(ctx)                                                                                                  \
    for (wg_scope_guard WG_CONCAT_(wg_scope_, __LINE__)                                                                \
             __attribute__((cleanup(wg_scope_leave_))) = wg_scope_enter_(ctx);                                         \
         WG_CONCAT_(wg_scope_, __LINE__).open; WG_CONCAT_(wg_scope_, __LINE__).open = false)

/* ---- anomalies ------------------------------------------------------------------------------------------------ */

/*
 * Looks for the first NaN or infinity. While on, each op runs at its call and its result is searched; one that is not
 * finite makes the op, or the backward that recorded it, fail with WG_ERR_ANOMALY. The text names the op, shapes and the
 * element; the op's number (wg_stats.nodes when it was recorded) and scope with its labels; whether it was recorded by the
 * program or by the backward of which op; and the operand that it came in with, if that is data from the host or was
 * computed before. Slow. Returns what was in force. WENGERT_ANOMALY=1 switches it on from wg_open on.
 */
WG_API bool wg_detect_anomaly(wg_ctx *ctx, bool on);
/* Names the innermost scope in such texts; NULL takes the name away. label is copied. */
WG_API wg_status wg_label(wg_ctx *ctx, const char *label);

/* ---- what ran ------------------------------------------------------------------------------------------------- */

/* Counters since wg_open. Host code can take differences around a step. */
typedef struct wg_stats {
    uint64_t nodes;         /* ops recorded */
    uint64_t plans_built;   /* schedules made anew */
    uint64_t plans_reused;  /* schedules found in the plan cache */
    uint64_t launches;      /* kernels launched */
    uint64_t kernels_built; /* kernel texts given to the driver */
    uint64_t builds;        /* programs given to the driver (many kernels each) */
    uint64_t bytes_live;    /* bytes of device memory held by tensors now */
    uint64_t bytes_pooled;  /* bytes of device memory obtained from the driver now */
    uint64_t bytes_peak;    /* the most bytes_live has been, temporaries included */
    uint64_t bytes_moved;   /* bytes that kernels read and wrote, counted as inspect.h says */
    uint64_t flops;         /* operations on floating dtypes, likewise */
} wg_stats;
WG_API void wg_get_stats(const wg_ctx *ctx, wg_stats *out);

WG_END_DECLS

#endif
