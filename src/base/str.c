/* A growable string. */
#include "base/str.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

void wg_str_addn(wg_str *s, const char *text, size_t n) {
    if (s->failed || n == 0) {
        return;
    }
    if (s->len + n + 1 > s->cap && !wg_mem_grow((void **)&s->data, &s->cap, s->len + n + 1, 1)) {
        s->failed = true;
        return;
    }
    memcpy(s->data + s->len, text, n);
    s->len += n;
    s->data[s->len] = '\0';
}

void wg_str_add(wg_str *s, const char *text) { wg_str_addn(s, text, strlen(text)); }

void wg_str_addf(wg_str *s, const char *fmt, ...) {
    char small[256];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(small, sizeof small, fmt, args);
    va_end(args);
    if (n < 0) {
        s->failed = true;
    } else if ((size_t)n < sizeof small) {
        wg_str_addn(s, small, (size_t)n);
    } else if (s->len + (size_t)n + 1 <= s->cap || wg_mem_grow((void **)&s->data, &s->cap, s->len + (size_t)n + 1, 1)) {
        va_start(args, fmt);
        vsnprintf(s->data + s->len, (size_t)n + 1, fmt, args);
        va_end(args);
        s->len += (size_t)n;
    } else {
        s->failed = true;
    }
}

void wg_str_free(wg_str *s) {
    wg_mem_free(s->data);
    *s = (wg_str){0};
}

const char *wg_str_text(const wg_str *s) { return s->data ? s->data : ""; }

void wg_str_add_numbered(wg_str *s, const char *text) {
    int line = 1;
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, "\n");
        wg_str_addf(s, "%4d| %.*s\n", line++, (int)n, p);
        p += n + (p[n] == '\n');
    }
}

bool wg_str_contains(const char *text, const char *part) {
    size_t n = strlen(part);
    for (; *text; text++) {
        if (strncasecmp(text, part, n) == 0) {
            return true;
        }
    }
    return false;
}
