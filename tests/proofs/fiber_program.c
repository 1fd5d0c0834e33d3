/* Compiling kernels for fibers: see fiber_program.h. */
#include "fiber_program.h"

#include "kernels/texts.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARTS = 2 }; /* compiled side by side */

static void *libraries[PARTS];

static bool write_source(const char *path, const kernel_text *kernels, size_t n) {
    wg_str text = {0};
    wg_str_addf(&text, "#include \"%s/fiber_cuda.h\"\n", WG_PROOFS_DIR);
    kernels_print(kernels, n, wg_text_prelude_cuda, &text);
    for (size_t i = 0; i < n; i++) {
        wg_str_addf(&text, "extern \"C\" void run_%s(void *const *b, const void *p) { fiber_call(%s, b, p); }\n",
                    kernels[i].name, kernels[i].name);
    }
    FILE *f = text.failed ? NULL : fopen(path, "w");
    bool done = f && fputs(text.data, f) >= 0;
    done = f && fclose(f) == 0 && done;
    wg_str_free(&text);
    return done;
}

static bool compile(const kernel_text *kernels, size_t n, const char *folder) {
    wg_str command = {0};
    for (int p = 0; p < PARTS; p++) {
        size_t first = n * (size_t)p / PARTS, last = n * (size_t)(p + 1) / PARTS;
        char path[4096];
        snprintf(path, sizeof path, "%s/part%d.cpp", folder, p);
        if (!write_source(path, kernels + first, last - first)) {
            fprintf(stderr, "proofs: cannot write %s\n", path);
            return false;
        }
        wg_str_addf(&command,
                    "c++ -std=c++17 -O1 -g1 -w -fPIC -shared -ffp-contract=off -fno-math-errno -fsanitize=thread -o "
                    "'%s/part%d.so' '%s' & p%d=$!\n",
                    folder, p, path, p);
    }
    for (int p = 0; p < PARTS; p++) {
        wg_str_addf(&command, "wait $p%d || exit 1\n", p);
    }
    bool good = !command.failed && system(command.data) == 0;
    wg_str_free(&command);
    return good;
}

bool fiber_program_make(const kernel_text *kernels, size_t n, const char *folder) {
    return n >= PARTS && compile(kernels, n, folder) && fiber_program_load(folder);
}

bool fiber_program_load(const char *folder) {
    for (int p = 0; p < PARTS; p++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/part%d.so", folder, p);
        libraries[p] = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!libraries[p]) {
            fprintf(stderr, "proofs: %s\n", dlerror());
            return false;
        }
    }
    return true;
}

fiber_kernel fiber_program_find(const char *name) {
    char symbol[64];
    snprintf(symbol, sizeof symbol, "run_%s", name);
    fiber_kernel found = NULL;
    for (int p = 0; p < PARTS && !found; p++) {
        *(void **)&found = libraries[p] ? dlsym(libraries[p], symbol) : NULL;
    }
    return found;
}
