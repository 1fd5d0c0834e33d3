/* Making a program that differs small: whole stretches go first, then single instructions. */
#include "compare.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static bool differs(const fuzz_program *p, const char *device, bool unfused, bool forks) {
    if (!forks) {
        return !fuzz_same(p, device, unfused, NULL);
    }
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        _exit(fuzz_same(p, device, unfused, NULL) ? 0 : 1);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && status != 0;
}

static void without(const fuzz_program *p, size_t from, size_t n, fuzz_program *out) {
    out->n = 0;
    for (size_t i = 0; i < p->n; i++) {
        if (i < from || i >= from + n) {
            fuzz_add(out, &p->inst[i]);
        }
    }
}

/* One pass over the program with stretches of n; true if something went. */
static bool pass(fuzz_program *p, size_t n, const char *device, bool unfused, bool forks) {
    fuzz_program candidate = {0};
    bool any = false;
    for (size_t end = p->n; end > 0;) {
        size_t from = end > n ? end - n : 0;
        without(p, from, end - from, &candidate);
        if (differs(&candidate, device, unfused, forks)) {
            fuzz_program t = *p;
            *p = candidate;
            candidate = t;
            any = true;
        }
        end = from;
    }
    fuzz_program_free(&candidate);
    return any;
}

void fuzz_shrink(fuzz_program *p, const char *device, bool unfused, bool forks) {
    for (size_t n = p->n / 2; n > 0; n /= 2) {
        pass(p, n, device, unfused, forks);
    }
    while (pass(p, 1, device, unfused, forks)) {
    }
    while (pass(p, 2, device, unfused, forks)) {
    }
}
