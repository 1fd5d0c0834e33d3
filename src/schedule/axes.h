/*
 * The loops of a kernel under construction. While ops are lowered, addresses are views over the group's space; once
 * all are known, dims that every address steps through evenly become one axis, and strides become parameters.
 */
#ifndef WG_SCHEDULE_AXES_H
#define WG_SCHEDULE_AXES_H

#include "schedule/lower.h"

/* An address over the loops before merging: kept dims in order (the chunk axis first, if any), then reduced runs. */
typedef struct wg_raw_access {
    int buffer;
    int64_t offset;
    int64_t kept[WG_MAX_RANK + 1], reduced[WG_MAX_RANK];
    wg_level level;
    bool uniform; /* stays where it is from lane to lane */
} wg_raw_access;

typedef struct wg_lowering {
    const wg_partition *part;
    const wg_group *group;   /* its space and reduced dims; of a product's operand, its rows and columns */
    int number;              /* of the group */
    const wg_view *through;  /* for an operand: where it lies among the elements that its maps make; else NULL */
    const wg_entry *entries; /* what is lowered */
    size_t nentries;
    wg_lowered *out;
    int *value; /* instruction of each entry lowered so far */
    size_t done;
    /* Loops before merging. Sizes of 1 are left out. */
    int nkept, nreduced;
    int64_t kept[WG_MAX_RANK + 1], reduced[WG_MAX_RANK];
    int kept_dim[WG_MAX_RANK + 1]; /* the space's dim; -1 for the chunk axis */
    int reduced_dim[WG_MAX_RANK];  /* the innermost dim of the run; -1 for an axis of size 1 made up */
    int64_t chunk;                 /* of the first reduced axis, if it is split */
    bool fixed;                    /* do not merge: a product's rows and columns */
    wg_raw_access *access;
    int naccesses;
    size_t access_cap;
} wg_lowering;

/* In lower.c: the lowering of a group, and of what a lowering holds, into out->loop. */
wg_lowering wg_lowering_of(const wg_partition *p, int group, wg_lowered *out);
void wg_lower_entries(wg_lowering *l, bool product, size_t cache_bytes);

/* product: the axes are batch, row, column. */
void wg_axes_begin(wg_lowering *l, bool product);
/* The number of an address; over is a view over the space, chunk_step its step along the chunk axis if it differs from
 * what follows from the view. buffer -1 is a coordinate. */
int wg_axes_access(wg_lowering *l, int buffer, const wg_view *over, int64_t chunk_step);
/* Where partial results go, as a view over the space. */
wg_view wg_axes_partial_view(const wg_lowering *l, int64_t *chunk_step);
void wg_axes_finish(wg_lowering *l, size_t cache_bytes);

#endif
