/* Handles a composite makes on its way: noted as they are made, freed together when the result is there. */
#ifndef WG_NN_TEMPORARIES_H
#define WG_NN_TEMPORARIES_H

#include <wengert/tensor.h>

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
