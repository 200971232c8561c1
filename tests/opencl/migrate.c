/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Migration of memory objects in every direction keeps their contents; destructor callbacks of
 * memory objects; host and device timers; and errors.
 */
#include "cltest.h"

#include <pthread.h>

#define SIZE 5000

static void migrate_each_way(const struct clt *t)
{
    static const cl_mem_migration_flags flags[] = {
        0, CL_MIGRATE_MEM_OBJECT_HOST, CL_MIGRATE_MEM_OBJECT_CONTENT_UNDEFINED,
        CL_MIGRATE_MEM_OBJECT_HOST | CL_MIGRATE_MEM_OBJECT_CONTENT_UNDEFINED};
    unsigned char want[3][SIZE];
    unsigned char got[SIZE];
    cl_mem buffers[3];

    for (size_t i = 0; i < 3; i++) {
        clt_fill_random(want[i], SIZE, i);
        buffers[i] = clt_buffer(t, CL_MEM_COPY_HOST_PTR, SIZE, want[i]);
    }
    for (size_t i = 0; i < CLT_COUNT(flags); i++) {
        cl_event event;
        CL_OK(clEnqueueMigrateMemObjects(t->queue, 3, buffers, flags[i], 0, NULL, &event));
        CL_OK(clWaitForEvents(1, &event));
        CL_OK(clReleaseEvent(event));
        for (size_t n = 0; n < 3; n++) {
            if (flags[i] & CL_MIGRATE_MEM_OBJECT_CONTENT_UNDEFINED)
                clt_write(t, buffers[n], 0, SIZE, want[n]);
            clt_read(t, buffers[n], 0, SIZE, got);
            clt_same("migrated", got, want[n], SIZE);
        }
        printf("migrated with flags %#llx\n", (unsigned long long)flags[i]);
    }
    for (size_t i = 0; i < 3; i++)
        CL_OK(clReleaseMemObject(buffers[i]));
}

struct destructions {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned count;
    int order[3];
};

struct destruction {
    struct destructions *all;
    int id;
};

static void CL_CALLBACK note_destruction(cl_mem memory, void *data)
{
    struct destruction *d = data;

    (void)memory;
    pthread_mutex_lock(&d->all->lock);
    if (d->all->count < 3)
        d->all->order[d->all->count] = d->id;
    d->all->count++;
    pthread_cond_broadcast(&d->all->changed);
    pthread_mutex_unlock(&d->all->lock);
}

/* Called in reverse order when the object goes; with a host pointer that is the time to free it. */
static void destructor_callbacks(const struct clt *t)
{
    struct destructions all = {.lock = PTHREAD_MUTEX_INITIALIZER,
                               .changed = PTHREAD_COND_INITIALIZER};
    struct destruction each[3] = {{&all, 1}, {&all, 2}, {&all, 3}};
    unsigned char *host = clt_alloc(SIZE);
    cl_mem buffer = clt_buffer(t, CL_MEM_USE_HOST_PTR, SIZE, host);
    cl_uint word = 7;

    for (size_t i = 0; i < 3; i++)
        CL_OK(clSetMemObjectDestructorCallback(buffer, note_destruction, &each[i]));
    CL_OK(clEnqueueFillBuffer(t->queue, buffer, &word, 4, 0, SIZE / 4 * 4, 0, NULL, NULL));
    CL_OK(clRetainMemObject(buffer));
    CL_OK(clReleaseMemObject(buffer));
    CHECK(all.count == 0);
    CL_OK(clReleaseMemObject(buffer));
    CL_OK(clFinish(t->queue));
    pthread_mutex_lock(&all.lock);
    while (all.count < 3)
        pthread_cond_wait(&all.changed, &all.lock);
    printf("destructors: %u calls, order %d %d %d\n", all.count, all.order[0], all.order[1],
           all.order[2]);
    CHECK(all.count == 3 && all.order[0] == 3 && all.order[2] == 1);
    pthread_mutex_unlock(&all.lock);
    free(host);
}

static void timers(const struct clt *t)
{
    cl_ulong resolution = 0;
    cl_ulong device = 0;
    cl_ulong host = 0;
    cl_ulong later = 0;

    CL_OK(clGetPlatformInfo(t->platform, CL_PLATFORM_HOST_TIMER_RESOLUTION, sizeof(resolution),
                            &resolution, NULL));
    SHOW(clGetDeviceAndHostTimer(t->device, &device, &host));
    cl_int err = clGetHostTimer(t->device, &host);
    printf("host timer: %s\n", clt_error_name(err));
    if (err != CL_SUCCESS)
        return;
    CL_OK(clGetHostTimer(t->device, &later));
    CHECK(later >= host);
}

static void refuse_bad_arguments(const struct clt *t)
{
    cl_mem buffer = clt_buffer(t, 0, SIZE, NULL);
    cl_mem none = NULL;
    cl_command_queue queue = t->queue;

    EXPECT(clEnqueueMigrateMemObjects(NULL, 1, &buffer, 0, 0, NULL, NULL),
           CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueMigrateMemObjects(queue, 0, NULL, 0, 0, NULL, NULL), CL_INVALID_VALUE);
    EXPECT(clEnqueueMigrateMemObjects(queue, 1, NULL, 0, 0, NULL, NULL), CL_INVALID_VALUE);
    EXPECT(clEnqueueMigrateMemObjects(queue, 1, &none, 0, 0, NULL, NULL), CL_INVALID_MEM_OBJECT);
    EXPECT(clEnqueueMigrateMemObjects(queue, 1, &buffer, 1u << 10, 0, NULL, NULL),
           CL_INVALID_VALUE);
    EXPECT(clSetMemObjectDestructorCallback(buffer, NULL, NULL), CL_INVALID_VALUE);
    EXPECT(clSetMemObjectDestructorCallback(NULL, note_destruction, NULL), CL_INVALID_MEM_OBJECT);
    CL_OK(clReleaseMemObject(buffer));
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    migrate_each_way(&t);
    destructor_callbacks(&t);
    if (t.version >= 210)
        timers(&t);
    if (clt_validates(&t))
        refuse_bad_arguments(&t);
    clt_close(&t);
    return clt_done();
}
