/*
 * Gradients: reverse mode over the recorded graph.
 *
 * A tensor requires grad if wg_param or wg_set_requires_grad said so, or if it was made from one that does while
 * recording was on. wg_backward accumulates into leaves; wg_gradients returns gradients and touches nothing. Both
 * record ordinary ops: nothing runs before a value is demanded or the scope closes.
 */
#ifndef WENGERT_GRAD_H
#define WENGERT_GRAD_H

#include <wengert/tensor.h>
#include <wengert/types.h>

WG_BEGIN_DECLS

/* Makes t a leaf that requires grad, and returns it. A t made by ops is detached from them first. Floating dtypes. */
WG_API wg_tensor *wg_param(wg_tensor *t);
/* The same for a leaf, switched on or off. WG_ERR_GRAPH for a t made by ops. */
WG_API wg_status wg_set_requires_grad(wg_tensor *t, bool on);

/*
 * Adds d loss / d leaf to the gradient of every leaf that loss was made from, then releases the graph. loss has one
 * element (WG_ERR_SHAPE else: see wg_backward_with). A second backward through the same graph is WG_ERR_GRAPH.
 */
WG_API wg_status wg_backward(wg_tensor *loss);

typedef struct wg_backward_opts {
    wg_tensor *grad;   /* d objective / d tensor, in its shape and dtype; NULL for ones if it has one element */
    bool retain_graph; /* keep the graph for another backward */
    bool create_graph; /* record the backward pass for gradients of its own; implies retain_graph */
} wg_backward_opts;
/* Everything off. */
WG_API wg_backward_opts wg_backward_defaults(void);
/* opts NULL means the defaults. */
WG_API wg_status wg_backward_with(wg_tensor *t, const wg_backward_opts *opts);

/* A snapshot of t's accumulated gradient; zeros if there is none. The result belongs to the scope. */
WG_API wg_tensor *wg_grad(wg_tensor *t);
/* Whether t has an accumulated gradient. */
WG_API bool wg_has_grad(const wg_tensor *t);
/* Drops the gradient; one that was recorded but did not run yet never runs. */
WG_API void wg_zero_grad(wg_tensor *t);

typedef struct wg_gradients_opts {
    wg_tensor *const *grad_outputs; /* one for each output, entries may be NULL for ones; or NULL for all ones */
    bool retain_graph;
    bool create_graph; /* implies retain_graph */
    bool allow_unused; /* zeros for inputs that no output depends on, instead of WG_ERR_GRAPH */
} wg_gradients_opts;
WG_API wg_gradients_opts wg_gradients_defaults(void);
/* grads[i] = sum over j of d outputs[j] / d inputs[i] (times grad_outputs[j]). Inputs may be leaves or made by ops.
 * The results belong to the scope; on error all are NULL. */
WG_API wg_status wg_gradients(wg_tensor *const *outputs, size_t noutputs, wg_tensor *const *inputs, size_t ninputs,
                              wg_tensor **grads, const wg_gradients_opts *opts);

/* ---- hooks ------------------------------------------------------------------------------------------------------- */

/* Is called with a gradient, in the shape and dtype of its tensor, and returns another one in its place, or NULL to leave
 * it. What it makes belongs to a scope that closes after it. */
typedef wg_tensor *(*wg_grad_hook)(wg_tensor *grad, void *user);

/*
 * Calls fn in every backward (wg_gradients too) that finds a gradient of t, once, when it is complete: before what t was
 * made from gets its own, and before a leaf adds it to the gradient it has. As everything recorded the gradient is lazy:
 * fn may go on from it with ops, or demand it (wg_item, wg_data). Several hooks run in the order of registration, each
 * seeing what the one before returned. t requires grad (WG_ERR_GRAPH else). A leaf's hooks stay when it is assigned to;
 * those of a tensor made by ops go with its graph. The result names the hook for wg_remove_hook; 0 on error.
 *
 * An error that fn causes, or a gradient of another shape or dtype that it returns, ends the backward with that error;
 * no leaf has changed then. fn cannot start a backward (WG_ERR_GRAPH).
 */
WG_API uint64_t wg_register_hook(wg_tensor *t, wg_grad_hook fn, void *user);
/* WG_ERR_ARG if t has no such hook. */
WG_API wg_status wg_remove_hook(wg_tensor *t, uint64_t hook);

/* ---- functions of tensors ------------------------------------------------------------------------------------------ */

/* A function from tensors to one tensor, recorded anew at each call. user is passed through. */
typedef wg_tensor *(*wg_function)(wg_tensor *const *inputs, size_t n, void *user);

/*
 * fn(inputs), keeping only the inputs for a backward, which calls fn once more to have the rest (Chen et al. 2016): less
 * memory for more work. Values and gradients are the same to the bit as without. n >= 1.
 *
 * fn may use other tensors too, parameters among them, and they get their gradients; what ops made is kept for the second
 * call only if it is an input, and may be computed again else. It is called once for each backward
 * that reaches the result, with handles on the same values, and draws the same random numbers: user and what it points
 * to must live until the scope ends or a backward released the graph, and fn must record the same ops each time, from
 * the same values: a parameter it uses cannot be assigned to in between. Else that backward ends with WG_ERR_GRAPH.
 * Checkpoints nest, and have gradients of higher order. Tensors that fn hands out besides its result have no graph.
 * Where gradients are off this is fn(inputs). NULL if fn gives NULL.
 */
WG_API wg_tensor *wg_checkpoint(wg_function fn, wg_tensor *const *inputs, size_t n, void *user);

typedef struct wg_gradcheck_opts {
    double eps;  /* step of the central difference, 1e-6 */
    double atol; /* 1e-5 */
    double rtol; /* 1e-3 */
} wg_gradcheck_opts;
WG_API wg_gradcheck_opts wg_gradcheck_defaults(void);
/*
 * Compares the gradients of sum(fn(inputs) * r), r fixed and random, with central differences, element by element, for
 * each input that requires grad. Inputs should be f64 leaves. WG_OK if all agree within atol + rtol * |numeric|;
 * WG_ERR_GRAPH with the worst element in the context's error if not. Inputs are left as they were.
 */
WG_API wg_status wg_gradcheck(wg_function fn, wg_tensor *const *inputs, size_t n, void *user,
                              const wg_gradcheck_opts *opts);
/* The same for the gradients of the gradients. */
WG_API wg_status wg_gradgradcheck(wg_function fn, wg_tensor *const *inputs, size_t n, void *user,
                                  const wg_gradcheck_opts *opts);

WG_END_DECLS

#endif
