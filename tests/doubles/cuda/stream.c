/* Streams and events, but for what happens while a stream captures. */
#include "double.h"

#include <stdlib.h>
#include <time.h>

/* ---- streams ------------------------------------------------------------------------------------------------------------ */

cd_stream *cd_stream_new(cd_context *ctx, bool legacy, bool blocking) {
    cd_stream *s = cd_alloc_or_die(sizeof *s);
    *s = (cd_stream){.ctx = ctx, .next = ctx->streams, .legacy = legacy, .blocking = blocking && !legacy};
    s->tail = &s->head;
    ctx->streams = s;
    return s;
}

/* The default streams: the legacy one for NULL and CU_STREAM_LEGACY, one of its own for each thread. */
static cd_stream *default_stream(CUstream handle) {
    static _Thread_local cd_stream *own[CD_MOST_DEVICES];
    static _Thread_local void *of[CD_MOST_DEVICES];
    cd_context *ctx = cd_current();
    if (handle != CU_STREAM_PER_THREAD) {
        return ctx->legacy;
    }
    if (of[ctx->device] != ctx->handle) { /* none yet in this context */
        own[ctx->device] = cd_stream_new(ctx, false, true);
        of[ctx->device] = ctx->handle;
    }
    return own[ctx->device];
}

cd_stream *cd_stream_get(CUstream handle) {
    if (!handle || handle == CU_STREAM_LEGACY || handle == CU_STREAM_PER_THREAD) {
        return default_stream(handle);
    }
    cd_stream *s = cd_handle_get(CD_STREAM, handle);
    if (s && s->ctx != cd_current()) {
        cd_fault("a stream was used while the context of another device is current");
        return NULL;
    }
    return s;
}

CUresult cuStreamCreate(CUstream *out, unsigned int flags) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    if (flags & ~(unsigned)CU_STREAM_NON_BLOCKING) {
        return cd_refuse(CUDA_ERROR_INVALID_VALUE, "unknown flags %u", flags);
    }
    cd_stream *s = cd_stream_new(cd_current(), false, flags == CU_STREAM_DEFAULT);
    s->handle = cd_handle_new(CD_STREAM, s);
    *out = s->handle;
    return CUDA_SUCCESS;
}

/* Work that waits still runs. */
CUresult cuStreamDestroy(CUstream stream) {
    CD_ENTER(CD_NEEDS_CONTEXT | CD_RELEASES);
    cd_stream *s = stream ? cd_stream_get(stream) : NULL;
    if (!s || !s->handle) {
        return cd_refuse(CUDA_ERROR_INVALID_HANDLE, "no stream that can be destroyed");
    }
    if (s->capture) {
        cd_fault("a stream was destroyed while it captures");
    }
    cd_handle_end(CD_STREAM, stream);
    s->destroyed = true;
    if (!s->head) {
        cd_stream_drop(s);
    }
    return CD_LATE;
}

/* Waiting for a stream that captures is forbidden, and ends the capture in failure. */
static CUresult may_wait(const cd_stream *s) {
    if (!s) {
        return cd_refuse(CUDA_ERROR_INVALID_HANDLE, "no such stream");
    }
    if (s->capture) {
        cd_capture_spoil(s->capture);
        return cd_refuse(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "the stream captures");
    }
    return s->legacy ? cd_capture_forbids_implicit(s) : CUDA_SUCCESS;
}

CUresult cuStreamSynchronize(CUstream stream) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    cd_stream *s = cd_stream_get(stream);
    CUresult code = may_wait(s);
    if (code == CUDA_SUCCESS) {
        cd_drain(s);
        code = cd_sticky();
    }
    return code;
}

CUresult cuStreamQuery(CUstream stream) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    cd_stream *s = cd_stream_get(stream);
    CUresult code = may_wait(s);
    if (code == CUDA_SUCCESS && s->head) {
        cd_step(); /* who asks again and again gets there */
        code = CUDA_ERROR_NOT_READY;
    }
    return code ? code : cd_sticky();
}

/* ---- events ------------------------------------------------------------------------------------------------------------- */

static cd_event *get(CUevent handle) {
    cd_event *e = cd_handle_get(CD_EVENT, handle);
    if (e && e->ctx != cd_current()) {
        cd_fault("an event was used while the context of another device is current");
        return NULL;
    }
    return e;
}

CUresult cuEventCreate(CUevent *out, unsigned int flags) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    if (flags & ~(unsigned)(CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING)) {
        return cd_refuse(CUDA_ERROR_INVALID_VALUE, "flags %u", flags);
    }
    cd_event *e = cd_alloc_or_die(sizeof *e);
    *e = (cd_event){.ctx = cd_current(), .timed = !(flags & CU_EVENT_DISABLE_TIMING)};
    e->handle = cd_handle_new(CD_EVENT, e);
    *out = e->handle;
    return CUDA_SUCCESS;
}

CUresult cuEventDestroy(CUevent event) {
    CD_ENTER(CD_NEEDS_CONTEXT | CD_RELEASES);
    cd_event *e = get(event);
    if (!e) {
        return cd_refuse(CUDA_ERROR_INVALID_HANDLE, "no such event");
    }
    cd_set_drop(&e->last);
    cd_handle_end(CD_EVENT, event);
    return CD_LATE;
}

CUresult cuEventRecord(CUevent event, CUstream stream) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    cd_stream *s = cd_stream_get(stream);
    cd_event *e = get(event);
    if (!s || !e) {
        return cd_refuse(CUDA_ERROR_INVALID_HANDLE, "no such stream or event");
    }
    if (s->capture) {
        return cd_capture_record(s, e);
    }
    e->capture = NULL;
    cd_set_drop(&e->last);
    return cd_push(s, &(cd_work){.what = CD_RECORD, .event = e, .version = ++e->recorded});
}

CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned int flags) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    cd_stream *s = cd_stream_get(stream);
    cd_event *e = get(event);
    if (!s || !e || flags != 0) {
        return cd_refuse(CUDA_ERROR_INVALID_HANDLE, "no such stream or event, or flags");
    }
    if (s->capture || e->capture) {
        return cd_capture_wait(s, e);
    }
    return cd_push(s, &(cd_work){.what = CD_WAIT, .event = e, .version = e->recorded});
}

static CUresult may_ask(const cd_event *e) {
    if (!e) {
        return cd_refuse(CUDA_ERROR_INVALID_HANDLE, "no such event");
    }
    if (e->capture) {
        cd_capture_spoil(e->capture);
        return cd_refuse(CUDA_ERROR_CAPTURED_EVENT, "recorded in a capture");
    }
    return CUDA_SUCCESS;
}

CUresult cuEventQuery(CUevent event) {
    CD_ENTER(CD_NEEDS_CONTEXT | CD_UNSAFE);
    const cd_event *e = get(event);
    CUresult code = may_ask(e);
    if (code == CUDA_SUCCESS && cd_is_due(e, e->recorded)) {
        cd_step();
        code = CUDA_ERROR_NOT_READY;
    }
    return code ? code : cd_sticky();
}

CUresult cuEventSynchronize(CUevent event) {
    CD_ENTER(CD_NEEDS_CONTEXT | CD_UNSAFE);
    const cd_event *e = get(event);
    CUresult code = may_ask(e);
    while (code == CUDA_SUCCESS && cd_is_due(e, e->recorded) && cd_step()) {
    }
    return code ? code : cd_sticky();
}

static CUresult elapsed(float *ms, CUevent start, CUevent end) {
    const cd_event *a = get(start), *b = get(end);
    if (!a || !b || !a->timed || !b->timed || a->recorded == 0 || b->recorded == 0) {
        return cd_refuse(CUDA_ERROR_INVALID_HANDLE, "no such event, never recorded, or made without timing");
    }
    if (cd_is_due(a, a->recorded) || cd_is_due(b, b->recorded)) {
        return CUDA_ERROR_NOT_READY;
    }
    *ms = (float)((b->when - a->when) * 1e3);
    return CUDA_SUCCESS;
}

CUresult cuEventElapsedTime(float *ms, CUevent start, CUevent end) { /* _v2, as the headers rename it */
    CD_ENTER(CD_NEEDS_CONTEXT);
    return elapsed(ms, start, end);
}

/* The older name, which drivers before 12.8 have alone. */
#undef cuEventElapsedTime
__attribute__((visibility("default"))) CUresult cuEventElapsedTime(float *ms, CUevent start, CUevent end);
CUresult cuEventElapsedTime(float *ms, CUevent start, CUevent end) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    return elapsed(ms, start, end);
}
