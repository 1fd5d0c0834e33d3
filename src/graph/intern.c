/* Hash-consing of shapes and views: a graph uses few distinct ones, and nodes, keys and plans compare pointers. */
#include "graph/intern.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "tensor/shape.h"

/* So many entries are never too many. */
enum { FEW = 1024 };

typedef wg_interned entry;

struct wg_intern {
    entry **buckets;
    size_t count, nbuckets; /* nbuckets is a power of two */
    size_t many;            /* entries from which pruning is worth a walk */
    uint64_t next_id;
};

wg_intern *wg_intern_new(void) {
    wg_intern *t = wg_mem_zalloc(sizeof *t);
    if (t) {
        t->nbuckets = 64;
        t->many = FEW;
        t->next_id = 1;
        t->buckets = wg_mem_zalloc(t->nbuckets * sizeof *t->buckets);
        if (!t->buckets) {
            wg_mem_free(t);
            t = NULL;
        }
    }
    return t;
}

void wg_intern_free(wg_intern *t) {
    if (!t) {
        return;
    }
    for (size_t i = 0; i < t->nbuckets; i++) {
        for (entry *e = t->buckets[i], *next; e; e = next) {
            next = e->next;
            wg_mem_free(e);
        }
    }
    wg_mem_free(t->buckets);
    wg_mem_free(t);
}

static void rehash(wg_intern *t) {
    size_t n = t->nbuckets * 2;
    entry **buckets = wg_mem_zalloc(n * sizeof *buckets);
    if (!buckets) {
        return; /* longer chains, no harm */
    }
    for (size_t i = 0; i < t->nbuckets; i++) {
        for (entry *e = t->buckets[i], *next; e; e = next) {
            next = e->next;
            e->next = buckets[e->hash & (n - 1)];
            buckets[e->hash & (n - 1)] = e;
        }
    }
    wg_mem_free(t->buckets);
    t->buckets = buckets;
    t->nbuckets = n;
}

static uint64_t hash_shape(const wg_shape *s) {
    uint64_t h = (uint64_t)s->rank;
    for (int i = 0; i < s->rank; i++) {
        h = wg_hash_mix(h, (uint64_t)s->dim[i]);
    }
    return h;
}

static entry *insert(wg_intern *t, uint64_t hash, bool is_view) {
    entry *e = wg_mem_zalloc(sizeof *e);
    if (e) {
        if (t->count >= t->nbuckets) {
            rehash(t);
        }
        e->hash = hash;
        e->id = t->next_id++;
        e->is_view = is_view;
        e->next = t->buckets[hash & (t->nbuckets - 1)];
        t->buckets[hash & (t->nbuckets - 1)] = e;
        t->count++;
    }
    return e;
}

static wg_shape clean_shape(const wg_shape *s) {
    wg_shape r = {.rank = s->rank};
    for (int i = 0; i < s->rank; i++) {
        r.dim[i] = s->dim[i];
    }
    return r;
}

const wg_shape *wg_intern_shape(wg_graph *g, const wg_shape *s) {
    uint64_t hash = hash_shape(s);
    for (entry *e = g->intern->buckets[hash & (g->intern->nbuckets - 1)]; e; e = e->next) {
        if (e->hash == hash && !e->is_view && wg_shape_equal(&e->view.shape, s)) {
            return &e->view.shape;
        }
    }
    entry *e = insert(g->intern, hash, false);
    if (!e) {
        return wg_fail(g, WG_ERR_NOMEM, "out of host memory");
    }
    e->view.shape = clean_shape(s);
    return &e->view.shape;
}

static bool view_equal(const wg_view *a, const wg_view *b) {
    if (a->offset != b->offset || !wg_shape_equal(&a->shape, &b->shape)) {
        return false;
    }
    for (int i = 0; i < a->shape.rank; i++) {
        if (a->stride[i] != b->stride[i]) {
            return false;
        }
    }
    return true;
}

const wg_view *wg_intern_view(wg_graph *g, const wg_view *v) {
    uint64_t hash = wg_hash_mix(hash_shape(&v->shape), (uint64_t)v->offset);
    for (int i = 0; i < v->shape.rank; i++) {
        hash = wg_hash_mix(hash, (uint64_t)v->stride[i]);
    }
    for (entry *e = g->intern->buckets[hash & (g->intern->nbuckets - 1)]; e; e = e->next) {
        if (e->hash == hash && e->is_view && view_equal(&e->view, v)) {
            return &e->view;
        }
    }
    entry *e = insert(g->intern, hash, true);
    if (!e) {
        return wg_fail(g, WG_ERR_NOMEM, "out of host memory");
    }
    e->view.shape = clean_shape(&v->shape);
    e->view.offset = v->offset;
    for (int i = 0; i < v->shape.rank; i++) {
        e->view.stride[i] = v->stride[i];
    }
    return &e->view;
}

void wg_intern_prune(wg_graph *g) {
    wg_intern *t = g->intern;
    if (t->count <= t->many) {
        return;
    }
    for (size_t i = 0; i < t->nbuckets; i++) {
        for (entry **link = &t->buckets[i], *e; (e = *link);) {
            if (e->refs == 0) {
                *link = e->next;
                wg_mem_free(e);
                t->count--;
            } else {
                link = &e->next;
            }
        }
    }
    t->many = t->count > FEW / 2 ? 2 * t->count : FEW;
}

size_t wg_intern_count(const wg_graph *g) { return g->intern->count; }
