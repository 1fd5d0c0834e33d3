/* Compiling a plan: the text of its steps, their kernels, and the sizes of their launches. */
#include "base/alloc.h"
#include "base/hash.h"
#include "codegen/program.h"
#include "kernels/gemm.h"
#include "runtime/exec.h"
#include "schedule/memory.h"
#include "schedule/queues.h"
#include "schedule/rows.h"
#include "tensor/dtype.h"

#include <stdio.h>
#include <string.h>

/* Below this many elements and multiply-adds a plan runs in the calling thread, where launching costs least. */
#define INLINE_WORK (1 << 15)
/* A work-item of the simd form should have at least this much to do. */
#define LEAST_SHARE (1 << 13)

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static void shape_launch(wg_exec_step *s, int64_t groups, int64_t local, const wg_limits *limits) {
    groups = least(groups < 1 ? 1 : groups, limits->max_groups[0]);
    for (int i = 0; i < 3; i++) {
        s->groups[i] = i == 0 ? (uint32_t)groups : 1;
        s->local[i] = i == 0 ? (uint32_t)local : 1;
    }
}

/* How many work-items share a step in the simd form: a few for each core, so that a slow one is evened out. */
static int64_t shares(const wg_engine *e, const wg_exec *x, const wg_lowered *l) {
    if (x->built_for == WG_QUEUE_INLINE) {
        return 1;
    }
    int64_t most = 4 * (int64_t)e->dev.limits->compute_units;
    return least(least(l->units, most), 1 + l->elems / LEAST_SHARE);
}

/* Groups of the simt form that fill a device four times over; beyond that, groups go on to further work. */
static int64_t filling(const wg_engine *e, int64_t local) {
    return (int64_t)e->dev.limits->compute_units * 4 * WG_RESIDENT / local;
}

/* A bundle's launch is as large as its largest step asks for: the others find less to do in it. */
static void compile_loop(const wg_engine *e, wg_exec *x, wg_step *step, wg_exec_step *s, wg_kernel_want *want) {
    wg_lowered most = step->l; /* for its sizes alone */
    most.units = most.elems = 0;
    for (int i = 0; i < step->bundle; i++) {
        const wg_lowered *l = &step[i].l;
        most.results = l->results > most.results ? l->results : most.results;
        most.units += l->units;
        most.elems += l->elems;
    }
    if (step->bundle > 1) {
        wg_print_bundle(&step->l, e->form, &want->body, &want->needs);
        s->table_at = x->table_words;
        x->table_words += (size_t)(step->bundle * wg_bundle_row(&step->l));
    } else {
        wg_print_loop(&step->l, e->form, &want->body, &want->needs);
    }
    if (e->form == WG_SIMD) {
        shape_launch(s, shares(e, x, &most), 1, e->dev.limits);
    } else if (step->l.loop.mode == WG_LOOP_ROWS) {
        shape_launch(s, least(most.results, filling(e, 64)), 64, e->dev.limits);
    } else {
        int64_t each = (int64_t)256 * wg_simt_lanes(&step->l);
        shape_launch(s, least((most.results + each - 1) / each, filling(e, 256)), 256, e->dev.limits);
    }
}

/* A chain's launch is as large as its main step asks for. */
static void compile_chain(const wg_engine *e, wg_exec *x, const wg_step *lead, wg_exec_step *s, wg_kernel_want *want) {
    const wg_lowered *l = &lead[wg_chain_main(lead)].l;
    int64_t items = e->form == WG_SIMD ? 1 : wg_chain_items(lead), each = items * wg_simt_lanes(l);
    int64_t groups = e->form == WG_SIMD             ? shares(e, x, l)
                     : l->loop.mode == WG_LOOP_ROWS ? l->results
                                                    : (l->results + each - 1) / each;
    shape_launch(s, least(groups, wg_chain_groups(lead, e->form, e->dev.limits)), items, e->dev.limits);
    wg_print_chain(lead, e->form, &want->body, &want->needs);
    s->ticket = wg_chain_draws(lead) ? x->ntickets++ : 0;
}

static void compile_scatter(const wg_engine *e, const wg_exec *x, wg_step *step, wg_exec_step *s,
                            wg_kernel_want *want) {
    const wg_scatter *c = &step->scatter;
    const int64_t sizes[] = {c->outer, c->n, c->inner, c->count};
    for (int i = 0; i < 4; i++) {
        wg_lower_param(&step->l, WG_PARAM_VALUE, WG_I64, 0, sizes[i]);
    }
    for (int i = 0; i < 4; i++) {
        wg_lower_param(&step->l, WG_PARAM_OFFSET, WG_I64, i, i < 3 ? c->offset[i] : 0);
    }
    wg_lower_trap(&step->l, 4, c->node);
    wg_print_scatter(&step->l, e->form, &want->body, &want->needs);
    if (e->form == WG_SIMD) {
        shape_launch(s, shares(e, x, &step->l), 1, e->dev.limits);
    } else {
        shape_launch(s, (c->outer * c->inner + 255) / 256, 256, e->dev.limits);
    }
}

_Static_assert((int)WG_GEMM_P_COUNT == WG_PRODUCT_PARAMS && (int)WG_GEMM_START == WG_TERM_PARAMS &&
                   (int)WG_GEMM_LAYOUT == WG_LAYOUT_PARAMS && (int)WG_GEMM_MAX_TERMS == WG_MAX_TERMS,
               "lowering leaves room for a product's own parameters");
_Static_assert((int)WG_GEMM_ROW_SIMD == WG_ROW_SIMD && (int)WG_GEMM_ROW_SIMT == WG_ROW_SIMT &&
                   (int)WG_GEMM_ROW_LOCAL == WG_ROW_LOCAL,
               "plans have rows no longer than a product's kernel holds");

static wg_gemm_type gemm_type(uint8_t dtype) {
    return dtype == WG_F64 ? WG_GEMM_F64 : dtype == WG_I32 ? WG_GEMM_I32 : dtype == WG_I64 ? WG_GEMM_I64 : WG_GEMM_F32;
}

/* An operand of a product as its kernel has it; name: of its buffer. */
static wg_gemm_operand gemm_operand(const wg_lowered *l, int k, const char *name) {
    wg_dtype dtype = l->operand[k] < 0 ? WG_F32 : (wg_dtype)l->buffers[l->operand[k]].dtype;
    return (wg_gemm_operand){.buffer = l->operand[k] < 0 ? NULL : name,
                             .widen = dtype == WG_F16    ? "f16_to_float"
                                      : dtype == WG_BF16 ? "bf16_to_float"
                                                         : NULL,
                             .across = l->across[k]};
}

/* A sum of an operand that steps behind the product make, as its kernel has it. */
static wg_gemm_sum gemm_sum(const wg_sum_text *t) {
    return (wg_gemm_sum){.params = t->params.data, .args = t->args.data, .given = t->given.data, .chunk = t->chunk};
}

static void print_matmul(const wg_engine *e, const wg_step *step, const wg_gemm_plan *plan, wg_kernel_want *want) {
    const wg_lowered *l = &step->l;
    wg_product_text around = {0};
    char names[WG_MAX_TERMS][2][8], scratch[8];
    wg_print_product(step, e->form, plan->panel, &want->body, &want->needs, &around);
    snprintf(scratch, sizeof scratch, "b%d", l->scratch);
    wg_gemm_print print = {.name = WG_NAME_MARK,
                           .params = wg_str_text(&around.params),
                           .args = wg_str_text(&around.args),
                           .head = around.head.data,
                           .enter = around.enter.data,
                           .base = l->own,
                           .sum = {gemm_sum(&around.sum[0]), gemm_sum(&around.sum[1])},
                           .scratch = scratch,
                           .local = around.local.data,
                           .local_args = around.local_args.data};
    for (int t = 0; t < plan->text.terms; t++) {
        const wg_lowered term = wg_lowered_term(l, t);
        for (int k = 0; k < 2; k++) {
            snprintf(names[t][k], sizeof names[t][k], "b%d", term.operand[k]);
            print.operand[t][k] = gemm_operand(&term, k, names[t][k]);
        }
    }
    if (!want->body.failed) {
        wg_gemm_print_text(&want->body, &plan->text, &print);
    }
    wg_product_text_free(&around);
}

static wg_gemm_problem gemm_problem(uint8_t dtype, const wg_product *m) {
    wg_gemm_problem problem = {
        .type = gemm_type(dtype),
        .m = m->m,
        .n = m->n,
        .k = m->k,
        .rank = m->rank,
        .a_offset = m->a_offset,
        .a_row = m->a_row,
        .a_col = m->a_col,
        .b_offset = m->b_offset,
        .b_row = m->b_row,
        .b_col = m->b_col,
    };
    memcpy(problem.batch, m->batch, sizeof problem.batch);
    memcpy(problem.a_batch, m->a_batch, sizeof problem.a_batch);
    memcpy(problem.b_batch, m->b_batch, sizeof problem.b_batch);
    return problem;
}

/* Adds a product's own parameters to its kernel's. */
static void add_own_params(wg_lowered *l, const wg_gemm_plan *plan) {
    int buffer[WG_GEMM_MAX_PARAMS];
    memset(buffer, -1, sizeof buffer);
    buffer[WG_GEMM_P_SCRATCH_OFFSET] = l->scratch;
    for (int t = 0; t < plan->text.terms; t++) {
        const wg_lowered term = wg_lowered_term(l, t);
        buffer[wg_gemm_start(t)] = term.operand[0];
        buffer[wg_gemm_start(t) + 1] = term.operand[1];
    }
    l->own = l->nparams;
    for (int i = 0; i < plan->nv; i++) {
        wg_lower_param(l, buffer[i] < 0 ? WG_PARAM_VALUE : WG_PARAM_OFFSET, WG_I64, buffer[i], plan->v[i]);
    }
}

/* False when there is no memory. */
static bool compile_matmul(const wg_engine *e, wg_exec *x, wg_step *step, wg_exec_step *s, wg_kernel_want *want) {
    const wg_limits *limits = e->dev.limits;
    wg_lowered *l = &step->l;
    wg_gemm_problem problem[WG_MAX_TERMS];
    for (int t = 0; t <= l->nmore; t++) {
        problem[t] = gemm_problem(l->loop.inst[0].dtype, t ? &l->more[t - 1].product : &step->product);
    }
    problem[0].rows = l->loop.mode == WG_LOOP_ROWS;
    wg_gemm_device device = {.form = e->form == WG_SIMD ? WG_GEMM_SIMD : WG_GEMM_SIMT,
                             .float_width = limits->native_floats,
                             .compute_units = x->built_for == WG_QUEUE_INLINE ? 1 : limits->compute_units,
                             .max_items = limits->max_groups[0]};
    wg_gemm_plan plan;
    wg_gemm_make_plan(&plan, problem, l->nmore + 1, &device);
    add_own_params(l, &plan);
    print_matmul(e, step, &plan, want);
    for (int i = 0; i < 3; i++) {
        s->groups[i] = (uint32_t)plan.grid[i];
        s->local[i] = (uint32_t)plan.group[i];
    }
    if (e->form == WG_SIMD) {
        int slot = l->buffers[l->scratch].slot;
        x->plan->slots[slot].elems = plan.scratch;
        return wg_plan_place_scratch(x->plan, slot, (int64_t)limits->max_alloc);
    }
    return true;
}

/* What a library computes needs no kernel. */
static bool compile_product(const wg_engine *e, wg_exec *x, wg_step *step, wg_exec_step *s, wg_kernel_want *want) {
    wg_gemm_call call;
    if (!wg_library_takes(&e->dev, step, &call)) {
        return compile_matmul(e, x, step, s, want);
    }
    s->product = wg_mem_alloc(sizeof *s->product);
    if (s->product) {
        *s->product = call;
    }
    return s->product != NULL;
}

/* The parameters as a run starts from them, and which of them it fills in. */
static bool settle_params(wg_exec_step *s, const wg_lowered *l) {
    s->nparams = l->nparams;
    s->params = wg_mem_zalloc((size_t)(l->nparams + 1) * sizeof *s->params);
    s->fixups = wg_mem_alloc((size_t)(l->nparams + 1) * sizeof *s->fixups);
    for (int i = 0; s->params && s->fixups && i < l->nparams; i++) {
        s->params[i] = l->params[i].value;
        if (l->params[i].kind != WG_PARAM_VALUE) {
            s->fixups[s->nfixups++] = i;
        }
    }
    return s->params && s->fixups;
}

static bool compile_steps(const wg_engine *e, wg_exec *x, wg_kernel_want *wants) {
    for (int i = 0; i < x->plan->nsteps; i++) {
        wg_step *step = &x->plan->steps[i];
        wg_exec_step *s = &x->steps[i];
        if (step->l.results == 0) {
            continue; /* nothing to compute */
        }
        switch (step->kind) {
        case WG_GROUP_LOOP:
            if (wg_step_leads_chain(step)) {
                compile_chain(e, x, step, s, &wants[i]);
            } else if (step->bundle > 0) { /* the first of a bundle speaks for all */
                compile_loop(e, x, step, s, &wants[i]);
            }
            break;
        case WG_GROUP_MATMUL:
            if (!compile_product(e, x, step, s, &wants[i])) {
                return false;
            }
            break;
        case WG_GROUP_SCATTER:
            compile_scatter(e, x, step, s, &wants[i]);
            break;
        }
        s->text = wg_hash_bytes(wg_str_text(&wants[i].body), wants[i].body.len);
        if (!settle_params(s, &step->l)) {
            return false;
        }
    }
    return true;
}

static bool allocate(wg_exec *x) {
    size_t n = (size_t)x->plan->nslots, steps = (size_t)x->plan->nsteps;
    x->steps = wg_mem_zalloc((steps + 1) * sizeof *x->steps);
    x->values = wg_mem_zalloc(n * sizeof *x->values);
    x->mem = wg_mem_zalloc(n * sizeof *x->mem);
    x->offset = wg_mem_zalloc(n * sizeof *x->offset);
    x->blocks = wg_mem_zalloc(n * sizeof *x->blocks); /* more arenas than slots there are not */
    return x->steps && x->values && x->mem && x->offset && x->blocks;
}

wg_exec *wg_exec_make(wg_engine *e, wg_plan *plan, wg_err *err) {
    wg_exec *x = wg_mem_zalloc(sizeof *x);
    wg_kernel_want *wants = wg_mem_zalloc(((size_t)plan->nsteps + 1) * sizeof *wants);
    if (x) {
        x->plan = plan;
        wg_plan_count(plan);
        x->number = ++e->plans;
        x->dev = &e->dev;
    } else {
        wg_plan_free(plan);
    }
    bool ok = x && wants && allocate(x);
    if (ok && e->dev.limits->inline_queue && plan->work < INLINE_WORK) {
        x->built_for = WG_QUEUE_INLINE;
    }
    ok = ok && compile_steps(e, x, wants) &&
         (x->built_for == WG_QUEUE_INLINE || wg_plan_queues(plan, e->dev.limits)); /* scratch has its place now */
    if (ok && x->table_words) {
        x->rows = wg_mem_zalloc(2 * x->table_words * sizeof *x->rows);
        x->rows_written = x->rows ? x->rows + x->table_words : NULL;
        ok = x->rows != NULL;
    }
    if (!ok) {
        wg_err_set(err, WG_ERR_NOMEM, "out of host memory for a plan");
    } else if (!e->dev.limits->interprets) {
        ok = wg_programs_get(&e->programs, e->form, x->built_for, wants, (size_t)plan->nsteps, err) == WG_OK;
    }
    for (int i = 0; wants && i < (x ? x->plan->nsteps : 0); i++) {
        if (x->steps) {
            x->steps[i].kernel = wants[i].kernel;
        }
        wg_str_free(&wants[i].body);
        wg_str_free(&wants[i].needs);
    }
    wg_mem_free(wants);
    if (!ok) {
        wg_exec_free(x);
        return NULL;
    }
    return x;
}

void wg_exec_free(wg_exec *x) {
    if (!x) {
        return;
    }
    for (int i = 0; x->steps && i < x->plan->nsteps; i++) {
        wg_mem_free(x->steps[i].product);
        wg_mem_free(x->steps[i].params);
        wg_mem_free(x->steps[i].fixups);
    }
    wg_dev_plan_drop(x->dev, x->recording);
    wg_dev_free(x->dev, &x->table);
    wg_mem_free(x->rows);
    wg_plan_free(x->plan);
    wg_mem_free(x->steps);
    wg_mem_free(x->values);
    wg_mem_free(x->mem);
    wg_mem_free(x->offset);
    wg_mem_free(x->blocks);
    wg_mem_free(x->ran.steps);
    wg_mem_free(x);
}
