/*
 * The program cache: kernels by their text. The kernels that a plan misses are built as one program, since a driver takes
 * as long for one kernel as for sixteen. A text means the same kernel wherever it comes from.
 */
#ifndef WG_RUNTIME_PROGRAMS_H
#define WG_RUNTIME_PROGRAMS_H

#include "base/str.h"
#include "runtime/device.h"

typedef struct wg_programs {
    const wg_dev *dev;
    struct wg_program_entry **buckets;
    size_t nbuckets, count;
    struct wg_built *built; /* programs, for unbuilding */
    wg_str keep_in;         /* the folder that texts are written to before they are built; empty: none */
    uint64_t kernels_built, builds;
} wg_programs;

/* A kernel wanted: text under WG_NAME_MARK and the library sections it needs. */
typedef struct wg_kernel_want {
    wg_str body, needs;
    wg_kernel *kernel; /* found or built; NULL until then */
    char name[32];
} wg_kernel_want;

void wg_programs_init(wg_programs *p, const wg_dev *dev);
/* Forgets all kernels and unbuilds their programs. */
void wg_programs_drop(wg_programs *p);
/* Fills in `kernel` of all n wants, building those that are missing. Nothing changes on failure. */
wg_status wg_programs_get(wg_programs *p, wg_form form, wg_queue queue, wg_kernel_want *wants, size_t n, wg_err *err);

#endif
