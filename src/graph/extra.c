/* What few nodes have beside the usual. */
#include "graph/extra.h"

#include "base/alloc.h"

wg_extra *wg_extra_of(wg_node *n) {
    if (!n->extra) {
        n->extra = wg_mem_zalloc(sizeof *n->extra);
        if (!n->extra) {
            wg_fail(n->graph, WG_ERR_NOMEM, "out of host memory");
        }
    }
    return n->extra;
}

void wg_hooks_free(wg_hooks *h) {
    wg_mem_free(h->list);
    *h = (wg_hooks){0};
}

void wg_extra_free(wg_node *n) {
    if (n->extra) {
        wg_hooks_free(&n->extra->hooks);
        wg_mem_free(n->extra->where);
        wg_mem_free(n->extra);
    }
}
