/* label: unit */
/* Compiled kernels on disk: what was put comes back whole or not at all, whoever else writes, and whatever became of it. */
#include "base/alloc.h"
#include "cuda/internal.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];

static void set_up(void) {
    snprintf(folder, sizeof folder, "/tmp/wengert-cache-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static void tear_down(void) {
    char command[256];
    snprintf(command, sizeof command, "chmod -R u+rwx %s; rm -rf %s", folder, folder);
    cr_expect_eq(system(command), 0);
}

TestSuite(cuda_cache, .init = set_up, .fini = tear_down);

static bool put(const char *dir, const char *key, const char *image) {
    return wg_cuda_cache_put(dir, key, strlen(key), image, strlen(image) + 1);
}

/* The cache holds this image under the key; NULL: nothing. */
static void holds(const char *key, const char *image) {
    size_t bytes = 0;
    char *got = wg_cuda_cache_get(folder, key, strlen(key), &bytes);
    if (image) {
        cr_expect(got && bytes == strlen(image) + 1 && strcmp(got, image) == 0, "'%s' is not what was kept", key);
    } else {
        cr_expect_null(got, "'%s' should not be there", key);
    }
    wg_mem_free(got);
}

/* The only file of the folder. */
static char *only_file(void) {
    static char path[512];
    int n = 0;
    DIR *d = opendir(folder);
    cr_assert_not_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
            n++;
        }
    }
    closedir(d);
    cr_assert_eq(n, 1, "%d files", n);
    return path;
}

Test(cuda_cache, keeps_by_key) {
    holds("one", NULL);
    cr_expect(put(folder, "one", "first image"));
    cr_expect(put(folder, "two", "second image"));
    holds("one", "first image");
    holds("two", "second image");
    holds("three", NULL);
    holds("", NULL);
    cr_expect(put(folder, "one", "another"));
    holds("one", "another");
}

Test(cuda_cache, makes_its_folder_for_the_user_alone) {
    char deep[128];
    snprintf(deep, sizeof deep, "%s/a/b/c", folder);
    cr_expect(put(deep, "key", "image"));
    struct stat st;
    cr_assert_eq(stat(deep, &st), 0);
    cr_expect_eq(st.st_mode & 0777, 0700);
}

/* Every length short of the whole, and one longer. */
Test(cuda_cache, a_file_cut_short_is_absent) {
    cr_assert(put(folder, "key", "the image"));
    char *path = only_file();
    struct stat st;
    cr_assert_eq(stat(path, &st), 0);
    for (off_t n = st.st_size - 1; n >= 0; n--) {
        cr_assert_eq(truncate(path, n), 0);
        holds("key", NULL);
        cr_assert(put(folder, "key", "the image"));
        holds("key", "the image");
    }
    cr_assert_eq(truncate(path, st.st_size + 1), 0);
    holds("key", NULL);
}

/* Every byte of a file, one at a time. */
Test(cuda_cache, a_damaged_file_is_absent) {
    cr_assert(put(folder, "key", "the image"));
    char *path = only_file();
    struct stat st;
    cr_assert_eq(stat(path, &st), 0);
    int fd = open(path, O_RDWR);
    cr_assert_geq(fd, 0);
    for (off_t i = 0; i < st.st_size; i++) {
        unsigned char byte, wrong;
        cr_assert_eq(pread(fd, &byte, 1, i), 1);
        wrong = byte ^ 0x40;
        cr_assert_eq(pwrite(fd, &wrong, 1, i), 1);
        holds("key", NULL);
        cr_assert_eq(pwrite(fd, &byte, 1, i), 1);
    }
    holds("key", "the image");
    close(fd);
}

/* Another version's key under this one's name, as if their hashes met. */
Test(cuda_cache, keys_are_compared_in_full) {
    cr_assert(put(folder, "wengert 1", "old"));
    char old[512];
    snprintf(old, sizeof old, "%s", only_file());
    cr_assert(put(folder, "wengert 2", "new"));
    cr_assert_eq(unlink(old), 0);
    char *path = only_file();
    cr_assert_eq(rename(path, old), 0);
    holds("wengert 1", NULL);
}

Test(cuda_cache, a_folder_that_cannot_be_written_costs_time_only) {
    cr_expect_not(put("/proc/nowhere", "key", "image"));
    cr_expect_not(put("/dev/null/x", "key", "image"));
    cr_assert(put(folder, "key", "image"));
    cr_assert_eq(chmod(folder, 0500), 0);
    bool root = geteuid() == 0; /* whom permissions do not stop */
    cr_expect_eq(put(folder, "other", "image"), root);
    holds("key", "image");
}

Test(cuda_cache, writers_at_once) {
    enum { WRITERS = 8, ROUNDS = 200 };
    static char image[1 << 16];
    pid_t pids[WRITERS];
    for (int w = 0; w < WRITERS; w++) {
        pids[w] = fork();
        if (pids[w] == 0) {
            memset(image, 'a' + w, sizeof image - 1);
            bool fine = true;
            for (int i = 0; i < ROUNDS; i++) {
                size_t bytes = 0;
                fine = wg_cuda_cache_put(folder, "key", 3, image, sizeof image) && fine;
                char *got = wg_cuda_cache_get(folder, "key", 3, &bytes);
                fine = fine && got && bytes == sizeof image && strspn(got, (char[]){got[0], 0}) == bytes - 1;
                wg_mem_free(got);
            }
            _exit(fine ? 0 : 1);
        }
    }
    for (int w = 0; w < WRITERS; w++) {
        int status = -1;
        cr_expect(waitpid(pids[w], &status, 0) == pids[w] && status == 0, "writer %d read a torn file", w);
    }
    only_file(); /* and no temporary one is left */
}

Test(cuda_cache, out_of_memory_is_a_miss) {
    cr_assert(put(folder, "key", "image"));
    for (uint64_t n = 1; n <= 2; n++) {
        wg_fault_arm(WG_FAULT_ALLOC, n);
        holds("key", NULL);
    }
    wg_fault_arm(WG_FAULT_ALLOC, 0);
    holds("key", "image");
}

Test(cuda_cache, where_it_is) {
    const struct {
        const char *own, *xdg, *home, *dir;
    } cases[] = {
        {"/a", "/b", "/c", "/a"},
        {NULL, "/b", "/c", "/b/wengert"},
        {NULL, NULL, "/c", "/c/.cache/wengert"},
        {NULL, "", "/c", "/c/.cache/wengert"},
        {NULL, NULL, NULL, NULL},
        {"", "/b", "/c", NULL},
    };
    const char *const names[] = {"WENGERT_CACHE_DIR", "XDG_CACHE_HOME", "HOME"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const values[] = {cases[i].own, cases[i].xdg, cases[i].home};
        for (int k = 0; k < 3; k++) {
            if (values[k]) {
                setenv(names[k], values[k], 1);
            } else {
                unsetenv(names[k]);
            }
        }
        wg_str dir = {0};
        cr_expect_eq(wg_cuda_cache_dir(&dir), cases[i].dir != NULL, "case %zu", i);
        cr_expect_str_eq(wg_str_text(&dir), cases[i].dir ? cases[i].dir : "");
        wg_str_free(&dir);
    }
}
