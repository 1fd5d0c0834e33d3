/* Hashing for the tables of the library. Keys are always compared in full afterwards. */
#ifndef WG_BASE_HASH_H
#define WG_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* One step of a 64-bit mix: multiply by an odd constant (2^64 / golden ratio) and fold the high half down. */
static inline uint64_t wg_hash_mix(uint64_t h, uint64_t word) {
    h = (h ^ word) * UINT64_C(0x9E3779B97F4A7C15);
    return h ^ (h >> 29);
}

static inline uint64_t wg_hash_words(const uint64_t *words, size_t n) {
    uint64_t h = n;
    for (size_t i = 0; i < n; i++) {
        h = wg_hash_mix(h, words[i]);
    }
    return h;
}

static inline uint64_t wg_hash_bytes(const void *data, size_t n) {
    const unsigned char *p = data;
    uint64_t h = n;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t w;
        memcpy(&w, p, 8);
        h = wg_hash_mix(h, w);
    }
    uint64_t tail = 0;
    memcpy(&tail, p, n);
    return wg_hash_mix(h, tail);
}

#endif
