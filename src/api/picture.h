/* A graph as it is drawn: its nodes in the order of recording, with values and gradients as text. For dot.c. */
#ifndef WG_API_PICTURE_H
#define WG_API_PICTURE_H

#include "api/context.h"

typedef struct wg_caption {
    char text[112]; /* "" for none */
} wg_caption;

typedef struct wg_drawn {
    wg_node *node; /* held */
    wg_caption value, grad;
    wg_caption back[WG_MAX_IN];  /* what reaches operand i of the gradient of the result */
    wg_caption local[WG_MAX_IN]; /* the derivative of the result with respect to it, element by element */
} wg_drawn;

typedef struct wg_picture {
    wg_graph *graph;
    wg_drawn *drawn;
    size_t n, cap;
} wg_picture;

/* Operands that are drawn: none of a leaf, whose history is not its own. */
int wg_picture_inputs(const wg_node *n);
/* The place of a node; n if it is not drawn. */
size_t wg_picture_find(const wg_picture *p, const wg_node *n);

/* Collects what the tensors were made by. False with the error set; the picture is freed either way. */
bool wg_picture_collect(wg_picture *p, wg_tensor *const *tensors, size_t n);
/* Fills in values and, where the tensors have one, gradients. elements: the most that are written out. */
bool wg_picture_evaluate(wg_picture *p, wg_tensor *const *tensors, size_t n, int64_t elements);
void wg_picture_free(wg_picture *p);

#endif
