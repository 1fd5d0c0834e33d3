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

/* A product under way: its operands, and the machines and room of those that are made. */
typedef struct factor {
    wg_lowered loop;
    wg_machine machine;
    void *made;
    operand now;
} factor;

typedef struct product_run {
    factor factor[WG_MAX_TERMS][2];
    wg_machine machine; /* of what is computed from them */
    wg_lanes *row;      /* of each product */
} product_run;

static const wg_product *product_of(const wg_step *s, int t) { return t ? &s->l.more[t - 1].product : &s->product; }

static int64_t pieces_of(const wg_step *s) { return (s->product.n + WG_WIDE - 1) / WG_WIDE; }

static void multiply(const wg_step *s, product_run *r, int64_t z) {
    wg_machine *m = &r->machine;
    wg_dtype dtype = (wg_dtype)m->loop->inst[0].dtype;
    for (int64_t row = 0; row < s->product.m; row++) {
        for (int t = 0; t <= s->l.nmore; t++) {
            const operand *a = &r->factor[t][0].now, *b = &r->factor[t][1].now;
            for (int64_t col = 0; col < s->product.n; col += WG_WIDE) {
                wg_strip x = {a->dtype, a->from, a->at + row * a->row, a->col, 0};
                wg_strip y = {b->dtype, b->from, b->at + col * b->col, b->row, b->col};
                wg_lanes_product(dtype, &x, &y, product_of(s, t)->k, block_at(col, s->product.n),
                                 &r->row[t * pieces_of(s) + col / WG_WIDE]);
            }
        }
        wg_machine_enter_row(m, z * s->product.m + row);
        wg_machine_finish(m, r->row, s->product.n);
    }
}

/* Bytes of operand k of product t where it is made, 0 where it lies in memory. */
static size_t made_bytes(const wg_step *s, int t, int k) {
    const wg_product *m = product_of(s, t);
    const wg_lowered l = wg_lowered_term(&s->l, t);
    size_t size = wg_dtype_size((wg_dtype)s->l.loop.inst[0].dtype);
    return wg_makes_operand(&l, k) ? (size_t)(k ? m->k * m->n : m->m * m->k) * size : 0;
}

static bool prepare(const wg_step *s, const int64_t *params, char *const *mem, wg_room *room, product_run *r) {
    size_t machines = wg_machine_room(&s->l), rows = (size_t)(pieces_of(s) * (s->l.nmore + 1)) * sizeof(wg_lanes);
    size_t bytes = machines + rows;
    for (int i = 0; i < 2 * (s->l.nmore + 1); i++) {
        factor *f = &r->factor[i / 2][i % 2];
        const wg_lowered l = wg_lowered_term(&s->l, i / 2);
        f->loop = wg_operand_loop(&l, i % 2);
        bytes += wg_makes_operand(&l, i % 2) ? wg_machine_room(&f->loop) + made_bytes(s, i / 2, i % 2) : 0;
    }
    char *space = wg_room_get(room, bytes), *at = space;
    if (!space) {
        return false;
    }
    wg_machine_make(&s->l, params, mem, at, &r->machine);
    at += machines;
    r->row = (void *)at;
    at += rows;
    for (int made = 0; made < 2; made++) { /* machines first, which are aligned */
        for (int i = 0; i < 2 * (s->l.nmore + 1); i++) {
            factor *f = &r->factor[i / 2][i % 2];
            const wg_lowered l = wg_lowered_term(&s->l, i / 2);
            if (wg_makes_operand(&l, i % 2) && !made) {
                wg_machine_make(&f->loop, params, mem, at, &f->machine);
                at += wg_machine_room(&f->loop);
            } else if (made) {
                f->made = at;
                at += made_bytes(s, i / 2, i % 2);
            }
        }
    }
    return true;
}

static wg_dtype buffer_dtype(const wg_lowered *l, int k) { return (wg_dtype)l->buffers[l->operand[k]].dtype; }

/* The operands of product z of the batch. */
static void enter_product(const wg_step *s, int t, int64_t z, const int64_t *gemm, char *const *mem, factor *f) {
    const wg_product *m = product_of(s, t);
    const wg_lowered l = wg_lowered_term(&s->l, t);
    const int64_t *starts = gemm + wg_gemm_start(t);
    int64_t a_start = starts[0], b_start = starts[1];
    enter_batch(m, z, &a_start, &b_start);
    f[0].now = wg_makes_operand(&l, 0) ? make_operand(&l, 0, &f[0].machine, z, m->m, m->k, f[0].made)
                                       : (operand){buffer_dtype(&l, 0), mem[l.operand[0]], a_start, m->a_row, m->a_col};
    f[1].now = wg_makes_operand(&l, 1) ? make_operand(&l, 1, &f[1].machine, z, m->k, m->n, f[1].made)
                                       : (operand){buffer_dtype(&l, 1), mem[l.operand[1]], b_start, m->b_row, m->b_col};
}

static bool run_matmul(const wg_step *step, const int64_t *params, char *const *mem, wg_room *room) {
    product_run r;
    int64_t batches = 1;
    if (!prepare(step, params, mem, room, &r)) {
        return false;
    }
    for (int i = 0; i < step->product.rank; i++) {
        batches *= step->product.batch[i];
    }
    for (int64_t z = 0; z < batches; z++) {
        for (int t = 0; t <= step->l.nmore; t++) {
            enter_product(step, t, z, params + step->l.own, mem, r.factor[t]);
        }
        multiply(step, &r, z);
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
