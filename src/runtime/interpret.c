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

/* An operand as a product's rows find it: element (i, j) of it is at from[at + i * row + j * col]. */
typedef struct operand {
    wg_dtype dtype;
    const void *from;
    int64_t at, row, col;
} operand;

/* Makes operand k of product z, [rows, cols], in `to`. */
static operand make_operand(const wg_lowered *l, int k, wg_machine *m, int64_t z, int64_t rows, int64_t cols,
                            void *to) {
    bool turned = l->across[k] == (k == 0); /* lanes go down its columns */
    int64_t lines = turned ? cols : rows, length = turned ? rows : cols;
    wg_dtype dtype = (wg_dtype)m->loop->inst[m->loop->value].dtype;
    for (int64_t line = 0; line < lines; line++) {
        wg_machine_enter_row(m, z * lines + line);
        for (int64_t i = 0; i < length; i += WG_WIDE) {
            int64_t at[WG_WIDE];
            for (int j = 0; j < WG_WIDE; j++) {
                at[j] = line * length + i + j;
            }
            int n = block_at(i, length);
            wg_lanes_store(dtype, to, at, n, wg_machine_value(m, i, n));
        }
    }
    return (operand){dtype, to, 0, turned ? 1 : length, turned ? length : 1};
}

static void multiply(wg_machine *m, const wg_product *t, int64_t z, const operand *a, const operand *b,
                     wg_lanes *product) {
    wg_dtype dtype = (wg_dtype)m->loop->inst[0].dtype;
    for (int64_t row = 0; row < t->m; row++) {
        for (int64_t col = 0; col < t->n; col += WG_WIDE) {
            wg_strip x = {a->dtype, a->from, a->at + row * a->row, a->col, 0};
            wg_strip y = {b->dtype, b->from, b->at + col * b->col, b->row, b->col};
            wg_lanes_product(dtype, &x, &y, t->k, block_at(col, t->n), &product[col / WG_WIDE]);
        }
        wg_machine_enter_row(m, z * t->m + row);
        wg_machine_finish(m, product, t->n);
    }
}

/* The loops of a product, a machine for each, and room for the operands that two of them make and for a row of it. */
typedef struct product_run {
    wg_lowered loop[3];
    wg_machine machine[3];
    void *made[2];
    wg_lanes *row;
} product_run;

static bool prepare(const wg_step *step, const int64_t *params, char *const *mem, wg_room *room, product_run *r) {
    const wg_lowered *l = &step->l;
    const wg_product *t = &step->product;
    size_t size = wg_dtype_size((wg_dtype)l->loop.inst[0].dtype), bytes[3] = {0}, all = 0;
    for (int k = 0; k < 3; k++) {
        r->loop[k] = k < 2 ? wg_operand_loop(l, k) : *l;
        bytes[k] = k == 2 || wg_makes_operand(l, k) ? wg_machine_room(&r->loop[k]) : 0;
        all += bytes[k];
    }
    size_t a = wg_makes_operand(l, 0) ? (size_t)(t->m * t->k) * size : 0;
    size_t b = wg_makes_operand(l, 1) ? (size_t)(t->k * t->n) * size : 0;
    size_t row = (size_t)((t->n + WG_WIDE - 1) / WG_WIDE) * sizeof(wg_lanes);
    char *space = wg_room_get(room, all + row + a + b);
    for (int k = 0; space && k < 3; k++) {
        if (bytes[k] > 0) {
            wg_machine_make(&r->loop[k], params, mem, space, &r->machine[k]);
            space += bytes[k];
        }
    }
    if (space) {
        r->row = (void *)space;
        r->made[0] = space + row;
        r->made[1] = space + row + a;
    }
    return space != NULL;
}

static wg_dtype buffer_dtype(const wg_lowered *l, int k) { return (wg_dtype)l->buffers[l->operand[k]].dtype; }

static bool run_matmul(const wg_step *step, const int64_t *params, char *const *mem, wg_room *room) {
    const wg_product *t = &step->product;
    const wg_lowered *l = &step->l;
    const int64_t *gemm = params + l->nparams - WG_GEMM_P_COUNT;
    product_run r;
    int64_t batches = 1;
    if (!prepare(step, params, mem, room, &r)) {
        return false;
    }
    for (int i = 0; i < t->rank; i++) {
        batches *= t->batch[i];
    }
    for (int64_t z = 0; z < batches; z++) {
        int64_t a_start = gemm[WG_GEMM_P_A_OFFSET], b_start = gemm[WG_GEMM_P_B_OFFSET];
        enter_batch(t, z, &a_start, &b_start);
        operand a = wg_makes_operand(l, 0)
                        ? make_operand(l, 0, &r.machine[0], z, t->m, t->k, r.made[0])
                        : (operand){buffer_dtype(l, 0), mem[l->operand[0]], a_start, t->a_row, t->a_col};
        operand b = wg_makes_operand(l, 1)
                        ? make_operand(l, 1, &r.machine[1], z, t->k, t->n, r.made[1])
                        : (operand){buffer_dtype(l, 1), mem[l->operand[1]], b_start, t->b_row, t->b_col};
        multiply(&r.machine[2], t, z, &a, &b, r.row);
    }
    return true;
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
    if (step->kind == WG_GROUP_MATMUL) {
        return run_matmul(step, params, mem, room);
    }
    wg_machine m;
    void *space = wg_room_get(room, wg_machine_room(&step->l));
    if (!space) {
        return false;
    }
    wg_machine_make(&step->l, params, mem, space, &m);
    wg_machine_run(&m);
    return true;
}
