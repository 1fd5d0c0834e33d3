/* label: cuda-double
 *
 * A plan that is run again is one graph launch on CUDA: counted on the double. Runs that differ in scalars update the graph
 * in place, other shapes make another one, and closing gives all back.
 */
#include "cuda_on_double.h"

typedef struct model {
    wg_tensor *w, *b;
    wg_optim *optim;
} model;

static model make(wg_ctx *ctx) {
    float w[IN], b[1] = {0};
    for (int i = 0; i < IN; i++) {
        w[i] = (float)i / 4;
    }
    model m = {.w = wg_keep(wg_from(ctx, WG_F32, w, WG_SHAPE(1, IN))),
               .b = wg_keep(wg_from(ctx, WG_F32, b, WG_SHAPE(1)))};
    cr_assert(m.w && m.b, "%s", wg_error(ctx));
    wg_param(m.w);
    wg_param(m.b);
    m.optim = wg_adam_new((wg_tensor *[]){m.w, m.b}, 2, NULL);
    return m;
}

static void drop(model *m) {
    wg_optim_free(m->optim);
    wg_free(m->w);
    wg_free(m->b);
}

static float one_step(wg_ctx *ctx, model *m, int rows) {
    float x[2 * ROWS * IN];
    for (int i = 0; i < rows * IN; i++) {
        x[i] = (float)(i % 7) / 4;
    }
    wg_mark mark = wg_scope_begin(ctx);
    wg_tensor *out = wg_tanh(wg_linear(wg_from(ctx, WG_F32, x, WG_SHAPE(rows, IN)), m->w, m->b));
    wg_tensor *loss = wg_mean(wg_square(out), NULL, 0, false);
    cr_assert_eq(wg_backward(loss), WG_OK, "%s", wg_error(ctx));
    cr_assert_eq(wg_optim_step(m->optim), WG_OK, "%s", wg_error(ctx));
    wg_optim_zero_grad(m->optim);
    wg_tensor *kept = wg_keep(loss);
    cr_assert_eq(wg_scope_end(ctx, mark), WG_OK, "%s", wg_error(ctx));
    float value = (float)wg_item(kept);
    wg_free(kept);
    return value;
}

typedef struct counts {
    unsigned long kernels, launches, graphs, made, updated;
} counts;

static counts since(const counts *before) {
    static const counts zero;
    const counts *b = before ? before : &zero;
    return (counts){.kernels = cu.cuda_double_calls("kernel") - b->kernels,
                    .launches = cu.cuda_double_calls("cuLaunchKernel") - b->launches,
                    .graphs = cu.cuda_double_calls("cuGraphLaunch") - b->graphs,
                    .made = cu.cuda_double_calls("cuGraphInstantiateWithFlags") - b->made,
                    .updated = cu.cuda_double_calls("cuGraphExecUpdate") - b->updated};
}

static counts steps(wg_ctx *ctx, model *m, int rows, int n) {
    counts before = since(NULL);
    for (int i = 0; i < n; i++) {
        one_step(ctx, m, rows);
    }
    return since(&before);
}

Test(graphs, a_step_that_comes_again_is_one_graph_launch) {
    load_double();
    wg_ctx *ctx = wg_open("cuda:0");
    model m = make(ctx);
    counts first = steps(ctx, &m, ROWS, 1);
    cr_expect_eq(first.graphs, 0);
    cr_expect(first.launches > 1 && first.launches == first.kernels, "%lu launches", first.launches);
    counts warm = steps(ctx, &m, ROWS, 3); /* Adam's first step has a plan of its own */
    cr_expect_eq(warm.made, 1, "%lu graphs were made", warm.made);
    counts c = steps(ctx, &m, ROWS, 10);
    cr_expect_eq(c.graphs, 10, "%lu graph launches", c.graphs);
    cr_expect_eq(c.made, 0, "%lu more graphs", c.made);
    cr_expect_geq(c.kernels, 20, "%lu kernels", c.kernels);

    wg_optim_set_lr(m.optim, 0.5);
    c = steps(ctx, &m, ROWS, 2);
    cr_expect_eq(c.graphs, 2);
    cr_expect_eq(c.made, 0, "a changed learning rate made another graph");
    cr_expect_geq(c.updated, 1, "a changed learning rate did not update the graph");

    c = steps(ctx, &m, 2 * ROWS, 4); /* another plan, so another graph */
    cr_expect_eq(c.made, 1, "%lu graphs for another shape", c.made);
    cr_expect_geq(c.graphs, 2);
    c = steps(ctx, &m, ROWS, 1);
    cr_expect_eq(c.graphs, 1, "the first shape's graph is gone");
    cr_expect_eq(c.made, 0);
    drop(&m);
    close_ok(ctx);
    cr_expect_eq(cu.cuda_double_live(NULL), 0);
}

/* While kernels are timed a plan's launches are sent one by one, with an event before and after each; afterwards it is one
 * graph again. */
Test(graphs, are_left_out_while_kernels_are_timed) {
    load_double();
    wg_ctx *ctx = wg_open("cuda:0");
    model m = make(ctx);
    steps(ctx, &m, ROWS, 4);
    cr_expect_eq(wg_profile(ctx, true), WG_OK, "%s", wg_error(ctx));
    counts c = steps(ctx, &m, ROWS, 3);
    cr_expect(c.graphs == 0 && c.launches == c.kernels && c.launches >= 6, "%lu graphs", c.graphs);

    wg_plan_info plan;
    wg_kernel_info kernel[8];
    cr_expect_eq(wg_get_plans(ctx, WG_PLAN_LAST, &plan, 1), 1);
    size_t n = wg_get_kernels(ctx, plan.number, kernel, 8);
    cr_expect_geq(n, 2);
    for (size_t i = 0; i < n; i++) {
        cr_expect(kernel[i].fastest_seconds > 0 && kernel[i].device_seconds >= kernel[i].fastest_seconds &&
                      kernel[i].device_seconds < 10,
                  "%s: %g s, at best %g s", kernel[i].ops, kernel[i].device_seconds, kernel[i].fastest_seconds);
    }
    cr_expect_geq(cu.cuda_double_calls("cuEventElapsedTime"), 2 * c.launches); /* and products */

    cr_expect_eq(wg_profile(ctx, false), WG_OK, "%s", wg_error(ctx));
    c = steps(ctx, &m, ROWS, 2);
    cr_expect_eq(c.graphs, 2, "%lu graphs", c.graphs);
    drop(&m);
    close_ok(ctx);
    cr_expect_eq(cu.cuda_double_live(NULL), 0);
}

/* The numbers do not tell: a run without graphs, in another process, says the same. */
Test(graphs, gives_the_bits_of_separate_launches) {
    load_double();
    float with[6], without[6];
    for (int way = 0; way < 2; way++) {
        setenv("WENGERT_CUDA_SYNC", way ? "1" : "0", 1); /* no graphs where each launch is waited for */
        wg_ctx *ctx = wg_open("cuda:0");
        model m = make(ctx);
        for (int i = 0; i < 6; i++) {
            (way ? without : with)[i] = one_step(ctx, &m, ROWS);
        }
        drop(&m);
        close_ok(ctx);
    }
    for (int i = 0; i < 6; i++) {
        cr_expect_eq(with[i], without[i], "step %d: %g, not %g", i, (double)with[i], (double)without[i]);
    }
    cr_expect_gt(cu.cuda_double_calls("cuGraphLaunch"), 0);
}

/* A driver that makes no graphs costs speed alone. */
Test(graphs, without_graphs_it_trains_all_the_same) {
    load_double();
    static const char *const functions[] = {"cuStreamBeginCapture", "cuStreamEndCapture", "cuGraphInstantiateWithFlags",
                                            "cuGraphExecUpdate"};
    for (int i = 0; i < 4; i++) {
        float with[6], without[6];
        for (int way = 0; way < 2; way++) {
            wg_ctx *ctx = wg_open("cuda:0");
            model m = make(ctx);
            if (way) {
                cu.cuda_double_fail(functions[i], 1, 0);
            }
            for (int k = 0; k < 6; k++) {
                (way ? without : with)[k] = one_step(ctx, &m, ROWS);
            }
            cr_expect(!way || cu.cuda_double_happened(), "%s is not called", functions[i]);
            cu.cuda_double_fail(NULL, 1, 0);
            drop(&m);
            close_ok(ctx);
        }
        cr_expect_eq(memcmp(with, without, sizeof with), 0, "%s", functions[i]);
        cr_expect_eq(cu.cuda_double_live(NULL), 0, "%s", functions[i]);
    }
}
