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
// Four neighbours of which n are real, as the hardware moves them: 16 bytes at once where they lie so.
#define WG_FOUR_BY_ONE(t, r, c, IN, OUT)                                                                               \
    DEVICE_FN void one_by_one_##t(const GLOBAL c *p, int n, r *to) {                                                   \
        LANE_LOOP for (int l = 0; l < 4; l++) {                                                                        \
            to[l] = l < n ? IN(p[l]) : (r)0;                                                                           \
        }                                                                                                              \
    }                                                                                                                  \
    DEVICE_FN void save_one_by_one_##t(GLOBAL c *p, int n, const r *from) {                                            \
        LANE_LOOP for (int l = 0; l < 4; l++) {                                                                        \
            if (l < n) {                                                                                               \
                p[l] = OUT(from[l]);                                                                                   \
            }                                                                                                          \
        }                                                                                                              \
    }
#define WG_LIE_AT(p, bytes) (((size_t)(p) & ((bytes) - 1)) == 0)
#define WG_FOURS(t, r, c, quad, IN, OUT)                                                                               \
    WG_FOUR_BY_ONE(t, r, c, IN, OUT)                                                                                   \
    DEVICE_FN void load4_##t(const GLOBAL c *p, int n, r *to) {                                                        \
        if (n == 4 && WG_LIE_AT(p, sizeof(quad))) {                                                                    \
            const quad q = *(const GLOBAL quad *)p;                                                                    \
            to[0] = IN(q.x);                                                                                           \
            to[1] = IN(q.y);                                                                                           \
            to[2] = IN(q.z);                                                                                           \
            to[3] = IN(q.w);                                                                                           \
        } else {                                                                                                       \
            one_by_one_##t(p, n, to);                                                                                  \
        }                                                                                                              \
    }                                                                                                                  \
    DEVICE_FN void save4_##t(GLOBAL c *p, int n, const r *from) {                                                      \
        if (n == 4 && WG_LIE_AT(p, sizeof(quad))) {                                                                    \
            quad q;                                                                                                    \
            q.x = OUT(from[0]);                                                                                        \
            q.y = OUT(from[1]);                                                                                        \
            q.z = OUT(from[2]);                                                                                        \
            q.w = OUT(from[3]);                                                                                        \
            *(GLOBAL quad *)p = q;                                                                                     \
        } else {                                                                                                       \
            save_one_by_one_##t(p, n, from);                                                                           \
        }                                                                                                              \
    }
#define WG_FOURS_OF_PAIRS(t, r, c, pair)                                                                               \
    WG_FOUR_BY_ONE(t, r, c, , )                                                                                        \
    DEVICE_FN void load4_##t(const GLOBAL c *p, int n, r *to) {                                                        \
        if (n == 4 && WG_LIE_AT(p, sizeof(pair))) {                                                                    \
            const pair a = ((const GLOBAL pair *)p)[0], b = ((const GLOBAL pair *)p)[1];                               \
            to[0] = a.x;                                                                                               \
            to[1] = a.y;                                                                                               \
            to[2] = b.x;                                                                                               \
            to[3] = b.y;                                                                                               \
        } else {                                                                                                       \
            one_by_one_##t(p, n, to);                                                                                  \
        }                                                                                                              \
    }                                                                                                                  \
    DEVICE_FN void save4_##t(GLOBAL c *p, int n, const r *from) {                                                      \
        if (n == 4 && WG_LIE_AT(p, sizeof(pair))) {                                                                    \
            pair a, b;                                                                                                 \
            a.x = from[0];                                                                                             \
            a.y = from[1];                                                                                             \
            b.x = from[2];                                                                                             \
            b.y = from[3];                                                                                             \
            ((GLOBAL pair *)p)[0] = a;                                                                                 \
            ((GLOBAL pair *)p)[1] = b;                                                                                 \
        } else {                                                                                                       \
            save_one_by_one_##t(p, n, from);                                                                           \
        }                                                                                                              \
    }
// One number from a group's, always by the same tree, k = 32, 16, ... 1: item me takes in item me + k. Every work-item must
// come here; a group of more than GROUP_ITEMS makes as many numbers as it has such pieces, each with an s of its own. Where there are shuffles the lower half does the steps after the first without memory or barriers, and s needs
// no barrier at the end: what comes next may write the lower half of s, which is read before the last barrier, but s[32]
// only after a barrier of its own.
#ifdef SHUFFLE_DOWN
#define WG_ACROSS(t, c, name, OP)                                                                                      \
    DEVICE_FN v##t across_##name##_##t(v##t v, LOCAL_PTR c *s) {                                                       \
        const int me = LID(0) & (GROUP_ITEMS - 1);                                                                     \
        if (me >= GROUP_ITEMS / 2) {                                                                                   \
            s[me - GROUP_ITEMS / 2] = v;                                                                               \
        }                                                                                                              \
        BARRIER_LOCAL();                                                                                               \
        if (me < GROUP_ITEMS / 2) {                                                                                    \
            c a = v, b = s[me];                                                                                        \
            c r = OP;                                                                                                  \
            UNROLL for (int k = GROUP_ITEMS / 4; k > 0; k >>= 1) {                                                     \
                a = r;                                                                                                 \
                b = SHUFFLE_DOWN(r, k);                                                                                \
                r = OP;                                                                                                \
            }                                                                                                          \
            if (me == 0) {                                                                                             \
                s[GROUP_ITEMS / 2] = r;                                                                                \
            }                                                                                                          \
        }                                                                                                              \
        BARRIER_LOCAL();                                                                                               \
        return s[GROUP_ITEMS / 2];                                                                                     \
    }
#else
#define WG_ACROSS(t, c, name, OP)                                                                                      \
    DEVICE_FN v##t across_##name##_##t(v##t v, LOCAL_PTR c *s) {                                                       \
        const int me = LID(0) & (GROUP_ITEMS - 1);                                                                     \
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
#endif
#define WG_ALL_ACROSS(t, c)                                                                                            \
    WG_ACROSS(t, c, sum, a + b)                                                                                        \
    WG_ACROSS(t, c, max, a >= b || a != a ? a : b)                                                                     \
    WG_ACROSS(t, c, min, a <= b || a != a ? a : b)
// Of equal values the first counts; whatever the order of comparisons, the result is one.
#define WG_TAKES(a, v, b, w)                                                                                           \
    ((w) >= 0 && ((v) < 0 || (b) > (a) || ((b) != (b) && (a) == (a)) ||                                                \
                  (((b) == (a) || ((b) != (b) && (a) != (a))) && (w) < (v))))
#define WG_BETTER(t)                                                                                                   \
    DEVICE_FN vmask argmax_better_##t(v##t x, v##t best) { return x > best || (x != x && best == best); }
#ifdef SHUFFLE_DOWN
#define WG_ARGMAX(t, c)                                                                                                \
    WG_BETTER(t)                                                                                                       \
    DEVICE_FN vi64 across_argmax_##t(v##t best, vi64 where, LOCAL_PTR c *s, LOCAL_PTR i64 *at) {                       \
        const int me = LID(0) & (GROUP_ITEMS - 1);                                                                     \
        if (me >= GROUP_ITEMS / 2) {                                                                                   \
            s[me - GROUP_ITEMS / 2] = best;                                                                            \
            at[me - GROUP_ITEMS / 2] = where;                                                                          \
        }                                                                                                              \
        BARRIER_LOCAL();                                                                                               \
        if (me < GROUP_ITEMS / 2) {                                                                                    \
            c a = best, b = s[me];                                                                                     \
            i64 v = where, w = at[me];                                                                                 \
            UNROLL for (int k = GROUP_ITEMS / 4;; k >>= 1) {                                                           \
                const int takes = WG_TAKES(a, v, b, w);                                                                \
                a = takes ? b : a;                                                                                     \
                v = takes ? w : v;                                                                                     \
                if (k == 0) {                                                                                          \
                    break;                                                                                             \
                }                                                                                                      \
                b = SHUFFLE_DOWN(a, k);                                                                                \
                w = SHUFFLE_DOWN(v, k);                                                                                \
            }                                                                                                          \
            if (me == 0) {                                                                                             \
                at[GROUP_ITEMS / 2] = v;                                                                               \
            }                                                                                                          \
        }                                                                                                              \
        BARRIER_LOCAL();                                                                                               \
        return at[GROUP_ITEMS / 2];                                                                                    \
    }
#else
#define WG_ARGMAX(t, c)                                                                                                \
    WG_BETTER(t)                                                                                                       \
    DEVICE_FN vi64 across_argmax_##t(v##t best, vi64 where, LOCAL_PTR c *s, LOCAL_PTR i64 *at) {                       \
        const int me = LID(0) & (GROUP_ITEMS - 1);                                                                     \
        s[me] = best;                                                                                                  \
        at[me] = where;                                                                                                \
        BARRIER_LOCAL();                                                                                               \
        for (int k = GROUP_ITEMS / 2; k > 0; k >>= 1) {                                                                \
            if (me < k) {                                                                                              \
                c a = s[me], b = s[me + k];                                                                            \
                i64 v = at[me], w = at[me + k];                                                                        \
                if (WG_TAKES(a, v, b, w)) {                                                                            \
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
#endif
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
WG_FOURS(f32, vf32, float, float4, , )
WG_ALL_ACROSS(f32, float)
WG_ARGMAX(f32, float)
//@ memory_f64 : memory
WG_MEMORY(f64, vf64, double, , )
WG_FOURS_OF_PAIRS(f64, vf64, double, double2)
WG_ALL_ACROSS(f64, double)
WG_ARGMAX(f64, double)
//@ memory_i32 : memory
WG_MEMORY(i32, vi32, int, , )
WG_FOURS(i32, vi32, int, int4, , )
WG_ALL_ACROSS(i32, int)
WG_ARGMAX(i32, int)
//@ memory_i64 : memory
WG_MEMORY(i64, vi64, i64, , )
WG_FOURS_OF_PAIRS(i64, vi64, i64, i64x2)
WG_ALL_ACROSS(i64, i64)
WG_ARGMAX(i64, i64)
//@ memory_f16 : memory memory_f32 f16
#define WG_BITS_F16(x) ((ushort)bits_f16(x))
WG_MEMORY(f16, vf32, ushort, widen_f16, WG_BITS_F16)
WG_FOURS(f16, vf32, ushort, ushort4, widen_f16, WG_BITS_F16)
#define f16_to_float(h) widen_f16(h)
//@ memory_bf16 : memory memory_f32 bf16
#define WG_BITS_BF16(x) ((ushort)bits_bf16(x))
WG_MEMORY(bf16, vf32, ushort, widen_bf16, WG_BITS_BF16)
WG_FOURS(bf16, vf32, ushort, ushort4, widen_bf16, WG_BITS_BF16)
#define bf16_to_float(h) widen_bf16(h)
//@ memory_u8 : memory memory_i32
WG_MEMORY(u8, vi32, uchar, (vi32), (uchar))
WG_FOURS(u8, vi32, uchar, uchar4, (vi32), (uchar))
//@ memory_bool : memory memory_i32
WG_MEMORY(bool, vmask, uchar, WG_TRUTH, WG_BYTES)
WG_FOURS(bool, vmask, uchar, uchar4, WG_TRUTH, WG_BYTES)
#define across_max_mask(m, s) across_max_i32(m, s)
#define across_min_mask(m, s) across_min_i32(m, s)
