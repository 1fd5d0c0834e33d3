/*
 * Partition: which tasks share a kernel. Tasks are taken in record order; each joins the latest group that makes one of
 * its operands, if that group's loops allow it, or starts a group of its own. So groups run in the order of their numbers
 * and no cycle can arise.
 *
 * A map whose operands are all leaves (or come from early groups) floats: it is placed when a consumer is, and computed
 * inside that consumer's group (again in each, if it is cheap), so that constants, masks and scaled parameters cost no
 * kernel. A float that has to be read at other places than it is computed gets an early group of its own, before all
 * others. Maps of other values can be told to float too: they sink to their consumers, who compute them from what is
 * stored anyway. Which ones is found by sink.c.
 */
#ifndef WG_SCHEDULE_PARTITION_H
#define WG_SCHEDULE_PARTITION_H

#include "runtime/backend.h"
#include "schedule/kernel.h"
#include "schedule/problem.h"

typedef enum wg_group_kind { WG_GROUP_LOOP, WG_GROUP_MATMUL, WG_GROUP_SCATTER } wg_group_kind;

/* What a group does with a task. Long reductions are split: one group makes partial results of chunks of the first
 * reduced axis, a later one combines them. An operand that a reduction's loops cannot step through is copied first. A copy in another
 * order is stored so by the group that makes the operand: its elements are at hand there, but not in their own order. So is a
 * part of a join: see join.h. */
typedef enum wg_role {
    WG_ROLE_WHOLE,
    WG_ROLE_PARTIAL,
    WG_ROLE_FINAL,
    WG_ROLE_COPY,
    WG_ROLE_REORDERED,
    WG_ROLE_PART
} wg_role;

/* Whether an entry's value is at hand in its group, element by element. */
static inline bool wg_role_at_hand(wg_role r) { return r == WG_ROLE_WHOLE || r == WG_ROLE_FINAL; }

typedef struct wg_entry {
    int task;
    wg_role role;
    wg_level level;
    int part; /* WG_ROLE_PART: number among the partition's parts */
} wg_entry;

/* A part of a join: what it is, and where its elements belong in the joined bytes. */
typedef struct wg_join_part {
    int ref;        /* task, or leaf ~ref */
    int step;       /* the task of the join that takes it in */
    bool whole;     /* the step takes each element once: who makes them can store them */
    bool plus_zero; /* 0 is added to it: -0 becomes +0 */
    wg_view from;   /* how the step sees it */
    wg_view at;     /* where the elements of `from` lie */
    wg_view to;     /* where the elements lie that the group stores, in its order: those of `at`, or the part's own */
} wg_join_part;

typedef struct wg_joins wg_joins;

/* An operand of a product that is computed, map by map, where the product loads it. */
typedef struct wg_prologue {
    wg_view through; /* where it lies among the elements that its last map makes, batch dims as the product has them */
    bool across;     /* neighbours in memory are neighbours in the result, rather than along the sum */
    wg_entry *entries; /* its maps; none: the operand has bytes */
    size_t nentries, entry_cap;
} wg_prologue;

/* A product that came to a group from one of its own, and follows the first: see terms.h. */
typedef struct wg_addend {
    int task;
    wg_prologue operand[2];
} wg_addend;

typedef struct wg_group {
    wg_group_kind kind;
    bool early;
    bool apart;       /* its reduction may go behind a product: no other joins it */
    wg_shape space;   /* the loops: every ELEM task has as many elements, in the same row-major order */
    uint32_t reduced; /* bit mask of space's dims */
    int64_t chunk;    /* > 0: partial reductions, chunks of this length along the first reduced run */
    wg_entry *entries;
    size_t nentries, entry_cap;
    wg_view *reads; /* every read of other groups' results or leaves, over space */
    size_t nreads, read_cap;
    int cost;
    wg_prologue operand[2]; /* of a product */
    wg_addend *more;        /* and of those that are computed behind it */
    size_t nmore, more_cap;
    int64_t gain;    /* bytes that they save by it */
    int more_params; /* their own, of the kernel's */
} wg_group;

typedef struct wg_place {
    int group;         /* where its value is computed; -1 while it floats (or is computed in several) */
    int partial_group; /* split reductions */
    int copy_group;    /* reductions whose operand is copied first */
    int copy;          /* reductions: the task whose bytes are a copy of the operand, -1 */
    int64_t walked;    /* the rows of it as a matrix that a product walks down; 0: none does */
    int recent;        /* the group that took it in last */
    int reader;        /* the loop group that read its bytes last, -1 */
    int cost;          /* instructions of its own */
    int closure;       /* and with those of floating operands */
    bool sunk;         /* floats though it is made of values that groups store; of a product: takes rows in */
    bool anywhere;     /* the same value for every element: no memory, no coordinates */
    bool coords;       /* it, or a float it needs, is made of coordinates */
    bool stored;       /* its bytes are written: another group reads it, or it is kept */
    bool rows_wanted;  /* of a product: a reduction over its rows could join it, if it were told to take rows in */
} wg_place;

/* Which products that are added up come together: all that save bytes by it, or those whose operands take no more bytes
 * meanwhile than the result would. */
typedef enum wg_terms { WG_TERMS_NONE, WG_TERMS_IN_PLACE, WG_TERMS_ALL } wg_terms;

typedef struct wg_partition {
    const wg_problem *problem;
    wg_place *places;      /* one for each task */
    int *leaf_recent;      /* one for each leaf: the last loop group that reads it */
    const bool *sink;      /* one for each task: a map is to float, a product to take rows in; NULL for none */
    const wg_joins *joins; /* which are stored by parts; NULL: none */
    wg_join_part *parts;   /* of those */
    size_t nparts, part_cap;
    int *readers;     /* one for each task: how many operands it is */
    int *last_reader; /* one for each task, then for each leaf: the last task that reads it, -1 */
    wg_terms terms;
    size_t nmoved; /* products that came to others */
    wg_group *groups;
    size_t ngroups, group_cap;
    int limit; /* instructions of a kernel; 0: one op each */
    wg_form form;
    const wg_limits *limits;
    bool failed; /* out of memory */
} wg_partition;

/* limit: instructions of a kernel, 0 for a kernel for each op. limits: of a device with a library, which computes products of
 * floats: nothing joins them but what it can do. sink: which maps sink to their consumers, and which products take rows in (rows.h),
 * a flag for each task, or NULL. joins:
 * which of them are stored by parts, or NULL. False when there is no memory. The result is freed either way by
 * wg_partition_free. */
bool wg_partition_make(const wg_problem *p, int limit, wg_form form, const wg_limits *limits, const bool *sink,
                       const wg_joins *joins, wg_terms terms, wg_partition *out);
void wg_partition_free(wg_partition *p);

/* Numbers the groups in the order they run: early ones first. order[i] is a group number. Returns how many there are: those
 * that gave all they had to others are left out. */
int wg_partition_order(const wg_partition *p, int *order);

/* Gives a float bytes of its own, where its operands are made if it fits there. */
void wg_partition_give_bytes(wg_partition *p, int task);

/* A dry run of an op's expression: its cost, and whether it uses coordinates. In lower.c. */
void wg_probe(const wg_node *n, int *cost, bool *coords);

#endif
