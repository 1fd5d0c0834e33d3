/*
 * What a CUBIN says of its kernels, without a GPU or a disassembler: it is an ELF file, with a section of code for each
 * kernel and attributes beside it.
 */
#ifndef PROOFS_CUBIN_H
#define PROOFS_CUBIN_H

#include <stdbool.h>
#include <stddef.h>

enum { WIDTH_8, WIDTH_16, WIDTH_32, WIDTH_64, WIDTH_128, WIDTHS };

typedef struct cubin_facts {
    int registers;     /* of a thread */
    int stack;         /* bytes of local memory of a thread: arrays indexed at run time, and spills */
    int shared;        /* bytes of a block, static */
    int instructions;  /* without padding */
    int local;         /* loads and stores of local memory: spills, or arrays that did not stay in registers */
    int loads[WIDTHS]; /* of global memory, by bits */
    int stores[WIDTHS];
    int shuffles, barriers;
} cubin_facts;

/* False if the image is no CUBIN that this reader knows, or has no such kernel. */
bool cubin_read(const void *image, size_t size, const char *kernel, cubin_facts *out);

#endif
