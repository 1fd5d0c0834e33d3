/* The error a context keeps. */
#include "base/err.h"

#include "base/alloc.h"

#include <stdio.h>

wg_status wg_err_setv(wg_err *e, wg_status status, const char *fmt, va_list args) {
    if (!e || e->status != WG_OK || status == WG_OK) {
        return status;
    }
    e->status = status;
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    e->text = n < 0 ? NULL : wg_mem_alloc((size_t)n + 1);
    if (e->text) {
        vsnprintf(e->text, (size_t)n + 1, fmt, args);
    }
    return status;
}

wg_status wg_err_set(wg_err *e, wg_status status, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    wg_err_setv(e, status, fmt, args);
    va_end(args);
    return status;
}

const char *wg_err_text(const wg_err *e) {
    if (e->status == WG_OK) {
        return "";
    }
    return e->text ? e->text : e->fixed ? e->fixed : wg_status_name(e->status);
}

void wg_err_clear(wg_err *e) {
    wg_mem_free(e->text);
    e->text = NULL;
    e->fixed = NULL;
    e->status = WG_OK;
}

const char *wg_status_name(wg_status status) {
    switch (status) {
    case WG_OK:
        return "WG_OK";
    case WG_ERR_ARG:
        return "WG_ERR_ARG";
    case WG_ERR_SHAPE:
        return "WG_ERR_SHAPE";
    case WG_ERR_DTYPE:
        return "WG_ERR_DTYPE";
    case WG_ERR_GRAPH:
        return "WG_ERR_GRAPH";
    case WG_ERR_INDEX:
        return "WG_ERR_INDEX";
    case WG_ERR_NOMEM:
        return "WG_ERR_NOMEM";
    case WG_ERR_DEVICE_MEM:
        return "WG_ERR_DEVICE_MEM";
    case WG_ERR_NO_DEVICE:
        return "WG_ERR_NO_DEVICE";
    case WG_ERR_BUILD:
        return "WG_ERR_BUILD";
    case WG_ERR_LAUNCH:
        return "WG_ERR_LAUNCH";
    case WG_ERR_TRANSFER:
        return "WG_ERR_TRANSFER";
    case WG_ERR_LOST:
        return "WG_ERR_LOST";
    case WG_ERR_FORK:
        return "WG_ERR_FORK";
    case WG_ERR_IO:
        return "WG_ERR_IO";
    case WG_ERR_UNSUPPORTED:
        return "WG_ERR_UNSUPPORTED";
    case WG_ERR_ANOMALY:
        return "WG_ERR_ANOMALY";
    }
    return "WG_ERR_?";
}
