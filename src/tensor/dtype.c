/* Facts about dtypes. */
#include "tensor/dtype.h"

#include <math.h>

static const struct {
    const char *name;
    uint8_t size, kind;
    bool valid;
} facts[WG_DTYPE_COUNT] = {
    [WG_BOOL] = {"bool", 1, WG_KIND_BOOL, true}, [WG_U8] = {"u8", 1, WG_KIND_INT, true},
    [WG_I32] = {"i32", 4, WG_KIND_INT, true},    [WG_I64] = {"i64", 8, WG_KIND_INT, true},
    [WG_F16] = {"f16", 2, WG_KIND_FLOAT, false}, [WG_BF16] = {"bf16", 2, WG_KIND_FLOAT, false},
    [WG_F32] = {"f32", 4, WG_KIND_FLOAT, true},  [WG_F64] = {"f64", 8, WG_KIND_FLOAT, true},
};

static bool known(wg_dtype d) { return (unsigned)d < WG_DTYPE_COUNT; }

size_t wg_dtype_size(wg_dtype d) { return known(d) ? facts[d].size : 0; }

const char *wg_dtype_name(wg_dtype d) { return known(d) ? facts[d].name : "?"; }

wg_kind wg_dtype_kind(wg_dtype d) { return known(d) ? (wg_kind)facts[d].kind : WG_KIND_FLOAT; }

bool wg_dtype_valid(wg_dtype d) { return known(d) && facts[d].valid; }

wg_dtype wg_promote_types(wg_dtype a, wg_dtype b) {
    if (a == b) {
        return a;
    }
    if ((a == WG_F16 && b == WG_BF16) || (a == WG_BF16 && b == WG_F16)) {
        return WG_F32;
    }
    /* The enum is ordered so that the wider dtype, or the higher kind, has the larger number. */
    return a > b ? a : b;
}

wg_dtype wg_promote_scalar(wg_dtype d, wg_kind scalar) {
    if (scalar <= wg_dtype_kind(d)) {
        return d;
    }
    return scalar == WG_KIND_INT ? WG_I64 : WG_F32;
}

wg_kind wg_scalar_kind(double x) { return floor(x) == x && fabs(x) <= 0x1p63 ? WG_KIND_INT : WG_KIND_FLOAT; }
