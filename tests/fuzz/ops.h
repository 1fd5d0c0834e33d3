/*
 * The instructions of fuzzed programs: a table of names, arguments and what each calls.
 */
#ifndef FUZZ_OPS_H
#define FUZZ_OPS_H

#include "machine.h"

/* What the generator gives an instruction for operands. */
typedef enum fuzz_family {
    FUZZ_MAP1,    /* a tensor */
    FUZZ_MAPS,    /* and a scalar */
    FUZZ_MAP2,    /* two that broadcast */
    FUZZ_MAP3,    /* bool and two that broadcast */
    FUZZ_REDUCE,  /* axes as a bit mask, 0 for all; keepdim */
    FUZZ_VIEW,    /* numbers */
    FUZZ_SHAPED,  /* a shape */
    FUZZ_MAKE,    /* from nothing */
    FUZZ_SPECIAL, /* made by an idiom of the generator */
    FUZZ_FAMILIES
} fuzz_family;

/*
 * args: a letter for each argument, in order: '=' has a result, 'r' register, 'i' integer, 't' dtype, 's' scalar, 'd'
 * dims. One of the functions is set.
 */
struct fuzz_op {
    const char *name, *args;
    fuzz_family family;
    int weight; /* how often the generator picks it among its family */
    wg_tensor *(*unary)(wg_tensor *);
    wg_tensor *(*binary)(wg_tensor *, wg_tensor *);
    wg_tensor *(*scalar)(wg_tensor *, double);
    wg_tensor *(*call)(fuzz_machine *m, const fuzz_inst *in);
};

const fuzz_op *fuzz_find_op(const char *name);
/* A number picks an op of the family, by weight, among those of at least that weight. */
const fuzz_op *fuzz_pick_op(fuzz_family family, int at_least, uint64_t number);

/* calls.c: instructions that make tensors */
wg_tensor *fuzz_call_leaf(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_full(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_arange(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_rand(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_index(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_clamp(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_where(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_cast(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_dropout(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_reduce(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_view(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_shaped(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_matmul(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_linear(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_cat(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_slice_scatter(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_gather(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_norm(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_loss(fuzz_machine *m, const fuzz_inst *in);

/* state.c: gradients, updates, demands, ownership */
wg_tensor *fuzz_call_param(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_backward(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_gradients(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_zero_grad(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_update(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_optim(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_optim_step(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_demand(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_owner(fuzz_machine *m, const fuzz_inst *in);
wg_tensor *fuzz_call_scope(fuzz_machine *m, const fuzz_inst *in);

#endif
