/*
 * A product that takes sums of its operands along: the functions that its kernel calls when it is through with a sum, or with a
 * piece of one, and the head of the kernel, with the arguments of all its steps as a chain has them.
 */
#include "codegen/program.h"
#include "codegen/text.h"

#include <stdio.h>

static void name_sum(const wg_step *s, char *out, size_t cap) {
    snprintf(out, cap, WG_NAME_MARK "_sum_%c", s->operand == 0 ? 'a' : 'b');
}

static int sum_in(const wg_loop *loop) {
    int i = 0;
    while (loop->inst[i].prim != WG_P_RSUM) {
        i++;
    }
    return i;
}

/* What follows the loops of a step that sums columns, for 16 or one of them from column i on, in piece `piece` of a sum that
 * is split: its sums are there. */
static void print_end(wg_text *t) {
    const wg_lowered *whole = t->l;
    wg_lowered flat = *whole; /* without the loops */
    wg_str *s = &t->body;
    int sum = sum_in(&whole->loop);
    flat.loop.nreduced = 0;
    flat.loop.chunk = -1;
    wg_str_addf(s, "typedef struct { i64 v[%d]; } %s_params;\nDEVICE_FN void %s(", whole->nparams, t->name, t->name);
    wg_text_params(t, s);
    wg_str_addf(s, ", i64 piece, i64 i%s, %s x%d) {\n", t->form == WG_SIMD ? ", int n" : "",
                wg_text_register(whole->loop.inst[sum].dtype), sum);
    t->l = &flat;
    if (t->form == WG_SIMT) {
        wg_str_add(s, "    const int n = 1;\n");
    }
    wg_text_ones(t, 4);
    wg_text_rows(t, 4, "piece");
    wg_text_bases(t, 4);
    for (int stage = 0; stage <= 1; stage++) {
        wg_text_kept(t, stage, true, 4);
        wg_text_kept(t, stage, false, 4);
        wg_text_stores(t, stage, false, 4);
    }
    wg_str_add(s, "}\n");
    t->l = whole;
}

static void print_head(const wg_step *lead, wg_product_text *out) {
    char name[24];
    int n = 0;
    wg_str_add(&out->types, "typedef struct { " WG_NAME_MARK "_params s0; ");
    for (int k = 0; k < lead->bundle; k++) {
        wg_str *given = k ? &out->sum[lead[k].operand].given : NULL;
        for (int i = 0; i < lead[k].l.nbuffers; i++, n++) {
            const char *type = wg_text_memory(lead[k].l.buffers[i].dtype);
            wg_str_addf(&out->head, "GLOBAL %s *m%d, ", type, n);
            if (k == 0) {
                wg_str_addf(&out->enter, "    GLOBAL %s *b%d = m%d;\n", type, i, n);
            } else {
                wg_str_addf(given, "m%d, ", n);
            }
        }
        if (k > 0) {
            name_sum(&lead[k], name, sizeof name);
            wg_str_addf(&out->types, "%s_params s%d; ", name, k);
            wg_str_addf(given, "all.s%d", k);
        }
    }
    wg_str_add(&out->types, "i64 ticket; } " WG_NAME_MARK "_all;\n");
    wg_str_add(&out->head, "const " WG_NAME_MARK "_all all");
    wg_str_add(&out->enter, "    const " WG_NAME_MARK "_params p = all.s0;\n");
}

static wg_str *string_of(wg_product_text *p, int i) {
    wg_str *all[] = {&p->params,        &p->args,        &p->types,        &p->head,          &p->enter,
                     &p->sum[0].params, &p->sum[0].args, &p->sum[0].given, &p->sum[1].params, &p->sum[1].args,
                     &p->sum[1].given,  &p->local,       &p->local_args};
    return i < (int)(sizeof all / sizeof all[0]) ? all[i] : NULL;
}

void wg_print_product(const wg_step *lead, wg_form form, int panel, wg_str *body, wg_str *needs, wg_product_text *out) {
    wg_text t = {.l = &lead->l,
                 .form = form,
                 .name = WG_NAME_MARK,
                 .index = "i64",
                 .panel = panel,
                 .body = *body,
                 .needs = *needs};
    wg_text_params(&t, &out->params);
    wg_text_args(&t, &out->args);
    wg_text_around(&t);
    wg_text_row_scratch(&lead->l, &out->local, &out->local_args);
    for (int k = 1; k < lead->bundle; k++) {
        wg_sum_text *sum = &out->sum[lead[k].operand];
        char name[24];
        name_sum(&lead[k], name, sizeof name);
        t.l = &lead[k].l;
        t.name = name;
        wg_text_params(&t, &sum->params);
        wg_text_args(&t, &sum->args);
        sum->chunk = lead[k].l.loop.chunk;
        print_end(&t);
    }
    if (lead->bundle > 1) {
        print_head(lead, out);
        wg_str_add(&t.body, wg_str_text(&out->types));
    }
    const wg_str *part;
    for (int i = 0; (part = string_of(out, i)); i++) {
        t.body.failed = t.body.failed || part->failed;
    }
    *body = t.body;
    *needs = t.needs;
}

void wg_product_text_free(wg_product_text *p) {
    wg_str *s;
    for (int i = 0; (s = string_of(p, i)); i++) {
        wg_str_free(s);
    }
}
