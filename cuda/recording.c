/*
 * Plans that are run again. The first run of a plan launches as it goes; from the second on its launches are held back,
 * and sent as one CUDA graph. Runs differ in scalars and in where memory lies: equal lists launch the graph as it is,
 * others are captured anew and update it in place, or replace it if they do not fit.
 *
 * A graph that cannot be made costs speed only: the launches are then sent one by one.
 */
#include "base/alloc.h"
#include "cuda/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Launches, and the events between them, in order. The pointers and the params of call i stand in bytes from at[i] on. */
typedef struct call_list {
    wg_cuda_call *calls;
    size_t *at;
    char *bytes;
    size_t n, cap, at_cap, len, byte_cap;
} call_list;

struct wg_recording {
    uint64_t runs;
    call_list now, captured;
    wg_cu_graph_exec graph; /* launches `captured` */
};

/* ---- lists -------------------------------------------------------------------------------------------------------------- */

static void free_list(call_list *l) {
    wg_mem_free(l->calls);
    wg_mem_free(l->at);
    wg_mem_free(l->bytes);
}

static void clear_list(call_list *l) { l->n = l->len = 0; }

static size_t pointer_bytes(const wg_cuda_call *c) { return (size_t)c->npointers * sizeof *c->pointers; }

wg_status wg_cuda_record(wg_device *dev, const wg_cuda_call *c, wg_err *err) {
    call_list *l = &dev->recording->now;
    size_t bytes = pointer_bytes(c) + c->param_bytes;
    if (!WG_RESERVE(l->calls, l->n, l->cap) || !WG_RESERVE(l->at, l->n, l->at_cap) ||
        (l->len + bytes > l->byte_cap && !wg_mem_grow((void **)&l->bytes, &l->byte_cap, l->len + bytes, 1))) {
        return wg_err_set(err, WG_ERR_NOMEM, "out of host memory for a list of launches");
    }
    l->calls[l->n] = *c;
    l->at[l->n++] = l->len;
    if (bytes > 0) { /* events have none */
        memcpy(l->bytes + l->len, c->pointers, pointer_bytes(c));
        memcpy(l->bytes + l->len + pointer_bytes(c), c->params, c->param_bytes);
    }
    l->len += bytes;
    return WG_OK;
}

static wg_cuda_call call_of(const call_list *l, size_t i) {
    wg_cuda_call c = l->calls[i];
    c.pointers = (const wg_cu_pointer *)(const void *)(l->bytes + l->at[i]);
    c.params = l->bytes + l->at[i] + pointer_bytes(&c);
    return c;
}

static bool equal_lists(const call_list *a, const call_list *b) {
    bool equal = a->n == b->n && a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
    for (size_t i = 0; i < a->n && equal; i++) {
        const wg_cuda_call *c = &a->calls[i], *d = &b->calls[i];
        equal = c->what == d->what && c->queue == d->queue && c->event == d->event && c->kernel == d->kernel &&
                memcmp(c->groups, d->groups, sizeof c->groups) == 0 &&
                memcmp(c->local, d->local, sizeof c->local) == 0 && c->npointers == d->npointers &&
                c->param_bytes == d->param_bytes;
    }
    return equal;
}

static wg_status send_list(wg_device *dev, const call_list *l, wg_err *err) {
    wg_status status = WG_OK;
    for (size_t i = 0; i < l->n && status == WG_OK; i++) {
        wg_cuda_call c = call_of(l, i);
        status = wg_cuda_send(dev, &c, err);
    }
    return status;
}

/* ---- graphs ------------------------------------------------------------------------------------------------------------- */

/* The list as a graph; NULL if the driver would not. The streams beside the main one join the capture when they wait for an
 * event of it, and the list ends with the main one waiting for them. */
static wg_cu_graph capture(wg_device *dev, const call_list *l) {
    wg_cu_graph graph = NULL;
    if (dev->cu->cuStreamBeginCapture_v2(dev->main, WG_CU_CAPTURE_THREAD_LOCAL) != WG_CU_SUCCESS) {
        return NULL;
    }
    wg_status status = send_list(dev, l, NULL);
    wg_cu_result code = dev->cu->cuStreamEndCapture(dev->main, &graph); /* in any case: it ends the capture */
    if (code == WG_CU_SUCCESS && status == WG_OK) {
        return graph;
    }
    if (code == WG_CU_SUCCESS && graph) {
        dev->cu->cuGraphDestroy(graph);
    }
    return NULL;
}

static void drop_graph(wg_device *dev, wg_recording *r) {
    if (r->graph) {
        dev->cu->cuGraphExecDestroy(r->graph); /* one that still runs goes when it is done */
    }
    r->graph = NULL;
    clear_list(&r->captured);
}

/* Makes r->graph launch r->now; false if there is no such graph. */
static bool make_graph(wg_device *dev, wg_recording *r) {
    uint64_t info[WG_CU_UPDATE_INFO_BYTES / sizeof(uint64_t)]; /* which nobody reads */
    wg_cu_graph graph = capture(dev, &r->now);
    if (!graph) {
        return false;
    }
    if (r->graph &&
        dev->cu->cuGraphExecUpdate_v2(r->graph, graph, (wg_cu_update_info *)(void *)info) != WG_CU_SUCCESS) {
        drop_graph(dev, r);
    }
    if (!r->graph && dev->cu->cuGraphInstantiateWithFlags(&r->graph, graph, 0) != WG_CU_SUCCESS) {
        r->graph = NULL;
    }
    dev->cu->cuGraphDestroy(graph);
    if (!r->graph) {
        return false;
    }
    call_list before = r->captured;
    r->captured = r->now;
    r->now = before;
    return true;
}

static size_t launches(const call_list *l) {
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++) {
        n += l->calls[i].what == WG_CUDA_KERNEL || l->calls[i].what == WG_CUDA_PRODUCT;
    }
    return n;
}

/* A graph of one launch would be slower than the launch. */
static wg_status run(wg_device *dev, wg_recording *r, wg_err *err) {
    bool ready = r->now.n > 1 && ((r->graph && equal_lists(&r->now, &r->captured)) || make_graph(dev, r));
    if (!ready) {
        return *dev->lost ? wg_err_set(err, WG_ERR_LAUNCH, "%s", dev->lost) : send_list(dev, &r->now, err);
    }
    wg_cu_result code = dev->cu->cuGraphLaunch(r->graph, dev->main);
    if (code == WG_CU_SUCCESS) {
        return WG_OK;
    }
    char what[64];
    snprintf(what, sizeof what, "launching a graph of %zu kernels", launches(&r->captured));
    return wg_cuda_fail(dev, err, WG_ERR_LAUNCH, code, what);
}

/* ---- the slots ---------------------------------------------------------------------------------------------------------- */

wg_status wg_cuda_plan_begin(wg_device *dev, wg_recording **plan, wg_err *err) {
    if (!*plan) {
        *plan = wg_mem_zalloc(sizeof **plan);
    }
    if (!*plan) {
        return wg_err_set(err, WG_ERR_NOMEM, "out of host memory for a plan");
    }
    if ((*plan)->runs++ > 0 && !dev->sync_always && !dev->times.on) { /* a graph's launches could not be timed */
        dev->recording = *plan;
        clear_list(&(*plan)->now);
    }
    return WG_OK;
}

wg_status wg_cuda_plan_end(wg_device *dev, bool run_it, wg_err *err) {
    wg_recording *r = dev->recording;
    dev->recording = NULL;
    if (!r || !run_it || r->now.n == 0) {
        return WG_OK;
    }
    wg_status status = wg_cuda_enter(dev, WG_ERR_LAUNCH, err);
    return status ? status : run(dev, r, err);
}

void wg_cuda_plan_drop(wg_device *dev, wg_recording *plan) {
    if (!plan) {
        return;
    }
    if (wg_cuda_enter_to_release(dev)) {
        drop_graph(dev, plan);
    }
    free_list(&plan->now);
    free_list(&plan->captured);
    wg_mem_free(plan);
}
