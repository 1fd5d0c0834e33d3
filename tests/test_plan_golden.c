/* label: null */
/* timeout: 120 */
/*
 * Plans as text, on devices that compute nothing: which ops share a launch, in which order, what lies where and over what.
 * A reader can follow each by eye: see wg_plan_print for the notation.
 */
#include "harness/check.h"

#include "api/context.h"
#include "schedule/plan.h"

#include <string.h>

static wg_tensor *given(wg_ctx *ctx, wg_shape shape) {
    static float zeros[1 << 16];
    return wg_keep(wg_from_f32(ctx, zeros, shape));
}

/* The plan that the next launches belong to is the newest in the cache: demand t, or end the scope, and look. */
static void expect_plan(wg_ctx *ctx, const char *what, const char *want) {
    const wg_exec *x = wg_plan_cache_newest(ctx);
    cr_assert(x != NULL && !wg_failed(ctx), "%s: %s", what, wg_error(ctx));
    wg_str text = {0};
    wg_plan_print(x->plan, &text);
    cr_expect_str_eq(wg_str_text(&text), want, "%s: the plan is\n%s", what, wg_str_text(&text));
    wg_str_free(&text);
}

static wg_ctx *open_null(const char *device) {
    setenv("WENGERT_QUEUES", "1", 1); /* several are in test_queues.c */
    wg_ctx *ctx = wg_open(device);
    cr_assert(!wg_failed(ctx), "%s", wg_error(ctx));
    return ctx;
}

/* A chain is one launch; its result is new. */
Test(plan, a_chain) {
    wg_ctx *ctx = open_null("null:gpu");
    wg_tensor *x = given(ctx, WG_SHAPE(4, 8));
    WG_SCOPE(ctx) {
        wg_tensor *y = wg_tanh(wg_add_scalar(wg_mul_scalar(x, 2), 1));
        wg_eval(&y, 1);
        expect_plan(ctx, "chain",
                    "1 launches, 128 bytes: 128 kept\n"
                    "  1 map 32: mul_scalar+add_scalar+tanh\n"
                    "      x0 -> k2\n");
    }
    wg_close(ctx);
}

/* Its last pass stores an element where it was loaded, and nobody loads it after that: bytes that die can be its own. */
Test(plan, a_row_over_what_it_reads) {
    wg_ctx *ctx = open_null("null:gpu");
    wg_tensor *x = given(ctx, WG_SHAPE(4, 200)), *w = given(ctx, WG_SHAPE(200, 200));
    const int last = 1;
    WG_SCOPE(ctx) {
        wg_tensor *h = wg_matmul(x, w);
        wg_tensor *y = wg_matmul(wg_gelu(wg_sin(wg_sub(h, wg_mean(h, &last, 1, true)))), w);
        wg_eval(&y, 1);
        expect_plan(ctx, "centred rows",
                    "3 launches, 6528 bytes: 3200 kept, arena 3328\n"
                    "  1 matmul 4x200x200: matmul\n"
                    "      x0 x1 -> t0[0+3200]\n"
                    "  2 rows 4 of 200: sum+div_scalar+sub+sin+gelu\n"
                    "      t0[0+3200] -> t5[0+3200]\n"
                    "  3 matmul 4x200x200: matmul\n"
                    "      t5[0+3200] x1 -> k6\n");
    }
    wg_close(ctx);
}

/* Columns are summed by a loop for each dim where an operand repeats along one, in the order of one loop. A long sum's pieces end
 * where such a dim does, unless it is longer than they are: then what is summed is stored first. */
Test(plan, columns_of_what_repeats) {
    wg_ctx *ctx = open_null("null:gpu");
    const struct {
        const char *name, *want;
        int64_t rows, steps, columns;
    } cases[] = {
        {"short columns",
         "1 launches, 32 bytes: 32 kept\n"
         "  1 columns 8 of 4x3: mul+sum\n"
         "      x1 x0 -> k1\n",
         4, 3, 8},
        {"columns in pieces",
         "1 launches, 320 bytes: 64 kept, arena 256\n"
         "  1 columns 2x16 of 128x16: mul+sum\n"
         "      x1 x0 -> t3[0+128]\n"
         "  > columns 16 of 2: sum\n"
         "      t3[0+128] -> k1\n",
         128, 16, 16},
        {"columns in pieces of whole steps",
         "1 launches, 320 bytes: 64 kept, arena 256\n"
         "  1 columns 3x16 of 60x40: mul+sum\n"
         "      x1 x0 -> t3[0+192]\n"
         "  > columns 16 of 3: sum\n"
         "      t3[0+192] -> k1\n",
         60, 40, 16},
        {"columns in pieces that end within a step",
         "2 launches, 256320 bytes: 64 kept, arena 256256\n"
         "  1 map 2x2000x16: mul\n"
         "      x1 x0 -> t0[0+256000]\n"
         "  2 columns 4x16 of 4000: sum\n"
         "      t0[0+256000] -> t3[256000+256]\n"
         "  > columns 16 of 4: sum\n"
         "      t3[256000+256] -> k1\n",
         2, 2000, 16},
        {"rows",
         "1 launches, 260 bytes: 4 kept, arena 256\n"
         "  1 map 4x3: mul\n"
         "      x1 x0 -> t0[0+48]\n"
         "  > rows 12: sum\n"
         "      t0[0+48] -> k1\n",
         4, 3, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t r = cases[i].rows, s = cases[i].steps, c = cases[i].columns;
        wg_tensor *x = given(ctx, WG_SHAPE(r, s, c)), *g = given(ctx, WG_SHAPE(r, 1, c));
        const int outer[] = {0, 1};
        WG_SCOPE(ctx) {
            wg_tensor *y = wg_sum(wg_mul(x, g), outer, 2, false);
            wg_eval(&y, 1);
            expect_plan(ctx, cases[i].name, cases[i].want);
        }
        wg_free(x);
        wg_free(g);
    }
    wg_close(ctx);
}

/* But an exp of the second pass waits for the third, in the place of the result: not in that of x, which the third loads. */
Test(plan, a_row_beside_what_it_reads) {
    wg_ctx *ctx = open_null("null:gpu");
    wg_tensor *x = given(ctx, WG_SHAPE(4, 200)), *w = given(ctx, WG_SHAPE(200, 200));
    WG_SCOPE(ctx) {
        wg_tensor *h = wg_matmul(x, w);
        wg_tensor *y = wg_matmul(wg_sin(wg_mul(h, wg_softmax(h, -1))), w);
        wg_eval(&y, 1);
        expect_plan(ctx, "softmax of a product",
                    "3 launches, 9856 bytes: 3200 kept, arena 6656\n"
                    "  1 matmul 4x200x200: matmul\n"
                    "      x0 x1 -> t0[0+3200]\n"
                    "  2 rows 4 of 200: amax+sub+exp+sum+div+mul+sin\n"
                    "      t0[0+3200] -> t7[3328+3200]\n"
                    "  3 matmul 4x200x200: matmul\n"
                    "      t7[3328+3200] x1 -> k8\n");
    }
    wg_close(ctx);
}

/* Softmax over rows: three passes over a row in one launch. */
Test(plan, softmax_is_one_launch) {
    wg_ctx *ctx = open_null("null:gpu");
    wg_tensor *x = given(ctx, WG_SHAPE(4, 8));
    WG_SCOPE(ctx) {
        wg_tensor *y = wg_softmax(x, -1);
        wg_eval(&y, 1);
        expect_plan(ctx, "softmax",
                    "1 launches, 128 bytes: 128 kept\n"
                    "  1 rows 4 of 8: amax+sub+exp+sum+div\n"
                    "      x0 -> k4\n");
    }
    wg_close(ctx);
}

/* A temporary that dies gives its place to the next one; a product never writes over what it reads. */
Test(plan, lifetimes) {
    wg_ctx *ctx = open_null("null:gpu");
    wg_tensor *x = given(ctx, WG_SHAPE(16, 16)), *w = given(ctx, WG_SHAPE(16, 16));
    WG_SCOPE(ctx) {
        wg_tensor *a = wg_matmul(x, w), *b = wg_matmul(a, w), *c = wg_matmul(b, w), *d = wg_matmul(c, w);
        wg_eval(&d, 1);
        expect_plan(ctx, "products",
                    "4 launches, 3072 bytes: 1024 kept, arena 2048\n"
                    "  1 matmul 16x16x16: matmul\n"
                    "      x0 x1 -> t0[0+1024]\n"
                    "  2 matmul 16x16x16: matmul\n"
                    "      t0[0+1024] x1 -> t1[1024+1024]\n"
                    "  3 matmul 16x16x16: matmul\n"
                    "      t1[1024+1024] x1 -> t2[0+1024]\n"
                    "  4 matmul 16x16x16: matmul\n"
                    "      t2[0+1024] x1 -> k3\n");
    }
    wg_close(ctx);
}

/* The update of a parameter in its own bytes: in the epilogue of its gradient, after its last reader. */
Test(plan, an_update_in_place_after_the_last_reader) {
    wg_ctx *ctx = open_null("null:gpu");
    wg_tensor *x = given(ctx, WG_SHAPE(8, 4)), *w1 = wg_param(given(ctx, WG_SHAPE(6, 4))),
              *w2 = wg_param(given(ctx, WG_SHAPE(3, 6)));
    WG_SCOPE(ctx) {
        wg_tensor *y = wg_linear(wg_relu(wg_linear(x, w1, NULL)), w2, NULL);
        wg_backward(wg_sum(wg_square(y), NULL, 0, false));
        wg_tensor *p[] = {w1, w2};
        for (int i = 0; i < 2; i++) {
            wg_assign(p[i], wg_sub(p[i], wg_mul_scalar(wg_grad(p[i]), 0.1)));
            wg_zero_grad(p[i]);
        }
    }
    expect_plan(ctx, "step",
                "5 launches, 768 bytes: 0 kept, arena 768\n"
                "  1 matmul 8x4x6: matmul+relu\n"
                "      x0 x1 -> t1[0+192]\n"
                "  2 matmul 8x6x3: matmul+mul_scalar+ones+mul\n"
                "      t1[0+192] x2 -> t5[256+96]\n"
                "  3 matmul 8x3x6: matmul+le_scalar+zeros+where\n"
                "      t5[256+96] x2 t1[0+192] -> t10[512+192]\n"
                "  4 matmul 3x8x6: matmul+mul_scalar+sub\n"
                "      t5[256+96] t1[0+192] x2 -> k15=x2\n"
                "  5 matmul 6x8x4: matmul+mul_scalar+sub\n"
                "      t10[512+192] x0 x1 -> k13=x1\n");
    wg_close(ctx);
}

/* Somebody holds the old value: the new one gets bytes of its own. */
Test(plan, no_update_over_a_held_value) {
    wg_ctx *ctx = open_null("null:gpu");
    wg_tensor *w = wg_param(given(ctx, WG_SHAPE(64)));
    WG_SCOPE(ctx) { wg_assign(w, wg_mul_scalar(w, 0.5)); }
    expect_plan(ctx, "nobody holds it",
                "1 launches, 0 bytes: 0 kept\n"
                "  1 map 64: mul_scalar\n"
                "      x0 -> k0=x0\n");
    wg_tensor *old = wg_keep(wg_detach(w));
    WG_SCOPE(ctx) { wg_assign(w, wg_mul_scalar(w, 0.5)); }
    expect_plan(ctx, "somebody holds it",
                "1 launches, 256 bytes: 256 kept\n"
                "  1 map 64: mul_scalar\n"
                "      x0 -> k0\n");
    wg_free(old);
    wg_close(ctx);
}

/* Updates of one kind share a launch; the text does not depend on sizes. */
Test(plan, updates_share_a_launch) {
    wg_ctx *ctx = open_null("null:gpu");
    wg_tensor *p[3] = {given(ctx, WG_SHAPE(5)), given(ctx, WG_SHAPE(7)), given(ctx, WG_SHAPE(3, 2))};
    WG_SCOPE(ctx) {
        for (int i = 0; i < 3; i++) {
            wg_assign(p[i], wg_sub(p[i], wg_mul_scalar(wg_tanh(p[i]), 0.1 * (i + 1))));
        }
    }
    expect_plan(ctx, "updates",
                "1 launches, 0 bytes: 0 kept\n"
                "  1 map 5: tanh+mul_scalar+sub\n"
                "      x0 -> k2=x0\n"
                "  + map 7: tanh+mul_scalar+sub\n"
                "      x1 -> k5=x1\n"
                "  + map 6: tanh+mul_scalar+sub\n"
                "      x2 -> k8=x2\n");
    wg_close(ctx);
}

/* Micro-batches: the second does not begin before the first has ended, and its temporaries lie where the first's did. */
Test(plan, micro_batches_do_not_interleave) {
    wg_ctx *ctx = open_null("null:gpu");
    wg_tensor *x[2] = {given(ctx, WG_SHAPE(32, 8)), given(ctx, WG_SHAPE(32, 8))},
              *w1 = wg_param(given(ctx, WG_SHAPE(8, 8))), *w2 = wg_param(given(ctx, WG_SHAPE(8, 8)));
    WG_SCOPE(ctx) {
        for (int i = 0; i < 2; i++) {
            wg_backward(wg_sum(wg_square(wg_linear(wg_tanh(wg_linear(x[i], w1, NULL)), w2, NULL)), NULL, 0, false));
        }
    }
    expect_plan(ctx, "two batches",
                "10 launches, 3072 bytes: 512 kept, arena 2560\n"
                "  1 matmul 32x8x8: matmul+tanh\n"
                "      x0 x1 -> t1[0+1024]\n"
                "  2 matmul 32x8x8: matmul+mul_scalar+ones+mul\n"
                "      t1[0+1024] x2 -> t5[1024+1024]\n"
                "  3 matmul 8x32x8: matmul\n"
                "      t5[1024+1024] t1[0+1024] -> t7[2048+256]\n"
                "  4 matmul 32x8x8: matmul+square+rsub_scalar+mul\n"
                "      t5[1024+1024] x2 t1[0+1024] -> t10[0+1024]\n"
                "  5 matmul 8x32x8: matmul\n"
                "      t10[0+1024] x0 -> t11[2304+256]\n"
                "  6 matmul 32x8x8: matmul+tanh\n"
                "      x3 x1 -> t13[0+1024]\n"
                "  7 matmul 32x8x8: matmul+mul_scalar+ones+mul\n"
                "      t13[0+1024] x2 -> t17[1024+1024]\n"
                "  8 matmul 8x32x8: matmul+add\n"
                "      t17[1024+1024] t13[0+1024] t7[2048+256] -> k24\n"
                "  9 matmul 32x8x8: matmul+square+rsub_scalar+mul\n"
                "      t17[1024+1024] x2 t13[0+1024] -> t22[0+1024]\n"
                " 10 matmul 8x32x8: matmul+add\n"
                "      t22[0+1024] x3 t11[2304+256] -> k25\n");
    wg_close(ctx);
}

/* Rows that a group of work-items holds whole are summed as they are made: nobody else needs the product. */
Test(plan, rows_join_their_product) {
    wg_ctx *ctx = open_null("null:gpu");
    wg_tensor *x = given(ctx, WG_SHAPE(256, 16)), *w = given(ctx, WG_SHAPE(16, 64)), *b = given(ctx, WG_SHAPE(64));
    WG_SCOPE(ctx) {
        wg_tensor *h = wg_add(wg_matmul(x, w), b), *all[] = {wg_softmax(h, -1), wg_sum(h, (int[]){1}, 1, false)};
        wg_eval(all, 2);
        expect_plan(ctx, "softmax and sums",
                    "1 launches, 66560 bytes: 66560 kept\n"
                    "  1 matmul 256x16x64, then rows: matmul+add+amax+sub+exp+sum+div+sum\n"
                    "      x0 x1 x2 -> k6 k7\n");
    }
    wg_close(ctx);
}

/* What is cheap is computed again where it is read: the mask and the scaled value are stored by nobody. */
Test(plan, cheap_maps_sink) {
    wg_ctx *ctx = open_null("null:gpu");
    wg_tensor *x = given(ctx, WG_SHAPE(256, 16)), *w = given(ctx, WG_SHAPE(16, 144)); /* rows too long for a product */
    WG_SCOPE(ctx) {
        wg_tensor *h = wg_matmul(x, w), *twice = wg_mul_scalar(h, 2), *less = wg_sub_scalar(h, 1);
        wg_tensor *rows = wg_softmax(twice, -1), *columns = wg_sum(wg_mul(less, twice), (int[]){0}, 1, false);
        wg_eval((wg_tensor *[]){rows, columns}, 2);
        expect_plan(ctx, "sunk",
                    "3 launches, 295488 bytes: 148032 kept, arena 147456\n"
                    "  1 matmul 256x16x144: matmul\n"
                    "      x0 x1 -> t0[0+147456]\n"
                    "  2 rows 256 of 144: mul_scalar+amax+sub+exp+sum+div\n"
                    "      t0[0+147456] -> k7\n"
                    "  3 columns 144 of 256: sub_scalar+mul_scalar+mul+sum\n"
                    "      t0[0+147456] -> k9\n");
    }
    wg_close(ctx);
}

/* A norm's row kernel stores two numbers of a row; the products make its elements again from those and from x, which is kept. */
Test(plan, a_norm_stores_a_rows_numbers) {
    wg_ctx *ctx = open_null("null:gpu");
    wg_tensor *in = given(ctx, WG_SHAPE(256, 64)), *u = given(ctx, WG_SHAPE(64, 64));
    wg_tensor *w = given(ctx, WG_SHAPE(64, 96)), *v = given(ctx, WG_SHAPE(64, 32));
    WG_SCOPE(ctx) {
        wg_tensor *x = wg_matmul(in, u);
        wg_tensor *y = wg_layer_norm(x, WG_SHAPE(64), NULL, NULL, NULL);
        wg_tensor *out[] = {wg_matmul(y, w), wg_matmul(y, v), x};
        wg_eval(out, 3);
        expect_plan(
            ctx, "norm and products",
            "3 launches, 198656 bytes: 196608 kept, arena 2048\n"
            "  1 matmul 256x64x64, then rows: matmul+sum+div_scalar+sub+square+sum+div_scalar+add_scalar+rsqrt\n"
            "      x0 x1 -> k0 t2[0+1024] t8[1024+1024]\n"
            "  2 matmul 256x64x96: sub+mul+matmul\n"
            "      t2[0+1024] k0 t8[1024+1024] x2 -> k10\n"
            "  3 matmul 256x64x32: sub+mul+matmul\n"
            "      t2[0+1024] k0 t8[1024+1024] x3 -> k11\n");
    }
    wg_close(ctx);
}

/* Loss and gradient: every group counts the targets, and the last one takes the mean. Where the count is more work than all
 * the rest, it has a launch of its own. */
Test(plan, cross_entropy_is_one_launch) {
    wg_ctx *ctx = open_null("null:gpu");
    static const int64_t target[1 << 14];
    for (int64_t n = 1024; n <= 1 << 14; n *= 16) {
        WG_SCOPE(ctx) {
            wg_tensor *logits = wg_param(given(ctx, WG_SHAPE(n, 4))), *both[2];
            both[0] = wg_cross_entropy(logits, wg_from_i64(ctx, target, WG_SHAPE(n)), NULL);
            wg_gradients(both, 1, &logits, 1, both + 1, NULL);
            wg_eval(both, 2);
            expect_plan(ctx, "loss and gradient",
                        n == 1024 ? "1 launches, 20740 bytes: 16388 kept, arena 4352\n"
                                    "  1 rows 1024: ne_scalar+cast+sum\n"
                                    "      x0 -> t16[4096+8]\n"
                                    "  > rows 1024 of 4: "
                                    "amax+sub+exp+sum+log+sub+one_hot+cast+zeros+where+sum+neg+ne_scalar+zeros+where+"
                                    "ones+cast+di...\n"
                                    "      x1 x0 t16[4096+8] -> t14[0+4096] k30\n"
                                    "  > rows 1024: sum+cast+div\n"
                                    "      t14[0+4096] t16[4096+8] -> k19\n"
                                  : "2 launches, 327940 bytes: 262148 kept, arena 65792\n"
                                    "  1 rows 16384: ne_scalar+cast+sum\n"
                                    "      x0 -> t16[65536+8]\n"
                                    "  2 rows 16384 of 4: "
                                    "amax+sub+exp+sum+log+sub+one_hot+cast+zeros+where+sum+neg+ne_scalar+zeros+where+"
                                    "ones+cast+di...\n"
                                    "      x1 x0 t16[65536+8] -> t14[0+65536] k30\n"
                                    "  > rows 16384: sum+cast+div\n"
                                    "      t14[0+65536] t16[65536+8] -> k19\n");
        }
    }
    wg_close(ctx);
}

/* Partial sums, and the sum of these, once all of them are there. */
Test(plan, a_loss_and_its_update) {
    wg_ctx *ctx = open_null("null:gpu");
    wg_tensor *w = wg_param(given(ctx, WG_SHAPE(1 << 16))), *y = given(ctx, WG_SHAPE(1 << 16)), *loss = NULL;
    WG_SCOPE(ctx) {
        loss = wg_keep(wg_mse_loss(w, y, WG_MEAN));
        wg_backward(loss);
        wg_assign(w, wg_sub(w, wg_mul_scalar(wg_grad(w), 0.1)));
        wg_zero_grad(w);
    }
    expect_plan(ctx, "mse",
                "1 launches, 260 bytes: 4 kept, arena 256\n"
                "  1 rows 4 of 65536: sub+square+sum+ones+div_scalar+mul_scalar+mul+mul_scalar+sub\n"
                "      x1 x0 -> t12[0+16] k9=x0\n"
                "  > rows 4: sum+div_scalar\n"
                "      t12[0+16] -> k3\n");
    wg_free(loss);
    wg_close(ctx);
}

/* The pieces of the first bias' gradient wait for those of the second, over the products between them, so that one launch adds up
 * both: memory comes in pages, and there is room in the last. Not if the products fill them. */
Test(plan, pieces_that_wait) {
    wg_ctx *ctx = open_null("null:gpu");
    for (int k = 0; k < 2; k++) {
        wg_tensor *x = given(ctx, WG_SHAPE(2048, 8)), *dy = given(ctx, WG_SHAPE(2048, 16));
        wg_tensor *a = given(ctx, WG_SHAPE(k ? 34 : 40, 8)), *param[4];
        const int outer = 0;
        for (int i = 0; i < 4; i++) {
            param[i] = wg_param(given(ctx, i % 2 ? WG_SHAPE(16) : WG_SHAPE(8, 16)));
        }
        WG_SCOPE(ctx) {
            for (int i = 0; i < 4; i += 2) {
                wg_tensor *dw = wg_matmul(wg_transpose(x, 0, 1), dy), *t = wg_matmul(a, dw);
                wg_assign(param[i], dw);
                wg_assign(param[i + 1], wg_sub(param[i + 1], wg_sum(dy, &outer, 1, false)));
                dy = i ? dy : wg_mul(dy, wg_mean(wg_matmul(t, wg_transpose(t, 0, 1)), NULL, 0, false));
            }
        }
        if (k) {
            expect_plan(ctx, "full pages",
                        "7 launches, 8192 bytes: 1024 kept, arena 7168\n"
                        "  1 matmul 8x2048x16: matmul\n"
                        "      x0 x1 -> k0\n"
                        "  & columns 2x16 of 2048: sum\n"
                        "      x1 -> t13[0+128]\n"
                        "  2 matmul 34x8x16: matmul\n"
                        "      x2 k0 -> t1[4864+2176]\n"
                        "  3 columns 16 of 2: sum+sub\n"
                        "      t13[0+128] x3 -> k3=x3\n"
                        "  4 matmul 34x16x34: matmul\n"
                        "      t1[4864+2176] t1[4864+2176] -> t4[0+4624]\n"
                        "  5 rows 1156: sum+div_scalar\n"
                        "      t4[0+4624] -> t6[4864+4]\n"
                        "  6 matmul 8x2048x16: mul+matmul\n"
                        "      x0 t6[4864+4] x1 -> k8\n"
                        "  & columns 2x16 of 2048: mul+sum\n"
                        "      t6[4864+4] x1 -> t20[5120+128]\n"
                        "  7 columns 16 of 2: sum+sub\n"
                        "      t20[5120+128] x4 -> k10=x4\n");
        } else {
            expect_plan(ctx, "room in a page",
                        "6 launches, 10240 bytes: 1024 kept, arena 9216\n"
                        "  1 matmul 8x2048x16: matmul\n"
                        "      x0 x1 -> k0\n"
                        "  & columns 2x16 of 2048: sum\n"
                        "      x1 -> t13[8960+128]\n"
                        "  2 matmul 40x8x16: matmul\n"
                        "      x2 k0 -> t1[6400+2560]\n"
                        "  3 matmul 40x16x40: matmul\n"
                        "      t1[6400+2560] t1[6400+2560] -> t4[0+6400]\n"
                        "  4 rows 1600: sum+div_scalar\n"
                        "      t4[0+6400] -> t6[6400+4]\n"
                        "  5 matmul 8x2048x16: mul+matmul\n"
                        "      x0 t6[6400+4] x1 -> k8\n"
                        "  & columns 2x16 of 2048: mul+sum\n"
                        "      t6[6400+4] x1 -> t20[6656+128]\n"
                        "  6 columns 16 of 2: sum+sub\n"
                        "      t13[8960+128] x3 -> k3=x3\n"
                        "  + columns 16 of 2: sum+sub\n"
                        "      t20[6656+128] x4 -> k10=x4\n");
        }
    }
    wg_close(ctx);
}

/* Every group needs the mean of w before any of them may write over w: not in one launch. */
Test(plan, no_number_of_what_is_overwritten) {
    wg_ctx *ctx = open_null("null:gpu");
    wg_tensor *w = wg_param(given(ctx, WG_SHAPE(500))), *x = given(ctx, WG_SHAPE(500));
    for (int k = 0; k < 2; k++) {
        WG_SCOPE(ctx) {
            wg_tensor *twice = wg_mul_scalar(wg_mean(k ? x : w, NULL, 0, false), 2);
            wg_assign(w, wg_sub(wg_add_scalar(twice, 1), w));
        }
        expect_plan(ctx, k ? "of another" : "of itself",
                    k ? "1 launches, 256 bytes: 0 kept, arena 256\n"
                        "  1 rows 500: sum\n"
                        "      x0 -> t0[0+4]\n"
                        "  > map 500: div_scalar+mul_scalar+add_scalar+sub\n"
                        "      t0[0+4] x1 -> k4=x1\n"
                      : "2 launches, 256 bytes: 0 kept, arena 256\n"
                        "  1 rows 500: sum\n"
                        "      x0 -> t0[0+4]\n"
                        "  2 map 500: div_scalar+mul_scalar+add_scalar+sub\n"
                        "      t0[0+4] x0 -> k4=x0\n");
    }
    wg_close(ctx);
}
