/* The backends of this build, best first, and what is the same for all. */
#include "runtime/backend.h"

#include <stdlib.h>

extern const wg_backend wg_backend_cuda, wg_backend_opencl, wg_backend_null, wg_backend_host;

const wg_backend *const wg_backends[] = {&wg_backend_cuda, &wg_backend_opencl, &wg_backend_null, &wg_backend_host,
                                         NULL};

int wg_queues_wanted(int otherwise) {
    const char *s = getenv("WENGERT_QUEUES");
    if (!s || !*s) {
        return otherwise;
    }
    return s[0] >= '1' && s[0] <= '0' + WG_MAX_QUEUES && !s[1] ? s[0] - '0' : 0;
}
