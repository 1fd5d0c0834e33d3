/* Products by the backend's library: which it takes, and their runs. */
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

bool wg_library_takes(const wg_dev *dev, const wg_step *step, wg_gemm_call *out) {
    const wg_product *m = &step->product;
    const wg_loop *loop = &step->l.loop;
    /* A product alone: of bytes, one value, stored as it is, or rounded to its dtype, which a library does itself. */
    wg_dtype dtype = (wg_dtype)step->l.buffers[0].dtype;
    bool alone = !wg_makes_operand(&step->l, 0) && !wg_makes_operand(&step->l, 1) && step->l.scratch < 0 &&
                 loop->ninsts == (wg_dtype_is_half(dtype) ? 2 : 1) && loop->nstores == 1 &&
                 step->l.buffers[step->l.nbuffers - 1].part == 0;
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
                          .b_batch = inner >= 0 ? m->b_batch[inner] : 0};
    return dev->backend->gemm_takes(out);
}

wg_status wg_library_run(const wg_engine *e, const wg_exec *x, int step, wg_err *err) {
    const wg_step *s = &x->plan->steps[step];
    const wg_product *m = &s->product;
    const wg_lowered *l = &s->l;
    const int slot[] = {l->buffers[l->operand[0]].slot, l->buffers[l->operand[1]].slot,
                        l->buffers[l->nbuffers - 1].slot};
    const size_t size = wg_dtype_size((wg_dtype)s->l.buffers[0].dtype);
    wg_gemm_call call = *x->steps[step].product;
    call.a = x->mem[slot[0]];
    call.b = x->mem[slot[1]];
    call.c = x->mem[slot[2]];
    wg_status status = WG_OK;
    for (int64_t i = 0, n = outer_batches(m); i < n && status == WG_OK; i++) {
        int64_t at = i, a = 0, b = 0;
        for (int d = m->rank - 2; d >= 0; d--) {
            a += at % m->batch[d] * m->a_batch[d];
            b += at % m->batch[d] * m->b_batch[d];
            at /= m->batch[d];
        }
        call.a_offset = m->a_offset + a + (int64_t)(x->offset[slot[0]] / size);
        call.b_offset = m->b_offset + b + (int64_t)(x->offset[slot[1]] / size);
        call.c_offset = i * call.batch * m->m * m->n + (int64_t)(x->offset[slot[2]] / size);
        status = wg_dev_gemm(&e->dev, wg_exec_queue(x, step), &call, err);
    }
    return status;
}
