/* What compilations came to: a file of records, appended to one by one. See known.h. */
#include "known.h"

#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The sum tells a record that was cut short, and all behind it, from a whole one. */
typedef struct record {
    uint64_t key;
    cubin_facts facts;
    uint64_t sum;
} record;

static record *records; /* by key */
static size_t count;
static int file = -1;

static uint64_t sum_of(const record *r) { return wg_hash_mix(r->key, wg_hash_bytes(&r->facts, sizeof r->facts)); }

static int by_key(const void *a, const void *b) {
    const record *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

bool known_open(const char *path) {
    file = open(path, O_RDWR | O_CREAT | O_APPEND, 0666);
    off_t size = file < 0 ? -1 : lseek(file, 0, SEEK_END);
    size_t n = size < 0 ? 0 : (size_t)size / sizeof *records;
    records = malloc((n + 1) * sizeof *records);
    if (size < 0 || !records || pread(file, records, n * sizeof *records, 0) != (ssize_t)(n * sizeof *records)) {
        fprintf(stderr, "proofs: %s: %s\n", path, strerror(errno));
        return false;
    }
    while (count < n && records[count].sum == sum_of(&records[count])) {
        count++;
    }
    if ((off_t)(count * sizeof *records) != size && ftruncate(file, (off_t)(count * sizeof *records)) != 0) {
        fprintf(stderr, "proofs: %s: %s\n", path, strerror(errno));
        return false;
    }
    qsort(records, count, sizeof *records, by_key);
    return true;
}

uint64_t known_key(const char *text, const char *arch, uint64_t compiler) {
    uint64_t h = wg_hash_mix(compiler, wg_hash_bytes(arch, strlen(arch)));
    h = wg_hash_mix(h, wg_hash_bytes(PROOFS_READER, strlen(PROOFS_READER)));
    return wg_hash_mix(h, wg_hash_bytes(text, strlen(text)));
}

bool known_find(uint64_t key, cubin_facts *out) {
    const record wanted = {.key = key};
    const record *r = bsearch(&wanted, records, count, sizeof *records, by_key);
    if (r) {
        *out = r->facts;
    }
    return r != NULL;
}

void known_add(uint64_t key, const cubin_facts *facts) {
    record r;
    memset(&r, 0, sizeof r);
    r.key = key;
    r.facts = *facts;
    r.sum = sum_of(&r);
    if (write(file, &r, sizeof r) != (ssize_t)sizeof r) {
        perror("proofs: what compilations came to cannot be kept");
    }
}
