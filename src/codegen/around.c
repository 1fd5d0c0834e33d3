/* What a product takes along, in both forms: functions that make its operands, and one that takes its results. */
#include "codegen/text.h"

#include <stdio.h>

/* The head of a function that is called with the number of a product in its batch, a row, and where in it the lanes start; then
 * its coordinates and addresses. */
static void open_function(wg_text *t, const char *result, const char *suffix, const char *last) {
    const wg_loop *loop = &t->l->loop;
    wg_str *s = &t->body;
    int batch = loop->nkept - 2;
    wg_str_addf(s, "DEVICE_FN %s %s_%s(", result, t->name, suffix);
    wg_text_params(t, s);
    wg_str_addf(s, ", i64 z, i64 row, i64 i%s%s) {\n", t->form == WG_SIMD ? ", int n" : "", last);
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
static void print_operand(wg_text *t, int k) {
    const wg_lowered *whole = t->l, loop = wg_operand_loop(whole, k);
    t->l = &loop;
    open_function(t, wg_text_register(loop.loop.inst[loop.loop.value].dtype), k == 0 ? "a" : "b", "");
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

void wg_text_around(wg_text *t) {
    wg_str_addf(&t->body, "typedef struct { i64 v[%d]; } %s_params;\n", t->l->nparams, t->name);
    for (int k = 0; k < 2; k++) {
        if (wg_makes_operand(t->l, k)) {
            print_operand(t, k);
        } else {
            wg_text_need(t, "memory_%s", t->l->buffers[t->l->operand[k]].dtype);
        }
    }
    print_epilogue(t);
}
