/*
 * What a test asks of the CUDA double, beyond CUDA's own functions. Looked up by dlsym in libcuda_double.so.
 *
 * Environment, read when the library is first called:
 *   WENGERT_DOUBLE_SEED=N        which of the legal orders to run in; 0 if not set
 *   WENGERT_DOUBLE_FAIL=F:N[=C]  the Nth call of function F fails (with code C), F without "_v2"; F may be "any", or
 *                                "kernel": the Nth kernel that runs faults. Several, separated by commas.
 *   WENGERT_DOUBLE_DROP=F:N      the Nth call of F does nothing and says that it did: a mistake planted in the caller
 *   WENGERT_DOUBLE_HURRY=F:N     what the Nth call of F queues runs at once, ahead of all that waits: another one
 *   WENGERT_DOUBLE_DEVICES=N     how many devices there are (2)
 *   WENGERT_DOUBLE_MEMORY=BYTES  of each (4 GiB)
 *   WENGERT_DOUBLE_ARCH=NN       compute capability, 80 is 8.0
 *   WENGERT_DOUBLE_POOLS=0       no stream-ordered memory
 *   WENGERT_DOUBLE_DRIVER=NNNNN  what cuDriverGetVersion says (13000); an older one refuses newer PTX
 *   WENGERT_DOUBLE_CUBLAS=NNNNNN what cublasGetVersion says (130000)
 *   WENGERT_DOUBLE_NVRTC=FILE    the real NVRTC; "none": do without
 *   WENGERT_DOUBLE_CACHE=FOLDER  keeps what OpenCL compiled there
 *   WENGERT_DOUBLE_TRACE=1       every call and its result to stderr
 *
 * At exit the double lists what was never released. If anything was, or the program did what CUDA forbids, the process
 * ends with status 98. Every line it prints starts with "cuda double: ".
 */
#ifndef CUDA_DOUBLE_CONTROL_H
#define CUDA_DOUBLE_CONTROL_H

#include <stddef.h>

/* X(result, name, parameters) */
#define CUDA_DOUBLE_CONTROL(X)                                                                                              \
    /* Orders are drawn from this seed from now on. */                                                                      \
    X(void, cuda_double_seed, (unsigned seed))                                                                              \
    /* As WENGERT_DOUBLE_FAIL, _DROP and _HURRY, counting from now; code 0 is the usual one of the function. NULL: none. */ \
    X(void, cuda_double_fail, (const char *function, unsigned long nth, int code))                                          \
    X(void, cuda_double_drop, (const char *function, unsigned long nth))                                                    \
    X(void, cuda_double_hurry, (const char *function, unsigned long nth))                                                   \
    /* Whether what was asked for last has happened. */                                                                     \
    X(int, cuda_double_happened, (void))                                                                                    \
    /* Calls of a function so far; NULL: of all. "kernel": kernels that ran. */                                             \
    X(unsigned long, cuda_double_calls, (const char *function))                                                             \
    /* The name of the ith function ever called, NULL after the last. */                                                    \
    X(const char *, cuda_double_function, (size_t i))                                                                       \
    /* Handles alive: "allocation", "pinned memory", "stream", "event", "module", "graph", "executable graph",         \
     * "context", "NVRTC program", "cuBLAS handle", "cuBLASLt handle", "cuBLASLt operation", "cuBLASLt layout",            \
     * "cuBLASLt preference"; NULL: all. */    \
    X(size_t, cuda_double_live, (const char *kind))                                                                         \
    /* How often the program did what CUDA forbids; the text of the last time goes to text. */                              \
    X(size_t, cuda_double_faults, (char *text, size_t cap))                                                                 \
    /* Forgets faults, a sticky error and everything alive: the process starts anew. */                                     \
    X(void, cuda_double_forget, (void))                                                                                     \
    /* 1 when the real NVRTC compiles every kernel too. */                                                                  \
    X(int, cuda_double_proves, (void))

#define CUDA_DOUBLE_DECLARE(result, name, parameters) result name parameters;
#define CUDA_DOUBLE_POINTER(result, name, parameters) result(*name) parameters;

#endif
