/* One version for each instruction set, chosen at run time; plain C where none fits. */
#include "loops.h"

#include <string.h>

enum { CHAINS = 12 }; /* latency of 4 or 5 cycles, two a cycle */

static float plain_read(const float *src, size_t n) {
    float sum[16] = {0};
    for (size_t i = 0; i < n; i += 16) {
        for (int j = 0; j < 16; j++) {
            sum[j] += src[i + (size_t)j];
        }
    }
    float all = 0;
    for (int j = 0; j < 16; j++) {
        all += sum[j];
    }
    return all;
}

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx2"))) static void avx2_copy(float *dst, const float *src, size_t n) {
    for (size_t i = 0; i < n; i += 16) {
        _mm256_stream_ps(dst + i, _mm256_load_ps(src + i));
        _mm256_stream_ps(dst + i + 8, _mm256_load_ps(src + i + 8));
    }
    _mm_sfence();
}

__attribute__((target("avx2"))) static float avx2_read(const float *src, size_t n) {
    __m256 sum[8];
    for (int j = 0; j < 8; j++) {
        sum[j] = _mm256_setzero_ps();
    }
    for (size_t i = 0; i < n; i += 64) {
#pragma GCC unroll 8
        for (size_t j = 0; j < 8; j++) {
            sum[j] = _mm256_add_ps(sum[j], _mm256_load_ps(src + i + 8 * j));
        }
    }
    float lanes[8], all = 0;
    for (int j = 1; j < 8; j++) {
        sum[0] = _mm256_add_ps(sum[0], sum[j]);
    }
    _mm256_storeu_ps(lanes, sum[0]);
    for (int j = 0; j < 8; j++) {
        all += lanes[j];
    }
    return all;
}

__attribute__((target("avx2,fma"))) static float avx2_fma(long steps) {
    __m256 a = _mm256_set1_ps(0.999999f), b = _mm256_set1_ps(1e-6f), x[CHAINS];
    for (int j = 0; j < CHAINS; j++) {
        x[j] = _mm256_set1_ps((float)j);
    }
    for (long i = 0; i < steps; i++) {
#pragma GCC unroll 12
        for (int j = 0; j < CHAINS; j++) {
            x[j] = _mm256_fmadd_ps(x[j], a, b);
        }
    }
    for (int j = 1; j < CHAINS; j++) {
        x[0] = _mm256_add_ps(x[0], x[j]);
    }
    return _mm256_cvtss_f32(x[0]);
}

__attribute__((target("avx512f"))) static float avx512_fma(long steps) {
    __m512 a = _mm512_set1_ps(0.999999f), b = _mm512_set1_ps(1e-6f), x[CHAINS];
    for (int j = 0; j < CHAINS; j++) {
        x[j] = _mm512_set1_ps((float)j);
    }
    for (long i = 0; i < steps; i++) {
#pragma GCC unroll 12
        for (int j = 0; j < CHAINS; j++) {
            x[j] = _mm512_fmadd_ps(x[j], a, b);
        }
    }
    for (int j = 1; j < CHAINS; j++) {
        x[0] = _mm512_add_ps(x[0], x[j]);
    }
    return _mm512_cvtss_f32(x[0]);
}

#elif defined(__aarch64__)
#include <arm_neon.h>

static float neon_fma(long steps) {
    float32x4_t a = vdupq_n_f32(0.999999f), b = vdupq_n_f32(1e-6f), x[CHAINS];
    for (int j = 0; j < CHAINS; j++) {
        x[j] = vdupq_n_f32((float)j);
    }
    for (long i = 0; i < steps; i++) {
#pragma GCC unroll 12
        for (int j = 0; j < CHAINS; j++) {
            x[j] = vfmaq_f32(b, x[j], a);
        }
    }
    for (int j = 1; j < CHAINS; j++) {
        x[0] = vaddq_f32(x[0], x[j]);
    }
    return vgetq_lane_f32(x[0], 0);
}
#endif

void loop_copy_stream(float *dst, const float *src, size_t n) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        avx2_copy(dst, src, n);
        return;
    }
#endif
    memcpy(dst, src, n * sizeof *dst);
}

float loop_read(const float *src, size_t n) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        return avx2_read(src, n);
    }
#endif
    return plain_read(src, n);
}

float loop_fma(long steps, double *flops) {
    double chain_flops = 2.0 * CHAINS * (double)steps;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        *flops = 16 * chain_flops;
        return avx512_fma(steps);
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        *flops = 8 * chain_flops;
        return avx2_fma(steps);
    }
#elif defined(__aarch64__)
    *flops = 4 * chain_flops;
    return neon_fma(steps);
#endif
    float x[CHAINS];
    for (int j = 0; j < CHAINS; j++) {
        x[j] = (float)j;
    }
    for (long i = 0; i < steps; i++) {
        for (int j = 0; j < CHAINS; j++) {
            x[j] = x[j] * 0.999999f + 1e-6f;
        }
    }
    *flops = chain_flops;
    for (int j = 1; j < CHAINS; j++) {
        x[0] += x[j];
    }
    return x[0];
}
