/* Compiling in batches: a program of many kernels costs little more than the sum of their parts alone. */
#include "compile.h"

#include "calibrate.h"
#include "kernels/texts.h"
#include "rtc.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

const char *const archs[ARCHS] = {"75", "80", "86", "87", "88", "89", "90", "90a", "100", "103", "110", "120", "121"};

enum { BATCH = 48 };

/* Shared by the processes. */
typedef struct board {
    atomic_size_t next; /* batch to be taken */
    atomic_int broken;
    outcome outcomes[];
} board;

typedef struct job {
    const kernel_text *kernels;
    size_t n;
    const compile_plan *plan;
    board *board;
} job;

/* The kernels of one batch, as numbers. */
typedef struct batch {
    int arch;
    size_t n, which[BATCH];
} batch;

/* Batch number `number` of all; false when there are no more. Kernels sampled for an architecture are offset by its number, so
 * that each gets others. */
static bool find_batch(const job *j, size_t number, batch *b) {
    for (int a = 0; a < ARCHS; a++) {
        size_t every = (size_t)j->plan->every[a], first = every ? (size_t)a % every : 0;
        size_t count = every && first < j->n ? (j->n - first + every - 1) / every : 0;
        size_t batches = (count + BATCH - 1) / BATCH;
        if (number >= batches) {
            number -= batches;
            continue;
        }
        *b = (batch){.arch = a};
        for (size_t i = number * BATCH; i < count && b->n < BATCH; i++) {
            b->which[b->n++] = first + i * every;
        }
        return true;
    }
    return false;
}

/* Compiles some of the batch's kernels as one program; says whether all is well with it. */
static bool compile_part(const job *j, const batch *b, size_t from, size_t n, bool last) {
    kernel_text part[BATCH] = {0};
    for (size_t i = 0; i < n; i++) {
        part[i] = j->kernels[b->which[from + i]];
    }
    wg_str text = {0};
    kernels_print(part, n, wg_text_prelude_cuda, &text);
    size_t size = 0;
    char *log = NULL;
    void *cubin = text.failed ? NULL : rtc_compile(text.data, archs[b->arch], &size, &log);
    bool good = cubin && log && !*log;
    for (size_t i = 0; i < n && (good || last); i++) {
        outcome *o = &j->board->outcomes[b->which[from + i] * ARCHS + (size_t)b->arch];
        o->refused = !good;
        o->compiled = cubin && cubin_read(cubin, size, part[i].name, &o->facts);
    }
    if (!good && last) {
        fprintf(stderr, "%s for sm_%s: %s\n", part[0].name, archs[b->arch], log && *log ? log : "no CUBIN");
    }
    wg_str_free(&text);
    free(cubin);
    free(log);
    return good;
}

static void work(const job *j) {
    if (!rtc_load()) {
        j->board->broken++;
        return;
    }
    batch b;
    while (find_batch(j, j->board->next++, &b)) {
        if (b.which[0] < (size_t)ARCHS && !calibrate(archs[b.arch])) { /* with the first of an architecture */
            j->board->broken++;
        }
        if (!compile_part(j, &b, 0, b.n, false)) {
            for (size_t i = 0; i < b.n; i++) { /* which one is it? */
                compile_part(j, &b, i, 1, true);
            }
        }
    }
}

bool compile_all(const kernel_text *kernels, size_t n, const compile_plan *plan, outcome **out) {
    size_t bytes = sizeof(board) + n * ARCHS * sizeof(outcome);
    board *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        perror("proofs: mmap");
        return false;
    }
    job j = {.kernels = kernels, .n = n, .plan = plan, .board = shared};
    bool good = true;
    int started = 0;
    for (; started < plan->processes && good; started++) {
        pid_t pid = fork();
        if (pid == 0) {
            work(&j);
            _exit(0);
        }
        good = pid > 0;
    }
    for (int status; started > 0; started--) {
        good = wait(&status) > 0 && status == 0 && good;
    }
    *out = shared->outcomes;
    return good && shared->broken == 0;
}
