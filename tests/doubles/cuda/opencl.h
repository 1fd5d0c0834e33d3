/* What the files that talk to OpenCL share. See opencl.c. */
#ifndef CUDA_DOUBLE_OPENCL_H
#define CUDA_DOUBLE_OPENCL_H

#define CL_TARGET_OPENCL_VERSION 200
#include <CL/cl.h>
#include <stdbool.h>

#define CD_OPENCL_OPTIONS "-w -cl-std=CL1.2 -cl-kernel-arg-info -cl-fp32-correctly-rounded-divide-sqrt"

/* kept.c: a program that was built from this text in another process, NULL if there is none; and keeping
 * one, if there is a place for it. */
cl_program cd_kept_get(cl_context context, cl_device_id device, const char *text);
bool cd_kept_put(cl_program program, const char *text);

/* sizes.c: the sizes of the types that the kernels of a program, built from OpenCL text, take by value. */
typedef struct cd_types cd_types;
cd_types *cd_types_measure(cl_context context, cl_device_id device, cl_command_queue queue, cl_program program,
                           const char *text);
/* Bytes of a kernel's argument, 0 if they could not be measured; NULL for types: of a pointer alone. */
int cd_types_size(const cd_types *types, cl_kernel kernel, cl_uint i);
/* Whether an argument is a pointer to memory. */
bool cd_types_is_pointer(cl_kernel kernel, cl_uint i);

#endif
