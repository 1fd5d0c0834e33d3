/* gemm_loops.h - what both forms of a product's kernel begin with: the loop over the pieces of C, and in it, where there are
 * several products, that over them; parameters by name. For gemm_text.c. */
#ifndef WG_KERNELS_GEMM_LOOPS_H
#define WG_KERNELS_GEMM_LOOPS_H

#include "kernels/gemm.h"

/* The name of what makes or packs an operand, behind that of the kernel. */
typedef struct wg_gemm_suffix {
    char s[8];
} wg_gemm_suffix;
wg_gemm_suffix wg_gemm_suffix_of(int term, int operand);

/* The first product whose operand lies in memory, as all that do are packed alike; -1: there is none. */
int wg_gemm_first_lying(const wg_gemm_print *print, int terms, int operand);

/* A parameter of a product: p.v[...], or where there are several, one after the other, p.v[at + ...]. */
typedef struct wg_gemm_param {
    char s[32];
} wg_gemm_param;
wg_gemm_param wg_gemm_param_of(const wg_gemm_print *print, int terms, int place);

/* The start of either kernel: parameters by name, then the loop over the blocks of C this group computes. */
void wg_gemm_print_block_loop(wg_str *out, const wg_gemm_text *text, const wg_gemm_print *print);
/* The start of a product's part of that: of several, the loop over them. memory: the type its operands lie as, by operand. */
void wg_gemm_print_term_loop(wg_str *out, const wg_gemm_text *text, const wg_gemm_print *print,
                             const char *const memory[2]);

#endif
