/*
 * Gradients against central differences, made from the public ops.
 *
 * The inputs are never written to: the function is called on leaves made from their values, and, for the differences,
 * with one of these replaced by a copy that has one element moved. Many such differences are demanded at once, because
 * a launch costs more than the arithmetic of a test. The function has to be deterministic: one that draws random
 * numbers (dropout) gives other values at each call, which no difference can be taken of.
 */
#include "api/fail.h"
#include "base/alloc.h"

#include <math.h>
#include <string.h>
#include <wengert/grad.h>
#include <wengert/ops.h>

enum { BATCH = 64 }; /* differences demanded together */

/* An input that requires grad. */
typedef struct variable {
    size_t index; /* among the inputs */
    wg_shape shape;
    int64_t numel;
    double *values;   /* the input's; what `analytic` points to is in the same block */
    double *analytic; /* the gradient found by the graph */
    wg_tensor *leaf;  /* a leaf of the check's own with the same values */
} variable;

/* A difference that was recorded but not demanded yet. */
typedef struct difference {
    const variable *v;
    int64_t element;
    double step; /* between the two points, as they were rounded */
} difference;

typedef struct check {
    const char *name;
    int order; /* 1: of the function; 2: of its gradients */
    wg_function fn;
    void *user;
    wg_ctx *ctx;
    wg_gradcheck_opts opts;
    size_t n, nvars;
    wg_tensor **inputs; /* what the function is called on */
    variable *vars;
    wg_tensor **leaves;     /* the inputs that gradients are taken with respect to, in the order of vars */
    wg_tensor **results[2]; /* what is differentiated: one tensor, or in second order one for each variable */
    wg_tensor **weights;    /* of the results' sum */
    wg_tensor *r;           /* weights of the function's own elements, in second order */
    wg_tensor *batch[BATCH];
    difference pending[BATCH];
    size_t count;
    /* the verdict */
    int64_t elements, wrong;
    difference worst;
    double worst_excess, worst_analytic, worst_numeric;
} check;

/* ---- small parts ---------------------------------------------------------------------------------------------------- */

static wg_status no_memory(const check *c) {
    return wg_ctx_fail(c->ctx, WG_ERR_NOMEM, "%s: out of host memory", c->name);
}

/* The status behind a NULL that an op gave. */
static wg_status why(const check *c) {
    wg_status status = wg_error_status(c->ctx);
    return status != WG_OK ? status : WG_ERR_NOMEM;
}

/* Fixed pseudo-random weights with magnitudes in [1/4, 1], so that no element goes unseen; the context's own random
 * state stays as it is. The generator is SplitMix64 (Steele, Lea & Flood, OOPSLA 2014). */
static wg_tensor *weights_like(const check *c, wg_tensor *t, uint64_t seed) {
    wg_shape shape = wg_shape_of(t);
    int64_t numel = wg_shape_numel(shape);
    double *w = wg_mem_alloc((size_t)numel * sizeof *w);
    if (!w) {
        no_memory(c);
        return NULL;
    }
    uint64_t state = seed * UINT64_C(0xD1342543DE82EF95);
    for (int64_t i = 0; i < numel; i++) {
        uint64_t z = state += UINT64_C(0x9E3779B97F4A7C15);
        z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
        z ^= z >> 31;
        double magnitude = 0.25 + 0.75 * ((double)(z >> 11) * 0x1p-53);
        w[i] = z & 1 ? magnitude : -magnitude;
    }
    wg_tensor *r = wg_from_f64(c->ctx, w, shape);
    wg_mem_free(w);
    return r;
}

static wg_tensor *weighted_sum(wg_tensor *t, wg_tensor *weights) { return wg_sum(wg_mul(t, weights), NULL, 0, false); }
static size_t nresults(const check *c) { return c->order == 1 ? 1 : c->nvars; }

/* The sum of all elements of all results, weighted. NULL on error. */
static wg_tensor *objective(const check *c, wg_tensor *const *results) {
    wg_tensor *sum = NULL;
    for (size_t i = 0; i < nresults(c); i++) {
        wg_tensor *part = weighted_sum(results[i], c->weights[i]);
        sum = i == 0 ? part : wg_add(sum, part);
    }
    return sum;
}

static bool same_shape(wg_shape a, wg_shape b) {
    return a.rank == b.rank && memcmp(a.dim, b.dim, (size_t)a.rank * sizeof *a.dim) == 0;
}

/* ---- the function and its gradients ----------------------------------------------------------------------------------- */

/* The function's result at c->inputs, if it is one that can be checked. */
static wg_status call(check *c, wg_tensor **out) {
    wg_tensor *t = *out = c->fn(c->inputs, c->n, c->user);
    wg_tensor *r = c->order == 1 ? c->weights[0] : c->r; /* NULL in the first call */
    if (!t) {
        wg_status status = wg_error_status(c->ctx);
        return status != WG_OK ? status : wg_ctx_fail(c->ctx, WG_ERR_ARG, "%s: the function gave NULL", c->name);
    }
    if (!wg_dtype_is_float(wg_dtype_of(t))) {
        return wg_ctx_fail(c->ctx, WG_ERR_DTYPE, "%s: the function gave %s, which has no gradient", c->name,
                           wg_dtype_name(wg_dtype_of(t)));
    }
    if (r && !same_shape(wg_shape_of(r), wg_shape_of(t))) {
        return wg_ctx_fail(c->ctx, WG_ERR_SHAPE, "%s: the function gave another shape at another call", c->name);
    }
    return WG_OK;
}

/* d s / d leaves. An s that depends on none of them has no graph to walk, and a gradient of zeros. */
static wg_status gradients_of(const check *c, wg_tensor *s, bool create_graph, wg_tensor **grads) {
    if (!s) {
        return why(c);
    }
    if (wg_requires_grad(s)) {
        wg_gradients_opts o = wg_gradients_defaults();
        o.retain_graph = true; /* the leaves' ops may be shared with the next call's */
        o.create_graph = create_graph;
        o.allow_unused = true;
        return wg_gradients(&s, 1, c->leaves, c->nvars, grads, &o);
    }
    wg_status status = WG_OK;
    for (size_t k = 0; status == WG_OK && k < c->nvars; k++) {
        grads[k] = wg_zeros_like(c->leaves[k]);
        status = grads[k] ? WG_OK : why(c);
    }
    return status;
}

/* What is being differentiated, at c->inputs. The first call makes the weights. */
static wg_status results_at(check *c, bool create_graph, wg_tensor **results) {
    wg_tensor *out;
    wg_status status = call(c, &out);
    if (status != WG_OK) {
        return status;
    }
    if (c->order == 1) {
        results[0] = out;
    } else {
        c->r = c->r ? c->r : weights_like(c, out, 1);
        status = gradients_of(c, c->r ? weighted_sum(out, c->r) : NULL, create_graph, results);
    }
    for (size_t i = 0; status == WG_OK && i < nresults(c); i++) {
        c->weights[i] = c->weights[i] ? c->weights[i] : weights_like(c, results[i], i + 2);
        status = c->weights[i] ? WG_OK : why(c);
    }
    return status;
}

static wg_status analytic(check *c) {
    wg_tensor **grads = c->results[1];
    wg_status status = results_at(c, true, c->results[0]);
    status = status == WG_OK ? gradients_of(c, objective(c, c->results[0]), false, grads) : status;
    status = status == WG_OK ? wg_eval(grads, c->nvars) : status;
    for (size_t k = 0; status == WG_OK && k < c->nvars; k++) {
        status = wg_read(grads[k], c->vars[k].analytic, (size_t)c->vars[k].numel * sizeof(double));
    }
    return status;
}

/* ---- differences ------------------------------------------------------------------------------------------------------- */

static void judge(check *c, const difference *d, double numeric) {
    double found = d->v->analytic[d->element];
    double excess = fabs(found - numeric) - (c->opts.atol + c->opts.rtol * fabs(numeric));
    c->elements++;
    if (excess <= 0) {
        return;
    }
    /* What is NaN is worse than anything. */
    if (c->wrong == 0 || excess > c->worst_excess || (isnan(excess) && !isnan(c->worst_excess))) {
        c->worst = *d;
        c->worst_excess = excess;
        c->worst_analytic = found;
        c->worst_numeric = numeric;
    }
    c->wrong++;
}

/* Demands what is pending and compares. */
static wg_status flush(check *c) {
    wg_status status = c->count ? wg_eval(c->batch, c->count) : WG_OK;
    for (size_t i = 0; status == WG_OK && i < c->count; i++) {
        double change = 0;
        status = wg_read(c->batch[i], &change, sizeof change);
        if (status == WG_OK) {
            judge(c, &c->pending[i], change / c->pending[i].step);
        }
    }
    c->count = 0;
    return status;
}

/* The results with one element of v set to x. */
static wg_status results_moved(check *c, const variable *v, int64_t element, double x, wg_tensor **results) {
    double was = v->values[element];
    v->values[element] = x;
    wg_tensor *moved = wg_param(wg_from_f64(c->ctx, v->values, v->shape));
    v->values[element] = was;
    if (!moved) {
        return why(c);
    }
    size_t k = (size_t)(v - c->vars);
    c->inputs[v->index] = c->leaves[k] = moved;
    wg_status status = results_at(c, false, results);
    c->inputs[v->index] = c->leaves[k] = v->leaf;
    return status;
}

/* Records one difference. Subtracting element by element before summing keeps the digits of small changes, and makes
 * what does not depend on the element cancel exactly. */
static wg_status differ(check *c, const variable *v, int64_t element) {
    double x = v->values[element], above = x + c->opts.eps, below = x - c->opts.eps;
    wg_tensor **up = c->results[0], **down = c->results[1], *change = NULL;
    wg_status status = results_moved(c, v, element, above, up);
    status = status == WG_OK ? results_moved(c, v, element, below, down) : status;
    for (size_t i = 0; status == WG_OK && i < nresults(c); i++) {
        up[i] = wg_sub(up[i], down[i]);
        status = up[i] ? WG_OK : why(c);
    }
    change = status == WG_OK ? objective(c, up) : NULL;
    if (!change) {
        return status != WG_OK ? status : why(c);
    }
    c->pending[c->count] = (difference){v, element, above - below};
    c->batch[c->count++] = change;
    return WG_OK;
}

/* The differences of up to BATCH elements, from *e of variable *k on, in a scope of their own. */
static wg_status differ_batch(check *c, size_t *k, int64_t *e) {
    wg_mark mark = wg_scope_begin(c->ctx);
    wg_no_grad(c->ctx, c->order == 1);
    wg_status status = WG_OK;
    while (status == WG_OK && *k < c->nvars && c->count < BATCH) {
        if (*e < c->vars[*k].numel) {
            status = differ(c, &c->vars[*k], (*e)++);
        } else {
            ++*k;
            *e = 0;
        }
    }
    status = status == WG_OK ? flush(c) : status;
    wg_status closed = wg_scope_end(c->ctx, mark);
    return status != WG_OK ? status : closed;
}

static wg_status numeric(check *c) {
    wg_status status = WG_OK;
    int64_t e = 0;
    for (size_t k = 0; status == WG_OK && k < c->nvars;) {
        status = differ_batch(c, &k, &e);
    }
    return status;
}

static wg_status verdict(const check *c) {
    if (c->wrong == 0) {
        return WG_OK;
    }
    return wg_ctx_fail(c->ctx, WG_ERR_GRAPH,
                       "%s: input %zu, element %lld: analytic %.10g, numeric %.10g; %lld of %lld elements differ",
                       c->name, c->worst.v->index, (long long)c->worst.element, c->worst_analytic, c->worst_numeric,
                       (long long)c->wrong, (long long)c->elements);
}

/* ---- setting up ---------------------------------------------------------------------------------------------------------- */

wg_gradcheck_opts wg_gradcheck_defaults(void) { return (wg_gradcheck_opts){.eps = 1e-6, .atol = 1e-5, .rtol = 1e-3}; }

/* Whether the arguments make a check; finds the context and how many inputs require grad. */
static wg_status takes(check *c, wg_tensor *const *inputs) {
    for (size_t i = 0; inputs && i < c->n && !c->ctx; i++) {
        c->ctx = wg_context(inputs[i]);
    }
    if (!c->fn || !c->ctx) {
        return c->ctx ? wg_ctx_fail(c->ctx, WG_ERR_ARG, "%s: the function is NULL", c->name) : WG_ERR_ARG;
    }
    const wg_gradcheck_opts *o = &c->opts;
    if (!(o->eps > 0 && o->eps < INFINITY && o->atol >= 0 && o->rtol >= 0)) {
        return wg_ctx_fail(c->ctx, WG_ERR_ARG, "%s: eps %g must be positive, atol %g and rtol %g not negative", c->name,
                           o->eps, o->atol, o->rtol);
    }
    for (size_t i = 0; i < c->n; i++) {
        if (wg_context(inputs[i]) != c->ctx) {
            return wg_ctx_fail(c->ctx, WG_ERR_ARG, "%s: input %zu is %s", c->name, i,
                               inputs[i] ? "from another context" : "NULL");
        }
        if (!wg_requires_grad(inputs[i])) {
            continue;
        }
        if (wg_dtype_of(inputs[i]) != WG_F64) {
            return wg_ctx_fail(c->ctx, WG_ERR_DTYPE, "%s: input %zu is %s: differences need f64", c->name, i,
                               wg_dtype_name(wg_dtype_of(inputs[i])));
        }
        c->nvars++;
    }
    return c->nvars > 0 ? WG_OK : wg_ctx_fail(c->ctx, WG_ERR_GRAPH, "%s: no input requires grad", c->name);
}

static bool make_room(check *c) {
    c->vars = wg_mem_zalloc(c->nvars * sizeof *c->vars);
    c->inputs = wg_mem_zalloc((c->n + 4 * c->nvars) * sizeof *c->inputs);
    if (!c->vars || !c->inputs) {
        return false;
    }
    c->leaves = c->inputs + c->n;
    c->weights = c->leaves + c->nvars;
    c->results[0] = c->weights + c->nvars;
    c->results[1] = c->results[0] + c->nvars;
    return true;
}

static void free_room(check *c) {
    for (size_t k = 0; c->vars && k < c->nvars; k++) {
        wg_mem_free(c->vars[k].values);
    }
    wg_mem_free(c->vars);
    wg_mem_free(c->inputs);
}

/* Leaves of the check's own for the inputs that require grad; the others are passed along. */
static wg_status prepare(check *c, wg_tensor *const *inputs) {
    wg_status status = WG_OK;
    size_t k = 0;
    for (size_t i = 0; status == WG_OK && i < c->n; i++) {
        c->inputs[i] = inputs[i];
        if (!wg_requires_grad(inputs[i])) {
            continue;
        }
        variable *v = &c->vars[k];
        v->index = i;
        v->shape = wg_shape_of(inputs[i]);
        v->numel = wg_numel(inputs[i]);
        size_t bytes = (size_t)v->numel * sizeof(double);
        v->values = wg_mem_alloc(2 * bytes);
        if (!v->values) {
            return no_memory(c);
        }
        v->analytic = v->values + v->numel;
        status = wg_read(inputs[i], v->values, bytes);
        if (status == WG_OK) {
            v->leaf = wg_param(wg_from_f64(c->ctx, v->values, v->shape));
            status = v->leaf ? WG_OK : why(c);
        }
        c->inputs[i] = c->leaves[k++] = v->leaf;
    }
    return status;
}

static wg_status run(int order, wg_function fn, wg_tensor *const *inputs, size_t n, void *user,
                     const wg_gradcheck_opts *opts) {
    check c = {.name = order == 1 ? "gradcheck" : "gradgradcheck", .order = order, .fn = fn, .user = user, .n = n};
    c.opts = opts ? *opts : wg_gradcheck_defaults();
    wg_status status = takes(&c, inputs);
    if (status != WG_OK) {
        return status;
    }
    if (!make_room(&c)) {
        free_room(&c);
        return no_memory(&c);
    }
    wg_mark mark = wg_scope_begin(c.ctx);
    wg_no_grad(c.ctx, false); /* whatever the caller's scope has in force */
    status = prepare(&c, inputs);
    status = status == WG_OK ? analytic(&c) : status;
    status = status == WG_OK ? numeric(&c) : status;
    status = status == WG_OK ? verdict(&c) : status;
    wg_status closed = wg_scope_end(c.ctx, mark);
    free_room(&c);
    return status != WG_OK ? status : closed;
}

wg_status wg_gradcheck(wg_function fn, wg_tensor *const *inputs, size_t n, void *user, const wg_gradcheck_opts *opts) {
    return run(1, fn, inputs, n, user, opts);
}

wg_status wg_gradgradcheck(wg_function fn, wg_tensor *const *inputs, size_t n, void *user,
                           const wg_gradcheck_opts *opts) {
    return run(2, fn, inputs, n, user, opts);
}
