/* The generator's small choices: numbers, scalars, shapes, registers. */
#include "generator.h"

#include <math.h>

uint64_t fuzz_random(fuzz_generator *g) { return g->random = fuzz_mix(g->random); }

int64_t fuzz_below(fuzz_generator *g, int64_t n) { return (int64_t)(fuzz_random(g) >> 16) % n; }

bool fuzz_chance(fuzz_generator *g, int percent) { return fuzz_below(g, 100) < percent; }

/* Few different ones in a program, so that scalars coincide. */
double fuzz_scalar(fuzz_generator *g) {
    static const double usual[] = {0.5, 2, -1, 1, 0, 3, 0.1, -0.25};
    if (fuzz_chance(g, 90)) {
        return usual[(g->scalars + fuzz_below(g, 4)) % 8];
    }
    return fuzz_chance(g, 90) ? (double)fuzz_below(g, 4001) / 1000 - 2 : fuzz_chance(g, 50) ? INFINITY : NAN;
}

wg_dtype fuzz_dtype(fuzz_generator *g) {
    static const wg_dtype dtypes[] = {WG_F32, WG_F32,  WG_F32,  WG_F32,  WG_F32, WG_F32, WG_F64, WG_F64, WG_F16, WG_F16,
                                      WG_F16, WG_BF16, WG_BF16, WG_BF16, WG_I64, WG_I64, WG_I32, WG_U8,  WG_BOOL};
    if (g->profile == FUZZ_FEW) {
        return fuzz_chance(g, 75) ? g->floating : WG_F32;
    }
    return fuzz_chance(g, 40) ? g->floating : dtypes[fuzz_below(g, sizeof dtypes / sizeof *dtypes)];
}

int64_t fuzz_size(fuzz_generator *g) {
    int64_t k = fuzz_below(g, 400);
    return k < 360   ? 1 + k % 7
           : k < 366 ? 0
           : k < 385 ? 8 + fuzz_below(g, 16)
           : k < 398 ? 24 + fuzz_below(g, 120)
                     : 1200;
}

wg_shape fuzz_shape(fuzz_generator *g, int max_rank) {
    wg_shape s = {.rank = (int)fuzz_below(g, 100) % (max_rank + 1)};
    int64_t n = 1;
    for (int i = 0; i < s.rank; i++) {
        int64_t d = fuzz_chance(g, 12) ? 1 : g->size[fuzz_below(g, 3)];
        s.dim[i] = n * d > 2400 ? 1 : d;
        n *= s.dim[i];
    }
    return s;
}

bool fuzz_wanted(const wg_tensor *t, int want) {
    wg_dtype d = wg_dtype_of(t);
    return t && (!(want & WANT_FLOAT) || wg_dtype_is_float(d)) && (!(want & WANT_BOOL) || d == WG_BOOL) &&
           (!(want & WANT_GRAD) || wg_requires_grad(t)) && (!(want & WANT_LEAF) || wg_is_leaf(t)) &&
           (!(want & WANT_MATRIX) || wg_rank(t) >= 2) && (!(want & WANT_NUMBERS) || (d != WG_BOOL && d != WG_U8));
}

int fuzz_choose(fuzz_generator *g, int want) {
    if (fuzz_chance(g, 45) && fuzz_wanted(g->m.reg[g->newest].t, want)) {
        return g->newest;
    }
    int64_t start = fuzz_below(g, FUZZ_REGS);
    for (int i = 0; i < FUZZ_REGS; i++) {
        int k = (int)((start + i) % FUZZ_REGS);
        if (fuzz_wanted(g->m.reg[k].t, want)) {
            return k;
        }
    }
    return -1;
}

static bool broadcast(const wg_tensor *a, const wg_tensor *b) {
    wg_shape s = wg_shape_of(a), t = wg_shape_of(b);
    for (int i = 1; i <= s.rank && i <= t.rank; i++) {
        int64_t x = s.dim[s.rank - i], y = t.dim[t.rank - i];
        if (x != y && x != 1 && y != 1) {
            return false;
        }
    }
    return fuzz_joint(a, b) <= FUZZ_ELEMENTS;
}

int fuzz_choose_with(fuzz_generator *g, int a) {
    for (int i = 0; i < 10; i++) {
        int b = fuzz_choose(g, WANT_ANY);
        if (b != a && broadcast(g->m.reg[a].t, g->m.reg[b].t)) {
            return b;
        }
    }
    return a;
}

static bool same_kind(const wg_tensor *a, const wg_tensor *b) {
    wg_shape s = wg_shape_of(a), t = wg_shape_of(b);
    bool same = s.rank == t.rank && wg_dtype_of(a) == wg_dtype_of(b);
    for (int i = 0; same && i < s.rank; i++) {
        same = s.dim[i] == t.dim[i];
    }
    return same;
}

int fuzz_choose_like(fuzz_generator *g, int a) {
    for (int i = 0; i < 8; i++) {
        int b = fuzz_choose(g, WANT_ANY);
        if (b != a && b >= 0 && same_kind(g->m.reg[a].t, g->m.reg[b].t)) {
            return b;
        }
    }
    fuzz_inst in = {.op = fuzz_find_op(fuzz_chance(g, 50) ? "mul_scalar" : "rsub_scalar"), .reg = {a}};
    in.scalar[0] = fuzz_scalar(g);
    int b = fuzz_emit(g, &in);
    return b >= 0 && same_kind(g->m.reg[a].t, g->m.reg[b].t) ? b : -1;
}
