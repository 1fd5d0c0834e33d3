/* Sums of a product's operands, made beside it. For gemm_text.c; see gemm.h for the interface. */
#ifndef WG_KERNELS_GEMM_SUMS_H
#define WG_KERNELS_GEMM_SUMS_H

#include "kernels/gemm.h"

/* What the simd form packs of an operand. */
typedef struct wg_gemm_sum_text {
    const char *calc, *vector,
        *result;         /* names of its type, of vectors of it, and of the conversion to the caller's vectors */
    int width, distance; /* of a panel [k][width]; from panel to panel */
    int strip, block;    /* panels that are packed at a time; rows or columns that a group has at most */
} wg_gemm_sum_text;

/* simd: the functions of a sum; its room among the kernel's variables; the call behind that which packs panels. Nothing where
 * there is no such sum. */
void wg_gemm_print_sum(wg_str *out, const wg_gemm_print *print, int operand, const wg_gemm_sum_text *t);
void wg_gemm_print_sum_room(wg_str *out, const wg_gemm_print *print, int operand, const wg_gemm_sum_text *t);
void wg_gemm_print_sum_call(wg_str *out, const wg_gemm_print *print, int operand, const wg_gemm_sum_text *t);
/* simt: what stands before the loop over k, and in it behind the barrier that ends the loading of a tile. */
void wg_gemm_print_item_sum(wg_str *begin, wg_str *take, const wg_gemm_print *print, int operand, const char *calc,
                            const char *memory);

#endif
