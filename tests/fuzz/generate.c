/* The generator: instructions, leaves, bodies and their copies. */
#include "generator.h"

#include <string.h>

/* ---- emitting ------------------------------------------------------------------------------------------------------- */

static bool uses(const fuzz_inst *in, int reg) {
    int n = 0;
    for (const char *a = in->op->args; *a; a++) {
        if (*a == 'r' && in->reg[n++] == reg) {
            return true;
        }
    }
    return false;
}

/* A register for a result: an empty one, or one whose tensor is no longer wanted, freed or left to its scope. */
static int destination(fuzz_generator *g, const fuzz_inst *in) {
    int k = 0;
    for (int i = 0; i < 4; i++) {
        k = FUZZ_LEAVES + (int)fuzz_below(g, FUZZ_REGS - FUZZ_LEAVES);
        if (!g->m.reg[k].t) {
            return k;
        }
    }
    if (fuzz_chance(g, 50) && !uses(in, k)) {
        fuzz_inst end = {.op = fuzz_find_op("free"), .dst = -1, .reg = {k}};
        fuzz_step(&g->m, &end);
        fuzz_add(g->p, &end);
    }
    return k;
}

int fuzz_emit(fuzz_generator *g, const fuzz_inst *in) {
    fuzz_inst made = *in;
    bool result = in->op->args[0] == '=';
    made.dst = result ? destination(g, in) : -1;
    if (!fuzz_step(&g->m, &made)) {
        return -1;
    }
    fuzz_add(g->p, &made);
    g->newest = result ? made.dst : g->newest;
    return result ? made.dst : 0;
}

int fuzz_emit_op(fuzz_generator *g, const char *name, const int reg[3], const int64_t num[4]) {
    fuzz_inst in = {.op = fuzz_find_op(name), .dst = -1};
    memcpy(in.reg, reg, 3 * sizeof *reg);
    memcpy(in.num, num, 4 * sizeof *num);
    for (int i = 0; i < FUZZ_ARGS; i++) {
        in.scalar[i] = fuzz_scalar(g);
    }
    return fuzz_emit(g, &in);
}

static fuzz_inst leaf_inst(fuzz_generator *g, wg_dtype dtype, wg_shape shape) {
    return (fuzz_inst){.op = fuzz_find_op("leaf"), .num = {dtype, fuzz_below(g, 1000)}, .shape = shape};
}

int fuzz_emit_leaf(fuzz_generator *g, wg_dtype dtype, wg_shape shape) {
    fuzz_inst in = leaf_inst(g, dtype, shape);
    return fuzz_emit(g, &in);
}

/* ---- single instructions -------------------------------------------------------------------------------------------- */

/* Another shape of as many elements: neighbours merged, a size split, ones put in. */
static wg_shape reshaped(fuzz_generator *g, wg_shape s) {
    if (s.rank >= 2 && fuzz_chance(g, 50)) {
        int at = (int)fuzz_below(g, s.rank - 1);
        s.dim[at] *= s.dim[at + 1];
        memmove(&s.dim[at + 1], &s.dim[at + 2], (size_t)(s.rank - at - 2) * sizeof *s.dim);
        s.rank--;
    } else if (s.rank < 5) {
        int at = (int)fuzz_below(g, s.rank + 1);
        memmove(&s.dim[at + 1], &s.dim[at], (size_t)(s.rank - at) * sizeof *s.dim);
        s.rank++;
        s.dim[at] = 1;
        for (int64_t f = 2; f <= 3 && at + 1 < s.rank; f++) {
            if (s.dim[at + 1] % f == 0 && fuzz_chance(g, 70)) {
                s.dim[at] *= f;
                s.dim[at + 1] /= f;
            }
        }
    }
    return s;
}

static wg_shape expanded(fuzz_generator *g, wg_shape s) {
    for (int i = 0; i < s.rank; i++) {
        s.dim[i] = s.dim[i] == 1 && fuzz_chance(g, 70) ? g->size[fuzz_below(g, 3)] : s.dim[i];
    }
    if (s.rank < 5 && fuzz_chance(g, 50)) {
        memmove(&s.dim[1], &s.dim[0], (size_t)s.rank * sizeof *s.dim);
        s.dim[0] = g->size[fuzz_below(g, 3)];
        s.rank++;
    }
    return s;
}

static void single(fuzz_generator *g, fuzz_family family) {
    fuzz_inst in = {.op = fuzz_pick_op(family, g->profile == FUZZ_FEW ? 4 : 0, fuzz_random(g))};
    int a = in.reg[0] = fuzz_choose(g, family == FUZZ_MAP3 ? WANT_BOOL : WANT_ANY);
    for (int i = 0; i < FUZZ_ARGS; i++) {
        in.num[i] = fuzz_below(g, 100) - 10;
        in.scalar[i] = fuzz_scalar(g);
    }
    if (a < 0 && family != FUZZ_MAKE) {
        return;
    }
    in.reg[1] = family == FUZZ_MAP2 || family == FUZZ_MAP3 ? fuzz_choose_with(g, a) : 0;
    in.reg[2] = family == FUZZ_MAP3 ? fuzz_choose_with(g, in.reg[1]) : 0;
    if (strchr(in.op->args, 't')) {
        in.num[0] = fuzz_dtype(g);
    }
    if (family == FUZZ_MAKE) {
        in.shape = fuzz_shape(g, 4);
    } else if (family == FUZZ_SHAPED) {
        wg_shape s = wg_shape_of(g->m.reg[a].t);
        in.shape = in.op == fuzz_find_op("reshape") ? reshaped(g, s) : expanded(g, s);
    } else if (family == FUZZ_REDUCE) {
        in.num[0] = fuzz_chance(g, 25) ? 0 : fuzz_below(g, 32);
    } else if (family == FUZZ_MAPS && in.scalar[0] > in.scalar[1]) {
        in.scalar[1] = in.scalar[0] + 1;
    }
    fuzz_emit(g, &in);
}

static void demand(fuzz_generator *g) {
    static const char *const names[] = {"read", "read", "eval", "data"};
    int a = fuzz_choose(g, WANT_ANY), b = fuzz_choose(g, WANT_ANY);
    if (a >= 0) {
        fuzz_emit_op(g, names[fuzz_below(g, 4)], REGS(a, b, -1), NUMS(0));
    }
}

static void own(fuzz_generator *g) {
    int a = fuzz_choose(g, WANT_ANY);
    if (a >= FUZZ_LEAVES) {
        fuzz_emit_op(g, fuzz_chance(g, 50) ? "keep" : "free", REGS(a), NUMS(0));
    }
}

static void scope(fuzz_generator *g) {
    if (fuzz_chance(g, 10)) {
        fuzz_emit_op(g, "no_grad", REGS(-1), NUMS(fuzz_below(g, 2)));
    } else if (g->m.depth > 1 && fuzz_chance(g, 50)) {
        fuzz_emit_op(g, "end", REGS(-1), NUMS(0));
    } else if (g->m.depth < 4) {
        fuzz_emit_op(g, "begin", REGS(-1), NUMS(0));
    }
}

/* ---- programs ------------------------------------------------------------------------------------------------------- */

static void action(fuzz_generator *g) {
    static const struct {
        int weight;
        fuzz_family family;
        void (*idiom)(fuzz_generator *g);
    } actions[] = {
        {12, FUZZ_MAP1, NULL},
        {13, FUZZ_MAPS, NULL},
        {18, FUZZ_MAP2, NULL},
        {4, FUZZ_MAP3, NULL},
        {13, FUZZ_REDUCE, NULL},
        {14, FUZZ_VIEW, NULL},
        {5, FUZZ_SHAPED, NULL},
        {3, FUZZ_MAKE, NULL},
        {6, FUZZ_SPECIAL, fuzz_idiom_matmul},
        {4, FUZZ_SPECIAL, fuzz_idiom_sum},
        {6, FUZZ_SPECIAL, fuzz_idiom_gather},
        {2, FUZZ_SPECIAL, fuzz_idiom_norm},
        {4, FUZZ_SPECIAL, fuzz_idiom_join},
        {4, FUZZ_SPECIAL, fuzz_idiom_parts},
        {6, FUZZ_SPECIAL, fuzz_idiom_backward},
        {3, FUZZ_SPECIAL, fuzz_idiom_gradients},
        {10, FUZZ_SPECIAL, fuzz_idiom_update},
        {6, FUZZ_SPECIAL, fuzz_idiom_snapshot},
        {4, FUZZ_SPECIAL, fuzz_idiom_optim},
        {7, FUZZ_SPECIAL, demand},
        {8, FUZZ_SPECIAL, own},
        {3, FUZZ_SPECIAL, scope},
    };
    int n = sizeof actions / sizeof *actions, total = 0, k = 0;
    for (int i = 0; i < n; i++) {
        total += actions[i].weight;
    }
    for (int64_t at = fuzz_below(g, total); at >= actions[k].weight; k++) {
        at -= actions[k].weight;
    }
    if (actions[k].idiom) {
        actions[k].idiom(g);
    } else {
        single(g, actions[k].family);
    }
}

static void leaves(fuzz_generator *g) {
    int64_t n = 2 + fuzz_below(g, 3);
    for (int k = 0; k < n; k++) {
        fuzz_inst in =
            leaf_inst(g, k == 0 ? g->floating : fuzz_dtype(g), fuzz_shape(g, g->profile == FUZZ_FEW ? 3 : 4));
        in.dst = k;
        if (fuzz_step(&g->m, &in)) {
            fuzz_add(g->p, &in);
            g->newest = k;
        }
        if (fuzz_wanted(g->m.reg[k].t, WANT_FLOAT) && fuzz_chance(g, 60)) {
            fuzz_emit_op(g, "param", REGS(k), NUMS(0));
        }
    }
}

static bool is(const fuzz_inst *in, const char *name) { return in->op == fuzz_find_op(name); }

/* What a copy of an instruction changes always: the data. */
static void renew(fuzz_generator *g, fuzz_inst *in) {
    if (is(in, "leaf") || is(in, "write") || is(in, "data_mut")) {
        int k = is(in, "leaf");
        in->num[k] = fuzz_chance(g, 70) ? fuzz_below(g, 1000) : in->num[k];
    }
}

/* And what makes it nearly the same: other values are wanted, a number or an operand is another. */
static void mutate(fuzz_generator *g, fuzz_inst *in) {
    int i = (int)fuzz_below(g, 3);
    if (is(in, "read") || is(in, "eval") || is(in, "keep")) {
        in->op = fuzz_chance(g, 40) ? fuzz_find_op("eval") : in->op;
        in->reg[1] = (int)fuzz_below(g, FUZZ_REGS);
        in->reg[2] = (int)fuzz_below(g, FUZZ_REGS);
    } else if (!fuzz_chance(g, 18)) {
        return;
    } else if (strchr(in->op->args, 'i') && !is(in, "leaf")) {
        in->num[i] = fuzz_below(g, 8);
    } else if (fuzz_chance(g, 30) && in->op->family != FUZZ_SPECIAL) {
        in->op = fuzz_pick_op(in->op->family, 0, fuzz_random(g));
        in->num[0] = strchr(in->op->args, 't') ? (int64_t)fuzz_dtype(g) : in->num[0];
    } else if (fuzz_chance(g, 20)) {
        in->reg[i] = (int)fuzz_below(g, FUZZ_REGS);
    }
}

static void resize(wg_shape *s, int64_t from, int64_t to) {
    for (int i = 0; i < s->rank; i++) {
        s->dim[i] = s->dim[i] == from ? to : s->dim[i];
    }
}

/* The body at [start, end) once more: the same, with other scalars, or nearly the same and perhaps in another size. */
static void repeat(fuzz_generator *g, size_t start, size_t end) {
    int64_t way = fuzz_below(g, 4), from = g->size[0], to = fuzz_chance(g, 25) ? 1 + fuzz_below(g, 6) : from;
    for (size_t i = start; i < end; i++) {
        fuzz_inst in = g->p->inst[i];
        renew(g, &in);
        for (int k = 0; way > 0 && k < FUZZ_ARGS; k++) {
            in.scalar[k] = fuzz_chance(g, 35) ? fuzz_scalar(g) : in.scalar[k];
        }
        if (way > 1) {
            mutate(g, &in);
            resize(&in.shape, from, to);
        }
        if (way <= 1 || !fuzz_chance(g, 3)) {
            fuzz_add(g->p, &in);
        }
    }
}

void fuzz_generate(fuzz_program *p, uint64_t seed, fuzz_profile profile) {
    fuzz_generator g = {.p = p, .random = fuzz_mix(seed), .profile = profile};
    wg_ctx *ctx = wg_open("null");
    fuzz_machine_start(&g.m, ctx, NULL);
    for (int i = 0; i < 3; i++) {
        g.size[i] = fuzz_size(&g);
    }
    g.scalars = fuzz_below(&g, 8);
    g.floating = fuzz_chance(&g, 60) ? WG_F32 : fuzz_chance(&g, 50) ? WG_F16 : WG_BF16;
    bool root = fuzz_chance(&g, 20);
    fuzz_emit_op(&g, "next", REGS(-1), NUMS((int64_t)(seed % 1000)));
    if (!root) {
        fuzz_emit_op(&g, "begin", REGS(-1), NUMS(0));
    }
    leaves(&g);
    size_t start = p->n;
    if (!fuzz_chance(&g, 15)) {
        fuzz_emit_op(&g, "begin", REGS(-1), NUMS(0));
    }
    int depth = g.m.depth;
    for (int64_t n = profile == FUZZ_FEW ? 3 + fuzz_below(&g, 6) : 4 + fuzz_below(&g, 18); n > 0; n--) {
        action(&g);
    }
    if (fuzz_chance(&g, 85)) {
        fuzz_idiom_harvest(&g);
    }
    while (g.m.depth >= depth && g.m.depth > 1) {
        fuzz_emit_op(&g, "end", REGS(-1), NUMS(0));
    }
    size_t end = p->n;
    for (int64_t n = fuzz_chance(&g, 65) ? 1 + fuzz_below(&g, 3) : 0; n > 0; n--) {
        repeat(&g, start, end);
    }
    fuzz_machine_finish(&g.m);
    wg_close(ctx);
}
