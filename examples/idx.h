/*
 * IDX files of bytes, gzip'd or plain: the format of MNIST and its relatives.
 */
#ifndef IDX_H
#define IDX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct idx {
    uint8_t *data;     /* count items of item_bytes each; free with idx_free */
    size_t count;      /* the first size */
    size_t item_bytes; /* the product of the others, 1 if there are none */
} idx;

/* Reads dir/name, which must have `rank` dimensions (labels 1, images 3). False on failure, with one line naming the
 * file in err; nothing is to be freed then. */
bool idx_load(idx *out, const char *dir, const char *name, int rank, char *err, size_t err_cap);
void idx_free(idx *x);

#endif
