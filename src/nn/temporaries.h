/* Handles a composite makes on its way: noted as they are made, freed together when the result is there. */
#ifndef WG_NN_TEMPORARIES_H
#define WG_NN_TEMPORARIES_H

#include <wengert/ops.h>

enum { MAX_TEMPORARIES = 24 };

typedef struct temporaries {
    wg_tensor *handle[MAX_TEMPORARIES];
    int count;
} temporaries;

/* Notes a handle (NULL is allowed) and returns it. */
static inline wg_tensor *temporary(temporaries *t, wg_tensor *handle) {
    if (handle && t->count < MAX_TEMPORARIES) {
        t->handle[t->count++] = handle;
    }
    return handle;
}

/* handle, if it has that dtype, else converted. */
static inline wg_tensor *as(temporaries *t, wg_tensor *handle, wg_dtype dtype) {
    return !handle || wg_dtype_of(handle) == dtype ? handle : temporary(t, wg_cast(handle, dtype));
}

/* What composites of a dtype are computed in: those of 16-bit floats are rounded once, at the end. */
static inline wg_dtype wide(wg_dtype d) { return d == WG_F16 || d == WG_BF16 ? WG_F32 : d; }
static inline wg_tensor *widened(temporaries *t, wg_tensor *handle) { return as(t, handle, wide(wg_dtype_of(handle))); }

/* Frees all but the result, and returns that. */
static inline wg_tensor *finish(temporaries *t, wg_tensor *result) {
    for (int i = 0; i < t->count; i++) {
        if (t->handle[i] != result) {
            wg_free(t->handle[i]);
        }
    }
    t->count = 0;
    return result;
}

#endif
