/* gemm_words.h - what the texts of both forms of a product's kernel are made with. For gemm_text.c, gemm_simd.c and gemm_simt.c. */
#ifndef WG_KERNELS_GEMM_WORDS_H
#define WG_KERNELS_GEMM_WORDS_H

#include "kernels/gemm.h"

/* Names of a type: in memory, as it is computed (integers unsigned: they wrap), of vectors of that, and conversions of vectors to
 * the caller's and back. */
typedef struct wg_gemm_type_names {
    const char *memory, *calc, *vector, *result, *value;
    bool real;
} wg_gemm_type_names;
extern const wg_gemm_type_names wg_gemm_types[];

/* In a template $x stands for the word with key x. */
typedef struct wg_gemm_word {
    char key;
    const char *value; /* or, where NULL, the number */
    int number;
} wg_gemm_word;

/* Copies a template, replacing its words. */
void wg_gemm_expand(wg_str *out, const char *text, const wg_gemm_word *words);
/* What an operand is loaded as. */
const char *wg_gemm_memory_of(const wg_gemm_operand *o, wg_gemm_type type);
/* Both loops that gemm_loops.h has; waits, which is freed, stands between them. */
void wg_gemm_print_loops(wg_str *out, const wg_gemm_text *text, const wg_gemm_print *print, wg_str *waits);

void wg_gemm_print_simd(wg_str *out, const wg_gemm_text *text, const wg_gemm_print *print);
void wg_gemm_print_simt(wg_str *out, const wg_gemm_text *text, const wg_gemm_print *print);

#endif
