/* The struct behind the accessors of op.h; for grad.c alone to fill. */
#ifndef WG_GRAPH_VJP_H
#define WG_GRAPH_VJP_H

#include "graph/op.h"

struct wg_vjp {
    wg_node *node;
    wg_tensor *grad;
    wg_tensor *result[WG_MAX_IN];
};

#endif
