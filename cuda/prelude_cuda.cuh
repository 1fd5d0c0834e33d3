// The dialect's macros in CUDA C++ for NVRTC, which includes no headers: the head of every program text.
// Compile with --fmad=false: results do not depend on what was fused. Index macros are int, as in OpenCL.
#define WG_HAS_F64 1
typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long long ulong;
typedef int i32;
typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;
typedef float f32;
typedef double f64;
#define KERNEL extern "C" __global__ void
// Room for 512 work-items on a multiprocessor, so 128 registers for each: left to itself, the compiler spills registers to
// make room for more, or takes all there are.
#define KERNEL_ROOM(items) ((items) < 32 ? 16 : (items) < 512 ? 512 / (items) : 1)
#define KERNEL_GROUP(x, y, z) extern "C" __global__ void __launch_bounds__((x) * (y) * (z), KERNEL_ROOM((x) * (y) * (z)))
#define DEVICE_FN static __device__ __forceinline__
#define GLOBAL
#define LOCAL __shared__
#define LOCAL_PTR
#define RESTRICT __restrict__
// A struct indexed at run time stays where it is.
#define BY_VALUE const __grid_constant__
#define UNROLL _Pragma("unroll")
#define LID_0 threadIdx.x
#define LID_1 threadIdx.y
#define LID_2 threadIdx.z
#define LSZ_0 blockDim.x
#define LSZ_1 blockDim.y
#define LSZ_2 blockDim.z
#define GRP_0 blockIdx.x
#define GRP_1 blockIdx.y
#define GRP_2 blockIdx.z
#define NGRP_0 gridDim.x
#define NGRP_1 gridDim.y
#define NGRP_2 gridDim.z
#define LID(d) ((int)LID_##d)
#define LSZ(d) ((int)LSZ_##d)
#define GRP(d) ((int)GRP_##d)
#define NGRP(d) ((int)NGRP_##d)
#define BARRIER_LOCAL() __syncthreads()
// What this thread wrote, and saw written by those a barrier has joined it with, is seen by who sees what it writes next.
#define FENCE_GLOBAL() __threadfence()
#define ATOMIC_INC_GLOBAL(p) atomicAdd((p), 1)
// end of the CUDA prelude
