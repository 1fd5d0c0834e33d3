/* What `wengert-bench plan` measures of anything that runs, and its table. */
#include "plan.h"

#include <stdarg.h>
#include <wengert/version.h>

void plan_note(plan_row *r, const char *format, ...) {
    va_list args;
    va_start(args, format);
    add_note(r->note, sizeof r->note, format, args);
    va_end(args);
}

/* Of the plans of the last run; a text that two of them share counts twice. */
static double distinct_kernels(wg_ctx *ctx) {
    enum { PLANS = 8 };
    wg_plan_info plans[PLANS];
    size_t n = wg_get_plans(ctx, WG_PLAN_SCOPE, plans, PLANS);
    double sum = 0;
    for (size_t i = 0; i < n && i < PLANS; i++) {
        sum += (double)plans[i].distinct;
    }
    return sum;
}

bool plan_measure(bench *b, plan_row *r, void (*run)(void *), void *user) {
    side s = {.run = run, .user = user, .ctx = b->ctx};
    if (!measure(&s, 1, 0.6 * b->budget)) {
        return false;
    }
    const wg_stats *x = &s.before, *y = &s.after;
    double runs = (double)s.runs;
    r->kernels = (double)(y->launches - x->launches) / runs;
    r->nodes = (double)(y->nodes - x->nodes) / runs;
    r->distinct = distinct_kernels(b->ctx);
    r->bytes = (double)(y->bytes_moved - x->bytes_moved) / runs;
    r->flops = (double)(y->flops - x->flops) / runs;
    r->peak = (double)y->bytes_peak;
    r->temporaries = (double)(y->bytes_peak - y->bytes_live);
    r->step = s.min;
    if (y->plans_built > x->plans_built || y->kernels_built > x->kernels_built) {
        plan_note(r, "plans or kernels built while measuring");
    }
    return true;
}

/* ---- the table ---- */

typedef struct cell {
    char text[24];
} cell;

static cell cell_of_bytes(double bytes) {
    cell c = {""};
    if (bytes > 0) {
        bool large = bytes >= 1e6;
        snprintf(c.text, sizeof c.text, "%.*f %s", large ? 2 : 1, bytes / (large ? 1e6 : 1e3), large ? "MB" : "kB");
    }
    return c;
}

static cell cell_of_flops(double flops) {
    cell c = {""};
    if (flops > 0) {
        bool large = flops >= 1e9;
        snprintf(c.text, sizeof c.text, "%.*f %s", large ? 2 : 1, flops / (large ? 1e9 : 1e6), large ? "G" : "M");
    }
    return c;
}

static cell cell_of_seconds(double seconds) {
    cell c = {""};
    if (seconds > 0) {
        snprintf(c.text, sizeof c.text, "%s", duration_of(seconds).text);
    }
    return c;
}

static cell cell_of_count(double n) {
    cell c = {""};
    if (n > 0) {
        snprintf(c.text, sizeof c.text, "%.4g", n);
    }
    return c;
}

static const char format[] = "%-16s %7s %6s %8s %5s %10s %9s %10s %10s %9s %9s  %s\n";

void plan_print_head(FILE *out) {
    fprintf(out, format, "", "kernels", "target", "distinct", "ops", "moved", "flops", "peak", "temporary", "host",
            "step", "note");
}

void plan_print_row(FILE *out, const plan_row *r) {
    if (r->failed) {
        fprintf(out, format, r->id, "failed", "", "", "", "", "", "", "", "", "", r->note);
    } else {
        fprintf(out, format, r->id, cell_of_count(r->kernels).text, cell_of_count(r->target).text,
                cell_of_count(r->distinct).text, cell_of_count(r->nodes).text, cell_of_bytes(r->bytes).text,
                cell_of_flops(r->flops).text, cell_of_bytes(r->peak).text, cell_of_bytes(r->temporaries).text,
                cell_of_seconds(r->host).text, cell_of_seconds(r->step).text, r->note);
    }
    fflush(out);
}

/* ---- JSON ---- */

static void write_row(FILE *out, const plan_row *r) {
    fprintf(out, "    {\"case\": ");
    json_string(out, r->id);
    fprintf(out, ", \"failed\": %s, \"kernels\": %.6g, \"target_kernels\": %.6g, \"distinct\": %.6g, \"ops\": %.6g",
            r->failed ? "true" : "false", r->kernels, r->target, r->distinct, r->nodes);
    fprintf(out, ", \"bytes\": %.0f, \"flops\": %.0f, \"peak_bytes\": %.0f, \"temporary_bytes\": %.0f", r->bytes,
            r->flops, r->peak, r->temporaries);
    fprintf(out, ", \"host_s\": %.9g, \"step_s\": %.9g, \"note\": ", r->host, r->step);
    json_string(out, r->note);
    fprintf(out, "}");
}

bool plan_write_json(const char *path, const char *device, const plan_row *rows, size_t n) {
    FILE *out = json_begin(path, device, "plan");
    for (size_t i = 0; out && i < n; i++) {
        write_row(out, &rows[i]);
        fputs(i + 1 < n ? ",\n" : "\n", out);
    }
    return json_end(out);
}
