/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of the fake that by-hand code calls, for all but memory. See cuda_fake.h. */
#include "cuda_fake.h"

#include <elf.h>
#include <string.h>

#define TYPE(name) WH_CUDA_TYPE_##name

bool cuda_fake_stream_lives(CUstream stream)
{
    return !stream || cuda_fake_lives(stream, TYPE(CUstream));
}

CUresult cuda_fake_make(void *room, uint16_t type)
{
    void *made = room ? cuda_fake_new(type) : NULL;
    if (!made)
        return room ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_VALUE;
    memcpy(room, &made, sizeof(made));
    return CUDA_SUCCESS;
}

/* ---- contexts ---- */

static CUcontext current, primary;

static CUresult init(unsigned flags)
{
    return flags ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

static CUresult count_devices(int *count)
{
    *count = 1;
    return CUDA_SUCCESS;
}

static CUresult set_context(CUcontext context)
{
    if (context && !cuda_fake_lives(context, TYPE(CUcontext)))
        return CUDA_ERROR_INVALID_CONTEXT;
    current = context;
    return CUDA_SUCCESS;
}

static CUresult pop_context(CUcontext *context)
{
    *context = current;
    return CUDA_SUCCESS;
}

static CUresult create_context(CUcontext *context, unsigned flags, CUdevice device)
{
    (void)flags;
    return device ? CUDA_ERROR_INVALID_DEVICE : cuda_fake_make(context, TYPE(CUcontext));
}

static CUresult destroy_context(CUcontext context)
{
    if (!cuda_fake_lives(context, TYPE(CUcontext)))
        return CUDA_ERROR_INVALID_CONTEXT;
    cuda_fake_kill(context);
    return CUDA_SUCCESS;
}

static CUresult retain_primary(CUcontext *context, CUdevice device)
{
    primary = cuda_fake_known(TYPE(CUcontext));
    *context = primary;
    return device ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS;
}

static CUresult drop_primary(CUdevice device)
{
    return device ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS;
}

static CUresult synchronize(void)
{
    return CUDA_SUCCESS;
}

static CUresult wait_stream(CUstream stream)
{
    return cuda_fake_stream_lives(stream) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult wait_event(CUevent event)
{
    return cuda_fake_lives(event, TYPE(CUevent)) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/* ---- code ---- */

/* Reads as far as an image says that it goes: the driver is told no size. */
static void read_fatbin(const uint8_t *image)
{
    uint16_t header;
    uint64_t rest;
    memcpy(&header, image + 6, sizeof(header));
    memcpy(&rest, image + 8, sizeof(rest));
    cuda_fake_read(image, header + rest);
}

static void read_elf(const uint8_t *image)
{
    Elf64_Ehdr header;
    memcpy(&header, image, sizeof(header));
    for (unsigned i = 0; i < header.e_shnum; i++) {
        Elf64_Shdr section;
        memcpy(&section, image + header.e_shoff + i * sizeof(section), sizeof(section));
        if (section.sh_type != SHT_NOBITS && section.sh_type != SHT_NULL)
            cuda_fake_read(image + section.sh_offset, section.sh_size);
    }
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;
        memcpy(&segment, image + header.e_phoff + i * sizeof(segment), sizeof(segment));
        cuda_fake_read(image + segment.p_offset, segment.p_filesz);
    }
}

static void read_image(const void *image)
{
    if (memcmp(image, "\x50\xed\x55\xba", 4) == 0)
        read_fatbin(image);
    else if (memcmp(image, ELFMAG, SELFMAG) == 0)
        read_elf(image);
    else
        cuda_fake_read(image, strlen(image) + 1);
}

/* Options that hold addresses may only be those of the worker's own logs. */
static void use_options(unsigned n, const CUjit_option *options, void **values)
{
    for (unsigned i = 0; i < n; i++)
        switch (options[i]) {
        case CU_JIT_INFO_LOG_BUFFER:
        case CU_JIT_ERROR_LOG_BUFFER:
            if (i + 1 >= n || options[i + 1] != options[i] + 1)
                cuda_fake_stop("a log without a size", options[i]);
            cuda_fake_write(values[i], (uintptr_t)values[i + 1]);
            break;
        case CU_JIT_GLOBAL_SYMBOL_NAMES:
        case CU_JIT_GLOBAL_SYMBOL_ADDRESSES:
        case CU_JIT_REFERENCED_KERNEL_NAMES:
        case CU_JIT_REFERENCED_VARIABLE_NAMES:
            cuda_fake_stop("an option with an address", options[i]);
        default:
            if (options[i] >= CU_JIT_NUM_OPTIONS)
                cuda_fake_stop("an option that nobody knows", options[i]);
        }
}

static CUresult load_module(CUmodule *module, const void *image, unsigned n, CUjit_option *options,
                            void **values)
{
    read_image(image);
    use_options(n, options, values);
    return cuda_fake_make(module, TYPE(CUmodule));
}

static CUresult load_library(CUlibrary *library, const void *code, CUjit_option *options,
                             void **values, unsigned n, CUlibraryOption *more, void **more_values,
                             unsigned nmore)
{
    read_image(code);
    use_options(n, options, values);
    if (nmore || more || more_values)
        cuda_fake_stop("options of a library", nmore);
    return cuda_fake_make(library, TYPE(CUlibrary));
}

static CUresult get_function(CUfunction *function, CUmodule module, const char *name)
{
    cuda_fake_read(name, strlen(name) + 1);
    return cuda_fake_lives(module, TYPE(CUmodule)) ? cuda_fake_make(function, TYPE(CUfunction))
                                                   : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult get_kernel(CUkernel *kernel, CUlibrary library, const char *name)
{
    cuda_fake_read(name, strlen(name) + 1);
    return cuda_fake_lives(library, TYPE(CUlibrary)) ? cuda_fake_make(kernel, TYPE(CUkernel))
                                                     : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult get_texref(CUtexref *reference, CUmodule module, const char *name)
{
    cuda_fake_read(name, strlen(name) + 1);
    return cuda_fake_lives(module, TYPE(CUmodule)) ? cuda_fake_make(reference, TYPE(CUtexref))
                                                   : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult get_surfref(CUsurfref *reference, CUmodule module, const char *name)
{
    cuda_fake_read(name, strlen(name) + 1);
    return cuda_fake_lives(module, TYPE(CUmodule)) ? cuda_fake_make(reference, TYPE(CUsurfref))
                                                   : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult bind_rows(CUtexref reference, const CUDA_ARRAY_DESCRIPTOR *rows,
                          CUdeviceptr address, size_t pitch)
{
    cuda_fake_read(rows, sizeof(*rows));
    (void)cuda_fake_reaches(address, rows->Height * pitch, false);
    return cuda_fake_lives(reference, TYPE(CUtexref)) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult set_border(CUtexref reference, float *color)
{
    cuda_fake_read(color, 4 * sizeof(*color));
    return cuda_fake_lives(reference, TYPE(CUtexref)) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult get_module(CUmodule *module, CUlibrary library)
{
    return cuda_fake_lives(library, TYPE(CUlibrary)) ? cuda_fake_make(module, TYPE(CUmodule))
                                                     : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult kernel_function(CUfunction *function, CUkernel kernel)
{
    return cuda_fake_lives(kernel, TYPE(CUkernel)) ? cuda_fake_make(function, TYPE(CUfunction))
                                                   : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult give_variable(CUdeviceptr *address, size_t *size, bool good)
{
    *address = good ? cuda_fake_allocate(64) : 0;
    *size = 64;
    return *address ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

static CUresult module_variable(CUdeviceptr *address, size_t *size, CUmodule module,
                                const char *name)
{
    cuda_fake_read(name, strlen(name) + 1);
    return give_variable(address, size, cuda_fake_lives(module, TYPE(CUmodule)));
}

static CUresult library_variable(CUdeviceptr *address, size_t *size, CUlibrary library,
                                 const char *name)
{
    cuda_fake_read(name, strlen(name) + 1);
    return give_variable(address, size, cuda_fake_lives(library, TYPE(CUlibrary)));
}

static CUresult list_functions(CUfunction *list, unsigned n, CUmodule module)
{
    if (!cuda_fake_lives(module, TYPE(CUmodule)))
        return CUDA_ERROR_INVALID_HANDLE;
    for (unsigned i = 0; i < n && i < 2; i++)
        list[i] = cuda_fake_known(TYPE(CUfunction));
    return CUDA_SUCCESS;
}

static CUresult list_kernels(CUkernel *list, unsigned n, CUlibrary library)
{
    if (!cuda_fake_lives(library, TYPE(CUlibrary)))
        return CUDA_ERROR_INVALID_HANDLE;
    for (unsigned i = 0; i < n && i < 2; i++)
        list[i] = cuda_fake_known(TYPE(CUkernel));
    return CUDA_SUCCESS;
}

static CUresult function_name(const char **name, CUfunction function)
{
    *name = "a_function";
    return cuda_fake_lives(function, TYPE(CUfunction)) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult kernel_name(const char **name, CUkernel kernel)
{
    *name = "a_kernel";
    return cuda_fake_lives(kernel, TYPE(CUkernel)) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult tell_parameter(size_t i, size_t *offset, size_t *size)
{
    *offset = 8 * i;
    *size = 8;
    return i < 3 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult function_parameter(CUfunction function, size_t i, size_t *offset, size_t *size)
{
    return cuda_fake_lives(function, TYPE(CUfunction)) ? tell_parameter(i, offset, size)
                                                       : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult kernel_parameter(CUkernel kernel, size_t i, size_t *offset, size_t *size)
{
    return cuda_fake_lives(kernel, TYPE(CUkernel)) ? tell_parameter(i, offset, size)
                                                   : CUDA_ERROR_INVALID_HANDLE;
}

/* ---- linkers ---- */

/* Where a linker may write as long as it lives. One at a time is enough for that. */
static struct {
    unsigned n;
    CUjit_option *options;
    void **values;
} logs;

static CUresult create_linker(unsigned n, CUjit_option *options, void **values, CUlinkState *state)
{
    use_options(n, options, values);
    logs.n = n;
    logs.options = options;
    logs.values = values;
    return cuda_fake_make(state, TYPE(CUlinkState));
}

static CUresult link_data(CUlinkState state, CUjitInputType type, void *data, size_t size,
                          const char *name, unsigned n, CUjit_option *options, void **values)
{
    (void)type;
    if (!cuda_fake_lives(state, TYPE(CUlinkState)))
        return CUDA_ERROR_INVALID_HANDLE;
    cuda_fake_read(data, size);
    cuda_fake_read(name, strlen(name) + 1);
    use_options(n, options, values);
    return CUDA_SUCCESS;
}

static CUresult complete_linker(CUlinkState state, void **image, size_t *size)
{
    static uint8_t linked[64];
    if (!cuda_fake_lives(state, TYPE(CUlinkState)))
        return CUDA_ERROR_INVALID_HANDLE;
    use_options(logs.n, logs.options, logs.values);
    *image = linked;
    *size = sizeof(linked);
    return CUDA_SUCCESS;
}

static CUresult destroy_linker(CUlinkState state)
{
    cuda_fake_kill(state);
    logs.n = 0;
    return CUDA_SUCCESS;
}

/* ---- launches ---- */

static CUresult use_extra(void **extra)
{
    if (!extra)
        return CUDA_SUCCESS;
    if (extra[0] != CU_LAUNCH_PARAM_BUFFER_POINTER || extra[2] != CU_LAUNCH_PARAM_BUFFER_SIZE ||
        extra[4] != CU_LAUNCH_PARAM_END)
        cuda_fake_stop("parameters in another way", (uintptr_t)extra[0]);
    cuda_fake_read(extra[1], *(const size_t *)extra[3]);
    return CUDA_SUCCESS;
}

static CUresult launch(CUfunction function, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                       unsigned by, unsigned bz, unsigned shared, CUstream stream, void **params,
                       void **extra)
{
    (void)(gx + gy + gz + bx + by + bz + shared);
    if (params)
        cuda_fake_stop("parameters one by one", (uintptr_t)params);
    if (!cuda_fake_lives(function, TYPE(CUfunction)) || !cuda_fake_stream_lives(stream))
        return CUDA_ERROR_INVALID_HANDLE;
    return use_extra(extra);
}

/* A question about occupancy touches no memory; a launch may. */
static void use_attributes(const CUlaunchConfig *config, bool launches)
{
    for (unsigned i = 0; i < config->numAttrs; i++) {
        const CUlaunchAttribute *a = &config->attrs[i];
        cuda_fake_read(a, sizeof(*a));
        if (a->id == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT)
            (void)cuda_fake_lives(a->value.programmaticEvent.event, TYPE(CUevent));
        else if (a->id == CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT)
            (void)cuda_fake_lives(a->value.launchCompletionEvent.event, TYPE(CUevent));
        else if (a->id == CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE)
            cuda_fake_stop("an attribute that asks for a handle", a->id);
        else if (launches && a->id == CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW)
            (void)cuda_fake_reaches((uintptr_t)a->value.accessPolicyWindow.base_ptr,
                                    a->value.accessPolicyWindow.num_bytes, false);
    }
}

static CUresult launch_with(const CUlaunchConfig *config, CUfunction function, void **params,
                            void **extra)
{
    use_attributes(config, true);
    return launch(function, 1, 1, 1, 1, 1, 1, 0, config->hStream, params, extra);
}

/* Callbacks run at once: there is one thread, and the stream is idle. */
static CUresult host_function(CUstream stream, CUhostFn function, void *data)
{
    if (!cuda_fake_stream_lives(stream))
        return CUDA_ERROR_INVALID_HANDLE;
    function(data);
    return CUDA_SUCCESS;
}

static CUresult stream_callback(CUstream stream, CUstreamCallback callback, void *data,
                                unsigned flags)
{
    if (!cuda_fake_stream_lives(stream) || flags)
        return CUDA_ERROR_INVALID_HANDLE;
    callback(stream, CUDA_SUCCESS, data);
    return CUDA_SUCCESS;
}

/* ---- occupancy ---- */

static CUresult count_blocks(int *blocks, CUfunction function, int size, size_t shared,
                             unsigned flags)
{
    (void)size;
    (void)shared;
    (void)flags;
    *blocks = 1;
    return cuda_fake_lives(function, TYPE(CUfunction)) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult free_shared(size_t *size, CUfunction function, int blocks, int block_size)
{
    *size = 1;
    return count_blocks(&blocks, function, block_size, 0, 0);
}

static CUresult block_size(int *grid, int *block, CUfunction function, CUoccupancyB2DSize shared_of,
                           size_t shared, int limit, unsigned flags)
{
    if (shared_of)
        cuda_fake_stop("a function of the client's", 0);
    *block = 1;
    return count_blocks(grid, function, limit, shared, flags);
}

static CUresult clusters(int *n, CUfunction function, const CUlaunchConfig *config)
{
    cuda_fake_read(config, sizeof(*config));
    use_attributes(config, false);
    if (config->hStream)
        (void)cuda_fake_stream_lives(config->hStream);
    return count_blocks(n, function, 1, 0, 0);
}

/* Fills what is in this file. */
static void fill(struct wh_cuda_functions_table *f)
{
    f->cuInit = init;
    f->cuDeviceGetCount = count_devices;
    f->cuCtxSetCurrent = set_context;
    f->cuCtxPushCurrent_v2 = set_context;
    f->cuCtxPopCurrent_v2 = pop_context;
    f->cuCtxCreate_v2 = create_context;
    f->cuCtxDestroy_v2 = destroy_context;
    f->cuCtxSynchronize = synchronize;
    f->cuDevicePrimaryCtxRetain = retain_primary;
    f->cuDevicePrimaryCtxRelease_v2 = drop_primary;
    f->cuDevicePrimaryCtxReset_v2 = drop_primary;
    f->cuStreamQuery = wait_stream;
    f->cuStreamSynchronize = wait_stream;
    f->cuEventQuery = wait_event;
    f->cuEventSynchronize = wait_event;
    f->cuModuleLoadDataEx = load_module;
    f->cuLibraryLoadData = load_library;
    f->cuModuleGetFunction = get_function;
    f->cuLibraryGetKernel = get_kernel;
    f->cuLibraryGetModule = get_module;
    f->cuModuleGetTexRef = get_texref;
    f->cuModuleGetSurfRef = get_surfref;
    f->cuTexRefSetAddress2D_v3 = bind_rows;
    f->cuTexRefSetBorderColor = set_border;
    f->cuKernelGetFunction = kernel_function;
    f->cuModuleGetGlobal_v2 = module_variable;
    f->cuLibraryGetGlobal = library_variable;
    f->cuLibraryGetManaged = library_variable;
    f->cuModuleEnumerateFunctions = list_functions;
    f->cuLibraryEnumerateKernels = list_kernels;
    f->cuFuncGetName = function_name;
    f->cuKernelGetName = kernel_name;
    f->cuFuncGetParamInfo = function_parameter;
    f->cuKernelGetParamInfo = kernel_parameter;
    f->cuLinkCreate_v2 = create_linker;
    f->cuLinkAddData_v2 = link_data;
    f->cuLinkComplete = complete_linker;
    f->cuLinkDestroy = destroy_linker;
    f->cuLaunchKernel = launch;
    f->cuLaunchKernelEx = launch_with;
    f->cuLaunchHostFunc = host_function;
    f->cuStreamAddCallback = stream_callback;
    f->cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags = count_blocks;
    f->cuOccupancyAvailableDynamicSMemPerBlock = free_shared;
    f->cuOccupancyMaxPotentialBlockSizeWithFlags = block_size;
    f->cuOccupancyMaxActiveClusters = clusters;
    f->cuOccupancyMaxPotentialClusterSize = clusters;
}

void cuda_fake_fill(struct wh_cuda_functions_table *f)
{
    *f = (struct wh_cuda_functions_table){0};
    fill(f);
    cuda_fake_fill_memory(f);
    cuda_fake_fill_graphs(f);
}
