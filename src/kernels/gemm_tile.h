/* What the plan of a matrix product and its text agree on: the blocking of the simd form. For gemm.c and gemm_simd.c. */
#ifndef WG_KERNELS_GEMM_TILE_H
#define WG_KERNELS_GEMM_TILE_H

#include "kernels/gemm.h"

/* Register tile of the simd form: two native vectors a row, as many rows as 16 or 32 registers hold. */
typedef struct wg_gemm_tile {
    int mr, nr;           /* rows and columns of a micro tile */
    int panel;            /* columns of a panel of B: a multiple of nr and of 16 */
    int kc;               /* K block */
    int block_m, block_n; /* largest block of a group when sums are kept between K blocks */
} wg_gemm_tile;

enum {
    // clang-format off
    WG_GEMM_STRIP_A = 16, WG_GEMM_STRIP_B = 4, /* panels packed at a time: more would not fit the L1 TLB, and L1 beside the sums */
    WG_GEMM_PAD = 16, /* elements between panels, against their falling into the same cache sets */
    // clang-format on
};

wg_gemm_tile wg_gemm_choose_tile(wg_gemm_type type, int width);

#endif
