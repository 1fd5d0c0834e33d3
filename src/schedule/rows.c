/* Reductions over the rows of a product in the product's own kernel. */
#include "schedule/rows.h"

#include "schedule/place.h"
#include "schedule/prologue.h"
#include "tensor/dtype.h"

static int64_t most_columns(const wg_partition *p, wg_dtype dtype) {
    int64_t size = (int64_t)wg_dtype_size(wg_dtype_compute(dtype));
    if (p->form == WG_SIMD) {
        return WG_ROW_SIMD;
    }
    return size * WG_ROW_LOCAL + WG_ROW_LOCAL_SUMS <= (int64_t)p->limits->local_bytes ? WG_ROW_SIMT : 0;
}

bool wg_rows_fit(const wg_partition *p, int group, const wg_shape *shape, uint32_t mask) {
    const wg_group *g = &p->groups[group];
    int last = shape->rank - 1;
    if (g->kind != WG_GROUP_MATMUL || g->nentries == 0 || g->nmore > 0 || last < 0 ||
        wg_product_apart(p, g->entries[0].task)) {
        return false;
    }
    int64_t columns = g->space.dim[g->space.rank - 1];
    return columns > 1 && columns <= most_columns(p, (wg_dtype)p->problem->tasks[g->entries[0].task].node->dtype) &&
           shape->dim[last] == columns && mask == (uint32_t)1 << last && wg_numel_of(shape) == wg_numel_of(&g->space);
}

uint32_t wg_rows_mask(const wg_group *g, uint32_t mask) {
    return g->kind == WG_GROUP_MATMUL ? (uint32_t)1 << (g->space.rank - 1) : mask;
}
