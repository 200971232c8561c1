/* SPDX-License-Identifier: Apache-2.0 */
/* Streams made and ended; how they run is queue.c's. Linked into the worker's callee, too. */
#include "backend/softgpu/queue.h"

#include <stdlib.h>

void soft_stream_end(void *object)
{
    struct soft_stream *stream = object;
    soft_queue_lock();
    *stream->link = stream->sibling;
    if (stream->sibling)
        stream->sibling->link = stream->link;
    soft_queue_unlock();
    free(stream->told_nodes);
    free(stream->told_data);
    pthread_cond_destroy(&stream->moved);
}

struct soft_stream *soft_stream_new(struct soft_context *context, unsigned flags, int priority)
{
    struct soft_stream *stream =
        soft_object_new(SOFT_STREAM, sizeof(*stream), context, soft_stream_end);
    if (!stream)
        return NULL;
    struct soft_streams *streams = &soft_driver()->streams;
    stream->flags = flags;
    stream->priority = priority;
    stream->tail = &stream->head;
    pthread_cond_init(&stream->moved, NULL);
    soft_queue_lock();
    stream->id = ++streams->number;
    stream->sibling = streams->first;
    stream->link = &streams->first;
    if (stream->sibling)
        stream->sibling->link = &stream->sibling;
    streams->first = stream;
    soft_queue_unlock();
    return stream;
}
