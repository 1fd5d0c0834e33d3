/* Running a compiled plan: memory, parameters, launches. The hot path of a replay. */
#include "runtime/exec.h"

#include "base/alloc.h"
#include "graph/op.h"
#include "runtime/watch.h"
#include "schedule/memory.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static size_t slot_bytes(const wg_slot *s) { return (size_t)s->elems * wg_dtype_size((wg_dtype)s->dtype); }

static void release(wg_engine *e, wg_exec *x, bool kept_too) {
    for (int b = 0; b < x->plan->narenas; b++) {
        wg_pool_put(&e->pool, x->blocks[b]);
        x->blocks[b] = NULL;
    }
    for (int i = 0; kept_too && i < x->plan->nslots; i++) {
        if (x->plan->slots[i].kind == WG_SLOT_KEPT && x->plan->slots[i].over < 0) {
            wg_value_free(&e->pool, x->values[i]);
        }
        x->values[i] = NULL;
    }
}

/* The trap words exist from the first plan that can report an index on. */
static wg_status arm_trap(wg_engine *e, wg_err *err) {
    const int64_t none[2] = {0, 0};
    if (!e->trap) {
        e->trap = wg_value_new(&e->pool, sizeof none, err);
        if (!e->trap) {
            return err->status;
        }
        wg_status status = wg_value_write(&e->dev, e->trap, none, sizeof none, err);
        if (status != WG_OK) {
            wg_value_free(&e->pool, e->trap);
            e->trap = NULL;
            return status;
        }
    }
    e->trap_armed = true;
    return WG_OK;
}

wg_status wg_exec_check(wg_engine *e, wg_err *err) {
    if (!e->trap_armed) {
        return WG_OK;
    }
    int64_t words[2];
    const int64_t none[2] = {0, 0};
    wg_status status = wg_value_read(&e->dev, e->trap, 0, words, sizeof words, err);
    if (status != WG_OK) {
        return status;
    }
    status = words[0] == 0 ? WG_OK : wg_value_write(&e->dev, e->trap, none, sizeof none, err);
    e->trap_armed = status != WG_OK; /* words that could not be reset are reported at the next look */
    if (words[0] == 0) {
        return WG_OK;
    }
    const wg_op *op = (const wg_op *)(intptr_t)words[0];
    const wg_shape *shape = (const wg_shape *)(intptr_t)words[1];
    return status != WG_OK
               ? status
               : wg_err_set(err, WG_ERR_INDEX, "%s: %s: an index is out of range", op->name, wg_shape_print(shape).s);
}

/* Obtains everything the run writes to: all of it, or nothing. */
static wg_status obtain(wg_engine *e, wg_exec *x, const wg_problem *p, wg_err *err) {
    wg_plan *plan = x->plan;
    for (int b = 0; b < plan->narenas; b++) {
        wg_status status = wg_pool_get(&e->pool, (size_t)plan->arenas[b], &x->blocks[b], err);
        if (status != WG_OK) {
            return status;
        }
    }
    if (plan->slots[plan->trap_slot].first >= 0) {
        wg_status status = arm_trap(e, err);
        if (status != WG_OK) {
            return status;
        }
        x->values[plan->trap_slot] = e->trap;
    }
    if (x->ntickets > 0 && !e->dev.limits->interprets) {
        wg_status status = wg_chain_bind(e, err);
        if (status != WG_OK) {
            return status;
        }
    }
    for (int i = 0; i < plan->nslots; i++) {
        const wg_slot *s = &plan->slots[i];
        if (s->kind == WG_SLOT_LEAF) {
            x->values[i] = p->leaves[i].node->value;
        } else if (s->kind == WG_SLOT_KEPT && s->over < 0) {
            x->values[i] = wg_value_new(&e->pool, slot_bytes(s), err);
            if (!x->values[i]) {
                return err->status;
            }
        }
    }
    return WG_OK;
}

static void locate(wg_exec *x) {
    const wg_plan *plan = x->plan;
    for (int i = 0; i < plan->nslots; i++) {
        const wg_slot *s = &plan->slots[i];
        const wg_block *block = NULL;
        if (s->kind == WG_SLOT_KEPT && s->over >= 0) {
            x->values[i] = x->values[s->over];
        }
        if (s->kind == WG_SLOT_TEMP || s->kind == WG_SLOT_SCRATCH) {
            block = s->arena >= 0 ? x->blocks[s->arena] : NULL;
        } else if (x->values[i]) {
            block = x->values[i]->block;
        }
        x->mem[i] = block ? block->mem : NULL;
        x->offset[i] = block ? block->offset + (size_t)s->at : 0;
    }
}

/* A scalar as the 64 bits a kernel expects of its dtype; conversions are total. */
static int64_t scalar_bits(double value, uint8_t dtype) {
    int64_t bits = 0;
    if (dtype == WG_F32) {
        float f = (float)value;
        uint32_t u;
        memcpy(&u, &f, sizeof u);
        return (int64_t)u;
    }
    if (dtype == WG_F64) {
        memcpy(&bits, &value, sizeof bits);
        return bits;
    }
    if (isnan(value)) {
        return 0;
    }
    return value >= 0x1p63 ? INT64_MAX : value <= -0x1p63 ? INT64_MIN : (int64_t)value;
}

void wg_exec_params(const wg_exec *x, int step, const wg_problem *p, int64_t *out) {
    const wg_exec_step *s = &x->steps[step];
    const wg_lowered *l = &x->plan->steps[step].l;
    memcpy(out, s->params, (size_t)s->nparams * sizeof *out);
    for (int i = 0; i < s->nfixups; i++) {
        const wg_argument *param = &l->params[s->fixups[i]];
        int64_t *value = &out[s->fixups[i]];
        if (param->kind == WG_PARAM_OFFSET) {
            const wg_buffer_use *b = &l->buffers[param->index];
            *value += (int64_t)(x->offset[b->slot] / wg_dtype_size((wg_dtype)b->dtype));
        } else if (param->kind == WG_PARAM_SCALAR) {
            *value = scalar_bits(p->scalars[param->index], param->dtype);
        } else {
            memcpy(value, &p->scalars[param->index], sizeof *value);
        }
    }
}

static wg_status interpret(wg_engine *e, const wg_exec *x, int step, const int64_t *params, wg_err *err) {
    const wg_lowered *l = &x->plan->steps[step].l;
    char *mem[WG_MAX_BUFFERS];
    if (wg_fault_hit(WG_FAULT_LAUNCH)) {
        return wg_err_set(err, WG_ERR_LAUNCH, "injected launch failure");
    }
    for (int i = 0; i < l->nbuffers; i++) {
        mem[i] = x->mem[l->buffers[i].slot] ? x->mem[l->buffers[i].slot]->host : NULL;
    }
    return wg_interpret(&x->plan->steps[step], params, mem, &e->room)
               ? WG_OK
               : wg_err_set(err, WG_ERR_NOMEM, "out of host memory for the interpreter");
}

static wg_status launch(wg_engine *e, const wg_exec *x, int step, const wg_problem *p, wg_err *err) {
    const wg_exec_step *s = &x->steps[step];
    const wg_lowered *l = &x->plan->steps[step].l;
    int64_t params[WG_MAX_PARAMS];
    const wg_mem *buffers[WG_MAX_BUFFERS];
    if (s->product) {
        wg_status status = wg_library_run(e, x, step, err);
        e->launches += status == WG_OK;
        return status;
    }
    wg_exec_params(x, step, p, params);
    if (e->dev.limits->interprets) {
        return interpret(e, x, step, params, err);
    }
    for (int i = 0; i < l->nbuffers; i++) {
        buffers[i] = x->mem[l->buffers[i].slot];
    }
    wg_launch launch = {.kernel = s->kernel,
                        .groups = {s->groups[0], s->groups[1], s->groups[2]},
                        .local = {s->local[0], s->local[1], s->local[2]},
                        .buffers = buffers,
                        .nbuffers = l->nbuffers,
                        .params = params,
                        .param_bytes = (size_t)s->nparams * sizeof *params,
                        .ops = x->plan->steps[step].ops};
    wg_status status = wg_dev_launch(&e->dev, wg_exec_queue(x, step), &launch, err);
    e->launches += status == WG_OK;
    return status;
}

static bool nothing_to_do(const wg_plan *plan, int step) { return plan->steps[step].l.results == 0; }

/* Bytes that a launch was about to overwrite, or may have begun to, are lost: so says their node. */
static void mark_lost(const wg_exec *x, const wg_problem *p, int failed) {
    for (int i = 0; i < x->plan->nslots; i++) {
        const wg_slot *s = &x->plan->slots[i];
        if (s->kind == WG_SLOT_KEPT && s->over >= 0 && s->first <= failed) {
            p->leaves[s->over].node->flags |= WG_NODE_LOST;
            p->tasks[i - (int)p->nleaves].node->flags |= WG_NODE_LOST;
        }
    }
}

static void take_over(const wg_exec *x, const wg_problem *p) {
    for (int i = 0; i < x->plan->nslots; i++) {
        const wg_slot *s = &x->plan->slots[i];
        if (s->kind == WG_SLOT_KEPT && s->over >= 0) {
            p->leaves[s->over].node->value = NULL;
            wg_value_changed(x->values[i]);
        }
    }
}

static wg_status wait_for_turn(wg_engine *e, const wg_exec *x, int turn, wg_err *err) {
    const wg_turn *t = &x->plan->turns[turn];
    wg_status status = WG_OK;
    for (int i = 0; i < t->nwaits && status == WG_OK; i++) {
        status = wg_dev_wait(&e->dev, wg_queue_number(t->queue), x->plan->turns[t->wait[i]].event, err);
    }
    return status;
}

static wg_status end_turn(wg_engine *e, const wg_exec *x, int turn, wg_err *err) {
    const wg_turn *t = &x->plan->turns[turn];
    return t->event >= 0 ? wg_dev_mark(&e->dev, wg_queue_number(t->queue), t->event, err) : WG_OK;
}

/* The launch that begins at a step. The interpreter takes its steps one by one, and calls that a launch. */
static wg_status run_launch(wg_engine *e, const wg_exec *x, int step, const wg_problem *p, wg_err *err) {
    int n = x->plan->steps[step].bundle;
    if (n > 1 && !e->dev.limits->interprets) {
        bool chain = wg_step_leads_chain(&x->plan->steps[step]);
        return chain ? wg_chain_launch(e, x, step, p, err) : wg_bundle_launch(e, x, step, p, err);
    }
    wg_status status = WG_OK;
    for (int i = step; i < step + n && status == WG_OK; i++) {
        status = launch(e, x, i, p, err);
    }
    e->launches += e->dev.limits->interprets && status == WG_OK;
    return status;
}

static wg_status run_step(wg_engine *e, const wg_exec *x, int step, const wg_problem *p, wg_err *err) {
    if (!x->plan->turns) {
        return run_launch(e, x, step, p, err);
    }
    wg_status status = wait_for_turn(e, x, step + 1, err);
    status = status ? status : run_launch(e, x, step, p, err);
    return status ? status : end_turn(e, x, step + 1, err);
}

/* From the beginning of a plan to its end, which comes after all of it. Marks what is lost if something fails. */
static wg_status run_plan(wg_engine *e, wg_exec *x, const wg_problem *p, wg_err *err) {
    const wg_plan *plan = x->plan;
    wg_status status = plan->turns ? end_turn(e, x, 0, err) : WG_OK;
    for (int i = 0; i < plan->nsteps && status == WG_OK; i += plan->steps[i].bundle) {
        if (nothing_to_do(plan, i)) {
            continue;
        }
        if (e->log_kernel) {
            fprintf(stderr, "wengert: kernel %d/%d %s\n", i + 1, plan->nsteps, wg_launch_ops(&plan->steps[i]));
        }
        wg_err why = {0};
        uint64_t launches = e->launches;
        double began = wg_watch_now(&e->dev);
        status = run_step(e, x, i, p, &why);
        wg_watch_launched(e, x, i, e->launches - launches, began);
        if (status != WG_OK) {
            wg_err_set(err, status, "%s: %s", wg_launch_ops(&plan->steps[i]), wg_err_text(&why));
            wg_err_clear(&why);
            mark_lost(x, p, i);
        }
    }
    if (status == WG_OK && plan->turns) {
        status = wait_for_turn(e, x, plan->nsteps + 1, err);
        if (status != WG_OK) {
            mark_lost(x, p, plan->nsteps);
        }
    }
    wg_status ended = wg_dev_plan_end(&e->dev, status == WG_OK, err);
    if (status == WG_OK && ended != WG_OK) {
        mark_lost(x, p, plan->nsteps);
        status = ended;
    }
    if (status != WG_OK && plan->turns) {
        wg_dev_sync(&e->dev, NULL); /* what did start may run beside what comes next */
    }
    return status;
}

wg_status wg_exec_run(wg_engine *e, wg_exec *x, const wg_problem *p, wg_err *err) {
    double began = wg_watch_now(&e->dev);
    wg_status status = obtain(e, x, p, err);
    if (status == WG_OK) {
        locate(x);
        status = x->table_words && !e->dev.limits->interprets ? wg_bundle_bind(e, x, p, err) : WG_OK;
        bool whole = !e->dev.watch; /* who watches wants each launch by itself */
        status = status == WG_OK && whole ? wg_dev_plan_begin(&e->dev, &x->recording, err) : status;
    }
    if (status != WG_OK) {
        e->pool.wanted = (size_t)wg_plan_bytes(x->plan);
        release(e, x, true);
        return status;
    }
    wg_watch_span(&e->dev, WG_LANE_BIND, "bind", began);
    status = run_plan(e, x, p, err);
    if (status != WG_OK) {
        e->tickets_lost = true;
        release(e, x, true);
        return status;
    }
    wg_watch_ran(e, x);
    take_over(x, p);
    release(e, x, false);
    return WG_OK;
}
