/* The text of one instruction: the same for all forms, in the lane vocabulary. */
#include "codegen/text.h"
#include "tensor/dtype.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *type, *reg, *memory;
} types[WG_DTYPE_COUNT] = {
    [WG_BOOL] = {"mask", "vmask", "uchar"}, [WG_U8] = {"i32", "vi32", "uchar"},    [WG_I32] = {"i32", "vi32", "int"},
    [WG_I64] = {"i64", "vi64", "i64"},      [WG_F32] = {"f32", "vf32", "float"},   [WG_F64] = {"f64", "vf64", "double"},
    [WG_F16] = {"f32", "vf32", "ushort"},   [WG_BF16] = {"f32", "vf32", "ushort"},
};

const char *wg_text_type(uint8_t dtype) { return types[dtype].type; }
const char *wg_text_register(uint8_t dtype) { return types[dtype].reg; }
const char *wg_text_memory(uint8_t dtype) { return types[dtype].memory; }

const char *wg_text_memory_name(uint8_t dtype) {
    bool own = dtype == WG_BOOL || dtype == WG_U8 || wg_dtype_is_half((wg_dtype)dtype);
    return own ? wg_dtype_name((wg_dtype)dtype) : types[dtype].type;
}

void wg_text_need(wg_text *t, const char *format, uint8_t dtype) {
    char section[64];
    int n = snprintf(section, sizeof section, format,
                     strncmp(format, "memory", 6) ? types[dtype].type : wg_text_memory_name(dtype));
    section[n++] = ' ';
    section[n] = '\0';
    if (!strstr(wg_str_text(&t->needs), section)) {
        wg_str_add(&t->needs, section);
    }
}

/* Names of functions in elementary_f32.cl, by primitive. */
static const char *const functions[WG_P_COUNT] = {
    [WG_P_POW] = "pow", [WG_P_EXP] = "exp",   [WG_P_LOG] = "log", [WG_P_SIN] = "sin",
    [WG_P_COS] = "cos", [WG_P_TANH] = "tanh", [WG_P_ERF] = "erf",
};
static const char *const comparisons[WG_P_COUNT] = {
    [WG_P_EQ] = "eq", [WG_P_NE] = "ne", [WG_P_LT] = "lt", [WG_P_LE] = "le", [WG_P_GT] = "gt", [WG_P_GE] = "ge",
};

static bool is_float(uint8_t dtype) { return dtype == WG_F32 || dtype == WG_F64; }

/* + - * on integers go through unsigned ones: they wrap, and overflow is no licence for the compiler. */
static void print_arithmetic(wg_text *t, const wg_inst *in, char op) {
    wg_str *s = &t->body;
    if (in->dtype == WG_BOOL) {
        wg_str_addf(s, "%s(x%d, x%d)", op == '*' ? "mask_and" : "mask_or", in->a, in->b);
    } else if (is_float(in->dtype)) {
        wg_str_addf(s, "x%d %c x%d", in->a, op, in->b);
    } else if (in->dtype == WG_I64) {
        wg_str_addf(s, "as_vi64(as_vu64(x%d) %c as_vu64(x%d))", in->a, op, in->b);
    } else {
        wg_str_addf(s, "as_vi32(as_vu32(x%d) %c as_vu32(x%d))", in->a, op, in->b);
    }
}

static void print_divide(wg_text *t, const wg_inst *in, const char *name) {
    const char *type = types[in->dtype].type;
    if (is_float(in->dtype)) {
        wg_str_addf(&t->body, "x%d / x%d", in->a, in->b);
        return;
    }
    wg_text_need(t, "integer_%s", in->dtype);
    wg_str_addf(&t->body, "%s_%s(x%d, x%d)", name, type, in->a, in->b);
}

static void print_negate(wg_text *t, const wg_inst *in) {
    const char *type = types[in->dtype].type;
    if (is_float(in->dtype)) {
        wg_str_addf(&t->body, "-x%d", in->a);
    } else {
        const char *u = in->dtype == WG_I64 ? "u64" : "u32";
        wg_str_addf(&t->body, "as_v%s(splat_%s(0) - as_v%s(x%d))", type, u, u, in->a);
    }
}

static void print_abs(wg_text *t, const wg_inst *in) {
    const char *type = types[in->dtype].type;
    if (is_float(in->dtype)) {
        wg_str_addf(&t->body, "abs_%s(x%d)", type, in->a);
    } else if (in->dtype == WG_U8 || in->dtype == WG_BOOL) {
        wg_str_addf(&t->body, "x%d", in->a);
    } else {
        const char *u = in->dtype == WG_I64 ? "u64" : "u32";
        wg_str_addf(&t->body, "sel_%s(lt_%s(x%d, splat_%s(0)), as_v%s(splat_%s(0) - as_v%s(x%d)), x%d)", type, type,
                    in->a, type, type, u, u, in->a, in->a);
    }
}

static void print_compare(wg_text *t, const wg_inst *in) {
    const wg_inst *a = &t->l->loop.inst[in->a];
    const char *name = comparisons[in->prim];
    wg_str *s = &t->body;
    if (a->dtype != WG_BOOL) {
        wg_str_addf(s, "%s_%s(x%d, x%d)", name, types[a->dtype].type, in->a, in->b);
        return;
    }
    /* bool: false < true */
    static const char *const forms[WG_P_COUNT] = {
        [WG_P_EQ] = "mask_or(mask_and(x%d, x%d), mask_not(mask_or(x%d, x%d)))",
        [WG_P_NE] = "mask_and(mask_or(x%d, x%d), mask_not(mask_and(x%d, x%d)))",
        [WG_P_LT] = "mask_and(mask_not(x%d), x%d)",
        [WG_P_GT] = "mask_and(x%d, mask_not(x%d))",
        [WG_P_LE] = "mask_or(mask_not(x%d), x%d)",
        [WG_P_GE] = "mask_or(x%d, mask_not(x%d))",
    };
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    char text[128];
    snprintf(text, sizeof text, forms[in->prim], in->a, in->b, in->a, in->b);
#pragma GCC diagnostic pop
    wg_str_add(s, text);
}

static void print_cast(wg_text *t, const wg_inst *in) {
    uint8_t from = t->l->loop.inst[in->a].dtype;
    const char *a = types[from].type, *b = types[in->dtype].type;
    wg_str *s = &t->body;
    if (in->dtype == WG_BOOL) {
        wg_str_addf(s, "ne_%s(x%d, splat_%s(0))", a, in->a, a);
    } else if (from == WG_BOOL) {
        wg_str_addf(s, "sel_%s(x%d, splat_%s(1), splat_%s(0))", b, in->a, b, b);
    } else if (strcmp(a, b) == 0) {
        wg_str_addf(s, "x%d", in->a);
    } else if (in->dtype == WG_U8 && is_float(from)) {
        wg_str_addf(s, "min_i32(max_i32(cvt_%s_i32(x%d), splat_i32(0)), splat_i32(255))", a, in->a);
    } else {
        wg_str_addf(s, "cvt_%s_%s(x%d)", a, b, in->a);
    }
}

static void print_const(wg_text *t, const wg_inst *in) {
    const char *type = types[in->dtype].type;
    wg_str *s = &t->body;
    if (in->dtype == WG_BOOL) {
        wg_str_addf(s, "splat_mask(%d)", in->value != 0);
    } else if (!is_float(in->dtype)) {
        if (in->value <= -0x1p63) {
            wg_str_addf(s, "splat_i64(-9223372036854775807L - 1)");
        } else {
            wg_str_addf(s, "splat_%s(%lld)", type, (long long)in->value);
        }
    } else if (isnan(in->value) || isinf(in->value)) {
        const char *bits = isnan(in->value)      ? (in->dtype == WG_F32 ? "0x7fc00000u" : "0x7ff8000000000000UL")
                           : in->dtype == WG_F32 ? (in->value > 0 ? "0x7f800000u" : "0xff800000u")
                           : in->value > 0       ? "0x7ff0000000000000UL"
                                                 : "0xfff0000000000000UL";
        wg_str_addf(s, "as_v%s(splat_%s(%s))", type, in->dtype == WG_F32 ? "u32" : "u64", bits);
    } else if (in->dtype == WG_F32) {
        wg_str_addf(s, "splat_f32(%af)", (double)(float)in->value);
    } else {
        wg_str_addf(s, "splat_f64(%a)", in->value);
    }
}

/* Scalars arrive in 64 bits: f32 and f64 as their bits, the rest as i64. */
static void print_scalar(wg_text *t, const wg_inst *in) {
    wg_str *s = &t->body;
    switch (in->dtype) {
    case WG_F32:
        wg_str_addf(s, "as_vf32(splat_u32((u32)p.v[%d]))", in->param);
        break;
    case WG_F64:
        wg_str_addf(s, "as_vf64(splat_i64(p.v[%d]))", in->param);
        break;
    case WG_BOOL:
        wg_str_addf(s, "splat_mask(p.v[%d] != 0)", in->param);
        break;
    case WG_I64:
        wg_str_addf(s, "splat_i64(p.v[%d])", in->param);
        break;
    default:
        wg_str_addf(s, "splat_i32((i32)p.v[%d])", in->param);
    }
}

/* An address that is the same wherever the loops are; it is used before they begin. */
static bool stands_still(const wg_loop *loop, const wg_access *a) {
    bool still = a->lane == WG_LANE_SAME;
    for (int i = 0; i < loop->nkept; i++) {
        still = still && a->kept[i] < 0;
    }
    for (int i = 0; i < loop->nreduced; i++) {
        still = still && a->reduced[i] < 0;
    }
    return still;
}

void wg_text_place(wg_text *t, const wg_access *a, int number, bool with_lane) {
    const wg_loop *loop = &t->l->loop;
    wg_str *s = &t->body;
    bool on_rows = loop->mode == WG_LOOP_ROWS;
    if (stands_still(loop, a)) {
        wg_str_addf(s, "p.v[%d]", a->offset);
        return;
    }
    wg_str_addf(s, "a%d", number);
    for (int i = 0; i < loop->nreduced - (on_rows ? 1 : 0); i++) {
        if (a->reduced[i] >= 0) {
            wg_str_addf(s, " + r%d * p.v[%d]", i, a->reduced[i]);
        }
    }
    if (with_lane && a->lane == WG_LANE_NEXT) {
        wg_str_add(s, " + i");
    } else if (with_lane && a->lane == WG_LANE_STRIDE) {
        wg_str_addf(s, " + i * p.v[%d]", on_rows ? a->reduced[loop->nreduced - 1] : a->kept[loop->nkept - 1]);
    }
}

static void print_step(wg_text *t, const wg_access *a) {
    const wg_loop *loop = &t->l->loop;
    if (a->lane == WG_LANE_STRIDE) {
        bool on_rows = loop->mode == WG_LOOP_ROWS;
        wg_str_addf(&t->body, "p.v[%d]", on_rows ? a->reduced[loop->nreduced - 1] : a->kept[loop->nkept - 1]);
    } else {
        wg_str_add(&t->body, a->lane == WG_LANE_NEXT ? "1" : "0");
    }
}

/* Outside the lane loop there is no lane to add: accesses there do not step. */
static void print_load(wg_text *t, const wg_inst *in) {
    const wg_access *a = &t->l->loop.access[in->access];
    wg_str *s = &t->body;
    if (in->prim == WG_P_COORD) {
        if (a->lane == WG_LANE_SAME) {
            wg_str_add(s, "splat_i64(");
            wg_text_place(t, a, in->access, true);
        } else {
            wg_str_add(s, "lane_numbers(");
            wg_text_place(t, a, in->access, true);
            wg_str_add(s, ", ");
            print_step(t, a);
        }
        wg_str_add(s, ")");
        return;
    }
    if (t->registers && t->registers[a->buffer] >= 0) {
        wg_str_addf(s, "h%d", t->registers[a->buffer]);
        return;
    }
    const char *m = wg_text_memory_name(t->l->buffers[a->buffer].dtype);
    wg_text_need(t, "memory_%s", t->l->buffers[a->buffer].dtype);
    const char *how = in->a >= 0                ? "pick"
                      : in->b >= 0              ? "guard"
                      : a->lane == WG_LANE_SAME ? "same"
                      : a->lane == WG_LANE_NEXT ? "load"
                                                : "step";
    wg_str_addf(s, "%s_%s(b%d + (", how, m, a->buffer);
    wg_text_place(t, a, in->access, true);
    wg_str_add(s, ")");
    const char *lanes = in->uniform ? "16" : "n";
    if (in->a >= 0) {
        wg_str_add(s, ", ");
        print_step(t, a);
        wg_str_addf(s, ", x%d, p.v[%d], ", in->a, in->param);
        if (in->b >= 0) {
            wg_str_addf(s, "x%d", in->b);
        } else {
            wg_str_add(s, "splat_mask(1)");
        }
        wg_str_addf(s, ", %s)", lanes);
    } else if (in->b >= 0) {
        wg_str_add(s, ", ");
        print_step(t, a);
        wg_str_addf(s, ", x%d, %s)", in->b, lanes);
    } else if (a->lane == WG_LANE_SAME) {
        wg_str_add(s, ")");
    } else if (a->lane == WG_LANE_NEXT) {
        wg_str_add(s, ", n)");
    } else {
        wg_str_add(s, ", ");
        print_step(t, a);
        wg_str_add(s, ", n)");
    }
}

/* From a row of it that is done, at `at`: see around.c. */
static void print_product(wg_text *t, const wg_inst *in) {
    if (t->form == WG_SIMT) {
        wg_str_add(&t->body, "at[i]");
        return;
    }
    wg_text_need(t, "memory_%s", in->dtype);
    wg_str_addf(&t->body, "load_%s(at + (i / %d * step + i %% %d), n)", types[in->dtype].type, t->panel, t->panel);
}

static void print_value(wg_text *t, const wg_inst *in) {
    wg_str *s = &t->body;
    const char *type = types[in->dtype].type;
    switch ((wg_prim)in->prim) {
    case WG_P_LOAD:
    case WG_P_COORD:
        print_load(t, in);
        break;
    case WG_P_SCALAR:
        print_scalar(t, in);
        break;
    case WG_P_CONST:
        print_const(t, in);
        break;
    case WG_P_PRODUCT:
        print_product(t, in);
        break;
    case WG_P_RANDOM:
        wg_text_need(t, "random_%s", in->dtype);
        wg_str_addf(s, "random_%s(x%d, p.v[%d], p.v[%d])", type, in->a, in->param, in->param + 1);
        break;
    case WG_P_ADD:
        print_arithmetic(t, in, '+');
        break;
    case WG_P_SUB:
        print_arithmetic(t, in, '-');
        break;
    case WG_P_MUL:
        print_arithmetic(t, in, '*');
        break;
    case WG_P_DIV:
        print_divide(t, in, "div");
        break;
    case WG_P_REM:
        print_divide(t, in, "rem");
        break;
    case WG_P_MAX:
    case WG_P_MIN:
        if (in->dtype == WG_BOOL) {
            wg_str_addf(s, "%s(x%d, x%d)", in->prim == WG_P_MAX ? "mask_or" : "mask_and", in->a, in->b);
        } else {
            wg_str_addf(s, "%s_%s(x%d, x%d)", in->prim == WG_P_MAX ? "max" : "min", type, in->a, in->b);
        }
        break;
    case WG_P_NEG:
        print_negate(t, in);
        break;
    case WG_P_ABS:
        print_abs(t, in);
        break;
    case WG_P_SQRT:
        wg_str_addf(s, "sqrt_%s(x%d)", type, in->a);
        break;
    case WG_P_POW:
        wg_text_need(t, is_float(in->dtype) ? "pow_%s" : "power_%s", in->dtype);
        wg_str_addf(s, "pow_%s(x%d, x%d)", type, in->a, in->b);
        break;
    case WG_P_EXP:
    case WG_P_LOG:
    case WG_P_SIN:
    case WG_P_COS:
    case WG_P_TANH:
    case WG_P_ERF: {
        char section[16];
        snprintf(section, sizeof section, "%s_%%s", functions[in->prim]);
        wg_text_need(t, section, in->dtype);
        wg_str_addf(s, "%s_%s(x%d)", functions[in->prim], type, in->a);
        break;
    }
    case WG_P_EQ:
    case WG_P_NE:
    case WG_P_LT:
    case WG_P_LE:
    case WG_P_GT:
    case WG_P_GE:
        print_compare(t, in);
        break;
    case WG_P_AND:
        wg_str_addf(s, "mask_and(x%d, x%d)", in->a, in->b);
        break;
    case WG_P_OR:
        wg_str_addf(s, "mask_or(x%d, x%d)", in->a, in->b);
        break;
    case WG_P_NOT:
        wg_str_addf(s, "mask_not(x%d)", in->a);
        break;
    case WG_P_SELECT:
        wg_str_addf(s, "sel_%s(x%d, x%d, x%d)", type, in->a, in->b, in->c);
        break;
    case WG_P_CAST:
        print_cast(t, in);
        break;
    case WG_P_ROUND_F16:
        wg_text_need(t, "f16", in->dtype);
        wg_str_addf(s, "round_f16(x%d)", in->a);
        break;
    case WG_P_ROUND_BF16:
        wg_text_need(t, "bf16", in->dtype);
        wg_str_addf(s, "round_bf16(x%d)", in->a);
        break;
    case WG_P_TRAP:
        wg_text_need(t, "trap", WG_I64);
        wg_str_addf(s, "trap(x%d, %s, b%d + p.v[%d], p.v[%d], p.v[%d])", in->a, in->uniform ? "16" : "n", in->access,
                    in->param, in->param + 1, in->param + 2);
        break;
    case WG_P_RSUM:
    case WG_P_RMAX:
    case WG_P_RMIN:
    case WG_P_RARGMAX:
    case WG_P_COUNT:
        break; /* printed as loops */
    }
}

static bool may_exceed_a_byte(const wg_inst *in) {
    return in->prim == WG_P_ADD || in->prim == WG_P_SUB || in->prim == WG_P_MUL || in->prim == WG_P_NEG ||
           in->prim == WG_P_CAST || in->prim == WG_P_POW || in->prim == WG_P_SCALAR || in->prim == WG_P_CONST;
}

void wg_text_inst(wg_text *t, int inst, int indent) {
    const wg_inst *in = &t->l->loop.inst[inst];
    wg_str_addf(&t->body, "%*sconst %s x%d = ", indent, "", types[in->dtype].reg, inst);
    bool wrap = in->dtype == WG_U8 && may_exceed_a_byte(in);
    wg_str_add(&t->body, wrap ? "(" : "");
    print_value(t, in);
    wg_str_add(&t->body, wrap ? ") & splat_i32(255);\n" : ";\n");
}

void wg_text_store(wg_text *t, const wg_store *st, int indent) {
    const wg_loop *loop = &t->l->loop;
    const wg_access *a = &loop->access[st->access];
    const char *m = wg_text_memory_name(t->l->buffers[a->buffer].dtype);
    wg_text_need(t, "memory_%s", t->l->buffers[a->buffer].dtype);
    bool one = loop->mode == WG_LOOP_ROWS && a->by_row;
    const char *how = one || a->lane == WG_LANE_SAME ? "save_one"
                      : a->lane == WG_LANE_STRIDE    ? "save_step"
                      : loop->stream                 ? "stream"
                                                     : "save";
    wg_str_addf(&t->body, "%*s%s_%s(b%d + (", indent, "", how, m, a->buffer);
    wg_text_place(t, a, st->access, !one);
    wg_str_add(&t->body, ")");
    if (!one && a->lane == WG_LANE_STRIDE) {
        wg_str_add(&t->body, ", ");
        print_step(t, a);
    }
    wg_str_addf(&t->body, one || a->lane == WG_LANE_SAME ? ", x%d);\n" : ", n, x%d);\n", st->inst);
}

void wg_text_waiting(wg_text *t, bool back, int indent) {
    const wg_store *st = &t->l->loop.store[t->stash_store];
    const wg_access *a = &t->l->loop.access[st->access];
    uint8_t dtype = t->l->buffers[a->buffer].dtype;
    const char *m = wg_text_memory_name(dtype);
    wg_text_need(t, "memory_%s", dtype);
    if (back) {
        wg_str_addf(&t->body, "%*sconst %s x%d = load_%s(b%d + (", indent, "", types[dtype].reg, t->stash, m,
                    a->buffer);
    } else {
        wg_str_addf(&t->body, "%*ssave_%s(b%d + (", indent, "", m, a->buffer);
    }
    wg_text_place(t, a, st->access, true);
    wg_str_add(&t->body, back ? "), n);\n" : "), n, ");
    if (!back) {
        wg_str_addf(&t->body, "x%d);\n", t->stash);
    }
}
