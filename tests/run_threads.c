/* label: ops */
/* timeout: 300 */
/*
 * Contexts share nothing: threads that each train on a context of their own do not disturb one another, and learn the
 * same to the bit.
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <wengert/wengert.h>

enum { THREADS = 4, STEPS = 50 };

typedef struct worker {
    pthread_t thread;
    const char *device;
    double w;
    wg_status status;
    char error[300];
} worker;

static void *train(void *arg) {
    worker *me = arg;
    wg_ctx *ctx = wg_open(me->device);
    wg_tensor *w = wg_param(wg_from_f32(ctx, (float[]){1, -1, 0.5f}, WG_SHAPE(3)));
    for (int step = 0; step < STEPS; step++) {
        WG_SCOPE(ctx) {
            wg_backward(wg_mean(wg_square(wg_sub_scalar(wg_mul_scalar(w, 3), step % 7)), NULL, 0, false));
            wg_assign(w, wg_sub(w, wg_mul_scalar(wg_grad(w), 0.01)));
            wg_zero_grad(w);
        }
    }
    me->w = wg_item(wg_sum(w, NULL, 0, false));
    me->status = wg_error_take(ctx, me->error, sizeof me->error);
    wg_close(ctx);
    return NULL;
}

int main(void) {
    static const char *const devices[] = {"host", NULL}; /* NULL: what $WENGERT_DEVICE says, or the best found */
    int failed = 0;
    for (int d = 0; d < 2; d++) {
        worker workers[THREADS] = {0};
        for (int i = 0; i < THREADS; i++) {
            workers[i].device = devices[d];
            if (pthread_create(&workers[i].thread, NULL, train, &workers[i]) != 0) return 1;
        }
        for (int i = 0; i < THREADS; i++) {
            worker *me = &workers[i];
            pthread_join(me->thread, NULL);
            if (me->status != WG_OK || isnan(me->w) || me->w != workers[0].w) {
                printf("%s: thread %d: %.9g, thread 0: %.9g; %s\n", me->device ? me->device : "default", i, me->w,
                       workers[0].w, me->error);
                failed = 1;
            }
        }
    }
    return failed;
}
