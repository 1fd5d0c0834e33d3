/*
 * Compiling with NVRTC as the CUDA backend does, for any architecture and without a GPU.
 */
#ifndef PROOFS_RTC_H
#define PROOFS_RTC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Loads NVRTC. False, and why on stderr, if there is none. */
bool rtc_load(void);
/* A number for the compiler that was loaded, its version and the backend's options. */
uint64_t rtc_compiler(void);
/* Compiles text for "90a" and the like, with the options of the backend. Returns the CUBIN, or NULL; *log is what the compiler
 * said, "" if nothing. The caller frees both. */
void *rtc_compile(const char *text, const char *arch, size_t *size, char **log);

#endif
