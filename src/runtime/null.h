/*
 * Two backends without a device. "null" runs nothing and writes down what it was asked to do, so that order, lifetimes
 * and faults can be tested anywhere; "null:cpu" and "null:gpu" have the limits of a CPU and a GPU, "null:cuda" those of a
 * GPU whose kernels are CUDA C++. "host" has memory only: the executor interprets.
 */
#ifndef WG_RUNTIME_NULL_H
#define WG_RUNTIME_NULL_H

#include "runtime/backend.h"

typedef enum wg_null_kind {
    WG_NULL_ALLOC,
    WG_NULL_FREE,
    WG_NULL_WRITE,
    WG_NULL_READ,
    WG_NULL_LAUNCH,
    WG_NULL_MARK,
    WG_NULL_WAIT,
    WG_NULL_SYNC
} wg_null_kind;

typedef struct wg_null_record {
    wg_null_kind kind;
    void *handle;         /* of alloc, free, write, read */
    size_t offset, bytes; /* of write and read; bytes of alloc and free too */
    wg_queue queue;       /* of launch, mark, wait */
    int event;            /* of mark and wait */
    /* of a launch: */
    const char *kernel; /* as long as the record */
    uint32_t groups[3], local[3];
    int nbuffers;
    void *const *buffers; /* their handles */
    const void *params;
    size_t param_bytes;
} wg_null_record;

/* What a "null" device was asked to do since it was opened or cleared, at most 65536 records. Valid until its next call. */
size_t wg_null_log(wg_device *dev, const wg_null_record **out);
void wg_null_log_clear(wg_device *dev);

#endif
