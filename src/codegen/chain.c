/*
 * The kernel of a chain: the bodies of its steps, one after the other, each in a block where its own parameters and buffers
 * have the names that they have in a kernel of its own. What a step before makes is in registers of all work-items; it is
 * stored once, for launches to come.
 *
 * Steps after read what all groups wrote. A group comes to a barrier when it has stored; then one of its work-items makes
 * that known to the whole device, by a fence, and only then draws a ticket. Who draws the last number has all other draws
 * before its own: after a fence of its own, and a barrier for its group, all of it is there to be read. So does the
 * threadfence reduction in CUDA's programming guide, and CUDA's own barrier for a grid. Loads are ordinary ones: no pointer
 * is `const` and `__restrict__`, which alone would let the compiler take a cache that nothing keeps coherent.
 *
 * OpenCL 1.2 promises order within a group only, and POCL's mem_fence is no instruction. On x86 none is needed: atomic_inc
 * is a locked one, which earlier stores, streaming ones too, and later loads do not pass; and nothing tells the compiler
 * that the tickets lie apart from what is stored. Other OpenCL devices get no steps after: see `ordered_groups`.
 */
#include "codegen/program.h"
#include "codegen/text.h"

/* The register that each buffer of a step is in, by number of the step before that made it; -1: none. */
static void find_registers(const wg_step *lead, const wg_step *s, int *out) {
    for (int i = 0; i < s->l.nbuffers; i++) {
        out[i] = -1;
        for (int k = 0; lead[k].part == WG_PART_BEFORE; k++) {
            for (int b = 0; b < lead[k].l.nbuffers; b++) {
                const wg_buffer_use *made = &lead[k].l.buffers[b];
                out[i] = made->written && made->slot == s->l.buffers[i].slot ? k : out[i];
            }
        }
    }
}

/* The head: parameters of each step in a struct, buffers of one step after those of another. */
static void print_head(wg_text *t, const wg_step *lead) {
    wg_str *s = &t->body;
    for (int k = 0; k < lead->bundle; k++) {
        wg_str_addf(s, "typedef struct { i64 v[%d]; } %s_params%d;\n", lead[k].l.nparams, t->name, k);
    }
    wg_str_add(s, "typedef struct { ");
    for (int k = 0; k < lead->bundle; k++) {
        wg_str_addf(s, "%s_params%d s%d; ", t->name, k, k);
    }
    wg_str_addf(s, "i64 ticket; } %s_params;\nKERNEL_GROUP(%d, 1, 1) %s(", t->name, t->items, t->name);
    for (int k = 0, n = 0; k < lead->bundle; k++) {
        for (int i = 0; i < lead[k].l.nbuffers; i++) {
            wg_str_addf(s, "GLOBAL %s *m%d, ", wg_text_memory(lead[k].l.buffers[i].dtype), n++);
        }
    }
    wg_str_addf(s, "%sconst %s_params q) {\n", wg_chain_draws(lead) ? "GLOBAL int *tickets, " : "", t->name);
}

static void print_step(wg_text *t, const wg_step *lead, int k, int first_buffer) {
    const wg_step *step = &lead[k];
    int registers[WG_MAX_BUFFERS];
    find_registers(lead, step, registers);
    t->l = &step->l;
    t->registers = registers;
    t->alone = step->part != WG_PART_MAIN;
    t->before = step->part == WG_PART_BEFORE;
    wg_str_addf(&t->body, "    {\n    const %s_params%d p = q.s%d;\n", t->name, k, k);
    for (int i = 0; i < step->l.nbuffers; i++) {
        wg_str_addf(&t->body, "    GLOBAL %s *b%d = m%d;\n", wg_text_memory(step->l.buffers[i].dtype), i,
                    first_buffer + i);
    }
    if (t->form == WG_SIMD) {
        wg_text_simd_body(t);
    } else {
        wg_text_simt_body(t);
    }
    wg_str_add(&t->body, "    }\n");
    t->registers = NULL;
}

/* The last group goes on. */
static void print_ticket(wg_text *t) {
    wg_str_add(&t->body, t->form == WG_SIMD ? "    FENCE_GLOBAL();\n"
                                              "    if (ATOMIC_INC_GLOBAL(tickets + q.ticket) == NGRP(0) - 1) {\n"
                                              "    FENCE_GLOBAL();\n"
                                            : "    LOCAL int last;\n"
                                              "    BARRIER_LOCAL();\n"
                                              "    if (LID(0) == 0) {\n"
                                              "        FENCE_GLOBAL();\n"
                                              "        last = ATOMIC_INC_GLOBAL(tickets + q.ticket) == NGRP(0) - 1;\n"
                                              "        FENCE_GLOBAL();\n"
                                              "    }\n"
                                              "    BARRIER_LOCAL();\n"
                                              "    if (last) {\n");
}

static void chain(wg_text *t, const wg_step *lead) {
    int buffers = 0;
    t->items = t->form == WG_SIMD ? 1 : wg_chain_items(lead);
    print_head(t, lead);
    if (t->form == WG_SIMT) {
        bool scratch[WG_TEXT_SCRATCH] = {false};
        for (int k = 0; k < lead->bundle; k++) {
            wg_text_mark_scratch(&lead[k].l.loop, scratch);
        }
        wg_text_scratch(t, 1, scratch);
    }
    for (int k = 0; lead[k].part == WG_PART_BEFORE; k++) {
        const wg_loop *loop = &lead[k].l.loop;
        wg_str_addf(&t->body, "    %s h%d;\n", wg_text_register(loop->inst[loop->store[0].inst].dtype), k);
    }
    for (int k = 0; k < lead->bundle; k++) {
        bool after = lead[k].part == WG_PART_AFTER;
        if (after && lead[k - 1].part != WG_PART_AFTER) {
            print_ticket(t);
        } else if (after && t->form == WG_SIMT) {
            wg_str_add(&t->body, "    BARRIER_LOCAL();\n");
        }
        print_step(t, lead, k, buffers);
        buffers += lead[k].l.nbuffers;
    }
    if (wg_chain_draws(lead)) {
        wg_str_addf(&t->body, "    %stickets[q.ticket] = 0;\n    }\n", t->form == WG_SIMD ? "" : "if (LID(0) == 0) ");
    }
    wg_str_add(&t->body, "}\n");
}

void wg_print_chain(const wg_step *lead, wg_form form, wg_str *body, wg_str *needs) {
    wg_text t = {.form = form, .name = WG_NAME_MARK, .index = "i64", .body = *body, .needs = *needs};
    chain(&t, lead);
    *body = t.body;
    *needs = t.needs;
}
