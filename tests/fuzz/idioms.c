/* Instructions that go together: operands that fit, gradients of something, values that outlive an update. */
#include "generator.h"

#include <string.h>

static wg_tensor *at(const fuzz_generator *g, int reg) { return reg < 0 ? NULL : g->m.reg[reg].t; }

static int64_t last_size(const wg_tensor *t, int back) { return wg_shape_of(t).dim[wg_rank(t) - back]; }

/* Part of a cheap map of something, which a product may compute itself. */
static int made_operand(fuzz_generator *g, int a) {
    static const char *const maps[] = {"neg", "square", "relu", "add"};
    const char *map = maps[fuzz_below(g, 4)];
    int b = -1;
    if (strcmp(map, "add") == 0) { /* a number for each row */
        b = fuzz_emit_leaf(g, wg_dtype_of(at(g, a)), WG_SHAPE(last_size(at(g, a), 2), 1));
    }
    int made = at(g, a) ? fuzz_emit_op(g, map, REGS(a, b), NUMS(0)) : -1;
    if (made < 0 || !fuzz_wanted(at(g, made), WANT_MATRIX | WANT_NUMBERS)) {
        return a;
    }
    int64_t rank = wg_rank(at(g, made)), dim = fuzz_below(g, rank), way = fuzz_below(g, 3);
    int part = way == 0 ? -1
               : way == 1 && rank > 2
                   ? fuzz_emit_op(g, "flatten", REGS(made), NUMS(0, 1))
                   : fuzz_emit_op(g, "slice", REGS(made), NUMS(dim, fuzz_below(g, 3), 9, fuzz_below(g, 2)));
    return part < 0 || !fuzz_wanted(at(g, part), WANT_MATRIX | WANT_NUMBERS) ? made : part;
}

/* A product over the rows of two matrices, and the sums of either over its rows, before or after it. */
static void product_and_sums(fuzz_generator *g, int a) {
    int b = fuzz_emit_leaf(g, wg_dtype_of(at(g, a)), WG_SHAPE(last_size(at(g, a), 2), g->size[fuzz_below(g, 3)]));
    int turned = fuzz_emit_op(g, "transpose", REGS(a), NUMS(0, 1)), of = fuzz_chance(g, 30) ? b : a;
    bool early = fuzz_chance(g, 60);
    int sum = early ? fuzz_emit_op(g, "sum", REGS(of), NUMS(1, fuzz_below(g, 2))) : -1;
    int product = fuzz_emit_op(g, "matmul", REGS(turned, b), NUMS(0));
    sum = early ? sum : fuzz_emit_op(g, "sum", REGS(of), NUMS(1, fuzz_below(g, 2)));
    if (sum >= 0 && fuzz_chance(g, 50)) {
        sum = fuzz_emit_op(g, "square", REGS(sum), NUMS(0));
    }
    if (sum >= 0 && product >= 0 && fuzz_chance(g, 70)) {
        fuzz_emit_op(g, "eval", REGS(product, sum, -1), NUMS(0));
    }
}

/* What looks at whole rows of a product, which its kernel may do itself; now and then it is wanted for itself too. */
static void over_rows(fuzz_generator *g, int c) {
    static const char *const ops[] = {"softmax", "log_softmax", "sum", "amax", "argmax", "rms_norm"};
    if (c < 0 || !at(g, c) || !fuzz_wanted(at(g, c), WANT_MATRIX | WANT_NUMBERS) || !fuzz_chance(g, 40)) {
        return;
    }
    const char *op = ops[fuzz_below(g, 6)];
    int last = wg_rank(at(g, c)) - 1;
    if (strcmp(op, "rms_norm") == 0) {
        fuzz_emit_op(g, op, REGS(c, -1, -1), NUMS(0));
        return;
    }
    bool along = strstr(op, "softmax") || strcmp(op, "argmax") == 0;
    int r = fuzz_emit_op(g, op, REGS(c), NUMS(along ? last : 1 << last, 1));
    if (r >= 0 && !along && at(g, c)) {
        fuzz_emit_op(g, "sub", REGS(c, r), NUMS(0));
    }
}

/* Two operands of a product: found, transposed, or made to fit, with or without batches. */
void fuzz_idiom_matmul(fuzz_generator *g) {
    int a = fuzz_choose(g, WANT_MATRIX | WANT_NUMBERS);
    a = a >= 0 && fuzz_chance(g, 50) ? made_operand(g, a) : a;
    if (a < 0 || !at(g, a)) {
        return;
    }
    int64_t way = fuzz_below(g, 8), k = last_size(at(g, a), 1), n = g->size[fuzz_below(g, 3)];
    if (way >= 5 && wg_rank(at(g, a)) == 2) {
        product_and_sums(g, a);
        return;
    }
    way = way >= 5 ? way - 5 : way;
    if (way == 0) {
        int b = fuzz_emit_op(g, "transpose", REGS(a), NUMS(wg_rank(at(g, a)) - 1, wg_rank(at(g, a)) - 2));
        over_rows(g, fuzz_emit_op(g, "matmul", REGS(a, b), NUMS(0)));
        return;
    }
    wg_dtype dtype = wg_dtype_of(at(g, a));
    if (way == 1) {
        int w = fuzz_emit_leaf(g, dtype, WG_SHAPE(n, k));
        int bias = fuzz_chance(g, 50) ? fuzz_emit_leaf(g, dtype, WG_SHAPE(n)) : -1;
        over_rows(g, fuzz_emit_op(g, "linear", REGS(a, w, bias), NUMS(0)));
        return;
    }
    wg_shape s = way == 2 ? WG_SHAPE(k) : way == 3 || wg_rank(at(g, a)) < 3 ? WG_SHAPE(k, n) : wg_shape_of(at(g, a));
    if (s.rank > 2) {
        s.dim[0] = fuzz_chance(g, 50) ? 1 : s.dim[0];
        s.dim[s.rank - 2] = k;
        s.dim[s.rank - 1] = n;
    }
    int b = fuzz_emit_leaf(g, dtype, s);
    if (b >= 0 && fuzz_chance(g, 50)) {
        fuzz_emit_op(g, "param", REGS(b), NUMS(0));
    }
    int c = fuzz_emit_op(g, "matmul", REGS(a, b), NUMS(0));
    if (c >= 0 && fuzz_chance(g, 60)) {
        int joined = fuzz_emit_op(g, fuzz_chance(g, 50) ? "relu" : "square", REGS(c), NUMS(0));
        c = joined < 0 ? c : joined;
    }
    over_rows(g, c);
}

void fuzz_idiom_gather(fuzz_generator *g) {
    int a = fuzz_choose(g, fuzz_chance(g, 70) ? WANT_FLOAT : WANT_ANY);
    if (a < 0 || wg_rank(at(g, a)) == 0) {
        return;
    }
    int64_t dim = fuzz_below(g, wg_rank(at(g, a))), way = fuzz_below(g, 5), count = fuzz_below(g, 9);
    if (way == 4 && wg_rank(at(g, a)) == 2) { /* a loss over classes */
        dim = 1;
        count = wg_shape_of(at(g, a)).dim[0];
    }
    dim = way == 3 ? 0 : dim;
    int index = fuzz_emit_op(g, "index", REGS(a), NUMS(dim, count, fuzz_below(g, 1000)));
    if (index < 0) {
        return;
    }
    if (way == 0) {
        fuzz_emit_op(g, "one_hot", REGS(index), NUMS(fuzz_below(g, 8)));
    } else if (way == 3) {
        fuzz_emit_op(g, "embedding", REGS(a, index), NUMS(0));
    } else if (way == 4 && wg_rank(at(g, a)) == 2) {
        fuzz_inst in = {.op = fuzz_find_op("cross_entropy"), .reg = {a, index}, .num = {fuzz_below(g, 3), -100}};
        in.num[1] = fuzz_chance(g, 20) ? 0 : -100;
        in.scalar[0] = fuzz_chance(g, 20) ? 0.1 : 0;
        fuzz_emit(g, &in);
    } else {
        int picked = fuzz_emit_op(g, "index_select", REGS(a, index), NUMS(dim));
        if (picked >= 0 && fuzz_chance(g, 50)) {
            picked = fuzz_emit_op(g, "square", REGS(picked), NUMS(0));
        }
        if (picked >= 0 && at(g, a) && at(g, index) && fuzz_chance(g, 70)) {
            fuzz_emit_op(g, "index_add", REGS(a, index, picked), NUMS(dim));
        }
    }
}

/* Normalisation, mostly with weights of its own. */
void fuzz_idiom_norm(fuzz_generator *g) {
    int x = fuzz_choose(g, WANT_FLOAT), w = -1, b = -1;
    if (x < 0 || wg_rank(at(g, x)) == 0) {
        return;
    }
    wg_shape last = WG_SHAPE(last_size(at(g, x), 1));
    if (fuzz_chance(g, 70)) {
        w = fuzz_emit_leaf(g, wg_dtype_of(at(g, x)), last);
        if (w >= 0 && fuzz_chance(g, 60)) {
            fuzz_emit_op(g, "param", REGS(w), NUMS(0));
        }
        b = fuzz_chance(g, 50) ? fuzz_emit_leaf(g, wg_dtype_of(at(g, x)), last) : -1;
    }
    int64_t dims = w < 0 ? fuzz_below(g, 3) : 0;
    if (at(g, x)) {
        fuzz_emit_op(g, fuzz_chance(g, 60) ? "layer_norm" : "rms_norm", REGS(x, w, b), NUMS(dims));
    }
}

/* cat and slice_scatter. */
void fuzz_idiom_join(fuzz_generator *g) {
    int a = fuzz_choose(g, WANT_ANY);
    if (a < 0 || wg_rank(at(g, a)) == 0) {
        return;
    }
    int64_t dim = fuzz_below(g, wg_rank(at(g, a)));
    if (fuzz_chance(g, 50)) {
        int b = fuzz_choose_like(g, a), c = fuzz_chance(g, 50) ? fuzz_choose(g, WANT_ANY) : -1;
        if (b >= 0 && fuzz_emit_op(g, "cat", REGS(a, b, c), NUMS(dim)) < 0) {
            fuzz_emit_op(g, "cat", REGS(a, b, -1), NUMS(dim));
        }
        return;
    }
    int64_t start = fuzz_below(g, 4), end = start + fuzz_below(g, 6), step = fuzz_below(g, 2);
    int part = fuzz_emit_op(g, "slice", REGS(a), NUMS(dim, start, end, step));
    if (part >= 0 && at(g, a)) {
        int src = fuzz_emit_op(g, fuzz_chance(g, 50) ? "neg" : "square", REGS(part), NUMS(0));
        if (src >= 0 && at(g, a)) {
            fuzz_emit_op(g, "slice_scatter", REGS(a, src), NUMS(dim, start, end, step));
        }
    }
}

/* A part of something, by a way of its own: a map, or a product. */
static int made_part(fuzz_generator *g, int a, int64_t dim, int64_t start, int64_t end) {
    static const char *const maps[] = {"tanh", "square", "neg", "relu"};
    int part = fuzz_emit_op(g, "slice", REGS(a), NUMS(dim, start, end, 0));
    if (part < 0 || !at(g, part) || fuzz_chance(g, 10)) {
        return part;
    }
    if (fuzz_wanted(at(g, part), WANT_MATRIX) && fuzz_chance(g, 35)) {
        int64_t k = last_size(at(g, part), 1);
        int w = fuzz_emit_leaf(g, wg_dtype_of(at(g, part)), WG_SHAPE(k, k));
        return w < 0 || !at(g, part) ? -1 : fuzz_emit_op(g, "matmul", REGS(part, w), NUMS(0));
    }
    return fuzz_emit_op(g, maps[fuzz_below(g, 4)], REGS(part), NUMS(0));
}

/* Something taken apart and put together again; backwards its gradient is put together of those of the parts. */
void fuzz_idiom_parts(fuzz_generator *g) {
    int a = fuzz_choose(g, WANT_FLOAT), part[3] = {-1, -1, -1};
    if (a < 0 || wg_rank(at(g, a)) == 0) {
        return;
    }
    int64_t dim = fuzz_chance(g, 60) ? 0 : fuzz_below(g, wg_rank(at(g, a))), n = 2 + fuzz_below(g, 2);
    int64_t size = wg_shape_of(at(g, a)).dim[dim];
    for (int i = 0; i < n && size >= n && at(g, a); i++) {
        part[i] = made_part(g, a, dim, i * size / n, (i + 1) * size / n);
    }
    int joined = part[0] < 0 || part[1] < 0 ? -1 : fuzz_emit_op(g, "cat", REGS(part[0], part[1], part[2]), NUMS(dim));
    if (joined < 0) {
        return;
    }
    if (fuzz_chance(g, 50)) { /* a second reader */
        fuzz_emit_op(g, "sum", REGS(joined), NUMS(fuzz_below(g, 4), 0));
    }
    int way = at(g, joined) && fuzz_chance(g, 60) ? fuzz_emit_op(g, "square", REGS(joined), NUMS(0)) : -1;
    int loss = way < 0 || !wg_requires_grad(at(g, way)) ? -1 : fuzz_emit_op(g, "sum", REGS(way), NUMS(0));
    if (loss >= 0 && g->backwards++ < 3) {
        fuzz_emit_op(g, "backward", REGS(loss, -1), NUMS(0));
    }
}

/* A number that gradients flow to; -1 if nothing wants one. */
static int loss_of(fuzz_generator *g) {
    int a = fuzz_choose(g, WANT_GRAD);
    if (a < 0) {
        a = fuzz_choose(g, WANT_GRAD | WANT_LEAF);
    }
    if (a < 0 || (wg_numel(at(g, a)) == 1 && fuzz_chance(g, 80))) {
        return a;
    }
    return fuzz_emit_op(g, fuzz_chance(g, 60) ? "sum" : "mean", REGS(a), NUMS(0));
}

void fuzz_idiom_backward(fuzz_generator *g) {
    if (g->backwards++ >= 3) {
        return;
    }
    int64_t flags = fuzz_chance(g, 65) ? 0 : fuzz_chance(g, 75) ? 1 : 2;
    int loss = loss_of(g);
    if (loss < 0) {
        return;
    }
    if (fuzz_emit_op(g, "backward", REGS(loss, -1), NUMS(flags)) < 0) {
        return;
    }
    int leaf = fuzz_choose(g, WANT_GRAD | WANT_LEAF);
    if (leaf >= 0 && fuzz_chance(g, 60)) {
        int grad = fuzz_emit_op(g, "grad", REGS(leaf), NUMS(0));
        if (grad >= 0 && fuzz_chance(g, 60)) { /* a step by hand */
            fuzz_inst in = {.op = fuzz_find_op("mul_scalar"), .reg = {grad}, .scalar = {fuzz_scalar(g)}};
            int scaled = fuzz_emit(g, &in);
            int next = scaled < 0 ? -1 : fuzz_emit_op(g, "sub", REGS(leaf, scaled), NUMS(0));
            if (next >= 0) {
                fuzz_emit_op(g, "assign", REGS(leaf, next), NUMS(0));
            }
        }
    }
    if (leaf >= 0 && fuzz_chance(g, 50)) {
        fuzz_emit_op(g, "zero_grad", REGS(leaf), NUMS(0));
    }
}

void fuzz_idiom_gradients(fuzz_generator *g) {
    if (g->backwards++ >= 3) {
        return;
    }
    int loss = loss_of(g), input = fuzz_choose(g, WANT_GRAD);
    if (loss >= 0 && input >= 0) {
        int grad = fuzz_emit_op(g, "gradients", REGS(loss, input, -1), NUMS(fuzz_below(g, 8)));
        if (grad >= 0 && fuzz_chance(g, 40)) {
            int norm = fuzz_emit_op(g, "square", REGS(grad), NUMS(0));
            int total = norm < 0 ? -1 : fuzz_emit_op(g, "sum", REGS(norm), NUMS(0));
            if (total >= 0) {
                fuzz_emit_op(g, "backward", REGS(total, -1), NUMS(0));
            }
        }
    }
}

/* A leaf gets a new value, now and then one computed from the old. */
void fuzz_idiom_update(fuzz_generator *g) {
    int leaf = fuzz_choose(g, WANT_LEAF);
    if (leaf < 0) {
        return;
    }
    int64_t way = fuzz_below(g, 10);
    if (way == 0) {
        fuzz_emit_op(g, "write", REGS(leaf), NUMS(fuzz_below(g, 1000)));
    } else if (way == 1) {
        fuzz_emit_op(g, "data_mut", REGS(leaf), NUMS(fuzz_below(g, 1000)));
    } else {
        int value = fuzz_choose_like(g, leaf);
        if (value >= 0 && at(g, leaf)) {
            fuzz_emit_op(g, "assign", REGS(leaf, value), NUMS(0));
        }
    }
}

/* Something that shows a leaf's old value is held, or read, across an update. */
void fuzz_idiom_snapshot(fuzz_generator *g) {
    static const char *const views[] = {"detach", "transpose", "narrow", "flip", "square", "contiguous", "permute"};
    int leaf = fuzz_choose(g, WANT_LEAF);
    if (leaf < 0) {
        return;
    }
    int old = fuzz_emit_op(g, views[fuzz_below(g, 7)], REGS(leaf), NUMS(fuzz_below(g, 4), fuzz_below(g, 4), 1));
    int value = at(g, leaf) ? fuzz_choose_like(g, leaf) : -1;
    if (value >= 0 && at(g, leaf)) {
        fuzz_emit_op(g, "assign", REGS(leaf, value), NUMS(0));
    }
    if (old >= 0 && at(g, old) && fuzz_chance(g, 40)) {
        fuzz_emit_op(g, fuzz_chance(g, 50) ? "read" : "keep", REGS(old), NUMS(0));
    }
}

void fuzz_idiom_optim(fuzz_generator *g) {
    if (g->optims == 0) {
        int a = fuzz_choose(g, WANT_GRAD | WANT_LEAF | WANT_FLOAT),
            b = fuzz_choose(g, WANT_GRAD | WANT_LEAF | WANT_FLOAT);
        fuzz_inst in = {.op = fuzz_find_op(fuzz_chance(g, 50) ? "sgd" : "adam"), .reg = {a, b, -1}};
        in.num[1] = fuzz_chance(g, 30);
        in.scalar[0] = fuzz_chance(g, 50) ? 0.1 : 0.01;
        in.scalar[1] = fuzz_chance(g, 50) ? 0.5 : 0;
        in.scalar[2] = fuzz_chance(g, 40) ? 0.1 : 0;
        g->optims += a >= 0 && fuzz_emit(g, &in) >= 0;
        return;
    }
    fuzz_emit_op(g, "optim_step", REGS(-1), NUMS(0));
    if (fuzz_chance(g, 50)) {
        fuzz_emit_op(g, "optim_zero_grad", REGS(-1), NUMS(0));
    } else if (fuzz_chance(g, 20)) {
        fuzz_inst in = {.op = fuzz_find_op("set_lr"), .dst = -1, .scalar = {0.25}};
        fuzz_emit(g, &in);
    }
}

/* What the body made is wanted: read one by one, demanded together, or kept for later. */
void fuzz_idiom_harvest(fuzz_generator *g) {
    int64_t way = fuzz_below(g, 4);
    int reg[3];
    for (int i = 0; i < 3; i++) {
        reg[i] = fuzz_choose(g, WANT_ANY);
    }
    if (way == 0) {
        fuzz_emit_op(g, "eval", reg, NUMS(0));
    }
    for (int i = 0; i < 3; i++) {
        if (reg[i] >= 0 && fuzz_chance(g, 75)) {
            fuzz_emit_op(g, way == 1 ? "keep" : "read", REGS(reg[i]), NUMS(0));
        }
    }
}
