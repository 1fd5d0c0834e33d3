/* The program cache. */
#include "runtime/programs.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "codegen/program.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct wg_program_entry {
    struct wg_program_entry *next;
    uint64_t hash;
    char *body;
    size_t len;
    int queue;
    wg_kernel *kernel;
} entry;

typedef struct wg_built {
    struct wg_built *next;
    wg_program *program;
} built;

void wg_programs_init(wg_programs *p, const wg_dev *dev) { *p = (wg_programs){.dev = dev}; }

void wg_programs_drop(wg_programs *p) {
    for (size_t i = 0; i < p->nbuckets; i++) {
        for (entry *e = p->buckets[i], *next; e; e = next) {
            next = e->next;
            wg_mem_free(e->body);
            wg_mem_free(e);
        }
    }
    for (built *b = p->built, *next; b; b = next) {
        next = b->next;
        wg_dev_unbuild(p->dev, b->program);
        wg_mem_free(b);
    }
    wg_mem_free(p->buckets);
    *p = (wg_programs){.dev = p->dev, .kernels_built = p->kernels_built, .builds = p->builds, .keep_in = p->keep_in};
}

static entry *find(const wg_programs *p, uint64_t hash, const wg_str *body, wg_queue queue) {
    for (entry *e = p->nbuckets ? p->buckets[hash & (p->nbuckets - 1)] : NULL; e; e = e->next) {
        if (e->hash == hash && e->queue == (int)queue && e->len == body->len &&
            memcmp(e->body, wg_str_text(body), e->len) == 0) {
            return e;
        }
    }
    return NULL;
}

static bool make_room(wg_programs *p) {
    if (p->count < p->nbuckets) {
        return true;
    }
    size_t n = p->nbuckets ? p->nbuckets * 2 : 64;
    entry **buckets = wg_mem_zalloc(n * sizeof *buckets);
    if (!buckets) {
        return false;
    }
    for (size_t i = 0; i < p->nbuckets; i++) {
        for (entry *e = p->buckets[i], *next; e; e = next) {
            next = e->next;
            e->next = buckets[e->hash & (n - 1)];
            buckets[e->hash & (n - 1)] = e;
        }
    }
    wg_mem_free(p->buckets);
    p->buckets = buckets;
    p->nbuckets = n;
    return true;
}

/* Wants to build: the distinct texts among those not found. */
typedef struct missing {
    size_t count;
    size_t *which;
    uint64_t *hash;
} missing;

static bool same_text(const wg_str *a, const wg_str *b) {
    return a->len == b->len && memcmp(wg_str_text(a), wg_str_text(b), a->len) == 0;
}

static void collect(wg_programs *p, wg_queue queue, wg_kernel_want *wants, size_t n, missing *m) {
    for (size_t i = 0; i < n; i++) {
        m->hash[i] = wg_hash_bytes(wg_str_text(&wants[i].body), wants[i].body.len);
        entry *e = find(p, m->hash[i], &wants[i].body, queue);
        wants[i].kernel = e ? e->kernel : NULL;
        snprintf(wants[i].name, sizeof wants[i].name, "k%016" PRIx64, m->hash[i]);
        bool again = e || wants[i].body.len == 0; /* nothing to launch needs no kernel */
        for (size_t k = 0; k < m->count && !again; k++) {
            again = m->hash[m->which[k]] == m->hash[i] && same_text(&wants[m->which[k]].body, &wants[i].body);
        }
        if (!again) {
            m->which[m->count++] = i;
        }
    }
}

/* One source for all missing kernels. */
static void write_source(const wg_programs *p, wg_form form, const wg_kernel_want *wants, const missing *m,
                         wg_str *src) {
    wg_str needs = {0};
    for (size_t k = 0; k < m->count; k++) {
        wg_str_add(&needs, wg_str_text(&wants[m->which[k]].needs));
    }
    wg_str_add(src, wg_dev_prelude(p->dev));
    wg_print_library(form, p->dev->limits->language, wg_str_text(&needs), src);
    for (size_t k = 0; k < m->count; k++) {
        wg_print_named(wg_str_text(&wants[m->which[k]].body), wants[m->which[k]].name, src);
    }
    src->failed = src->failed || needs.failed;
    wg_str_free(&needs);
}

/* ---- WENGERT_KERNELS: the texts in files ------------------------------------------------------------------------------ */

/* Whole or not at all, since several processes may share the folder. */
static bool write_file(const char *path, const char *text) {
    FILE *f = fopen(path, "wx");
    bool done = f && fputs(text, f) >= 0;
    return f && !fclose(f) && done;
}

static wg_status keep_text(const wg_programs *p, wg_form form, const wg_kernel_want *want, wg_err *err) {
    wg_str text = {0}, path = {0}, part = {0};
    wg_str_addf(&path, "%s/%s.kernel", wg_str_text(&p->keep_in), want->name);
    wg_str_addf(&part, "%s.%ld", wg_str_text(&path), (long)getpid());
    wg_str_addf(&text, "// form: %s\n// needs: %s\n", form == WG_SIMD ? "simd" : "simt", wg_str_text(&want->needs));
    wg_print_named(wg_str_text(&want->body), want->name, &text);
    wg_status status = WG_OK;
    if (text.failed || path.failed || part.failed || p->keep_in.failed) {
        status = wg_err_set(err, WG_ERR_NOMEM, "out of host memory for the text of a kernel");
    } else if (access(path.data, F_OK) != 0 &&
               (!write_file(part.data, text.data) || rename(part.data, path.data) != 0)) {
        status = wg_err_set(err, WG_ERR_IO, "WENGERT_KERNELS: cannot write %s: %s", path.data, strerror(errno));
        remove(part.data);
    }
    wg_str_free(&text);
    wg_str_free(&path);
    wg_str_free(&part);
    return status;
}

static wg_status keep_texts(const wg_programs *p, wg_form form, const wg_kernel_want *wants, const missing *m,
                            wg_err *err) {
    wg_status status = WG_OK;
    for (size_t k = 0; k < m->count && p->keep_in.len > 0 && status == WG_OK; k++) {
        status = keep_text(p, form, &wants[m->which[k]], err);
    }
    return status;
}

static bool remember(wg_programs *p, wg_queue queue, wg_kernel_want *want, uint64_t hash, wg_kernel *kernel) {
    entry *e = wg_mem_zalloc(sizeof *e);
    if (!e || !make_room(p)) {
        wg_mem_free(e);
        return false;
    }
    *e = (entry){.hash = hash, .body = want->body.data, .len = want->body.len, .queue = (int)queue, .kernel = kernel};
    want->body = (wg_str){0}; /* the entry's now */
    e->next = p->buckets[hash & (p->nbuckets - 1)];
    p->buckets[hash & (p->nbuckets - 1)] = e;
    p->count++;
    want->kernel = kernel;
    return true;
}

static wg_status build(wg_programs *p, wg_form form, wg_queue queue, wg_kernel_want *wants, missing *m, wg_err *err) {
    wg_str src = {0};
    write_source(p, form, wants, m, &src);
    built *b = wg_mem_zalloc(sizeof *b);
    const char **names = wg_mem_alloc(m->count * sizeof *names);
    wg_kernel **kernels = wg_mem_zalloc(m->count * sizeof *kernels);
    bool room = !src.failed && b && names && kernels;
    wg_status status = WG_OK;
    if (!room) {
        status = wg_err_set(err, WG_ERR_NOMEM, "out of host memory for the text of %zu kernels", m->count);
    }
    for (size_t k = 0; room && k < m->count; k++) {
        names[k] = wants[m->which[k]].name;
    }
    if (room) {
        status = wg_dev_build(p->dev, queue, src.data, names, m->count, &b->program, kernels, err);
    }
    bool done = room && status == WG_OK;
    if (done) {
        b->next = p->built;
        p->built = b;
        b = NULL;
        p->builds++;
        p->kernels_built += m->count;
    }
    for (size_t k = 0; done && status == WG_OK && k < m->count; k++) {
        if (!remember(p, queue, &wants[m->which[k]], m->hash[m->which[k]], kernels[k])) {
            status = wg_err_set(err, WG_ERR_NOMEM, "out of host memory for the program cache");
        }
    }
    wg_mem_free(b);
    wg_mem_free(names);
    wg_mem_free(kernels);
    wg_str_free(&src);
    return status;
}

wg_status wg_programs_get(wg_programs *p, wg_form form, wg_queue queue, wg_kernel_want *wants, size_t n, wg_err *err) {
    missing m = {.which = wg_mem_alloc((n + 1) * sizeof *m.which), .hash = wg_mem_alloc((n + 1) * sizeof *m.hash)};
    wg_status status = m.which && m.hash ? WG_OK : wg_err_set(err, WG_ERR_NOMEM, "out of host memory for a plan");
    for (size_t i = 0; i < n && status == WG_OK; i++) {
        if (wants[i].body.failed || wants[i].needs.failed) {
            status = wg_err_set(err, WG_ERR_NOMEM, "out of host memory for the text of a kernel");
        }
    }
    if (m.which && m.hash && status == WG_OK) {
        collect(p, queue, wants, n, &m);
        status = m.count ? keep_texts(p, form, wants, &m, err) : WG_OK;
        status = m.count && status == WG_OK ? build(p, form, queue, wants, &m, err) : status;
    }
    /* Wants that share a text with one just built have given up their own copy of it only now. */
    for (size_t i = 0; m.hash && i < n && status == WG_OK; i++) {
        if (!wants[i].kernel && wants[i].body.len > 0) {
            wants[i].kernel = find(p, m.hash[i], &wants[i].body, queue)->kernel;
        }
    }
    wg_mem_free(m.which);
    wg_mem_free(m.hash);
    return status;
}
