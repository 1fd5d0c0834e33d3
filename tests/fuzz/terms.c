/* Products that are added to each other, with other things in between that read or change what they are made of. */
#include "generator.h"

static wg_tensor *at(const fuzz_generator *g, int reg) { return reg < 0 ? NULL : g->m.reg[reg].t; }

/* A tensor of that shape: as it is, or seen through a transposition, so that lanes lie along its rows. */
static int operand(fuzz_generator *g, wg_dtype dtype, wg_shape s) {
    static const char *const maps[] = {"neg", "relu", "square", "tanh"};
    bool turned = fuzz_chance(g, 40);
    int64_t last = s.dim[s.rank - 1];
    if (turned) {
        s.dim[s.rank - 1] = s.dim[s.rank - 2];
        s.dim[s.rank - 2] = last;
    }
    int a = fuzz_emit_leaf(g, dtype, s);
    if (a >= 0 && fuzz_chance(g, 40)) {
        fuzz_emit_op(g, "param", REGS(a), NUMS(0));
    } else if (a >= 0 && fuzz_chance(g, 40)) {
        a = fuzz_emit_op(g, maps[fuzz_below(g, 4)], REGS(a), NUMS(0));
    }
    return a >= 0 && turned ? fuzz_emit_op(g, "transpose", REGS(a), NUMS(s.rank - 1, s.rank - 2)) : a;
}

/* One product of the sum, with what is computed from it alone. */
static int term(fuzz_generator *g, wg_dtype dtype, wg_shape out, int shared) {
    int64_t n = out.dim[out.rank - 1], k = g->size[fuzz_below(g, 3)];
    bool batched = out.rank > 2 && fuzz_chance(g, 50);
    wg_shape left = out, right = batched ? out : WG_SHAPE(k, n);
    left.dim[out.rank - 1] = k;
    right.dim[right.rank - 2] = k;
    right.dim[right.rank - 1] = n;
    int a = at(g, shared) && fuzz_chance(g, 30) ? shared : operand(g, dtype, left);
    int b = operand(g, dtype, right), c = fuzz_emit_op(g, "matmul", REGS(a, b), NUMS(0));
    if (b >= 0 && fuzz_chance(g, 30)) { /* what the product reads is something else before the sum is taken */
        int value = fuzz_choose_like(g, b);
        fuzz_emit_op(g, "assign", REGS(b, value), NUMS(0));
    }
    if (fuzz_chance(g, 25)) {
        fuzz_idiom_update(g);
    }
    wg_tensor *was = at(g, c);
    if (was && fuzz_chance(g, 40)) {
        int bias = fuzz_emit_leaf(g, dtype, WG_SHAPE(n));
        c = at(g, c) == was ? fuzz_emit_op(g, "add", REGS(c, bias), NUMS(0)) : -1;
    }
    return c >= 0 && fuzz_chance(g, 20) ? fuzz_emit_op(g, "relu", REGS(c), NUMS(0)) : c;
}

void fuzz_idiom_sum(fuzz_generator *g) {
    static const char *const ways[] = {"add", "add", "add", "sub", "mul"};
    int shared = fuzz_choose(g, WANT_MATRIX | WANT_NUMBERS);
    if (shared < 0) {
        return;
    }
    wg_dtype dtype = wg_dtype_of(at(g, shared));
    wg_shape out = wg_shape_of(at(g, shared));
    out.dim[out.rank - 1] = g->size[fuzz_below(g, 3)];
    int sum = term(g, dtype, out, shared);
    for (int64_t i = 0, n = 1 + fuzz_below(g, 5); i < n && at(g, sum); i++) {
        wg_tensor *was = at(g, sum);
        int next = term(g, dtype, out, shared);
        if (next < 0 || at(g, sum) != was) {
            return;
        }
        bool swap = fuzz_chance(g, 40);
        sum = fuzz_emit_op(g, ways[fuzz_below(g, 5)], REGS(swap ? next : sum, swap ? sum : next), NUMS(0));
        if (sum >= 0 && fuzz_chance(g, 10)) {
            fuzz_emit_op(g, fuzz_chance(g, 50) ? "read" : "keep", REGS(sum), NUMS(0));
        }
    }
}
