// SPDX-License-Identifier: Apache-2.0
//
// What the other files of this folder were made from, with CUDA 13.0:
//     nvcc -cubin -arch=sm_90 kernel.cu
//     nvcc -ptx -arch=compute_90 kernel.cu
//     nvcc -fatbin -gencode arch=compute_90,code=[sm_90,compute_90] kernel.cu
__constant__ int scale[4];
__device__ int counter[1024];

extern "C" __global__ void kernel(int *numbers, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        numbers[i] = numbers[i] * scale[i & 3] + counter[i & 1023];
}
