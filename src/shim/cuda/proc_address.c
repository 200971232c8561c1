/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cuGetProcAddress: a function by its base name, with the version of CUDA that the caller was
 * written for. Works on the generated table of exported functions; needs no server and no cuInit.
 * What the manual leaves open is as the driver 580 does it.
 */
#include "shim/cuda/proc_address.h"

#include "cuda_api.h"
#include "cuda_messages.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_PER_THREAD 7000u /* the CUDA version that brought per-thread default streams */

/* One exported name, taken apart: base, then _v2 and so on, then _ptsz or _ptds. */
struct variant {
    const char *name;
    size_t base; /* length of the base name */
    bool per_thread;
    unsigned since;
    void *address;
};

static struct {
    pthread_once_t once;
    struct variant *variants; /* by base, kind, version */
    size_t n;
} list = {.once = PTHREAD_ONCE_INIT};

static bool ends_with(const char *name, size_t length, const char *suffix)
{
    size_t n = strlen(suffix);
    return length > n && memcmp(name + length - n, suffix, n) == 0;
}

static struct variant take_apart(const struct wh_function *function)
{
    const struct wh_call_desc *call = &wh_cuda_api.calls[function->call];
    struct variant variant = {.name = function->name,
                              .base = strlen(function->name),
                              .since = call->since_major * 1000u + call->since_minor * 10u,
                              .address = function->address};
    if (ends_with(variant.name, variant.base, "_ptsz") ||
        ends_with(variant.name, variant.base, "_ptds")) {
        variant.per_thread = true;
        variant.base -= strlen("_ptsz");
        if (variant.since < FIRST_PER_THREAD)
            variant.since = FIRST_PER_THREAD;
    }
    for (char number = '2'; number <= '9'; number++)
        if (ends_with(variant.name, variant.base, (char[]){'_', 'v', number, '\0'}))
            variant.base -= strlen("_v2");
    return variant;
}

static int compare_base(const char *a, size_t a_size, const char *b, size_t b_size)
{
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
    return order ? order : (a_size > b_size) - (a_size < b_size);
}

static int compare(const void *x, const void *y)
{
    const struct variant *a = x, *b = y;
    int order = compare_base(a->name, a->base, b->name, b->base);
    if (order)
        return order;
    if (a->per_thread != b->per_thread)
        return a->per_thread ? 1 : -1;
    if (a->since != b->since)
        return a->since < b->since ? -1 : 1;
    return strcmp(a->name, b->name);
}

static void build(void)
{
    list.variants = calloc(wh_cuda_nfunctions, sizeof(*list.variants));
    if (!list.variants)
        return;
    for (size_t i = 0; i < wh_cuda_nfunctions; i++)
        if (wh_cuda_functions[i].address)
            list.variants[list.n++] = take_apart(&wh_cuda_functions[i]);
    qsort(list.variants, list.n, sizeof(*list.variants), compare);
}

/* The first variant with this base name; list.n: there is none. */
static size_t find_base(const char *name, size_t length)
{
    size_t first = 0, end = list.n;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        const struct variant *variant = &list.variants[middle];
        if (compare_base(variant->name, variant->base, name, length) < 0)
            first = middle + 1;
        else
            end = middle;
    }
    if (first == list.n ||
        compare_base(list.variants[first].name, list.variants[first].base, name, length) != 0)
        return list.n;
    return first;
}

CUdriverProcAddressQueryResult wh_cuda_find_function(const char *name, unsigned version,
                                                     bool per_thread, void **address)
{
    size_t length = strlen(name);
    *address = NULL;
    pthread_once(&list.once, build);
    size_t first = find_base(name, length), end = first, ordinary;
    if (first == list.n)
        return CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    while (end < list.n &&
           compare_base(list.variants[end].name, list.variants[end].base, name, length) == 0)
        end++;
    for (ordinary = first; ordinary < end && !list.variants[ordinary].per_thread;)
        ordinary++;
    if (per_thread && ordinary < end)
        first = ordinary;
    else
        end = ordinary;
    for (size_t i = first; i < end && list.variants[i].since <= version; i++)
        *address = list.variants[i].address;
    return *address ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT;
}

/* What can be asked. A negative version passes, and is newer than every other. */
static bool is_question(const char *symbol, void **function, int version, cuuint64_t flags)
{
    int newest = wh_cuda_api.major * 1000 + wh_cuda_api.minor * 10;
    cuuint64_t known = (cuuint64_t)CU_GET_PROC_ADDRESS_LEGACY_STREAM |
                       (cuuint64_t)CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
    return symbol && function && version <= newest && !(flags & ~known);
}

static bool asks_per_thread(cuuint64_t flags)
{
    return flags & (cuuint64_t)CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
}

WH_EXPORT CUresult cuGetProcAddress(const char *symbol, void **pfn, int cudaVersion,
                                    cuuint64_t flags)
{
    void *address;
    if (!is_question(symbol, pfn, cudaVersion, flags))
        return CUDA_ERROR_INVALID_VALUE;
    if (wh_cuda_find_function(symbol, (unsigned)cudaVersion, asks_per_thread(flags), &address) !=
        CU_GET_PROC_ADDRESS_SUCCESS)
        return CUDA_ERROR_NOT_FOUND;
    *pfn = address;
    return CUDA_SUCCESS;
}

WH_EXPORT CUresult cuGetProcAddress_v2(const char *symbol, void **pfn, int cudaVersion,
                                       cuuint64_t flags,
                                       CUdriverProcAddressQueryResult *symbolStatus)
{
    if (!is_question(symbol, pfn, cudaVersion, flags))
        return CUDA_ERROR_INVALID_VALUE;
    CUdriverProcAddressQueryResult status =
        wh_cuda_find_function(symbol, (unsigned)cudaVersion, asks_per_thread(flags), pfn);
    if (symbolStatus)
        *symbolStatus = status;
    return CUDA_SUCCESS;
}
