/* wengert-info: which devices there are, why a backend is missing, and which device wg_open(NULL) takes. */
#include <stdio.h>
#include <string.h>
#include <wengert/wengert.h>

static void print_line(const char *text, void *user) { fprintf(user, "  %s\n", text); }

static const char help[] = "usage: wengert-info [--version | --help]\n"
                           "Lists the devices Wengert can use, and the reason for each backend it cannot.\n"
                           "WENGERT_DEVICE names the device that programs use by default: cuda:0, opencl:cpu, ...\n";

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts(wg_version());
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(help, stdout);
        return 0;
    }
    if (argc > 1) {
        fprintf(stderr, "wengert-info: unknown argument '%s'; see --help\n", argv[1]);
        return 2;
    }

    printf("wengert %s (headers %s)\ndevices:\n", wg_version(), WG_VERSION_STRING);
    wg_devices(print_line, stdout);

    wg_ctx *ctx = wg_open(NULL);
    bool failed = wg_failed(ctx);
    if (failed) {
        printf("default: none: %s\n", ctx ? wg_error(ctx) : "out of memory");
    } else {
        printf("default: %s\n", wg_device_name(ctx));
    }
    wg_close(ctx);
    return failed ? 1 : 0;
}
