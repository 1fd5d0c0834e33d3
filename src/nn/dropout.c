/* Dropout. */
#include "api/fail.h"
#include "nn/temporaries.h"

#include <wengert/nn.h>
#include <wengert/ops.h>

wg_tensor *wg_dropout(wg_tensor *a, double p, bool training) {
    wg_ctx *ctx = wg_context(a);
    wg_dtype d = wg_dtype_of(a);
    if (!ctx) {
        return NULL;
    }
    if (!(p >= 0 && p <= 1)) {
        wg_ctx_fail(ctx, WG_ERR_ARG, "dropout: the probability %g is outside [0,1]", p);
        return NULL;
    }
    if (!wg_dtype_is_float(d)) {
        wg_ctx_fail(ctx, WG_ERR_DTYPE, "dropout: takes floating dtypes, not %s", wg_dtype_name(d));
        return NULL;
    }
    if (!training || p == 0) {
        return wg_reshape(a, wg_shape_of(a));
    }
    /* With p = 1 nothing is kept, so nothing needs scaling: 1 / (1 - p) would make 0 * inf of the gradient. */
    double scale = p < 1 ? 1 / (1 - p) : 1;
    temporaries t = {0};
    wg_tensor *draw = temporary(&t, wg_rand(ctx, WG_F32, wg_shape_of(a)));
    wg_tensor *keep = temporary(&t, wg_ge_scalar(draw, p));
    wg_tensor *scaled = temporary(&t, wg_mul_scalar(a, scale));
    wg_tensor *zero = temporary(&t, wg_zeros(ctx, d, WG_SHAPE()));
    return finish(&t, temporary(&t, wg_where(keep, scaled, zero)));
}
