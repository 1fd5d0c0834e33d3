/* gemm.h - the matrix product as a structured kernel: choice of tiles, launch geometry, kernel text.
 *
 *     C[b,i,j] = sum over k of A[b,i,k] * B[b,k,j]
 *
 * A and B have arbitrary strides (any transposition; batch stride 0 broadcasts), or are computed by functions where they
 * are loaded. Nothing is stored here: each finished piece of C is handed to a function k_epilogue that the code generator
 * printed before; or whole rows of C, once a group has them done, to k_rows. Several products of one size may be computed one
 * after the other, piece by piece: with each piece of those before the last, a function k_part is called, and what it returns
 * waits for the call with the same piece of the next. Every element of a product is one chain
 * acc = fma(a[k], b[k], acc) for k = 0.. K-1 from 0, so all forms, tiles and shapes agree to the bit (integers wrap).
 *
 * Operands that lie in memory as 16-bit floats are f32 from where they are loaded on.
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

enum { WG_GEMM_MAX_BATCH = 3 };

/* Strides and offsets count elements. batch[], a_batch[], b_batch[]: outermost first; rank 0 is one product. */
typedef struct wg_gemm_problem {
    wg_gemm_type type;
    int64_t m, n, k;
    int rank;
    int64_t batch[WG_GEMM_MAX_BATCH], a_batch[WG_GEMM_MAX_BATCH], b_batch[WG_GEMM_MAX_BATCH];
    int64_t a_offset, a_row, a_col; /* A[i,k] */
    int64_t b_offset, b_row, b_col; /* B[k,j] */
    bool rows;                      /* k_rows takes the result: n is at most WG_GEMM_ROW_SIMD or WG_GEMM_ROW_SIMT */
} wg_gemm_problem;

enum { WG_GEMM_ROW_SIMD = 256, WG_GEMM_ROW_SIMT = 128 };
/* Elements of the product's type in local memory, at most, of a kernel that makes rows. */
enum { WG_GEMM_ROW_LOCAL = 6752 };

typedef struct wg_gemm_device {
    wg_gemm_form form;
    int float_width;   /* native float vector width (simd): 4, 8 or 16 */
    int compute_units; /* 0: unknown */
    int64_t max_items; /* largest global size wanted in work-items (65534 on POCL); 0: no bound */
} wg_gemm_device;

/* Places of the parameters in a launch's v[]: of the kernel; the layout of a product; where its operands start. Those of
 * further products follow: their starts, then layouts that none before has. */
enum {
    // clang-format off
    WG_GEMM_P_M, WG_GEMM_P_N,
    WG_GEMM_P_BATCHES,              /* the product of all batch sizes */
    WG_GEMM_P_BLOCK_M, WG_GEMM_P_BLOCK_N, /* what one group computes */
    WG_GEMM_P_GROUPS,               /* of the launch; each takes a run of blocks */
    WG_GEMM_P_SCRATCH_OFFSET,       /* simd; the caller's to set: where the scratch starts in its buffer, in elements */
    WG_GEMM_P_SCRATCH_STEP,         /* simd; from group to group */
    WG_GEMM_P_LAYOUT,
    WG_GEMM_P_K = WG_GEMM_P_LAYOUT,
    WG_GEMM_P_DIM1, WG_GEMM_P_DIM2, /* the middle and the innermost batch size */
    WG_GEMM_P_A_ROW, WG_GEMM_P_A_COL,
    WG_GEMM_P_B_ROW, WG_GEMM_P_B_COL,
    WG_GEMM_P_A_BATCH, WG_GEMM_P_B_BATCH = WG_GEMM_P_A_BATCH + 3, /* three strides each */
    WG_GEMM_P_BLOCK_K = WG_GEMM_P_B_BATCH + 3, /* simd */
    WG_GEMM_P_KEEP,                 /* simd: sums of a tile when all are kept between K blocks, else 0 */
    WG_GEMM_P_A_OFFSET, WG_GEMM_P_B_OFFSET,
    WG_GEMM_P_COUNT,
    // clang-format on
    WG_GEMM_LAYOUT = WG_GEMM_P_A_OFFSET - WG_GEMM_P_LAYOUT, /* parameters of one */
    WG_GEMM_START = WG_GEMM_P_COUNT - WG_GEMM_P_A_OFFSET,
    WG_GEMM_MAX_TERMS = 10,
    WG_GEMM_MAX_PARAMS = WG_GEMM_P_COUNT + (WG_GEMM_MAX_TERMS - 1) * (WG_GEMM_START + WG_GEMM_LAYOUT)
};

/* Where the two offsets of product t are. */
static inline int wg_gemm_start(int t) { return WG_GEMM_P_A_OFFSET + t * WG_GEMM_START; }

/* All that a kernel's text depends on. Compare by the fields. */
typedef struct wg_gemm_text {
    wg_gemm_form form;
    wg_gemm_type type;
    int width;                     /* native vector width in floats; 0 in simt */
    int terms;                     /* how many products */
    int layout[WG_GEMM_MAX_TERMS]; /* where in v[] that of each begins */
    int row; /* columns of a tile of whole rows, k_rows takes them; 0: k_epilogue takes elements */
} wg_gemm_text;

/* One launch does it all. */
typedef struct wg_gemm_plan {
    wg_gemm_text text;
    int64_t grid[3]; /* groups; grid[0] is 0 when C is empty: launch nothing */
    int group[3];    /* work-items of a group */
    int64_t scratch; /* elements of the product's type; 0 in simt */
    int panel; /* columns that lie side by side where k_rows finds a row; the next so many are `step` elements on */
    int64_t v[WG_GEMM_MAX_PARAMS];
    int nv;
} wg_gemm_plan;

/* An operand in memory, or made by a function k_a(args, z, row, i[, n]) (k_b for B; k_a1, k_b1, ... of the products behind the
 * first) that the code generator printed before: in the simd form 16 values, n of them real; in the simt form one. z is the
 * number of the product in its batch. */
typedef struct wg_gemm_operand {
    const char *buffer; /* its name; NULL: made by the function */
    const char *widen;  /* of 16-bit floats in memory: f(h) is the float of the bits h, f4(v) of four; else NULL */
    bool across;        /* values lie along the rows of A or the columns of B, and row is a k; else along k */
} wg_gemm_operand;

/* A sum of an operand, along k, that is made beside the product: function NAME_sum_a (b) takes what it comes to, with the number
 * of the piece if it is made of pieces, where its lanes lie along the operand's other side, in the simd form how many are real,
 * and 16 sums; in the simt form one. Each is a chain acc = acc + x of its own, from 0, begun again for each piece. */
typedef struct wg_gemm_sum {
    const char *params, *args; /* that function's first parameters, and as arguments; NULL: no such sum */
    const char *given;         /* the arguments in the kernel; the last is a struct */
    int chunk; /* which of that struct's v[] is the length of a piece, a multiple of 16; -1: one piece */
} wg_gemm_sum;

/* How a kernel is tied into the caller's program. */
typedef struct wg_gemm_print {
    const char *name;   /* the kernel's; also the prefix of its helper functions */
    const char *params; /* its parameters; the last is the by-value struct named p */
    const char *args;   /* the same as arguments, such as "b0, b1, p" */
    /* The kernel's own parameters, if they are others, and what it begins with to have those; else NULL. */
    const char *head, *enter;
    int base; /* p.v[base + WG_GEMM_P_...] are this kernel's parameters */
    wg_gemm_operand operand[WG_GEMM_MAX_TERMS][2];
    wg_gemm_sum sum[2];  /* of each operand, of a product alone */
    const char *scratch; /* the buffer's name; simd only */
    /* simt, rows: declarations of local memory that k_rows wants, and its last arguments */
    const char *local, *local_args;
    /* Free for names in params and args: p, all, and b0, b1, ..., m0, m1, ... */
} wg_gemm_print;

/* All problems are of one type, m, n and number of batches. */
void wg_gemm_make_plan(wg_gemm_plan *plan, const wg_gemm_problem *problem, int terms, const wg_gemm_device *device);
void wg_gemm_print_text(wg_str *out, const wg_gemm_text *text, const wg_gemm_print *print);

#endif
