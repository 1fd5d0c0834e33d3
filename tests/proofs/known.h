/*
 * What compilations came to, kept from run to run: most kernels are the same as the last time.
 */
#ifndef PROOFS_KNOWN_H
#define PROOFS_KNOWN_H

#include "cubin.h"

#include <stdint.h>

/* Opens the file of what is known, made if there is none. False, and why on stderr, if that fails. */
bool known_open(const char *path);
/* The number that a kernel goes by: its whole program, the architecture, the compiler with its options (a number of its own)
 * and the reader of CUBINs decide it. */
uint64_t known_key(const char *text, const char *arch, uint64_t compiler);
bool known_find(uint64_t key, cubin_facts *out);
/* Adds what the compiler took without a word. Processes may add side by side. */
void known_add(uint64_t key, const cubin_facts *facts);

#endif
