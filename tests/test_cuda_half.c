/* label: cuda-double
 *
 * Products of 16-bit floats on CUDA: cuBLAS computes them, with sums in f32, and on the double, whose sums go as ours do, they have
 * the bits of our own kernel and of the interpreter.
 */
#include "cuda_on_double.h"

enum { M = 9, K = 300, N = 7, ALL = 2 * M * N };

/* A product of matrices, and a batch of two, one operand transposed; with what is fused where nothing is apart. */
static void products(const char *device, wg_dtype t, uint16_t *out, unsigned long *calls) {
    wg_ctx *ctx = wg_open(device);
    unsigned long before = cu.cuda_double_calls("cublasGemmStridedBatchedEx");
    rng r = rng_seed("products", t);
    wg_tensor *a = input_make(ctx, t, WG_SHAPE(2, M, K), LAY_CONTIGUOUS, DOM_ANY, &r).t;
    wg_tensor *b = input_make(ctx, t, WG_SHAPE(K, N), LAY_CONTIGUOUS, DOM_ANY, &r).t;
    wg_tensor *c = input_make(ctx, t, WG_SHAPE(2, K, N), LAY_TRANSPOSED, DOM_ANY, &r).t;
    wg_tensor *flat = wg_matmul(a, b), *batch = wg_relu(wg_matmul(a, c));
    cr_assert(wg_read(flat, out, ALL * sizeof *out) == WG_OK && wg_read(batch, out + ALL, ALL * sizeof *out) == WG_OK,
              "%s", wg_error(ctx));
    *calls = cu.cuda_double_calls("cublasGemmStridedBatchedEx") - before;
    close_ok(ctx);
}

Test(cuda_half, products_go_to_cublas) {
    static const wg_dtype halves[] = {WG_F16, WG_BF16};
    load_double();
    for (int k = 0; k < 2; k++) {
        uint16_t library[2 * ALL], ours[2 * ALL], host[2 * ALL];
        unsigned long calls;
        products("cuda:0", halves[k], library, &calls);
        cr_expect_eq(calls, 2, "%s: %lu calls", wg_dtype_name(halves[k]), calls);
        setenv("WENGERT_CUBLAS", "0", 1);
        products("cuda:0", halves[k], ours, &calls);
        unsetenv("WENGERT_CUBLAS");
        cr_expect_eq(calls, 0);
        products("host", halves[k], host, &calls);
        expect_same_bits(library, host, halves[k], 2 * ALL, "cuBLAS");
        expect_same_bits(ours, host, halves[k], 2 * ALL, "our kernel");
    }
}
