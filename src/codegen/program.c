/* Assembling programs: bodies under their names, after the sections of the kernel library they need. */
#include "codegen/program.h"

#include "codegen/text.h"
#include "kernels/texts.h"

#include <string.h>

static void print(const wg_lowered *l, wg_form form, wg_str *body, wg_str *needs, void (*writer)(wg_text *t)) {
    wg_text t = {.l = l, .form = form, .name = WG_NAME_MARK, .index = "i64", .body = *body, .needs = *needs};
    writer(&t);
    *body = t.body;
    *needs = t.needs;
}

void wg_print_loop(const wg_lowered *l, wg_form form, wg_str *body, wg_str *needs) {
    print(l, form, body, needs, form == WG_SIMD ? wg_text_simd : wg_text_simt);
}

static void simd_bundle(wg_text *t) {
    t->bundle = true;
    wg_text_simd(t);
}

static void simt_bundle(wg_text *t) {
    t->bundle = true;
    wg_text_simt(t);
}

void wg_print_bundle(const wg_lowered *l, wg_form form, wg_str *body, wg_str *needs) {
    print(l, form, body, needs, form == WG_SIMD ? simd_bundle : simt_bundle);
}

static void scatter(wg_text *t) {
    const char *c = wg_text_memory(t->l->buffers[3].dtype), *type = wg_text_memory_name(t->l->buffers[3].dtype);
    wg_str *s = &t->body;
    wg_text_need(t, "scatter", WG_F32);
    wg_text_need(t, "memory_%s", t->l->buffers[3].dtype);
    wg_str_addf(s, "typedef struct { i64 v[%d]; } %s_params;\n", t->l->nparams, t->name);
    wg_str_addf(s, "WG_SCATTER(%s_columns, %s, %s)\n", t->name, c, type);
    int items = t->form == WG_SIMD ? 1 : WG_GROUP_ITEMS_MAP, lanes = t->form == WG_SIMD ? WG_LANES : 1;
    wg_str_addf(s, "KERNEL_GROUP(%d, 1, 1) %s(", items, t->name);
    wg_text_params(t, s);
    wg_str_addf(s,
                ") {\n"
                "    const i64 inner = p.v[2], blocks = (inner + %d) / %d, units = p.v[0] * blocks;\n"
                "    for (i64 u = (i64)GRP(0) * %d + LID(0); u < units; u += (i64)NGRP(0) * %d) {\n"
                "        const i64 i = u %% blocks * %d;\n"
                "        %s_columns(b0 + p.v[4], b1 + p.v[5], b2 + p.v[6], b3 + p.v[7], b4 + p.v[8], p.v[9], p.v[10],\n"
                "            p.v[1], inner, p.v[3], u / blocks, i,\n"
                "            (int)(inner - i < %d ? inner - i : %d));\n"
                "    }\n"
                "}\n",
                lanes - 1, lanes, items, items, lanes, t->name, lanes, lanes);
}

void wg_print_scatter(const wg_lowered *l, wg_form form, wg_str *body, wg_str *needs) {
    print(l, form, body, needs, scatter);
}

void wg_print_named(const char *body, const char *name, wg_str *out) {
    for (const char *at; (at = strchr(body, WG_NAME_MARK[0])); body = at + 1) {
        wg_str_addn(out, body, (size_t)(at - body));
        wg_str_add(out, name);
    }
    wg_str_add(out, body);
}

/* ---- sections ----------------------------------------------------------------------------------------------------------- */

static const char *const marker = "//@ ";

static const char *next_section(const char *text) {
    const char *at = strstr(text, "\n//@ ");
    return strncmp(text, marker, 4) == 0 ? text : at ? at + 1 : NULL;
}

static bool listed(const char *list, const char *word, size_t n) {
    for (const char *at = list; (at = strstr(at, word)); at++) {
        if ((at == list || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0')) {
            return true;
        }
    }
    return false;
}

static bool wanted(const wg_str *needs, const char *name, size_t n) {
    char word[64];
    if (n >= sizeof word) {
        return false;
    }
    memcpy(word, name, n);
    word[n] = '\0';
    return listed(wg_str_text(needs), word, n);
}

/* Adds what the sections in needs need themselves. Dependencies stand before their users, so one walk from the end of
 * the text to its start would do; walking until nothing changes is simpler and runs only when a program is built. */
static void close_needs(const char *text, wg_str *needs) {
    for (bool changed = true; changed;) {
        changed = false;
        for (const char *s = next_section(text); s; s = next_section(s + 1)) {
            const char *name = s + 4, *line = name + strcspn(name, "\n");
            size_t n = strcspn(name, " \n");
            const char *colon = memchr(name, ':', (size_t)(line - name));
            if (!colon || !wanted(needs, name, n)) {
                continue;
            }
            for (const char *dep = colon + 1; dep < line;) {
                dep += strspn(dep, " ");
                size_t k = strcspn(dep, " \n");
                if (k > 0 && !wanted(needs, dep, k)) {
                    wg_str_addn(needs, dep, k);
                    wg_str_add(needs, " ");
                    changed = !needs->failed;
                }
                dep += k + (k == 0);
            }
        }
    }
}

static void add_sections(const char *text, wg_str *needs, wg_str *out) {
    close_needs(text, needs);
    for (const char *s = next_section(text); s;) {
        const char *end = next_section(s + 1);
        size_t n = strcspn(s + 4, " \n");
        if (wanted(needs, s + 4, n)) {
            wg_str_addn(out, s, end ? (size_t)(end - s) : strlen(s));
        }
        s = end;
    }
}

void wg_print_library(wg_form form, wg_language language, const char *needs, wg_str *out) {
    wg_str all = {0};
    wg_str_add(&all, needs);
    wg_str_addf(out, "#define GROUP_ITEMS %d\n", WG_GROUP_ITEMS_ROWS);
    wg_str_add(out, form == WG_SIMD           ? wg_text_lanes_simd
                    : language == WG_CUDA_CPP ? wg_text_lanes_cuda
                                              : wg_text_lanes_simt);
    wg_str_add(out, wg_text_lanes_common);
    add_sections(wg_text_elementary_f32, &all, out);
    add_sections(wg_text_elementary_f64, &all, out);
    add_sections(wg_text_arithmetic, &all, out);
    const char *memory = form == WG_SIMD ? wg_text_memory_simd : wg_text_memory_simt;
    close_needs(memory, &all); /* which may be sections of half.cl, that stands before it */
    add_sections(wg_text_half, &all, out);
    add_sections(memory, &all, out);
    add_sections(wg_text_scatter, &all, out);
    out->failed = out->failed || all.failed;
    wg_str_free(&all);
}
