/* label: unit */
/*
 * The elementary functions and the lane vocabulary under them, in the host build: samples against libm, special values,
 * conversions. slow_elementary.c goes through every f32.
 */
#include "kernels/lanes_host.h"

#include "kernels/elementary_f32.cl"
#include "kernels/elementary_f64.cl"

#include <criterion/criterion.h>
#include <float.h>
#include <stdio.h>

/* Distance in units of the last place that `bits` bits of precision have at `want`; infinity is 2^`max_exponent`. */
static double ulps(double got, long double want, int bits, int max_exponent) {
    if (isnan(want) || isnan(got)) return isnan(want) && isnan(got) ? 0 : INFINITY;
    if (signbit(want) ? !signbit(got) : signbit(got)) return INFINITY;
    if (want == 0) return got == 0 ? 0 : INFINITY;
    if (isinf(want) && !isinf(got)) return INFINITY;
    long double top = ldexpl(1, max_exponent), w = fabsl(want), g = fabsl((long double)got);
    if (w > top) w = top;
    if (g > top) g = top;
    int e;
    frexpl(w, &e);
    if (e > max_exponent) e = max_exponent;
    if (e < 3 - max_exponent) e = 3 - max_exponent;
    return (double)(fabsl(g - w) / ldexpl(1, e - bits));
}

static double ulps_f32(float got, double want) { return ulps(got, want, 24, 128); }

/* Where long double is no wider than double the reference may itself be off by one. */
static double ulps_f64(double got, long double want) {
    double u = ulps(got, want, 53, 1024);
    return LDBL_MANT_DIG > 53 ? u : u - 1;
}

static uint64_t random_state = 1;

static uint64_t random_u64(void) {
    random_state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = random_state;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static double random_unit(void) { return (double)(random_u64() >> 11) * 0x1p-53; }

static vf64 f64_bits(uint64_t bits) { return as_vf64((vu64)bits); }

static const struct unary {
    const char *name;
    float (*f32)(float);
    double (*f32_ref)(double);
    double (*f64)(double);
    long double (*f64_ref)(long double);
} unaries[] = {
    {"exp", exp_f32, exp, exp_f64, expl},           {"log", log_f32, log, log_f64, logl},
    {"sin", sin_f32, sin, sin_f64, sinl},           {"cos", cos_f32, cos, cos_f64, cosl},
    {"tanh", tanh_f32, tanh, tanh_f64, tanhl},      {"erf", erf_f32, erf, erf_f64, erfl},
    {"expm1", expm1_f32, expm1, expm1_f64, expm1l}, {"log1p", log1p_f32, log1p, log1p_f64, log1pl},
};

enum { UNARIES = sizeof unaries / sizeof *unaries };

Test(elementary, unary_f32_within_2_ulp) {
    for (const struct unary *u = unaries; u < unaries + UNARIES; u++) {
        double worst = 0;
        float at = 0;
        for (uint64_t i = 0; i < UINT64_C(1) << 32; i += 8191) {
            float x = as_vf32((vu32)i);
            double d = ulps_f32(u->f32(x), u->f32_ref(x));
            if (d > worst) worst = d, at = x;
        }
        cr_expect_leq(worst, 2.0, "%s: %g ulp at %a", u->name, worst, (double)at);
    }
}

/* All exponents, the neighbourhood of 1, moderate arguments, and those where exp and its kin end. */
static double sample_f64(int i) {
    uint64_t r = random_u64();
    switch (i % 4) {
    case 0:
        return f64_bits(r);
    case 1:
        return f64_bits((r & UINT64_C(0x800fffffffffffff)) | (uint64_t)(1023 - 60 + (int)(random_u64() % 70)) << 52);
    case 2:
        return (random_unit() - 0.5) * 8;
    default:
        return (random_unit() - 0.5) * 1500;
    }
}

Test(elementary, unary_f64_within_2_ulp) {
    for (const struct unary *u = unaries; u < unaries + UNARIES; u++) {
        double worst = 0, at = 0;
        for (int i = 0; i < 100000; i++) {
            double x = sample_f64(i);
            if (u->f64 == log_f64) x = fabs(x);
            double d = ulps_f64(u->f64(x), u->f64_ref(x));
            if (d > worst) worst = d, at = x;
        }
        cr_expect_leq(worst, 2.0, "%s: %g ulp at %a", u->name, worst, at);
    }
}

/* The arguments where something begins or ends. ulps() is strict about NaN, infinities and the sign of zero. */
Test(elementary, special_values) {
    static const double specials[] = {0,
                                      0x1p-1074,
                                      0x1p-1022,
                                      0x1p-149,
                                      0x1p-126,
                                      0x1.fffffcp-127,
                                      0x1p-25,
                                      1,
                                      0x1.fffffffffffffp-1,
                                      0x1.fffffep-1,
                                      0x1.000002p+0,
                                      0.5,
                                      2,
                                      3,
                                      88.7228,
                                      88.7229,
                                      103.97,
                                      103.98,
                                      709.78271289338397,
                                      709.78271289338408,
                                      745.13321910194,
                                      745.13321910195,
                                      708.39641853226,
                                      0x1p+17,
                                      0x1p+30,
                                      0x1p+53,
                                      0x1.fffffep+127,
                                      0x1.6ac5b262ca1ffp+849,
                                      0x1.fffffffffffffp+1023,
                                      INFINITY,
                                      NAN};
    for (const struct unary *u = unaries; u < unaries + UNARIES; u++)
        for (size_t i = 0; i < 2 * (sizeof specials / sizeof *specials); i++) {
            double x = i % 2 ? -specials[i / 2] : specials[i / 2];
            float f = (float)x;
            cr_expect_leq(ulps_f32(u->f32(f), u->f32_ref(f)), 2.0, "%s(%a) = %a", u->name, (double)f,
                          (double)u->f32(f));
            cr_expect_leq(ulps_f64(u->f64(x), u->f64_ref(x)), 2.0, "%s(%a) = %a", u->name, x, u->f64(x));
        }
    cr_expect_eq(exp_f32(0), 1);
    cr_expect_eq(exp_f64(0), 1);
    cr_expect_eq(cos_f32(0), 1);
    cr_expect_eq(tanh_f32(20), 1);
    cr_expect_eq(erf_f32(4), 1);
    cr_expect_eq(erf_f64(-6), -1);
    cr_expect_eq(log_f64(1), 0);
}

Test(elementary, odd_functions_are_odd) {
    static float (*const odd[])(float) = {sin_f32, tanh_f32, erf_f32};
    for (int k = 0; k < 3; k++)
        for (uint64_t i = 0; i < 0x7f800000u; i += 65537) {
            float x = as_vf32((vu32)i);
            cr_assert_eq(as_vu32(odd[k](-x)), as_vu32(-odd[k](x)), "function %d at %a", k, (double)x);
        }
}

Test(elementary, pow_f32_within_2_ulp) {
    double worst = 0;
    float at_x = 0, at_y = 0;
    for (int i = 0; i < 1000000; i++) {
        uint64_t r = random_u64();
        float x = as_vf32((vu32)r), y = as_vf32((vu32)(r >> 32));
        if (i % 4) {
            if (i % 4 == 2) x = as_vf32(0x3f000000u + (vu32)(r >> 8) % 0x01000000u);
            y = (float)((random_unit() - 0.5) * 300 / log2(fabs((double)x)));
            if (i % 4 == 3) x = (float)((int)(r & 63) - 32) * 0.5f, y = (float)((int)(r >> 6 & 255) - 128) * 0.5f;
        }
        double d = ulps_f32(pow_f32(x, y), pow(x, y));
        if (d > worst) worst = d, at_x = x, at_y = y;
    }
    cr_expect_leq(worst, 2.0, "%g ulp at %a, %a", worst, (double)at_x, (double)at_y);
}

Test(elementary, pow_f64_within_2_ulp) {
    double worst = 0, at_x = 0, at_y = 0;
    for (int i = 0; i < 200000; i++) {
        uint64_t r = random_u64();
        double x = f64_bits(i % 2 ? UINT64_C(0x3fe0000000000000) + (r >> 11) : r);
        double y = (random_unit() - 0.5) * 2150 / log2(fabs(x));
        if (i % 4 == 3) x = (double)((int)(r & 63) - 32) * 0.5, y = (double)((int)(r >> 6 & 255) - 128) * 0.5;
        double d = ulps_f64(pow_f64(x, y), powl(x, y));
        if (d > worst) worst = d, at_x = x, at_y = y;
    }
    cr_expect_leq(worst, 2.0, "%g ulp at %a, %a", worst, at_x, at_y);
}

Test(elementary, pow_special_values) {
    static const double edge[] = {0,
                                  1,
                                  2,
                                  3,
                                  0.5,
                                  1.5,
                                  0x1p-1074,
                                  0x1p-149,
                                  0x1.fffffcp-127,
                                  0x1p+23,
                                  0x1.000002p+23,
                                  0x1p+24,
                                  0x1p+52,
                                  0x1.0000000000001p+52,
                                  0x1p+53,
                                  0x1.fffffep-1,
                                  0x1.fffffffffffffp-1,
                                  0x1.000002p+0,
                                  0x1.fffffep+127,
                                  0x1.fffffffffffffp+1023,
                                  INFINITY,
                                  NAN};
    enum { EDGES = sizeof edge / sizeof *edge };
    for (int i = 0; i < 2 * EDGES; i++)
        for (int j = 0; j < 2 * EDGES; j++) {
            double x = i % 2 ? -edge[i / 2] : edge[i / 2], y = j % 2 ? -edge[j / 2] : edge[j / 2];
            float fx = (float)x, fy = (float)y, f = pow_f32(fx, fy);
            cr_expect_leq(ulps_f32(f, pow(fx, fy)), 2.0, "%a ^ %a = %a", (double)fx, (double)fy, (double)f);
            cr_expect_leq(ulps_f64(pow_f64(x, y), powl(x, y)), 2.0, "%a ^ %a = %a", x, y, pow_f64(x, y));
        }
}

Test(lanes, float_to_integer_saturates) {
    static const struct {
        double x;
        int32_t i32;
        int64_t i64;
        uint32_t u32;
        uint64_t u64;
    } cases[] = {
        {0, 0, 0, 0, 0},
        {2.75, 2, 2, 2, 2},
        {-0.75, 0, 0, 0, 0},
        {-2.75, -2, -2, 0, 0},
        {0x1p+31, INT32_MAX, INT64_C(1) << 31, 1u << 31, UINT64_C(1) << 31},
        {-0x1p+31, INT32_MIN, -(INT64_C(1) << 31), 0, 0},
        {0x1p+32, INT32_MAX, INT64_C(1) << 32, UINT32_MAX, UINT64_C(1) << 32},
        {-0x1p+33, INT32_MIN, -(INT64_C(1) << 33), 0, 0},
        {0x1p+63, INT32_MAX, INT64_MAX, UINT32_MAX, UINT64_C(1) << 63},
        {-0x1p+63, INT32_MIN, INT64_MIN, 0, 0},
        {0x1p+64, INT32_MAX, INT64_MAX, UINT32_MAX, UINT64_MAX},
        {INFINITY, INT32_MAX, INT64_MAX, UINT32_MAX, UINT64_MAX},
        {-INFINITY, INT32_MIN, INT64_MIN, 0, 0},
        {NAN, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double x = cases[i].x;
        float f = (float)x;
        cr_expect_eq(cvt_f32_i32(f), cases[i].i32, "%g", x);
        cr_expect_eq(cvt_f32_i64(f), cases[i].i64, "%g", x);
        cr_expect_eq(cvt_f32_u32(f), cases[i].u32, "%g", x);
        cr_expect_eq(cvt_f32_u64(f), cases[i].u64, "%g", x);
        cr_expect_eq(cvt_f64_i32(x), cases[i].i32, "%g", x);
        cr_expect_eq(cvt_f64_i64(x), cases[i].i64, "%g", x);
        cr_expect_eq(cvt_f64_u32(x), cases[i].u32, "%g", x);
        cr_expect_eq(cvt_f64_u64(x), cases[i].u64, "%g", x);
    }
    cr_expect_eq(cvt_f64_i32(2147483647.5), INT32_MAX);
    cr_expect_eq(cvt_f64_i32(-2147483648.5), INT32_MIN);
}

Test(lanes, integers_wrap) {
    cr_expect_eq(cvt_i64_i32(INT64_C(0x100000001)), 1);
    cr_expect_eq(cvt_i64_i32(INT64_C(0xffffffff)), -1);
    cr_expect_eq(cvt_i32_u32(-1), UINT32_MAX);
    cr_expect_eq(cvt_i32_u64(-1), UINT64_MAX);
    cr_expect_eq(cvt_u32_i64(UINT32_MAX), INT64_C(0xffffffff));
    cr_expect_eq(mulhi_u32(0xffffffffu, 0xffffffffu), 0xfffffffeu);
}

Test(lanes, extremes_pass_nan_on) {
    cr_expect(isnan(max_f32(NAN, 1)) && isnan(max_f32(1, NAN)) && isnan(min_f32(NAN, 1)) && isnan(min_f32(1, NAN)));
    cr_expect(isnan(max_f64(NAN, 1)) && isnan(max_f64(1, NAN)) && isnan(min_f64(NAN, 1)) && isnan(min_f64(1, NAN)));
    cr_expect(max_f32(1, 2) == 2 && max_f32(2, 1) == 2 && min_f64(1, 2) == 1 && min_f64(-INFINITY, 2) == -INFINITY);
    cr_expect(max_i32(-1, 2) == 2 && min_u32(0xffffffffu, 2) == 2 && max_i64(-5, -6) == -5 && min_u64(3, 4) == 3);
}

/* Code generators copy sections in file order: a section's needs must stand before it. */
Test(elementary, sections_come_after_what_they_need) {
    static const char *const files[] = {WG_TEST_DATA "/../../src/kernels/elementary_f32.cl",
                                        WG_TEST_DATA "/../../src/kernels/elementary_f64.cl"};
    static char seen[100][40];
    int count = 0;
    for (int f = 0; f < 2; f++) {
        FILE *file = fopen(files[f], "r");
        cr_assert_not_null(file);
        char line[200];
        while (fgets(line, sizeof line, file)) {
            if (strncmp(line, "//@ ", 4)) continue;
            char *name = strtok(line + 4, " :\n");
            for (int i = 0; i < count; i++)
                cr_expect_str_neq(seen[i], name);
            for (char *need; (need = strtok(NULL, " :\n"));) {
                int found = 0;
                for (int i = 0; i < count; i++)
                    found |= !strcmp(seen[i], need);
                cr_expect(found, "%s needs %s", name, need);
            }
            cr_assert(count < 100 && strlen(name) < sizeof seen[0]);
            strcpy(seen[count++], name);
        }
        fclose(file);
    }
    cr_expect_geq(count, 18);
}
