/* The table and the JSON. */
#include "table.h"

#include <stdarg.h>
#include <string.h>
#include <wengert/version.h>

static const char *const unit_names[] = {"", "GFLOP/s", "GB/s"};

void add_note(char *note, size_t cap, const char *format, va_list args) {
    size_t len = strlen(note);
    if (len > 0 && len + 2 < cap) {
        len += (size_t)snprintf(note + len, cap - len, "; ");
    }
    vsnprintf(note + len, cap - len, format, args);
}

void row_note(row *r, const char *format, ...) {
    va_list args;
    va_start(args, format);
    add_note(r->note, sizeof r->note, format, args);
    va_end(args);
}

duration duration_of(double seconds) {
    static const char *const names[] = {"ns", "us", "ms", "s"};
    double value = seconds * 1e9;
    size_t i = 0;
    for (; value >= 1000 && i < 3; i++) {
        value /= 1000;
    }
    duration d;
    snprintf(d.text, sizeof d.text, "%.*f %s", value < 10 ? 2 : value < 100 ? 1 : 0, value, names[i]);
    return d;
}

void table_print_head(FILE *out) {
    fprintf(out, "%-16s %10s %10s  %16s  %11s  %s\n", "case", "min", "median", "throughput", "of limit", "note");
}

void table_print_row(FILE *out, const row *r) {
    char rate[32] = "", share[32] = "";
    if (r->rate > 0) {
        snprintf(rate, sizeof rate, "%.1f %s", r->rate, unit_names[r->unit]);
    }
    if (r->rate > 0 && r->limit_rate > 0) {
        snprintf(share, sizeof share, "%.0f%% %s", 100 * r->rate / r->limit_rate, r->limit);
    }
    if (r->failed) {
        fprintf(out, "%-16s %10s %10s  %16s  %11s  %s\n", r->id, "failed", "", "", "", r->note);
    } else {
        fprintf(out, "%-16s %10s %10s  %16s  %11s  %s\n", r->id, duration_of(r->min).text, duration_of(r->median).text,
                rate, share, r->note);
    }
    fflush(out);
}

void json_string(FILE *out, const char *s) {
    fputc('"', out);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\') {
            fprintf(out, "\\%c", *s);
        } else if ((unsigned char)*s < 0x20) {
            fprintf(out, "\\u%04x", *s);
        } else {
            fputc(*s, out);
        }
    }
    fputc('"', out);
}

static void write_row(FILE *out, const row *r) {
    fprintf(out, "    {\"case\": ");
    json_string(out, r->id);
    fprintf(out, ", \"failed\": %s, \"min_s\": %.9g, \"median_s\": %.9g", r->failed ? "true" : "false", r->min,
            r->median);
    fprintf(out, ", \"launches\": %.4g", r->launches);
    if (r->rate > 0) {
        fprintf(out, ", \"rate\": %.6g, \"unit\": \"%s\"", r->rate, unit_names[r->unit]);
    }
    if (r->limit_rate > 0) {
        fprintf(out, ", \"limit\": \"%s\", \"limit_rate\": %.6g, \"share\": %.4g", r->limit, r->limit_rate,
                r->rate / r->limit_rate);
    }
    if (r->peer) {
        fprintf(out, ", \"peer\": ");
        json_string(out, r->peer);
        fprintf(out, ", \"peer_min_s\": %.9g, \"peer_median_s\": %.9g", r->peer_min, r->peer_median);
    }
    fprintf(out, ", \"note\": ");
    json_string(out, r->note);
    fprintf(out, "}");
}

FILE *json_begin(const char *path, const char *device, const char *rows) {
    FILE *out = fopen(path, "w");
    if (out) {
        fprintf(out, "{\n  \"version\": \"%s\",\n  \"device\": ", WG_VERSION_STRING);
        json_string(out, device);
        fprintf(out, ",\n  \"%s\": [\n", rows);
    }
    return out;
}

bool json_end(FILE *out) {
    if (!out) {
        return false;
    }
    fputs("  ]\n}\n", out);
    bool ok = !ferror(out);
    return fclose(out) == 0 && ok;
}

bool table_write_json(const char *path, const char *device, const row *rows, size_t n) {
    FILE *out = json_begin(path, device, "cases");
    for (size_t i = 0; out && i < n; i++) {
        write_row(out, &rows[i]);
        fputs(i + 1 < n ? ",\n" : "\n", out);
    }
    return json_end(out);
}
