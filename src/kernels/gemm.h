/* gemm.h - the matrix product as a structured kernel: choice of tiles, launch geometry, kernel text.
 *
 *     C[b,i,j] = sum over k of A[b,i,k] * B[b,k,j]
 *
 * A and B have arbitrary strides (any transposition; batch stride 0 broadcasts). Nothing is stored here: each finished
 * piece of C is handed to a function k_epilogue that the code generator printed before. Every element is one chain
 * acc = fma(a[k], b[k], acc) for k = 0.. K-1 from 0, so all forms, tiles and shapes agree to the bit (integers wrap).
 *
 * Texts hold no sizes: a text depends on wg_gemm_text alone, everything else arrives in the i64 parameters.
 */
#ifndef WG_KERNELS_GEMM_H
#define WG_KERNELS_GEMM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

typedef enum { WG_GEMM_F32, WG_GEMM_F64, WG_GEMM_I32, WG_GEMM_I64 } wg_gemm_type;
typedef enum { WG_GEMM_SIMD, WG_GEMM_SIMT } wg_gemm_form;

/* What a kernel of a plan is. */
typedef enum { WG_GEMM_MULTIPLY, WG_GEMM_PACK_A, WG_GEMM_PACK_B } wg_gemm_role;

/* Which buffer goes to a kernel's pointer parameters: an operand of the caller, or the plan's scratch. */
typedef enum { WG_GEMM_BUF_A, WG_GEMM_BUF_B, WG_GEMM_BUF_SCRATCH } wg_gemm_buffer;

enum { WG_GEMM_MAX_BATCH = 3, WG_GEMM_MAX_LAUNCHES = 3 };

/* Strides and offsets count elements. batch[], a_batch[], b_batch[]: outermost first; rank 0 is one product. */
typedef struct wg_gemm_problem {
    wg_gemm_type type;
    int64_t m, n, k;
    int rank;
    int64_t batch[WG_GEMM_MAX_BATCH], a_batch[WG_GEMM_MAX_BATCH], b_batch[WG_GEMM_MAX_BATCH];
    int64_t a_offset, a_row, a_col; /* A[i,k] */
    int64_t b_offset, b_row, b_col; /* B[k,j] */
} wg_gemm_problem;

typedef struct wg_gemm_device {
    wg_gemm_form form;
    int float_width;   /* native float vector width (simd): 4, 8 or 16 */
    int compute_units; /* 0: unknown */
    int64_t l2_bytes;  /* of one core; 0: unknown */
    int64_t max_items; /* largest global size wanted in work-items (65534 on POCL); 0: no bound */
} wg_gemm_device;

/* Places of the parameters in a launch's v[]. Sizes and addresses first, then the blocking. */
enum {
    WG_GEMM_P_M, WG_GEMM_P_N, WG_GEMM_P_K,
    WG_GEMM_P_A_OFFSET, WG_GEMM_P_A_ROW, WG_GEMM_P_A_COL,
    WG_GEMM_P_B_OFFSET, WG_GEMM_P_B_ROW, WG_GEMM_P_B_COL,
    WG_GEMM_P_BATCHES,              /* their product */
    WG_GEMM_P_DIM1, WG_GEMM_P_DIM2, /* the middle and the innermost batch size */
    WG_GEMM_P_A_BATCH, WG_GEMM_P_B_BATCH = WG_GEMM_P_A_BATCH + 3, /* three strides each */
    WG_GEMM_P_BLOCK_M = WG_GEMM_P_B_BATCH + 3, WG_GEMM_P_BLOCK_N, /* what one group computes (simd) */
    WG_GEMM_P_KEEP,                 /* simd: 1 when partial sums of the whole block are kept between K blocks */
    WG_GEMM_P_GROUPS,               /* of the launch: a group takes every so many-th block */
    WG_GEMM_P_COUNT
};

/* All that a kernel's text depends on. Compare by the fields. */
typedef struct wg_gemm_text {
    wg_gemm_form form;
    wg_gemm_role role;
    wg_gemm_type type;
    int width; /* native vector width in floats; 0 in simt */
} wg_gemm_text;

typedef struct wg_gemm_launch {
    wg_gemm_text text;
    wg_gemm_buffer buffers[2]; /* the two pointer parameters */
    int64_t grid[3];           /* groups */
    int group[3];              /* work-items of a group */
    int64_t v[WG_GEMM_P_COUNT];
} wg_gemm_launch;

typedef struct wg_gemm_plan {
    int launches; /* 0 when C is empty */
    wg_gemm_launch launch[WG_GEMM_MAX_LAUNCHES];
    int64_t scratch; /* elements; 0: none needed */
} wg_gemm_plan;

/* How a kernel is tied into the caller's program. */
typedef struct wg_gemm_print {
    const char *name;     /* the kernel's; also the prefix of its helper functions */
    const char *params;   /* parameters after the two pointers; must include the by-value struct named p */
    const char *epilogue; /* name of the epilogue function (multiply only) */
    const char *args;     /* what the epilogue gets first, such as "b2, b3, p"; may be "" */
    int base;             /* p.v[base + WG_GEMM_P_...] are this kernel's parameters */
} wg_gemm_print;

void wg_gemm_make_plan(wg_gemm_plan *plan, const wg_gemm_problem *problem, const wg_gemm_device *device);
void wg_gemm_print_text(wg_str *out, const wg_gemm_text *text, const wg_gemm_print *print);

#endif
