/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinned_limit: pinned and managed memory up to where there is no more of it, which is an error
 * like any other; what was there stays, the rest of the program works, and room comes back.
 */
#include "check.h"

enum { MOST = 4096, PIECE = 1 << 20 };

static unsigned char *pieces[MOST];

/* As many pieces as there are, at most MOST. */
static int fill_up(bool managed)
{
    int n = 0;

    while (n < MOST) {
        cudaError_t code = managed ? cudaMallocManaged((void **)&pieces[n], PIECE)
                                   : cudaMallocHost((void **)&pieces[n], PIECE);
        if (code != cudaSuccess) {
            expect("no more of it", code == cudaErrorMemoryAllocation);
            (void)cudaGetLastError();
            return n;
        }
        pieces[n][0] = pieces[n][PIECE - 1] = (unsigned char)n;
        n++;
    }
    expect("no more of it", false);
    return n;
}

static bool all_there(int n)
{
    for (int i = 0; i < n; i++)
        if (pieces[i][0] != (unsigned char)i || pieces[i][PIECE - 1] != (unsigned char)i)
            return false;
    return true;
}

/* Copies of pageable memory need none of it. */
static bool copies_work(size_t size)
{
    unsigned char *host = (unsigned char *)malloc(size), *device;
    bool ok = true;

    for (size_t i = 0; i < size; i++)
        host[i] = (unsigned char)(i * 7);
    CHECK(cudaMalloc(&device, size));
    CHECK(cudaMemcpy(device, host, size, cudaMemcpyHostToDevice));
    memset(host, 0, size);
    CHECK(cudaMemcpy(host, device, size, cudaMemcpyDeviceToHost));
    for (size_t i = 0; i < size; i++)
        ok = ok && host[i] == (unsigned char)(i * 7);
    CHECK(cudaFree(device));
    free(host);
    return ok;
}

int main()
{
    int n;

    setenv("WORMHOLE_ARENA", "24M", 1); /* before there is a session */
    for (int round = 0; round < 2; round++) {
        n = fill_up(round == 1);
        expect("a good part of it", n >= 8);
        expect("small copies", copies_work(60000));
        expect("big copies", copies_work(5 << 20));
        expect("what was there stays", all_there(n));
        for (int i = 0; i < n; i++)
            CHECK(round == 1 ? cudaFree(pieces[i]) : cudaFreeHost(pieces[i]));
        expect("copies, still", copies_work(5 << 20));
    }
    return verdict();
}
