/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual memory management: addresses are reserved as mappings that nobody may touch, memory is a
 * part of a file, and mapping is mmap. Memory that may be handed to another process is a file of
 * its own, which the last who has it frees; other memory is a part of the device's.
 */
#include "backend/softgpu/virtual.h"

#include "backend/softgpu/memory.h"
#include "backend/softgpu/queue.h"
#include "base/util.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where reservations are made: above the devices' own memory, below what the system places (from
 * above in a program, from a third of all addresses upwards in a worker), and where neither
 * sanitizers nor Wormhole's clients and workers have anything of their own. */
#ifdef __SANITIZE_THREAD__
#define FIRST_ADDRESS UINT64_C(0x566000000000)
#define LAST_ADDRESS  UINT64_C(0x568000000000)
#else
#define FIRST_ADDRESS UINT64_C(0x280000000000)
#define LAST_ADDRESS  UINT64_C(0x2a0000000000)
#endif
#define MOST_TRIES 16
#define PAGE       4096u

struct soft_allocation {
    struct soft_object object;
    struct soft_device *device;
    uint64_t size;
    uint64_t home;    /* where it lies in the device's memory; 0: it has a file of its own */
    int file;         /* or -1 */
    bool imported;    /* another process's: this device's memory does not hold it */
    unsigned handles; /* of the program's; guarded by `lock` */
    CUmemAllocationProp prop;
};

/* Behind the bytes of a file that is handed on. */
struct label {
    char magic[16];
    uint64_t size;
    CUmemAllocationProp prop;
};

static const char magic[16] = "softgpu memory 1";

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static struct soft_extent *reserved, *vacant;
static bool laid_out;

/* ---- addresses ---- */

static bool is_power(uint64_t n)
{
    return (n & (n - 1)) == 0;
}

/* Nobody can touch it until memory is mapped there. False: something is there already. */
static bool reserve_at(uint64_t address, uint64_t size)
{
    void *wanted = (void *)(uintptr_t)address;
    void *got = mmap(wanted, size, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (got != wanted && got != MAP_FAILED)
        (void)munmap(got, size);
    return got == wanted;
}

/* A place of our own choice; 0: none. Lock held. */
static uint64_t reserve_anywhere(uint64_t size, uint64_t alignment)
{
    if (!laid_out)
        laid_out = soft_space_give(&vacant, FIRST_ADDRESS, LAST_ADDRESS - FIRST_ADDRESS);
    for (int i = 0; i < MOST_TRIES; i++) {
        uint64_t address = soft_space_take(&vacant, size, alignment);
        if (!address || reserve_at(address, size))
            return address; /* what is taken in vain is in somebody's use: it stays taken */
    }
    return 0;
}

uint64_t soft_address_take(uint64_t size, uint64_t alignment)
{
    pthread_mutex_lock(&lock);
    uint64_t address = reserve_anywhere(size, alignment);
    pthread_mutex_unlock(&lock);
    return address;
}

void soft_address_give(uint64_t address, uint64_t size)
{
    pthread_mutex_lock(&lock);
    (void)munmap((void *)(uintptr_t)address, size);
    (void)soft_space_give(&vacant, address, size);
    pthread_mutex_unlock(&lock);
}

static bool is_vacant(uint64_t address, uint64_t size)
{
    struct soft_extent *last = soft_extent_below(reserved, address + size - 1);
    return !last || last->start + last->size <= address;
}

/* As the program wishes, where that can be; outside of our own places, so that those stay ours. */
static uint64_t reserve_wish(uint64_t wish, uint64_t size, uint64_t alignment)
{
    bool ours = wish < LAST_ADDRESS && (wish >= FIRST_ADDRESS || FIRST_ADDRESS - wish < size);
    if (!wish || wish % alignment || wish > UINT64_MAX - size || ours || !is_vacant(wish, size))
        return 0;
    return reserve_at(wish, size) ? wish : 0;
}

SOFT_API CUresult cuMemAddressReserve(CUdeviceptr *pointer, size_t size, size_t alignment,
                                      CUdeviceptr wish, unsigned long long flags)
{
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!pointer || size == 0 || size % SOFT_GRANULE || !is_power(alignment) || flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (alignment < SOFT_GRANULE)
        alignment = SOFT_GRANULE;
    struct soft_extent *extent = malloc(sizeof(*extent));
    if (!extent || size > LAST_ADDRESS || alignment > LAST_ADDRESS) {
        free(extent);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    pthread_mutex_lock(&lock);
    uint64_t address = reserve_wish(wish, size, alignment);
    if (!address)
        address = reserve_anywhere(size, alignment);
    if (address) {
        *extent = (struct soft_extent){.start = address, .size = size};
        soft_extent_insert(&reserved, extent);
    }
    pthread_mutex_unlock(&lock);
    if (!address) {
        free(extent);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *pointer = address;
    return CUDA_SUCCESS;
}

/* Whether anything is mapped in there. */
static bool is_mapped(uint64_t start, uint64_t size)
{
    struct soft_range range;
    for (uint64_t at = start; at - start < size; at += SOFT_GRANULE)
        if (soft_range_find(at, &range))
            return true;
    return false;
}

SOFT_API CUresult cuMemAddressFree(CUdeviceptr pointer, size_t size)
{
    CUresult result = soft_ready();
    if (result != CUDA_SUCCESS)
        return result;
    pthread_mutex_lock(&lock);
    struct soft_extent *extent = soft_extent_at(reserved, pointer);
    if (extent && extent->start == pointer && extent->size == size && !is_mapped(pointer, size)) {
        soft_extent_remove(&reserved, extent);
        free(extent);
        (void)munmap((void *)(uintptr_t)pointer, size);
        if (pointer >= FIRST_ADDRESS && pointer < LAST_ADDRESS)
            (void)soft_space_give(&vacant, pointer, size);
    } else {
        result = CUDA_ERROR_INVALID_VALUE;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

/* ---- memory ---- */

static CUresult check_prop(const CUmemAllocationProp *prop, struct soft_device **device)
{
    if (!prop || prop->type != CU_MEM_ALLOCATION_TYPE_PINNED)
        return CUDA_ERROR_INVALID_VALUE;
    if (prop->location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
        prop->requestedHandleTypes & ~(unsigned)CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR ||
        prop->allocFlags.gpuDirectRDMACapable)
        return CUDA_ERROR_NOT_SUPPORTED;
    *device = soft_device_get(prop->location.id);
    return *device ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

SOFT_API CUresult cuMemGetAllocationGranularity(size_t *granularity,
                                                const CUmemAllocationProp *prop,
                                                CUmemAllocationGranularity_flags option)
{
    struct soft_device *device;
    CUresult result = soft_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!granularity || option > CU_MEM_ALLOC_GRANULARITY_RECOMMENDED)
        return CUDA_ERROR_INVALID_VALUE;
    result = check_prop(prop, &device);
    if (result == CUDA_SUCCESS)
        *granularity = SOFT_GRANULE;
    return result;
}

/* Memory in a file of its own counts as the device's. */
static bool charge(struct soft_device *device, uint64_t size)
{
    pthread_mutex_lock(&device->lock);
    bool room = size <= device->total - device->used;
    if (room) {
        device->used += size;
        soft_meter_memory(device);
    }
    pthread_mutex_unlock(&device->lock);
    return room;
}

static void discharge(struct soft_device *device, uint64_t size)
{
    pthread_mutex_lock(&device->lock);
    device->used -= size;
    soft_meter_memory(device);
    pthread_mutex_unlock(&device->lock);
}

static void destroy_allocation(void *object)
{
    struct soft_allocation *allocation = object;
    struct soft_device *device = allocation->device;
    if (allocation->home)
        soft_memory_give(device, allocation->home, allocation->size);
    if (allocation->file < 0)
        return;
    close(allocation->file);
    if (!allocation->imported)
        discharge(device, allocation->size);
}

static struct soft_allocation *new_allocation(struct soft_device *device, uint64_t size,
                                              const CUmemAllocationProp *prop)
{
    struct soft_allocation *allocation =
        soft_object_new(SOFT_ALLOCATION, sizeof(*allocation), NULL, destroy_allocation);
    if (!allocation)
        return NULL;
    allocation->device = device;
    allocation->size = size;
    allocation->prop = *prop;
    allocation->prop.win32HandleMetaData = NULL;
    allocation->handles = 1;
    allocation->file = -1;
    return allocation;
}

/* A file whose size nobody can change, with its label behind the memory. -1: no more files. */
static int make_file(const struct soft_allocation *allocation)
{
    struct label label = {.size = allocation->size, .prop = allocation->prop};
    int fd = memfd_create("wormhole-softgpu-allocation", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    memcpy(label.magic, magic, sizeof(magic));
    if (fd >= 0 && ftruncate(fd, (off_t)(allocation->size + PAGE)) == 0 &&
        pwrite(fd, &label, sizeof(label), (off_t)allocation->size) == (ssize_t)sizeof(label) &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Finds the bytes. False: there are none left. */
static bool furnish(struct soft_allocation *allocation)
{
    struct soft_device *device = allocation->device;
    if (!allocation->prop.requestedHandleTypes) {
        allocation->home = soft_memory_take(device, allocation->size, SOFT_GRANULE);
        return allocation->home != 0;
    }
    if (!charge(device, allocation->size)) {
        soft_pool_trim_all(device);
        if (!charge(device, allocation->size))
            return false;
    }
    allocation->file = make_file(allocation);
    if (allocation->file >= 0)
        return true;
    discharge(device, allocation->size);
    return false;
}

SOFT_API CUresult cuMemCreate(CUmemGenericAllocationHandle *handle, size_t size,
                              const CUmemAllocationProp *prop, unsigned long long flags)
{
    struct soft_device *device;
    CUresult result = soft_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!handle || size == 0 || size % SOFT_GRANULE || flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    result = check_prop(prop, &device);
    if (result != CUDA_SUCCESS)
        return result;
    if (size > device->total)
        return CUDA_ERROR_OUT_OF_MEMORY;
    struct soft_allocation *allocation = new_allocation(device, size, prop);
    if (!allocation || !furnish(allocation)) {
        soft_object_release(allocation);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    soft_object_list(allocation);
    *handle = (uintptr_t)allocation;
    return CUDA_SUCCESS;
}

/* The allocation with this handle, with a reference for the caller. */
static CUresult find_allocation(CUmemGenericAllocationHandle handle,
                                struct soft_allocation **allocation)
{
    *allocation = NULL;
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    *allocation = soft_object_get((const void *)(uintptr_t)handle, SOFT_ALLOCATION);
    return *allocation ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

SOFT_API CUresult cuMemRelease(CUmemGenericAllocationHandle handle)
{
    SOFT_HOLD struct soft_allocation *allocation;
    CUresult result = find_allocation(handle, &allocation);
    if (result != CUDA_SUCCESS)
        return result;
    pthread_mutex_lock(&lock);
    if (allocation->handles == 0)
        result = CUDA_ERROR_INVALID_VALUE;
    else if (--allocation->handles == 0)
        (void)soft_object_unlist(allocation);
    pthread_mutex_unlock(&lock);
    return result;
}

SOFT_API CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *handle, void *address)
{
    struct soft_range range;
    CUresult result = soft_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock); /* what is mapped stays so */
    if (soft_range_find((uintptr_t)address, &range) && range.kind == SOFT_MEMORY_MAPPED) {
        if (range.allocation->handles++ == 0)
            soft_object_list(soft_object_retain(range.allocation));
        *handle = (uintptr_t)range.allocation;
    } else {
        result = CUDA_ERROR_INVALID_VALUE;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

SOFT_API CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp *prop,
                                                         CUmemGenericAllocationHandle handle)
{
    SOFT_HOLD struct soft_allocation *allocation;
    CUresult result = find_allocation(handle, &allocation);
    if (result == CUDA_SUCCESS && !prop)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *prop = allocation->prop;
    return result;
}

/* ---- mapping ---- */

/* Puts the memory there, or (NULL) nothing that could be touched. */
static bool place(uint64_t address, uint64_t size, const struct soft_allocation *allocation)
{
    void *wanted = (void *)(uintptr_t)address;
    if (!allocation)
        return mmap(wanted, size, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == wanted;
    const struct soft_device *device = allocation->device;
    int fd = allocation->file >= 0 ? allocation->file : device->memory;
    uint64_t offset = allocation->file >= 0 ? 0 : allocation->home - device->base;
    return mmap(wanted, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd,
                (off_t)offset) == wanted;
}

/* Lock held. */
static CUresult map_at(uint64_t address, uint64_t size, struct soft_allocation *allocation)
{
    struct soft_extent *extent = soft_extent_at(reserved, address);
    const struct soft_range range = {
        .extent = {.start = address, .size = size},
        .size = size,
        .kind = SOFT_MEMORY_MAPPED,
        .device = allocation->device,
        .allocation = allocation,
    };
    if (!extent || size > extent->size - (address - extent->start) || is_mapped(address, size))
        return CUDA_ERROR_INVALID_VALUE;
    if (!place(address, size, allocation))
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = soft_range_add(&range);
    if (result != CUDA_SUCCESS)
        (void)place(address, size, NULL);
    else
        (void)soft_object_retain(allocation);
    return result;
}

SOFT_API CUresult cuMemMap(CUdeviceptr pointer, size_t size, size_t offset,
                           CUmemGenericAllocationHandle handle, unsigned long long flags)
{
    SOFT_HOLD struct soft_allocation *allocation;
    CUresult result = find_allocation(handle, &allocation);
    if (result != CUDA_SUCCESS)
        return result;
    if (pointer % SOFT_GRANULE || size == 0 || size % SOFT_GRANULE || offset != 0 || flags != 0 ||
        size > allocation->size)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    result = map_at(pointer, size, allocation);
    pthread_mutex_unlock(&lock);
    return result;
}

/* Lock held. */
static CUresult unmap_all(uint64_t start, uint64_t size)
{
    struct soft_range range;
    if (!soft_ranges_fill(start, size)) /* another thread was faster */
        return CUDA_ERROR_INVALID_VALUE;
    for (uint64_t at = start; at - start < size; at += range.extent.size) {
        if (!soft_range_find(at, &range) || !soft_range_remove(&range))
            return CUDA_ERROR_INVALID_VALUE;
        (void)place(at, range.extent.size, NULL);
        soft_object_release(range.allocation);
    }
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuMemUnmap(CUdeviceptr pointer, size_t size)
{
    CUresult result = soft_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!soft_ranges_fill(pointer, size))
        return CUDA_ERROR_INVALID_VALUE;
    /* A running kernel keeps what it has reached: none begins with it from here on, and the end of
     * those is waited for. */
    soft_ranges_set_access(pointer, size, ~0u, false);
    soft_context_wait(NULL);
    pthread_mutex_lock(&lock);
    result = unmap_all(pointer, size);
    pthread_mutex_unlock(&lock);
    return result;
}

/* ---- access ---- */

static CUresult check_access(const CUmemAccessDesc *desc)
{
    if (desc->location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
        desc->flags == CU_MEM_ACCESS_FLAGS_PROT_READ)
        return CUDA_ERROR_NOT_SUPPORTED; /* a kernel's stores are not told from its loads */
    if (desc->flags != CU_MEM_ACCESS_FLAGS_PROT_NONE &&
        desc->flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE)
        return CUDA_ERROR_INVALID_VALUE;
    return soft_device_get(desc->location.id) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

SOFT_API CUresult cuMemSetAccess(CUdeviceptr pointer, size_t size, const CUmemAccessDesc *descs,
                                 size_t count)
{
    CUresult result = soft_ready();
    if (result == CUDA_SUCCESS && (!descs || count == 0))
        result = CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count && result == CUDA_SUCCESS; i++)
        result = check_access(&descs[i]);
    if (result != CUDA_SUCCESS)
        return result;
    pthread_mutex_lock(&lock);
    if (!soft_ranges_fill(pointer, size))
        result = CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count && result == CUDA_SUCCESS; i++)
        soft_ranges_set_access(pointer, size, 1u << descs[i].location.id,
                               descs[i].flags != CU_MEM_ACCESS_FLAGS_PROT_NONE);
    pthread_mutex_unlock(&lock);
    return result;
}

SOFT_API CUresult cuMemGetAccess(unsigned long long *flags, const CUmemLocation *location,
                                 CUdeviceptr pointer)
{
    struct soft_range range;
    CUresult result = soft_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!flags || !location || location->type != CU_MEM_LOCATION_TYPE_DEVICE ||
        !soft_range_find(pointer, &range) || range.kind != SOFT_MEMORY_MAPPED)
        return CUDA_ERROR_INVALID_VALUE;
    if (!soft_device_get(location->id))
        return CUDA_ERROR_INVALID_DEVICE;
    *flags = range.access & (1u << location->id) ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE
                                                 : CU_MEM_ACCESS_FLAGS_PROT_NONE;
    return CUDA_SUCCESS;
}

/* ---- between processes ---- */

SOFT_API CUresult cuMemExportToShareableHandle(void *shareable, CUmemGenericAllocationHandle handle,
                                               CUmemAllocationHandleType type,
                                               unsigned long long flags)
{
    SOFT_HOLD struct soft_allocation *allocation;
    CUresult result = find_allocation(handle, &allocation);
    if (result != CUDA_SUCCESS)
        return result;
    if (!shareable || flags != 0 || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR ||
        allocation->file < 0)
        return CUDA_ERROR_INVALID_VALUE;
    int fd = fcntl(allocation->file, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memcpy(shareable, &fd, sizeof(fd));
    return CUDA_SUCCESS;
}

/* Whether a file is one of ours: its size is sealed, and its label says what the size says. */
static bool read_label(int fd, struct label *label)
{
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & F_SEAL_SHRINK) && fstat(fd, &status) == 0 &&
           status.st_size > (off_t)PAGE &&
           pread(fd, label, sizeof(*label), status.st_size - (off_t)PAGE) ==
               (ssize_t)sizeof(*label) &&
           memcmp(label->magic, magic, sizeof(magic)) == 0 &&
           label->size == (uint64_t)status.st_size - PAGE && label->size % SOFT_GRANULE == 0;
}

SOFT_API CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *handle,
                                                 void *descriptor, CUmemAllocationHandleType type)
{
    struct label label;
    struct soft_device *device;
    int fd = (int)(intptr_t)descriptor;
    CUresult result = soft_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!handle || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR || !read_label(fd, &label) ||
        check_prop(&label.prop, &device) != CUDA_SUCCESS)
        return CUDA_ERROR_INVALID_VALUE;
    struct soft_allocation *allocation = new_allocation(device, label.size, &label.prop);
    if (!allocation || (allocation->file = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0) {
        soft_object_release(allocation);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    allocation->imported = true;
    soft_object_list(allocation);
    *handle = (uintptr_t)allocation;
    return CUDA_SUCCESS;
}
