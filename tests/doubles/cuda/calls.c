/* The start of every call: one lock, counts, planted failures, what must be there before; and faults and the exit report. */
#include "double.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_PLANTED = 16 };

typedef enum mistake { FAIL, DROP, HURRY } mistake;

/* Something is to go wrong with the nth call of a function, from when it was planted on. */
typedef struct planted {
    mistake what;
    char function[64];
    unsigned long nth, seen;
    int code; /* of FAIL, 0: the usual one */
    bool happened;
} planted;

static struct {
    bool read; /* the environment was */
    bool trace;
    planted plan[MOST_PLANTED];
    int nplan;
    bool hurry;     /* what this call queues runs at once */
    cd_call *calls; /* every function called so far, the last first */
    unsigned long kernels;
    CUresult sticky;
    size_t faults;
    char last_fault[1024];
} st;

static pthread_mutex_t mutex;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_mutex(void) {
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&mutex, &attr);
    pthread_mutexattr_destroy(&attr);
}

void cd_lock(void) {
    pthread_once(&once, make_mutex);
    pthread_mutex_lock(&mutex);
}

void cd_unlock(int *unused) {
    (void)unused;
    pthread_mutex_unlock(&mutex);
}

void *cd_alloc_or_die(size_t bytes) {
    void *p = calloc(1, bytes ? bytes : 1);
    if (!p) {
        fputs("cuda double: out of memory\n", stderr);
        abort();
    }
    return p;
}

const char *cd_setting(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

/* ---- planted failures -------------------------------------------------------------------------------------------------- */

static void plant(mistake what, const char *function, size_t n, unsigned long nth, int code) {
    if (st.nplan == MOST_PLANTED || n >= sizeof st.plan->function || nth == 0) {
        fprintf(stderr, "cuda double: cannot plant '%.*s'\n", (int)n, function);
        abort();
    }
    planted *p = &st.plan[st.nplan++];
    *p = (planted){.what = what, .nth = nth, .code = code};
    memcpy(p->function, function, n);
}

/* "cuLaunchKernel:3=719,cuMemAlloc:1" */
static void plant_list(mistake what, const char *list) {
    while (*list) {
        size_t n = strcspn(list, ":,");
        char *end = (char *)list + n;
        unsigned long nth = *end == ':' ? strtoul(end + 1, &end, 10) : 0;
        int code = *end == '=' ? (int)strtol(end + 1, &end, 10) : 0;
        plant(what, list, n, nth, code);
        list = *end == ',' ? end + 1 : end;
    }
}

static void read_environment(void) {
    if (st.read) {
        return;
    }
    st.read = true;
    st.trace = getenv("WENGERT_DOUBLE_TRACE") != NULL;
    cd_order_seed((unsigned)strtoul(cd_setting("WENGERT_DOUBLE_SEED", "0"), NULL, 10));
    plant_list(FAIL, cd_setting("WENGERT_DOUBLE_FAIL", ""));
    plant_list(DROP, cd_setting("WENGERT_DOUBLE_DROP", ""));
    plant_list(HURRY, cd_setting("WENGERT_DOUBLE_HURRY", ""));
}

static const planted *due(const char *function) {
    const planted *found = NULL;
    for (int i = 0; i < st.nplan; i++) {
        planted *p = &st.plan[i];
        bool meant =
            strcmp(p->function, function) == 0 || (strcmp(p->function, "any") == 0 && strcmp(function, "kernel") != 0);
        if (meant && ++p->seen == p->nth) {
            p->happened = true;
            found = p;
        }
    }
    return found;
}

bool cd_injected_kernel(CUresult *code) {
    st.kernels++;
    const planted *p = due("kernel");
    *code = p ? p->code ? (CUresult)p->code : CUDA_ERROR_LAUNCH_FAILED : CUDA_SUCCESS;
    return p != NULL;
}

/* What a function most likely says when it fails. */
static int usual_code(const char *function) {
    static const struct {
        const char *function;
        int code;
    } codes[] = {
        {"cuInit", CUDA_ERROR_NO_DEVICE},
        {"cuMemAlloc", CUDA_ERROR_OUT_OF_MEMORY},
        {"cuMemAllocAsync", CUDA_ERROR_OUT_OF_MEMORY},
        {"cuMemHostAlloc", CUDA_ERROR_OUT_OF_MEMORY},
        {"cuDevicePrimaryCtxRetain", CUDA_ERROR_OUT_OF_MEMORY},
        {"cuModuleLoadData", CUDA_ERROR_OUT_OF_MEMORY},
        {"cuGraphInstantiateWithFlags", CUDA_ERROR_OUT_OF_MEMORY},
        {"cuGraphExecUpdate", CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE},
        {"cuLaunchKernel", CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES},
        {"nvrtcCreateProgram", NVRTC_ERROR_OUT_OF_MEMORY},
        {"nvrtcCompileProgram", NVRTC_ERROR_COMPILATION},
        {"cublasCreate", CUBLAS_STATUS_ALLOC_FAILED},
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (strcmp(codes[i].function, function) == 0) {
            return codes[i].code;
        }
    }
    return strncmp(function, "nvrtc", 5) == 0    ? NVRTC_ERROR_INTERNAL_ERROR
           : strncmp(function, "cublas", 6) == 0 ? CUBLAS_STATUS_INTERNAL_ERROR
                                                 : CUDA_ERROR_OPERATING_SYSTEM;
}

static bool is_sticky(int code) {
    return code == CUDA_ERROR_ILLEGAL_ADDRESS || code == CUDA_ERROR_LAUNCH_TIMEOUT ||
           code == CUDA_ERROR_ECC_UNCORRECTABLE || code == CUDA_ERROR_UNKNOWN ||
           (code >= CUDA_ERROR_ASSERT && code <= CUDA_ERROR_LAUNCH_FAILED && code != CUDA_ERROR_TOO_MANY_PEERS &&
            code != CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED && code != CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
}

/* ---- entering ---------------------------------------------------------------------------------------------------------- */

static void count(cd_call *call) {
    if (!call->shown[0]) {
        snprintf(call->shown, sizeof call->shown, "%s", call->name);
        size_t n = strlen(call->shown);
        if (n > 3 && call->shown[n - 3] == '_' && call->shown[n - 2] == 'v') {
            call->shown[n - 3] = '\0';
        }
        call->next = st.calls;
        st.calls = call;
    }
    call->count++;
}

/* The family decides which codes a function may return. */
static cd_entry refuse_entry(const cd_call *call, CUresult code, const char *why) {
    int own = strncmp(call->name, "cublas", 6) == 0  ? CUBLAS_STATUS_NOT_INITIALIZED
              : strncmp(call->name, "nvrtc", 5) == 0 ? NVRTC_ERROR_INTERNAL_ERROR
                                                     : (int)code;
    return (cd_entry){.code = cd_refuse(own, "%s: %s", call->shown, why), .stop = true};
}

cd_entry cd_enter(cd_call *call, cd_needs needs) {
    read_environment();
    count(call);
    const planted *p = due(call->shown);
    if (st.trace) {
        static const char *const notes[] = {" (fails as planted)", " (dropped)", " (hurries)"};
        fprintf(stderr, "cuda double: %s%s\n", call->shown, p ? notes[p->what] : "");
    }
    st.hurry = p && p->what == HURRY;
    if (p && p->what == DROP) {
        return (cd_entry){.code = 0, .stop = true};
    }
    p = st.hurry ? NULL : p;
    int code = p ? p->code ? p->code : usual_code(call->shown) : 0;
    if (p && strncmp(call->name, "cu", 2) == 0 && strncmp(call->name, "cublas", 6) != 0 && is_sticky(code)) {
        st.sticky = (CUresult)code;
    }
    bool no_context = (needs & CD_NEEDS_CONTEXT) == CD_NEEDS_CONTEXT && !cd_current();
    bool releases = (needs & CD_RELEASES) && !no_context;
    if ((needs & CD_NEEDS_INIT) && cd_not_here()) {
        return refuse_entry(call, CUDA_ERROR_NOT_INITIALIZED, "cuInit was not called in this process");
    }
    if (p) {
        return (cd_entry){.code = code, .stop = !releases};
    }
    if ((needs & CD_NEEDS_INIT) && st.sticky) {
        return (cd_entry){.code = refuse_entry(call, st.sticky, "after an error that sticks").code, .stop = !releases};
    }
    if (no_context) {
        return refuse_entry(call, CUDA_ERROR_INVALID_CONTEXT, "no context is current");
    }
    if (needs & CD_UNSAFE) {
        CUresult forbidden = cd_capture_forbids();
        if (forbidden) {
            return refuse_entry(call, forbidden, "not while a stream captures");
        }
    }
    return (cd_entry){0};
}

bool cd_hurries(void) {
    bool now = st.hurry;
    st.hurry = false;
    return now;
}

int cd_refuse(int code, const char *format, ...) {
    if (st.trace) {
        va_list args;
        va_start(args, format);
        fputs("cuda double:   ", stderr);
        vfprintf(stderr, format, args);
        fprintf(stderr, " -> %d\n", code);
        va_end(args);
    }
    return code;
}

/* ---- faults ------------------------------------------------------------------------------------------------------------ */

void cd_fault(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(st.last_fault, sizeof st.last_fault, format, args);
    va_end(args);
    st.faults++;
    fprintf(stderr, "cuda double: FAULT: %s\n", st.last_fault);
}

void cd_stick(CUresult code) { st.sticky = st.sticky ? st.sticky : code; }
CUresult cd_sticky(void) { return st.sticky; }

/* At exit. After an error that sticks nothing can be released, so nothing has leaked. */
__attribute__((destructor)) static void report(void) {
    if (!st.read || cd_not_here()) {
        return;
    }
    size_t leaks = 0;
    for (cd_kind kind = 0; kind < CD_FUNCTION && !st.sticky; kind++) {
        size_t n = cd_alive(kind);
        if (n > 0) {
            fprintf(stderr, "cuda double: LEAK: %zu of kind %s\n", n, cd_kind_name(kind));
        }
        leaks += n;
    }
    if (leaks > 0 || st.faults > 0) {
        fprintf(stderr, "cuda double: %zu faults, %zu handles leaked\n", st.faults, leaks);
        fflush(NULL);
        _exit(98);
    }
}

/* ---- control.h --------------------------------------------------------------------------------------------------------- */

#define LOCKED int locked_ __attribute__((cleanup(cd_unlock), unused)) = (cd_lock(), read_environment(), 0)

void cuda_double_seed(unsigned seed) {
    LOCKED;
    cd_order_seed(seed);
}

static void plant_one(mistake what, const char *function, unsigned long nth, int code) {
    LOCKED;
    st.nplan = 0;
    if (function) {
        plant(what, function, strlen(function), nth, code);
    }
}

void cuda_double_fail(const char *function, unsigned long nth, int code) { plant_one(FAIL, function, nth, code); }
void cuda_double_drop(const char *function, unsigned long nth) { plant_one(DROP, function, nth, 0); }
void cuda_double_hurry(const char *function, unsigned long nth) { plant_one(HURRY, function, nth, 0); }

int cuda_double_happened(void) {
    LOCKED;
    return st.nplan > 0 && st.plan[0].happened;
}

unsigned long cuda_double_calls(const char *function) {
    LOCKED;
    unsigned long n = 0;
    if (function && strcmp(function, "kernel") == 0) {
        return st.kernels;
    }
    for (const cd_call *c = st.calls; c; c = c->next) {
        n += !function || strcmp(function, c->shown) == 0 ? c->count : 0;
    }
    return n;
}

const char *cuda_double_function(size_t i) {
    LOCKED;
    const cd_call *c = st.calls;
    for (; c && i > 0; i--) {
        c = c->next;
    }
    return c ? c->shown : NULL;
}

size_t cuda_double_live(const char *kind) {
    LOCKED;
    size_t n = 0;
    for (cd_kind k = 0; k < CD_FUNCTION; k++) {
        n += !kind || strcmp(kind, cd_kind_name(k)) == 0 ? cd_alive(k) : 0;
    }
    return n;
}

size_t cuda_double_faults(char *text, size_t cap) {
    LOCKED;
    if (text && cap > 0) {
        snprintf(text, cap, "%s", st.last_fault);
    }
    return st.faults;
}

void cuda_double_forget(void) {
    LOCKED;
    st.faults = 0;
    st.last_fault[0] = '\0';
    st.sticky = CUDA_SUCCESS;
    st.nplan = 0;
    cd_contexts_forget();
    cd_handles_forget();
}
