/* Plans as tables: wg_explain. */
#include "api/inspect.h"

#include "api/fail.h"
#include "base/alloc.h"
#include "base/str.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- numbers with three digits -------------------------------------------------------------------------------------------------- */

typedef struct number {
    char text[24];
} number;

/* value in the largest unit that leaves at least 1; units are a thousandth of each other, the greatest first. */
static number scaled(double value, const char *const *units, double greatest) {
    number n;
    double unit = greatest;
    for (; units[1] && value < unit * 0.9995; units++) {
        unit /= 1000;
    }
    double v = value / unit;
    if (isnan(value)) {
        snprintf(n.text, sizeof n.text, "-");
    } else if (value == 0) {
        snprintf(n.text, sizeof n.text, "0");
    } else if (unit == 1 && v == floor(v)) {
        snprintf(n.text, sizeof n.text, "%.0f %s", v, *units);
    } else {
        snprintf(n.text, sizeof n.text, "%.*f %s", v < 9.995 ? 2 : v < 99.95 ? 1 : 0, v, *units);
    }
    return n;
}

static number as_bytes(double value) {
    return scaled(value, (const char *const[]){"TB", "GB", "MB", "kB", "B", NULL}, 1e12);
}

static number as_count(double value) {
    number n = scaled(value, (const char *const[]){"T", "G", "M", "k", "", NULL}, 1e12);
    size_t len = strlen(n.text);
    n.text[len - (len > 0 && n.text[len - 1] == ' ')] = '\0';
    return n;
}

static number as_time(double value) { return scaled(value, (const char *const[]){"s", "ms", "us", "ns", NULL}, 1); }

/* What part of the time the device's rates explain. */
static number as_share(double least, double time) {
    number n = {"-"};
    if (!isnan(least) && !isnan(time) && time > 0) {
        snprintf(n.text, sizeof n.text, "%.0f%%", 100 * least / time);
    }
    return n;
}

/* ---- the table -------------------------------------------------------------------------------------------------------------------- */

/* Which columns there are, and how wide the first two. */
typedef struct layout {
    int ops, loops;
    bool least, time, queue;
} layout;

enum { WIDEST_OPS = 44, NARROWEST_LOOPS = 5, NARROWEST_OPS = 5 };

static int fit(int width, size_t len, int most) {
    int n = (int)len < most ? (int)len : most;
    return n > width ? n : width;
}

static layout lay_out(const wg_ctx *ctx, const wg_chosen *chosen) {
    layout l = {.ops = NARROWEST_OPS, .loops = NARROWEST_LOOPS, .least = ctx->rates.bytes > 0};
    for (size_t p = 0; p < chosen->n; p++) {
        const wg_exec *x = chosen->plans[p];
        l.time = l.time || x->ran.steps;
        l.queue = l.queue || x->plan->turns;
        for (int i = 0; i < x->plan->nsteps; i++) {
            wg_kernel_info k;
            if (!wg_step_is_kernel(x, i)) {
                continue;
            }
            wg_fill_kernel(ctx, x, i, &k);
            l.ops = fit(l.ops, strlen(k.ops), WIDEST_OPS);
            l.loops = fit(l.loops, strlen(k.loops), (int)sizeof k.loops);
        }
    }
    return l;
}

/* One line. The cells after the loops: read, written, flops, least, time, share. */
static void add_line(wg_str *s, const layout *l, const char *first, const char *ops, const char *loops,
                     const char *const cells[6]) {
    bool cut = strlen(ops) > WIDEST_OPS;
    wg_str_addf(s, "%*s  %-*.*s%s  %-*s", l->queue ? 11 : 4, first, cut ? WIDEST_OPS - 3 : l->ops,
                cut ? WIDEST_OPS - 3 : l->ops, ops, cut ? "..." : "", l->loops, loops);
    for (int i = 0; i < 6; i++) {
        bool there = i < 3 || (i == 3 && l->least) || (i == 4 && l->time) || (i == 5 && l->least && l->time);
        if (there) {
            wg_str_addf(s, "  %*s", i == 5 ? 5 : 8, cells[i]);
        }
    }
    wg_str_add(s, "\n");
}

static void add_numbers(wg_str *s, const layout *l, const char *first, const char *ops, const char *loops,
                        const wg_kernel_info *k) {
    number n[] = {as_bytes((double)k->bytes_read), as_bytes((double)k->bytes_written),
                  as_count((double)k->flops),      as_time(k->least_seconds),
                  as_time(k->device_seconds),      as_share(k->least_seconds, k->device_seconds)};
    add_line(s, l, first, ops, loops,
             (const char *const[]){n[0].text, n[1].text, n[2].text, n[3].text, n[4].text, n[5].text});
}

static void add_plan(wg_str *s, const wg_ctx *ctx, const layout *l, const wg_exec *x, const wg_plan_info *info) {
    wg_str_addf(s, "plan %" PRIu64, info->number);
    if (info->runs > 1) {
        wg_str_addf(s, ", run %" PRIu64 " times", info->runs);
    }
    wg_str_addf(s, "%s\n", x->built_for == WG_QUEUE_INLINE ? ", in the calling thread" : "");
    add_line(s, l, l->queue ? "#  queue" : "#", "ops", "loops",
             (const char *const[]){"read", "written", "flops", "least", "time", "share"});
    int kernel = 0;
    for (int i = 0; i < x->plan->nsteps; i++) {
        if (wg_step_is_kernel(x, i)) {
            wg_kernel_info k;
            char first[32];
            wg_fill_kernel(ctx, x, i, &k);
            snprintf(first, sizeof first, l->queue ? "%d  %5d" : "%d", ++kernel, k.queue);
            add_numbers(s, l, first, k.ops, k.loops, &k);
        }
    }
    char kernels[32];
    snprintf(kernels, sizeof kernels, "%" PRIu64 " kernel%s", info->kernels, info->kernels == 1 ? "" : "s");
    char distinct[32];
    snprintf(distinct, sizeof distinct, "%" PRIu64 " distinct", info->distinct);
    const wg_kernel_info sum = {.bytes_read = info->bytes_read,
                                .bytes_written = info->bytes_written,
                                .flops = info->flops,
                                .device_seconds = info->device_seconds,
                                .least_seconds = info->least_seconds};
    add_numbers(s, l, "", kernels, distinct, &sum);
    wg_str_addf(s, "      temporaries %s", as_bytes((double)info->temporaries).text);
    if (!isnan(info->host_seconds)) {
        wg_str_addf(s, "; host %s a run", as_time(info->host_seconds).text);
    }
    wg_str_add(s, "\n");
}

static void add_all(wg_str *s, const wg_ctx *ctx, const wg_chosen *chosen, wg_plans which) {
    layout l = lay_out(ctx, chosen);
    wg_kernel_info all = {0};
    uint64_t runs = 0, kernels = 0;
    double host = 0;
    for (size_t p = 0; p < chosen->n; p++) {
        wg_plan_info info;
        wg_fill_plan(ctx, chosen->plans[p], which, &info);
        add_plan(s, ctx, &l, chosen->plans[p], &info);
        double times = (double)info.runs;
        runs += info.runs;
        kernels += info.runs * info.kernels;
        all.bytes_read += info.runs * info.bytes_read;
        all.bytes_written += info.runs * info.bytes_written;
        all.flops += info.runs * info.flops;
        all.device_seconds += times * info.device_seconds;
        all.least_seconds += times * info.least_seconds;
        host += times * info.host_seconds;
    }
    if (runs > 1) {
        char first[64], second[64];
        snprintf(first, sizeof first, "%" PRIu64 " kernels", kernels);
        snprintf(second, sizeof second, "%" PRIu64 " runs", runs);
        wg_str_add(s, "all runs together\n");
        add_numbers(s, &l, "", first, second, &all);
        if (!isnan(host)) {
            wg_str_addf(s, "      host %s\n", as_time(host).text);
        }
    }
    if (ctx->rates.bytes > 0) {
        wg_str_addf(s, "at best %s/s, ", as_bytes(ctx->rates.bytes).text);
        wg_str_addf(s, "%sflop/s\n", as_count(ctx->rates.flops).text);
    }
    if (chosen->n == 0) {
        wg_str_add(s, "no plan was run\n");
    }
}

wg_status wg_explain(wg_ctx *ctx, wg_plans which, FILE *out) {
    wg_chosen chosen;
    if (!ctx || !wg_graph_usable(&ctx->graph)) {
        return ctx ? wg_error_status(ctx) : WG_ERR_ARG;
    }
    if (!out) {
        return wg_ctx_fail(ctx, WG_ERR_ARG, "explain: the file is NULL");
    }
    if (!wg_choose_plans(ctx, which, &chosen)) {
        return WG_ERR_NOMEM;
    }
    wg_str text = {0};
    add_all(&text, ctx, &chosen, which);
    wg_status status = WG_OK;
    if (text.failed) {
        status = wg_ctx_fail(ctx, WG_ERR_NOMEM, "explain: out of host memory");
    } else if (fwrite(text.data, 1, text.len, out) != text.len || fflush(out) != 0) {
        status = wg_ctx_fail(ctx, WG_ERR_IO, "explain: writing %zu bytes failed", text.len);
    }
    wg_str_free(&text);
    wg_mem_free(chosen.plans);
    return status;
}
