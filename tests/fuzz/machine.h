/*
 * Running a fuzzed program in a context, and the log of everything that could be observed on the way.
 */
#ifndef FUZZ_MACHINE_H
#define FUZZ_MACHINE_H

#include "program.h"

enum { FUZZ_OPTIMS = 2, FUZZ_DEPTH = 6, FUZZ_ELEMENTS = 1 << 13, FUZZ_WORK = 1 << 15 };

typedef struct fuzz_reg {
    wg_tensor *t;     /* NULL: empty */
    int depth;        /* of the scope that owns it */
    bool kept;        /* wg_keep: it is the register's */
    bool pinned;      /* an optimiser uses it: it stays */
    int64_t limit;    /* indices below it, made by `index`; 0 for other tensors, which no gather takes for an index */
    const void *lent; /* by wg_data, and what was there then */
    void *copy;
    size_t bytes;
} fuzz_reg;

/* Entries one after the other: a header, then the bytes of the value. NaNs are made equal. */
typedef struct fuzz_log {
    unsigned char *bytes;
    size_t n, cap;
} fuzz_log;

typedef struct fuzz_entry {
    int32_t at;     /* number of the instruction */
    int32_t status; /* what was refused, or WG_OK and a value follows */
    int32_t dtype, reg;
    wg_shape shape;
    uint64_t bytes;
} fuzz_entry;

typedef struct fuzz_machine {
    wg_ctx *ctx;
    fuzz_log *log; /* NULL: dry, for shapes alone; nothing is demanded */
    fuzz_reg reg[FUZZ_REGS];
    wg_optim *optim[FUZZ_OPTIMS];
    wg_mark mark[FUZZ_DEPTH];
    int depth, at;
    int64_t limit; /* of the result of the instruction at hand */
} fuzz_machine;

void fuzz_machine_start(fuzz_machine *m, wg_ctx *ctx, fuzz_log *log);
/* Runs one instruction. False if the library refused it. */
bool fuzz_step(fuzz_machine *m, const fuzz_inst *in);
/* Logs what is in the registers, then closes and frees everything. */
void fuzz_machine_finish(fuzz_machine *m);

/* Runs a program from start to finish. */
void fuzz_run(wg_ctx *ctx, const fuzz_program *p, fuzz_log *log);

/* ---- for the instructions ------------------------------------------------------------------------------------------- */

wg_tensor *fuzz_reg_get(const fuzz_machine *m, int reg);
/* Empties a register; frees its tensor if the register owns it or `early` is set. */
void fuzz_reg_drop(fuzz_machine *m, int reg, bool early);
/* Reads a tensor into the log. */
void fuzz_log_value(fuzz_machine *m, int reg, wg_tensor *t);
/* Lends the register's bytes, and remembers them. */
void fuzz_lend(fuzz_machine *m, int reg);
/* The loan ends: the bytes must be as they were. */
void fuzz_end_loan(fuzz_machine *m, int reg);
void fuzz_scope_end(fuzz_machine *m);

/* Fills n elements of a dtype from a seed, which also decides what kind of numbers they are. */
void fuzz_fill(wg_dtype dtype, int64_t n, uint64_t seed, void *out);
uint64_t fuzz_mix(uint64_t x);
/* The most elements that the two, broadcast, can have; 1 more than allowed if either is NULL. */
int64_t fuzz_joint(const wg_tensor *a, const wg_tensor *b);
/* k modulo n, 0 for n <= 0. */
int64_t fuzz_mod(int64_t k, int64_t n);

#endif
