/* SPDX-License-Identifier: Apache-2.0 */
/* One command by itself: made, run, freed. Which stream it waits in is queue.c's; see queue.h. */
#include "backend/softgpu/queue.h"

#include <stdlib.h>

void *soft_command_new(size_t size, CUresult (*run)(struct soft_stream *, struct soft_command *))
{
    struct soft_command *command = calloc(1, size);
    if (command)
        command->run = run;
    return command;
}

void soft_command_free(struct soft_command *command)
{
    if (command->discard)
        command->discard(command);
    for (size_t i = 0; i < command->nneeds; i++)
        soft_object_release(command->needs[i].stream);
    free(command->needs);
    free(command);
}

void soft_command_run(struct soft_stream *stream, struct soft_command *command)
{
    struct soft_context *context = stream->object.context;
    if (atomic_load(&context->fault) == CUDA_SUCCESS || command->always) {
        CUresult result = command->run(stream, command);
        int none = CUDA_SUCCESS;
        if (result != CUDA_SUCCESS &&
            atomic_compare_exchange_strong(&context->fault, &none, (int)result))
            atomic_store(&context->cancel, true);
    }
    soft_command_free(command);
}
