/* label: cuda-double
 * timeout: 600
 *
 * Mistakes are planted on the CUDA double in the backend's place: waits that do nothing, work that runs too early. In one of
 * the orders that a device may choose, the double, an error or the numbers must show them; and nothing where there is none.
 */
#include "cuda_on_double.h"

#include "runtime/device.h"

#include <stdio.h>

enum { SEEDS = 20 };

/* Whether a mistake in the nth call shows, in some order: in a fault, an error or the numbers. *there: there is such a call. */
static bool shows(void (*plant)(const char *, unsigned long), const char *function, unsigned long n,
                  const bits *expected, bool *there) {
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        bits got;
        cu.cuda_double_seed(seed);
        plant(function, n);
        const char *wrong = whole_run(&got);
        *there = cu.cuda_double_happened();
        bool shown = wrong || cu.cuda_double_faults(NULL, 0) || memcmp(&got, expected, sizeof got) != 0;
        cu.cuda_double_forget();
        if (shown || !*there) {
            return shown;
        }
    }
    return false;
}

/* Not each of them matters: some wait for what is done. */
static void every_mistake(void (*plant)(const char *, unsigned long), const char *function) {
    bits expected = undisturbed();
    int points = 0, shown = 0;
    bool there = true;
    for (unsigned long n = 1; there && n < 200; n++) {
        shown += shows(plant, function, n, &expected, &there);
        points += there;
    }
    fprintf(stderr, "%s: %d mistakes, %d of them show\n", function, points, shown);
    cr_expect(shown * 3 >= points && shown > 0, "%s: only %d of %d mistakes show", function, shown, points);
}

Test(mistakes, a_dropped_wait_shows) {
    load_double();
    every_mistake(cu.cuda_double_drop, "cuStreamWaitEvent");
    every_mistake(cu.cuda_double_drop, "cuEventRecord");
}

Test(mistakes, a_missing_synchronisation_shows) {
    load_double();
    every_mistake(cu.cuda_double_drop, "cuEventSynchronize");
}

/* Memory that a copy is under way to when it is freed. */
static bool freed_under_a_copy(unsigned seed, bool early) {
    static const char bytes[4096];
    wg_dev dev;
    wg_err err = {0};
    wg_mem mem;
    cr_assert_eq(wg_dev_open("cuda:0", &dev, &err), WG_OK, "%s", wg_err_text(&err));
    cr_assert_eq(wg_dev_alloc(&dev, sizeof bytes, &mem, &err), WG_OK, "%s", wg_err_text(&err));
    cu.cuda_double_seed(seed);
    cr_assert_eq(wg_dev_write(&dev, &mem, 0, bytes, sizeof bytes, &err), WG_OK, "%s", wg_err_text(&err));
    if (early) {
        cu.cuda_double_hurry("cuMemFreeAsync", 1);
    }
    wg_dev_free(&dev, &mem);
    wg_status status = wg_dev_sync(&dev, &err);
    bool shows = status != WG_OK || cu.cuda_double_faults(NULL, 0) > 0;
    wg_err_clear(&err);
    wg_dev_close(&dev);
    cu.cuda_double_forget();
    return shows;
}

Test(mistakes, memory_freed_too_early_shows) {
    load_double();
    int shown = 0;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        cr_expect_not(freed_under_a_copy(seed, false), "seed %u", seed);
        shown += freed_under_a_copy(seed, true);
    }
    cr_expect(shown > SEEDS / 3, "only for %d of %d seeds", shown, SEEDS);
}

/* And without one nothing does, in any order. */
Test(mistakes, none_shows_where_none_is) {
    load_double();
    bits expected = undisturbed(), got;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        cu.cuda_double_seed(seed);
        const char *wrong = whole_run(&got);
        cr_expect_null(wrong, "seed %u: %s", seed, wrong);
        cr_expect_eq(memcmp(&got, &expected, sizeof got), 0, "seed %u: other bits", seed);
    }
}
