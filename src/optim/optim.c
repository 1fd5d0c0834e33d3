/* The part of a step that is the same for all optimisers. */
#include "optim/optim.h"

#include "api/advance.h"
#include "api/fail.h"
#include "base/alloc.h"

#include <wengert/grad.h>
#include <wengert/ops.h>
#include <wengert/tensor.h>

static bool is_param(wg_ctx *ctx, const char *name, const wg_tensor *t, size_t i) {
    wg_dtype d = wg_dtype_of(t);
    if (!t) {
        wg_ctx_fail(ctx, WG_ERR_ARG, "%s: parameter %zu is NULL", name, i);
    } else if (wg_context(t) != ctx) {
        wg_ctx_fail(ctx, WG_ERR_ARG, "%s: parameter %zu belongs to another context", name, i);
    } else if (!wg_dtype_is_float(d)) {
        wg_ctx_fail(ctx, WG_ERR_DTYPE, "%s: parameter %zu is %s, not floating", name, i, wg_dtype_name(d));
    } else if (!wg_is_leaf(t)) {
        wg_ctx_fail(ctx, WG_ERR_GRAPH, "%s: parameter %zu was made by ops; only leaves can be assigned to", name, i);
    } else {
        return true;
    }
    return false;
}

wg_optim *wg_optim_new(const char *name, wg_tensor *const *params, size_t n) {
    wg_ctx *ctx = NULL;
    for (size_t i = 0; params && i < n && !ctx; i++) {
        ctx = wg_context(params[i]);
    }
    if (!ctx) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_param(ctx, name, params[i], i)) {
            return NULL;
        }
    }
    wg_optim *o = n < SIZE_MAX / sizeof(wg_slot) / 2 ? wg_mem_zalloc(sizeof *o + n * sizeof(wg_slot)) : NULL;
    if (!o) {
        wg_ctx_fail(ctx, WG_ERR_NOMEM, "%s: out of host memory", name);
        return NULL;
    }
    o->ctx = ctx;
    o->count = n;
    for (size_t i = 0; i < n; i++) {
        o->slots[i].param = params[i];
    }
    return o;
}

wg_tensor *wg_update_note(wg_update *u, wg_tensor *t) {
    if (t && u->count < WG_UPDATE_HANDLES) {
        u->handle[u->count++] = t;
    }
    return t;
}

/* Gives *state the value v; makes it first, if there is none yet. */
static bool remember(wg_tensor **state, wg_tensor *v) {
    bool fresh = v && !*state;
    if (fresh) {
        *state = wg_keep(wg_zeros_like(v));
    }
    bool ok = !v || (*state && wg_assign(*state, v) == WG_OK);
    if (fresh && !ok) {
        wg_free(*state);
        *state = NULL;
    }
    return ok;
}

static wg_tensor *as(wg_update *u, wg_tensor *t, wg_dtype dtype) {
    return !t || wg_dtype_of(t) == dtype ? t : wg_update_note(u, wg_cast(t, dtype));
}

/* The update of a 16-bit parameter is computed in f32; its new value and its state are rounded once. */
static void update(const wg_optim *o, const wg_slot *s, wg_update *u) {
    wg_dtype d = wg_dtype_of(s->param), compute = d == WG_F16 || d == WG_BF16 ? WG_F32 : d;
    u->old_param = as(u, s->param, compute);
    u->old_first = as(u, s->first, compute);
    u->old_second = as(u, s->second, compute);
    o->update(o, s, as(u, wg_update_note(u, wg_grad(s->param)), compute), u);
    u->param = as(u, u->param, d);
    u->first = as(u, u->first, d);
    u->second = as(u, u->second, d);
}

static bool step_one(wg_optim *o, wg_slot *s) {
    wg_update u = {0};
    s->steps++;
    o->prepare(o, s);
    update(o, s, &u);
    bool ok = u.param && remember(&s->first, u.first) && remember(&s->second, u.second) &&
              wg_assign(s->param, u.param) == WG_OK;
    s->steps -= !ok;
    for (int i = 0; i < u.count; i++) {
        wg_free(u.handle[i]);
    }
    return ok;
}

/* A step that is not recorded. */
static void advance(void *user) {
    wg_optim *o = user;
    for (size_t i = 0; i < o->count; i++) {
        if (o->slots[i].stepped) {
            o->slots[i].steps++;
            o->prepare(o, &o->slots[i]);
        }
    }
}

static uint64_t state(const void *user) {
    const wg_optim *o = user;
    uint64_t all = o->count;
    for (size_t i = 0; i < o->count; i++) {
        const wg_slot *s = &o->slots[i];
        unsigned bits =
            (unsigned)wg_has_grad(s->param) | (s->first ? 2u : 0) | (s->second ? 4u : 0) | (s->stepped ? 8u : 0);
        all = (all ^ bits) * 0x9E3779B97F4A7C15u;
    }
    return all;
}

wg_status wg_optim_step(wg_optim *o) {
    if (!o) {
        return WG_ERR_ARG;
    }
    if (wg_error_status(o->ctx) == WG_ERR_FORK) {
        return WG_ERR_FORK; /* even when there is nothing to update */
    }
    bool before = wg_no_grad(o->ctx, true);
    bool ok = true;
    wg_replay_join(o->ctx, &(wg_replay_part){o, advance, state});
    for (size_t i = 0; i < o->count && ok; i++) {
        o->slots[i].stepped = wg_has_grad(o->slots[i].param);
        ok = !o->slots[i].stepped || step_one(o, &o->slots[i]);
    }
    wg_no_grad(o->ctx, before);
    return ok ? WG_OK : wg_error_status(o->ctx);
}

void wg_optim_zero_grad(wg_optim *o) {
    for (size_t i = 0; o && i < o->count; i++) {
        wg_zero_grad(o->slots[i].param);
    }
}

double wg_optim_lr(const wg_optim *o) { return o ? o->lr : 0; }

void wg_optim_set_lr(wg_optim *o, double lr) {
    if (o) {
        o->lr = lr;
    }
}

void wg_optim_free(wg_optim *o) {
    if (o) {
        wg_replay_leave(o->ctx, o);
    }
    for (size_t i = 0; o && i < o->count; i++) {
        wg_free(o->slots[i].first);
        wg_free(o->slots[i].second);
    }
    wg_mem_free(o);
}
