/*
 * Stream capture. While a stream captures, its work becomes nodes of a graph: each depends on the stream's last ones.
 * A stream that waits for an event recorded in the capture joins it. A call that cannot be captured fails, and the capture
 * with it: it must still be ended, and gives no graph.
 */
#include "double.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct cd_capture {
    cd_graph *graph;
    cd_stream *origin;
    CUstreamCaptureMode mode;
    pthread_t thread;
    bool spoilt;
    struct cd_capture *next; /* those under way */
};

static cd_capture *captures;

/* ---- sets of nodes ------------------------------------------------------------------------------------------------------- */

bool cd_set_add(cd_set *set, int node) {
    for (int i = 0; i < set->n; i++) {
        if (set->node[i] == node) {
            return false;
        }
    }
    int *more = cd_alloc_or_die((size_t)(set->n + 1) * sizeof *more);
    for (int i = 0; i < set->n; i++) {
        more[i] = set->node[i];
    }
    free(set->node);
    set->node = more;
    set->node[set->n++] = node;
    return true;
}

void cd_set_join(cd_set *set, const cd_set *more) {
    for (int i = 0; i < more->n; i++) {
        cd_set_add(set, more->node[i]);
    }
}

void cd_set_drop(cd_set *set) {
    free(set->node);
    *set = (cd_set){0};
}

/* ---- what may not be done ------------------------------------------------------------------------------------------------- */

void cd_capture_spoil(cd_capture *c) { c->spoilt = true; }

CUresult cd_capture_forbids(void) {
    bool forbidden = false;
    for (cd_capture *c = captures; c; c = c->next) {
        bool here = c->mode == CU_STREAM_CAPTURE_MODE_GLOBAL ||
                    (c->mode == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL && pthread_equal(c->thread, pthread_self()));
        c->spoilt = c->spoilt || here;
        forbidden = forbidden || here;
    }
    return forbidden ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS;
}

/* Work on the legacy default stream would wait for the streams that capture, unless they do not block. */
CUresult cd_capture_forbids_implicit(const cd_stream *legacy) {
    for (const cd_stream *s = legacy->ctx->streams; s; s = s->next) {
        if (s->capture && s->blocking) {
            cd_capture_spoil(s->capture);
            return cd_refuse(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "the default stream waits for one that captures");
        }
    }
    return CUDA_SUCCESS;
}

/* ---- what is captured ----------------------------------------------------------------------------------------------------- */

CUresult cd_capture_add(cd_stream *s, cd_work *w) {
    cd_capture *c = s->capture;
    if (c->spoilt || w->what == CD_GRAPH_LAUNCH) { /* a child graph: nothing here captures one */
        bool was = c->spoilt;
        c->spoilt = true;
        cd_work_drop(w);
        return was ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    cd_graph *g = c->graph;
    cd_node *node = cd_alloc_or_die(sizeof *node);
    *node = (cd_node){.work = *w, .after = s->last};
    s->last = (cd_set){0};
    cd_set_add(&s->last, g->n);
    cd_node **more = cd_alloc_or_die((size_t)(g->n + 1) * sizeof *more);
    for (int i = 0; i < g->n; i++) {
        more[i] = g->node[i];
    }
    free(g->node);
    g->node = more;
    g->node[g->n++] = node;
    return CUDA_SUCCESS;
}

CUresult cd_capture_record(cd_stream *s, cd_event *e) {
    if (s->capture->spoilt) {
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    }
    e->capture = s->capture;
    cd_set_drop(&e->last);
    cd_set_join(&e->last, &s->last);
    return CUDA_SUCCESS;
}

CUresult cd_capture_wait(cd_stream *s, cd_event *e) {
    if (!e->capture) {
        cd_capture_spoil(s->capture);
        return cd_refuse(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "the event was recorded outside of the capture");
    }
    if (s->legacy || (s->capture && s->capture != e->capture)) {
        cd_capture_spoil(e->capture);
        if (s->capture) {
            cd_capture_spoil(s->capture);
        }
        return cd_refuse(s->legacy ? CUDA_ERROR_STREAM_CAPTURE_IMPLICIT : CUDA_ERROR_STREAM_CAPTURE_MERGE,
                         "the default stream, or one of another capture, waits for an event of this one");
    }
    if (!s->capture) {
        s->capture = e->capture;
        cd_set_drop(&s->last);
    }
    cd_set_join(&s->last, &e->last);
    return CUDA_SUCCESS;
}

/* ---- the calls ------------------------------------------------------------------------------------------------------------ */

CUresult cuStreamBeginCapture(CUstream stream, CUstreamCaptureMode mode) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    cd_stream *s = cd_stream_get(stream);
    if (!s || s->legacy || s->capture) {
        return cd_refuse(s && s->capture ? CUDA_ERROR_ILLEGAL_STATE : CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
                         "the default stream cannot be captured, a stream that captures cannot begin again");
    }
    cd_capture *c = cd_alloc_or_die(sizeof *c);
    *c = (cd_capture){.origin = s, .mode = mode, .thread = pthread_self(), .next = captures};
    c->graph = cd_alloc_or_die(sizeof *c->graph);
    c->graph->ctx = s->ctx;
    s->capture = c;
    cd_set_drop(&s->last);
    captures = c;
    return CUDA_SUCCESS;
}

/* Whether all that was captured comes before the end of the origin: no node without a successor is elsewhere. */
static bool joined(const cd_capture *c) {
    bool *followed = cd_alloc_or_die((size_t)c->graph->n + 1);
    for (int i = 0; i < c->graph->n; i++) {
        const cd_set *after = &c->graph->node[i]->after;
        for (int k = 0; k < after->n; k++) {
            followed[after->node[k]] = true;
        }
    }
    for (int i = 0; i < c->origin->last.n; i++) {
        followed[c->origin->last.node[i]] = true;
    }
    bool all = true;
    for (int i = 0; i < c->graph->n; i++) {
        all = all && followed[i];
    }
    free(followed);
    return all;
}

static void end(cd_capture *c) {
    for (cd_stream *s = c->graph->ctx->streams; s; s = s->next) {
        if (s->capture == c) {
            s->capture = NULL;
            cd_set_drop(&s->last);
        }
    }
    size_t at = 0;
    for (cd_event *e; (e = cd_handle_next(CD_EVENT, &at));) {
        if (e->capture == c) { /* as one never recorded */
            e->capture = NULL;
            cd_set_drop(&e->last);
        }
    }
    cd_capture **link = &captures;
    while (*link != c) {
        link = &(*link)->next;
    }
    *link = c->next;
    free(c);
}

/* Also when the call was made to fail, the capture is over: a driver leaves no other way out of it. */
CUresult cuStreamEndCapture(CUstream stream, CUgraph *out) {
    CD_ENTER(CD_NEEDS_CONTEXT | CD_RELEASES);
    cd_stream *s = cd_stream_get(stream);
    *out = NULL;
    if (!s || !s->capture) {
        return cd_refuse(CUDA_ERROR_ILLEGAL_STATE, "the stream does not capture");
    }
    cd_capture *c = s->capture;
    if (c->origin != s) {
        cd_capture_spoil(c);
        return cd_refuse(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "not the stream where the capture began");
    }
    if (c->mode != CU_STREAM_CAPTURE_MODE_RELAXED && !pthread_equal(c->thread, pthread_self())) {
        return cd_refuse(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, "not the thread that began");
    }
    CUresult code = CD_LATE     ? (CUresult)CD_LATE
                    : c->spoilt ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
                    : joined(c) ? CUDA_SUCCESS
                                : CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
    cd_graph *g = c->graph;
    end(c);
    if (code) {
        cd_graph_drop(g);
        return cd_refuse(code, "no graph");
    }
    g->handle = cd_handle_new(CD_GRAPH, g);
    for (int i = 0; i < g->n; i++) {
        g->node[i]->handle = cd_handle_new(CD_NODE, g->node[i]);
    }
    *out = g->handle;
    return CUDA_SUCCESS;
}

CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus *status) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    const cd_stream *s = cd_stream_get(stream);
    if (!s) {
        return cd_refuse(CUDA_ERROR_INVALID_HANDLE, "no such stream");
    }
    *status = !s->capture          ? CU_STREAM_CAPTURE_STATUS_NONE
              : s->capture->spoilt ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                   : CU_STREAM_CAPTURE_STATUS_ACTIVE;
    return CUDA_SUCCESS;
}
