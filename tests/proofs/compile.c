/* Compiling in batches: a program of many kernels costs little more than the sum of their parts alone. */
#include "compile.h"

#include "base/hash.h"
#include "calibrate.h"
#include "kernels/texts.h"
#include "known.h"
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

/* Kernels for one architecture, as numbers. */
typedef struct batch {
    int arch;
    bool first; /* of its architecture */
    size_t n, which[BATCH];
} batch;

typedef struct job {
    const kernel_text *kernels;
    size_t n;
    const compile_plan *plan;
    batch *batches;
    size_t nbatches;
    board *board;
} job;

static uint64_t key_of(const kernel_text *k, int arch) {
    wg_str text = {0};
    kernels_print(k, 1, wg_text_prelude_cuda, &text);
    uint64_t key = known_key(wg_str_text(&text), archs[arch], rtc_compiler());
    wg_str_free(&text);
    return key;
}

static batch *add_batch(job *j, int arch, bool first) {
    j->batches = realloc(j->batches, (j->nbatches + 1) * sizeof *j->batches);
    if (!j->batches) {
        perror("proofs");
        exit(1);
    }
    j->batches[j->nbatches] = (batch){.arch = arch, .first = first};
    return &j->batches[j->nbatches++];
}

/* Whether the plan wants a kernel for an architecture. The name decides where it does not want all: a new kernel changes
 * nothing for others, whose compilations are known. */
static bool wanted(const job *j, const kernel_text *k, int arch) {
    size_t every = (size_t)j->plan->every[arch];
    return every > 0 && wg_hash_bytes(k->name, strlen(k->name)) % every == (size_t)j->plan->turn[arch];
}

/* What there is to compile: all that the plan wants and is not known. */
static void list_batches(job *j) {
    for (int a = 0; a < ARCHS; a++) {
        batch *b = j->plan->every[a] ? add_batch(j, a, true) : NULL;
        for (size_t i = 0; i < j->n; i++) {
            if (!wanted(j, &j->kernels[i], a)) {
                continue;
            }
            outcome *o = &j->board->outcomes[i * ARCHS + (size_t)a];
            o->compiled = known_find(key_of(&j->kernels[i], a), &o->facts);
            if (!o->compiled) {
                b = b->n == BATCH ? add_batch(j, a, false) : b;
                b->which[b->n++] = i;
            }
        }
    }
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
        if (good && o->compiled) {
            known_add(key_of(&part[i], b->arch), &o->facts);
        }
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
    for (size_t at; (at = j->board->next++) < j->nbatches;) {
        const batch *b = &j->batches[at];
        if (b->first && !calibrate(archs[b->arch])) {
            j->board->broken++;
        }
        if (b->n > 0 && !compile_part(j, b, 0, b->n, false)) {
            for (size_t i = 0; i < b->n; i++) { /* which one is it? */
                compile_part(j, b, i, 1, true);
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
    bool good = rtc_load();
    int started = 0;
    if (good) {
        list_batches(&j);
    }
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
    free(j.batches);
    *out = shared->outcomes;
    return good && shared->broken == 0;
}
