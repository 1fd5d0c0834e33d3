/* The dialect's macros in OpenCL C 1.2: the head of every program text. */
#include "opencl/internal.h"

/* FP_CONTRACT OFF: results do not depend on what was fused. Barriers order global memory too: a row may be written over once
 * its sum is there. Index macros are int: a launch stays below 2^31 items. */
static const char prelude[] =
    "#pragma OPENCL FP_CONTRACT OFF\n"
    "#ifdef cl_khr_fp64\n"
    "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n"
    "#define WG_HAS_F64 1\n"
    "typedef double f64;\n"
    "#endif\n"
    "typedef int i32;\n"
    "typedef uint u32;\n"
    "typedef long i64;\n"
    "typedef ulong u64;\n"
    "typedef float f32;\n"
    "#define KERNEL __kernel void\n"
    "#define KERNEL_GROUP(x, y, z) __kernel __attribute__((reqd_work_group_size(x, y, z))) void\n"
    "#define DEVICE_FN static inline\n"
    "#define GLOBAL __global\n"
    "#define LOCAL __local\n"
    "#define LOCAL_PTR __local\n"
    "#define RESTRICT restrict\n"
    "#define BY_VALUE const\n"
    "#define UNROLL _Pragma(\"unroll\")\n"
    "#define LID(d) ((int)get_local_id(d))\n"
    "#define LSZ(d) ((int)get_local_size(d))\n"
    "#define GRP(d) ((int)get_group_id(d))\n"
    "#define NGRP(d) ((int)get_num_groups(d))\n"
    "#define BARRIER_LOCAL() barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE)\n"
    "#define FENCE_GLOBAL() mem_fence(CLK_GLOBAL_MEM_FENCE)\n"
    "#define ATOMIC_INC_GLOBAL(p) atomic_inc((volatile __global int *)(p))\n";

const char *wg_cl_prelude(const wg_device *dev) {
    (void)dev;
    return prelude;
}
