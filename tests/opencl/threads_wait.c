/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A blocked thread holds up nobody: one thread waits for a user event, a gated finish or a gated
 * blocking read while another goes on with its own queue and, at the end, lets the first one go.
 */
#include "cltest.h"

#include <pthread.h>

#define WORDS 256
#define SIZE  (WORDS * sizeof(cl_uint))

enum way { WAIT_FOR_EVENT, FINISH_QUEUE, BLOCKING_READ, WAYS };

struct waiter {
    struct clt t;
    cl_command_queue queue;
    cl_mem buffer;
    cl_event gate;
    enum way way;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool about_to_block;
    cl_uint got[WORDS];
    cl_int err;
};

static cl_int block(struct waiter *w)
{
    switch (w->way) {
    case WAIT_FOR_EVENT:
        return clWaitForEvents(1, &w->gate);
    case FINISH_QUEUE:
        return clFinish(w->queue);
    default:
        return clEnqueueReadBuffer(w->queue, w->buffer, CL_TRUE, 0, SIZE, w->got, 0, NULL, NULL);
    }
}

static void *run_waiter(void *argument)
{
    struct waiter *w = argument;

    pthread_mutex_lock(&w->lock);
    w->about_to_block = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    w->err = block(w);
    return NULL;
}

/* Much that waits for replies itself: none of it may get stuck behind the blocked thread. */
static void go_on(const struct clt *t, cl_uint rounds)
{
    cl_mem buffer = clt_buffer(t, 0, SIZE, NULL);
    cl_uint got[WORDS];

    for (cl_uint i = 0; i < rounds; i++) {
        size_t size = 0;
        CL_OK(clEnqueueFillBuffer(t->queue, buffer, &i, 4, 0, SIZE, 0, NULL, NULL));
        clt_read(t, buffer, 0, SIZE, got);
        CHECK(got[0] == i && got[WORDS - 1] == i);
        cl_mem other = clt_buffer(t, 0, SIZE + i, NULL);
        CL_OK(clGetMemObjectInfo(other, CL_MEM_SIZE, sizeof(size), &size, NULL));
        CHECK(size == SIZE + i);
        CL_OK(clReleaseMemObject(other));
        CL_OK(clFinish(t->queue));
    }
    CL_OK(clReleaseMemObject(buffer));
}

static void block_one_way(const struct clt *t, enum way way)
{
    static const char *const names[] = {"wait for an event", "finish", "blocking read"};
    static struct waiter waiters[WAYS];
    struct waiter *w = &waiters[way];
    cl_uint word = 1234;
    pthread_t thread;
    cl_int err;

    w->t = *t;
    w->way = way;
    w->queue = clt_queue(t, 0);
    w->buffer = clt_buffer(t, 0, SIZE, NULL);
    w->gate = clCreateUserEvent(t->context, &err);
    CL_OK(err);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    CL_OK(clEnqueueFillBuffer(w->queue, w->buffer, &word, 4, 0, SIZE, 1, &w->gate, NULL));
    pthread_create(&thread, NULL, run_waiter, w);
    pthread_mutex_lock(&w->lock);
    while (!w->about_to_block)
        pthread_cond_wait(&w->changed, &w->lock);
    pthread_mutex_unlock(&w->lock);
    go_on(t, 50);
    CL_OK(clSetUserEventStatus(w->gate, CL_COMPLETE));
    pthread_join(thread, NULL);
    printf("%s: %s", names[way], clt_error_name(w->err));
    CHECK(w->err == CL_SUCCESS);
    clt_read(t, w->buffer, 0, SIZE, w->got);
    printf(", %u\n", w->got[WORDS - 1]);
    if (way != WAIT_FOR_EVENT)
        CHECK(w->got[0] == 1234 && w->got[WORDS - 1] == 1234);
    CL_OK(clFinish(w->queue));
    CL_OK(clReleaseEvent(w->gate));
    CL_OK(clReleaseMemObject(w->buffer));
    CL_OK(clReleaseCommandQueue(w->queue));
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    /* Some older implementations carry out all queues' commands one after the other. */
    clt_need_version(&t, 200);
    for (enum way way = WAIT_FOR_EVENT; way < WAYS; way++)
        block_one_way(&t, way);
    clt_close(&t);
    return clt_done();
}
