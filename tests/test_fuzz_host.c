/* label: ops */
/* timeout: 300 */
/*
 * Random programs in the interpreter, scheduled and op by op: equal to the bit. And the programs that once were not.
 */
#include "harness/fuzzing.h"

#include "fuzz/generate.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* What is instrumented runs ten times slower, and is there to find other things. */
#if defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__)
enum { GRAPHS = 2500 };
#else
enum { GRAPHS = 25000 };
#endif

Test(fuzz_host, corpus) { cr_expect(fuzz_check_corpus("host") > 0, "the corpus is empty"); }

Test(fuzz_host, graphs_1) { fuzz_check("host", FUZZ_WIDE, 1000000, GRAPHS); }
Test(fuzz_host, graphs_2) { fuzz_check("host", FUZZ_WIDE, 2000000, GRAPHS); }
Test(fuzz_host, graphs_3) { fuzz_check("host", FUZZ_WIDE, 3000000, GRAPHS); }
Test(fuzz_host, graphs_4) { fuzz_check("host", FUZZ_WIDE, 4000000, GRAPHS); }

static char *print(const fuzz_program *p) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    fuzz_print(p, out);
    fclose(out);
    return text;
}

/* Wrong: a program that was found cannot be told from its text. */
Test(fuzz_host, text_is_read_back) {
    for (uint64_t seed = 1; seed <= 300; seed++) {
        fuzz_program p = {0}, q = {0};
        int line;
        fuzz_generate(&p, seed, seed % 2 ? FUZZ_WIDE : FUZZ_FEW);
        char *text = print(&p);
        FILE *in = fmemopen(text, strlen(text), "r");
        cr_assert(fuzz_parse(in, &q, &line), "seed %llu: line %d is not read", (unsigned long long)seed, line);
        char *again = print(&q);
        cr_assert_str_eq(text, again);
        fclose(in);
        free(text);
        free(again);
        fuzz_program_free(&p);
        fuzz_program_free(&q);
    }
}

/* Wrong: programs whose instructions are mostly refused, or whose values nobody looks at. */
Test(fuzz_host, programs_do_something) {
    fuzz_counts before = fuzz_counted;
    fuzz_check("host", FUZZ_WIDE, 1, 500);
    uint64_t instructions = fuzz_counted.instructions - before.instructions;
    cr_expect(instructions > 500 * 20, "%llu instructions", (unsigned long long)instructions);
    cr_expect((fuzz_counted.refused - before.refused) * 20 < instructions);
    cr_expect(fuzz_counted.values - before.values > 500 * 3);
}

/* Wrong: a corpus file with a slip of the pen tests something else, or nothing. */
Test(fuzz_host, a_refused_line_is_named) {
    static const char *const bad[] = {"r1 = add r2",         "r99 = neg r0",       "add r1 r2",
                                      "r1 = leaf f33 [2] 1", "r1 = leaf f32 [2 1", "read r1 r2"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[80];
        fuzz_program p = {0};
        int line = 0;
        snprintf(text, sizeof text, "# a comment\nr0 = leaf f32 [2,3] 1\n%s\n", bad[i]);
        FILE *in = fmemopen(text, strlen(text), "r");
        cr_expect(!fuzz_parse(in, &p, &line) && line == 3, "%s: line %d", bad[i], line);
        fclose(in);
        fuzz_program_free(&p);
    }
}
