/* The backends of this build, best first. */
#include "runtime/backend.h"

extern const wg_backend wg_backend_cuda, wg_backend_opencl, wg_backend_null, wg_backend_host;

const wg_backend *const wg_backends[] = {&wg_backend_cuda, &wg_backend_opencl, &wg_backend_null, &wg_backend_host,
                                         NULL};
