/*
 * Limits of an OpenCL device, by kernels of our own given to the bare driver.
 */
#ifndef WENGERT_BENCH_OPENCL_H
#define WENGERT_BENCH_OPENCL_H

#include "limits.h"

typedef struct opencl opencl;

/* The device whose name `name` starts with; NULL with the reason in `why`, at least 128 bytes. */
opencl *opencl_open(const char *name, char *why);
void opencl_close(opencl *cl);

/* As limits_sides. */
size_t opencl_limit(opencl *cl, limit_kind kind, double amount, side *sides, double *work);

/* Host seconds to enqueue an empty kernel, the shortest of many. */
double opencl_launch_seconds(opencl *cl);

#endif
