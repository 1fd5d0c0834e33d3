/* dlopen of the OpenCL library. */
#include "opencl/loader.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static struct {
    pthread_once_t once;
    wg_cl_api api;
    bool usable;
    char why[512];
} loaded = {.once = PTHREAD_ONCE_INIT};

bool wg_cl_load_from(const char *library, wg_cl_api *api, char *why, size_t why_cap) {
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char *reason = dlerror();
        snprintf(why, why_cap, "cannot open the OpenCL library: %s", reason ? reason : library);
        return false;
    }
    static const char *const names[] = {
#define X(f) #f,
        WG_CL_FUNCTIONS(X)
#undef X
    };
    void **const places[] = {
#define X(f) (void **)&api->f,
        WG_CL_FUNCTIONS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        *places[i] = dlsym(handle, names[i]);
        if (!*places[i]) {
            snprintf(why, why_cap, "%s has no %s: not a library of OpenCL 1.2 or later", library, names[i]);
            return false;
        }
    }
    return true;
}

static void load(void) {
    /* POCL reads this when the loader first asks it for devices. Its "basic" device runs a kernel in the calling thread:
     * the inline queue. Who set the variable gets what they set. */
    setenv("POCL_DEVICES", "pthread basic", 0);
    const char *library = getenv("WENGERT_OPENCL_LIB");
    if (!library || !*library) {
        library = "libOpenCL.so.1";
    }
    loaded.usable = wg_cl_load_from(library, &loaded.api, loaded.why, sizeof loaded.why);
}

const wg_cl_api *wg_cl_load(wg_err *err) {
    pthread_once(&loaded.once, load);
    if (!loaded.usable) {
        wg_err_set(err, WG_ERR_NO_DEVICE, "%s", loaded.why);
        return NULL;
    }
    return &loaded.api;
}
