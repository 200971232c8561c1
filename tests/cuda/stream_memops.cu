/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_memops: streams that write words, and streams that wait until a word has a value, alone
 * and in batches; the host releases one by writing the word itself.
 */
#include <cuda.h>

#include "check.h"

__global__ void copy_word(volatile unsigned *to, const volatile unsigned *from)
{
    *to = *from;
}

static CUstream streams[2];

/* The second stream reads what the first wrote, because it waits for the flag. */
static void between_streams(CUdeviceptr words)
{
    unsigned *device = (unsigned *)(uintptr_t)words, got[4] = {0};
    bool ok = true;

    for (unsigned round = 1; round <= 20; round++) {
        CHECK(cuStreamWaitValue32(streams[1], words, round, CU_STREAM_WAIT_VALUE_GEQ));
        copy_word<<<1, 1, 0, streams[1]>>>(device + 1, device + 2);
        CHECK(cuStreamWriteValue32(streams[0], words + 8, round * 111, 0));
        CHECK(cuStreamWriteValue32(streams[0], words, round, 0));
        CHECK(cuMemcpyDtoHAsync(got, words, sizeof(got), streams[1]));
        CHECK(cuStreamSynchronize(streams[1]));
        ok = ok && got[0] == round && got[1] == round * 111;
    }
    expect("between streams", ok);
}

static void conditions(CUdeviceptr words)
{
    uint64_t wide = 0;

    CHECK(cuStreamWriteValue32(streams[0], words, 0xf0, 0));
    CHECK(cuStreamWaitValue32(streams[0], words, 0xf0, CU_STREAM_WAIT_VALUE_EQ));
    CHECK(cuStreamWaitValue32(streams[0], words, 0x10, CU_STREAM_WAIT_VALUE_AND));
    CHECK(cuStreamWaitValue32(streams[0], words, 0xffffff00,
                              CU_STREAM_WAIT_VALUE_NOR)); /* ~(word | value) is not 0 */
    CHECK(cuStreamWaitValue32(streams[0], words, 0xe0, CU_STREAM_WAIT_VALUE_GEQ));
    CHECK(cuStreamWriteValue64(streams[0], words + 16, 0x123456789abcdef0ull, 0));
    CHECK(cuStreamWaitValue64(streams[0], words + 16, 0x123456789abcdef0ull,
                              CU_STREAM_WAIT_VALUE_EQ));
    CHECK(cuMemcpyDtoHAsync(&wide, words + 16, sizeof(wide), streams[0]));
    CHECK(cuStreamSynchronize(streams[0]));
    expect("conditions that hold", wide == 0x123456789abcdef0ull);
}

static void batch(CUdeviceptr words)
{
    CUstreamBatchMemOpParams operations[4] = {};
    unsigned got[2] = {0};

    operations[0].writeValue.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32;
    operations[0].writeValue.address = words;
    operations[0].writeValue.value = 41;
    operations[1].waitValue.operation = CU_STREAM_MEM_OP_WAIT_VALUE_32;
    operations[1].waitValue.address = words;
    operations[1].waitValue.value = 41;
    operations[1].waitValue.flags = CU_STREAM_WAIT_VALUE_EQ;
    operations[2].writeValue.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32;
    operations[2].writeValue.address = words + 4;
    operations[2].writeValue.value = 42;
    operations[3].writeValue.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32;
    operations[3].writeValue.address = words;
    operations[3].writeValue.value = 43;
    CHECK(cuStreamBatchMemOp(streams[0], 4, operations, 0));
    CHECK(cuMemcpyDtoHAsync(got, words, sizeof(got), streams[0]));
    CHECK(cuStreamSynchronize(streams[0]));
    expect("batch", got[0] == 43 && got[1] == 42);
}

static void from_host()
{
    volatile unsigned *word;
    CUdeviceptr device;
    void *memory;

    CHECK(cuMemHostAlloc(&memory, 64, CU_MEMHOSTALLOC_DEVICEMAP));
    CHECK(cuMemHostGetDevicePointer(&device, memory, 0));
    word = (volatile unsigned *)memory;
    word[0] = word[1] = 0;
    CHECK(cuStreamWaitValue32(streams[0], device, 5, CU_STREAM_WAIT_VALUE_GEQ));
    CHECK(cuStreamWriteValue32(streams[0], device + 4, 6, 0));
    expect("waits", cuStreamQuery(streams[0]) == CUDA_ERROR_NOT_READY && word[1] == 0);
    word[0] = 5;
    CHECK(cuStreamSynchronize(streams[0]));
    expect("released by the host", word[1] == 6);
    CHECK(cuMemFreeHost(memory));
}

int main()
{
    CUdeviceptr words;
    CUcontext context;
    CUdevice device;

    CHECK(cuInit(0));
    CHECK(cuDeviceGet(&device, 0));
    CHECK(cuDevicePrimaryCtxRetain(&context, device));
    CHECK(cuCtxSetCurrent(context));
    for (CUstream &stream : streams)
        CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    CHECK(cuMemAlloc(&words, 64));
    CHECK(cuMemsetD8(words, 0, 64));
    /* Loading code for the first time may wait for all streams: not behind a stream that waits. */
    copy_word<<<1, 1>>>((unsigned *)(uintptr_t)words, (unsigned *)(uintptr_t)words);
    CHECK(cuCtxSynchronize());
    between_streams(words);
    conditions(words);
    batch(words);
    from_host();
    SHOW(cuStreamWriteValue32(streams[0], words + 2, 1, 0));
    SHOW(cuStreamWaitValue32(streams[0], words, 1, 0x77));
    CHECK(cuMemFree(words));
    for (CUstream stream : streams)
        CHECK(cuStreamDestroy(stream));
    CHECK(cuDevicePrimaryCtxRelease(device));
    return verdict();
}
