/* Which joins are stored by parts: all that can be are tried at first, then those are taken back that do not pay. */
#include "base/alloc.h"
#include "schedule/join.h"

enum { BUDGET = 1 << 18 }; /* tasks planned for choosing */

/* Marks the joins some part of which could be stored in place, the outermost ones. Returns how many. */
static int find_candidates(const wg_problem *p, wg_joins *j) {
    wg_join join;
    int n = 0;
    for (size_t i = p->ntasks; i-- > 0;) {
        bool some = false;
        if (!j->joins[i] || j->root[i] || !wg_join_describe(p, j, (int)i, NULL, &join)) {
            continue;
        }
        for (int k = 0; k < join.nparts; k++) {
            some = some || wg_join_may_store(p, &join.part[k]);
        }
        if (some) {
            wg_join_describe(p, j, (int)i, j->root, &join);
            j->chosen[i] = true;
            n++;
        }
    }
    return n;
}

/* Goes over to the plan with the joins chosen now if it costs no more than `most`; *plan is the one so far, or NULL. */
static bool adopt(wg_planner *how, const bool *sink, wg_plan **plan, int64_t most) {
    wg_partition part;
    wg_plan *next = how->make(how, sink, &part);
    wg_partition_free(&part);
    bool better = next && wg_plan_price(next) <= most;
    wg_plan_free(better ? *plan : next);
    *plan = better ? next : *plan;
    return better;
}

/* Takes back, one by one, what does not pay. */
static void take_back(wg_planner *how, const bool *sink, wg_plan **plan, wg_joins *j) {
    for (size_t i = 0; i < how->problem->ntasks; i++) {
        if (j->chosen[i]) {
            j->chosen[i] = false;
            j->chosen[i] = !adopt(how, sink, plan, wg_plan_price(*plan));
        }
    }
}

wg_plan *wg_plan_join(wg_planner *how, wg_plan *plan, const bool *sink, wg_joins *j) {
    size_t candidates = (size_t)find_candidates(how->problem, j);
    wg_plan *joined = NULL;
    how->joins = j;
    if (candidates > 0 && adopt(how, sink, &joined, INT64_MAX) && candidates * how->problem->ntasks <= BUDGET) {
        take_back(how, sink, &joined, j);
    }
    bool better = joined && wg_plan_price(joined) < wg_plan_price(plan);
    how->joins = better ? j : NULL;
    wg_plan_free(better ? plan : joined);
    return better ? joined : plan;
}
