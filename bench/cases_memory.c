/* What is bound by memory: elementwise chains, reductions, rows, dropout, embedding. */
#include "cases.h"

#include <math.h>

enum { LARGE = 32 << 20, ROWS = 4096, COLUMNS = 1024, SQUARE = 4096 };

/* out = f(x); parameters as f needs them. */
typedef struct map {
    wg_ctx *ctx;
    wg_tensor *x, *out, *gain, *bias;
    wg_tensor *(*f)(const struct map *m);
} map;

static void run_map(void *user) {
    map *m = user;
    WG_SCOPE(m->ctx) { wg_assign(m->out, m->f(m)); }
    wg_synchronize(m->ctx);
}

/* Reads x, writes out, which is allocated once: the value it had is overwritten. */
static map measure_map(bench *b, row *r, wg_shape shape, wg_tensor *(*f)(const map *m)) {
    map m = {.ctx = b->ctx, .x = uniform(b->ctx, shape), .out = place_for(b->ctx, shape), .f = f};
    m.gain = uniform(b->ctx, WG_SHAPE(shape.dim[shape.rank - 1]));
    m.bias = uniform(b->ctx, WG_SHAPE(shape.dim[shape.rank - 1]));
    double bytes = 2.0 * sizeof(float) * (double)wg_shape_numel(shape);
    measure_case(b, r, (side){.run = run_map, .user = &m, .ctx = b->ctx}, (work){.bytes = bytes, .limit = COPY_LIMIT},
                 NULL);
    return m;
}

/* ---- chain6 ---- */

static wg_tensor *chain_of_six(const map *m) {
    wg_tensor *t = wg_relu(wg_add_scalar(wg_mul_scalar(m->x, 0.9), 0.1));
    return wg_mul_scalar(wg_sub_scalar(wg_square(t), 0.2), 1.1);
}

static void chain6(bench *b, row *r) {
    map m = measure_map(b, r, WG_SHAPE(LARGE), chain_of_six);
    for (int64_t i = 7; i < LARGE; i += LARGE / 3) {
        double t = fmax(0, 0.9 * (double)uniform_at((size_t)i) + 0.1);
        check_element(b, r, m.out, i, (t * t - 0.2) * 1.1, 1e-6);
    }
}

/* ---- rows ---- */

static wg_tensor *softmax_rows(const map *m) { return wg_softmax(m->x, 1); }

static wg_tensor *log_softmax_rows(const map *m) { return wg_log_softmax(m->x, 1); }

static wg_tensor *layer_norm_rows(const map *m) {
    const int dim = 1;
    wg_tensor *centred = wg_sub(m->x, wg_mean(m->x, &dim, 1, true));
    wg_tensor *scale = wg_rsqrt(wg_add_scalar(wg_var(m->x, &dim, 1, 0, true), 1e-5));
    return wg_add(wg_mul(wg_mul(centred, scale), m->gain), m->bias);
}

typedef struct row_facts {
    double mean, variance, exp_sum;
} row_facts;

static row_facts facts_of_first_row(void) {
    row_facts f = {0};
    for (size_t j = 0; j < COLUMNS; j++) {
        f.mean += (double)uniform_at(j) / COLUMNS;
        f.exp_sum += exp((double)uniform_at(j));
    }
    for (size_t j = 0; j < COLUMNS; j++) {
        double d = (double)uniform_at(j) - f.mean;
        f.variance += d * d / COLUMNS;
    }
    return f;
}

static void softmax(bench *b, row *r) {
    map m = measure_map(b, r, WG_SHAPE(ROWS, COLUMNS), softmax_rows);
    check_element(b, r, m.out, 5, exp((double)uniform_at(5)) / facts_of_first_row().exp_sum, 1e-8);
}

static void log_softmax(bench *b, row *r) {
    map m = measure_map(b, r, WG_SHAPE(ROWS, COLUMNS), log_softmax_rows);
    check_element(b, r, m.out, 5, (double)uniform_at(5) - log(facts_of_first_row().exp_sum), 1e-5);
}

static void layer_norm(bench *b, row *r) {
    map m = measure_map(b, r, WG_SHAPE(ROWS, COLUMNS), layer_norm_rows);
    row_facts f = facts_of_first_row();
    double x = (double)uniform_at(5), want = (x - f.mean) / sqrt(f.variance + 1e-5) * x + x;
    check_element(b, r, m.out, 5, want, 1e-5);
}

/* ---- dropout ---- */

static wg_tensor *drop_half(const map *m) { return wg_dropout(m->x, 0.5, true); }

static void dropout(bench *b, row *r) {
    map m = measure_map(b, r, WG_SHAPE(ROWS, COLUMNS), drop_half);
    WG_SCOPE(b->ctx) {
        wg_tensor *dropped = wg_cast(wg_eq_scalar(m.out, 0), WG_F32);
        check_value(b, r, wg_item(wg_mean(dropped, NULL, 0, false)), 0.5, 0.01);
    }
}

/* ---- reductions ---- */

typedef struct reduction {
    wg_ctx *ctx;
    wg_tensor *x;
    const int *dims;
    int ndims;
    wg_tensor *out;
} reduction;

static void run_reduction(void *user) {
    reduction *d = user;
    WG_SCOPE(d->ctx) { wg_assign(d->out, wg_sum(d->x, d->dims, d->ndims, false)); }
    wg_synchronize(d->ctx);
}

/* Sums the elements `step` apart from the first on, and compares with the first element of the result. */
static void measure_sum(bench *b, row *r, reduction d, wg_shape shape, wg_shape result, size_t count, size_t step) {
    d.ctx = b->ctx;
    d.x = uniform(b->ctx, shape);
    d.out = place_for(b->ctx, result);
    double bytes = sizeof(float) * (double)wg_shape_numel(shape), want = 0;
    measure_case(b, r, (side){.run = run_reduction, .user = &d, .ctx = b->ctx},
                 (work){.bytes = bytes, .limit = READ_LIMIT}, NULL);
    for (size_t i = 0; i < count; i++) {
        want += (double)uniform_at(i * step);
    }
    check_element(b, r, d.out, 0, want, 1e-3 + 1e-5 * sqrt((double)count));
}

static void reduce_sum_all(bench *b, row *r) {
    measure_sum(b, r, (reduction){0}, WG_SHAPE(LARGE), WG_SHAPE(), LARGE, 1);
}

static void reduce_rows(bench *b, row *r) {
    const int dim = 1;
    measure_sum(b, r, (reduction){.dims = &dim, .ndims = 1}, WG_SHAPE(SQUARE, SQUARE), WG_SHAPE(SQUARE), SQUARE, 1);
}

static void reduce_cols(bench *b, row *r) {
    const int dim = 0;
    measure_sum(b, r, (reduction){.dims = &dim, .ndims = 1}, WG_SHAPE(SQUARE, SQUARE), WG_SHAPE(SQUARE), SQUARE,
                SQUARE);
}

const bench_case memory_cases[] = {
    {"chain6", "six elementwise ops over 32M floats: *s, +s, relu, square, -s, *s", chain6},
    {"reduce_sum_all", "sum of 32M floats", reduce_sum_all},
    {"reduce_rows", "sum over the inner dimension of 4096x4096", reduce_rows},
    {"reduce_cols", "sum over the outer dimension of 4096x4096", reduce_cols},
    {"softmax", "softmax of each row of 4096x1024", softmax},
    {"log_softmax", "log_softmax of each row of 4096x1024", log_softmax},
    {"layer_norm", "layer norm of each row of 4096x1024, with gain and bias, written with seven ops", layer_norm},
    {"dropout", "dropout of half of 4096x1024", dropout},
    {0},
};
