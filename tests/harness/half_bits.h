/*
 * Conversions of 16-bit floats: those of the public functions, those of the kernels' text compiled here, and a reference.
 */
#ifndef HARNESS_HALF_BITS_H
#define HARNESS_HALF_BITS_H

#include "nd.h"

/* The number that bits stand for, from their fields. */
double half_value(wg_dtype t, uint16_t bits);
/* The bits of the nearest number, ties to even; what half of the kernels' text says of NaN. */
uint16_t half_reference(wg_dtype t, float x);

float half_widen(wg_dtype t, uint16_t bits);
uint16_t half_narrow(wg_dtype t, float x);
float half_widen_kernel(wg_dtype t, uint16_t bits);
uint16_t half_narrow_kernel(wg_dtype t, float x);

#endif
