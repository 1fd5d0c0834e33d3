/* Measuring what a device can do at best. */
#include "runtime/rates.h"

#include "base/clock.h"
#include "codegen/program.h"
#include "kernels/texts.h"
#include "runtime/watch.h"

#include <string.h>

enum { COPY, STREAM, FMA, KERNELS };

static const char *const names[KERNELS] = {"rate_copy", "rate_stream", "rate_fma"};

/* As many runs as find a quiet moment, unless they take too long; an FMA run as long as launching does not matter. */
enum { RUNS = 15 };
static const double TOO_LONG = 0.3, LONG_ENOUGH = 0.004;

typedef struct bench {
    wg_engine *e;
    wg_program *program;
    wg_kernel *kernels[KERNELS];
    wg_block *a, *b;
    int items, lanes, chains;
    int64_t groups;
} bench;

static wg_status build(bench *m, wg_err *err) {
    const wg_limits *limits = m->e->dev.limits;
    bool simd = m->e->form == WG_SIMD;
    m->items = simd ? 1 : 256;
    m->lanes = simd ? WG_LANES : 1;
    /* Chains enough for the latency of an FMA, and no more than stay in registers. */
    m->chains = !simd || limits->native_floats >= 16 ? 8 : limits->native_floats >= 8 ? 6 : 3;
    /* More than there are cores, so that one which is late holds up little. */
    m->groups = (int64_t)limits->compute_units * (simd ? 4 : 16);
    wg_str src = {0};
    wg_str_add(&src, wg_dev_prelude(&m->e->dev));
    wg_print_library(m->e->form, limits->language, " memory_f32 ", &src);
    wg_str_addf(&src, "#define RATE_ITEMS %d\n#define RATE_CHAINS %d\n", m->items, m->chains);
    wg_str_add(&src, wg_text_rates);
    wg_status status =
        src.failed ? wg_err_set(err, WG_ERR_NOMEM, "measure_rates: out of host memory")
                   : wg_dev_build(&m->e->dev, WG_QUEUE_MAIN, src.data, names, KERNELS, &m->program, m->kernels, err);
    wg_str_free(&src);
    return status;
}

/* Seconds of one run, waited for. */
static wg_status run(bench *m, int kernel, int64_t vectors, int64_t steps, double *seconds, wg_err *err) {
    const wg_mem *buffers[] = {m->a->mem, m->b->mem};
    const int64_t params[] = {(int64_t)(m->a->offset / sizeof(float)), (int64_t)(m->b->offset / sizeof(float)), vectors,
                              steps};
    wg_launch launch = {.kernel = m->kernels[kernel],
                        .groups = {(uint32_t)m->groups, 1, 1},
                        .local = {(uint32_t)m->items, 1, 1},
                        .buffers = buffers,
                        .nbuffers = 2,
                        .params = params,
                        .param_bytes = sizeof params};
    double from = wg_clock();
    wg_status status = wg_dev_launch(&m->e->dev, WG_QUEUE_MAIN, &launch, err);
    status = status == WG_OK ? wg_dev_sync(&m->e->dev, err) : status;
    *seconds = wg_clock() - from;
    return status;
}

static wg_status best_of(bench *m, int kernel, int64_t vectors, int64_t steps, double *best, wg_err *err) {
    wg_status status = WG_OK;
    double began = wg_clock();
    for (int i = 0; i <= RUNS && (i < 2 || wg_clock() - began < TOO_LONG) && status == WG_OK; i++) {
        double seconds;
        status = run(m, kernel, vectors, steps, &seconds, err);
        *best = i <= 1 || seconds < *best ? seconds : *best; /* the first run is the driver's: it may compile */
    }
    return status;
}

static wg_status measure(bench *m, size_t bytes, double *bytes_rate, double *flops_rate, wg_err *err) {
    int64_t vectors = (int64_t)(bytes / sizeof(float)) / m->lanes;
    double copy, stream, fma;
    wg_status status = best_of(m, COPY, vectors, 0, &copy, err);
    status = status == WG_OK ? best_of(m, STREAM, vectors, 0, &stream, err) : status;
    int64_t steps = 1024;
    do {
        steps *= 2;
        status = status == WG_OK ? run(m, FMA, 0, steps, &fma, err) : status;
    } while (status == WG_OK && fma < LONG_ENOUGH);
    status = status == WG_OK ? best_of(m, FMA, 0, steps, &fma, err) : status;
    if (status == WG_OK) {
        *bytes_rate = 2.0 * (double)bytes / (copy < stream ? copy : stream);
        *flops_rate = 2.0 * (double)(m->groups * m->items * m->lanes * m->chains) * (double)steps / fma;
    }
    return status;
}

wg_status wg_rates_measure(wg_engine *e, double *bytes_rate, double *flops_rate, wg_err *err) {
    const wg_limits *limits = e->dev.limits;
    const size_t least = (size_t)64 << 20, most = (size_t)256 << 20;
    bench m = {.e = e};
    wg_status status = limits->interprets || strcmp(e->dev.backend->name, "null") == 0
                           ? wg_err_set(err, WG_ERR_UNSUPPORTED, "measure_rates: %s runs no kernels", limits->name)
                           : build(&m, err);
    if (status != WG_OK) {
        return status;
    }
    size_t bytes = 4 * limits->cache_bytes; /* far more than the cache holds */
    bytes = bytes < least ? least : bytes > most ? most : bytes;
    status = wg_pool_get(&e->pool, bytes, &m.a, err);
    status = status == WG_OK ? wg_pool_get(&e->pool, bytes, &m.b, err) : status;
    wg_watch_collect(e);
    status = status == WG_OK ? measure(&m, bytes, bytes_rate, flops_rate, err) : status;
    wg_watch_skip(e);
    wg_pool_put(&e->pool, m.a);
    wg_pool_put(&e->pool, m.b);
    wg_pool_trim(&e->pool);
    wg_dev_unbuild(&e->dev, m.program);
    return status;
}
