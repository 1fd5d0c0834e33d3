/*
 * wg_print: tensors as text, laid out as PyTorch 2 does with its default options. Numbers share one format, chosen from
 * all that are shown; a tensor of more than THRESHOLD elements shows EDGE at either end of each dimension.
 */
#include "api/fail.h"
#include "base/alloc.h"
#include "base/str.h"
#include "tensor/dtype.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <wengert/tensor.h>

enum { THRESHOLD = 1000, EDGE = 3, LINE_WIDTH = 80, INDENT = 7 /* of "tensor(" */, NUMBER_CAP = 48 };

typedef enum style { STYLE_EXACT /* integers and bool */, STYLE_WHOLE, STYLE_FIXED, STYLE_SCIENTIFIC } style;

typedef struct printer {
    wg_str *out;
    const void *data; /* the elements, row-major */
    wg_dtype dtype;
    wg_shape shape;
    int64_t stride[WG_MAX_RANK]; /* elements from one index of a dimension to the next */
    bool summarize;
    style style;
    int width; /* numbers are padded to it on the left */
    /* of the nonzero finite numbers seen while choosing a format */
    double least, most; /* magnitudes; most is 0 if there are none */
    bool whole;         /* none has a fraction */
} printer;

/* ---- one element ---------------------------------------------------------------------------------------------------- */

static double floating_at(const printer *p, int64_t i) { return wg_dtype_number(p->dtype, p->data, i); }

static int64_t integer_at(const printer *p, int64_t i) {
    switch (p->dtype) {
    case WG_U8:
        return ((const uint8_t *)p->data)[i];
    case WG_I32:
        return ((const int32_t *)p->data)[i];
    default:
        return ((const int64_t *)p->data)[i];
    }
}

/* Puts a point where the program's locale writes something else. */
static void use_point(char *text) {
    char *foreign = text + strspn(text, "+-0123456789");
    size_t n = strcspn(foreign, "+-0123456789e");
    if (n > 0) {
        *foreign = '.';
        memmove(foreign + 1, foreign + n, strlen(foreign + n) + 1);
    }
}

static void floating_text(style how, double x, char text[NUMBER_CAP]) {
    if (isnan(x) || isinf(x)) {
        snprintf(text, NUMBER_CAP, "%s", isnan(x) ? "nan" : x > 0 ? "inf" : "-inf");
    } else if (how == STYLE_WHOLE) {
        snprintf(text, NUMBER_CAP, "%.0f.", x);
    } else {
        snprintf(text, NUMBER_CAP, how == STYLE_FIXED ? "%.4f" : "%.4e", x);
        use_point(text);
    }
}

static void element_text(const printer *p, int64_t i, char text[NUMBER_CAP]) {
    if (p->dtype == WG_BOOL) {
        snprintf(text, NUMBER_CAP, "%s", ((const uint8_t *)p->data)[i] ? "True" : "False");
    } else if (!wg_dtype_is_float(p->dtype)) {
        snprintf(text, NUMBER_CAP, "%lld", (long long)integer_at(p, i));
    } else {
        floating_text(p->style, floating_at(p, i), text);
    }
}

/* ---- the elements that are shown ---------------------------------------------------------------------------------------- */

/* How many indices of a dimension are shown on the near side of the dots; all of them if there are no dots. */
static int64_t shown_first(const printer *p, int dim) {
    int64_t n = p->shape.dim[dim];
    return p->summarize && n > 2 * EDGE ? EDGE : n;
}

/* The index after i among the shown ones. */
static int64_t next_shown(const printer *p, int dim, int64_t i) {
    int64_t n = p->shape.dim[dim];
    return i + 1 == shown_first(p, dim) && i + 1 < n ? n - EDGE : i + 1;
}

/* Calls see(p, element) for each element that will be shown. */
static void each_shown(printer *p, void (*see)(printer *p, int64_t i)) {
    int64_t index[WG_MAX_RANK] = {0};
    int dim;
    do {
        int64_t at = 0;
        for (int d = 0; d < p->shape.rank; d++) {
            at += index[d] * p->stride[d];
        }
        see(p, at);
        for (dim = p->shape.rank - 1; dim >= 0; dim--) {
            index[dim] = next_shown(p, dim, index[dim]);
            if (index[dim] < p->shape.dim[dim]) {
                break;
            }
            index[dim] = 0;
        }
    } while (dim >= 0);
}

static void see_range(printer *p, int64_t i) {
    double x = floating_at(p, i), magnitude = fabs(x);
    if (x == 0 || !isfinite(x)) {
        return;
    }
    p->least = p->most == 0 || magnitude < p->least ? magnitude : p->least;
    p->most = magnitude > p->most ? magnitude : p->most;
    p->whole = p->whole && x == ceil(x);
}

/* PyTorch leaves zeros, infinities and NaN out of a floating tensor's width. */
static void see_width(printer *p, int64_t i) {
    if (wg_dtype_is_float(p->dtype) && (floating_at(p, i) == 0 || !isfinite(floating_at(p, i)))) {
        return;
    }
    char text[NUMBER_CAP];
    element_text(p, i, text);
    int width = (int)strlen(text);
    p->width = width > p->width ? width : p->width;
}

static void choose_format(printer *p) {
    p->width = 1;
    p->whole = true;
    if (wg_dtype_is_float(p->dtype)) {
        each_shown(p, see_range);
        bool wide = p->most > 0 && (p->most / p->least > 1000 || p->most > 1e8 || p->least < 1e-4);
        p->style = wide ? STYLE_SCIENTIFIC : p->whole ? STYLE_WHOLE : STYLE_FIXED;
    }
    each_shown(p, see_width);
}

/* ---- rows and brackets ----------------------------------------------------------------------------------------------- */

static void add_vector(printer *p, int64_t base, int indent) {
    int dim = p->shape.rank - 1;
    int64_t n = p->shape.dim[dim], per_line = (LINE_WIDTH - indent) / (p->width + 2), column = 0;
    per_line = per_line < 1 ? 1 : per_line;
    wg_str_add(p->out, "[");
    for (int64_t i = 0; i < n; i = next_shown(p, dim, i)) {
        bool jumped = p->summarize && n > 2 * EDGE && i == n - EDGE;
        for (int what = jumped ? 0 : 1; what < 2; what++, column++) {
            if (column > 0 && column % per_line == 0) {
                wg_str_addf(p->out, ",\n%*s", indent + 1, "");
            } else if (column > 0) {
                wg_str_add(p->out, ", ");
            }
            if (what == 0) { /* the dots fill a column */
                wg_str_add(p->out, " ...");
                continue;
            }
            char text[NUMBER_CAP];
            element_text(p, base + i, text);
            wg_str_addf(p->out, "%*s", p->width, text);
        }
    }
    wg_str_add(p->out, "]");
}

/* The elements from base on along dim and the dimensions after it. As deep as the rank. */
static void add_elements(printer *p, int dim, int64_t base, int indent) {
    if (p->shape.rank == 0) {
        char text[NUMBER_CAP];
        element_text(p, base, text);
        wg_str_addf(p->out, "%*s", p->width, text);
        return;
    }
    if (dim == p->shape.rank - 1) {
        add_vector(p, base, indent);
        return;
    }
    char between[2 * WG_MAX_RANK + 2 + INDENT];
    int lines = p->shape.rank - dim - 1; /* blank ones set blocks of matrices apart */
    snprintf(between, sizeof between, ",%.*s%*s", lines, "\n\n\n\n\n\n\n\n", indent + 1, "");
    int64_t n = p->shape.dim[dim];
    wg_str_add(p->out, "[");
    for (int64_t i = 0; i < n; i = next_shown(p, dim, i)) {
        if (i > 0) {
            wg_str_add(p->out, between);
        }
        if (p->summarize && n > 2 * EDGE && i == n - EDGE) {
            wg_str_add(p->out, "...");
            wg_str_add(p->out, between);
        }
        add_elements(p, dim + 1, base + i * p->stride[dim], indent + 1);
    }
    wg_str_add(p->out, "]");
}

/* ---- what follows the elements ------------------------------------------------------------------------------------------ */

/* Appends one; *line is how long the last line is, as PyTorch counts. */
static void add_suffix(wg_str *out, size_t *line, const char *text) {
    size_t n = strlen(text);
    if (*line + n + 2 > LINE_WIDTH) {
        wg_str_addf(out, ",\n%*s%s", INDENT, "", text);
        *line = INDENT + n;
    } else {
        wg_str_addf(out, ", %s", text);
        *line += n + 2;
    }
}

/* The size of what has no elements, unless [] says it; the dtype, unless it is what the elements look like; and whether
 * gradients flow here. */
static void add_suffixes(const printer *p, bool requires_grad) {
    const char *text = wg_str_text(p->out), *newline = strrchr(text, '\n');
    /* Two more than there are in the first line, one more in a later one. */
    size_t line = newline ? strlen(newline) + 1 : strlen(text) + 2;
    bool empty = wg_shape_numel(p->shape) == 0;
    if (empty && p->shape.rank != 1) {
        wg_str size = {0};
        for (int d = 0; d < p->shape.rank; d++) {
            wg_str_addf(&size, "%s%lld", d ? ", " : "size=(", (long long)p->shape.dim[d]);
        }
        wg_str_add(&size, ")");
        p->out->failed |= size.failed;
        add_suffix(p->out, &line, wg_str_text(&size));
        wg_str_free(&size);
    }
    bool obvious = p->dtype == WG_F32 || (!empty && (p->dtype == WG_I64 || p->dtype == WG_BOOL));
    if (!obvious) {
        char dtype[32];
        snprintf(dtype, sizeof dtype, "dtype=%s", wg_dtype_name(p->dtype));
        add_suffix(p->out, &line, dtype);
    }
    if (requires_grad) {
        add_suffix(p->out, &line, "requires_grad=True");
    }
    wg_str_add(p->out, ")\n");
}

/* ---- the call ------------------------------------------------------------------------------------------------------------ */

static void describe(printer *p, bool requires_grad) {
    int64_t stride = 1;
    for (int d = p->shape.rank - 1; d >= 0; d--) {
        p->stride[d] = stride;
        stride *= p->shape.dim[d];
    }
    wg_str_add(p->out, "tensor(");
    if (wg_shape_numel(p->shape) == 0) {
        wg_str_add(p->out, "[]");
    } else {
        p->summarize = wg_shape_numel(p->shape) > THRESHOLD;
        choose_format(p);
        add_elements(p, 0, 0, INDENT);
    }
    add_suffixes(p, requires_grad);
}

wg_status wg_print(wg_tensor *t, FILE *out) {
    wg_ctx *ctx = wg_context(t);
    if (!t || !out) {
        return ctx ? wg_ctx_fail(ctx, WG_ERR_ARG, "print: the file is NULL") : WG_ERR_ARG;
    }
    wg_str text = {0};
    printer p = {.out = &text, .dtype = wg_dtype_of(t), .shape = wg_shape_of(t)};
    size_t bytes = (size_t)wg_shape_numel(p.shape) * wg_dtype_size(p.dtype);
    /* A copy, and not what wg_data lends: that would stay in host memory as long as t lives. */
    char *data = wg_mem_alloc(bytes);
    if (!data) {
        return wg_ctx_fail(ctx, WG_ERR_NOMEM, "print: out of host memory");
    }
    wg_status status = wg_read(t, data, bytes);
    if (status == WG_OK) {
        p.data = data;
        describe(&p, wg_requires_grad(t));
        if (text.failed) {
            status = wg_ctx_fail(ctx, WG_ERR_NOMEM, "print: out of host memory");
        } else if (fwrite(text.data, 1, text.len, out) != text.len || fflush(out) != 0) {
            status = wg_ctx_fail(ctx, WG_ERR_IO, "print: writing %zu bytes failed", text.len);
        }
    }
    wg_mem_free(data);
    wg_str_free(&text);
    return status;
}
