/* Reductions lane by lane and then across lanes, in the order of the simd form. */
#include "runtime/lanes.h"

#include <math.h>

static bool is_wide(wg_dtype dtype) { return dtype == WG_I64 || dtype == WG_F64; }

static void compare(wg_prim prim, wg_dtype dtype, const wg_lanes *a, const wg_lanes *b, wg_lanes *out) {
    wg_lanes_apply(prim, dtype, WG_BOOL, a, b, a, out);
}

/* a where m holds, b elsewhere. */
static void choose(wg_dtype dtype, const wg_lanes *m, const wg_lanes *a, const wg_lanes *b, wg_lanes *out) {
    wg_lanes_apply(WG_P_SELECT, dtype, dtype, m, a, b, out);
}

static void step(wg_prim reduction, wg_dtype dtype, wg_lanes *value, const wg_lanes *x) {
    wg_prim prim = reduction == WG_P_RSUM ? WG_P_ADD : reduction == WG_P_RMIN ? WG_P_MIN : WG_P_MAX;
    wg_lanes_apply(prim, dtype, dtype, value, x, x, value);
}

/* What changes no sum and no extreme. */
static void identity(wg_prim prim, wg_dtype dtype, wg_lanes *out) {
    if (prim == WG_P_RSUM) {
        wg_lanes_const(dtype, 0, out);
        return;
    }
    bool most = prim == WG_P_RMIN;
    int64_t integer = dtype == WG_I64   ? (most ? INT64_MAX : INT64_MIN)
                      : dtype == WG_I32 ? (most ? INT32_MAX : INT32_MIN)
                                        : (most ? 255 : 0);
    if (dtype == WG_F32 || dtype == WG_F64) {
        wg_lanes_const(dtype, most ? (double)INFINITY : -(double)INFINITY, out);
    } else {
        wg_lanes_scalar(dtype, integer, out);
    }
}

void wg_lanes_begin(wg_prim prim, wg_dtype dtype, wg_accumulator *acc) {
    identity(prim, dtype, &acc->value);
    wg_lanes_const(WG_I64, -1, &acc->where);
}

/* Where x is larger than best; NaN is larger than all numbers. */
static void larger(wg_dtype dtype, const wg_lanes *x, const wg_lanes *best, wg_lanes *out) {
    wg_lanes nan, number;
    compare(WG_P_NE, dtype, x, x, &nan);
    compare(WG_P_EQ, dtype, best, best, &number);
    compare(WG_P_GT, dtype, x, best, out);
    for (int l = 0; l < WG_WIDE; l++) {
        out->i32[l] |= nan.i32[l] & number.i32[l];
    }
}

static void take_larger(wg_dtype dtype, const wg_lanes *x, int n, int64_t first, int64_t stride, wg_accumulator *acc) {
    wg_lanes better;
    larger(dtype, x, &acc->value, &better);
    for (int l = 0; l < WG_WIDE; l++) {
        better.i32[l] = l < n && (better.i32[l] || acc->where.i64[l] < 0);
        acc->where.i64[l] = better.i32[l] ? first + l * stride : acc->where.i64[l];
    }
    choose(dtype, &better, x, &acc->value, &acc->value);
}

void wg_lanes_take(wg_prim prim, wg_dtype dtype, const wg_lanes *x, int n, int64_t first, int64_t stride,
                   wg_accumulator *acc) {
    if (prim == WG_P_RARGMAX) {
        take_larger(dtype, x, n, first, stride, acc);
        return;
    }
    wg_lanes real, none, y;
    if (n < WG_WIDE) {
        for (int l = 0; l < WG_WIDE; l++) {
            real.i32[l] = l < n;
        }
        identity(prim, dtype, &none);
        choose(dtype, &real, x, &none, &y);
        x = &y;
    }
    step(prim, dtype, &acc->value, x);
}

/* x with lane l + k in the place of lane l; the last k lanes stay. */
static wg_lanes shifted(wg_dtype dtype, const wg_lanes *x, int k) {
    wg_lanes y = *x;
    for (int l = 0; l < WG_WIDE - k; l++) {
        if (is_wide(dtype)) {
            y.i64[l] = x->i64[l + k];
        } else {
            y.i32[l] = x->i32[l + k];
        }
    }
    return y;
}

/* Of equal values the first counts; the order of comparisons does not matter. */
static void combine_larger(wg_dtype dtype, const wg_accumulator *other, wg_accumulator *acc) {
    wg_lanes better, worse;
    larger(dtype, &other->value, &acc->value, &better);
    larger(dtype, &acc->value, &other->value, &worse);
    for (int l = 0; l < WG_WIDE; l++) {
        int64_t theirs = other->where.i64[l], ours = acc->where.i64[l];
        better.i32[l] = theirs >= 0 && (ours < 0 || better.i32[l] || (!worse.i32[l] && theirs < ours));
    }
    choose(dtype, &better, &other->value, &acc->value, &acc->value);
    choose(WG_I64, &better, &other->where, &acc->where, &acc->where);
}

void wg_lanes_across(wg_prim prim, wg_dtype dtype, wg_accumulator *acc) {
    for (int k = WG_WIDE / 2; k > 0; k /= 2) {
        wg_accumulator other = {.value = shifted(dtype, &acc->value, k), .where = shifted(WG_I64, &acc->where, k)};
        if (prim == WG_P_RARGMAX) {
            combine_larger(dtype, &other, acc);
        } else {
            step(prim, dtype, &acc->value, &other.value);
        }
    }
    for (int l = 1; l < WG_WIDE; l++) {
        acc->where.i64[l] = acc->where.i64[0];
        if (is_wide(dtype)) {
            acc->value.i64[l] = acc->value.i64[0];
        } else {
            acc->value.i32[l] = acc->value.i32[0];
        }
    }
}
