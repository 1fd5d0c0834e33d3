/*
 * Compiled kernels on disk, one file for each key: "WGCUBIN1", the sizes of key and image, a checksum, the key, the image.
 * A file appears whole or not at all, as it is written under another name and renamed; whatever does not check out
 * counts as absent, and is replaced.
 */
#include "base/alloc.h"
#include "base/hash.h"
#include "cuda/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct header {
    char magic[8];
    uint64_t key_bytes, image_bytes, checksum;
} header;

static const char magic[8] = {'W', 'G', 'C', 'U', 'B', 'I', 'N', '1'};

bool wg_cuda_cache_dir(wg_str *out) {
    const char *own = getenv("WENGERT_CACHE_DIR"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (own) {
        wg_str_add(out, own); /* empty: no cache */
    } else if (xdg && *xdg) {
        wg_str_addf(out, "%s/wengert", xdg);
    } else if (home && *home) {
        wg_str_addf(out, "%s/.cache/wengert", home);
    }
    return out->len > 0 && !out->failed;
}

static void file_name(const char *dir, const char *key, size_t key_bytes, wg_str *out) {
    wg_str_addf(out, "%s/%016" PRIx64 ".cubin", dir, wg_hash_bytes(key, key_bytes));
}

static uint64_t checksum(const char *key, size_t key_bytes, const char *image, size_t bytes) {
    return wg_hash_mix(wg_hash_bytes(key, key_bytes), wg_hash_bytes(image, bytes));
}

static bool read_all(int fd, void *to, size_t n) {
    for (char *p = to; n > 0;) {
        ssize_t got = read(fd, p, n);
        if (got <= 0) {
            if (got < 0 && errno == EINTR) {
                continue;
            }
            return false;
        }
        p += got;
        n -= (size_t)got;
    }
    return true;
}

static bool write_all(int fd, const void *from, size_t n) {
    for (const char *p = from; n > 0;) {
        ssize_t put = write(fd, p, n);
        if (put < 0) {
            if (errno == EINTR) {
                continue;
            }
            return false;
        }
        p += put;
        n -= (size_t)put;
    }
    return true;
}

/* The image of an open file; its sizes are believed only as far as the file reaches. */
static char *read_image(int fd, const char *key, size_t key_bytes, size_t *bytes) {
    header h;
    struct stat st;
    if (fstat(fd, &st) != 0 || !read_all(fd, &h, sizeof h) || memcmp(h.magic, magic, sizeof magic) != 0 ||
        h.key_bytes != key_bytes || h.image_bytes == 0 ||
        h.image_bytes != (uint64_t)st.st_size - sizeof h - key_bytes) {
        return NULL;
    }
    size_t n = key_bytes + (size_t)h.image_bytes;
    char *content = wg_mem_alloc(n);
    if (!content || !read_all(fd, content, n) || memcmp(content, key, key_bytes) != 0 ||
        checksum(key, key_bytes, content + key_bytes, (size_t)h.image_bytes) != h.checksum) {
        wg_mem_free(content);
        return NULL;
    }
    memmove(content, content + key_bytes, (size_t)h.image_bytes);
    *bytes = (size_t)h.image_bytes;
    return content;
}

char *wg_cuda_cache_get(const char *dir, const char *key, size_t key_bytes, size_t *bytes) {
    wg_str path = {0};
    file_name(dir, key, key_bytes, &path);
    int fd = path.failed ? -1 : open(path.data, O_RDONLY | O_CLOEXEC);
    char *image = fd >= 0 ? read_image(fd, key, key_bytes, bytes) : NULL;
    if (fd >= 0) {
        close(fd);
    }
    wg_str_free(&path);
    return image;
}

/* The folder and those above it; what is compiled code for this user is no other's business. */
static void make_folders(const char *dir) {
    wg_str path = {0};
    wg_str_add(&path, dir);
    for (size_t i = 1; !path.failed && i < path.len; i++) {
        if (path.data[i] == '/') {
            path.data[i] = '\0';
            mkdir(path.data, 0700);
            path.data[i] = '/';
        }
    }
    mkdir(dir, 0700);
    wg_str_free(&path);
}

bool wg_cuda_cache_put(const char *dir, const char *key, size_t key_bytes, const char *image, size_t bytes) {
    header h = {.key_bytes = key_bytes, .image_bytes = bytes, .checksum = checksum(key, key_bytes, image, bytes)};
    memcpy(h.magic, magic, sizeof magic);
    wg_str path = {0}, temporary = {0};
    file_name(dir, key, key_bytes, &path);
    wg_str_addf(&temporary, "%s/new.XXXXXX", dir);
    make_folders(dir);
    int fd = path.failed || temporary.failed ? -1 : mkstemp(temporary.data);
    bool done = fd >= 0;
    if (done) {
        done = write_all(fd, &h, sizeof h) && write_all(fd, key, key_bytes) && write_all(fd, image, bytes);
        done = close(fd) == 0 && done;
        done = done && rename(temporary.data, path.data) == 0;
        if (!done) {
            unlink(temporary.data);
        }
    }
    wg_str_free(&path);
    wg_str_free(&temporary);
    return done;
}
