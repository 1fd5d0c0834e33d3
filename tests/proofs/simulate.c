/*
 * simulate LOG [quick]: runs every kind of kernel at small odd sizes in Oclgrind, which interprets work-items one by one and reports
 * races, reads of what nobody wrote, accesses out of bounds and barriers that part of a group misses. What it says goes to LOG.0, LOG.1, ...;
 * none of it is wanted.
 *
 * Each part of the work has a process and a log of its own, as many at once as there are cores.
 * Every block of memory is a buffer of its own and not a byte larger than its tensor. First, kernels with a known fault of
 * each kind must be found out.
 */
#include "walk.h"

#include "api/context.h"
#include "opencl/internal.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char log_path[1024]; /* of this process: the simulator begins a log anew with each context */

/* Shared by the processes. */
static struct tally { atomic_int failures, results; } * tally;

static long log_size(void) {
    struct stat s;
    return stat(log_path, &s) == 0 ? (long)s.st_size : 0;
}

/* ---- a context on the simulator ------------------------------------------------------------------------------------- */

static wg_status exact_alloc(wg_device *dev, size_t bytes, wg_mem *out, wg_err *err) {
    cl_int code;
    cl_mem mem = dev->cl->clCreateBuffer(dev->context, CL_MEM_READ_WRITE, bytes ? bytes : 1, NULL, &code);
    if (code != CL_SUCCESS) {
        return wg_cl_fail(err, WG_ERR_DEVICE_MEM, code, "clCreateBuffer");
    }
    *out = (wg_mem){.handle = mem, .bytes = bytes};
    return WG_OK;
}

/* The simulator takes memory that one group wrote and another reads for a race, whatever ticket lies between: where one
 * is drawn, a single group does all the work. */
static const wg_backend *simulator;
static const wg_engine *engine;
static wg_status launch(wg_device *dev, wg_queue queue, const wg_launch *l, wg_err *err) {
    wg_launch one = *l;
    if (engine->tickets.handle && l->buffers[l->nbuffers - 1]->handle == engine->tickets.handle) {
        one.groups[0] = 1;
    }
    return simulator->launch(dev, queue, &one, err);
}

static wg_ctx *open_simulator(void) {
    static wg_backend exact;
    wg_ctx *ctx = wg_open("opencl");
    if (wg_failed(ctx) || !strstr(wg_device_name(ctx), "Oclgrind")) {
        fprintf(stderr, "simulate: no Oclgrind: %s\n", wg_failed(ctx) ? wg_error(ctx) : wg_device_name(ctx));
        exit(1);
    }
    engine = &ctx->engine;
    simulator = engine->dev.backend;
    exact = *simulator;
    exact.alloc = exact_alloc;
    exact.launch = launch;
    ctx->engine.dev.backend = &exact;
    ctx->engine.dev.dev->limits.shared_memory = false; /* else the host would write behind the simulator's back */
    ctx->engine.pool.exact = true;
    return ctx;
}

/* ---- planted faults --------------------------------------------------------------------------------------------------- */

static const struct {
    const char *fault, *body;
} planted[] = {
    {"no fault", "b[LID(0)] = p.n;"},
    {"a race", "b[0] = LID(0);"},
    {"a dropped barrier", "LOCAL int s[64]; s[LID(0)] = LID(0); b[LID(0)] = s[63 - LID(0)];"},
    {"an uninitialised read",
     "LOCAL int s[64]; if (LID(0) > 3) { s[LID(0)] = 1; } BARRIER_LOCAL(); b[LID(0)] = s[LID(0)];"},
    {"a write out of bounds", "b[LID(0) + 1] = 0;"},
    {"a read out of bounds", "b[LID(0)] = a[LID(0) + 1];"},
    {"a barrier some miss", "if (LID(0) < 32) { BARRIER_LOCAL(); } b[LID(0)] = 0;"},
};

/* Runs one group of 64 work-items on two buffers of 64 ints; returns whether the simulator complained. */
static bool complains(const wg_dev *dev, const char *body) {
    static const int zeros[64];
    static const char *const name = "planted";
    int64_t n = 0;
    wg_str text = {0};
    wg_err err = {0};
    wg_mem mem[2];
    wg_program *program;
    wg_kernel *kernel;
    long before = log_size();
    wg_str_add(&text, wg_dev_prelude(dev));
    wg_str_addf(&text,
                "typedef struct { i64 n; } params;\n"
                "KERNEL_GROUP(64, 1, 1) planted(GLOBAL int *a, GLOBAL int *b, const params p) { %s }\n",
                body);
    for (int k = 0; k < 2; k++) {
        if (wg_dev_alloc(dev, sizeof zeros, &mem[k], &err) ||
            wg_dev_write(dev, &mem[k], 0, zeros, sizeof zeros, &err)) {
            break;
        }
    }
    const wg_mem *buffers[] = {&mem[0], &mem[1]};
    wg_launch l = {.groups = {1, 1, 1}, .local = {64, 1, 1}, .buffers = buffers, .nbuffers = 2};
    l.params = &n;
    l.param_bytes = sizeof n;
    if (!err.status && wg_dev_build(dev, WG_QUEUE_MAIN, text.data, &name, 1, &program, &kernel, &err) == WG_OK) {
        l.kernel = kernel;
        (void)wg_dev_launch(dev, WG_QUEUE_MAIN, &l, &err);
        (void)wg_dev_sync(dev, &err);
    }
    if (err.status) {
        fprintf(stderr, "simulate: %s\n", wg_err_text(&err));
        tally->failures++;
    }
    wg_err_clear(&err);
    wg_str_free(&text);
    return log_size() > before;
}

static void find_planted(void) {
    wg_ctx *ctx = open_simulator();
    for (size_t i = 0; i < sizeof planted / sizeof *planted; i++) {
        if (complains(&ctx->engine.dev, planted[i].body) != (i > 0)) {
            fprintf(stderr, "simulate: %s: %s\n", planted[i].fault, i > 0 ? "not found" : "but a complaint");
            tally->failures++;
        }
    }
    wg_close(ctx);
}

/* ---- the work --------------------------------------------------------------------------------------------------------- */

static void simulate(wg_ctx *ctx, const walk_batch *b, void *user) {
    (void)user;
    long before = log_size();
    wg_tensor *t[WALK_MOST];
    memcpy(t, b->t, sizeof t);
    if (wg_eval(t, b->n) != WG_OK || wg_synchronize(ctx) != WG_OK) {
        fprintf(stderr, "simulate: %s and on: %s\n", b->name[0], wg_error(ctx));
        wg_error_take(ctx, NULL, 0);
        tally->failures++;
    }
    if (log_size() > before) {
        fprintf(stderr, "simulate: findings in %s to %s, see %s\n", b->name[0], b->name[b->n - 1], log_path);
        tally->failures++;
    }
    tally->results += (int)b->n;
}

/* Optimised code has an instruction that Oclgrind's check for uninitialised values does not know. */
static void set_up(const char *log, int part) {
    snprintf(log_path, sizeof log_path, "%s.%d", log, part);
    remove(log_path);
    setenv("OCLGRIND_LOG", log_path, 1);
    setenv("OCLGRIND_DATA_RACES", "1", 1);
    setenv("OCLGRIND_UNINITIALIZED", "1", 1);
    setenv("OCLGRIND_MAX_ERRORS", "1000", 1);
    setenv("OCLGRIND_LOCAL_MEM_SIZE", "65536", 1); /* with less there are no rows of products */
    setenv("OCLGRIND_BUILD_OPTIONS", "-cl-opt-disable", 1);
    setenv("WENGERT_OPENCL_LIB", "/usr/lib/oclgrind/liboclgrind-rt.so", 1); /* where Debian has it */
    setenv("WENGERT_FORM", "simt", 1);
}

/* The longest first. */
enum { PLANTED, INDEX, PARTS = 9 };
static void run_part(int part) {
    static const op *const tables[PARTS] = {NULL,       ops_index,  ops_contract, ops_nn,  NULL,
                                            ops_reduce, ops_binary, ops_unary,    ops_move};
    if (part == PLANTED) {
        find_planted();
        return;
    }
    /* One context: the simulator mistakes what a freed buffer held for what a new one does, so none is freed. */
    wg_ctx *ctx = open_simulator();
    if (tables[part]) {
        walk_rows(ctx, tables[part], simulate, NULL);
    } else {
        walk_fused(ctx, simulate, NULL);
    }
    tally->failures += wg_close(ctx) != WG_OK;
}

static void wait_for_one(void) {
    int status;
    if (wait(&status) < 0 || status != 0) {
        fprintf(stderr, "simulate: a part ended with %d\n", status);
        tally->failures++;
    }
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: simulate LOG [quick]\n");
        return 2;
    }
    tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tally == MAP_FAILED) {
        perror("simulate");
        return 1;
    }
    long cores = sysconf(_SC_NPROCESSORS_ONLN), running = 0;
    int parts = argc > 2 ? INDEX + 1 : PARTS; /* quick: gathers and scatters */
    for (int part = 0; part < parts; part++, running++) {
        if (running >= cores) {
            wait_for_one();
            running--;
        }
        pid_t pid = fork();
        if (pid == 0) {
            set_up(argv[1], part);
            run_part(part);
            fflush(NULL);
            _exit(0);
        }
        if (pid < 0) {
            perror("simulate");
            return 1;
        }
    }
    for (; running > 0; running--) {
        wait_for_one();
    }
    printf("oclgrind: %zu planted faults found, %d results computed, %d findings\n",
           sizeof planted / sizeof *planted - 1, tally->results, tally->failures);
    return tally->failures > 0 || tally->results == 0;
}
