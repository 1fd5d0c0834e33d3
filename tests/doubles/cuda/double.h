/*
 * The CUDA double: a stand-in for the driver, NVRTC and cuBLAS that runs kernels on POCL, so that the CUDA backend's host
 * side can be tested where there is no GPU. What the files share. See control.h for what a test can ask of it.
 *
 * Work is queued and runs late, in an order drawn at random among those that streams and events allow (order.c), so that
 * what is missing between two pieces of work shows. Device addresses lie where nothing is mapped: the memory itself is a
 * fixed distance below, and only work knows the way (memory.c). The program never gets a pointer to our structs: handles
 * are numbers in a table that keeps the dead ones (handle.c).
 *
 * The functions' types are those of CUDA's own headers, see toolkit.h: one that differs does not compile, and one that is
 * not declared there is not exported.
 */
#ifndef CUDA_DOUBLE_H
#define CUDA_DOUBLE_H

#pragma GCC visibility push(default)
#include "control.h"
#include "toolkit.h"
CUDA_DOUBLE_CONTROL(CUDA_DOUBLE_DECLARE)
#pragma GCC visibility pop

#include <stdbool.h>
#include <stdint.h>

/* ---- calls.c: the start of every call --------------------------------------------------------------------------------- */

typedef enum cd_needs {
    CD_NEEDS_NOTHING,
    CD_NEEDS_INIT = 1,
    CD_NEEDS_CONTEXT = 3,
    CD_UNSAFE = 4,   /* not while a stream captures, but in relaxed mode */
    CD_RELEASES = 8, /* does its work even if it is to fail, or after a sticky error */
} cd_needs;

typedef struct cd_call {
    const char *name; /* as __func__ has it */
    char shown[64];   /* without the version */
    unsigned long count;
    struct cd_call *next;
} cd_call;

/* What a call is to return: go on if code is 0, or if the call releases something. */
typedef struct cd_entry {
    int code;
    bool stop; /* return code now */
} cd_entry;

cd_entry cd_enter(cd_call *call, cd_needs needs);
void cd_lock(void);
void cd_unlock(int *unused);

/* The first line of every function of CUDA; late is what a releasing one returns in the end. */
#define CD_ENTER(needs)                                                                                                \
    int locked_ __attribute__((cleanup(cd_unlock), unused)) = (cd_lock(), 0);                                          \
    static cd_call call_ = {.name = ""};                                                                               \
    call_.name = __func__;                                                                                             \
    const cd_entry entry_ = cd_enter(&call_, needs);                                                                   \
    if (entry_.stop) {                                                                                                 \
        return entry_.code;                                                                                            \
    }
#define CD_LATE (entry_.code)

bool cd_hurries(void); /* what the call queues is to run at once */
/* Says why a call fails if WENGERT_DOUBLE_TRACE is set; returns code. */
int cd_refuse(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The program did what CUDA forbids. */
void cd_fault(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A fault of work that ran: every later call fails with this code. */
void cd_stick(CUresult code);
CUresult cd_sticky(void);
bool cd_injected_kernel(CUresult *code); /* counts a kernel that is about to run */
const char *cd_setting(const char *name, const char *otherwise);

/* ---- handle.c --------------------------------------------------------------------------------------------------------- */

typedef struct cd_context cd_context;

typedef enum cd_kind {
    CD_ALLOCATION, /* counted alone, addresses are no handles; so is pinned memory */
    CD_PINNED,
    CD_STREAM,
    CD_EVENT,
    CD_MODULE,
    CD_GRAPH,
    CD_GRAPH_EXEC,
    CD_CONTEXT,
    CD_PROGRAM,
    CD_CUBLAS,
    CD_CUBLASLT,
    CD_LT_OPERATION,
    CD_LT_LAYOUT,
    CD_LT_PREFERENCE,
    CD_FUNCTION, /* from here on owned by another handle */
    CD_NODE,
    CD_KINDS,
} cd_kind;

void *cd_handle_new(cd_kind kind, void *object);
/* The object; NULL, and a fault if the handle was destroyed or is none. */
void *cd_handle_get(cd_kind kind, const void *handle);
void cd_handle_end(cd_kind kind, const void *handle);
/* The first live object of a kind after handle number *at, which moves on; NULL after the last. */
void *cd_handle_next(cd_kind kind, size_t *at);
void cd_count(cd_kind kind, int by); /* of those without handles */
size_t cd_alive(cd_kind kind);
const char *cd_kind_name(cd_kind kind);
void cd_handles_end(const cd_context *ctx); /* of all that live in it, but for functions and nodes */
void cd_handles_forget(void);

/* ---- device.c --------------------------------------------------------------------------------------------------------- */

typedef struct cd_alloc {
    char *at;     /* the memory itself, what the program gets is at + shift of the arena */
    size_t bytes; /* asked for */
    size_t map;   /* bytes of the mapping, whose end is the end of the red zone behind */
    unsigned id;
    bool live;     /* may be used by work */
    bool async;    /* of cuMemAllocAsync */
    bool promised; /* given out by cuMemAllocAsync; live once the stream gets there */
    bool doomed;   /* cuMemFreeAsync was called */
} cd_alloc;

/* A range of addresses that are given out once each; those of dead allocations stay unmapped. */
typedef struct cd_arena {
    char *base;
    size_t bytes, used;
    ptrdiff_t shift;
    size_t held, most; /* bytes asked for and not released, and how many there may be */
    cd_alloc *allocs;  /* ascending */
    size_t n, room;
} cd_arena;

typedef struct cd_stream cd_stream;

struct cd_context {
    int device;
    int retained;
    void *handle; /* NULL before it is first retained */
    cd_arena arena;
    cd_stream *streams; /* all that are alive, the legacy default stream last */
    cd_stream *legacy;
};

enum { CD_MOST_DEVICES = 8 };
cd_context *cd_current(void); /* NULL: none */
bool cd_not_here(void);       /* cuInit was not called in this process, or in its parent alone */
void cd_contexts_forget(void);
int cd_arch(void);
int cd_driver_version(void);
extern cd_context cd_contexts[CD_MOST_DEVICES];
extern cd_arena cd_pinned; /* page-locked memory of all devices */

/* ---- memory.c --------------------------------------------------------------------------------------------------------- */

bool cd_arena_open(cd_arena *arena, size_t bytes, size_t most, bool hidden);
cd_alloc *cd_alloc_new(cd_arena *arena, size_t bytes);
void cd_alloc_end(cd_arena *arena, cd_alloc *a); /* checks its red zones */
void cd_alloc_check(const cd_alloc *a, const char *after);
void cd_alloc_poison(const cd_alloc *a);
/* The allocation that holds the address, dead ones too; NULL if it is in none. */
cd_alloc *cd_alloc_find(const cd_arena *arena, CUdeviceptr at);
/* The memory behind a device range, for work that runs now; NULL and a fault if work may not use it. */
char *cd_memory(const cd_context *ctx, CUdeviceptr at, size_t bytes, const char *what);
/* The same question when the work is queued: an answer of false is an error of the call. */
bool cd_may_use(const cd_context *ctx, CUdeviceptr at, size_t bytes);
/* Words for an address that a fault reports. */
void cd_describe(const void *address, char *text, size_t cap);

/* ---- work: what streams and graphs do --------------------------------------------------------------------------------- */

typedef enum cd_what {
    CD_COPY_IN,  /* from host memory */
    CD_COPY_OUT, /* to host memory */
    CD_COPY,
    CD_FILL,
    CD_KERNEL,
    CD_PRODUCT, /* cuBLAS; a kernel node in graphs */
    CD_RECORD,
    CD_WAIT,
    CD_GRAPH_LAUNCH,
    CD_MEMORY_BEGINS,
    CD_MEMORY_ENDS,
} cd_what;

typedef struct cd_product {
    bool ta, tb;
    int m, n, k, batch;
    int64_t lda, ldb, ldc, sa, sb, sc;
    CUdeviceptr a, b, c;
    cudaDataType_t ta_type, tb_type, tc_type;
    double alpha, beta;
    CUdeviceptr workspace;
    size_t workspace_bytes;
    /* Of cuBLASLt: what beta goes with, 0 for c itself; the epilogue, 0 for none. Leading dimension and stride are of aux. */
    CUdeviceptr addend, bias, aux;
    unsigned epilogue;
    int64_t aux_ld, aux_stride;
} cd_product;

typedef struct cd_function cd_function;
typedef struct cd_event cd_event;
typedef struct cd_graph cd_graph;

typedef struct cd_work {
    cd_what what;
    CUdeviceptr to, from;
    char *host; /* copies: the program's memory, or own */
    char *own;  /* ours: bytes taken when a copy was called, or a kernel's arguments */
    size_t bytes, count;
    unsigned value, width; /* fill */
    const cd_function *function;
    unsigned grid[3], block[3], shared;
    cd_product product;
    cd_event *event;  /* never freed: it may be destroyed before the work runs */
    uint64_t version; /* of the event */
    cd_graph *graph;  /* a launch's own copy */
} cd_work;

/* Takes over the copy of bytes that own points at. */
cd_work cd_work_copy(const cd_work *w);
void cd_work_drop(cd_work *w);
void cd_run_open(void); /* run.c */
void cd_run(cd_context *ctx, cd_work *w);
void cd_product_run(const cd_context *ctx, const cd_product *p); /* product.c */

/* cublas.c: workspaces used so far with a handle, each with the stream that used it first. */
typedef struct cd_workspaces {
    struct {
        CUdeviceptr at;
        CUstream stream;
    } used[16];
    int n;
} cd_workspaces;

/* Products of two streams in one workspace are a fault. */
void cd_workspace_check(cd_workspaces *w, CUdeviceptr at, size_t bytes, CUstream stream);
/* Bytes from a matrix's first element to the end of its last, over the whole batch. */
size_t cd_extent(int64_t rows, int64_t columns, int64_t ld, int64_t stride, int batch, cudaDataType_t type);
/* What is wrong with sizes, types or memory. */
cublasStatus_t cd_product_check(const cd_context *ctx, const cd_product *p, cublasComputeType_t compute);
const char *cd_work_name(const cd_work *w);

/* ---- order.c ---------------------------------------------------------------------------------------------------------- */

typedef struct cd_op {
    struct cd_op *next;
    uint64_t number; /* in order of the calls */
    cd_work work;
} cd_op;

typedef struct cd_capture cd_capture;

/* A set of graph nodes: what the next node depends on. */
typedef struct cd_set {
    int *node;
    int n;
} cd_set;

struct cd_stream {
    cd_context *ctx;
    cd_stream *next;
    void *handle;
    cd_op *head, **tail;
    bool legacy, blocking; /* blocking streams and the legacy one wait for each other */
    bool destroyed;        /* lives until its work is done */
    cd_capture *capture;
    cd_set last;
};

struct cd_event {
    cd_context *ctx;
    void *handle;
    uint64_t recorded; /* the last version */
    uint64_t *due;     /* versions that streams still hold */
    int ndue, due_capacity;
    double when;
    bool timed;
    cd_capture *capture; /* recorded in one last */
    cd_set last;
};

void cd_order_seed(unsigned seed);
uint32_t cd_random(uint32_t below);
/* Queues work, or adds it to the graph that the stream captures. Takes over w. */
CUresult cd_push(cd_stream *s, cd_work *w);
bool cd_is_due(const cd_event *e, uint64_t version); /* a stream holds that record still */
bool cd_step(void);                                  /* runs one piece of work that may run now */
void cd_drain(cd_stream *s);
void cd_drain_context(cd_context *ctx);
/* Whether work that waits uses the bytes. */
bool cd_uses_host(const char *from, size_t bytes);
bool cd_uses_device(const cd_context *ctx, CUdeviceptr at, size_t bytes);
void cd_stream_drop(cd_stream *s);

/* ---- stream.c, capture.c, graph.c ------------------------------------------------------------------------------------- */

cd_stream *cd_stream_get(CUstream handle);
cd_stream *cd_stream_new(cd_context *ctx, bool legacy, bool blocking);

typedef struct cd_node {
    cd_work work;
    cd_set after;
    void *handle;
    const void *origin; /* in an executable graph: the node it was made from */
} cd_node;

struct cd_graph {
    cd_node **node;
    int n;
    void *handle;
    cd_context *ctx;
    bool *done; /* a launch's */
    int left;
};

CUresult cd_capture_add(cd_stream *s, cd_work *w);
CUresult cd_capture_record(cd_stream *s, cd_event *e);
CUresult cd_capture_wait(cd_stream *s, cd_event *e);
void cd_capture_spoil(cd_capture *c);
/* An unsafe call: spoils every capture that forbids it here. */
CUresult cd_capture_forbids(void);
CUresult cd_capture_forbids_implicit(const cd_stream *legacy);
bool cd_set_add(cd_set *set, int node);
void cd_set_join(cd_set *set, const cd_set *more);
void cd_set_drop(cd_set *set);
cd_graph *cd_graph_copy(const cd_graph *g);
void cd_graph_drop(cd_graph *g);
/* A node of a launch that may run now, chosen at random; -1 when all are done. */
int cd_graph_ready(const cd_graph *g);

/* ---- module.c, image.c, opencl.c -------------------------------------------------------------------------------------- */

enum { CD_MOST_PARAMS = 64 };

/* A kernel as its CUBIN describes it. */
typedef struct cd_shape {
    int nparams; /* -1: not known, there was no real NVRTC */
    int size[CD_MOST_PARAMS];
    int most_threads, registers, shared;
} cd_shape;

struct cd_function {
    char name[160];
    void *handle;
    struct cd_module *module;
    struct cd_function *next;
    struct _cl_kernel *kernel;
    cd_shape shape;
    bool global[CD_MOST_PARAMS]; /* a pointer to memory */
    int most_dynamic;            /* bytes of dynamic shared memory */
    size_t bytes;                /* of all arguments */
};

typedef struct cd_module {
    void *handle;
    cd_context *ctx;
    struct _cl_program *program;
    void *cubin; /* NULL: none */
    size_t cubin_bytes;
    cd_function *functions;
} cd_module;

/* A launch, checked, with its arguments copied. */
CUresult cd_kernel_work(const cd_context *ctx, CUfunction function, const unsigned *grid, const unsigned *block,
                        unsigned shared, void **params, cd_work *out);

/* image.c: what nvrtcGetCUBIN writes and cuModuleLoadData reads. */
typedef struct cd_image {
    const void *cubin;
    size_t cubin_bytes;
    const char *text;
    size_t text_bytes;
    int arch;
} cd_image;
size_t cd_image_bytes(const cd_image *image);
void cd_image_write(const cd_image *image, void *out);
CUresult cd_image_read(const void *bytes, cd_image *image);
char *cd_image_ptx(const char *ptx, const char *text); /* ours to free */
bool cd_cubin_shape(const void *cubin, size_t bytes, const char *kernel, cd_shape *out);

/* opencl.c. log is ours to free, NULL if there is nothing to say. */
bool cd_opencl_open(void);
struct _cl_program *cd_opencl_build(const char *text, char **log);
const char *cd_opencl_kernel(struct _cl_program *program, const char *name,
                             cd_function *f); /* what is wrong, or NULL */
void cd_opencl_release(cd_function *f);
int cd_opencl_run(const cd_function *f, const cd_work *w, char *const *memory); /* an OpenCL error code */

/* dialect.c: a program's text with OpenCL's prelude and lanes in the place of CUDA's; ours to free. */
char *cd_dialect(const char *text);

void *cd_alloc_or_die(size_t bytes);

#endif
