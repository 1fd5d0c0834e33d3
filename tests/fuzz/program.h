/*
 * A fuzzed program: a list of instructions over tensor registers, one a line as text:
 *
 *     r3 = narrow r1 0 2 4
 *     backward r3 r-1 0
 *
 * Every list is a program: numbers are taken modulo what they index, a register may be empty, and an instruction that the
 * library refuses leaves its result empty. So whatever lines are removed, the rest can be run.
 */
#ifndef FUZZ_PROGRAM_H
#define FUZZ_PROGRAM_H

#include <stdio.h>
#include <wengert/wengert.h>

enum { FUZZ_REGS = 24, FUZZ_ARGS = 4 };

typedef struct fuzz_op fuzz_op;

typedef struct fuzz_inst {
    const fuzz_op *op;
    int dst;            /* register of the result, -1 for none */
    int reg[FUZZ_ARGS]; /* operands; -1 for none */
    int64_t num[FUZZ_ARGS];
    double scalar[FUZZ_ARGS];
    wg_shape shape;
} fuzz_inst;

typedef struct fuzz_program {
    fuzz_inst *inst;
    size_t n, cap;
} fuzz_program;

void fuzz_add(fuzz_program *p, const fuzz_inst *in);
void fuzz_append(fuzz_program *p, const fuzz_program *more);
void fuzz_program_free(fuzz_program *p);

void fuzz_print_inst(const fuzz_inst *in, FILE *out);
void fuzz_print(const fuzz_program *p, FILE *out);
/* Reads lines up to the end; '#' starts a comment. False, with the number of the bad line, if one is no instruction. */
bool fuzz_parse(FILE *in, fuzz_program *p, int *line);

#endif
