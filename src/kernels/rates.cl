// What a device can do at best: copies of memory, and fused multiply-adds in registers. A program defines RATE_ITEMS, the
// work-items of a group, and RATE_CHAINS, independent sums that a work-item keeps. p.v: where a and b begin, vectors of
// WG_LANES floats, steps.

typedef struct { i64 v[4]; } rate_params;

// Neighbouring work-items of a GPU take neighbouring vectors; a core takes a stretch of its own.
#if WG_LANES == 1
#define RATE_EACH(i)                                                                                                   \
    for (i64 i = (i64)GRP(0) * RATE_ITEMS + LID(0); i < p.v[2]; i += (i64)NGRP(0) * RATE_ITEMS)
#else
#define RATE_EACH(i)                                                                                                   \
    const i64 share = (p.v[2] + NGRP(0) - 1) / NGRP(0), from = GRP(0) * share;                                         \
    const i64 to = from + share < p.v[2] ? from + share : p.v[2];                                                      \
    for (i64 i = from; i < to; i++)
#endif

KERNEL_GROUP(RATE_ITEMS, 1, 1) rate_copy(const GLOBAL f32 *RESTRICT a, GLOBAL f32 *RESTRICT b, const rate_params p) {
    RATE_EACH(i) { save_f32(b + p.v[1] + i * WG_LANES, WG_LANES, load_f32(a + p.v[0] + i * WG_LANES, WG_LANES)); }
}

// Past the cache.
KERNEL_GROUP(RATE_ITEMS, 1, 1) rate_stream(const GLOBAL f32 *RESTRICT a, GLOBAL f32 *RESTRICT b, const rate_params p) {
    RATE_EACH(i) { stream_f32(b + p.v[1] + i * WG_LANES, WG_LANES, load_f32(a + p.v[0] + i * WG_LANES, WG_LANES)); }
}

// Ends in a store that never happens, so that the sums are needed.
KERNEL_GROUP(RATE_ITEMS, 1, 1) rate_fma(const GLOBAL f32 *RESTRICT a, GLOBAL f32 *RESTRICT b, const rate_params p) {
    const vf32 start = load_f32(a + p.v[0], WG_LANES);
    vf32 x[RATE_CHAINS];
    UNROLL for (int k = 0; k < RATE_CHAINS; k++) { x[k] = start + splat_f32((f32)k); }
    for (i64 s = 0; s < p.v[3]; s++) {
        UNROLL for (int k = 0; k < RATE_CHAINS; k++) { x[k] = fma_f32(x[k], splat_f32(0.999999f), splat_f32(1e-6f)); }
    }
    vf32 sum = x[0];
    UNROLL for (int k = 1; k < RATE_CHAINS; k++) { sum = sum + x[k]; }
    if (mask_all(eq_f32(sum, splat_f32(1e30f)))) {
        save_f32(b + p.v[1], WG_LANES, sum);
    }
}
