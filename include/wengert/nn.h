/*
 * Losses, normalisation, dropout and initialisers: what neural networks add to the ops, made from them.
 */
#ifndef WENGERT_NN_H
#define WENGERT_NN_H

#include <wengert/tensor.h>
#include <wengert/types.h>

WG_BEGIN_DECLS

typedef enum wg_reduction { WG_MEAN = 0, WG_SUM, WG_NONE } wg_reduction;

typedef struct wg_cross_entropy_opts {
    wg_reduction reduction; /* WG_MEAN */
    int64_t ignore_index;   /* -100: targets of this class count neither in the sum nor in the mean's divisor */
    double label_smoothing; /* 0: in [0,1] */
} wg_cross_entropy_opts;
WG_API wg_cross_entropy_opts wg_cross_entropy_defaults(void);
/* logits [n, c] or [c], target i64/i32 [n] or []: mean over n of -log_softmax(logits)[target]. A target outside
 * 0..c-1 that is not ignore_index contributes as if no class were right. opts NULL means the defaults. Of 16-bit logits the
 * logarithms are rounded, as log_softmax gives them, and the loss. */
WG_API wg_tensor *wg_cross_entropy(wg_tensor *logits, wg_tensor *target, const wg_cross_entropy_opts *opts);

/* (a - b)^2, reduced. Shapes broadcast. */
WG_API wg_tensor *wg_mse_loss(wg_tensor *a, wg_tensor *b, wg_reduction reduction);

/*
 * Normalisation over the last dimensions of x, which are normalized_shape (rank >= 1; WG_ERR_SHAPE if x does not end in
 * it). weight and bias have that shape and x's dtype; NULL leaves them out. Floating dtypes. opts NULL means the defaults.
 */
typedef struct wg_layer_norm_opts {
    double eps; /* 1e-5 */
} wg_layer_norm_opts;
WG_API wg_layer_norm_opts wg_layer_norm_defaults(void);
/* (x - mean) / sqrt(var + eps) * weight + bias, var with divisor n (Ba, Kiros & Hinton 2016). */
WG_API wg_tensor *wg_layer_norm(wg_tensor *x, wg_shape normalized_shape, wg_tensor *weight, wg_tensor *bias,
                                const wg_layer_norm_opts *opts);

typedef struct wg_rms_norm_opts {
    double eps; /* -1: a negative one means the epsilon of x's dtype (16-bit floats: of f32), as PyTorch's None */
} wg_rms_norm_opts;
WG_API wg_rms_norm_opts wg_rms_norm_defaults(void);
/* x / sqrt(mean(x^2) + eps) * weight (Zhang & Sennrich 2019). */
WG_API wg_tensor *wg_rms_norm(wg_tensor *x, wg_shape normalized_shape, wg_tensor *weight, const wg_rms_norm_opts *opts);

/* Zeroes each element with probability p in [0,1] and scales the others by 1/(1-p); the same value if !training. */
WG_API wg_tensor *wg_dropout(wg_tensor *a, double p, bool training);

/* Initialisers give t, a floating leaf, a new random value. */
WG_API wg_status wg_init_uniform(wg_tensor *t, double lo, double hi);
WG_API wg_status wg_init_normal(wg_tensor *t, double mean, double std);
/* U(-b, b) with b = sqrt(6 / ((1 + a^2) fan_in)), fan_in = numel / size(0) (He et al. 2015). a = sqrt(5) is what
 * PyTorch gives linear layers. Rank >= 2. */
WG_API wg_status wg_init_kaiming_uniform(wg_tensor *t, double a);
/* N(0, 2 / ((1 + a^2) fan_in)). */
WG_API wg_status wg_init_kaiming_normal(wg_tensor *t, double a);

WG_END_DECLS

#endif
