/*
 * Fuzzes the scheduler for as long as it is told:
 *
 *     fuzz [--device host] [--seed 1] [--count 1000] [--seconds 0] [--replay FILE] [--print] [--no-shrink] [--out FILE]
 *
 * Graph number i of a run has the seed --seed + i. The first one that differs from op-by-op execution is made small,
 * printed, written to --out, and ends the run with status 1. A crash, or a block of graphs without an end, ends it with
 * another status and the seed that the block begins with.
 */
#include "session.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a block of graphs may take, in seconds: in the interpreter it takes a hundredth of one, elsewhere compilers are at work. */
enum { PATIENCE_HOST = 60, PATIENCE = 3600 };

static volatile uint64_t current_seed;

/* The rest is a matter of running that seed again. */
static void lost(int signal) {
    char text[80] = "";
    strcpy(text, signal == SIGALRM ? "fuzz: no end to the block of graphs from seed "
                                   : "fuzz: crashed in the block of graphs from seed ");
    size_t n = strlen(text);
    char digits[24];
    int k = 0;
    for (uint64_t s = current_seed; k == 0 || s > 0; s /= 10) {
        digits[k++] = (char)('0' + s % 10);
    }
    while (k > 0) {
        text[n++] = digits[--k];
    }
    text[n++] = '\n';
    if (write(2, text, n) < 0) {
        _exit(3);
    }
    _exit(128 + signal);
}

/* On a stack of its own, since a stack that is full is one way to crash. */
static void watch(void) {
    static char room[1 << 16];
    stack_t stack = {.ss_sp = room, .ss_size = sizeof room};
    struct sigaction action = {.sa_handler = lost, .sa_flags = SA_ONSTACK | SA_NODEFER};
    sigaltstack(&stack, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGABRT, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
}

static void progress(const fuzz_session *s) {
    static double told;
    current_seed = s->next_seed;
    if (s->elapsed < told + 1) {
        return;
    }
    told = s->elapsed;
    fprintf(stderr, "\rfuzz: %s, %llu graphs from seed %llu, %.0f s, %.0f a second ", s->device,
            (unsigned long long)s->done, (unsigned long long)s->seed, s->elapsed, (double)s->done / s->elapsed);
}

static int replay(const char *path, const char *device) {
    char why[400];
    fuzz_program p = {0};
    int line;
    FILE *in = fopen(path, "r");
    if (!in || !fuzz_parse(in, &p, &line)) {
        fprintf(stderr, "fuzz: %s: %s\n", path, in ? "a line is no instruction" : "cannot be read");
        return 2;
    }
    fclose(in);
    bool same = fuzz_same(&p, device, true, why);
    printf("%s: %s\n", path, same ? "no difference" : why);
    fuzz_program_free(&p);
    return same ? 0 : 1;
}

static void report(fuzz_session *s, const char *out) {
    printf("\nfuzz: graph %llu (seed %llu) differs: %s\n", (unsigned long long)s->done,
           (unsigned long long)s->next_seed, s->why);
    if (s->shrink) {
        fuzz_print(&s->found, stdout);
    }
    FILE *file = out ? fopen(out, "w") : NULL;
    if (file) {
        fprintf(file, "# seed %llu: %s\n", (unsigned long long)s->next_seed, s->why);
        fuzz_print(&s->found, file);
        fclose(file);
    }
}

int main(int argc, char **argv) {
    fuzz_session s = {.device = "host", .seed = 1, .count = 1000, .progress = progress, .shrink = true};
    const char *out = NULL, *file = NULL;
    bool print = false;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--print") == 0) {
            print = true;
            continue;
        }
        if (strcmp(argv[i], "--no-shrink") == 0) {
            s.shrink = false;
            continue;
        }
        if (strcmp(argv[i], "--device") == 0) {
            s.device = value;
        } else if (strcmp(argv[i], "--seed") == 0) {
            s.seed = strtoull(value, NULL, 10);
        } else if (strcmp(argv[i], "--count") == 0) {
            s.count = strtoull(value, NULL, 10);
        } else if (strcmp(argv[i], "--seconds") == 0) {
            s.seconds = strtod(value, NULL);
        } else if (strcmp(argv[i], "--replay") == 0) {
            file = value;
        } else if (strcmp(argv[i], "--out") == 0) {
            out = value;
        } else {
            fprintf(stderr,
                    "fuzz: %s: options are --device --seed --count --seconds --replay --print --no-shrink --out\n",
                    argv[i]);
            return 2;
        }
        i++;
    }
    if (file) {
        return replay(file, s.device);
    }
    s.profile = strcmp(s.device, "host") == 0 ? FUZZ_WIDE : FUZZ_FEW;
    s.patience = s.profile == FUZZ_WIDE ? PATIENCE_HOST : PATIENCE;
    if (print) {
        fuzz_program p = {0};
        fuzz_generate(&p, s.seed, s.profile);
        fuzz_print(&p, stdout);
        fuzz_program_free(&p);
        return 0;
    }
    watch();
    if (!fuzz_session_run(&s)) {
        report(&s, out);
        return 1;
    }
    printf("\nfuzz: %llu graphs, %llu instructions, %llu values compared, %llu refusals, no difference\n",
           (unsigned long long)s.done, (unsigned long long)fuzz_counted.instructions,
           (unsigned long long)fuzz_counted.values, (unsigned long long)fuzz_counted.refused);
    return 0;
}
