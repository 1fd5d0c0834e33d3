/* Moving steps of a plan together, while nothing comes before what it needs, memory grows by no page of 4 KiB, and nothing that
 * was updated in place gets new bytes. For sums.c, bundle.c and chain.c. */
#ifndef WG_SCHEDULE_MOVER_H
#define WG_SCHEDULE_MOVER_H

#include "schedule/share.h"

typedef struct wg_mover {
    wg_plan *plan;
    const wg_partition *part;
    const wg_limits *limits;
    wg_form form;
    int64_t pages;      /* of memory that the plan takes as it stands */
    int64_t kept;       /* bytes of values that stay: what is written over its own bytes goes on to be */
    int *writer;        /* by slot: the step that writes it last, -1 */
    int *made, *needed; /* by slot: the last round of marking in which it was written behind, needed before */
    int behind_round, before_round;
    bool *behind, *before; /* by step: needs the launch that grows; is needed by what joins it */
    wg_step *was;          /* the steps before a move */
    int64_t budget;        /* steps that may still be looked at: plans can be very long */
    int tickets;
} wg_mover;

/* Marks which of the steps `from` to `last` need the launch of `count` steps at `first`; those before `from` are marked. */
void wg_mover_mark_behind(wg_mover *m, int first, int count, int from, int last);
/* Marks which steps from `first` on those of the launch at j need. */
void wg_mover_mark_before(wg_mover *m, int first, int j);
/* Brings the launch at j into that of `count` steps at `first`, both marked, with the steps between them before or after. 1:
 * done, *first is where it begins now; 0: it would cost memory, and all is as before; -1: no memory. */
int wg_mover_join(wg_mover *m, int *first, int count, int j);

/* The same, one way: the steps between them come as early as they can, or (late) as few of them behind it as can be. */
int wg_mover_try(wg_mover *m, int *first, int count, int j, bool late);
/* After the steps of a launch have changed places. */
void wg_mover_renew(wg_mover *m);

/* Puts sums behind products, makes all bundles, all chains. False when there is no memory. */
bool wg_sums_all(wg_mover *m);
bool wg_bundle_all(wg_mover *m);
bool wg_chain_all(wg_mover *m);

#endif
