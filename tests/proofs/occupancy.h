/*
 * How much of a GPU a kernel can keep busy, by its registers, shared memory and group size.
 */
#ifndef PROOFS_OCCUPANCY_H
#define PROOFS_OCCUPANCY_H

enum { OCCUPANCY_GPUS = 4 };

/* "A100", "H100", "B200", "RTX 4090". */
const char *occupancy_gpu(int gpu);
/* Resident warps in percent of what a multiprocessor takes; -1 if the kernel cannot be launched. */
int occupancy_of(int gpu, int registers, int shared, int items);

#endif
