/*
 * Seeing inside: what ran and what it cost, the recorded graph as a picture, a trace of host and device.
 *
 * Plans. What one demand or scope end runs is a plan: kernels in order. Its bytes and operations are counted from the plan
 * itself, always, at no cost to a run; times are taken while wg_profile is on.
 *
 * Bytes: each buffer of a kernel once, by the elements that it reads or writes, however often it does. A gather counts an
 * element for each one it fetches. Packed blocks of a matmul and what stays in registers are not counted.
 * Flops: operations on floating dtypes; add, mul, div, sqrt, max, exp and the like are one for each element, a matmul is
 * 2 m n k, a reduction one for each element it takes in; comparisons, selections and casts are none.
 */
#ifndef WENGERT_INSPECT_H
#define WENGERT_INSPECT_H

#include <stdio.h>
#include <wengert/context.h>
#include <wengert/tensor.h>

WG_BEGIN_DECLS

/* ---- plans ------------------------------------------------------------------------------------------------------ */

/* Which plans are meant. Plans that were run so long ago that they are forgotten (512 are remembered) are left out. */
typedef enum wg_plans {
    WG_PLAN_LAST,  /* the one that ran last */
    WG_PLAN_SCOPE, /* those run since the outermost scope opened that was opened last, or was replayed: a step's */
    WG_PLAN_ALL    /* those run since wg_profile was switched on last, or since wg_open */
} wg_plans;

/*
 * Writes plans as tables, in the order in which they ran last, one line for each kernel: its number, the ops in it, its
 * loops, bytes read and written, flops; its queue, where there are several, whose kernels may run at the same time (so that a
 * plan takes less than the sum of its times); then, where the context knows them, `least`, the time that the device's rates allow
 * (see wg_measure_rates), the mean time it took (see wg_profile), and the share: least / time. The last line of a plan
 * holds its kernels, how many of them are distinct, the sums, the bytes of its temporaries, and the host's time: what
 * gathering, binding and launching a run took. Several plans are followed by their sum over all runs.
 *   loops   map 1024x512; rows 1024 of 512: a reduction over 512 neighbours for each of 1024 results; columns 512 of
 *           1024: over elements that lie apart; matmul 8 of 128x64x32: batch, m, k, n; "with columns 128 of 64": that
 *           also sums an operand; scatter; "and 3 more": the same on three other sets of tensors, in the same launch
 * WG_ERR_ARG if out is NULL, WG_ERR_IO if it cannot be written. No plan: a line that says so.
 */
WG_API wg_status wg_explain(wg_ctx *ctx, wg_plans which, FILE *out);

/* One plan. Bytes, flops and seconds are those of one run; seconds are means, NAN where they are not known. */
typedef struct wg_plan_info {
    uint64_t number;   /* counts the plans of a context, from 1 */
    uint64_t runs;     /* of the plans that are meant */
    uint64_t kernels;  /* launched by a run */
    uint64_t distinct; /* kernels of different text among them */
    uint64_t bytes_read, bytes_written, flops;
    uint64_t temporaries;  /* bytes held while it runs, beside operands and results */
    double host_seconds;   /* until everything is launched */
    double device_seconds; /* of all kernels */
    double least_seconds;  /* at the device's rates */
} wg_plan_info;

/* Fills in the first cap plans, in the order in which they ran last (out may be NULL if cap is 0); returns how many there
 * are. */
WG_API size_t wg_get_plans(wg_ctx *ctx, wg_plans which, wg_plan_info *out, size_t cap);

/* One kernel of a plan, as above. */
typedef struct wg_kernel_info {
    const char *ops; /* "matmul+add+relu"; valid until something runs */
    char loops[64];  /* as wg_explain writes them */
    uint64_t text;   /* equal for kernels of the same text, in other plans too */
    uint64_t bytes_read, bytes_written, flops;
    double device_seconds, least_seconds;
    double fastest_seconds; /* of the runs that were timed */
    int queue;              /* of the device: 0, or 1 and on for those whose kernels may run at the same time */
} wg_kernel_info;

/* Fills in the first cap kernels of plan `number`; returns how many there are, 0 if the plan is not remembered. */
WG_API size_t wg_get_kernels(wg_ctx *ctx, uint64_t number, wg_kernel_info *out, size_t cap);

/* ---- times ------------------------------------------------------------------------------------------------------ */

/*
 * Times the kernels of every plan from now on (true), forgetting earlier times, or no longer (false), keeping them to be
 * explained. The device's own clock is read where it has one, and launches stay asynchronous; on the devices "null" and
 * "host" the host waits for each kernel. WENGERT_PROFILE=1 in the environment switches it on at wg_open. Off, it costs
 * nothing.
 */
WG_API wg_status wg_profile(wg_ctx *ctx, bool on);

/* What a device can do at best: bytes read and written per second, operations on f32 per second. */
typedef struct wg_rates {
    double bytes, flops;
} wg_rates;

/* Measures them, with a copy of memory and with fused multiply-adds in registers, the best of some runs: about half a
 * second and 256 MiB of device memory, once a context; later calls give the same, and so do rates that were set. out may
 * be NULL. WG_ERR_UNSUPPORTED on "null" and "host", which run no kernels. */
WG_API wg_status wg_measure_rates(wg_ctx *ctx, wg_rates *out);
/* Sets them, from a data sheet or another measurement. WG_ERR_ARG unless both are positive. */
WG_API wg_status wg_set_rates(wg_ctx *ctx, wg_rates rates);

/*
 * Writes a trace to the file at path until wg_trace_end, wg_close or the next wg_trace_begin: what the host did (recording,
 * planning, building, binding, launching, transfers) and when each kernel ran on which queue of the device, with its ops,
 * bytes and flops, as JSON that chrome://tracing and Perfetto open. WENGERT_TRACE=path begins one at wg_open; a second context of the
 * process writes to path.2, and so on. WG_ERR_IO names the file and the reason.
 */
WG_API wg_status wg_trace_begin(wg_ctx *ctx, const char *path);
/* WG_OK too when there is no trace. WG_ERR_IO if it could not all be written. */
WG_API wg_status wg_trace_end(wg_ctx *ctx);

/* ---- the graph as a picture --------------------------------------------------------------------------------------- */

typedef struct wg_dot_opts {
    wg_tensor *const *named;  /* tensors with names of their own, */
    const char *const *names; /* as many names, */
    size_t nnamed;            /* this many */
    int64_t elements;         /* values of at most this many elements are written out, larger ones summarised; 6 */
    bool no_values;           /* leave out values and gradients: nothing is computed */
} wg_dot_opts;
WG_API wg_dot_opts wg_dot_defaults(void);

/*
 * Writes the graph that n tensors were made by, in the language of Graphviz (`dot -Tsvg`). Boxes are leaves, rounded boxes
 * ops; black arrows carry values forward: shape and dtype, and the value (or its least, mean and greatest element). If
 * the tensors have one element each and require grad, red arrows carry gradients back: the gradient of their sum with
 * respect to each value and, where an op works element by element, the local derivative by which it was multiplied. After a
 * backward that released the graph only what leaves accumulated is shown.
 *
 * The graph stays as it was: what was recorded stays recorded, and nothing is marked as run. Values are computed for the
 * picture and forgotten; gradient hooks are called once more for it. opts NULL means the defaults. WG_ERR_ARG for NULL tensors or file, WG_ERR_IO if it cannot be written.
 */
WG_API wg_status wg_graph_dot(wg_tensor *const *tensors, size_t n, const wg_dot_opts *opts, FILE *out);

WG_END_DECLS

#endif
