/*
 * CUDA's words on the host, for generated code: each thread is a fiber. C++, since CUDA is.
 */
#pragma once
#define ulong host_ulong /* the prelude has its own */
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>
#undef ulong

extern "C" {
struct fiber_place {
    unsigned x, y, z;
};
extern fiber_place fiber_thread, fiber_block, fiber_block_size, fiber_grid_size;
void fiber_barrier(void);
uint64_t fiber_exchange(uint64_t value, unsigned from);
unsigned fiber_lane(void);
}

#define __global__
#define __device__
#define __forceinline__ inline
#define __shared__ static
#define __grid_constant__
#define __launch_bounds__(...)
#define threadIdx fiber_thread
#define blockIdx fiber_block
#define blockDim fiber_block_size
#define gridDim fiber_grid_size
#define __syncthreads() fiber_barrier()
/* Groups run one after the other, each after all that the ones before it did: a ticket is drawn, but orders nothing. */
#define __threadfence() ((void)0)
static inline int atomicAdd(int *p, int x) { return __atomic_fetch_add(p, x, __ATOMIC_RELAXED); }
#define __syncwarp(...) ((void)fiber_exchange(0, 0))

template <class To, class From> static inline To fiber_bits(From x) {
    static_assert(sizeof(To) == sizeof(From), "the same bits");
    To y;
    memcpy(&y, &x, sizeof y);
    return y;
}
static inline float __int_as_float(int x) { return fiber_bits<float>(x); }
static inline float __uint_as_float(unsigned x) { return fiber_bits<float>(x); }
static inline int __float_as_int(float x) { return fiber_bits<int>(x); }
static inline unsigned __float_as_uint(float x) { return fiber_bits<unsigned>(x); }
static inline double __longlong_as_double(long long x) { return fiber_bits<double>(x); }
static inline long long __double_as_longlong(double x) { return fiber_bits<long long>(x); }
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((uint64_t)a * b >> 32); }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }
static inline float __fsqrt_rn(float x) { return sqrtf(x); }
static inline double __dsqrt_rn(double x) { return std::sqrt(x); }
using std::fma;

struct alignas(4) uchar4 {
    unsigned char x, y, z, w;
};
struct alignas(16) int4 {
    int x, y, z, w;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(16) double2 {
    double x, y;
};
struct alignas(16) longlong2 {
    long long x, y;
};

/* Shuffles of a whole warp. */
template <class T> static inline T fiber_shuffle(T x, unsigned from) {
    uint64_t bits = 0, got;
    memcpy(&bits, &x, sizeof x);
    got = fiber_exchange(bits, from);
    memcpy(&x, &got, sizeof x);
    return x;
}
template <class T> static inline T __shfl_sync(unsigned, T x, int from, int = 32) {
    return fiber_shuffle(x, (unsigned)from);
}
template <class T> static inline T __shfl_xor_sync(unsigned, T x, int mask, int = 32) {
    return fiber_shuffle(x, fiber_lane() ^ (unsigned)mask);
}
template <class T> static inline T __shfl_down_sync(unsigned, T x, unsigned by, int = 32) {
    unsigned from = fiber_lane() + by;
    return fiber_shuffle(x, from < 32 ? from : fiber_lane());
}
template <class T> static inline T __shfl_up_sync(unsigned, T x, unsigned by, int = 32) {
    return fiber_shuffle(x, fiber_lane() >= by ? fiber_lane() - by : fiber_lane());
}

/* A kernel's arguments: buffers, then a struct by value. */
template <class T> struct fiber_argument {
    static T get(void *const *, const void *params, size_t) { return *(const T *)params; }
};
template <class T> struct fiber_argument<T *> {
    static T *get(void *const *buffers, const void *, size_t i) { return (T *)buffers[i]; }
};
template <class... A, size_t... I>
static inline void fiber_spread(void (*kernel)(A...), void *const *b, const void *p, std::index_sequence<I...>) {
    kernel(fiber_argument<A>::get(b, p, I)...);
}
template <class... A> static inline void fiber_call(void (*kernel)(A...), void *const *buffers, const void *params) {
    fiber_spread(kernel, buffers, params, std::index_sequence_for<A...>());
}
