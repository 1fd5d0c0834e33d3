/*
 * NVRTC, loaded at run time: kernel text in, CUBIN out, for any architecture and without a GPU.
 */
#ifndef PROOFS_NVRTC_H
#define PROOFS_NVRTC_H

#include <stdbool.h>
#include <stddef.h>

/* What the CUDA backend compiles with: results never depend on contraction. Every warning is a failure. */
extern const char *const nvrtc_options[];

/* $WENGERT_LIBNVRTC, else libnvrtc.so.13, .12, also in /usr/local/cuda/lib64. False, and why on stderr, if there is none. */
bool nvrtc_load(void);
/* Compiles text for "90a" and the like. Returns the CUBIN (the caller frees it), or NULL; *log is what the compiler said, ""
 * if nothing, and the caller's to free. */
void *nvrtc_compile(const char *text, const char *arch, size_t *size, char **log);

#endif
