/* wengert-bench: how fast the library is, and how much of the device it gets. */
#include "cases.h"
#include "plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_ROWS = 64, MAX_FILTERS = 32 };

static const char help[] =
    "usage: wengert-bench [plan] [OPTION]...\n"
    "  plan           kernels, bytes, memory and host time of whole training steps, instead of the cases\n"
    "  --device D     the device, as wg_open takes it; default $WENGERT_DEVICE, or the best found\n"
    "  --filter TEXT  only cases whose name contains TEXT, or is NAME for =NAME; may be given again for more\n"
    "  --json FILE    write the rows to FILE as well\n"
    "  --quick        less time for each case\n"
    "  --explain      before each row of the plans, the kernels of its last step\n"
    "  --steps N      instead of the plans, the losses of N steps of each network\n"
    "  --list         name the cases\n";

static const bench_case *const groups[] = {host_cases, memory_cases, matmul_cases, training_cases};
static const plan_case *const plan_groups[] = {plan_models, plan_parts};

typedef struct options {
    const char *device, *json, *filters[MAX_FILTERS];
    size_t nfilters;
    int steps;
    bool plan, explain, quick, list;
} options;

static bool wanted(const options *o, const char *id) {
    bool found = o->nfilters == 0;
    for (size_t i = 0; i < o->nfilters; i++) {
        const char *filter = o->filters[i];
        found = found || (*filter == '=' ? strcmp(id, filter + 1) == 0 : strstr(id, filter) != NULL);
    }
    return found;
}

/* What --list and the runs go through, in order. */
static size_t select_cases(const options *o, const bench_case **out) {
    size_t n = 0;
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
        for (const bench_case *c = groups[g]; c->id && n < MAX_ROWS; c++) {
            if (wanted(o, c->id)) {
                out[n++] = c;
            }
        }
    }
    return n;
}

static size_t select_plans(const options *o, const plan_case **out) {
    size_t n = 0;
    for (size_t g = 0; g < sizeof plan_groups / sizeof *plan_groups; g++) {
        for (const plan_case *c = plan_groups[g]; c->id && n < MAX_ROWS; c++) {
            if (wanted(o, c->id)) {
                out[n++] = c;
            }
        }
    }
    return n;
}

static int parse(int argc, char **argv, options *o) {
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (i == 1 && strcmp(argv[i], "plan") == 0) {
            o->plan = true;
        } else if (strcmp(argv[i], "--quick") == 0) {
            o->quick = true;
        } else if (strcmp(argv[i], "--explain") == 0) {
            o->explain = true;
        } else if (strcmp(argv[i], "--list") == 0) {
            o->list = true;
        } else if (strcmp(argv[i], "--device") == 0 && value) {
            o->device = argv[++i];
        } else if (strcmp(argv[i], "--steps") == 0 && value) {
            o->steps = atoi(argv[++i]);
        } else if (strcmp(argv[i], "--json") == 0 && value) {
            o->json = argv[++i];
        } else if (strcmp(argv[i], "--filter") == 0 && value && o->nfilters < MAX_FILTERS) {
            o->filters[o->nfilters++] = argv[++i];
        } else {
            fputs(help, strcmp(argv[i], "--help") == 0 ? stdout : stderr);
            return strcmp(argv[i], "--help") == 0 ? 0 : 2;
        }
    }
    return -1;
}

/* A line of wg_devices is "opencl:0: NAME (CPU, ...": is it this device's, and a CPU's? */
typedef struct device_search {
    const char *name;
    bool on_cpu;
} device_search;

static void look_at_device(const char *line, void *user) {
    device_search *s = user;
    const char *start = strstr(line, ": "), *end = strstr(line, " (CPU");
    if (start && end && strncmp(s->name, start + 2, (size_t)(end - start - 2)) == 0) {
        s->on_cpu = true;
    }
}

static void warn_of_others(void) {
    double load = 0;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (getloadavg(&load, 1) == 1 && load > 0.5 * (double)cores) {
        printf("load average %.1f on %ld cores: something else runs here, trust the shortest times alone\n", load,
               cores);
    }
}

/* Opens a context to see which device it is, and what measures its limits if there shall be any. */
static bool look_around(bench *b, char *device_name, size_t cap, bool limited) {
    wg_ctx *ctx = wg_open(b->device);
    if (wg_failed(ctx)) {
        fprintf(stderr, "wengert-bench: %s\n", ctx ? wg_error(ctx) : "out of memory");
        wg_close(ctx);
        return false;
    }
    snprintf(device_name, cap, "%s", wg_device_name(ctx));
    wg_close(ctx);
    device_search search = {.name = device_name};
    wg_devices(look_at_device, &search);
    b->computes = strncmp(device_name, "null", 4) != 0;
    b->on_cpu = search.on_cpu || strncmp(device_name, "host", 4) == 0;
    char why[128] = "";
    if (b->computes && limited) {
        b->limits = limits_open(b->on_cpu, device_name, why);
    }
    printf("%s\n", device_name);
    warn_of_others();
    if (limited && !b->limits) {
        printf("no shares of limits: %s\n", b->computes ? why : "nothing is computed");
    }
    return true;
}

/* Closes the case's context; false with the first line of its error, if there was one. */
static bool close_context(bench *b, char *error, size_t cap) {
    *error = '\0';
    bool ok = wg_error_take(b->ctx, error, cap) == WG_OK;
    error[strcspn(error, "\n")] = '\0';
    return wg_close(b->ctx) == WG_OK && ok;
}

static void run_case(bench *b, const bench_case *c, row *r) {
    char error[200];
    *r = (row){.id = c->id};
    b->ctx = wg_open(b->device);
    c->run(b, r);
    if (!close_context(b, error, sizeof error)) {
        r->note[0] = '\0';
        row_note(r, "%s", error);
        r->failed = true;
    }
}

static void run_plan(bench *b, const plan_case *c, plan_row *r, const options *o) {
    char error[200];
    *r = (plan_row){.id = c->id, .target = c->target};
    b->ctx = wg_open(b->device);
    if (c->make) {
        plan_model(b, r, c->make);
    } else {
        c->run(b, r);
    }
    if (r->target > 0 && r->kernels > r->target) {
        plan_note(r, "more kernels than the target");
    }
    if (o->explain) {
        wg_explain(b->ctx, WG_PLAN_SCOPE, stdout);
    }
    if (!close_context(b, error, sizeof error)) {
        r->note[0] = '\0';
        plan_note(r, "%s", error);
        r->failed = true;
    }
}

/* The number of rows that failed, or -1. */
static int run_cases(bench *b, const options *o, const char *device_name) {
    static row rows[MAX_ROWS];
    const bench_case *cases[MAX_ROWS];
    size_t n = select_cases(o, cases);
    int failed = n == 0;
    table_print_head(stdout);
    for (size_t i = 0; i < n; i++) {
        run_case(b, cases[i], &rows[i]);
        table_print_row(stdout, &rows[i]);
        failed += rows[i].failed;
    }
    return o->json && !table_write_json(o->json, device_name, rows, n) ? -1 : failed;
}

static int run_plans(bench *b, const options *o, const char *device_name) {
    static plan_row rows[MAX_ROWS];
    const plan_case *cases[MAX_ROWS];
    size_t n = select_plans(o, cases);
    int failed = n == 0;
    plan_print_head(stdout);
    for (size_t i = 0; i < n; i++) {
        run_plan(b, cases[i], &rows[i], o);
        plan_print_row(stdout, &rows[i]);
        failed += rows[i].failed;
    }
    return o->json && !plan_write_json(o->json, device_name, rows, n) ? -1 : failed;
}

static int take_steps(bench *b, const options *o) {
    const plan_case *cases[MAX_ROWS];
    size_t n = select_plans(o, cases);
    int failed = n == 0;
    for (size_t i = 0; i < n; i++) {
        char error[200];
        b->ctx = wg_open(b->device);
        if (cases[i]->make) {
            plan_losses(b, cases[i]->id, cases[i]->make, o->steps);
        }
        if (!close_context(b, error, sizeof error)) {
            fprintf(stderr, "wengert-bench: %s: %s\n", cases[i]->id, error);
            failed++;
        }
    }
    return failed;
}

static int run_all(bench *b, const options *o) {
    char device_name[256];
    if (!look_around(b, device_name, sizeof device_name, !o->plan)) {
        return 1;
    }
    int failed = o->plan ? run_plans(b, o, device_name) : run_cases(b, o, device_name);
    if (failed < 0) {
        fprintf(stderr, "wengert-bench: %s: %s\n", o->json, strerror(errno));
    }
    limits_close(b->limits);
    return failed != 0;
}

static void list(const options *o) {
    const bench_case *cases[MAX_ROWS];
    const plan_case *plans[MAX_ROWS];
    size_t n = o->plan ? select_plans(o, plans) : select_cases(o, cases);
    for (size_t i = 0; i < n; i++) {
        printf("%-16s %s\n", o->plan ? plans[i]->id : cases[i]->id, o->plan ? plans[i]->what : cases[i]->what);
    }
}

int main(int argc, char **argv) {
    if (argc >= 2 && strcmp(argv[1], CHILD_ARGUMENT) == 0) {
        return cold_start_child(argc > 2 ? argv[2] : NULL);
    }
    options o = {0};
    int exit_code = parse(argc, argv, &o);
    if (exit_code >= 0) {
        return exit_code;
    }
    if (o.list) {
        list(&o);
        return 0;
    }
    if (o.plan && o.steps > 0) {
        return take_steps(&(bench){.device = o.device}, &o) != 0;
    }
    return run_all(&(bench){.device = o.device, .budget = o.quick ? 0.5 : 2.5}, &o);
}
