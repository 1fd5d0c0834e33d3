/*
 * Numbers as Python prints them: the shortest digits that read back as the same double.
 */
#ifndef PYFLOAT_H
#define PYFLOAT_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text of repr(v), with its storage: py_repr(v).text lives until the end of the full expression. */
typedef struct py_text {
    char text[32];
} py_text;

static inline py_text py_repr(double v) {
    py_text out;
    if (isnan(v) || isinf(v)) {
        snprintf(out.text, sizeof out.text, "%s", isnan(v) ? "nan" : v < 0 ? "-inf" : "inf");
        return out;
    }

    /* "-d.ddde-xx" with as few digits as read back the same. */
    char sci[32];
    int digits = 0;
    do {
        snprintf(sci, sizeof sci, "%.*e", digits, v);
    } while (strtod(sci, NULL) != v && ++digits < 17);

    int exponent = atoi(strchr(sci, 'e') + 1);
    if (exponent < -4 || exponent >= 16) {
        memcpy(out.text, sci, sizeof out.text);
    } else if (digits > exponent) {
        snprintf(out.text, sizeof out.text, "%.*f", digits - exponent, v);
    } else {
        snprintf(out.text, sizeof out.text, "%.1f", v);
    }
    return out;
}

#endif
