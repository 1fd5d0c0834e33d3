/*
 * Known instructions: see calibrate.h. Inline assembly and places of their own keep the compiler from
 * merging or dropping any.
 */
#include "calibrate.h"

#include "cubin.h"
#include "rtc.h"

#include <stdio.h>
#include <stdlib.h>

static const char text[] =
    "#define K(name) extern \"C\" __global__ void name(float *p, unsigned char *u, int n)\n"
    "K(loads) {\n"
    "    float a, b, c, d, s = 0;\n"
    "    unsigned h;\n"
    "    _Pragma(\"unroll\") for (int i = 0; i < 5; i++) {\n"
    "        asm volatile(\"ld.global.v4.f32 {%0,%1,%2,%3},[%4];\" : \"=f\"(a), \"=f\"(b), \"=f\"(c), \"=f\"(d) : "
    "\"l\"(p + i * 64));\n"
    "        s += a * b * c * d;\n"
    "    }\n"
    "    _Pragma(\"unroll\") for (int i = 0; i < 4; i++) {\n"
    "        asm volatile(\"ld.global.v2.f32 {%0,%1},[%2];\" : \"=f\"(a), \"=f\"(b) : \"l\"(p + 1024 + i * 64));\n"
    "        s += a * b;\n"
    "    }\n"
    "    _Pragma(\"unroll\") for (int i = 0; i < 3; i++) {\n"
    "        asm volatile(\"ld.global.f32 %0,[%1];\" : \"=f\"(a) : \"l\"(p + 2048 + i * 64));\n"
    "        s += a;\n"
    "    }\n"
    "    _Pragma(\"unroll\") for (int i = 0; i < 2; i++) {\n"
    "        asm volatile(\"ld.global.u8 %0,[%1];\" : \"=r\"(h) : \"l\"(u + i * 64));\n"
    "        s += h;\n"
    "    }\n"
    "    p[999] = s;\n"
    "}\n"
    "K(stores) {\n"
    "    _Pragma(\"unroll\") for (int i = 0; i < 3; i++)\n"
    "        asm volatile(\"st.global.v4.f32 [%0],{%1,%1,%1,%1};\" :: \"l\"(p + i * 64), \"f\"(1.f));\n"
    "    _Pragma(\"unroll\") for (int i = 0; i < 2; i++)\n"
    "        asm volatile(\"st.global.v2.f32 [%0],{%1,%1};\" :: \"l\"(p + i * 64), \"f\"(1.f));\n"
    "    asm volatile(\"st.global.u8 [%0],%1;\" :: \"l\"(u), \"r\"(1));\n"
    "}\n"
    "K(shared) {\n"
    "    __shared__ float s[96];\n"
    "    float v = p[threadIdx.x];\n"
    "    s[threadIdx.x] = v;\n"
    "    __syncthreads();\n"
    "    v = s[95 - threadIdx.x];\n"
    "    v += __shfl_xor_sync(~0u, v, 1);\n"
    "    v += __shfl_xor_sync(~0u, v, 2);\n"
    "    v += __shfl_xor_sync(~0u, v, 4);\n"
    "    __syncthreads();\n"
    "    p[threadIdx.x] = v;\n"
    "}\n"
    "K(local) {\n"
    "    float a[300], s = 0;\n"
    "    for (int i = 0; i < 300; i++) a[i] = p[i * 7];\n"
    "    for (int k = 0; k < n; k++) a[(k * 13) % 300] += a[(k * 7) % 300];\n"
    "    for (int i = 0; i < 300; i++) s += a[i];\n"
    "    p[0] = s;\n"
    "}\n";

static bool same(const char *arch, const char *what, int got, int want) {
    if (got != want) {
        fprintf(stderr, "calibration for sm_%s: %s: %d, should be %d\n", arch, what, got, want);
    }
    return got == want;
}

static bool compare(const char *arch, const void *cubin, size_t size) {
    cubin_facts loads, stores, shared, local;
    if (!cubin_read(cubin, size, "loads", &loads) || !cubin_read(cubin, size, "stores", &stores) ||
        !cubin_read(cubin, size, "shared", &shared) || !cubin_read(cubin, size, "local", &local)) {
        fprintf(stderr, "calibration for sm_%s: the CUBIN cannot be read\n", arch);
        return false;
    }
    bool good = same(arch, "loads of 128 bits", loads.loads[WIDTH_128], 5);
    good = same(arch, "loads of 64 bits", loads.loads[WIDTH_64], 4) && good;
    good = same(arch, "loads of 32 bits", loads.loads[WIDTH_32], 3) && good;
    good = same(arch, "loads of 8 bits", loads.loads[WIDTH_8], 2) && good;
    good = same(arch, "stores of 128 bits", stores.stores[WIDTH_128], 3) && good;
    good = same(arch, "stores of 64 bits", stores.stores[WIDTH_64], 2) && good;
    good = same(arch, "stores of 8 bits", stores.stores[WIDTH_8], 1) && good;
    good = same(arch, "stack of a kernel without", loads.stack + stores.stack + shared.stack, 0) && good;
    good = same(arch, "local accesses of a kernel without", loads.local + stores.local + shared.local, 0) && good;
    good = same(arch, "shuffles", shared.shuffles, 3) && good;
    good = same(arch, "barriers", shared.barriers, 2) && good;
    good = same(arch, "384 bytes are shared", shared.shared >= 384, 1) && good;
    good = same(arch, "1200 bytes are on the stack", local.stack >= 1200, 1) && good;
    return same(arch, "local memory is used", local.local >= 4, 1) && good;
}

bool calibrate(const char *arch) {
    size_t size = 0;
    char *log = NULL;
    void *cubin = rtc_compile(text, arch, &size, &log);
    bool good = cubin && compare(arch, cubin, size);
    if (!cubin) {
        fprintf(stderr, "calibration for sm_%s: %s\n", arch, log ? log : "");
    }
    free(cubin);
    free(log);
    return good;
}
