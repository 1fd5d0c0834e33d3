/* What a product takes along, in both forms: functions that make its operands, and one that takes its results. */
#include "codegen/text.h"
#include "schedule/terms.h"

#include <stdio.h>
#include <string.h>

/* The head of a function that is called with the number of a product in its batch, a row, and where in it the lanes start; then
 * its coordinates and addresses. */
static void open_function(wg_text *t, const char *result, const char *suffix, const char *last) {
    const wg_loop *loop = &t->l->loop;
    wg_str *s = &t->body;
    int batch = loop->nkept - 2;
    wg_str_addf(s, "DEVICE_FN %s %s_%s(", result, t->name, suffix);
    wg_text_params(t, s);
    wg_str_addf(s, "%s, i64 z, i64 row, i64 i%s%s) {\n", strcmp(suffix, "part") == 0 ? ", int term" : "",
                t->form == WG_SIMD ? ", int n" : "", last);
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
}

/* A product is made of values in registers of its own type, as its kernel has them: one, or lanes. */
static void print_operand(wg_text *t, const wg_lowered *term, int number, int k) {
    const wg_lowered *whole = t->l, loop = wg_operand_loop(term, k);
    char suffix[8];
    snprintf(suffix, sizeof suffix, number ? "%c%d" : "%c", k == 0 ? 'a' : 'b', number);
    t->l = &loop;
    open_function(t, wg_text_register(loop.loop.inst[loop.loop.value].dtype), suffix, "");
    for (int i = 0; i < loop.loop.ninsts; i++) {
        wg_text_inst(t, i, 4);
    }
    wg_str_addf(&t->body, "    return x%d;\n}\n", loop.loop.value);
    t->l = whole;
}

static void print_epilogue(wg_text *t) {
    const wg_loop *loop = &t->l->loop;
    char product[32];
    snprintf(product, sizeof product, ", %s x0", wg_text_register(loop->inst[0].dtype));
    open_function(t, "void", "epilogue", product);
    for (int i = 1; i < loop->ninsts; i++) {
        wg_text_inst(t, i, 4);
    }
    wg_text_stores(t, 0, false, 4);
    wg_str_add(&t->body, "}\n");
}

/* ---- several products --------------------------------------------------------------------------------------------------- */

/* What is computed once product number `part` is there, of that and of what waited. */
static void mark_part(const wg_text *t, int part, const int *depth, int wanted, int waits, bool *need) {
    const wg_loop *loop = &t->l->loop;
    for (int i = 0; i < loop->ninsts; i++) {
        bool traps = loop->inst[i].prim == WG_P_TRAP && (depth[i] < 0 ? t->l->nmore : depth[i]) == part;
        need[i] = i == wanted || traps;
    }
    for (int s = 0; wanted < 0 && s < loop->nstores; s++) {
        need[loop->store[s].inst] = true;
    }
    for (int i = loop->ninsts - 1; i >= 0; i--) {
        const int operand[] = {loop->inst[i].a, loop->inst[i].b, loop->inst[i].c};
        for (int k = 0; need[i] && i != waits && k < 3; k++) {
            if (operand[k] >= 0) {
                need[operand[k]] = true;
            }
        }
    }
}

static void print_part(wg_text *t, int part, const int *depth, const int *carried, int indent) {
    const wg_loop *loop = &t->l->loop;
    bool need[WG_MAX_INSTS] = {false};
    int product = wg_terms_inst(t->l, part), waits = part ? carried[part - 1] : -1;
    mark_part(t, part, depth, part < t->l->nmore ? carried[part] : -1, waits, need);
    for (int i = 0; i < loop->ninsts; i++) {
        if (need[i] && i != product && i != waits) {
            wg_text_inst(t, i, indent);
        }
    }
}

/* The parts before the last, and the last. */
static void print_sum(wg_text *t) {
    const char *type = wg_text_register(t->l->loop.inst[0].dtype);
    int depth[WG_MAX_INSTS], carried[WG_MAX_TERMS], last = t->l->nmore;
    char more[64];
    wg_terms_depths(t->l, depth);
    wg_terms_carried(t->l, depth, carried);
    snprintf(more, sizeof more, ", %s product, %s waits", type, type);
    open_function(t, type, "part", more);
    for (int part = 0; part < last; part++) {
        wg_str_addf(&t->body, "    if (term == %d) {\n        const %s x%d = product;\n", part, type,
                    wg_terms_inst(t->l, part));
        if (part > 0) {
            wg_str_addf(&t->body, "        const %s x%d = waits;\n", type, carried[part - 1]);
        }
        print_part(t, part, depth, carried, 8);
        wg_str_addf(&t->body, "        return x%d;\n    }\n", carried[part]);
    }
    wg_str_add(&t->body, "    return product;\n}\n");
    snprintf(more, sizeof more, ", %s x%d, %s x%d", type, wg_terms_inst(t->l, last), type, carried[last - 1]);
    open_function(t, "void", "epilogue", more);
    print_part(t, last, depth, carried, 4);
    wg_text_stores(t, 0, false, 4);
    wg_str_add(&t->body, "}\n");
}

void wg_text_around(wg_text *t) {
    wg_str_addf(&t->body, "typedef struct { i64 v[%d]; } %s_params;\n", t->l->nparams, t->name);
    for (int i = 0; i <= t->l->nmore; i++) {
        const wg_lowered term = wg_lowered_term(t->l, i);
        for (int k = 0; k < 2; k++) {
            if (wg_makes_operand(&term, k)) {
                print_operand(t, &term, i, k);
            } else {
                wg_text_need(t, "memory_%s", t->l->buffers[term.operand[k]].dtype);
            }
        }
    }
    if (t->l->nmore > 0) {
        print_sum(t);
    } else {
        print_epilogue(t);
    }
}
