/* What the constructors of all ops share. */
#include "ops/common.h"

/* ---- checks --------------------------------------------------------------------------------------------------------- */

void *wg_op_refuse(wg_graph *g, const char *op, wg_status status, const wg_tensor *a, const char *why) {
    return wg_fail(g, status, "%s: %s %s: %s", op, wg_dtype_name(wg_op_dtype(a)), wg_shape_print(wg_op_shape(a)).s,
                   why);
}

int wg_op_dim(wg_graph *g, const char *op, const wg_tensor *a, int dim) {
    int d = wg_shape_dim(wg_op_shape(a), dim);
    if (d < 0) {
        wg_fail(g, WG_ERR_ARG, "%s: %s: there is no dimension %d", op, wg_shape_print(wg_op_shape(a)).s, dim);
    }
    return d;
}

int wg_op_real_dim(wg_graph *g, const char *op, const wg_tensor *a, int dim) {
    if (wg_op_shape(a)->rank == 0) {
        wg_fail(g, WG_ERR_SHAPE, "%s: []: a scalar has no dimensions", op);
        return -1;
    }
    return wg_op_dim(g, op, a, dim);
}

bool wg_op_dim_mask(wg_graph *g, const char *op, const wg_tensor *a, const int *dims, int ndims, unsigned *mask) {
    *mask = 0;
    if (ndims < 0 || (ndims > 0 && !dims)) {
        wg_fail(g, WG_ERR_ARG, "%s: %s: no list of %d dimensions", op, wg_shape_print(wg_op_shape(a)).s, ndims);
        return false;
    }
    for (int i = 0; i < ndims; i++) {
        int d = wg_op_dim(g, op, a, dims[i]);
        if (d < 0) {
            return false;
        }
        if (*mask >> d & 1) {
            wg_fail(g, WG_ERR_ARG, "%s: %s: dimension %d is named twice", op, wg_shape_print(wg_op_shape(a)).s, d);
            return false;
        }
        *mask |= 1u << d;
    }
    return true;
}

bool wg_op_floats_only(wg_graph *g, const char *op, const wg_tensor *a) {
    return wg_dtype_is_float(wg_op_dtype(a)) || wg_op_refuse(g, op, WG_ERR_DTYPE, a, "takes floating dtypes");
}

static int64_t clip(int64_t at, int64_t size) {
    at = at < 0 ? at + size : at;
    return at < 0 ? 0 : at > size ? size : at;
}

int wg_op_slice_range(wg_graph *g, const char *op, const wg_tensor *a, int dim, int64_t start, int64_t end,
                      int64_t step, wg_op_range *out) {
    int d = wg_op_real_dim(g, op, a, dim);
    if (d >= 0 && step < 1) {
        wg_fail(g, WG_ERR_ARG, "%s: %s: a step is at least 1", op, wg_shape_print(wg_op_shape(a)).s);
        return -1;
    }
    if (d >= 0) {
        int64_t size = wg_op_shape(a)->dim[d], from = clip(start, size), to = clip(end, size);
        *out = (wg_op_range){from, to > from ? (to - from - 1) / step + 1 : 0};
    }
    return d;
}

bool wg_op_creatable(wg_graph *g, const char *op, wg_dtype dtype, const wg_shape *shape) {
    if (!wg_graph_usable(g)) {
        return false;
    }
    if (!wg_dtype_valid(dtype)) {
        wg_fail(g, WG_ERR_DTYPE, "%s: dtype %s is not available", op, wg_dtype_name(dtype));
        return false;
    }
    if (!wg_shape_valid(shape)) {
        wg_fail(g, WG_ERR_SHAPE, "%s: %s: not a shape a tensor can have", op, wg_shape_print(shape).s);
        return false;
    }
    return true;
}

/* ---- recording ------------------------------------------------------------------------------------------------------ */

static bool broadcast(wg_graph *g, const char *op, wg_call *call) {
    call->shape = *wg_op_shape(call->in[0]);
    for (int i = 1; i < call->nin; i++) {
        const wg_shape before = call->shape, *next = wg_op_shape(call->in[i]);
        if (!wg_shape_broadcast(&before, next, &call->shape)) {
            wg_fail(g, WG_ERR_SHAPE, "%s: %s x %s: sizes do not broadcast", op, wg_shape_print(&before).s,
                    wg_shape_print(next).s);
            return false;
        }
    }
    if (!wg_shape_valid(&call->shape)) {
        wg_fail(g, WG_ERR_SHAPE, "%s: %s: more elements than a tensor can have", op, wg_shape_print(&call->shape).s);
        return false;
    }
    return true;
}

wg_tensor *wg_op_map(wg_graph *g, const wg_op *op, wg_call *call, int first, wg_dtype compute) {
    if (!broadcast(g, op->name, call)) {
        return NULL;
    }
    wg_tensor *cast[WG_MAX_IN] = {0}, *result = NULL;
    bool ok = true;
    for (int i = first; i < call->nin && ok; i++) {
        if (wg_op_dtype(call->in[i]) != compute) {
            call->in[i] = cast[i] = wg_cast(call->in[i], compute);
            ok = cast[i];
        }
    }
    if (ok) {
        result = wg_record(g, op, call);
    }
    for (int i = first; i < call->nin; i++) {
        wg_free(cast[i]);
    }
    return result;
}

wg_tensor *wg_op_map1(wg_graph *g, const wg_op *op, wg_tensor *a, wg_dtype dtype, double b, double c) {
    wg_call call = {.in = {a}, .nin = 1, .dtype = dtype, .scalar = {b, c}};
    return wg_op_map(g, op, &call, 0, dtype);
}

wg_tensor *wg_op_as(wg_tensor *a, wg_dtype dtype) { return !a || wg_op_dtype(a) == dtype ? a : wg_cast(a, dtype); }

wg_tensor *wg_op_where_or_zero(wg_tensor *cond, wg_tensor *t) {
    return t ? wg_where(cond, t, wg_op_zeros(t->graph, wg_op_dtype(t), &(wg_shape){0})) : NULL;
}

wg_tensor *wg_op_zero_where(wg_tensor *cond, wg_tensor *t) {
    return t ? wg_where(cond, wg_op_zeros(t->graph, wg_op_dtype(t), &(wg_shape){0}), t) : NULL;
}

wg_tensor *wg_op_leave(wg_graph *g, wg_tensor *result) {
    if (result) {
        wg_handle_raise(result);
    }
    wg_scope_pop(g);
    return result;
}
