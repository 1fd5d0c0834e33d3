/* The loops of a kernel: axes, addresses, units of work. */
#include "schedule/axes.h"

#include "base/alloc.h"
#include "schedule/geometry.h"
#include "tensor/shape.h"

#include <string.h>

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* Around a product there are exactly the axes batch, row, column, sizes of 1 included. */
static void begin_product(wg_lowering *l) {
    const wg_shape *s = &l->group->space;
    l->fixed = true;
    for (int d = 0; d < s->rank; d++) {
        if (l->group->reduced >> d & 1) { /* the columns alone: see rows.h */
            l->reduced_dim[l->nreduced] = d;
            l->reduced[l->nreduced++] = s->dim[d];
        } else {
            l->kept_dim[l->nkept] = d;
            l->kept[l->nkept++] = s->dim[d];
        }
    }
}

void wg_axes_begin(wg_lowering *l, bool product) {
    const wg_group *g = l->group;
    l->out->loop.mode = wg_group_mode(g);
    l->out->loop.chunk = -1;
    if (product) {
        begin_product(l);
        return;
    }
    bool in_run = false, one = wg_group_runs_are_one(g);
    if (g->chunk > 0) {
        int first, last;
        l->chunk = one ? g->chunk : g->chunk / wg_run_step(&g->space, g->reduced);
        l->kept_dim[l->nkept] = -1;
        l->kept[l->nkept++] = ceil_div(wg_first_run(&g->space, g->reduced, &first, &last), g->chunk);
    }
    for (int d = 0; d < g->space.rank; d++) {
        if (g->space.dim[d] == 1) {
            continue;
        }
        if (!(g->reduced >> d & 1)) {
            l->kept_dim[l->nkept] = d;
            l->kept[l->nkept++] = g->space.dim[d];
            in_run = false;
        } else if (in_run && one) {
            l->reduced[l->nreduced - 1] *= g->space.dim[d];
            l->reduced_dim[l->nreduced - 1] = d;
        } else {
            l->reduced_dim[l->nreduced] = d;
            l->reduced[l->nreduced++] = g->space.dim[d];
            in_run = true;
        }
    }
    if (g->reduced && l->nreduced == 0) {
        l->reduced_dim[0] = -1;
        l->reduced[l->nreduced++] = 1;
        l->out->loop.mode = l->nkept > 0 ? WG_LOOP_COLUMNS : WG_LOOP_ROWS;
    }
    if (l->nkept == 0 && l->out->loop.mode != WG_LOOP_ROWS) {
        l->kept_dim[0] = -1;
        l->kept[l->nkept++] = 1;
    }
}

/* What else is in an address follows from these. */
static bool same_place(const wg_raw_access *a, const wg_raw_access *b) {
    return a->buffer == b->buffer && a->offset == b->offset && memcmp(a->kept, b->kept, sizeof a->kept) == 0 &&
           memcmp(a->reduced, b->reduced, sizeof a->reduced) == 0;
}

int wg_axes_access(wg_lowering *l, int buffer, const wg_view *over, int64_t chunk_step) {
    wg_raw_access a = {.buffer = buffer, .offset = over->offset};
    for (int i = 0; i < l->nkept; i++) {
        if (l->kept_dim[i] >= 0) {
            a.kept[i] = over->stride[l->kept_dim[i]];
        } else if (l->group->chunk > 0) {
            int d = l->reduced_dim[0];
            a.kept[i] = chunk_step ? chunk_step : over->stride[d] * l->chunk;
        }
        a.level = a.kept[i] && a.level < WG_LEVEL_KEPT ? WG_LEVEL_KEPT : a.level;
    }
    for (int i = 0; i < l->nreduced; i++) {
        a.reduced[i] = l->reduced_dim[i] >= 0 && !chunk_step ? over->stride[l->reduced_dim[i]] : 0;
        a.level = a.reduced[i] ? WG_LEVEL_ELEM : a.level;
    }
    bool on_rows = l->out->loop.mode == WG_LOOP_ROWS;
    a.uniform = (on_rows ? a.reduced[l->nreduced - 1] : a.kept[l->nkept - 1]) == 0;
    for (int i = 0; i < l->naccesses; i++) {
        if (same_place(&l->access[i], &a)) {
            return i;
        }
    }
    if (!WG_RESERVE(l->access, (size_t)l->naccesses, l->access_cap)) {
        l->out->failed = l->out->no_memory = true;
        return 0;
    }
    l->access[l->naccesses] = a;
    return l->naccesses++;
}

wg_view wg_axes_partial_view(const wg_lowering *l, int64_t *chunk_step) {
    const wg_group *g = l->group;
    wg_view v = {.shape = g->space};
    bool rows = l->out->loop.mode == WG_LOOP_ROWS;
    int64_t nchunks = l->kept[0], stride = rows ? nchunks : 1, kept = 1;
    for (int d = g->space.rank - 1; d >= 0; d--) {
        if (!(g->reduced >> d & 1)) {
            v.stride[d] = stride;
            stride *= g->space.dim[d];
            kept *= g->space.dim[d];
        }
    }
    *chunk_step = rows ? 1 : kept;
    return v;
}

/* The axes of one kind, kept or reduced: their sizes and dims, and the strides of address k along them. */
typedef struct axes {
    int *n, *dim;
    int64_t *size;
    bool reduced;
} axes;

static int64_t *strides(const wg_lowering *l, const axes *x, int k) {
    return x->reduced ? l->access[k].reduced : l->access[k].kept;
}

/* Whether every address steps from axis i to i + 1 evenly, so that both are one loop. */
static bool mergeable(const wg_lowering *l, const axes *x, int i) {
    if (x->dim[i] < 0) {
        return false;
    }
    for (int k = 0; k < l->naccesses; k++) {
        const int64_t *stride = strides(l, x, k);
        if (stride[i] != stride[i + 1] * x->size[i + 1]) {
            return false;
        }
    }
    return true;
}

static void merge(wg_lowering *l, const axes *x) {
    for (int i = *x->n - 2; i >= 0 && !l->fixed; i--) {
        if (!mergeable(l, x, i)) {
            continue;
        }
        l->chunk *= x->reduced && i == 0 ? x->size[1] : 1;
        x->size[i + 1] *= x->size[i];
        --*x->n;
        for (int j = i; j < *x->n; j++) {
            x->size[j] = x->size[j + 1];
            x->dim[j] = x->dim[j + 1];
            for (int k = 0; k < l->naccesses; k++) {
                strides(l, x, k)[j] = strides(l, x, k)[j + 1];
            }
        }
    }
}

static int value_param(wg_lowered *out, int64_t value) { return wg_lower_param(out, WG_PARAM_VALUE, WG_I64, 0, value); }

static wg_access finish_access(const wg_lowering *l, const wg_raw_access *raw) {
    wg_lowered *out = l->out;
    wg_access a = {.buffer = raw->buffer, .by_row = raw->level != WG_LEVEL_ELEM};
    a.offset = raw->buffer < 0 ? value_param(out, raw->offset)
                               : wg_lower_param(out, WG_PARAM_OFFSET, WG_I64, raw->buffer, raw->offset);
    bool on_rows = out->loop.mode == WG_LOOP_ROWS;
    int64_t lane = on_rows ? raw->reduced[l->nreduced - 1] : raw->kept[l->nkept - 1];
    a.lane = lane == 0 ? WG_LANE_SAME : lane == 1 ? WG_LANE_NEXT : WG_LANE_STRIDE;
    for (int i = 0; i < l->nkept; i++) {
        bool implied = !on_rows && i == l->nkept - 1 && a.lane == WG_LANE_NEXT;
        a.kept[i] = raw->kept[i] == 0 || implied ? -1 : value_param(out, raw->kept[i]);
    }
    for (int i = 0; i < l->nreduced; i++) {
        bool implied = on_rows && i == l->nreduced - 1 && a.lane == WG_LANE_NEXT;
        a.reduced[i] = raw->reduced[i] == 0 || implied ? -1 : value_param(out, raw->reduced[i]);
    }
    return a;
}

/* How a kernel's work is cut into units, and how large its results are. */
static void cut(wg_lowering *l, size_t cache_bytes) {
    wg_lowered *out = l->out;
    wg_loop *loop = &out->loop;
    const int64_t least = 1024, units = 64;
    int64_t rows = 1, reduced = 1, inner = l->nkept ? l->kept[l->nkept - 1] : 1, block = 0;
    int lane_axis = loop->mode == WG_LOOP_ROWS ? -1 : l->nkept - 1;
    for (int i = 0; i < l->nkept; i++) {
        rows *= i == lane_axis ? 1 : l->kept[i];
    }
    for (int i = 0; i < l->nreduced; i++) {
        reduced *= l->reduced[i];
    }
    out->results = rows * (lane_axis < 0 ? 1 : inner);
    out->elems = out->results * reduced;
    if (loop->mode == WG_LOOP_ROWS) {
        out->units = rows;
        return;
    }
    if (loop->mode == WG_LOOP_COLUMNS) {
        /* Wide blocks read longer pieces of each row; enough of them keep the cores busy. */
        const int64_t most = WG_LANES * WG_STRIPS, share = ceil_div(inner * rows, 8 * WG_LANES) * WG_LANES;
        block = share < WG_LANES ? WG_LANES : share < most ? share : most;
    } else {
        int64_t want = rows >= units ? inner : inner / (units / (rows ? rows : 1));
        block = ceil_div(want > least ? want : least, WG_LANES) * WG_LANES;
        loop->stream = rows == 1 && (size_t)inner * 4 >= cache_bytes;
        for (int i = 0; i < loop->nstores; i++) { /* past the cache go whole vectors alone */
            loop->stream = loop->stream && l->access[loop->store[i].access].offset % WG_LANES == 0;
        }
    }
    out->units = rows * ceil_div(inner, block);
    loop->block = value_param(out, block);
}

void wg_axes_finish(wg_lowering *l, size_t cache_bytes) {
    wg_lowered *out = l->out;
    wg_loop *loop = &out->loop;
    merge(l, &(axes){&l->nkept, l->kept_dim, l->kept, false});
    if (!wg_group_runs_are_one(l->group)) {
        merge(l, &(axes){&l->nreduced, l->reduced_dim, l->reduced, true});
    }
    loop->nkept = l->nkept;
    loop->nreduced = l->nreduced;
    for (int i = 0; i < l->nkept; i++) {
        loop->kept_size[i] = value_param(out, l->kept[i]);
    }
    for (int i = 0; i < l->nreduced; i++) {
        loop->reduced_size[i] = value_param(out, l->reduced[i]);
    }
    if (l->group->chunk > 0) {
        loop->chunk = value_param(out, l->chunk);
    }
    cut(l, cache_bytes);
    loop->access = wg_mem_alloc(((size_t)l->naccesses + 1) * sizeof *loop->access);
    if (!loop->access) {
        out->failed = out->no_memory = true;
        return;
    }
    loop->naccesses = l->naccesses;
    for (int i = 0; i < l->naccesses; i++) {
        loop->access[i] = finish_access(l, &l->access[i]);
    }
}
