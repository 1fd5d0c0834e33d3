/*
 * cuBLASLt: descriptors, the choice of an algorithm, and products with an epilogue. There is one algorithm; it remembers what it
 * was chosen for, so that a product that differs from that, or lies worse than was promised, is found. Sums are those of
 * cublas.c.
 */
#include "double.h"

#include <stdlib.h>
#include <string.h>

typedef struct light {
    cd_context *ctx;
    cd_workspaces workspaces;
} light;

typedef struct operation {
    cublasComputeType_t compute;
    int32_t ta, tb;
    uint32_t epilogue;
    CUdeviceptr bias, aux;
    int64_t aux_ld, aux_stride;
} operation;

typedef struct layout {
    cudaDataType_t type;
    int64_t rows, columns, ld, stride;
    int32_t batch;
} layout;

typedef struct preference {
    uint64_t workspace;
    uint32_t schemes, aligned[4];
} preference;

enum { WORKSPACE = 4096 }; /* what the algorithm wants, if it may have it */

/* ---- handles and descriptors ---------------------------------------------------------------------------------------------- */

static cublasStatus_t destroy(cd_kind kind, const void *handle, int late) {
    void *object = cd_handle_get(kind, handle);
    if (!object) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    cd_handle_end(kind, handle);
    free(object);
    return late;
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *out) {
    CD_ENTER(CD_NEEDS_CONTEXT | CD_UNSAFE);
    light *l = cd_alloc_or_die(sizeof *l);
    l->ctx = cd_current();
    *out = cd_handle_new(CD_CUBLASLT, l);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
    CD_ENTER(CD_NEEDS_CONTEXT | CD_UNSAFE | CD_RELEASES);
    const light *l = cd_handle_get(CD_CUBLASLT, handle);
    if (l) {
        cd_drain_context(l->ctx);
    }
    return destroy(CD_CUBLASLT, handle, CD_LATE);
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *out, cublasComputeType_t compute, cudaDataType_t scale) {
    CD_ENTER(CD_NEEDS_NOTHING);
    if (scale != (compute == CUBLAS_COMPUTE_64F ? CUDA_R_64F : CUDA_R_32F)) {
        return cd_refuse(CUBLAS_STATUS_INVALID_VALUE, "a scale of another type than the sums");
    }
    operation *o = cd_alloc_or_die(sizeof *o);
    o->compute = compute;
    o->epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    *out = cd_handle_new(CD_LT_OPERATION, o);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t handle) {
    CD_ENTER(CD_NEEDS_NOTHING | CD_RELEASES);
    return destroy(CD_LT_OPERATION, handle, CD_LATE);
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *out, cudaDataType type, uint64_t rows,
                                          uint64_t columns, int64_t ld) {
    CD_ENTER(CD_NEEDS_NOTHING);
    layout *l = cd_alloc_or_die(sizeof *l);
    *l = (layout){.type = type, .rows = (int64_t)rows, .columns = (int64_t)columns, .ld = ld, .batch = 1};
    *out = cd_handle_new(CD_LT_LAYOUT, l);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t handle) {
    CD_ENTER(CD_NEEDS_NOTHING | CD_RELEASES);
    return destroy(CD_LT_LAYOUT, handle, CD_LATE);
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *out) {
    CD_ENTER(CD_NEEDS_NOTHING);
    preference *p = cd_alloc_or_die(sizeof *p);
    *p = (preference){.schemes = CUBLASLT_REDUCTION_SCHEME_MASK, .aligned = {256, 256, 256, 256}};
    *out = cd_handle_new(CD_LT_PREFERENCE, p);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t handle) {
    CD_ENTER(CD_NEEDS_NOTHING | CD_RELEASES);
    return destroy(CD_LT_PREFERENCE, handle, CD_LATE);
}

/* ---- attributes ------------------------------------------------------------------------------------------------------------ */

/* Takes a value of the size of what it is kept in. */
static cublasStatus_t set(void *to, size_t size, const void *value, size_t bytes) {
    if (!to || !value || bytes != size) {
        return cd_refuse(CUBLAS_STATUS_INVALID_VALUE, "an attribute of %zu bytes, or none of ours", bytes);
    }
    memcpy(to, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t handle, cublasLtMatmulDescAttributes_t attribute,
                                              const void *value, size_t bytes) {
    CD_ENTER(CD_NEEDS_NOTHING);
    operation *o = cd_handle_get(CD_LT_OPERATION, handle);
    if (!o) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    switch ((int)attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
        return set(&o->ta, sizeof o->ta, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
        return set(&o->tb, sizeof o->tb, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
        return set(&o->epilogue, sizeof o->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
        return set(&o->bias, sizeof o->bias, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER:
        return set(&o->aux, sizeof o->aux, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD:
        return set(&o->aux_ld, sizeof o->aux_ld, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE:
        return set(&o->aux_stride, sizeof o->aux_stride, value, bytes);
    default:
        return set(NULL, 0, value, bytes);
    }
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t handle,
                                                cublasLtMatrixLayoutAttribute_t attribute, const void *value,
                                                size_t bytes) {
    CD_ENTER(CD_NEEDS_NOTHING);
    layout *l = cd_handle_get(CD_LT_LAYOUT, handle);
    if (!l) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    switch ((int)attribute) {
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT:
        return set(&l->batch, sizeof l->batch, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET:
        return set(&l->stride, sizeof l->stride, value, bytes);
    default:
        return set(NULL, 0, value, bytes);
    }
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t handle,
                                                    cublasLtMatmulPreferenceAttributes_t attribute, const void *value,
                                                    size_t bytes) {
    CD_ENTER(CD_NEEDS_NOTHING);
    preference *p = cd_handle_get(CD_LT_PREFERENCE, handle);
    if (!p) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    int a = (int)attribute;
    bool aligns = a >= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES && a <= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES;
    if (aligns) {
        return set(&p->aligned[a - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], sizeof *p->aligned, value, bytes);
    }
    return a == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES     ? set(&p->workspace, sizeof p->workspace, value, bytes)
           : a == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK ? set(&p->schemes, sizeof p->schemes, value, bytes)
                                                             : set(NULL, 0, value, bytes);
}

/* ---- products ------------------------------------------------------------------------------------------------------------- */

typedef struct parts {
    const operation *o;
    const layout *a, *b, *c, *d;
} parts;

static bool get(parts *p, const void *o, const void *a, const void *b, const void *c, const void *d) {
    *p = (parts){cd_handle_get(CD_LT_OPERATION, o), cd_handle_get(CD_LT_LAYOUT, a), cd_handle_get(CD_LT_LAYOUT, b),
                 cd_handle_get(CD_LT_LAYOUT, c), cd_handle_get(CD_LT_LAYOUT, d)};
    return p->o && p->a && p->b && p->c && p->d;
}

static bool same_layout(const layout *x, const layout *y) {
    return x->type == y->type && x->rows == y->rows && x->columns == y->columns && x->ld == y->ld &&
           x->stride == y->stride && x->batch == y->batch;
}

static cublasStatus_t describe(const parts *p, cd_product *out) {
    const operation *o = p->o;
    *out = (cd_product){.ta = o->ta != CUBLAS_OP_N,
                        .tb = o->tb != CUBLAS_OP_N,
                        .m = (int)p->d->rows,
                        .n = (int)p->d->columns,
                        .k = (int)(o->ta != CUBLAS_OP_N ? p->a->rows : p->a->columns),
                        .batch = p->d->batch,
                        .lda = p->a->ld,
                        .ldb = p->b->ld,
                        .ldc = p->d->ld,
                        .sa = p->a->stride,
                        .sb = p->b->stride,
                        .sc = p->d->stride,
                        .ta_type = p->a->type,
                        .tb_type = p->b->type,
                        .tc_type = p->d->type,
                        .epilogue = o->epilogue,
                        .aux_ld = o->aux_ld,
                        .aux_stride = o->aux_stride};
    int64_t m = out->ta ? p->a->columns : p->a->rows, n = out->tb ? p->b->rows : p->b->columns;
    int64_t k = out->tb ? p->b->columns : p->b->rows;
    if (m != out->m || n != out->n || k != out->k || !same_layout(p->c, p->d) || p->a->batch != out->batch ||
        p->b->batch != out->batch) {
        return cd_refuse(CUBLAS_STATUS_INVALID_VALUE, "layouts that do not fit each other");
    }
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t check_epilogue(const cd_product *p) {
    static const unsigned known[] = {
        CUBLASLT_EPILOGUE_DEFAULT,   CUBLASLT_EPILOGUE_RELU,          CUBLASLT_EPILOGUE_BIAS,
        CUBLASLT_EPILOGUE_RELU_BIAS, CUBLASLT_EPILOGUE_GELU,          CUBLASLT_EPILOGUE_GELU_BIAS,
        CUBLASLT_EPILOGUE_GELU_AUX,  CUBLASLT_EPILOGUE_GELU_AUX_BIAS, CUBLASLT_EPILOGUE_DGELU,
    };
    bool found = false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        found = found || known[i] == p->epilogue;
    }
    if (!found || (p->epilogue != CUBLASLT_EPILOGUE_DEFAULT && p->tc_type == CUDA_R_64F)) {
        return cd_refuse(CUBLAS_STATUS_NOT_SUPPORTED, "epilogue %u", p->epilogue);
    }
    bool aux = p->epilogue >= CUBLASLT_EPILOGUE_GELU_AUX;
    if (aux && (p->aux_ld < p->m || p->aux_ld % 8 || (p->batch > 1 && p->aux_stride % 8))) {
        return cd_refuse(CUBLAS_STATUS_INVALID_VALUE, "rows of the epilogue's input");
    }
    return CUBLAS_STATUS_SUCCESS;
}

static uint64_t low_bit(uint64_t x) { return x ? x & (~x + 1) : 1 << 20; }

/* What an algorithm remembers. */
typedef struct chosen {
    uint64_t shape, workspace;
    uint32_t aligned[4];
    uint32_t bias, aux;
} chosen;
_Static_assert(sizeof(chosen) <= sizeof(cublasLtMatmulAlgo_t), "an algorithm has room for it");

static uint64_t shape_of(const cd_product *p, cublasComputeType_t compute) {
    const int64_t words[] = {p->ta,
                             p->tb,
                             p->m,
                             p->n,
                             p->k,
                             p->batch,
                             p->lda,
                             p->ldb,
                             p->ldc,
                             p->sa,
                             p->sb,
                             p->sc,
                             (int64_t)p->ta_type,
                             (int64_t)p->tb_type,
                             (int64_t)p->tc_type,
                             p->epilogue,
                             p->aux_ld,
                             p->aux_stride,
                             (int64_t)compute};
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        hash = (hash ^ (uint64_t)words[i]) * 1099511628211u;
    }
    return hash;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation_,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t wish, int wanted,
                                              cublasLtMatmulHeuristicResult_t *out, int *found) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    parts p;
    cd_product product;
    const preference *w = cd_handle_get(CD_LT_PREFERENCE, wish);
    if (!cd_handle_get(CD_CUBLASLT, handle) || !w || !get(&p, operation_, a, b, c, d) || wanted < 1) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    cublasStatus_t status = describe(&p, &product);
    status = status ? status : check_epilogue(&product);
    if (status) {
        return status;
    }
    chosen algorithm = {.shape = shape_of(&product, p.o->compute),
                        .workspace = w->workspace < WORKSPACE ? 0 : WORKSPACE,
                        .bias = (uint32_t)low_bit(p.o->bias),
                        .aux = (uint32_t)low_bit(p.o->aux)};
    memcpy(algorithm.aligned, w->aligned, sizeof algorithm.aligned);
    *out = (cublasLtMatmulHeuristicResult_t){.workspaceSize = algorithm.workspace, .state = CUBLAS_STATUS_SUCCESS};
    memcpy(&out->algo, &algorithm, sizeof algorithm);
    *found = 1;
    return CUBLAS_STATUS_SUCCESS;
}

static bool overlap(CUdeviceptr a, size_t n, CUdeviceptr b, size_t m) { return a && b && a < b + m && b < a + n; }

/* Memory of an epilogue, and what of all lies over what. */
static cublasStatus_t check_memory(const cd_context *ctx, const cd_product *p) {
    size_t bias = p->bias ? cd_extent(p->m, 1, p->m, 0, 1, p->tc_type) : 0;
    size_t aux = p->aux ? cd_extent(p->m, p->n, p->aux_ld, p->aux_stride, p->batch, p->tc_type) : 0;
    size_t c = cd_extent(p->m, p->n, p->ldc, p->sc, p->batch, p->tc_type);
    size_t a = cd_extent(p->ta ? p->k : p->m, p->ta ? p->m : p->k, p->lda, p->sa, p->batch, p->ta_type);
    size_t b = cd_extent(p->tb ? p->n : p->k, p->tb ? p->k : p->n, p->ldb, p->sb, p->batch, p->tb_type);
    if ((bias && !cd_may_use(ctx, p->bias, bias)) || (aux && !cd_may_use(ctx, p->aux, aux)) ||
        (p->addend && !cd_may_use(ctx, p->addend, c))) {
        cd_fault("the epilogue of a product of %dx%d by %dx%d leaves an allocation", p->m, p->k, p->k, p->n);
        return CUBLAS_STATUS_EXECUTION_FAILED;
    }
    if (overlap(p->c, c, p->a, a) || overlap(p->c, c, p->b, b) || overlap(p->c, c, p->bias, bias) ||
        overlap(p->c, c, p->aux, aux) || overlap(p->aux, aux, p->a, a) || overlap(p->aux, aux, p->b, b) ||
        overlap(p->aux, aux, p->bias, bias) || overlap(p->aux, aux, p->addend, c) || overlap(p->c, c, p->addend, c)) {
        cd_fault("cuBLASLt was told to store over what it reads");
        return CUBLAS_STATUS_EXECUTION_FAILED;
    }
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t check_choice(const cd_product *p, const chosen *x, cublasComputeType_t compute,
                                   size_t workspace) {
    CUdeviceptr c = p->addend ? p->addend : p->c;
    if (x->shape != shape_of(p, compute)) {
        cd_fault("cuBLASLt was given an algorithm for another product");
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (p->a % x->aligned[0] || p->b % x->aligned[1] || c % x->aligned[2] || p->c % x->aligned[3] ||
        p->bias % x->bias || p->aux % x->aux) {
        cd_fault("cuBLASLt was given memory that lies worse than it was told");
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    return workspace < x->workspace ? cd_refuse(CUBLAS_STATUS_INVALID_VALUE, "too small a workspace")
                                    : CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation_, const void *alpha,
                              const void *a, cublasLtMatrixLayout_t a_layout, const void *b,
                              cublasLtMatrixLayout_t b_layout, const void *beta, const void *c,
                              cublasLtMatrixLayout_t c_layout, void *d, cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t *algo, void *workspace, size_t workspace_bytes,
                              cudaStream_t stream) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    light *l = cd_handle_get(CD_CUBLASLT, handle);
    cd_stream *s = l ? cd_stream_get((CUstream)stream) : NULL;
    parts p;
    cd_product w;
    if (!s || !algo || !get(&p, operation_, a_layout, b_layout, c_layout, d_layout)) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    cublasStatus_t status = describe(&p, &w);
    bool f64 = p.o->compute == CUBLAS_COMPUTE_64F;
    w.alpha = f64 ? *(const double *)alpha : *(const float *)alpha;
    w.beta = f64 ? *(const double *)beta : *(const float *)beta;
    w.a = (CUdeviceptr)(uintptr_t)a;
    w.b = (CUdeviceptr)(uintptr_t)b;
    w.c = (CUdeviceptr)(uintptr_t)d;
    w.addend = w.beta != 0 && c != d ? (CUdeviceptr)(uintptr_t)c : 0;
    w.bias = w.epilogue & CUBLASLT_EPILOGUE_BIAS ? p.o->bias : 0;
    w.aux = w.epilogue >= CUBLASLT_EPILOGUE_GELU_AUX ? p.o->aux : 0;
    w.workspace = (CUdeviceptr)(uintptr_t)workspace;
    w.workspace_bytes = workspace_bytes;
    chosen x;
    memcpy(&x, algo, sizeof x);
    status = status ? status : check_epilogue(&w);
    status = status ? status : cd_product_check(l->ctx, &w, p.o->compute);
    status = status ? status : check_memory(l->ctx, &w);
    status = status ? status : check_choice(&w, &x, p.o->compute, workspace_bytes);
    if (!status && workspace_bytes > 0 && (w.workspace % 256 || !cd_may_use(l->ctx, w.workspace, workspace_bytes))) {
        status = cd_refuse(CUBLAS_STATUS_INVALID_VALUE, "no workspace");
    }
    if (status || w.m == 0 || w.n == 0 || w.batch == 0) {
        return status;
    }
    cd_workspace_check(&l->workspaces, w.workspace, workspace_bytes, (CUstream)stream);
    return cd_push(s, &(cd_work){.what = CD_PRODUCT, .product = w}) ? CUBLAS_STATUS_EXECUTION_FAILED
                                                                    : CUBLAS_STATUS_SUCCESS;
}
