/*
 * The reader of CUBINs put to the test: kernels that hold a known number of each instruction.
 */
#ifndef PROOFS_CALIBRATE_H
#define PROOFS_CALIBRATE_H

#include <stdbool.h>

/* Compiles them for an architecture and compares. False, and what differs on stderr. NVRTC has been loaded. */
bool calibrate(const char *arch);

#endif
