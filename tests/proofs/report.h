/*
 * The table of what was compiled, and the budgets it must keep.
 */
#ifndef PROOFS_REPORT_H
#define PROOFS_REPORT_H

#include "compile.h"

#include <stdio.h>

/* Writes a row for each kernel, a row for each class and a summary, which goes to stdout too. Returns how many kernels break a
 * budget; each is named on stderr. */
int report(FILE *table, const kernel_text *kernels, size_t n, const outcome *outcomes);

#endif
