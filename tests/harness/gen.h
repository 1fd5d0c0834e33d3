/*
 * Deterministic inputs: values by domain, and views of larger tensors by layout.
 */
#ifndef HARNESS_GEN_H
#define HARNESS_GEN_H

#include "nd.h"

typedef struct rng {
    uint64_t state;
} rng;
rng rng_seed(const char *name, uint64_t seed);
uint64_t rng_next(rng *r);
int64_t rng_below(rng *r, int64_t n);
double rng_unit(rng *r);   /* [0,1) */
double rng_normal(rng *r); /* about N(0,1) */

typedef enum domain {
    DOM_ANY = 0, /* floats: normal; integers: small, some wide */
    DOM_SPECIAL, /* one in three a special value: zeros, infinities, NaN, subnormals, extremes, ties */
    DOM_SPARSE,  /* now and then NaN, an infinity, -0 or a subnormal: for sums that must not overflow */
    DOM_POS,     /* [0.3, 2] */
    DOM_AWAY,    /* +-[0.4, 1.7] */
    DOM_TIES,    /* one of -2, -1, 0, 1, 2 */
    DOM_EXP,     /* floats: [-2, 2]; integers: -3..9 */
    DOM_BIT      /* 0 or 1 */
} domain;

void gen_fill(nd *a, domain dom, rng *r);
/* Indices below limit. */
void gen_index(nd *a, int64_t limit, rng *r);
/* The special values of a dtype, and how many. */
nd gen_specials(wg_dtype dtype);
/* All pairs of specials: which = 0 or 1 picks the side. */
nd gen_cross(wg_dtype dtype, int which);

typedef enum layout {
    LAY_CONTIGUOUS = 0,
    LAY_TRANSPOSED, /* of a tensor with the last two sizes swapped */
    LAY_NARROWED,   /* out of a tensor larger in every dim */
    LAY_STEPPED,    /* every second element of the last dim */
    LAY_FLIPPED,    /* all dims */
    LAY_EXPANDED,   /* dim 0 from size 1 */
    LAY_MIXED,      /* dims reversed, the last stepped by 3, the first flipped */
    LAY_COUNT
} layout;
const char *layout_name(layout l);
/* The shape of the tensor that has a view of shape `want` in that layout; the layout itself where rank is too low for it is
 * contiguous. */
wg_shape layout_base(wg_shape want, layout l);
wg_tensor *layout_apply(wg_tensor *base, wg_shape want, layout l);
nd layout_apply_nd(nd base, wg_shape want, layout l);

/* A tensor and the same elements on the host. */
typedef struct input {
    wg_tensor *t;
    nd v;
} input;
input input_of(wg_ctx *ctx, nd v);
input input_make(wg_ctx *ctx, wg_dtype dtype, wg_shape shape, layout l, domain dom, rng *r);

#endif
