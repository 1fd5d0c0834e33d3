/* Strided views. */
#include "tensor/view.h"

wg_view wg_view_contiguous(const wg_shape *shape) {
    wg_view v = {.shape = *shape};
    int64_t stride = 1;
    for (int i = shape->rank - 1; i >= 0; i--) {
        v.stride[i] = stride;
        stride *= shape->dim[i];
    }
    return v;
}

bool wg_view_is_contiguous(const wg_view *v) {
    int64_t stride = 1;
    if (wg_shape_numel(v->shape) == 0) {
        return true;
    }
    for (int i = v->shape.rank - 1; i >= 0; i--) {
        if (v->shape.dim[i] != 1 && v->stride[i] != stride) {
            return false;
        }
        stride *= v->shape.dim[i];
    }
    return true;
}

wg_view wg_view_permute(const wg_view *v, const int *order) {
    wg_view r = {.shape.rank = v->shape.rank, .offset = v->offset};
    for (int i = 0; i < r.shape.rank; i++) {
        r.shape.dim[i] = v->shape.dim[order[i]];
        r.stride[i] = v->stride[order[i]];
    }
    return r;
}

bool wg_view_expand(const wg_view *v, const wg_shape *shape, wg_view *out) {
    wg_view r = {.shape = *shape, .offset = v->offset};
    int lead = shape->rank - v->shape.rank;
    if (lead < 0) {
        return false;
    }
    for (int i = 0; i < v->shape.rank; i++) {
        if (v->shape.dim[i] == shape->dim[lead + i]) {
            r.stride[lead + i] = v->stride[i];
        } else if (v->shape.dim[i] != 1) {
            return false;
        }
    }
    *out = r;
    return true;
}

wg_view wg_view_slice(const wg_view *v, int dim, int64_t start, int64_t count, int64_t step) {
    wg_view r = *v;
    r.offset += start * v->stride[dim];
    r.shape.dim[dim] = count;
    r.stride[dim] *= step;
    return r;
}

wg_view wg_view_remove_dim(const wg_view *v, int dim) {
    wg_view r = *v;
    r.shape.rank--;
    for (int i = dim; i < r.shape.rank; i++) {
        r.shape.dim[i] = v->shape.dim[i + 1];
        r.stride[i] = v->stride[i + 1];
    }
    r.shape.dim[r.shape.rank] = 0;
    r.stride[r.shape.rank] = 0;
    return r;
}

wg_view wg_view_insert_dim(const wg_view *v, int dim) {
    wg_view r = *v;
    r.shape.rank++;
    for (int i = r.shape.rank - 1; i > dim; i--) {
        r.shape.dim[i] = v->shape.dim[i - 1];
        r.stride[i] = v->stride[i - 1];
    }
    r.shape.dim[dim] = 1;
    r.stride[dim] = 0;
    return r;
}

bool wg_view_reshape(const wg_view *v, const wg_shape *shape, wg_view *out) {
    wg_view r = wg_view_contiguous(shape);
    r.offset = v->offset;
    if (wg_shape_numel(v->shape) == 0) {
        *out = r;
        return true;
    }
    /* Walk both shapes from the inside: each run of source dims that is contiguous in itself takes result dims until
     * their sizes multiply to the same number. */
    int from = v->shape.rank - 1, to = shape->rank - 1;
    while (from >= 0 || to >= 0) {
        while (from >= 0 && v->shape.dim[from] == 1) {
            from--;
        }
        if (from < 0) {
            for (; to >= 0; to--) { /* only sizes of 1 are left */
                r.stride[to] = 0;
            }
            break;
        }
        int64_t run = v->shape.dim[from], base = v->stride[from], span = base * run;
        for (from--; from >= 0; from--) {
            if (v->shape.dim[from] == 1) {
                continue;
            }
            if (v->stride[from] != span) {
                break;
            }
            run *= v->shape.dim[from];
            span = v->stride[from] * v->shape.dim[from];
        }
        int64_t taken = 1;
        while (to >= 0 && taken < run) {
            r.stride[to] = base * taken;
            taken *= shape->dim[to];
            to--;
        }
        if (taken != run) {
            return false;
        }
    }
    *out = r;
    return true;
}

bool wg_view_inverse(const wg_view *v, int64_t base_numel, wg_view *out) {
    wg_view place = wg_view_contiguous(&v->shape);
    bool used[WG_MAX_RANK] = {false};
    *out = (wg_view){0};
    if (v->offset != 0 || wg_shape_numel(v->shape) != base_numel || base_numel == 0) {
        return false;
    }
    /* From the outermost dim of the base on: the one with the longest stride left must span just what is left. */
    for (int64_t left = base_numel; left > 1;) {
        int best = -1;
        for (int d = 0; d < v->shape.rank; d++) {
            if (!used[d] && v->shape.dim[d] > 1 && (best < 0 || v->stride[d] > v->stride[best])) {
                best = d;
            }
        }
        if (best < 0 || v->stride[best] <= 0 || v->stride[best] * v->shape.dim[best] != left) {
            return false;
        }
        used[best] = true;
        left = v->stride[best];
        out->shape.dim[out->shape.rank] = v->shape.dim[best];
        out->stride[out->shape.rank++] = place.stride[best];
    }
    return true;
}

/* Elements in a row, `number` apart in row-major order and `stride` in memory. */
typedef struct run {
    int64_t number, size, stride;
    int64_t last; /* how far along the view goes */
} run;

/* The dims of a shape as runs, from the inside; returns how many. */
static int runs_of(const wg_view *v, run *r) {
    int n = 0;
    int64_t number = 1;
    for (int d = v->shape.rank - 1; d >= 0; d--) {
        int64_t size = v->shape.dim[d];
        if (size == 1) {
            continue;
        }
        if (n > 0 && v->stride[d] == r[n - 1].stride * r[n - 1].size) {
            r[n - 1].size *= size;
        } else {
            r[n++] = (run){.number = number, .size = size, .stride = v->stride[d]};
        }
        number *= size;
    }
    return n;
}

bool wg_view_through(const wg_view *v, const wg_view *w, wg_view *out) {
    run r[WG_MAX_RANK];
    int n = runs_of(v, r);
    int64_t rest = w->offset;
    *out = *w;
    out->offset = v->offset;
    if (wg_shape_numel(w->shape) == 0) {
        return true;
    }
    for (int i = n - 1; i >= 0; i--) {
        r[i].last = rest / r[i].number;
        rest %= r[i].number;
        out->offset += r[i].last * r[i].stride;
    }
    for (int d = 0; d < w->shape.rank; d++) {
        int64_t step = w->shape.dim[d] == 1 ? 0 : w->stride[d];
        int i = n - 1;
        while (i > 0 && r[i].number > step) {
            i--;
        }
        if (step == 0) {
            out->stride[d] = 0;
        } else if (step < 0 || n == 0 || step % r[i].number != 0) {
            return false;
        } else {
            step /= r[i].number;
            out->stride[d] = step * r[i].stride;
            r[i].last += step * (w->shape.dim[d] - 1);
        }
    }
    for (int i = 0; i < n; i++) {
        if (r[i].last >= r[i].size) {
            return false;
        }
    }
    return true;
}
