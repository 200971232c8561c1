/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the software device's driver share: they call it as any program calls a CUDA
 * driver, so the same tests can be linked to another one.
 */
#ifndef WH_TESTS_SOFTGPU_DRIVER_H
#define WH_TESTS_SOFTGPU_DRIVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cuda_types.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ok(call)              assert_int_equal((call), CUDA_SUCCESS)
#define fails(call, expected) assert_int_equal((call), (expected))

/* A context of its own for a test; cmocka's setup and teardown. */
static inline int driver_setup(void **state)
{
    CUcontext context;
    CUdevice device;
    if (cuInit(0) != CUDA_SUCCESS || cuDeviceGet(&device, 0) != CUDA_SUCCESS ||
        cuCtxCreate_v2(&context, 0, device) != CUDA_SUCCESS)
        return -1;
    *state = context;
    return 0;
}

static inline int driver_teardown(void **state)
{
    return cuCtxDestroy_v2(*state) == CUDA_SUCCESS ? 0 : -1;
}

#define driver_test(function) \
    cmocka_unit_test_setup_teardown(function, driver_setup, driver_teardown)

/*
 * Kernels: store(p, v) sets *p; twice(p, v) does *p = 2 * *p + v, so that order shows; increment(p)
 * adds 1 from each thread; spin(p) ends when *p is not 0; bounded has 64 threads at most; shared
 * has 1024 static bytes; many has parameters of several sizes; wild writes where nothing is; stop
 * traps.
 */
static const char driver_ptx[] =
    ".version 7.0\n"
    ".target sm_70\n"
    ".address_size 64\n"
    ".visible .global .align 8 .u64 counter[2] = {5, 6};\n"
    ".visible .entry store(.param .u64 store_0, .param .u32 store_1)\n"
    "{\n"
    "    .reg .b32 %r<2>;\n"
    "    .reg .b64 %rd<3>;\n"
    "    ld.param.u64 %rd1, [store_0];\n"
    "    ld.param.u32 %r1, [store_1];\n"
    "    cvta.to.global.u64 %rd2, %rd1;\n"
    "    st.global.u32 [%rd2], %r1;\n"
    "    ret;\n"
    "}\n"
    ".visible .entry twice(.param .u64 twice_0, .param .u32 twice_1)\n"
    "{\n"
    "    .reg .b32 %r<5>;\n"
    "    .reg .b64 %rd<3>;\n"
    "    ld.param.u64 %rd1, [twice_0];\n"
    "    ld.param.u32 %r1, [twice_1];\n"
    "    cvta.to.global.u64 %rd2, %rd1;\n"
    "    ld.global.u32 %r2, [%rd2];\n"
    "    shl.b32 %r3, %r2, 1;\n"
    "    add.s32 %r4, %r3, %r1;\n"
    "    st.global.u32 [%rd2], %r4;\n"
    "    ret;\n"
    "}\n"
    ".visible .entry increment(.param .u64 increment_0)\n"
    "{\n"
    "    .reg .b32 %r<2>;\n"
    "    .reg .b64 %rd<3>;\n"
    "    ld.param.u64 %rd1, [increment_0];\n"
    "    cvta.to.global.u64 %rd2, %rd1;\n"
    "    atom.global.add.u32 %r1, [%rd2], 1;\n"
    "    ret;\n"
    "}\n"
    ".visible .entry spin(.param .u64 spin_0)\n"
    "{\n"
    "    .reg .pred %p<2>;\n"
    "    .reg .b32 %r<2>;\n"
    "    .reg .b64 %rd<3>;\n"
    "    ld.param.u64 %rd1, [spin_0];\n"
    "    cvta.to.global.u64 %rd2, %rd1;\n"
    "again:\n"
    "    ld.volatile.global.u32 %r1, [%rd2];\n"
    "    setp.eq.u32 %p1, %r1, 0;\n"
    "    @%p1 bra again;\n"
    "    ret;\n"
    "}\n"
    ".visible .entry bounded()\n"
    ".maxntid 64, 1, 1\n"
    "{\n"
    "    ret;\n"
    "}\n"
    ".visible .entry shared()\n"
    "{\n"
    "    .reg .b32 %r<2>;\n"
    "    .shared .align 4 .b8 room[1024];\n"
    "    mov.u32 %r1, 7;\n"
    "    st.shared.u32 [room+1020], %r1;\n"
    "    ret;\n"
    "}\n"
    ".visible .entry many(.param .u64 many_0, .param .u8 many_1, .param .u16 many_2,\n"
    "    .param .u64 many_3, .param .align 4 .b8 many_4[12])\n"
    "{\n"
    "    .reg .b16 %rs<2>;\n"
    "    .reg .b32 %r<5>;\n"
    "    .reg .b64 %rd<5>;\n"
    "    ld.param.u64 %rd1, [many_0];\n"
    "    cvta.to.global.u64 %rd2, %rd1;\n"
    "    ld.param.u8 %r1, [many_1];\n"
    "    st.global.u32 [%rd2], %r1;\n"
    "    ld.param.u16 %rs1, [many_2];\n"
    "    cvt.u32.u16 %r2, %rs1;\n"
    "    st.global.u32 [%rd2+4], %r2;\n"
    "    ld.param.u64 %rd3, [many_3];\n"
    "    st.global.u64 [%rd2+8], %rd3;\n"
    "    ld.param.u32 %r3, [many_4+8];\n"
    "    st.global.u32 [%rd2+16], %r3;\n"
    "    ret;\n"
    "}\n"
    ".visible .entry wild()\n"
    "{\n"
    "    .reg .b32 %r<2>;\n"
    "    .reg .b64 %rd<2>;\n"
    "    mov.u64 %rd1, 16;\n"
    "    mov.u32 %r1, 1;\n"
    "    st.global.u32 [%rd1], %r1;\n"
    "    ret;\n"
    "}\n"
    ".visible .entry stop()\n"
    "{\n"
    "    trap;\n"
    "    ret;\n"
    "}\n";

static inline CUfunction driver_function(CUmodule *module, const char *name)
{
    CUfunction function;
    ok(cuModuleLoadData(module, driver_ptx));
    ok(cuModuleGetFunction(&function, *module, name));
    return function;
}

static inline CUresult driver_launch(CUfunction function, unsigned blocks, unsigned threads,
                                     CUstream stream, void **parameters)
{
    return cuLaunchKernel(function, blocks, 1, 1, threads, 1, 1, 0, stream, parameters, NULL);
}

/* A word that holds a stream up until it is opened: what is behind it is certainly not done. */
struct driver_gate {
    uint32_t *word; /* pinned */
};

static inline void driver_gate_close(struct driver_gate *gate, CUstream stream)
{
    void *memory;
    ok(cuMemHostAlloc(&memory, 4096, CU_MEMHOSTALLOC_DEVICEMAP));
    gate->word = memory;
    __atomic_store_n(gate->word, 0, __ATOMIC_RELEASE);
    ok(cuStreamWaitValue32_v2(stream, (CUdeviceptr)(uintptr_t)memory, 1, CU_STREAM_WAIT_VALUE_EQ));
}

static inline void driver_gate_open(struct driver_gate *gate)
{
    __atomic_store_n(gate->word, 1, __ATOMIC_RELEASE);
}

static inline void driver_gate_free(struct driver_gate *gate)
{
    ok(cuMemFreeHost(gate->word));
}

#endif
