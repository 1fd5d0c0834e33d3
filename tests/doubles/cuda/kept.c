/*
 * OpenCL programs kept on disk, by their text: POCL's own cache preprocesses a text before it knows it again, which takes
 * longer than all the rest of a small test.
 */
#include "double.h"

#include "base/hash.h"
#include "opencl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* False if there is no place: WENGERT_DOUBLE_CACHE is not set. */
static bool place_of(const char *text, char *path, size_t cap) {
    const char *folder = cd_setting("WENGERT_DOUBLE_CACHE", "");
    uint64_t key =
        wg_hash_mix(wg_hash_bytes(CD_OPENCL_OPTIONS, strlen(CD_OPENCL_OPTIONS)), wg_hash_bytes(text, strlen(text)));
    snprintf(path, cap, "%s/%016" PRIx64 ".pocl", folder, key);
    return *folder != '\0';
}

static unsigned char *read_whole(const char *path, size_t *bytes) {
    FILE *f = fopen(path, "rb");
    if (!f) {
        return NULL;
    }
    long size = fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
    unsigned char *all = size > 0 && fseek(f, 0, SEEK_SET) == 0 ? cd_alloc_or_die((size_t)size) : NULL;
    bool whole = all && fread(all, 1, (size_t)size, f) == (size_t)size;
    fclose(f);
    *bytes = whole ? (size_t)size : 0;
    if (!whole) {
        free(all);
        return NULL;
    }
    return all;
}

cl_program cd_kept_get(cl_context context, cl_device_id device, const char *text) {
    char path[1024];
    size_t bytes = 0;
    unsigned char *all = place_of(text, path, sizeof path) ? read_whole(path, &bytes) : NULL;
    if (!all) {
        return NULL;
    }
    const unsigned char *binary = all;
    cl_int code, status;
    cl_program program = clCreateProgramWithBinary(context, 1, &device, &bytes, &binary, &status, &code);
    if (code == CL_SUCCESS && clBuildProgram(program, 1, &device, CD_OPENCL_OPTIONS, NULL, NULL) != CL_SUCCESS) {
        clReleaseProgram(program);
        program = NULL;
    }
    free(all);
    return program;
}

/* Written aside and renamed: other processes may be about the same. */
bool cd_kept_put(cl_program program, const char *text) {
    char path[1024], aside[1100];
    size_t bytes = 0;
    if (!place_of(text, path, sizeof path) ||
        clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof bytes, &bytes, NULL) != CL_SUCCESS || bytes == 0) {
        return false;
    }
    bool kept = false;
    unsigned char *all = cd_alloc_or_die(bytes);
    snprintf(aside, sizeof aside, "%s.%ld", path, (long)getpid());
    FILE *f = clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof all, &all, NULL) == CL_SUCCESS ? fopen(aside, "wb")
                                                                                                   : NULL;
    if (f) {
        bool whole = fwrite(all, 1, bytes, f) == bytes;
        whole = fclose(f) == 0 && whole;
        kept = whole && rename(aside, path) == 0;
        if (!kept) {
            remove(aside);
        }
    }
    free(all);
    return kept;
}
