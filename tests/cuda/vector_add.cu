/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_add: the first CUDA program of every book, with a length that no block size divides.
 */
#include "check.h"

__global__ void add(const float *a, const float *b, float *sum, int count)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i < count)
        sum[i] = a[i] + b[i];
}

int main()
{
    const int count = 100003;
    const size_t size = count * sizeof(float);
    float *host[3], *device[3];

    for (int i = 0; i < 3; i++) {
        host[i] = (float *)calloc(count, sizeof(float));
        CHECK(cudaMalloc(&device[i], size));
    }
    for (int i = 0; i < count; i++) {
        host[0][i] = (float)(i % 1000);
        host[1][i] = (float)(i % 77) * 0.5f;
    }
    CHECK(cudaMemcpy(device[0], host[0], size, cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy(device[1], host[1], size, cudaMemcpyHostToDevice));
    add<<<(count + 255) / 256, 256>>>(device[0], device[1], device[2], count);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(host[2], device[2], size, cudaMemcpyDeviceToHost));

    bool ok = true;
    for (int i = 0; i < count; i++)
        ok = ok && host[2][i] == host[0][i] + host[1][i];
    expect("sums", ok);
    printf("first %g, middle %g, last %g\n", host[2][0], host[2][count / 2], host[2][count - 1]);
    print_checksum("all", host[2], size);
    for (int i = 0; i < 3; i++) {
        CHECK(cudaFree(device[i]));
        free(host[i]);
    }
    return verdict();
}
