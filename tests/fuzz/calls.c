/* Instructions that make tensors: numbers are bent to what the operands allow, and what would be too large is refused. */
#include "ops.h"

#include <stdlib.h>
#include <string.h>

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static wg_tensor *get(const fuzz_machine *m, const fuzz_inst *in, int i) { return fuzz_reg_get(m, in->reg[i]); }

/* Elements, or most + 1 if there are more. A dim of 0 counts as 1: what is summed over it has elements again. */
static int64_t extent(wg_shape s, int64_t most) {
    int64_t n = 1;
    for (int i = 0; i < s.rank; i++) {
        n = s.dim[i] > most || n > most ? most + 1 : n * larger(s.dim[i], 1);
    }
    return n > most ? most + 1 : n;
}

static bool small(wg_shape s) { return extent(s, FUZZ_ELEMENTS) <= FUZZ_ELEMENTS; }

static int dim_of(const wg_tensor *t, int64_t k) { return (int)fuzz_mod(k, larger(wg_rank(t), 1)); }

static int64_t size_of(const wg_tensor *t, int dim) { return wg_rank(t) > 0 ? wg_shape_of(t).dim[dim] : 1; }

int64_t fuzz_joint(const wg_tensor *a, const wg_tensor *b) {
    if (!a || !b) {
        return FUZZ_ELEMENTS + 1;
    }
    wg_shape s = wg_shape_of(a), t = wg_shape_of(b);
    int64_t n = 1;
    for (int i = 1; i <= s.rank || i <= t.rank; i++) {
        n *= larger(i <= s.rank ? s.dim[s.rank - i] : 1, i <= t.rank ? t.dim[t.rank - i] : 1);
        n = n > FUZZ_ELEMENTS ? FUZZ_ELEMENTS + 1 : n;
    }
    return n;
}

/* ---- from nothing --------------------------------------------------------------------------------------------------- */

wg_tensor *fuzz_call_leaf(fuzz_machine *m, const fuzz_inst *in) {
    if (!small(in->shape)) {
        return NULL;
    }
    void *data = malloc(FUZZ_ELEMENTS * sizeof(double));
    fuzz_fill((wg_dtype)in->num[0], wg_shape_numel(in->shape), (uint64_t)in->num[1], data);
    wg_tensor *t = wg_from(m->ctx, (wg_dtype)in->num[0], data, in->shape);
    free(data);
    return t;
}

wg_tensor *fuzz_call_full(fuzz_machine *m, const fuzz_inst *in) {
    return small(in->shape) ? wg_full(m->ctx, (wg_dtype)in->num[0], in->shape, in->scalar[0]) : NULL;
}

wg_tensor *fuzz_call_arange(fuzz_machine *m, const fuzz_inst *in) {
    double n = (double)fuzz_mod(in->num[1], 100);
    return wg_arange(m->ctx, (wg_dtype)in->num[0], in->scalar[0], in->scalar[0] + n * in->scalar[1], in->scalar[1]);
}

wg_tensor *fuzz_call_rand(fuzz_machine *m, const fuzz_inst *in) {
    return !small(in->shape)               ? NULL
           : strcmp(in->op->name, "randn") ? wg_rand(m->ctx, (wg_dtype)in->num[0], in->shape)
                                           : wg_randn(m->ctx, (wg_dtype)in->num[0], in->shape);
}

/* Indices into a dim of another tensor. */
wg_tensor *fuzz_call_index(fuzz_machine *m, const fuzz_inst *in) {
    wg_tensor *a = get(m, in, 0);
    int64_t n = a ? size_of(a, dim_of(a, in->num[0])) : 0, count = fuzz_mod(in->num[1], 300), index[300];
    if (n == 0) {
        return NULL;
    }
    for (int64_t i = 0; i < count; i++) {
        index[i] = fuzz_mod((int64_t)(fuzz_mix((uint64_t)(in->num[2] + i)) >> 8), n);
    }
    m->limit = n;
    return wg_from_i64(m->ctx, index, WG_SHAPE(count));
}

/* ---- maps ----------------------------------------------------------------------------------------------------------- */

wg_tensor *fuzz_call_clamp(fuzz_machine *m, const fuzz_inst *in) {
    return wg_clamp(get(m, in, 0), in->scalar[0], in->scalar[1]);
}

wg_tensor *fuzz_call_where(fuzz_machine *m, const fuzz_inst *in) {
    wg_tensor *c = get(m, in, 0), *a = get(m, in, 1), *b = get(m, in, 2);
    bool ok = fuzz_joint(c, a) * fuzz_joint(c, b) <= FUZZ_ELEMENTS;
    return ok || (c && a && b && wg_numel(c) <= FUZZ_ELEMENTS && fuzz_joint(a, b) <= 64) ? wg_where(c, a, b) : NULL;
}

wg_tensor *fuzz_call_cast(fuzz_machine *m, const fuzz_inst *in) { return wg_cast(get(m, in, 0), (wg_dtype)in->num[0]); }

wg_tensor *fuzz_call_dropout(fuzz_machine *m, const fuzz_inst *in) {
    return wg_dropout(get(m, in, 0), in->scalar[0], true);
}

/* ---- reductions ----------------------------------------------------------------------------------------------------- */

wg_tensor *fuzz_call_reduce(fuzz_machine *m, const fuzz_inst *in) {
    static const struct {
        const char *name;
        wg_tensor *(*plain)(wg_tensor *, const int *, int, bool);
        wg_tensor *(*along)(wg_tensor *, int);
    } reductions[] = {{"sum", wg_sum, NULL},
                      {"mean", wg_mean, NULL},
                      {"amax", wg_amax, NULL},
                      {"amin", wg_amin, NULL},
                      {"logsumexp", wg_logsumexp, NULL},
                      {"softmax", NULL, wg_softmax},
                      {"log_softmax", NULL, wg_log_softmax}};
    wg_tensor *a = get(m, in, 0);
    int dims[WG_MAX_RANK], n = 0;
    for (int d = 0; d < wg_rank(a); d++) {
        if (in->num[0] >> d & 1) {
            dims[n++] = d;
        }
    }
    bool keepdim = in->num[1] & 1;
    for (size_t i = 0; i < sizeof reductions / sizeof *reductions; i++) {
        if (strcmp(in->op->name, reductions[i].name) == 0) {
            return reductions[i].plain ? reductions[i].plain(a, dims, n, keepdim)
                                       : reductions[i].along(a, dim_of(a, in->num[0]));
        }
    }
    return strcmp(in->op->name, "var") == 0 ? wg_var(a, dims, n, (double)fuzz_mod(in->num[1] >> 1, 3), keepdim)
                                            : wg_argmax(a, dim_of(a, in->num[0]), keepdim);
}

/* ---- views ---------------------------------------------------------------------------------------------------------- */

/* The k-th order of n things. */
static void nth_order(int n, int64_t k, int *order) {
    for (int i = 0; i < n; i++) {
        order[i] = i;
    }
    for (int i = 0; i < n; i++) {
        int j = i + (int)fuzz_mod(k, n - i), t = order[i];
        order[i] = order[j];
        order[j] = t;
        k /= n - i;
    }
}

static wg_tensor *narrowed(wg_tensor *a, const int64_t *num) {
    int d = dim_of(a, num[0]);
    int64_t size = size_of(a, d), start = fuzz_mod(num[1], size + 1);
    return wg_narrow(a, d, start, fuzz_mod(num[2], size - start + 1));
}

static wg_tensor *flipped(wg_tensor *a, int64_t mask) {
    int dims[WG_MAX_RANK], n = 0;
    for (int d = 0; d < wg_rank(a); d++) {
        if (mask >> d & 1) {
            dims[n++] = d;
        }
    }
    return wg_flip(a, dims, n);
}

wg_tensor *fuzz_call_view(fuzz_machine *m, const fuzz_inst *in) {
    wg_tensor *a = get(m, in, 0);
    const char *name = in->op->name;
    const int64_t *num = in->num;
    int d = dim_of(a, num[0]), order[WG_MAX_RANK] = {0};
    if (!a) {
        return NULL;
    }
    if (strcmp(name, "narrow") == 0) {
        return narrowed(a, num);
    }
    if (strcmp(name, "select") == 0) {
        return wg_select(a, d, fuzz_mod(num[1], size_of(a, d)));
    }
    if (strcmp(name, "slice") == 0) {
        return wg_slice(a, d, num[1], num[2], 1 + fuzz_mod(num[3], 4));
    }
    if (strcmp(name, "permute") == 0) {
        nth_order(wg_rank(a), num[0], order);
        return wg_permute(a, order);
    }
    if (strcmp(name, "transpose") == 0) {
        return wg_transpose(a, d, dim_of(a, num[1]));
    }
    if (strcmp(name, "flip") == 0) {
        return flipped(a, num[0]);
    }
    if (strcmp(name, "squeeze") == 0) {
        return wg_squeeze(a, d);
    }
    if (strcmp(name, "flatten") == 0) {
        int e = dim_of(a, num[1]);
        return wg_flatten(a, d < e ? d : e, d < e ? e : d);
    }
    return wg_rank(a) < 6 ? wg_unsqueeze(a, (int)fuzz_mod(num[0], wg_rank(a) + 1)) : NULL;
}

wg_tensor *fuzz_call_shaped(fuzz_machine *m, const fuzz_inst *in) {
    wg_tensor *a = get(m, in, 0);
    return strcmp(in->op->name, "reshape") == 0 ? wg_reshape(a, in->shape)
           : small(in->shape)                   ? wg_expand(a, in->shape)
                                                : NULL;
}

/* ---- contractions --------------------------------------------------------------------------------------------------- */

/* Multiply-adds, at most. */
static bool affordable(const wg_tensor *a, const wg_tensor *b) {
    if (!a || !b) {
        return false;
    }
    wg_shape s = wg_shape_of(a), t = wg_shape_of(b);
    int64_t work = 1;
    for (int i = 1; i <= s.rank || i <= t.rank; i++) {
        int64_t x = i <= s.rank ? s.dim[s.rank - i] : 1, y = i <= t.rank ? t.dim[t.rank - i] : 1;
        work *= larger(1, i == 1 ? x * larger(y, 1) : i == 2 ? larger(x, 1) : larger(x, y));
        if (work > FUZZ_WORK) {
            return false;
        }
    }
    return true;
}

wg_tensor *fuzz_call_matmul(fuzz_machine *m, const fuzz_inst *in) {
    wg_tensor *a = get(m, in, 0), *b = get(m, in, 1);
    return affordable(a, b) ? wg_matmul(a, b) : NULL;
}

wg_tensor *fuzz_call_linear(fuzz_machine *m, const fuzz_inst *in) {
    wg_tensor *x = get(m, in, 0), *w = get(m, in, 1);
    bool ok = x && w &&
              extent(wg_shape_of(x), FUZZ_WORK) * larger(wg_rank(w) > 0 ? wg_shape_of(w).dim[0] : 1, 1) <= FUZZ_WORK;
    return ok ? wg_linear(x, w, get(m, in, 2)) : NULL;
}

/* ---- copies and indexing -------------------------------------------------------------------------------------------- */

wg_tensor *fuzz_call_cat(fuzz_machine *m, const fuzz_inst *in) {
    wg_tensor *parts[3];
    size_t n = 0;
    int64_t total = 0;
    for (int i = 0; i < 3; i++) {
        if (get(m, in, i)) {
            total += wg_numel(get(m, in, i));
            parts[n++] = get(m, in, i);
        }
    }
    return n > 0 && total <= FUZZ_ELEMENTS ? wg_cat(parts, n, dim_of(parts[0], in->num[0])) : NULL;
}

wg_tensor *fuzz_call_slice_scatter(fuzz_machine *m, const fuzz_inst *in) {
    wg_tensor *a = get(m, in, 0);
    return wg_slice_scatter(a, get(m, in, 1), dim_of(a, in->num[0]), in->num[1], in->num[2],
                            1 + fuzz_mod(in->num[3], 4));
}

wg_tensor *fuzz_call_gather(fuzz_machine *m, const fuzz_inst *in) {
    wg_tensor *a = get(m, in, 0), *index = get(m, in, 1);
    const char *name = in->op->name;
    if (!a || (!index && strcmp(name, "one_hot") != 0)) {
        return NULL;
    }
    if (strcmp(name, "one_hot") == 0) {
        int64_t classes = 1 + fuzz_mod(in->num[0], 20);
        return wg_numel(a) * classes <= FUZZ_ELEMENTS ? wg_one_hot(a, classes) : NULL;
    }
    /* An index out of range is an error when the value is read: op by op that is at other places. */
    int d = strcmp(name, "embedding") == 0 ? 0 : dim_of(a, in->num[0]);
    int64_t limit = m->reg[in->reg[1]].limit;
    if (limit == 0 || limit > size_of(a, d)) {
        return NULL;
    }
    if (strcmp(name, "index_add") == 0) {
        return wg_index_add(a, d, index, get(m, in, 2));
    }
    if (wg_numel(index) * larger(wg_numel(a), 1) > 8 * FUZZ_ELEMENTS) {
        return NULL;
    }
    return strcmp(name, "embedding") == 0 ? wg_embedding(a, index) : wg_index_select(a, d, index);
}

/* Over the last dims, as many as the number says. */
wg_tensor *fuzz_call_norm(fuzz_machine *m, const fuzz_inst *in) {
    wg_tensor *x = get(m, in, 0);
    if (wg_rank(x) < 1) {
        return NULL;
    }
    wg_shape s = wg_shape_of(x), over = {.rank = 1 + (int)fuzz_mod(in->num[0], s.rank)};
    memcpy(over.dim, &s.dim[s.rank - over.rank], (size_t)over.rank * sizeof *s.dim);
    return strcmp(in->op->name, "rms_norm") == 0 ? wg_rms_norm(x, over, get(m, in, 1), NULL)
                                                 : wg_layer_norm(x, over, get(m, in, 1), get(m, in, 2), NULL);
}

wg_tensor *fuzz_call_loss(fuzz_machine *m, const fuzz_inst *in) {
    wg_tensor *a = get(m, in, 0), *b = get(m, in, 1);
    wg_reduction reduction = (wg_reduction)fuzz_mod(in->num[0], 3);
    if (strcmp(in->op->name, "mse_loss") == 0) {
        return fuzz_joint(a, b) <= FUZZ_ELEMENTS ? wg_mse_loss(a, b, reduction) : NULL;
    }
    wg_cross_entropy_opts opts = wg_cross_entropy_defaults();
    opts.reduction = reduction;
    opts.ignore_index = in->num[1];
    opts.label_smoothing = in->scalar[0];
    return wg_cross_entropy(a, b, &opts);
}
