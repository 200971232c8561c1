/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of module, library and linker calls. Options about how to compile change nothing
 * here: PTX is interpreted. The logs are real.
 */
#include "backend/softgpu/library.h"

#include <stdio.h>
#include <string.h>

CUresult soft_jit_parse(struct soft_jit *jit, unsigned count, const CUjit_option *options,
                        void **values)
{
    *jit = (struct soft_jit){0};
    if (count && (!options || !values))
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < count; i++) {
        switch ((int)options[i]) {
        case CU_JIT_INFO_LOG_BUFFER:
            jit->info = values[i];
            break;
        case CU_JIT_ERROR_LOG_BUFFER:
            jit->error = values[i];
            break;
        case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
            jit->info_left = &values[i];
            jit->info_size = (unsigned)(uintptr_t)values[i];
            break;
        case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
            jit->error_left = &values[i];
            jit->error_size = (unsigned)(uintptr_t)values[i];
            break;
        case CU_JIT_WALL_TIME:
            jit->wall_time = &values[i];
            break;
        default:
            if ((unsigned)options[i] >= CU_JIT_NUM_OPTIONS)
                return CUDA_ERROR_INVALID_VALUE;
        }
    }
    return CUDA_SUCCESS;
}

/* Writes a log with its end, and where it is asked for, how many bytes it has. */
static void write_log(char *buffer, size_t size, void **written, const char *text)
{
    size_t length = strlen(text);
    if (!buffer || size == 0)
        length = 0;
    else if (length >= size)
        length = size - 1;
    if (buffer && size) {
        memcpy(buffer, text, length);
        buffer[length] = 0;
    }
    if (written)
        *written = (void *)(uintptr_t)length;
}

void soft_jit_report(const struct soft_jit *jit, CUresult result, const char *text,
                     uint64_t nanoseconds)
{
    char line[320] = "";
    if (result != CUDA_SUCCESS && text[0])
        (void)snprintf(line, sizeof(line), "error   : %s\n", text);
    write_log(jit->info, jit->info_size, jit->info_left, "");
    write_log(jit->error, jit->error_size, jit->error_left, line);
    if (jit->wall_time) { /* a float of milliseconds in the slot's bytes */
        float milliseconds = (float)nanoseconds / 1e6f;
        memcpy(jit->wall_time, &milliseconds, sizeof(milliseconds));
    }
}
