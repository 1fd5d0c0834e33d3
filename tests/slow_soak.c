/* A hundred thousand training steps, in the interpreter and on the device; test_soak.c takes a share of them. */
#include "harness/soak.h"

#include <stdio.h>
#include <stdlib.h>

enum { STEPS = 100000, PAGES = 64 };

int main(void) {
    const char *named = getenv("WENGERT_DEVICE");
    const char *devices[] = {"host", named && *named ? named : "opencl"};
    int failures = 0;
    for (int i = 0; i < 2; i++) {
        char why[400] = "";
        bool ok = soak(devices[i], STEPS, PAGES, why, sizeof why);
        printf("%s %s, %d steps: %s\n", ok ? "ok" : "FAILED", devices[i], STEPS, why);
        failures += !ok;
    }
    return failures != 0;
}
