/* For layers above the public interface: keeping an error of their own in a context. */
#ifndef WG_API_FAIL_H
#define WG_API_FAIL_H

#include <wengert/types.h>

/* Keeps the error if it is the first; returns status. */
wg_status wg_ctx_fail(wg_ctx *ctx, wg_status status, const char *fmt, ...) WG_PRINTF(3, 4);

#endif
