/* SPDX-License-Identifier: Apache-2.0 */
/* How a profiler is told of contexts, streams and kernels: by numbers, and by what never changes.
 */
#include "shim/cuda/code.h"
#include "shim/cuda/observe.h"

#include <stdlib.h>

#define NULL_STREAM  7u  /* as profilers show it natively */
#define FIRST_STREAM 13u /* of those that were created */
#define NAME_BUCKETS 1024u

uint32_t wh_cuda_context_number(CUcontext context)
{
    const struct wh_cuda_context *state = context ? wh_cuda_context(context) : NULL;
    return state ? state->number : WH_OBSERVE_NO_ID;
}

CUstream wh_cuda_stream_meant(CUstream stream)
{
    struct wh_session *session = wh_cuda_session();
    uintptr_t handle = (uintptr_t)stream;
    if (session && handle < WH_SPECIAL_HANDLES)
        handle = wh_cuda_shim.special(session, WH_CUDA_TYPE_CUstream, handle);
    return (CUstream)handle;
}

uint32_t wh_cuda_stream_number(CUstream stream)
{
    const struct wh_object *object =
        wh_cuda_object(wh_cuda_stream_meant(stream), WH_CUDA_TYPE_CUstream);
    return object ? FIRST_STREAM + object->id - 1 : NULL_STREAM;
}

/* ---- kernels ---- */

struct name {
    struct name *next;
    char text[];
};

/* Names outlive their modules: records hold them. */
static struct {
    pthread_mutex_t lock;
    struct name *bucket[NAME_BUCKETS];
} names = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* FNV-1a. */
static unsigned hash(const char *text)
{
    uint32_t value = 2166136261u;
    for (; *text; text++)
        value = (value ^ (uint8_t)*text) * 16777619u;
    return value % NAME_BUCKETS;
}

static const char *keep_name(const char *text)
{
    struct name **bucket = &names.bucket[hash(text)], *name;
    size_t size = strlen(text) + 1;
    pthread_mutex_lock(&names.lock);
    for (name = *bucket; name && strcmp(name->text, text) != 0; name = name->next)
        ;
    if (!name && (name = malloc(sizeof(*name) + size))) {
        memcpy(name->text, text, size);
        name->next = *bucket;
        *bucket = name;
    }
    pthread_mutex_unlock(&names.lock);
    return name ? name->text : NULL;
}

static uint32_t ask(struct wh_object *code, CUfunction_attribute attribute)
{
    int value = 0;
    CUresult result = CUDA_ERROR_INVALID_CONTEXT;
    const struct wh_cuda_context *context = wh_cuda_context(wh_cuda_current());
    if (code->type == WH_CUDA_TYPE_CUfunction)
        result = cuFuncGetAttribute(&value, attribute, (CUfunction)code);
    else if (context)
        result = cuKernelGetAttribute(&value, attribute, (CUkernel)code, context->device);
    return result == CUDA_SUCCESS && value > 0 ? (uint32_t)value : 0;
}

static struct wh_cuda_facts *make_facts(struct wh_object *code)
{
    const char *name = NULL;
    struct wh_cuda_facts *facts = calloc(1, sizeof(*facts));
    CUresult result = code->type == WH_CUDA_TYPE_CUfunction
                          ? cuFuncGetName(&name, (CUfunction)code)
                          : cuKernelGetName(&name, (CUkernel)code);
    if (!facts)
        return NULL;
    facts->name = keep_name(result == CUDA_SUCCESS ? name : "(unnamed)");
    facts->registers = ask(code, CU_FUNC_ATTRIBUTE_NUM_REGS);
    facts->shared = ask(code, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES);
    facts->local = ask(code, CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES);
    return facts;
}

const struct wh_cuda_facts *wh_cuda_facts_of(struct wh_object *object)
{
    struct wh_cuda_facts *none = NULL, *facts;
    struct wh_cuda_code *code = wh_cuda_code_of(object);
    /* Acquire pairs with the exchange below: the facts are complete. */
    facts = code ? atomic_load_explicit(&code->facts, memory_order_acquire) : NULL;
    if (facts || !code || !(facts = make_facts(object)))
        return facts;
    if (!atomic_compare_exchange_strong(&code->facts, &none, facts)) {
        free(facts); /* another thread was first */
        facts = none;
    }
    return facts;
}
