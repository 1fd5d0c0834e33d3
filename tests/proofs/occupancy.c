/*
 * Occupancy by the toolkit's own calculator. The limits are those of NVIDIA's tuning guides and of the table "Technical
 * Specifications per Compute Capability" in the CUDA programming guide.
 */
#include "occupancy.h"

#include <cuda_occupancy.h>

static const struct {
    const char *name;
    int major, minor, threads, multiprocessors;
    int shared; /* KiB of a multiprocessor */
} gpus[OCCUPANCY_GPUS] = {
    {"A100", 8, 0, 2048, 108, 164},
    {"H100", 9, 0, 2048, 132, 228},
    {"B200", 10, 0, 2048, 148, 228},
    {"RTX 4090", 8, 9, 1536, 128, 100},
};

const char *occupancy_gpu(int gpu) { return gpus[gpu].name; }

int occupancy_of(int gpu, int registers, int shared, int items) {
    cudaOccDeviceProp device = {
        .computeMajor = gpus[gpu].major,
        .computeMinor = gpus[gpu].minor,
        .maxThreadsPerBlock = 1024,
        .maxThreadsPerMultiprocessor = gpus[gpu].threads,
        .regsPerBlock = 65536,
        .regsPerMultiprocessor = 65536,
        .warpSize = 32,
        .sharedMemPerBlock = 48 << 10,
        .sharedMemPerMultiprocessor = (size_t)gpus[gpu].shared << 10,
        .numSms = gpus[gpu].multiprocessors,
        .sharedMemPerBlockOptin = (size_t)(gpus[gpu].shared - 1) << 10,
        .reservedSharedMemPerBlock = 1024,
    };
    cudaOccFuncAttributes kernel = {.maxThreadsPerBlock = items,
                                    .numRegs = registers,
                                    .sharedSizeBytes = (size_t)shared,
                                    .partitionedGCConfig = PARTITIONED_GC_OFF,
                                    .shmemLimitConfig = FUNC_SHMEM_LIMIT_DEFAULT,
                                    .numBlockBarriers = 1};
    cudaOccDeviceState state = {.cacheConfig = CACHE_PREFER_NONE, .carveoutConfig = SHAREDMEM_CARVEOUT_DEFAULT};
    cudaOccResult result;
    if (cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &kernel, &state, items, 0) != CUDA_OCC_SUCCESS ||
        result.activeBlocksPerMultiprocessor <= 0) {
        return -1;
    }
    return 100 * result.activeBlocksPerMultiprocessor * items / gpus[gpu].threads;
}
