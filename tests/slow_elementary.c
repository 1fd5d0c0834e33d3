/*
 * Every f32 argument of the elementary functions against double: the worst error in ulp, and where. Some minutes each.
 *
 *     slow_elementary [all | exp | log | sin | cos | tanh | erf | expm1 | log1p | pow]
 *
 * pow is sampled, since it has 2^64 arguments. The exit status is non-zero if an error exceeds 2 ulp or a special value
 * is wrong.
 */
#include "kernels/lanes_host.h"

#include "kernels/elementary_f32.cl"
#include "kernels/elementary_f64.cl"

#include <pthread.h>
#include <stdio.h>

enum { THREADS = 2 };

/* A double is wide enough a reference: its own error is some 2^-29 ulp of f32. */
typedef struct {
    const char *name;
    float (*ours)(float);
    double (*ref)(double);
} unary;

static const unary unaries[] = {
    {"exp", exp_f32, exp},    {"log", log_f32, log}, {"sin", sin_f32, sin},       {"cos", cos_f32, cos},
    {"tanh", tanh_f32, tanh}, {"erf", erf_f32, erf}, {"expm1", expm1_f32, expm1}, {"log1p", log1p_f32, log1p},
};

typedef struct {
    const unary *u; /* NULL: pow */
    unsigned part;
    double worst;
    float x, y;
} job;

/*
 * Distance from `got` to `want` in units of the last place of f32 at `want`; infinite for a wrong special value, sign.
 * Infinity counts as 2^128, the float it stands next to.
 */
static double ulps(float got, double want) {
    if (isnan(want) || isnan(got)) return isnan(want) && isnan(got) ? 0 : INFINITY;
    if (signbit(want) ? !signbit(got) : signbit(got)) return INFINITY;
    if (want == 0) return got == 0 ? 0 : INFINITY;
    if (isinf(want) && !isinf(got)) return INFINITY;
    double w = fmin(fabs(want), 0x1p+128), g = fmin(fabs((double)got), 0x1p+128);
    uint64_t exponent = as_vu64(w) >> 52;
    if (exponent > 1023 + 127) exponent = 1023 + 127;
    if (exponent < 1023 - 126) exponent = 1023 - 126;
    return fabs(g - w) / as_vf64((vu64)((exponent - 23) << 52));
}

static void note(job *j, double u, float x, float y) {
    if (u > j->worst) {
        j->worst = u;
        j->x = x;
        j->y = y;
    }
}

static void *run_unary(void *arg) {
    job *j = arg;
    for (uint64_t i = j->part; i < UINT64_C(1) << 32; i += THREADS) {
        float x = as_vf32((uint32_t)i);
        note(j, ulps(j->u->ours(x), j->u->ref(x)), x, 0);
    }
    return NULL;
}

static uint64_t next(uint64_t *s) {
    *s += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *s;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Random bits; or x, then y such that x^y lands anywhere in or just outside the range; or small integers and halves. */
static void *run_pow(void *arg) {
    job *j = arg;
    uint64_t s = j->part;
    for (long i = 0; i < 100000000; i++) {
        uint64_t r = next(&s);
        float x = as_vf32((uint32_t)r), y = as_vf32((uint32_t)(r >> 32));
        if (i % 4) {
            if (i % 4 == 2) x = as_vf32(0x3f000000u + (uint32_t)(r >> 8) % 0x01000000u);
            double want = ((double)(next(&s) >> 11) * 0x1p-53 - 0.5) * 300;
            y = (float)(want / log2(fabsf(x)));
            if (i % 4 == 3) {
                x = (float)((int)(r & 63) - 32) * 0.5f;
                y = (float)((int)(r >> 6 & 255) - 128) * 0.5f;
            }
        }
        note(j, ulps(pow_f32(x, y), pow(x, y)), x, y);
    }
    static const float edge[] = {0.0f,
                                 1.0f,
                                 2.0f,
                                 3.0f,
                                 0.5f,
                                 1.5f,
                                 0x1p-149f,
                                 0x1p-126f,
                                 0x1p+23f,
                                 0x1.000002p+23f,
                                 0x1p+24f,
                                 0x1.fffffep+127f,
                                 0x1.fffffep-1f,
                                 0x1.000002p+0f,
                                 INFINITY,
                                 NAN,
                                 0x1.fffffep-127f,
                                 1e30f,
                                 1e-30f};
    enum { EDGES = sizeof edge / sizeof *edge };
    for (int a = 0; a < 2 * EDGES; a++)
        for (int b = 0; b < 2 * EDGES; b++) {
            float x = a < EDGES ? edge[a] : -edge[a - EDGES], y = b < EDGES ? edge[b] : -edge[b - EDGES];
            note(j, ulps(pow_f32(x, y), pow(x, y)), x, y);
        }
    return NULL;
}

static int check(const unary *u, const char *name) {
    pthread_t threads[THREADS];
    job jobs[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        jobs[i] = (job){u, i, 0, 0, 0};
        pthread_create(&threads[i], NULL, u ? run_unary : run_pow, &jobs[i]);
    }
    job *worst = &jobs[0];
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        if (jobs[i].worst > worst->worst) worst = &jobs[i];
    }
    if (u)
        printf("%-6s %.3f ulp at %a\n", name, worst->worst, (double)worst->x);
    else
        printf("%-6s %.3f ulp at %a, %a\n", name, worst->worst, (double)worst->x, (double)worst->y);
    fflush(stdout);
    return worst->worst > 2;
}

int main(int argc, char **argv) {
    const char *want = argc > 1 ? argv[1] : "all";
    int bad = 0, found = 0;
    for (size_t i = 0; i < sizeof unaries / sizeof *unaries; i++)
        if (!strcmp(want, "all") || !strcmp(want, unaries[i].name)) {
            bad |= check(&unaries[i], unaries[i].name);
            found = 1;
        }
    if (!strcmp(want, "all") || !strcmp(want, "pow")) {
        bad |= check(NULL, "pow");
        found = 1;
    }
    if (!found) fprintf(stderr, "no function called %s\n", want);
    return bad || !found;
}
