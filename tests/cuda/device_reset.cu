/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device_reset: the device is reset, or a context ends, and is used again: variables are new, also
 * managed ones, and addresses that were theirs can be anybody's. In the end the same with a library
 * and contexts of the program's own.
 */
#include <cuda.h>

#include "check.h"

enum { BLOCKS = 100 };

__managed__ int total = 5;
__managed__ int numbers[2000];
__device__ int plain = 7;

__global__ void add(int by)
{
    total += by;
    plain += by;
    numbers[1999] = numbers[0] + by;
}

/* As after the program's start, but for what the host writes. */
static void use_variables(int first)
{
    int value = 0;

    total = first;
    numbers[0] = first;
    add<<<1, 1>>>(3);
    CHECK_LAUNCH();
    CHECK(cudaDeviceSynchronize());
    printf("total %d, number %d\n", total, numbers[1999]);
    CHECK(cudaMemcpyFromSymbol(&value, plain, sizeof(value)));
    printf("plain %d\n", value);
}

/* Wherever the variables of the last context were, memory can be now. */
static void use_memory()
{
    unsigned char *blocks[BLOCKS], value;
    bool ok = true;

    for (int i = 0; i < BLOCKS; i++) {
        CHECK(cudaMalloc(&blocks[i], 256 * (i + 1)));
        CHECK(cudaMemset(blocks[i], i, 256 * (i + 1)));
    }
    for (int i = 0; i < BLOCKS; i++) {
        CHECK(cudaMemcpy(&value, blocks[i] + 256 * i + 255, 1, cudaMemcpyDeviceToHost));
        ok = ok && value == i;
        CHECK(cudaFree(blocks[i]));
    }
    expect("memory", ok);
}

static const char text[] = ".version 7.0\n.target sm_75\n.address_size 64\n"
                           ".visible .global .attribute(.managed) .align 4 .u32 shared_word = 40;\n"
                           ".visible .entry twice() { .reg .b32 %r<2>;\n"
                           "    ld.global.u32 %r1, [shared_word]; add.u32 %r1, %r1, %r1;\n"
                           "    st.global.u32 [shared_word], %r1; ret; }\n";

/* One library in two contexts, one after the other. */
static void use_library()
{
    CUlibrary library;
    CUkernel kernel;

    CHECK(cuLibraryLoadData(&library, text, NULL, NULL, 0, NULL, NULL, 0));
    CHECK(cuLibraryGetKernel(&kernel, library, "twice"));
    for (unsigned i = 1; i < 4; i++) {
        CUcontext context;
        CUdeviceptr address;

        CHECK(cuCtxCreate(&context, NULL, 0, 0));
        CHECK(cuLibraryGetManaged(&address, NULL, library, "shared_word"));
        volatile unsigned *word = (volatile unsigned *)address;
        *word = i;
        CHECK(cuLaunchKernel((CUfunction)kernel, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
        CHECK(cuCtxSynchronize());
        printf("word %u\n", *word);
        CHECK(cuCtxDestroy(context));
    }
    CHECK(cuLibraryUnload(library));
}

int main()
{
    use_variables(10);
    for (int i = 0; i < 2; i++) {
        CHECK(cudaDeviceReset());
        CHECK(cudaFree(0));
        use_variables(20 + i);
        use_memory();
    }
    CHECK(cudaDeviceReset());
    use_memory();
    CHECK(cudaDeviceReset());
    use_library();
    return verdict();
}
