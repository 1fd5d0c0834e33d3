/* label: ops */
/* timeout: 300 */
/*
 * Random programs on the device, scheduled and op by op: equal to the bit. Short ones of few ops, since each new kernel has
 * to be compiled; the interpreter goes through many more in test_fuzz_host.
 */
#include "harness/fuzzing.h"

#include <criterion/criterion.h>

#if defined(__SANITIZE_ADDRESS__)
enum { GRAPHS = 25 };
#else
enum { GRAPHS = 100 };
#endif

Test(fuzz_device, corpus) { cr_expect(fuzz_check_corpus(NULL) > 0, "the corpus is empty"); }

Test(fuzz_device, graphs) { fuzz_check(NULL, FUZZ_FEW, 1, GRAPHS); }
