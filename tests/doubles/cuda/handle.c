/* The table behind the handles. An entry is used once, so that a destroyed handle is known as such for ever. */
#include "double.h"

#include <stdlib.h>
#include <string.h>

typedef struct entry {
    cd_kind kind;
    bool live;
    void *object;
} entry;

static struct {
    entry *entries;
    size_t n, room;
    size_t alive[CD_KINDS];
} st;

static const char *const names[CD_KINDS] = {
    "allocation",       "pinned memory",
    "stream",           "event",
    "module",           "graph",
    "executable graph", "context",
    "NVRTC program",    "cuBLAS handle",
    "cuBLASLt handle",  "cuBLASLt operation",
    "cuBLASLt layout",  "cuBLASLt preference",
    "function",         "graph node",
};

const char *cd_kind_name(cd_kind kind) { return names[kind]; }
void cd_count(cd_kind kind, int by) { st.alive[kind] += (size_t)by; }
size_t cd_alive(cd_kind kind) { return st.alive[kind]; }

/* An address that is none on a 64-bit machine; entry i is handle i + 1. */
static const uintptr_t BASE = (uintptr_t)0xcd << 56;

void *cd_handle_new(cd_kind kind, void *object) {
    if (st.n == st.room) {
        st.room = st.room ? st.room * 2 : 256;
        st.entries = realloc(st.entries, st.room * sizeof *st.entries);
        if (!st.entries) {
            abort();
        }
    }
    st.entries[st.n++] = (entry){.kind = kind, .live = true, .object = object};
    st.alive[kind]++;
    return (void *)(BASE + st.n); // NOLINT(performance-no-int-to-ptr): a handle is a number
}

static entry *find(cd_kind kind, const void *handle) {
    uintptr_t i = (uintptr_t)handle - BASE - 1;
    if ((uintptr_t)handle <= BASE || i >= st.n) {
        cd_fault("%p is no %s", handle, names[kind]);
        return NULL;
    }
    entry *e = &st.entries[i];
    if (e->kind != kind) {
        cd_fault("the handle of one %s was given where one %s belongs", names[e->kind], names[kind]);
        return NULL;
    }
    return e;
}

void *cd_handle_get(cd_kind kind, const void *handle) {
    entry *e = find(kind, handle);
    if (e && !e->live) {
        cd_fault("%s %s was used after it was destroyed", strchr("aeiou", *names[kind]) ? "an" : "a", names[kind]);
    }
    return e && e->live ? e->object : NULL;
}

void cd_handle_end(cd_kind kind, const void *handle) {
    entry *e = find(kind, handle);
    if (e && e->live) {
        e->live = false;
        st.alive[kind]--;
    }
}

void *cd_handle_next(cd_kind kind, size_t *at) {
    while (*at < st.n) {
        const entry *e = &st.entries[(*at)++];
        if (e->kind == kind && e->live) {
            return e->object;
        }
    }
    return NULL;
}

/* The context of what lives in one. */
static const cd_context *context_of(const entry *e) {
    switch (e->kind) {
    case CD_STREAM:
        return ((const cd_stream *)e->object)->ctx;
    case CD_EVENT:
        return ((const cd_event *)e->object)->ctx;
    case CD_MODULE:
        return ((const cd_module *)e->object)->ctx;
    case CD_GRAPH:
    case CD_GRAPH_EXEC:
        return ((const cd_graph *)e->object)->ctx;
    default:
        return NULL;
    }
}

void cd_handles_end(const cd_context *ctx) {
    for (size_t i = 0; i < st.n; i++) {
        entry *e = &st.entries[i];
        if (e->live && context_of(e) == ctx) {
            e->live = false;
            st.alive[e->kind]--;
        }
    }
}

void cd_handles_forget(void) {
    for (size_t i = 0; i < st.n; i++) {
        st.entries[i].live = false;
    }
    for (cd_kind k = 0; k < CD_KINDS; k++) {
        st.alive[k] = 0;
    }
}
