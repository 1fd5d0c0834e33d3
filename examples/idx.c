/*
 * Reads IDX files. Layout, all big-endian: two zero bytes, the type (8: unsigned bytes), the rank, the sizes (4 bytes
 * each), the elements.
 */
#include "idx.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { MAX_BYTES = 1 << 30 };

static uint32_t big_endian(const uint8_t *b) {
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* True if n bytes could be read; a short or damaged file is not. */
static bool read_all(gzFile file, void *out, size_t n) { return gzread(file, out, (unsigned)n) == (int)n; }

/* Reads the file at `file` into out; NULL, or what is wrong with it. */
static const char *read_idx(idx *out, gzFile file, int rank) {
    uint8_t head[4], size[4];
    if (!read_all(file, head, 4)) return "truncated, or not a gzip file";
    if (head[0] != 0 || head[1] != 0) return "not an IDX file (wrong magic number)";
    if (head[2] != 8) return "its elements are not unsigned bytes";
    if (head[3] != rank) return "wrong number of dimensions";

    size_t total = 1;
    for (int i = 0; i < rank; i++) {
        if (!read_all(file, size, 4)) return "truncated in its header";
        size_t n = big_endian(size);
        if (n == 0 || n > MAX_BYTES / total) return "its sizes make no sense";
        total *= n;
        if (i == 0) out->count = n;
    }
    out->item_bytes = total / out->count;

    out->data = malloc(total);
    if (!out->data) return "too large for this machine's memory";
    if (!read_all(file, out->data, total)) return "truncated";
    if (gzgetc(file) != -1) return "longer than its header says";
    int code;
    gzerror(file, &code);
    return code == Z_OK || code == Z_STREAM_END ? NULL : "damaged (gzip checksum)";
}

bool idx_load(idx *out, const char *dir, const char *name, int rank, char *err, size_t err_cap) {
    *out = (idx){0};
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path) {
        snprintf(err, err_cap, "the path to %s is too long", name);
        return false;
    }
    errno = 0;
    gzFile file = gzopen(path, "rb");
    if (!file) {
        snprintf(err, err_cap, "%s: %s", path, errno ? strerror(errno) : "out of memory");
        return false;
    }
    const char *why = read_idx(out, file, rank);
    gzclose(file);
    if (why) {
        snprintf(err, err_cap, "%s: %s", path, why);
        idx_free(out);
    }
    return !why;
}

void idx_free(idx *x) {
    free(x->data);
    *x = (idx){0};
}
