/* The bytes of a tensor: a block on the device and, where the device has memory of its own, a mirror on the host. */
#ifndef WG_RUNTIME_VALUE_H
#define WG_RUNTIME_VALUE_H

#include "runtime/pool.h"

typedef struct wg_value {
    wg_block *block;
    size_t bytes;
    void *mirror;                 /* host copy of the bytes, NULL until asked for; never used with shared memory */
    const struct wg_node *node;   /* whose bytes they are, for people; NULL while the plan that makes them runs */
    struct wg_value *prev, *next; /* in pool->values */
} wg_value;

/* Uninitialised bytes. NULL with the error set. */
wg_value *wg_value_new(wg_pool *pool, size_t bytes, wg_err *err);
/* The device wrote over the bytes: the host's copy is of the old ones. */
void wg_value_changed(wg_value *v);
/* NULL is allowed. */
void wg_value_free(wg_pool *pool, wg_value *v);
/* The bytes as the host sees them, brought up to date. NULL with the error set. */
void *wg_value_host(const wg_dev *dev, wg_value *v, wg_err *err);
/* Copies bytes to or from the value, which nothing is writing. */
wg_status wg_value_write(const wg_dev *dev, wg_value *v, const void *data, size_t bytes, wg_err *err);
wg_status wg_value_read(const wg_dev *dev, wg_value *v, size_t offset, void *out, size_t bytes, wg_err *err);

#endif
