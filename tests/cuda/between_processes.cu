/* SPDX-License-Identifier: Apache-2.0 */
/*
 * between_processes: one process makes memory and events, another one opens them by their handles;
 * memory by descriptor goes the other way. What is no handle, or no longer one, is refused.
 */
#include <cuda.h>
#include <cuda_runtime.h>

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { COUNT = 3000 };

__global__ void fill(unsigned *values, unsigned first, int count)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i < count)
        values[i] = first + i;
}

/* Long enough that who does not wait for it is seen. */
__global__ void fill_slowly(unsigned *values, unsigned first, int count)
{
    unsigned sum = 0;
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    for (unsigned k = 0; k < 3000; k++)
        sum = sum * 1664525u + 1013904223u + k;
    if (i < count)
        values[i] = first + i + (sum == 1 ? 1 : 0);
}

static int talk; /* to the other process */

static void say(const void *bytes, size_t size)
{
    if (write(talk, bytes, size) != (ssize_t)size)
        exit(2);
}

static void hear(void *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t n = read(talk, (char *)bytes + at, size - at);
        if (n <= 0)
            exit(3);
        at += (size_t)n;
    }
}

static void step()
{
    char byte = 0;
    say(&byte, 1);
}

static void await_step()
{
    char byte;
    hear(&byte, 1);
}

static void say_descriptor(int fd)
{
    char byte = 'd', room[CMSG_SPACE(sizeof(int))] = {};
    struct iovec vector = {&byte, 1};
    struct msghdr message = {};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = room;
    message.msg_controllen = sizeof(room);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    if (sendmsg(talk, &message, 0) != 1)
        exit(4);
}

static int hear_descriptor()
{
    char byte, room[CMSG_SPACE(sizeof(int))] = {};
    struct iovec vector = {&byte, 1};
    struct msghdr message = {};
    int fd;
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = room;
    message.msg_controllen = sizeof(room);
    if (recvmsg(talk, &message, 0) != 1 || !CMSG_FIRSTHDR(&message))
        exit(5);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
    return fd;
}

static bool holds(const unsigned *device, unsigned first, int count)
{
    static unsigned host[COUNT];

    CHECK(cudaMemcpy(host, device, count * sizeof(unsigned), cudaMemcpyDeviceToHost));
    for (int i = 0; i < count; i++)
        if (host[i] != first + i)
            return false;
    return true;
}

/* ---- memory by descriptor ---- */

static const CUmemAllocationHandleType by_descriptor = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;

static unsigned *map(CUmemGenericAllocationHandle handle, size_t size)
{
    CUmemAccessDesc desc = {};
    CUdeviceptr address;

    desc.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    desc.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    CHECK(cuMemAddressReserve(&address, size, 0, 0, 0));
    CHECK(cuMemMap(address, size, 0, handle, 0));
    CHECK(cuMemSetAccess(address, size, &desc, 1));
    return (unsigned *)address;
}

static void unmap(unsigned *values, size_t size)
{
    CHECK(cuMemUnmap((CUdeviceptr)values, size));
    CHECK(cuMemAddressFree((CUdeviceptr)values, size));
}

static size_t granule(const CUmemAllocationProp *prop)
{
    size_t size;

    CHECK(cuMemGetAllocationGranularity(&size, prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    return size;
}

static CUmemAllocationProp exportable()
{
    CUmemAllocationProp prop = {};

    prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    prop.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    prop.requestedHandleTypes = by_descriptor;
    return prop;
}

/* ---- the other process ---- */

static void other()
{
    cudaIpcMemHandle_t memory;
    cudaIpcEventHandle_t event_handle;
    cudaEvent_t event;
    unsigned *values, *again;
    bool ok;

    CHECK(cudaFree(0));
    hear(&memory, sizeof(memory));
    hear(&event_handle, sizeof(event_handle));
    CHECK(cudaIpcOpenMemHandle((void **)&values, memory, cudaIpcMemLazyEnablePeerAccess));
    CHECK(cudaIpcOpenEventHandle(&event, event_handle));
    /* The stream waits for what the first process does on its own. */
    CHECK(cudaStreamWaitEvent(0, event, 0));
    ok = holds(values, 100, COUNT);
    CHECK(cudaIpcOpenMemHandle((void **)&again, memory, cudaIpcMemLazyEnablePeerAccess));
    ok = ok && again == values;
    CHECK(cudaIpcCloseMemHandle(again));
    fill_slowly<<<(COUNT + 127) / 128, 128>>>(values, 500, COUNT);
    CHECK(cudaEventRecord(event, 0));
    say(&ok, sizeof(ok));
    await_step();
    CHECK(cudaDeviceSynchronize());
    ok = cudaFree(values) == cudaErrorInvalidValue;
    CHECK(cudaIpcCloseMemHandle(values));
    ok = ok && cudaMemset(values, 0, 4) == cudaErrorInvalidValue;
    (void)cudaGetLastError();
    CHECK(cudaEventDestroy(event));
    say(&ok, sizeof(ok));

    /* Memory by descriptor. */
    CUmemAllocationProp prop = exportable();
    CUmemGenericAllocationHandle handle;
    size_t size = granule(&prop);
    int fd;
    CHECK(cuMemCreate(&handle, size, &prop, 0));
    CHECK(cuMemExportToShareableHandle(&fd, handle, by_descriptor, 0));
    values = map(handle, size);
    CHECK(cuMemRelease(handle));
    fill<<<(COUNT + 127) / 128, 128>>>(values, 7, COUNT);
    CHECK(cudaDeviceSynchronize());
    say_descriptor(fd);
    close(fd);
    await_step();
    ok = holds(values, 8000, COUNT);
    unmap(values, size);
    say(&ok, sizeof(ok));
    await_step();

    /* A pool of the first process's, and memory of it. */
    cudaMemPool_t pool;
    cudaMemPoolPtrExportData data;
    fd = hear_descriptor();
    hear(&data, sizeof(data));
    CHECK(cudaMemPoolImportFromShareableHandle(&pool, (void *)(intptr_t)fd,
                                               cudaMemHandleTypePosixFileDescriptor, 0));
    close(fd);
    CHECK(cudaMemPoolImportPointer((void **)&values, pool, &data));
    ok = holds(values, 60, COUNT);
    ok = ok && cudaMallocFromPoolAsync((void **)&again, 256, pool, 0) == cudaErrorInvalidValue;
    (void)cudaGetLastError();
    fill<<<(COUNT + 127) / 128, 128>>>(values, 90, COUNT);
    CHECK(cudaFreeAsync(values, 0));
    CHECK(cudaDeviceSynchronize());
    ok = ok && cudaMemset(values, 0, 4) == cudaErrorInvalidValue;
    (void)cudaGetLastError();
    CHECK(cudaMemPoolDestroy(pool));
    say(&ok, sizeof(ok));
    await_step();
}

/* ---- the first process ---- */

static bool told()
{
    bool ok;

    hear(&ok, sizeof(ok));
    return ok;
}

static void by_handle()
{
    cudaIpcMemHandle_t memory, same;
    cudaIpcEventHandle_t event_handle;
    cudaEvent_t event, plain;
    unsigned *values, *own;

    CHECK(cudaMalloc(&own, 1000)); /* so that the memory does not begin a page */
    CHECK(cudaMalloc(&values, COUNT * sizeof(unsigned)));
    CHECK(cudaIpcGetMemHandle(&memory, values));
    CHECK(cudaIpcGetMemHandle(&same, values));
    expect("one handle", memcmp(&memory, &same, sizeof(memory)) == 0);
    CHECK(cudaEventCreate(&plain));
    SHOW(cudaIpcGetEventHandle(&event_handle, plain));
    SHOW(cudaEventCreateWithFlags(&event, cudaEventInterprocess));
    CHECK(cudaEventCreateWithFlags(&event, cudaEventInterprocess | cudaEventDisableTiming));
    CHECK(cudaIpcGetEventHandle(&event_handle, event));
    fill_slowly<<<(COUNT + 127) / 128, 128>>>(values, 100, COUNT);
    CHECK(cudaEventRecord(event, 0));
    say(&memory, sizeof(memory));
    say(&event_handle, sizeof(event_handle));
    expect("the other sees what was written", told());
    CHECK(cudaEventSynchronize(event));
    expect("and writes what is seen here", holds(values, 500, COUNT));
    CHECK(cudaEventQuery(event));
    step();
    expect("memory that was closed is gone there", told());
    memset(&same, 0, sizeof(same));
    SHOW(cudaIpcOpenMemHandle((void **)&own, same, cudaIpcMemLazyEnablePeerAccess));
    same = memory;
    ((char *)&same)[12] ^= 1;
    expect("nobody's handle", cudaIpcOpenMemHandle((void **)&own, same,
                                                   cudaIpcMemLazyEnablePeerAccess) != cudaSuccess);
    CHECK(cudaFree(values));
    SHOW(cudaIpcGetMemHandle(&memory, values));
    expect("nor of memory that is gone",
           cudaIpcOpenMemHandle((void **)&own, memory, cudaIpcMemLazyEnablePeerAccess) !=
               cudaSuccess);
    CHECK(cudaEventDestroy(event));
    CHECK(cudaEventDestroy(plain));
    (void)cudaGetLastError();
}

static void by_file()
{
    CUmemAllocationProp prop = exportable();
    CUmemGenericAllocationHandle handle, wrong;
    size_t size = granule(&prop);
    int fd = hear_descriptor(), other = -1;

    CHECK(cuMemImportFromShareableHandle(&handle, (void *)(intptr_t)fd, by_descriptor));
    close(fd);
    unsigned *values = map(handle, size);
    CHECK(cuMemRelease(handle));
    expect("the same memory here", holds(values, 7, COUNT));
    fill<<<(COUNT + 127) / 128, 128>>>(values, 8000, COUNT);
    CHECK(cudaDeviceSynchronize());
    step();
    expect("and there", told());
    unmap(values, size);
    for (int no_memory : {talk, -1})
        expect("a descriptor of something else",
               cuMemImportFromShareableHandle(&wrong, (void *)(intptr_t)no_memory,
                                              by_descriptor) != CUDA_SUCCESS);
    prop.requestedHandleTypes = CU_MEM_HANDLE_TYPE_NONE;
    CHECK(cuMemCreate(&handle, size, &prop, 0));
    SHOW(cuMemExportToShareableHandle(&other, handle, by_descriptor, 0));
    CHECK(cuMemRelease(handle));
    step();
}

static void by_pool()
{
    cudaMemPoolProps props = {};
    cudaMemPoolPtrExportData data, wrong;
    cudaMemPool_t pool, plain;
    unsigned *values, *elsewhere;
    int fd;

    props.allocType = cudaMemAllocationTypePinned;
    props.location.type = cudaMemLocationTypeDevice;
    CHECK(cudaMemPoolCreate(&plain, &props));
    props.handleTypes = cudaMemHandleTypePosixFileDescriptor;
    CHECK(cudaMemPoolCreate(&pool, &props));
    SHOW(cudaMemPoolExportToShareableHandle(&fd, plain, cudaMemHandleTypePosixFileDescriptor, 0));
    CHECK(cudaMallocFromPoolAsync((void **)&values, COUNT * sizeof(unsigned), pool, 0));
    CHECK(cudaMallocFromPoolAsync((void **)&elsewhere, 256, plain, 0));
    SHOW(cudaMemPoolExportPointer(&wrong, elsewhere));
    fill<<<(COUNT + 127) / 128, 128>>>(values, 60, COUNT);
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaMemPoolExportToShareableHandle(&fd, pool, cudaMemHandleTypePosixFileDescriptor, 0));
    CHECK(cudaMemPoolExportPointer(&data, values));
    say_descriptor(fd);
    close(fd);
    say(&data, sizeof(data));
    expect("a pool's memory there", told());
    expect("and back", holds(values, 90, COUNT));
    SHOW(cudaMemPoolImportPointer((void **)&elsewhere, pool, &data));
    CHECK(cudaFreeAsync(values, 0));
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaMemPoolDestroy(pool));
    CHECK(cudaMemPoolDestroy(plain));
    (void)cudaGetLastError();
    step();
}

int main()
{
    int ends[2], status;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        return 1;
    pid_t child = fork();
    talk = ends[child == 0];
    close(ends[child != 0]);
    if (child == 0) {
        other();
        return 0;
    }
    CHECK(cudaFree(0));
    by_handle();
    by_file();
    by_pool();
    waitpid(child, &status, 0);
    expect("the other ended well", WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return verdict();
}
