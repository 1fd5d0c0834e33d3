/* The matrix product itself. See cublas.c. */
#include "double.h"

#include <math.h>
#include <string.h>

static float from_half(uint16_t h) {
    int exponent = h >> 10 & 31, mantissa = h & 1023;
    float v = exponent == 31  ? (mantissa ? NAN : INFINITY)
              : exponent == 0 ? ldexpf((float)mantissa, -24)
                              : ldexpf((float)(mantissa | 1024), exponent - 25);
    return h >> 15 ? -v : v;
}

/* Rounds to nearest even by letting the float unit do it at the right place. */
static uint16_t to_half(float v) {
    uint16_t sign = signbit(v) ? 0x8000 : 0;
    float a = fabsf(v);
    if (isnan(v)) {
        return 0x7e00;
    }
    if (a >= 65520.0f) {
        return sign | 0x7c00;
    }
    int e = 0;
    frexpf(a, &e);
    e = e < -13 || a == 0 ? -13 : e; /* 2^-14 is the smallest normal number */
    int units = (int)rintf(ldexpf(a, 11 - e));
    return (uint16_t)(sign + ((e + 13) << 10) + units);
}

static float from_bf16(uint16_t b) {
    uint32_t u = (uint32_t)b << 16;
    float v;
    memcpy(&v, &u, sizeof v);
    return v;
}

static uint16_t to_bf16(float v) {
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    return isnan(v) ? 0x7fc0 : (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static double load(cudaDataType_t type, const char *p, int64_t i) {
    uint16_t h;
    switch (type) {
    case CUDA_R_64F:
        return ((const double *)(const void *)p)[i];
    case CUDA_R_32F:
        return (double)((const float *)(const void *)p)[i];
    default:
        memcpy(&h, p + 2 * i, sizeof h);
        return (double)(type == CUDA_R_16F ? from_half(h) : from_bf16(h));
    }
}

static void store(cudaDataType_t type, char *p, int64_t i, double v) {
    uint16_t h;
    switch (type) {
    case CUDA_R_64F:
        ((double *)(void *)p)[i] = v;
        break;
    case CUDA_R_32F:
        ((float *)(void *)p)[i] = (float)v;
        break;
    default:
        h = type == CUDA_R_16F ? to_half((float)v) : to_bf16((float)v);
        memcpy(p + 2 * i, &h, sizeof h);
    }
}

#if defined __x86_64__ && !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
#define WITH_FMA __attribute__((target_clones("fma", "default")))
#else
#define WITH_FMA
#endif

WITH_FMA static float sum_f32(const float *a, int64_t step_a, const float *b, int64_t step_b, int k) {
    float sum = 0;
    for (int i = 0; i < k; i++) {
        sum = fmaf(a[i * step_a], b[i * step_b], sum);
    }
    return sum;
}

WITH_FMA static double sum_f64(const double *a, int64_t step_a, const double *b, int64_t step_b, int k) {
    double sum = 0;
    for (int i = 0; i < k; i++) {
        sum = fma(a[i * step_a], b[i * step_b], sum);
    }
    return sum;
}

static float sum_narrow(const cd_product *p, const char *a, int64_t at_a, int64_t step_a, const char *b, int64_t at_b,
                        int64_t step_b) {
    float sum = 0;
    for (int i = 0; i < p->k; i++) {
        sum = fmaf((float)load(p->ta_type, a, at_a + i * step_a), (float)load(p->tb_type, b, at_b + i * step_b), sum);
    }
    return sum;
}

static double element(const cd_product *p, const char *a, const char *b, int64_t z, int64_t i, int64_t j) {
    int64_t step_a = p->ta ? 1 : p->lda, step_b = p->tb ? p->ldb : 1;
    int64_t at_a = z * p->sa + (p->ta ? i * p->lda : i), at_b = z * p->sb + (p->tb ? j : j * p->ldb);
    switch (p->ta_type) {
    case CUDA_R_64F:
        return sum_f64((const double *)(const void *)a + at_a, step_a, (const double *)(const void *)b + at_b, step_b,
                       p->k);
    case CUDA_R_32F:
        return (double)sum_f32((const float *)(const void *)a + at_a, step_a, (const float *)(const void *)b + at_b,
                               step_b, p->k);
    default:
        return (double)sum_narrow(p, a, at_a, step_a, b, at_b, step_b);
    }
}

static double gelu(double v) { return v / 2 * (1 + tanh(0.79788456080286535588 * (v + 0.044715 * v * v * v))); }

static double gelu_slope(double v) {
    double t = tanh(0.79788456080286535588 * (v + 0.044715 * v * v * v));
    return (1 + t) / 2 + v / 2 * (1 - t * t) * 0.79788456080286535588 * (1 + 3 * 0.044715 * v * v);
}

/* What cuBLASLt makes of a sum: a relu takes a NaN for 0, and gelu is the tanh approximation. */
static double finish(const cd_product *p, double v, const char *bias, int64_t row, char *aux, int64_t aux_at) {
    if (p->epilogue == CUBLASLT_EPILOGUE_DGELU) {
        return v * gelu_slope(load(p->tc_type, aux, aux_at));
    }
    if (bias) {
        v = (double)(float)(v + load(p->tc_type, bias, row));
    }
    if (aux) {
        store(p->tc_type, aux, aux_at, v);
    }
    if (p->epilogue & CUBLASLT_EPILOGUE_RELU) {
        return v > 0 ? v : 0;
    }
    return p->epilogue & CUBLASLT_EPILOGUE_GELU ? gelu(v) : v;
}

static void check_zones(const cd_context *ctx, CUdeviceptr at) {
    const cd_alloc *result = cd_alloc_find(&ctx->arena, at);
    if (result) {
        cd_alloc_check(result, "cuBLAS");
    }
}

void cd_product_run(const cd_context *ctx, const cd_product *p) {
    const char *a = p->k ? cd_memory(ctx, p->a, 1, "cuBLAS, the first matrix") : "";
    const char *b = p->k ? cd_memory(ctx, p->b, 1, "cuBLAS, the second matrix") : "";
    char *c = cd_memory(ctx, p->c, 1, "cuBLAS, the result");
    const char *addend = p->addend ? cd_memory(ctx, p->addend, 1, "cuBLAS, the matrix added") : c;
    const char *bias = p->bias ? cd_memory(ctx, p->bias, 1, "cuBLAS, the bias") : NULL;
    char *aux = p->aux ? cd_memory(ctx, p->aux, 1, "cuBLAS, the epilogue's input") : NULL;
    char *workspace =
        p->workspace_bytes ? cd_memory(ctx, p->workspace, p->workspace_bytes, "cuBLAS, its workspace") : NULL;
    if (!a || !b || !c || !addend || (p->bias && !bias) || (p->aux && !aux) || (p->workspace_bytes && !workspace)) {
        return;
    }
    if (workspace) { /* somebody else's use of it would show */
        memset(workspace, 0xbb, p->workspace_bytes < 1 << 16 ? p->workspace_bytes : 1 << 16);
    }
    bool f64 = p->ta_type == CUDA_R_64F;
    for (int64_t z = 0; z < p->batch; z++) {
        for (int64_t j = 0; j < p->n; j++) {
            for (int64_t i = 0; i < p->m; i++) {
                int64_t at = z * p->sc + j * p->ldc + i;
                double v = p->alpha * element(p, a, b, z, i, j);
                v = f64 ? v : (double)(float)v;
                if (p->beta != 0) {
                    v += p->beta * load(p->tc_type, addend, at);
                    v = f64 ? v : (double)(float)v;
                }
                store(p->tc_type, c, at, finish(p, v, bias, i, aux, z * p->aux_stride + j * p->aux_ld + i));
            }
        }
    }
    check_zones(ctx, p->c);
    if (p->aux) {
        check_zones(ctx, p->aux);
    }
}
