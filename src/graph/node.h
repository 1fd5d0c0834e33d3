/* Storage of nodes; for the files of src/graph. */
#ifndef WG_GRAPH_NODE_H
#define WG_GRAPH_NODE_H

#include "graph/graph.h"
#include "graph/op.h"

/* An unrun node with one reference, the caller's. NULL when there is no memory (error set). */
wg_node *wg_node_new(wg_graph *g, const wg_op *op, wg_dtype dtype, const wg_shape *shape);

/* Adds a recorded node to the traces being kept. */
void wg_trace_node(const wg_node *n);

#endif
