/* SPDX-License-Identifier: Apache-2.0 */
/*
 * int_intrinsics: what integer and bit instructions compute, beside the same computed on the host.
 */
#include "check.h"

enum { COUNT = 1024, NARROW = 28, WIDE = 12 };

__global__ void narrow(const unsigned *a, const unsigned *b, unsigned (*out)[NARROW])
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned x = a[i], y = b[i], low, high, bits;
    int sx = (int)x, sy = (int)y;

    out[i][0] = __popc(x);
    out[i][1] = __clz(x);
    out[i][2] = __ffs(x);
    out[i][3] = __brev(x);
    out[i][4] = __byte_perm(x, y, 0x3715);
    out[i][5] = __umulhi(x, y);
    out[i][6] = __mulhi(sx, sy);
    out[i][7] = __usad(x, y, 5);
    out[i][8] = __sad(sx, sy, 5);
    out[i][9] = __uhadd(x, y);
    out[i][10] = __rhadd(sx, sy);
    out[i][11] = __funnelshift_l(x, y, 11);
    out[i][12] = __funnelshift_r(x, y, 37);
    out[i][13] = __funnelshift_lc(x, y, 40);
    out[i][14] = __umul24(x, y);
    out[i][15] = __dp4a(sx, sy, 100);
    out[i][16] = __vadd4(x, y);
    out[i][17] = __vmaxs2(x, y);
    out[i][18] = __vcmpgtu4(x, y);
    out[i][19] = x / (y | 1) + x % (y | 1);
    out[i][20] = (unsigned)((sx >> 1) / (sy | 1)) + (unsigned)((sx >> 1) % (sy | 1)) * 3;
    out[i][21] = (x << (y & 31)) ^ (x >> (y & 31)) ^ (unsigned)(sx >> (y & 31));
    asm("{add.cc.u32 %0, %2, %3; addc.u32 %1, 0, 0;}" : "=r"(low), "=r"(high) : "r"(x), "r"(y));
    out[i][22] = low + high * 7;
    asm("{sub.cc.u32 %0, %2, %3; subc.u32 %1, 0, 0;}" : "=r"(low), "=r"(high) : "r"(x), "r"(y));
    out[i][23] = low ^ high;
    asm("bfe.s32 %0, %1, 5, 9;" : "=r"(bits) : "r"(x));
    out[i][24] = bits;
    asm("bfi.b32 %0, %1, %2, 7, 13;" : "=r"(bits) : "r"(x), "r"(y));
    out[i][25] = bits;
    asm("lop3.b32 %0, %1, %2, %3, 0x96;" : "=r"(bits) : "r"(x), "r"(y), "r"(x >> 3));
    out[i][26] = bits;
    asm("bfind.u32 %0, %1;" : "=r"(bits) : "r"(y >> (x & 31)));
    out[i][27] = bits;
}

__global__ void wide(const unsigned *a, const unsigned *b, unsigned long long (*out)[WIDE])
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned long long x = (unsigned long long)a[i] << 32 | b[i],
                       y = (unsigned long long)b[i] << 20 ^ a[i];
    long long sx = (long long)x, sy = (long long)y;

    out[i][0] = __popcll(x);
    out[i][1] = __clzll(x);
    out[i][2] = __ffsll(y);
    out[i][3] = __brevll(x);
    out[i][4] = __umul64hi(x, y);
    out[i][5] = (unsigned long long)__mul64hi(sx, sy);
    out[i][6] = x * y + x;
    out[i][7] = x / (y | 1);
    out[i][8] = (unsigned long long)(sx % (sy | 1));
    out[i][9] = (unsigned long long)(sx >> (b[i] & 63)) ^ x << (a[i] & 63);
    out[i][10] = (unsigned long long)max(sx, sy) + min(x, y);
    out[i][11] =
        (unsigned long long)((long long)(int)a[i] * (int)b[i] + (short)a[i] + (signed char)b[i]);
}

static unsigned reverse_bits(unsigned x)
{
    unsigned result = 0;

    for (int i = 0; i < 32; i++)
        result |= (x >> i & 1) << (31 - i);
    return result;
}

static unsigned select_bytes(unsigned x, unsigned y, unsigned selector)
{
    uint64_t both = (uint64_t)y << 32 | x;
    unsigned result = 0;

    for (int i = 0; i < 4; i++)
        result |= (unsigned)(both >> ((selector >> (4 * i) & 7) * 8) & 0xff) << (8 * i);
    return result;
}

static unsigned by_byte(unsigned x, unsigned y, bool compare)
{
    unsigned result = 0;

    for (int i = 0; i < 32; i += 8) {
        unsigned xb = x >> i & 0xff, yb = y >> i & 0xff;

        result |= (compare ? (xb > yb ? 0xff : 0) : (xb + yb) & 0xff) << i;
    }
    return result;
}

static unsigned greater_halves(unsigned x, unsigned y)
{
    short xl = (short)x, yl = (short)y, xh = (short)(x >> 16), yh = (short)(y >> 16);

    return (unsigned)(unsigned short)(xl > yl ? xl : yl) |
           (unsigned)(unsigned short)(xh > yh ? xh : yh) << 16;
}

static unsigned dot_bytes(unsigned x, unsigned y)
{
    int sum = 100;

    for (int i = 0; i < 32; i += 8)
        sum += (signed char)(x >> i) * (signed char)(y >> i);
    return (unsigned)sum;
}

static unsigned narrow_on_host(int operation, unsigned x, unsigned y)
{
    int sx = (int)x, sy = (int)y;
    int64_t wx = sx, wy = sy;
    unsigned s = y & 31, shifted = y >> (x & 31);

    switch (operation) {
    case 0:
        return (unsigned)__builtin_popcount(x);
    case 1:
        return x ? (unsigned)__builtin_clz(x) : 32;
    case 2:
        return (unsigned)__builtin_ffs(sx);
    case 3:
        return reverse_bits(x);
    case 4:
        return select_bytes(x, y, 0x3715);
    case 5:
        return (unsigned)((uint64_t)x * y >> 32);
    case 6:
        return (unsigned)(wx * wy >> 32);
    case 7:
        return (x > y ? x - y : y - x) + 5;
    case 8:
        return (unsigned)(wx > wy ? wx - wy : wy - wx) + 5;
    case 9:
        return (unsigned)(((uint64_t)x + y) >> 1);
    case 10:
        return (unsigned)((wx + wy + 1) >> 1);
    case 11:
        return y << 11 | x >> 21;
    case 12:
        return y << 27 | x >> 5;
    case 13:
        return x; /* clamped to 32 */
    case 14:
        return (x & 0xffffff) * (y & 0xffffff);
    case 15:
        return dot_bytes(x, y);
    case 16:
        return by_byte(x, y, false);
    case 17:
        return greater_halves(x, y);
    case 18:
        return by_byte(x, y, true);
    case 19:
        return x / (y | 1) + x % (y | 1);
    case 20:
        return (unsigned)((sx >> 1) / (sy | 1)) + (unsigned)((sx >> 1) % (sy | 1)) * 3;
    case 21:
        return (x << s) ^ (x >> s) ^ (unsigned)(sx >> s);
    case 22:
        return x + y + ((uint64_t)x + y > UINT32_MAX ? 7 : 0);
    case 23:
        return (x - y) ^ (x < y ? ~0u : 0);
    case 24:
        return (unsigned)((int)(x << 18) >> 23);
    case 25:
        return (y & ~(0x1fffu << 7)) | (x & 0x1fff) << 7;
    case 26:
        return x ^ y ^ x >> 3;
    default:
        return shifted ? 31u - (unsigned)__builtin_clz(shifted) : ~0u;
    }
}

static unsigned long long wide_on_host(int operation, unsigned a, unsigned b)
{
    unsigned long long x = (unsigned long long)a << 32 | b, y = (unsigned long long)b << 20 ^ a;
    long long sx = (long long)x, sy = (long long)y;

    switch (operation) {
    case 0:
        return (unsigned long long)__builtin_popcountll(x);
    case 1:
        return x ? (unsigned long long)__builtin_clzll(x) : 64;
    case 2:
        return (unsigned long long)__builtin_ffsll(sy);
    case 3:
        return (unsigned long long)reverse_bits((unsigned)x) << 32 |
               reverse_bits((unsigned)(x >> 32));
    case 4:
        return (unsigned long long)((unsigned __int128)x * y >> 64);
    case 5:
        return (unsigned long long)((__int128)sx * sy >> 64);
    case 6:
        return x * y + x;
    case 7:
        return x / (y | 1);
    case 8:
        return (unsigned long long)(sx % (sy | 1));
    case 9:
        return (unsigned long long)(sx >> (b & 63)) ^ x << (a & 63);
    case 10:
        return (unsigned long long)(sx > sy ? sx : sy) + (x < y ? x : y);
    default:
        return (unsigned long long)((long long)(int)a * (int)b + (short)a + (signed char)b);
    }
}

static unsigned a[COUNT], b[COUNT], narrows[COUNT][NARROW];
static unsigned long long wides[COUNT][WIDE];

static void check()
{
    bool narrow_ok[NARROW], wide_ok[WIDE];

    memset(narrow_ok, 1, sizeof(narrow_ok));
    memset(wide_ok, 1, sizeof(wide_ok));
    for (int i = 0; i < COUNT; i++) {
        for (int o = 0; o < NARROW; o++)
            narrow_ok[o] = narrow_ok[o] && narrows[i][o] == narrow_on_host(o, a[i], b[i]);
        for (int o = 0; o < WIDE; o++)
            wide_ok[o] = wide_ok[o] && wides[i][o] == wide_on_host(o, a[i], b[i]);
    }
    for (int o = 0; o < NARROW; o++) {
        printf("32 bits, %d: ", o);
        expect("all values", narrow_ok[o]);
    }
    for (int o = 0; o < WIDE; o++) {
        printf("64 bits, %d: ", o);
        expect("all values", wide_ok[o]);
    }
}

int main()
{
    const unsigned edges[] = {0,          1,          2,          0x7fffffff, 0x80000000,
                              0x80000001, 0xffffffff, 0xfffffffe, 0xffff,     0x10000};
    unsigned *device_a, *device_b, (*device_narrows)[NARROW];
    unsigned long long(*device_wides)[WIDE];
    uint32_t seed = 31;

    for (int i = 0; i < COUNT; i++) {
        a[i] = i < 100 ? edges[i / 10] : random32(&seed) >> (i % 4 * 5);
        b[i] = i < 100 ? edges[i % 10] : random32(&seed) >> (i % 3 * 9);
    }
    CHECK(cudaMalloc(&device_a, sizeof(a)));
    CHECK(cudaMalloc(&device_b, sizeof(b)));
    CHECK(cudaMalloc(&device_narrows, sizeof(narrows)));
    CHECK(cudaMalloc(&device_wides, sizeof(wides)));
    CHECK(cudaMemcpy(device_a, a, sizeof(a), cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy(device_b, b, sizeof(b), cudaMemcpyHostToDevice));
    narrow<<<COUNT / 64, 64>>>(device_a, device_b, device_narrows);
    wide<<<COUNT / 64, 64>>>(device_a, device_b, device_wides);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(narrows, device_narrows, sizeof(narrows), cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(wides, device_wides, sizeof(wides), cudaMemcpyDeviceToHost));
    check();
    print_checksum("32 bits", narrows, sizeof(narrows));
    print_checksum("64 bits", wides, sizeof(wides));
    CHECK(cudaFree(device_a));
    CHECK(cudaFree(device_b));
    CHECK(cudaFree(device_narrows));
    CHECK(cudaFree(device_wides));
    return verdict();
}
