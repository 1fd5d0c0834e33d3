/* The same program in several modes, log against log. */
#include "compare.h"

#include "ops.h"

#include <stdlib.h>
#include <string.h>

fuzz_counts fuzz_counted;

static void set(const char *name, const char *value) {
    if (value) {
        setenv(name, value, 1);
    } else {
        unsetenv(name);
    }
}

static const char *mode_name(fuzz_mode mode) {
    return mode == FUZZ_SCHEDULED ? "scheduled" : mode == FUZZ_EAGER ? "eager" : "unfused";
}

static wg_ctx *open_mode(const char *device, fuzz_mode mode) {
    set("WENGERT_EAGER", mode == FUZZ_EAGER ? "1" : NULL);
    set("WENGERT_FUSE", mode == FUZZ_UNFUSED ? "0" : NULL);
    wg_ctx *ctx = wg_open(device);
    set("WENGERT_EAGER", NULL);
    set("WENGERT_FUSE", NULL);
    return ctx;
}

static bool run_mode(const fuzz_program *p, const char *device, fuzz_mode mode, fuzz_log *log, char why[400]) {
    wg_ctx *ctx = open_mode(device, mode);
    bool ok = !wg_failed(ctx);
    if (ok) {
        fuzz_run(ctx, p, log);
    } else {
        snprintf(why, 400, "no context: %s", wg_error(ctx));
        (void)wg_error_take(ctx, NULL, 0);
    }
    wg_stats stats;
    wg_get_stats(ctx, &stats);
    if (ok && stats.bytes_live > 256) { /* the block of the trap words stays */
        snprintf(why, 400, "%s: %llu bytes are still live after everything was freed", mode_name(mode),
                 (unsigned long long)stats.bytes_live);
        ok = false;
    }
    wg_close(ctx);
    return ok;
}

static size_t entry_size(const fuzz_entry *e) { return sizeof *e + (e->bytes + 7) / 8 * 8; }

static double element(const fuzz_entry *e, const unsigned char *data, size_t i) {
    float f;
    double d;
    int64_t x = 0;
    size_t size = wg_dtype_size((wg_dtype)e->dtype);
    memcpy(&f, data + i * size, e->dtype == WG_F32 ? size : 0);
    memcpy(&d, data + i * size, e->dtype == WG_F64 ? size : 0);
    memcpy(&x, data + i * size, size);
    switch (e->dtype) {
    case WG_F16:
        return (double)wg_f16_to_f32((uint16_t)x);
    case WG_BF16:
        return (double)wg_bf16_to_f32((uint16_t)x);
    case WG_F32:
        return (double)f;
    case WG_F64:
        return d;
    case WG_I32:
        return (int32_t)x;
    default:
        return (double)x;
    }
}

/* Says which value of which entry differs. */
static void describe(const fuzz_entry *a, const fuzz_entry *b, fuzz_mode mode, char why[400]) {
    int at = snprintf(why, 400, "instruction %d: ", a->at + 1);
    if (memcmp(a, b, sizeof *a) != 0) {
        snprintf(why + at, 400 - (size_t)at, "eager r%d %s %llu bytes, %s instruction %d r%d %s %llu bytes", a->reg,
                 wg_status_name((wg_status)a->status), (unsigned long long)a->bytes, mode_name(mode), b->at + 1, b->reg,
                 wg_status_name((wg_status)b->status), (unsigned long long)b->bytes);
        return;
    }
    const unsigned char *x = (const unsigned char *)(a + 1), *y = (const unsigned char *)(b + 1);
    size_t size = wg_dtype_size((wg_dtype)a->dtype), i = 0;
    while ((i + 1) * size < a->bytes && memcmp(x + i * size, y + i * size, size) == 0) {
        i++;
    }
    snprintf(why + at, 400 - (size_t)at, "r%d, element %zu of %llu (%s): eager %.17g, %s %.17g", a->reg, i,
             (unsigned long long)(a->bytes / size), wg_dtype_name((wg_dtype)a->dtype), element(a, x, i),
             mode_name(mode), element(b, y, i));
}

static bool same_logs(const fuzz_log *want, const fuzz_log *got, fuzz_mode mode, char why[400]) {
    if (want->n == got->n && memcmp(want->bytes, got->bytes, want->n) == 0) {
        return true;
    }
    size_t i = 0;
    while (i < want->n && i < got->n) {
        const fuzz_entry *a = (const fuzz_entry *)(const void *)(want->bytes + i);
        const fuzz_entry *b = (const fuzz_entry *)(const void *)(got->bytes + i);
        if (memcmp(a, b, sizeof *a) != 0 || memcmp(a, b, entry_size(a)) != 0) {
            describe(a, b, mode, why);
            return false;
        }
        i += entry_size(a);
    }
    snprintf(why, 400, "eager logged %zu bytes, %s %zu", want->n, mode_name(mode), got->n);
    return false;
}

static void count(const fuzz_program *p, const fuzz_log *log) {
    fuzz_counted.instructions += p->n;
    for (size_t i = 0; i < log->n;) {
        const fuzz_entry *e = (const fuzz_entry *)(const void *)(log->bytes + i);
        fuzz_counted.refused += e->status != WG_OK;
        fuzz_counted.values += e->status == WG_OK;
        i += entry_size(e);
    }
}

bool fuzz_same(const fuzz_program *p, const char *device, bool unfused, char why[400]) {
    static fuzz_log want, got;
    char ignored[400];
    why = why ? why : ignored;
    bool same = run_mode(p, device, FUZZ_EAGER, &want, why) && run_mode(p, device, FUZZ_SCHEDULED, &got, why) &&
                same_logs(&want, &got, FUZZ_SCHEDULED, why);
    if (same && unfused) {
        same = run_mode(p, device, FUZZ_UNFUSED, &got, why) && same_logs(&want, &got, FUZZ_UNFUSED, why);
    }
    count(p, &want);
    return same;
}
