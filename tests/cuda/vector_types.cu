/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_types: loads and stores of 1 to 16 bytes and of vectors, structures with padding and bit
 * fields, unions, addresses of every state space through one pointer.
 */
#include "check.h"

enum { COUNT = 256 };

struct __align__(16) record
{
    char tag;
    short small;
    int flags : 5;
    unsigned rest : 27;
    double value;
};

union bits {
    float f;
    unsigned u;
    unsigned char bytes[4];
};

__constant__ int in_constant = 1000;

__global__ void vectors(const float4 *f4, const uchar4 *u4, const short2 *s2, const double2 *d2,
                        float4 *sums, uchar4 *swapped, int *dots, double *products)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float4 f = f4[i];
    uchar4 u = u4[i];
    short2 s = s2[i];
    double2 d = d2[i];

    sums[i] = make_float4(f.w + f.x, f.z + f.y, f.y - f.z, f.x - f.w);
    swapped[i] = make_uchar4(u.w, u.z, u.y, u.x);
    dots[i] = s.x * s.y;
    products[i] = d.x * d.y;
}

__global__ void records(record *r, bits *b)
{
    int i = threadIdx.x;

    r[i].tag++;
    r[i].small = (short)(r[i].small * -3);
    r[i].flags = r[i].flags - 1;
    r[i].rest = r[i].rest + (1u << 20);
    r[i].value += r[i].flags;
    b[i].f = b[i].f * 2;
    b[i].bytes[0] ^= 0x5a;
}

__device__ __noinline__ int read_any(const int *p)
{
    return *p;
}

/* One function reads global, shared, local and constant memory through generic addresses. */
__global__ void spaces(const int *global, int *out)
{
    __shared__ int shared[COUNT];
    int local[4] = {(int)threadIdx.x, 10, 20, 30}, i = threadIdx.x;
    const int *p;

    shared[i] = i * 100;
    __syncthreads();
    p = i % 4 == 0   ? &global[i]
        : i % 4 == 1 ? &shared[COUNT - 1 - i]
        : i % 4 == 2 ? &local[i % 3]
                     : &in_constant;
    out[i] =
        read_any(p) + __isShared(p) * 1000000 + __isGlobal(p) * 2000000 + __isLocal(p) * 3000000;
}

static void check_vectors()
{
    static float4 f[COUNT], sums[COUNT];
    static uchar4 u[COUNT], swapped[COUNT];
    static short2 s[COUNT];
    static double2 d[COUNT];
    static double products[COUNT];
    static int dots[COUNT];
    char *device;
    bool ok = true;
    enum : size_t {
        F = 0,
        U = F + sizeof(f),
        S = U + sizeof(u),
        D = S + sizeof(s),
        SUMS = D + sizeof(d),
        SWAPPED = SUMS + sizeof(sums),
        DOTS = SWAPPED + sizeof(swapped),
        PRODUCTS = DOTS + sizeof(dots),
        END = PRODUCTS + sizeof(products)
    };

    for (int i = 0; i < COUNT; i++) {
        f[i] = make_float4((float)i, (float)(i * 2), (float)(i * 3), (float)(i + 1));
        u[i] = make_uchar4((unsigned char)i, (unsigned char)(i + 50), (unsigned char)(i * 3),
                           (unsigned char)~i);
        s[i] = make_short2((short)(i * 100), (short)(-i * 50));
        d[i] = make_double2(i + 0.5, i * 0.25);
    }
    CHECK(cudaMalloc(&device, END));
    CHECK(cudaMemcpy(device + F, f, sizeof(f), cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy(device + U, u, sizeof(u), cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy(device + S, s, sizeof(s), cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy(device + D, d, sizeof(d), cudaMemcpyHostToDevice));
    vectors<<<COUNT / 64, 64>>>((float4 *)(device + F), (uchar4 *)(device + U),
                                (short2 *)(device + S), (double2 *)(device + D),
                                (float4 *)(device + SUMS), (uchar4 *)(device + SWAPPED),
                                (int *)(device + DOTS), (double *)(device + PRODUCTS));
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(sums, device + SUMS, sizeof(sums), cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(swapped, device + SWAPPED, sizeof(swapped), cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(dots, device + DOTS, sizeof(dots), cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(products, device + PRODUCTS, sizeof(products), cudaMemcpyDeviceToHost));
    for (int i = 0; i < COUNT; i++)
        ok = ok && sums[i].x == f[i].w + f[i].x && sums[i].y == f[i].z + f[i].y &&
             sums[i].z == f[i].y - f[i].z && sums[i].w == f[i].x - f[i].w &&
             swapped[i].x == u[i].w && swapped[i].y == u[i].z && swapped[i].z == u[i].y &&
             swapped[i].w == u[i].x && dots[i] == s[i].x * s[i].y && products[i] == d[i].x * d[i].y;
    expect("vectors", ok);
    print_checksum("sums", sums, sizeof(sums));
    CHECK(cudaFree(device));
}

static void check_records()
{
    static record host[32];
    static bits both[32];
    record *device;
    bits *device_bits;
    bool ok = true;

    for (int i = 0; i < 32; i++) {
        host[i].tag = (char)('a' + i % 20);
        host[i].small = (short)(i * 300);
        host[i].flags = i % 16;
        host[i].rest = (unsigned)i * 99;
        host[i].value = i * 1.5;
        both[i].f = (float)(i + 1);
    }
    CHECK(cudaMalloc(&device, sizeof(host)));
    CHECK(cudaMalloc(&device_bits, sizeof(both)));
    CHECK(cudaMemcpy(device, host, sizeof(host), cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy(device_bits, both, sizeof(both), cudaMemcpyHostToDevice));
    records<<<1, 32>>>(device, device_bits);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(host, device, sizeof(host), cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(both, device_bits, sizeof(both), cudaMemcpyDeviceToHost));
    for (int i = 0; i < 32; i++) {
        bits wanted;

        wanted.f = (float)(i + 1) * 2;
        wanted.bytes[0] ^= 0x5a;
        ok = ok && host[i].tag == 'a' + i % 20 + 1 && host[i].small == i * -900 &&
             host[i].flags == i % 16 - 1 && host[i].rest == (unsigned)i * 99 + (1u << 20) &&
             host[i].value == i * 1.5 + i % 16 - 1 && both[i].u == wanted.u;
    }
    expect("records", ok);
    CHECK(cudaFree(device));
    CHECK(cudaFree(device_bits));
}

static void check_spaces()
{
    int *device, host[COUNT], out[COUNT];
    bool ok = true;

    for (int i = 0; i < COUNT; i++)
        host[i] = i + 7;
    CHECK(cudaMalloc(&device, 2 * sizeof(host)));
    CHECK(cudaMemcpy(device, host, sizeof(host), cudaMemcpyHostToDevice));
    spaces<<<1, COUNT>>>(device, device + COUNT);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(out, device + COUNT, sizeof(out), cudaMemcpyDeviceToHost));
    for (int i = 0; i < COUNT; i++) {
        const int local[4] = {i, 10, 20, 30};
        int wanted = i % 4 == 0   ? i + 7 + 2000000
                     : i % 4 == 1 ? (COUNT - 1 - i) * 100 + 1000000
                     : i % 4 == 2 ? local[i % 3] + 3000000
                                  : 1000;

        ok = ok && (i % 4 == 3 ? out[i] % 1000000 == wanted : out[i] == wanted);
    }
    expect("state spaces", ok);
    CHECK(cudaFree(device));
}

int main()
{
    check_vectors();
    check_records();
    check_spaces();
    return verdict();
}
