/* How tasks, views and loops fit together: pure functions on shapes and strides. */
#include "schedule/geometry.h"

#include "tensor/shape.h"

int64_t wg_first_run(const wg_shape *shape, uint32_t mask, int *first, int *last) {
    int64_t run = 1;
    *first = *last = -1;
    for (int d = 0; d < shape->rank; d++) {
        if (shape->dim[d] == 1) {
            continue;
        }
        if (mask >> d & 1) {
            *first = *first < 0 ? d : *first;
            *last = d;
            run *= shape->dim[d];
        } else if (*first >= 0) {
            break;
        }
    }
    return run;
}

int64_t wg_run_step(const wg_shape *shape, uint32_t mask) {
    int first, last;
    int64_t run = wg_first_run(shape, mask, &first, &last);
    return first < 0 || run == 0 ? 1 : run / shape->dim[first];
}

int64_t wg_split_length(const wg_shape *shape, uint32_t mask) {
    const int64_t chunk_elems = 1 << 14, enough_units = 64;
    int first, last;
    int64_t run = wg_first_run(shape, mask, &first, &last);
    int64_t kept = 1, reduced = 1, inner = 1;
    for (int d = 0; d < shape->rank; d++) {
        *((mask >> d & 1) ? &reduced : &kept) *= shape->dim[d];
    }
    for (int d = shape->rank - 1; d >= 0 && !(mask >> d & 1); d--) {
        inner *= shape->dim[d];
    }
    bool rows = first >= 0 && inner == 1;
    int64_t units = rows ? kept : (kept / (inner ? inner : 1)) * ((inner + WG_LANES - 1) / WG_LANES);
    if (first < 0 || kept == 0 || units >= enough_units || reduced < 2 * chunk_elems / (rows ? 1 : WG_LANES)) {
        return 0;
    }
    int64_t rest = reduced / run * (rows ? 1 : WG_LANES); /* elements a step along the run costs one unit */
    int64_t length = (chunk_elems + rest - 1) / rest;
    int64_t whole = rows ? 1 : wg_run_step(shape, mask);
    while (!rows && whole % WG_LANES != 0) {
        whole *= 2; /* steps, so that each dim can have a loop, and as many as fill lanes: see sums.c */
    }
    length += whole <= length ? (whole - length % whole) % whole : 0;
    return length < run ? length : 0;
}

wg_shape wg_group_kept(const wg_group *g) {
    wg_shape s = g->space;
    for (int d = 0; d < s.rank; d++) {
        s.dim[d] = (g->reduced >> d & 1) ? 1 : s.dim[d];
    }
    return s;
}

wg_loop_mode wg_group_mode(const wg_group *g) {
    if (!g->reduced) {
        return WG_LOOP_MAP;
    }
    for (int d = g->space.rank - 1; d >= 0; d--) {
        if (g->space.dim[d] != 1) {
            return (g->reduced >> d & 1) ? WG_LOOP_ROWS : WG_LOOP_COLUMNS;
        }
    }
    return WG_LOOP_ROWS;
}

bool wg_group_runs_are_one(const wg_group *g) {
    return wg_group_mode(g) != WG_LOOP_COLUMNS || (g->chunk > 0 && g->chunk % wg_run_step(&g->space, g->reduced) != 0);
}

bool wg_runs_merge(const wg_view *v, uint32_t reduced) {
    int outer = -1;
    for (int d = 0; d < v->shape.rank; d++) {
        if (v->shape.dim[d] == 1) {
            continue;
        }
        bool r = reduced >> d & 1;
        if (r && outer >= 0 && v->stride[outer] != v->stride[d] * v->shape.dim[d]) {
            return false;
        }
        outer = r ? d : -1;
    }
    return true;
}

bool wg_group_steps(const wg_group *g, const wg_view *v) {
    return !wg_group_runs_are_one(g) || wg_runs_merge(v, g->reduced);
}

bool wg_group_view(const wg_group *g, wg_level level, const wg_view *w, wg_view *out) {
    if (level == WG_LEVEL_ONE) {
        *out = (wg_view){.shape = g->space, .offset = w->offset};
        return wg_numel_of(&w->shape) == 1;
    }
    wg_shape shape = level == WG_LEVEL_KEPT ? wg_group_kept(g) : g->space;
    if (wg_numel_of(&w->shape) != wg_numel_of(&shape) || !wg_view_reshape(w, &shape, out)) {
        return false;
    }
    if (level == WG_LEVEL_KEPT) {
        for (int d = 0; d < g->space.rank; d++) {
            out->stride[d] = (g->reduced >> d & 1) ? 0 : out->stride[d];
        }
        out->shape = g->space;
        return true;
    }
    return wg_group_steps(g, out);
}

bool wg_operand_view(const wg_problem *p, const wg_task *t, int k, wg_view *out) {
    const wg_operand *o = &t->in[k];
    const wg_node *n = o->ref < 0 ? p->leaves[~o->ref].node : p->tasks[o->ref].node;
    wg_view v = o->view ? *o->view : wg_view_contiguous(n->shape);
    if ((t->node->op->elsewhere >> k & 1) || t->node->op->kind != WG_OP_MAP) {
        *out = v;
        return true;
    }
    return wg_view_expand(&v, t->node->shape, out);
}

bool wg_reordered_view(const wg_problem *p, const wg_group *g, int task, wg_view *out) {
    const wg_task *t = &p->tasks[task];
    wg_view w, over;
    return wg_operand_view(p, t, 0, &w) && wg_view_inverse(&w, wg_numel_of(p->tasks[t->in[0].ref].node->shape), out) &&
           wg_group_view(g, WG_LEVEL_ELEM, out, &over);
}

bool wg_view_aligned(const wg_view *w, const wg_node *n) {
    return w->offset == 0 && wg_numel_of(&w->shape) == wg_numel_of(n->shape) && wg_view_is_contiguous(w);
}

bool wg_view_repeats_kept(const wg_group *g, const wg_view *w) {
    wg_view over, kept;
    wg_shape shape = wg_group_kept(g);
    if (wg_numel_of(&w->shape) != wg_numel_of(&g->space) || !wg_view_reshape(w, &g->space, &over) || over.offset != 0) {
        return false;
    }
    kept = wg_view_contiguous(&shape);
    for (int d = 0; d < g->space.rank; d++) {
        int64_t want = (g->reduced >> d & 1) ? 0 : kept.stride[d];
        if (g->space.dim[d] != 1 && over.stride[d] != want) {
            return false;
        }
    }
    return true;
}
