/* Matrix products by cuBLAS. It counts columns first: what it is given are the transposes, C' = B' A'. */
#include "cuda/internal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What NVIDIA recommends from compute capability 9.0 on; before, 4 MiB. Our own, as cuBLAS must not allocate while its
 * launches are captured. */
static size_t workspace_bytes(const wg_device *dev) { return (size_t)(dev->target.arch >= 90 ? 32 : 4) << 20; }

bool wg_cuda_flag(const char *name, bool otherwise) {
    const char *value = getenv(name);
    return value && *value ? strcmp(value, "0") != 0 : otherwise;
}

bool wg_cuda_wants_blas(void) { return wg_cuda_flag("WENGERT_CUBLAS", true); }

/* Products of two queues run side by side. */
void *wg_cuda_workspace(const wg_device *dev, wg_queue queue, size_t *bytes) {
    uint64_t part = queue == WG_QUEUE_MAIN ? 0 : (uint64_t)queue - WG_QUEUE_BESIDE + 1;
    *bytes = workspace_bytes(dev);
    return (void *)(uintptr_t)(dev->workspace + part * *bytes);
}

/* From here on products go to this queue, and use its part of the workspace. */
static wg_blas_status turn_to(wg_device *dev, wg_queue queue) {
    size_t bytes;
    void *workspace = wg_cuda_workspace(dev, queue, &bytes);
    dev->blas_queue = WG_QUEUE_COUNT; /* until it is done */
    wg_blas_status code = dev->blas->cublasSetStream_v2(dev->blas_handle, wg_cuda_stream(dev, queue));
    if (code == 0) { /* it forgot the workspace */
        code = dev->blas->cublasSetWorkspace_v2(dev->blas_handle, workspace, bytes);
    }
    dev->blas_queue = code == 0 ? queue : WG_QUEUE_COUNT;
    return code;
}

void wg_cuda_open_blas(wg_device *dev) {
    const wg_blas_api *blas = wg_cuda_wants_blas() ? wg_blas_load(NULL) : NULL;
    if (!blas || blas->cublasCreate_v2(&dev->blas_handle)) {
        dev->blas_handle = NULL;
        return;
    }
    dev->blas = blas;
    bool done =
        dev->cu->cuMemAlloc_v2(&dev->workspace, (size_t)dev->limits.queues * workspace_bytes(dev)) == WG_CU_SUCCESS;
    dev->workspace = done ? dev->workspace : 0;
    /* Sums of 16-bit floats stay f32 even where cuBLAS splits them. */
    done = done && blas->cublasSetMathMode(dev->blas_handle, WG_BLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION) == 0;
    if (!done || turn_to(dev, WG_QUEUE_MAIN) != 0) {
        wg_cuda_close_blas(dev);
    }
    dev->tf32 = wg_cuda_flag("WENGERT_TF32", false);
    wg_cuda_open_lt(dev);
}

void wg_cuda_close_blas(wg_device *dev) {
    wg_cuda_close_lt(dev);
    if (dev->blas_handle) {
        dev->blas->cublasDestroy_v2(dev->blas_handle);
    }
    if (dev->workspace) {
        dev->cu->cuMemFree_v2(dev->workspace);
    }
    dev->blas_handle = NULL;
    dev->workspace = 0;
    dev->blas = NULL;
}

/* An operand as cuBLAS has it: op N when the elements of a column of the transpose, of a row here, are neighbours. */
static bool operand(int64_t rows, int64_t cols, int64_t row, int64_t col, int64_t *op, int64_t *ld) {
    bool along = col == 1 || cols == 1, across = row == 1 || rows == 1;
    int64_t row_ld = rows == 1 && row < cols ? cols : row, col_ld = cols == 1 && col < rows ? rows : col;
    if (along && row_ld >= cols) {
        *op = WG_BLAS_OP_N;
        *ld = row_ld;
    } else if (across && col_ld >= rows) {
        *op = WG_BLAS_OP_T;
        *ld = col_ld;
    } else {
        return false;
    }
    return *ld <= INT_MAX;
}

static int64_t type_of(wg_dtype dtype) {
    return dtype == WG_F64    ? WG_BLAS_R_64F
           : dtype == WG_F16  ? WG_BLAS_R_16F
           : dtype == WG_BF16 ? WG_BLAS_R_16BF
                              : WG_BLAS_R_32F;
}

/* False if cuBLAS cannot step through an operand like that. */
static bool translate(const wg_gemm_call *c, wg_cuda_product *p) {
    *p = (wg_cuda_product){.type = type_of(c->dtype),
                           .size = (int64_t)wg_dtype_size(c->dtype),
                           .m = c->m,
                           .n = c->n,
                           .k = c->k,
                           .batch = c->batch,
                           .a_batch = c->a_batch,
                           .b_batch = c->b_batch,
                           .epilogue = c->epilogue,
                           .aligned = c->epilogue ? c->aligned : 0,
                           .shape = c->prepared};
    return operand(c->m, c->k, c->a_row, c->a_col, &p->a_op, &p->a_ld) &&
           operand(c->k, c->n, c->b_row, c->b_col, &p->b_op, &p->b_ld);
}

bool wg_cuda_gemm_takes(wg_device *dev, wg_gemm_call *c) {
    const int64_t sizes[] = {c->m, c->n, c->k, c->batch};
    bool fits = wg_dtype_is_float(c->dtype);
    for (int i = 0; i < 4; i++) {
        fits = fits && sizes[i] > 0 && sizes[i] <= INT_MAX;
    }
    wg_cuda_product p;
    if (!fits || c->a_batch < 0 || c->b_batch < 0 || !translate(c, &p)) {
        return false;
    }
    bool takes = c->epilogue == 0 || wg_cuda_find_shape(dev, &p);
    c->prepared = p.shape;
    return takes;
}

wg_status wg_cuda_send_product(wg_device *dev, const wg_cuda_call *call, wg_err *err) {
    const wg_cuda_product *p = call->params;
    const double one64 = 1, zero64 = 0;
    const float one32 = 1, zero32 = 0;
    bool f64 = p->type == WG_BLAS_R_64F, tf32 = dev->tf32 && p->type == WG_BLAS_R_32F;
    const void *one = f64 ? (const void *)&one64 : &one32, *zero = f64 ? (const void *)&zero64 : &zero32;
    unsigned type = (unsigned)p->type; /* of 16-bit floats sums are f32 too, rounded once */
    unsigned compute = f64 ? WG_BLAS_COMPUTE_64F : tf32 ? WG_BLAS_COMPUTE_32F_FAST_TF32 : WG_BLAS_COMPUTE_32F;
    void *a = (void *)(uintptr_t)call->pointers[WG_CUDA_A], *b = (void *)(uintptr_t)call->pointers[WG_CUDA_B];
    void *c = (void *)(uintptr_t)call->pointers[WG_CUDA_C];
    if (p->epilogue) {
        return wg_cuda_send_shape(dev, call, err);
    }
    wg_blas_status code = call->queue == dev->blas_queue ? 0 : turn_to(dev, call->queue);
    if (code != 0) {
        return wg_err_set(err, WG_ERR_LAUNCH, "cuBLAS would not turn to another stream: status %u", code);
    }
    code = dev->blas->cublasGemmStridedBatchedEx(dev->blas_handle, (unsigned)p->b_op, (unsigned)p->a_op, (int)p->n,
                                                 (int)p->m, (int)p->k, one, b, type, (int)p->b_ld, p->b_batch, a, type,
                                                 (int)p->a_ld, p->a_batch, zero, c, type, (int)p->n, p->m * p->n,
                                                 (int)p->batch, compute, WG_BLAS_GEMM_DEFAULT);
    if (code == 0) {
        return WG_OK;
    }
    return wg_err_set(err, WG_ERR_LAUNCH, "cuBLAS refused a product of [%lld,%lld] and [%lld,%lld]: status %u",
                      (long long)p->m, (long long)p->k, (long long)p->k, (long long)p->n, code);
}

wg_status wg_cuda_gemm(wg_device *dev, wg_queue queue, const wg_gemm_call *c, wg_err *err) {
    wg_cuda_product product;
    if (!translate(c, &product)) {
        return wg_err_set(err, WG_ERR_UNSUPPORTED, "cuBLAS does not take these strides");
    }
    wg_status status = wg_cuda_enter(dev, WG_ERR_LAUNCH, err);
    const struct {
        const wg_mem *mem;
        int64_t offset;
    } parts[WG_CUDA_OPERANDS] = {{c->a, c->a_offset},           {c->b, c->b_offset},       {c->c, c->c_offset},
                                 {c->addend, c->addend_offset}, {c->bias, c->bias_offset}, {c->input, c->input_offset}};
    wg_cu_pointer pointers[WG_CUDA_OPERANDS] = {0};
    for (int i = 0; i < WG_CUDA_OPERANDS && status == WG_OK; i++) {
        if (parts[i].mem) {
            uint64_t at = (uint64_t)(parts[i].offset * product.size);
            pointers[i] = ((const wg_cuda_mem *)parts[i].mem->handle)->pointer + at;
            status = wg_cuda_take(dev, queue, parts[i].mem, err);
        }
    }
    const wg_cuda_call call = {.what = WG_CUDA_PRODUCT,
                               .queue = queue,
                               .npointers = WG_CUDA_OPERANDS,
                               .pointers = pointers,
                               .params = &product,
                               .param_bytes = sizeof product};
    return status ? status : wg_cuda_submit(dev, &call, err);
}
