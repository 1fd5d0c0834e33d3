/* Pure functions on shapes. */
#include "tensor/shape.h"

#include <inttypes.h>
#include <stdio.h>

bool wg_shape_equal(const wg_shape *a, const wg_shape *b) {
    if (a->rank != b->rank) {
        return false;
    }
    for (int i = 0; i < a->rank; i++) {
        if (a->dim[i] != b->dim[i]) {
            return false;
        }
    }
    return true;
}

bool wg_shape_valid(const wg_shape *s) {
    if (s->rank < 0 || s->rank > WG_MAX_RANK) {
        return false;
    }
    /* Sizes are checked without regard to zeros elsewhere, so that strides of empty tensors cannot overflow either. */
    int64_t room = INT64_C(1) << 48;
    for (int i = 0; i < s->rank; i++) {
        if (s->dim[i] < 0 || s->dim[i] > room) {
            return false;
        }
        room /= s->dim[i] ? s->dim[i] : 1;
    }
    return true;
}

bool wg_shape_broadcast(const wg_shape *a, const wg_shape *b, wg_shape *out) {
    wg_shape r = {.rank = a->rank > b->rank ? a->rank : b->rank};
    for (int i = 1; i <= r.rank; i++) {
        int64_t x = i <= a->rank ? a->dim[a->rank - i] : 1, y = i <= b->rank ? b->dim[b->rank - i] : 1;
        if (x != y && x != 1 && y != 1) {
            return false;
        }
        r.dim[r.rank - i] = x == 1 ? y : x;
    }
    *out = r;
    return true;
}

int wg_shape_dim(const wg_shape *s, int dim) {
    int rank = s->rank ? s->rank : 1;
    return dim < -rank || dim >= rank ? -1 : dim < 0 ? dim + rank : dim;
}

wg_shape_text wg_shape_print(const wg_shape *s) {
    wg_shape_text t = {"[?]"};
    if (s->rank < 0 || s->rank > WG_MAX_RANK) {
        return t;
    }
    size_t at = 0;
    t.s[at++] = '[';
    for (int i = 0; i < s->rank; i++) {
        at += (size_t)snprintf(t.s + at, sizeof t.s - at, i ? ",%" PRId64 : "%" PRId64, s->dim[i]);
    }
    t.s[at++] = ']';
    t.s[at] = '\0';
    return t;
}
