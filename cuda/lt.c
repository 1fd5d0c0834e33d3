/*
 * Products with an epilogue, by cuBLASLt, if WENGERT_CUBLASLT asks for it: it rounds once where separate kernels round each
 * step. Columns come first, as in cuBLAS: its A is our second factor, and a bias for each of our columns is one for each of
 * its rows.
 *
 * Descriptors and the algorithm of a shape are made when a plan is, so that nothing is allocated, and nothing asked, in a replay
 * or a capture. A shape that cuBLASLt refuses is remembered too; the plan is then made without that epilogue.
 */
#include "base/alloc.h"
#include "cuda/internal.h"

#include <string.h>

typedef struct wg_cuda_shape {
    wg_cuda_product product; /* with shape 0 */
    bool taken;
    wg_lt_operation operation;
    wg_lt_layout a, b, c; /* as cuBLASLt names them */
    wg_lt_algorithm algorithm;
} wg_cuda_shape;

bool wg_cuda_wants_lt(void) { return wg_cuda_flag("WENGERT_CUBLASLT", false); }

/* Before 12.1 products of 16-bit matrices whose rows have gaps came out wrong. */
static bool is_sound(const wg_device *dev) {
    int version = 0;
    return dev->blas->cublasGetVersion_v2(dev->blas_handle, &version) == 0 && version >= 120100;
}

void wg_cuda_open_lt(wg_device *dev) {
    const wg_lt_api *lt = dev->blas && wg_cuda_wants_lt() && is_sound(dev) ? wg_lt_load(NULL) : NULL;
    if (lt && lt->cublasLtCreate(&dev->lt_handle) == 0) {
        dev->lt = lt;
    }
}

/* ---- shapes ------------------------------------------------------------------------------------------------------------- */

static void destroy_layout(const wg_lt_api *lt, wg_lt_layout layout) {
    if (layout) {
        lt->cublasLtMatrixLayoutDestroy(layout);
    }
}

/* Leaves it as one that is refused. */
static void drop_shape(const wg_lt_api *lt, wg_cuda_shape *s) {
    if (s->operation) {
        lt->cublasLtMatmulDescDestroy(s->operation);
    }
    destroy_layout(lt, s->a);
    destroy_layout(lt, s->b);
    destroy_layout(lt, s->c);
    *s = (wg_cuda_shape){.product = s->product};
}

void wg_cuda_close_lt(wg_device *dev) {
    for (size_t i = 0; i < dev->nshapes; i++) {
        drop_shape(dev->lt, &dev->shapes[i]);
    }
    wg_mem_free(dev->shapes);
    if (dev->lt) {
        dev->lt->cublasLtDestroy(dev->lt_handle);
    }
    dev->shapes = NULL;
    dev->nshapes = dev->shape_cap = 0;
    dev->lt = NULL;
}

static uint32_t epilogue_of(const wg_cuda_product *p) {
    uint32_t e = (p->epilogue & WG_EPILOGUE_RELU ? WG_LT_EPILOGUE_RELU : 0) |
                 (p->epilogue & WG_EPILOGUE_GELU_TANH ? WG_LT_EPILOGUE_GELU : 0) |
                 (p->epilogue & WG_EPILOGUE_BIAS ? WG_LT_EPILOGUE_BIAS : 0) |
                 (p->epilogue & WG_EPILOGUE_GELU_INPUT ? WG_LT_EPILOGUE_AUX : 0) |
                 (p->epilogue & WG_EPILOGUE_GELU_GRAD ? WG_LT_EPILOGUE_GELU_GRAD : 0);
    return e ? e : WG_LT_EPILOGUE_DEFAULT;
}

static bool set(const wg_lt_api *lt, wg_lt_operation o, unsigned attribute, const void *value, size_t bytes) {
    return lt->cublasLtMatmulDescSetAttribute(o, attribute, value, bytes) == 0;
}

static bool make_operation(wg_device *dev, wg_cuda_shape *s) {
    const wg_lt_api *lt = dev->lt;
    const wg_cuda_product *p = &s->product;
    bool tf32 = dev->tf32 && p->type == WG_BLAS_R_32F;
    unsigned compute = tf32 ? WG_BLAS_COMPUTE_32F_FAST_TF32 : WG_BLAS_COMPUTE_32F;
    if (lt->cublasLtMatmulDescCreate(&s->operation, compute, WG_BLAS_R_32F) != 0) {
        s->operation = NULL;
        return false;
    }
    const int32_t a_op = (int32_t)p->b_op, b_op = (int32_t)p->a_op;
    const uint32_t epilogue = epilogue_of(p);
    const int64_t ld = p->n, stride = p->m * p->n;
    /* Nobody looks behind a pointer before the product runs, but it tells how bytes are aligned. */
    const void *somewhere = (const void *)(uintptr_t)p->aligned; // NOLINT(performance-no-int-to-ptr)
    bool done = set(lt, s->operation, WG_LT_TRANSPOSE_A, &a_op, sizeof a_op) &&
                set(lt, s->operation, WG_LT_TRANSPOSE_B, &b_op, sizeof b_op) &&
                set(lt, s->operation, WG_LT_EPILOGUE, &epilogue, sizeof epilogue);
    if (epilogue & WG_LT_EPILOGUE_BIAS) {
        done = done && set(lt, s->operation, WG_LT_BIAS_POINTER, &somewhere, sizeof somewhere);
    }
    if (epilogue & WG_LT_EPILOGUE_AUX) {
        done = done && set(lt, s->operation, WG_LT_AUX_POINTER, &somewhere, sizeof somewhere) &&
               set(lt, s->operation, WG_LT_AUX_LD, &ld, sizeof ld) &&
               set(lt, s->operation, WG_LT_AUX_BATCH_STRIDE, &stride, sizeof stride);
    }
    return done;
}

static bool make_layout(const wg_lt_api *lt, const wg_cuda_product *p, bool transposed, int64_t rows, int64_t cols,
                        int64_t ld, int64_t stride, wg_lt_layout *out) {
    const int32_t count = (int32_t)p->batch;
    uint64_t stored_rows = (uint64_t)(transposed ? cols : rows), stored_cols = (uint64_t)(transposed ? rows : cols);
    if (lt->cublasLtMatrixLayoutCreate(out, (unsigned)p->type, stored_rows, stored_cols, ld) != 0) {
        *out = NULL;
        return false;
    }
    return lt->cublasLtMatrixLayoutSetAttribute(*out, WG_LT_LAYOUT_BATCH_COUNT, &count, sizeof count) == 0 &&
           lt->cublasLtMatrixLayoutSetAttribute(*out, WG_LT_LAYOUT_BATCH_STRIDE, &stride, sizeof stride) == 0;
}

static bool prefer(const wg_lt_api *lt, wg_lt_preference wish, unsigned attribute, const void *value, size_t bytes) {
    return lt->cublasLtMatmulPreferenceSetAttribute(wish, attribute, value, bytes) == 0;
}

/* Its first choice; false if it has none. */
static bool choose(const wg_device *dev, wg_cuda_shape *s) {
    const wg_lt_api *lt = dev->lt;
    wg_lt_preference wish;
    size_t bytes;
    wg_cuda_workspace(dev, WG_QUEUE_MAIN, &bytes);
    const uint64_t most = bytes;
    /* What is added up in pieces stays f32 until the end. */
    const uint32_t schemes = s->product.type == WG_BLAS_R_32F ? WG_LT_REDUCTION_ANY : WG_LT_REDUCTION_IN_COMPUTE_TYPE;
    const uint32_t aligned = (uint32_t)s->product.aligned;
    wg_lt_found found;
    int n = 0;
    if (lt->cublasLtMatmulPreferenceCreate(&wish) != 0) {
        return false;
    }
    bool done = prefer(lt, wish, WG_LT_MOST_WORKSPACE, &most, sizeof most) &&
                prefer(lt, wish, WG_LT_REDUCTION_SCHEMES, &schemes, sizeof schemes);
    for (unsigned i = 0; i < 4; i++) {
        done = done && prefer(lt, wish, WG_LT_ALIGNMENT_A + i, &aligned, sizeof aligned);
    }
    done = done &&
           lt->cublasLtMatmulAlgoGetHeuristic(dev->lt_handle, s->operation, s->a, s->b, s->c, s->c, wish, 1, &found,
                                              &n) == 0 &&
           n > 0 && found.state == 0 && found.workspace <= bytes;
    lt->cublasLtMatmulPreferenceDestroy(wish);
    if (done) {
        s->algorithm = found.algorithm;
    }
    return done;
}

static bool make_shape(wg_device *dev, wg_cuda_shape *s) {
    const wg_lt_api *lt = dev->lt;
    const wg_cuda_product *p = &s->product;
    return make_operation(dev, s) &&
           make_layout(lt, p, p->b_op == WG_BLAS_OP_T, p->n, p->k, p->b_ld, p->b_batch, &s->a) &&
           make_layout(lt, p, p->a_op == WG_BLAS_OP_T, p->k, p->m, p->a_ld, p->a_batch, &s->b) &&
           make_layout(lt, p, false, p->n, p->m, p->n, p->m * p->n, &s->c) && choose(dev, s);
}

/* It takes a bias, and an input, that lie worse than for vectors to be loaded, but its kernels fail on some devices. */
static bool lies_well(const wg_cuda_product *p) {
    return p->aligned >= 16 || !(p->epilogue & (WG_EPILOGUE_BIAS | WG_EPILOGUE_GELU_INPUT | WG_EPILOGUE_GELU_GRAD));
}

bool wg_cuda_find_shape(wg_device *dev, wg_cuda_product *p) {
    p->shape = 0;
    if (!dev->lt || !lies_well(p)) {
        return false;
    }
    for (size_t i = 0; i < dev->nshapes; i++) {
        if (memcmp(&dev->shapes[i].product, p, sizeof *p) == 0) {
            p->shape = (int64_t)i;
            return dev->shapes[i].taken;
        }
    }
    if (wg_cuda_enter(dev, WG_ERR_LAUNCH, NULL) || !WG_RESERVE(dev->shapes, dev->nshapes, dev->shape_cap)) {
        return false;
    }
    wg_cuda_shape *s = &dev->shapes[dev->nshapes];
    *s = (wg_cuda_shape){.product = *p};
    s->taken = make_shape(dev, s);
    if (!s->taken) {
        drop_shape(dev->lt, s);
    }
    p->shape = (int64_t)dev->nshapes++;
    return s->taken;
}

/* ---- products ----------------------------------------------------------------------------------------------------------- */

static void *address(const wg_cuda_call *call, int operand) {
    return (void *)(uintptr_t)call->pointers[operand]; // NOLINT(performance-no-int-to-ptr)
}

wg_status wg_cuda_send_shape(wg_device *dev, const wg_cuda_call *call, wg_err *err) {
    const wg_cuda_product *p = call->params;
    const wg_cuda_shape *s = &dev->shapes[p->shape];
    const float one = 1, zero = 0;
    size_t bytes;
    void *workspace = wg_cuda_workspace(dev, call->queue, &bytes);
    void *c = address(call, WG_CUDA_C), *addend = address(call, WG_CUDA_ADDEND);
    const void *bias = address(call, WG_CUDA_BIAS), *input = address(call, WG_CUDA_INPUT);
    bool ready = (!bias || set(dev->lt, s->operation, WG_LT_BIAS_POINTER, &bias, sizeof bias)) &&
                 (!input || set(dev->lt, s->operation, WG_LT_AUX_POINTER, &input, sizeof input));
    if (!ready) {
        return wg_err_set(err, WG_ERR_LAUNCH, "cuBLASLt would not take a product's bias");
    }
    wg_blas_status code =
        dev->lt->cublasLtMatmul(dev->lt_handle, s->operation, &one, address(call, WG_CUDA_B), s->a,
                                address(call, WG_CUDA_A), s->b, addend ? &one : &zero, addend ? addend : c, s->c, c,
                                s->c, &s->algorithm, workspace, bytes, wg_cuda_stream(dev, call->queue));
    if (code == 0) {
        return WG_OK;
    }
    return wg_err_set(err, WG_ERR_LAUNCH, "cuBLASLt refused a product of [%lld,%lld] and [%lld,%lld]: status %u",
                      (long long)p->m, (long long)p->k, (long long)p->k, (long long)p->n, code);
}
