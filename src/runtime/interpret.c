/*
 * Steps of a plan on the host, interpreted: the bits of the simd form without a compiler. For tests, which run more
 * plans than any driver could build kernels for.
 */
#include "kernels/gemm.h"
#include "runtime/exec.h"
#include "runtime/machine.h"
#include "tensor/dtype.h"

#include <string.h>

static int block_at(int64_t i, int64_t size) { return size - i < WG_WIDE ? (int)(size - i) : WG_WIDE; }

/* ---- matrix products ------------------------------------------------------------------------------------------------ */

/* Where product z of the batch starts in the operands. */
static void enter_batch(const wg_product *t, int64_t z, int64_t *a, int64_t *b) {
    for (int i = t->rank - 1; i >= 0; i--) {
        *a += z % t->batch[i] * t->a_batch[i];
        *b += z % t->batch[i] * t->b_batch[i];
        z /= t->batch[i];
    }
}

static void multiply(wg_machine *m, const wg_product *t, int64_t z) {
    const int64_t *gemm = m->p + m->l->nparams - WG_GEMM_P_COUNT;
    int64_t a_start = gemm[WG_GEMM_P_A_OFFSET], b_start = gemm[WG_GEMM_P_B_OFFSET];
    wg_dtype dtype = (wg_dtype)m->loop->inst[0].dtype;
    enter_batch(t, z, &a_start, &b_start);
    for (int64_t row = 0; row < t->m; row++) {
        wg_machine_enter_row(m, z * t->m + row);
        for (int64_t col = 0; col < t->n; col += WG_WIDE) {
            wg_strip a = {m->mem[0], a_start + row * t->a_row, t->a_col, 0};
            wg_strip b = {m->mem[1], b_start + col * t->b_col, t->b_row, t->b_col};
            wg_lanes_product(dtype, &a, &b, t->k, block_at(col, t->n), &m->x[0]);
            wg_machine_finish(m, col, block_at(col, t->n));
        }
    }
}

static void run_matmul(wg_machine *m, const wg_product *t) {
    int64_t batches = 1;
    for (int i = 0; i < t->rank; i++) {
        batches *= t->batch[i];
    }
    for (int64_t z = 0; z < batches; z++) {
        multiply(m, t, z);
    }
}

/* ---- index_add ------------------------------------------------------------------------------------------------------ */

/* to += from, n <= 16 elements. */
static void add(wg_dtype dtype, void *base, int64_t to, const void *source, int64_t from, int n) {
    int64_t at[WG_WIDE], source_at[WG_WIDE];
    int32_t on[WG_WIDE];
    wg_lanes a, b, sum;
    for (int l = 0; l < WG_WIDE; l++) {
        on[l] = l < n;
        at[l] = to + l;
        source_at[l] = from + l;
    }
    wg_lanes_load(dtype, base, at, on, &a);
    wg_lanes_load(dtype, source, source_at, on, &b);
    wg_lanes_apply(WG_P_ADD, dtype, dtype, &a, &b, &a, &sum);
    wg_lanes_store(dtype, base, at, n, &sum);
}

static void run_scatter(const wg_lowered *l, const int64_t *p, char *const *mem) {
    wg_dtype dtype = (wg_dtype)l->buffers[3].dtype;
    size_t size = wg_dtype_size(dtype);
    int64_t outer = p[0], n = p[1], inner = p[2], count = p[3];
    const int64_t *index = (const int64_t *)(const void *)mem[1] + p[5];
    int64_t *trap = (int64_t *)(void *)mem[4] + p[8];
    memmove(mem[3] + (size_t)p[7] * size, mem[0] + (size_t)p[4] * size, (size_t)(outer * n * inner) * size);
    for (int64_t s = 0; s < count; s++) {
        if (index[s] < 0 || index[s] >= n) {
            trap[0] = p[9];
            trap[1] = p[10];
            continue;
        }
        for (int64_t o = 0; o < outer; o++) {
            int64_t to = p[7] + (o * n + index[s]) * inner, from = p[6] + (o * count + s) * inner;
            for (int64_t i = 0; i < inner; i += WG_WIDE) {
                add(dtype, mem[3], to + i, mem[2], from + i, block_at(i, inner));
            }
        }
    }
}

/* ---- steps ---------------------------------------------------------------------------------------------------------- */

bool wg_interpret(const wg_step *step, const int64_t *params, char *const *mem, wg_room *room) {
    if (step->kind == WG_GROUP_SCATTER) {
        run_scatter(&step->l, params, mem);
        return true;
    }
    wg_machine m;
    if (!wg_machine_make(&step->l, params, mem, room, &m)) {
        return false;
    }
    if (step->kind == WG_GROUP_MATMUL) {
        run_matmul(&m, &step->product);
    } else {
        wg_machine_run(&m);
    }
    return true;
}
