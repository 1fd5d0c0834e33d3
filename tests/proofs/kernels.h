/*
 * The kernel texts that WENGERT_KERNELS left in a folder, and programs made of them.
 */
#ifndef PROOFS_KERNELS_H
#define PROOFS_KERNELS_H

#include "base/str.h"
#include "runtime/backend.h"

/* How a kernel goes about its work; what a report counts and a quick run takes samples of. */
typedef enum kernel_class {
    CLASS_MAP,
    CLASS_GATHER,
    CLASS_RANDOM,
    CLASS_COLUMNS,
    CLASS_ROWS,
    CLASS_SPLIT,
    CLASS_MATMUL,
    CLASS_SCATTER,
    CLASS_COUNT
} kernel_class;
const char *kernel_class_name(kernel_class c);

typedef struct kernel_text {
    char name[32];
    wg_form form;
    kernel_class class;
    int items;   /* work-items of a group */
    char *needs; /* sections of the kernel library */
    char *body;
} kernel_text;

/* All kernels of a form in a folder, by class, needs and name; ends the program with a message where there are none. */
size_t kernels_load(const char *folder, wg_form form, kernel_text **out);
/* Keeps the first `most` of each class; returns how many are left. */
size_t kernels_sample(kernel_text *all, size_t n, int most);
/* One program of n kernels, in CUDA C++ with its prelude. */
void kernels_print(const kernel_text *all, size_t n, const char *prelude, wg_str *out);

#endif
