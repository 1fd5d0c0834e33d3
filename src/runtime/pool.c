/*
 * The device memory pool: segregated free lists with bitmaps, and coalescing by address order within a chunk.
 *
 * A request is rounded to a size class, and any block filed in its bin or a higher one is large enough. The lowest such
 * bin is the best fit, up to the part of an octave that a bin spans. What is left over is cut off and filed.
 */
#include "runtime/pool.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { UNIT = 256, OCTAVE = 1 << WG_POOL_OCTAVE_BITS, LINEAR = OCTAVE * UNIT };

static const size_t MIB = (size_t)1 << 20;
static const size_t FIRST_CHUNK = (size_t)1 << 20;
static const size_t LAST_CHUNK = (size_t)64 << 20;
static const size_t LARGE = (size_t)16 << 20;
static const size_t LEAST_LARGE = (size_t)4 << 10;

typedef struct wg_chunk {
    wg_mem mem;
    struct wg_chunk *next, **link;
    wg_bins *bins;
} wg_chunk;

/* ---- size classes ---- */

static size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

static unsigned log2_floor(size_t n) { return 63u - (unsigned)__builtin_clzll(n); }

/* The least class that holds n bytes; at most 2^55. */
static size_t class_size(size_t n) {
    if (n <= LINEAR) {
        return n ? round_up(n, UNIT) : UNIT;
    }
    size_t step = (size_t)1 << (log2_floor(n - 1) - WG_POOL_OCTAVE_BITS);
    return round_up(n, step);
}

/* The bin of a block: that of the largest class it can serve. */
static unsigned bin_of(size_t n) {
    if (n < LINEAR) {
        return (unsigned)(n / UNIT);
    }
    unsigned octave = log2_floor(n), above = octave - log2_floor(LINEAR);
    unsigned bin = OCTAVE * (above + 1) + (unsigned)(n >> (octave - WG_POOL_OCTAVE_BITS)) % OCTAVE;
    return bin < WG_POOL_BINS ? bin : WG_POOL_BINS - 1;
}

/* ---- free lists ---- */

static void file(wg_block *b) {
    wg_bins *bins = b->chunk->bins;
    unsigned bin = bin_of(b->bytes);
    wg_block **head = &bins->free[bin];
    b->next_free = *head;
    b->link = head;
    if (*head) {
        (*head)->link = &b->next_free;
    }
    *head = b;
    bins->used[bin / 64] |= UINT64_C(1) << (bin % 64);
}

static void unfile(wg_block *b) {
    *b->link = b->next_free;
    if (b->next_free) {
        b->next_free->link = b->link;
    } else {
        wg_bins *bins = b->chunk->bins;
        unsigned bin = bin_of(b->bytes);
        if (!bins->free[bin]) {
            bins->used[bin / 64] &= ~(UINT64_C(1) << (bin % 64));
        }
    }
    b->link = NULL;
}

/* A free block of at least n bytes, where n is a class; else of at least n bytes in the bin that n belongs to. */
static wg_block *find(const wg_bins *bins, size_t n) {
    unsigned bin = bin_of(n);
    for (wg_block *b = bins->free[bin]; b; b = b->next_free) {
        if (b->bytes >= n) {
            return b;
        }
    }
    bin++;
    unsigned word = bin / 64;
    uint64_t bits = bin < WG_POOL_BINS ? bins->used[word] & ~UINT64_C(0) << (bin % 64) : 0;
    while (!bits && ++word < sizeof bins->used / sizeof *bins->used) {
        bits = bins->used[word];
    }
    return bits ? bins->free[word * 64 + (unsigned)__builtin_ctzll(bits)] : NULL;
}

/* ---- chunks ---- */

static bool is_chunk(const wg_block *b) { return !b->before && !b->after; }

/* wg_pool_get has seen to it that there is one. */
static wg_block *take_struct(wg_pool *pool) { return wg_slab_get(&pool->block_slab, sizeof(wg_block)); }
/* WENGERT_LOG=memory. */
static void note(const wg_pool *pool, const char *what, size_t bytes, bool new_peak) {
    if (pool->log) {
        fprintf(stderr, "wengert: memory %s %zu: %zu live, %zu pooled%s\n", what, bytes, pool->stats.live,
                pool->stats.pooled, new_peak ? ", a new peak" : "");
    }
}

static void drop_chunk(wg_pool *pool, wg_chunk *c) {
    pool->stats.pooled -= c->mem.bytes;
    pool->stats.chunks--;
    note(pool, "shrink", c->mem.bytes, false);
    *c->link = c->next;
    if (c->next) {
        c->next->link = c->link;
    }
    wg_dev_free(pool->dev, &c->mem);
    wg_mem_free(c);
}

static wg_status new_chunk(wg_pool *pool, wg_bins *bins, size_t bytes, wg_block **out, wg_err *err) {
    wg_chunk *c = wg_mem_zalloc(sizeof *c);
    if (!c) {
        return wg_err_set(err, WG_ERR_NOMEM, "a chunk of device memory: out of host memory");
    }
    wg_status status = wg_dev_alloc(pool->dev, bytes, &c->mem, err);
    if (status) {
        wg_mem_free(c);
        return status;
    }
    c->bins = bins;
    c->next = pool->chunks;
    c->link = &pool->chunks;
    if (c->next) {
        c->next->link = &c->next;
    }
    pool->chunks = c;
    pool->stats.pooled += bytes;
    pool->stats.chunks++;
    note(pool, "grow", bytes, false);
    wg_block *b = take_struct(pool);
    *b = (wg_block){.mem = &c->mem, .bytes = bytes, .chunk = c};
    file(b);
    *out = b;
    return WG_OK;
}

/* Requests from here on have chunks of their own. Under a limit nearly all do: chunks that are shared waste most. */
static size_t large_from(const wg_pool *pool) {
    size_t n = pool->limit / 64;
    return !pool->limit || n > LARGE ? LARGE : n > LEAST_LARGE ? n : LEAST_LARGE;
}

/* The bytes of a chunk for a request of n: as many as one would like, and those that will do. */
static size_t chunk_size(const wg_pool *pool, size_t n, bool large, size_t *least) {
    size_t max = pool->dev->limits->max_alloc, want = n;
    *least = n;
    if (!large && pool->limit) {
        size_t share = round_up(pool->limit / 32, UNIT);
        want = n > share ? n : share;
    } else if (!large) {
        *least = round_up(n, MIB) < max ? round_up(n, MIB) : max;
        want = *least > pool->next_chunk ? *least : pool->next_chunk;
    }
    return want < max ? want : max;
}

/* A new chunk of want bytes or, close to the limit, as many as there are left, if that is at least as many as it takes.
 * Sets no error when the limit is in the way. */
static wg_status chunk_within_limit(wg_pool *pool, wg_bins *bins, size_t want, size_t least, wg_block **out,
                                    wg_err *err) {
    size_t limit = pool->limit ? pool->limit : SIZE_MAX, pooled = pool->stats.pooled;
    size_t left = pooled < limit ? limit - pooled : 0;
    if (left < least) {
        return WG_ERR_DEVICE_MEM;
    }
    size_t bytes = want <= left ? want : left - left % UNIT > least ? left - left % UNIT : least;
    return new_chunk(pool, bins, bytes, out, err);
}

/* A block for a request of n bytes that no free one serves well. When memory is short, free chunks go back and a chunk no
 * larger than it must be is tried; then any block that is large enough. */
static wg_status grow(wg_pool *pool, size_t n, bool large, wg_block **out, wg_err *err) {
    size_t least, want = chunk_size(pool, n, large, &least);
    wg_bins *bins = &pool->bins[large];
    wg_err why = {0};
    wg_status status = chunk_within_limit(pool, bins, want, least, out, &why);
    if (status == WG_ERR_DEVICE_MEM && (wg_pool_trim(pool) > 0 || least < want)) {
        wg_err_clear(&why);
        status = chunk_within_limit(pool, bins, least, least, out, &why);
    }
    for (int i = 0; status == WG_ERR_DEVICE_MEM && i < 2; i++) {
        *out = find(&pool->bins[i], n);
        status = *out ? WG_OK : status;
    }
    if (status) {
        wg_err_set(err, status, "%s", why.status ? wg_err_text(&why) : "the memory limit is reached");
    } else if (!pool->limit && !large && pool->next_chunk < LAST_CHUNK) {
        pool->next_chunk *= 2;
    }
    wg_err_clear(&why);
    return status;
}

/* ---- get and put ---- */

/* Fills a block that no kernel uses: a value read before it was written shows. */
static void poison(wg_pool *pool, wg_block *b) {
    if (b->mem->host && wg_dev_sync(pool->dev, NULL) == WG_OK) {
        memset(b->mem->host + b->offset, 0xA5, b->bytes);
    }
}

wg_status wg_pool_get(wg_pool *pool, size_t bytes, wg_block **out, wg_err *err) {
    size_t max = pool->dev->limits->max_alloc;
    pool->wanted = bytes;
    if (bytes > max) {
        return wg_err_set(err, WG_ERR_DEVICE_MEM, "%zu bytes exceed the device's largest buffer, %zu", bytes, max);
    }
    size_t n = class_size(bytes);
    bool large = n >= large_from(pool) || pool->exact;
    n = pool->exact ? bytes + (bytes == 0) : large && pool->limit ? round_up(bytes, UNIT) : n;
    n = n <= max ? n : max;
    if (!wg_slab_reserve(&pool->block_slab, sizeof(wg_block), 2)) { /* for a new chunk and a cut */
        return wg_err_set(err, WG_ERR_NOMEM, "a block of device memory: out of host memory");
    }
    wg_block *b = pool->exact ? NULL : find(&pool->bins[large], n);
    if (!b || (pool->limit && large && is_chunk(b) && b->bytes - n > n / 8)) {
        wg_status status = grow(pool, n, large, &b, err);
        if (status) {
            return status;
        }
    }
    unfile(b);
    if (b->bytes - n >= UNIT) {
        wg_block *rest = take_struct(pool);
        *rest = (wg_block){.mem = b->mem,
                           .offset = b->offset + n,
                           .bytes = b->bytes - n,
                           .chunk = b->chunk,
                           .before = b,
                           .after = b->after};
        if (b->after) {
            b->after->before = rest;
        }
        b->after = rest;
        b->bytes = n;
        file(rest);
    }
    pool->stats.live += b->bytes;
    bool new_peak = pool->stats.live > pool->stats.peak;
    pool->stats.peak = new_peak ? pool->stats.live : pool->stats.peak;
    note(pool, "get", b->bytes, new_peak);
    if (pool->poison) {
        poison(pool, b);
    }
    *out = b;
    return WG_OK;
}

/* b->after is free: b takes it in. */
static void absorb_after(wg_pool *pool, wg_block *b) {
    wg_block *gone = b->after;
    unfile(gone);
    b->bytes += gone->bytes;
    b->after = gone->after;
    if (b->after) {
        b->after->before = b;
    }
    wg_slab_put(&pool->block_slab, gone);
}

void wg_pool_put(wg_pool *pool, wg_block *b) {
    if (!b) {
        return;
    }
    assert(!b->link && "put twice");
    pool->stats.live -= b->bytes;
    note(pool, "put", b->bytes, false);
    if (pool->poison) {
        poison(pool, b);
    }
    if (b->after && b->after->link) {
        absorb_after(pool, b);
    }
    if (b->before && b->before->link) {
        wg_block *before = b->before;
        unfile(before);
        before->bytes += b->bytes;
        before->after = b->after;
        if (before->after) {
            before->after->before = before;
        }
        wg_slab_put(&pool->block_slab, b);
        b = before;
    }
    file(b);
}

/* ---- the pool ---- */

void wg_pool_init(wg_pool *pool, const wg_dev *dev) { *pool = (wg_pool){.dev = dev, .next_chunk = FIRST_CHUNK}; }

void wg_pool_limit(wg_pool *pool, size_t bytes) {
    pool->limit = bytes;
    if (bytes && pool->stats.pooled > bytes) {
        wg_pool_trim(pool);
    }
}

size_t wg_pool_largest_free(const wg_pool *pool) {
    size_t most = 0;
    for (int i = 0; i < 2; i++) {
        unsigned bin = WG_POOL_BINS;
        while (bin > 0 && !pool->bins[i].free[bin - 1]) {
            bin--;
        }
        for (const wg_block *b = bin ? pool->bins[i].free[bin - 1] : NULL; b; b = b->next_free) {
            most = b->bytes > most ? b->bytes : most;
        }
    }
    return most;
}

size_t wg_pool_trim(wg_pool *pool) {
    size_t freed = 0;
    for (int i = 0; i < 2; i++) {
        for (unsigned bin = 0; bin < WG_POOL_BINS; bin++) {
            wg_block *next;
            for (wg_block *b = pool->bins[i].free[bin]; b; b = next) {
                next = b->next_free;
                if (is_chunk(b)) {
                    freed += b->bytes;
                    unfile(b);
                    drop_chunk(pool, b->chunk);
                    wg_slab_put(&pool->block_slab, b);
                }
            }
        }
    }
    return freed;
}

void wg_pool_drop(wg_pool *pool) {
    while (pool->chunks) {
        drop_chunk(pool, pool->chunks);
    }
    wg_slab_drop(&pool->block_slab);
    wg_slab_drop(&pool->value_slab);
    wg_pool_init(pool, pool->dev);
}
