/* The recorded graph in the language of Graphviz. What is written beside it comes from picture.c. */
#include "api/picture.h"

#include "base/alloc.h"
#include "base/str.h"
#include "graph/op.h"
#include "tensor/shape.h"

#include <stdio.h>
#include <string.h>
#include <wengert/wengert.h>

wg_dot_opts wg_dot_defaults(void) { return (wg_dot_opts){.elements = 6}; }

/* Text inside quotes; a line break is Graphviz's. */
static void add_text(wg_str *s, const char *text) {
    for (; *text; text++) {
        if (*text == '\n') {
            wg_str_add(s, "\\n");
        } else {
            wg_str_addf(s, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
        }
    }
}

/* before, then a caption, unless that is empty. */
static void add_line(wg_str *s, const char *before, const wg_caption *c) {
    if (c->text[0]) {
        add_text(s, before);
        add_text(s, c->text);
    }
}

/* A place in the picture: a node, or an output. */
typedef struct place {
    char id[32];
} place;

static place place_of(const char *kind, size_t i) {
    place p;
    snprintf(p.id, sizeof p.id, "%s%zu", kind, i);
    return p;
}

/* A caption beside an edge, a space away from its line. */
static void add_caption(wg_str *s, const char *before, const wg_caption *c) {
    if (c && c->text[0]) {
        wg_str_addf(s, " %s", before);
        for (const char *at = c->text; *at; at++) {
            wg_str_addf(s, *at == '\n' ? " \\n " : "%c", *at);
        }
        wg_str_add(s, " ");
    }
}

/* Forward with the operand's value. */
static void add_forward(wg_str *s, place from, place to, const wg_caption *value) {
    wg_str_addf(s, "    %s -> %s [label=\"", from.id, to.id);
    add_caption(s, "", value);
    wg_str_add(s, "\"];\n");
}

/* Back with what the operand gets of the gradient; local may be NULL. */
static void add_back(wg_str *s, place from, place to, const wg_caption *grad, const wg_caption *local) {
    if (grad->text[0]) {
        wg_str_addf(s, "    %s -> %s [label=\"", from.id, to.id);
        add_caption(s, "grad ", grad);
        wg_str_add(s, local && local->text[0] ? "\\n" : "");
        add_caption(s, "local ", local);
        wg_str_add(s, "\", color=\"#c0392b\", fontcolor=\"#c0392b\", style=dashed, constraint=false];\n");
    }
}

static const char *name_of(const wg_node *n, const wg_dot_opts *o) {
    for (size_t i = 0; i < o->nnamed; i++) {
        if (o->named[i] && o->named[i]->node == n && o->names[i]) {
            return o->names[i];
        }
    }
    return NULL;
}

static void add_node(wg_str *s, const wg_picture *p, size_t i, const wg_dot_opts *o) {
    const wg_drawn *d = &p->drawn[i];
    const wg_node *n = d->node;
    const char *name = name_of(n, o);
    const wg_shape_text shape = wg_shape_print(n->shape);
    bool leaf = wg_picture_inputs(n) == 0, view = !leaf && n->op->kind == WG_OP_VIEW && n->nin == 1;
    wg_str_addf(s, "    n%zu [label=\"", i);
    if (leaf && name) {
        add_text(s, name);
    } else {
        wg_str_add(s, n->leaf ? "param" : n->op->kind == WG_OP_SOURCE ? "input" : n->op->name);
    }
    if (!leaf && strstr(n->op->name, "_scalar")) {
        wg_str_addf(s, " %.6g", n->scalar[0]);
    }
    wg_str_addf(s, view ? " %s%s" : "\\n%s %s", view ? "" : wg_dtype_name((wg_dtype)n->dtype), shape.s);
    if (leaf) {
        add_line(s, "\n", &d->value);
        add_line(s, "\ngrad ", &d->grad);
    }
    const char *style = n->leaf ? "style=filled, fillcolor=\"#ffe9a8\""
                        : leaf  ? "style=filled, fillcolor=\"#eeeeee\""
                        : view  ? "style=\"rounded,dashed\", fontsize=10, height=0.3"
                                : "fillcolor=\"#d6e8fa\"";
    wg_str_addf(s, "\", %s];\n", style);
}

static void add_edges(wg_str *s, const wg_picture *p, size_t i) {
    const wg_drawn *d = &p->drawn[i];
    place here = place_of("n", i);
    for (int k = 0; k < wg_picture_inputs(d->node); k++) {
        size_t from = wg_picture_find(p, d->node->in[k]);
        add_forward(s, place_of("n", from), here, &p->drawn[from].value);
        add_back(s, here, place_of("n", from), &d->back[k], &d->local[k]);
    }
}

/* The tensors themselves, where the values come out and the gradients begin. */
static void add_output(wg_str *s, const wg_picture *p, const wg_tensor *t, size_t number, const wg_dot_opts *o) {
    size_t from = wg_picture_find(p, t->node);
    const wg_drawn *d = &p->drawn[from];
    if (wg_picture_inputs(d->node) == 0) {
        return;
    }
    place here = place_of("out", number);
    const char *name = name_of(d->node, o);
    wg_str_addf(s, "    %s [label=\"", here.id);
    add_text(s, name ? name : "output");
    add_line(s, "\n", &d->value);
    wg_str_add(s, "\", style=filled, fillcolor=\"#d5f0d8\"];\n");
    add_forward(s, place_of("n", from), here, &d->value);
    add_back(s, here, place_of("n", from), &d->grad, NULL);
}

/* Ops on the longest way through the graph. Operands stand before what is made of them. */
static size_t depth_of(const wg_picture *p) {
    size_t *depth = wg_mem_zalloc((p->n + 1) * sizeof *depth), deepest = 0;
    for (size_t i = 0; depth && i < p->n; i++) {
        const wg_node *n = p->drawn[i].node;
        for (int k = 0; k < wg_picture_inputs(n); k++) {
            size_t in = depth[wg_picture_find(p, n->in[k])] + 1;
            depth[i] = in > depth[i] ? in : depth[i];
        }
        deepest = depth[i] > deepest ? depth[i] : deepest;
    }
    wg_mem_free(depth);
    return deepest;
}

/* Short graphs are read from left to right, long ones down the page. */
enum { SHORT = 6 };

static void add_graph(wg_str *s, const wg_picture *p, wg_tensor *const *tensors, size_t n, const wg_dot_opts *o) {
    bool across = depth_of(p) <= SHORT;
    wg_str_addf(s, "digraph wengert {\n    rankdir=%s; nodesep=0.5; ranksep=%s;\n", across ? "LR" : "TB",
                across ? "0.7" : "0.35");
    wg_str_add(s, "    node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica\", fontsize=12];\n"
                  "    edge [fontname=\"Helvetica\", fontsize=11];\n");
    for (size_t i = 0; i < p->n; i++) {
        add_node(s, p, i, o);
    }
    for (size_t i = 0; i < p->n; i++) {
        add_edges(s, p, i);
    }
    for (size_t i = 0; i < n; i++) {
        add_output(s, p, tensors[i], i, o);
    }
    wg_str_add(s, "}\n");
}

static wg_status write_picture(wg_picture *p, wg_tensor *const *tensors, size_t n, const wg_dot_opts *o, FILE *out) {
    wg_graph *g = p->graph;
    wg_str text = {0};
    add_graph(&text, p, tensors, n, o);
    if (text.failed) {
        wg_fail(g, WG_ERR_NOMEM, "graph_dot: out of host memory");
    } else if (fwrite(text.data, 1, text.len, out) != text.len || fflush(out) != 0) {
        wg_fail(g, WG_ERR_IO, "graph_dot: writing %zu bytes failed", text.len);
    }
    wg_str_free(&text);
    return g->err.status;
}

wg_status wg_graph_dot(wg_tensor *const *tensors, size_t n, const wg_dot_opts *opts, FILE *out) {
    wg_graph *g = NULL;
    wg_dot_opts o = opts ? *opts : wg_dot_defaults();
    if (!tensors || n == 0 || !wg_check("graph_dot", &g, tensors, (int)n)) {
        return g && g->err.status != WG_OK ? g->err.status : WG_ERR_ARG;
    }
    if (!out || (o.nnamed > 0 && (!o.named || !o.names))) {
        wg_fail(g, WG_ERR_ARG, "graph_dot: the %s NULL", out ? "names are" : "file is");
        return WG_ERR_ARG;
    }
    wg_err before = g->err; /* the walk tells from the context's error whether it failed */
    g->err = (wg_err){0};
    wg_picture p;
    bool ok = wg_picture_collect(&p, tensors, n);
    ok = ok && (o.no_values || wg_picture_evaluate(&p, tensors, n, o.elements));
    wg_status status = ok ? write_picture(&p, tensors, n, &o, out) : g->err.status;
    wg_picture_free(&p);
    if (before.status != WG_OK) {
        wg_err_clear(&g->err);
        g->err = before;
    }
    return status;
}
