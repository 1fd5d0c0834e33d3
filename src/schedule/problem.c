/* Gathering a problem: which nodes run, which values stay, which bytes may be overwritten, and the key of it all. */
#include "schedule/problem.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "graph/extra.h"
#include "graph/intern.h"
#include "tensor/shape.h"

/* Scratch of the walk in wg_node: `mark` is the epoch once touched, `index` the flags below until tasks are numbered,
 * `edges` how many of the references are known to go when the plan has run. */
enum { NEEDED = 1, KEEP = 2, FRONTIER = 4, IS_LEAF = 8, SEEN = 16 };

typedef struct walk {
    wg_graph *g;
    wg_problem *p;
    size_t outstanding; /* needed nodes the sweep has not come to */
    bool ok;
} walk;

static void touch(wg_graph *g, wg_node *n) {
    if (n->mark != g->epoch) {
        n->mark = g->epoch;
        n->index = 0;
        n->edges = 0;
    }
}

/* A backward that may still come reads what an op saves: keep it, or what it can cheaply be computed from. */
static void save_for_backward(wg_graph *g, wg_node *n) {
    if (!wg_node_has_history(n) || !(n->op->saves | n->op->keeps || n->extra) || g->peek) {
        return;
    }
    const wg_checkpoint_call *c = wg_checkpoint_of(n);
    for (size_t i = 0; c && i < c->n; i++) {
        wg_node *b = wg_base_of(c->inputs[i]);
        touch(g, b);
        b->index |= KEEP;
    }
    if (n->op->saves & WG_SAVE_OUT) {
        wg_node *b = wg_base_of(n);
        touch(g, b);
        b->index |= FRONTIER;
    }
    for (int i = 0; i < n->nin; i++) {
        if ((n->op->saves | n->op->keeps) & WG_SAVE_IN(i)) {
            wg_node *b = wg_base_of(n->in[i]);
            touch(g, b);
            b->index |= n->op->keeps & WG_SAVE_IN(i) ? KEEP : FRONTIER;
        }
    }
}

/* One reference to n goes with the plan. A view all of whose references go lets go of its base and operands too; the
 * chain of views below it is a loop, since it can be long. */
static void count_edge(wg_graph *g, wg_node *n) {
    while (n) {
        touch(g, n);
        n->edges++;
        if (!n->base || n->edges < n->refs) {
            return;
        }
        count_edge(g, n->base); /* no view: one step deep */
        for (int i = 1; i < n->nin; i++) {
            count_edge(g, n->in[i]);
        }
        n = n->nin ? n->in[0] : NULL;
    }
}

static void need(walk *w, wg_node *n) {
    wg_node *b = wg_base_of(n);
    for (wg_node *v = n; v && v->base; v = v->nin ? v->in[0] : NULL) {
        touch(w->g, v);
        if (v->index & SEEN) {
            break;
        }
        v->index |= SEEN;
        save_for_backward(w->g, v);
    }
    touch(w->g, b);
    if (b->flags & WG_NODE_LOST) {
        wg_fail(w->g, WG_ERR_LOST, "%s %s: its value was lost when a launch or a transfer failed; assign it again",
                b->op->name, wg_shape_print(b->shape).s);
        w->ok = false;
    } else if (!b->value && !(b->index & NEEDED)) {
        b->index |= NEEDED;
        w->outstanding++;
    }
}

/* Whether computing n again later takes more than one value of its size that is not there yet: then keeping n takes fewer
 * bytes. Looks no further than a few maps down. */
static bool needs_several(const wg_node *n) {
    enum { FEW = 16 };
    const wg_node *todo[FEW + WG_MAX_IN] = {n}, *root = NULL;
    int count = 1;
    for (int i = 0; i < count && i < FEW; i++) {
        for (int k = 0; k < todo[i]->nin && count < FEW; k++) {
            const wg_node *b = wg_base_of(todo[i]->in[k]);
            bool large = 2 * wg_shape_numel(*b->shape) >= wg_shape_numel(*n->shape);
            if (b->value || b->nin == 0 || !large) {
                continue;
            }
            if (b->op->kind == WG_OP_MAP) {
                todo[count++] = b;
            } else if (root && root != b) {
                return true;
            } else {
                root = b;
            }
        }
    }
    return false;
}

/* The sweep's visit of a needed node, all of whose consumers in the problem were visited before. */
static void visit(walk *w, wg_node *n) {
    bool held = n->edges < n->refs;
    if (held) {
        save_for_backward(w->g, n);
    }
    bool expensive = n->op->kind != WG_OP_MAP || needs_several(n);
    if ((n->index & FRONTIER) && expensive) {
        n->index |= KEEP;
    }
    for (int i = 0; i < n->nin; i++) {
        need(w, n->in[i]);
        if ((n->index & FRONTIER) && !expensive) {
            wg_node *b = wg_base_of(n->in[i]);
            b->index |= b->value ? 0 : FRONTIER;
        }
    }
    bool lets_go = !held || ((n->index & KEEP) && !wg_node_has_history(n));
    for (int i = 0; lets_go && i < n->nin; i++) {
        count_edge(w->g, n->in[i]);
    }
}

static bool push_task(wg_problem *p, wg_node *n) {
    if (!WG_RESERVE(p->tasks, p->ntasks, p->task_cap)) {
        return false;
    }
    p->tasks[p->ntasks].node = n;
    p->tasks[p->ntasks].keep = n->index & KEEP;
    p->ntasks++;
    return true;
}

static void sweep(walk *w) {
    for (wg_node *n = w->g->unrun.prev; w->ok && w->outstanding > 0 && n != &w->g->unrun; n = n->prev) {
        if (n->mark == w->g->epoch && !n->base && (n->index & NEEDED)) {
            w->outstanding--;
            visit(w, n);
            if (!push_task(w->p, n)) {
                wg_fail(w->g, WG_ERR_NOMEM, "out of host memory");
                w->ok = false;
            }
        }
    }
    for (size_t i = 0, j = w->p->ntasks; i + 1 < j; i++) {
        wg_task t = w->p->tasks[i];
        w->p->tasks[i] = w->p->tasks[--j];
        w->p->tasks[j] = t;
    }
}

static bool key_room(wg_problem *p, size_t words) {
    return p->nkey + words <= p->key_cap || wg_mem_grow((void **)&p->key, &p->key_cap, p->nkey + words, sizeof *p->key);
}

/* The number of a leaf; a first visit enters it. The key describes it there. */
static bool leaf_ref(wg_problem *p, wg_node *b, int32_t *ref) {
    if (!(b->index & IS_LEAF)) {
        if (!WG_RESERVE(p->leaves, p->nleaves, p->leaf_cap) || !key_room(p, 2)) {
            return false;
        }
        p->leaves[p->nleaves] = (wg_problem_leaf){b, b->edges == b->refs};
        p->key[p->nkey++] = wg_intern_id(b->shape);
        p->key[p->nkey++] = (uint64_t)b->dtype << 1 | (uint64_t)p->leaves[p->nleaves].dying;
        b->index = (int32_t)(p->nleaves++ << 5) | IS_LEAF;
    }
    *ref = ~(b->index >> 5);
    return true;
}

static bool number_task(wg_problem *p, size_t i) {
    wg_task *it = &p->tasks[i];
    wg_node *n = it->node;
    for (int k = 0; k < n->nin; k++) {
        wg_node *b = wg_base_of(n->in[k]);
        it->in[k].view = n->in[k]->view;
        it->in[k].ref = b->index;
        if (b->value && !leaf_ref(p, b, &it->in[k].ref)) {
            return false;
        }
    }
    if (!key_room(p, 3 + 2 * WG_MAX_IN + WG_MAX_ATTR)) {
        return false;
    }
    p->key[p->nkey++] = (uint64_t)(uintptr_t)n->op;
    p->key[p->nkey++] = wg_intern_id(n->shape);
    p->key[p->nkey++] = (uint64_t)n->dtype | (uint64_t)n->nin << 8 | (uint64_t)it->keep << 16;
    for (int k = 0; k < n->nin; k++) {
        p->key[p->nkey++] = (uint64_t)(uint32_t)it->in[k].ref;
        p->key[p->nkey++] = wg_intern_id(it->in[k].view);
    }
    for (int k = 0; k < WG_MAX_ATTR; k++) {
        p->key[p->nkey++] = (uint64_t)n->attr[k];
    }
    for (int k = 0; k < WG_MAX_SCALAR; k++) {
        p->scalars[i * WG_MAX_SCALAR + (size_t)k] = n->scalar[k];
    }
    n->index = (int32_t)i;
    return true;
}

static bool number(wg_problem *p) {
    size_t n = p->ntasks * WG_MAX_SCALAR;
    if (n > p->scalar_cap && !wg_mem_grow((void **)&p->scalars, &p->scalar_cap, n, sizeof *p->scalars)) {
        return false;
    }
    for (size_t i = 0; i < p->ntasks; i++) {
        if (!number_task(p, i)) {
            return false;
        }
    }
    p->hash = wg_hash_words(p->key, p->nkey);
    return true;
}

bool wg_problem_gather(wg_graph *g, wg_node *const *roots, size_t nroots, size_t nfinal, wg_problem *p) {
    p->ntasks = p->nleaves = p->nkey = 0;
    g->epoch++;
    walk w = {.g = g, .p = p, .ok = true};
    for (size_t i = 0; i < nroots; i++) {
        need(&w, roots[i]);
        wg_node *b = wg_base_of(roots[i]);
        b->index |= b->value ? 0 : KEEP;
    }
    for (size_t i = 0; i < nfinal; i++) {
        count_edge(g, roots[i]);
    }
    sweep(&w);
    if (w.ok && !number(p)) {
        wg_fail(g, WG_ERR_NOMEM, "out of host memory");
        w.ok = false;
    }
    return w.ok;
}

void wg_problem_free(wg_problem *p) {
    wg_mem_free(p->tasks);
    wg_mem_free(p->leaves);
    wg_mem_free(p->scalars);
    wg_mem_free(p->key);
    *p = (wg_problem){0};
}
