// index_add: out = in, with slices of src added in the order of index. A unit of work owns some columns of out, walks all
// indices and adds what falls there, so the result does not depend on who runs when. T is the element type, I its place
// among the parameters.

//@ scatter
#define WG_SCATTER(name, c, t)                                                                                         \
    DEVICE_FN void name(const GLOBAL c *in, const GLOBAL i64 *index, const GLOBAL c *src, GLOBAL c *out,                \
                        GLOBAL i64 *words, i64 op, i64 shape, i64 n, i64 inner, i64 count, i64 o, i64 i, int lanes) {                                               \
        for (i64 r = 0; r < n; r++) {                                                                                  \
            save_##t(out + ((o * n + r) * inner + i), lanes, load_##t(in + ((o * n + r) * inner + i), lanes));          \
        }                                                                                                              \
        for (i64 s = 0; s < count; s++) {                                                                              \
            const i64 r = index[s];                                                                                    \
            if (r >= 0 && r < n) {                                                                                     \
                GLOBAL c *at = out + ((o * n + r) * inner + i);                                                        \
                save_##t(at, lanes, load_##t(at, lanes) + load_##t(src + ((o * count + s) * inner + i), lanes));        \
            } else {                                                                                                   \
                words[0] = op;                                                                                         \
                words[1] = shape;                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }
