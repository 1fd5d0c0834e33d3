/* label: cuda-double
 * timeout: 600
 *
 * Branches of a plan on streams of their own, on the CUDA double, which runs the streams' work and the nodes of graphs in any
 * order that is allowed: the bits stay, and every wait that is left out, or is for another event, shows in some order.
 */
#include "cuda_on_double.h"

#include "api/context.h"

#include <stdio.h>

enum { SIDE = 16, SEEDS = 20, MORE_SEEDS = 80 };

typedef struct matrix {
    float at[SIDE * SIDE];
} matrix;

static wg_tensor *given(wg_ctx *ctx, int seed) {
    float values[SIDE * SIDE];
    numbers(values, SIDE * SIDE, seed);
    return wg_keep(wg_from_f32(ctx, values, WG_SHAPE(SIDE, SIDE)));
}

/* Two chains of products, in one arena; the plan comes back `runs` times. What went wrong, NULL if nothing. */
static const char *chains(const char *queues, int runs, void (*change)(wg_plan *plan, int way), int way,
                          matrix out[2]) {
    static char why[300];
    setenv("WENGERT_QUEUES", queues, 1);
    wg_ctx *ctx = wg_open("cuda:0");
    wg_tensor *x = given(ctx, 1), *w = given(ctx, 2);
    memset(out, 0, 2 * sizeof *out);
    for (int i = 0; i < runs && !wg_failed(ctx); i++) {
        matrix other; /* what one run leaves in memory is no good to the next */
        numbers(other.at, SIDE * SIDE, 3 + i);
        wg_write(x, &other, sizeof other);
        wg_mark mark = wg_scope_begin(ctx);
        wg_tensor *a = wg_matmul(wg_matmul(wg_tanh(wg_matmul(x, w)), w), w);
        wg_tensor *b = wg_matmul(wg_matmul(wg_tanh(wg_matmul(w, x)), x), x);
        if (wg_eval((wg_tensor *[]){a, b}, 2) == WG_OK && wg_read(a, &out[0], sizeof out[0]) == WG_OK) {
            wg_read(b, &out[1], sizeof out[1]);
        }
        wg_scope_end(ctx, mark);
        const wg_exec *made = wg_plan_cache_newest(ctx);
        if (i == 0 && made && made->plan->turns && change) {
            change(made->plan, way);
        }
    }
    wg_free(x);
    wg_free(w);
    wg_status status = wg_error_take(ctx, why, sizeof why);
    wg_status closed = wg_close(ctx);
    return status ? why : closed ? "closing" : NULL;
}

static bool shows(const char *wrong, const matrix *got, const matrix *expected) {
    bool shown = wrong || cu.cuda_double_faults(NULL, 0) > 0 || memcmp(got, expected, 2 * sizeof *got) != 0;
    cu.cuda_double_forget();
    return shown;
}

/* Launched one by one and as a graph, in any order, on any number of queues. */
Test(queues, any_order_gives_the_bits_of_one_queue) {
    load_double();
    static const char *const queues[] = {"1", "2", "3", "4"};
    matrix expected[2], got[2];
    const char *wrong = chains("1", 4, NULL, 0, expected);
    cr_assert_null(wrong, "%s", wrong);
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        for (int q = 0; q < 4; q++) {
            cu.cuda_double_seed(seed);
            wrong = chains(queues[q], 4, NULL, 0, got);
            cr_expect_null(wrong, "seed %u, %s queues: %s", seed, queues[q], wrong);
            cr_expect_eq(memcmp(got, expected, sizeof got), 0, "seed %u, %s queues: other bits", seed, queues[q]);
        }
    }
    cr_expect_eq(cu.cuda_double_live(NULL), 0);
    cr_expect_eq(cu.cuda_double_faults(NULL, 0), 0);
}

/* A graph with branches is one graph all the same: made once, launched once a run. */
Test(queues, a_plan_with_branches_is_one_graph) {
    load_double();
    matrix out[2];
    unsigned long made = cu.cuda_double_calls("cuGraphInstantiateWithFlags"),
                  runs = cu.cuda_double_calls("cuGraphLaunch");
    const char *wrong = chains("4", 6, NULL, 0, out);
    cr_expect_null(wrong, "%s", wrong);
    cr_expect_eq(cu.cuda_double_calls("cuGraphInstantiateWithFlags") - made, 1);
    cr_expect_eq(cu.cuda_double_calls("cuGraphLaunch") - runs, 5);
    cr_expect_gt(cu.cuda_double_calls("cuStreamWaitEvent"), 2, "there are no branches");
}

/* ---- mistakes ------------------------------------------------------------------------------------------------------------- */

/* Which calls of a function matter: without the nth, some order shows it. */
static int points_that_show(const char *function, int runs, int *points) {
    matrix expected[2], got[2];
    chains("1", runs, NULL, 0, expected);
    int shown = 0;
    bool there = true;
    *points = 0;
    for (unsigned long n = 1; there && n < 100; n++) {
        bool any = false;
        for (unsigned seed = 0; seed < MORE_SEEDS && !any && there; seed++) {
            cu.cuda_double_seed(seed);
            cu.cuda_double_drop(function, n);
            const char *wrong = chains("2", runs, NULL, 0, got);
            there = cu.cuda_double_happened();
            any = shows(wrong, got, expected) && there;
        }
        if (there) {
            fprintf(stderr, "call %lu of %s: %s\n", n, function, any ? "shows" : "does not show");
        }
        *points += there;
        shown += any;
    }
    cu.cuda_double_drop(NULL, 1);
    return shown;
}

/* A plan that ran once. Three can be done without: two of transfers for memory that is there, and one of the second queue for the
 * bytes of a leaf, which the main queue had waited for. */
Test(queues, every_wait_that_is_dropped_shows) {
    load_double();
    int points, shown = points_that_show("cuStreamWaitEvent", 1, &points);
    fprintf(stderr, "cuStreamWaitEvent: %d mistakes, %d of them show\n", points, shown);
    cr_expect(points >= 9 && shown >= points - 3, "only %d of %d", shown, points);
}

static int waits_of(const wg_plan *plan) {
    int n = 0;
    for (int i = 0; i < plan->nsteps + 2; i++) {
        n += plan->turns[i].nwaits;
    }
    return n;
}

static int waits;

/* The wait number `way` becomes one for the turn before the right one on its queue. */
static void wait_for_another(wg_plan *plan, int way) {
    waits = waits_of(plan);
    for (int i = 0; i < plan->nsteps + 2; i++) {
        wg_turn *t = &plan->turns[i];
        for (int k = 0; k < t->nwaits; k++) {
            wg_turn *right = &plan->turns[t->wait[k]], *before = right - 1;
            if (way-- == 0) {
                cr_assert(before->queue == right->queue);
                before->event = before->event < 0 ? right->event : before->event;
                right->event = -1;
                t->wait[k]--;
                return;
            }
        }
    }
}

/* The second run, which is captured, has it wrong. */
Test(queues, every_wait_for_another_event_shows) {
    load_double();
    matrix expected[2], got[2];
    chains("1", 2, NULL, 0, expected);
    chains("2", 1, wait_for_another, 1000, got);
    int n = waits, shown = 0;
    cr_assert_geq(n, 3, "the plan has %d waits", n);
    for (int way = 0; way < n; way++) {
        bool any = false;
        for (unsigned seed = 0; seed < MORE_SEEDS && !any; seed++) {
            cu.cuda_double_seed(seed);
            any = shows(chains("2", 2, wait_for_another, way, got), got, expected);
        }
        fprintf(stderr, "wait %d: %s\n", way, any ? "shows" : "does not show");
        shown += any;
    }
    cr_expect_eq(shown, n, "only %d of %d show", shown, n);
}
