/* The struct behind the accessors of op.h, for grad.c alone to fill; and a VJP by itself. */
#ifndef WG_GRAPH_VJP_H
#define WG_GRAPH_VJP_H

#include "graph/op.h"

struct wg_vjp {
    wg_node *node;
    wg_tensor *grad, *wide; /* of the result; wide: as f32, see wg_vjp_grad, once that was asked for */
    wg_tensor *result[WG_MAX_IN];
};

/* What the VJP of n makes of a gradient of its result: one tensor for each operand that wants one, in that operand's
 * shape and dtype, NULL for the others. False with the error set. */
bool wg_vjp_apply(wg_node *n, wg_tensor *grad, wg_tensor *out[WG_MAX_IN]);

#endif
