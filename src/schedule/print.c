/* A plan as text, for people: what runs in which order, where values lie, and what is written over what. */
#include "schedule/plan.h"

#include "schedule/memory.h"
#include "tensor/dtype.h"

#include <inttypes.h>

static void print_sizes(const wg_lowered *l, const int *param, int n, wg_str *out) {
    for (int i = 0; i < n; i++) {
        wg_str_addf(out, i ? "x%" PRId64 : "%" PRId64, l->params[param[i]].value);
    }
}

/* Of the sums of product t. */
static int64_t length_of(const wg_step *s, int t) { return t ? s->l.more[t - 1].product.k : s->product.k; }

void wg_step_print_loops(const wg_step *s, wg_str *out) {
    static const char *const mode[] = {[WG_LOOP_MAP] = "map", [WG_LOOP_ROWS] = "rows", [WG_LOOP_COLUMNS] = "columns"};
    const wg_loop *loop = &s->l.loop;
    if (s->kind == WG_GROUP_SCATTER) {
        wg_str_addf(out, "scatter");
        return;
    }
    if (s->kind == WG_GROUP_MATMUL) {
        const wg_product *m = &s->product;
        wg_str_add(out, "matmul ");
        for (int i = 0; i < m->rank; i++) {
            wg_str_addf(out, i + 1 < m->rank ? "%" PRId64 "x" : "%" PRId64 " of ", m->batch[i]);
        }
        wg_str_addf(out, "%" PRId64 "x", m->m);
        for (int t = 0, same = 0; t <= s->l.nmore; t += same) { /* 64x8*32+16x64: eight sums of 32 and one of 16 */
            int64_t k = length_of(s, t);
            for (same = 1; t + same <= s->l.nmore && length_of(s, t + same) == k; same++) {
            }
            wg_str_add(out, t ? "+" : "");
            wg_str_addf(out, same > 1 ? "%d*" : "", same);
            wg_str_addf(out, "%" PRId64, k);
        }
        wg_str_addf(out, "x%" PRId64 "%s", m->n, loop->mode == WG_LOOP_ROWS ? ", then rows" : "");
        return;
    }
    wg_str_addf(out, "%s ", mode[loop->mode]);
    print_sizes(&s->l, loop->kept_size, loop->nkept, out);
    if (loop->nreduced > 0) {
        wg_str_add(out, loop->nkept ? " of " : "");
        print_sizes(&s->l, loop->reduced_size, loop->nreduced, out);
    }
}

/* A leaf is a letter x, a value that stays k, a temporary t with its place in the arena, each with its number. */
static void print_slot(const wg_plan *plan, int slot, wg_str *out) {
    const wg_slot *s = &plan->slots[slot];
    int64_t bytes = s->elems * (int64_t)wg_dtype_size((wg_dtype)s->dtype);
    int task = slot - plan->nleaves;
    if (s->kind == WG_SLOT_LEAF) {
        wg_str_addf(out, " x%d", slot);
    } else if (s->kind == WG_SLOT_KEPT) {
        wg_str_addf(out, " k%d", task);
        wg_str_addf(out, s->over >= 0 ? "=x%d" : "", s->over);
    } else if (s->kind == WG_SLOT_SCRATCH) {
        wg_str_add(out, " scratch");
    } else if (slot == plan->trap_slot) {
        wg_str_add(out, " trap");
    } else {
        wg_str_addf(out, " t%d[", task);
        wg_str_addf(out, s->arena > 0 ? "%d:" : "", s->arena);
        wg_str_addf(out, "%" PRId64 "+%" PRId64 "]", s->at, bytes);
    }
}

static int queues_of(const wg_plan *plan) {
    int most = 0;
    for (int i = 0; plan->turns && i < plan->nsteps; i++) {
        most = plan->turns[i + 1].queue > most ? plan->turns[i + 1].queue : most;
    }
    return most + 1;
}

/* The number of a turn's launch, from 1; 0 for the beginning. */
static int launch_number(const wg_plan *plan, int turn) {
    int n = 0;
    for (int i = 0; i < turn; i += plan->steps[i].bundle) {
        n++;
    }
    return n;
}

static void print_waits(const wg_plan *plan, const wg_turn *t, wg_str *out) {
    for (int i = 0; i < t->nwaits; i++) {
        wg_str_addf(out, i == 0 ? " after %d" : ", %d", launch_number(plan, t->wait[i]));
    }
}

void wg_plan_print(const wg_plan *plan, wg_str *out) {
    wg_str_addf(out, "%d launches", plan->nlaunches);
    wg_str_addf(out, plan->turns ? " on %d queues" : "", queues_of(plan));
    wg_str_addf(out, ", %" PRId64 " bytes: %" PRId64 " kept", wg_plan_bytes(plan), plan->kept_bytes);
    for (int i = 0; i < plan->narenas; i++) {
        wg_str_addf(out, ", arena %" PRId64, plan->arenas[i]);
    }
    wg_str_add(out, "\n");
    int launch = 0;
    for (int i = 0; i < plan->nsteps; i++) {
        const wg_step *s = &plan->steps[i];
        if (s->bundle > 0) {
            wg_str_addf(out, "%3d ", ++launch);
            if (plan->turns) {
                wg_str_addf(out, "queue %d", plan->turns[i + 1].queue);
                print_waits(plan, &plan->turns[i + 1], out);
                wg_str_add(out, ": ");
            }
        } else {
            wg_str_add(out, s->part == WG_PART_ALIKE ? "  + " : s->part == WG_PART_SUM ? "  & " : "  > ");
        }
        wg_step_print_loops(s, out);
        wg_str_addf(out, ": %s\n     ", s->ops);
        for (int written = 0; written < 2; written++) {
            wg_str_add(out, written ? " ->" : "");
            for (int b = 0; b < s->l.nbuffers; b++) {
                if (s->l.buffers[b].written == (bool)written) {
                    wg_str_add(out, s->l.buffers[b].part > 0 ? " part of" : "");
                    print_slot(plan, s->l.buffers[b].slot, out);
                }
            }
        }
        wg_str_add(out, "\n");
    }
    if (plan->turns) {
        wg_str_add(out, "    end");
        print_waits(plan, &plan->turns[plan->nsteps + 1], out);
        wg_str_add(out, "\n");
    }
}
