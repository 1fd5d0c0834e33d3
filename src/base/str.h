/* A growable string. Appending never fails loudly: the first failed allocation sets `failed` and the rest is ignored. */
#ifndef WG_BASE_STR_H
#define WG_BASE_STR_H

#include <stdarg.h>
#include <wengert/types.h>

typedef struct wg_str {
    char *data; /* NUL-terminated once anything was added; NULL before */
    size_t len, cap;
    bool failed;
} wg_str;

void wg_str_add(wg_str *s, const char *text);
void wg_str_addn(wg_str *s, const char *text, size_t n);
void wg_str_addf(wg_str *s, const char *fmt, ...) WG_PRINTF(2, 3);
/* Adds a program's text, each line behind its number. */
void wg_str_add_numbered(wg_str *s, const char *text);
void wg_str_free(wg_str *s);
/* s->data, or "" while there is none. */
const char *wg_str_text(const wg_str *s);

/* Whether part stands in text, upper and lower case alike. False for an empty text. */
bool wg_str_contains(const char *text, const char *part);

#endif
