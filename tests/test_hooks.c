/* label: unit */
/* timeout: 300 */
/* host: too */
/*
 * Gradient hooks: what they see, when, in which order, what becomes of what they return, and what they may not do.
 */
#include "harness/check.h"

#include <math.h>
#include <string.h>

static wg_tensor *total(wg_tensor *t) { return wg_sum(t, NULL, 0, false); }
static wg_tensor *param(wg_ctx *ctx, double a, double b) {
    return wg_param(wg_from_f64(ctx, (double[]){a, b}, WG_SHAPE(2)));
}

/* What hooks saw, one line each. */
typedef struct diary {
    char text[400];
} diary;
typedef struct note {
    diary *into;
    const char *name;
    double factor; /* 0: returns NULL */
} note;

static wg_tensor *look(wg_tensor *grad, void *user) {
    note *n = user;
    double g[2] = {NAN, NAN};
    size_t at = strlen(n->into->text);
    cr_expect_eq(wg_read(grad, g, sizeof g), WG_OK, "%s", wg_error(wg_context(grad)));
    snprintf(n->into->text + at, sizeof n->into->text - at, "%s %g %g; ", n->name, g[0], g[1]);
    return n->factor != 0 ? wg_mul_scalar(grad, n->factor) : NULL;
}

#define EXPECT_DIARY(d, want)                                                                                          \
    do {                                                                                                               \
        cr_expect_str_eq((d).text, want, "\"%s\"", (d).text);                                                          \
        (d).text[0] = '\0';                                                                                            \
    } while (0)

/* Wrong: hooks in another order, before the gradient is complete, or after the tensor passed it on. */
Test(hooks, order_and_replacement) {
    wg_ctx *ctx = open_ctx();
    diary d = {""};
    note on_p = {&d, "p", 0}, on_h = {&d, "h", 10}, again = {&d, "h2", 0.5}, on_y = {&d, "y", 0};
    wg_tensor *p = param(ctx, 1, 2);
    cr_expect_neq(wg_register_hook(p, look, &on_p), 0);
    WG_SCOPE(ctx) {
        wg_tensor *h = wg_mul_scalar(p, 3);
        cr_expect_neq(wg_register_hook(h, look, &on_h), wg_register_hook(h, look, &again));
        wg_tensor *y = wg_add(wg_mul_scalar(h, 2), h); /* h has two consumers: 2 + 1 */
        wg_register_hook(y, look, &on_y);
        cr_expect_eq(wg_backward(total(y)), WG_OK, "%s", wg_error(ctx));
        EXPECT_DIARY(d, "y 1 1; h 3 3; h2 30 30; p 45 45; ");
        EXPECT_VALUES(wg_grad(p), 45, 45);
    }
    close_ok(ctx);
}

/* A leaf's hook sees what this backward found, not the sum with what was there; it stays when the leaf is assigned to. */
Test(hooks, leaf) {
    wg_ctx *ctx = open_ctx();
    diary d = {""};
    note on_p = {&d, "p", 2};
    wg_tensor *p = param(ctx, 1, 2);
    uint64_t hook = wg_register_hook(p, look, &on_p);
    WG_SCOPE(ctx) { wg_backward(total(wg_square(p))); }
    EXPECT_DIARY(d, "p 2 4; ");
    WG_SCOPE(ctx) { wg_assign(p, wg_mul_scalar(p, 10)); }
    WG_SCOPE(ctx) { wg_backward(total(wg_square(p))); }
    EXPECT_DIARY(d, "p 20 40; ");
    EXPECT_VALUES(wg_grad(p), 44, 88);
    cr_expect_eq(wg_remove_hook(p, hook), WG_OK);
    cr_expect_eq(wg_remove_hook(p, hook), WG_ERR_ARG);
    expect_error(ctx, WG_ERR_ARG, "twice", "remove_hook", "[2]", NULL);
    WG_SCOPE(ctx) { wg_backward(total(p)); }
    EXPECT_DIARY(d, "");
    EXPECT_VALUES(wg_grad(p), 45, 89);
    close_ok(ctx);
}

/* In wg_gradients too, each time, and for leaves and others alike what is handed out is what the hook returned. */
Test(hooks, gradients) {
    wg_ctx *ctx = open_ctx();
    WG_SCOPE(ctx) {
        diary d = {""};
        note on_p = {&d, "p", -1}, on_h = {&d, "h", 2}, on_out = {&d, "out", 3};
        wg_tensor *p = param(ctx, 1, 2), *h = wg_square(p), *y = total(h), *unused = wg_exp(p), *g[2];
        wg_register_hook(p, look, &on_p);
        wg_register_hook(h, look, &on_h);
        wg_register_hook(unused, look, &on_out);
        wg_gradients_opts o = {.retain_graph = true};
        for (int k = 0; k < 2; k++) {
            cr_expect_eq(wg_gradients(&y, 1, (wg_tensor *[]){h, p}, 2, g, &o), WG_OK, "%s", wg_error(ctx));
            EXPECT_VALUES(g[0], 2, 2);
            EXPECT_VALUES(g[1], -4, -8);
            EXPECT_DIARY(d, "h 1 1; p 4 8; ");
        }
        cr_expect(!wg_has_grad(p));
    }
    close_ok(ctx);
}

static wg_tensor *lazy(wg_tensor *grad, void *user) {
    (void)user;
    return wg_clamp(grad, -1, 1);
}

/* Wrong: a hook that makes the library run something. */
Test(hooks, stay_lazy) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *p = param(ctx, 1, -200);
    wg_register_hook(p, lazy, NULL);
    WG_SCOPE(ctx) {
        uint64_t before = stat_launches(ctx);
        wg_backward(total(wg_square(p)));
        cr_expect_eq(stat_launches(ctx), before);
        EXPECT_VALUES(wg_grad(p), 1, -1);
    }
    close_ok(ctx);
}

static wg_tensor *squared(wg_tensor *grad, void *user) {
    (void)user;
    return wg_square(grad);
}

/* With create_graph what a hook does is differentiated as well: (3 x^2)^2, and 36 x^3. */
Test(hooks, of_higher_order) {
    wg_ctx *ctx = open_ctx();
    WG_SCOPE(ctx) {
        wg_tensor *p = param(ctx, 0.5, -1.5), *x = wg_mul_scalar(p, 1), *y = total(wg_mul(x, wg_square(x))), *g, *gg;
        uint64_t hook = wg_register_hook(x, squared, NULL);
        wg_gradients_opts o = {.create_graph = true};
        cr_expect_eq(wg_gradients(&y, 1, &x, 1, &g, &o), WG_OK, "%s", wg_error(ctx));
        EXPECT_VALUES(g, 0.5625, 45.5625);
        cr_expect_eq(wg_remove_hook(x, hook), WG_OK);
        wg_tensor *sum = total(g);
        cr_expect_eq(wg_gradients(&sum, 1, &p, 1, &gg, NULL), WG_OK, "%s", wg_error(ctx));
        EXPECT_VALUES(gg, 4.5, -121.5);
    }
    close_ok(ctx);
}

/* ---- hooks that change the list they are on ---- */

typedef struct editor {
    diary *into;
    wg_tensor *t;
    uint64_t mine, other;
    int adds;
} editor;

static wg_tensor *edit(wg_tensor *grad, void *user) {
    editor *e = user;
    static note late;
    late = (note){e->into, "late", 0};
    size_t at = strlen(e->into->text);
    snprintf(e->into->text + at, sizeof e->into->text - at, "edit; ");
    cr_expect_eq(wg_remove_hook(e->t, e->mine), WG_OK);
    cr_expect_eq(wg_remove_hook(e->t, e->other), WG_OK);
    for (int k = 0; k < e->adds; k++) {
        cr_expect_neq(wg_register_hook(e->t, look, &late), 0);
    }
    (void)grad;
    return NULL;
}

/* Hooks added by a hook are for the next time, hooks it removes are gone at once. */
Test(hooks, change_their_list) {
    wg_ctx *ctx = open_ctx();
    diary d = {""};
    wg_tensor *p = param(ctx, 1, 2);
    note gone = {&d, "gone", 0}, last = {&d, "last", 0};
    editor e = {.into = &d, .t = p, .adds = 9};
    e.mine = wg_register_hook(p, edit, &e);
    e.other = wg_register_hook(p, look, &gone);
    wg_register_hook(p, look, &last);
    WG_SCOPE(ctx) { wg_backward(total(p)); }
    EXPECT_DIARY(d, "edit; last 1 1; ");
    WG_SCOPE(ctx) { wg_backward(total(p)); }
    cr_expect(strncmp(d.text, "last 1 1; late 1 1; late", 24) == 0, "%s", d.text);
    close_ok(ctx);
}

/* ---- inside a checkpoint ---- */

static wg_tensor *hooked(wg_tensor *const *in, size_t n, void *user) {
    wg_tensor *h = wg_mul_scalar(in[0], 3);
    (void)n;
    if (wg_requires_grad(h)) {
        wg_register_hook(h, look, user);
    }
    return wg_square(h);
}

Test(hooks, on_and_inside_checkpoints) {
    wg_ctx *ctx = open_ctx();
    WG_SCOPE(ctx) {
        diary d = {""};
        note inside = {&d, "inside", 2}, on = {&d, "on", 5}, on_p = {&d, "p", 0};
        wg_tensor *p = param(ctx, 1, 2), *y = wg_checkpoint(hooked, &p, 1, &inside);
        wg_register_hook(p, look, &on_p);
        wg_register_hook(y, look, &on);
        cr_expect_eq(wg_backward(total(y)), WG_OK, "%s", wg_error(ctx));
        EXPECT_DIARY(d, "on 1 1; inside 30 60; p 180 360; ");
    }
    close_ok(ctx);
}

/* ---- what may not be ---- */

enum { WIDER, OTHER_DTYPE, FOREIGN, FAILS, NESTED, CLOSES, FREES, KINDS };
typedef struct misdeed {
    int kind;
    wg_tensor *p, *foreign;
    wg_mark mark;
} misdeed;

static wg_tensor *misbehave(wg_tensor *grad, void *user) {
    misdeed *m = user;
    switch (m->kind) {
    case WIDER:
        return wg_expand(grad, WG_SHAPE(3, 2));
    case OTHER_DTYPE:
        return wg_cast(grad, WG_F32);
    case FOREIGN:
        return m->foreign;
    case FAILS:
        return wg_matmul(grad, wg_zeros_like(m->foreign));
    case NESTED:
        wg_backward(total(wg_square(m->p)));
        return NULL;
    case CLOSES:
        wg_scope_end(wg_context(grad), m->mark);
        return NULL;
    default:
        wg_free(grad);
        return NULL;
    }
}

/* The backward ends in the error, no leaf has changed, and the context works on. Freeing the handle is no harm. */
Test(hooks, errors) {
    static const wg_status want[KINDS] = {WG_ERR_SHAPE, WG_ERR_DTYPE, WG_ERR_ARG, WG_ERR_ARG, WG_ERR_GRAPH, WG_ERR_ARG};
    wg_ctx *ctx = open_ctx(), *other = open_ctx();
    wg_tensor *p = wg_keep(param(ctx, 1, 2));
    for (int kind = 0; kind < KINDS; kind++) {
        misdeed m = {kind, p, wg_ones(other, WG_F64, WG_SHAPE(2)), 0};
        m.mark = wg_scope_begin(ctx);
        wg_tensor *h = wg_mul_scalar(p, 2);
        cr_expect_neq(wg_register_hook(h, misbehave, &m), 0);
        cr_expect_eq(wg_backward(total(h)), want[kind], "%d: %s", kind, wg_error(ctx));
        cr_expect_eq(wg_has_grad(p), kind == FREES, "%d", kind);
        cr_expect_eq(wg_error_take(ctx, NULL, 0), want[kind], "%d", kind);
        wg_scope_end(ctx, m.mark);
        wg_zero_grad(p);
        WG_SCOPE(ctx) {
            cr_expect_eq(wg_backward(total(wg_square(p))), WG_OK, "%s", wg_error(ctx));
            EXPECT_VALUES(wg_grad(p), 2, 4);
        }
        wg_zero_grad(p);
    }
    cr_expect_eq(wg_register_hook(wg_detach(p), look, NULL), 0);
    expect_error(ctx, WG_ERR_GRAPH, "no grad", "register_hook", "[2]", "require", NULL);
    cr_expect_eq(wg_register_hook(p, NULL, NULL), 0);
    expect_error(ctx, WG_ERR_ARG, "no function", "register_hook", "NULL", NULL);
    cr_expect_eq(wg_register_hook(NULL, look, NULL), 0);
    cr_expect_eq(wg_remove_hook(NULL, 1), WG_ERR_ARG);
    cr_expect_eq(wg_remove_hook(wg_detach(p), 1), WG_ERR_ARG);
    wg_error_take(ctx, NULL, 0);
    close_ok(ctx);
    wg_error_take(other, NULL, 0);
    close_ok(other);
}
