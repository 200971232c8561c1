/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event callbacks: each state once, the status they get, callbacks on complete and user events,
 * several on one event, data that must be there, and user events completed from a callback.
 *
 * In which order the states' callbacks run is left open by the specification, and they run on the
 * implementation's threads: they only count, the main thread prints.
 */
#include "cltest.h"

#include <pthread.h>

#define WORDS 256
#define SIZE  (WORDS * sizeof(cl_uint))

struct counts {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned calls;
    unsigned submitted, running, complete, failed;
    cl_event event;
    unsigned wrong_event;
};

static void counts_init(struct counts *c)
{
    memset(c, 0, sizeof(*c));
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->changed, NULL);
}

static void counts_wait(struct counts *c, unsigned calls)
{
    pthread_mutex_lock(&c->lock);
    while (c->calls < calls)
        pthread_cond_wait(&c->changed, &c->lock);
    pthread_mutex_unlock(&c->lock);
}

static void counts_show(struct counts *c, const char *what)
{
    pthread_mutex_lock(&c->lock);
    printf("%s: submitted %u running %u complete %u failed %u\n", what, c->submitted, c->running,
           c->complete, c->failed);
    CHECK(c->wrong_event == 0);
    pthread_mutex_unlock(&c->lock);
}

static void CL_CALLBACK count(cl_event event, cl_int status, void *data)
{
    struct counts *c = data;

    pthread_mutex_lock(&c->lock);
    c->calls++;
    c->submitted += status == CL_SUBMITTED;
    c->running += status == CL_RUNNING;
    c->complete += status == CL_COMPLETE;
    c->failed += status < 0;
    c->wrong_event += c->event != NULL && c->event != event;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static cl_event make_gate(const struct clt *t)
{
    cl_int err;
    cl_event gate = clCreateUserEvent(t->context, &err);

    CL_OK(err);
    return gate;
}

static void each_state_once(const struct clt *t)
{
    cl_mem buffer = clt_buffer(t, 0, SIZE, NULL);
    cl_event gate = make_gate(t);
    cl_event event;
    cl_uint word = 1;
    struct counts c;

    counts_init(&c);
    CL_OK(clEnqueueFillBuffer(t->queue, buffer, &word, 4, 0, SIZE, 1, &gate, &event));
    c.event = event;
    CL_OK(clSetEventCallback(event, CL_COMPLETE, count, &c));
    CL_OK(clSetEventCallback(event, CL_RUNNING, count, &c));
    CL_OK(clSetEventCallback(event, CL_SUBMITTED, count, &c));
    CL_OK(clSetEventCallback(event, CL_COMPLETE, count, &c));
    CL_OK(clSetUserEventStatus(gate, CL_COMPLETE));
    CL_OK(clFinish(t->queue));
    counts_wait(&c, 4);
    counts_show(&c, "gated command");
    CHECK(c.complete == 2 && c.failed == 0);
    CL_OK(clReleaseEvent(event));
    CL_OK(clReleaseEvent(gate));
    CL_OK(clReleaseMemObject(buffer));
}

/* The event is over: the callback comes all the same. */
static void on_a_complete_event(const struct clt *t)
{
    cl_event event;
    struct counts c;

    counts_init(&c);
    CL_OK(clEnqueueMarkerWithWaitList(t->queue, 0, NULL, &event));
    CL_OK(clWaitForEvents(1, &event));
    c.event = event;
    CL_OK(clSetEventCallback(event, CL_COMPLETE, count, &c));
    counts_wait(&c, 1);
    counts_show(&c, "complete event");
    CHECK(c.complete == 1);
    CL_OK(clReleaseEvent(event));
}

static void on_a_user_event(const struct clt *t)
{
    struct counts c;
    cl_event gate = make_gate(t);

    /* Only success: some implementations run no callbacks of user events which failed. */
    counts_init(&c);
    c.event = gate;
    CL_OK(clSetEventCallback(gate, CL_COMPLETE, count, &c));
    CL_OK(clSetUserEventStatus(gate, CL_COMPLETE));
    counts_wait(&c, 1);
    counts_show(&c, "opened user event");
    CHECK(c.complete == 1 && c.failed == 0);
    CL_OK(clReleaseEvent(gate));
}

struct arrival {
    struct counts counts;
    cl_uint words[WORDS];
    cl_uint want;
    unsigned wrong;
};

static void CL_CALLBACK look_at_data(cl_event event, cl_int status, void *data)
{
    struct arrival *a = data;

    for (size_t i = 0; i < WORDS; i++)
        a->wrong += a->words[i] != a->want;
    count(event, status, &a->counts);
}

/* Data of a read is there when its callback runs; the program holds no reference to the event. */
static void data_is_there_in_the_callback(const struct clt *t)
{
    enum { ROUNDS = 50 };
    cl_mem buffer = clt_buffer(t, 0, SIZE, NULL);
    static struct arrival arrivals[ROUNDS];

    for (cl_uint i = 0; i < ROUNDS; i++) {
        struct arrival *a = &arrivals[i];
        cl_event event;
        counts_init(&a->counts);
        a->want = i + 1;
        CL_OK(clEnqueueFillBuffer(t->queue, buffer, &a->want, 4, 0, SIZE, 0, NULL, NULL));
        CL_OK(clEnqueueReadBuffer(t->queue, buffer, CL_FALSE, 0, SIZE, a->words, 0, NULL, &event));
        CL_OK(clSetEventCallback(event, CL_COMPLETE, look_at_data, a));
        CL_OK(clReleaseEvent(event));
    }
    CL_OK(clFlush(t->queue));
    unsigned wrong = 0;
    for (size_t i = 0; i < ROUNDS; i++) {
        counts_wait(&arrivals[i].counts, 1);
        wrong += arrivals[i].wrong;
    }
    CL_OK(clFinish(t->queue));
    printf("%d reads seen by their callbacks, %u words wrong\n", ROUNDS, wrong);
    CHECK(wrong == 0);
    CL_OK(clReleaseMemObject(buffer));
}

static void CL_CALLBACK open_gate(cl_event event, cl_int status, void *data)
{
    (void)event;
    (void)status;
    CL_OK(clSetUserEventStatus((cl_event)data, CL_COMPLETE));
    CL_OK(clReleaseEvent((cl_event)data)); /* some implementations still use it while they set it */
}

/* The classic host task: a device command, then a callback, then a device command behind it. */
static void complete_a_user_event_from_a_callback(const struct clt *t)
{
    cl_command_queue second = clt_queue(t, 0);
    cl_mem buffer = clt_buffer(t, 0, SIZE, NULL);
    cl_uint one = 1;
    cl_uint two = 2;
    cl_uint got[WORDS];

    for (unsigned round = 0; round < 20; round++) {
        cl_event first;
        cl_event gate = make_gate(t);
        CL_OK(clEnqueueFillBuffer(second, buffer, &two, 4, 0, SIZE / 2, 1, &gate, NULL));
        CL_OK(clEnqueueReadBuffer(second, buffer, CL_FALSE, 0, SIZE, got, 0, NULL, NULL));
        CL_OK(clFlush(second));
        CL_OK(clEnqueueFillBuffer(t->queue, buffer, &one, 4, 0, SIZE, 0, NULL, &first));
        CL_OK(clRetainEvent(gate));
        CL_OK(clSetEventCallback(first, CL_COMPLETE, open_gate, gate));
        CL_OK(clFlush(t->queue));
        CL_OK(clFinish(second));
        CHECK(got[0] == 2 && got[WORDS - 1] == 1);
        CL_OK(clReleaseEvent(first));
        CL_OK(clReleaseEvent(gate));
    }
    printf("host tasks: %u %u\n", got[0], got[WORDS - 1]);
    CL_OK(clReleaseMemObject(buffer));
    CL_OK(clReleaseCommandQueue(second));
}

static void refuse_bad_arguments(const struct clt *t)
{
    cl_event gate = make_gate(t);

    EXPECT(clSetEventCallback(NULL, CL_COMPLETE, count, NULL), CL_INVALID_EVENT);
    EXPECT(clSetEventCallback(gate, CL_COMPLETE, NULL, NULL), CL_INVALID_VALUE);
    EXPECT(clSetEventCallback(gate, CL_QUEUED, count, NULL), CL_INVALID_VALUE);
    EXPECT(clSetEventCallback(gate, -1, count, NULL), CL_INVALID_VALUE);
    CL_OK(clSetUserEventStatus(gate, CL_COMPLETE));
    CL_OK(clReleaseEvent(gate));
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    /* Some older implementations carry out commands inside clFlush, which then waits for gates. */
    clt_need_version(&t, 200);
    each_state_once(&t);
    on_a_complete_event(&t);
    on_a_user_event(&t);
    data_is_there_in_the_callback(&t);
    complete_a_user_event_from_a_callback(&t);
    if (clt_validates(&t))
        refuse_bad_arguments(&t);
    clt_close(&t);
    return clt_done();
}
