/* label: ops */
/* host: too */
/*
 * Gradient values where finite differences cannot tell: kinks, ties, poles, bounds, repeated indices, casts. PyTorch's
 * values are the right ones.
 */
#include "harness/check.h"

#include <math.h>
#include <string.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))
enum { MOST = 6 };

typedef wg_tensor *(*function)(wg_tensor *const *x);

/* sum(fn(x)) is differentiated with respect to one or two inputs of n elements each. */
typedef struct point {
    const char *name;
    function fn;
    int n;
    double x[MOST], y[MOST];   /* y: the second input, unless the gradient for it is not given */
    double gx[MOST], gy[MOST]; /* expected */
    bool two;
    double rtol;
} point;

#define FN(name, expr)                                                                                                 \
    static wg_tensor *p_##name(wg_tensor *const *x) {                                                                  \
        wg_tensor *a = x[0], *b = x[1];                                                                                \
        (void)b;                                                                                                       \
        return expr;                                                                                                   \
    }
FN(abs, wg_abs(a))
FN(relu, wg_relu(a))
FN(sign, wg_mul(wg_sign(a), a))
FN(amax, wg_amax(a, NULL, 0, false))
FN(amin, wg_amin(a, NULL, 0, false))
FN(maximum, wg_maximum(a, b))
FN(minimum, wg_minimum(a, b))
FN(pow, wg_pow(a, b))
FN(pow0, wg_pow_scalar(a, 0))
FN(pow1, wg_pow_scalar(a, 1))
FN(pow2, wg_pow_scalar(a, 2))
FN(pow3, wg_pow_scalar(a, 3))
FN(clamp, wg_clamp(a, -1, 2))
FN(clamp_low, wg_clamp(a, 0, INFINITY))
FN(sqrt, wg_sqrt(a))
FN(log, wg_log(a))
FN(square, wg_square(a))
FN(tanh, wg_tanh(a))
FN(sigmoid, wg_sigmoid(a))
FN(gelu, wg_gelu(a))
FN(gelu_tanh, wg_gelu_tanh(a))
FN(erf, wg_erf(a))
FN(div, wg_div(a, b))
FN(where, wg_where(wg_gt_scalar(a, 0), a, b))
FN(mean, wg_mean(a, NULL, 0, false))
FN(var, wg_var(a, NULL, 0, 1, false))
FN(expand, wg_expand(a, WG_SHAPE(5, 3)))
FN(reuse, wg_add(wg_mul(a, a), a))
FN(same_twice, wg_mul(a, a))
FN(cast, wg_mul_scalar(wg_cast(wg_cast(a, WG_F64), WG_F32), 3))
FN(softmax, wg_narrow(wg_softmax(a, 0), 0, 0, 1))
FN(overlap, wg_cat(((wg_tensor *[]){wg_narrow(a, 0, 0, 2), wg_narrow(a, 0, 1, 2), a}), 3, 0))
FN(stepped, wg_mul_scalar(wg_slice(wg_flip(a, (int[]){0}, 1), 0, 0, 5, 2), 4))
FN(comparison, wg_mul(wg_cast(wg_lt(a, b), WG_F32), a))

static wg_tensor *p_index_select(wg_tensor *const *x) {
    return wg_index_select(x[0], 0, wg_from_i64(wg_context(x[0]), (int64_t[]){2, 0, 2, 2}, WG_SHAPE(4)));
}
static wg_tensor *p_embedding(wg_tensor *const *x) {
    wg_tensor *index = wg_from_i32(wg_context(x[0]), (int32_t[]){1, 1, 0}, WG_SHAPE(3));
    return wg_embedding(wg_reshape(x[0], WG_SHAPE(3, 1)), index);
}
static wg_tensor *p_index_add(wg_tensor *const *x) {
    wg_tensor *index = wg_from_i64(wg_context(x[0]), (int64_t[]){1, 1, 0}, WG_SHAPE(3));
    return wg_square(wg_index_add(x[0], 0, index, x[1]));
}
static wg_tensor *p_slice_scatter(wg_tensor *const *x) {
    return wg_mul_scalar(wg_slice_scatter(x[0], wg_narrow(x[1], 0, 0, 2), 0, 0, 3, 2), 2);
}
static wg_tensor *p_cross_entropy(wg_tensor *const *x) {
    return wg_cross_entropy(x[0], wg_from_i64(wg_context(x[0]), (int64_t[]){1}, WG_SHAPE()), NULL);
}

#define ONE(f, count, ...)                                                                                             \
    { .name = #f, .fn = p_##f, .n = count, __VA_ARGS__ }
#define V(...)                                                                                                         \
    { __VA_ARGS__ }
#define THIRD (1.0 / 3)

static const point points[] = {
    ONE(abs, 4, .x = V(0, -0.0, 2, -3), .gx = V(0, 0, 1, -1)),
    ONE(relu, 4, .x = V(0, -0.0, -1, 2), .gx = V(0, 0, 0, 1)),
    ONE(sign, 3, .x = V(0, -4, 2), .gx = V(0, -1, 1)),
    ONE(amax, 4, .x = V(2, 2, 1, -3), .gx = V(0.5, 0.5, 0, 0)),
    ONE(amax, 4, .x = V(7, 7, 7, 7), .gx = V(0.25, 0.25, 0.25, 0.25)),
    ONE(amin, 3, .x = V(2, -1, -1), .gx = V(0, 0.5, 0.5)),
    ONE(maximum, 3, .x = V(1, 2, 3), .y = V(1, 5, -5), .gx = V(0.5, 0, 1), .gy = V(0.5, 1, 0), .two = true),
    ONE(minimum, 3, .x = V(1, 2, 3), .y = V(1, 5, -5), .gx = V(0.5, 1, 0), .gy = V(0.5, 0, 1), .two = true),
    ONE(pow, 5, .x = V(0, 0, 2, -2, 0), .y = V(0, 2, 3, 2, 1), .gx = V(0, 0, 12, -4, 1), .rtol = 1e-6),
    ONE(pow, 4, .x = V(0, 0, 1, 2), .y = V(0, 2, 3, 0), .gx = V(0, 0, 3, 0), .gy = V(0, 0, 0, 0.6931471805599453),
        .two = true, .rtol = 1e-6),
    ONE(pow0, 3, .x = V(0, -1, 5), .gx = V(0, 0, 0), .rtol = 1e-6),
    ONE(pow1, 3, .x = V(0, -1, 5), .gx = V(1, 1, 1), .rtol = 1e-6),
    ONE(pow2, 3, .x = V(0, -1, 5), .gx = V(0, -2, 10), .rtol = 1e-6),
    ONE(pow3, 3, .x = V(0, -1, 5), .gx = V(0, 3, 75), .rtol = 1e-6),
    ONE(clamp, 5, .x = V(-1, 2, -1.5, 2.5, 0), .gx = V(1, 1, 0, 0, 1)),
    ONE(clamp_low, 3, .x = V(0, -1, 4), .gx = V(1, 0, 1)),
    ONE(sqrt, 2, .x = V(0, 4), .gx = V(INFINITY, 0.25)),
    ONE(log, 2, .x = V(0, 4), .gx = V(INFINITY, 0.25)),
    ONE(square, 2, .x = V(0, -3), .gx = V(0, -6)),
    ONE(tanh, 3, .x = V(INFINITY, -INFINITY, 0), .gx = V(0, 0, 1)),
    ONE(sigmoid, 3, .x = V(1000, -1000, 0), .gx = V(0, 0, 0.25)),
    ONE(gelu, 1, .x = V(0), .gx = V(0.5)),
    ONE(gelu_tanh, 1, .x = V(0), .gx = V(0.5)),
    ONE(erf, 1, .x = V(0), .gx = V(1.1283791670955126), .rtol = 3e-7),
    ONE(div, 2, .x = V(1, 6), .y = V(2, -3), .gx = V(0.5, -THIRD), .gy = V(-0.25, -2 * THIRD), .two = true,
        .rtol = 3e-7),
    ONE(where, 3, .x = V(1, -1, 0), .y = V(5, 5, 5), .gx = V(1, 0, 0), .gy = V(0, 1, 1), .two = true),
    ONE(mean, 4, .x = V(1, 2, 3, 4), .gx = V(0.25, 0.25, 0.25, 0.25)),
    ONE(var, 3, .x = V(1, 2, 3), .gx = V(-1, 0, 1)),
    ONE(expand, 3, .x = V(1, 2, 3), .gx = V(5, 5, 5)),
    ONE(reuse, 2, .x = V(3, -4), .gx = V(7, -7)),
    ONE(same_twice, 2, .x = V(3, -4), .gx = V(6, -8)),
    ONE(cast, 2, .x = V(3, -4), .gx = V(3, 3)),
    ONE(softmax, 2, .x = V(1, 1), .gx = V(0.25, -0.25)),
    ONE(overlap, 4, .x = V(1, 2, 3, 4), .gx = V(2, 3, 2, 1)),
    ONE(stepped, 4, .x = V(1, 2, 3, 4), .gx = V(0, 4, 0, 4)),
    ONE(comparison, 3, .x = V(1, 2, 3), .y = V(2, 2, 4), .gx = V(1, 0, 1), .gy = V(0, 0, 0), .two = true),
    ONE(index_select, 3, .x = V(1, 2, 3), .gx = V(1, 0, 3)),
    ONE(embedding, 3, .x = V(1, 2, 3), .gx = V(1, 2, 0)),
    ONE(index_add, 3, .x = V(1, 2, 3), .y = V(10, 20, 30), .gx = V(62, 64, 6), .gy = V(64, 64, 62), .two = true),
    ONE(slice_scatter, 3, .x = V(1, 2, 3), .y = V(8, 9, 7), .gx = V(0, 2, 0), .gy = V(2, 2, 0), .two = true),
    ONE(cross_entropy, 2, .x = V(1, 1), .gx = V(0.5, -0.5)),
};

static wg_tensor *param_of(wg_ctx *ctx, wg_dtype t, const double *v, int n) {
    nd a = nd_new(t, WG_SHAPE(n));
    for (int k = 0; k < n; k++) {
        a.f[k] = round_to(v[k], t);
    }
    return wg_param(nd_tensor(ctx, a));
}

Test(gradient, at_special_points) {
    wg_ctx *ctx = open_ctx();
    static wg_tensor *all[4 * COUNT(points)];
    size_t n = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int k = 0; k < COUNT(points); k++) {
            const point *p = &points[k];
            wg_dtype t = pass ? WG_F64 : WG_F32;
            if (pass && (p->fn == p_cast || p->fn == p_comparison)) {
                t = WG_F32;
            }
            wg_tensor *in[] = {param_of(ctx, t, p->x, p->n), param_of(ctx, t, p->y, p->n)}, *g[2] = {NULL, NULL};
            wg_tensor *loss = wg_sum(p->fn(in), NULL, 0, false);
            wg_gradients_opts o = wg_gradients_defaults();
            o.allow_unused = true;
            wg_status s = wg_gradients(&loss, 1, in, 2, g, &o);
            cr_assert(s == WG_OK && g[0] && g[1], "%s: %s", p->name, wg_error(ctx));
            cr_expect(wg_dtype_of(g[0]) == t && wg_numel(g[0]) == p->n, "%s: dtype or size of the gradient", p->name);
            all[n++] = g[0];
            all[n++] = g[1];
        }
    }
    cr_assert(wg_eval(all, n) == WG_OK, "%s", wg_error(ctx));
    for (size_t k = 0; k < n; k++) {
        const point *p = &points[k / 2 % (size_t)COUNT(points)];
        double got[MOST];
        if (k % 2 == 0 || p->two) {
            read_doubles(all[k], got, p->n);
            expect_close(got, k % 2 ? p->gy : p->gx, p->n, 0, p->rtol, p->name);
        }
    }
    close_ok(ctx);
}

/* An operand that needs no gradient gets none, and the other one's is right. */
Test(gradient, of_one_operand_only) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *a = wg_from_f32(ctx, (float[]){1, 2}, WG_SHAPE(2));
    wg_tensor *w = wg_param(wg_from_f32(ctx, (float[]){3, 4}, WG_SHAPE(2)));
    wg_backward(wg_sum(wg_div(wg_mul(a, w), wg_add_scalar(a, 1)), NULL, 0, false));
    cr_expect(!wg_has_grad(a) && wg_has_grad(w));
    double got[2];
    read_doubles(wg_grad(w), got, 2);
    expect_close(got, (double[]){0.5, 2.0 / 3}, 2, 0, 1e-6, "a / (a + 1)");
    close_ok(ctx);
}

/* f32 parameters in a sum taken in f64: the gradient comes back in the leaf's dtype. */
Test(gradient, has_the_dtype_of_its_leaf) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = wg_param(wg_from_f32(ctx, (float[]){3, 4}, WG_SHAPE(2)));
    wg_tensor *d = wg_from_f64(ctx, (double[]){0.5, 0.25}, WG_SHAPE(2));
    wg_tensor *y = wg_mul(w, d);
    cr_expect_eq(wg_dtype_of(y), WG_F64);
    wg_backward(wg_sum(y, NULL, 0, false));
    cr_expect_eq(wg_dtype_of(wg_grad(w)), WG_F32);
    EXPECT_VALUES(wg_grad(w), 0.5, 0.25);
    close_ok(ctx);
}
