/* SPDX-License-Identifier: Apache-2.0 */
/*
 * callbacks: host functions and stream callbacks run in the program's own process, in the stream's
 * order, after the work before them and before the work behind them; while one waits, its stream is
 * not ready and others go on.
 */
#include <atomic>
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include "check.h"

enum { CALLS = 50 };

__global__ void set(volatile int *target, int value)
{
    *target = value;
}

__global__ void add(int *target, const volatile int *term)
{
    *target += *term;
}

struct notes {
    pid_t process;
    pthread_t main_thread;
    int order[CALLS];
    std::atomic<int> count; /* publishes what the callbacks noted */
    bool other_process, main_called, failed;
    volatile int *seen;
    bool saw_all;
};

static notes notes;

struct call {
    int number;
};

static void note(int number)
{
    notes.other_process |= getpid() != notes.process;
    notes.main_called |= pthread_equal(pthread_self(), notes.main_thread) != 0;
    notes.saw_all &= *notes.seen == number;
    notes.order[notes.count] = number;
    notes.count++;
}

static void CUDART_CB host_function(void *data)
{
    note(((call *)data)->number);
}

static void CUDART_CB stream_callback(cudaStream_t stream, cudaError_t status, void *data)
{
    notes.failed |= status != cudaSuccess || stream == nullptr;
    note(((call *)data)->number);
}

static void in_order()
{
    static call calls[CALLS];
    cudaStream_t stream;
    bool ok = true;
    int *mapped;

    CHECK(cudaStreamCreate(&stream));
    CHECK(cudaHostAlloc(&mapped, sizeof(*mapped), cudaHostAllocMapped));
    notes.process = getpid();
    notes.main_thread = pthread_self();
    notes.seen = mapped;
    notes.saw_all = true;
    for (int i = 0; i < CALLS; i++) {
        calls[i].number = i;
        set<<<1, 1, 0, stream>>>(mapped, i);
        if (i % 2)
            CHECK(cudaLaunchHostFunc(stream, host_function, &calls[i]));
        else
            CHECK(cudaStreamAddCallback(stream, stream_callback, &calls[i], 0));
    }
    CHECK(cudaStreamSynchronize(stream));
    expect("all were called", notes.count == CALLS);
    for (int i = 0; i < CALLS; i++)
        ok = ok && notes.order[i] == i;
    expect("in the stream's order", ok);
    expect("after the work before them", notes.saw_all);
    expect("in the program's process", !notes.other_process);
    expect("on another thread", !notes.main_called);
    expect("with success", !notes.failed);
    CHECK(cudaFreeHost(mapped));
    CHECK(cudaStreamDestroy(stream));
}

static void CUDART_CB give_term(void *data)
{
    *(volatile int *)data = 42;
}

/* What a callback writes, the kernel behind it reads. */
static void before_the_next()
{
    int *term, *sum, got = 0;

    CHECK(cudaHostAlloc(&term, sizeof(*term), cudaHostAllocMapped));
    CHECK(cudaMalloc(&sum, sizeof(*sum)));
    CHECK(cudaMemset(sum, 0, sizeof(*sum)));
    *term = 0;
    CHECK(cudaLaunchHostFunc(0, give_term, term));
    add<<<1, 1>>>(sum, term);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(&got, sum, sizeof(got), cudaMemcpyDeviceToHost));
    expect("before the work behind them", got == 42);
    CHECK(cudaFree(sum));
    CHECK(cudaFreeHost(term));
}

enum { ROUNDS = 200, EACH = 40 };

static void CUDART_CB count_up(void *data)
{
    ++*(int *)data;
}

/* More launches behind host functions than the stream has room for. */
static void full_queue()
{
    int *sum, *one, got = 0, calls = 0;

    CHECK(cudaHostAlloc(&one, sizeof(*one), cudaHostAllocMapped));
    CHECK(cudaMalloc(&sum, sizeof(*sum)));
    CHECK(cudaMemset(sum, 0, sizeof(*sum)));
    *one = 1;
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(cudaLaunchHostFunc(0, count_up, &calls));
        for (int k = 0; k < EACH; k++)
            add<<<1, 1>>>(sum, one);
    }
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(&got, sum, sizeof(got), cudaMemcpyDeviceToHost));
    expect("between more launches than the queue holds", calls == ROUNDS && got == ROUNDS * EACH);
    CHECK(cudaFree(sum));
    CHECK(cudaFreeHost(one));
}

struct gate {
    sem_t entered, open;
};

static void CUDART_CB wait_at_gate(void *data)
{
    gate *g = (gate *)data;

    sem_post(&g->entered);
    sem_wait(&g->open);
}

static void one_waits()
{
    static gate gate;
    cudaStream_t held, other;
    int *value, got = 0;

    CHECK(cudaStreamCreateWithFlags(&held, cudaStreamNonBlocking));
    CHECK(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
    CHECK(cudaMalloc(&value, sizeof(*value)));
    sem_init(&gate.entered, 0, 0);
    sem_init(&gate.open, 0, 0);
    CHECK(cudaLaunchHostFunc(held, wait_at_gate, &gate));
    sem_wait(&gate.entered);
    expect("its stream is not ready", cudaStreamQuery(held) == cudaErrorNotReady);
    set<<<1, 1, 0, other>>>(value, 7);
    CHECK(cudaMemcpyAsync(&got, value, sizeof(got), cudaMemcpyDeviceToHost, other));
    CHECK(cudaStreamSynchronize(other));
    expect("another stream goes on", got == 7);
    expect("its stream is still not ready", cudaStreamQuery(held) == cudaErrorNotReady);
    sem_post(&gate.open);
    CHECK(cudaStreamSynchronize(held));
    expect("its stream is ready", cudaStreamQuery(held) == cudaSuccess);
    CHECK(cudaFree(value));
    CHECK(cudaStreamDestroy(held));
    CHECK(cudaStreamDestroy(other));
}

int main()
{
    in_order();
    before_the_next();
    full_queue();
    one_waits();
    return verdict();
}
