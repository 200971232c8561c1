/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contexts: from devices and from types, properties, info, reference counts, destructor callbacks,
 * several at once, and errors.
 */
#include "cltest.h"

static void CL_CALLBACK notify(const char *text, const void *info, size_t size, void *data)
{
    (void)text;
    (void)info;
    (void)size;
    (void)data;
}

static void show_context(const struct clt *t, const char *what, cl_context context)
{
    cl_uint references = 0;
    cl_uint count = 0;
    cl_device_id device = NULL;
    cl_context_properties properties[8] = {0};
    size_t devices_size = 0;
    size_t properties_size = 0;

    CL_OK(clGetContextInfo(context, CL_CONTEXT_REFERENCE_COUNT, sizeof(references), &references,
                           NULL));
    CL_OK(clGetContextInfo(context, CL_CONTEXT_NUM_DEVICES, sizeof(count), &count, NULL));
    CL_OK(clGetContextInfo(context, CL_CONTEXT_DEVICES, 0, NULL, &devices_size));
    CHECK(devices_size == count * sizeof(device));
    if (count == 1) {
        CL_OK(clGetContextInfo(context, CL_CONTEXT_DEVICES, sizeof(device), &device, NULL));
        CHECK(device == t->device);
    }
    CL_OK(clGetContextInfo(context, CL_CONTEXT_PROPERTIES, sizeof(properties), properties,
                           &properties_size));
    printf("%s: references %u devices %u properties %zu bytes\n", what, references, count,
           properties_size);
    if (properties_size > sizeof(properties[0]))
        printf("  the platform is ours: %d\n",
               properties[0] == CL_CONTEXT_PLATFORM &&
                   properties[1] == (cl_context_properties)t->platform);
}

static void create_each_way(const struct clt *t)
{
    const cl_context_properties platform[] = {CL_CONTEXT_PLATFORM,
                                              (cl_context_properties)t->platform, 0};
    const cl_context_properties empty[] = {0};
    cl_int err;
    cl_context context = clCreateContext(NULL, 1, &t->device, NULL, NULL, &err);

    CL_OK(err);
    show_context(t, "no properties", context);
    CL_OK(clReleaseContext(context));
    context = clCreateContext(platform, 1, &t->device, notify, NULL, &err);
    CL_OK(err);
    show_context(t, "platform", context);
    CL_OK(clRetainContext(context));
    show_context(t, "retained", context);
    CL_OK(clReleaseContext(context));
    show_context(t, "released once", context);
    CL_OK(clReleaseContext(context));
    context = clCreateContext(empty, 1, &t->device, NULL, NULL, &err);
    CL_OK(err);
    show_context(t, "empty properties", context);
    CL_OK(clReleaseContext(context));
    context = clCreateContextFromType(platform, CL_DEVICE_TYPE_ALL, NULL, NULL, &err);
    CL_OK(err);
    show_context(t, "from type all", context);
    CL_OK(clReleaseContext(context));
    context = clCreateContextFromType(platform, CL_DEVICE_TYPE_DEFAULT, notify, NULL, &err);
    CL_OK(err);
    show_context(t, "from type default", context);
    CL_OK(clReleaseContext(context));
    /* The code pointer may be NULL. */
    context = clCreateContext(NULL, 1, &t->device, NULL, NULL, NULL);
    CHECK(context != NULL);
    CL_OK(clReleaseContext(context));
}

/* Objects of one context work while others come and go. */
static void several_at_once(const struct clt *t)
{
    enum { CONTEXTS = 8 };
    struct clt each[CONTEXTS];
    cl_mem buffers[CONTEXTS];
    cl_int err;

    for (size_t i = 0; i < CONTEXTS; i++) {
        cl_uint word = (cl_uint)i * 11;
        each[i] = *t;
        each[i].context = clCreateContext(NULL, 1, &t->device, NULL, NULL, &err);
        CL_OK(err);
        each[i].queue = clt_queue(&each[i], 0);
        buffers[i] = clt_buffer(&each[i], CL_MEM_COPY_HOST_PTR, sizeof(word), &word);
    }
    for (size_t i = 0; i < CONTEXTS; i += 2) {
        CL_OK(clReleaseMemObject(buffers[i]));
        clt_close(&each[i]);
    }
    for (size_t i = 1; i < CONTEXTS; i += 2) {
        cl_uint word = 0;
        clt_read(&each[i], buffers[i], 0, sizeof(word), &word);
        CHECK(word == i * 11);
        CL_OK(clReleaseMemObject(buffers[i]));
        clt_close(&each[i]);
    }
    printf("%d contexts\n", CONTEXTS);
}

struct destructions {
    unsigned count;
    int order[3];
};

struct destruction {
    struct destructions *all;
    int id;
};

static void CL_CALLBACK note_destruction(cl_context context, void *data)
{
    struct destruction *d = data;

    (void)context;
    if (d->all->count < 3)
        d->all->order[d->all->count] = d->id;
    d->all->count++;
}

/* Last registered, first called. */
static void destructor_callbacks(const struct clt *t)
{
    struct destructions all = {0, {0, 0, 0}};
    struct destruction each[3] = {{&all, 1}, {&all, 2}, {&all, 3}};
    cl_int err;
    cl_context context = clCreateContext(NULL, 1, &t->device, NULL, NULL, &err);

    CL_OK(err);
    for (size_t i = 0; i < 3; i++)
        CL_OK(clSetContextDestructorCallback(context, note_destruction, &each[i]));
    CL_OK(clRetainContext(context));
    CL_OK(clReleaseContext(context));
    CHECK(all.count == 0);
    CL_OK(clReleaseContext(context));
    printf("destructors: %u calls, order %d %d %d\n", all.count, all.order[0], all.order[1],
           all.order[2]);
    CHECK(all.count == 3 && all.order[0] == 3 && all.order[2] == 1);
}

static void refuse_bad_arguments(const struct clt *t)
{
    const cl_context_properties unknown[] = {0x7777, 1, 0};
    const cl_context_properties no_platform[] = {CL_CONTEXT_PLATFORM, 0, 0};
    const cl_context_properties platform[] = {CL_CONTEXT_PLATFORM,
                                              (cl_context_properties)t->platform, 0};
    cl_context context = t->context;
    char small[2];
    size_t size = 0;
    cl_int err;

    EXPECT_NO_OBJECT(clCreateContext(NULL, 0, NULL, NULL, NULL, &err), CL_INVALID_VALUE);
    EXPECT_NO_OBJECT(clCreateContext(NULL, 1, NULL, NULL, NULL, &err), CL_INVALID_VALUE);
    EXPECT_NO_OBJECT(clCreateContext(NULL, 1, &t->device, NULL, small, &err), CL_INVALID_VALUE);
    EXPECT_NO_OBJECT(clCreateContext(unknown, 1, &t->device, NULL, NULL, &err),
                     CL_INVALID_PROPERTY);
    EXPECT_NO_OBJECT(clCreateContext(no_platform, 1, &t->device, NULL, NULL, &err),
                     CL_INVALID_PLATFORM);
    /* Not every implementation returns NULL here. */
    (void)clCreateContextFromType(platform, CL_DEVICE_TYPE_CUSTOM, NULL, NULL, &err);
    EXPECT(err, CL_DEVICE_NOT_FOUND);
    EXPECT(clGetContextInfo(NULL, CL_CONTEXT_NUM_DEVICES, 0, NULL, &size), CL_INVALID_CONTEXT);
    EXPECT(clGetContextInfo(context, CL_CONTEXT_NUM_DEVICES, 2, small, NULL), CL_INVALID_VALUE);
    EXPECT(clGetContextInfo(context, CL_DEVICE_NAME, 0, NULL, &size), CL_INVALID_VALUE);
    EXPECT(clRetainContext(NULL), CL_INVALID_CONTEXT);
    EXPECT(clReleaseContext(NULL), CL_INVALID_CONTEXT);
    if (t->version >= 300)
        EXPECT(clSetContextDestructorCallback(context, NULL, NULL), CL_INVALID_VALUE);
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    create_each_way(&t);
    several_at_once(&t);
    if (t.version >= 300)
        destructor_callbacks(&t);
    if (clt_validates(&t))
        refuse_bad_arguments(&t);
    clt_close(&t);
    return clt_done();
}
