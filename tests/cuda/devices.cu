/* SPDX-License-Identifier: Apache-2.0 */
/*
 * devices: what the device says of itself through the runtime and through the driver API agrees;
 * devices by number, by bus and as peers.
 */
#include <cuda.h>

#include "check.h"

static int attribute(CUdevice_attribute which)
{
    int value = -1;

    CHECK(cuDeviceGetAttribute(&value, which, 0));
    return value;
}

static void properties()
{
    size_t total = 0, free_now = 0, total_now = 0;
    cudaDeviceProp p;
    char name[256];
    CUuuid uuid;
    int major, minor;

    CHECK(cudaGetDeviceProperties(&p, 0));
    CHECK(cuDeviceGetName(name, sizeof(name), 0));
    CHECK(cuDeviceTotalMem(&total, 0));
    CHECK(cuDeviceGetUuid(&uuid, 0));
    CHECK(cudaMemGetInfo(&free_now, &total_now));
    major = attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
    minor = attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
    expect("name", name[0] && strcmp(name, p.name) == 0);
    expect("memory",
           total > 0 && total == p.totalGlobalMem && free_now <= total_now && free_now > 0);
    expect("UUID", memcmp(&uuid, &p.uuid, sizeof(uuid)) == 0);
    expect("compute capability", p.major == major && p.minor == minor && major * 10 + minor >= 75);
    expect("multiprocessors",
           p.multiProcessorCount == attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT));
    expect("bus", p.pciBusID == attribute(CU_DEVICE_ATTRIBUTE_PCI_BUS_ID) &&
                      p.pciDeviceID == attribute(CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID));
    printf("warp %d, block %d (%d, %d, %d), grid (%d, %d, %d)\n", p.warpSize, p.maxThreadsPerBlock,
           p.maxThreadsDim[0], p.maxThreadsDim[1], p.maxThreadsDim[2], p.maxGridSize[0],
           p.maxGridSize[1], p.maxGridSize[2]);
    printf("unified addressing %d, managed memory %d, mapped memory %d\n", p.unifiedAddressing,
           p.managedMemory, p.canMapHostMemory);
}

static void numbers()
{
    int count = 0, device = -1, version = 0, runtime = 0;
    char bus[32] = "";

    CHECK(cudaGetDeviceCount(&count));
    expect("devices", count >= 1);
    CHECK(cudaGetDevice(&device));
    expect("the first is current", device == 0);
    CHECK(cudaDeviceGetPCIBusId(bus, sizeof(bus), 0));
    CHECK(cudaDeviceGetByPCIBusId(&device, bus));
    expect("found by its bus", device == 0);
    CHECK(cudaDriverGetVersion(&version));
    CHECK(cudaRuntimeGetVersion(&runtime));
    expect("versions", version >= runtime && runtime >= 13000);
    SHOW(cudaDeviceGetByPCIBusId(&device, "ffff:ff:1f.0"));
    cudaGetLastError();
}

static void peers()
{
    int count = 0, able = -1, rank = -1;
    int *from, *to, value = 77;

    CHECK(cudaGetDeviceCount(&count));
    CHECK(cudaDeviceCanAccessPeer(&able, 0, 0));
    expect("no peer of itself", able == 0);
    SHOW(cudaDeviceCanAccessPeer(&able, 0, 99));
    SHOW(cudaDeviceEnablePeerAccess(99, 0));
    SHOW(cudaDeviceDisablePeerAccess(99));
    SHOW(cudaDeviceGetP2PAttribute(&rank, cudaDevP2PAttrAccessSupported, 0, 99));
    cudaGetLastError();
    CHECK(cudaMalloc(&from, sizeof(value)));
    CHECK(cudaMalloc(&to, sizeof(value)));
    CHECK(cudaMemcpy(from, &value, sizeof(value), cudaMemcpyHostToDevice));
    CHECK(cudaMemcpyPeer(to, 0, from, 0, sizeof(value)));
    CHECK(cudaMemcpyPeerAsync(from, 0, to, 0, sizeof(value), 0));
    value = 0;
    CHECK(cudaMemcpy(&value, from, sizeof(value), cudaMemcpyDeviceToHost));
    expect("copied as between peers", value == 77);
    CHECK(cudaFree(from));
    CHECK(cudaFree(to));
}

static void primary_context()
{
    CUcontext context, now;
    unsigned flags;
    int active = 0;

    CHECK(cuDevicePrimaryCtxGetState(0, &flags, &active));
    expect("the runtime's context is active", active == 1);
    CHECK(cuDevicePrimaryCtxRetain(&context, 0));
    CHECK(cuCtxGetCurrent(&now));
    expect("and is the primary one", now == context);
    CHECK(cuDevicePrimaryCtxRelease(0));
    CHECK(cudaDeviceReset());
    CHECK(cuDevicePrimaryCtxGetState(0, &flags, &active));
    expect("no more after a reset", active == 0);
    CHECK(cudaFree(nullptr));
    CHECK(cuDevicePrimaryCtxGetState(0, &flags, &active));
    expect("again after the next use", active == 1);
}

int main()
{
    CHECK(cudaSetDevice(0));
    CHECK(cuInit(0));
    properties();
    numbers();
    peers();
    primary_context();
    return verdict();
}
