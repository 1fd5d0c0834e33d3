/* label: null */
/* timeout: 240 */
/*
 * Plans on several queues, on devices that compute nothing: as text, which a reader can follow by eye (see wg_plan_print), and
 * on random graphs, where every two launches that meet in some byte have to come one after the other.
 */
#include "harness/check.h"

#include "api/context.h"
#include "base/alloc.h"
#include "fuzz/generate.h"
#include "runtime/null.h"
#include "schedule/plan.h"
#include "tensor/dtype.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static wg_tensor *given(wg_ctx *ctx, wg_shape shape) {
    static float zeros[1 << 16];
    return wg_keep(wg_from_f32(ctx, zeros, shape));
}

static wg_ctx *open_null(const char *queues) {
    setenv("WENGERT_QUEUES", queues, 1);
    wg_ctx *ctx = wg_open("null:gpu");
    cr_assert(!wg_failed(ctx), "%s", wg_error(ctx));
    return ctx;
}

/* ---- as text ------------------------------------------------------------------------------------------------------------- */

static void expect_plan(wg_ctx *ctx, const char *what, const char *want) {
    const wg_exec *x = wg_plan_cache_newest(ctx);
    cr_assert(x != NULL && !wg_failed(ctx), "%s: %s", what, wg_error(ctx));
    wg_str text = {0};
    wg_plan_print(x->plan, &text);
    cr_expect_str_eq(wg_str_text(&text), want, "%s: the plan is\n%s", what, wg_str_text(&text));
    wg_str_free(&text);
}

/* Two products side by side, and one of both. The second begins after whatever was before the plan. */
Test(queues, two_branches) {
    wg_ctx *ctx = open_null("4");
    wg_tensor *x = given(ctx, WG_SHAPE(16, 16)), *w = given(ctx, WG_SHAPE(16, 16));
    WG_SCOPE(ctx) {
        wg_tensor *c = wg_matmul(wg_softmax(wg_matmul(x, w), 0), wg_matmul(w, x));
        wg_eval(&c, 1);
        expect_plan(ctx, "branches",
                    "4 launches on 2 queues, 3584 bytes: 1024 kept, arena 2560\n"
                    "  1 queue 0: matmul 16x16x16: matmul\n"
                    "      x0 x1 -> t0[0+1024]\n"
                    "  2 queue 1 after 0: matmul 16x16x16: matmul\n"
                    "      x1 x0 -> t1[1024+1024]\n"
                    "  3 queue 1: columns 16 of 16: amax+sub+exp+sum\n"
                    "      t1[1024+1024] -> t2[2048+64] t5[2304+64]\n"
                    "  4 queue 1 after 1: matmul 16x16x16: sub+exp+div+matmul\n"
                    "      t2[2048+64] t1[1024+1024] t5[2304+64] t0[0+1024] -> k7\n"
                    "    end after 4\n");
    }
    wg_close(ctx);
}

/* A cell of an LSTM, forward, backward and update: the sum of two products for the gates, and those of the gradients. */
Test(queues, lstm) {
    wg_ctx *ctx = open_null("4");
    enum { N = 8, H = 16 };
    wg_tensor *x = given(ctx, WG_SHAPE(N, H)), *h = given(ctx, WG_SHAPE(N, H)), *c = given(ctx, WG_SHAPE(N, H));
    wg_tensor *wx = wg_param(given(ctx, WG_SHAPE(4 * H, H))), *wh = wg_param(given(ctx, WG_SHAPE(4 * H, H)));
    WG_SCOPE(ctx) {
        wg_tensor *z = wg_add(wg_linear(x, wx, NULL), wg_linear(h, wh, NULL));
        wg_tensor *g[4];
        for (int i = 0; i < 4; i++) {
            g[i] = wg_narrow(z, 1, i * H, H);
        }
        wg_tensor *cn = wg_add(wg_mul(wg_sigmoid(g[1]), c), wg_mul(wg_sigmoid(g[0]), wg_tanh(g[2])));
        wg_tensor *hn = wg_mul(wg_sigmoid(g[3]), wg_tanh(cn));
        wg_backward(wg_sum(wg_square(hn), NULL, 0, false));
        wg_tensor *p[] = {wx, wh};
        for (int i = 0; i < 2; i++) {
            wg_assign(p[i], wg_sub(p[i], wg_mul_scalar(wg_grad(p[i]), 0.1)));
            wg_zero_grad(p[i]);
        }
    }
    expect_plan(ctx, "lstm",
                "4 launches on 2 queues, 2048 bytes: 0 kept, arena 2048\n"
                "  1 queue 0: matmul 8x2*16x64: matmul+matmul+add\n"
                "      x0 x1 x2 x3 -> t2[0+2048]\n"
                "  2 queue 0: map 8x16: "
                "tanh+sigmoid+mul+sigmoid+mul+add+tanh+sigmoid+mul+mul_scalar+ones+mul+mul+mul+rsub_scalar+mu...\n"
                "      t2[0+2048] x4 -> part of t45[0+2048]\n"
                "  3 queue 0: matmul 64x8x16: matmul+mul_scalar+sub\n"
                "      t45[0+2048] x2 x3 -> k49=x3\n"
                "  4 queue 1 after 2: matmul 64x8x16: matmul+mul_scalar+sub\n"
                "      t45[0+2048] x0 x1 -> k51=x1\n"
                "    end after 4\n");
    wg_close(ctx);
}

/* Two chains that need nothing of each other; but t3 lies where t0 did, which launch 2 reads, and t4 where t1 did. */
Test(queues, bytes_used_again_are_waited_for) {
    wg_ctx *ctx = open_null("2");
    wg_tensor *x = given(ctx, WG_SHAPE(16, 16)), *w = given(ctx, WG_SHAPE(16, 16));
    WG_SCOPE(ctx) {
        wg_tensor *a = wg_matmul(wg_matmul(wg_matmul(x, w), w), w);
        wg_tensor *b = wg_matmul(wg_matmul(wg_matmul(w, x), x), x);
        wg_eval((wg_tensor *[]){a, b}, 2);
        expect_plan(ctx, "products",
                    "6 launches on 2 queues, 4096 bytes: 2048 kept, arena 2048\n"
                    "  1 queue 0: matmul 16x16x16: matmul\n"
                    "      x0 x1 -> t0[0+1024]\n"
                    "  2 queue 0: matmul 16x16x16: matmul\n"
                    "      t0[0+1024] x1 -> t1[1024+1024]\n"
                    "  3 queue 0: matmul 16x16x16: matmul\n"
                    "      t1[1024+1024] x1 -> k2\n"
                    "  4 queue 1 after 2: matmul 16x16x16: matmul\n"
                    "      x1 x0 -> t3[0+1024]\n"
                    "  5 queue 1 after 3: matmul 16x16x16: matmul\n"
                    "      t3[0+1024] x0 -> t4[1024+1024]\n"
                    "  6 queue 1: matmul 16x16x16: matmul\n"
                    "      t4[1024+1024] x0 -> k5\n"
                    "    end after 6\n");
    }
    wg_close(ctx);
}

/* WENGERT_QUEUES=1 is the order without events; a chain has no other. */
Test(queues, one_queue) {
    for (int way = 0; way < 2; way++) {
        wg_ctx *ctx = open_null(way ? "4" : "1");
        wg_tensor *x = given(ctx, WG_SHAPE(16, 16)), *w = given(ctx, WG_SHAPE(16, 16));
        WG_SCOPE(ctx) {
            wg_tensor *a = wg_matmul(x, w), *b = wg_matmul(way ? a : w, x), *c = wg_matmul(a, b);
            wg_eval(&c, 1);
            cr_expect_null(wg_plan_cache_newest(ctx)->plan->turns);
        }
        const wg_null_record *log;
        size_t n = wg_null_log(ctx->engine.dev.dev, &log);
        for (size_t i = 0; i < n; i++) {
            cr_expect(log[i].kind != WG_NULL_MARK && log[i].kind != WG_NULL_WAIT && log[i].queue == WG_QUEUE_MAIN);
        }
        wg_close(ctx);
    }
}

/* What the device is asked to do: queues as the vtable numbers them, events by number. */
Test(queues, what_the_device_sees) {
    wg_ctx *ctx = open_null("2");
    wg_tensor *x = given(ctx, WG_SHAPE(16, 16)), *w = given(ctx, WG_SHAPE(16, 16));
    wg_null_log_clear(ctx->engine.dev.dev);
    WG_SCOPE(ctx) {
        wg_tensor *c = wg_matmul(wg_softmax(wg_matmul(x, w), 0), wg_matmul(w, x));
        wg_eval(&c, 1);
    }
    const wg_null_record *log;
    char text[400] = "";
    size_t n = wg_null_log(ctx->engine.dev.dev, &log);
    for (size_t i = 0; i < n; i++) {
        char word[40] = "";
        bool event = log[i].kind == WG_NULL_MARK || log[i].kind == WG_NULL_WAIT;
        if (event) {
            snprintf(word, sizeof word, "%d:%s%d ", log[i].queue, log[i].kind == WG_NULL_MARK ? "mark" : "wait",
                     log[i].event);
        } else if (log[i].kind == WG_NULL_LAUNCH) {
            snprintf(word, sizeof word, "%d:launch ", log[i].queue);
        }
        strcat(text, word);
    }
    cr_expect_str_eq(text, "0:mark0 0:launch 0:mark1 2:wait0 2:launch 2:launch 2:wait1 2:launch 2:mark1 0:wait1 ");
    wg_close(ctx);
}

/* The table of wg_explain has a column for the queue, where there are several. */
Test(queues, explained) {
    for (int way = 0; way < 2; way++) {
        wg_ctx *ctx = open_null(way ? "2" : "1");
        wg_tensor *x = given(ctx, WG_SHAPE(16, 16)), *w = given(ctx, WG_SHAPE(16, 16));
        WG_SCOPE(ctx) {
            wg_tensor *c = wg_matmul(wg_softmax(wg_matmul(x, w), 0), wg_matmul(w, x));
            wg_eval(&c, 1);
        }
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);
        cr_assert_eq(wg_explain(ctx, WG_PLAN_LAST, out), WG_OK, "%s", wg_error(ctx));
        fclose(out);
        cr_expect_eq(strstr(text, "   #  queue  ops ") != NULL, way, "%s", text);
        cr_expect_eq(strstr(text, "   2      1  matmul ") != NULL, way, "%s", text);
        cr_expect_eq(strstr(text, "   2  matmul ") != NULL, !way, "%s", text);
        wg_plan_info plan;
        wg_kernel_info k[4];
        cr_assert_eq(wg_get_plans(ctx, WG_PLAN_LAST, &plan, 1), 1);
        cr_assert_eq(wg_get_kernels(ctx, plan.number, k, 4), 4);
        cr_expect(k[0].queue == 0 && k[1].queue == way && k[2].queue == way && k[3].queue == way);
        free(text);
        wg_close(ctx);
    }
}

Test(queues, a_wrong_number_is_refused) {
    static const char *const wrong[] = {"0", "5", "two", "-1", "12", "2 "};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        setenv("WENGERT_QUEUES", wrong[i], 1);
        wg_ctx *ctx = wg_open("null:gpu");
        cr_expect_eq(wg_error_status(ctx), WG_ERR_ARG);
        cr_expect(strstr(wg_error(ctx), "WENGERT_QUEUES=") && strstr(wg_error(ctx), "from 1 to 4"), "%s",
                  wg_error(ctx));
        wg_close(ctx);
    }
}

/* ---- failures ------------------------------------------------------------------------------------------------------------ */

/* Whatever fails, launch or event: an error, the device is waited for, since the queues may not have met, and then all is well. */
Test(queues, every_failure) {
    wg_ctx *ctx = open_null("2");
    wg_tensor *x = given(ctx, WG_SHAPE(16, 16)), *w = given(ctx, WG_SHAPE(16, 16));
    bool hit = true;
    int failures = 0;
    for (uint64_t k = 1; hit; k++) {
        wg_null_log_clear(ctx->engine.dev.dev);
        wg_mark mark = wg_scope_begin(ctx);
        wg_tensor *c = wg_matmul(wg_softmax(wg_matmul(x, w), 0), wg_matmul(w, x));
        wg_fault_arm(WG_FAULT_LAUNCH, k);
        wg_status status = wg_eval(&c, 1);
        hit = wg_fault_count(WG_FAULT_LAUNCH) >= k;
        wg_fault_arm(WG_FAULT_LAUNCH, 0);
        cr_expect_eq(status, hit ? WG_ERR_LAUNCH : WG_OK, "point %d: %s", (int)k, wg_error(ctx));
        const wg_null_record *log;
        size_t n = wg_null_log(ctx->engine.dev.dev, &log), synced = 0;
        for (size_t i = 0; i < n; i++) {
            synced += log[i].kind == WG_NULL_SYNC;
        }
        cr_expect_eq(synced, hit, "point %d: the device was waited for %zu times", (int)k, synced);
        (void)wg_error_take(ctx, NULL, 0);
        cr_expect_eq(wg_eval(&c, 1), WG_OK, "point %d: %s", (int)k, wg_error(ctx));
        wg_scope_end(ctx, mark);
        failures += hit;
    }
    cr_expect_eq(failures, 10); /* as many as what_the_device_sees */
    wg_close(ctx);
}

/* Without memory for turns there is no plan, and the next try has it. Some allocations can be done without. */
Test(queues, every_allocation) {
    bool hit = true;
    int failures = 0;
    for (uint64_t k = 1; hit && k < 1000; k++) {
        wg_ctx *ctx = open_null("4");
        wg_tensor *x = given(ctx, WG_SHAPE(16, 16)), *w = given(ctx, WG_SHAPE(16, 16));
        wg_mark mark = wg_scope_begin(ctx);
        wg_tensor *c = wg_matmul(wg_softmax(wg_matmul(x, w), 0), wg_matmul(w, x));
        wg_fault_arm(WG_FAULT_ALLOC, k);
        wg_status status = wg_eval(&c, 1);
        hit = wg_fault_count(WG_FAULT_ALLOC) >= k;
        wg_fault_arm(WG_FAULT_ALLOC, 0);
        cr_assert(status == WG_OK || (hit && status == WG_ERR_NOMEM), "allocation %d: %s", (int)k, wg_error(ctx));
        failures += status != WG_OK;
        (void)wg_error_take(ctx, NULL, 0);
        cr_assert_eq(wg_eval(&c, 1), WG_OK, "allocation %d: %s", (int)k, wg_error(ctx));
        const wg_exec *made = wg_plan_cache_newest(ctx);
        cr_assert(made && made->plan->turns, "allocation %d: one queue", (int)k);
        wg_scope_end(ctx, mark);
        wg_close(ctx);
    }
    cr_expect(!hit && failures > 50, "%d failures", failures);
}

/* ---- on random graphs ----------------------------------------------------------------------------------------------------- */

/* Bytes that a launch touches; kind and number say whose they are. Parts of a join meet nowhere, nor what a step reads where it
 * writes one: test_slices.c has their bits. */
typedef struct touch {
    int kind, number;
    int64_t from, to;
    bool written;
    int join; /* of which it is a part; else -1 */
} touch;

static bool touch_of(const wg_plan *plan, const wg_buffer_use *b, touch *t) {
    const wg_slot *s = &plan->slots[b->slot];
    int64_t bytes = s->elems * (int64_t)wg_dtype_size((wg_dtype)s->dtype);
    *t = (touch){.kind = s->kind, .number = b->slot, .to = bytes, .written = b->written, .join = -1};
    if (s->kind == WG_SLOT_KEPT && s->over >= 0) {
        t->kind = WG_SLOT_LEAF;
        t->number = s->over;
    } else if (s->kind == WG_SLOT_TEMP || s->kind == WG_SLOT_SCRATCH) {
        *t = (touch){WG_SLOT_TEMP, s->arena, s->at, s->at + bytes, b->written, -1};
    }
    t->join = b->part > 0 ? b->slot : -1;
    return b->slot != plan->trap_slot;
}

static bool same_bytes(const touch *a, const touch *b) {
    return a->kind == b->kind && a->number == b->number && a->from == b->from && a->to == b->to;
}

static int touches(const wg_plan *plan, int launch, touch *out) {
    int n = 0;
    for (int i = launch; i < launch + plan->steps[launch].bundle; i++) {
        int first = n;
        for (int b = 0; b < plan->steps[i].l.nbuffers; b++) {
            n += touch_of(plan, &plan->steps[i].l.buffers[b], &out[n]);
        }
        for (int k = first; k < n; k++) {
            for (int o = first; o < n; o++) { /* what the join is written over */
                bool over = out[k].join < 0 && out[o].join >= 0 && same_bytes(&out[k], &out[o]);
                out[k].join = over ? out[o].join : out[k].join;
            }
        }
    }
    return n;
}

enum { MOST = 512, MOST_TOUCHES = 4096 };

/* Whether two launches meet in some byte that one of them writes. */
static bool conflict(const wg_plan *plan, int a, int b) {
    static touch x[MOST_TOUCHES], y[MOST_TOUCHES];
    int n = touches(plan, a, x), m = touches(plan, b, y);
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < m; k++) {
            if (x[i].kind == y[k].kind && x[i].number == y[k].number && x[i].from < y[k].to && y[k].from < x[i].to &&
                (x[i].written || y[k].written) && (x[i].join < 0 || x[i].join != y[k].join)) {
                return true;
            }
        }
    }
    return false;
}

typedef struct tally {
    int plans, spread, launches, waits, queues[WG_MAX_QUEUES];
} tally;

/* before[i][k]: turn k is done when turn i begins, by the order of queues and by waits alone. */
static bool before[MOST][MOST];

static void follow(int i, int other) {
    before[i][other] = true;
    for (int k = 0; k < other; k++) {
        before[i][k] = before[i][k] || before[other][k];
    }
}

/* What is wrong with the turns of a plan; NULL if nothing is. */
static const char *wrong(const wg_plan *plan, tally *count) {
    static char why[160];
    int last[WG_MAX_QUEUES] = {-1, -1, -1, -1}, holds[MOST], end = plan->nsteps + 1;
    memset(before, 0, sizeof before);
    memset(holds, -1, sizeof holds);
    for (int i = 0; i <= end; i = i == 0 || i == end ? i + 1 : i + plan->steps[i - 1].bundle) {
        const wg_turn *t = &plan->turns[i];
        bool launches = i > 0 && i < end;
        if (launches && plan->steps[i - 1].l.results == 0) {
            continue;
        }
        for (int w = 0; w < t->nwaits; w++) {
            int event = plan->turns[t->wait[w]].event;
            if (event < 0 || event >= plan->nevents || holds[event] != t->wait[w]) {
                snprintf(why, sizeof why, "turn %d waits for turn %d, but event %d tells of turn %d", i, t->wait[w],
                         event, event < 0 ? -1 : holds[event]);
                return why;
            }
            follow(i, t->wait[w]);
        }
        if (last[t->queue] >= 0) {
            follow(i, last[t->queue]);
        }
        for (int k = 1; k < i; k += plan->steps[k - 1].bundle) {
            bool runs = plan->steps[k - 1].l.results > 0;
            if (runs && !before[i][k] && (i == end || conflict(plan, k - 1, i - 1))) {
                snprintf(why, sizeof why, "turn %d does not wait for turn %d", i, k);
                return why;
            }
        }
        for (int w = 0; w < t->nwaits; w++) { /* none is for nothing */
            bool needed = t->wait[w] == 0 || i == end || conflict(plan, t->wait[w] - 1, i - 1);
            bool known = last[t->queue] >= 0 && before[last[t->queue]][t->wait[w]];
            for (int o = 0; o < t->nwaits; o++) {
                known = known || (o != w && before[t->wait[o]][t->wait[w]]);
            }
            if (!needed || known) {
                snprintf(why, sizeof why, "turn %d waits for turn %d for nothing", i, t->wait[w]);
                return why;
            }
        }
        if (i > 0 && !before[i][0]) {
            snprintf(why, sizeof why, "turn %d may come before the plan begins", i);
            return why;
        }
        last[t->queue] = i;
        if (t->event >= 0) {
            holds[t->event] = i;
        }
        count->launches += launches;
        count->queues[t->queue] += launches;
        count->waits += t->nwaits;
    }
    return NULL;
}

static void check_plan(wg_exec *x, void *user) {
    tally *count = user;
    count->plans++;
    if (x->plan->turns && x->plan->nsteps + 2 <= MOST) {
        count->spread++;
        const char *why = wrong(x->plan, count);
        cr_expect_null(why, "%s", why);
    }
}

static tally random_graphs(const char *form, const char *queues, uint64_t seed, int n) {
    tally count = {0};
    fuzz_log log = {0};
    setenv("WENGERT_FORM", form, 1);
    for (int i = 0; i < n; i++) {
        fuzz_program p = {0};
        fuzz_generate(&p, seed + (uint64_t)i, FUZZ_WIDE);
        wg_ctx *ctx = open_null(queues);
        fuzz_run(ctx, &p, &log);
        wg_plan_cache_each(ctx->plans, check_plan, &count);
        (void)wg_error_take(ctx, NULL, 0);
        wg_close(ctx);
        fuzz_program_free(&p);
    }
    free(log.bytes);
    fprintf(stderr, "%s, %s queues: %d plans, %d of them spread: %d launches (%d, %d, %d, %d), %d waits\n", form,
            queues, count.plans, count.spread, count.launches, count.queues[0], count.queues[1], count.queues[2],
            count.queues[3], count.waits);
    return count;
}

/* What is instrumented runs ten times slower, and is there to find other things. */
#if defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__)
enum { GRAPHS = 400 };
#else
enum { GRAPHS = 4000 };
#endif

/* The simd form has products with scratch of their own. */
Test(queues, launches_that_meet_wait_for_each_other) {
    static const char *const queues[] = {"4", "2"};
    for (int i = 0; i < 2; i++) {
        tally simt = random_graphs("simt", queues[i], 1, GRAPHS),
              simd = random_graphs("simd", queues[i], 100001, GRAPHS);
        cr_expect(simt.spread > GRAPHS / 5 && simd.spread > GRAPHS / 5, "only %d and %d plans are spread", simt.spread,
                  simd.spread);
        cr_expect(simt.waits > simt.spread && simd.waits > simd.spread);
    }
}
