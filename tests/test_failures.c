/* label: unit */
/* timeout: 120 */
/*
 * What one fault leaves behind, case by case: opening, closing, a scope's end, lent bytes, backward.
 */
#include "harness/check.h"

#include "base/alloc.h"

#include <stdlib.h>

static wg_tensor *square_sum(wg_tensor *t) { return wg_sum(wg_square(t), NULL, 0, false); }

static const char *real_device(void) {
    const char *s = getenv("WENGERT_DEVICE");
    return s && *s ? s : "opencl";
}

/* wg_open under every allocation fault: NULL, or a context that tells. */
Test(open, without_memory) {
    const char *const devices[] = {"host", "nonsense", real_device()};
    for (int d = 0; d < 3; d++) {
        bool hit = true;
        for (uint64_t n = 1; hit; n++) {
            wg_fault_arm(WG_FAULT_ALLOC, n);
            wg_ctx *ctx = wg_open(devices[d]);
            hit = wg_fault_count(WG_FAULT_ALLOC) >= n;
            wg_fault_arm(WG_FAULT_ALLOC, 0);
            if (wg_failed(ctx)) {
                wg_status status = wg_error_status(ctx);
                cr_expect(status == WG_ERR_NOMEM || (d == 1 && status == WG_ERR_NO_DEVICE), "%s: %s", devices[d],
                          wg_status_name(status));
                cr_expect(*wg_error(ctx));
                cr_expect_null(wg_zeros(ctx, WG_F32, WG_SHAPE(2)));
            }
            wg_close(ctx);
        }
    }
}

/* Closing with an unrun update, lent bytes and an open scope runs nothing that could fail, and frees everything. */
Test(close, under_any_fault) {
    for (int kind = 0; kind < WG_FAULT_COUNT; kind++) {
        wg_ctx *ctx = wg_open("host");
        wg_tensor *w = wg_param(wg_from_f32(ctx, (float[]){1, 2}, WG_SHAPE(2)));
        wg_scope_begin(ctx);
        wg_assign(w, wg_mul_scalar(w, 2));
        wg_tensor *lent = wg_from_bool(ctx, (uint8_t[]){1, 0}, WG_SHAPE(2));
        cr_expect_not_null(wg_data_mut(lent));
        wg_fault_arm((wg_fault)kind, 1);
        cr_expect_eq(wg_close(ctx), WG_OK);
        wg_fault_arm((wg_fault)kind, 0);
    }
}

static wg_tensor *keep_f32(wg_ctx *ctx, float a, float b) {
    return wg_keep(wg_from_f32(ctx, (float[]){a, b}, WG_SHAPE(2)));
}

/* What a scope's end could not run for want of memory is computed when it is read, or by the next scope, and nothing that it
 * needed is held any longer than that. */
Test(scope, out_of_memory_loses_no_update) {
    for (int read = 0; read < 2; read++) {
        wg_ctx *ctx = wg_open("host");
        wg_tensor *w = wg_param(keep_f32(ctx, 1, 2));
        uint64_t live = stats_of(ctx).bytes_live;
        for (int k = 0; k < 2; k++) {
            wg_mark m = wg_scope_begin(ctx);
            wg_tensor *x = wg_from_f32(ctx, (float[]){10, 100}, WG_SHAPE(2));
            wg_assign(w, wg_add(wg_mul(w, x), wg_sum(x, NULL, 0, true)));
            wg_fault_arm(WG_FAULT_ALLOC, k == 0);
            cr_expect_eq(wg_scope_end(ctx, m), k == 0 ? WG_ERR_NOMEM : WG_OK);
            wg_fault_arm(WG_FAULT_ALLOC, 0);
            cr_expect_eq(wg_error_take(ctx, NULL, 0), k == 0 ? WG_ERR_NOMEM : WG_OK);
            if (k == 0 && read) {
                EXPECT_VALUES(w, 120, 310);
            }
        }
        cr_expect_eq(stats_of(ctx).bytes_live, live, "held: %llu, not %llu",
                     (unsigned long long)stats_of(ctx).bytes_live, (unsigned long long)live);
        EXPECT_VALUES(w, 1310, 31110);
        cr_expect_eq(stats_of(ctx).bytes_live, live);
        close_ok(ctx);
    }
}

/* A launch that fails takes with it what it overwrote and what can only be made from that; nothing else. */
Test(scope, launch_loses_what_it_overwrote) {
    wg_ctx *ctx = wg_open("host");
    wg_tensor *a = wg_param(keep_f32(ctx, 1, 2)), *b = keep_f32(ctx, 3, 4), *c = keep_f32(ctx, 5, 6);
    wg_tensor *old = wg_keep(wg_detach(c)), *follows = NULL;
    wg_fault_arm(WG_FAULT_LAUNCH, 1);
    WG_SCOPE(ctx) {
        follows = wg_keep(wg_mul_scalar(a, 3));
        wg_assign(a, wg_mul_scalar(a, 10));
        wg_assign(c, wg_mul_scalar(c, 10));
    }
    wg_fault_arm(WG_FAULT_LAUNCH, 0);
    expect_error(ctx, WG_ERR_LAUNCH, "the launch", "mul", (char *)NULL);
    float got[2];
    cr_expect_eq(wg_read(a, got, sizeof got), WG_ERR_LOST);
    expect_error(ctx, WG_ERR_LOST, "the value", "assign it again", (char *)NULL);
    cr_expect_eq(wg_read(follows, got, sizeof got), WG_ERR_LOST, "made from a lost value");
    wg_error_take(ctx, NULL, 0);
    EXPECT_VALUES(b, 3, 4);
    EXPECT_VALUES(old, 5, 6);
    EXPECT_VALUES(c, 50, 60);
    wg_tensor *made = wg_add(a, b);
    cr_expect_eq(wg_eval(&made, 1), WG_ERR_LOST);
    wg_error_take(ctx, NULL, 0);
    WG_SCOPE(ctx) { wg_assign(a, wg_add(b, c)); }
    EXPECT_VALUES(a, 53, 64);
    cr_expect_eq(wg_init_uniform(a, 2, 2), WG_OK);
    EXPECT_VALUES(a, 2, 2);
    wg_free(follows);
    close_ok(ctx);
}

/* Bytes that wg_data_mut lent and that do not reach the device leave no value behind. */
Test(scope, bytes_that_never_arrive_are_lost) {
    wg_ctx *ctx = wg_open("host");
    wg_tensor *t = keep_f32(ctx, 1, 2), *other = keep_f32(ctx, 3, 4);
    float *p = wg_data_mut(t), got[2];
    p[0] = 7;
    wg_fault_arm(WG_FAULT_TRANSFER, 1);
    cr_expect_null(wg_add(t, other));
    wg_fault_arm(WG_FAULT_TRANSFER, 0);
    expect_error(ctx, WG_ERR_TRANSFER, "the upload", (char *)NULL);
    cr_expect_eq(wg_read(t, got, sizeof got), WG_ERR_LOST);
    wg_error_take(ctx, NULL, 0);
    cr_expect_null(wg_data_mut(t), "its old value is lost");
    wg_error_take(ctx, NULL, 0);
    cr_expect_eq(wg_write(t, (float[]){5, 6}, sizeof got), WG_OK);
    EXPECT_VALUES(wg_add(t, other), 8, 10);
    close_ok(ctx);
}

/* Every allocation of wg_backward and of wg_gradients: no leaf has a gradient then that it had not before, or all have. */
Test(backward, all_or_nothing) {
    for (int which = 0; which < 2; which++) {
        bool hit = true;
        for (uint64_t n = 1; hit; n++) {
            wg_ctx *ctx = wg_open("host");
            wg_tensor *w[20], *g[20], *sum = wg_zeros(ctx, WG_F32, WG_SHAPE(2));
            for (int i = 0; i < 20; i++) {
                w[i] = wg_param(keep_f32(ctx, (float)i, 1));
                sum = wg_add(sum, wg_mul(w[i], wg_exp(w[i])));
            }
            wg_tensor *loss = wg_sum(sum, NULL, 0, false);
            wg_fault_arm(WG_FAULT_ALLOC, n);
            wg_status status = which ? wg_gradients(&loss, 1, w, 20, g, NULL) : wg_backward(loss);
            hit = wg_fault_count(WG_FAULT_ALLOC) >= n;
            wg_fault_arm(WG_FAULT_ALLOC, 0);
            cr_expect_eq(status, wg_error_status(ctx));
            for (int i = 0; i < 20; i++) {
                bool has = which ? g[i] != NULL : wg_has_grad(w[i]);
                cr_expect_eq(has, status == WG_OK, "allocation %d, leaf %d", (int)n, i);
            }
            if (status != WG_OK) {
                cr_expect_eq(wg_error_take(ctx, NULL, 0), WG_ERR_NOMEM);
                cr_expect_eq(which ? wg_gradients(&loss, 1, w, 20, g, NULL) : wg_backward(loss), WG_OK,
                             "a backward that failed cannot be repeated: %s", wg_error(ctx));
            }
            wg_tensor *first = which ? g[0] : wg_grad(w[0]);
            EXPECT_VALUES(wg_narrow(first, 0, 0, 1), 1);
            close_ok(ctx);
        }
    }
}

/* An error that waits to be taken does not stop what follows. */
Test(backward, works_while_an_error_waits) {
    wg_ctx *ctx = wg_open("host");
    wg_tensor *w = wg_param(keep_f32(ctx, 1, 2)), *g;
    cr_expect_null(wg_add(w, NULL));
    wg_tensor *loss = square_sum(w);
    wg_gradients_opts retain = wg_gradients_defaults();
    retain.retain_graph = true;
    cr_expect_eq(wg_gradients(&loss, 1, &w, 1, &g, &retain), WG_OK);
    cr_expect_eq(wg_backward(loss), WG_OK);
    cr_expect_eq(wg_backward(loss), WG_ERR_GRAPH, "its own error, not the one that waits");
    cr_expect_eq(wg_error_take(ctx, NULL, 0), WG_ERR_ARG, "the first error");
    EXPECT_VALUES(wg_grad(w), 2, 4);
    EXPECT_VALUES(g, 2, 4);
    close_ok(ctx);
}
