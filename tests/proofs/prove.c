/*
 * prove [--all | --quick] KERNELS REPORT KNOWN: compiles the kernel texts in a folder with NVRTC and holds what came out
 * against budgets. What is in the file KNOWN is not compiled again.
 *
 * As it is every kernel is compiled for sm_90 and for one of the other architectures, which its name decides, so that each
 * of those sees a twelfth or so of every class. --all leaves none out. --quick takes a few of each class for one architecture.
 */
#include "known.h"
#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SAMPLE = ARCHS - 1, QUICK = 4, MOST_PROCESSES = 16 };

int main(int argc, char **argv) {
    bool all = argc == 5 && strcmp(argv[1], "--all") == 0, quick = argc == 5 && strcmp(argv[1], "--quick") == 0;
    if (argc != 4 && !all && !quick) {
        fprintf(stderr, "usage: prove [--all | --quick] KERNELS REPORT KNOWN\n");
        return 2;
    }
    kernel_text *kernels;
    size_t n = kernels_load(argv[argc - 3], WG_SIMT, &kernels);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    compile_plan plan = {.processes = cores < 1 ? 1 : cores > MOST_PROCESSES ? MOST_PROCESSES : (int)cores};
    if (quick) {
        n = kernels_sample(kernels, n, QUICK);
    }
    for (int a = 0, turn = 0; a < ARCHS; a++) {
        bool always = strcmp(archs[a], "90") == 0;
        plan.every[a] = quick ? always : all || always ? 1 : SAMPLE;
        plan.turn[a] = plan.every[a] == SAMPLE ? turn++ : 0;
    }
    outcome *outcomes;
    if (!known_open(argv[argc - 1]) || !compile_all(kernels, n, &plan, &outcomes)) {
        return 1;
    }
    FILE *table = fopen(argv[argc - 2], "w");
    if (!table) {
        fprintf(stderr, "prove: %s: %s\n", argv[argc - 2], strerror(errno));
        return 1;
    }
    int over = report(table, kernels, n, outcomes);
    bool written = !ferror(table) && fclose(table) == 0;
    return over > 0 || !written;
}
