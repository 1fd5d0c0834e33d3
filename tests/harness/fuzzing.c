/* Fuzzing as a test: see fuzzing.h. */
#include "fuzzing.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static char *text_of(const fuzz_program *p) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    cr_assert_not_null(out);
    fuzz_print(p, out);
    fclose(out);
    return text;
}

void fuzz_check(const char *device, fuzz_profile profile, uint64_t seed, uint64_t count) {
    bool host = device && strcmp(device, "host") == 0;
    fuzz_session s = {.device = device, .seed = seed, .count = count, .profile = profile, .shrink = host};
    if (!fuzz_session_run(&s)) {
        char *text = text_of(&s.found);
        cr_expect(false, "graph of seed %llu: %s\n%s", (unsigned long long)s.next_seed, s.why, text);
        free(text);
    }
    fuzz_program_free(&s.found);
}

static void replay(const char *device, const char *path) {
    char why[400];
    int line;
    fuzz_program p = {0};
    FILE *in = fopen(path, "r");
    cr_assert_not_null(in, "%s cannot be read", path);
    bool parsed = fuzz_parse(in, &p, &line);
    fclose(in);
    if (!parsed) {
        cr_expect(false, "%s:%d: no instruction", path, line);
    } else if (!fuzz_same(&p, device, true, why)) {
        cr_expect(false, "%s: %s", path, why);
    }
    fuzz_program_free(&p);
}

int fuzz_check_corpus(const char *device) {
    static const char folder[] = WG_TEST_DATA "/../fuzz/corpus";
    int n = 0;
    DIR *d = opendir(folder);
    cr_assert_not_null(d, "%s cannot be read", folder);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        const char *end = strrchr(e->d_name, '.');
        char path[sizeof folder + 256];
        if (end && strcmp(end, ".txt") == 0) {
            snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
            replay(device, path);
            n++;
        }
    }
    closedir(d);
    return n;
}
