/* Products by the backend's library: which it takes, plans that hold no others, and their runs. */
#include "runtime/exec.h"
#include "tensor/dtype.h"

/* A library is given the innermost batches at once; steps along more than one such dim are calls of their own. */
enum { MOST_CALLS = 256 };

static int64_t outer_batches(const wg_product *m) {
    int64_t n = 1;
    for (int i = 0; i < m->rank - 1; i++) {
        n *= m->batch[i];
    }
    return n;
}

/* Every kernel's memory begins at a multiple of more; a library gains nothing from that. */
enum { ALIGNED = 16 };

/* What all that the product reads and writes begins at a multiple of, in bytes, whichever part of the batch. */
static int64_t alignment(const wg_step *step, wg_dtype dtype) {
    const wg_product *m = &step->product;
    uint64_t at = (uint64_t)m->a_offset | (uint64_t)m->b_offset | (uint64_t)step->epilogue.addend_at |
                  (uint64_t)step->epilogue.bias_at | (uint64_t)step->epilogue.input_at;
    for (int i = 0; i < m->rank; i++) {
        at |= (uint64_t)m->a_batch[i] | (uint64_t)m->b_batch[i] | (uint64_t)(m->m * m->n);
    }
    at = at * wg_dtype_size(dtype) | ALIGNED;
    return (int64_t)(at & (~at + 1));
}

bool wg_library_takes(const wg_dev *dev, const wg_step *step, wg_gemm_call *out) {
    const wg_product *m = &step->product;
    const wg_loop *loop = &step->l.loop;
    /* A product of bytes: stored as it is, or rounded to its dtype, which a library does itself, or with an epilogue. */
    wg_dtype dtype = (wg_dtype)step->l.buffers[0].dtype;
    bool stored = loop->ninsts == (wg_dtype_is_half(dtype) ? 2 : 1) && loop->nstores == 1;
    bool alone = !wg_makes_operand(&step->l, 0) && !wg_makes_operand(&step->l, 1) && step->l.scratch < 0 &&
                 (stored || step->epilogue.does);
    for (int b = 0; b < step->l.nbuffers; b++) {
        alone = alone && step->l.buffers[b].part == 0;
    }
    if (!dev->limits->gemm_library || !alone || outer_batches(m) > MOST_CALLS) {
        return false;
    }
    int inner = m->rank - 1;
    *out = (wg_gemm_call){.dtype = dtype,
                          .m = m->m,
                          .n = m->n,
                          .k = m->k,
                          .batch = inner >= 0 ? m->batch[inner] : 1,
                          .a_offset = m->a_offset,
                          .a_row = m->a_row,
                          .a_col = m->a_col,
                          .a_batch = inner >= 0 ? m->a_batch[inner] : 0,
                          .b_offset = m->b_offset,
                          .b_row = m->b_row,
                          .b_col = m->b_col,
                          .b_batch = inner >= 0 ? m->b_batch[inner] : 0,
                          .epilogue = step->epilogue.does,
                          .aligned = alignment(step, dtype)};
    return dev->backend->gemm_takes(dev->dev, out);
}

/* Marks the products whose epilogues the library refuses; how many. */
static int find_refused(const wg_dev *dev, const wg_plan *plan, bool *plain) {
    int n = 0;
    for (int i = 0; i < plan->nsteps; i++) {
        const wg_step *s = &plan->steps[i];
        wg_gemm_call call;
        if (s->kind == WG_GROUP_MATMUL && s->l.results > 0 && s->epilogue.does && !wg_library_takes(dev, s, &call)) {
            plain[s->epilogue.task] = true;
            n++;
        }
    }
    return n;
}

wg_plan *wg_library_plan(const wg_engine *e, const wg_problem *p, wg_err *err) {
    wg_problem problem = *p;
    bool *plain = e->dev.limits->epilogues ? wg_mem_zalloc(p->ntasks * sizeof *plain) : NULL;
    if (e->dev.limits->epilogues && !plain) {
        wg_err_set(err, WG_ERR_NOMEM, "a plan of %zu ops: out of host memory", p->ntasks);
        return NULL;
    }
    problem.plain = plain;
    wg_plan *plan = wg_plan_make(&problem, e->fuse, e->form, e->dev.limits, err);
    while (plan && plain && find_refused(&e->dev, plan, plain) > 0) { /* each time fewer are left */
        wg_plan_free(plan);
        plan = wg_plan_make(&problem, e->fuse, e->form, e->dev.limits, err);
    }
    wg_mem_free(plain);
    return plan;
}

/* The memory of a buffer, and where it begins there, in elements; NULL for none. */
static int64_t find(const wg_exec *x, const wg_lowered *l, int buffer, const wg_mem **mem) {
    int slot = buffer < 0 ? -1 : l->buffers[buffer].slot;
    *mem = slot < 0 ? NULL : x->mem[slot];
    return slot < 0 ? 0 : (int64_t)(x->offset[slot] / wg_dtype_size((wg_dtype)l->buffers[buffer].dtype));
}

wg_status wg_library_run(const wg_engine *e, const wg_exec *x, int step, wg_err *err) {
    const wg_step *s = &x->plan->steps[step];
    const wg_product *m = &s->product;
    const wg_lowered *l = &s->l;
    const wg_epilogue *and = &s->epilogue;
    wg_gemm_call call = *x->steps[step].product;
    const int64_t a_at = find(x, l, l->operand[0], &call.a), b_at = find(x, l, l->operand[1], &call.b);
    const int64_t c_at = find(x, l, and->result, &call.c), addend_at = find(x, l, and->addend, &call.addend);
    const int64_t input_at = find(x, l, and->input, &call.input);
    call.bias_offset = find(x, l, and->bias, &call.bias) + and->bias_at;
    wg_status status = WG_OK;
    for (int64_t i = 0, n = outer_batches(m); i < n && status == WG_OK; i++) {
        int64_t at = i, a = 0, b = 0;
        for (int d = m->rank - 2; d >= 0; d--) {
            a += at % m->batch[d] * m->a_batch[d];
            b += at % m->batch[d] * m->b_batch[d];
            at /= m->batch[d];
        }
        int64_t c = i * call.batch * m->m * m->n;
        call.a_offset = m->a_offset + a + a_at;
        call.b_offset = m->b_offset + b + b_at;
        call.c_offset = c + c_at;
        call.addend_offset = and->addend_at + c + addend_at;
        call.input_offset = and->input_at + c + input_at;
        status = wg_dev_gemm(&e->dev, wg_exec_queue(x, step), &call, err);
    }
    return status;
}
