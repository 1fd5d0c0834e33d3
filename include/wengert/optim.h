/*
 * Optimisers: a step records, for each parameter with a gradient, its new value; the scope's end runs it, in place. State has
 * the parameter's dtype. Of f16 and bf16 a step is computed in f32, and what it gives rounded once.
 */
#ifndef WENGERT_OPTIM_H
#define WENGERT_OPTIM_H

#include <wengert/tensor.h>
#include <wengert/types.h>

WG_BEGIN_DECLS

typedef struct wg_optim wg_optim;

typedef struct wg_sgd_opts {
    double lr;           /* 1e-3 */
    double momentum;     /* 0 */
    double dampening;    /* 0 */
    double weight_decay; /* 0 */
    bool nesterov;       /* false; needs momentum > 0 and dampening 0 */
} wg_sgd_opts;
WG_API wg_sgd_opts wg_sgd_defaults(void);
/* Sutskever et al. 2013, in PyTorch's form: g += wd p; buf = momentum buf + (1 - dampening) g (first: g);
 * p -= lr (nesterov ? g + momentum buf : buf). The parameters are n floating leaves that must outlive the optimiser; it
 * owns its state. NULL on error. The caller frees it with wg_optim_free. */
WG_API wg_optim *wg_sgd_new(wg_tensor *const *params, size_t n, const wg_sgd_opts *opts);

typedef struct wg_adam_opts {
    double lr;           /* 1e-3 */
    double beta1, beta2; /* 0.9, 0.999 */
    double eps;          /* 1e-8 */
    double weight_decay; /* 0 (AdamW: 1e-2) */
    bool decoupled;      /* false: Adam, decay added to the gradient; true: AdamW, p *= 1 - lr wd */
} wg_adam_opts;
WG_API wg_adam_opts wg_adam_defaults(void);
WG_API wg_adam_opts wg_adamw_defaults(void);
/* Kingma & Ba 2015; decoupled: Loshchilov & Hutter 2019. */
WG_API wg_optim *wg_adam_new(wg_tensor *const *params, size_t n, const wg_adam_opts *opts);

/* Records the update of every parameter that has a gradient. State that a failed launch lost cannot be assigned again as
 * parameters can: then every step ends in WG_ERR_LOST, and a new optimiser is needed. */
WG_API wg_status wg_optim_step(wg_optim *o);
/* wg_zero_grad on every parameter. */
WG_API void wg_optim_zero_grad(wg_optim *o);
WG_API double wg_optim_lr(const wg_optim *o);
/* Takes effect at the next step; builds nothing anew. */
WG_API void wg_optim_set_lr(wg_optim *o, double lr);
/* NULL is allowed. */
WG_API void wg_optim_free(wg_optim *o);

WG_END_DECLS

#endif
