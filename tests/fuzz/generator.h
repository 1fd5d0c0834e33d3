/*
 * The generator's state and small choices, shared by generate.c and idioms.c.
 */
#ifndef FUZZ_GENERATOR_H
#define FUZZ_GENERATOR_H

#include "generate.h"
#include "ops.h"

enum { FUZZ_LEAVES = 8 }; /* registers below hold what lives through the whole program */

typedef enum fuzz_want {
    WANT_ANY = 0,
    WANT_FLOAT = 1,
    WANT_BOOL = 2,
    WANT_GRAD = 4, /* gradients flow to it */
    WANT_LEAF = 8,
    WANT_MATRIX = 16, /* rank 2 at least */
    WANT_NUMBERS = 32 /* what matmul takes */
} fuzz_want;

typedef struct fuzz_generator {
    fuzz_machine m; /* dry */
    fuzz_program *p;
    uint64_t random;
    fuzz_profile profile;
    int64_t size[3];   /* what the program's shapes are made of, beside 1 */
    wg_dtype floating; /* which one the program has most of */
    int64_t scalars;   /* which of the usual ones it has */
    int newest;        /* register of the last result */
    int optims, backwards;
} fuzz_generator;

uint64_t fuzz_random(fuzz_generator *g);
int64_t fuzz_below(fuzz_generator *g, int64_t n);
bool fuzz_chance(fuzz_generator *g, int percent);
double fuzz_scalar(fuzz_generator *g);
wg_dtype fuzz_dtype(fuzz_generator *g);
wg_shape fuzz_shape(fuzz_generator *g, int max_rank);

int64_t fuzz_size(fuzz_generator *g);

bool fuzz_wanted(const wg_tensor *t, int want);
/* A register whose tensor is as wanted (bits of fuzz_want), -1 if there is none. */
int fuzz_choose(fuzz_generator *g, int want);
/* One that broadcasts with register a's; a itself if there is no other. */
int fuzz_choose_with(fuzz_generator *g, int a);
/* One of the same dtype and shape as register a's, made of it if there is no other. */
int fuzz_choose_like(fuzz_generator *g, int a);

/* Tries the instruction and appends it if it works. A result goes to a register of the generator's choice, which is
 * returned; -1 if it failed; 0 for an instruction without result. */
int fuzz_emit(fuzz_generator *g, const fuzz_inst *in);
/* An instruction with these registers and numbers. */
int fuzz_emit_op(fuzz_generator *g, const char *name, const int reg[3], const int64_t num[4]);
#define REGS(...) ((const int[3]){__VA_ARGS__})
#define NUMS(...) ((const int64_t[4]){__VA_ARGS__})
int fuzz_emit_leaf(fuzz_generator *g, wg_dtype dtype, wg_shape shape);

/* idioms.c: a few instructions that belong together; what does not work out is left out. */
void fuzz_idiom_matmul(fuzz_generator *g);
void fuzz_idiom_sum(fuzz_generator *g); /* in sums.c */
void fuzz_idiom_gather(fuzz_generator *g);
void fuzz_idiom_norm(fuzz_generator *g);
void fuzz_idiom_join(fuzz_generator *g);
void fuzz_idiom_parts(fuzz_generator *g);
void fuzz_idiom_backward(fuzz_generator *g);
void fuzz_idiom_gradients(fuzz_generator *g);
void fuzz_idiom_update(fuzz_generator *g);
void fuzz_idiom_snapshot(fuzz_generator *g);
void fuzz_idiom_optim(fuzz_generator *g);
void fuzz_idiom_harvest(fuzz_generator *g);

#endif
