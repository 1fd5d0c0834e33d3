/* The machine: registers, scopes, the log. */
#include "machine.h"

#include "api/context.h"
#include "ops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the log -------------------------------------------------------------------------------------------------------- */

static unsigned char *log_room(fuzz_log *log, size_t n) {
    if (log->n + n > log->cap) {
        log->cap = (log->n + n) * 2;
        log->bytes = realloc(log->bytes, log->cap);
        if (!log->bytes) {
            abort();
        }
    }
    log->n += n;
    return log->bytes + log->n - n;
}

static void log_status(fuzz_machine *m, wg_status status, int reg) {
    fuzz_entry e;
    memset(&e, 0, sizeof e); /* compared with its padding */
    e.at = m->at;
    e.status = (int32_t)status;
    e.reg = reg;
    memcpy(log_room(m->log, sizeof e), &e, sizeof e);
}

static void equal_nans(wg_dtype dtype, void *data, int64_t n) {
    float *f = data;
    double *d = data;
    uint16_t *h = data;
    uint16_t most = dtype == WG_F16 ? 0x7c00 : dtype == WG_BF16 ? 0x7f80 : UINT16_MAX; /* infinity: NaN is more */
    for (int64_t i = 0; most < UINT16_MAX && i < n; i++) {
        h[i] = (h[i] & 0x7fff) > most ? (uint16_t)(most + 1) : h[i];
    }
    for (int64_t i = 0; dtype == WG_F32 && i < n; i++) {
        f[i] = isnan(f[i]) ? NAN : f[i];
    }
    for (int64_t i = 0; dtype == WG_F64 && i < n; i++) {
        d[i] = isnan(d[i]) ? (double)NAN : d[i];
    }
}

void fuzz_log_value(fuzz_machine *m, int reg, wg_tensor *t) {
    fuzz_entry e;
    memset(&e, 0, sizeof e);
    e.at = m->at;
    e.reg = reg;
    e.dtype = (int32_t)wg_dtype_of(t);
    e.shape = wg_shape_of(t);
    e.bytes = (uint64_t)wg_numel(t) * wg_dtype_size(wg_dtype_of(t));
    size_t padded = (e.bytes + 7) / 8 * 8;
    void *data = calloc(padded / 8 + 1, 8);
    if (!data) {
        abort();
    }
    e.status = (int32_t)wg_read(t, data, e.bytes);
    equal_nans(wg_dtype_of(t), data, e.status == WG_OK ? wg_numel(t) : 0);
    memcpy(log_room(m->log, sizeof e), &e, sizeof e);
    memcpy(log_room(m->log, padded), data, padded);
    free(data);
}

/* ---- registers ------------------------------------------------------------------------------------------------------ */

wg_tensor *fuzz_reg_get(const fuzz_machine *m, int reg) { return reg < 0 ? NULL : m->reg[reg].t; }

void fuzz_lend(fuzz_machine *m, int reg) {
    fuzz_reg *r = &m->reg[reg];
    fuzz_end_loan(m, reg);
    const void *lent = r->t ? wg_data(r->t) : NULL;
    if (lent) {
        r->lent = lent;
        r->bytes = (size_t)wg_numel(r->t) * wg_dtype_size(wg_dtype_of(r->t));
        r->copy = malloc(r->bytes);
        if (!r->copy) {
            abort();
        }
        memcpy(r->copy, lent, r->bytes);
    }
}

void fuzz_end_loan(fuzz_machine *m, int reg) {
    fuzz_reg *r = &m->reg[reg];
    if (r->lent && memcmp(r->lent, r->copy, r->bytes) != 0) {
        log_status(m, WG_ERR_LOST, reg); /* in no mode may this be, so that the logs differ, or both show it */
    }
    free(r->copy);
    r->lent = NULL;
    r->copy = NULL;
}

void fuzz_reg_drop(fuzz_machine *m, int reg, bool early) {
    fuzz_reg *r = &m->reg[reg];
    fuzz_end_loan(m, reg);
    if (r->t && (r->kept || early)) {
        wg_free(r->t);
    }
    *r = (fuzz_reg){0};
}

/* A result that is another register's tensor (squeeze may return its operand) is not held twice. */
static void put(fuzz_machine *m, int reg, wg_tensor *t) {
    for (int k = 0; k < FUZZ_REGS; k++) {
        if (t && m->reg[k].t == t) {
            t = NULL;
        }
    }
    fuzz_reg_drop(m, reg, m->reg[reg].depth == 0); /* the root scope would hold it for good */
    m->reg[reg] = (fuzz_reg){.t = t, .depth = m->depth};
}

void fuzz_scope_end(fuzz_machine *m) {
    if (m->depth == 0) {
        return;
    }
    m->depth--;
    for (int k = 0; k < FUZZ_REGS; k++) {
        if (m->reg[k].t && !m->reg[k].kept && m->reg[k].depth > m->depth) {
            fuzz_reg_drop(m, k, false);
        }
    }
    if (m->log) {
        wg_scope_end(m->ctx, m->mark[m->depth]);
    } else {
        wg_scope_pop(wg_graph_of(m->ctx)); /* runs nothing */
    }
}

/* ---- running -------------------------------------------------------------------------------------------------------- */

void fuzz_machine_start(fuzz_machine *m, wg_ctx *ctx, fuzz_log *log) { *m = (fuzz_machine){.ctx = ctx, .log = log}; }

static bool take_error(fuzz_machine *m) {
    if (!wg_failed(m->ctx)) {
        return true;
    }
    wg_status status = wg_error_take(m->ctx, NULL, 0);
    if (m->log) {
        log_status(m, status, -1);
    }
    return false;
}

bool fuzz_step(fuzz_machine *m, const fuzz_inst *in) {
    const fuzz_op *op = in->op;
    bool result = op->args[0] == '=';
    if (result && m->reg[in->dst].pinned) {
        return false;
    }
    wg_tensor *a = fuzz_reg_get(m, in->reg[0]), *b = fuzz_reg_get(m, in->reg[1]);
    m->limit = 0;
    wg_tensor *t = op->unary    ? op->unary(a)
                   : op->scalar ? op->scalar(a, in->scalar[0])
                   : op->binary ? (fuzz_joint(a, b) <= FUZZ_ELEMENTS ? op->binary(a, b) : NULL)
                                : op->call(m, in);
    if (result) {
        bool view = op->family == FUZZ_VIEW || op->family == FUZZ_SHAPED;
        int64_t limit = view && a ? m->reg[in->reg[0]].limit : m->limit;
        put(m, in->dst, t);
        m->reg[in->dst].limit = limit;
    }
    m->at++;
    return take_error(m) && (!result || m->reg[in->dst].t);
}

void fuzz_machine_finish(fuzz_machine *m) {
    while (m->depth > 0) {
        fuzz_scope_end(m);
    }
    for (int k = 0; k < FUZZ_REGS; k++) {
        fuzz_end_loan(m, k);
        if (m->reg[k].t && m->log) {
            fuzz_log_value(m, k, m->reg[k].t);
            if (wg_has_grad(m->reg[k].t)) {
                wg_tensor *grad = wg_grad(m->reg[k].t);
                fuzz_log_value(m, k, grad);
                wg_free(grad);
            }
        }
    }
    for (int k = 0; k < FUZZ_OPTIMS; k++) {
        wg_optim_free(m->optim[k]);
        m->optim[k] = NULL;
    }
    for (int k = 0; k < FUZZ_REGS; k++) {
        fuzz_reg_drop(m, k, true);
    }
    if (m->log) { /* updates of the root scope, which nobody waits for any more, are forgotten with the next one that ends */
        wg_scope_end(m->ctx, wg_scope_begin(m->ctx));
    }
    (void)take_error(m);
}

void fuzz_run(wg_ctx *ctx, const fuzz_program *p, fuzz_log *log) {
    fuzz_machine m;
    log->n = 0;
    fuzz_machine_start(&m, ctx, log);
    for (size_t i = 0; i < p->n; i++) {
        fuzz_step(&m, &p->inst[i]);
    }
    fuzz_machine_finish(&m);
}

/* ---- data ----------------------------------------------------------------------------------------------------------- */

uint64_t fuzz_mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

int64_t fuzz_mod(int64_t k, int64_t n) { return n <= 0 ? 0 : (k % n + n) % n; }

static double special(uint64_t bits) {
    static const double values[] = {NAN, INFINITY, -INFINITY, -0.0, 1e-40, 3e38, -1e300, 0x1p62};
    return values[bits % (sizeof values / sizeof *values)];
}

static double number(uint64_t seed, uint64_t bits) {
    double unit = (double)(bits >> 11) * 0x1p-53;
    switch (fuzz_mix(seed) % 8) {
    case 0: /* ties */
        return (double)(bits % 7) - 3;
    case 1:
        return bits % 16 == 0 ? special(bits >> 8) : unit * 6 - 3;
    case 2:
        return unit + 0.25;
    default:
        return unit * 4 - 2;
    }
}

void fuzz_fill(wg_dtype dtype, int64_t n, uint64_t seed, void *out) {
    for (int64_t i = 0; i < n; i++) {
        uint64_t bits = fuzz_mix(seed * 0x10001 + (uint64_t)i);
        double x = number(seed, bits), whole = isfinite(x) ? trunc(fmod(x * 3, 1e6)) : 7;
        switch (dtype) {
        case WG_F32:
            ((float *)out)[i] = (float)x;
            break;
        case WG_F64:
            ((double *)out)[i] = x;
            break;
        case WG_F16:
            ((uint16_t *)out)[i] = wg_f16_from_f32((float)x);
            break;
        case WG_BF16:
            ((uint16_t *)out)[i] = wg_bf16_from_f32((float)x);
            break;
        case WG_I32:
            ((int32_t *)out)[i] = (int32_t)whole;
            break;
        case WG_I64:
            ((int64_t *)out)[i] = (int64_t)whole;
            break;
        case WG_U8:
            ((uint8_t *)out)[i] = (uint8_t)bits;
            break;
        default:
            ((uint8_t *)out)[i] = bits >> 7 & 1;
        }
    }
}
