/* label: unit */
/* timeout: 60 */
/*
 * After fork() a child's calls on the context it inherited give WG_ERR_FORK, from every kind of call, and wg_close works; a
 * context of its own works too, and the parent's goes on.
 */
#define _POSIX_C_SOURCE 200809L
#include "harness/check.h"

#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

/* The number of the first call that did not answer WG_ERR_FORK, or 0. */
static int try_all(wg_ctx *ctx, wg_tensor *a, wg_tensor *unrun, wg_optim *o) {
    float buf[2];
    wg_tensor *g = NULL;
    int call = 0;
#define ANSWERS(bad)                                                                                                   \
    do {                                                                                                               \
        call++;                                                                                                        \
        if ((bad) || wg_error_status(ctx) != WG_ERR_FORK) {                                                            \
            return call;                                                                                               \
        }                                                                                                              \
    } while (0)
    ANSWERS(wg_eval(&unrun, 1) != WG_ERR_FORK);                             /* 1 */
    ANSWERS(wg_read(a, buf, sizeof buf) != WG_ERR_FORK);                    /* 2 */
    ANSWERS(!isnan(wg_item(unrun)));                                        /* 3 */
    ANSWERS(wg_data(a) != NULL);                                            /* 4 */
    ANSWERS(wg_add(a, a) != NULL);                                          /* 5 */
    ANSWERS(wg_zeros(ctx, WG_F32, WG_SHAPE(2)) != NULL);                    /* 6 */
    ANSWERS(wg_from_f32(ctx, buf, WG_SHAPE(2)) != NULL);                    /* 7 */
    ANSWERS(wg_backward(unrun) != WG_ERR_FORK);                             /* 8 */
    ANSWERS(wg_gradients(&unrun, 1, &a, 1, &g, NULL) != WG_ERR_FORK);       /* 9 */
    ANSWERS(wg_grad(a) != NULL);                                            /* 10 */
    ANSWERS(wg_assign(a, a) != WG_ERR_FORK);                                /* 11 */
    ANSWERS(wg_write(a, buf, sizeof buf) != WG_ERR_FORK);                   /* 12 */
    ANSWERS(wg_data_mut(a) != NULL);                                        /* 13 */
    ANSWERS(wg_synchronize(ctx) != WG_ERR_FORK);                            /* 14 */
    ANSWERS(wg_optim_step(o) != WG_ERR_FORK);                               /* 15 */
    ANSWERS(wg_scope_end(ctx, wg_scope_begin(ctx)) != WG_ERR_FORK);         /* 16 */
    ANSWERS(wg_print(a, stderr) != WG_ERR_FORK);                            /* 17 */
    ANSWERS(wg_error_take(ctx, NULL, 0) != WG_ERR_FORK || !wg_failed(ctx)); /* 18: it stays unusable */
    wg_free(unrun);
    wg_optim_free(o);
    wg_close(ctx);
    wg_ctx *own = wg_open("host");
    wg_tensor *t = wg_add_scalar(wg_ones(own, WG_F32, WG_SHAPE()), 1);
    if (wg_item(t) != 2 || wg_close(own) != WG_OK) {
        return 19;
    }
    return 0;
}

Test(fork, an_inherited_context_refuses) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *a = wg_param(wg_from_f32(ctx, (float[]){1, 2}, WG_SHAPE(2)));
    wg_optim *o = wg_sgd_new(&a, 1, NULL);
    EXPECT_VALUES(wg_exp(wg_mul_scalar(a, 0)), 1, 1); /* the device has run something */
    wg_tensor *unrun = wg_sum(wg_square(a), NULL, 0, false);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        alarm(20); /* a child that hangs is killed */
        _exit(try_all(ctx, a, unrun, o));
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFEXITED(status), "the child was ended by signal %d", WTERMSIG(status));
    cr_expect(!WIFEXITED(status) || WEXITSTATUS(status) == 0, "call %d in the child did not answer as it should",
              WEXITSTATUS(status));
    cr_expect_eq(wg_item(unrun), 5);
    wg_optim_free(o);
    close_ok(ctx);
}
