/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tables do not say of CUDA: which calls make memory known, how a kernel's parameters lie,
 * what a launch's attributes are, and that functions are looked up by address. See trace.h.
 */
#include "cuda_api.h"
#include "cuda_types.h"
#include "trace/cuda_memory.h"
#include "trace/names.h"
#include "trace/trace.h"

#include <inttypes.h>
#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

uint64_t wh_cuda_trace(unsigned place, const uint64_t *a);
extern const struct wh_words wh_cuda_words;
extern void *const wh_cuda_traced[];

/* ---- memory ---- */

/* A variable may be asked for again. */
static bool is_known(uint64_t address)
{
    uint32_t number;
    uint64_t offset;
    return wh_trace_find(address, &number, &offset) && offset == 0;
}

static void allocated(const struct wh_cuda_teller *teller, const uint64_t *a)
{
    uint64_t address = a[teller->address], size = a[teller->size];
    if ((teller->address_out && !address) || (teller->size_out && !size))
        return;
    if (teller->address_out)
        address = *(const CUdeviceptr *)(uintptr_t)address;
    if (teller->size_out)
        size = *(const size_t *)(uintptr_t)size;
    if (teller->number == WH_CUDA_cuMemAllocPitch_v2)
        size *= a[3];
    if (address && size && !(teller->size_out && is_known(address)))
        wh_trace_allocated(address, size);
}

/* Before the call: behind it the address may be another thread's. */
static void forget_layouts(void);

static void going(const struct wh_word_call *call, const uint64_t *a)
{
    if (wh_cuda_ends_memory(call->number))
        wh_trace_freed(a[0]);
    switch (call->number) {
    case WH_CUDA_cuCtxDestroy:
    case WH_CUDA_cuCtxDestroy_v2:
    case WH_CUDA_cuGraphDestroy:
    case WH_CUDA_cuGraphDestroyNode:
    case WH_CUDA_cuLinkDestroy:
        wh_trace_name_gone(a[0]);
        break;
    case WH_CUDA_cuModuleUnload:
    case WH_CUDA_cuLibraryUnload:
        forget_layouts();
        break;
    default:
        break;
    }
}

/* ---- kernels' parameters ---- */

/* The layout of one function's parameters, as text. */
struct layout {
    uint64_t function;
    char text[];
};

static struct {
    pthread_mutex_t lock;
    void *tree;
} layouts = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int compare_layouts(const void *a, const void *b)
{
    uint64_t left = ((const struct layout *)a)->function;
    uint64_t right = ((const struct layout *)b)->function;
    return (left > right) - (left < right);
}

/* Where a function is expected there may be a kernel. */
static bool ask_param(uint64_t function, size_t index, size_t *offset, size_t *size)
{
    __typeof__(cuFuncGetParamInfo) *of_function =
        __extension__(__typeof__(of_function)) wh_trace_function("cuFuncGetParamInfo");
    __typeof__(cuKernelGetParamInfo) *of_kernel =
        __extension__(__typeof__(of_kernel)) wh_trace_function("cuKernelGetParamInfo");
    return (of_function &&
            of_function((CUfunction)(uintptr_t)function, index, offset, size) == CUDA_SUCCESS) ||
           (of_kernel &&
            of_kernel((CUkernel)(uintptr_t)function, index, offset, size) == CUDA_SUCCESS);
}

static struct layout *make_layout(uint64_t function)
{
    char *text = NULL;
    size_t length = 0, offset, size;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return NULL;
    fputc('[', out);
    for (size_t i = 0; ask_param(function, i, &offset, &size); i++)
        fprintf(out, "%s%zu@%zu", i ? " " : "", size, offset);
    fputc(']', out);
    if (fclose(out))
        return NULL;
    struct layout *layout = malloc(sizeof(*layout) + length + 1);
    if (layout) {
        layout->function = function;
        memcpy(layout->text, text, length + 1);
    }
    free(text);
    return layout;
}

static const struct layout *find_layout(uint64_t function)
{
    const struct layout key = {.function = function};
    pthread_mutex_lock(&layouts.lock);
    struct layout **found = tfind(&key, &layouts.tree, compare_layouts);
    const struct layout *layout = found ? *found : NULL;
    pthread_mutex_unlock(&layouts.lock);
    return layout;
}

static void learn_layout(uint64_t function)
{
    if (!function || find_layout(function))
        return;
    struct layout *layout = make_layout(function);
    if (!layout)
        return;
    pthread_mutex_lock(&layouts.lock);
    struct layout **kept = tsearch(layout, &layouts.tree, compare_layouts);
    if (!kept || *kept != layout)
        free(layout);
    pthread_mutex_unlock(&layouts.lock);
}

static void make_lock(void)
{
    pthread_mutex_init(&layouts.lock, NULL);
}

/* A child made while another thread held it. */
__attribute__((constructor)) static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, make_lock);
}

/* The addresses of functions may be other functions' soon. Under the tracer's lock, as where a
 * layout is printed. */
static void forget_layouts(void)
{
    pthread_mutex_lock(&layouts.lock);
    tdestroy(layouts.tree, free);
    layouts.tree = NULL;
    pthread_mutex_unlock(&layouts.lock);
}

/* Which of a launch's parameters is the function, and which say where the kernel's are; false: no
 * launch. */
static bool is_launch(uint16_t number, unsigned *function, unsigned *first)
{
    switch (number) {
    case WH_CUDA_cuLaunchKernel:
    case WH_CUDA_cuLaunchCooperativeKernel:
        *function = 0;
        *first = 9;
        return true;
    case WH_CUDA_cuLaunchKernelEx:
        *function = 1;
        *first = 2;
        return true;
    default:
        return false;
    }
}

static void prepare(const struct wh_word_call *call, const uint64_t *a)
{
    unsigned function, first;
    if (is_launch(call->number, &function, &first))
        learn_layout(a[function]);
}

static bool argument(const struct wh_trace_printer *printer, const struct wh_word_call *call,
                     unsigned index, const uint64_t *a)
{
    unsigned function, first;
    if (!is_launch(call->number, &function, &first) || index < first || !a[index])
        return false;
    const struct layout *layout = find_layout(a[function]);
    fputs(layout ? layout->text : "?", printer->out);
    return true;
}

/* ---- launches' attributes ---- */

/* The bytes of a plain value: what lies behind them may be anything. */
static size_t value_size(CUlaunchAttributeID id)
{
    switch (id) {
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_CLUSTER_DIMENSION:
        return 12;
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
        return 2;
    default:
        return 4;
    }
}

static void print_attribute(const struct wh_trace_printer *printer,
                            const CUlaunchAttribute *attribute)
{
    const CUlaunchAttributeValue *value = &attribute->value;
    fprintf(printer->out, "{%" PRIu32 " ", attribute->id);
    switch (attribute->id) {
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT:
        wh_trace_print_handle(printer, WH_CUDA_TYPE_CUevent,
                              (uintptr_t)value->programmaticEvent.event);
        fprintf(printer->out, " %d %d", value->programmaticEvent.flags,
                value->programmaticEvent.triggerAtBlockStart);
        break;
    case CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT:
        wh_trace_print_handle(printer, WH_CUDA_TYPE_CUevent,
                              (uintptr_t)value->launchCompletionEvent.event);
        fprintf(printer->out, " %d", value->launchCompletionEvent.flags);
        break;
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW: /* has an address */
    case CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE:
        fputc('?', printer->out);
        break;
    default:
        wh_trace_print_bytes(printer->out, (const uint8_t *)value, value_size(attribute->id));
    }
    fputc('}', printer->out);
}

static bool special(const struct wh_trace_printer *printer, unsigned structure, const void *bytes)
{
    const CUlaunchConfig *config = bytes;
    if (structure != WH_CUDA_STRUCT_CUlaunchConfig)
        return false;
    fprintf(printer->out, "{%u %u %u %u %u %u %u ", config->gridDimX, config->gridDimY,
            config->gridDimZ, config->blockDimX, config->blockDimY, config->blockDimZ,
            config->sharedMemBytes);
    wh_trace_print_handle(printer, WH_CUDA_TYPE_CUstream, (uintptr_t)config->hStream);
    fputs(" [", printer->out);
    for (unsigned i = 0; config->attrs && i < config->numAttrs; i++) {
        if (i)
            fputc(' ', printer->out);
        print_attribute(printer, &config->attrs[i]);
    }
    fputs("]}", printer->out);
    return true;
}

/* ---- functions by address ---- */

/* What the program is given is to be traced, too. */
static void put_wrapper(uint64_t place)
{
    void **function = (void **)(uintptr_t)place;
    if (function && *function)
        *function = wh_trace_wrapper(*function);
}

static void succeeded(const struct wh_word_call *call, const uint64_t *a)
{
    if (call->number == WH_CUDA_cuGetProcAddress || call->number == WH_CUDA_cuGetProcAddress_v2)
        put_wrapper(a[1]);
    const struct wh_cuda_teller *teller = wh_cuda_teller(call->number);
    if (teller)
        allocated(teller, a);
}

const struct wh_tracer wh_tracer = {
    .words = &wh_cuda_words,
    .wrappers = wh_cuda_traced,
    .special = special,
    .prepare = prepare,
    .argument = argument,
    .going = going,
    .succeeded = succeeded,
};

uint64_t wh_cuda_trace(unsigned place, const uint64_t *a)
{
    return wh_trace_call(place, a);
}
