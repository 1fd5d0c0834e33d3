/*
 * Linear regression by hand-written gradient descent, the first lesson of "PyTorch: zero to all": find w such that
 * w * x = y. Prints what the PyTorch program prints, digit for digit.
 */
#include "pyfloat.h"

#include <stdio.h>
#include <wengert/wengert.h>

static wg_tensor *w;

static wg_tensor *forward(double x) { return wg_mul_scalar(w, x); }

static wg_tensor *loss_of(double x, double y) { return wg_square(wg_sub_scalar(forward(x), y)); }

int main(void) {
    const double xs[] = {1, 2, 3}, ys[] = {2, 4, 6};
    wg_ctx *ctx = wg_open(NULL); /* $WENGERT_DEVICE, or the best device found */
    w = wg_param(wg_from_f32(ctx, (float[]){1}, WG_SHAPE(1)));

    printf("predict (before training) 4 %s\n", py_repr(wg_item(forward(4))).text);

    for (int epoch = 0; epoch < 100 && !wg_failed(ctx); epoch++) {
        double last = 0;
        for (int i = 0; i < 3; i++) {
            WG_SCOPE(ctx) { /* what is made inside dies here */
                wg_tensor *loss = loss_of(xs[i], ys[i]);
                wg_backward(loss);
                wg_tensor *grad = wg_grad(w);
                printf("\tgrad: %s %s %s\n", py_repr(xs[i]).text, py_repr(ys[i]).text, py_repr(wg_item(grad)).text);
                wg_assign(w, wg_sub(w, wg_mul_scalar(grad, 0.01)));
                wg_zero_grad(w);
                last = wg_item(loss);
            }
        }
        printf("progress: %d %s\n", epoch, py_repr(last).text);
    }

    printf("predict (after training) 4 %s\n", py_repr(wg_item(forward(4))).text);

    if (wg_failed(ctx)) fprintf(stderr, "tutorial: %s\n", wg_error(ctx));
    return wg_close(ctx); /* the first error, or WG_OK */
}
