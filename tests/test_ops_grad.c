/* label: ops */
/* timeout: 300 */
/* host: too */
/* device: slow */
/*
 * Gradients of first and second order of every differentiable op of the table against finite differences, in f64, over
 * broadcast, strided, scalar and empty operands; and that such a check can fail.
 *
 * All parts of one op, its cases and layouts, are joined into one function, so that an op costs a handful of kernels.
 */
#include "harness/check.h"
#include "harness/op_table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

enum { MOST_PARTS = 32, SMALL = 40 };

/* One application of the op: operands that take part in the check come from the inputs, others are fixed. */
typedef struct part {
    int variant;
    layout lay;
    wg_shape want[OP_MAX_ARITY];
    wg_tensor *fixed[OP_MAX_ARITY];
} part;

typedef struct probe {
    const op *o;
    wg_ctx *ctx;
    int parts, inputs;
    part part[MOST_PARTS];
    wg_tensor *input[MOST_PARTS * OP_MAX_ARITY];
} probe;

static wg_tensor *joined(wg_tensor *const *inputs, size_t n, void *user) {
    probe *p = user;
    wg_tensor *out[MOST_PARTS];
    size_t used = 0;
    for (int k = 0; k < p->parts; k++) {
        part *q = &p->part[k];
        wg_tensor *x[OP_MAX_ARITY];
        for (int j = 0; j < p->o->arity; j++) {
            x[j] = q->fixed[j] ? q->fixed[j] : layout_apply(inputs[used++], q->want[j], q->lay);
        }
        out[k] = wg_flatten(p->o->build(p->ctx, x, q->variant), 0, -1);
    }
    (void)n;
    return p->parts == 1 ? out[0] : wg_cat(out, (size_t)p->parts, 0);
}

static bool finite_nd(const nd *a) {
    for (int64_t k = 0; k < a->n; k++) {
        if (!isfinite(nd_f(a, k))) {
            return false;
        }
    }
    return true;
}

static void add_part(probe *p, int variant, const wg_shape *shapes, layout lay, rng *r) {
    const op *o = p->o;
    part *q = &p->part[p->parts];
    nd base[OP_MAX_ARITY], seen[OP_MAX_ARITY];
    for (int j = 0; j < o->arity; j++) {
        bool index = o->indices >> j & 1;
        layout l = index || op_operand_dtype(o, j, WG_F64) == WG_BOOL ? LAY_CONTIGUOUS : lay;
        q->want[j] = shapes[j];
        base[j] = nd_new(op_operand_dtype(o, j, WG_F64), layout_base(shapes[j], l));
        if (index) {
            gen_index(&base[j], o->cases[variant].limit, r);
        } else {
            gen_fill(&base[j], o->grad_dom[j], r);
        }
        seen[j] = layout_apply_nd(base[j], shapes[j], l);
        if (seen[j].n > SMALL || base[j].n > 4 * SMALL) {
            return;
        }
    }
    nd want = op_ref(o, seen, variant);
    if (!finite_nd(&want)) {
        return; /* the mean of nothing */
    }
    q->variant = variant;
    q->lay = lay;
    for (int j = 0; j < o->arity; j++) {
        wg_tensor *t = nd_tensor(p->ctx, base[j]);
        if (base[j].f) {
            p->input[p->inputs++] = wg_param(t);
            q->fixed[j] = NULL;
        } else {
            q->fixed[j] = t;
        }
    }
    p->parts++;
}

static void elementwise_parts(probe *p, rng *r) {
    static const wg_shape shapes[][OP_MAX_ARITY] = {
        {SH(2, 2, 3), SH(2, 2, 3), SH(2, 2, 3)}, {SH(2, 3, 1), SH(1, 2), SH(2, 3, 2)}, {SCALAR, SCALAR, SCALAR},
        {SH(2, 0, 2), SH(1, 2), SCALAR},         {SH(1, 3), SH(3, 2, 1, 3), SH(1, 1)},
    };
    for (int v = 0; v < p->o->variants; v++) {
        for (int s = 0; s < (v ? 1 : COUNT(shapes)); s++) {
            add_part(p, v, shapes[s], LAY_CONTIGUOUS, r);
        }
    }
    for (int l = 1; l < LAY_COUNT; l++) {
        add_part(p, 0, shapes[0], (layout)l, r);
    }
}

static void structured_parts(probe *p, rng *r) {
    for (int v = 0; v < p->o->variants && p->parts < MOST_PARTS; v++) {
        add_part(p, v, p->o->cases[v].in, v % 2 && !p->o->indices ? (layout)(v % LAY_COUNT) : LAY_CONTIGUOUS, r);
    }
}

/* First and second order over all parts; if that fails, part by part, to name the one. */
static bool check(probe *p, const char *name) {
    wg_status first = wg_gradcheck(joined, p->input, (size_t)p->inputs, p, NULL);
    char text[300];
    snprintf(text, sizeof text, "%s", wg_error(p->ctx));
    wg_error_take(p->ctx, NULL, 0);
    cr_expect(first == WG_OK, "gradcheck of %s: %s: %s", name, wg_status_name(first), text);
    wg_status second = wg_gradgradcheck(joined, p->input, (size_t)p->inputs, p, NULL);
    snprintf(text, sizeof text, "%s", wg_error(p->ctx));
    wg_error_take(p->ctx, NULL, 0);
    cr_expect(second == WG_OK, "gradgradcheck of %s: %s: %s", name, wg_status_name(second), text);
    return first == WG_OK && second == WG_OK;
}

static void check_one(wg_ctx *ctx, const op *o) {
    static probe all, one;
    rng r = rng_seed(o->name, 7);
    memset(&all, 0, sizeof all);
    all.o = o;
    all.ctx = ctx;
    if (o->cases) {
        structured_parts(&all, &r);
    } else {
        elementwise_parts(&all, &r);
    }
    cr_assert(all.parts > 0 && all.inputs > 0, "%s: nothing to check", o->name);
    if (check(&all, o->name)) {
        return;
    }
    for (int k = 0, used = 0; k < all.parts; k++) {
        char name[100];
        one = all;
        one.parts = 1;
        one.inputs = 0;
        one.part[0] = all.part[k];
        for (int j = 0; j < o->arity; j++) {
            if (!all.part[k].fixed[j]) {
                one.input[one.inputs++] = all.input[used++];
            }
        }
        snprintf(name, sizeof name, "%s/%d of %s %s", o->name, one.part[0].variant, shape_text(one.part[0].want[0]),
                 layout_name(one.part[0].lay));
        check(&one, name);
    }
}

static int check_family(const op *ops, int from, int step) {
    wg_ctx *ctx = open_ctx();
    int done = 0;
    for (int k = 0; ops[k].name; k++) {
        if (k % step == from && (ops[k].flags & OP_DIFF)) {
            WG_SCOPE(ctx) { check_one(ctx, &ops[k]); }
            done++;
        }
    }
    close_ok(ctx);
    return done;
}

Test(gradcheck, unary_even) { cr_expect(check_family(ops_unary, 0, 2) >= 11); }
Test(gradcheck, unary_odd) { cr_expect(check_family(ops_unary, 1, 2) >= 11); }
Test(gradcheck, binary) { cr_expect(check_family(ops_binary, 0, 1) == 8); }
Test(gradcheck, reductions) { cr_expect(check_family(ops_reduce, 0, 1) == 8); }
Test(gradcheck, views) { cr_expect(check_family(ops_move, 0, 1) == 12); }
Test(gradcheck, indexing) { cr_expect(check_family(ops_index, 0, 1) == 5); }
Test(gradcheck, contractions) { cr_expect(check_family(ops_contract, 0, 1) == 3); }
Test(gradcheck, losses_and_norms) { cr_expect(check_family(ops_nn, 0, 1) == 8); }

/* ---- the check itself ---- */

/* x^2 with half of its gradient */
static wg_tensor *half_gradient(wg_tensor *const *x, size_t n, void *user) {
    (void)n, (void)user;
    return wg_mul(x[0], wg_detach(x[0]));
}
/* x^3 with the right gradient, 3 x^2, which is a constant to the second order: 3 c x - 2 d, c = x^2 and d = x^3 detached */
static wg_tensor *flat_gradient(wg_tensor *const *x, size_t n, void *user) {
    wg_tensor *c = wg_detach(wg_square(x[0])), *d = wg_detach(wg_mul(c, x[0]));
    (void)n, (void)user;
    return wg_sub(wg_mul_scalar(wg_mul(c, x[0]), 3), wg_mul_scalar(d, 2));
}
/* Wrong in one element only. */
static wg_tensor *one_wrong(wg_tensor *const *x, size_t n, void *user) {
    wg_tensor *head = wg_narrow(x[0], 0, 0, 2), *last = wg_narrow(x[0], 0, 2, 1);
    (void)n, (void)user;
    return wg_cat((wg_tensor *[]){wg_square(head), wg_mul(last, wg_detach(last))}, 2, 0);
}

Test(gradcheck, fails_on_wrong_gradients) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *x = wg_param(wg_from_f64(ctx, (double[]){0.7, -1.3, 2.1}, WG_SHAPE(3)));
    cr_expect_eq(wg_gradcheck(half_gradient, &x, 1, NULL, NULL), WG_ERR_GRAPH);
    expect_error(ctx, WG_ERR_GRAPH, "half of the gradient", (char *)NULL);
    cr_expect_eq(wg_gradcheck(one_wrong, &x, 1, NULL, NULL), WG_ERR_GRAPH);
    expect_error(ctx, WG_ERR_GRAPH, "one element", (char *)NULL);
    cr_expect_eq(wg_gradcheck(flat_gradient, &x, 1, NULL, NULL), WG_OK);
    cr_expect_eq(wg_gradgradcheck(flat_gradient, &x, 1, NULL, NULL), WG_ERR_GRAPH);
    expect_error(ctx, WG_ERR_GRAPH, "no second order", (char *)NULL);
    EXPECT_VALUES(x, 0.7, -1.3, 2.1);
    cr_expect(!wg_has_grad(x) && wg_requires_grad(x));
    close_ok(ctx);
}
