/* label: unit */
/*
 * What grows. Many training steps that are alike hold in the end what they held after the first hundred; and a program
 * whose shapes or graphs never come back is held to a bound by each table. slow_soak.c trains for longer.
 */
#include "harness/check.h"
#include "harness/soak.h"

#include "api/context.h"
#include "graph/intern.h"

#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
enum { PAGES = -1 }; /* freed memory is held back for a while */
#else
enum { PAGES = 64 };
#endif

static void trains(const char *device, int steps) {
    char why[400] = "";
    cr_expect(soak(device, steps, PAGES, why, sizeof why), "%s: %s", device, why);
    cr_log_info("%s: %s", device, why);
}

Test(soak, host) { trains("host", 20000); }

Test(soak, device) {
    const char *s = getenv("WENGERT_DEVICE");
    trains(s && *s ? s : "opencl", 5000);
}

/* ---- what never comes back -------------------------------------------------------------------------------------------- */

static float sum_of(wg_ctx *ctx, int64_t rows, int64_t columns, bool transposed) {
    float data[400];
    for (int i = 0; i < rows * columns; i++) {
        data[i] = (float)(i % 7);
    }
    wg_mark mark = wg_scope_begin(ctx);
    wg_tensor *t = wg_from_f32(ctx, data, WG_SHAPE(rows, columns));
    t = transposed ? wg_transpose(t, 0, 1) : t;
    float sum = (float)wg_item(wg_sum(wg_mul_scalar(t, 2), NULL, 0, false));
    wg_scope_end(ctx, mark);
    return sum;
}

static float expected_sum(int64_t n) {
    int64_t whole = n / 7, rest = n % 7;
    return (float)(2 * whole * 21 + rest * (rest - 1));
}

/* Four hundred thousand shapes, and as many views; between them the same one, whose plan has to stay right when what it was
 * made for was forgotten and its place in memory taken by another. */
Test(bounds, shapes_that_never_come_back) {
    wg_ctx *ctx = open_mode(MODE_HOST);
    wg_tensor *held = wg_keep(wg_zeros(ctx, WG_F32, WG_SHAPE(3, 1, 4, 1, 5)));
    size_t most = 0;
    long pages = 0;
    for (int i = 0; i < 400000; i++) {
        wg_shape s = {4, {1 + i % 10, 1 + i / 10 % 10, 1 + i / 100 % 10, 1 + i / 1000}};
        wg_mark mark = wg_scope_begin(ctx);
        wg_tensor *t = wg_transpose(wg_zeros(ctx, WG_F32, s), 0, 3);
        cr_assert(t && wg_size(t, 0) == s.dim[3], "%s", wg_error(ctx));
        wg_scope_end(ctx, mark);
        if (i % 100 == 0) {
            int64_t rows = 1 + i / 100 % 20, columns = 1 + i / 700 % 20;
            float got = sum_of(ctx, rows, columns, i % 200 == 0);
            cr_assert_float_eq(got, expected_sum(rows * columns), 0, "%d: %g, not %g", i, (double)got,
                               (double)expected_sum(rows * columns));
        }
        most = wg_intern_count(&ctx->graph) > most ? wg_intern_count(&ctx->graph) : most;
        pages = i == 200000 ? resident_pages() : pages; /* the plan cache is full of the largest plans by then */
    }
    cr_log_info("at most %zu entries; %ld pages, then %ld", most, pages, resident_pages());
    cr_expect_leq(most, 2000);
    cr_expect(PAGES < 0 || resident_pages() - pages <= 512, "grew by %ld pages", resident_pages() - pages);
    EXPECT_VALUES(wg_sum(held, NULL, 0, false), 0);
    cr_expect(wg_rank(held) == 5 && wg_size(held, 4) == 5);
    wg_free(held);
    close_ok(ctx);
}

/* A chain of unary ops by the bits of n. */
static wg_tensor *chain(wg_tensor *t, int n) {
    for (int bit = 0; bit < 13; bit++) {
        t = n >> bit & 1 ? wg_exp(t) : wg_neg(t);
    }
    return t;
}

/* Eight thousand kernels, none of them twice. */
Test(bounds, graphs_that_never_come_back) {
    wg_ctx *ctx = wg_open("null:cpu");
    wg_tensor *t = wg_zeros(ctx, WG_F32, WG_SHAPE(100));
    size_t most = 0;
    for (int n = 0; n < 1 << 13; n++) {
        wg_mark mark = wg_scope_begin(ctx);
        wg_tensor *y = chain(t, n);
        cr_assert_eq(wg_eval(&y, 1), WG_OK, "%s", wg_error(ctx));
        wg_scope_end(ctx, mark);
        size_t kernels = ctx->engine.programs.count;
        most = kernels > most ? kernels : most;
    }
    wg_stats s = stats_of(ctx);
    cr_log_info("%llu kernels built, at most %zu at a time", (unsigned long long)s.kernels_built, most);
    cr_expect_geq(s.kernels_built, 1 << 13);
    cr_expect_leq(most, 2100);
    close_ok(ctx);
}
