/* Fibers: see fibers.h. Nothing here is instrumented: what the scheduler shares is not the kernel's business. */
#include "fibers.h"

#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#ifdef __SANITIZE_THREAD__
void *__tsan_create_fiber(unsigned flags);
void *__tsan_get_current_fiber(void);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
void __tsan_acquire(void *at);
void __tsan_release(void *at);
#else
static void *__tsan_create_fiber(unsigned flags) { return (void *)(uintptr_t)(flags & 0); }
static void *__tsan_get_current_fiber(void) { return NULL; }
static void __tsan_switch_to_fiber(void *fiber, unsigned flags) { (void)fiber, (void)flags; }
static void __tsan_acquire(void *at) { (void)at; }
static void __tsan_release(void *at) { (void)at; }
#endif
#define UNWATCHED __attribute__((no_sanitize("thread")))

enum { STACK = 256 << 10, NO_ORDER = 1 /* a switch between fibers orders nothing */ };

typedef struct fiber {
    ucontext_t context;
    void *stack, *tsan;
    fiber_place place;
    const char *waits_at;
    int barriers; /* come to in this group */
    bool done;
} fiber;

/* Those who come wait for the last; what was done before is seen by all after. */
typedef struct meeting {
    unsigned here, generation;
    char token[2];
} meeting;

fiber_place fiber_thread, fiber_block, fiber_block_size, fiber_grid_size;

static fiber fibers[FIBERS_MOST];
static meeting of_group, of_warp[FIBERS_MOST / FIBERS_WARP];
static uint64_t slots[FIBERS_MOST];
static unsigned current, items, alive, progress;
static char start_token, end_token;
static int dropped = -1;
static ucontext_t scheduler;
static void *scheduler_tsan;

static fiber_kernel running;
static void *const *running_buffers;
static const void *running_params;

UNWATCHED static void leave(void) {
    fiber *me = &fibers[current];
    __tsan_switch_to_fiber(scheduler_tsan, NO_ORDER);
    swapcontext(&me->context, &scheduler);
    fiber_thread = me->place;
}

UNWATCHED static void meet(meeting *m, unsigned all, const char *where) {
    unsigned generation = m->generation;
    __tsan_release(&m->token[generation & 1]);
    progress++;
    if (++m->here == all) {
        m->here = 0;
        m->generation++;
    } else {
        fibers[current].waits_at = where;
        while (m->generation == generation) {
            leave();
        }
        fibers[current].waits_at = NULL;
    }
    __tsan_acquire(&m->token[generation & 1]);
}

UNWATCHED void fiber_barrier(void) {
    if (fibers[current].barriers++ != dropped) {
        meet(&of_group, items, "a barrier");
    }
}

void fibers_drop_barrier(int which) { dropped = which; }

UNWATCHED unsigned fiber_lane(void) { return current % FIBERS_WARP; }

UNWATCHED uint64_t fiber_exchange(uint64_t value, unsigned from) {
    unsigned first = current / FIBERS_WARP * FIBERS_WARP;
    slots[current] = value;
    meet(&of_warp[current / FIBERS_WARP], FIBERS_WARP, "a shuffle");
    uint64_t got = slots[first + from % FIBERS_WARP];
    meet(&of_warp[current / FIBERS_WARP], FIBERS_WARP, "a shuffle");
    return got;
}

UNWATCHED static void body(void) {
    fiber *me = &fibers[current];
    for (;;) {
        __tsan_acquire(&start_token);
        running(running_buffers, running_params);
        __tsan_release(&end_token);
        me->done = true;
        alive--;
        progress++;
        while (me->done) {
            leave();
        }
    }
}

UNWATCHED static bool make_fiber(fiber *f, unsigned number) {
    f->stack = malloc(STACK);
    f->tsan = __tsan_create_fiber(0);
    if (!f->stack || getcontext(&f->context) != 0) {
        return false;
    }
    f->context.uc_stack.ss_sp = f->stack;
    f->context.uc_stack.ss_size = STACK;
    f->place = (fiber_place){.x = number};
    f->done = true;
    makecontext(&f->context, body, 0);
    return true;
}

/* Fibers stay for later launches. */
UNWATCHED static bool make_fibers(unsigned n) {
    bool good = true;
    for (unsigned i = 0; i < n && good; i++) {
        good = fibers[i].stack || make_fiber(&fibers[i], i);
    }
    return good;
}

UNWATCHED static void resume(unsigned i) {
    current = i;
    fiber_thread = fibers[i].place;
    __tsan_switch_to_fiber(fibers[i].tsan, NO_ORDER);
    swapcontext(&scheduler, &fibers[i].context);
}

/* Odd groups go through their items backwards, so that a lack of order shows in results too. */
UNWATCHED static bool run_group(const char *name, uint32_t group) {
    fiber_block = (fiber_place){.x = group};
    for (unsigned i = 0; i < items; i++) {
        fibers[i].done = false;
        fibers[i].barriers = 0;
    }
    alive = items;
    while (alive > 0) {
        unsigned before = progress;
        for (unsigned i = 0; i < items; i++) {
            unsigned item = group % 2 ? items - 1 - i : i;
            if (!fibers[item].done) {
                resume(item);
            }
        }
        if (progress == before) {
            fprintf(stderr, "%s, group %u: %u of %u work-items wait for the others", name, group, alive, items);
            for (unsigned i = 0; i < items; i++) {
                if (!fibers[i].done) {
                    fprintf(stderr, " (item %u at %s)\n", i, fibers[i].waits_at);
                    break;
                }
            }
            return false;
        }
    }
    return true;
}

UNWATCHED bool fibers_run(const char *name, fiber_kernel kernel, uint32_t groups, uint32_t n, void *const *buffers,
                          const void *params) {
    scheduler_tsan = __tsan_get_current_fiber();
    if (n > FIBERS_MOST || !make_fibers(n)) {
        fprintf(stderr, "%s: no fibers for %u work-items\n", name, n);
        return false;
    }
    items = n;
    running = kernel;
    running_buffers = buffers;
    running_params = params;
    fiber_block_size = (fiber_place){n, 1, 1};
    fiber_grid_size = (fiber_place){groups, 1, 1};
    bool good = true;
    for (uint32_t g = 0; g < groups && good; g++) {
        __tsan_release(&start_token);
        good = run_group(name, g);
        __tsan_acquire(&end_token);
    }
    return good;
}
