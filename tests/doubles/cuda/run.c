/* Work runs here, one piece at a time. A kernel that touches what it must not ends in an error that sticks, as on a GPU. */
#include "double.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
    volatile sig_atomic_t running; /* a kernel is, in this thread or another: all calls are under one lock */
    pthread_t thread;
    sigjmp_buf back;
    volatile const void *address;
    bool broken; /* POCL was left in the middle of a kernel */
    struct sigaction before;
} st;

/* Kernels come back to run_kernel; the host's own mistakes are explained, and then end the process as ever. */
static void on_fault(int signal, siginfo_t *info, void *unused) {
    (void)unused;
    if (st.running && pthread_equal(st.thread, pthread_self())) {
        st.address = info->si_addr;
        siglongjmp(st.back, 1);
    }
    char where[160], text[256];
    cd_describe(info->si_addr, where, sizeof where);
    if (!strstr(where, "no device memory")) {
        int n = snprintf(text, sizeof text, "cuda double: FAULT: the host touched %s\n", where);
        (void)!write(STDERR_FILENO, text, (size_t)n);
    }
    sigaction(signal, &st.before, NULL);
}

void cd_run_open(void) {
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_NODEFER};
    action.sa_sigaction = on_fault;
    sigaction(SIGSEGV, &action, &st.before);
}

const char *cd_work_name(const cd_work *w) {
    static const char *const names[] = {"a copy from the host", "a copy to the host", "a copy", "a fill", "", "cuBLAS"};
    return w->what == CD_KERNEL ? w->function->name : w->what <= CD_PRODUCT ? names[w->what] : "a marker";
}

/* ---- kernels ------------------------------------------------------------------------------------------------------------- */

static void check_around(const cd_context *ctx, CUdeviceptr at, const char *after) {
    const cd_alloc *a = cd_alloc_find(&ctx->arena, at);
    if (a && a->live) {
        cd_alloc_check(a, after);
    }
}

/* Runs f, or comes back when it touched unmapped memory. */
static int guarded(const cd_function *f, const cd_work *w, char *const *memory) {
    st.thread = pthread_self();
    if (sigsetjmp(st.back, 1)) {
        st.running = 0;
        st.broken = true;
        char where[160];
        cd_describe((const void *)st.address, where, sizeof where);
        cd_fault("kernel %s touched %s", f->name, where);
        cd_stick(CUDA_ERROR_ILLEGAL_ADDRESS);
        return 0;
    }
    st.running = 1;
    int code = cd_opencl_run(f, w, memory);
    st.running = 0;
    return code;
}

static void run_kernel(const cd_context *ctx, const cd_work *w) {
    const cd_function *f = w->function;
    char *memory[CD_MOST_PARAMS] = {NULL};
    char what[256];
    CUresult injected;
    if (!f->module) {
        cd_fault("kernel %s was launched by a graph after its module was unloaded", f->name);
        cd_stick(CUDA_ERROR_LAUNCH_FAILED);
        return;
    }
    if (cd_injected_kernel(&injected)) {
        cd_stick(injected);
        return;
    }
    size_t offset = 0;
    for (int i = 0; i < f->shape.nparams; i++) {
        memory[i] = w->own + offset;
        offset += (size_t)f->shape.size[i];
        if (f->global[i]) {
            CUdeviceptr at;
            memcpy(&at, memory[i], sizeof at);
            snprintf(what, sizeof what, "kernel %s, argument %d", f->name, i);
            memory[i] = at ? cd_memory(ctx, at, 1, what) : NULL;
            if (at && !memory[i]) {
                return;
            }
        }
    }
    if (st.broken) {
        cd_fault("kernel %s cannot run: one before it left POCL in its middle", f->name);
        cd_stick(CUDA_ERROR_LAUNCH_FAILED);
        return;
    }
    int code = guarded(f, w, memory);
    if (code) {
        cd_fault("kernel %s with blocks of %ux%ux%u: OpenCL error %d", f->name, w->block[0], w->block[1], w->block[2],
                 code);
        cd_stick(CUDA_ERROR_LAUNCH_FAILED);
    }
    offset = 0;
    for (int i = 0; i < f->shape.nparams; i++) {
        CUdeviceptr at = 0;
        if (f->global[i]) {
            memcpy(&at, w->own + offset, sizeof at);
            check_around(ctx, at, f->name);
        }
        offset += (size_t)f->shape.size[i];
    }
}

/* ---- the rest ------------------------------------------------------------------------------------------------------------ */

static void run_fill(char *to, const cd_work *w) {
    for (size_t i = 0; i < w->count; i++) {
        memcpy(to + i * w->width, &w->value, w->width); /* little-endian: the low bytes */
    }
}

static void begin_or_end_memory(cd_context *ctx, const cd_work *w) {
    cd_alloc *a = cd_alloc_find(&ctx->arena, w->to);
    if (w->what == CD_MEMORY_ENDS) {
        cd_alloc_end(&ctx->arena, a);
        return;
    }
    if (a->promised) { /* and was not freed ahead of all that waits */
        a->live = true;
        a->promised = false;
        cd_alloc_poison(a);
    }
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The host's side of a copy. */
static char *host_side(const cd_work *w) {
    if (w->own) {
        return w->own;
    }
    const cd_alloc *a = cd_alloc_find(&cd_pinned, (CUdeviceptr)(uintptr_t)w->host);
    if (a && !a->live) {
        cd_fault("%s: its page-locked memory was freed", cd_work_name(w));
        cd_stick(CUDA_ERROR_ILLEGAL_ADDRESS);
        return NULL;
    }
    return w->host;
}

static void run_transfer(const cd_context *ctx, const cd_work *w) {
    const char *name = cd_work_name(w);
    char *to = w->what == CD_COPY_OUT ? host_side(w) : cd_memory(ctx, w->to, w->bytes, name);
    const char *from = w->what == CD_FILL      ? ""
                       : w->what == CD_COPY_IN ? host_side(w)
                                               : cd_memory(ctx, w->from, w->bytes, name);
    if (!to || !from) {
        return;
    }
    if (w->what == CD_FILL) {
        run_fill(to, w);
    } else {
        memmove(to, from, w->bytes);
    }
}

/* After an error that sticks a device does nothing more, but what frees and what waits still ends. */
void cd_run(cd_context *ctx, cd_work *w) {
    bool dead = cd_sticky() != CUDA_SUCCESS;
    switch (w->what) {
    case CD_KERNEL:
        if (!dead) {
            run_kernel(ctx, w);
        }
        break;
    case CD_PRODUCT:
        if (!dead) {
            cd_product_run(ctx, &w->product);
        }
        break;
    case CD_COPY_IN:
    case CD_COPY_OUT:
    case CD_COPY:
    case CD_FILL:
        if (!dead) {
            run_transfer(ctx, w);
        }
        break;
    case CD_RECORD:
        w->event->when = now();
        break;
    case CD_MEMORY_BEGINS:
    case CD_MEMORY_ENDS:
        begin_or_end_memory(ctx, w);
        break;
    default:
        break;
    }
}
