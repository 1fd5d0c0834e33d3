/* What cases share. */
#include "cases.h"

#include <math.h>
#include <stdlib.h>

float uniform_at(size_t i) {
    uint32_t x = (uint32_t)i * 2654435761u + 12345u;
    x ^= x >> 16;
    x *= 2246822519u;
    x ^= x >> 13;
    return (float)(x >> 8) * 0x1p-23f - 1.0f;
}

wg_tensor *uniform(wg_ctx *ctx, wg_shape shape) {
    size_t n = (size_t)wg_shape_numel(shape);
    float *values = malloc(n * sizeof *values);
    if (!values) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        values[i] = uniform_at(i);
    }
    wg_tensor *t = wg_keep(wg_from_f32(ctx, values, shape));
    free(values);
    return t;
}

wg_tensor *place_for(wg_ctx *ctx, wg_shape shape) { return wg_keep(wg_zeros(ctx, WG_F32, shape)); }

void check_value(bench *b, row *r, double got, double want, double tolerance) {
    if (b->computes && !(fabs(got - want) <= tolerance)) {
        row_note(r, "WRONG: %.9g, not %.9g", got, want);
        r->failed = true;
    }
}

void check_element(bench *b, row *r, wg_tensor *t, int64_t i, double want, double tolerance) {
    WG_SCOPE(b->ctx) {
        wg_tensor *flat = wg_reshape(t, WG_SHAPE(-1));
        check_value(b, r, wg_item(wg_select(flat, 0, i)), want, tolerance);
    }
}

/* What the counters say of the measured runs. A plan or kernel built there is a fault of the library: it had settled. */
static void note_counters(row *r, const side *ours) {
    double runs = (double)ours->runs;
    const wg_stats *x = &ours->before, *y = &ours->after;
    r->launches = (double)(y->launches - x->launches) / runs;
    row_note(r, "%.4g kernel%s", r->launches, r->launches == 1 ? "" : "s");
    if (y->plans_built > x->plans_built) {
        row_note(r, "%llu plans built while measuring", (unsigned long long)(y->plans_built - x->plans_built));
    }
    if (y->kernels_built > x->kernels_built) {
        row_note(r, "%llu kernels built while measuring", (unsigned long long)(y->kernels_built - x->kernels_built));
    }
    if (y->bytes_pooled > x->bytes_pooled) {
        row_note(r, "%.1f MB more taken from the driver while measuring",
                 1e-6 * (double)(y->bytes_pooled - x->bytes_pooled));
    }
}

static void fill_rate(row *r, work w) {
    double amount = w.flops > 0 ? w.flops : w.bytes;
    if (amount > 0) {
        r->unit = w.flops > 0 ? GFLOPS : GBS;
        r->rate = 1e-9 * amount / r->min;
    }
}

bool measure_case(bench *b, row *r, side ours, work w, side *peer) {
    side sides[2 + MAX_LIMIT_SIDES] = {ours};
    size_t n = 1;
    if (peer) {
        sides[n++] = *peer;
    }
    size_t first_limit = n;
    double limit_work = 0;
    n += limits_sides(b->limits, w.limit, w.flops > 0 ? w.flops : w.bytes, sides + n, &limit_work);
    if (!measure(sides, n, b->budget)) {
        return false;
    }
    r->min = sides[0].min;
    r->median = sides[0].median;
    fill_rate(r, b->computes ? w : (work){0});
    for (size_t i = first_limit; i < n; i++) {
        double rate = 1e-9 * limit_work / sides[i].min;
        r->limit = limit_name(w.limit);
        r->limit_rate = rate > r->limit_rate ? rate : r->limit_rate;
    }
    if (peer) {
        r->peer_min = sides[1].min;
        r->peer_median = sides[1].median;
    }
    note_counters(r, &sides[0]);
    return true;
}

bool measure_host(bench *b, row *r, side ours, double n) {
    if (!measure(&ours, 1, b->budget)) {
        return false;
    }
    r->min = ours.min / n;
    r->median = ours.median / n;
    note_counters(r, &ours);
    return true;
}
