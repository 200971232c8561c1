/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Program order across threads: thread A posts writes and launches on a shared queue and signals
 * thread B, which launches what depends on them and reads, 1000 times. Whatever A enqueued before
 * its signal must run before what B enqueues after it.
 */
#include "cltest.h"

#include <pthread.h>

#define ROUNDS 1000
#define WORDS  64
#define SIZE   (WORDS * sizeof(cl_uint))

static const char source[] =
    "kernel void produce(global uint *data, uint round)\n"
    "{\n"
    "    size_t i = get_global_id(0);\n"
    "    data[i] = data[i] * 3 + round + (uint)i;\n"
    "}\n"
    "kernel void consume(global const uint *data, global uint *out, uint key)\n"
    "{\n"
    "    size_t i = get_global_id(0);\n"
    "    out[i] = data[i] ^ key;\n"
    "}\n";

struct shared {
    struct clt t;
    cl_kernel produce, consume;
    cl_mem data, out;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Rounds which A has posted, and rounds which B has checked. */
    unsigned posted, checked;
    uint64_t hash;
    unsigned wrong;
};

static void wait_until(struct shared *s, const unsigned *counter, unsigned value)
{
    pthread_mutex_lock(&s->lock);
    while (*counter < value)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

static void advance(struct shared *s, unsigned *counter)
{
    pthread_mutex_lock(&s->lock);
    ++*counter;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static cl_uint seed_word(cl_uint round, cl_uint i)
{
    return round * 2654435761u + i * 40503u;
}

static void *run_a(void *argument)
{
    struct shared *s = argument;
    static cl_uint words[WORDS];

    for (cl_uint round = 0; round < ROUNDS; round++) {
        wait_until(s, &s->checked, round);
        for (cl_uint i = 0; i < WORDS; i++)
            words[i] = seed_word(round, i);
        /* Not blocking: words stays untouched until B has read the result. */
        CL_OK(clEnqueueWriteBuffer(s->t.queue, s->data, CL_FALSE, 0, SIZE, words, 0, NULL, NULL));
        CL_OK(clSetKernelArg(s->produce, 1, sizeof(round), &round));
        clt_run(&s->t, s->produce, WORDS, 0);
        clt_run(&s->t, s->produce, WORDS, 0);
        /* An argument that B's launch depends on is set here, too. */
        CL_OK(clSetKernelArg(s->consume, 2, sizeof(round), &round));
        advance(s, &s->posted);
    }
    return NULL;
}

static void *run_b(void *argument)
{
    struct shared *s = argument;
    cl_uint got[WORDS];

    for (cl_uint round = 0; round < ROUNDS; round++) {
        wait_until(s, &s->posted, round + 1);
        clt_run(&s->t, s->consume, WORDS, 0);
        clt_read(&s->t, s->out, 0, SIZE, got);
        for (cl_uint i = 0; i < WORDS; i++) {
            cl_uint want = seed_word(round, i);
            want = want * 3 + round + i;
            want = want * 3 + round + i;
            s->wrong += got[i] != (want ^ round);
        }
        s->hash = s->hash * 31 + clt_hash(got, SIZE);
        advance(s, &s->checked);
    }
    return NULL;
}

int main(void)
{
    static struct shared s = {.lock = PTHREAD_MUTEX_INITIALIZER,
                              .changed = PTHREAD_COND_INITIALIZER};
    pthread_t threads[2];

    clt_open(&s.t);
    cl_program program = clt_build(&s.t, source, NULL);
    s.produce = clt_kernel(program, "produce");
    s.consume = clt_kernel(program, "consume");
    s.data = clt_buffer(&s.t, 0, SIZE, NULL);
    s.out = clt_buffer(&s.t, 0, SIZE, NULL);
    const cl_mem both[2] = {s.data, s.out};
    clt_set_buffers(s.produce, 1, &s.data);
    clt_set_buffers(s.consume, 2, both);
    pthread_create(&threads[0], NULL, run_a, &s);
    pthread_create(&threads[1], NULL, run_b, &s);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    printf("%d rounds, %u words wrong, hash %016llx\n", ROUNDS, s.wrong,
           (unsigned long long)s.hash);
    CHECK(s.wrong == 0);
    CL_OK(clReleaseMemObject(s.data));
    CL_OK(clReleaseMemObject(s.out));
    CL_OK(clReleaseKernel(s.produce));
    CL_OK(clReleaseKernel(s.consume));
    CL_OK(clReleaseProgram(program));
    clt_close(&s.t);
    return clt_done();
}
