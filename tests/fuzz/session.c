/* Blocks of graphs. */
#include "session.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

/* Graphs that share contexts, so that pools and plan caches are not new, nor kernels where they have to be compiled; one
 * block in eight is compared unfused too. */
enum { BLOCK = 16, BLOCK_FEW = 50, UNFUSED_EVERY = 8 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Finds the first graph of the block that differs, with those before it in the same contexts. */
static void locate(fuzz_session *s, uint64_t n, bool unfused) {
    for (uint64_t k = 1; k <= n; k++) {
        s->found.n = 0;
        for (uint64_t i = 0; i < k; i++) {
            fuzz_generate(&s->found, s->next_seed + i, s->profile);
        }
        if (!fuzz_same(&s->found, s->device, unfused, s->why)) {
            s->next_seed += k - 1;
            s->done += k;
            break;
        }
    }
    if (s->shrink) {
        fuzz_shrink(&s->found, s->device, unfused, strcmp(s->device, "host") == 0);
        fuzz_same(&s->found, s->device, unfused, s->why);
    }
}

bool fuzz_session_run(fuzz_session *s) {
    fuzz_program block = {0};
    uint64_t size = s->profile == FUZZ_FEW ? BLOCK_FEW : BLOCK;
    double start = now();
    bool same = true;
    s->next_seed = s->seed;
    while (same && (s->count == 0 || s->done < s->count) && (s->seconds <= 0 || s->elapsed < s->seconds)) {
        uint64_t n = s->count && s->count - s->done < size ? s->count - s->done : size;
        bool unfused = s->next_seed / size % UNFUSED_EVERY == 0;
        if (s->progress) {
            s->progress(s);
        }
        block.n = 0;
        for (uint64_t i = 0; i < n; i++) {
            fuzz_generate(&block, s->next_seed + i, s->profile);
        }
        alarm(s->patience);
        same = fuzz_same(&block, s->device, unfused, s->why);
        alarm(0);
        if (!same) {
            locate(s, n, unfused);
            break;
        }
        s->done += n;
        s->next_seed += n;
        s->elapsed = now() - start;
    }
    fuzz_program_free(&block);
    return same;
}
