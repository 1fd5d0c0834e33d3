/* What a device can do at best, measured with two kernels of its own form: the denominators of shares. */
#ifndef WG_RUNTIME_RATES_H
#define WG_RUNTIME_RATES_H

#include "runtime/exec.h"

/* Bytes read and written, and floating operations, per second. WG_ERR_UNSUPPORTED on a device that runs no kernels; both
 * are as before on failure. */
wg_status wg_rates_measure(wg_engine *e, double *bytes_rate, double *flops_rate, wg_err *err);

#endif
