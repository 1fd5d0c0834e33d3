/*
 * Sixteen lanes on the host: the operations of kernel instructions, in the arithmetic of src/kernels/lanes_host.h, so
 * that every lane has the bits that a device gives it.
 */
#ifndef WG_RUNTIME_LANES_H
#define WG_RUNTIME_LANES_H

#include "graph/expr.h"

enum { WG_WIDE = 16 };

/* A register. u8 computes in i32, 16-bit floats in f32; a bool is 0 or 1 in i32. */
typedef union wg_lanes {
    int32_t i32[WG_WIDE];
    int64_t i64[WG_WIDE];
    float f32[WG_WIDE];
    double f64[WG_WIDE];
} wg_lanes;

/*
 * One operation on operands of dtype `from` (of SELECT: of b and c; a is the condition), giving dtype `to`. Operands that
 * the operation does not take may be any registers. out may be an operand that is as wide.
 */
void wg_lanes_apply(wg_prim prim, wg_dtype from, wg_dtype to, const wg_lanes *a, const wg_lanes *b, const wg_lanes *c,
                    wg_lanes *out);
void wg_lanes_random(wg_dtype dtype, const wg_lanes *word, int64_t number, int64_t seed, wg_lanes *out);

/* A number of the text; an argument of the kernel. */
void wg_lanes_const(wg_dtype dtype, double value, wg_lanes *out);
void wg_lanes_scalar(wg_dtype dtype, int64_t bits, wg_lanes *out);

/* Lane l is element at[l] of the memory at `from` where on[l], else 0: nothing is read there. */
void wg_lanes_load(wg_dtype dtype, const void *from, const int64_t *at, const int32_t *on, wg_lanes *out);
void wg_lanes_store(wg_dtype dtype, void *to, const int64_t *at, int n, const wg_lanes *x);

/* Elements for a product: at step j lane l is element at + j * step + l * lane. */
typedef struct wg_strip {
    wg_dtype dtype;
    const void *from;
    int64_t at, step, lane;
} wg_strip;

/* Of operands that are computed in dtype: in each of the first n lanes the chain sum = fma(a[j], b[j], sum) for j = 0 .. k-1, from 0. Integers wrap. */
void wg_lanes_product(wg_dtype dtype, const wg_strip *a, const wg_strip *b, int64_t k, int n, wg_lanes *out);

/*
 * In accumulate.c. A reduction on its way: the sum or extreme of each lane and, for argmax, where that stood, -1 before the first.
 */
typedef struct wg_accumulator {
    wg_lanes value, where;
} wg_accumulator;

void wg_lanes_begin(wg_prim prim, wg_dtype dtype, wg_accumulator *acc);
/* Takes in the first n lanes of x. Lane l stands at first + l * stride, which argmax alone looks at. */
void wg_lanes_take(wg_prim prim, wg_dtype dtype, const wg_lanes *x, int n, int64_t first, int64_t stride,
                   wg_accumulator *acc);
/* All lanes become the one result, always by the same tree. */
void wg_lanes_across(wg_prim prim, wg_dtype dtype, wg_accumulator *acc);

#endif
