/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands on shared virtual memory: copies between it and the program's own memory, fills,
 * migration, frees in the queue with and without a callback, their events, and errors.
 */
#include "cltest.h"

#include <pthread.h>

#define SIZE 20000

static void *allocate(const struct clt *t, size_t size)
{
    void *p = clSVMAlloc(t->context, CL_MEM_READ_WRITE, size, 0);

    if (!CHECK(p != NULL))
        exit(clt_done());
    return p;
}

static void expect_contents(const struct clt *t, const char *what, unsigned char *memory,
                            const unsigned char *want)
{
    CL_OK(clEnqueueSVMMap(t->queue, CL_TRUE, CL_MAP_READ, memory, SIZE, 0, NULL, NULL));
    clt_same(what, memory, want, SIZE);
    clt_show_hash(what, memory, SIZE);
    CL_OK(clEnqueueSVMUnmap(t->queue, memory, 0, NULL, NULL));
}

static void copy(const struct clt *t)
{
    unsigned char *a = allocate(t, SIZE);
    unsigned char *b = allocate(t, SIZE);
    unsigned char *host = clt_alloc(SIZE);
    unsigned char *got = clt_alloc(SIZE);
    cl_event event;

    clt_fill_random(host, SIZE, 1);
    CL_OK(clEnqueueSVMMemcpy(t->queue, CL_TRUE, a, host, SIZE, 0, NULL, NULL));
    expect_contents(t, "from the program", a, host);
    CL_OK(clEnqueueSVMMemcpy(t->queue, CL_FALSE, b, a, SIZE, 0, NULL, NULL));
    expect_contents(t, "within", b, host);
    CL_OK(clEnqueueSVMMemcpy(t->queue, CL_FALSE, got, b, SIZE, 0, NULL, &event));
    CL_OK(clWaitForEvents(1, &event));
    clt_same("to the program", got, host, SIZE);
    CL_OK(clReleaseEvent(event));
    memset(got, 0, SIZE);
    CL_OK(clEnqueueSVMMemcpy(t->queue, CL_TRUE, got + 5, b + 1001, 777, 0, NULL, NULL));
    clt_same("a part to the program", got + 5, host + 1001, 777);
    CHECK(got[4] == 0 && got[5 + 777] == 0);
    CL_OK(clEnqueueSVMMemcpy(t->queue, CL_TRUE, a + 3, host + 9000, 1234, 0, NULL, NULL));
    memcpy(host + 3, host + 9000, 1234);
    expect_contents(t, "a part from the program", a, host);
    CL_OK(clFinish(t->queue));
    clSVMFree(t->context, a);
    clSVMFree(t->context, b);
    free(host);
    free(got);
}

static void fill(const struct clt *t)
{
    unsigned char *memory = allocate(t, SIZE);
    unsigned char *want = clt_alloc(SIZE);
    unsigned char pattern[128];

    clt_fill_random(pattern, sizeof(pattern), 2);
    CL_OK(clEnqueueSVMMemFill(t->queue, memory, pattern, 1, SIZE, 0, NULL, NULL));
    memset(want, pattern[0], SIZE);
    for (size_t size = 1; size <= sizeof(pattern); size *= 2) {
        CL_OK(clEnqueueSVMMemFill(t->queue, memory + 2 * size, pattern, size, 9 * size, 0, NULL,
                                  NULL));
        for (size_t i = 0; i < 9; i++)
            memcpy(want + 2 * size + i * size, pattern, size);
    }
    expect_contents(t, "filled", memory, want);
    CL_OK(clFinish(t->queue));
    clSVMFree(t->context, memory);
    free(want);
}

static void show_event(cl_event event)
{
    cl_command_type type = 0;
    cl_int status = 99;

    CL_OK(clWaitForEvents(1, &event));
    CL_OK(clGetEventInfo(event, CL_EVENT_COMMAND_TYPE, sizeof(type), &type, NULL));
    CL_OK(clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status), &status, NULL));
    printf("%s %s\n", clt_command_name(type), clt_status_name(status));
    CL_OK(clReleaseEvent(event));
}

static void each_command_has_an_event(const struct clt *t)
{
    unsigned char *memory = allocate(t, SIZE);
    unsigned char host[16] = {0};
    void *pointers[1] = {memory};
    const void *migrated[1] = {memory};
    cl_uint word = 0;
    cl_event event;

    CL_OK(clEnqueueSVMMemcpy(t->queue, CL_FALSE, memory, host, 16, 0, NULL, &event));
    show_event(event);
    CL_OK(clEnqueueSVMMemFill(t->queue, memory, &word, 4, 64, 0, NULL, &event));
    show_event(event);
    CL_OK(clEnqueueSVMMap(t->queue, CL_FALSE, CL_MAP_READ, memory, SIZE, 0, NULL, &event));
    show_event(event);
    CL_OK(clEnqueueSVMUnmap(t->queue, memory, 0, NULL, &event));
    show_event(event);
    if (t->version >= 210) {
        CL_OK(clEnqueueSVMMigrateMem(t->queue, 1, migrated, NULL, 0, 0, NULL, &event));
        show_event(event);
    }
    CL_OK(clEnqueueSVMFree(t->queue, 1, pointers, NULL, NULL, 0, NULL, &event));
    show_event(event);
}

struct freed {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const struct clt *t;
    cl_uint count;
    void *pointers[8];
    unsigned calls;
    bool right_queue;
};

/* The callback, not the command, frees the memory. */
static void CL_CALLBACK free_later(cl_command_queue queue, cl_uint count, void *pointers[],
                                   void *data)
{
    struct freed *f = data;

    pthread_mutex_lock(&f->lock);
    f->count = count;
    f->right_queue = queue == f->t->queue;
    for (cl_uint i = 0; i < count && i < CLT_COUNT(f->pointers); i++) {
        f->pointers[i] = pointers[i];
        clSVMFree(f->t->context, pointers[i]);
    }
    f->calls++;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static void free_with_a_callback(const struct clt *t)
{
    enum { BLOCKS = 3 };
    struct freed f = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    void *blocks[BLOCKS];
    void *list[BLOCKS];

    f.t = t;
    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i] = list[i] = allocate(t, 1000 * (i + 1));
    CL_OK(clEnqueueSVMFree(t->queue, BLOCKS, list, free_later, &f, 0, NULL, NULL));
    CL_OK(clFinish(t->queue));
    pthread_mutex_lock(&f.lock);
    while (f.calls == 0)
        pthread_cond_wait(&f.changed, &f.lock);
    pthread_mutex_unlock(&f.lock);
    CHECK(f.count == BLOCKS && f.right_queue);
    for (size_t i = 0; i < BLOCKS; i++)
        CHECK(f.pointers[i] == blocks[i]);
    printf("freed by a callback: %u\n", f.count);
}

/* In-order commands before the free still see the memory. */
static void free_after_use(const struct clt *t)
{
    unsigned char *host = clt_alloc(SIZE);
    unsigned char *got = clt_alloc(SIZE);

    clt_fill_random(host, SIZE, 3);
    for (int round = 0; round < 20; round++) {
        void *memory = allocate(t, SIZE);
        CL_OK(clEnqueueSVMMemcpy(t->queue, CL_FALSE, memory, host, SIZE, 0, NULL, NULL));
        CL_OK(clEnqueueSVMMemcpy(t->queue, CL_FALSE, got, memory, SIZE, 0, NULL, NULL));
        CL_OK(clEnqueueSVMFree(t->queue, 1, &memory, NULL, NULL, 0, NULL, NULL));
        CL_OK(clFinish(t->queue));
        clt_same("before the free", got, host, SIZE);
    }
    printf("freed in the queue\n");
    free(host);
    free(got);
}

static void refuse_bad_arguments(const struct clt *t)
{
    cl_command_queue queue = t->queue;
    unsigned char *a = allocate(t, SIZE);
    unsigned char host[16] = {0};
    cl_uint word = 0;

    EXPECT(clEnqueueSVMMemcpy(NULL, CL_TRUE, a, host, 16, 0, NULL, NULL), CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueSVMMemcpy(queue, CL_TRUE, NULL, host, 16, 0, NULL, NULL), CL_INVALID_VALUE);
    EXPECT(clEnqueueSVMMemcpy(queue, CL_TRUE, a, NULL, 16, 0, NULL, NULL), CL_INVALID_VALUE);
    EXPECT(clEnqueueSVMMemcpy(queue, CL_TRUE, a, a + 8, 16, 0, NULL, NULL), CL_MEM_COPY_OVERLAP);
    EXPECT(clEnqueueSVMMemFill(queue, NULL, &word, 4, 16, 0, NULL, NULL), CL_INVALID_VALUE);
    /* No NULL pattern: some implementations crash here. */
    EXPECT(clEnqueueSVMMemFill(queue, a, &word, 3, 15, 0, NULL, NULL), CL_INVALID_VALUE);
    EXPECT(clEnqueueSVMMemFill(queue, a, &word, 4, 15, 0, NULL, NULL), CL_INVALID_VALUE);
    EXPECT(clEnqueueSVMMemFill(queue, a + 1, &word, 4, 16, 0, NULL, NULL), CL_INVALID_VALUE);
    EXPECT(clEnqueueSVMFree(queue, 1, NULL, NULL, NULL, 0, NULL, NULL), CL_INVALID_VALUE);
    EXPECT(clEnqueueSVMMemcpy(queue, CL_TRUE, a, host, 16, 1, NULL, NULL),
           CL_INVALID_EVENT_WAIT_LIST);
    CL_OK(clFinish(queue));
    clSVMFree(t->context, a);
}

static cl_uint references(const struct clt *t)
{
    cl_uint count = 0;

    CL_OK(clGetContextInfo(t->context, CL_CONTEXT_REFERENCE_COUNT, sizeof(count), &count, NULL));
    return count;
}

/* A free that was refused keeps neither the queue nor its context. */
static void refused_free(const struct clt *t)
{
    cl_uint before = references(t);
    cl_command_queue queue = clt_queue(t, 0);
    unsigned char *memory = allocate(t, SIZE);
    void *pointers[1] = {memory};

    EXPECT(clEnqueueSVMFree(queue, 1, pointers, NULL, NULL, 1, NULL, NULL),
           CL_INVALID_EVENT_WAIT_LIST);
    CL_OK(clFinish(queue));
    clSVMFree(t->context, memory);
    CL_OK(clReleaseCommandQueue(queue));
    CHECK(references(t) == before);
}

int main(void)
{
    struct clt t;
    cl_device_svm_capabilities capabilities = 0;

    clt_open(&t);
    clt_need_version(&t, 200);
    CL_OK(clGetDeviceInfo(t.device, CL_DEVICE_SVM_CAPABILITIES, sizeof(capabilities), &capabilities,
                          NULL));
    if (!(capabilities & CL_DEVICE_SVM_COARSE_GRAIN_BUFFER))
        clt_skip("the device has no shared virtual memory");
    copy(&t);
    fill(&t);
    each_command_has_an_event(&t);
    free_with_a_callback(&t);
    free_after_use(&t);
    if (clt_validates(&t)) {
        refuse_bad_arguments(&t);
        refused_free(&t);
    }
    clt_close(&t);
    return clt_done();
}
