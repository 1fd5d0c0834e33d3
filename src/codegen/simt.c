/* The simt form: a work-item for each result (maps and columns), or a work-group for each row. */
#include "base/alloc.h"
#include "codegen/program.h"
#include "codegen/text.h"

#include <stdio.h>

/* Coordinates are counted in 32 bits where no loop nest comes near the end of them: 64-bit division takes a GPU a hundred
 * instructions. A bundle's sizes are not known to its text. */
static const char *index_type(const wg_text *t) {
    const int64_t most = 1 << 30;
    return !t->bundle && t->l->elems < most && t->l->results < most ? "i32" : "i64";
}

/* Whether a stage's loop moves so much that it should not be unrolled: that many accesses hide latency by themselves, and
 * an unrolled one wants all their addresses and values in registers several times. */
static bool moves_much(const wg_loop *loop, int stage, const bool *need) {
    enum { MUCH = 4 };
    int moves = 0;
    for (int i = 0; i < loop->ninsts; i++) {
        moves += need[i] && loop->inst[i].prim == WG_P_LOAD;
    }
    for (int i = 0; i < loop->nstores; i++) {
        bool in_loop;
        moves += wg_text_store_stage(loop, &loop->store[i], &in_loop) == stage && in_loop;
    }
    return moves >= MUCH;
}

static const char *item_of(const wg_text *t) { return t->item ? t->item : "LID(0)"; }

/* The loops over the reduced axes; in mode ROWS the work-items of a group take turns on the last one. */
static int open_loops(wg_text *t, int indent, bool rolled) {
    const wg_loop *loop = &t->l->loop;
    for (int i = 0; i < loop->nreduced; i++) {
        wg_size_text size = wg_text_size(t, loop->reduced_size[i]);
        if (i == 0) {
            snprintf(size.s, sizeof size.s, "(%s)size0", t->index);
        }
        if (rolled && i == loop->nreduced - 1) {
            wg_str_add(&t->body, "#pragma unroll 1\n");
        }
        if (loop->mode == WG_LOOP_ROWS && i == loop->nreduced - 1) {
            wg_str_addf(&t->body, "%*sfor (%s i = %s; i < %s; i += GROUP_ITEMS) {\n", indent, "", t->index, item_of(t),
                        size.s);
        } else {
            wg_str_addf(&t->body, "%*sfor (%s r%d = 0; r%d < %s; r%d++) {\n", indent, "", t->index, i, i, size.s, i);
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
    int in = open_loops(t, indent, moves_much(loop, stage, need));
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
            wg_text_hand_on(t, s, indent);
            wg_str_addf(&t->body, "%*sif (%s == 0%s) {\n", indent, "", item_of(t), t->before ? " && GRP(0) == 0" : "");
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

/* One array for each type that needs it, and one for where an extreme stood. */
void wg_text_mark_scratch(const wg_loop *loop, bool *scratch) {
    for (int i = 0; loop->mode == WG_LOOP_ROWS && i < loop->ninsts; i++) {
        if (wg_text_is_reduction(&loop->inst[i])) {
            uint8_t dtype = loop->inst[loop->inst[i].a].dtype;
            scratch[dtype == WG_BOOL || dtype == WG_U8 ? WG_I32 : dtype] = true;
            scratch[WG_DTYPE_COUNT] = scratch[WG_DTYPE_COUNT] || loop->inst[i].prim == WG_P_RARGMAX;
        }
    }
}

void wg_text_scratch(wg_text *t, int rows, const bool *scratch) {
    for (int d = 0; d < WG_DTYPE_COUNT; d++) {
        if (scratch[d]) {
            wg_str_addf(&t->body, "    LOCAL %s s_%s[%d * GROUP_ITEMS];\n", wg_text_memory(d), wg_text_type(d), rows);
        }
    }
    if (scratch[WG_DTYPE_COUNT]) {
        wg_str_addf(&t->body, "    LOCAL i64 s_at[%d * GROUP_ITEMS];\n", rows);
    }
}

/* ---- maps: a work-item computes up to four neighbours ------------------------------------------------------------------- */

/* What comes with its neighbours, 16 bytes at once. */
static bool loads_four(const wg_loop *loop, const wg_inst *in) {
    return in->prim == WG_P_LOAD && !in->uniform && in->level == WG_LEVEL_KEPT && in->a < 0 && in->b < 0 &&
           loop->access[in->access].lane == WG_LANE_NEXT;
}

static bool saves_four(const wg_loop *loop, const wg_store *st) {
    return loop->access[st->access].lane == WG_LANE_NEXT;
}

int wg_simt_lanes(const wg_lowered *l) {
    const wg_loop *loop = &l->loop;
    enum { MOST = 8 };       /* of them, since each takes four registers */
    int fours = 0, cost = 0; /* four times a long function is a long text, and gains nothing */
    for (int i = 0; i < loop->ninsts; i++) {
        const wg_inst *in = &loop->inst[i];
        bool function = (in->prim >= WG_P_POW && in->prim <= WG_P_ERF) || in->prim == WG_P_RANDOM;
        fours += loads_four(loop, in);
        cost += function && !in->uniform ? (in->dtype == WG_F64 ? 4 : 1) : 0;
    }
    for (int i = 0; i < loop->nstores; i++) {
        fours += saves_four(loop, &loop->store[i]);
    }
    return loop->mode == WG_LOOP_MAP && fours > 0 && fours <= MOST && cost <= 4 ? 4 : 1;
}

static void move_four(wg_text *t, const char *how, int access, char kind, int number) {
    const wg_access *a = &t->l->loop.access[access];
    uint8_t dtype = t->l->buffers[a->buffer].dtype;
    wg_text_need(t, "memory_%s", dtype);
    wg_str_addf(&t->body, "        %s_%s(b%d + (", how, wg_text_memory_name(dtype), a->buffer);
    wg_text_place(t, a, access, false);
    wg_str_addf(&t->body, " + first), real, %c%d);\n", kind, number);
}

static void print_fours(wg_text *t) {
    const wg_loop *loop = &t->l->loop;
    wg_str *s = &t->body;
    wg_text_kept(t, 0, true, 8);
    for (int i = 0; i < loop->ninsts; i++) {
        if (loads_four(loop, &loop->inst[i])) {
            wg_str_addf(s, "        %s y%d[4];\n", wg_text_register(loop->inst[i].dtype), i);
            move_four(t, "load4", loop->inst[i].access, 'y', i);
        }
    }
    for (int i = 0; i < loop->nstores; i++) {
        if (saves_four(loop, &loop->store[i])) {
            wg_str_addf(s, "        %s z%d[4];\n", wg_text_register(loop->inst[loop->store[i].inst].dtype), i);
        }
    }
    wg_str_addf(s,
                "        LANE_LOOP\n        for (int l = 0; l < 4; l++) {\n            if (l < real) {\n"
                "                const %s i = first + l;\n",
                t->index);
    for (int i = 0; i < loop->ninsts; i++) {
        const wg_inst *in = &loop->inst[i];
        if (loads_four(loop, in)) {
            wg_str_addf(s, "                const %s x%d = y%d[l];\n", wg_text_register(in->dtype), i, i);
        } else if (in->level == WG_LEVEL_KEPT && !in->uniform) {
            wg_text_inst(t, i, 16);
        }
    }
    for (int i = 0; i < loop->nstores; i++) {
        if (saves_four(loop, &loop->store[i])) {
            wg_str_addf(s, "                z%d[l] = x%d;\n", i, loop->store[i].inst);
        } else {
            wg_text_store(t, &loop->store[i], 16);
        }
    }
    wg_str_add(s, "            }\n        }\n");
    for (int i = 0; i < loop->nstores; i++) {
        if (saves_four(loop, &loop->store[i])) {
            move_four(t, "save4", loop->store[i].access, 'z', i);
        }
    }
}

/* ---- kernels ------------------------------------------------------------------------------------------------------------ */

/* The loop over the units of work, and where among the results each of them is. */
static void open_units(wg_text *t, int lanes) {
    const wg_loop *loop = &t->l->loop;
    bool on_rows = loop->mode == WG_LOOP_ROWS;
    const char *index = t->index;
    wg_str *s = &t->body;
    int axes = loop->nkept - (on_rows ? 0 : 1);
    wg_str_addf(s, "    const %s rows = 1", index);
    for (int i = 0; i < axes; i++) {
        wg_str_addf(s, " * %s", wg_text_size(t, loop->kept_size[i]).s);
    }
    wg_str_add(s, ";\n");
    if (on_rows) {
        wg_str_addf(s, "    for (%s u = %s; u < rows; u += %s) {\n", index, wg_text_group(t), wg_text_groups(t));
        return;
    }
    wg_str_addf(s, "    const %s inner = %s, units = ", index, wg_text_size(t, loop->kept_size[loop->nkept - 1]).s);
    wg_str_addf(s, lanes == 1 ? "inner;\n" : "(inner + %d) / %d;\n", lanes - 1, lanes);
    wg_str_addf(s, "    for (%s u = (%s)%s * %d + LID(0); u < rows * units; u += (%s)%s * %d) {\n", index, index,
                wg_text_group(t), t->items, index, wg_text_groups(t), t->items);
    if (lanes == 1) {
        wg_str_addf(s, "        const %s i = u %% units;\n", index);
    } else {
        wg_str_addf(s,
                    "        const %s first = u %% units * %d;\n"
                    "        const int real = (int)(inner - first < %d ? inner - first : %d);\n",
                    index, lanes, lanes, lanes);
    }
}

void wg_text_simt_body(wg_text *t) {
    const wg_loop *loop = &t->l->loop;
    wg_str *s = &t->body;
    bool on_rows = loop->mode == WG_LOOP_ROWS;
    int lanes = wg_simt_lanes(t->l);
    bool *need = wg_mem_alloc((size_t)loop->ninsts + 1);
    if (!need) {
        s->failed = true;
        return;
    }
    t->index = index_type(t);
    wg_text_find_stash(t);
    wg_str_add(s, "    const int n = 1;\n");
    wg_text_ones(t, 4);
    open_units(t, lanes);
    wg_text_rows(t, 8, on_rows ? "u" : "u / units");
    wg_text_bases(t, 8);
    if (lanes == 1) {
        print_body(t, 8, need);
    } else {
        print_fours(t);
    }
    wg_str_add(s, "    }\n");
    wg_mem_free(need);
}

void wg_text_simt_row(wg_text *t) {
    bool *need = wg_mem_alloc((size_t)t->l->loop.ninsts + 1);
    if (!need) {
        t->body.failed = true;
        return;
    }
    t->index = "i32";
    t->item = "item";
    wg_text_find_stash(t);
    wg_text_ones(t, 4);
    print_body(t, 4, need);
    wg_mem_free(need);
}

void wg_text_simt(wg_text *t) {
    bool scratch[WG_TEXT_SCRATCH] = {false};
    t->items = t->l->loop.mode == WG_LOOP_ROWS ? WG_GROUP_ITEMS_ROWS : WG_GROUP_ITEMS_MAP;
    wg_text_head(t, t->items);
    wg_text_mark_scratch(&t->l->loop, scratch);
    wg_text_scratch(t, 1, scratch);
    wg_text_enter(t);
    wg_text_simt_body(t);
    wg_text_leave(t);
}
