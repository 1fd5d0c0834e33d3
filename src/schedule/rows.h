/*
 * Reductions over the rows of a product in the product's own kernel: a group of work-items that computes whole rows of it has them
 * at hand when they are done, and the loops of a rows kernel run over them there. What nobody else needs of the product is never
 * stored. Which products take rows in is found by sink.c, by the bytes that plans move. For partition.c.
 */
#ifndef WG_SCHEDULE_ROWS_H
#define WG_SCHEDULE_ROWS_H

#include "schedule/partition.h"

/* Columns that a group can hold whole rows of: in the simd form in its scratch, in the simt form in local memory, that many bytes of
 * it for each byte of an element and some for sums. src/kernels/gemm.c has tiles for it. */
enum { WG_ROW_SIMD = 256, WG_ROW_SIMT = 128, WG_ROW_LOCAL = 6752, WG_ROW_LOCAL_SUMS = 8192 };

/* Whether a product's kernel can take in a reduction of `shape` over `mask`, but for what the reduction reads. */
bool wg_rows_fit(const wg_partition *p, int group, const wg_shape *shape, uint32_t mask);
/* The reduced dims in the space of a group that takes the reduction in. */
uint32_t wg_rows_mask(const wg_group *g, uint32_t mask);

#endif
