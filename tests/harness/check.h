/*
 * Contexts in each mode, comparisons that say what differs, and batches that run many results in one plan.
 */
#ifndef HARNESS_CHECK_H
#define HARNESS_CHECK_H

#include <criterion/criterion.h>
#include <wengert/wengert.h>

#include "gen.h"
#include "nd.h"

typedef enum mode {
    MODE_DEFAULT = 0,
    MODE_UNFUSED, /* WENGERT_FUSE=0 */
    MODE_EAGER,   /* WENGERT_EAGER=1 */
    MODE_SIMD,    /* WENGERT_FORM=simd */
    MODE_SIMT,    /* WENGERT_FORM=simt */
    MODE_SIMT_UNFUSED,
    MODE_HOST, /* the interpreter */
    MODE_HOST_UNFUSED,
    MODE_COUNT
} mode;
const char *mode_name(mode m);

/* A context on $WENGERT_DEVICE, else OpenCL; fails the test when it cannot be used. */
wg_ctx *open_ctx(void);
wg_ctx *open_mode(mode m);
/* Closes and expects that no error was left behind. */
void close_ok(wg_ctx *ctx);

/* Reads t and compares shape, dtype and every element with want: bits (NaNs equal as a class) when ulps is 0, else within
 * that many ulps, plus want's slack. False, and a failed expectation, if they differ. */
bool expect_nd(wg_tensor *t, nd want, double ulps, const char *label);
/* The elements of t as they are in memory; NULL, and a failed expectation, on error. */
void *read_bytes(wg_tensor *t, const char *label);
/* Bitwise equality of n elements of a dtype, NaNs equal as a class; reports the first that differs. */
bool expect_same_bits(const void *a, const void *b, wg_dtype dtype, int64_t n, const char *label);
/* Reads t as doubles (any dtype) into out, n elements; false and a failed expectation on error. */
bool read_doubles(wg_tensor *t, double *out, int64_t n);
/* |a - b| <= atol + rtol |b| for n doubles; NaN equals NaN, infinities equal themselves. */
bool expect_close(const double *a, const double *b, int64_t n, double atol, double rtol, const char *label);
/* t holds exactly these values (given as doubles). */
bool expect_values(wg_tensor *t, const double *want, int64_t n, const char *label);
#define EXPECT_VALUES(t, ...)                                                                                          \
    expect_values(t, (const double[]){__VA_ARGS__}, (int64_t)(sizeof((const double[]){__VA_ARGS__}) / sizeof(double)), \
                  #t)
/* The context has exactly this error now, and it is taken. The text must contain each of the strings up to NULL. */
bool expect_error(wg_ctx *ctx, wg_status status, const char *label, ...);
/* No error is waiting; one that is gets reported and taken. */
bool expect_no_error(wg_ctx *ctx, const char *label);

/* Results recorded but not yet demanded, each with what it should be. */
typedef struct batch batch;
batch *batch_new(wg_ctx *ctx);
/* Takes a result; NULL is a failure reported at once. Runs the batch when it is full. */
void batch_add(batch *b, wg_tensor *t, nd want, double ulps, const char *fmt, ...) WG_PRINTF(5, 6);
/* Demands all in one plan and compares; tells failures apart by running them one at a time if the plan fails. */
void batch_run(batch *b);
/* How many results the batch has compared so far. */
int batch_compared(const batch *b);

uint64_t stat_launches(wg_ctx *ctx);
wg_stats stats_of(wg_ctx *ctx);
/* Demanding t takes so many launches, which move so many bytes. */
void expect_launches(wg_ctx *ctx, wg_tensor *t, uint64_t launches, uint64_t bytes, const char *what);

#endif
