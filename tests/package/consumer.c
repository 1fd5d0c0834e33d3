/* Compiles as C and as C++: d(x^2)/dx at 3. */
#include <stdio.h>
#include <string.h>
#include <wengert/wengert.h>

int main(void) {
    const float three = 3;
    double grad = 0;
    wg_ctx *ctx = wg_open(NULL);
    WG_SCOPE(ctx) {
        wg_tensor *x = wg_param(wg_from_f32(ctx, &three, WG_SHAPE(1)));
        wg_backward(wg_square(x));
        grad = wg_item(wg_grad(x));
    }
    if (wg_failed(ctx)) fprintf(stderr, "consumer: %s\n", wg_error(ctx));
    wg_close(ctx);
    if (strcmp(wg_version(), WG_VERSION_STRING) != 0 || grad != 6) {
        fprintf(stderr, "consumer: version %s, gradient %g instead of 6\n", wg_version(), grad);
        return 1;
    }
    puts("consumer: gradient 6");
    return 0;
}
