/* How a kernel begins and ends: made for one set of tensors, or going from set to set along the table of a bundle. */
#include "codegen/program.h"
#include "codegen/text.h"

void wg_text_head(wg_text *t, int items) {
    wg_str *s = &t->body;
    wg_str_addf(s, "typedef struct { i64 v[%d]; } %s_params;\n", t->l->nparams, t->name);
    if (t->bundle) {
        wg_str_addf(s, "typedef struct { i64 start, count, step, s[%d]; } %s_bundle;\n", WG_BUNDLE_SCALARS, t->name);
    }
    wg_str_addf(s, "KERNEL_GROUP(%d, 1, 1) %s(", items, t->name);
    if (t->bundle) {
        for (int i = 0; i < WG_BUNDLE_CHUNKS; i++) {
            wg_str_addf(s, "GLOBAL char *m%d, ", i);
        }
        wg_str_addf(s, "GLOBAL const i64 *table, BY_VALUE %s_bundle q", t->name);
    } else {
        wg_text_params(t, s);
    }
    wg_str_add(s, ") {\n");
}

void wg_text_enter(wg_text *t) {
    const wg_lowered *l = t->l;
    wg_str *s = &t->body;
    if (!t->bundle) {
        return;
    }
    int words = l->nbuffers, scalars = 0, at = l->nbuffers;
    for (int i = 0; i < l->nparams; i++) {
        words += wg_in_row(&l->params[i]);
    }
    wg_str_addf(s,
                "    for (i64 e = 0; e < q.count; e++) {\n"
                "    GLOBAL const i64 *row = table + q.start + e * %d;\n"
                "    %s_params p;\n",
                words, t->name);
    for (int i = 0; i < l->nparams; i++) {
        if (wg_in_row(&l->params[i])) {
            wg_str_addf(s, "    p.v[%d] = row[%d];\n", i, at++);
        } else {
            wg_str_addf(s, "    p.v[%d] = q.s[e * q.step + %d];\n", i, scalars++);
        }
    }
    for (int i = 0; i < l->nbuffers; i++) {
        const char *type = wg_text_memory(l->buffers[i].dtype);
        wg_str_addf(s, "    GLOBAL %s *b%d = (GLOBAL %s *)(", type, i, type);
        for (int m = 0; m < WG_BUNDLE_CHUNKS - 1; m++) {
            wg_str_addf(s, "row[%d] == %d ? m%d : ", i, m, m);
        }
        wg_str_addf(s, "m%d);\n", WG_BUNDLE_CHUNKS - 1);
    }
}

void wg_text_leave(wg_text *t) { wg_str_add(&t->body, t->bundle ? "    }\n}\n" : "}\n"); }
