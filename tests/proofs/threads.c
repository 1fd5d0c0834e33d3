/*
 * threads FOLDER: the CUDA text of kernels that share memory among work-items, run on the host under ThreadSanitizer, a fiber
 * for each work-item, in place of a GPU. Results are held against the op table's references and the interpreter's.
 *
 * The device null:cuda has memory and records launches; each plan is demanded there, and then its launches are run.
 * `threads FOLDER quick` does less. `threads FOLDER N`, after either, leaves out the barrier number N that a group comes to: a
 * race, which must be found, or nothing is proved.
 */
#include "fiber_program.h"
#include "walk.h"

#include "api/context.h"
#include "runtime/null.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- results ---------------------------------------------------------------------------------------------------------- */

enum { MOST_RESULTS = 4096 };

/* Values as long doubles, which hold every i64 and every double. */
typedef struct result {
    int64_t n;
    long double *v;
} result;

typedef struct run {
    result host[MOST_RESULTS]; /* what the interpreter says, in the order of the walk */
    size_t nhost, at;
    int launches, compared, failures;
} run;

static result read_result(wg_tensor *t) {
    result r = {.n = wg_numel(t)};
    size_t bytes = r.n < 0 ? 0 : (size_t)r.n * 8;
    union {
        uint8_t u8;
        int32_t i32;
        int64_t i64;
        float f32;
        double f64;
    } *raw = hold(bytes + 8);
    static const size_t size[] = {[WG_BOOL] = 1, [WG_U8] = 1, [WG_I32] = 4, [WG_I64] = 8, [WG_F32] = 4, [WG_F64] = 8};
    wg_dtype t0 = wg_dtype_of(t);
    if (r.n < 0 || wg_read(t, raw, (size_t)r.n * size[t0]) != WG_OK) {
        return (result){.n = -1};
    }
    r.v = hold((size_t)(r.n + 1) * sizeof *r.v);
    for (int64_t k = 0; k < r.n; k++) {
        const void *at = (const char *)raw + (size_t)k * size[t0];
        r.v[k] = t0 == WG_F64   ? *(const double *)at
                 : t0 == WG_F32 ? *(const float *)at
                 : t0 == WG_I64 ? (long double)*(const int64_t *)at
                 : t0 == WG_I32 ? *(const int32_t *)at
                                : *(const uint8_t *)at;
    }
    return r;
}

/* Held against the reference where there is one, within what the op table allows a reduction in another order; else
 * against the interpreter, within so many ulps of the largest element. */
static bool agrees(const result *got, const result *host, const nd *want, double ulps, wg_dtype t) {
    double eps = dtype_is_float(t) ? dtype_eps(t) : 0, largest = dtype_is_float(t) ? dtype_tiny(t) : 0;
    for (int64_t k = 0; k < host->n; k++) {
        largest = isfinite((double)host->v[k]) ? fmax(largest, fabs((double)host->v[k])) : largest;
    }
    if (got->n != host->n || (want->n >= 0 && want->n != got->n)) {
        return false;
    }
    for (int64_t k = 0; k < got->n; k++) {
        bool known = want->n >= 0;
        long double x = got->v[k], y = !known    ? host->v[k]
                                       : want->f ? round_to(want->f[k], t)
                                                 : (long double)want->i[k];
        double scale = known ? fmax(fabs((double)y), dtype_is_float(t) ? dtype_tiny(t) : 0) : largest;
        double slack = known && want->slack ? want->slack[k] : 0;
        if (x != y && !(isnan((double)x) && isnan((double)y)) && !(fabsl(x - y) <= (ulps + 1) * eps * scale + slack)) {
            return false;
        }
    }
    return true;
}

/* ---- the three walks: what the host says, which kernels there are, and what they compute --------------------------- */

static void ask_host(wg_ctx *ctx, const walk_batch *b, void *user) {
    run *r = user;
    for (size_t i = 0; i < b->n && r->nhost < MOST_RESULTS; i++) {
        r->host[r->nhost++] = read_result(b->t[i]);
    }
    r->failures += wg_error_take(ctx, NULL, 0) != WG_OK;
}

static void demand(wg_ctx *ctx, const walk_batch *b, void *user) {
    run *r = user;
    wg_tensor *t[WALK_MOST];
    memcpy(t, b->t, sizeof t);
    if (wg_eval(t, b->n) != WG_OK) {
        fprintf(stderr, "threads: %s and on: %s\n", b->name[0], wg_error(ctx));
        wg_error_take(ctx, NULL, 0);
        r->failures++;
    }
}

/* Runs the launches that the null device recorded. */
static bool replay(wg_ctx *ctx, run *r) {
    const wg_null_record *log;
    wg_device *dev = ctx->engine.dev.dev;
    size_t n = wg_null_log(dev, &log);
    bool good = true;
    for (size_t i = 0; i < n && good; i++) {
        if (log[i].kind != WG_NULL_LAUNCH) {
            continue;
        }
        fiber_kernel k = fiber_program_find(log[i].kernel);
        good = k && fibers_run(log[i].kernel, k, log[i].groups[0], log[i].local[0], log[i].buffers, log[i].params);
        r->launches++;
        if (!good) {
            fprintf(stderr, "threads: kernel %s %s\n", log[i].kernel, k ? "did not end" : "is not in the program");
        }
    }
    wg_null_log_clear(dev);
    return good;
}

static void compute(wg_ctx *ctx, const walk_batch *b, void *user) {
    run *r = user;
    demand(ctx, b, user);
    bool ran = replay(ctx, r);
    r->failures += !ran;
    for (size_t i = 0; i < b->n && ran && r->at < r->nhost; i++) {
        result got = read_result(b->t[i]);
        if (!agrees(&got, &r->host[r->at++], &b->want[i], b->ulps[i], wg_dtype_of(b->t[i]))) {
            fprintf(stderr, "threads: %s differs\n", b->name[i]);
            r->failures++;
        }
        r->compared++;
    }
    wg_null_log_clear(ctx->engine.dev.dev);
}

static void walk_on(const char *device, bool all, walk_visit visit, run *r) {
    wg_ctx *ctx = wg_open(device);
    if (wg_failed(ctx)) {
        fprintf(stderr, "threads: %s\n", wg_error(ctx));
        exit(1);
    }
    walk_fused(ctx, visit, r);
    if (all) {
        walk_rows(ctx, ops_reduce, visit, r);
        walk_rows(ctx, ops_contract, visit, r);
        walk_rows(ctx, ops_nn, visit, r);
    }
    r->failures += wg_close(ctx) != WG_OK;
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: threads FOLDER [quick | BARRIER]\n");
        return 2;
    }
    static run r;
    bool all = argc == 2, plant = !all && strcmp(argv[2], "quick") != 0;
    size_t n = 0;
    if (plant) {
        fibers_drop_barrier(atoi(argv[2]));
    } else {
        setenv("WENGERT_KERNELS", argv[1], 1);
        walk_on("null:cuda", all, demand, &r);
        unsetenv("WENGERT_KERNELS");
    }
    kernel_text *kernels;
    n = kernels_load(argv[1], WG_SIMT, &kernels);
    if (plant ? !fiber_program_load(argv[1]) : !fiber_program_make(kernels, n, argv[1])) {
        return 1;
    }
    walk_on("host", all, ask_host, &r);
    walk_on("null:cuda", all, compute, &r);
    printf("fibers: %zu kernels, %d launches, %d results compared, %d failures\n", n, r.launches, r.compared,
           r.failures);
    return r.failures > 0 || r.compared == 0;
}
