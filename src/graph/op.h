/*
 * The descriptor of an op: everything the library knows about it, in one const struct beside its constructor. Nodes
 * point at it; nothing switches over ops.
 */
#ifndef WG_GRAPH_OP_H
#define WG_GRAPH_OP_H

#include "graph/expr.h"
#include "graph/graph.h"

typedef enum wg_op_kind {
    WG_OP_SOURCE, /* bytes from the host */
    WG_OP_MAP,    /* each element by an expression */
    WG_OP_VIEW,   /* no bytes of its own */
    WG_OP_REDUCE, /* in[0] over the dims in attr[0] (bit mask); the result has them with size 1 */
    WG_OP_MATMUL, /* in[0] [batch...,m,k] x in[1] [batch...,k,n]; both of the result's rank >= 2, batch sizes equal or 1 */
    WG_OP_SCATTER, /* in[0] with slices of in[2] added at in[1] (i64 [n]) along dim attr[0] */
} wg_op_kind;

/* Maps that a vendor's library can do to a matrix product before it stores it. */
typedef enum wg_after_product {
    WG_AFTER_NONE,
    WG_AFTER_ADD,
    WG_AFTER_RELU,
    WG_AFTER_GELU_TANH,
    WG_AFTER_GELU_TANH_GRAD /* of a gradient, and where that function is taken */
} wg_after_product;

typedef struct wg_vjp wg_vjp;

typedef struct wg_section {
    int dim;
    int64_t start, step;
} wg_section;

/* What a VJP reads beside the incoming gradient. */
#define WG_SAVE_IN(i) (1u << (i))
#define WG_SAVE_OUT (1u << 7)

struct wg_op {
    const char *name; /* as in messages, explain and DOT: PyTorch's name */
    wg_op_kind kind;
    bool draws;        /* scalar[0] is the number of a random op, scalar[1] the bits of the seed */
    bool copies;       /* maps: each element is operand 0's, as it is */
    bool zeros;        /* maps: each element is +0 */
    bool sums;         /* maps: each element is operand 0's plus operand 1's */
    bool vjp_narrow;   /* the VJP is one op, which rounds once: it is given 16-bit floats as they are */
    uint8_t elsewhere; /* maps: operands (bit mask) read at other places than the element computed */
    uint8_t saves;     /* WG_SAVE_*: what vjp reads; a debug build refuses anything else */
    uint8_t keeps;  /* WG_SAVE_IN: operands whose own bytes are kept for that, not those they are cheaply made from */
    uint8_t after;  /* maps: a wg_after_product */
    wg_prim reduce; /* reductions: WG_P_RSUM, ... */
    wg_x (*emit)(wg_expr *x, const wg_node *n); /* maps: the element's expression, of the node's dtype */
    /* Maps that put operands side by side: where operand i stands in the result, for as many elements as it has; false for the
     * one that lies all around. NULL for other ops. */
    bool (*slice)(const wg_node *n, int i, wg_section *out);
    void (*vjp)(wg_vjp *v); /* NULL: not differentiable, gradients stop here */
};

/* ---- inside a VJP: handles belong to a temporary scope; build gradients with public ops ---------------------------- */

const wg_node *wg_vjp_node(const wg_vjp *v);
/* The gradient of the result. Of 16-bit floats this, operands and result come as f32 where the VJP computes something: not of ops
 * that move elements, nor of products, nor where vjp_narrow says otherwise. */
wg_tensor *wg_vjp_grad(wg_vjp *v);
/* Whether operand i wants a gradient at all. */
bool wg_vjp_needs(const wg_vjp *v, int i);
/* Operand i, the result: only what `saves` lists. */
wg_tensor *wg_vjp_in(wg_vjp *v, int i);
wg_tensor *wg_vjp_out(wg_vjp *v);
/* Delivers the gradient of operand i, in any shape that sums down to the operand's (broadcasting is undone by the
 * caller) and in any dtype. */
void wg_vjp_set(wg_vjp *v, int i, wg_tensor *grad);

#endif
