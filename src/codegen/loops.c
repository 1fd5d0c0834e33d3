/* Loops and accumulators: what the two forms share beyond single instructions. */
#include "codegen/text.h"

#include <stdio.h>
#include <string.h>

bool wg_text_is_reduction(const wg_inst *in) { return in->prim >= WG_P_RSUM && in->prim <= WG_P_RARGMAX; }

static void mark(const wg_loop *loop, int inst, int cut, bool *need) {
    if (need[inst] || loop->inst[inst].level != WG_LEVEL_ELEM) {
        return;
    }
    /* Operands come before their users: one pass down the list finds them all, however deep. */
    need[inst] = true;
    for (int i = inst; i >= 0; i--) {
        const wg_inst *u = &loop->inst[i];
        const int operand[] = {u->a, u->b, u->c};
        for (int k = 0; need[i] && i != cut && k < 3; k++) {
            if (operand[k] >= 0 && loop->inst[operand[k]].level == WG_LEVEL_ELEM) {
                need[operand[k]] = true;
            }
        }
    }
}

int wg_text_store_stage(const wg_loop *loop, const wg_store *s, bool *in_loop) {
    const wg_inst *in = &loop->inst[s->inst];
    *in_loop = loop->nreduced > 0 && !loop->access[s->access].by_row;
    return in->stage;
}

void wg_text_mark(const wg_loop *loop, int stage, int cut, bool *need) {
    memset(need, 0, (size_t)loop->ninsts * sizeof *need);
    for (int i = 0; i < loop->ninsts; i++) {
        const wg_inst *in = &loop->inst[i];
        if (wg_text_is_reduction(in) && in->stage == stage + 1) {
            mark(loop, in->a, cut, need);
        }
    }
    for (int i = 0; i < loop->nstores; i++) {
        bool in_loop;
        if (wg_text_store_stage(loop, &loop->store[i], &in_loop) == stage && in_loop) {
            mark(loop, loop->store[i].inst, cut, need);
        }
    }
}

void wg_text_kept(wg_text *t, int stage, bool uniform, int indent) {
    const wg_loop *loop = &t->l->loop;
    for (int i = 0; i < loop->ninsts; i++) {
        const wg_inst *in = &loop->inst[i];
        if (in->level == WG_LEVEL_KEPT && in->stage == stage && in->uniform == uniform && !wg_text_is_reduction(in)) {
            wg_text_inst(t, i, indent);
        }
    }
}

void wg_text_ones(wg_text *t, int indent) {
    for (int i = 0; i < t->l->loop.ninsts; i++) {
        if (t->l->loop.inst[i].level == WG_LEVEL_ONE) {
            wg_text_inst(t, i, indent);
        }
    }
}

void wg_text_stores(wg_text *t, int stage, bool looped, int indent) {
    const wg_loop *loop = &t->l->loop;
    for (int i = 0; i < loop->nstores; i++) {
        bool in_loop;
        if (wg_text_store_stage(loop, &loop->store[i], &in_loop) == stage && in_loop == looped) {
            wg_text_store(t, &loop->store[i], indent);
        }
    }
}

void wg_text_hand_on(wg_text *t, int stage, int indent) {
    const wg_loop *loop = &t->l->loop;
    bool in_loop;
    if (t->before && wg_text_store_stage(loop, &loop->store[0], &in_loop) == stage) {
        wg_str_addf(&t->body, "%*sh%d = x%d;\n", indent, "", t->registers[loop->access[loop->store[0].access].buffer],
                    loop->store[0].inst);
    }
}

wg_size_text wg_text_size(const wg_text *t, int param) {
    wg_size_text out;
    snprintf(out.s, sizeof out.s, "%sp.v[%d]", strcmp(t->index, "i64") == 0 ? "" : "(i32)", param);
    return out;
}

void wg_text_rows(wg_text *t, int indent, const char *row) {
    const wg_loop *loop = &t->l->loop;
    int axes = loop->nkept - (loop->mode == WG_LOOP_ROWS ? 0 : 1);
    wg_str *s = &t->body;
    if (axes == 0) {
        return;
    }
    if (axes == 1) {
        wg_str_addf(s, "%*sconst %s k0 = %s;\n", indent, "", t->index, row);
        return;
    }
    wg_str_addf(s, "%*s%s q = %s;\n", indent, "", t->index, row);
    for (int i = axes - 1; i > 0; i--) {
        wg_size_text size = wg_text_size(t, loop->kept_size[i]);
        wg_str_addf(s, "%*sconst %s k%d = q %% %s;\n%*sq /= %s;\n", indent, "", t->index, i, size.s, indent, "",
                    size.s);
    }
    wg_str_addf(s, "%*sconst %s k0 = q;\n", indent, "", t->index);
}

void wg_text_bases(wg_text *t, int indent) {
    const wg_loop *loop = &t->l->loop;
    int axes = loop->nkept - (loop->mode == WG_LOOP_ROWS ? 0 : 1);
    for (int i = 0; i < loop->naccesses; i++) {
        const wg_access *a = &loop->access[i];
        wg_str_addf(&t->body, "%*sconst i64 a%d = p.v[%d]", indent, "", i, a->offset);
        for (int k = 0; k < axes; k++) {
            if (a->kept[k] >= 0) {
                wg_str_addf(&t->body, " + k%d * p.v[%d]", k, a->kept[k]);
            }
        }
        wg_str_add(&t->body, ";\n");
    }
    /* The last chunk of a split reduction may be shorter. */
    if (loop->chunk >= 0) {
        wg_str_addf(&t->body, "%*sconst i64 left = p.v[%d] - k0 * p.v[%d];\n", indent, "", loop->reduced_size[0],
                    loop->chunk);
        wg_str_addf(&t->body, "%*sconst i64 size0 = left < p.v[%d] ? left : p.v[%d];\n", indent, "", loop->chunk,
                    loop->chunk);
    } else if (loop->nreduced > 0) {
        wg_str_addf(&t->body, "%*sconst i64 size0 = p.v[%d];\n", indent, "", loop->reduced_size[0]);
    }
}

/* ---- accumulators ----------------------------------------------------------------------------------------------------- */

static const char *identity(const wg_inst *reduction, uint8_t dtype) {
    if (reduction->prim == WG_P_RSUM) {
        return dtype == WG_F32   ? "splat_f32(0.0f)"
               : dtype == WG_F64 ? "splat_f64(0.0)"
               : dtype == WG_I64 ? "splat_i64(0)"
                                 : "splat_i32(0)";
    }
    bool least = reduction->prim != WG_P_RMIN; /* where a maximum starts */
    switch (dtype) {
    case WG_F32:
        return least ? "as_vf32(splat_u32(0xff800000u))" : "as_vf32(splat_u32(0x7f800000u))";
    case WG_F64:
        return least ? "as_vf64(splat_u64(0xfff0000000000000UL))" : "as_vf64(splat_u64(0x7ff0000000000000UL))";
    case WG_I64:
        return least ? "splat_i64(-9223372036854775807L - 1)" : "splat_i64(9223372036854775807L)";
    case WG_U8:
        return least ? "splat_i32(0)" : "splat_i32(255)";
    case WG_BOOL:
        return least ? "splat_mask(0)" : "splat_mask(1)";
    default:
        return least ? "splat_i32(-2147483647 - 1)" : "splat_i32(2147483647)";
    }
}

void wg_text_acc_begin(wg_text *t, int inst, int indent) {
    const wg_inst *in = &t->l->loop.inst[inst];
    uint8_t dtype = t->l->loop.inst[in->a].dtype;
    wg_text_need(t, "memory_%s", dtype);
    wg_str_addf(&t->body, "%*s%s c%d = %s;\n", indent, "", wg_text_register(dtype), inst, identity(in, dtype));
    if (in->prim == WG_P_RARGMAX) {
        wg_str_addf(&t->body, "%*svi64 w%d = splat_i64(-1);\n", indent, "", inst);
    }
}

void wg_text_acc_step(wg_text *t, int inst, int indent, bool masked, const char *position) {
    const wg_inst *in = &t->l->loop.inst[inst];
    uint8_t dtype = t->l->loop.inst[in->a].dtype;
    const char *type = wg_text_type(dtype);
    wg_str *s = &t->body;
    if (in->prim == WG_P_RARGMAX) {
        wg_str_addf(s, "%*s{\n%*svmask m = mask_or(lt_i64(w%d, splat_i64(0)), argmax_better_%s(x%d, c%d));\n", indent,
                    "", indent + 4, "", inst, type, in->a, inst);
        if (masked) {
            wg_str_addf(s, "%*sm = mask_and(m, first_lanes(n));\n", indent + 4, "");
        }
        wg_str_addf(s, "%*sc%d = sel_%s(m, x%d, c%d);\n%*sw%d = sel_i64(m, %s, w%d);\n%*s}\n", indent + 4, "", inst,
                    type, in->a, inst, indent + 4, "", inst, position, inst, indent, "");
        return;
    }
    char x[16], step[96];
    snprintf(x, sizeof x, "x%d", in->a);
    if (masked) {
        wg_str_addf(s, "%*sconst %s y%d = n == 16 ? x%d : sel_%s(first_lanes(n), x%d, %s);\n", indent, "",
                    wg_text_register(dtype), inst, in->a, type, in->a, identity(in, dtype));
        snprintf(x, sizeof x, "y%d", inst);
    }
    if (dtype == WG_BOOL) {
        snprintf(step, sizeof step, "%s(c%d, %s)", in->prim == WG_P_RMIN ? "mask_and" : "mask_or", inst, x);
    } else if (in->prim == WG_P_RSUM) {
        const char *u = dtype == WG_I64 ? "u64" : "u32";
        if (dtype == WG_F32 || dtype == WG_F64) {
            snprintf(step, sizeof step, "c%d + %s", inst, x);
        } else {
            snprintf(step, sizeof step, "as_v%s(as_v%s(c%d) + as_v%s(%s))", type, u, inst, u, x);
        }
    } else {
        snprintf(step, sizeof step, "%s_%s(c%d, %s)", in->prim == WG_P_RMAX ? "max" : "min", type, inst, x);
    }
    wg_str_addf(s, "%*sc%d = %s;\n", indent, "", inst, step);
}

/* ---- parameters ------------------------------------------------------------------------------------------------------- */

void wg_text_params(const wg_text *t, wg_str *out) {
    for (int i = 0; i < t->l->nbuffers; i++) {
        wg_str_addf(out, "GLOBAL %s *b%d, ", wg_text_memory(t->l->buffers[i].dtype), i);
    }
    wg_str_addf(out, "const %s_params p", t->name);
}

void wg_text_args(const wg_text *t, wg_str *out) {
    for (int i = 0; i < t->l->nbuffers; i++) {
        wg_str_addf(out, "b%d, ", i);
    }
    wg_str_add(out, "p");
}

void wg_text_stage_begin(wg_text *t, int stage, int indent, bool *need) {
    const wg_loop *loop = &t->l->loop;
    wg_text_mark(loop, stage, stage > t->stash_stage ? t->stash : -1, need);
    for (int i = 0; i < loop->ninsts; i++) {
        if (wg_text_is_reduction(&loop->inst[i]) && loop->inst[i].stage == stage + 1) {
            wg_text_acc_begin(t, i, indent);
        }
    }
}

void wg_text_stage_step(wg_text *t, int stage, int indent, const bool *need, bool masked, const char *position) {
    const wg_loop *loop = &t->l->loop;
    for (int i = 0; i < loop->ninsts; i++) {
        if (need[i]) {
            wg_text_elem(t, i, stage, indent);
        }
        if (wg_text_is_reduction(&loop->inst[i]) && loop->inst[i].stage == stage + 1) {
            wg_text_acc_step(t, i, indent, masked, position);
        }
    }
    wg_text_stores(t, stage, true, indent);
}
