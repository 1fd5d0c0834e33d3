/* gemm_simd.c - prints the kernel of a matrix product for CPU devices.
 *
 * One work-item computes a block of C. Per K block it copies its part of A into row panels
 * [k][mr] and, a few at a time, column panels of B into [k][panel], both in private memory (460 KB of stack), and runs
 * a register-blocked micro kernel of mr rows over them. Partial sums wait in scratch between K blocks: storing and
 * reloading a sum is exact. Packing inside costs a few percent, as blocks are large; a launch of its own would cost
 * more on anything small, and a round trip through memory on anything big.
 *
 * Where whole rows are wanted a block is as wide as C, and all its sums are kept as they are between K blocks.
 */
#include "kernels/gemm_loops.h"
#include "kernels/gemm_sums.h"
#include "kernels/gemm_tile.h"
#include "kernels/gemm_words.h"

#include <stdio.h>

/* Copies `valid` rows of A or columns of B, `step` apart, into panels [k][$W] that stand $D elements apart. Lanes
 * beyond `valid` repeat the last one: what is computed from them is never used. Operands contiguous along the panel
 * are read a whole row of panels at a time (one k is one page where strides are large); operands contiguous in k are
 * transposed by fours. */
static const char PACK_ROWS[] =
    "DEVICE_FN void $N_pack$S(GLOBAL const $M *s, i64 step, i64 k_step, i64 valid, i64 count, $T *d)\n"
    "{\n"
    "    if (step == 1) {\n"
    "        const i64 full = valid / $W;\n"
    "        for (i64 k = 0; k < count; k++)\n"
    "            for (i64 g = 0; g < full; g++) {\n"
    "                GLOBAL const $M *from = s + k * k_step + g * $W;\n"
    "                $T *to = d + g * $D + k * $W;\n";
static const char PACK_COPY[] = "                vstore$V($F$V(vload$V(0, from + $O)), 0, to + $O);\n";
static const char PACK_PANELS[] = "            }\n"
                                  "        s += full * $W;\n"
                                  "        d += full * $D;\n"
                                  "        valid -= full * $W;\n"
                                  "    }\n"
                                  "    for (; valid > 0; valid -= $W, s += $W * step, d += $D)\n"
                                  "        $N_pack$S_panel(s, step, k_step, valid - 1, count, d);\n"
                                  "}\n\n";
static const char PACK_TRANSPOSE[] =
    "DEVICE_FN void $N_pack$S_panel($Lconst $M *s, i64 step, i64 k_step, i64 last, i64 count, $T *d)\n"
    "{\n"
    "    if (k_step != 1) {\n"
    "        for (i64 k = 0; k < count; k++, s += k_step, d += $W)\n"
    "            for (int i = 0; i < $W; i++) d[i] = $F(s[min((i64)i, last) * step]);\n"
    "        return;\n"
    "    }\n"
    "    for (int at = 0; at < $W; at += 4) {\n"
    "        const i64 g = min(at, $W - 4);\n" /* the last four of 6 overlap */
    "        $Lconst $M *s0 = s + min(g, last) * step, *s1 = s + min(g + 1, last) * step;\n"
    "        $Lconst $M *s2 = s + min(g + 2, last) * step, *s3 = s + min(g + 3, last) * step;\n"
    "        $T *o = d + g;\n"
    "        i64 k = 0;\n"
    "        for (; k + 4 <= count; k += 4, o += 4 * $W) {\n"
    "            $X4 r0 = $F4(vload4(0, s0 + k)), r1 = $F4(vload4(0, s1 + k));\n"
    "            $X4 r2 = $F4(vload4(0, s2 + k)), r3 = $F4(vload4(0, s3 + k));\n"
    "            $X4 l0 = ($X4)(r0.s0, r1.s0, r0.s1, r1.s1), h0 = ($X4)(r0.s2, r1.s2, r0.s3, r1.s3);\n"
    "            $X4 l1 = ($X4)(r2.s0, r3.s0, r2.s1, r3.s1), h1 = ($X4)(r2.s2, r3.s2, r2.s3, r3.s3);\n"
    "            vstore4(($X4)(l0.lo, l1.lo), 0, o);\n"
    "            vstore4(($X4)(l0.hi, l1.hi), 0, o + $W);\n"
    "            vstore4(($X4)(h0.lo, h1.lo), 0, o + 2 * $W);\n"
    "            vstore4(($X4)(h0.hi, h1.hi), 0, o + 3 * $W);\n"
    "        }\n"
    "        for (; k < count; k++, o += $W) vstore4(($X4)($F(s0[k]), $F(s1[k]), $F(s2[k]), $F(s3[k])), 0, o);\n"
    "    }\n"
    "}\n\n";

/* The same for an operand that is computed. Lanes across the panels: a row of panels at a time, then shared out. Lanes along
 * k: a panel at a time, transposed as if it had lain so in memory. */
static const char FILL_ACROSS[] =
    "DEVICE_FN void $N_fill$S($P, i64 z, i64 first, i64 k0, i64 valid, i64 count, $T *d)\n"
    "{\n"
    "    $T line[$Y * $W + 16];\n"
    "    for (i64 k = 0; k < count; k++) {\n"
    "        for (i64 g = 0; g < valid; g += 16)\n"
    "            vstore16($V($N$S($G, z, k0 + k, first + g, (int)min(valid - g, (i64)16))), 0, line + g);\n"
    "        for (i64 g = 0; g < valid; g += $W)\n"
    "            for (int i = 0; i < $W; i++) d[g / $W * $D + k * $W + i] = line[g + i];\n"
    "    }\n"
    "}\n\n";
static const char FILL_ALONG[] = "DEVICE_FN void $N_fill$S($P, i64 z, i64 first, i64 k0, i64 valid, i64 count, $T *d)\n"
                                 "{\n"
                                 "    $T lines[$W * $K];\n"
                                 "    for (; valid > 0; valid -= $W, first += $W, d += $D) {\n"
                                 "        const i64 last = min(valid, (i64)$W) - 1;\n"
                                 "        for (i64 r = 0; r <= last; r++)\n"
                                 "            for (i64 k = 0; k < count; k += 16)\n"
                                 "                vstore16($V($N$S($G, z, first + r, k0 + k, (int)min(count - k, "
                                 "(i64)16))), 0, lines + r * $K + k);\n"
                                 "        $N_pack$S_panel(lines, $K, 1, last, count, d);\n"
                                 "    }\n"
                                 "}\n\n";
/* panels: how many are packed at a time; kc: the most that k goes on in one. */
static void print_pack(wg_str *out, const wg_gemm_print *print, wg_gemm_type type, int term, int operand, int width,
                       int distance, int panels, int kc) {
    const wg_gemm_operand *o = &print->operand[term][operand];
    const wg_gemm_suffix name = wg_gemm_suffix_of(term, operand);
    char same[24]; /* a conversion that changes nothing */
    snprintf(same, sizeof same, "convert_%s", wg_gemm_types[type].vector);
    wg_gemm_word w[] = {{'V', wg_gemm_types[type].value, 0},
                        {'O', NULL, 0},
                        {'N', print->name, 0},
                        {'S', name.s, 0},
                        {'M', wg_gemm_memory_of(o, type), 0},
                        {'F', o->widen ? o->widen : same, 0},
                        {'T', wg_gemm_types[type].calc, 0},
                        {'X', wg_gemm_types[type].vector, 0},
                        {'W', NULL, width},
                        {'D', NULL, distance},
                        {'L', o->buffer ? "GLOBAL " : "", 0},
                        {'P', print->params, 0},
                        {'G', print->args, 0},
                        {'Y', NULL, panels},
                        {'K', NULL, kc + 16}};
    if (!o->buffer && o->across) {
        wg_gemm_expand(out, FILL_ACROSS, w);
        return;
    }
    wg_gemm_expand(out, PACK_TRANSPOSE, w);
    if (!o->buffer) {
        wg_gemm_expand(out, FILL_ALONG, w);
        return;
    }
    wg_gemm_expand(out, PACK_ROWS, w);
    w[0].value = NULL;
    for (int at = 0; at < width; at += w[0].number) {
        int rest = width - at;
        w[0].number = rest >= 16 ? 16 : rest >= 8 ? 8 : rest >= 4 ? 4 : 2;
        w[1].number = at;
        wg_gemm_expand(out, PACK_COPY, w);
    }
    wg_gemm_expand(out, PACK_PANELS, w);
}

/* The micro kernel: a panel of A times nr columns of a panel of B, onto the sums at c. The sums are named variables,
 * and four steps are written out, as that is what POCL's LLVM keeps in registers and pipelines. */
static void print_micro(wg_str *out, const wg_gemm_print *print, wg_gemm_type type, wg_gemm_tile t) {
    const char *calc = wg_gemm_types[type].calc, *vector = wg_gemm_types[type].vector;
    const char *multiply = wg_gemm_types[type].real ? "        c%d_%d = fma((%s%d)(a[%d]), b%d_%d, c%d_%d);\n"
                                                    : "        c%d_%d = (%s%d)(a[%d]) * b%d_%d + c%d_%d;\n";
    int lanes = t.nr < 16 ? t.nr : 16, parts = t.nr / lanes;
    wg_str_addf(out, "DEVICE_FN void %s_micro(const %s *a, const %s *b, i64 count, bool first, GLOBAL %s *c)\n{\n",
                print->name, calc, calc, calc);
    for (int r = 0; r < t.mr; r++)
        for (int q = 0; q < parts; q++)
            wg_str_addf(out, "    %s%d c%d_%d = first ? (%s%d)(0) : vload%d(0, c + %d);\n", vector, lanes, r, q, vector,
                        lanes, lanes, r * t.panel + q * lanes);
    for (int steps = 4; steps >= 1; steps -= 3) {
        wg_str_addf(out, "    for (; count >= %d; count -= %d, a += %d, b += %d) {\n", steps, steps, steps * t.mr,
                    steps * t.panel);
        for (int s = 0; s < steps; s++) {
            for (int q = 0; q < parts; q++)
                wg_str_addf(out, "        const %s%d b%d_%d = vload%d(0, b + %d);\n", vector, lanes, s, q, lanes,
                            s * t.panel + q * lanes);
            for (int r = 0; r < t.mr; r++)
                for (int q = 0; q < parts; q++)
                    wg_str_addf(out, multiply, r, q, vector, lanes, s * t.mr + r, s, q, r, q);
        }
        wg_str_addf(out, "    }\n");
    }
    for (int r = 0; r < t.mr; r++)
        for (int q = 0; q < parts; q++)
            wg_str_addf(out, "    vstore%d(c%d_%d, 0, c + %d);\n", lanes, r, q, r * t.panel + q * lanes);
    wg_str_addf(out, "}\n\n");
}

static const char SIMD_HEAD[] = "KERNEL_GROUP(1, 1, 1) $N($P)\n"
                                "{\n$L"
                                "    $T pa[$Z] __attribute__((aligned(64)));\n"
                                "    $T pb[$Q * $D] __attribute__((aligned(64)));\n";
static const char SIMD_BODY[] = "        const i64 rows = min(block_m, m - i0), cols = min(block_n, n - j0);\n"
                                "        const i64 block_k = $B, keep = $K;\n"
                                "        i64 k0 = 0;\n"
                                "        do {\n"
                                "            const i64 kc = min(k - k0, block_k);\n"
                                "            for (i64 i = 0; i < rows; i += $Y * $R) {\n";
static const char SIMD_B[] = "$1            }\n"
                             "            GLOBAL $T *c = pc$H;\n"
                             "            for (i64 j = 0; j < cols; j += $W) {\n"
                             "                if (j % ($Q * $W) == 0) {\n";
static const char SIMD_MICRO[] =
    "$2                }\n"
    "                for (i64 i = 0; i < rows; i += $R, c += keep$J) {\n"
    "                    for (int s = 0; s < $W; s += $U)\n"
    "                        $N_micro(pa + i / $R * $I, pb + j / $W % $Q * $D + s, kc, k0 == 0, c + s);\n";
static const char SIMD_EPILOGUE[] =
    "                    if (k0 + kc < k) continue;\n"
    "                    const int r_end = (int)min(rows - i, (i64)$R), s_end = (int)min(cols - j, (i64)$W);\n"
    "                    for (int r = 0; r < r_end; r++)\n"
    "                        for (int s = 0; s < s_end; s += 16) {\n";
static const char SIMD_LAST[] =
    "                            $N_epilogue($G, z, i0 + i + r, j0 + j + s, min(s_end - s, 16),\n"
    "                               $V(vload16(0, c + r * $W + s)));\n";
static const char SIMD_LAST_SUM[] =
    "$N_epilogue($G, z, i0 + i + r, j0 + j + s, min(s_end - s, 16),\n"
    "                               $V(vload16(0, c + r * $W + s)), $V(vload16(0, w)));\n";
/* What waits lies as the sums of a block do that are kept. */
static const char SIMD_PART[] =
    "                            GLOBAL $T *w = h + r * $W + s;\n"
    "                            if (term < $E)\n"
    "                                vstore16($F($N_part($G, z, i0 + i + r, j0 + j + s, min(s_end - s, 16), term,\n"
    "                                    $V(vload16(0, c + r * $W + s)), $V(term ? vload16(0, w) : ($X16)(0)))), 0, "
    "w);\n"
    "                            else\n"
    "                                ";
static const char SIMD_NEXT[] = "                }\n"
                                "            }\n"
                                "            k0 += block_k;\n"
                                "        } while (k0 < k);\n";
/* The sums of the block, as they were kept between K blocks. */
static const char SIMD_ROWS[] =
    "        for (i64 i = 0; i < rows; i++)\n"
    "            $N_rows($G, z, i0 + i, (GLOBAL const $M *)pc + (i / $R * $W * $R + i % $R * $W),\n"
    "                (rows + $R - 1) / $R * keep);\n";

/* The call that packs what begins at row i of A, or column j of B. */
static void print_pack_call(wg_str *out, const wg_gemm_text *text, const wg_gemm_print *print, int operand,
                            const wg_gemm_word *w) {
    static const char *const lying[] = {"$N_pack%s(a + i * a_row + k0 * a_col, a_row, a_col",
                                        "$N_pack%s(b + j * b_col + k0 * b_row, b_col, b_row"};
    static const char *const made[] = {"$N_fill%s($G, z, i0 + i, k0", "$N_fill%s($G, z, j0 + j, k0"};
    static const char *const rest[] = {", min(rows - i, (i64)$Y * $R), kc, pa + i / $R * $I);\n",
                                       ", min(cols - j, (i64)$Q * $W), kc, pb);\n"};
    int first = wg_gemm_first_lying(print, text->terms, operand), last = text->terms - 1;
    char call[96];
    for (int t = 0; t <= last; t++) {
        if (print->operand[t][operand].buffer) continue;
        bool others = first >= 0 || t < last;
        snprintf(call, sizeof call, made[operand], wg_gemm_suffix_of(t, operand).s);
        if (others) wg_str_addf(out, "                    if (term == %d)\n", t);
        wg_str_add(out, "                    ");
        wg_gemm_expand(out, call, w);
        wg_gemm_expand(out, rest[operand], w);
        if (others) wg_str_add(out, "                    else\n");
    }
    if (first < 0) return;
    snprintf(call, sizeof call, lying[operand], wg_gemm_suffix_of(first, operand).s);
    wg_str_add(out, "                    ");
    wg_gemm_expand(out, call, w);
    wg_gemm_expand(out, rest[operand], w);
}

/* All that packs an operand of any of the products. */
static void print_packs(wg_str *out, const wg_gemm_text *text, const wg_gemm_print *print, wg_gemm_tile t, int operand,
                        int distance) {
    int first = wg_gemm_first_lying(print, text->terms, operand);
    for (int i = 0; i < text->terms; i++)
        if (i == first || !print->operand[i][operand].buffer)
            print_pack(out, print, text->type, i, operand, operand == 0 ? t.mr : t.panel, distance,
                       operand == 0 ? WG_GEMM_STRIP_A : WG_GEMM_STRIP_B, t.kc);
}

void wg_gemm_print_simd(wg_str *out, const wg_gemm_text *text, const wg_gemm_print *print) {
    wg_gemm_tile t = wg_gemm_choose_tile(text->type, text->width);
    const int a_panel = t.mr * t.kc + WG_GEMM_PAD, b_panel = t.panel * t.kc + WG_GEMM_PAD;
    const wg_gemm_sum_text sums[] = {{wg_gemm_types[text->type].calc, wg_gemm_types[text->type].vector,
                                      wg_gemm_types[text->type].result, t.mr, a_panel, WG_GEMM_STRIP_A, t.block_m},
                                     {wg_gemm_types[text->type].calc, wg_gemm_types[text->type].vector,
                                      wg_gemm_types[text->type].result, t.panel, b_panel, WG_GEMM_STRIP_B, t.block_n}};
    wg_str take[2] = {{0}, {0}}, wait = {0};
    for (int o = 0; o < 2; o++)
        wg_gemm_print_sum_call(&take[o], print, o, &sums[o]);
    const bool several = text->terms > 1;
    const char *calc = wg_gemm_types[text->type].calc;
    char step[24];
    snprintf(step, sizeof step, ", h += %d", t.mr * t.panel);
    const wg_gemm_param block_k = wg_gemm_param_of(print, text->terms, WG_GEMM_P_BLOCK_K),
                        keep = wg_gemm_param_of(print, text->terms, WG_GEMM_P_KEEP);
    const wg_gemm_word w[] = {
        {'N', print->name, 0},
        {'T', calc, 0},
        {'X', wg_gemm_types[text->type].vector, 0},
        {'P', print->head ? print->head : print->params, 0},
        {'L', print->head ? print->enter : "", 0},
        {'M', wg_gemm_types[text->type].memory, 0},
        {'1', wg_str_text(&take[0]), 0},
        {'2', wg_str_text(&take[1]), 0},
        {'V', wg_gemm_types[text->type].result, 0},
        {'F', wg_gemm_types[text->type].value, 0},
        {'G', print->args, 0},
        {'B', block_k.s, 0},
        {'K', keep.s, 0},
        {'H', several ? ", *h = ph" : "", 0},
        {'J', several ? step : "", 0},
        {'E', NULL, text->terms - 1},
        {'Z', NULL, t.block_m / t.mr * a_panel},
        {'I', NULL, a_panel},
        {'D', NULL, b_panel},
        {'W', NULL, t.panel},
        {'R', NULL, t.mr},
        {'U', NULL, t.nr},
        {'Y', NULL, WG_GEMM_STRIP_A},
        {'Q', NULL, WG_GEMM_STRIP_B},
    };
    print_packs(out, text, print, t, 0, a_panel);
    print_packs(out, text, print, t, 1, b_panel);
    print_micro(out, print, text->type, t);
    for (int o = 0; o < 2; o++)
        wg_gemm_print_sum(out, print, o, &sums[o]);
    wg_gemm_expand(out, SIMD_HEAD, w);
    for (int o = 0; o < 2; o++)
        wg_gemm_print_sum_room(out, print, o, &sums[o]);
    wg_str_addf(out, "    GLOBAL %s *pc = (GLOBAL %s *)%s + p.v[%d] + GRP(0) * p.v[%d];\n", calc, calc, print->scratch,
                print->base + WG_GEMM_P_SCRATCH_OFFSET, print->base + WG_GEMM_P_SCRATCH_STEP);
    if (several)
        wg_str_addf(&wait, "        GLOBAL %s *ph = pc + p.v[%d] - block_m * block_n;\n", calc,
                    print->base + WG_GEMM_P_SCRATCH_STEP);
    wg_gemm_print_loops(out, text, print, &wait);
    wg_gemm_expand(out, SIMD_BODY, w);
    print_pack_call(out, text, print, 0, w);
    wg_gemm_expand(out, SIMD_B, w);
    print_pack_call(out, text, print, 1, w);
    wg_gemm_expand(out, SIMD_MICRO, w);
    if (!text->row) {
        wg_gemm_expand(out, SIMD_EPILOGUE, w);
        if (several) wg_gemm_expand(out, SIMD_PART, w);
        wg_gemm_expand(out, several ? SIMD_LAST_SUM : SIMD_LAST, w);
        wg_str_add(out, "                        }\n");
    }
    wg_gemm_expand(out, SIMD_NEXT, w);
    if (text->row) wg_gemm_expand(out, SIMD_ROWS, w);
    wg_str_add(out, several ? "    }\n    }\n}\n" : "    }\n}\n");
    for (int o = 0; o < 2; o++) {
        out->failed = out->failed || take[o].failed;
        wg_str_free(&take[o]);
    }
}
