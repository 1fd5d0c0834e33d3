/*
 * The order of work. Streams hold it in the order of the calls; what may run next is the first of a stream, if nothing it
 * waits for is still to come. Which of those runs, and whether anything runs before somebody waits, is drawn from the seed:
 * every order that comes out is one that a device may choose.
 */
#include "double.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    uint64_t random, number;
    uint32_t eagerness; /* of 8 calls, after how many something runs at once */
} st;

void cd_order_seed(unsigned seed) {
    static const uint32_t eagerness[] = {0, 1, 4, 0, 7};
    st.random = seed * 0x9e3779b97f4a7c15u + 0x632be59bd9b4e019u;
    st.eagerness = eagerness[seed % (sizeof eagerness / sizeof *eagerness)];
}

uint32_t cd_random(uint32_t below) {
    st.random = st.random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((st.random >> 33) % below);
}

/* ---- what a stream holds ------------------------------------------------------------------------------------------------- */

cd_work cd_work_copy(const cd_work *w) {
    cd_work c = *w;
    size_t n = w->what == CD_KERNEL ? w->function->bytes : w->bytes;
    if (w->own) {
        c.own = cd_alloc_or_die(n);
        memcpy(c.own, w->own, n);
    }
    return c;
}

void cd_work_drop(cd_work *w) {
    free(w->own);
    w->own = NULL;
    if (w->graph) {
        cd_graph_drop(w->graph);
        w->graph = NULL;
    }
}

/*
 * A wait is for the record it found, though the event may have been recorded again, on another stream, and that came first:
 * an event knows which of its records are still to come, oldest first.
 */
static void due_add(cd_event *e, uint64_t version) {
    if (e->ndue == e->due_capacity) {
        e->due_capacity = 2 * e->due_capacity + 4;
        uint64_t *grown = cd_alloc_or_die((size_t)e->due_capacity * sizeof *grown);
        if (e->due) {
            memcpy(grown, e->due, (size_t)e->ndue * sizeof *grown);
        }
        free(e->due);
        e->due = grown;
    }
    e->due[e->ndue++] = version;
}

static int due_find(const cd_event *e, uint64_t version) {
    int i = 0;
    while (i < e->ndue && e->due[i] < version) {
        i++;
    }
    return i;
}

static void due_remove(cd_event *e, uint64_t version) {
    int i = due_find(e, version);
    memmove(e->due + i, e->due + i + 1, (size_t)(--e->ndue - i) * sizeof *e->due);
    if (e->ndue == 0) {
        free(e->due);
        e->due = NULL;
        e->due_capacity = 0;
    }
}

bool cd_is_due(const cd_event *e, uint64_t version) {
    int i = due_find(e, version);
    return i < e->ndue && e->due[i] == version;
}

CUresult cd_push(cd_stream *s, cd_work *w) {
    CUresult forbidden = s->legacy ? cd_capture_forbids_implicit(s) : CUDA_SUCCESS;
    if (forbidden) {
        cd_work_drop(w);
        return forbidden;
    }
    if (s->capture) {
        return cd_capture_add(s, w);
    }
    if (cd_hurries() && w->what != CD_GRAPH_LAUNCH) {
        cd_run(s->ctx, w);
        cd_work_drop(w);
        return CUDA_SUCCESS;
    }
    cd_op *op = cd_alloc_or_die(sizeof *op);
    *op = (cd_op){.number = ++st.number, .work = *w};
    *s->tail = op;
    s->tail = &op->next;
    if (w->what == CD_RECORD) {
        due_add(w->event, w->version);
    }
    while (cd_random(8) < st.eagerness && cd_step()) {
    }
    return CUDA_SUCCESS;
}

void cd_stream_drop(cd_stream *s) {
    while (s->head) {
        cd_op *op = s->head;
        s->head = op->next;
        if (op->work.what == CD_RECORD) {
            due_remove(op->work.event, op->work.version);
        }
        cd_work_drop(&op->work);
        free(op);
    }
    cd_stream **at = &s->ctx->streams;
    while (*at != s) {
        at = &(*at)->next;
    }
    *at = s->next;
    cd_set_drop(&s->last);
    free(s);
}

/* ---- what may run -------------------------------------------------------------------------------------------------------- */

/* Whether s waits for a stream because one of them is the legacy default stream. */
static bool held_by(const cd_stream *s, const cd_stream *other) {
    bool meet = (s->legacy && other->blocking) || (other->legacy && s->blocking);
    return meet && other != s && other->head && other->head->number < s->head->number;
}

static bool ready(const cd_stream *s) {
    if (!s->head) {
        return false;
    }
    const cd_work *w = &s->head->work;
    if (w->what == CD_WAIT && cd_is_due(w->event, w->version)) {
        return false;
    }
    for (const cd_stream *o = s->ctx->streams; o; o = o->next) {
        if (held_by(s, o)) {
            return false;
        }
    }
    return true;
}

static void finish(cd_stream *s) {
    cd_op *op = s->head;
    s->head = op->next;
    if (op->work.what == CD_RECORD) {
        due_remove(op->work.event, op->work.version);
    }
    if (!s->head) {
        s->tail = &s->head;
    }
    cd_work_drop(&op->work);
    free(op);
    if (s->destroyed && !s->head) {
        cd_stream_drop(s);
    }
}

static void run_first(cd_stream *s) {
    cd_work *w = &s->head->work;
    if (w->what == CD_GRAPH_LAUNCH && w->graph->left > 0) {
        int i = cd_graph_ready(w->graph);
        cd_run(s->ctx, &w->graph->node[i]->work);
        w->graph->done[i] = true;
        if (--w->graph->left > 0) {
            return;
        }
    } else if (w->what != CD_GRAPH_LAUNCH) {
        cd_run(s->ctx, w);
    }
    finish(s);
}

bool cd_step(void) {
    cd_stream *chosen = NULL;
    uint32_t n = 0;
    for (int i = 0; i < CD_MOST_DEVICES; i++) {
        for (cd_stream *s = cd_contexts[i].streams; s; s = s->next) {
            if (ready(s) && cd_random(++n) == 0) {
                chosen = s;
            }
        }
    }
    if (chosen) {
        run_first(chosen);
    }
    return chosen != NULL;
}

static void must_step(void) {
    if (!cd_step()) {
        fputs("cuda double: streams wait for each other: a mistake in the double\n", stderr);
        abort();
    }
}

void cd_drain(cd_stream *s) {
    while (s->head) {
        must_step();
    }
}

void cd_drain_context(cd_context *ctx) {
    for (bool busy = true; busy;) {
        busy = false;
        for (cd_stream *s = ctx->streams; s; s = s->next) {
            busy = busy || s->head;
        }
        if (busy) {
            must_step();
        }
    }
}

/* ---- who still needs memory ---------------------------------------------------------------------------------------------- */

static bool overlap(uintptr_t a, size_t n, uintptr_t b, size_t m) { return n > 0 && m > 0 && a < b + m && b < a + n; }

static bool uses_host(const cd_work *w, const char *from, size_t bytes) {
    return w->host && overlap((uintptr_t)w->host, w->bytes, (uintptr_t)from, bytes);
}

static bool uses_device(const cd_work *w, CUdeviceptr at, size_t bytes) {
    if (w->what == CD_KERNEL) {
        size_t offset = 0;
        for (int i = 0; i < w->function->shape.nparams; i++) {
            CUdeviceptr p = 0;
            if (w->function->global[i]) {
                memcpy(&p, w->own + offset, sizeof p);
            }
            if (p && overlap(p, 1, at, bytes)) {
                return true;
            }
            offset += (size_t)w->function->shape.size[i];
        }
        return false;
    }
    const cd_product *p = &w->product;
    if (w->what == CD_PRODUCT) {
        return overlap(p->a, 1, at, bytes) || overlap(p->b, 1, at, bytes) || overlap(p->c, 1, at, bytes) ||
               overlap(p->addend, p->addend ? 1 : 0, at, bytes) || overlap(p->bias, p->bias ? 1 : 0, at, bytes) ||
               overlap(p->aux, p->aux ? 1 : 0, at, bytes) || overlap(p->workspace, p->workspace_bytes, at, bytes);
    }
    bool copies = w->what == CD_COPY_IN || w->what == CD_COPY_OUT || w->what == CD_COPY || w->what == CD_FILL;
    return copies && (overlap(w->to, w->bytes, at, bytes) || overlap(w->from, w->bytes, at, bytes));
}

static bool any_work(const cd_context *only, const char *host, CUdeviceptr at, size_t bytes) {
    for (int i = 0; i < CD_MOST_DEVICES; i++) {
        for (const cd_stream *s = only && only != &cd_contexts[i] ? NULL : cd_contexts[i].streams; s; s = s->next) {
            for (const cd_op *op = s->head; op; op = op->next) {
                const cd_graph *g = op->work.graph;
                for (int k = 0; k < (g ? g->n : 1); k++) {
                    const cd_work *w = g ? &g->node[k]->work : &op->work;
                    if (host ? uses_host(w, host, bytes) : uses_device(w, at, bytes)) {
                        return true;
                    }
                }
            }
        }
    }
    return false;
}

bool cd_uses_host(const char *from, size_t bytes) { return any_work(NULL, from, 0, bytes); }
bool cd_uses_device(const cd_context *ctx, CUdeviceptr at, size_t bytes) { return any_work(ctx, NULL, at, bytes); }
