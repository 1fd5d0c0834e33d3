/*
 * Executing plans: a plan compiled for a device (kernels looked up, launch sizes chosen), and its runs.
 */
#ifndef WG_RUNTIME_EXEC_H
#define WG_RUNTIME_EXEC_H

#include "base/alloc.h"
#include "runtime/programs.h"
#include "runtime/value.h"
#include "schedule/plan.h"
#include "schedule/share.h"

typedef struct wg_exec_step {
    wg_kernel *kernel; /* NULL if there is nothing to do */
    uint64_t text;     /* hash of its text: equal ones are one kernel */
    uint32_t groups[3], local[3];
    int64_t *params; /* as they are but for the fixups */
    int nparams;
    int *fixups; /* parameters that hold offsets and scalars */
    int nfixups;
    int ticket;            /* first step of a chain that draws one: its number in the plan */
    size_t table_at;       /* first step of a bundle: where its rows begin in the table, in words */
    wg_gemm_call *product; /* computed by the backend's library, without a kernel; owned */
} wg_exec_step;

/* Of the timed runs of a step. */
typedef struct wg_step_times {
    double seconds, fastest;
    double begun; /* of the run under way, should it take several launches */
    uint64_t count;
} wg_step_times;

/* The runs of a plan; see watch.h. */
typedef struct wg_ran {
    uint64_t last;              /* the number of the latest among all runs of the engine; 0: none */
    uint64_t window, runs;      /* how often since wg_profile, if `window` is the engine's */
    uint64_t scope, scope_runs; /* and since the outermost scope, likewise */
    double host;                /* seconds of host time, of timed runs of the window */
    uint64_t host_count;
    wg_step_times *steps; /* NULL while none was timed */
} wg_ran;

typedef struct wg_exec {
    wg_plan *plan;   /* owned */
    uint64_t number; /* counts the plans of an engine */
    wg_ran ran;
    const wg_dev *dev;
    wg_recording *recording; /* the backend's, of the runs so far */
    wg_queue built_for;      /* the inline queue, or the main one and those beside it: see wg_exec_queue */
    wg_exec_step *steps;
    /* The table that bundles read (see wg_print_bundle), as it is to be and as it was written last. */
    wg_mem table;
    int64_t *rows, *rows_written;
    size_t table_words;
    bool table_written;
    int ntickets; /* drawn in a run, each by a launch of its own */
    /* Scratch of a run: where each slot and block lies. */
    wg_value **values;  /* by slot: kept and leaf values of the run under way */
    wg_block **blocks;  /* the plan's arenas */
    const wg_mem **mem; /* by slot */
    size_t *offset;     /* by slot, in bytes */
} wg_exec;

typedef struct wg_engine {
    wg_dev dev;
    wg_pool pool;
    wg_programs programs;
    wg_form form;
    bool fuse, log_plan, log_kernel;
    uint64_t launches, bytes_moved, flops;
    uint64_t plans, runs; /* compiled, run */
    uint64_t window;      /* counts calls of wg_profile */
    uint64_t scope;       /* counts outermost scopes */
    wg_value *trap;       /* two words: see wg_slot_trap */
    wg_mem tickets;       /* one for each launch of a plan that draws one: 0 but while that runs; none at first */
    bool tickets_lost;    /* a launch failed: they are what they are */
    wg_room room;         /* of the interpreter */
    bool trap_armed;      /* a plan that can report was run since they were looked at */
} wg_engine;

/* Compiles a plan, which it takes over (frees on failure too). NULL with the error set. */
wg_exec *wg_exec_make(wg_engine *e, wg_plan *plan, wg_err *err);
void wg_exec_free(wg_exec *x);

/*
 * Runs it on a problem of the same key. On success x->values[] holds, for each KEPT slot, a value that the caller takes
 * over; a value written over a leaf's bytes is the leaf's own struct, taken out of its node. All memory is obtained
 * before the first launch: WG_ERR_DEVICE_MEM and WG_ERR_NOMEM have changed nothing. If a launch fails, nodes
 * whose bytes were to be overwritten have been marked WG_NODE_LOST.
 */
wg_status wg_exec_run(wg_engine *e, wg_exec *x, const wg_problem *p, wg_err *err);

/* Where the launch of a step goes. */
static inline wg_queue wg_exec_queue(const wg_exec *x, int step) {
    return x->plan->turns ? wg_queue_number(x->plan->turns[step + 1].queue) : x->built_for;
}

/* WG_ERR_INDEX if a kernel met an index out of range since the last look; waits for the device if one could have. */
wg_status wg_exec_check(wg_engine *e, wg_err *err);

/* The parameters of a step for a run, into out[nparams]. */
void wg_exec_params(const wg_exec *x, int step, const wg_problem *p, int64_t *out);

/* In bundle.c: words of a row; before the first launch of a run, brings the table up to date; the launches of the bundle
 * that begins at `step`. */
int wg_bundle_row(const wg_lowered *l);
wg_status wg_bundle_bind(wg_engine *e, wg_exec *x, const wg_problem *p, wg_err *err);
wg_status wg_bundle_launch(wg_engine *e, const wg_exec *x, int step, const wg_problem *p, wg_err *err);

/* In chain.c: tickets for a run; the launch of the chain that begins at `step`. */
wg_status wg_chain_bind(wg_engine *e, wg_err *err);
wg_status wg_chain_launch(wg_engine *e, const wg_exec *x, int step, const wg_problem *p, wg_err *err);

/* The plan of a problem, no product of which has an epilogue that the device's library refuses. In library.c. */
wg_plan *wg_library_plan(const wg_engine *e, const wg_problem *p, wg_err *err);
/* How the backend's library computes the product of a matmul step: its innermost batches at a time. False if it does not. In
 * library.c. */
bool wg_library_takes(const wg_dev *dev, const wg_step *step, wg_gemm_call *out);
wg_status wg_library_run(const wg_engine *e, const wg_exec *x, int step, wg_err *err);

/* Interprets one step on the host; params are complete, mem[i] is buffer i's first byte, room is for registers. False
 * when there is no memory. In interpret.c. */
bool wg_interpret(const wg_step *step, const int64_t *params, char *const *mem, wg_room *room);

#endif
