/* The bytes of a tensor and their host mirror. */
#include "runtime/value.h"

#include "base/alloc.h"

#include <string.h>

wg_value *wg_value_new(wg_pool *pool, size_t bytes, wg_err *err) {
    wg_value *v = wg_slab_get(&pool->value_slab, sizeof *v);
    if (!v) {
        wg_err_set(err, WG_ERR_NOMEM, "out of host memory");
        return NULL;
    }
    *v = (wg_value){.bytes = bytes, .next = pool->values};
    if (wg_pool_get(pool, bytes, &v->block, err) != WG_OK) {
        wg_slab_put(&pool->value_slab, v);
        return NULL;
    }
    if (v->next) {
        v->next->prev = v;
    }
    pool->values = v;
    return v;
}

void wg_value_changed(wg_value *v) {
    wg_mem_free(v->mirror);
    v->mirror = NULL;
}

void wg_value_free(wg_pool *pool, wg_value *v) {
    if (v) {
        *(v->prev ? &v->prev->next : &pool->values) = v->next;
        if (v->next) {
            v->next->prev = v->prev;
        }
        wg_pool_put(pool, v->block);
        wg_mem_free(v->mirror);
        wg_slab_put(&pool->value_slab, v);
    }
}

static char *shared_bytes(const wg_dev *dev, const wg_value *v) {
    return dev->limits->shared_memory ? v->block->mem->host + v->block->offset : NULL;
}

void *wg_value_host(const wg_dev *dev, wg_value *v, wg_err *err) {
    if (dev->limits->shared_memory) {
        return wg_dev_sync(dev, err) == WG_OK ? shared_bytes(dev, v) : NULL;
    }
    if (!v->mirror) {
        void *mirror = wg_mem_alloc(v->bytes);
        if (!mirror) {
            wg_err_set(err, WG_ERR_NOMEM, "out of host memory for %zu bytes", v->bytes);
            return NULL;
        }
        if (wg_dev_read(dev, v->block->mem, v->block->offset, mirror, v->bytes, err) != WG_OK) {
            wg_mem_free(mirror);
            return NULL;
        }
        v->mirror = mirror;
    }
    return v->mirror;
}

wg_status wg_value_write(const wg_dev *dev, wg_value *v, const void *data, size_t bytes, wg_err *err) {
    return bytes == 0 ? WG_OK : wg_dev_write(dev, v->block->mem, v->block->offset, data, bytes, err);
}

wg_status wg_value_read(const wg_dev *dev, wg_value *v, size_t offset, void *out, size_t bytes, wg_err *err) {
    return bytes == 0 ? WG_OK : wg_dev_read(dev, v->block->mem, v->block->offset + offset, out, bytes, err);
}
