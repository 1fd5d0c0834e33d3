/* The simd form: one work-item takes a share of the units and walks each with 16-wide vectors. */
#include "base/alloc.h"
#include "codegen/text.h"

#include <stdio.h>

/* The loops over the reduced axes; lanes lie on the last one in mode ROWS. Returns the indentation inside. */
static int open_loops(wg_text *t, int indent) {
    const wg_loop *loop = &t->l->loop;
    bool on_rows = loop->mode == WG_LOOP_ROWS;
    wg_str *s = &t->body;
    for (int i = 0; i < loop->nreduced; i++) {
        char size[24];
        if (i == 0) {
            snprintf(size, sizeof size, "size0");
        } else {
            snprintf(size, sizeof size, "p.v[%d]", loop->reduced_size[i]);
        }
        if (on_rows && i == loop->nreduced - 1) {
            wg_str_addf(s,
                        "%*sfor (i64 i = 0; i < %s; i += 16) {\n%*sconst int n = %s - i < 16 ? (int)(%s - i) : 16;\n",
                        indent, "", size, indent + 4, "", size, size);
        } else {
            wg_str_addf(s, "%*sfor (i64 r%d = 0; r%d < %s; r%d++) {\n", indent, "", i, i, size, i);
        }
        indent += 4;
    }
    return indent;
}

static void close_loops(wg_text *t, int indent) {
    for (int i = 0; i < t->l->loop.nreduced; i++) {
        indent -= 4;
        wg_str_addf(&t->body, "%*s}\n", indent, "");
    }
}

static bool ends_in(const wg_loop *loop, int inst, int stage) {
    return wg_text_is_reduction(&loop->inst[inst]) && loop->inst[inst].stage == stage + 1;
}

/* The results of a stage's reductions, from their accumulators. */
static void print_results(wg_text *t, int stage, int indent) {
    const wg_loop *loop = &t->l->loop;
    bool on_rows = loop->mode == WG_LOOP_ROWS;
    for (int i = 0; i < loop->ninsts; i++) {
        const wg_inst *r = &loop->inst[i];
        if (!ends_in(loop, i, stage)) {
            continue;
        }
        const char *type = wg_text_type(loop->inst[r->a].dtype);
        const char *name = r->prim == WG_P_RSUM ? "sum" : r->prim == WG_P_RMAX ? "max" : "min";
        if (r->prim == WG_P_RARGMAX && on_rows) {
            wg_str_addf(&t->body, "%*sconst vi64 x%d = across_argmax_%s(c%d, w%d);\n", indent, "", i, type, i, i);
        } else if (r->prim == WG_P_RARGMAX) {
            wg_str_addf(&t->body, "%*sconst vi64 x%d = w%d;\n", indent, "", i, i);
        } else if (on_rows) {
            wg_str_addf(&t->body, "%*sconst %s x%d = across_%s_%s(c%d);\n", indent, "", wg_text_register(r->dtype), i,
                        name, type, i);
        } else {
            wg_str_addf(&t->body, "%*sconst %s x%d = c%d;\n", indent, "", wg_text_register(r->dtype), i, i);
        }
    }
}

static void print_stage(wg_text *t, int stage, int indent, bool *need) {
    bool on_rows = t->l->loop.mode == WG_LOOP_ROWS;
    wg_text_stage_begin(t, stage, indent, need);
    int in = open_loops(t, indent);
    wg_text_stage_step(t, stage, in, need, on_rows, on_rows ? "lane_numbers(i, 1)" : "splat_i64(r0)");
    close_loops(t, in);
    print_results(t, stage, indent);
}

/* Everything of one unit's results: between and in the loops over the reduced axes, stage by stage. */
static void print_body(wg_text *t, int indent, bool *need) {
    const wg_loop *loop = &t->l->loop;
    for (int s = 0; s <= loop->nstages; s++) {
        if (s > 0 || loop->mode == WG_LOOP_ROWS) {
            wg_text_kept(t, s, true, indent);
        }
        wg_text_kept(t, s, false, indent);
        wg_text_hand_on(t, s, indent);
        if (t->before) {
            wg_str_addf(&t->body, "%*sif (GRP(0) == 0) {\n", indent, "");
            wg_text_stores(t, s, false, indent + 4);
            wg_str_addf(&t->body, "%*s}\n", indent, "");
        } else {
            wg_text_stores(t, s, false, indent);
        }
        if (s < loop->nstages && loop->nreduced > 0) {
            print_stage(t, s, indent, need);
        }
    }
}

/* ---- one pass over columns -------------------------------------------------------------------------------------------- */

/* The accumulators of strip j, into registers or back from them. */
static void move_strip(wg_text *t, bool back, int indent) {
    const wg_loop *loop = &t->l->loop;
    for (int i = 0; i < loop->ninsts; i++) {
        if (!ends_in(loop, i, 0)) {
            continue;
        }
        const char *type = wg_text_register(loop->inst[loop->inst[i].a].dtype);
        bool where = loop->inst[i].prim == WG_P_RARGMAX;
        wg_str_addf(&t->body, back ? "%*s%s c%d = s%d[j];\n" : "%*s%.0ss%d[j] = c%d;\n", indent, "", type, i, i);
        if (where) {
            wg_str_addf(&t->body, back ? "%*svi64 w%d = t%d[j];\n" : "%*st%d[j] = w%d;\n", indent, "", i, i);
        }
    }
}

static void open_strips(wg_text *t, int indent) {
    wg_str_addf(&t->body,
                "%*sfor (int j = 0; j < strips; j++) {\n"
                "%*sconst i64 i = i0 + 16 * j;\n"
                "%*sconst int n = end - i < 16 ? (int)(end - i) : 16;\n",
                indent, "", indent + 4, "", indent + 4, "");
}

/* Row by row, each row over many strips of 16 columns: a strip alone would touch a page of memory for every 64 bytes. Each
 * column's chain of additions is the same. */
static void print_columns(wg_text *t, int indent, bool *need) {
    const wg_loop *loop = &t->l->loop;
    wg_str *s = &t->body;
    wg_str_addf(s, "%*sfor (i64 i0 = first; i0 < end; i0 += 16 * %d) {\n", indent, "", WG_STRIPS);
    indent += 4;
    wg_str_addf(s, "%*sconst int strips = end - i0 < 16 * %d ? (int)(end - i0 + 15) / 16 : %d;\n", indent, "",
                WG_STRIPS, WG_STRIPS);
    for (int i = 0; i < loop->ninsts; i++) {
        if (ends_in(loop, i, 0)) {
            const char *type = wg_text_register(loop->inst[loop->inst[i].a].dtype);
            wg_str_addf(s, "%*s%s s%d[%d];\n", indent, "", type, i, WG_STRIPS);
            if (loop->inst[i].prim == WG_P_RARGMAX) {
                wg_str_addf(s, "%*svi64 t%d[%d];\n", indent, "", i, WG_STRIPS);
            }
        }
    }
    wg_str_addf(s, "%*sfor (int j = 0; j < strips; j++) {\n", indent, "");
    wg_text_stage_begin(t, 0, indent + 4, need);
    move_strip(t, false, indent + 4);
    wg_str_addf(s, "%*s}\n", indent, "");

    int in = open_loops(t, indent);
    open_strips(t, in);
    move_strip(t, true, in + 4);
    wg_text_kept(t, 0, false, in + 4);
    wg_text_stage_step(t, 0, in + 4, need, false, "splat_i64(r0)");
    move_strip(t, false, in + 4);
    wg_str_addf(s, "%*s}\n", in, "");
    close_loops(t, in);

    open_strips(t, indent);
    move_strip(t, true, indent + 4);
    wg_text_kept(t, 0, false, indent + 4);
    wg_text_stores(t, 0, false, indent + 4);
    print_results(t, 0, indent + 4);
    wg_text_kept(t, 1, true, indent + 4);
    wg_text_kept(t, 1, false, indent + 4);
    wg_text_stores(t, 1, false, indent + 4);
    wg_str_addf(s, "%*s}\n", indent, "");
    wg_str_addf(s, "%*s}\n", indent - 4, "");
}

void wg_text_simd_body(wg_text *t) {
    const wg_loop *loop = &t->l->loop;
    wg_str *s = &t->body;
    bool *need = wg_mem_alloc((size_t)loop->ninsts + 1);
    if (!need) {
        s->failed = true;
        return;
    }
    wg_text_find_stash(t);
    wg_text_ones(t, 4);
    bool on_rows = loop->mode == WG_LOOP_ROWS;
    int axes = loop->nkept - (on_rows ? 0 : 1);
    wg_str_add(s, "    const i64 rows = 1");
    for (int i = 0; i < axes; i++) {
        wg_str_addf(s, " * p.v[%d]", loop->kept_size[i]);
    }
    wg_str_add(s, ";\n");
    if (on_rows) {
        wg_str_add(s, "    const i64 units = rows;\n");
    } else {
        wg_str_addf(s, "    const i64 inner = p.v[%d], block = p.v[%d], blocks = (inner + block - 1) / block;\n",
                    loop->kept_size[loop->nkept - 1], loop->block);
        wg_str_add(s, "    const i64 units = rows * blocks;\n");
    }
    const char *group = wg_text_group(t), *groups = wg_text_groups(t);
    wg_str_addf(s,
                "    const i64 last = units * (%s + 1) / %s;\n"
                "    for (i64 u = units * %s / %s; u < last; u++) {\n",
                group, groups, group, groups);
    wg_text_rows(t, 8, on_rows ? "u" : "u / blocks");
    wg_text_bases(t, 8);
    if (on_rows) {
        print_body(t, 8, need);
    } else {
        wg_text_kept(t, 0, true, 8);
        wg_str_add(
            s, "        const i64 first = u % blocks * block, end = first + block < inner ? first + block : inner;\n");
        if (loop->mode == WG_LOOP_COLUMNS && loop->nstages == 1) {
            print_columns(t, 8, need);
        } else {
            wg_str_add(s, "        for (i64 i = first; i < end; i += 16) {\n"
                          "            const int n = end - i < 16 ? (int)(end - i) : 16;\n");
            print_body(t, 12, need);
            wg_str_add(s, "        }\n");
        }
    }
    wg_str_add(s, "    }\n");
    wg_mem_free(need);
}

void wg_text_simd_row(wg_text *t) {
    bool *need = wg_mem_alloc((size_t)t->l->loop.ninsts + 1);
    if (!need) {
        t->body.failed = true;
        return;
    }
    wg_text_find_stash(t);
    wg_text_ones(t, 4);
    print_body(t, 4, need);
    wg_mem_free(need);
}

void wg_text_simd(wg_text *t) {
    wg_text_head(t, 1);
    wg_text_enter(t);
    wg_text_simd_body(t);
    wg_text_leave(t);
}
