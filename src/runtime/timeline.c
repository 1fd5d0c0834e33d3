/* Writing traces. */
#include "runtime/timeline.h"

#include "base/alloc.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { ENOUGH = 1 << 16 }; /* bytes to write at once */

/* A file descriptor and not a FILE: what a FILE holds back would be written by a forked child too. */
struct wg_timeline {
    int fd;
    int error; /* the first errno */
    double begin;
    wg_str text;
    char *path;
};

static const struct {
    const char *name;
    int process; /* 1 is the host, 2 the device */
} lanes[WG_LANE_COUNT] = {{"record", 1},  {"plan", 1},     {"build", 1},  {"bind", 1},
                          {"launch", 1},  {"transfer", 1}, {"queue", 2},  {"inline queue", 2},
                          {"queue 1", 2}, {"queue 2", 2},  {"queue 3", 2}};

static void add_string(wg_str *s, const char *text) {
    wg_str_add(s, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') {
            wg_str_addf(s, "\\%c", *text);
        } else if ((unsigned char)*text < ' ') {
            wg_str_addf(s, "\\u%04x", (unsigned)*text);
        } else {
            wg_str_addn(s, text, 1);
        }
    }
    wg_str_add(s, "\"");
}

static void flush(wg_timeline *t) {
    for (size_t done = 0; done < t->text.len && !t->error;) {
        ssize_t n = write(t->fd, t->text.data + done, t->text.len - done);
        t->error = n < 0 && errno != EINTR ? errno : 0;
        done += n > 0 ? (size_t)n : 0;
    }
    t->text.len = 0;
}

static void add_name(wg_timeline *t, const char *what, int process, int thread, const char *name) {
    wg_str_addf(&t->text, "{\"ph\":\"M\",\"name\":\"%s\",\"pid\":%d,\"tid\":%d,\"args\":{\"name\":", what, process,
                thread);
    add_string(&t->text, name);
    wg_str_add(&t->text, "}},\n");
}

static void add_order(wg_timeline *t, int process, int thread) {
    wg_str_addf(&t->text,
                "{\"ph\":\"M\",\"name\":\"thread_sort_index\",\"pid\":%d,\"tid\":%d,\"args\":{\"sort_index\":%d}},\n",
                process, thread, thread);
}

wg_timeline *wg_timeline_open(const char *path, const wg_limits *device, double now, wg_err *err) {
    size_t size = strlen(path) + 1;
    wg_timeline *t = wg_mem_zalloc(sizeof *t);
    char *copy = wg_mem_alloc(size);
    if (!t || !copy) {
        wg_err_set(err, WG_ERR_NOMEM, "trace: out of host memory");
        wg_mem_free(t);
        wg_mem_free(copy);
        return NULL;
    }
    memcpy(copy, path, size);
    *t = (wg_timeline){.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666), .begin = now, .path = copy};
    if (t->fd < 0) {
        wg_err_set(err, WG_ERR_IO, "trace: '%s' cannot be written: %s", path, strerror(errno));
        wg_mem_free(copy);
        wg_mem_free(t);
        return NULL;
    }
    wg_str_add(&t->text, "[\n");
    add_name(t, "process_name", 1, 0, "host");
    add_name(t, "process_name", 2, 0, device->name);
    for (int i = 0; i < WG_LANE_QUEUE + WG_QUEUE_BESIDE + device->queues - 1; i++) {
        add_name(t, "thread_name", lanes[i].process, i + 1, lanes[i].name);
        add_order(t, lanes[i].process, i + 1);
    }
    return t;
}

void wg_timeline_span(wg_timeline *t, wg_lane lane, const char *name, double from, double to, const char *args) {
    wg_str *s = &t->text;
    wg_str_add(s, "{\"ph\":\"X\",\"name\":");
    add_string(s, name);
    wg_str_addf(s, ",\"cat\":\"%s\",\"pid\":%d,\"tid\":%d,\"ts\":%.3f,\"dur\":%.3f,\"args\":{%s}},\n", lanes[lane].name,
                lanes[lane].process, (int)lane + 1, (from - t->begin) * 1e6, (to > from ? to - from : 0) * 1e6, args);
    if (s->len > ENOUGH) {
        flush(t);
    }
}

wg_status wg_timeline_close(wg_timeline *t, bool write, wg_err *err) {
    wg_status status = WG_OK;
    if (!t) {
        return status;
    }
    if (write) {
        /* The array's last element, so that no comma stands before the bracket. */
        wg_str_add(&t->text, "{\"ph\":\"M\",\"name\":\"trace_end\",\"pid\":1,\"tid\":0,\"args\":{}}\n]\n");
        flush(t);
    }
    if (close(t->fd) != 0 && write && !t->error) {
        t->error = errno;
    }
    if (t->text.failed) {
        status = wg_err_set(err, WG_ERR_NOMEM, "trace: out of host memory; '%s' is incomplete", t->path);
    } else if (t->error) {
        status = wg_err_set(err, WG_ERR_IO, "trace: writing '%s' failed: %s", t->path, strerror(t->error));
    }
    wg_str_free(&t->text);
    wg_mem_free(t->path);
    wg_mem_free(t);
    return status;
}
