/* gemm_text.c - prints the kernels of a matrix product. See gemm.h for the contract and the interface.
 *
 * simd (CPU devices): one work-item computes a block of C. Per K block it copies its part of A into row panels
 * [k][mr] and, a few at a time, column panels of B into [k][panel], both in private memory (460 KB of stack), and runs
 * a register-blocked micro kernel of mr rows over them. Partial sums wait in scratch between K blocks: storing and
 * reloading a sum is exact. Packing inside costs a few percent, as blocks are large; a launch of its own would cost
 * more on anything small, and a round trip through memory on anything big.
 *
 * simt (GPUs): 256 work-items compute a tile of 64 x 64 through local memory, 4 x 4 sums each.
 *
 * Where whole rows are wanted a block or tile is as wide as C, so that a group has them: kept as sums are between K blocks, or in
 * local memory, in a tile of 64 x 64 or 32 x 128.
 *
 * In the templates $x stands for a word of the text at hand, see the tables of words below.
 */
#include "kernels/gemm_loops.h"
#include "kernels/gemm_sums.h"
#include "kernels/gemm_tile.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *memory, *calc, *vector, *result, *value; /* integers are computed unsigned: they wrap */
    bool real;
} TYPES[] = {
    [WG_GEMM_F32] = {"float", "float", "float", "", "", true},
    [WG_GEMM_F64] = {"double", "double", "double", "", "", true},
    [WG_GEMM_I32] = {"int", "unsigned int", "uint", "as_int16", "as_uint16", false},
    [WG_GEMM_I64] = {"i64", "u64", "ulong", "as_long16", "as_ulong16", false},
};

typedef struct word {
    char key;
    const char *value; /* or, where NULL, the number */
    int number;
} word;

/* Copies a template, replacing $x by the word with key x. */
static void expand(wg_str *out, const char *text, const word *words) {
    for (const char *dollar; (dollar = strchr(text, '$')) != NULL; text = dollar + 2) {
        wg_str_addf(out, "%.*s", (int)(dollar - text), text);
        const word *w = words;
        while (w->key != dollar[1])
            w++;
        if (w->value)
            wg_str_addf(out, "%s", w->value);
        else
            wg_str_addf(out, "%d", w->number);
    }
    wg_str_addf(out, "%s", text);
}

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

/* What an operand is loaded as. */
static const char *memory_of(const wg_gemm_operand *o, wg_gemm_type type) {
    return o->widen ? "ushort" : TYPES[type].calc;
}

/* The kernel's loops down to a product, and what waits between them. Operands that lie in memory do so as one type. */
static void print_loops(wg_str *out, const wg_gemm_text *text, const wg_gemm_print *print, wg_str *waits) {
    const char *memory[2] = {NULL, NULL};
    for (int o = 0; o < 2; o++) {
        int first = wg_gemm_first_lying(print, text->terms, o);
        memory[o] = first < 0 ? NULL : memory_of(&print->operand[first][o], text->type);
    }
    wg_gemm_print_block_loop(out, text, print);
    wg_str_add(out, wg_str_text(waits));
    out->failed = out->failed || waits->failed;
    wg_str_free(waits);
    wg_gemm_print_term_loop(out, text, print, memory);
}

/* panels: how many are packed at a time; kc: the most that k goes on in one. */
static void print_pack(wg_str *out, const wg_gemm_print *print, wg_gemm_type type, int term, int operand, int width,
                       int distance, int panels, int kc) {
    const wg_gemm_operand *o = &print->operand[term][operand];
    const wg_gemm_suffix name = wg_gemm_suffix_of(term, operand);
    char same[24]; /* a conversion that changes nothing */
    snprintf(same, sizeof same, "convert_%s", TYPES[type].vector);
    word w[] = {{'V', TYPES[type].value, 0},
                {'O', NULL, 0},
                {'N', print->name, 0},
                {'S', name.s, 0},
                {'M', memory_of(o, type), 0},
                {'F', o->widen ? o->widen : same, 0},
                {'T', TYPES[type].calc, 0},
                {'X', TYPES[type].vector, 0},
                {'W', NULL, width},
                {'D', NULL, distance},
                {'L', o->buffer ? "GLOBAL " : "", 0},
                {'P', print->params, 0},
                {'G', print->args, 0},
                {'Y', NULL, panels},
                {'K', NULL, kc + 16}};
    if (!o->buffer && o->across) {
        expand(out, FILL_ACROSS, w);
        return;
    }
    expand(out, PACK_TRANSPOSE, w);
    if (!o->buffer) {
        expand(out, FILL_ALONG, w);
        return;
    }
    expand(out, PACK_ROWS, w);
    w[0].value = NULL;
    for (int at = 0; at < width; at += w[0].number) {
        int rest = width - at;
        w[0].number = rest >= 16 ? 16 : rest >= 8 ? 8 : rest >= 4 ? 4 : 2;
        w[1].number = at;
        expand(out, PACK_COPY, w);
    }
    expand(out, PACK_PANELS, w);
}

/* The micro kernel: a panel of A times nr columns of a panel of B, onto the sums at c. The sums are named variables,
 * and four steps are written out, as that is what POCL's LLVM keeps in registers and pipelines. */
static void print_micro(wg_str *out, const wg_gemm_print *print, wg_gemm_type type, wg_gemm_tile t) {
    const char *calc = TYPES[type].calc, *vector = TYPES[type].vector;
    const char *multiply = TYPES[type].real ? "        c%d_%d = fma((%s%d)(a[%d]), b%d_%d, c%d_%d);\n"
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
                            const word *w) {
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
        expand(out, call, w);
        expand(out, rest[operand], w);
        if (others) wg_str_add(out, "                    else\n");
    }
    if (first < 0) return;
    snprintf(call, sizeof call, lying[operand], wg_gemm_suffix_of(first, operand).s);
    wg_str_add(out, "                    ");
    expand(out, call, w);
    expand(out, rest[operand], w);
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

static void print_simd(wg_str *out, const wg_gemm_text *text, const wg_gemm_print *print) {
    wg_gemm_tile t = wg_gemm_choose_tile(text->type, text->width);
    const int a_panel = t.mr * t.kc + WG_GEMM_PAD, b_panel = t.panel * t.kc + WG_GEMM_PAD;
    const wg_gemm_sum_text sums[] = {{TYPES[text->type].calc, TYPES[text->type].vector, TYPES[text->type].result, t.mr,
                                      a_panel, WG_GEMM_STRIP_A, t.block_m},
                                     {TYPES[text->type].calc, TYPES[text->type].vector, TYPES[text->type].result,
                                      t.panel, b_panel, WG_GEMM_STRIP_B, t.block_n}};
    wg_str take[2] = {{0}, {0}}, wait = {0};
    for (int o = 0; o < 2; o++)
        wg_gemm_print_sum_call(&take[o], print, o, &sums[o]);
    const bool sum = text->terms > 1;
    const char *calc = TYPES[text->type].calc;
    char step[24];
    snprintf(step, sizeof step, ", h += %d", t.mr * t.panel);
    const wg_gemm_param block_k = wg_gemm_param_of(print, text->terms, WG_GEMM_P_BLOCK_K),
                        keep = wg_gemm_param_of(print, text->terms, WG_GEMM_P_KEEP);
    const word w[] = {
        {'N', print->name, 0},
        {'T', calc, 0},
        {'X', TYPES[text->type].vector, 0},
        {'P', print->head ? print->head : print->params, 0},
        {'L', print->head ? print->enter : "", 0},
        {'M', TYPES[text->type].memory, 0},
        {'1', wg_str_text(&take[0]), 0},
        {'2', wg_str_text(&take[1]), 0},
        {'V', TYPES[text->type].result, 0},
        {'F', TYPES[text->type].value, 0},
        {'G', print->args, 0},
        {'B', block_k.s, 0},
        {'K', keep.s, 0},
        {'H', sum ? ", *h = ph" : "", 0},
        {'J', sum ? step : "", 0},
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
    expand(out, SIMD_HEAD, w);
    for (int o = 0; o < 2; o++)
        wg_gemm_print_sum_room(out, print, o, &sums[o]);
    wg_str_addf(out, "    GLOBAL %s *pc = (GLOBAL %s *)%s + p.v[%d] + GRP(0) * p.v[%d];\n", calc, calc, print->scratch,
                print->base + WG_GEMM_P_SCRATCH_OFFSET, print->base + WG_GEMM_P_SCRATCH_STEP);
    if (sum)
        wg_str_addf(&wait, "        GLOBAL %s *ph = pc + p.v[%d] - block_m * block_n;\n", calc,
                    print->base + WG_GEMM_P_SCRATCH_STEP);
    print_loops(out, text, print, &wait);
    expand(out, SIMD_BODY, w);
    print_pack_call(out, text, print, 0, w);
    expand(out, SIMD_B, w);
    print_pack_call(out, text, print, 1, w);
    expand(out, SIMD_MICRO, w);
    if (!text->row) {
        expand(out, SIMD_EPILOGUE, w);
        if (sum) expand(out, SIMD_PART, w);
        expand(out, sum ? SIMD_LAST_SUM : SIMD_LAST, w);
        wg_str_add(out, "                        }\n");
    }
    expand(out, SIMD_NEXT, w);
    if (text->row) expand(out, SIMD_ROWS, w);
    wg_str_add(out, sum ? "    }\n    }\n}\n" : "    }\n}\n");
    for (int o = 0; o < 2; o++) {
        out->failed = out->failed || take[o].failed;
        wg_str_free(&take[o]);
    }
}

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
    "                    if (term < $E)\n"
    "                        held[r][c] = $N_part($G, z, i0 + ty * 4 + r, j0 + tx + 16 * c, term, ($M)acc[r][c],\n"
    "                            held[r][c]);\n"
    "                    else\n";
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
        wg_str_addf(out, "(%s)%s%s(%s, z, %s, %s)", TYPES[text->type].calc, print->name,
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

static void print_simt(wg_str *out, const wg_gemm_text *text, const wg_gemm_print *print) {
    const bool sum = text->terms > 1;
    wg_str element[2] = {{0}, {0}}, along[2] = {{0}, {0}}, held = {0}, begin = {0}, take = {0};
    const int columns = text->row > 64 ? text->row : 64; /* of a tile of 4096 elements */
    for (int o = 0; o < 2; o++) {
        print_element(&element[o], text, print, o);
        print_along(&along[o], text, print, o);
        wg_gemm_print_item_sum(&begin, &take, print, o, TYPES[text->type].calc, TYPES[text->type].memory);
    }
    const word w[] = {
        {'N', print->name, 0},
        {'M', TYPES[text->type].memory, 0},
        {'T', TYPES[text->type].calc, 0},
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
        {'H', sum ? ", held[r][c]" : "", 0},
        {'S', print->local_args ? print->local_args : "", 0},
        {'W', NULL, columns},
        {'R', NULL, 64 * 64 / columns},
        {'C', NULL, columns / 4},
        {'U', NULL, columns == 64 ? 2 : 1},
        {'F', TYPES[text->type].real ? "fma(x[r], y[c], acc[r][c])" : "x[r] * y[c] + acc[r][c]", 0},
    };
    expand(out, SIMT_HEAD, w);
    if (text->row) {
        expand(out, "    LOCAL $M tile[64 * 64];\n", w);
        wg_str_add(out, print->local);
    }
    if (sum) expand(&held, SIMT_HELD, w);
    print_loops(out, text, print, &held);
    expand(out, SIMT_BODY, w);
    if (!text->row) expand(out, SIMT_EPILOGUE, w);
    if (sum) expand(out, SIMT_PART, w);
    expand(out, text->row ? SIMT_ROWS : SIMT_LAST, w);
    wg_str_add(out, sum ? "    }\n    }\n}\n" : "    }\n}\n");
    out->failed = out->failed || begin.failed || take.failed;
    wg_str_free(&begin);
    wg_str_free(&take);
    for (int o = 0; o < 2; o++) {
        out->failed = out->failed || element[o].failed || along[o].failed;
        wg_str_free(&element[o]);
        wg_str_free(&along[o]);
    }
}

void wg_gemm_print_text(wg_str *out, const wg_gemm_text *text, const wg_gemm_print *print) {
    if (text->form == WG_GEMM_SIMD)
        print_simd(out, text, print);
    else
        print_simt(out, text, print);
}
