/* Traces: whether a function records the same when it is called again. */
#include "graph/node.h"

#include "base/hash.h"

static uint64_t hash_places(const wg_node *n) {
    uint64_t h = (uint64_t)n->shape->rank;
    for (int i = 0; i < n->shape->rank; i++) {
        h = wg_hash_mix(h, (uint64_t)n->shape->dim[i]);
        h = n->view ? wg_hash_mix(h, (uint64_t)n->view->stride[i]) : h;
    }
    return n->view ? wg_hash_mix(h, (uint64_t)n->view->offset) : h;
}

void wg_trace_node(const wg_node *n) {
    for (wg_trace *t = n->graph->trace; t; t = t->outer) {
        uint64_t h = wg_hash_mix(t->hash, (uint64_t)(uintptr_t)n->op);
        h = wg_hash_mix(h, hash_places(n));
        h = wg_hash_mix(h, (uint64_t)n->dtype | (uint64_t)(n->flags & WG_NODE_GRAD) << 8 | (uint64_t)n->nin << 16);
        for (int i = 0; i < n->nin; i++) {
            uint64_t id = n->in[i]->id;
            h = wg_hash_mix(h, id < t->first ? id << 1 : (id - t->first) << 1 | 1);
        }
        h = wg_hash_mix(h, wg_hash_bytes(n->attr, sizeof n->attr));
        t->hash = wg_hash_mix(h, wg_hash_bytes(n->scalar, sizeof n->scalar));
    }
}
