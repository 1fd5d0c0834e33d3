/*
 * Wengert: tensors and gradients for C programs, on any OpenCL or CUDA device.
 *
 * This header includes the whole public interface. Each part can be included alone.
 */
#ifndef WENGERT_WENGERT_H
#define WENGERT_WENGERT_H

#include <wengert/context.h>
#include <wengert/grad.h>
#include <wengert/inspect.h>
#include <wengert/memory.h>
#include <wengert/nn.h>
#include <wengert/ops.h>
#include <wengert/optim.h>
#include <wengert/replay.h>
#include <wengert/tensor.h>
#include <wengert/types.h>
#include <wengert/version.h>

#endif
