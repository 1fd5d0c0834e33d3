/* Tensors as their users see them: made from host memory, asked, read, replaced. */
#include "api/replay.h"

#include "base/alloc.h"
#include "graph/op.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

#include <math.h>
#include <string.h>
#include <wengert/wengert.h>

/* ---- making ------------------------------------------------------------------------------------------------------------- */

static bool creatable(wg_graph *g, wg_dtype dtype, const wg_shape *shape) {
    if (!g || !wg_graph_usable(g)) {
        return false;
    }
    if (!wg_dtype_valid(dtype)) {
        wg_fail(g, WG_ERR_DTYPE, "from: dtype %s is not supported", wg_dtype_name(dtype));
        return false;
    }
    if (dtype == WG_F64 && !wg_ctx_of(g)->engine.dev.limits->has_f64) {
        wg_fail(g, WG_ERR_DTYPE, "from: this device has no f64");
        return false;
    }
    if (!wg_shape_valid(shape)) {
        wg_fail(g, WG_ERR_SHAPE, "from: %s: not a shape (rank 0 to 8, sizes >= 0)", wg_shape_print(shape).s);
        return false;
    }
    return true;
}

/* A node with uninitialised bytes. */
static wg_node *blank(wg_ctx *ctx, wg_dtype dtype, const wg_shape *shape) {
    wg_graph *g = &ctx->graph;
    const wg_shape *interned = wg_intern_shape(g, shape);
    size_t bytes = (size_t)wg_shape_numel(*shape) * wg_dtype_size(dtype);
    wg_value *v = interned ? wg_value_new(&ctx->engine.pool, bytes, &g->err) : NULL;
    wg_node *n = v ? wg_node_source(g, dtype, interned, v) : NULL;
    if (n) {
        v->node = n;
    } else {
        wg_value_free(&ctx->engine.pool, v);
        wg_memory_ran_out(ctx);
    }
    return n;
}

static void clean_bools(uint8_t *out, const uint8_t *in, size_t n) {
    for (size_t i = 0; i < n; i++) {
        out[i] = in[i] != 0;
    }
}

static bool bools_are_clean(const uint8_t *bytes, size_t n) {
    uint8_t all = 0;
    for (size_t i = 0; i < n; i++) {
        all |= bytes[i];
    }
    return all <= 1;
}

/* Bool bytes are 0 or 1 on the device, whatever the caller has. data may be NULL where there are no elements. */
static wg_status upload(wg_ctx *ctx, wg_node *n, const void *data) {
    wg_value *v = n->value;
    size_t count = (size_t)wg_shape_numel(*n->shape);
    if (n->dtype != WG_BOOL || !data || bools_are_clean(data, count)) {
        return wg_value_write(&ctx->engine.dev, v, data, v->bytes, &ctx->graph.err);
    }
    uint8_t *clean = wg_mem_alloc(count);
    if (!clean) {
        return wg_err_set(&ctx->graph.err, WG_ERR_NOMEM, "out of host memory");
    }
    clean_bools(clean, data, count);
    wg_status status = wg_value_write(&ctx->engine.dev, v, clean, count, &ctx->graph.err);
    wg_mem_free(clean);
    return status;
}

wg_tensor *wg_from(wg_ctx *ctx, wg_dtype dtype, const void *data, wg_shape shape) {
    wg_graph *g = wg_graph_of(ctx);
    if (!creatable(g, dtype, &shape)) {
        return NULL;
    }
    if (!data && wg_shape_numel(shape) > 0) {
        return wg_fail(g, WG_ERR_ARG, "from: %s: data is NULL", wg_shape_print(&shape).s);
    }
    wg_node *n = blank(ctx, dtype, &shape);
    if (!n) {
        return NULL;
    }
    wg_tensor *t = upload(ctx, n, data) == WG_OK ? wg_handle(g, n) : NULL;
    wg_node_unref(n);
    return t;
}

wg_tensor *wg_from_f32(wg_ctx *ctx, const float *data, wg_shape shape) { return wg_from(ctx, WG_F32, data, shape); }
wg_tensor *wg_from_f64(wg_ctx *ctx, const double *data, wg_shape shape) { return wg_from(ctx, WG_F64, data, shape); }
wg_tensor *wg_from_f16(wg_ctx *ctx, const uint16_t *data, wg_shape shape) { return wg_from(ctx, WG_F16, data, shape); }
wg_tensor *wg_from_bf16(wg_ctx *ctx, const uint16_t *data, wg_shape shape) {
    return wg_from(ctx, WG_BF16, data, shape);
}
wg_tensor *wg_from_i32(wg_ctx *ctx, const int32_t *data, wg_shape shape) { return wg_from(ctx, WG_I32, data, shape); }
wg_tensor *wg_from_i64(wg_ctx *ctx, const int64_t *data, wg_shape shape) { return wg_from(ctx, WG_I64, data, shape); }
wg_tensor *wg_from_u8(wg_ctx *ctx, const uint8_t *data, wg_shape shape) { return wg_from(ctx, WG_U8, data, shape); }
wg_tensor *wg_from_bool(wg_ctx *ctx, const uint8_t *data, wg_shape shape) { return wg_from(ctx, WG_BOOL, data, shape); }

/* ---- asking ------------------------------------------------------------------------------------------------------------- */

wg_ctx *wg_context(const wg_tensor *t) { return t ? wg_ctx_of(t->graph) : NULL; }
wg_shape wg_shape_of(const wg_tensor *t) { return t ? *t->node->shape : (wg_shape){.rank = -1}; }
int wg_rank(const wg_tensor *t) { return t ? t->node->shape->rank : -1; }
int64_t wg_numel(const wg_tensor *t) { return t ? wg_shape_numel(*t->node->shape) : -1; }
wg_dtype wg_dtype_of(const wg_tensor *t) { return t ? (wg_dtype)t->node->dtype : WG_DTYPE_COUNT; }

int64_t wg_size(const wg_tensor *t, int dim) {
    if (!t) {
        return -1;
    }
    const wg_shape *s = t->node->shape;
    int d = s->rank ? wg_shape_dim(s, dim) : -1;
    if (d < 0) {
        wg_fail(t->graph, WG_ERR_ARG, "size: %s: no dim %d", wg_shape_print(s).s, dim);
        return -1;
    }
    return s->dim[d];
}

/* ---- reading ------------------------------------------------------------------------------------------------------------ */

/* A node with t's elements one after the other: its own, or a copy. The caller lets go of it. */
static wg_node *contiguous_node(wg_tensor *t) {
    wg_node *n = t->lent ? t->lent : t->node;
    if (!n->view || wg_view_is_contiguous(n->view)) {
        return wg_node_ref(n);
    }
    bool before = wg_graph_set_no_grad(t->graph, true);
    wg_tensor *copy = wg_contiguous(t);
    wg_graph_set_no_grad(t->graph, before);
    if (!copy) {
        return NULL;
    }
    n = wg_node_ref(copy->node);
    wg_handle_free(copy);
    return n;
}

/* Demands t in *n, which the caller lets go of, with its elements from *offset on. NULL on error, *n too. */
static wg_value *contiguous_value(const char *op, wg_tensor *t, wg_node **n, size_t *offset) {
    wg_graph *g;
    *n = wg_check(op, &g, &t, 1) ? contiguous_node(t) : NULL;
    if (!*n) {
        return NULL;
    }
    if (wg_ctx_of(g)->capture) {
        wg_ctx_of(g)->capture->unfit = true; /* what the program does with it is not seen again in a replay */
    }
    if (wg_demand_node(wg_ctx_of(g), *n) != WG_OK || wg_exec_check(&wg_ctx_of(g)->engine, &g->err) != WG_OK) {
        wg_node_unref(*n);
        *n = NULL;
        return NULL;
    }
    *offset = (*n)->view ? (size_t)(*n)->view->offset * wg_dtype_size((wg_dtype)(*n)->dtype) : 0;
    return wg_base_of(*n)->value;
}

const void *wg_data(wg_tensor *t) {
    size_t offset;
    wg_node *n;
    wg_value *v = contiguous_value("data", t, &n, &offset);
    if (!v) {
        return NULL;
    }
    if (n != t->node && !t->lent) {
        t->lent = wg_node_ref(n);
    }
    wg_node_unref(n);
    char *host = wg_numel(t) > 0 ? wg_value_host(&wg_ctx_of(t->graph)->engine.dev, v, &t->graph->err) : NULL;
    return host ? host + offset : NULL;
}

static const void *typed_data(wg_tensor *t, wg_dtype dtype) {
    if (!t) {
        return NULL;
    }
    if (t->node->dtype != dtype) {
        return wg_fail(t->graph, WG_ERR_DTYPE, "data_%s: the tensor is %s", wg_dtype_name(dtype),
                       wg_dtype_name((wg_dtype)t->node->dtype));
    }
    return wg_data(t);
}

const float *wg_data_f32(wg_tensor *t) { return typed_data(t, WG_F32); }
const int64_t *wg_data_i64(wg_tensor *t) { return typed_data(t, WG_I64); }

static wg_status status_of(const wg_tensor *t) {
    return t && t->graph->err.status != WG_OK ? t->graph->err.status : WG_ERR_ARG;
}

wg_status wg_read(wg_tensor *t, void *out, size_t bytes) {
    wg_graph *g;
    if (!wg_check("read", &g, &t, 1)) {
        return status_of(t);
    }
    size_t want = (size_t)wg_numel(t) * wg_dtype_size(wg_dtype_of(t));
    if (bytes != want || (!out && bytes > 0)) {
        wg_fail(g, WG_ERR_ARG, "read: %s: %zu bytes asked for, it has %zu", wg_shape_print(t->node->shape).s, bytes,
                want);
        return WG_ERR_ARG;
    }
    size_t offset;
    wg_node *n;
    wg_value *v = contiguous_value("read", t, &n, &offset);
    wg_status status = v ? wg_value_read(&wg_ctx_of(g)->engine.dev, v, offset, out, bytes, &g->err) : status_of(t);
    wg_node_unref(n);
    return status;
}

/* The single element, in the 8 bytes at out. */
static bool read_item(wg_tensor *t, void *out) {
    wg_graph *g;
    if (!wg_check("item", &g, &t, 1)) {
        return false;
    }
    if (wg_numel(t) != 1) {
        wg_fail(g, WG_ERR_SHAPE, "item: %s: it must have one element", wg_shape_print(t->node->shape).s);
        return false;
    }
    size_t offset;
    wg_node *n;
    wg_value *v = contiguous_value("item", t, &n, &offset);
    bool ok = v && wg_value_read(&wg_ctx_of(g)->engine.dev, v, offset, out, wg_dtype_size((wg_dtype)t->node->dtype),
                                 &g->err) == WG_OK;
    wg_node_unref(n);
    return ok;
}

double wg_item(wg_tensor *t) {
    int64_t x;
    return read_item(t, &x) ? wg_dtype_number((wg_dtype)t->node->dtype, &x, 0) : NAN;
}

int64_t wg_item_i64(wg_tensor *t) {
    int64_t x;
    if (!read_item(t, &x)) {
        return 0;
    }
    if (t->node->dtype == WG_I64) {
        return x;
    }
    double d = wg_dtype_number((wg_dtype)t->node->dtype, &x, 0);
    return isnan(d) ? 0 : d >= 0x1p63 ? INT64_MAX : d <= -0x1p63 ? INT64_MIN : (int64_t)d;
}

/* ---- replacing ---------------------------------------------------------------------------------------------------------- */

static bool replaceable(const char *op, wg_tensor *t) {
    wg_graph *g;
    if (!wg_check(op, &g, &t, 1)) {
        return false;
    }
    if (!wg_is_leaf(t)) {
        wg_fail(g, WG_ERR_GRAPH, "%s: %s %s was made by ops; only leaves can be replaced", op, t->node->op->name,
                wg_shape_print(t->node->shape).s);
        return false;
    }
    return true;
}

/* t stands for n from now on; takes over the reference. */
static bool stand_for(wg_tensor *t, wg_node *n) {
    if (t->leaf) {
        n->leaf = t->leaf;
        n->leaf->refs++;
        n->flags |= WG_NODE_GRAD | WG_NODE_PARAM;
    }
    bool ok = wg_handle_assign(t, n);
    wg_node_unref(n);
    return ok;
}

wg_status wg_write(wg_tensor *t, const void *data, size_t bytes) {
    if (!replaceable("write", t)) {
        return status_of(t);
    }
    wg_graph *g = t->graph;
    size_t want = (size_t)wg_numel(t) * wg_dtype_size(wg_dtype_of(t));
    if (bytes != want || (!data && bytes > 0)) {
        wg_fail(g, WG_ERR_ARG, "write: %s: %zu bytes given, it has %zu", wg_shape_print(t->node->shape).s, bytes, want);
        return WG_ERR_ARG;
    }
    wg_node *n = blank(wg_ctx_of(g), wg_dtype_of(t), t->node->shape);
    if (!n) {
        return g->err.status;
    }
    if (upload(wg_ctx_of(g), n, data) != WG_OK) {
        wg_node_unref(n);
        return g->err.status;
    }
    return stand_for(t, n) ? WG_OK : g->err.status;
}

/* A new value that starts as the old one. Where memory is shared the caller writes into it directly; elsewhere into a
 * host copy, uploaded by settle before t is used again. */
void *wg_data_mut(wg_tensor *t) {
    if (!replaceable("data_mut", t)) {
        return NULL;
    }
    wg_graph *g = t->graph;
    wg_ctx *ctx = wg_ctx_of(g);
    size_t offset;
    wg_node *held, *n = NULL;
    wg_value *old = contiguous_value("data_mut", t, &held, &offset);
    size_t size = (size_t)wg_numel(t) * wg_dtype_size(wg_dtype_of(t));
    char *bytes = old && size > 0 ? wg_value_host(&ctx->engine.dev, old, &g->err) : NULL;
    void *host = bytes ? wg_mem_alloc(size) : NULL;
    if (host) {
        memcpy(host, bytes + offset, size);
        n = blank(ctx, wg_dtype_of(t), t->node->shape);
    }
    wg_node_unref(held);
    if (!bytes || (host && !n)) {
        wg_mem_free(host);
        return NULL;
    }
    if (!host || !WG_RESERVE(ctx->lent, ctx->nlent, ctx->lent_cap)) {
        wg_mem_free(host);
        wg_node_unref(n);
        return wg_fail(g, WG_ERR_NOMEM, "data_mut: out of host memory");
    }
    if (!stand_for(t, n)) {
        wg_mem_free(host);
        return NULL;
    }
    ctx->lent[ctx->nlent++] = t;
    t->mutable_at = host;
    return host;
}

/* The hook behind wg_settle. */
bool wg_settle_tensor(wg_tensor *t) {
    wg_ctx *ctx = wg_ctx_of(t->graph);
    for (size_t i = 0; i < ctx->nlent; i++) {
        if (ctx->lent[i] == t) {
            ctx->lent[i] = ctx->lent[--ctx->nlent];
        }
    }
    wg_node *n = t->node;
    if (n->dtype == WG_BOOL) {
        clean_bools(t->mutable_at, t->mutable_at, n->value->bytes);
    }
    wg_status status = wg_value_write(&ctx->engine.dev, n->value, t->mutable_at, n->value->bytes, &ctx->graph.err);
    if (status != WG_OK) {
        n->flags |= WG_NODE_LOST;
    }
    wg_mem_free(t->mutable_at);
    t->mutable_at = NULL;
    return status == WG_OK;
}

bool wg_settle_all(wg_ctx *ctx) {
    bool ok = true;
    while (ctx->nlent > 0) {
        ok = wg_settle_tensor(ctx->lent[ctx->nlent - 1]) && ok;
    }
    return ok;
}
