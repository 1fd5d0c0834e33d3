/* Reading kernel texts: see kernels.h. */
#include "kernels.h"

#include "codegen/program.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void die(const char *what, const char *which) {
    fprintf(stderr, "proofs: %s: %s\n", which, what);
    exit(1);
}

const char *kernel_class_name(kernel_class c) {
    static const char *const names[] = {"map", "gather", "random", "columns", "rows", "split", "matmul", "scatter"};
    return names[c];
}

static char *read_file(const char *path) {
    FILE *f = fopen(path, "rb");
    long size = f && fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
    char *text = size < 0 ? NULL : malloc((size_t)size + 1);
    if (!text || fseek(f, 0, SEEK_SET) != 0 || fread(text, 1, (size_t)size, f) != (size_t)size) {
        die("cannot be read", path);
    }
    fclose(f);
    text[size] = '\0';
    return text;
}

static kernel_class class_of(const kernel_text *k) {
    bool product = strstr(k->body, "_epilogue(") || strstr(k->body, "_rows(");
    return product                               ? CLASS_MATMUL
           : strstr(k->body, "WG_SCATTER(")      ? CLASS_SCATTER
           : strstr(k->body, "const i64 left =") ? CLASS_SPLIT
           : k->items == 64                      ? CLASS_ROWS
           : strstr(k->body, "; r0++")           ? CLASS_COLUMNS
           : strstr(k->needs, "random")          ? CLASS_RANDOM
           : strstr(k->body, "pick_")            ? CLASS_GATHER
                                                 : CLASS_MAP;
}

/* Two lines of facts, then the text. */
static bool parse(const char *path, wg_form form, kernel_text *k) {
    char *text = read_file(path), word[8] = "";
    char *needs = strstr(text, "// needs: "), *body = needs ? strchr(needs, '\n') : NULL;
    const char *slash = strrchr(path, '/'), *group = strstr(text, "KERNEL_GROUP(");
    if (!body || !group || sscanf(text, "// form: %7s", word) != 1) {
        die("is not a kernel of this library", path);
    }
    if (strcmp(word, form == WG_SIMD ? "simd" : "simt") != 0) {
        free(text);
        return false;
    }
    *body = '\0';
    *k = (kernel_text){.form = form, .needs = needs + strlen("// needs: "), .body = body + 1};
    k->items = atoi(group + strlen("KERNEL_GROUP("));
    snprintf(k->name, sizeof k->name, "%.*s", (int)strcspn(slash + 1, "."), slash + 1);
    k->class = class_of(k);
    return true;
}

/* Neighbours need the same sections of the library: a program of neighbours is short. */
static int by_class_and_needs(const void *a, const void *b) {
    const kernel_text *x = a, *y = b;
    int needs = strcmp(x->needs, y->needs);
    return x->class != y->class ? (int)x->class - (int)y->class : needs ? needs : strcmp(x->name, y->name);
}

size_t kernels_load(const char *folder, wg_form form, kernel_text **out) {
    DIR *dir = opendir(folder);
    size_t n = 0, cap = 0;
    kernel_text *all = NULL;
    if (!dir) {
        die("cannot be opened", folder);
    }
    for (struct dirent *e; (e = readdir(dir));) {
        size_t len = strlen(e->d_name), end = strlen(".kernel");
        if (len < end || strcmp(e->d_name + len - end, ".kernel") != 0) {
            continue;
        }
        if (n == cap) {
            cap = cap ? 2 * cap : 1024;
            all = realloc(all, cap * sizeof *all);
            if (!all) {
                die("out of memory", folder);
            }
        }
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        n += parse(path, form, &all[n]);
    }
    closedir(dir);
    if (n == 0) {
        die("holds no kernels", folder);
    }
    qsort(all, n, sizeof *all, by_class_and_needs);
    *out = all;
    return n;
}

size_t kernels_sample(kernel_text *all, size_t n, int most) {
    size_t kept = 0;
    int of_class[CLASS_COUNT] = {0};
    for (size_t i = 0; i < n; i++) {
        if (of_class[all[i].class]++ < most) {
            all[kept++] = all[i];
        }
    }
    return kept;
}

void kernels_print(const kernel_text *all, size_t n, const char *prelude, wg_str *out) {
    wg_str needs = {0};
    for (size_t i = 0; i < n; i++) {
        wg_str_add(&needs, all[i].needs);
    }
    wg_str_add(out, prelude);
    wg_print_library(all[0].form, WG_CUDA_CPP, wg_str_text(&needs), out);
    for (size_t i = 0; i < n; i++) {
        wg_str_add(out, all[i].body);
    }
    wg_str_free(&needs);
}
