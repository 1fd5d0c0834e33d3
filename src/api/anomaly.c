/* Anomaly detection: running op by op, and saying where the first NaN or infinity came from. */
#include "api/context.h"

#include "base/alloc.h"
#include "base/str.h"
#include "graph/extra.h"
#include "graph/op.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

#include <math.h>
#include <string.h>
#include <wengert/wengert.h>

/* The first element of a node that is not finite. */
typedef struct anomaly {
    bool found;
    double value;
    wg_shape at; /* its place, as many numbers as the node has dims */
} anomaly;

/* Looks through n's elements in row-major order. False if they could not be read (error set). */
static bool search(wg_ctx *ctx, const wg_node *n, anomaly *out) {
    wg_value *v = wg_base_of((wg_node *)n)->value;
    int64_t count = wg_shape_numel(*n->shape);
    *out = (anomaly){.at = {.rank = n->shape->rank}};
    if (!v || count == 0 || !wg_dtype_is_float((wg_dtype)n->dtype)) {
        return true;
    }
    const void *data = wg_value_host(&ctx->engine.dev, v, &ctx->graph.err);
    wg_view view = wg_view_of(n);
    for (int64_t at = view.offset; data && count > 0; count--) {
        out->value = wg_dtype_number((wg_dtype)n->dtype, data, at);
        if (!isfinite(out->value)) {
            out->found = true;
            return true;
        }
        for (int d = view.shape.rank - 1; d >= 0; d--) {
            at += view.stride[d];
            if (++out->at.dim[d] < view.shape.dim[d]) {
                break;
            }
            at -= view.stride[d] * view.shape.dim[d];
            out->at.dim[d] = 0;
        }
    }
    return data;
}

/* ---- the text ----------------------------------------------------------------------------------------------------------- */

static void add_what(wg_str *s, const wg_node *n) {
    wg_str_addf(s, "%s %s", wg_dtype_name((wg_dtype)n->dtype), wg_shape_print(n->shape).s);
}

static void add_element(wg_str *s, const anomaly *a) {
    wg_str_addf(s, "element %s is %s", wg_shape_print(&a->at).s,
                isnan(a->value)  ? "nan"
                : a->value > 0.0 ? "inf"
                                 : "-inf");
}

static unsigned long long number(const wg_node *n) { return (unsigned long long)n->id; }

/* "op 17, scope depth 2 "encoder/layer 3"": where a node was recorded. */
static void add_where(wg_str *s, const wg_node *n) {
    wg_str_addf(s, "op %llu%s", number(n), n->extra && n->extra->where ? n->extra->where : "");
}

/* Where things are recorded now: ", scope depth 2 "encoder/layer 3"". */
static bool note_where(wg_graph *g, wg_node *n) {
    wg_str s = {0};
    size_t depth = 0;
    const char *before = " \"";
    for (size_t i = 0; i < g->nscopes; i++) {
        depth += g->scopes[i].user;
    }
    wg_str_addf(&s, ", scope depth %zu", depth);
    for (size_t i = 0; i < g->nscopes; i++) {
        if (g->scopes[i].label) {
            wg_str_add(&s, before);
            wg_str_add(&s, g->scopes[i].label);
            before = "/";
        }
    }
    wg_str_add(&s, before[0] == '/' ? "\"" : "");
    if (s.failed || !wg_extra_of(n)) {
        wg_str_free(&s);
        wg_fail(g, WG_ERR_NOMEM, "anomaly: out of host memory");
        return false;
    }
    wg_mem_free(n->extra->where);
    n->extra->where = s.data;
    return true;
}

/* What is to be said of the operands: the first that is not finite and why nobody said so before, or that all are. */
static bool add_operands(wg_ctx *ctx, wg_str *s, wg_node *const *in, int nin) {
    for (int i = 0; i < nin; i++) {
        anomaly a;
        if (!search(ctx, in[i], &a)) {
            return false;
        }
        if (a.found) {
            const wg_node *maker = wg_base_of(in[i]);
            wg_str_addf(s, "; operand %d, ", i + 1);
            add_what(s, in[i]);
            wg_str_add(s, ", brought it in: ");
            add_element(s, &a);
            wg_str_addf(s, ", %s (op %llu)",
                        maker->op->kind == WG_OP_SOURCE ? "data from the host"
                                                        : "recorded before anomalies were looked for",
                        number(maker));
            return true;
        }
    }
    wg_str_add(s, nin ? "; finite operands: " : "; it has no operands");
    for (int i = 0; i < nin; i++) {
        wg_str_add(s, i ? ", " : "");
        add_what(s, in[i]);
    }
    return true;
}

static void report(wg_ctx *ctx, const wg_node *n, const anomaly *a, wg_node *const *in, int nin) {
    wg_graph *g = &ctx->graph;
    wg_str s = {0};
    wg_str_addf(&s, "%s: ", n->op->name);
    add_what(&s, n);
    wg_str_add(&s, ": ");
    add_element(&s, a);
    wg_str_add(&s, " (");
    add_where(&s, n);
    if (g->pulled) {
        wg_str_addf(&s, ", in the backward of %s ", g->pulled->op->name);
        add_what(&s, g->pulled);
        wg_str_add(&s, ", ");
        add_where(&s, g->pulled);
    } else {
        wg_str_add(&s, g->walking ? ", in the backward" : ", in the forward");
    }
    wg_str_add(&s, ")");
    if (add_operands(ctx, &s, in, nin)) {
        wg_fail(g, WG_ERR_ANOMALY, "%s", s.failed ? n->op->name : wg_str_text(&s));
    }
    wg_str_free(&s);
}

/* ---- the hook behind recording -------------------------------------------------------------------------------------------- */

static bool run_and_look(wg_ctx *ctx, wg_node *n, wg_node *const *in, int nin) {
    anomaly a;
    for (int i = 0; i < nin; i++) {
        if (wg_demand_node(ctx, in[i]) != WG_OK) {
            return false;
        }
    }
    if (wg_demand_node(ctx, n) != WG_OK || !search(ctx, n, &a)) {
        return false;
    }
    if (a.found) {
        report(ctx, n, &a, in, nin);
    }
    return !a.found;
}

bool wg_anomaly_run(wg_ctx *ctx, wg_node *n) {
    if (!note_where(&ctx->graph, n)) {
        return false;
    }
    if (n->base) {
        return true; /* shows what was looked at */
    }
    wg_node *in[WG_MAX_IN]; /* held: a node that ran may let go of its operands */
    int nin = n->nin;
    for (int i = 0; i < nin; i++) {
        in[i] = wg_node_ref(n->in[i]);
    }
    bool ok = run_and_look(ctx, n, in, nin);
    for (int i = 0; i < nin; i++) {
        wg_node_unref(in[i]);
    }
    return ok;
}

bool wg_detect_anomaly(wg_ctx *ctx, bool on) {
    bool before = ctx && ctx->anomaly;
    if (ctx) {
        ctx->anomaly = on;
    }
    return before;
}

wg_status wg_label(wg_ctx *ctx, const char *label) {
    if (!ctx || !wg_graph_usable(&ctx->graph)) {
        return ctx ? wg_error_status(ctx) : WG_ERR_ARG;
    }
    wg_scope *scope = &ctx->graph.scopes[ctx->graph.nscopes - 1];
    size_t bytes = label ? strlen(label) + 1 : 0;
    char *copy = label ? wg_mem_alloc(bytes) : NULL;
    if (label && !copy) {
        wg_fail(&ctx->graph, WG_ERR_NOMEM, "label: out of host memory");
        return WG_ERR_NOMEM;
    }
    if (copy) {
        memcpy(copy, label, bytes);
    }
    wg_mem_free(scope->label);
    scope->label = copy;
    return WG_OK;
}
