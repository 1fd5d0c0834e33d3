// Loads and stores of one element, and sums across a work-group, for the simt form: the names of memory_simd.cl.

//@ memory
#define lane_numbers(first, step) ((vi64)(first))
#define WG_MEMORY(t, r, c, IN, OUT)                                                                                    \
    DEVICE_FN r same_##t(const GLOBAL c *p) { return IN(*p); }                                                         \
    DEVICE_FN r load_##t(const GLOBAL c *p, int n) { return IN(*p); }                                                  \
    DEVICE_FN r step_##t(const GLOBAL c *p, i64 step, int n) { return IN(*p); }                                        \
    DEVICE_FN r pick_##t(const GLOBAL c *p, i64 step, vi64 index, i64 by, vmask cond, int n) {                         \
        return cond ? IN(p[index * by]) : (r)0;                                                                        \
    }                                                                                                                  \
    DEVICE_FN r guard_##t(const GLOBAL c *p, i64 step, vmask cond, int n) { return cond ? IN(*p) : (r)0; }             \
    DEVICE_FN void save_one_##t(GLOBAL c *p, r x) { *p = OUT(x); }                                                     \
    DEVICE_FN void save_##t(GLOBAL c *p, int n, r x) { *p = OUT(x); }                                                  \
    DEVICE_FN void save_step_##t(GLOBAL c *p, i64 step, int n, r x) { *p = OUT(x); }                                   \
    DEVICE_FN void stream_##t(GLOBAL c *p, int n, r x) { *p = OUT(x); }
// One number from a group's, always by the same tree; every work-item must come here.
#define WG_ACROSS(t, c, name, OP)                                                                                      \
    DEVICE_FN v##t across_##name##_##t(v##t v, LOCAL_PTR c *s) {                                                       \
        const int me = LID(0);                                                                                         \
        s[me] = v;                                                                                                     \
        BARRIER_LOCAL();                                                                                               \
        for (int k = GROUP_ITEMS / 2; k > 0; k >>= 1) {                                                                \
            if (me < k) {                                                                                              \
                c a = s[me], b = s[me + k];                                                                            \
                s[me] = OP;                                                                                            \
            }                                                                                                          \
            BARRIER_LOCAL();                                                                                           \
        }                                                                                                              \
        const v##t r = s[0];                                                                                           \
        BARRIER_LOCAL();                                                                                               \
        return r;                                                                                                      \
    }
#define WG_ALL_ACROSS(t, c)                                                                                            \
    WG_ACROSS(t, c, sum, a + b)                                                                                        \
    WG_ACROSS(t, c, max, a >= b || a != a ? a : b)                                                                     \
    WG_ACROSS(t, c, min, a <= b || a != a ? a : b)
#define WG_ARGMAX(t, c)                                                                                                \
    DEVICE_FN vmask argmax_better_##t(v##t x, v##t best) { return x > best || (x != x && best == best); }              \
    DEVICE_FN vi64 across_argmax_##t(v##t best, vi64 where, LOCAL_PTR c *s, LOCAL_PTR i64 *at) {                       \
        const int me = LID(0);                                                                                         \
        s[me] = best;                                                                                                  \
        at[me] = where;                                                                                                \
        BARRIER_LOCAL();                                                                                               \
        for (int k = GROUP_ITEMS / 2; k > 0; k >>= 1) {                                                                \
            if (me < k) {                                                                                              \
                c a = s[me], b = s[me + k];                                                                            \
                i64 v = at[me], w = at[me + k];                                                                        \
                int nan = b != b, better = b > a || (nan && a == a), same = b == a || (nan && a != a);                 \
                if (w >= 0 && (v < 0 || better || (same && w < v))) {                                                  \
                    s[me] = b;                                                                                         \
                    at[me] = w;                                                                                        \
                }                                                                                                      \
            }                                                                                                          \
            BARRIER_LOCAL();                                                                                           \
        }                                                                                                              \
        const vi64 r = at[0];                                                                                          \
        BARRIER_LOCAL();                                                                                               \
        return r;                                                                                                      \
    }
#define WG_TRUTH(v) ((v) != 0)
#define WG_BYTES(x) ((uchar)((x) != 0))

//@ trap : memory
DEVICE_FN vmask trap(vmask ok, int n, GLOBAL i64 *words, i64 op, i64 shape) {
    if (!ok) {
        words[0] = op;
        words[1] = shape;
    }
    return ok;
}
//@ memory_f32 : memory
WG_MEMORY(f32, vf32, float, , )
WG_ALL_ACROSS(f32, float)
WG_ARGMAX(f32, float)
//@ memory_f64 : memory
WG_MEMORY(f64, vf64, double, , )
WG_ALL_ACROSS(f64, double)
WG_ARGMAX(f64, double)
//@ memory_i32 : memory
WG_MEMORY(i32, vi32, int, , )
WG_ALL_ACROSS(i32, int)
WG_ARGMAX(i32, int)
//@ memory_i64 : memory
WG_MEMORY(i64, vi64, i64, , )
WG_ALL_ACROSS(i64, i64)
WG_ARGMAX(i64, i64)
//@ memory_u8 : memory memory_i32
WG_MEMORY(u8, vi32, uchar, (vi32), (uchar))
//@ memory_bool : memory memory_i32
WG_MEMORY(bool, vmask, uchar, WG_TRUTH, WG_BYTES)
#define across_max_mask(m, s) across_max_i32(m, s)
#define across_min_mask(m, s) across_min_i32(m, s)
