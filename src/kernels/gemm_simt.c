/* gemm_simt.c - prints the kernel of a matrix product for GPUs.
 *
 * 256 work-items compute a tile of 64 x 64 through local memory, 4 x 4 sums each. Where whole rows are wanted the tile is as wide as
 * C, 64 x 64 or 32 x 128, and lies in local memory when it is done.
 */
#include "kernels/gemm_loops.h"
#include "kernels/gemm_sums.h"
#include "kernels/gemm_words.h"

/* Threads load along whichever side of an operand is contiguous. The K loop runs over what there is: padding with
 * zeros would turn a sum of -0 into +0. Rows of a thread are neighbours (one wide local load), columns are 16 apart, or 32
 * in the wider tile (no bank conflicts, coalesced stores). */
static const char SIMT_HEAD[] =
    "DEVICE_FN void $N_step(LOCAL_PTR const $T *as, LOCAL_PTR const $T *bs, $T (*acc)[4])\n"
    "{\n"
    "    const $T x[4] = {as[0], as[1], as[2], as[3]}, y[4] = {bs[0], bs[$C], bs[2 * $C], bs[3 * $C]};\n"
    "#pragma unroll\n"
    "    for (int r = 0; r < 4; r++)\n"
    "#pragma unroll\n"
    "        for (int c = 0; c < 4; c++) acc[r][c] = $F;\n"
    "}\n\n"
    "KERNEL_GROUP(256, 1, 1) $N($P)\n"
    "{\n$L"
    "    LOCAL $T as[16][$R + 4] __attribute__((aligned(16)));\n"
    "    LOCAL $T bs[16][$W + 2];\n"
    "    const int t = (int)LID(0), tx = t % $C, ty = t / $C;\n";
static const char SIMT_BODY[] =
    "        const i64 rows = m - i0, cols = n - j0;\n"
    "        $T acc[4][4];\n"
    "        for (int r = 0; r < 4; r++)\n"
    "            for (int c = 0; c < 4; c++) acc[r][c] = 0;\n$1"
    "        for (i64 k0 = 0; k0 < k; k0 += 16) {\n"
    "            const int kc = k - k0 < 16 ? (int)(k - k0) : 16;\n"
    "#pragma unroll $U\n" /* all take more registers than half of a multiprocessor's threads can have */
    "            for (int q = 0; q < $R / 16; q++) {\n"
    "                const int ak = $I ? t % 16 : t / $R + 256 / $R * q, ai = $I ? t / 16 + 16 * q : t % $R;\n"
    "                as[ak][ai] = ak < kc && ai < rows ? $A : ($T)0;\n"
    "                for (int s = q; s < $W / 16; s += $R / 16) {\n"
    "                    const int bk = $J ? t % 16 : t / $W + 256 / $W * s, bj = $J ? t / 16 + 16 * s : t % $W;\n"
    "                    bs[bk][bj] = bk < kc && bj < cols ? $B : ($T)0;\n"
    "                }\n"
    "            }\n"
    "            BARRIER_LOCAL();\n$2"
    "            if (kc == 16) {\n"
    "#pragma unroll 8\n"
    "                for (int s = 0; s < 16; s++) $N_step(as[s] + ty * 4, bs[s] + tx, acc);\n"
    "            } else {\n"
    "                for (int s = 0; s < kc; s++) $N_step(as[s] + ty * 4, bs[s] + tx, acc);\n"
    "            }\n"
    "            BARRIER_LOCAL();\n"
    "        }\n";
static const char SIMT_EPILOGUE[] = "#pragma unroll\n"
                                    "        for (int r = 0; r < 4; r++)\n"
                                    "#pragma unroll\n"
                                    "            for (int c = 0; c < 4; c++)\n"
                                    "                if (ty * 4 + r < rows && tx + 16 * c < cols)\n";
static const char SIMT_LAST[] =
    "                    $N_epilogue($G, z, i0 + ty * 4 + r, j0 + tx + 16 * c, ($M)acc[r][c]$H);\n";
static const char SIMT_PART[] =
    "                    held[r][c] = $N_part($G, z, i0 + ty * 4 + r, j0 + tx + 16 * c, term, ($M)acc[r][c],\n"
    "                        held[r][c]);\n";
/* What waits between the products of a sum. */
static const char SIMT_HELD[] = "        $M held[4][4];\n"
                                "#pragma unroll\n"
                                "        for (int r = 0; r < 4; r++)\n"
                                "#pragma unroll\n"
                                "            for (int c = 0; c < 4; c++) held[r][c] = 0;\n";
/* GROUP_ITEMS work-items look at a row, so many rows at a time; those of the last turn that have none begin behind its end. */
static const char SIMT_ROWS[] =
    "#pragma unroll\n"
    "        for (int r = 0; r < 4; r++)\n"
    "#pragma unroll\n"
    "            for (int c = 0; c < 4; c++) tile[(ty * 4 + r) * $W + tx + $C * c] = ($M)acc[r][c];\n"
    "        BARRIER_LOCAL();\n"
    "        const int last = rows < $R ? (int)rows : $R;\n"
    "#pragma unroll 1\n"
    "        for (int r0 = 0; r0 < last; r0 += 256 / GROUP_ITEMS) {\n"
    "            const int r = r0 + t / GROUP_ITEMS, row = r < last ? r : last - 1;\n"
    "            $N_rows($G, z, i0 + row, r < last ? t % GROUP_ITEMS : $W, tile + row * $W$S);\n"
    "        }\n"
    "        BARRIER_LOCAL();\n";

/* The loads of an operand's element, of each product. */
static void print_element(wg_str *out, const wg_gemm_text *text, const wg_gemm_print *print, int operand) {
    const char *at = operand == 0 ? "i0 + ai" : "j0 + bj", *k = operand == 0 ? "k0 + ak" : "k0 + bk";
    int first = wg_gemm_first_lying(print, text->terms, operand), last = text->terms - 1;
    for (int t = 0; t <= last; t++) {
        const wg_gemm_operand *o = &print->operand[t][operand];
        if (o->buffer) continue;
        if (first >= 0 || t < last) wg_str_addf(out, "term == %d ? ", t);
        wg_str_addf(out, "(%s)%s%s(%s, z, %s, %s)", wg_gemm_types[text->type].calc, print->name,
                    wg_gemm_suffix_of(t, operand).s, print->args, o->across ? k : at, o->across ? at : k);
        if (first >= 0 || t < last) wg_str_add(out, " : ");
    }
    if (first >= 0) {
        const char *widen = print->operand[first][operand].widen;
        wg_str_addf(out, "%s(%s)", widen ? widen : "",
                    operand == 0 ? "a[ai * a_row + (k0 + ak) * a_col]" : "b[(k0 + bk) * b_row + bj * b_col]");
    }
}

/* Whether an operand's neighbours lie along the sum. */
static void print_along(wg_str *out, const wg_gemm_text *text, const wg_gemm_print *print, int operand) {
    int first = wg_gemm_first_lying(print, text->terms, operand), last = text->terms - 1;
    wg_str_add(out, "(");
    for (int t = 0; t <= last; t++) {
        const wg_gemm_operand *o = &print->operand[t][operand];
        if (o->buffer) continue;
        if (first >= 0 || t < last) wg_str_addf(out, "term == %d ? ", t);
        wg_str_add(out, o->across ? "false" : "true");
        if (first >= 0 || t < last) wg_str_add(out, " : ");
    }
    if (first >= 0) wg_str_add(out, operand == 0 ? "a_col == 1" : "b_row == 1");
    wg_str_add(out, ")");
}

void wg_gemm_print_simt(wg_str *out, const wg_gemm_text *text, const wg_gemm_print *print) {
    const bool several = text->terms > 1;
    wg_str element[2] = {{0}, {0}}, along[2] = {{0}, {0}}, held = {0}, begin = {0}, take = {0};
    const int columns = text->row > 64 ? text->row : 64; /* of a tile of 4096 elements */
    for (int o = 0; o < 2; o++) {
        print_element(&element[o], text, print, o);
        print_along(&along[o], text, print, o);
        wg_gemm_print_item_sum(&begin, &take, print, o, wg_gemm_types[text->type].calc,
                               wg_gemm_types[text->type].memory);
    }
    const wg_gemm_word w[] = {
        {'N', print->name, 0},
        {'M', wg_gemm_types[text->type].memory, 0},
        {'T', wg_gemm_types[text->type].calc, 0},
        {'P', print->head ? print->head : print->params, 0},
        {'L', print->head ? print->enter : "", 0},
        {'G', print->args, 0},
        {'1', wg_str_text(&begin), 0},
        {'2', wg_str_text(&take), 0},
        {'A', wg_str_text(&element[0]), 0},
        {'B', wg_str_text(&element[1]), 0},
        {'I', wg_str_text(&along[0]), 0},
        {'J', wg_str_text(&along[1]), 0},
        {'E', NULL, text->terms - 1},
        {'H', several ? ", held[r][c]" : "", 0},
        {'S', print->local_args ? print->local_args : "", 0},
        {'W', NULL, columns},
        {'R', NULL, 64 * 64 / columns},
        {'C', NULL, columns / 4},
        {'U', NULL, columns == 64 ? 2 : 1},
        {'F', wg_gemm_types[text->type].real ? "fma(x[r], y[c], acc[r][c])" : "x[r] * y[c] + acc[r][c]", 0},
    };
    wg_gemm_expand(out, SIMT_HEAD, w);
    if (text->row) {
        wg_gemm_expand(out, "    LOCAL $M tile[64 * 64];\n", w);
        wg_str_add(out, print->local);
    }
    if (several) wg_gemm_expand(&held, SIMT_HELD, w);
    wg_gemm_print_loops(out, text, print, &held);
    wg_gemm_expand(out, SIMT_BODY, w);
    if (several) {
        wg_gemm_expand(out, "        if (term < $E) {\n", w);
        wg_gemm_expand(out, SIMT_EPILOGUE, w);
        wg_gemm_expand(out, SIMT_PART, w);
        wg_str_add(out, "        } else {\n");
    }
    if (!text->row) wg_gemm_expand(out, SIMT_EPILOGUE, w);
    wg_gemm_expand(out, text->row ? SIMT_ROWS : SIMT_LAST, w);
    wg_str_add(out, several ? "        }\n    }\n    }\n}\n" : "    }\n}\n");
    out->failed = out->failed || begin.failed || take.failed;
    wg_str_free(&begin);
    wg_str_free(&take);
    for (int o = 0; o < 2; o++) {
        out->failed = out->failed || element[o].failed || along[o].failed;
        wg_str_free(&element[o]);
        wg_str_free(&along[o]);
    }
}
