/* label: unit */
/* timeout: 300 */
/* host: too */
/*
 * Random numbers: the generator's known answer, seeds, counters, distributions; dropout; initialisers.
 */
#include "harness/check.h"

#include <math.h>
#include <stdlib.h>

enum { MANY = 200000 };

static void moments(const double *x, int64_t n, double *mean, double *var) {
    *mean = *var = 0;
    for (int64_t k = 0; k < n; k++) {
        *mean += x[k] / (double)n;
    }
    for (int64_t k = 0; k < n; k++) {
        *var += (x[k] - *mean) * (x[k] - *mean) / (double)n;
    }
}

static double *values(wg_tensor *t) {
    int64_t n = wg_numel(t);
    double *out = hold((size_t)n * sizeof *out);
    read_doubles(t, out, n);
    return out;
}

static bool same(const double *a, const double *b, int64_t n) {
    for (int64_t k = 0; k < n; k++) {
        if (a[k] != b[k]) {
            return false;
        }
    }
    return true;
}

/*
 * Philox 4x32-10 with key 0 and counter 0 gives 6627e8d5 e169c58d bc57ac4c 9b00dbd8 (Random123's kat_vectors). The first
 * random op of a context with seed 0 starts at counter 0, and an f32 is the upper 24 bits of a word times 2^-24.
 */
Test(philox, known_answer) {
    static const uint32_t words[] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    wg_ctx *ctx = open_ctx();
    double want[4];
    for (int k = 0; k < 4; k++) {
        want[k] = (words[k] >> 8) * 0x1p-24;
    }
    expect_values(wg_rand(ctx, WG_F32, WG_SHAPE(4)), want, 4, "rand of seed 0");
    wg_seed(ctx, 0);
    expect_values(wg_narrow(wg_rand(ctx, WG_F32, WG_SHAPE(1000)), 0, 0, 4), want, 4, "rand of seed 0, of more");
    wg_seed(ctx, 1);
    double *other = values(wg_rand(ctx, WG_F32, WG_SHAPE(4)));
    cr_expect(!same(other, want, 4), "the seed is not the key");
    close_ok(ctx);
}

/* Wrong: values depend on the order of running, on rereading, or on the device. */
Test(seed, fixes_values_when_recorded) {
    wg_ctx *ctx = open_ctx(), *host = wg_open("host");
    wg_seed(ctx, 42);
    wg_seed(host, 42);
    wg_tensor *a = wg_rand(ctx, WG_F32, WG_SHAPE(1001)), *b = wg_rand(ctx, WG_F32, WG_SHAPE(1001));
    wg_tensor *sum = wg_sum(b, NULL, 0, false);
    double s = wg_item(sum), *vb = values(b), *va = values(a);
    cr_expect(!same(va, vb, 1001), "two ops gave the same numbers");
    wg_seed(ctx, 42);
    double *again = values(wg_rand(ctx, WG_F32, WG_SHAPE(1001))),
           *second = values(wg_rand(ctx, WG_F32, WG_SHAPE(1001)));
    cr_expect(same(va, again, 1001) && same(vb, second, 1001), "the same seed gave other numbers");
    cr_expect_eq(wg_item(wg_sum(b, NULL, 0, false)), s, "a value was drawn again");
    double *elsewhere = values(wg_rand(host, WG_F32, WG_SHAPE(1001)));
    cr_expect(same(va, elsewhere, 1001), "another device gave other numbers");
    wg_seed(ctx, 7);
    wg_seed(host, 7);
    cr_expect(same(values(wg_randn(ctx, WG_F32, WG_SHAPE(999))), values(wg_randn(host, WG_F32, WG_SHAPE(999))), 999));
    close_ok(host);
    close_ok(ctx);
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The largest distance between the empirical and the true distribution; 1.95 / sqrt n is exceeded once in 1,000. */
static double ks_distance(double *x, int64_t n, double (*cdf)(double)) {
    double worst = 0;
    qsort(x, (size_t)n, sizeof *x, compare_doubles);
    for (int64_t k = 0; k < n; k++) {
        double f = cdf(x[k]);
        worst = fmax(worst, fmax(fabs(f - (double)k / (double)n), fabs(f - (double)(k + 1) / (double)n)));
    }
    return worst;
}
static double uniform_cdf(double x) { return x; }
static double normal_cdf(double x) { return 0.5 * erfc(-x / sqrt(2)); }

Test(distribution, rand_and_randn) {
    wg_ctx *ctx = open_ctx();
    for (int t = WG_F32; t <= WG_F64; t++) {
        double *u = values(wg_rand(ctx, (wg_dtype)t, WG_SHAPE(MANY))),
               *z = values(wg_randn(ctx, (wg_dtype)t, WG_SHAPE(MANY)));
        double mean, var, lag = 0;
        for (int k = 0; k + 1 < MANY; k++) {
            lag += (u[k] - 0.5) * (u[k + 1] - 0.5) * 12 / MANY;
            cr_assert(u[k] >= 0 && u[k] < 1 && isfinite(z[k]), "element %d: %g, %g", k, u[k], z[k]);
        }
        cr_expect(fabs(lag) < 4 / sqrt(MANY), "neighbours correlate: %g", lag);
        moments(u, MANY, &mean, &var);
        cr_expect(fabs(mean - 0.5) < 4 * sqrt(1.0 / 12 / MANY) && fabs(var - 1.0 / 12) < 1e-3, "%g %g", mean, var);
        moments(z, MANY, &mean, &var);
        cr_expect(fabs(mean) < 4 / sqrt(MANY) && fabs(var - 1) < 4 * sqrt(2.0 / MANY), "%g %g", mean, var);
        cr_expect_lt(ks_distance(u, MANY, uniform_cdf), 1.95 / sqrt(MANY));
        cr_expect_lt(ks_distance(z, MANY, normal_cdf), 1.95 / sqrt(MANY));
    }
    cr_expect_eq(wg_numel(wg_rand(ctx, WG_F32, WG_SHAPE(0, 3))), 0);
    cr_expect(isfinite(wg_item(wg_randn(ctx, WG_F64, WG_SHAPE()))));
    close_ok(ctx);
}

/* Fraction, scale, and the same mask in the gradient. */
Test(dropout, statistics_and_gradient) {
    static const double ps[] = {0.3, 0.5, 0.9};
    wg_ctx *ctx = open_ctx();
    for (int c = 0; c < 3; c++) {
        double p = ps[c], zeros = 0;
        nd x = nd_new(WG_F32, WG_SHAPE(MANY));
        for (int k = 0; k < MANY; k++) {
            x.f[k] = 1 + k % 5;
        }
        wg_tensor *w = wg_param(nd_tensor(ctx, x)), *y = wg_dropout(w, p, true);
        wg_backward(wg_sum(y, NULL, 0, false));
        double *got = values(y), *grad = values(wg_grad(w));
        for (int k = 0; k < MANY; k++) {
            double kept = x.f[k] / (1 - p);
            zeros += got[k] == 0;
            cr_assert(got[k] == 0 || fabs(got[k] - kept) < 4e-7 * kept, "element %d is %g", k, got[k]);
            cr_assert((got[k] == 0) == (grad[k] == 0) && (grad[k] == 0 || fabs(grad[k] * (1 - p) - 1) < 4e-7),
                      "the gradient at %d is %g", k, grad[k]);
        }
        cr_expect(fabs(zeros / MANY - p) < 4 * sqrt(p * (1 - p) / MANY), "p %g: %g are zero", p, zeros / MANY);
    }
    wg_tensor *x = wg_from_f32(ctx, (float[]){1, -2, INFINITY}, WG_SHAPE(3));
    EXPECT_VALUES(wg_dropout(x, 1, true), 0, 0, 0);
    EXPECT_VALUES(wg_dropout(x, 1, false), 1, -2, INFINITY);
    EXPECT_VALUES(wg_dropout(x, 0, true), 1, -2, INFINITY);
    wg_tensor *big = wg_ones(ctx, WG_F32, WG_SHAPE(1000));
    cr_expect(!same(values(wg_dropout(big, 0.5, true)), values(wg_dropout(big, 0.5, true)), 1000),
              "the same mask twice");
    close_ok(ctx);
}

/* Bounds and moments; the leaf stays a parameter; values follow the seed. */
Test(initialisers, fill_leaves) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *t = wg_param(wg_zeros(ctx, WG_F32, WG_SHAPE(200, 10, 50)));
    double mean, var, n = 100000, bound, *x;
    wg_seed(ctx, 3);
    cr_expect_eq(wg_init_uniform(t, -2, 4), WG_OK);
    x = values(t);
    moments(x, 100000, &mean, &var);
    cr_expect(fabs(mean - 1) < 4 * sqrt(3 / n) && fabs(var - 3) < 0.05, "%g %g", mean, var);
    cr_expect(wg_requires_grad(t) && wg_is_leaf(t));
    wg_seed(ctx, 3);
    cr_expect_eq(wg_init_uniform(t, -2, 4), WG_OK);
    cr_expect(same(x, values(t), 100000));
    cr_expect_eq(wg_init_normal(t, 5, 0.1), WG_OK);
    moments(values(t), 100000, &mean, &var);
    cr_expect(fabs(mean - 5) < 4 * 0.1 / sqrt(n) && fabs(var / 0.01 - 1) < 0.03, "%g %g", mean, var);
    cr_expect_eq(wg_init_kaiming_uniform(t, sqrt(5)), WG_OK);
    bound = 1 / sqrt(500); /* sqrt(6 / (6 * 500)) */
    x = values(t);
    moments(x, 100000, &mean, &var);
    double most = 0;
    for (int k = 0; k < 100000; k++) {
        most = fmax(most, fabs(x[k]));
    }
    cr_expect(most <= bound * (1 + 1e-6) && most > 0.999 * bound, "%g, bound %g", most, bound);
    cr_expect(fabs(var / (bound * bound / 3) - 1) < 0.03 && fabs(mean) < 4 * bound / sqrt(3 * n), "%g %g", mean, var);
    cr_expect_eq(wg_init_kaiming_normal(t, 0), WG_OK);
    moments(values(t), 100000, &mean, &var);
    cr_expect(fabs(var / (2.0 / 500) - 1) < 0.03, "%g", var);
    wg_tensor *flat = wg_zeros(ctx, WG_F32, WG_SHAPE(5));
    cr_expect_eq(wg_init_kaiming_uniform(flat, 0), WG_ERR_SHAPE);
    expect_error(ctx, WG_ERR_SHAPE, "kaiming of a vector", "kaiming", "[5]", (char *)NULL);
    close_ok(ctx);
}
