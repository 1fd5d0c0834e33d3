/* Shapes in messages. */
#ifndef WG_NN_TEXT_H
#define WG_NN_TEXT_H

#include <stdio.h>
#include <wengert/tensor.h>

typedef struct shape_text {
    char s[WG_MAX_RANK * 21 + 3];
} shape_text;

/* "[2,3]", by value so that two fit into one message. */
static inline shape_text shape_of(const wg_tensor *t) {
    shape_text text = {"["};
    size_t at = 1;
    wg_shape shape = wg_shape_of(t);
    for (int i = 0; i < shape.rank; i++) {
        at += (size_t)snprintf(text.s + at, sizeof text.s - at, i ? ",%lld" : "%lld", (long long)shape.dim[i]);
    }
    snprintf(text.s + at, sizeof text.s - at, "]");
    return text;
}

#endif
