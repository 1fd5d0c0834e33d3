/* The error a context keeps: the first one, with its text. Lower layers receive a wg_err * and fill it. */
#ifndef WG_BASE_ERR_H
#define WG_BASE_ERR_H

#include <stdarg.h>
#include <wengert/types.h>

typedef struct wg_err {
    wg_status status;
    char *text;        /* on the heap; NULL when there is no error, or no memory for its text */
    const char *fixed; /* a text that lives elsewhere, used when `text` is NULL; or NULL */
} wg_err;

/* Keeps the error if it is the first; returns status either way. */
wg_status wg_err_set(wg_err *e, wg_status status, const char *fmt, ...) WG_PRINTF(3, 4);
wg_status wg_err_setv(wg_err *e, wg_status status, const char *fmt, va_list args);
const char *wg_err_text(const wg_err *e);
void wg_err_clear(wg_err *e);

#endif
