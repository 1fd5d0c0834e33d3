/* label: cuda-double
 *
 * What follows a product, by cuBLASLt, on the CUDA double: only where WENGERT_CUBLASLT asks for it, to the bits of the plain
 * product and its kernels where one rounding comes of it either way, within that rounding where not, in fewer launches, and
 * plain again where cuBLASLt is missing or refuses.
 */
#include "cuda_on_double.h"

#include "cuda/internal.h"

#include <math.h>

enum { M = 6, K = 20, N = 8, B = 2, MOST = B * M * N };

typedef struct operands {
    wg_tensor *x, *w, *bias, *residual, *batch_x, *batch_w;
} operands;

typedef wg_tensor *(*expression)(const operands *o);

static wg_tensor *bias(const operands *o) { return wg_add(wg_matmul(o->x, o->w), o->bias); }
static wg_tensor *relu(const operands *o) { return wg_relu(wg_matmul(o->x, o->w)); }
static wg_tensor *bias_relu(const operands *o) { return wg_relu(bias(o)); }
static wg_tensor *gelu(const operands *o) { return wg_gelu_tanh(wg_matmul(o->x, o->w)); }
static wg_tensor *bias_gelu(const operands *o) { return wg_gelu_tanh(bias(o)); }
static wg_tensor *addend(const operands *o) { return wg_add(o->residual, wg_matmul(o->x, o->w)); }
static wg_tensor *bias_addend(const operands *o) { return wg_add(bias(o), o->residual); }
static wg_tensor *addend_relu(const operands *o) { return wg_relu(addend(o)); }
/* One product, with its bias, is what another is added to. */
static wg_tensor *two_products(const operands *o) {
    wg_tensor *first = bias(o);
    return wg_add(wg_matmul(o->x, o->w), first);
}
static wg_tensor *in_batches(const operands *o) { return wg_relu(wg_add(wg_matmul(o->batch_x, o->batch_w), o->bias)); }
/* A view between the product and its bias. */
static wg_tensor *reshaped(const operands *o) {
    return wg_relu(wg_add(wg_reshape(wg_matmul(o->x, o->w), WG_SHAPE(2, M / 2, N)), o->bias));
}
/* Both factors transposed. */
static wg_tensor *transposed(const operands *o) {
    return wg_relu(wg_matmul(wg_transpose(o->w, 0, 1), wg_transpose(o->x, 0, 1)));
}
/* What a gelu takes in is read once more, by a product, from memory: cuBLASLt stores it too. */
static wg_tensor *gelu_and_input(const operands *o) {
    wg_tensor *h = bias(o);
    return wg_matmul(wg_gelu_tanh(h), wg_transpose(h, 0, 1));
}
/* What a relu takes in it does not store. */
static wg_tensor *relu_and_input(const operands *o) {
    wg_tensor *h = wg_matmul(o->x, o->w);
    return wg_matmul(wg_relu(h), wg_transpose(h, 0, 1));
}
static wg_tensor *product_twice(const operands *o) {
    wg_tensor *h = wg_matmul(o->x, o->w);
    return wg_add(h, h);
}
static wg_tensor *column_bias(const operands *o) {
    return wg_add(wg_matmul(o->x, o->w), wg_slice(o->residual, 1, 2, 3, 1));
}
/* A product is the gradient of what a gelu gave. */
static wg_tensor *gelu_gradient(const operands *o) {
    wg_tensor *h = o->residual, *grad = NULL;
    wg_param(h);
    wg_tensor *y = wg_matmul(wg_gelu_tanh(h), wg_transpose(o->w, 0, 1));
    wg_gradients_opts opts = wg_gradients_defaults();
    opts.grad_outputs = (wg_tensor *const[]){o->x};
    return wg_gradients(&y, 1, &h, 1, &grad, &opts) == WG_OK ? grad : NULL;
}
/* A matrix whose rows have gaps. */
static wg_tensor *gapped_addend(const operands *o) {
    return wg_add(wg_matmul(o->batch_x, o->batch_w), wg_slice(o->batch_x, 2, 0, N, 1));
}
/* A bias that does not begin where vectors do. */
static wg_tensor *shifted_bias(const operands *o) {
    wg_tensor *twice = wg_cat((wg_tensor *[]){o->bias, o->bias}, 2, 0);
    return wg_add(wg_matmul(o->x, o->w), wg_slice(twice, 0, 1, N + 1, 1));
}
/* More than one activation. */
static wg_tensor *relu_gelu(const operands *o) { return wg_gelu_tanh(wg_relu(bias(o))); }

static const struct {
    const char *name;
    expression make;
    int by_lt;   /* products that cuBLASLt computes */
    int saved;   /* launches fewer */
    bool rounds; /* otherwise */
} cases[] = {
    {"bias", bias, 1, 1, false},
    {"relu", relu, 1, 1, false},
    {"bias, relu", bias_relu, 1, 1, false},
    {"gelu", gelu, 1, 1, true},
    {"bias, gelu", bias_gelu, 1, 1, true},
    {"addend", addend, 1, 1, false},
    {"bias, addend", bias_addend, 1, 1, true},
    {"addend, relu", addend_relu, 1, 1, false},
    {"two products", two_products, 2, 1, false},
    {"batch", in_batches, 1, 1, false},
    {"reshaped", reshaped, 1, 1, false},
    {"transposed", transposed, 1, 1, false},
    {"gelu and its input", gelu_and_input, 1, 1, true},
    {"relu and its input", relu_and_input, 0, 0, false},
    {"the product twice", product_twice, 0, 0, false},
    {"a number for each row", column_bias, 0, 0, false},
    {"rows with gaps", gapped_addend, 0, 0, false},
    {"a shifted bias", shifted_bias, 0, 0, false},
    {"the gradient of a gelu", gelu_gradient, 1, 1, true},
    {"relu, gelu", relu_gelu, 1, 0, false},
};
enum { CASES = sizeof cases / sizeof *cases, GRADIENT = CASES - 2 };

typedef struct result {
    double v[MOST];
    int n;
    unsigned long asked, by_lt, launches;
} result;

static wg_tensor *values(wg_ctx *ctx, wg_dtype t, wg_shape shape, int seed) {
    rng r = rng_seed("epilogues", (uint64_t)seed);
    return input_make(ctx, t, shape, LAY_CONTIGUOUS, DOM_ANY, &r).t;
}

static void compute(wg_dtype t, bool lt, int from, int to, result *out) {
    setenv("WENGERT_CUBLASLT", lt ? "1" : "0", 1);
    wg_ctx *ctx = wg_open("cuda:0");
    operands o = {.x = values(ctx, t, WG_SHAPE(M, K), 1),
                  .w = values(ctx, t, WG_SHAPE(K, N), 2),
                  .bias = values(ctx, t, WG_SHAPE(N), 3),
                  .residual = values(ctx, t, WG_SHAPE(M, N), 4),
                  .batch_x = values(ctx, t, WG_SHAPE(B, M, K), 5),
                  .batch_w = values(ctx, t, WG_SHAPE(B, K, N), 6)};
    for (int i = from; i < to; i++) {
        unsigned long before = cu.cuda_double_calls("cublasLtMatmul");
        unsigned long asked = cu.cuda_double_calls("cublasLtMatmulAlgoGetHeuristic");
        uint64_t launches = stat_launches(ctx);
        wg_tensor *y = cases[i].make(&o);
        cr_assert(y, "%s: %s", cases[i].name, wg_error(ctx));
        out[i].n = (int)wg_numel(y);
        read_doubles(y, out[i].v, out[i].n);
        out[i].by_lt = cu.cuda_double_calls("cublasLtMatmul") - before;
        out[i].asked = cu.cuda_double_calls("cublasLtMatmulAlgoGetHeuristic") - asked;
        out[i].launches = (unsigned long)(stat_launches(ctx) - launches);
    }
    close_ok(ctx);
}

static void expect_equal(const result *a, const result *b, const char *name) {
    for (int i = 0; i < a->n; i++) {
        cr_expect(memcmp(&a->v[i], &b->v[i], sizeof a->v[i]) == 0, "%s, element %d: %a, not %a", name, i, a->v[i],
                  b->v[i]);
    }
}

Test(cuda_lt, does_what_the_kernels_do) {
    static result plain[CASES], with[CASES];
    load_double();
    compute(WG_F32, false, 0, CASES, plain);
    compute(WG_F32, true, 0, CASES, with);
    for (int i = 0; i < CASES; i++) {
        cr_expect_eq(plain[i].by_lt, 0, "%s: %lu products by cuBLASLt unasked", cases[i].name, plain[i].by_lt);
        cr_expect_eq((int)with[i].by_lt, cases[i].by_lt, "%s: %lu products by cuBLASLt", cases[i].name, with[i].by_lt);
        cr_expect(cases[i].by_lt > 0 || with[i].asked == 0, "%s: cuBLASLt was asked", cases[i].name);
        cr_expect_eq((int)(plain[i].launches - with[i].launches), cases[i].saved,
                     "%s: %lu launches, not fewer than %lu", cases[i].name, with[i].launches, plain[i].launches);
        if (cases[i].rounds) {
            expect_close(with[i].v, plain[i].v, plain[i].n, 1e-5, 1e-5, cases[i].name);
        } else {
            expect_equal(&with[i], &plain[i], cases[i].name);
        }
    }
}

/* A 16-bit float is rounded at the end alone, rather than after the sums, the bias and the activation each. */
Test(cuda_lt, half_floats_are_rounded_once) {
    static const wg_dtype halves[] = {WG_F16, WG_BF16};
    static const int some[] = {1, GRADIENT, 0, 2, 3, 4, 5};
    load_double();
    for (int k = 0; k < 2; k++) {
        static result plain[CASES], with[CASES];
        double unit = halves[k] == WG_F16 ? 0x1p-10 : 0x1p-7;
        int differ = 0;
        for (size_t n = 0; n < (k == 0 ? sizeof some / sizeof *some : 2); n++) {
            int i = some[n];
            compute(halves[k], false, i, i + 1, plain);
            compute(halves[k], true, i, i + 1, with);
            cr_expect_eq((int)with[i].by_lt, 1, "%s", cases[i].name);
            expect_close(with[i].v, plain[i].v, plain[i].n, 16 * unit, 4 * unit, cases[i].name);
            differ += memcmp(with[i].v, plain[i].v, sizeof plain[i].v) != 0;
        }
        expect_equal(&with[1], &plain[1], "a relu rounds nothing");
        cr_expect_gt(differ, 0, "nothing is rounded otherwise");
    }
}

/* cuBLASLt has no epilogues of f64. */
Test(cuda_lt, doubles_stay_plain) {
    result plain[CASES], with[CASES];
    load_double();
    compute(WG_F64, false, 2, 3, plain);
    compute(WG_F64, true, 2, 3, with);
    cr_expect_eq(with[2].by_lt, 0);
    expect_equal(&with[2], &plain[2], "f64");
}

/* ---- a model that is trained ------------------------------------------------------------------------------------------------ */

enum { WIDE = 16, LAYERS = 2, WEIGHTS = 2 * LAYERS };

static const wg_shape weights[WEIGHTS] = {{2, {WIDE, IN}}, {1, {WIDE}}, {2, {WIDE, WIDE}}, {1, {WIDE}}};

typedef struct trained {
    double params[WEIGHTS][WIDE * WIDE];
    unsigned long at_first;                       /* products by cuBLASLt of the first step */
    unsigned long asked, by_lt, graphs, launches; /* of the last steps */
} trained;

static void one_step(wg_ctx *ctx, wg_tensor **w, wg_optim *optim, int k) {
    float x[ROWS * IN];
    numbers(x, ROWS * IN, k + 10);
    wg_mark mark = wg_scope_begin(ctx);
    wg_tensor *h = wg_gelu_tanh(wg_linear(wg_from(ctx, WG_F32, x, WG_SHAPE(ROWS, IN)), w[0], w[1]));
    wg_tensor *y = wg_relu(wg_linear(h, w[2], w[3]));
    cr_assert_eq(wg_backward(wg_mean(wg_square(y), NULL, 0, false)), WG_OK, "%s", wg_error(ctx));
    cr_assert_eq(wg_optim_step(optim), WG_OK, "%s", wg_error(ctx));
    wg_optim_zero_grad(optim);
    cr_assert_eq(wg_scope_end(ctx, mark), WG_OK, "%s", wg_error(ctx));
}

/* Some steps that plan, then some that come again. */
static void train_mlp(bool lt, trained *out) {
    enum { FIRST = 4, AGAIN = 6 };
    setenv("WENGERT_CUBLASLT", lt ? "1" : "0", 1);
    wg_ctx *ctx = wg_open("cuda:0");
    wg_tensor *w[WEIGHTS];
    for (int i = 0; i < WEIGHTS; i++) {
        float values[WIDE * WIDE];
        numbers(values, WIDE * WIDE, i);
        w[i] = wg_keep(wg_from(ctx, WG_F32, values, weights[i]));
        wg_param(w[i]);
    }
    wg_optim *optim = wg_sgd_new(w, WEIGHTS, NULL);
    out->at_first = cu.cuda_double_calls("cublasLtMatmul");
    one_step(ctx, w, optim, 0);
    out->at_first = cu.cuda_double_calls("cublasLtMatmul") - out->at_first;
    for (int k = 1; k < FIRST; k++) {
        one_step(ctx, w, optim, k);
    }
    static const char *const counted[] = {"cublasLtMatmulAlgoGetHeuristic", "cublasLtMatmul", "cuGraphLaunch",
                                          "cuLaunchKernel"};
    unsigned long *const counts[] = {&out->asked, &out->by_lt, &out->graphs, &out->launches};
    for (int i = 0; i < 4; i++) {
        *counts[i] = cu.cuda_double_calls(counted[i]);
    }
    for (int k = 0; k < AGAIN; k++) {
        one_step(ctx, w, optim, FIRST + k);
    }
    for (int i = 0; i < 4; i++) {
        *counts[i] = cu.cuda_double_calls(counted[i]) - *counts[i];
    }
    for (int i = 0; i < WEIGHTS; i++) {
        read_doubles(w[i], out->params[i], wg_numel(w[i]));
        wg_free(w[i]);
    }
    wg_optim_free(optim);
    close_ok(ctx);
}

Test(cuda_lt, trains_alike_and_a_replay_asks_nothing) {
    static trained plain, with;
    load_double();
    train_mlp(false, &plain);
    cr_expect_eq(cu.cuda_double_calls("cublasLtCreate"), 0);
    train_mlp(true, &with);
    for (int i = 0; i < WEIGHTS; i++) {
        expect_close(with.params[i], plain.params[i], wg_shape_numel(weights[i]), 1e-4, 1e-4, "a parameter");
    }
    /* Bias and gelu, whose input is stored, and the gradient of the gelu; the relu is done where the loss is. */
    cr_expect_eq(with.at_first, 2, "%lu products by cuBLASLt", with.at_first);
    cr_expect_eq(with.asked, 0, "cuBLASLt was asked %lu times in replays", with.asked);
    cr_expect_eq(with.by_lt, 0, "%lu products were sent in replays", with.by_lt);
    cr_expect_eq(with.graphs, 6, "%lu graph launches", with.graphs);
    cr_expect_eq(with.launches, 0, "%lu launches beside the graphs", with.launches);
}

/* ---- without it -------------------------------------------------------------------------------------------------------------- */

/* Asked about the first product, cuBLASLt refuses: the plan is made without its epilogue, that of the others stays. */
Test(cuda_lt, a_shape_that_is_refused_stays_plain) {
    static result plain[CASES], with[CASES];
    load_double();
    compute(WG_F32, false, 2, 4, plain);
    cu.cuda_double_fail("cublasLtMatmulAlgoGetHeuristic", 1, 15);
    compute(WG_F32, true, 2, 4, with);
    cr_expect(cu.cuda_double_happened());
    cr_expect_eq(with[2].by_lt, 0, "refused, and yet used");
    cr_expect_eq(with[2].launches, plain[2].launches);
    expect_equal(&with[2], &plain[2], "refused");
    cr_expect_eq(with[3].by_lt, 1, "the next one was not asked about");
}

Test(cuda_lt, is_too_old) {
    static result with[CASES];
    load_double();
    setenv("WENGERT_DOUBLE_CUBLAS", "120003", 1);
    compute(WG_F32, true, 2, 3, with);
    cr_expect_eq(with[2].by_lt, 0);
}

static void first_line(const char *text, void *user) {
    char *line = user;
    snprintf(line, line[0] ? 0 : 400, "%s", text);
}

Test(cuda_lt, where_it_is_missing_all_is_plain_and_a_line_says_so) {
    static result plain[CASES], with[CASES];
    char line[400] = "";
    load_double();
    setenv("WENGERT_LIBCUBLASLT", "/nowhere/libcublasLt.so", 1);
    compute(WG_F32, false, 2, 4, plain);
    compute(WG_F32, true, 2, 4, with);
    for (int i = 2; i < 4; i++) {
        cr_expect_eq(with[i].by_lt, 0);
        cr_expect_eq(with[i].launches, plain[i].launches);
        expect_equal(&with[i], &plain[i], cases[i].name);
    }
    wg_backend_cuda.list(first_line, line);
    cr_expect(strstr(line, "no cuBLASLt: /nowhere/libcublasLt.so"), "%s", line);
}

Test(cuda_lt, a_line_says_that_it_is_used) {
    char line[400] = "";
    load_double();
    setenv("WENGERT_CUBLASLT", "1", 1);
    wg_backend_cuda.list(first_line, line);
    cr_expect(strstr(line, "cuBLAS with cuBLASLt"), "%s", line);
}
