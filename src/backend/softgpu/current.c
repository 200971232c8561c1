/* SPDX-License-Identifier: Apache-2.0 */
/* Each thread's stack of current contexts, and the calls that change it. */
#include "backend/softgpu/softgpu.h"

#include <stdlib.h>

struct stack {
    size_t count, capacity;
    struct soft_context *contexts[]; /* each with a reference */
};

static pthread_key_t key;

static void drop_stack(void *pointer)
{
    struct stack *stack = pointer;
    while (stack->count > 0)
        soft_object_release(stack->contexts[--stack->count]);
    free(stack);
}

static void make_key(void)
{
    if (pthread_key_create(&key, drop_stack) != 0)
        abort(); /* the process has no keys left: nothing would work */
}

static struct stack *own_stack(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_key);
    return pthread_getspecific(key);
}

struct soft_context *soft_current(void)
{
    struct stack *stack = own_stack();
    return stack && stack->count ? stack->contexts[stack->count - 1] : NULL;
}

bool soft_current_push(struct soft_context *context)
{
    struct stack *stack = own_stack();
    size_t count = stack ? stack->count : 0, capacity = stack ? stack->capacity : 0;
    if (count == capacity) {
        capacity = capacity ? 2 * capacity : 4;
        stack = realloc(stack, sizeof(*stack) + capacity * sizeof(stack->contexts[0]));
        if (!stack)
            return false;
        stack->count = count;
        stack->capacity = capacity;
        pthread_setspecific(key, stack);
    }
    stack->contexts[stack->count++] = soft_object_retain(context);
    return true;
}

struct soft_context *soft_current_pop(void)
{
    struct stack *stack = own_stack();
    return stack && stack->count ? stack->contexts[--stack->count] : NULL;
}

SOFT_API CUresult cuCtxGetCurrent(CUcontext *context)
{
    if (!atomic_load(&soft.ready) || atomic_load(&soft.forked))
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!context)
        return CUDA_ERROR_INVALID_VALUE;
    *context = (CUcontext)soft_current();
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuCtxSetCurrent(CUcontext handle)
{
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (handle && handle == (CUcontext)soft_current())
        return CUDA_SUCCESS;
    SOFT_HOLD struct soft_context *context = soft_object_get(handle, SOFT_CONTEXT);
    if (handle && !context)
        return CUDA_ERROR_INVALID_CONTEXT;
    SOFT_HOLD struct soft_context *old = soft_current_pop();
    (void)old;
    return !context || soft_current_push(context) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

SOFT_API CUresult cuCtxPushCurrent_v2(CUcontext handle)
{
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    SOFT_HOLD struct soft_context *context = soft_object_get(handle, SOFT_CONTEXT);
    if (!context)
        return CUDA_ERROR_INVALID_CONTEXT;
    return soft_current_push(context) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
SOFT_ALIAS(cuCtxPushCurrent, cuCtxPushCurrent_v2);

SOFT_API CUresult cuCtxPopCurrent_v2(CUcontext *popped)
{
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    SOFT_HOLD struct soft_context *context = soft_current_pop();
    if (!context)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (popped)
        *popped = (CUcontext)context;
    return CUDA_SUCCESS;
}
SOFT_ALIAS(cuCtxPopCurrent, cuCtxPopCurrent_v2);
