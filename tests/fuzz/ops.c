/* The table of instructions. */
#include "ops.h"

#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const fuzz_op ops[] = {
    {"neg", "=r", FUZZ_MAP1, 4, .unary = wg_neg},
    {"abs", "=r", FUZZ_MAP1, 3, .unary = wg_abs},
    {"sign", "=r", FUZZ_MAP1, 1, .unary = wg_sign},
    {"square", "=r", FUZZ_MAP1, 3, .unary = wg_square},
    {"sqrt", "=r", FUZZ_MAP1, 1, .unary = wg_sqrt},
    {"rsqrt", "=r", FUZZ_MAP1, 1, .unary = wg_rsqrt},
    {"reciprocal", "=r", FUZZ_MAP1, 1, .unary = wg_reciprocal},
    {"exp", "=r", FUZZ_MAP1, 2, .unary = wg_exp},
    {"log", "=r", FUZZ_MAP1, 1, .unary = wg_log},
    {"sin", "=r", FUZZ_MAP1, 2, .unary = wg_sin},
    {"cos", "=r", FUZZ_MAP1, 2, .unary = wg_cos},
    {"tanh", "=r", FUZZ_MAP1, 3, .unary = wg_tanh},
    {"erf", "=r", FUZZ_MAP1, 1, .unary = wg_erf},
    {"sigmoid", "=r", FUZZ_MAP1, 2, .unary = wg_sigmoid},
    {"relu", "=r", FUZZ_MAP1, 4, .unary = wg_relu},
    {"gelu", "=r", FUZZ_MAP1, 1, .unary = wg_gelu},
    {"gelu_tanh", "=r", FUZZ_MAP1, 1, .unary = wg_gelu_tanh},
    {"zeros_like", "=r", FUZZ_MAP1, 1, .unary = wg_zeros_like},
    {"ones_like", "=r", FUZZ_MAP1, 1, .unary = wg_ones_like},
    {"contiguous", "=r", FUZZ_MAP1, 2, .unary = wg_contiguous},
    {"detach", "=r", FUZZ_MAP1, 4, .unary = wg_detach},
    {"cast", "=rt", FUZZ_MAP1, 6, .call = fuzz_call_cast},

    {"add_scalar", "=rs", FUZZ_MAPS, 3, .scalar = wg_add_scalar},
    {"sub_scalar", "=rs", FUZZ_MAPS, 2, .scalar = wg_sub_scalar},
    {"rsub_scalar", "=rs", FUZZ_MAPS, 2, .scalar = wg_rsub_scalar},
    {"mul_scalar", "=rs", FUZZ_MAPS, 4, .scalar = wg_mul_scalar},
    {"div_scalar", "=rs", FUZZ_MAPS, 2, .scalar = wg_div_scalar},
    {"rdiv_scalar", "=rs", FUZZ_MAPS, 1, .scalar = wg_rdiv_scalar},
    {"pow_scalar", "=rs", FUZZ_MAPS, 1, .scalar = wg_pow_scalar},
    {"full_like", "=rs", FUZZ_MAPS, 1, .scalar = wg_full_like},
    {"eq_scalar", "=rs", FUZZ_MAPS, 1, .scalar = wg_eq_scalar},
    {"ne_scalar", "=rs", FUZZ_MAPS, 1, .scalar = wg_ne_scalar},
    {"lt_scalar", "=rs", FUZZ_MAPS, 1, .scalar = wg_lt_scalar},
    {"le_scalar", "=rs", FUZZ_MAPS, 1, .scalar = wg_le_scalar},
    {"gt_scalar", "=rs", FUZZ_MAPS, 1, .scalar = wg_gt_scalar},
    {"ge_scalar", "=rs", FUZZ_MAPS, 1, .scalar = wg_ge_scalar},
    {"clamp", "=rss", FUZZ_MAPS, 2, .call = fuzz_call_clamp},
    {"dropout", "=rs", FUZZ_MAPS, 1, .call = fuzz_call_dropout},

    {"add", "=rr", FUZZ_MAP2, 8, .binary = wg_add},
    {"sub", "=rr", FUZZ_MAP2, 6, .binary = wg_sub},
    {"mul", "=rr", FUZZ_MAP2, 8, .binary = wg_mul},
    {"div", "=rr", FUZZ_MAP2, 2, .binary = wg_div},
    {"pow", "=rr", FUZZ_MAP2, 1, .binary = wg_pow},
    {"maximum", "=rr", FUZZ_MAP2, 2, .binary = wg_maximum},
    {"minimum", "=rr", FUZZ_MAP2, 2, .binary = wg_minimum},
    {"eq", "=rr", FUZZ_MAP2, 1, .binary = wg_eq},
    {"ne", "=rr", FUZZ_MAP2, 1, .binary = wg_ne},
    {"lt", "=rr", FUZZ_MAP2, 1, .binary = wg_lt},
    {"le", "=rr", FUZZ_MAP2, 1, .binary = wg_le},
    {"gt", "=rr", FUZZ_MAP2, 1, .binary = wg_gt},
    {"ge", "=rr", FUZZ_MAP2, 1, .binary = wg_ge},
    {"mse_loss", "=rri", FUZZ_MAP2, 1, .call = fuzz_call_loss},
    {"where", "=rrr", FUZZ_MAP3, 1, .call = fuzz_call_where},

    {"sum", "=rii", FUZZ_REDUCE, 6, .call = fuzz_call_reduce},
    {"mean", "=rii", FUZZ_REDUCE, 4, .call = fuzz_call_reduce},
    {"amax", "=rii", FUZZ_REDUCE, 2, .call = fuzz_call_reduce},
    {"amin", "=rii", FUZZ_REDUCE, 2, .call = fuzz_call_reduce},
    {"var", "=rii", FUZZ_REDUCE, 2, .call = fuzz_call_reduce},
    {"argmax", "=rii", FUZZ_REDUCE, 1, .call = fuzz_call_reduce},
    {"softmax", "=rii", FUZZ_REDUCE, 2, .call = fuzz_call_reduce},
    {"log_softmax", "=rii", FUZZ_REDUCE, 2, .call = fuzz_call_reduce},
    {"logsumexp", "=rii", FUZZ_REDUCE, 1, .call = fuzz_call_reduce},

    {"narrow", "=riii", FUZZ_VIEW, 4, .call = fuzz_call_view},
    {"select", "=rii", FUZZ_VIEW, 2, .call = fuzz_call_view},
    {"slice", "=riiii", FUZZ_VIEW, 3, .call = fuzz_call_view},
    {"permute", "=ri", FUZZ_VIEW, 3, .call = fuzz_call_view},
    {"transpose", "=rii", FUZZ_VIEW, 3, .call = fuzz_call_view},
    {"flip", "=ri", FUZZ_VIEW, 2, .call = fuzz_call_view},
    {"squeeze", "=ri", FUZZ_VIEW, 1, .call = fuzz_call_view},
    {"unsqueeze", "=ri", FUZZ_VIEW, 2, .call = fuzz_call_view},
    {"flatten", "=rii", FUZZ_VIEW, 1, .call = fuzz_call_view},
    {"reshape", "=rd", FUZZ_SHAPED, 1, .call = fuzz_call_shaped},
    {"expand", "=rd", FUZZ_SHAPED, 1, .call = fuzz_call_shaped},

    {"leaf", "=tdi", FUZZ_SPECIAL, 0, .call = fuzz_call_leaf},
    {"full", "=tds", FUZZ_MAKE, 2, .call = fuzz_call_full},
    {"arange", "=tiss", FUZZ_MAKE, 1, .call = fuzz_call_arange},
    {"rand", "=td", FUZZ_MAKE, 1, .call = fuzz_call_rand},
    {"randn", "=td", FUZZ_MAKE, 1, .call = fuzz_call_rand},

    {"index", "=riii", FUZZ_SPECIAL, 0, .call = fuzz_call_index},
    {"matmul", "=rr", FUZZ_SPECIAL, 0, .call = fuzz_call_matmul},
    {"linear", "=rrr", FUZZ_SPECIAL, 0, .call = fuzz_call_linear},
    {"cat", "=rrri", FUZZ_SPECIAL, 0, .call = fuzz_call_cat},
    {"slice_scatter", "=rriiii", FUZZ_SPECIAL, 0, .call = fuzz_call_slice_scatter},
    {"index_select", "=rri", FUZZ_SPECIAL, 0, .call = fuzz_call_gather},
    {"index_add", "=rrri", FUZZ_SPECIAL, 0, .call = fuzz_call_gather},
    {"embedding", "=rr", FUZZ_SPECIAL, 0, .call = fuzz_call_gather},
    {"one_hot", "=ri", FUZZ_SPECIAL, 0, .call = fuzz_call_gather},
    {"layer_norm", "=rrri", FUZZ_SPECIAL, 0, .call = fuzz_call_norm},
    {"rms_norm", "=rri", FUZZ_SPECIAL, 0, .call = fuzz_call_norm},
    {"cross_entropy", "=rriis", FUZZ_SPECIAL, 0, .call = fuzz_call_loss},

    {"param", "r", FUZZ_SPECIAL, 0, .call = fuzz_call_param},
    {"requires_grad", "ri", FUZZ_SPECIAL, 0, .call = fuzz_call_param},
    {"backward", "rri", FUZZ_SPECIAL, 0, .call = fuzz_call_backward},
    {"gradients", "=rrri", FUZZ_SPECIAL, 0, .call = fuzz_call_gradients},
    {"grad", "=r", FUZZ_SPECIAL, 0, .unary = wg_grad},
    {"zero_grad", "r", FUZZ_SPECIAL, 0, .call = fuzz_call_zero_grad},

    {"assign", "rr", FUZZ_SPECIAL, 0, .call = fuzz_call_update},
    {"write", "ri", FUZZ_SPECIAL, 0, .call = fuzz_call_update},
    {"data_mut", "ri", FUZZ_SPECIAL, 0, .call = fuzz_call_update},
    {"sgd", "rrriisss", FUZZ_SPECIAL, 0, .call = fuzz_call_optim},
    {"adam", "rrriisss", FUZZ_SPECIAL, 0, .call = fuzz_call_optim},
    {"optim_step", "i", FUZZ_SPECIAL, 0, .call = fuzz_call_optim_step},
    {"optim_zero_grad", "i", FUZZ_SPECIAL, 0, .call = fuzz_call_optim_step},
    {"set_lr", "is", FUZZ_SPECIAL, 0, .call = fuzz_call_optim_step},

    {"read", "r", FUZZ_SPECIAL, 0, .call = fuzz_call_demand},
    {"data", "r", FUZZ_SPECIAL, 0, .call = fuzz_call_demand},
    {"eval", "rrr", FUZZ_SPECIAL, 0, .call = fuzz_call_demand},
    {"keep", "r", FUZZ_SPECIAL, 0, .call = fuzz_call_owner},
    {"free", "r", FUZZ_SPECIAL, 0, .call = fuzz_call_owner},
    {"begin", "", FUZZ_SPECIAL, 0, .call = fuzz_call_scope},
    {"end", "", FUZZ_SPECIAL, 0, .call = fuzz_call_scope},
    {"no_grad", "i", FUZZ_SPECIAL, 0, .call = fuzz_call_scope},
    {"next", "i", FUZZ_SPECIAL, 0, .call = fuzz_call_scope},
};

const fuzz_op *fuzz_find_op(const char *name) {
    for (size_t i = 0; i < COUNT(ops); i++) {
        if (strcmp(ops[i].name, name) == 0) {
            return &ops[i];
        }
    }
    return NULL;
}

/* An op's share of the choice. */
static uint64_t share(const fuzz_op *op, fuzz_family family, int at_least) {
    return op->family == family && op->weight >= at_least ? (uint64_t)op->weight : 0;
}

const fuzz_op *fuzz_pick_op(fuzz_family family, int at_least, uint64_t number) {
    uint64_t total = 0;
    for (size_t i = 0; i < COUNT(ops); i++) {
        total += share(&ops[i], family, at_least);
    }
    if (total == 0) {
        return fuzz_pick_op(family, 0, number);
    }
    number %= total;
    for (size_t i = 0; i < COUNT(ops); i++) {
        if (number < share(&ops[i], family, at_least)) {
            return &ops[i];
        }
        number -= share(&ops[i], family, at_least);
    }
    return NULL;
}
