/* The table behind wg_intern_shape and wg_intern_view; one for each graph. */
#ifndef WG_GRAPH_INTERN_H
#define WG_GRAPH_INTERN_H

#include "graph/graph.h"

wg_intern *wg_intern_new(void);
void wg_intern_free(wg_intern *t);

#endif
