/* A small training run, long enough to show what grows. */
#ifndef HARNESS_SOAK_H
#define HARNESS_SOAK_H

#include <wengert/wengert.h>

/*
 * Trains an MLP with dropout and Adam for so many steps. True if, after the first hundred, nothing is held that was not
 * held then: bytes of the device, entries of tables, plans, kernels, pages of the process (but for `pages` of them,
 * negative: any number). The loss has to fall. Otherwise `why` has a sentence.
 */
bool soak(const char *device, int steps, long pages, char *why, size_t cap);

/* Pages of memory the process has now. */
long resident_pages(void);

#endif
