/* label: null */
/*
 * WENGERT_KERNELS: texts of kernels in files, once each, in the dialect's GPU form on null:cuda; a folder that cannot be written.
 */
#include "harness/check.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];

static wg_ctx *open_keeping(const char *device, const char *where) {
    setenv("WENGERT_KERNELS", where, 1);
    wg_ctx *ctx = wg_open(device);
    unsetenv("WENGERT_KERNELS");
    cr_assert(!wg_failed(ctx), "%s", wg_error(ctx));
    return ctx;
}

static wg_status add_up(wg_ctx *ctx) {
    wg_tensor *x = wg_from_f32(ctx, (float[]){1, 2, 3}, WG_SHAPE(3)), *y = wg_exp(wg_add(x, x));
    return wg_eval(&y, 1);
}

/* How many files the folder holds, and the text of one. Removes them. */
static int take_files(char *text, size_t cap) {
    DIR *dir = opendir(folder);
    int files = 0;
    cr_assert_not_null(dir);
    text[0] = '\0';
    for (struct dirent *e; (e = readdir(dir));) {
        char path[400];
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (f) {
            files++;
            cr_expect(strstr(path, ".kernel") != NULL, "%s is left over", path);
            text[fread(text, 1, cap - 1, f)] = '\0';
            fclose(f);
            remove(path);
        }
    }
    closedir(dir);
    return files;
}

static void make_folder(void) {
    snprintf(folder, sizeof folder, "/tmp/wengert-kernels-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}
static void remove_folder(void) { cr_expect_eq(rmdir(folder), 0); }

TestSuite(keep_kernels, .init = make_folder, .fini = remove_folder);

Test(keep_kernels, each_text_is_one_file) {
    char text[8192];
    wg_ctx *ctx = open_keeping("null:cuda", folder);
    for (int k = 0; k < 3; k++) {
        cr_expect_eq(add_up(ctx), WG_OK, "%s", wg_error(ctx));
    }
    cr_expect_eq(wg_close(ctx), WG_OK);
    cr_expect_eq(take_files(text, sizeof text), 1);
    cr_expect(strstr(text, "// form: simt\n") == text, "%s", text);
    cr_expect(strstr(text, "exp_f32 ") && strstr(text, "KERNEL_GROUP(256, 1, 1) k"), "%s", text);
}

Test(keep_kernels, the_form_is_the_devices) {
    char text[8192];
    wg_ctx *ctx = open_keeping("null:cpu", folder);
    cr_expect_eq(add_up(ctx), WG_OK);
    close_ok(ctx);
    cr_expect_eq(take_files(text, sizeof text), 1);
    cr_expect(strstr(text, "// form: simd\n") == text, "%s", text);
}

Test(keep_kernels, a_folder_that_is_not_there) {
    char text[64], nowhere[128];
    snprintf(nowhere, sizeof nowhere, "%s/nowhere", folder);
    wg_ctx *ctx = open_keeping("null:cuda", nowhere);
    cr_expect_eq(add_up(ctx), WG_ERR_IO);
    expect_error(ctx, WG_ERR_IO, "no folder", "WENGERT_KERNELS", nowhere, "No such file", NULL);
    cr_expect_eq(wg_numel(wg_ones(ctx, WG_F32, WG_SHAPE(2))), 2); /* the context goes on */
    close_ok(ctx);
    cr_expect_eq(take_files(text, sizeof text), 0);
}

Test(keep_kernels, without_it_nothing_is_written) {
    char text[64];
    wg_ctx *ctx = open_keeping("null:cuda", "");
    cr_expect_eq(add_up(ctx), WG_OK);
    close_ok(ctx);
    cr_expect_eq(take_files(text, sizeof text), 0);
}
