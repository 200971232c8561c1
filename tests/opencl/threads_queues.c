/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four threads with their own queues, kernels and buffers in one context: transfers, launches and
 * maps at the same time, none seeing the others' data. Each thread notes its result, the main
 * thread prints.
 */
#include "cltest.h"

#include <pthread.h>

#define THREADS 4
#define ROUNDS  100
#define WORDS   2048
#define SIZE    (WORDS * sizeof(cl_uint))

static const char source[] = "kernel void advance(global uint *data, uint add)\n"
                             "{\n"
                             "    size_t i = get_global_id(0);\n"
                             "    data[i] = data[i] * 1664525u + add;\n"
                             "}\n";

struct worker {
    pthread_t thread;
    struct clt t;
    cl_program program;
    cl_uint id;
    uint64_t hash;
    unsigned wrong;
};

static void step_model(cl_uint *words, cl_uint add)
{
    for (size_t i = 0; i < WORDS; i++)
        words[i] = words[i] * 1664525u + add;
}

static void read_or_map(struct worker *w, cl_mem buffer, cl_uint round, cl_uint *got)
{
    cl_int err;

    if (round % 2 == 0) {
        clt_read(&w->t, buffer, 0, SIZE, got);
        return;
    }
    void *p =
        clEnqueueMapBuffer(w->t.queue, buffer, CL_TRUE, CL_MAP_READ, 0, SIZE, 0, NULL, NULL, &err);
    CL_OK(err);
    memcpy(got, p, SIZE);
    CL_OK(clEnqueueUnmapMemObject(w->t.queue, buffer, p, 0, NULL, NULL));
}

static void *work(void *argument)
{
    struct worker *w = argument;
    cl_uint *model = clt_alloc(SIZE);
    cl_uint *got = clt_alloc(SIZE);
    cl_kernel kernel = clt_kernel(w->program, "advance");

    clt_fill_random(model, SIZE, w->id);
    w->t.queue = clt_queue(&w->t, 0);
    cl_mem buffer = clt_buffer(&w->t, CL_MEM_COPY_HOST_PTR, SIZE, model);
    clt_set_buffers(kernel, 1, &buffer);
    for (cl_uint round = 0; round < ROUNDS; round++) {
        cl_uint add = w->id * 1000 + round;
        CL_OK(clSetKernelArg(kernel, 1, sizeof(add), &add));
        clt_run(&w->t, kernel, WORDS, 0);
        step_model(model, add);
        if (round % 5 != 0)
            continue;
        read_or_map(w, buffer, round, got);
        w->wrong += memcmp(got, model, SIZE) != 0;
        model[round] = w->id;
        clt_write(&w->t, buffer, round * 4, 4, &model[round]);
    }
    clt_read(&w->t, buffer, 0, SIZE, got);
    w->wrong += memcmp(got, model, SIZE) != 0;
    w->hash = clt_hash(got, SIZE);
    CL_OK(clReleaseMemObject(buffer));
    CL_OK(clReleaseCommandQueue(w->t.queue));
    CL_OK(clReleaseKernel(kernel));
    free(model);
    free(got);
    return NULL;
}

int main(void)
{
    struct clt t;
    struct worker workers[THREADS];

    clt_open(&t);
    /* Some older implementations run one kernel at a time and insist on it. */
    clt_need_version(&t, 200);
    cl_program program = clt_build(&t, source, NULL);
    for (cl_uint i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.t = t, .program = program, .id = i + 1};
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        printf("thread %u: hash %016llx, %u wrong\n", workers[i].id,
               (unsigned long long)workers[i].hash, workers[i].wrong);
        CHECK(workers[i].wrong == 0);
    }
    CL_OK(clReleaseProgram(program));
    clt_close(&t);
    return clt_done();
}
