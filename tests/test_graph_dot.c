/* label: unit */
/* timeout: 240 */
/*
 * The graph as a picture: the tutorial's to the letter, what larger tensors look like, and that drawing changes nothing.
 */
#include "harness/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static wg_ctx *host(void) { return open_mode(MODE_HOST); }

static char drawn[1 << 16];

/* What wg_graph_dot writes, until the next call. */
static const char *draw(wg_tensor *const *t, size_t n, const wg_dot_opts *o) {
    FILE *f = tmpfile();
    cr_assert_not_null(f);
    wg_status status = wg_graph_dot(t, n, o, f);
    cr_expect(status == WG_OK, "%s: %s", wg_status_name(status), wg_error(wg_context(t[0])));
    rewind(f);
    drawn[fread(drawn, 1, sizeof drawn - 1, f)] = '\0';
    fclose(f);
    return drawn;
}

static void expect_has(const char *text, const char *part) {
    cr_expect(strstr(text, part) != NULL, "no `%s` in:\n%s", part, text);
}
static void expect_lacks(const char *text, const char *part) {
    cr_expect(strstr(text, part) == NULL, "`%s` in:\n%s", part, text);
}

/* Graphviz takes it. */
static void expect_renders(const char *text) {
    FILE *dot = popen("dot -Tsvg | grep -q '</svg>'", "w");
    cr_assert_not_null(dot);
    cr_expect_eq(fwrite(text, 1, strlen(text), dot), strlen(text));
    int status = pclose(dot);
    cr_expect_eq(status, 0, "dot -Tsvg gave %d for:\n%s", status, text);
}

static wg_tensor *one(wg_ctx *ctx, float v) { return wg_from_f32(ctx, &v, WG_SHAPE(1)); }

/* ---- the tutorial ------------------------------------------------------------------------------------------------------ */

static const char tutorial[] = "digraph wengert {\n"
                               "    rankdir=LR; nodesep=0.5; ranksep=0.7;\n"
                               "    node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica\", fontsize=12];\n"
                               "    edge [fontname=\"Helvetica\", fontsize=11];\n"
                               "    n0 [label=\"w\\nf32 [1]\\n1\\ngrad -8\", style=filled, fillcolor=\"#ffe9a8\"];\n"
                               "    n1 [label=\"mul_scalar 2\\nf32 [1]\", fillcolor=\"#d6e8fa\"];\n"
                               "    n2 [label=\"sub_scalar 4\\nf32 [1]\", fillcolor=\"#d6e8fa\"];\n"
                               "    n3 [label=\"square\\nf32 [1]\", fillcolor=\"#d6e8fa\"];\n"
                               "    n0 -> n1 [label=\" 1 \"];\n"
                               "    n1 -> n0 [label=\" grad -8 \\n local 2 \", BACK];\n"
                               "    n1 -> n2 [label=\" 2 \"];\n"
                               "    n2 -> n1 [label=\" grad -4 \\n local 1 \", BACK];\n"
                               "    n2 -> n3 [label=\" -2 \"];\n"
                               "    n3 -> n2 [label=\" grad -4 \\n local -4 \", BACK];\n"
                               "    out0 [label=\"loss\\n4\", style=filled, fillcolor=\"#d5f0d8\"];\n"
                               "    n3 -> out0 [label=\" 4 \"];\n"
                               "    out0 -> n3 [label=\" grad 1 \", BACK];\n"
                               "}\n";

/* The look of a red arrow, written once above. */
static char *with_word(const char *text) {
    static const char look[] = "color=\"#c0392b\", fontcolor=\"#c0392b\", style=dashed, constraint=false";
    static char out[sizeof drawn];
    char *at = out;
    for (const char *from; (from = strstr(text, look)); text = from + sizeof look - 1) {
        at += sprintf(at, "%.*sBACK", (int)(from - text), text);
    }
    strcpy(at, text);
    return out;
}

/* (x w - y)^2 at w = 1, x = 2, y = 4: by hand, 2 (2 - 4) = -4 reaches the difference, and -4 * 2 = -8 the weight. */
Test(dot, tutorial) {
    wg_ctx *ctx = host();
    wg_tensor *w = wg_param(one(ctx, 1)), *loss = wg_square(wg_sub_scalar(wg_mul_scalar(w, 2), 4));
    wg_dot_opts o = wg_dot_defaults();
    o.named = (wg_tensor *[]){w, loss};
    o.names = (const char *[]){"w", "loss"};
    o.nnamed = 2;
    const char *text = with_word(draw(&loss, 1, &o));
    cr_expect(strcmp(text, tutorial) == 0, "drawn:\n%sshould be:\n%s", text, tutorial);
    expect_renders(draw(&loss, 1, &o));
    close_ok(ctx);
}

/* ---- larger graphs ------------------------------------------------------------------------------------------------------- */

/* Values by summary, a composite as one op, long graphs down the page, a name that needs quoting. */
Test(dot, of_a_network) {
    wg_ctx *ctx = host();
    rng r = rng_seed("dot", 0);
    wg_tensor *w = wg_param(input_make(ctx, WG_F32, WG_SHAPE(3, 8), LAY_CONTIGUOUS, DOM_ANY, &r).t);
    wg_tensor *b = wg_param(wg_zeros(ctx, WG_F32, WG_SHAPE(3)));
    wg_tensor *x = input_make(ctx, WG_F32, WG_SHAPE(32, 8), LAY_CONTIGUOUS, DOM_ANY, &r).t;
    int64_t labels[32] = {0};
    wg_tensor *loss = wg_cross_entropy(wg_linear(x, w, b), wg_from_i64(ctx, labels, WG_SHAPE(32)), NULL);
    wg_dot_opts o = wg_dot_defaults();
    o.named = &b;
    o.names = (const char *[]){"the \"bias\" \\"};
    o.nnamed = 1;
    const char *text = draw(&loss, 1, &o);
    expect_has(text, "rankdir=TB");
    expect_has(text, "matmul\\nf32 [32,3]");
    expect_has(text, "the \\\"bias\\\" \\\\\\nf32 [3]\\n[0, 0, 0]\\ngrad [");
    expect_has(text, "param\\nf32 [3,8]\\n");
    expect_has(text, "\\nmean ");
    expect_has(text, "log_softmax");
    expect_lacks(text, "amax"); /* inside log_softmax */
    expect_has(text, "output\\n");
    expect_renders(text);
    close_ok(ctx);
}

/* Wrong: NaN in a mean; constants as a range; integers and booleans as floats; nothing as something. */
Test(dot, captions) {
    wg_ctx *ctx = host();
    float with_nan[] = {NAN, 1, 2, 3, 4, 5, 6, NAN};
    wg_tensor *t[] = {wg_neg(wg_from_f32(ctx, with_nan, WG_SHAPE(8))), wg_neg(wg_ones(ctx, WG_F32, WG_SHAPE(9))),
                      wg_neg(wg_from_i64(ctx, (int64_t[]){-1, 20}, WG_SHAPE(2))),
                      wg_eq_scalar(wg_from_f32(ctx, (float[]){1, 0}, WG_SHAPE(2)), 0),
                      wg_neg(wg_from_f32(ctx, NULL, WG_SHAPE(0, 3)))};
    const char *text = draw(t, 5, NULL);
    expect_has(text, "-6 to -1\\nmean -3.5\\n2 NaN");
    expect_has(text, "all -1");
    expect_has(text, "i64 [2]\\n[-1, 20]");
    expect_has(text, "output\\n[1, -20]");
    expect_has(text, "output\\n[0, 1]");
    expect_has(text, "output\\n[]");
    expect_lacks(text, "grad");
    expect_renders(text);
    close_ok(ctx);
}

/* A value used twice gets the sum of what its uses send back. */
Test(dot, gradients_of_two_uses) {
    wg_ctx *ctx = host();
    wg_tensor *w = wg_param(one(ctx, 3)), *y = wg_add(wg_mul(w, w), wg_exp(wg_mul_scalar(w, 0)));
    const char *text = with_word(draw(&y, 1, NULL));
    expect_has(text, "param\\nf32 [1]\\n3\\ngrad 6\"");
    expect_has(text, "n3 -> n0 [label=\" grad 3 \\n local 3 \", BACK]");
    expect_has(text, "-> n0 [label=\" grad 0 \\n local 0 \", BACK]");
    close_ok(ctx);
}

static wg_tensor *squared(wg_tensor *const *inputs, size_t n, void *user) {
    (void)n;
    (void)user;
    return wg_square(inputs[0]);
}

/* A checkpoint, in whose place its backward records its function; gradients all the same. */
Test(dot, of_a_checkpoint) {
    wg_ctx *ctx = host();
    wg_tensor *w = wg_param(one(ctx, 3)), *y = wg_mul_scalar(wg_checkpoint(squared, &w, 1, NULL), 2);
    const char *text = draw(&y, 1, NULL);
    expect_has(text, "checkpoint");
    expect_has(text, "output\\n18");
    expect_renders(text);
    cr_expect_eq(wg_backward(y), WG_OK, "%s", wg_error(ctx));
    EXPECT_VALUES(wg_grad(w), 12);
    close_ok(ctx);
}

/* What anomaly detection found wrong can be drawn. */
Test(dot, of_an_anomaly) {
    wg_ctx *ctx = host();
    wg_detect_anomaly(ctx, true);
    wg_tensor *w = wg_param(one(ctx, 0)), *y = wg_square(wg_log(w));
    wg_error_take(ctx, NULL, 0);
    wg_detect_anomaly(ctx, false);
    y = y ? y : wg_square(wg_log(w));
    wg_detect_anomaly(ctx, true);
    expect_has(draw(&y, 1, NULL), "inf");
    close_ok(ctx);
}

/* After a backward there is what leaves accumulated; before any value was computed, with no_values, nothing is. */
Test(dot, released_or_without_values) {
    wg_ctx *ctx = host();
    wg_tensor *w = wg_param(one(ctx, 3)), *y = wg_square(w);
    wg_dot_opts o = wg_dot_defaults();
    o.no_values = true;
    uint64_t before = stat_launches(ctx);
    expect_lacks(draw(&y, 1, &o), "grad");
    expect_has(drawn, "out0 [label=\"output\", ");
    cr_expect_eq(stat_launches(ctx), before, "no_values ran something");
    wg_backward(y);
    const char *text = draw(&y, 1, NULL);
    expect_has(text, "param\\nf32 [1]\\n3\\ngrad 6");
    expect_has(text, "output\\n9");
    expect_lacks(text, "local");
    EXPECT_VALUES(wg_grad(w), 6);
    close_ok(ctx);
}

/* ---- nothing changes ------------------------------------------------------------------------------------------------------- */

typedef struct outcome {
    double loss, gw, gx, w;
    uint64_t plans, launches, bytes; /* of the scope's end */
} outcome;

/* A step, drawn in several places or not. A random op, a product and a view; the update in place. */
static outcome step(wg_ctx *ctx, bool drawing) {
    outcome out;
    wg_seed(ctx, 7);
    rng r = rng_seed("dot step", 0);
    wg_tensor *w = wg_param(input_make(ctx, WG_F32, WG_SHAPE(6, 5), LAY_CONTIGUOUS, DOM_ANY, &r).t);
    wg_tensor *x = wg_param(input_make(ctx, WG_F32, WG_SHAPE(4, 5), LAY_CONTIGUOUS, DOM_ANY, &r).t), *kept;
    WG_SCOPE(ctx) {
        wg_tensor *noise = wg_randn(ctx, WG_F32, WG_SHAPE(4, 6));
        wg_tensor *h = wg_tanh(wg_add(wg_matmul(x, wg_transpose(w, 0, 1)), noise));
        kept = wg_keep(wg_sum(wg_mul(h, h), NULL, 0, false));
        char *first = NULL;
        if (drawing) {
            first = strdup(draw(&kept, 1, NULL));
            cr_expect_str_eq(draw(&kept, 1, NULL), first, "drawn twice, two pictures");
        }
        cr_expect_eq(wg_backward(kept), WG_OK, "%s", wg_error(ctx));
        wg_tensor *g = wg_grad(w);
        if (drawing) {
            draw((wg_tensor *[]){kept, g}, 2, NULL);
            free(first);
        }

        wg_assign(w, wg_sub(w, wg_mul_scalar(g, 0.1)));
        if (drawing) {
            draw((wg_tensor *[]){w}, 1, NULL);
        }
        wg_stats before = stats_of(ctx);
        wg_scope_end(ctx, 1);
        wg_stats after = stats_of(ctx);
        out.plans = after.plans_built + after.plans_reused - before.plans_built - before.plans_reused;
        out.launches = after.launches - before.launches;
        out.bytes = after.bytes_moved - before.bytes_moved;
    }
    out.loss = wg_item(kept);
    out.gw = wg_item(wg_sum(wg_grad(w), NULL, 0, false));
    out.gx = wg_item(wg_sum(wg_grad(x), NULL, 0, false));
    out.w = wg_item(wg_sum(w, NULL, 0, false));
    wg_free(kept);
    return out;
}

/* Wrong: drawing marks nodes as run, drops operands, advances random numbers, or runs updates: another plan then. */
Test(dot, changes_nothing) {
    wg_ctx *a = host(), *b = host();
    outcome plain = step(a, false), watched = step(b, true);
    cr_expect(plain.loss == watched.loss && plain.gw == watched.gw && plain.gx == watched.gx && plain.w == watched.w,
              "%.9g %.9g %.9g %.9g; drawn: %.9g %.9g %.9g %.9g", plain.loss, plain.gw, plain.gx, plain.w, watched.loss,
              watched.gw, watched.gx, watched.w);
    cr_expect(plain.plans == 1 && watched.plans == 1 && plain.launches == watched.launches &&
                  plain.bytes == watched.bytes,
              "%d plans, %d launches, %d bytes; drawn: %d, %d, %d", (int)plain.plans, (int)plain.launches,
              (int)plain.bytes, (int)watched.plans, (int)watched.launches, (int)watched.bytes);
    cr_expect_eq(stats_of(a).bytes_live, stats_of(b).bytes_live, "drawing leaks device memory");
    close_ok(a);
    close_ok(b);
}

/* A chain as long as no stack is deep. */
Test(dot, of_a_long_chain) {
    enum { N = 20000 };
    wg_ctx *ctx = host();
    wg_tensor *y = wg_param(one(ctx, 3));
    for (int k = 0; k < N; k++) {
        y = wg_mul_scalar(y, k % 2 ? 0.5 : 2);
    }
    wg_dot_opts o = wg_dot_defaults();
    o.no_values = true;
    FILE *f = tmpfile();
    cr_expect_eq(wg_graph_dot(&y, 1, &o, f), WG_OK, "%s", wg_error(ctx));
    cr_expect_gt(ftell(f), 2 * N * 10);
    fclose(f);
    close_ok(ctx);
}

/* ---- errors ------------------------------------------------------------------------------------------------------------------ */

Test(dot, refuses) {
    wg_ctx *ctx = host(), *other = host();
    wg_tensor *a = one(ctx, 1), *b = wg_exp(a);
    cr_expect_eq(wg_graph_dot(NULL, 1, NULL, stdout), WG_ERR_ARG);
    cr_expect_eq(wg_graph_dot(&b, 0, NULL, stdout), WG_ERR_ARG);
    cr_expect_eq(wg_graph_dot(&b, 1, NULL, NULL), WG_ERR_ARG);
    expect_error(ctx, WG_ERR_ARG, "file", "graph_dot", "the file is NULL", NULL);
    cr_expect_eq(wg_graph_dot((wg_tensor *[]){b, NULL}, 2, NULL, stdout), WG_ERR_ARG);
    expect_error(ctx, WG_ERR_ARG, "tensor", "graph_dot", "operand 2 is NULL", NULL);
    cr_expect_eq(wg_graph_dot((wg_tensor *[]){b, one(other, 1)}, 2, NULL, stdout), WG_ERR_ARG);
    expect_error(ctx, WG_ERR_ARG, "context", "graph_dot", "another context", NULL);
    wg_dot_opts o = wg_dot_defaults();
    o.nnamed = 1;
    cr_expect_eq(wg_graph_dot(&b, 1, &o, stdout), WG_ERR_ARG);
    expect_error(ctx, WG_ERR_ARG, "names", "graph_dot", "names are NULL", NULL);
    FILE *full = fopen("/dev/full", "w");
    cr_expect_eq(wg_graph_dot(&b, 1, NULL, full), WG_ERR_IO);
    expect_error(ctx, WG_ERR_IO, "full", "graph_dot", "writing", NULL);
    fclose(full);
    EXPECT_VALUES(wg_mul_scalar(b, 0), 0);
    close_ok(ctx);
    close_ok(other);
}
