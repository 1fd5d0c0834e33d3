/*
 * The driver, NVRTC, cuBLAS and cuBLASLt, opened at run time: nothing links to them. Each is opened once a process, RTLD_LOCAL, and
 * never closed; a failure is kept too. NVRTC and cuBLAS take a quarter of a second and 190 MB, so they are asked for only
 * once there is a device.
 */
#ifndef WG_CUDA_LOADER_H
#define WG_CUDA_LOADER_H

#include "base/err.h"
#include "cuda/api.h"

/* The oldest driver whose functions we use. */
#define WG_CU_OLDEST 12000

/* The initialised driver: $WENGERT_LIBCUDA, or libcuda.so.1. NULL, with a sentence in *err, when it cannot be used. */
const wg_cu_api *wg_cu_load(wg_err *err);
/* The version cuDriverGetVersion gave: 13000 for 13.0. */
int wg_cu_version(void);
/* $WENGERT_LIBNVRTC, or the library of the driver's generation, or the other of 13 and 12. */
const wg_rtc_api *wg_rtc_load(wg_err *err);
/* $WENGERT_LIBCUBLAS, likewise. */
const wg_blas_api *wg_blas_load(wg_err *err);
/* $WENGERT_LIBCUBLASLT, likewise. */
const wg_lt_api *wg_lt_load(wg_err *err);

/* One library into one table: names[i] is stored at ((void **)table)[i]. On failure a sentence. For the loaders above, and for
 * tests. */
bool wg_cuda_resolve(const char *library, const char *const *names, size_t n, void *table, char *why, size_t cap);
/* The names of the tables' functions. */
extern const char *const wg_cu_names[], *const wg_rtc_names[], *const wg_blas_names[], *const wg_lt_names[];
extern const size_t wg_cu_count, wg_rtc_count, wg_blas_count, wg_lt_count;

#endif
