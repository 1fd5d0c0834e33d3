/* label: unit */
/* timeout: 240 */
/*
 * The interpreter against arithmetic written out here, one element at a time: the order of every sum, first and last
 * lanes, integers that wrap, what is never read or written. Then against the simd form, to the bit.
 */
#include "base/alloc.h"
#include "harness/recording.h"
#include "runtime/exec.h"
#include "schedule/geometry.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static wg_ctx *host(void) { return open_mode(MODE_HOST); }

/* Values whose sums depend on the order. */
static float uneven(int64_t i) { return (float)((i * 7919 + 13) % 1009 - 500) * 0.37f * (i % 5 == 0 ? 1e4f : 1); }

static float *uneven_block(int64_t n) {
    float *x = malloc((size_t)(n ? n : 1) * sizeof *x);
    cr_assert_not_null(x);
    for (int64_t i = 0; i < n; i++) {
        x[i] = uneven(i);
    }
    return x;
}

/* ---- a step made by hand -------------------------------------------------------------------------------------------- */

/* y[i] = x[2 i] + 1 in i32. */
static wg_loop stepped_loop(wg_inst *inst, wg_access *access, wg_store *store) {
    inst[0] = (wg_inst){.prim = WG_P_LOAD, .dtype = WG_I32, .level = WG_LEVEL_KEPT, .a = -1, .b = -1, .c = -1};
    inst[1] = (wg_inst){.prim = WG_P_CONST, .dtype = WG_I32, .uniform = true, .a = -1, .b = -1, .c = -1, .value = 1};
    inst[2] = (wg_inst){.prim = WG_P_ADD, .dtype = WG_I32, .level = WG_LEVEL_KEPT, .a = 0, .b = 1, .c = -1};
    access[0] = (wg_access){.buffer = 0, .offset = 2, .kept = {3}, .lane = WG_LANE_STRIDE, .by_row = true};
    access[1] = (wg_access){.buffer = 1, .offset = 2, .kept = {-1}, .lane = WG_LANE_NEXT, .by_row = true};
    *store = (wg_store){.inst = 2, .access = 1};
    return (wg_loop){.mode = WG_LOOP_MAP,
                     .nkept = 1,
                     .kept_size = {0},
                     .block = 1,
                     .chunk = -1,
                     .ninsts = 3,
                     .naccesses = 2,
                     .nstores = 1,
                     .inst = inst,
                     .access = access,
                     .store = store};
}

/* Wrong: whole blocks of 16 are read or written (the sanitizers see the reads), or a lane is taken for another. */
Test(interpret, touches_no_more_than_there_is) {
    wg_inst inst[3];
    wg_access access[2];
    wg_store store;
    wg_step step = {.kind = WG_GROUP_LOOP};
    step.l.loop = stepped_loop(inst, access, &store);
    step.l.buffers[0] = step.l.buffers[1] = (wg_buffer_use){.dtype = WG_I32};
    step.l.nbuffers = 2;
    wg_room room = {0};
    for (int n = 1; n < 40; n++) {
        size_t in_bytes = (size_t)(2 * n - 1) * sizeof(int32_t), out_bytes = (size_t)n * sizeof(int32_t);
        int32_t *in = malloc(in_bytes), *out = malloc(out_bytes + 64);
        for (int i = 0; i < 2 * n - 1; i++) {
            in[i] = i == 2 * n - 2 ? INT32_MAX : i;
        }
        memset(out, 0x5A, out_bytes + 64);
        const int64_t params[] = {n, 1024, 0, 2};
        cr_assert(wg_interpret(&step, params, (char *const[]){(char *)in, (char *)out}, &room));
        for (int i = 0; i < n + 16; i++) {
            cr_assert_eq(out[i], i >= n ? 0x5A5A5A5A : i == n - 1 ? INT32_MIN : 2 * i + 1, "[%d] of %d", i, n);
        }
        free(in);
        free(out);
    }
    free(room.data);
    wg_room none = {0};
    wg_fault_arm(WG_FAULT_ALLOC, 1);
    cr_expect_not(wg_interpret(&step, (int64_t[]){1, 1024, 0, 2}, NULL, &none), "no memory, and it went on");
    wg_fault_arm(WG_FAULT_ALLOC, 0);
}

/* ---- orders of additions -------------------------------------------------------------------------------------------- */

/* A row: sixteen sums side by side, then halves onto halves. */
static float row_sum(const float *x, int64_t n) {
    float s[16] = {0};
    for (int64_t i = 0; i < n; i++) {
        s[i % 16] += x[i];
    }
    for (int k = 8; k > 0; k /= 2) {
        for (int l = 0; l < k; l++) {
            s[l] += s[l + k];
        }
    }
    return s[0];
}

/* A column: one sum, from 0 on. */
static float column_sum(const float *x, int64_t n, int64_t step) {
    float s = 0;
    for (int64_t i = 0; i < n; i++) {
        s += x[i * step];
    }
    return s;
}

/* Reduces dim 0 of [n] or of [n, columns] in pieces as long as the schedule says. */
static float split_sum(const float *x, int64_t n, int64_t columns) {
    wg_shape shape = columns ? WG_SHAPE(n, columns) : WG_SHAPE(n);
    int64_t chunk = wg_split_length(&shape, 1), pieces = 0, step = columns ? columns : 1;
    float partial[4096];
    cr_assert_gt(chunk, 0, "%lld elements are not split", (long long)n);
    for (int64_t at = 0; at < n; at += chunk) {
        int64_t length = n - at < chunk ? n - at : chunk;
        cr_assert_lt(pieces, COUNT(partial));
        partial[pieces++] = columns ? column_sum(x + at * step, length, step) : row_sum(x + at, length);
    }
    return columns ? column_sum(partial, pieces, 1) : row_sum(partial, pieces);
}

Test(interpret, sums_of_rows_and_columns) {
    static const int lengths[] = {0, 1, 2, 15, 16, 17, 31, 33, 100, 1000};
    wg_ctx *ctx = host();
    for (int k = 0; k < COUNT(lengths); k++) {
        int64_t n = lengths[k];
        float rows[3], columns[19], *x = uneven_block(n * 19);
        wg_tensor *a = wg_from_f32(ctx, x, WG_SHAPE(3, n)), *b = wg_from_f32(ctx, x, WG_SHAPE(n, 19));
        for (int r = 0; r < 3; r++) {
            rows[r] = row_sum(x + r * n, n);
        }
        for (int c = 0; c < 19; c++) {
            columns[c] = column_sum(x + c, n, 19);
        }
        void *got = read_bytes(wg_sum(a, (int[]){1}, 1, false), "rows");
        expect_same_bits(got, rows, WG_F32, 3, "rows");
        got = read_bytes(wg_sum(b, (int[]){0}, 1, false), "columns");
        expect_same_bits(got, columns, WG_F32, 19, "columns");
        free(x);
    }
    close_ok(ctx);
}

Test(interpret, long_sums_are_split) {
    wg_ctx *ctx = host();
    int64_t n = 70001, rows = 9001, columns = 5;
    float *x = uneven_block(n), want[5];
    float total = split_sum(x, n, 0);
    void *got = read_bytes(wg_sum(wg_from_f32(ctx, x, WG_SHAPE(n)), NULL, 0, false), "total");
    expect_same_bits(got, &total, WG_F32, 1, "total");
    for (int c = 0; c < columns; c++) {
        want[c] = split_sum(x + c, rows, columns);
    }
    got = read_bytes(wg_sum(wg_from_f32(ctx, x, WG_SHAPE(rows, columns)), (int[]){0}, 1, false), "columns");
    expect_same_bits(got, want, WG_F32, columns, "columns");
    free(x);
    close_ok(ctx);
}

/* ---- products, index_add -------------------------------------------------------------------------------------------- */

enum { Z = 2, M = 5, K = 37, N = 21 };

/* Wrong: another order of k, a rounding between product and sum, or strides of another batch. */
Test(interpret, products_are_chains_of_fma) {
    wg_ctx *ctx = host();
    float *a = uneven_block(Z * M * K), *b = uneven_block(K * N), want[Z * M * N];
    for (int e = 0; e < Z * M * N; e++) {
        int z = e / (M * N), i = e / N % M, j = e % N;
        float sum = 0;
        for (int k = 0; k < K; k++) {
            sum = fmaf(a[(z * M + i) * K + k], b[j * K + k], sum);
        }
        want[e] = sum * 2 + uneven(j);
    }
    wg_tensor *right = wg_transpose(wg_from_f32(ctx, b, WG_SHAPE(N, K)), 0, 1),
              *bias = wg_from_f32(ctx, a, WG_SHAPE(N));
    wg_tensor *product = wg_matmul(wg_from_f32(ctx, a, WG_SHAPE(Z, M, K)), right);
    void *got = read_bytes(wg_add(wg_mul_scalar(product, 2), bias), "product");
    expect_same_bits(got, want, WG_F32, Z * M * N, "product");
    wg_tensor *big = wg_full(ctx, WG_I32, WG_SHAPE(2, 2), 65536), *none = wg_zeros(ctx, WG_F32, WG_SHAPE(0, 3));
    EXPECT_VALUES(wg_matmul(big, wg_add_scalar(big, 1)), 131072, 131072, 131072, 131072);
    EXPECT_VALUES(wg_add_scalar(wg_matmul(wg_transpose(none, 0, 1), none), 4), 4, 4, 4, 4, 4, 4, 4, 4, 4);
    free(a);
    free(b);
    close_ok(ctx);
}

Test(interpret, index_add_adds_in_order) {
    wg_ctx *ctx = host();
    const int64_t index[] = {1, 0, 1, 1, 7};
    const float big[] = {1e8f, 5, 3, -1e8f, 1};
    wg_tensor *at = wg_from_i64(ctx, index, WG_SHAPE(4)), *to = wg_ones(ctx, WG_F32, WG_SHAPE(2));
    EXPECT_VALUES(wg_index_add(to, 0, at, wg_from_f32(ctx, big, WG_SHAPE(4))), 6, (double)(1.0f + 1e8f + 3.0f - 1e8f));
    wg_tensor *wide =
        wg_index_add(wg_zeros(ctx, WG_U8, WG_SHAPE(2, 2, 19)), 1, at, wg_full(ctx, WG_U8, WG_SHAPE(2, 4, 19), 100));
    EXPECT_VALUES(wg_select(wg_select(wide, 2, 18), 0, 1), 100, 44);
    wg_tensor *out = wg_index_add(to, 0, wg_from_i64(ctx, index, WG_SHAPE(5)), wg_from_f32(ctx, big, WG_SHAPE(5)));
    cr_expect_eq(wg_read(out, (float[2]){0}, 8), WG_ERR_INDEX);
    expect_error(ctx, WG_ERR_INDEX, "index 7 of 2", "index_add", NULL);
    close_ok(ctx);
}

/* ---- single operations ---------------------------------------------------------------------------------------------- */

Test(interpret, largest_element) {
    wg_ctx *ctx = host();
    float row[40];
    for (int i = 0; i < 40; i++) {
        row[i] = -INFINITY;
    }
    wg_tensor *same = wg_from_f32(ctx, row, WG_SHAPE(1, 40));
    row[39] = row[22] = row[6] = 3;
    wg_tensor *ties = wg_from_f32(ctx, row, WG_SHAPE(1, 40));
    row[35] = row[21] = NAN;
    wg_tensor *nans = wg_from_f32(ctx, row, WG_SHAPE(1, 40)), *list[] = {same, ties, nans}, *all = wg_cat(list, 3, 0);
    EXPECT_VALUES(wg_argmax(all, 1, false), 0, 6, 21);
    EXPECT_VALUES(wg_argmax(wg_contiguous(wg_transpose(all, 0, 1)), 0, false), 0, 6, 21);
    EXPECT_VALUES(wg_amax(all, (int[]){1}, 1, false), -INFINITY, 3, NAN);
    EXPECT_VALUES(wg_amin(wg_cast(ties, WG_I64), NULL, 0, false), (double)INT64_MIN);
    close_ok(ctx);
}

Test(interpret, integers_wrap_and_are_total) {
    wg_ctx *ctx = host();
    const int32_t a[] = {INT32_MIN, INT32_MAX, -7, 3}, b[] = {-1, 2, 2, 31};
    const uint8_t u[] = {250, 0, 3, 255};
    wg_tensor *x = wg_from_i32(ctx, a, WG_SHAPE(4)), *y = wg_from_i32(ctx, b, WG_SHAPE(4));
    wg_tensor *v = wg_from_u8(ctx, u, WG_SHAPE(4));
    EXPECT_VALUES(wg_add(x, y), INT32_MAX, INT32_MIN + 1.0, -5, 34);
    EXPECT_VALUES(wg_mul(x, y), INT32_MIN, -2, -14, 93);
    EXPECT_VALUES(wg_neg(x), INT32_MIN, -INT32_MAX, 7, -3);
    EXPECT_VALUES(wg_abs(x), INT32_MIN, INT32_MAX, 7, 3);
    EXPECT_VALUES(wg_pow(y, y), -1, 4, 4, -2010103841);
    EXPECT_VALUES(wg_add_scalar(v, 10), 4, 10, 13, 9);
    EXPECT_VALUES(wg_gt_scalar(wg_add_scalar(v, 10), 9), 0, 1, 1, 0);
    const double odd[] = {NAN, 1e30, -1e30, 300.7};
    wg_tensor *f = wg_from_f64(ctx, odd, WG_SHAPE(4));
    EXPECT_VALUES(wg_cast(f, WG_I32), 0, INT32_MAX, INT32_MIN, 300);
    EXPECT_VALUES(wg_cast(f, WG_U8), 0, 255, 0, 255);
    EXPECT_VALUES(wg_cast(f, WG_BOOL), 1, 1, 1, 1);
    EXPECT_VALUES(wg_cast(wg_cast(wg_from_f64(ctx, (double[]){0, -0.0, 2, 1}, WG_SHAPE(4)), WG_BOOL), WG_F32), 0, 0, 1,
                  1);
    close_ok(ctx);
}

Test(interpret, updates_in_place) {
    wg_ctx *ctx = host();
    float *x = uneven_block(100);
    wg_tensor *w = wg_param(wg_from_f32(ctx, x, WG_SHAPE(100)));
    for (int step = 0; step < 5; step++) {
        WG_SCOPE(ctx) { cr_expect_eq(wg_assign(w, wg_sub(w, wg_mul_scalar(w, 0.25))), WG_OK); }
        for (int i = 0; i < 100; i++) {
            x[i] = x[i] - x[i] * 0.25f;
        }
    }
    expect_same_bits(read_bytes(w, "w"), x, WG_F32, 100, "w");
    free(x);
    close_ok(ctx);
}

/* ---- the same bits as the simd form --------------------------------------------------------------------------------- */

static void record(wg_ctx *ctx, recording *rec) {
    static const wg_shape shapes[] = {
        {.rank = 2, .dim = {7, 33}}, {.rank = 2, .dim = {33, 7}}, {.rank = 3, .dim = {4, 5, 6}}};
    rng r = rng_seed("interpret", 1);
    for (int s = 0; s < COUNT(shapes); s++) {
        wg_tensor *x = input_make(ctx, WG_F32, shapes[s], LAY_TRANSPOSED, DOM_SPARSE, &r).t;
        wg_tensor *y = input_make(ctx, WG_F32, shapes[s], LAY_STEPPED, DOM_ANY, &r).t;
        for (int d = 0; d < shapes[s].rank; d++) {
            wg_tensor *mean = wg_mean(y, &d, 1, true),
                      *scale = wg_rsqrt(wg_add_scalar(wg_var(y, &d, 1, 0, true), 1e-5));
            recording_add(rec, wg_mul(wg_sub(y, mean), scale), "normalised, %d of %d", d, s);
            recording_add(rec, wg_softmax(wg_mul(wg_sin(x), y), d), "softmax, %d of %d", d, s);
            recording_add(rec, wg_argmax(wg_exp(x), d, false), "argmax, %d of %d", d, s);
        }
        recording_add(rec, wg_sum(wg_tanh(wg_mul(x, y)), NULL, 0, false), "total of %d", s);
    }
    wg_tensor *large = wg_randn(ctx, WG_F64, WG_SHAPE(90, 1000));
    recording_add(rec, wg_sum(large, NULL, 0, false), "total of randn");
    recording_add(rec, wg_sum(wg_erf(large), (int[]){0}, 1, false), "columns of randn");
    recording_add(rec, wg_gelu(wg_matmul(wg_narrow(large, 1, 3, 50), wg_transpose(wg_narrow(large, 1, 60, 50), 0, 1))),
                  "product of randn");
}

Test(interpret, same_bits_as_the_simd_form) {
    static const mode modes[] = {MODE_SIMD, MODE_HOST};
    cr_expect_gt(compare_modes(record, modes, COUNT(modes)), 25);
}
