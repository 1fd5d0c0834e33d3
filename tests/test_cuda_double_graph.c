/* label: cuda-double
 *
 * The CUDA double itself, continued: programs and modules, capture and graphs, cuBLAS.
 */
#include "cuda_double.h"

#include <math.h>

/* ---- programs and modules ------------------------------------------------------------------------------------------------- */

TestSuite(modules, .init = cu_open);

Test(modules, kernels_are_as_the_text_says) {
    cu_build();
    int v = 0;
    DOES(cu.cuFuncGetAttribute(&v, CU_FUNC_ATTRIBUTE_BINARY_VERSION, cu_scale));
    cr_expect_eq(v, 80);
    if (cu.cuda_double_proves()) { /* what the real NVRTC's CUBIN says */
        DOES(cu.cuFuncGetAttribute(&v, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, cu_scale));
        cr_expect_eq(v, 64);
        DOES(cu.cuFuncGetAttribute(&v, CU_FUNC_ATTRIBUTE_NUM_REGS, cu_scale));
        cr_expect(v > 0 && v < 64, "%d", v);
        float x[256];
        CUdeviceptr p = cu_memory(x, 256);
        scale_args a = {.n = 256, .by = 1};
        void *params[] = {&p, &a};
        FAILS_WITH(cu.cuLaunchKernel(cu_scale, 2, 1, 1, 128, 1, 1, 0, NULL, params, NULL), CUDA_ERROR_INVALID_VALUE);
        DOES(cu.cuMemFree(p));
    }
    FAILS_WITH(cu.cuModuleGetFunction(&cu_add, cu_module, "zebra"), CUDA_ERROR_NOT_FOUND);
    cu_unbuild();
    FAILS_WITH(launch_scale(0, 1, 1, NULL), CUDA_ERROR_INVALID_HANDLE);
    expect_fault("a function was used after it was destroyed");
    cu_forget();
}

Test(modules, every_element_is_reached) {
    float x[1000];
    for (int i = 0; i < 1000; i++) {
        x[i] = (float)i;
    }
    cu_build();
    CUdeviceptr p = cu_memory(x, 1000);
    DOES(launch_scale(p, 1000, 0.5f, NULL));
    DOES(cu.cuMemcpyDtoH(x, p, sizeof x));
    for (int i = 0; i < 1000; i++) {
        cr_assert_eq(x[i], (float)i / 2);
    }
    DOES(cu.cuMemFree(p));
    cu_unbuild();
    cu_close();
}

Test(modules, arguments_are_copied_at_the_launch) {
    cu_build();
    float one = 1;
    CUdeviceptr p = cu_memory(&one, 1), changing = p;
    scale_args a = {.n = 1, .by = 3};
    void *params[] = {&changing, &a};
    cu.cuda_double_seed(0);
    DOES(cu.cuLaunchKernel(cu_scale, 1, 1, 1, 64, 1, 1, 0, NULL, params, NULL));
    a.by = 5;
    changing = 0;
    cr_expect_eq(cu_value(p), 3);
    FAILS_WITH(cu.cuLaunchKernel(cu_scale, 0, 1, 1, 64, 1, 1, 0, NULL, params, NULL), CUDA_ERROR_INVALID_VALUE);
    FAILS_WITH(cu.cuLaunchKernel(cu_scale, 1, 65536, 1, 64, 1, 1, 0, NULL, params, NULL), CUDA_ERROR_INVALID_VALUE);
    DOES(cu.cuMemFree(p));
    cu_unbuild();
    cu_close();
}

Test(modules, a_text_that_does_not_compile_has_a_log) {
    char log[4096] = "";
    cr_expect_null(cu_compile(CU_PRELUDE "KERNEL_GROUP(1, 1, 1) f(GLOBAL float *a) { a[0] = zebra; }\n", "sm_80", log,
                              sizeof log));
    cr_expect(strstr(log, "zebra"), "%s", log);
    cu_close();
}

Test(modules, images_that_are_none) {
    CUmodule m;
    char *image = cu_compile(cu_text, "sm_80", NULL, 0);
    image[100]++;
    FAILS_WITH(cu.cuModuleLoadData(&m, image), CUDA_ERROR_INVALID_IMAGE);
    image[100]--;
    image[9]++;
    FAILS_WITH(cu.cuModuleLoadData(&m, image), CUDA_ERROR_INVALID_IMAGE);
    free(image);
    FAILS_WITH(cu.cuModuleLoadData(&m, "zebra"), CUDA_ERROR_INVALID_IMAGE);
    image = cu_compile(cu_text, "sm_90", NULL, 0);
    FAILS_WITH(cu.cuModuleLoadData(&m, image), CUDA_ERROR_NO_BINARY_FOR_GPU);
    free(image);
    image = cu_compile(cu_text, "compute_80", NULL, 0); /* PTX */
    DOES(cu.cuModuleLoadData(&m, image));
    DOES(cu.cuModuleUnload(m));
    setenv("WENGERT_DOUBLE_DRIVER", "12020", 1);
    FAILS_WITH(cu.cuModuleLoadData(&m, image), CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
    free(image);
    cu_close();
}

Test(modules, without_nvrtc_opencl_knows_the_parameters) {
    setenv("WENGERT_DOUBLE_NVRTC", "none", 1);
    char log[4096] = "";
    cr_expect_not(cu.cuda_double_proves());
    cu_build();
    float one = 1;
    CUdeviceptr p = cu_memory(&one, 1);
    DOES(launch_scale(p, 1, 3, NULL));
    DOES(launch_poke(p, 0, cu_value(p) + 4, NULL));
    cr_expect_eq(cu_value(p), 7);
    cr_expect_null(cu_compile(CU_PRELUDE "zebra\n", "sm_80", log, sizeof log));
    cr_expect(strstr(log, "zebra"), "%s", log);
    DOES(cu.cuMemFree(p));
    cu_unbuild();
    cu_close();
}

/* ---- capture ---------------------------------------------------------------------------------------------------------------- */

/* x is scaled in two branches of two elements each, and the second pair added to the first. */
enum { PAIR = 2 };

static CUgraph capture(CUstream s, CUstream t, CUdeviceptr x, float by, int fault) {
    CUevent fork = cu_event(), join = cu_event();
    CUgraph g = NULL;
    DOES(cu.cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    DOES(cu.cuEventRecord(fork, s));
    DOES(cu.cuStreamWaitEvent(t, fork, 0));
    DOES(launch_scale(x, PAIR, by, s));
    DOES(launch_scale(x + 256, PAIR, by, t));
    DOES(cu.cuEventRecord(join, t));
    if (fault != 1) {
        DOES(cu.cuStreamWaitEvent(s, join, 0));
    }
    if (fault != 2) {
        DOES(launch_add(x, x + 256, PAIR, s));
    }
    CUresult code = cu.cuStreamEndCapture(s, &g);
    cr_expect_eq(code, fault == 1 ? CUDA_ERROR_STREAM_CAPTURE_UNJOINED : CUDA_SUCCESS, "%d", (int)code);
    DOES(cu.cuEventDestroy(fork));
    DOES(cu.cuEventDestroy(join));
    return g;
}

static CUdeviceptr two_pairs(void) {
    float x[66] = {1, 2};
    x[64] = 10;
    x[65] = 20;
    return cu_memory(x, 66);
}

TestSuite(graphs, .init = cu_open);

Test(graphs, run_what_was_captured_in_any_legal_order) {
    cu_build();
    CUstream s = cu_stream(), t = cu_stream();
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        cu.cuda_double_seed(seed);
        CUdeviceptr x = two_pairs();
        CUgraph g = capture(s, t, x, 2, 0);
        CUgraphExec exec;
        size_t n = 0;
        DOES(cu.cuGraphGetNodes(g, NULL, &n));
        cr_expect_eq(n, 3);
        cr_expect_eq(cu_value(x), 1, "a capture ran");
        DOES(cu.cuGraphInstantiate(&exec, g, 0));
        DOES(cu.cuGraphDestroy(g));
        DOES(cu.cuGraphLaunch(exec, s));
        DOES(cu.cuGraphLaunch(exec, s));
        DOES(cu.cuGraphExecDestroy(exec)); /* those launched still run */
        DOES(cu.cuStreamSynchronize(s));
        cr_expect_eq(cu_value(x), (1 * 2 + 10 * 2) * 2 + 10 * 4);
        cr_expect_eq(cu_value(x + 256), 10 * 4);
        DOES(cu.cuMemFree(x));
    }
    DOES(cu.cuStreamDestroy(s));
    DOES(cu.cuStreamDestroy(t));
    cu_unbuild();
    cu_close();
}

Test(graphs, an_update_changes_later_launches_alone) {
    cu_build();
    CUstream s = cu_stream(), t = cu_stream();
    CUdeviceptr x = two_pairs();
    CUgraph g = capture(s, t, x, 2, 0), h = capture(s, t, x, 3, 0), other = capture(s, t, x, 3, 2);
    CUgraphExec exec;
    CUgraphExecUpdateResultInfo info;
    cu.cuda_double_seed(0);
    DOES(cu.cuGraphInstantiate(&exec, g, 0));
    DOES(cu.cuGraphLaunch(exec, s));
    FAILS_WITH(cu.cuGraphExecUpdate(exec, other, &info), CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
    cr_expect_eq(info.result, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED);
    DOES(cu.cuGraphExecUpdate(exec, h, &info));
    cr_expect_eq(info.result, CU_GRAPH_EXEC_UPDATE_SUCCESS);
    DOES(cu.cuGraphDestroy(h));
    DOES(cu.cuGraphLaunch(exec, s));
    DOES(cu.cuStreamSynchronize(s));
    cr_expect_eq(cu_value(x + 256), 10 * 2 * 3);
    /* the same number of nodes, but one of another kind, or after another one */
    CUgraph kind, line;
    CUevent e = cu_event();
    DOES(cu.cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    DOES(cu.cuEventRecord(e, s));
    DOES(cu.cuStreamWaitEvent(t, e, 0));
    DOES(launch_scale(x, PAIR, 2, s));
    DOES(cu.cuMemsetD32Async(x + 256, 0, 1, t));
    DOES(cu.cuEventRecord(e, t));
    DOES(cu.cuStreamWaitEvent(s, e, 0));
    DOES(launch_add(x, x + 256, PAIR, s));
    DOES(cu.cuStreamEndCapture(s, &kind));
    FAILS_WITH(cu.cuGraphExecUpdate(exec, kind, &info), CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
    cr_expect_eq(info.result, CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED);
    DOES(cu.cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    for (int i = 0; i < 3; i++) {
        DOES(launch_scale(x, PAIR, 2, s));
    }
    DOES(cu.cuStreamEndCapture(s, &line));
    FAILS_WITH(cu.cuGraphExecUpdate(exec, line, &info), CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
    cr_expect_eq(info.result, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED);
    DOES(cu.cuGraphLaunch(exec, s)); /* as it was before the updates that failed */
    DOES(cu.cuStreamSynchronize(s));
    cr_expect_eq(cu_value(x + 256), 10 * 2 * 3 * 3);
    DOES(cu.cuEventDestroy(e));
    DOES(cu.cuGraphDestroy(kind));
    DOES(cu.cuGraphDestroy(line));
    DOES(cu.cuGraphDestroy(g));
    DOES(cu.cuGraphDestroy(other));
    DOES(cu.cuGraphExecDestroy(exec));
    DOES(cu.cuStreamDestroy(s));
    DOES(cu.cuStreamDestroy(t));
    DOES(cu.cuMemFree(x));
    cu_unbuild();
    cu_close();
}

Test(graphs, one_kernel_node_changes) {
    cu_build();
    CUstream s = cu_stream();
    CUdeviceptr x = two_pairs(), y = x + 256;
    CUgraph g = capture(s, s, x, 2, 0), other = capture(s, s, x, 2, 0);
    CUgraphExec exec;
    CUgraphNode nodes[3], others[3];
    size_t n = 3;
    DOES(cu.cuGraphGetNodes(g, nodes, &n));
    DOES(cu.cuGraphGetNodes(other, others, &n));
    DOES(cu.cuGraphInstantiate(&exec, g, 0));
    scale_args a = {.n = PAIR, .by = 7};
    void *args[] = {&y, &a};
    CUDA_KERNEL_NODE_PARAMS p = {.func = cu_scale, .gridDimX = 1, .gridDimY = 1, .gridDimZ = 1};
    p.blockDimX = 64;
    p.blockDimY = p.blockDimZ = 1;
    p.kernelParams = args;
    DOES(cu.cuGraphExecKernelNodeSetParams(exec, nodes[1], &p));
    FAILS_WITH(cu.cuGraphExecKernelNodeSetParams(exec, others[1], &p), CUDA_ERROR_INVALID_VALUE);
    p.gridDimX = 0;
    FAILS_WITH(cu.cuGraphExecKernelNodeSetParams(exec, nodes[0], &p), CUDA_ERROR_INVALID_VALUE);
    DOES(cu.cuGraphLaunch(exec, s));
    DOES(cu.cuStreamSynchronize(s));
    cr_expect_eq(cu_value(y), 10 * 7);
    cr_expect_eq(cu_value(x), 1 * 2 + 10 * 7);
    DOES(cu.cuGraphDestroy(g));
    DOES(cu.cuGraphDestroy(other));
    DOES(cu.cuGraphExecDestroy(exec));
    DOES(cu.cuStreamDestroy(s));
    DOES(cu.cuMemFree(x));
    cu_unbuild();
    cu_close();
}

Test(graphs, memory_freed_before_the_launch_is_found) {
    cu_build();
    CUstream s = cu_stream();
    CUdeviceptr x = two_pairs();
    CUgraph g = capture(s, s, x, 2, 0);
    CUgraphExec exec;
    DOES(cu.cuGraphInstantiate(&exec, g, 0));
    DOES(cu.cuMemFree(x));
    cu.cuGraphLaunch(exec, s);
    FAILS_WITH(cu.cuStreamSynchronize(s), CUDA_ERROR_ILLEGAL_ADDRESS);
    expect_fault("freed allocation 1");
    cu_forget();
}

Test(graphs, a_module_unloaded_before_the_launch_is_found) {
    cu_build();
    CUstream s = cu_stream();
    CUdeviceptr x = two_pairs();
    CUgraph g = capture(s, s, x, 2, 0);
    CUgraphExec exec;
    DOES(cu.cuGraphInstantiate(&exec, g, 0));
    cu_unbuild();
    cu.cuGraphLaunch(exec, s);
    FAILS_WITH(cu.cuStreamSynchronize(s), CUDA_ERROR_LAUNCH_FAILED);
    expect_fault("after its module was unloaded");
    cu_forget();
}

/* ---- what a capture forbids ------------------------------------------------------------------------------------------------- */

static CUstream capturing(CUstreamCaptureMode mode) {
    CUstream s = cu_stream();
    DOES(cu.cuStreamBeginCapture(s, mode));
    return s;
}

static void ends_with(CUstream s, CUresult expected) {
    CUgraph g = NULL;
    CUresult code = cu.cuStreamEndCapture(s, &g);
    cr_expect_eq(code, expected, "the capture ended with %d, not %d", (int)code, (int)expected);
    if (g) {
        DOES(cu.cuGraphDestroy(g));
    }
    CUstreamCaptureStatus status;
    DOES(cu.cuStreamIsCapturing(s, &status));
    cr_expect_eq(status, CU_STREAM_CAPTURE_STATUS_NONE);
    DOES(cu.cuStreamDestroy(s));
}

Test(graphs, what_waits_or_allocates_spoils_a_capture) {
    CUdeviceptr x = cu_memory(NULL, 64), y;
    float pageable[4], *pinned;
    CUevent e = cu_event();
    DOES(cu.cuMemHostAlloc((void **)&pinned, 16, 0));
    for (int which = 0; which < 8; which++) {
        CUstream s = capturing(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
        CUresult code = which == 0   ? cu.cuStreamSynchronize(s)
                        : which == 1 ? cu.cuStreamQuery(s)
                        : which == 2 ? cu.cuCtxSynchronize()
                        : which == 3 ? cu.cuMemAlloc(&y, 4)
                        : which == 4 ? cu.cuEventQuery(e)
                        : which == 5 ? cu.cuMemcpyDtoH(pageable, x, 16)
                        : which == 6 ? cu.cuMemcpyHtoDAsync(x, pageable, 16, s)
                                     : cu.cuEventSynchronize(e);
        cr_expect_eq(code, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "%d: %d", which, (int)code);
        FAILS_WITH(cu.cuMemsetD32Async(x, 0, 1, s), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
        ends_with(s, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    }
    CUstream s = capturing(CU_STREAM_CAPTURE_MODE_RELAXED);
    DOES(cu.cuMemAlloc(&y, 4));
    DOES(cu.cuMemFree(y));
    DOES(cu.cuMemcpyHtoDAsync(x, pinned, 16, s));
    ends_with(s, CUDA_SUCCESS);
    DOES(cu.cuMemFreeHost(pinned));
    DOES(cu.cuMemFree(x));
    DOES(cu.cuEventDestroy(e));
    cu_close();
}

Test(graphs, captures_stay_apart) {
    CUdeviceptr x = cu_memory(NULL, 66);
    CUevent before = cu_event(), within = cu_event();
    CUstream s = cu_stream(), blocking;
    DOES(cu.cuEventRecord(before, s));
    DOES(cu.cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    FAILS_WITH(cu.cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL), CUDA_ERROR_ILLEGAL_STATE);
    FAILS_WITH(cu.cuStreamWaitEvent(s, before, 0), CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
    ends_with(s, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);

    s = capturing(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
    CUstream t = capturing(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
    DOES(cu.cuEventRecord(within, s));
    FAILS_WITH(cu.cuStreamWaitEvent(t, within, 0), CUDA_ERROR_STREAM_CAPTURE_MERGE);
    ends_with(s, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    ends_with(t, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    DOES(cu.cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
    DOES(cu.cuStreamBeginCapture(blocking, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    FAILS_WITH(cu.cuMemsetD32Async(x, 0, 1, NULL), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    ends_with(blocking, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    FAILS_WITH(cu.cuStreamBeginCapture(NULL, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);

    s = capturing(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
    t = cu_stream();
    DOES(cu.cuEventRecord(within, s));
    DOES(cu.cuStreamWaitEvent(t, within, 0));
    CUgraph g;
    FAILS_WITH(cu.cuStreamEndCapture(t, &g), CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
    ends_with(s, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    DOES(cu.cuStreamDestroy(t));
    DOES(cu.cuEventDestroy(before));
    DOES(cu.cuEventDestroy(within));
    cu_build();
    s = cu_stream();
    t = cu_stream();
    cr_expect_null(capture(s, t, x, 1, 1));
    DOES(cu.cuStreamDestroy(s));
    DOES(cu.cuStreamDestroy(t));
    DOES(cu.cuMemFree(x));
    cu_unbuild();
    cu_close();
}
