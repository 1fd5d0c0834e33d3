/* gemm_loops.c - see gemm_loops.h. */
#include "kernels/gemm_loops.h"

#include <stdio.h>

wg_gemm_suffix wg_gemm_suffix_of(int term, int operand) {
    wg_gemm_suffix x;
    snprintf(x.s, sizeof x.s, term ? "_%c%d" : "_%c", operand == 0 ? 'a' : 'b', term);
    return x;
}

int wg_gemm_first_lying(const wg_gemm_print *print, int terms, int operand) {
    int t = 0;
    while (t < terms && !print->operand[t][operand].buffer)
        t++;
    return t < terms ? t : -1;
}

wg_gemm_param wg_gemm_param_of(const wg_gemm_print *print, int terms, int place) {
    wg_gemm_param x;
    if (terms == 1)
        snprintf(x.s, sizeof x.s, "p.v[%d]", print->base + place);
    else
        snprintf(x.s, sizeof x.s, "p.v[at + %d]", place - WG_GEMM_P_LAYOUT);
    return x;
}

typedef struct named {
    const char *name;
    int place;
} named;

static void print_named(wg_str *out, const wg_gemm_print *print, int terms, const named *names, size_t n) {
    for (size_t i = 0; i < n; i++)
        wg_str_addf(out, "    const i64 %s = %s;\n", names[i].name, wg_gemm_param_of(print, terms, names[i].place).s);
}

/* Sizes and strides of a product. */
static void print_layout(wg_str *out, const wg_gemm_print *print, int terms) {
    static const named names[] = {
        {"k", WG_GEMM_P_K},         {"a_row", WG_GEMM_P_A_ROW}, {"a_col", WG_GEMM_P_A_COL}, {"b_row", WG_GEMM_P_B_ROW},
        {"b_col", WG_GEMM_P_B_COL}, {"dim1", WG_GEMM_P_DIM1},   {"dim2", WG_GEMM_P_DIM2},
    };
    print_named(out, print, terms, names, sizeof names / sizeof names[0]);
}

/* Where the piece under way starts in the batch and in the operands. */
static void print_start(wg_str *out, const wg_gemm_text *text, const wg_gemm_print *print,
                        const char *const memory[2]) {
    static const struct {
        const char *name, *start;
        int batch;
    } operands[] = {{"a", "i0 * a_row", WG_GEMM_P_A_BATCH}, {"b", "j0 * b_col", WG_GEMM_P_B_BATCH}};
    wg_str_add(out, "        const i64 z2 = z % dim2, z1 = z / dim2 % dim1, z0 = z / dim2 / dim1;\n");
    for (int i = 0; i < 2; i++) {
        int first = wg_gemm_first_lying(print, text->terms, i), place = print->base + wg_gemm_start(0) + i;
        if (first < 0) continue;
        const char *type = memory[i];
        wg_str_addf(out, "        GLOBAL const %s *%s = (GLOBAL const %s *)", type, operands[i].name, type);
        if (text->terms == 1) {
            wg_str_addf(out, "%s + (p.v[%d]", print->operand[0][i].buffer, place);
        } else {
            wg_str_add(out, "(");
            for (int t = first + 1; t < text->terms; t++)
                if (print->operand[t][i].buffer) wg_str_addf(out, "term == %d ? %s : ", t, print->operand[t][i].buffer);
            wg_str_addf(out, "%s) + (p.v[%d + term * %d]", print->operand[first][i].buffer, place, WG_GEMM_START);
        }
        for (int d = 0; d < 3; d++)
            wg_str_addf(out, " + z%d * %s", d, wg_gemm_param_of(print, text->terms, operands[i].batch + d).s);
        wg_str_addf(out, " + %s);\n", operands[i].start);
    }
}

void wg_gemm_print_block_loop(wg_str *out, const wg_gemm_text *text, const wg_gemm_print *print) {
    static const named names[] = {
        {"m", WG_GEMM_P_M},
        {"n", WG_GEMM_P_N},
        {"block_m", WG_GEMM_P_BLOCK_M},
        {"block_n", WG_GEMM_P_BLOCK_N},
        {"groups", WG_GEMM_P_GROUPS},
    };
    print_named(out, print, 1, names, sizeof names / sizeof names[0]);
    if (text->terms == 1) print_layout(out, print, 1);
    wg_str_addf(out,
                "    const i64 blocks_m = (m + block_m - 1) / block_m, blocks_n = (n + block_n - 1) / block_n;\n"
                "    const i64 blocks = blocks_m * blocks_n * p.v[%d];\n"
                "    const i64 end = (GRP(0) + 1) * blocks / groups;\n"
                "    for (i64 block = GRP(0) * blocks / groups; block < end; block++) {\n"
                "        const i64 j0 = block %% blocks_n * block_n, i0 = block / blocks_n %% blocks_m * block_m;\n"
                "        const i64 z = block / (blocks_n * blocks_m);\n",
                print->base + WG_GEMM_P_BATCHES);
}

/* The start of a product of several: its layout is at p.v[at]. */
void wg_gemm_print_term_loop(wg_str *out, const wg_gemm_text *text, const wg_gemm_print *print,
                             const char *const memory[2]) {
    if (text->terms > 1) {
        wg_str_addf(out,
                    "#pragma unroll 1\n    for (int term = 0; term < %d; term++) {\n    const int at = ", text->terms);
        for (int t = text->terms - 1; t > 0; t--)
            if (text->layout[t] != text->layout[0])
                wg_str_addf(out, "term == %d ? %d : ", t, print->base + text->layout[t]);
        wg_str_addf(out, "%d;\n", print->base + text->layout[0]);
        print_layout(out, print, text->terms);
    }
    print_start(out, text, print, memory);
}
