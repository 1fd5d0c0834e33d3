/* Square matrix products, beside OpenBLAS on as many threads where the device is the CPU. */
#include "blas.h"
#include "cases.h"

#include <math.h>
#include <stdlib.h>

/* OpenBLAS's threads spin for a while after a call, and would do so in our turn. */
static const double PEER_REST = 0.05;

typedef struct product {
    wg_ctx *ctx;
    wg_tensor *a, *b, *c;
    float *blas_a, *blas_c;
    int n;
} product;

static void run_ours(void *user) {
    product *p = user;
    WG_SCOPE(p->ctx) { wg_assign(p->c, wg_matmul(p->a, p->b)); }
    wg_synchronize(p->ctx);
}

static void run_blas(void *user) {
    product *p = user;
    blas_matmul(p->blas_c, p->blas_a, p->blas_a, p->n);
}

static bool prepare_blas(product *p) {
    size_t count = (size_t)p->n * (size_t)p->n;
    p->blas_a = aligned_alloc(64, count * sizeof(float));
    p->blas_c = aligned_alloc(64, count * sizeof(float));
    if (!p->blas_a || !p->blas_c) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        p->blas_a[i] = uniform_at(i);
        p->blas_c[i] = 0;
    }
    return true;
}

static void check(bench *b, row *r, const product *p) {
    size_t n = (size_t)p->n, i = n / 3, j = n - 1;
    double want = 0;
    for (size_t k = 0; k < n; k++) {
        want += (double)uniform_at(i * n + k) * (double)uniform_at(k * n + j);
    }
    check_element(b, r, p->c, (int64_t)(i * n + j), want, 1e-5 * sqrt((double)n) + 1e-6 * (double)n);
}

static void measure_product(bench *b, row *r, int n) {
    wg_shape shape = WG_SHAPE(n, n);
    product p = {.ctx = b->ctx, .n = n, .a = uniform(b->ctx, shape), .b = uniform(b->ctx, shape)};
    p.c = place_for(b->ctx, shape);
    side ours = {.run = run_ours, .user = &p, .ctx = b->ctx, .rest = PEER_REST};
    side blas = {.run = run_blas, .user = &p};
    work w = {.flops = 2.0 * n * n * n, .limit = FMA_LIMIT};
    bool peer = b->on_cpu && blas_load() && prepare_blas(&p);
    if (measure_case(b, r, ours, w, peer ? &blas : NULL)) {
        check(b, r, &p);
        if (peer) {
            r->peer = "OpenBLAS";
            row_note(r, "%.2f of OpenBLAS (%d threads, %s)", r->peer_min / r->min, blas_threads(),
                     duration_of(r->peer_min).text);
        }
    }
    free(p.blas_a);
    free(p.blas_c);
}

static void matmul_512(bench *b, row *r) { measure_product(b, r, 512); }
static void matmul_1024(bench *b, row *r) { measure_product(b, r, 1024); }
static void matmul_2048(bench *b, row *r) { measure_product(b, r, 2048); }

const bench_case matmul_cases[] = {
    {"matmul_512", "product of 512x512 matrices", matmul_512},
    {"matmul_1024", "product of 1024x1024 matrices", matmul_1024},
    {"matmul_2048", "product of 2048x2048 matrices", matmul_2048},
    {0},
};
