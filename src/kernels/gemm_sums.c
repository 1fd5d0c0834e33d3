/* gemm_sums.c - prints how the kernels of a product sum its operands along k.
 *
 * Groups whose blocks lie in the first column of blocks sum rows of A, those in the first row columns of B: every element is
 * met once. simd: panels are added up when they have been packed, four side by side, as an addition has to wait for the
 * one before it. simt: 64 work-items, two warps, take a row of the tile in local memory each.
 */
#include "kernels/gemm_sums.h"

#include <string.h>

static char letter(int operand) { return operand == 0 ? 'a' : 'b'; }

/* Sums of a panel lie as whole vectors. */
static int room_of(int width) { return width <= 8 ? 8 : width <= 16 ? 16 : width; }
static int lanes_of(int width) { return room_of(width) < 16 ? room_of(width) : 16; }

/* Lanes beyond a panel's width, and panels beyond the last one, hold what happens to lie there: it is summed for nobody. */
static void print_add(wg_str *out, const wg_gemm_print *print, int operand, const wg_gemm_sum_text *t) {
    enum { TOGETHER = 4 };
    const int room = room_of(t->width), lanes = lanes_of(t->width), parts = room / lanes;
    wg_str_addf(out,
                "DEVICE_FN void %s_add_%c(const %s *d, i64 panels, i64 from, i64 to, %s *sums)\n{\n"
                "    for (i64 g = 0; g < panels; g += %d, d += %d, sums += %d) {\n",
                print->name, letter(operand), t->calc, t->calc, TOGETHER, TOGETHER * t->distance, TOGETHER * room);
    for (int i = 0; i < TOGETHER * parts; i++)
        wg_str_addf(out, "        %s%d c%d = vload%d(0, sums + %d);\n", t->vector, lanes, i, lanes, i * lanes);
    wg_str_add(out, "        for (i64 k = from; k < to; k++) {\n");
    for (int i = 0; i < TOGETHER * parts; i++)
        wg_str_addf(out, "            c%d = c%d + vload%d(0, d + %d + k * %d);\n", i, i, lanes,
                    i / parts * t->distance + i % parts * lanes, t->width);
    wg_str_add(out, "        }\n");
    for (int i = 0; i < TOGETHER * parts; i++)
        wg_str_addf(out, "        vstore%d(c%d, 0, sums + %d);\n", lanes, i, i * lanes);
    wg_str_add(out, "    }\n}\n\n");
}

void wg_gemm_print_sum(wg_str *out, const wg_gemm_print *print, int operand, const wg_gemm_sum_text *t) {
    const wg_gemm_sum *sum = &print->sum[operand];
    const int room = room_of(t->width);
    if (!sum->params) return;
    print_add(out, print, operand, t);
    wg_str_addf(out,
                "DEVICE_FN void %s_take_%c(%s, i64 first, i64 valid, i64 k0, i64 kc, i64 k, const %s *d, %s *sums)\n{\n"
                "    const i64 panels = (valid + %d) / %d;\n",
                print->name, letter(operand), sum->params, t->calc, t->calc, t->width - 1, t->width);
    if (sum->chunk < 0)
        wg_str_add(out, "    const i64 chunk = k;\n");
    else
        wg_str_addf(out, "    const i64 chunk = p.v[%d];\n", sum->chunk);
    wg_str_addf(out,
                "    for (i64 at = 0; at < kc;) {\n"
                "        const i64 begun = (k0 + at) %% chunk, to = min(kc, at + chunk - begun);\n"
                "        for (i64 i = 0; begun == 0 && i < (panels + 3) / 4 * %d; i++) sums[i] = 0;\n"
                "        %s_add_%c(d, panels, at, to, sums);\n"
                "        at = to;\n"
                "        if ((k0 + at) %% chunk != 0 && k0 + at < k) continue;\n"
                "        for (i64 i = 0; i < valid; i += 16) {\n"
                "            %s line[16];\n"
                "            for (int l = 0; l < 16; l++) {\n"
                "                const i64 c = min(i + l, valid - 1);\n"
                "                line[l] = sums[c / %d * %d + c %% %d];\n"
                "            }\n"
                "            %s_sum_%c(%s, (k0 + at - 1) / chunk, first + i, (int)min(valid - i, (i64)16), "
                "%s(vload16(0, line)));\n"
                "        }\n"
                "    }\n"
                "}\n\n",
                4 * room, print->name, letter(operand), t->calc, t->width, room, t->width, print->name, letter(operand),
                sum->args, t->result);
}

void wg_gemm_print_sum_room(wg_str *out, const wg_gemm_print *print, int operand, const wg_gemm_sum_text *t) {
    if (print->sum[operand].params)
        wg_str_addf(out, "    %s sum_%c[%d] __attribute__((aligned(64)));\n", t->calc, letter(operand),
                    t->block / t->width * room_of(t->width));
}

void wg_gemm_print_sum_call(wg_str *out, const wg_gemm_print *print, int operand, const wg_gemm_sum_text *t) {
    const char *given = print->sum[operand].given;
    const int all = t->strip * t->width, room = room_of(t->width);
    if (!print->sum[operand].params) return;
    if (operand == 0)
        wg_str_addf(out,
                    "                if (j0 == 0)\n"
                    "                    %s_take_a(%s, i0 + i, min(rows - i, (i64)%d), k0, kc, k, pa + i / %d * %d, "
                    "sum_a + i / %d * %d);\n",
                    print->name, given, all, t->width, t->distance, t->width, room);
    else
        wg_str_addf(out,
                    "                    if (i0 == 0)\n"
                    "                        %s_take_b(%s, j0 + j, min(cols - j, (i64)%d), k0, kc, k, pb, "
                    "sum_b + j / %d * %d);\n",
                    print->name, given, all, t->width, room);
}

void wg_gemm_print_item_sum(wg_str *begin, wg_str *take, const wg_gemm_print *print, int operand, const char *calc,
                            const char *memory) {
    const wg_gemm_sum *sum = &print->sum[operand];
    const char o = letter(operand);
    if (!sum->params) return;
    wg_str_addf(begin, "        %s sum_%c = 0;\n        i64 piece_%c = 0;\n", calc, o, o);
    /* Warps 0 and 1 for A, 2 and 3 for B. */
    wg_str_addf(take, operand == 0 ? "            if (j0 == 0 && t < 64 && t < rows) {\n"
                                     "                const int u = t;\n"
                                   : "            if (i0 == 0 && t >= 64 && t < 128 && t - 64 < cols) {\n"
                                     "                const int u = t - 64;\n");
    wg_str_addf(take, "                for (int s = 0; s < kc; s++) sum_%c = sum_%c + %cs[s][u];\n", o, o, o);
    wg_str_add(take, "                if (k0 + 16 >= k");
    if (sum->chunk >= 0)
        wg_str_addf(take, " || k0 + 16 == (piece_%c + 1) * %s.v[%d]", o, strrchr(sum->given, ' ') + 1, sum->chunk);
    wg_str_addf(take,
                ") {\n"
                "                    %s_sum_%c(%s, piece_%c, %c0 + u, (%s)sum_%c);\n"
                "                    sum_%c = 0;\n"
                "                    piece_%c++;\n"
                "                }\n"
                "            }\n",
                print->name, o, sum->given, o, operand == 0 ? 'i' : 'j', memory, o, o, o);
}
