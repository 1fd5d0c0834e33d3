/*
 * Comparisons and batches: see check.h.
 */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include "check.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FULL = 96, GUARD = 64, PATIENCE = 25 };
static int failures;

/* A failed expectation; a test that has many stops early. */
static bool fail(const char *fmt, ...) WG_PRINTF(1, 2);
static bool fail(const char *fmt, ...) {
    char text[700];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    cr_expect(false, "%s", text);
    if (++failures >= PATIENCE && !getenv("WENGERT_KERNELS")) { /* who collects kernels wants them all */
        cr_assert(false, "stopped after %d failures", failures);
    }
    return false;
}

static void set(const char *name, const char *value) {
    if (value) {
        setenv(name, value, 1);
    } else {
        unsetenv(name);
    }
}

const char *mode_name(mode m) {
    static const char *const names[] = {"default", "unfused",      "eager", "simd",
                                        "simt",    "simt unfused", "host",  "host unfused"};
    return names[m];
}

wg_ctx *open_mode(mode m) {
    setenv("WENGERT_DEVICE", "opencl", 0);
    set("WENGERT_FUSE", m == MODE_UNFUSED || m == MODE_SIMT_UNFUSED || m == MODE_HOST_UNFUSED ? "0" : NULL);
    set("WENGERT_EAGER", m == MODE_EAGER ? "1" : NULL);
    set("WENGERT_FORM", m == MODE_SIMD ? "simd" : m == MODE_SIMT || m == MODE_SIMT_UNFUSED ? "simt" : NULL);
    wg_ctx *ctx = wg_open(m == MODE_HOST || m == MODE_HOST_UNFUSED ? "host" : NULL);
    set("WENGERT_FUSE", NULL);
    set("WENGERT_EAGER", NULL);
    set("WENGERT_FORM", NULL);
    cr_assert_not_null(ctx, "wg_open returned NULL");
    cr_assert(!wg_failed(ctx), "wg_open (%s): %s", mode_name(m), wg_error(ctx));
    return ctx;
}

wg_ctx *open_ctx(void) { return open_mode(MODE_DEFAULT); }

void close_ok(wg_ctx *ctx) {
    char text[400];
    snprintf(text, sizeof text, "%s", wg_error(ctx));
    wg_status s = wg_close(ctx);
    cr_expect(s == WG_OK, "an error was left in the context: %s %s", wg_status_name(s), text);
}

void *read_bytes(wg_tensor *t, const char *label) {
    if (!t) {
        fail("%s: no tensor", label);
        return NULL;
    }
    wg_ctx *ctx = wg_context(t);
    size_t bytes = (size_t)wg_numel(t) * wg_dtype_size(wg_dtype_of(t));
    unsigned char *p = hold(bytes + GUARD);
    memset(p, 0xA5, bytes + GUARD);
    wg_status s = wg_read(t, p, bytes);
    if (s != WG_OK) {
        fail("%s: wg_read: %s: %s", label, wg_status_name(s), wg_error(ctx));
        wg_error_take(ctx, NULL, 0);
        return NULL;
    }
    for (size_t k = 0; k < GUARD; k++) {
        if (p[bytes + k] != 0xA5) {
            fail("%s: wg_read wrote past the end, byte +%zu", label, k);
            return NULL;
        }
    }
    return p;
}

static double float_at(const void *p, wg_dtype t, int64_t k) {
    return t == WG_F64   ? ((const double *)p)[k]
           : t == WG_F32 ? (double)((const float *)p)[k]
           : t == WG_F16 ? (double)wg_f16_to_f32(((const uint16_t *)p)[k])
                         : (double)wg_bf16_to_f32(((const uint16_t *)p)[k]);
}

static int64_t int_at(const void *p, wg_dtype t, int64_t k) {
    return t == WG_I64 ? ((const int64_t *)p)[k] : t == WG_I32 ? ((const int32_t *)p)[k] : ((const uint8_t *)p)[k];
}

static bool same_double(double a, double b) { return (isnan(a) && isnan(b)) || (a == b && signbit(a) == signbit(b)); }

static bool float_ok(double got, double want, double ulps, double slack, wg_dtype t) {
    double r = round_to(want, t);
    if (same_double(got, r) || (isnan(want) && isnan(got))) {
        return true;
    }
    if (isnan(got) || isnan(want) || (ulps == 0 && slack == 0)) {
        return false;
    }
    if (isinf(want) || (want == 0 && slack == 0)) {
        return false; /* infinities, and the sign of an exact zero, are not matters of accuracy */
    }
    double most = dtype_most(t);
    if (isinf(r) || isinf(got)) {
        return fmin(fabs(want), fabs(got)) >= most - slack - ulps * dtype_ulp(most, t) && signbit(got) == signbit(want);
    }
    return fabs(got - want) <= ulps * dtype_ulp(r, t) + slack;
}

bool expect_nd(wg_tensor *t, nd want, double ulps, const char *label) {
    if (!t) {
        return fail("%s: no tensor", label);
    }
    if (wg_dtype_of(t) != want.dtype) {
        return fail("%s: dtype %s, should be %s", label, wg_dtype_name(wg_dtype_of(t)), wg_dtype_name(want.dtype));
    }
    if (!shape_equal(wg_shape_of(t), want.shape)) {
        return fail("%s: shape %s, should be %s", label, shape_text(wg_shape_of(t)), shape_text(want.shape));
    }
    const void *p = read_bytes(t, label);
    int64_t wrong = 0;
    char first[300] = "";
    for (int64_t k = 0; p && k < want.n; k++) {
        double slack = want.slack ? want.slack[k] : 0;
        bool ok = want.f ? float_ok(float_at(p, want.dtype, k), want.f[k], ulps, slack, want.dtype)
                         : int_at(p, want.dtype, k) == want.i[k];
        if (ok || wrong++) {
            continue;
        }
        if (want.f) {
            double got = float_at(p, want.dtype, k);
            snprintf(first, sizeof first, "element %lld is %a (%.9g), should be %a (%.9g), off by %.3g ulp, slack %.3g",
                     (long long)k, got, got, round_to(want.f[k], want.dtype), want.f[k],
                     fabs(got - want.f[k]) / dtype_ulp(round_to(want.f[k], want.dtype), want.dtype), slack);
        } else {
            snprintf(first, sizeof first, "element %lld is %lld, should be %lld", (long long)k,
                     (long long)int_at(p, want.dtype, k), (long long)want.i[k]);
        }
    }
    if (wrong) {
        return fail("%s: %s %s: %s; %lld of %lld wrong", label, wg_dtype_name(want.dtype), shape_text(want.shape),
                    first, (long long)wrong, (long long)want.n);
    }
    return p != NULL;
}

bool expect_same_bits(const void *a, const void *b, wg_dtype dtype, int64_t n, const char *label) {
    if (!a || !b) {
        return fail("%s: nothing to compare", label);
    }
    for (int64_t k = 0; k < n; k++) {
        if (dtype_is_float(dtype)) {
            double x = float_at(a, dtype, k), y = float_at(b, dtype, k);
            if (!same_double(x, y)) {
                return fail("%s: element %lld of %lld: %a and %a", label, (long long)k, (long long)n, x, y);
            }
        } else if (int_at(a, dtype, k) != int_at(b, dtype, k)) {
            return fail("%s: element %lld of %lld: %lld and %lld", label, (long long)k, (long long)n,
                        (long long)int_at(a, dtype, k), (long long)int_at(b, dtype, k));
        }
    }
    return true;
}

bool read_doubles(wg_tensor *t, double *out, int64_t n) {
    const void *p = t && wg_numel(t) == n ? read_bytes(t, "read") : NULL;
    for (int64_t k = 0; k < n; k++) {
        wg_dtype d = wg_dtype_of(t);
        out[k] = !p ? NAN : dtype_is_float(d) ? float_at(p, d, k) : (double)int_at(p, d, k);
    }
    return p || fail("a tensor of %lld elements, should be %lld", (long long)wg_numel(t), (long long)n);
}

bool expect_close(const double *a, const double *b, int64_t n, double atol, double rtol, const char *label) {
    for (int64_t k = 0; k < n; k++) {
        if (a[k] == b[k] || (isnan(a[k]) && isnan(b[k]))) {
            continue;
        }
        if (!(fabs(a[k] - b[k]) <= atol + rtol * fabs(b[k]))) {
            return fail("%s: element %lld is %.17g, should be %.17g", label, (long long)k, a[k], b[k]);
        }
    }
    return true;
}

bool expect_values(wg_tensor *t, const double *want, int64_t n, const char *label) {
    double *got = hold((size_t)n * sizeof *got);
    if (!t || wg_numel(t) != n) {
        return fail("%s: %lld elements, should be %lld: %s", label, (long long)wg_numel(t), (long long)n,
                    t ? "" : "no tensor");
    }
    return read_doubles(t, got, n) && expect_close(got, want, n, 0, 0, label);
}

bool expect_error(wg_ctx *ctx, wg_status status, const char *label, ...) {
    char text[1000];
    snprintf(text, sizeof text, "%s", wg_error(ctx));
    wg_status at = wg_error_status(ctx), taken = wg_error_take(ctx, NULL, 0);
    bool ok = at == status && taken == status;
    if (!ok) {
        fail("%s: %s (taken: %s) \"%s\", should be %s", label, wg_status_name(at), wg_status_name(taken), text,
             wg_status_name(status));
    }
    va_list ap;
    va_start(ap, label);
    for (const char *part; (part = va_arg(ap, const char *));) {
        ok = (strstr(text, part) || fail("%s: the text \"%s\" lacks \"%s\"", label, text, part)) && ok;
    }
    va_end(ap);
    return (!wg_failed(ctx) || fail("%s: still failed after wg_error_take", label)) && ok;
}

bool expect_no_error(wg_ctx *ctx, const char *label) {
    if (!wg_failed(ctx)) {
        return true;
    }
    fail("%s: %s: %s", label, wg_status_name(wg_error_status(ctx)), wg_error(ctx));
    wg_error_take(ctx, NULL, 0);
    return false;
}

struct batch {
    wg_ctx *ctx;
    int n, compared;
    wg_tensor *t[FULL];
    nd want[FULL];
    double ulps[FULL];
    char label[FULL][160];
};

batch *batch_new(wg_ctx *ctx) {
    batch *b = hold(sizeof *b);
    b->ctx = ctx;
    return b;
}

void batch_add(batch *b, wg_tensor *t, nd want, double ulps, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(b->label[b->n], sizeof b->label[0], fmt, ap);
    va_end(ap);
    if (!t) {
        fail("%s: refused: %s", b->label[b->n], wg_error(b->ctx));
        wg_error_take(b->ctx, NULL, 0);
        return;
    }
    b->t[b->n] = t;
    b->want[b->n] = want;
    b->ulps[b->n++] = ulps;
    if (b->n == FULL) {
        batch_run(b);
    }
}

void batch_run(batch *b) {
    wg_status s = b->n ? wg_eval(b->t, (size_t)b->n) : WG_OK;
    if (s != WG_OK) {
        fail("%d results from \"%s\" on in one plan: %s: %s", b->n, b->n ? b->label[0] : "", wg_status_name(s),
             wg_error(b->ctx));
        wg_error_take(b->ctx, NULL, 0);
    }
    for (int k = 0; k < b->n; k++) {
        expect_nd(b->t[k], b->want[k], b->ulps[k], b->label[k]);
    }
    b->compared += b->n;
    b->n = 0;
}

int batch_compared(const batch *b) { return b->compared; }

wg_stats stats_of(wg_ctx *ctx) {
    wg_stats s;
    wg_get_stats(ctx, &s);
    return s;
}
uint64_t stat_launches(wg_ctx *ctx) { return stats_of(ctx).launches; }

void expect_launches(wg_ctx *ctx, wg_tensor *t, uint64_t launches, uint64_t bytes, const char *what) {
    wg_stats before = stats_of(ctx);
    cr_expect_eq(wg_eval(&t, 1), WG_OK, "%s: %s", what, wg_error(ctx));
    wg_stats after = stats_of(ctx);
    cr_expect(after.launches - before.launches == launches && after.bytes_moved - before.bytes_moved == bytes,
              "%s: %d launches, %d bytes; %d and %d expected", what, (int)(after.launches - before.launches),
              (int)(after.bytes_moved - before.bytes_moved), (int)launches, (int)bytes);
}
