/* label: ops */
/* timeout: 1500 */
/* host: too */
/* double: slow */
/*
 * Every op of the table against its float64 or integer reference: special values, sizes, broadcasting, strided operands,
 * empty and scalar tensors, all dtypes and their promotion.
 */
#include "harness/check.h"
#include "harness/op_table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))
/* The 16-bit floats are the interpreter's alone here: kernels of each kind that have them are compiled in test_half.c. */
static const wg_dtype dtypes[] = {WG_BOOL, WG_U8, WG_I32, WG_I64, WG_F32, WG_F64, WG_F16, WG_BF16};

static int dtype_count(void) {
    const char *device = getenv("WENGERT_DEVICE");
    return device && strcmp(device, "host") == 0 ? COUNT(dtypes) : COUNT(dtypes) - 2;
}

static bool elementwise(const op *o) { return !o->cases; }

/* ---- the table ---- */

static bool in_table(const char *name) {
    size_t len = strlen(name);
    for (int k = 0; k < op_count(); k++) {
        const char *have = op_at(k)->name;
        if (strncmp(have, name, len) == 0 && (have[len] == '\0' || have[len] == '#')) {
            return true;
        }
    }
    return false;
}

/* Reads the header next to this file's directory and looks up every function in it that returns a tensor. */
static int look_up_header(const char *header) {
    char path[1024], line[400], name[100];
    const char *slash = strrchr(__FILE__, '/');
    int found = 0;
    snprintf(path, sizeof path, "%.*s/../include/wengert/%s", (int)(slash ? slash - __FILE__ : 1),
             slash ? __FILE__ : ".", header);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f, "cannot open %s", path);
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "WG_API wg_tensor *wg_%99[a-z0-9_](", name) == 1) {
            cr_expect(in_table(name), "wg_%s of %s is not in the op table", name, header);
            found++;
        }
    }
    fclose(f);
    return found;
}

Test(op_table, has_every_op_of_the_headers) {
    cr_assert(look_up_header("ops.h") > 60);
    cr_assert(look_up_header("nn.h") > 2);
    for (int k = 0; k < op_count(); k++) {
        const op *o = op_at(k);
        cr_expect(o->build && o->variants > 0 && o->dtypes && (elementwise(o) ? o->f != NULL : o->ref != NULL),
                  "row %s is incomplete", o->name);
    }
}

/* ---- elementwise ---- */

/* Every elementwise op over the same inputs, which are given for up to three operands. */
static void run_elementwise(batch *b, wg_ctx *ctx, int arity, const input *in, const char *what) {
    for (int k = 0; k < op_count(); k++) {
        const op *o = op_at(k);
        if (!elementwise(o) || o->arity != arity) {
            continue;
        }
        bool takes = true;
        for (int j = o->flags & OP_COND ? 1 : 0; j < arity; j++) {
            takes = takes && op_takes(o, in[j].v.dtype);
        }
        for (int v = 0; takes && v < o->variants; v++) {
            nd want = op_expected(o, in, v);
            batch_add(b, op_build(o, ctx, in, v), want, op_ulps(o, want.dtype), "%s/%d %s", o->name, v, what);
        }
    }
}

static input made(wg_ctx *ctx, wg_dtype t, wg_shape s, layout l, domain dom, rng *r) {
    return input_make(ctx, t, s, l, dom, r);
}

Test(elementwise, special_values) {
    wg_ctx *ctx = open_ctx();
    batch *b = batch_new(ctx);
    for (int d = 4; d < dtype_count(); d++) {
        wg_dtype t = dtypes[d];
        rng r = rng_seed("special", t);
        nd cond = nd_new(WG_BOOL, gen_cross(t, 0).shape);
        gen_fill(&cond, DOM_BIT, &r);
        input one = input_of(ctx, gen_specials(t)),
              two[] = {input_of(ctx, gen_cross(t, 0)), input_of(ctx, gen_cross(t, 1))};
        input three[] = {input_of(ctx, cond), two[0], two[1]};
        run_elementwise(b, ctx, 1, &one, "specials");
        run_elementwise(b, ctx, 2, two, "pairs of specials");
        run_elementwise(b, ctx, 3, three, "pairs of specials");
        input many = made(ctx, t, WG_SHAPE(3001), LAY_CONTIGUOUS, DOM_SPECIAL, &r);
        run_elementwise(b, ctx, 1, &many, "3001 mixed");
    }
    batch_run(b);
    cr_expect(batch_compared(b) > 150);
    close_ok(ctx);
}

Test(elementwise, sizes_ranks_and_empty) {
    static const wg_shape shapes[] = {
        SCALAR,
        SH(1, 1),
        SH(1, 2),
        SH(1, 15),
        SH(1, 16),
        SH(1, 17),
        SH(1, 1000),
        SH(2, 3, 5),
        SH(2, 31, 33),
        SH(8, 2, 1, 3, 1, 2, 1, 2, 2),
        SH(1, 0),
        SH(2, 0, 3),
        SH(2, 3, 0),
        SH(3, 2, 0, 3),
        SH(8, 1, 1, 1, 0, 1, 2, 1, 1),
        SH(4, 1, 1, 1, 1),
        SH(2, 1, 70),
        SH(2, 70, 1),
    };
    wg_ctx *ctx = open_ctx();
    batch *b = batch_new(ctx);
    rng r = rng_seed("sizes", 0);
    for (int k = 0; k < COUNT(shapes); k++) {
        input in[] = {made(ctx, WG_BOOL, shapes[k], LAY_CONTIGUOUS, DOM_BIT, &r),
                      made(ctx, WG_F32, shapes[k], LAY_CONTIGUOUS, DOM_SPECIAL, &r),
                      made(ctx, WG_F32, shapes[k], LAY_CONTIGUOUS, DOM_SPECIAL, &r)};
        run_elementwise(b, ctx, 1, in + 1, shape_text(shapes[k]));
        run_elementwise(b, ctx, 2, in + 1, shape_text(shapes[k]));
        run_elementwise(b, ctx, 3, in, shape_text(shapes[k]));
    }
    batch_run(b);
    close_ok(ctx);
}

Test(elementwise, broadcast) {
    static const wg_shape pairs[][2] = {
        {SH(2, 3, 5), SH(1, 5)},
        {SH(2, 3, 5), SH(2, 3, 1)},
        {SH(3, 3, 1, 5), SH(2, 4, 1)},
        {SCALAR, SH(1, 7)},
        {SH(2, 31, 17), SCALAR},
        {SH(1, 1), SH(2, 5, 3)},
        {SH(2, 1, 5), SH(2, 5, 1)},
        {SH(2, 0, 3), SH(2, 1, 3)},
        {SH(2, 3, 1), SH(2, 1, 0)},
        {SH(1, 0), SCALAR},
        {SH(4, 2, 1, 3, 1), SH(8, 1, 2, 1, 2, 2, 5, 1, 2)},
        {SH(3, 2, 3, 4), SH(3, 2, 1, 4)},
        {SH(2, 1, 1000), SH(2, 3, 1)},
    };
    wg_ctx *ctx = open_ctx();
    batch *b = batch_new(ctx);
    rng r = rng_seed("broadcast", 0);
    for (int k = 0; k < COUNT(pairs); k++) {
        char what[100];
        input in[] = {made(ctx, WG_BOOL, pairs[k][0], LAY_CONTIGUOUS, DOM_BIT, &r),
                      made(ctx, WG_F32, pairs[k][0], LAY_CONTIGUOUS, DOM_SPECIAL, &r),
                      made(ctx, WG_F32, pairs[k][1], LAY_CONTIGUOUS, DOM_SPECIAL, &r)};
        input swapped[] = {in[2], in[1]}, three[] = {in[0], in[2], made(ctx, WG_F32, WG_SHAPE(), 0, DOM_ANY, &r)};
        snprintf(what, sizeof what, "%s with %s", shape_text(pairs[k][0]), shape_text(pairs[k][1]));
        run_elementwise(b, ctx, 2, in + 1, what);
        run_elementwise(b, ctx, 2, swapped, what);
        run_elementwise(b, ctx, 3, in, what);
        run_elementwise(b, ctx, 3, three, what);
    }
    batch_run(b);
    close_ok(ctx);
}

Test(elementwise, strided) {
    static const wg_shape shapes[] = {SH(2, 6, 5), SH(3, 2, 17, 3), SH(1, 37), SH(2, 0, 3)};
    wg_ctx *ctx = open_ctx();
    batch *b = batch_new(ctx);
    rng r = rng_seed("strided", 0);
    for (int k = 0; k < COUNT(shapes); k++) {
        for (int l = 1; l < LAY_COUNT; l++) {
            char what[100];
            layout other = (layout)((l + 2 + k) % LAY_COUNT);
            input in[] = {made(ctx, WG_BOOL, shapes[k], (layout)((l + 4) % LAY_COUNT), DOM_BIT, &r),
                          made(ctx, WG_F32, shapes[k], (layout)l, DOM_SPECIAL, &r),
                          made(ctx, WG_F32, shapes[k], other, DOM_SPECIAL, &r)};
            snprintf(what, sizeof what, "%s %s, %s", shape_text(shapes[k]), layout_name((layout)l), layout_name(other));
            run_elementwise(b, ctx, 1, in + 1, what);
            run_elementwise(b, ctx, 2, in + 1, what);
            run_elementwise(b, ctx, 3, in, what);
        }
    }
    batch_run(b);
    close_ok(ctx);
}

Test(elementwise, dtypes_and_promotion) {
    wg_ctx *ctx = open_ctx();
    batch *b = batch_new(ctx);
    rng r = rng_seed("dtypes", 0);
    for (int s = 0; s < dtype_count(); s++) {
        char what[100];
        input one = made(ctx, dtypes[s], WG_SHAPE(151), LAY_CONTIGUOUS, DOM_SPECIAL, &r);
        snprintf(what, sizeof what, "%s", wg_dtype_name(dtypes[s]));
        run_elementwise(b, ctx, 1, &one, what);
        for (int t = 0; t < dtype_count(); t++) {
            input in[] = {made(ctx, WG_BOOL, WG_SHAPE(7, 23), LAY_CONTIGUOUS, DOM_BIT, &r),
                          made(ctx, dtypes[s], WG_SHAPE(7, 23), LAY_CONTIGUOUS, DOM_SPECIAL, &r),
                          made(ctx, dtypes[t], WG_SHAPE(23), LAY_CONTIGUOUS, DOM_SPECIAL, &r)};
            snprintf(what, sizeof what, "%s with %s", wg_dtype_name(dtypes[s]), wg_dtype_name(dtypes[t]));
            run_elementwise(b, ctx, 2, in + 1, what);
            run_elementwise(b, ctx, 3, in, what);
            wg_dtype want = dtype_promote(dtypes[s], dtypes[t]);
            cr_expect_eq(wg_promote_types(dtypes[s], dtypes[t]), want, "promote %s", what);
        }
    }
    batch_run(b);
    close_ok(ctx);
}

/* ---- all others ---- */

static void run_case(batch *b, wg_ctx *ctx, const op *o, int v, wg_dtype t, layout l, int dom, rng *r) {
    input in[OP_MAX_ARITY];
    op_inputs(o, ctx, v, NULL, t, l, dom, r, in);
    nd want = op_expected(o, in, v);
    batch_add(b, op_build(o, ctx, in, v), want, op_ulps(o, want.dtype), "%s/%d of %s %s %s%s", o->name, v,
              wg_dtype_name(t), shape_text(in[0].v.shape), layout_name(l), dom == DOM_SPARSE ? ", specials" : "");
}

Test(structured, every_case_in_every_dtype) {
    wg_ctx *ctx = open_ctx();
    batch *b = batch_new(ctx);
    for (int k = 0; k < op_count(); k++) {
        const op *o = op_at(k);
        rng r = rng_seed(o->name, 1);
        for (int v = 0; o->cases && v < o->variants; v++) {
            for (int t = 0; t < dtype_count(); t++) {
                if (op_takes(o, dtypes[t])) {
                    run_case(b, ctx, o, v, dtypes[t], LAY_CONTIGUOUS, -1, &r);
                }
            }
        }
    }
    batch_run(b);
    cr_expect(batch_compared(b) > 600);
    close_ok(ctx);
}

Test(structured, strided) {
    wg_ctx *ctx = open_ctx();
    batch *b = batch_new(ctx);
    for (int k = 0; k < op_count(); k++) {
        const op *o = op_at(k);
        rng r = rng_seed(o->name, 2);
        wg_dtype t = op_takes(o, WG_F32) ? WG_F32 : WG_I64;
        for (int v = 0; o->cases && v < o->variants; v++) {
            int64_t n = wg_shape_numel(o->cases[v].in[0]);
            for (int l = 1; l < LAY_COUNT; l++) {
                /* all layouts of the first cases, one layout of each later case */
                if (n > 1 && (v < 5 || l == 1 + v % (LAY_COUNT - 1))) {
                    run_case(b, ctx, o, v, t, (layout)l, -1, &r);
                }
            }
        }
    }
    batch_run(b);
    cr_expect(batch_compared(b) > 400);
    close_ok(ctx);
}

Test(structured, reductions_of_special_values_and_ties) {
    wg_ctx *ctx = open_ctx();
    batch *b = batch_new(ctx);
    for (int k = 0; k < op_count(); k++) {
        const op *o = op_at(k);
        rng r = rng_seed(o->name, 3);
        for (int v = 0; (o->flags & OP_REDUCE) && v < o->variants; v++) {
            run_case(b, ctx, o, v, WG_F32, LAY_CONTIGUOUS, DOM_SPARSE, &r);
            run_case(b, ctx, o, v, WG_F32, LAY_CONTIGUOUS, DOM_TIES, &r);
        }
        if (!(o->flags & OP_REDUCE)) {
            continue;
        }
        for (int fill = 0; fill < 4; fill++) { /* rows of one special value each */
            static const double one_value[] = {INFINITY, -INFINITY, NAN, 3e38};
            nd a = nd_new(WG_F32, o->cases[1].in[0]);
            for (int64_t e = 0; e < a.n; e++) {
                a.f[e] = one_value[fill];
            }
            bool sums = strcmp(o->name, "sum") == 0 || strcmp(o->name, "mean") == 0 || strcmp(o->name, "var") == 0;
            if (sums && fill == 3) {
                continue; /* the sum of these overflows f32, the reference does not */
            }
            input in = input_of(ctx, nd_cast(a, WG_F32));
            batch_add(b, op_build(o, ctx, &in, 1), op_expected(o, &in, 1), 2, "%s of all %g", o->name, one_value[fill]);
        }
    }
    batch_run(b);
    close_ok(ctx);
}

Test(structured, cat_promotes) {
    wg_ctx *ctx = open_ctx();
    batch *b = batch_new(ctx);
    int ops = 0, n = dtype_count();
    for (int k = 0; k < op_count(); k++) {
        const op *o = op_at(k);
        rng r = rng_seed(o->name, 4);
        for (int t = 0; (o->flags & OP_MIXES) && t < n * n; t++) {
            input in[OP_MAX_ARITY], second[OP_MAX_ARITY];
            op_inputs(o, ctx, 0, NULL, dtypes[t / n], LAY_CONTIGUOUS, DOM_SPECIAL, &r, in);
            op_inputs(o, ctx, 0, NULL, dtypes[t % n], LAY_CONTIGUOUS, DOM_SPECIAL, &r, second);
            in[1] = second[1];
            batch_add(b, op_build(o, ctx, in, 0), op_expected(o, in, 0), 0, "%s of %s and %s", o->name,
                      wg_dtype_name(dtypes[t / n]), wg_dtype_name(dtypes[t % n]));
            ops++;
        }
    }
    batch_run(b);
    cr_expect(ops >= 36);
    close_ok(ctx);
}

/* Sizes past 65,535, where launches change their form: one tensor of each shape through a few ops of each kind. */
Test(structured, large) {
    static const wg_shape shapes[] = {SH(1, 200003), SH(2, 70001, 3), SH(2, 3, 70001), SH(2, 401, 500)};
    static const int dims[][1] = {{0}, {1}, {0}, {1}};
    wg_ctx *ctx = open_ctx();
    batch *b = batch_new(ctx);
    rng r = rng_seed("large", 0);
    for (int k = 0; k < COUNT(shapes); k++) {
        input x = made(ctx, WG_F32, shapes[k], LAY_CONTIGUOUS, DOM_ANY, &r);
        nd neg = nd_cast(x.v, WG_F32), sum = nd_new(WG_F32, WG_SHAPE()), top = nd_new(WG_I64, WG_SHAPE());
        int64_t inner = shapes[k].rank == 2 ? shapes[k].dim[1] : x.v.n;
        nd rows = nd_new(WG_F32, WG_SHAPE(x.v.n / inner)), flat = nd_reshape(x.v, WG_SHAPE(x.v.n));
        nd_add_slack(&sum);
        for (int64_t e = 0; e < x.v.n; e++) {
            neg.f[e] = -x.v.f[e];
            sum.f[0] += x.v.f[e];
            sum.slack[0] += fabs(x.v.f[e]) * dtype_eps(WG_F32) * (8 + sqrt((double)x.v.n));
            top.i[0] = x.v.f[e] > x.v.f[top.i[0]] ? e : top.i[0];
            double *row = &rows.f[e / inner];
            *row = e % inner ? fmax(*row, x.v.f[e]) : x.v.f[e];
        }
        batch_add(b, wg_neg(x.t), neg, 0, "neg of %s", shape_text(shapes[k]));
        batch_add(b, wg_sum(x.t, NULL, 0, false), sum, 0, "sum of %s", shape_text(shapes[k]));
        batch_add(b, wg_argmax(wg_flatten(x.t, 0, -1), 0, false), top, 0, "argmax of %s", shape_text(shapes[k]));
        batch_add(b, wg_amax(shapes[k].rank == 2 ? x.t : wg_unsqueeze(x.t, 0), (int[]){1}, 1, false), rows, 0,
                  "amax of %s", shape_text(shapes[k]));
        batch_add(b, wg_contiguous(wg_flip(x.t, dims[k], 1)), nd_flip(x.v, dims[k], 1), 0, "flip of %s",
                  shape_text(shapes[k]));
        batch_add(b, wg_contiguous(wg_transpose(x.t, 0, -1)), nd_transpose(x.v, 0, -1), 0, "transpose of %s",
                  shape_text(shapes[k]));
        batch_add(b, wg_reshape(x.t, WG_SHAPE(-1)), flat, 0, "reshape of %s", shape_text(shapes[k]));
    }
    batch_run(b);
    close_ok(ctx);
}

/* ---- creation ---- */

Test(creation, constants_ranges_and_bytes) {
    static const wg_shape shapes[] = {SCALAR, SH(1, 5), SH(2, 3, 4), SH(2, 0, 3)};
    wg_ctx *ctx = open_ctx();
    batch *b = batch_new(ctx);
    for (int t = 0; t < dtype_count(); t++) {
        for (int s = 0; s < COUNT(shapes); s++) {
            nd zeros = nd_new(dtypes[t], shapes[s]), ones = nd_new(dtypes[t], shapes[s]),
               full = nd_new(dtypes[t], shapes[s]);
            for (int64_t e = 0; e < zeros.n; e++) {
                if (zeros.f) {
                    ones.f[e] = 1;
                    full.f[e] = 2.1;
                } else {
                    ones.i[e] = 1;
                    full.i[e] = dtypes[t] == WG_BOOL ? 1 : 2;
                }
            }
            double two = zeros.f ? 2.1 : 2;
            const char *name = wg_dtype_name(dtypes[t]);
            wg_tensor *like = wg_zeros(ctx, dtypes[t], shapes[s]);
            batch_add(b, like, zeros, 0, "zeros %s", name);
            batch_add(b, wg_ones(ctx, dtypes[t], shapes[s]), ones, 0, "ones %s", name);
            batch_add(b, wg_full(ctx, dtypes[t], shapes[s], two), full, 0, "full %s", name);
            batch_add(b, wg_zeros_like(like), zeros, 0, "zeros_like %s", name);
            batch_add(b, wg_ones_like(like), ones, 0, "ones_like %s", name);
            batch_add(b, wg_full_like(like, two), full, 0, "full_like %s", name);
        }
    }
    static const double ranges[][3] = {{0, 5, 1}, {1, 2, 0.25}, {5, 0, -2}, {0, 1, 0.3}, {3, 3, 1}, {-2, 1000, 3}};
    for (int k = 0; k < COUNT(ranges); k++) {
        for (int t = 1; t < dtype_count(); t++) {
            const double *g = ranges[k];
            bool whole = g[0] == floor(g[0]) && g[2] == floor(g[2]);
            if ((!whole && !dtype_is_float(dtypes[t])) ||
                (dtypes[t] == WG_U8 && (g[0] < 0 || g[2] < 0 || g[1] > 255))) {
                continue;
            }
            nd want = nd_new(dtypes[t], WG_SHAPE((int64_t)ceil((g[1] - g[0]) / g[2])));
            for (int64_t e = 0; e < want.n; e++) {
                if (want.f) {
                    wg_dtype d = dtype_is_half(dtypes[t]) ? WG_F32 : dtypes[t];
                    want.f[e] = round_to(g[0], d) + round_to((double)e * round_to(g[2], d), d);
                } else {
                    want.i[e] = (int64_t)g[0] + e * (int64_t)g[2];
                }
            }
            batch_add(b, wg_arange(ctx, dtypes[t], g[0], g[1], g[2]), want, 1, "arange(%g,%g,%g) %s", g[0], g[1], g[2],
                      wg_dtype_name(dtypes[t]));
        }
    }
    batch_run(b);
    EXPECT_VALUES(wg_from_bool(ctx, (uint8_t[]){0, 1, 2, 255}, WG_SHAPE(4)), 0, 1, 1, 1);
    EXPECT_VALUES(wg_from_u8(ctx, (uint8_t[]){0, 1, 255}, WG_SHAPE(3)), 0, 1, 255);
    EXPECT_VALUES(wg_from_i32(ctx, (int32_t[]){INT32_MIN, 7}, WG_SHAPE(2)), INT32_MIN, 7);
    EXPECT_VALUES(wg_from_i64(ctx, (int64_t[]){-1, 7}, WG_SHAPE(2)), -1, 7);
    EXPECT_VALUES(wg_from_f64(ctx, (double[]){1e300}, WG_SHAPE()), 1e300);
    cr_expect_eq(wg_item_i64(wg_from_i64(ctx, (int64_t[]){INT64_MAX - 1}, WG_SHAPE(1))), INT64_MAX - 1);
    cr_expect_eq(wg_item_i64(wg_full(ctx, WG_F32, WG_SHAPE(1), -2.9)), -2);
    wg_tensor *none = wg_from_f32(ctx, NULL, WG_SHAPE(0, 2));
    cr_expect(none && wg_numel(none) == 0 && wg_data(none) == NULL && wg_read(none, NULL, 0) == WG_OK);
    close_ok(ctx);
}
