/* The plan cache: compiled plans under keys compared in full, the least recently used ones given up first. */
#include "api/context.h"

#include "base/alloc.h"
#include "runtime/watch.h"

#include <stdio.h>
#include <string.h>

enum { MAX_PLANS = 512, BUCKETS = 1024 };
/* Plans of very long problems are large; together they may hold this many key words. */
#define MAX_KEY_WORDS ((size_t)1 << 23)
/* A program whose graphs never come back leaves kernels behind that nothing uses. */
enum { MAX_KERNELS = 2048 };

typedef struct entry {
    struct entry *next;          /* in the bucket */
    struct entry *newer, *older; /* by use */
    uint64_t hash;
    uint64_t *key;
    size_t nkey;
    wg_exec *exec;
} entry;

struct wg_plan_cache {
    entry *buckets[BUCKETS];
    entry by_use; /* list head */
    size_t count, words;
};

wg_plan_cache *wg_plan_cache_new(void) {
    wg_plan_cache *c = wg_mem_zalloc(sizeof *c);
    if (c) {
        c->by_use.newer = c->by_use.older = &c->by_use;
    }
    return c;
}

static void unlink_use(entry *e) {
    e->newer->older = e->older;
    e->older->newer = e->newer;
}

static void link_newest(wg_plan_cache *c, entry *e) {
    e->older = c->by_use.older;
    e->newer = &c->by_use;
    e->older->newer = e;
    c->by_use.older = e;
}

static void drop(wg_plan_cache *c, entry *e) {
    entry **link = &c->buckets[e->hash % BUCKETS];
    while (*link != e) {
        link = &(*link)->next;
    }
    *link = e->next;
    unlink_use(e);
    c->count--;
    c->words -= e->nkey;
    wg_exec_free(e->exec);
    wg_mem_free(e->key);
    wg_mem_free(e);
}

void wg_plan_cache_free(wg_plan_cache *c) {
    while (c && c->count > 0) {
        drop(c, c->by_use.newer);
    }
    wg_mem_free(c);
}

void wg_plan_cache_each(const wg_plan_cache *c, void (*visit)(wg_exec *x, void *user), void *user) {
    for (const entry *e = c->by_use.newer; e != &c->by_use; e = e->newer) {
        visit(e->exec, user);
    }
}

static entry *find(wg_plan_cache *c, const wg_problem *p) {
    for (entry *e = c->buckets[p->hash % BUCKETS]; e; e = e->next) {
        if (e->hash == p->hash && e->nkey == p->nkey && memcmp(e->key, p->key, p->nkey * sizeof *p->key) == 0) {
            return e;
        }
    }
    return NULL;
}

/* Plans share kernels: when there are too many, all plans and all kernels go together. */
static void forget_kernels(wg_ctx *ctx) {
    wg_watch_collect(&ctx->engine);
    while (ctx->plans->count > 0) {
        drop(ctx->plans, ctx->plans->by_use.newer);
    }
    wg_programs_drop(&ctx->engine.programs);
}

static wg_exec *make(wg_ctx *ctx, const wg_problem *p) {
    wg_engine *e = &ctx->engine;
    if (e->programs.count >= MAX_KERNELS && wg_dev_sync(&e->dev, NULL) == WG_OK) {
        forget_kernels(ctx);
    }
    double began = wg_watch_now(&e->dev), built;
    wg_plan *plan = wg_library_plan(e, p, &ctx->graph.err);
    wg_watch_span(&e->dev, WG_LANE_PLAN, "plan", began);
    built = wg_watch_now(&e->dev);
    wg_exec *x = plan ? wg_exec_make(e, plan, &ctx->graph.err) : NULL;
    wg_watch_span(&e->dev, WG_LANE_BUILD, "write texts, find kernels", built);
    wg_watch_leave_out(&e->dev, began);
    return x;
}

static void log_plan(const wg_ctx *ctx, const wg_exec *x, const wg_problem *p) {
    if (!ctx->engine.log_plan) {
        return;
    }
    wg_str text = {0};
    wg_plan_print(x->plan, &text);
    fprintf(stderr, "wengert: plan of %zu ops%s: %s", p->ntasks, x->built_for == WG_QUEUE_INLINE ? ", inline" : "",
            wg_str_text(&text));
    wg_str_free(&text);
}

wg_exec *wg_plan_cache_find(wg_ctx *ctx, const wg_problem *p) {
    entry *e = find(ctx->plans, p);
    if (!e) {
        return NULL;
    }
    unlink_use(e);
    link_newest(ctx->plans, e);
    ctx->plans_reused++;
    return e->exec;
}

const wg_exec *wg_plan_cache_newest(const wg_ctx *ctx) {
    return ctx->plans->count > 0 ? ctx->plans->by_use.older->exec : NULL;
}

wg_exec *wg_plan_cache_get(wg_ctx *ctx, const wg_problem *p) {
    wg_plan_cache *c = ctx->plans;
    wg_exec *found = wg_plan_cache_find(ctx, p);
    if (found) {
        return found;
    }
    entry *e = wg_mem_zalloc(sizeof *e);
    uint64_t *key = wg_mem_alloc(p->nkey * sizeof *key);
    wg_exec *x = e && key ? make(ctx, p) : NULL;
    if (!x) {
        wg_err_set(&ctx->graph.err, WG_ERR_NOMEM, "out of host memory for a plan");
        wg_mem_free(e);
        wg_mem_free(key);
        return NULL;
    }
    memcpy(key, p->key, p->nkey * sizeof *key);
    while (c->count > 0 && (c->count >= MAX_PLANS || c->words + p->nkey > MAX_KEY_WORDS)) {
        wg_watch_collect(&ctx->engine);
        drop(c, c->by_use.newer);
    }
    *e = (entry){.hash = p->hash, .key = key, .nkey = p->nkey, .exec = x, .next = c->buckets[p->hash % BUCKETS]};
    c->buckets[p->hash % BUCKETS] = e;
    link_newest(c, e);
    c->count++;
    c->words += e->nkey;
    ctx->plans_built++;
    log_plan(ctx, x, p);
    return x;
}
