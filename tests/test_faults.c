/* label: unit */
/* timeout: 600 */
/*
 * Every allocation, build, launch and transfer of a training step fails once, one after the other. Each time the step ends
 * in an error of its kind, no tensor reads anything but its old value, its new one or WG_ERR_LOST, and the same context then
 * trains to the bits of a run that nothing disturbed, holding as much memory.
 */
#include "harness/check.h"

#include "base/alloc.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 6, IN = 5, HIDDEN = 8, CLASSES = 3, WORDS = 10, LARGEST = 64, TENSORS = 8, PARAMS = 4 };

/* What the tensors of a model are. The first PARAMS are trained; x and mask are given anew in each step. */
static const struct {
    const char *name;
    wg_dtype dtype;
    wg_shape shape;
} tensors[TENSORS] = {
    {"embedding", WG_F32, {2, {WORDS, IN}}},
    {"w1", WG_F32, {2, {HIDDEN, IN}}},
    {"b1", WG_F32, {1, {HIDDEN}}},
    {"w2", WG_F32, {2, {CLASSES, HIDDEN}}},
    {"frozen", WG_F32, {2, {CLASSES, CLASSES}}},
    {"x", WG_F32, {2, {ROWS, IN}}},
    {"mask", WG_BOOL, {2, {ROWS, IN}}},
    {"norm", WG_F32, {0, {0}}},
};
enum { FROZEN = 4, X, MASK, NORM };

typedef struct bits {
    union {
        float f[LARGEST];
        uint8_t b[LARGEST * 4];
    } of[TENSORS];
    float loss;
} bits;

typedef struct model {
    wg_tensor *t[TENSORS];
    wg_optim *optim;
    bool adam;
} model;

static size_t bytes_of(int i) { return (size_t)wg_shape_numel(tensors[i].shape) * wg_dtype_size(tensors[i].dtype); }

/* Tensor i as it is before step k; k = 0 is where training starts. */
static const void *given(int i, int k) {
    static bits made;
    for (int j = 0; j < (int)wg_shape_numel(tensors[i].shape); j++) {
        int n = (i * 31 + k * 17 + j * 7) % 23;
        if (i == MASK) {
            made.of[i].b[j] = n % 3 != 0;
        } else {
            made.of[i].f[j] = (float)(n - 11) / 8;
        }
    }
    return &made.of[i];
}

/* ---- a model and a step of it: no call is checked that the interface does not ask to be checked -------------------------- */

static void make_optim(model *m) {
    if (m->adam) {
        m->optim = wg_adam_new(m->t, PARAMS, NULL);
    } else {
        wg_sgd_opts o = wg_sgd_defaults();
        o.lr = 0.05;
        o.momentum = 0.9;
        m->optim = wg_sgd_new(m->t, PARAMS, &o);
    }
}

/* Makes what there is not yet. */
static void make(wg_ctx *ctx, model *m) {
    for (int i = 0; i < TENSORS; i++) {
        if (!m->t[i]) {
            m->t[i] = wg_keep(wg_from(ctx, tensors[i].dtype, given(i, 0), tensors[i].shape));
        }
        if (i < PARAMS && m->t[i] && !wg_requires_grad(m->t[i]) && !wg_param(m->t[i])) {
            wg_free(m->t[i]);
            m->t[i] = NULL;
        }
    }
    if (!m->optim && !wg_failed(ctx)) {
        make_optim(m);
    }
}

static void drop_optim(model *m) {
    wg_optim_zero_grad(m->optim);
    wg_optim_free(m->optim);
    m->optim = NULL;
}

/* Back to where training starts: every tensor assigned, gradients dropped, a new optimiser. */
static void restart(wg_ctx *ctx, model *m) {
    drop_optim(m);
    make(ctx, m);
    for (int i = 0; i < TENSORS; i++) {
        wg_zero_grad(m->t[i]);
        cr_expect_eq(wg_write(m->t[i], given(i, 0), bytes_of(i)), WG_OK, "%s", wg_error(ctx));
    }
    wg_seed(ctx, 7);
    cr_expect(!wg_failed(ctx), "restart: %s", wg_error(ctx));
}

static wg_tensor *forward(wg_ctx *ctx, model *m) {
    static const int64_t words[ROWS] = {1, 9, 0, 3, 3, 7}, target[ROWS] = {0, 2, 1, 1, 0, 2}, some[3] = {5, 0, 2};
    wg_tensor *seen = wg_where(m->t[MASK], m->t[X], wg_zeros(ctx, WG_F32, WG_SHAPE()));
    wg_tensor *word = wg_embedding(m->t[0], wg_from_i64(ctx, words, WG_SHAPE(ROWS)));
    wg_tensor *h = wg_relu(wg_linear(wg_add(seen, word), m->t[1], m->t[2]));
    wg_tensor *logits = wg_matmul(wg_linear(wg_dropout(h, 0.25, true), m->t[3], NULL), m->t[FROZEN]);
    wg_tensor *picked = wg_index_select(logits, 0, wg_from_i64(ctx, some, WG_SHAPE(3)));
    return wg_add(wg_cross_entropy(logits, wg_from_i64(ctx, target, WG_SHAPE(ROWS)), NULL),
                  wg_mse_loss(picked, wg_ones(ctx, WG_F32, WG_SHAPE(3, CLASSES)), WG_MEAN));
}

static wg_tensor *square_sum(wg_tensor *t) { return wg_sum(wg_square(t), NULL, 0, false); }

static double step(wg_ctx *ctx, model *m, int k) {
    uint8_t *mask = wg_data_mut(m->t[MASK]);
    if (wg_write(m->t[X], given(X, k), bytes_of(X)) != WG_OK || !mask) {
        return NAN;
    }
    memcpy(mask, given(MASK, k), bytes_of(MASK));
    wg_mark mark = wg_scope_begin(ctx);
    wg_tensor *loss = forward(ctx, m), *g[2];
    wg_tensor *kept = wg_keep(loss);
    wg_gradients_opts retain = wg_gradients_defaults();
    retain.retain_graph = true;
    if (wg_gradients(&loss, 1, (wg_tensor *[]){m->t[0], m->t[1]}, 2, g, &retain) == WG_OK) {
        wg_assign(m->t[NORM], wg_add(square_sum(g[0]), square_sum(g[1])));
    }
    if (wg_backward(loss) == WG_OK) {
        wg_optim_step(m->optim);
    }
    wg_optim_zero_grad(m->optim);
    wg_status ended = wg_scope_end(ctx, mark);
    cr_expect(ended == WG_OK || wg_failed(ctx), "the scope's end gave %s and left no error", wg_status_name(ended));
    double value = wg_item(kept);
    wg_free(kept);
    return value;
}

static void remember(wg_ctx *ctx, model *m, double loss, bits *out) {
    memset(out, 0, sizeof *out);
    out->loss = (float)loss;
    for (int i = 0; i < TENSORS; i++) {
        cr_expect_eq(wg_read(m->t[i], &out->of[i], bytes_of(i)), WG_OK, "%s: %s", tensors[i].name, wg_error(ctx));
    }
}

/* ---- a run that nothing disturbs, and what is expected of one that was ---------------------------------------------------- */

typedef struct run {
    const char *device;
    bool adam, eager;
    bool computes;        /* the null device does not: its values are not looked at */
    bits start, one, two; /* before and after one and two steps */
    uint64_t live;        /* bytes held then, without the optimiser */
    size_t points, tolerated;
    int failures;
} run;

static wg_ctx *open_on(const run *r) {
    if (r->eager) {
        setenv("WENGERT_EAGER", "1", 1);
    } else {
        unsetenv("WENGERT_EAGER");
    }
    return wg_open(r->device);
}

/* Two steps from the start; the bytes held are those of the tensors alone. */
static uint64_t train(wg_ctx *ctx, model *m, bits *start, bits *one, bits *two) {
    restart(ctx, m);
    remember(ctx, m, 0, start);
    remember(ctx, m, step(ctx, m, 1), one);
    remember(ctx, m, step(ctx, m, 2), two);
    drop_optim(m);
    return stats_of(ctx).bytes_live;
}

static run begin(const char *device, bool adam, bool eager) {
    run r = {.device = device, .adam = adam, .eager = eager, .computes = strncmp(device, "null", 4) != 0};
    wg_ctx *ctx = open_on(&r);
    cr_assert(ctx && !wg_failed(ctx), "%s", wg_error(ctx));
    model m = {.adam = adam};
    r.live = train(ctx, &m, &r.start, &r.one, &r.two);
    cr_expect(memcmp(&r.start.of[FROZEN], &r.two.of[FROZEN], sizeof r.start.of[FROZEN]) == 0);
    for (int i = 0; i < PARAMS && r.computes; i++) {
        cr_expect(memcmp(&r.start.of[i], &r.one.of[i], bytes_of(i)) != 0, "%s is not trained", tensors[i].name);
    }
    close_ok(ctx);
    return r;
}

static const char *const kind_name[] = {"allocation", "device allocation", "build", "launch", "transfer"};
static const wg_status kind_status[] = {WG_ERR_NOMEM, WG_ERR_DEVICE_MEM, WG_ERR_BUILD, WG_ERR_LAUNCH, WG_ERR_TRANSFER};

#define CHECK(r, cond, ...)                                                                                            \
    do {                                                                                                               \
        bool ok_ = cond;                                                                                               \
        cr_expect(ok_, __VA_ARGS__);                                                                                   \
        (r)->failures += !ok_;                                                                                         \
        cr_assert((r)->failures < 20, "too many failures");                                                            \
    } while (0)

/* The error of a failed step: of the fault's kind, with a text. Returns whether bytes may be lost. */
static bool check_error(run *r, wg_ctx *ctx, wg_fault kind, uint64_t n) {
    char text[300];
    wg_status status = wg_error_take(ctx, text, sizeof text);
    CHECK(r, status == kind_status[kind], "%s %llu: %s: %s", kind_name[kind], (unsigned long long)n,
          wg_status_name(status), text);
    CHECK(r, strlen(text) > 10 && strncmp(text, "WG_", 3) != 0, "%s %llu says only '%s'", kind_name[kind],
          (unsigned long long)n, text);
    bool opened = strcmp(wg_device_name(ctx), "none") != 0;
    CHECK(r, wg_failed(ctx) == !opened && (*wg_error(ctx) == '\0') == opened, "the error stays after it was taken");
    /* The interpreter needs memory to launch; no device does. */
    return kind == WG_FAULT_LAUNCH || kind == WG_FAULT_TRANSFER || strstr(text, "interpreter");
}

/* Each tensor that there is has its old bits or its new ones, or says that they are lost. */
static void check_values(run *r, wg_ctx *ctx, model *m, bool may_lose, const char *label) {
    for (int i = 0; i < TENSORS; i++) {
        bits got;
        wg_status status = m->t[i] ? wg_read(m->t[i], &got.of[i], bytes_of(i)) : WG_OK;
        if (!m->t[i]) {
            continue;
        }
        if (status == WG_OK) {
            bool is_old = memcmp(&got.of[i], &r->start.of[i], bytes_of(i)) == 0;
            bool is_new = memcmp(&got.of[i], &r->one.of[i], bytes_of(i)) == 0;
            CHECK(r, is_old || is_new || !r->computes, "%s: %s has neither its old value nor its new one", label,
                  tensors[i].name);
        } else {
            CHECK(r, status == WG_ERR_LOST && may_lose && i != FROZEN && i != X, "%s: %s: %s: %s", label,
                  tensors[i].name, wg_status_name(status), wg_error(ctx));
            CHECK(r, wg_error_take(ctx, NULL, 0) == status, "%s: the error is another one", label);
            CHECK(r, wg_read(m->t[i], &got.of[i], bytes_of(i)) == WG_ERR_LOST, "%s: lost for one read only", label);
            wg_error_take(ctx, NULL, 0);
            CHECK(r,
                  wg_write(m->t[i], given(i, 0), bytes_of(i)) == WG_OK &&
                      wg_read(m->t[i], &got.of[i], bytes_of(i)) == WG_OK,
                  "%s: %s stays lost: %s", label, tensors[i].name, wg_error(ctx));
        }
    }
}

static void check_training(run *r, wg_ctx *ctx, model *m, const char *label) {
    bits start, one, two;
    uint64_t live = train(ctx, m, &start, &one, &two);
    CHECK(r, !wg_failed(ctx), "%s: training fails: %s", label, wg_error(ctx));
    bool same = memcmp(&one, &r->one, sizeof one) == 0 && memcmp(&two, &r->two, sizeof two) == 0;
    CHECK(r, same || !r->computes, "%s: training gives other bits", label);
    CHECK(r, live == r->live, "%s: %llu bytes are held, not %llu", label, (unsigned long long)live,
          (unsigned long long)r->live);
}

/* One fault. ctx NULL: the context is opened under it too. False when it was not reached. */
static bool one_fault(run *r, wg_ctx *ctx, model *m, wg_fault kind, uint64_t n, bool closes) {
    char label[80];
    snprintf(label, sizeof label, "%s, %s %llu%s", r->device, kind_name[kind], (unsigned long long)n,
             closes ? "" : ", again");
    wg_fault_arm(kind, n);
    if (closes) {
        ctx = open_on(r);
        wg_seed(ctx, 7);
        make(ctx, m);
    }
    double loss = ctx && !wg_failed(ctx) ? step(ctx, m, 1) : NAN;
    bool hit = wg_fault_count(kind) >= n;
    wg_fault_arm(kind, 0);
    r->points += hit;
    if (!wg_failed(ctx)) {
        bits got;
        remember(ctx, m, loss, &got);
        CHECK(r, memcmp(&got, &r->one, sizeof got) == 0 || !r->computes, "%s: no error, but other bits", label);
        r->tolerated += hit;
    } else {
        CHECK(r, hit, "%s: an error without a fault: %s", label, wg_error(ctx));
        bool may_lose = ctx && check_error(r, ctx, kind, n);
        if (!wg_failed(ctx)) {
            check_values(r, ctx, m, may_lose, label);
        }
    }
    if (!wg_failed(ctx)) {
        check_training(r, ctx, m, label);
    }
    if (closes) {
        drop_optim(m);
        wg_status closed = wg_close(ctx);
        CHECK(r, closed == WG_OK, "%s: close: %s", label, wg_status_name(closed));
        *m = (model){.adam = r->adam};
    }
    return hit;
}

/* Every point of a kind, each in a context of its own from wg_open on. */
static void cold(run *r, wg_fault kind) {
    model m = {.adam = r->adam};
    for (uint64_t n = 1; one_fault(r, NULL, &m, kind, n, true); n++) {
    }
}

/* Every point of a kind in a step that has its plan and kernels, all in one context. */
static void warm(run *r, wg_fault kind) {
    wg_ctx *ctx = open_on(r);
    model m = {.adam = r->adam};
    check_training(r, ctx, &m, "undisturbed");
    bool hit = true;
    for (uint64_t n = 1; hit; n++) {
        restart(ctx, &m);
        hit = one_fault(r, ctx, &m, kind, n, false);
    }
    close_ok(ctx);
}

static void report(const char *name, const run *r, size_t least) {
    fprintf(stderr, "%s: %zu faults, %zu of them without effect\n", name, r->points, r->tolerated);
    cr_expect_geq(r->points, least, "%s: only %zu points were reached", name, r->points);
}

static void every(const char *name, const char *device, bool adam, bool eager, wg_fault kind, bool is_cold,
                  size_t least) {
    run r = begin(device, adam, eager);
    (is_cold ? cold : warm)(&r, kind);
    report(name, &r, least);
}

/* ---- the interpreter ------------------------------------------------------------------------------------------------------ */

Test(host, allocations) { every("host, adam, allocations", "host", true, false, WG_FAULT_ALLOC, true, 100); }
/* What a step that comes back still allocates: the copy that wg_data_mut lends. */
Test(host, allocations_sgd) { every("host, sgd, allocations again", "host", false, false, WG_FAULT_ALLOC, false, 1); }
Test(host, allocations_again) { every("host, adam, allocations again", "host", true, false, WG_FAULT_ALLOC, false, 1); }
Test(host, allocations_eager) {
    every("host, eager, allocations again", "host", false, true, WG_FAULT_ALLOC, false, 1);
}
Test(host, device_allocations) {
    every("host, device allocations", "host", true, false, WG_FAULT_DEVICE_ALLOC, true, 1);
}
Test(host, launches) { every("host, adam, launches", "host", true, false, WG_FAULT_LAUNCH, true, 5); }
Test(host, launches_again) { every("host, adam, launches again", "host", true, false, WG_FAULT_LAUNCH, false, 5); }
Test(host, launches_sgd) { every("host, sgd, launches again", "host", false, false, WG_FAULT_LAUNCH, false, 5); }
Test(host, launches_eager) { every("host, eager, launches", "host", true, true, WG_FAULT_LAUNCH, false, 50); }
Test(host, transfers) { every("host, adam, transfers", "host", true, false, WG_FAULT_TRANSFER, true, 5); }
Test(host, transfers_again) { every("host, sgd, transfers again", "host", false, false, WG_FAULT_TRANSFER, false, 5); }

/* ---- kernels are written, none is run: what the interpreter leaves out ----------------------------------------------------- */

Test(text, allocations) { every("null:cpu, allocations", "null:cpu", false, false, WG_FAULT_ALLOC, true, 100); }
Test(text, allocations_gpu) { every("null:gpu, allocations", "null:gpu", false, false, WG_FAULT_ALLOC, true, 100); }
Test(text, transfers_gpu) { every("null:gpu, transfers", "null:gpu", true, false, WG_FAULT_TRANSFER, true, 5); }
Test(text, builds_eager) { every("null:cpu, builds", "null:cpu", false, true, WG_FAULT_BUILD, true, 20); }

/* ---- a device ------------------------------------------------------------------------------------------------------------- */

static const char *real_device(void) {
    const char *s = getenv("WENGERT_DEVICE");
    return s && *s ? s : "opencl";
}

Test(device, device_allocations) {
    every("device allocations", real_device(), true, false, WG_FAULT_DEVICE_ALLOC, true, 1);
}
Test(device, builds) { every("builds", real_device(), true, false, WG_FAULT_BUILD, true, 1); }
Test(device, launches) { every("launches", real_device(), true, false, WG_FAULT_LAUNCH, false, 5); }
Test(device, transfers) { every("transfers", real_device(), true, false, WG_FAULT_TRANSFER, false, 5); }
