/*
 * The same recording in several modes: see recording.h.
 */
#include "recording.h"

#include <stdarg.h>
#include <stdio.h>

enum { MOST = 4000, CHUNK = 96 };

struct recording {
    const char *mode;
    int n, pending;
    wg_tensor *t[CHUNK];
    char *label[MOST];
    void *bits[MOST];
    wg_dtype dtype[MOST];
    int64_t size[MOST];
};

static void run(recording *r) {
    if (r->pending && wg_eval(r->t, (size_t)r->pending) != WG_OK) {
        wg_ctx *ctx = wg_context(r->t[0]);
        cr_expect(false, "%s: %d results from \"%s\" on: %s", r->mode, r->pending, r->label[r->n - r->pending],
                  wg_error(ctx));
        wg_error_take(ctx, NULL, 0);
    }
    for (int k = 0; k < r->pending; k++) {
        int at = r->n - r->pending + k;
        r->bits[at] = read_bytes(r->t[k], r->label[at]);
    }
    r->pending = 0;
}

void recording_add(recording *r, wg_tensor *t, const char *fmt, ...) {
    cr_assert(r->n < MOST, "too many results");
    r->label[r->n] = hold(160);
    int len = snprintf(r->label[r->n], 160, "%s: ", r->mode);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->label[r->n] + len, 160 - (size_t)len, fmt, ap);
    va_end(ap);
    cr_assert_not_null(t, "%s: refused", r->label[r->n]);
    r->dtype[r->n] = wg_dtype_of(t);
    r->size[r->n++] = wg_numel(t);
    r->t[r->pending++] = t;
    if (r->pending == CHUNK) {
        run(r);
    }
}

int compare_modes(recorder record, const mode *modes, int n) {
    recording *first = NULL;
    for (int m = 0; m < n; m++) {
        recording *r = hold(sizeof *r);
        r->mode = mode_name(modes[m]);
        wg_ctx *ctx = open_mode(modes[m]);
        record(ctx, r);
        run(r);
        close_ok(ctx);
        first = first ? first : r;
        cr_assert(r->n == first->n, "%s recorded %d results, %s %d", r->mode, r->n, first->mode, first->n);
        for (int k = 0; r != first && k < r->n; k++) {
            cr_assert(r->dtype[k] == first->dtype[k] && r->size[k] == first->size[k], "%s: not the same dtype and size",
                      r->label[k]);
            expect_same_bits(r->bits[k], first->bits[k], r->dtype[k], r->size[k], r->label[k]);
        }
    }
    return first ? first->n : 0;
}
