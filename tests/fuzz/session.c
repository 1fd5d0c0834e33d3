/* Blocks of graphs. */
#include "session.h"

#include <string.h>
#include <time.h>

/* Graphs that share contexts, so that pools and plan caches are not new; every eighth block is compared unfused too. */
enum { BLOCK = 16, UNFUSED_EVERY = 8 };

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
    double start = now(), told = 0;
    bool same = true;
    s->next_seed = s->seed;
    while (same && (s->count == 0 || s->done < s->count) && (s->seconds <= 0 || s->elapsed < s->seconds)) {
        uint64_t n = s->count && s->count - s->done < BLOCK ? s->count - s->done : BLOCK;
        bool unfused = s->next_seed / BLOCK % UNFUSED_EVERY == 0;
        block.n = 0;
        for (uint64_t i = 0; i < n; i++) {
            fuzz_generate(&block, s->next_seed + i, s->profile);
        }
        same = fuzz_same(&block, s->device, unfused, s->why);
        if (!same) {
            locate(s, n, unfused);
            break;
        }
        s->done += n;
        s->next_seed += n;
        s->elapsed = now() - start;
        if (s->progress && s->elapsed - told >= 1) {
            told = s->elapsed;
            s->progress(s);
        }
    }
    fuzz_program_free(&block);
    return same;
}
