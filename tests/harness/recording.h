/*
 * The same recording in several modes: what must come out equal to the bit.
 */
#ifndef HARNESS_RECORDING_H
#define HARNESS_RECORDING_H

#include "check.h"

typedef struct recording recording;
/* Takes a result to compare; NULL is a failure reported at once. */
void recording_add(recording *r, wg_tensor *t, const char *fmt, ...) WG_PRINTF(3, 4);
/* Records ops and adds results; must do the same at each call. */
typedef void (*recorder)(wg_ctx *ctx, recording *r);
/* Runs the recorder in each mode, in a context of its own, and compares every result with the first mode's. Returns how many
 * results were compared. */
int compare_modes(recorder record, const mode *modes, int n);

#endif
