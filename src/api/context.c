/* Opening and closing contexts, their errors and counters. */
#include "api/context.h"

#include "api/fail.h"
#include "base/alloc.h"
#include "runtime/watch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <wengert/wengert.h>

/* ---- fork: a child's copy of a context has a device that is not its own ------------------------------------------------- */

static unsigned fork_generation;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void in_child(void) { fork_generation++; }
static void watch_forks(void) { pthread_atfork(NULL, NULL, in_child); }

static bool inherited(const wg_graph *g) { return g->fork_generation != fork_generation; }

bool wg_graph_usable(wg_graph *g) {
    if (inherited(g)) {
        wg_fail(g, WG_ERR_FORK, "the context was opened before fork(): open one in the child");
        return false;
    }
    return !g->unusable;
}

wg_graph *wg_graph_of(wg_ctx *ctx) { return ctx ? &ctx->graph : NULL; }

/* ---- open and close ----------------------------------------------------------------------------------------------------- */

static bool env_is(const char *name, const char *value) {
    const char *s = getenv(name);
    return s && strcmp(s, value) == 0;
}

static bool env_lists(const char *name, const char *word) {
    const char *s = getenv(name);
    return s && strstr(s, word);
}

static void value_free(wg_graph *g, wg_value *v) { wg_value_free(&wg_ctx_of(g)->engine.pool, v); }

static bool read_environment(wg_ctx *ctx) {
    wg_engine *e = &ctx->engine;
    e->form = env_is("WENGERT_FORM", "simd") ? WG_SIMD : env_is("WENGERT_FORM", "simt") ? WG_SIMT : e->dev.limits->form;
    if (e->dev.limits->interprets) {
        e->form = WG_SIMD; /* what the interpreter imitates */
    } else if (e->dev.limits->language == WG_CUDA_CPP) {
        e->form = WG_SIMT; /* there are no wide vectors in CUDA */
    }
    e->fuse = !env_is("WENGERT_FUSE", "0");
    ctx->eager = env_is("WENGERT_EAGER", "1");
    ctx->anomaly = env_is("WENGERT_ANOMALY", "1");
    e->log_plan = env_lists("WENGERT_LOG", "plan");
    e->log_kernel = env_lists("WENGERT_LOG", "kernel");
    const char *kernels = getenv("WENGERT_KERNELS");
    wg_str_add(&e->programs.keep_in, kernels ? kernels : "");
    const char *limit = getenv("WENGERT_MEMORY_LIMIT");
    if (limit && *limit && !wg_memory_parse(limit, &e->pool.limit)) {
        wg_fail(&ctx->graph, WG_ERR_ARG,
                "WENGERT_MEMORY_LIMIT=%s: not a size: a number of bytes, or one with K, M or G", limit);
        return false;
    }
    e->pool.log = env_lists("WENGERT_LOG", "memory");
    if (env_is("WENGERT_PROFILE", "1")) {
        wg_watch_timing(e, true, &ctx->graph.err); /* an error is in the context, which can be used all the same */
    }
    wg_trace_from_environment(ctx);
    return true;
}

wg_ctx *wg_open(const char *device) {
    wg_ctx *ctx = wg_mem_zalloc(sizeof *ctx);
    if (!ctx) {
        return NULL;
    }
    wg_graph *g = &ctx->graph;
    pthread_once(&fork_once, watch_forks);
    g->fork_generation = fork_generation;
    g->hooks = (wg_graph_hooks){value_free, wg_recorded, wg_settle_tensor};
    g->flush_at = 16384;
    g->unusable = true;
    ctx->plans = wg_plan_cache_new();
    if (!wg_graph_init(g) || !ctx->plans) {
        wg_fail(g, WG_ERR_NOMEM, "out of host memory");
        return ctx;
    }
    if (wg_dev_open(device, &ctx->engine.dev, &g->err) != WG_OK) {
        return ctx;
    }
    ctx->opened = true;
    wg_pool_init(&ctx->engine.pool, &ctx->engine.dev);
    wg_programs_init(&ctx->engine.programs, &ctx->engine.dev);
    g->unusable = !read_environment(ctx);
    return ctx;
}

wg_status wg_close(wg_ctx *ctx) {
    if (!ctx) {
        return WG_OK;
    }
    wg_status status = inherited(&ctx->graph) ? WG_ERR_FORK : ctx->graph.err.status;
    if (ctx->opened && !inherited(&ctx->graph)) {
        while (ctx->graph.nscopes > 1) {
            wg_scope_pop(&ctx->graph);
        }
        wg_err err = {0};
        wg_status synced = wg_dev_sync(&ctx->engine.dev, &err);
        status = status == WG_OK ? synced : status;
        wg_err_clear(&err);
    }
    if (ctx->graph.intern) {
        wg_graph_free(&ctx->graph);
    }
    if (ctx->opened) { /* before the plans that were timed go */
        wg_err err = {0};
        wg_status traced = wg_watch_close(&ctx->engine, inherited(&ctx->graph), &err);
        status = status == WG_OK ? traced : status;
        wg_err_clear(&err);
    }
    wg_err_clear(&ctx->graph.err);
    wg_plan_cache_free(ctx->plans);
    if (ctx->opened) {
        wg_value_free(&ctx->engine.pool, ctx->engine.trap);
        wg_dev_free(&ctx->engine.dev, &ctx->engine.tickets);
        wg_mem_free(ctx->engine.room.data);
        wg_programs_drop(&ctx->engine.programs);
        wg_str_free(&ctx->engine.programs.keep_in);
        wg_pool_drop(&ctx->engine.pool);
        wg_dev_close(&ctx->engine.dev);
    }
    wg_problem_free(&ctx->problem);
    wg_mem_free(ctx->roots);
    wg_mem_free(ctx->lent);
    wg_mem_free(ctx);
    return status;
}

/* ---- errors ------------------------------------------------------------------------------------------------------------- */

bool wg_failed(const wg_ctx *ctx) {
    return !ctx || ctx->graph.unusable || inherited(&ctx->graph) || ctx->graph.err.status;
}

const char *wg_error(const wg_ctx *ctx) {
    return !ctx                                                       ? "out of host memory"
           : ctx->graph.err.status == WG_OK && inherited(&ctx->graph) ? "the context was opened before fork()"
           : ctx->graph.err.status == WG_OK && ctx->graph.unusable    ? "the context failed to open"
                                                                      : wg_err_text(&ctx->graph.err);
}

wg_status wg_error_status(const wg_ctx *ctx) {
    return !ctx                                                       ? WG_ERR_NOMEM
           : ctx->graph.err.status == WG_OK && inherited(&ctx->graph) ? WG_ERR_FORK
           : ctx->graph.err.status == WG_OK && ctx->graph.unusable    ? WG_ERR_NO_DEVICE
                                                                      : ctx->graph.err.status;
}

wg_status wg_error_take(wg_ctx *ctx, char *buf, size_t cap) {
    wg_status status = wg_error_status(ctx);
    if (buf && cap > 0) {
        const char *text = wg_error(ctx);
        size_t n = strlen(text);
        n = n < cap ? n : cap - 1;
        memcpy(buf, text, n);
        buf[n] = '\0';
    }
    if (ctx) {
        wg_err_clear(&ctx->graph.err);
    }
    return status;
}

wg_status wg_ctx_fail(wg_ctx *ctx, wg_status status, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    wg_err_setv(ctx ? &ctx->graph.err : NULL, status, fmt, args);
    va_end(args);
    return status;
}

/* ---- questions ---------------------------------------------------------------------------------------------------------- */

const char *wg_version(void) { return WG_VERSION_STRING; }

const char *wg_device_name(const wg_ctx *ctx) { return ctx && ctx->opened ? ctx->engine.dev.limits->name : "none"; }

void wg_devices(void (*line)(const char *text, void *user), void *user) { wg_dev_list(line, user); }

void wg_seed(wg_ctx *ctx, uint64_t seed) {
    if (ctx) {
        ctx->graph.seed = seed;
        ctx->graph.random = 0;
    }
}

wg_status wg_synchronize(wg_ctx *ctx) {
    if (!ctx || !wg_graph_usable(&ctx->graph)) {
        return ctx ? wg_error_status(ctx) : WG_ERR_ARG;
    }
    wg_status status = wg_dev_sync(&ctx->engine.dev, &ctx->graph.err);
    return status != WG_OK ? status : wg_exec_check(&ctx->engine, &ctx->graph.err);
}

void wg_get_stats(const wg_ctx *ctx, wg_stats *out) {
    if (!out) {
        return;
    }
    *out = (wg_stats){0};
    if (ctx && ctx->opened) {
        const wg_engine *e = &ctx->engine;
        *out = (wg_stats){.nodes = ctx->graph.next_id,
                          .plans_built = ctx->plans_built,
                          .plans_reused = ctx->plans_reused,
                          .launches = e->launches,
                          .kernels_built = e->programs.kernels_built,
                          .builds = e->programs.builds,
                          .bytes_live = e->pool.stats.live,
                          .bytes_pooled = e->pool.stats.pooled,
                          .bytes_peak = e->pool.stats.peak,
                          .bytes_moved = e->bytes_moved,
                          .flops = e->flops};
    }
}
