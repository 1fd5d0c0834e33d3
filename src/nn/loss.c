/* Losses, made from the public ops. */
#include "api/fail.h"
#include "nn/temporaries.h"
#include "nn/text.h"

#include <wengert/nn.h>
#include <wengert/ops.h>

/* The sum, or the sum over `count` (a tensor; NULL for the number of elements). */
static wg_tensor *reduced(temporaries *t, wg_tensor *each, wg_reduction how, wg_tensor *count) {
    if (how == WG_NONE) {
        return each;
    }
    if (how == WG_MEAN && !count) {
        return temporary(t, wg_mean(each, NULL, 0, false));
    }
    wg_tensor *sum = temporary(t, wg_sum(each, NULL, 0, false));
    return how == WG_MEAN ? temporary(t, wg_div(sum, count)) : sum;
}

static bool is_reduction(wg_ctx *ctx, const char *op, wg_reduction how) {
    if (how != WG_MEAN && how != WG_SUM && how != WG_NONE) {
        wg_ctx_fail(ctx, WG_ERR_ARG, "%s: %d is no reduction", op, (int)how);
        return false;
    }
    return true;
}

wg_tensor *wg_mse_loss(wg_tensor *a, wg_tensor *b, wg_reduction reduction) {
    if (!is_reduction(wg_context(a), "mse_loss", reduction)) {
        return NULL;
    }
    temporaries t = {0};
    wg_dtype d = wg_promote_types(wg_dtype_of(a), wg_dtype_of(b));
    wg_tensor *x = widened(&t, a), *y = widened(&t, b);
    wg_tensor *each = temporary(&t, wg_square(temporary(&t, wg_sub(x, y))));
    return finish(&t, as(&t, reduced(&t, each, reduction, NULL), d));
}

/* ---- cross entropy -------------------------------------------------------------------------------------------------- */

wg_cross_entropy_opts wg_cross_entropy_defaults(void) {
    return (wg_cross_entropy_opts){.reduction = WG_MEAN, .ignore_index = -100, .label_smoothing = 0};
}

static bool cross_entropy_takes(wg_tensor *logits, wg_tensor *target, const wg_cross_entropy_opts *o) {
    wg_ctx *ctx = wg_context(logits);
    wg_dtype index = wg_dtype_of(target), d = wg_dtype_of(logits);
    int rank = wg_rank(logits);
    if (!ctx) {
        return false;
    }
    if (!target) {
        wg_ctx_fail(ctx, WG_ERR_ARG, "cross_entropy: operand 2 is NULL");
    } else if (!wg_dtype_is_float(d)) {
        wg_ctx_fail(ctx, WG_ERR_DTYPE, "cross_entropy: logits are floating, not %s", wg_dtype_name(d));
    } else if (index != WG_I64 && index != WG_I32) {
        wg_ctx_fail(ctx, WG_ERR_DTYPE, "cross_entropy: targets are i64 or i32, not %s", wg_dtype_name(index));
    } else if ((rank != 1 && rank != 2) || wg_rank(target) != rank - 1) {
        wg_ctx_fail(ctx, WG_ERR_SHAPE, "cross_entropy: %s x %s: takes [n,c] and [n], or [c] and []", shape_of(logits).s,
                    shape_of(target).s);
    } else if (rank == 2 && wg_size(logits, 0) != wg_size(target, 0)) {
        wg_ctx_fail(ctx, WG_ERR_SHAPE, "cross_entropy: %s x %s: the numbers of rows differ", shape_of(logits).s,
                    shape_of(target).s);
    } else if (!(o->label_smoothing >= 0 && o->label_smoothing <= 1)) {
        wg_ctx_fail(ctx, WG_ERR_ARG, "cross_entropy: label_smoothing %g is outside [0,1]", o->label_smoothing);
    } else {
        return is_reduction(ctx, "cross_entropy", o->reduction);
    }
    return false;
}

/* Each row's loss before ignored targets are taken out: -log p of the target's class, a share of it moved to the mean
 * over all classes. The class is found by comparing, so that the whole row is one kernel, without a gather. */
static wg_tensor *row_losses(temporaries *t, wg_tensor *logits, wg_tensor *target, double smoothing) {
    wg_ctx *ctx = wg_context(logits);
    int64_t classes = wg_size(logits, -1);
    wg_tensor *log_p = widened(t, temporary(t, wg_log_softmax(logits, -1)));
    wg_tensor *hit = temporary(t, wg_cast(temporary(t, wg_one_hot(target, classes)), WG_BOOL));
    wg_tensor *zero = temporary(t, wg_zeros(ctx, wg_dtype_of(log_p), WG_SHAPE()));
    wg_tensor *of_target = temporary(t, wg_where(hit, log_p, zero));
    wg_tensor *loss = temporary(t, wg_neg(temporary(t, wg_sum(of_target, (int[]){-1}, 1, false))));
    if (smoothing == 0) {
        return loss;
    }
    wg_tensor *sum = temporary(t, wg_neg(temporary(t, wg_sum(log_p, (int[]){-1}, 1, false))));
    wg_tensor *own = temporary(t, wg_mul_scalar(loss, 1 - smoothing));
    wg_tensor *spread = temporary(t, wg_mul_scalar(sum, smoothing / (double)classes));
    return temporary(t, wg_add(own, spread));
}

wg_tensor *wg_cross_entropy(wg_tensor *logits, wg_tensor *target, const wg_cross_entropy_opts *opts) {
    wg_cross_entropy_opts o = opts ? *opts : wg_cross_entropy_defaults();
    if (!cross_entropy_takes(logits, target, &o)) {
        return NULL;
    }
    temporaries t = {0};
    wg_tensor *zero = temporary(&t, wg_zeros(wg_context(logits), wide(wg_dtype_of(logits)), WG_SHAPE()));
    wg_tensor *counts = temporary(&t, wg_ne_scalar(target, (double)o.ignore_index));
    wg_tensor *rows = row_losses(&t, logits, target, o.label_smoothing);
    wg_tensor *each = temporary(&t, wg_where(counts, rows, zero));
    wg_tensor *divisor = o.reduction == WG_MEAN ? temporary(&t, wg_sum(counts, NULL, 0, false)) : NULL;
    return finish(&t, as(&t, reduced(&t, each, o.reduction, divisor), wg_dtype_of(logits)));
}
