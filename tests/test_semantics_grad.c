/* label: unit */
/* timeout: 300 */
/* host: too */
/*
 * Gradients: what is accumulated when, what is released, what records and what does not.
 */
#include "harness/check.h"

#include <math.h>

static wg_tensor *param(wg_ctx *ctx, float a, float b) {
    return wg_param(wg_from_f32(ctx, (float[]){a, b}, WG_SHAPE(2)));
}
static wg_tensor *total(wg_tensor *t) { return wg_sum(t, NULL, 0, false); }

/* Wrong: NULL or an error when there is no gradient. */
Test(grad, is_zeros_when_there_is_none) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = wg_param(wg_from_f64(ctx, (double[]){1, 2, 3}, WG_SHAPE(3, 1)));
    cr_expect(!wg_has_grad(w) && wg_requires_grad(w) && wg_is_leaf(w));
    wg_tensor *g = wg_grad(w);
    cr_assert_not_null(g);
    cr_expect(wg_dtype_of(g) == WG_F64 && wg_rank(g) == 2);
    EXPECT_VALUES(g, 0, 0, 0);
    close_ok(ctx);
}

/* Wrong: wg_grad lends the accumulator, so that it changes with the next backward. */
Test(grad, is_a_snapshot_and_accumulates) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = param(ctx, 1, 2);
    wg_backward(total(wg_mul_scalar(w, 3)));
    wg_tensor *first = wg_grad(w);
    wg_backward(total(wg_square(w)));
    wg_tensor *second = wg_grad(w);
    wg_zero_grad(w);
    cr_expect(!wg_has_grad(w));
    wg_tensor *none = wg_grad(w);
    wg_backward(total(w));
    EXPECT_VALUES(first, 3, 3);
    EXPECT_VALUES(second, 5, 7);
    EXPECT_VALUES(none, 0, 0);
    EXPECT_VALUES(wg_grad(w), 1, 1);
    close_ok(ctx);
}

/* Accumulated over scopes, each step's gradients running at its close. */
Test(grad, accumulates_across_scopes) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = param(ctx, 1, 2);
    for (int k = 1; k <= 3; k++) {
        WG_SCOPE(ctx) { wg_backward(total(wg_mul_scalar(wg_square(w), k))); }
    }
    cr_expect(wg_has_grad(w));
    uint64_t before = stat_launches(ctx);
    EXPECT_VALUES(wg_grad(w), 12, 24);
    cr_expect_leq(stat_launches(ctx) - before, 1, "gradients were not run at the close");
    close_ok(ctx);
}

/* Wrong: a gradient that was dropped before it ran is computed all the same. */
Test(grad, dropped_never_runs) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = param(ctx, 1, 2);
    uint64_t before = stat_launches(ctx);
    WG_SCOPE(ctx) {
        wg_backward(total(wg_exp(w)));
        cr_expect(wg_has_grad(w));
        wg_zero_grad(w);
    }
    cr_expect_eq(stat_launches(ctx), before, "a dropped gradient was computed");
    EXPECT_VALUES(wg_grad(w), 0, 0);
    close_ok(ctx);
}

/* Wrong: adding the contributions one by one to the previous gradient; 2^24 + 1 + 1 is 2^24 in f32, 2^24 + (1 + 1) is not. */
Test(grad, previous_one_is_added_last) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = param(ctx, 1, 2);
    wg_backward(total(wg_mul_scalar(w, 16777216)));
    WG_SCOPE(ctx) { wg_backward(total(wg_add(wg_mul_scalar(w, 1), wg_neg(wg_mul_scalar(w, -1))))); }
    EXPECT_VALUES(wg_grad(w), 16777218, 16777218);
    close_ok(ctx);
}

/* Wrong: the gradient is taken at the value the leaf has when it runs. */
Test(grad, is_of_the_value_at_recording) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = param(ctx, 1, 2);
    WG_SCOPE(ctx) {
        wg_tensor *loss = total(wg_square(w));
        wg_assign(w, wg_mul_scalar(w, 50));
        wg_backward(loss);
    }
    EXPECT_VALUES(wg_grad(w), 2, 4);
    EXPECT_VALUES(w, 50, 100);
    cr_expect(wg_requires_grad(w) && wg_is_leaf(w), "an assignment made a parameter something else");
    close_ok(ctx);
}

/* Wrong: no_grad is global, or forgotten by inner scopes, or left on when its scope closes. */
Test(no_grad, belongs_to_the_scope) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = param(ctx, 1, 2);
    WG_SCOPE(ctx) {
        cr_expect_eq(wg_no_grad(ctx, true), false);
        cr_expect(!wg_requires_grad(wg_square(w)));
        WG_SCOPE(ctx) {
            cr_expect(!wg_requires_grad(wg_square(w)), "an inner scope does not inherit");
            cr_expect_eq(wg_no_grad(ctx, false), true);
            cr_expect(wg_requires_grad(wg_square(w)));
        }
        cr_expect(!wg_requires_grad(wg_square(w)), "an inner scope's setting leaked out");
        cr_expect(wg_requires_grad(w), "a leaf stays a parameter");
    }
    cr_expect(wg_requires_grad(wg_square(w)), "no_grad outlived its scope");
    wg_tensor *mixed = NULL;
    WG_SCOPE(ctx) { /* read when recording, not when running back */
        wg_tensor *with = wg_square(w);
        wg_no_grad(ctx, true);
        wg_tensor *without = wg_square(w);
        wg_no_grad(ctx, false);
        mixed = total(wg_add(with, without));
        wg_backward(mixed);
    }
    EXPECT_VALUES(wg_grad(w), 2, 4);
    close_ok(ctx);
}

Test(detach, cuts_the_graph) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = param(ctx, 3, -2), *d = wg_detach(w);
    cr_expect(!wg_requires_grad(d) && wg_is_leaf(d));
    cr_expect(!wg_is_leaf(wg_square(w)) && wg_requires_grad(wg_square(w)));
    wg_backward(total(wg_mul(w, wg_square(wg_detach(w)))));
    EXPECT_VALUES(wg_grad(w), 9, 4);
    wg_tensor *p = wg_param(wg_mul_scalar(w, 2));
    cr_expect(wg_is_leaf(p) && wg_requires_grad(p));
    wg_backward(total(wg_square(p)));
    EXPECT_VALUES(wg_grad(p), 12, -8);
    EXPECT_VALUES(wg_grad(w), 9, 4);
    cr_expect_eq(wg_set_requires_grad(p, false), WG_OK);
    cr_expect(!wg_requires_grad(wg_square(p)));
    cr_expect_eq(wg_set_requires_grad(wg_square(w), false), WG_ERR_GRAPH);
    expect_error(ctx, WG_ERR_GRAPH, "set_requires_grad of what an op made", (char *)NULL);
    close_ok(ctx);
}

/* Wrong: a second backward accumulates again, or crashes. */
Test(backward, releases_the_graph) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = param(ctx, 1, 2), *y = wg_square(w), *loss = total(y), *g = NULL;
    cr_expect_eq(wg_backward(loss), WG_OK);
    cr_expect_eq(wg_backward(loss), WG_ERR_GRAPH);
    expect_error(ctx, WG_ERR_GRAPH, "second backward", "backward", (char *)NULL);
    cr_expect_eq(wg_gradients(&loss, 1, &w, 1, &g, NULL), WG_ERR_GRAPH);
    cr_expect_null(g);
    expect_error(ctx, WG_ERR_GRAPH, "gradients after backward", (char *)NULL);
    EXPECT_VALUES(wg_grad(w), 2, 4);
    EXPECT_VALUES(y, 1, 4);
    close_ok(ctx);
}

Test(backward, retain_graph) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = param(ctx, 1, 2), *loss = total(wg_square(w));
    wg_backward_opts o = wg_backward_defaults();
    cr_expect(!o.grad && !o.retain_graph && !o.create_graph);
    o.retain_graph = true;
    cr_expect_eq(wg_backward_with(loss, &o), WG_OK);
    EXPECT_VALUES(wg_grad(w), 2, 4);
    cr_expect_eq(wg_backward_with(loss, &o), WG_OK);
    EXPECT_VALUES(wg_grad(w), 4, 8);
    cr_expect_eq(wg_backward_with(loss, NULL), WG_OK);
    cr_expect_eq(wg_backward(loss), WG_ERR_GRAPH);
    expect_error(ctx, WG_ERR_GRAPH, "after the last", (char *)NULL);
    EXPECT_VALUES(wg_grad(w), 6, 12);
    close_ok(ctx);
}

Test(backward, with_a_given_gradient) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = param(ctx, 1, 2);
    wg_backward_opts o = wg_backward_defaults();
    o.grad = wg_from_f32(ctx, (float[]){10, -1}, WG_SHAPE(2));
    cr_expect_eq(wg_backward_with(wg_square(w), &o), WG_OK);
    EXPECT_VALUES(wg_grad(w), 20, -4);
    cr_expect_eq(wg_backward(wg_reshape(total(wg_square(w)), WG_SHAPE(1, 1))), WG_OK);
    EXPECT_VALUES(wg_grad(w), 22, 0);
    cr_expect_eq(wg_backward(wg_square(w)), WG_ERR_SHAPE);
    expect_error(ctx, WG_ERR_SHAPE, "two elements", "backward", "[2]", (char *)NULL);
    o.grad = wg_ones(ctx, WG_F32, WG_SHAPE(3));
    cr_expect_eq(wg_backward_with(wg_square(w), &o), WG_ERR_SHAPE);
    expect_error(ctx, WG_ERR_SHAPE, "a gradient of another shape", "[3]", "[2]", (char *)NULL);
    EXPECT_VALUES(wg_grad(w), 22, 0);
    cr_expect_eq(wg_backward(total(wg_ones(ctx, WG_F32, WG_SHAPE(3)))), WG_ERR_GRAPH);
    expect_error(ctx, WG_ERR_GRAPH, "nothing requires grad", (char *)NULL);
    close_ok(ctx);
}

/* The same leaf by many ways, and a value used by two branches: contributions add up, each once. */
Test(backward, through_a_diamond) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = param(ctx, 1, 2), *y = wg_square(w), *a = wg_mul_scalar(y, 3), *b = wg_mul(y, a);
    wg_backward(total(wg_add(wg_add(a, b), wg_sub(y, w)))); /* 3w^2 + 3w^4 + w^2 - w */
    EXPECT_VALUES(wg_grad(w), 19, 111);
    wg_tensor *v = param(ctx, 1, 1);
    for (int k = 0; k < 30; k++) {
        y = k ? wg_add(y, y) : v; /* 2^29 paths */
    }
    wg_backward(total(y));
    EXPECT_VALUES(wg_grad(v), 536870912, 536870912);
    close_ok(ctx);
}

/* ---- wg_gradients ---- */

Test(gradients, of_several_outputs_touch_no_leaf) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *a = param(ctx, 1, 2), *b = param(ctx, 3, 4), *mid = wg_mul(a, b);
    wg_tensor *outs[] = {wg_square(mid), total(wg_add(a, mid))}, *ins[] = {a, b, mid}, *g[3];
    wg_gradients_opts o = wg_gradients_defaults();
    wg_tensor *given[] = {wg_from_f32(ctx, (float[]){1, 0.5f}, WG_SHAPE(2)), NULL};
    o.grad_outputs = given;
    o.retain_graph = true;
    cr_assert_eq(wg_gradients(outs, 2, ins, 3, g, &o), WG_OK, "%s", wg_error(ctx));
    /* d mid = 2 mid * given + 1 = (7, 9); d a = d mid * b + 1; d b = d mid * a */
    EXPECT_VALUES(g[2], 7, 9);
    EXPECT_VALUES(g[0], 22, 37);
    EXPECT_VALUES(g[1], 7, 18);
    cr_expect(!wg_has_grad(a) && !wg_has_grad(b));
    cr_assert_eq(wg_gradients(outs + 1, 1, ins, 3, g, NULL), WG_OK, "%s", wg_error(ctx));
    EXPECT_VALUES(g[2], 1, 1);
    EXPECT_VALUES(g[0], 4, 5);
    close_ok(ctx);
}

Test(gradients, of_unused_inputs) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *a = param(ctx, 1, 2), *b = param(ctx, 3, 4), *ins[] = {a, b}, *loss = total(wg_square(a));
    wg_tensor *g[] = {a, a};
    wg_gradients_opts o = wg_gradients_defaults();
    cr_expect(!o.grad_outputs && !o.retain_graph && !o.create_graph && !o.allow_unused);
    o.retain_graph = true;
    cr_expect_eq(wg_gradients(&loss, 1, ins, 2, g, &o), WG_ERR_GRAPH);
    cr_expect(!g[0] && !g[1], "on error all are NULL");
    expect_error(ctx, WG_ERR_GRAPH, "unused", "gradients", (char *)NULL);
    o.allow_unused = true;
    cr_expect_eq(wg_gradients(&loss, 1, ins, 2, g, &o), WG_OK);
    EXPECT_VALUES(g[0], 2, 4);
    EXPECT_VALUES(g[1], 0, 0);
    close_ok(ctx);
}

/* x^3: 3x^2, 6x, 6, then zero. */
Test(create_graph, gives_higher_derivatives) {
    wg_ctx *ctx = open_ctx();
    const double want[][2] = {{12, 27}, {12, -18}, {6, 6}};
    wg_tensor *x = param(ctx, 2, -3), *y = wg_mul(wg_mul(x, x), x), *g = NULL;
    wg_gradients_opts o = wg_gradients_defaults();
    o.create_graph = true;
    for (int order = 0; order < 3; order++) {
        wg_tensor *out = total(y);
        cr_assert_eq(wg_gradients(&out, 1, &x, 1, &g, &o), WG_OK, "order %d: %s", order + 1, wg_error(ctx));
        cr_expect(order == 2 || wg_requires_grad(g), "order %d does not require grad", order + 1);
        expect_values(g, want[order], 2, "derivative");
        y = g;
    }
    close_ok(ctx);
}

/* Wrong: gradients require grad without being asked to. */
Test(create_graph, is_off_by_default) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *x = param(ctx, 2, -3), *out = total(wg_square(x)), *g = NULL;
    cr_expect_eq(wg_gradients(&out, 1, &x, 1, &g, NULL), WG_OK);
    cr_expect(!wg_requires_grad(g));
    cr_expect(!wg_requires_grad(wg_grad(x)));
    close_ok(ctx);
}

/* A gradient penalty: d/dw |d f/dx|^2 through wg_gradients, then an ordinary backward. */
Test(create_graph, then_backward) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = param(ctx, 2, 3), *x = param(ctx, 5, -1), *g = NULL;
    wg_gradients_opts o = wg_gradients_defaults();
    o.create_graph = true;
    wg_tensor *f = total(wg_mul(w, wg_square(x))); /* df/dx = 2wx; penalty sum 4 w^2 x^2; d/dw 8 w x^2; d/dx 8 w^2 x */
    cr_expect_eq(wg_gradients(&f, 1, &x, 1, &g, &o), WG_OK);
    cr_expect_eq(wg_backward(total(wg_square(g))), WG_OK);
    EXPECT_VALUES(wg_grad(w), 400, 24);
    EXPECT_VALUES(wg_grad(x), 160, -72);
    close_ok(ctx);
}

/* create_graph of wg_backward keeps the graph; the accumulated gradient is of first order. */
Test(create_graph, of_backward_implies_retain) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *x = param(ctx, 2, -3), *loss = total(wg_square(x));
    wg_backward_opts o = wg_backward_defaults();
    o.create_graph = true;
    cr_expect_eq(wg_backward_with(loss, &o), WG_OK);
    cr_expect_eq(wg_backward(loss), WG_OK);
    EXPECT_VALUES(wg_grad(x), 8, -12);
    close_ok(ctx);
}

/* Saved values outlive their use in a demand, until the backward ran: a read of the loss first, then the gradient. */
Test(backward, after_the_forward_ran) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = param(ctx, 1, 2);
    for (int k = 0; k < 2; k++) {
        WG_SCOPE(ctx) {
            wg_tensor *h = wg_exp(wg_mul_scalar(w, 0)), *loss = total(wg_mul(h, wg_square(w)));
            cr_expect_eq(wg_item(loss), 5);
            wg_backward(loss);
            wg_tensor *g = wg_grad(w);
            EXPECT_VALUES(g, 2, 4);
            wg_zero_grad(w);
        }
    }
    close_ok(ctx);
}
