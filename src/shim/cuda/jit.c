/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of the driver's compiler. An option's value is a number, or an address in the program: of
 * a buffer for a log, or of what the program wants to be told. Addresses never cross.
 */
#include "shim/cuda/jit.h"

#include <string.h>

static bool takes_address(CUjit_option option)
{
    return option == CU_JIT_GLOBAL_SYMBOL_NAMES || option == CU_JIT_GLOBAL_SYMBOL_ADDRESSES ||
           option == CU_JIT_GLOBAL_SYMBOL_COUNT || option == CU_JIT_REFERENCED_KERNEL_NAMES ||
           option == CU_JIT_REFERENCED_KERNEL_COUNT || option == CU_JIT_REFERENCED_VARIABLE_NAMES ||
           option == CU_JIT_REFERENCED_VARIABLE_COUNT;
}

/* Whether an option is only about answers. */
static bool is_for_answers(CUjit_option option)
{
    return option == CU_JIT_INFO_LOG_BUFFER || option == CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES ||
           option == CU_JIT_ERROR_LOG_BUFFER || option == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES ||
           option == CU_JIT_WALL_TIME;
}

static void take_place(struct wh_cuda_jit_places *places, CUjit_option option, void **value)
{
    bool error = option == CU_JIT_ERROR_LOG_BUFFER || option == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES;
    switch (option) {
    case CU_JIT_INFO_LOG_BUFFER:
    case CU_JIT_ERROR_LOG_BUFFER:
        places->log[error] = *value;
        break;
    case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
    case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
        places->room[error] = (unsigned)(uintptr_t)*value;
        places->filled[error] = value;
        break;
    case CU_JIT_WALL_TIME:
        places->wall_time = value;
        break;
    case CU_JIT_THREADS_PER_BLOCK:
        places->threads = value;
        break;
    default:
        break;
    }
}

CUresult wh_cuda_jit_split(struct wh_cuda_jit_options *options, struct wh_cuda_jit_places *places,
                           unsigned n, const CUjit_option *names, void **values)
{
    options->n = 0;
    if (places)
        *places = (struct wh_cuda_jit_places){0};
    if (n > WH_CUDA_MOST_OPTIONS || (n && (!names || !values)))
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < n; i++) {
        if (takes_address(names[i]) || (is_for_answers(names[i]) && !places))
            return CUDA_ERROR_NOT_SUPPORTED;
        if (places)
            take_place(places, names[i], &values[i]);
        if (is_for_answers(names[i]))
            continue;
        options->names[options->n] = (unsigned)names[i];
        options->values[options->n++] = (uintptr_t)values[i];
    }
    for (unsigned i = 0; places && i < 2; i++)
        if (!places->log[i])
            places->room[i] = 0;
    return CUDA_SUCCESS;
}

void wh_cuda_jit_give_back(const struct wh_cuda_jit_places *places,
                           const wh_cuda_jit_answer *answer)
{
    const unsigned filled[2] = {answer->info_size, answer->error_size};
    for (unsigned i = 0; i < 2; i++)
        if (places->filled[i])
            *places->filled[i] =
                (void *)(uintptr_t)(filled[i] < places->room[i] ? filled[i] : places->room[i]);
    if (places->wall_time)
        memcpy(places->wall_time, &answer->wall_time, sizeof(answer->wall_time));
    if (places->threads)
        *places->threads = (void *)(uintptr_t)answer->threads_per_block;
}
