/* The simt form: a work-item for each result (maps and columns), or a work-group for each row. */
#include "base/alloc.h"
#include "codegen/text.h"

#include <stdio.h>

/* The loops over the reduced axes; in mode ROWS the work-items of a group take turns on the last one. */
static int open_loops(wg_text *t, int indent) {
    const wg_loop *loop = &t->l->loop;
    for (int i = 0; i < loop->nreduced; i++) {
        char size[24];
        if (i == 0) {
            snprintf(size, sizeof size, "size0");
        } else {
            snprintf(size, sizeof size, "p.v[%d]", loop->reduced_size[i]);
        }
        if (loop->mode == WG_LOOP_ROWS && i == loop->nreduced - 1) {
            wg_str_addf(&t->body, "%*sfor (i64 i = LID(0); i < %s; i += GROUP_ITEMS) {\n", indent, "", size);
        } else {
            wg_str_addf(&t->body, "%*sfor (i64 r%d = 0; r%d < %s; r%d++) {\n", indent, "", i, i, size, i);
        }
        indent += 4;
    }
    return indent;
}

static void print_result(wg_text *t, int inst, int indent) {
    const wg_loop *loop = &t->l->loop;
    const wg_inst *r = &loop->inst[inst];
    uint8_t dtype = loop->inst[r->a].dtype;
    const char *type = wg_text_type(dtype), *scratch = dtype == WG_BOOL ? "i32" : type;
    const char *name = r->prim == WG_P_RSUM ? "sum" : r->prim == WG_P_RMAX ? "max" : "min";
    wg_str *s = &t->body;
    wg_str_addf(s, "%*sconst %s x%d = ", indent, "", wg_text_register(r->dtype), inst);
    if (loop->mode != WG_LOOP_ROWS) {
        wg_str_addf(s, "%s%d;\n", r->prim == WG_P_RARGMAX ? "w" : "c", inst);
    } else if (r->prim == WG_P_RARGMAX) {
        wg_str_addf(s, "across_argmax_%s(c%d, w%d, s_%s, s_at);\n", type, inst, inst, scratch);
    } else {
        wg_str_addf(s, "across_%s_%s(c%d, s_%s);\n", name, type, inst, scratch);
    }
}

static void print_stage(wg_text *t, int stage, int indent, bool *need) {
    const wg_loop *loop = &t->l->loop;
    wg_text_stage_begin(t, stage, indent, need);
    int in = open_loops(t, indent);
    wg_text_stage_step(t, stage, in, need, false, loop->mode == WG_LOOP_ROWS ? "i" : "r0");
    for (int i = 0; i < loop->nreduced; i++) {
        in -= 4;
        wg_str_addf(&t->body, "%*s}\n", in, "");
    }
    for (int i = 0; i < loop->ninsts; i++) {
        if (wg_text_is_reduction(&loop->inst[i]) && loop->inst[i].stage == stage + 1) {
            print_result(t, i, indent);
        }
    }
}

static void print_body(wg_text *t, int indent, bool *need) {
    const wg_loop *loop = &t->l->loop;
    for (int s = 0; s <= loop->nstages; s++) {
        wg_text_kept(t, s, true, indent);
        wg_text_kept(t, s, false, indent);
        if (loop->mode == WG_LOOP_ROWS) {
            wg_str_addf(&t->body, "%*sif (LID(0) == 0) {\n", indent, "");
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

/* Local memory for sums across the group: one array for each type that needs it. */
static void print_scratch(wg_text *t) {
    const wg_loop *loop = &t->l->loop;
    bool have[WG_DTYPE_COUNT] = {false}, at = false;
    for (int i = 0; i < loop->ninsts; i++) {
        if (wg_text_is_reduction(&loop->inst[i])) {
            uint8_t dtype = loop->inst[loop->inst[i].a].dtype;
            have[dtype == WG_BOOL || dtype == WG_U8 ? WG_I32 : dtype] = true;
            at = at || loop->inst[i].prim == WG_P_RARGMAX;
        }
    }
    for (int d = 0; d < WG_DTYPE_COUNT; d++) {
        if (have[d]) {
            wg_str_addf(&t->body, "    LOCAL %s s_%s[GROUP_ITEMS];\n", wg_text_memory(d), wg_text_type(d));
        }
    }
    if (at) {
        wg_str_add(&t->body, "    LOCAL i64 s_at[GROUP_ITEMS];\n");
    }
}

void wg_text_simt(wg_text *t) {
    const wg_loop *loop = &t->l->loop;
    wg_str *s = &t->body;
    bool on_rows = loop->mode == WG_LOOP_ROWS;
    bool *need = wg_mem_alloc((size_t)loop->ninsts + 1);
    if (!need) {
        s->failed = true;
        return;
    }
    wg_text_find_stash(t);
    wg_text_head(t, on_rows ? WG_GROUP_ITEMS_ROWS : WG_GROUP_ITEMS_MAP);
    wg_str_add(s, "    const int n = 1;\n");
    if (on_rows) {
        print_scratch(t);
    }
    wg_text_enter(t);
    wg_text_ones(t, 4);
    int axes = loop->nkept - (on_rows ? 0 : 1);
    wg_str_add(s, "    const i64 rows = 1");
    for (int i = 0; i < axes; i++) {
        wg_str_addf(s, " * p.v[%d]", loop->kept_size[i]);
    }
    wg_str_add(s, ";\n");
    if (on_rows) {
        wg_str_add(s, "    for (i64 u = GRP(0); u < rows; u += NGRP(0)) {\n");
    } else {
        wg_str_addf(s, "    const i64 inner = p.v[%d];\n", loop->kept_size[loop->nkept - 1]);
        wg_str_addf(s,
                    "    for (i64 u = (i64)GRP(0) * %d + LID(0); u < rows * inner; u += (i64)NGRP(0) * %d) {\n"
                    "        const i64 i = u %% inner;\n",
                    WG_GROUP_ITEMS_MAP, WG_GROUP_ITEMS_MAP);
    }
    wg_text_rows(t, 8, on_rows ? "u" : "u / inner");
    wg_text_bases(t, 8);
    print_body(t, 8, need);
    wg_str_add(s, "    }\n");
    wg_text_leave(t);
    wg_mem_free(need);
}

/* ---- epilogue of a matmul, both forms --------------------------------------------------------------------------------- */

void wg_text_epilogue(wg_text *t) {
    const wg_loop *loop = &t->l->loop;
    wg_str *s = &t->body;
    int batch = loop->nkept - 2;
    wg_str_addf(s, "typedef struct { i64 v[%d]; } %s_params;\n", t->l->nparams, t->name);
    wg_str_addf(s, "DEVICE_FN void %s_epilogue(", t->name);
    wg_text_params(t, s, t->form == WG_SIMD ? 3 : 2);
    wg_str_addf(s, ", i64 z, i64 row, i64 i, %s%s x0) {\n", t->form == WG_SIMD ? "int n, " : "",
                wg_text_register(loop->inst[0].dtype));
    if (t->form == WG_SIMT) {
        wg_str_add(s, "    const int n = 1;\n");
    }
    if (batch > 0) {
        wg_str_add(s, "    i64 q = z;\n");
    }
    for (int k = batch - 1; k > 0; k--) {
        wg_str_addf(s, "    const i64 k%d = q %% p.v[%d];\n    q /= p.v[%d];\n", k, loop->kept_size[k],
                    loop->kept_size[k]);
    }
    if (batch > 0) {
        wg_str_add(s, "    const i64 k0 = q;\n");
    }
    wg_str_addf(s, "    const i64 k%d = row;\n", batch);
    wg_text_bases(t, 4);
    for (int i = 1; i < loop->ninsts; i++) {
        wg_text_inst(t, i, 4);
    }
    wg_text_stores(t, 0, false, 4);
    wg_str_add(s, "}\n");
}
