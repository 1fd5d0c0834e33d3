/*
 * The table behind wg_intern_shape and wg_intern_view; one for each graph.
 *
 * Nodes count as references. An entry without any stays, since the next step will want it, until wg_intern_prune finds
 * the table large. Whoever remembers an entry longer than its nodes remembers its id, which no other ever has.
 */
#ifndef WG_GRAPH_INTERN_H
#define WG_GRAPH_INTERN_H

#include "graph/graph.h"

/* An entry. A shape is its view's first member, so that one struct serves both. */
typedef struct wg_interned {
    struct wg_interned *next;
    uint64_t hash, id;
    uint32_t refs;
    bool is_view;
    wg_view view;
} wg_interned;

wg_intern *wg_intern_new(void);
void wg_intern_free(wg_intern *t);

/* The entry of what wg_intern_shape or wg_intern_view returned. */
static inline wg_interned *wg_interned_of(const void *shape_or_view) {
    return (wg_interned *)((uintptr_t)shape_or_view - offsetof(wg_interned, view));
}

/* 0 for NULL. */
static inline uint64_t wg_intern_id(const void *shape_or_view) {
    return shape_or_view ? wg_interned_of(shape_or_view)->id : 0;
}

/* If there are many entries, frees those that no node refers to. Not while one is held that is not a node's yet. */
void wg_intern_prune(wg_graph *g);
/* How many entries there are. */
size_t wg_intern_count(const wg_graph *g);

#endif
