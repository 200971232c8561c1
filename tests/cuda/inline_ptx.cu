/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inline_ptx: PTX in asm statements, as libraries have it: special registers, predicates, carry
 * chains, conversions with every rounding, vector loads, cache operators, volatile and atomic
 * accesses with order, permutations, barriers with names, branches.
 */
#include "check.h"

enum { BLOCK = 64, BLOCKS = 3, RESULTS = 24 };

__device__ static void registers(unsigned *out)
{
    unsigned lane, warp, x, y, mask;

    asm("mov.u32 %0, %%laneid;" : "=r"(lane));
    asm("mov.u32 %0, %%tid.x;" : "=r"(x));
    asm("mov.u32 %0, %%ctaid.x;" : "=r"(y));
    asm("mov.u32 %0, %%lanemask_lt;" : "=r"(mask));
    asm("{ .reg .u32 t; mov.u32 t, %%ntid.x; add.u32 %0, t, WARP_SZ; }" : "=r"(warp));
    out[0] = lane;
    out[1] = x + y * 1000;
    out[2] = mask;
    out[3] = warp;
}

__device__ static void arithmetic(unsigned *out, unsigned a, unsigned b)
{
    unsigned r0, r1, r2;
    unsigned long long wide;

    asm("{ .reg .pred p, q; setp.lt.u32 p|q, %1, %2; selp.u32 %0, 11, 22, p; @q add.u32 %0, %0, 100; }"
        : "=&r"(out[4])
        : "r"(a), "r"(b));
    asm("add.cc.u32 %0, %3, %4; addc.cc.u32 %1, %3, 0; addc.u32 %2, 0, 0;"
        : "=&r"(r0), "=&r"(r1), "=&r"(r2)
        : "r"(a), "r"(b));
    out[5] = r0 ^ r1 * 3 ^ r2 * 5;
    asm("mad.lo.cc.u32 %0, %2, %3, %2; madc.hi.u32 %1, %2, %3, 7;"
        : "=&r"(r0), "=&r"(r1)
        : "r"(a), "r"(b));
    out[6] = r0 + r1;
    asm("mul.wide.u32 %0, %1, %2;" : "=l"(wide) : "r"(a), "r"(b));
    asm("mov.b64 {%0, %1}, %2;" : "=r"(r0), "=r"(r1) : "l"(wide));
    out[7] = r0 - r1;
    asm("prmt.b32.f4e %0, %1, %2, 2;" : "=r"(out[8]) : "r"(a), "r"(b));
    asm("prmt.b32.rc16 %0, %1, %2, 1;" : "=r"(out[9]) : "r"(a), "r"(b));
    asm("shf.l.wrap.b32 %0, %1, %2, 45;" : "=r"(out[10]) : "r"(a), "r"(b));
    asm("slct.u32.s32 %0, %1, %2, %3;" : "=r"(out[11]) : "r"(a), "r"(b), "r"(a ^ b));
    asm("cnot.b32 %0, %1;" : "=r"(out[12]) : "r"(a & 1));
    asm("bfe.u32 %0, %1, %2, 9;" : "=r"(out[13]) : "r"(a), "r"(b & 31));
    asm("add.sat.s32 %0, %1, %2;" : "=r"(out[14]) : "r"(a), "r"(b));
    asm("{ .reg .u16 l, h; mov.b32 {l, h}, %1; mul.lo.u16 l, l, h; cvt.u32.u16 %0, l; }"
        : "=r"(out[15])
        : "r"(a));
}

__device__ static void conversions(unsigned *out, float f)
{
    int rni, rzi, rmi, rpi;
    unsigned sat;

    asm("cvt.rni.s32.f32 %0, %1;" : "=r"(rni) : "f"(f));
    asm("cvt.rzi.s32.f32 %0, %1;" : "=r"(rzi) : "f"(f));
    asm("cvt.rmi.s32.f32 %0, %1;" : "=r"(rmi) : "f"(f));
    asm("cvt.rpi.s32.f32 %0, %1;" : "=r"(rpi) : "f"(f));
    out[16] = (unsigned)(rni * 1000000 + rzi * 10000 + rmi * 100 + rpi);
    asm("{ .reg .u8 t; cvt.rzi.sat.u8.f32 t, %1; cvt.u32.u8 %0, t; }" : "=r"(sat) : "f"(f * 100));
    out[17] = sat;
    asm("{ .reg .f32 t; cvt.rmi.f32.f32 t, %1; mov.b32 %0, t; }" : "=r"(out[18]) : "f"(f));
}

__device__ static void memory(unsigned *out, unsigned *line)
{
    unsigned a, b, c, d, old;

    asm volatile("ld.global.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(a), "=r"(b), "=r"(c), "=r"(d)
                 : "l"(line));
    out[19] = a + 2 * b + 3 * c + 4 * d;
    asm volatile("ld.global.nc.u32 %0, [%1+8];" : "=r"(a) : "l"(line));
    asm volatile("ld.global.ca.u16 %0, [%1+6];" : "=r"(b) : "l"(line));
    asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];" : "=r"(c) : "l"(line));
    out[20] = a + b + c;
    asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], 3;"
                 : "=r"(old)
                 : "l"(line + 4)
                 : "memory");
    asm volatile("red.release.gpu.global.max.u32 [%0], %1;" ::"l"(line + 5), "r"(threadIdx.x + 500)
                 : "memory");
    asm volatile("fence.acq_rel.gpu; membar.cta;" ::: "memory");
    out[21] = old % 3;
}

/* The two warps of a block meet at a named barrier; one only arrives. */
__device__ static void barriers(unsigned *out, volatile unsigned *shared)
{
    if (threadIdx.x < 32) {
        shared[threadIdx.x] = threadIdx.x * 9;
        asm volatile("barrier.cta.arrive 1, 64;" ::: "memory");
        out[22] = 0;
    } else {
        asm volatile("barrier.cta.sync 1, 64;" ::: "memory");
        out[22] = shared[63 - threadIdx.x];
    }
    asm volatile("{ .reg .u32 i; .reg .pred p; mov.u32 %0, 0; mov.u32 i, 0;\n"
                 "LOOP: add.u32 %0, %0, i; add.u32 i, i, 1; setp.le.u32 p, i, %1; @p bra LOOP; }"
                 : "=&r"(out[23])
                 : "r"(threadIdx.x % 20));
}

__global__ void run(unsigned (*out)[RESULTS], unsigned *line)
{
    __shared__ unsigned shared[BLOCK];
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x, mine[RESULTS];

    registers(mine);
    arithmetic(mine, i * 2654435761u, 0x9e3779b9u ^ i << 20);
    conversions(mine, (int)(i % 21 - 10) * 0.25f);
    memory(mine, line);
    barriers(mine, shared);
    for (int r = 0; r < RESULTS; r++)
        out[i][r] = mine[r];
}

static unsigned wanted(int r, unsigned i)
{
    unsigned a = i * 2654435761u, b = 0x9e3779b9u ^ i << 20, lane = i % 32, thread = i % BLOCK,
             bits;
    uint64_t wide = (uint64_t)a * b;
    int64_t sum;
    float f = (float)((int)(i % 21 - 10) * 0.25), floored = floorf(f);

    switch (r) {
    case 0:
        return lane;
    case 1:
        return thread + i / BLOCK * 1000;
    case 2:
        return (1u << lane) - 1;
    case 3:
        return BLOCK + 32;
    case 4:
        return a < b ? 11 : 122;
    case 5:
        wide = (uint64_t)a + b;
        bits = (unsigned)(wide >> 32);
        return (unsigned)wide ^ (a + bits) * 3 ^ (unsigned)(((uint64_t)a + bits) >> 32) * 5;
    case 6:
        bits = (unsigned)wide + a < a; /* the carry */
        return (unsigned)wide + a + (unsigned)(wide >> 32) + 7 + bits;
    case 7:
        return (unsigned)wide - (unsigned)(wide >> 32);
    case 8: /* forward 4 extract from byte 2 */
        return (unsigned)(((uint64_t)b << 32 | a) >> 16);
    case 9: /* replicate half 1 */
        return (a >> 16) * 0x10001u;
    case 10:
        return b << 13 | a >> 19;
    case 11:
        return (int)(a ^ b) >= 0 ? a : b;
    case 12:
        return a & 1 ? 0 : 1;
    case 13:
        return a >> (b & 31) & 0x1ff;
    case 14:
        sum = (int64_t)(int)a + (int)b;
        return (unsigned)(sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : sum);
    case 15:
        return (a & 0xffff) * (a >> 16) & 0xffff;
    case 16:
        return (unsigned)((int)nearbyintf(f) * 1000000 + (int)f * 10000 + (int)floorf(f) * 100 +
                          (int)ceilf(f));
    case 17:
        return f <= 0 ? 0 : f * 100 > 255 ? 255 : (unsigned)(f * 100);
    case 18:
        memcpy(&bits, &floored, sizeof(bits));
        return bits;
    case 19:
        return 11 + 2 * 22 + 3 * 33 + 4 * 44;
    case 20:
        return 33 + 0 + 11;
    case 21:
        return 0;
    case 22:
        return thread < 32 ? 0 : (63 - thread) * 9;
    default:
        return thread % 20 * (thread % 20 + 1) / 2;
    }
}

int main()
{
    static unsigned host[BLOCK * BLOCKS][RESULTS];
    unsigned start[8] = {11, 22, 33, 44, 0, 0, 0, 0}, end[8], (*device)[RESULTS], *line;

    CHECK(cudaMalloc(&device, sizeof(host)));
    CHECK(cudaMalloc(&line, sizeof(start)));
    CHECK(cudaMemcpy(line, start, sizeof(start), cudaMemcpyHostToDevice));
    run<<<BLOCKS, BLOCK>>>(device, line);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(host, device, sizeof(host), cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(end, line, sizeof(end), cudaMemcpyDeviceToHost));
    for (int r = 0; r < RESULTS; r++) {
        bool ok = true;

        for (unsigned i = 0; i < BLOCK * BLOCKS; i++)
            ok = ok && host[i][r] == wanted(r, i);
        printf("result %d: ", r);
        expect("of all threads", ok);
    }
    printf("%u %u\n", end[4], end[5]);
    print_checksum("all", host, sizeof(host));
    CHECK(cudaFree(device));
    CHECK(cudaFree(line));
    return verdict();
}
