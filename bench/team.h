/*
 * One thread for each core, which do a job together.
 */
#ifndef WENGERT_BENCH_TEAM_H
#define WENGERT_BENCH_TEAM_H

typedef struct team team;

/* NULL when there are no threads to be had. */
team *team_new(void);
int team_size(const team *t);
/* Calls job(user) on every thread, the caller's too, and waits for them. */
void team_run(team *t, void (*job)(void *user), void *user);
void team_free(team *t);

#endif
