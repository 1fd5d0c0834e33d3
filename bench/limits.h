/*
 * What the device can do at best, measured beside each case: the denominators of the shares.
 */
#ifndef WENGERT_BENCH_LIMITS_H
#define WENGERT_BENCH_LIMITS_H

#include "measure.h"

typedef enum limit_kind {
    NO_LIMIT,
    COPY_LIMIT, /* bytes read plus bytes written, half and half: the best of a plain and a cache-bypassing copy */
    READ_LIMIT, /* bytes read */
    FMA_LIMIT,  /* fused multiply-adds that touch no memory, two operations each */
} limit_kind;

typedef struct limits limits;

/* Limits of all cores of this machine (on_cpu), or of the OpenCL device whose name the text starts with. Where neither
 * can be measured the result is NULL, and `why`, at least 128 bytes, says so. */
limits *limits_open(bool on_cpu, const char *device_name, char *why);
void limits_close(limits *l);

enum { MAX_LIMIT_SIDES = 2 };

/* The sides to measure for a limit, at a case's number of bytes or operations. Returns how many; *work is what a run
 * does of them, about the same. They are valid until the next call. */
size_t limits_sides(limits *l, limit_kind kind, double amount, side *sides, double *work);

/* Host seconds of one launch of an empty kernel through the bare driver; 0 when the driver is not OpenCL. */
double limits_driver_launch(limits *l);

const char *limit_name(limit_kind kind);

#endif
