/* The report: see report.h. */
#include "report.h"

#include "occupancy.h"

#include <string.h>

/*
 * Budgets. No stack and no spill: an array that is indexed at run time or a value that went to local memory is a fault of
 * the text. No more than 128 registers, so that a quarter of the warps that a multiprocessor holds hide latency: the prelude
 * asks the compiler for that, and a kernel that cannot do with them spills, which shows.
 */
enum { REGISTERS = 128, OCCUPANCY = 25 };

/* A kernel over all architectures it was compiled for: the worst of each. */
typedef struct row {
    int archs, refused, unread;
    cubin_facts worst;
    const char *worst_arch; /* of its registers */
    int occupancy[OCCUPANCY_GPUS], least;
} row;

static int larger(int a, int b) { return a > b ? a : b; }

static void add_facts(cubin_facts *to, const cubin_facts *f) {
    to->registers = larger(to->registers, f->registers);
    to->stack = larger(to->stack, f->stack);
    to->shared = larger(to->shared, f->shared);
    to->instructions = larger(to->instructions, f->instructions);
    to->local = larger(to->local, f->local);
    to->shuffles = larger(to->shuffles, f->shuffles);
    to->barriers = larger(to->barriers, f->barriers);
    for (int w = 0; w < WIDTHS; w++) {
        to->loads[w] = larger(to->loads[w], f->loads[w]);
        to->stores[w] = larger(to->stores[w], f->stores[w]);
    }
}

static row row_of(const kernel_text *k, const outcome *o) {
    row r = {.worst_arch = "", .least = 100};
    for (int a = 0; a < ARCHS; a++) {
        r.refused += o[a].refused;
        if (o[a].compiled) {
            r.archs++;
            if (o[a].facts.registers > r.worst.registers) {
                r.worst_arch = archs[a];
            }
            add_facts(&r.worst, &o[a].facts);
        }
    }
    for (int g = 0; g < OCCUPANCY_GPUS && r.archs > 0; g++) {
        r.occupancy[g] = occupancy_of(g, r.worst.registers, r.worst.shared, k->items);
        r.least = r.occupancy[g] < r.least ? r.occupancy[g] : r.least;
    }
    return r;
}

/* "32x3 64x1": accesses by width. */
static const char *widths(const int *count, char *out, size_t cap) {
    static const int bits[WIDTHS] = {8, 16, 32, 64, 128};
    size_t at = 0;
    out[0] = '\0';
    for (int w = 0; w < WIDTHS; w++) {
        if (count[w] > 0) {
            at += (size_t)snprintf(out + at, cap - at, "%s%dx%d", at ? " " : "", bits[w], count[w]);
        }
    }
    return at ? out : "-";
}

static void print_row(FILE *table, const kernel_text *k, const row *r) {
    char loads[64], stores[64];
    const cubin_facts *f = &r->worst;
    fprintf(table, "%-18s %-8s %5d %5d %5d %5d %5d %6d %6d %5d %5d", k->name, kernel_class_name(k->class), k->items,
            r->archs, f->registers, f->stack, f->local, f->shared, f->instructions, f->barriers, f->shuffles);
    for (int g = 0; g < OCCUPANCY_GPUS; g++) {
        fprintf(table, " %*d", (int)strlen(occupancy_gpu(g)), r->occupancy[g]);
    }
    fprintf(table, "  %-24s %s\n", widths(f->loads, loads, sizeof loads), widths(f->stores, stores, sizeof stores));
}

static bool keeps_budget(const kernel_text *k, const row *r) {
    bool good = r->archs > 0 && r->refused == 0 && r->worst.stack == 0 && r->worst.local == 0 &&
                r->worst.registers <= REGISTERS && r->least >= OCCUPANCY;
    if (!good) {
        fprintf(stderr,
                "%s (%s): compiled for %d architectures, refused by %d; %d registers of %d (sm_%s), %d bytes of stack, "
                "%d local accesses, occupancy %d %% of at least %d\n",
                k->name, kernel_class_name(k->class), r->archs, r->refused, r->worst.registers, REGISTERS,
                r->worst_arch, r->worst.stack, r->worst.local, r->least, OCCUPANCY);
    }
    return good;
}

/* Totals of a class, or of everything. */
typedef struct totals {
    int kernels, compilations, registers, least, stack, local, over;
    const char *name, *arch; /* of the kernel with the most registers */
} totals;

static void add_row(totals *t, const kernel_text *k, const row *r, bool good) {
    t->least = t->kernels++ == 0 || r->least < t->least ? r->least : t->least;
    t->compilations += r->archs;
    t->stack += r->worst.stack > 0;
    t->local += r->worst.local > 0;
    t->over += !good;
    if (r->worst.registers > t->registers) {
        t->registers = r->worst.registers;
        t->name = k->name;
        t->arch = r->worst_arch;
    }
}

static void print_totals(FILE *out, const char *what, const totals *t) {
    if (t->kernels > 0) {
        fprintf(out,
                "%-8s %5d kernels, %6d compilations; most registers %3d (%s, sm_%s), stack in %d, spills in %d, least "
                "occupancy %d %%, %d over budget\n",
                what, t->kernels, t->compilations, t->registers, t->name ? t->name : "-", t->arch ? t->arch : "-",
                t->stack, t->local, t->least, t->over);
    }
}

int report(FILE *table, const kernel_text *kernels, size_t n, const outcome *outcomes) {
    totals all = {0}, of_class[CLASS_COUNT] = {0};
    fprintf(table, "%-18s %-8s %5s %5s %5s %5s %5s %6s %6s %5s %5s", "kernel", "class", "items", "archs", "regs",
            "stack", "spill", "shared", "instr", "bars", "shfl");
    for (int g = 0; g < OCCUPANCY_GPUS; g++) {
        fprintf(table, " %s", occupancy_gpu(g));
    }
    fprintf(table, "  %-24s %s\n", "loads (bits x number)", "stores");
    for (size_t i = 0; i < n; i++) {
        row r = row_of(&kernels[i], outcomes + i * ARCHS);
        bool good = keeps_budget(&kernels[i], &r);
        print_row(table, &kernels[i], &r);
        add_row(&all, &kernels[i], &r, good);
        add_row(&of_class[kernels[i].class], &kernels[i], &r, good);
    }
    fprintf(table, "\n");
    for (int c = 0; c < CLASS_COUNT; c++) {
        print_totals(table, kernel_class_name((kernel_class)c), &of_class[c]);
        print_totals(stdout, kernel_class_name((kernel_class)c), &of_class[c]);
    }
    for (int a = 0; a < ARCHS; a++) {
        size_t count = 0;
        for (size_t i = 0; i < n; i++) {
            count += outcomes[i * ARCHS + (size_t)a].compiled;
        }
        fprintf(table, "sm_%s: %zu\n", archs[a], count);
    }
    print_totals(table, "all", &all);
    print_totals(stdout, "all", &all);
    return all.over;
}
