/* What a product takes along, in both forms: functions that make its operands, and one that takes its results, or whole rows of
 * them. */
#include "codegen/text.h"
#include "schedule/terms.h"

#include <stdio.h>

/* The head of a function that is called with the number of a product in its batch, a row, and more; then its coordinates and
 * addresses. */
static void open_function(wg_text *t, const char *result, const char *suffix, const char *more) {
    const wg_loop *loop = &t->l->loop;
    wg_str *s = &t->body;
    int batch = loop->nkept - (loop->mode == WG_LOOP_ROWS ? 1 : 2);
    wg_str_addf(s, "DEVICE_FN %s %s_%s(", result, t->name, suffix);
    wg_text_params(t, s);
    wg_str_addf(s, ", i64 z, i64 row%s) {\n", more);
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

/* Where in the row the lanes start, and how many of them are real. */
static const char *lanes_of(const wg_text *t) { return t->form == WG_SIMD ? ", i64 i, int n" : ", i64 i"; }

/* A product is made of values in registers of its own type, as its kernel has them: one, or lanes. */
static void print_operand(wg_text *t, const wg_lowered *term, int number, int k) {
    const wg_lowered *whole = t->l, loop = wg_operand_loop(term, k);
    char suffix[8];
    snprintf(suffix, sizeof suffix, number ? "%c%d" : "%c", k == 0 ? 'a' : 'b', number);
    t->l = &loop;
    open_function(t, wg_text_register(loop.loop.inst[loop.loop.value].dtype), suffix, lanes_of(t));
    for (int i = 0; i < loop.loop.ninsts; i++) {
        wg_text_inst(t, i, 4);
    }
    wg_str_addf(&t->body, "    return x%d;\n}\n", loop.loop.value);
    t->l = whole;
}

static void print_epilogue(wg_text *t) {
    const wg_loop *loop = &t->l->loop;
    char product[48];
    snprintf(product, sizeof product, "%s, %s x0", lanes_of(t), wg_text_register(loop->inst[0].dtype));
    open_function(t, "void", "epilogue", product);
    for (int i = 1; i < loop->ninsts; i++) {
        wg_text_inst(t, i, 4);
    }
    wg_text_stores(t, 0, false, 4);
    wg_str_add(&t->body, "}\n");
}

/* Local memory for sums, an array for each type: a work-item's piece of it as parameters, or as arguments. */
static void print_scratch(const wg_lowered *l, bool args, wg_str *out) {
    bool scratch[WG_TEXT_SCRATCH] = {false};
    wg_text_mark_scratch(&l->loop, scratch);
    for (int d = 0; d <= WG_DTYPE_COUNT; d++) {
        const char *memory = d == WG_DTYPE_COUNT ? "i64" : wg_text_memory(d);
        const char *name = d == WG_DTYPE_COUNT ? "at" : wg_text_type(d);
        if (scratch[d] && args) {
            wg_str_addf(out, ", s_%s + LID(0) / GROUP_ITEMS * GROUP_ITEMS", name);
        } else if (scratch[d]) {
            wg_str_addf(out, ", LOCAL_PTR %s *s_%s", memory, name);
        }
    }
}

void wg_text_row_scratch(const wg_lowered *l, wg_str *declarations, wg_str *args) {
    wg_text t = {.l = l, .body = *declarations};
    bool scratch[WG_TEXT_SCRATCH] = {false};
    wg_text_mark_scratch(&l->loop, scratch);
    wg_text_scratch(&t, WG_GROUP_ITEMS_MAP / WG_GROUP_ITEMS_ROWS, scratch);
    *declarations = t.body;
    print_scratch(l, true, args);
}

/*
 * A row of the product, done, is at `at`: in the simd form pieces of `panel` columns, `step` elements apart; in the simt form in
 * local memory. There as many work-items look at it as in a rows kernel, so that the order of its sums is the same; a work-item
 * that has no row, but has to come to the barriers, begins behind its end, and finds nothing to do.
 */
static void print_rows(wg_text *t) {
    const char *type = wg_text_memory(t->l->loop.inst[0].dtype);
    wg_str more = {0};
    if (t->form == WG_SIMD) {
        wg_str_addf(&more, ", GLOBAL const %s *at, i64 step", type);
    } else {
        wg_str_addf(&more, ", int item, LOCAL_PTR const %s *at", type);
        print_scratch(t->l, false, &more);
    }
    open_function(t, "void", "rows", wg_str_text(&more));
    if (t->form == WG_SIMD) {
        wg_text_simd_row(t);
    } else {
        wg_text_simt_row(t);
    }
    wg_str_add(&t->body, "}\n");
    t->body.failed = t->body.failed || more.failed;
    wg_str_free(&more);
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
    snprintf(more, sizeof more, "%s, int term, %s product, %s waits", lanes_of(t), type, type);
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
    snprintf(more, sizeof more, "%s, %s x%d, %s x%d", lanes_of(t), type, wg_terms_inst(t->l, last), type,
             carried[last - 1]);
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
    if (t->l->loop.mode == WG_LOOP_ROWS) {
        print_rows(t);
    } else if (t->l->nmore > 0) {
        print_sum(t);
    } else {
        print_epilogue(t);
    }
}
