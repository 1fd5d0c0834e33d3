/* gemm_text.c - prints the kernels of a matrix product. See gemm.h for the contract and the interface, gemm_words.h for what both
 * forms share, gemm_simd.c and gemm_simt.c for their texts. */
#include "kernels/gemm_loops.h"
#include "kernels/gemm_words.h"

#include <string.h>

const wg_gemm_type_names wg_gemm_types[] = {
    [WG_GEMM_F32] = {"float", "float", "float", "", "", true},
    [WG_GEMM_F64] = {"double", "double", "double", "", "", true},
    [WG_GEMM_I32] = {"int", "unsigned int", "uint", "as_int16", "as_uint16", false},
    [WG_GEMM_I64] = {"i64", "u64", "ulong", "as_long16", "as_ulong16", false},
};

void wg_gemm_expand(wg_str *out, const char *text, const wg_gemm_word *words) {
    for (const char *dollar; (dollar = strchr(text, '$')) != NULL; text = dollar + 2) {
        wg_str_addf(out, "%.*s", (int)(dollar - text), text);
        const wg_gemm_word *w = words;
        while (w->key != dollar[1])
            w++;
        if (w->value)
            wg_str_addf(out, "%s", w->value);
        else
            wg_str_addf(out, "%d", w->number);
    }
    wg_str_addf(out, "%s", text);
}

const char *wg_gemm_memory_of(const wg_gemm_operand *o, wg_gemm_type type) {
    return o->widen ? "ushort" : wg_gemm_types[type].calc;
}

/* The kernel's loops down to a product, and what waits between them. Operands that lie in memory do so as one type. */
void wg_gemm_print_loops(wg_str *out, const wg_gemm_text *text, const wg_gemm_print *print, wg_str *waits) {
    const char *memory[2] = {NULL, NULL};
    for (int o = 0; o < 2; o++) {
        int first = wg_gemm_first_lying(print, text->terms, o);
        memory[o] = first < 0 ? NULL : wg_gemm_memory_of(&print->operand[first][o], text->type);
    }
    wg_gemm_print_block_loop(out, text, print);
    wg_str_add(out, wg_str_text(waits));
    out->failed = out->failed || waits->failed;
    wg_str_free(waits);
    wg_gemm_print_term_loop(out, text, print, memory);
}

void wg_gemm_print_text(wg_str *out, const wg_gemm_text *text, const wg_gemm_print *print) {
    if (text->form == WG_GEMM_SIMD)
        wg_gemm_print_simd(out, text, print);
    else
        wg_gemm_print_simt(out, text, print);
}
