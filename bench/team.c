/* Threads that wait at a barrier between jobs. */
#include "team.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

struct team {
    int size;
    pthread_barrier_t gate; /* passed when a job starts, and when it is done */
    void (*job)(void *user);
    void *user;
    bool leave;
    struct worker {
        team *team;
        pthread_t thread;
    } workers[];
};

static void *work(void *user) {
    struct worker *w = user;
    team *t = w->team;
    for (;;) {
        pthread_barrier_wait(&t->gate);
        if (t->leave) {
            return NULL;
        }
        t->job(t->user);
        pthread_barrier_wait(&t->gate);
    }
}

team *team_new(void) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int size = cores > 0 ? (int)cores : 1;
    team *t = calloc(1, sizeof *t + (size_t)size * sizeof t->workers[0]);
    if (!t || pthread_barrier_init(&t->gate, NULL, (unsigned)size)) {
        free(t);
        return NULL;
    }
    t->size = size;
    for (int i = 1; i < size; i++) { /* the caller is the first */
        t->workers[i].team = t;
        if (pthread_create(&t->workers[i].thread, NULL, work, &t->workers[i])) {
            return NULL; /* those that run wait at the barrier for good */
        }
    }
    return t;
}

int team_size(const team *t) { return t->size; }

void team_run(team *t, void (*job)(void *user), void *user) {
    t->job = job;
    t->user = user;
    pthread_barrier_wait(&t->gate);
    job(user);
    pthread_barrier_wait(&t->gate);
}

void team_free(team *t) {
    if (!t) {
        return;
    }
    t->leave = true;
    pthread_barrier_wait(&t->gate);
    for (int i = 1; i < t->size; i++) {
        pthread_join(t->workers[i].thread, NULL);
    }
    pthread_barrier_destroy(&t->gate);
    free(t);
}
