/* Device memory as its users see it: figures, the limit, and who holds it when it has run out. */
#include "api/context.h"

#include "base/alloc.h"
#include "graph/op.h"
#include "tensor/shape.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <wengert/wengert.h>

enum { LISTED = 8 };

/* The largest values, and for each a handle that stands for it, or a parameter whose gradient it is. */
typedef struct listing {
    const wg_value *value[LISTED];
    const wg_tensor *handle[LISTED];
    bool is_gradient[LISTED];
    int count;
    uint64_t tensors; /* all there are */
} listing;

/* ---- who holds it ------------------------------------------------------------------------------------------------------- */

static void enter(listing *l, const wg_value *v) {
    int at = l->count;
    while (at > 0 && l->value[at - 1]->bytes < v->bytes) {
        at--;
    }
    if (at == LISTED) {
        return;
    }
    l->count += l->count < LISTED;
    for (int i = l->count - 1; i > at; i--) {
        l->value[i] = l->value[i - 1];
    }
    l->value[at] = v;
}

/* A kept handle says more than one of a scope, and either more than a gradient's parameter. */
static void match(listing *l, const wg_tensor *t) {
    const wg_node *shown = wg_base_of(t->node);
    const wg_node *grad = t->leaf && t->leaf->grad ? wg_base_of(t->leaf->grad) : NULL;
    for (int i = 0; i < l->count; i++) {
        const wg_node *n = l->value[i]->node;
        if (n == shown && (!l->handle[i] || l->is_gradient[i] || t->kept)) {
            l->handle[i] = t;
            l->is_gradient[i] = false;
        } else if (n == grad && !l->handle[i]) {
            l->handle[i] = t;
            l->is_gradient[i] = true;
        }
    }
}

static void list(const wg_ctx *ctx, listing *l) {
    for (const wg_value *v = ctx->engine.pool.values; v; v = v->next) {
        if (v->node) {
            l->tensors++;
            enter(l, v);
        }
    }
    for (size_t s = 0; s < ctx->graph.nscopes; s++) {
        const wg_scope *scope = &ctx->graph.scopes[s];
        for (const wg_tensor *t = scope->tensors; t; t = t->next) {
            match(l, t);
        }
        for (const wg_tensor *t = scope->kept; t; t = t->next) {
            match(l, t);
        }
    }
}

/* ---- the text ----------------------------------------------------------------------------------------------------------- */

/* What does not fit is counted and left out. */
typedef struct text {
    char *data;
    size_t cap, len;
} text;

static void add(text *t, const char *fmt, ...) WG_PRINTF(2, 3);
static void add(text *t, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    bool room = t->len < t->cap;
    int n = vsnprintf(room ? t->data + t->len : NULL, room ? t->cap - t->len : 0, fmt, args);
    va_end(args);
    t->len += n > 0 ? (size_t)n : 0;
}

static void add_tensor(text *t, const listing *l, int i) {
    const wg_value *v = l->value[i];
    const wg_tensor *handle = l->handle[i];
    add(t, "\n  %zu bytes: %s %s made by %s, ", v->bytes, wg_dtype_name((wg_dtype)v->node->dtype),
        wg_shape_print(v->node->shape).s, v->node->op->name);
    if (!handle) {
        add(t, v->node->flags & WG_NODE_PARAM ? "a parameter before its update" : "held by the graph");
    } else if (l->is_gradient[i]) {
        add(t, "the gradient of a parameter");
    } else if (handle->kept) {
        add(t, handle->leaf ? "a kept parameter" : "kept");
    } else {
        const char *label = v->node->graph->scopes[handle->scope].label;
        add(t, "%sof scope %u%s%s", handle->leaf ? "a parameter " : "", (unsigned)handle->scope, label ? " " : "",
            label ? label : "");
    }
}

static void add_report(text *t, const wg_ctx *ctx) {
    const wg_pool *pool = &ctx->engine.pool;
    listing l = {.count = 0};
    list(ctx, &l);
    add(t, "%zu bytes live, at most %zu; %zu pooled", pool->stats.live, pool->stats.peak, pool->stats.pooled);
    if (pool->limit) {
        add(t, ", limit %zu", pool->limit);
    } else {
        add(t, ", no limit");
    }
    if (l.tensors == 0) {
        add(t, "; no tensors");
        return;
    }
    add(t, "; the largest of %llu tensors:", (unsigned long long)l.tensors);
    for (int i = 0; i < l.count; i++) {
        add_tensor(t, &l, i);
    }
}

void wg_memory_ran_out(wg_ctx *ctx) {
    wg_err *err = &ctx->graph.err;
    if (err->status != WG_ERR_DEVICE_MEM || err->fixed) {
        return;
    }
    text t = {ctx->memory_text, sizeof ctx->memory_text, 0};
    add(&t, "no device memory for %zu bytes (%s): ", ctx->engine.pool.wanted,
        err->text ? err->text : "the driver has none, or the limit is reached");
    add_report(&t, ctx);
    wg_err_clear(err);
    err->status = WG_ERR_DEVICE_MEM;
    err->fixed = ctx->memory_text;
}

size_t wg_memory_report(const wg_ctx *ctx, char *buf, size_t cap) {
    text t = {buf, buf ? cap : 0, 0};
    add(&t, "%s", "");
    if (ctx && ctx->opened) {
        add_report(&t, ctx);
    }
    return t.len;
}

/* ---- figures and the limit ---------------------------------------------------------------------------------------------- */

void wg_memory_stats(const wg_ctx *ctx, wg_memory_info *out) {
    if (!out) {
        return;
    }
    *out = (wg_memory_info){0};
    if (ctx && ctx->opened) {
        const wg_pool *pool = &ctx->engine.pool;
        *out = (wg_memory_info){.live = pool->stats.live,
                                .peak = pool->stats.peak,
                                .pooled = pool->stats.pooled,
                                .free = pool->stats.pooled - pool->stats.live,
                                .largest_free = wg_pool_largest_free(pool),
                                .chunks = pool->stats.chunks,
                                .limit = pool->limit};
        for (const wg_value *v = pool->values; v; v = v->next) {
            out->tensors += v->node != NULL;
        }
    }
}

void wg_memory_reset_peak(wg_ctx *ctx) {
    if (ctx) {
        ctx->engine.pool.stats.peak = ctx->engine.pool.stats.live;
    }
}

uint64_t wg_memory_trim(wg_ctx *ctx) {
    return ctx && wg_graph_usable(&ctx->graph) ? wg_pool_trim(&ctx->engine.pool) : 0;
}

wg_status wg_memory_limit(wg_ctx *ctx, uint64_t bytes) {
    if (!ctx || !wg_graph_usable(&ctx->graph)) {
        return ctx ? wg_error_status(ctx) : WG_ERR_ARG;
    }
    wg_pool_limit(&ctx->engine.pool, bytes < SIZE_MAX ? (size_t)bytes : SIZE_MAX);
    return WG_OK;
}

bool wg_memory_parse(const char *s, size_t *bytes) {
    if (!isdigit((unsigned char)*s)) {
        return false;
    }
    char *end;
    errno = 0;
    unsigned long long n = strtoull(s, &end, 10);
    int shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    end += shift != 0;
    if (errno || *end || n > SIZE_MAX >> shift) {
        return false;
    }
    *bytes = (size_t)n << shift;
    return true;
}
