/* label: unit */
/* timeout: 300 */
/* host: too */
/*
 * When things run and who owns them: record, demand, close, keep, views, assignments, scopes. Each test fails under the
 * obvious wrong rule, named in its comment.
 */
#include "harness/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static wg_tensor *vec(wg_ctx *ctx, float a, float b, float c) {
    return wg_from_f32(ctx, (float[]){a, b, c}, WG_SHAPE(3));
}
static wg_tensor *total(wg_tensor *t) { return wg_sum(t, NULL, 0, false); }

/* ---- record and demand ---- */

/* Wrong: an op, a backward, an update or a random op runs when it is called. */
Test(record, runs_nothing) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = wg_param(vec(ctx, 1, 2, 3)), *other = wg_param(vec(ctx, 0, 0, 0));
    uint64_t before = stat_launches(ctx), nodes = stats_of(ctx).nodes;
    WG_SCOPE(ctx) {
        wg_tensor *loss = total(wg_exp(wg_mul(w, wg_rand(ctx, WG_F32, WG_SHAPE(3)))));
        cr_expect_eq(wg_backward(loss), WG_OK);
        cr_expect_eq(wg_assign(other, wg_add(other, wg_grad(w))), WG_OK);
        cr_expect_eq(stat_launches(ctx), before, "recording launched kernels");
        cr_expect_gt(stats_of(ctx).nodes, nodes);
        cr_expect(isfinite(wg_item(loss)));
        cr_expect_gt(stat_launches(ctx), before, "a demand launched nothing");
    }
    close_ok(ctx);
}

/* Wrong: a demanded value is computed again at each read. */
Test(demand, computes_once) {
    wg_ctx *ctx = open_ctx();
    WG_SCOPE(ctx) {
        wg_tensor *x = vec(ctx, 1, 2, 3), *y = total(wg_exp(x));
        double first = wg_item(y);
        uint64_t after = stat_launches(ctx);
        cr_expect_eq(wg_item(y), first);
        cr_expect_eq(wg_data_f32(y)[0], (float)first);
        cr_expect_eq(stat_launches(ctx), after, "a second read ran something");
    }
    close_ok(ctx);
}

/* Wrong: a demand runs everything recorded so far. */
Test(demand, runs_only_what_it_needs) {
    wg_ctx *ctx = open_ctx();
    WG_SCOPE(ctx) {
        wg_tensor *x = vec(ctx, 1, 2, 3), *first = wg_exp(x), *unrelated = wg_sin(x);
        for (int k = 0; k < 50; k++) {
            unrelated = wg_matmul(wg_reshape(unrelated, WG_SHAPE(1, 3)), wg_ones(ctx, WG_F32, WG_SHAPE(3, 3)));
        }
        uint64_t before = stat_launches(ctx);
        EXPECT_VALUES(wg_sub(first, first), 0, 0, 0);
        cr_expect_leq(stat_launches(ctx) - before, 3);
    }
    close_ok(ctx);
}

/* Wrong: a demand applies the update in place, so that a lent pointer or the old value changes. */
Test(demand, overwrites_nothing) {
    wg_ctx *ctx = open_ctx();
    WG_SCOPE(ctx) {
        wg_tensor *w = vec(ctx, 1, 2, 3), *old = wg_detach(w);
        const float *lent = wg_data_f32(old);
        cr_assert_not_null(lent);
        wg_assign(w, wg_mul_scalar(w, 10));
        EXPECT_VALUES(w, 10, 20, 30);
        cr_expect(lent[0] == 1 && lent[1] == 2 && lent[2] == 3, "a lent value changed");
        EXPECT_VALUES(old, 1, 2, 3);
    }
    close_ok(ctx);
}

/* wg_eval demands several values in one plan; wg_data lends what wg_read copies. */
Test(demand, eval_list_and_data) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *x = vec(ctx, 1, 2, 3), *a = wg_add_scalar(x, 1), *b = wg_mul(a, x);
    wg_stats s0 = stats_of(ctx);
    cr_expect_eq(wg_eval((wg_tensor *[]){a, b}, 2), WG_OK);
    wg_stats s1 = stats_of(ctx);
    cr_expect_eq(s1.plans_built + s1.plans_reused - s0.plans_built - s0.plans_reused, 1);
    EXPECT_VALUES(a, 2, 3, 4);
    EXPECT_VALUES(b, 2, 6, 12);
    cr_expect_eq(stat_launches(ctx), s1.launches);
    const float *p = wg_data_f32(wg_transpose(wg_reshape(wg_arange(ctx, WG_F32, 0, 6, 1), WG_SHAPE(2, 3)), 0, 1));
    cr_assert_not_null(p);
    cr_expect(p[0] == 0 && p[1] == 3 && p[2] == 1 && p[5] == 5, "wg_data of a view is not contiguous");
    close_ok(ctx);
}

/* ---- close ---- */

/* Wrong: an update runs when recorded, or never. */
Test(scope_close, runs_updates) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = vec(ctx, 1, 2, 3);
    uint64_t before = stat_launches(ctx);
    WG_SCOPE(ctx) {
        wg_assign(w, wg_add_scalar(w, 1));
        cr_expect_eq(stat_launches(ctx), before);
    }
    uint64_t closed = stat_launches(ctx);
    cr_expect_gt(closed, before, "closing ran no update");
    EXPECT_VALUES(w, 2, 3, 4);
    cr_expect_eq(stat_launches(ctx), closed, "the update was put off to the read");
    close_ok(ctx);
}

/* Wrong: every update takes a fresh buffer that is never given back. */
Test(scope_close, updates_do_not_grow_memory) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = wg_contiguous(wg_add_scalar(wg_zeros(ctx, WG_F32, WG_SHAPE(1000)), 0.5)), *v = NULL;
    wg_keep(w);
    v = wg_from_f32(ctx, (float[1000]){0}, WG_SHAPE(1000));
    uint64_t live = 0;
    for (int k = 0; k < 20; k++) {
        WG_SCOPE(ctx) { wg_assign(v, wg_add(v, w)); }
        if (k == 3) {
            live = stats_of(ctx).bytes_live;
        }
    }
    cr_expect_eq(stats_of(ctx).bytes_live, live);
    cr_expect_eq(wg_item(wg_select(v, 0, 999)), 10);
    close_ok(ctx);
}

/* Wrong: updates are applied one after the other to the live bytes. */
Test(scope_close, updates_see_the_values_of_their_time) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *a = vec(ctx, 1, 2, 3), *b = vec(ctx, 10, 20, 30), *c = vec(ctx, 7, 8, 9);
    WG_SCOPE(ctx) { /* a swap */
        wg_tensor *old = wg_detach(a);
        wg_assign(a, b);
        wg_assign(b, old);
    }
    EXPECT_VALUES(a, 10, 20, 30);
    EXPECT_VALUES(b, 1, 2, 3);
    WG_SCOPE(ctx) { /* a rotation, each changed on the way, values taken before */
        wg_tensor *x = wg_add_scalar(a, 1), *y = wg_add_scalar(b, 1), *z = wg_add_scalar(c, 1);
        wg_assign(a, y);
        wg_assign(b, z);
        wg_assign(c, x);
    }
    EXPECT_VALUES(a, 2, 3, 4);
    EXPECT_VALUES(b, 8, 9, 10);
    EXPECT_VALUES(c, 11, 21, 31);
    WG_SCOPE(ctx) { /* an update of an update, and one that uses the new value */
        wg_assign(a, wg_mul_scalar(a, 2));
        wg_assign(a, wg_add_scalar(a, 1));
        wg_assign(b, wg_sub(b, a));
    }
    EXPECT_VALUES(a, 5, 7, 9);
    EXPECT_VALUES(b, 3, 2, 1);
    WG_SCOPE(ctx) { /* one handle takes the value of another, which then changes */
        wg_assign(a, b);
        wg_assign(b, wg_add_scalar(b, 100));
    }
    EXPECT_VALUES(a, 3, 2, 1);
    EXPECT_VALUES(b, 103, 102, 101);
    WG_SCOPE(ctx) { wg_assign(a, a); }
    EXPECT_VALUES(a, 3, 2, 1);
    close_ok(ctx);
}

/* Wrong: updating in place although the writing kernel reads other elements than it writes. */
Test(scope_close, in_place_only_elementwise) {
    enum { N = 96 };
    wg_ctx *ctx = open_ctx();
    nd m = nd_new(WG_F32, WG_SHAPE(N, N));
    for (int64_t k = 0; k < m.n; k++) {
        m.f[k] = (double)(k % 251);
    }
    wg_tensor *t = nd_tensor(ctx, m);
    WG_SCOPE(ctx) { wg_assign(t, wg_transpose(t, 0, 1)); }
    m = nd_transpose(m, 0, 1);
    expect_nd(t, m, 0, "transposed onto itself");
    WG_SCOPE(ctx) { wg_assign(t, wg_flip(t, (int[]){0, 1}, 2)); }
    m = nd_flip(m, (int[]){0, 1}, 2);
    expect_nd(t, m, 0, "flipped onto itself");
    WG_SCOPE(ctx) {
        wg_tensor *parts[] = {wg_narrow(t, 0, 1, N - 1), wg_narrow(t, 0, 0, 1)};
        wg_assign(t, wg_cat(parts, 2, 0));
    }
    nd rolled = nd_new(WG_F32, m.shape);
    for (int64_t k = 0; k < m.n; k++) {
        rolled.f[k] = m.f[(k + N) % m.n];
    }
    expect_nd(t, rolled, 0, "rolled onto itself");
    WG_SCOPE(ctx) { wg_assign(t, wg_sub(t, wg_narrow(t, 0, N - 1, 1))); }
    for (int64_t k = 0; k < m.n; k++) {
        m.f[k] = rolled.f[k] - rolled.f[(N - 1) * N + k % N];
    }
    expect_nd(t, m, 0, "less its own last row");
    wg_tensor *eye = wg_flip(
        wg_cast(wg_eq(wg_unsqueeze(wg_arange(ctx, WG_I64, 0, N, 1), 1), wg_arange(ctx, WG_I64, 0, N, 1)), WG_F32),
        (int[]){1}, 1);
    WG_SCOPE(ctx) { wg_assign(t, wg_matmul(t, eye)); }
    expect_nd(t, nd_flip(m, (int[]){1}, 1), 0, "multiplied onto itself");
    close_ok(ctx);
}

/* ---- keep ---- */

/* Wrong: what is kept but was not run before the close reads the values after the updates. */
Test(keep, holds_the_value_not_the_recipe) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = wg_param(vec(ctx, 1, 2, 3)), *loss = NULL, *view = NULL;
    WG_SCOPE(ctx) {
        loss = wg_keep(total(wg_square(w)));
        view = wg_keep(wg_narrow(wg_detach(w), 0, 1, 2));
        wg_assign(w, wg_mul_scalar(w, 100));
    }
    cr_expect_eq(wg_item(loss), 14);
    EXPECT_VALUES(view, 2, 3);
    EXPECT_VALUES(w, 100, 200, 300);
    cr_expect(wg_is_leaf(loss) && !wg_requires_grad(loss), "the graph outlived its scope");
    wg_free(loss);
    wg_free(view);
    close_ok(ctx);
}

/* Wrong: temporaries live on, or a kept tensor dies with the scope. */
Test(keep, temporaries_die) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *x = wg_from_f32(ctx, (float[4096]){1, 2}, WG_SHAPE(4096)), *kept = NULL;
    cr_expect_eq(wg_item(total(x)), 3);
    uint64_t live = stats_of(ctx).bytes_live;
    WG_SCOPE(ctx) {
        wg_tensor *big[8];
        for (int k = 0; k < 8; k++) {
            big[k] = wg_add_scalar(x, k);
        }
        wg_eval(big, 8);
        cr_expect_geq(stats_of(ctx).bytes_live, live + 8 * 4096 * 4);
        kept = wg_keep(wg_mul_scalar(big[7], 2));
    }
    WG_SCOPE(ctx) { /* a view holds its base's bytes */
        cr_expect_eq(wg_item(wg_select(kept, 0, 1)), 18);
    }
    wg_synchronize(ctx);
    uint64_t with = stats_of(ctx).bytes_live;
    cr_expect(with >= live + 4096 * 4 && with < live + 3 * 4096 * 4, "live: %llu, before %llu",
              (unsigned long long)with, (unsigned long long)live);
    wg_free(kept);
    cr_expect_lt(stats_of(ctx).bytes_live, with);
    close_ok(ctx);
}

/* Early wg_free of a scope's tensor does not disturb what was made from it. */
Test(keep, freeing_early) {
    wg_ctx *ctx = open_ctx();
    WG_SCOPE(ctx) {
        wg_tensor *x = vec(ctx, 1, 2, 3), *y = wg_add_scalar(x, 1), *z = wg_mul_scalar(y, 2);
        wg_free(y);
        wg_free(x);
        wg_free(NULL);
        EXPECT_VALUES(z, 4, 6, 8);
    }
    close_ok(ctx);
}

/* ---- values never change ---- */

/* Wrong: a view is a window on its tensor's bytes. */
Test(values, views_hold_the_value_at_their_time) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *t = wg_from_f32(ctx, (float[]){1, 2, 3, 4}, WG_SHAPE(2, 2));
    wg_tensor *row = wg_select(t, 0, 1), *turned = wg_transpose(t, 0, 1), *recorded = wg_mul_scalar(t, 10);
    wg_assign(t, wg_neg(t));
    EXPECT_VALUES(t, -1, -2, -3, -4);
    EXPECT_VALUES(row, 3, 4);
    EXPECT_VALUES(turned, 1, 3, 2, 4);
    EXPECT_VALUES(recorded, 10, 20, 30, 40);
    float mine[] = {9, 9, 9, 9};
    wg_tensor *made = wg_from_f32(ctx, mine, WG_SHAPE(4));
    mine[0] = 0;
    EXPECT_VALUES(made, 9, 9, 9, 9);
    cr_expect_eq(wg_write(made, mine, sizeof mine), WG_OK);
    mine[1] = -1;
    EXPECT_VALUES(made, 0, 9, 9, 9);
    close_ok(ctx);
}

/* Wrong: wg_data_mut writes through to views and to ops recorded before. */
Test(values, data_mut_is_a_new_value) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *t = vec(ctx, 1, 2, 3), *view = wg_narrow(t, 0, 0, 2), *recorded = wg_mul_scalar(t, 10);
    float *p = wg_data_mut(t);
    cr_assert_not_null(p);
    cr_expect(p[0] == 1 && p[1] == 2 && p[2] == 3, "it starts as the old value");
    p[0] = 99;
    wg_tensor *after = wg_mul_scalar(t, 10);
    EXPECT_VALUES(t, 99, 2, 3);
    EXPECT_VALUES(view, 1, 2);
    EXPECT_VALUES(recorded, 10, 20, 30);
    EXPECT_VALUES(after, 990, 20, 30);
    p = wg_data_mut(t);
    cr_assert_not_null(p);
    p[2] = -3;
    EXPECT_VALUES(t, 99, 2, -3);
    close_ok(ctx);
}

/* Wrong: a loop of updates that is read now and then, at the root scope, gives stale or twice updated values. */
Test(values, updates_at_the_root_scope) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *t = vec(ctx, 0, 0, 0);
    for (int k = 1; k <= 5000; k++) {
        cr_assert_eq(wg_assign(t, wg_add_scalar(t, 1)), WG_OK);
        if (k % 1250 == 0) {
            EXPECT_VALUES(wg_narrow(t, 0, 0, 1), k);
        }
    }
    EXPECT_VALUES(t, 5000, 5000, 5000);
    close_ok(ctx);
}

/* ---- scopes ---- */

static void leave_by_return(wg_ctx *ctx, wg_tensor *w) {
    WG_SCOPE(ctx) {
        wg_assign(w, wg_add_scalar(w, 1));
        return;
    }
}

/* Wrong: leaving by break, return, continue or goto leaves the scope open. */
Test(scopes, close_however_they_are_left) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = vec(ctx, 0, 0, 0);
    wg_mark base = wg_scope_begin(ctx);
    wg_scope_end(ctx, base);
    uint64_t before = stat_launches(ctx);
    WG_SCOPE(ctx) {
        wg_assign(w, wg_add_scalar(w, 1));
        break;
    }
    leave_by_return(ctx, w);
    WG_SCOPE(ctx) {
        wg_assign(w, wg_add_scalar(w, 1));
        goto out;
    }
out:
    WG_SCOPE(ctx) {
        wg_assign(w, wg_add_scalar(w, 1));
        continue;
    }
    cr_expect_eq(stat_launches(ctx), before + 4, "not every scope ran its update");
    wg_mark now = wg_scope_begin(ctx);
    cr_expect_eq(now, base, "a scope was left open");
    wg_scope_end(ctx, now);
    int turns = 0;
    for (int k = 0; k < 3; k++) {
        WG_SCOPE(ctx) { break; }
        turns++;
    }
    cr_expect_eq(turns, 3);
    EXPECT_VALUES(w, 4, 4, 4);
    close_ok(ctx);
}

/* Wrong: wg_scope_end closes the innermost scope only. */
Test(scopes, end_closes_everything_above_its_mark) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = vec(ctx, 0, 0, 0), *kept = NULL;
    wg_mark a = wg_scope_begin(ctx);
    wg_assign(w, wg_add_scalar(w, 1));
    wg_mark b = wg_scope_begin(ctx);
    wg_assign(w, wg_mul_scalar(w, 10));
    wg_mark c = wg_scope_begin(ctx);
    kept = wg_keep(wg_add_scalar(w, 5));
    wg_no_grad(ctx, true);
    cr_expect(a > 0 && b > a && c > b);
    cr_expect_eq(wg_scope_end(ctx, a), WG_OK);
    EXPECT_VALUES(w, 10, 10, 10);
    EXPECT_VALUES(kept, 15, 15, 15);
    cr_expect_eq(wg_no_grad(ctx, false), false, "no_grad outlived its scope");
    wg_mark again = wg_scope_begin(ctx);
    cr_expect_eq(again, a);
    wg_scope_end(ctx, again);
    close_ok(ctx);
}

/* Nested: the inner scope's tensors die, its updates stay, and the outer's tensors are usable throughout. */
Test(scopes, nest) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *w = vec(ctx, 1, 1, 1);
    WG_SCOPE(ctx) {
        wg_tensor *outer = wg_mul_scalar(w, 3);
        for (int k = 0; k < 4; k++) {
            WG_SCOPE(ctx) { wg_assign(w, wg_add(w, outer)); }
        }
        EXPECT_VALUES(outer, 3, 3, 3);
    }
    EXPECT_VALUES(w, 13, 13, 13);
    close_ok(ctx);
}

/* ---- asking and printing ---- */

Test(asking, shapes_dtypes_and_null) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *t = wg_zeros(ctx, WG_I32, WG_SHAPE(2, 3, 4));
    cr_expect(wg_rank(t) == 3 && wg_numel(t) == 24 && wg_size(t, 1) == 3 && wg_size(t, -1) == 4);
    cr_expect(wg_dtype_of(t) == WG_I32 && wg_context(t) == ctx && wg_is_leaf(t) && !wg_requires_grad(t));
    cr_expect(!wg_context(NULL) && wg_rank(NULL) == -1 && wg_numel(NULL) == -1 && wg_shape_of(NULL).rank == -1);
    cr_expect(wg_dtype_of(NULL) == WG_DTYPE_COUNT && !wg_failed(ctx));
    cr_expect(strlen(wg_device_name(ctx)) > 0);
    cr_expect_str_eq(wg_dtype_name(WG_F32), "f32");
    cr_expect_str_eq(wg_dtype_name((wg_dtype)99), "?");
    cr_expect_eq(wg_dtype_size(WG_I64), 8);
    cr_expect_eq(wg_dtype_size((wg_dtype)99), 0);
    cr_expect_str_eq(wg_status_name(WG_ERR_SHAPE), "WG_ERR_SHAPE");
    cr_expect_str_eq(wg_status_name((wg_status)999), "WG_ERR_?");
    cr_expect_str_eq(wg_version(), WG_VERSION_STRING);
    close_ok(ctx);
}

Test(asking, print_shows_values_shape_and_dtype) {
    wg_ctx *ctx = open_ctx();
    char *text = NULL;
    FILE *f = tmpfile();
    cr_assert_not_null(f);
    cr_expect_eq(wg_print(wg_from_f32(ctx, (float[]){1.5f, -2, 0.25f, 3}, WG_SHAPE(2, 2)), f), WG_OK);
    cr_expect_eq(wg_print(wg_zeros(ctx, WG_I64, WG_SHAPE(100000)), f), WG_OK);
    long size = ftell(f);
    cr_expect(size > 20 && size < 5000, "long tensors are summarised: %ld bytes", size);
    text = calloc(1, (size_t)size + 1);
    rewind(f);
    cr_expect_eq(fread(text, 1, (size_t)size, f), (size_t)size);
    cr_expect(strstr(text, "1.5") && strstr(text, "0.25") && strstr(text, "-2"), "%s", text);
    free(text);
    fclose(f);
    close_ok(ctx);
}
