/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared virtual memory, coarse-grained buffers: allocation, maps, a linked list which a kernel
 * walks, pointers that are the same on both sides, use through a cl_mem, and errors.
 */
#include "cltest.h"

#include <sys/mman.h>

#define NODES 1000

struct node {
    struct node *next;
    cl_int value;
    cl_int doubled;
};

static const char source[] =
    "typedef struct node { global struct node *next; int value; int doubled; } node;\n"
    "kernel void walk(global node *head, global int *sum)\n"
    "{\n"
    "    int total = 0;\n"
    "    for (global node *n = head; n != 0; n = n->next) {\n"
    "        n->doubled = 2 * n->value;\n"
    "        total += n->value;\n"
    "    }\n"
    "    sum[0] = total;\n"
    "}\n"
    "kernel void link(global node *nodes, int count)\n"
    "{\n"
    "    int i = (int)get_global_id(0);\n"
    "    nodes[i].next = i + 1 < count ? &nodes[i + 1] : 0;\n"
    "    nodes[i].value = 3 * i;\n"
    "}\n"
    "kernel void address(global ulong *out, global int *p)\n"
    "{\n"
    "    out[0] = (ulong)p;\n"
    "    p[0] += 1;\n"
    "}\n";

static void map(const struct clt *t, cl_map_flags flags, void *p, size_t size)
{
    CL_OK(clEnqueueSVMMap(t->queue, CL_TRUE, flags, p, size, 0, NULL, NULL));
}

static void unmap(const struct clt *t, void *p)
{
    CL_OK(clEnqueueSVMUnmap(t->queue, p, 0, NULL, NULL));
}

static void *allocate(const struct clt *t, size_t size)
{
    void *p = clSVMAlloc(t->context, CL_MEM_READ_WRITE, size, 0);

    if (!CHECK(p != NULL))
        exit(clt_done());
    return p;
}

/* The program builds the list, the kernel walks it. */
static void walk_a_list(const struct clt *t, cl_program program)
{
    cl_kernel walk = clt_kernel(program, "walk");
    struct node *nodes = allocate(t, NODES * sizeof(*nodes));
    cl_int *sum = allocate(t, sizeof(*sum));
    cl_int want = 0;

    map(t, CL_MAP_WRITE, nodes, NODES * sizeof(*nodes));
    /* Backwards and with a stride, so that addresses and not positions matter. */
    struct node *head = NULL;
    for (size_t i = 0; i < NODES; i++) {
        struct node *n = &nodes[i * 7 % NODES];
        n->next = head;
        n->value = (cl_int)i;
        n->doubled = 0;
        head = n;
        want += (cl_int)i;
    }
    unmap(t, nodes);
    CL_OK(clSetKernelArgSVMPointer(walk, 0, head));
    CL_OK(clSetKernelArgSVMPointer(walk, 1, sum));
    clt_run(t, walk, 1, 1);
    map(t, CL_MAP_READ, sum, sizeof(*sum));
    printf("sum of the list: %d\n", *sum);
    CHECK(*sum == want);
    unmap(t, sum);
    map(t, CL_MAP_READ, nodes, NODES * sizeof(*nodes));
    unsigned wrong = 0;
    for (const struct node *n = head; n != NULL; n = n->next)
        wrong += n->doubled != 2 * n->value;
    CHECK(wrong == 0);
    unmap(t, nodes);
    CL_OK(clFinish(t->queue));
    clSVMFree(t->context, nodes);
    clSVMFree(t->context, sum);
    CL_OK(clReleaseKernel(walk));
}

/* The kernel builds the list, the program walks it. */
static void walk_the_kernels_list(const struct clt *t, cl_program program)
{
    cl_kernel link = clt_kernel(program, "link");
    struct node *nodes = allocate(t, NODES * sizeof(*nodes));
    cl_int count = NODES;
    cl_int sum = 0;
    unsigned length = 0;

    CL_OK(clSetKernelArgSVMPointer(link, 0, nodes));
    CL_OK(clSetKernelArg(link, 1, sizeof(count), &count));
    clt_run(t, link, NODES, 0);
    map(t, CL_MAP_READ, nodes, NODES * sizeof(*nodes));
    for (const struct node *n = nodes; n != NULL && length <= NODES; n = n->next) {
        sum += n->value;
        length++;
    }
    printf("list of the kernel: %u nodes, sum %d\n", length, sum);
    CHECK(length == NODES && sum == 3 * NODES * (NODES - 1) / 2);
    unmap(t, nodes);
    CL_OK(clFinish(t->queue));
    clSVMFree(t->context, nodes);
    CL_OK(clReleaseKernel(link));
}

/* Pointers into the middle are as good as the start, and are the same number on both sides. */
static void compare_addresses(const struct clt *t, cl_program program)
{
    cl_kernel kernel = clt_kernel(program, "address");
    cl_int *data = allocate(t, 4096);
    cl_ulong *out = allocate(t, sizeof(*out));
    static const size_t offsets[] = {0, 1, 17, 1023};

    map(t, CL_MAP_WRITE, data, 4096);
    memset(data, 0, 4096);
    unmap(t, data);
    for (size_t i = 0; i < CLT_COUNT(offsets); i++) {
        CL_OK(clSetKernelArgSVMPointer(kernel, 0, out));
        CL_OK(clSetKernelArgSVMPointer(kernel, 1, data + offsets[i]));
        clt_run(t, kernel, 1, 1);
        map(t, CL_MAP_READ, out, sizeof(*out));
        printf("offset %zu: same address %d\n", offsets[i],
               *out == (cl_ulong)(uintptr_t)(data + offsets[i]));
        CHECK(*out == (cl_ulong)(uintptr_t)(data + offsets[i]));
        unmap(t, out);
    }
    map(t, CL_MAP_READ, data, 4096);
    printf("data: %d %d %d %d %d\n", data[0], data[1], data[2], data[17], data[1023]);
    CHECK(data[0] == 1 && data[1] == 1 && data[2] == 0 && data[17] == 1 && data[1023] == 1);
    unmap(t, data);
    CL_OK(clFinish(t->queue));
    clSVMFree(t->context, data);
    clSVMFree(t->context, out);
    CL_OK(clReleaseKernel(kernel));
}

/* A buffer made over SVM memory is that memory. */
static void wrap_in_a_buffer(const struct clt *t)
{
    enum { SIZE = 10000 };
    unsigned char *memory = allocate(t, SIZE);
    unsigned char *want = clt_alloc(SIZE);
    unsigned char *got = clt_alloc(SIZE);
    cl_bool uses = CL_FALSE;
    cl_int err;

    clt_fill_random(want, SIZE, 5);
    map(t, CL_MAP_WRITE, memory, SIZE);
    memcpy(memory, want, SIZE);
    unmap(t, memory);
    CL_OK(clFinish(t->queue));
    cl_mem buffer = clt_buffer(t, CL_MEM_USE_HOST_PTR, SIZE, memory);
    CL_OK(clGetMemObjectInfo(buffer, CL_MEM_USES_SVM_POINTER, sizeof(uses), &uses, NULL));
    printf("uses SVM: %u\n", uses);
    clt_read(t, buffer, 0, SIZE, got);
    clt_same("read of the buffer", got, want, SIZE);
    memset(want + 100, 0x42, 50);
    clt_write(t, buffer, 100, 50, want + 100);
    const unsigned char *p =
        clEnqueueMapBuffer(t->queue, buffer, CL_TRUE, CL_MAP_READ, 0, SIZE, 0, NULL, NULL, &err);
    CL_OK(err);
    CHECK(p == memory);
    clt_same("map of the buffer", p, want, SIZE);
    CL_OK(clEnqueueUnmapMemObject(t->queue, buffer, (void *)(uintptr_t)p, 0, NULL, NULL));
    CL_OK(clFinish(t->queue));
    CL_OK(clReleaseMemObject(buffer));
    clSVMFree(t->context, memory);
    free(want);
    free(got);
}

static void allocate_many(const struct clt *t)
{
    enum { BLOCKS = 100 };
    unsigned char *blocks[BLOCKS];

    for (size_t i = 0; i < BLOCKS; i++) {
        size_t size = 1 + i * 997;
        cl_uint alignment = i % 4 == 0 ? 0 : 1u << (i % 8);
        blocks[i] = clSVMAlloc(t->context, CL_MEM_READ_WRITE, size, alignment);
        CHECK(blocks[i] != NULL);
        CHECK(alignment == 0 || (uintptr_t)blocks[i] % alignment == 0);
        unsigned char pattern = (unsigned char)i;
        CL_OK(clEnqueueSVMMemFill(t->queue, blocks[i], &pattern, 1, size, 0, NULL, NULL));
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t size = 1 + i * 997;
        map(t, CL_MAP_READ, blocks[i], size);
        CHECK(blocks[i][0] == i && blocks[i][size / 2] == i && blocks[i][size - 1] == i);
        unmap(t, blocks[i]);
    }
    CL_OK(clFinish(t->queue));
    for (size_t i = 0; i < BLOCKS; i++)
        clSVMFree(t->context, blocks[i]);
    clSVMFree(t->context, NULL);
    printf("%d allocations\n", BLOCKS);
}

/* The addresses around an allocation are in use here: by chance they may be, for what the library
 * has at them is not in this process. */
static void allocate_in_a_crowd(const struct clt *t)
{
    enum { BLOCKS = 50, CROWD = 128, STEP = 64 << 10 };
    unsigned char *blocks[BLOCKS];
    void *crowd[CROWD];
    uintptr_t middle = (uintptr_t)clSVMAlloc(t->context, CL_MEM_READ_WRITE, 1000, 0) & ~0xffffull;

    for (int i = 0; i < CROWD; i++)
        crowd[i] = mmap((void *)(middle + (uintptr_t)((i - CROWD / 2) * STEP)), STEP, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    for (int i = 0; i < BLOCKS; i++) {
        unsigned char pattern = (unsigned char)i;
        blocks[i] = clSVMAlloc(t->context, CL_MEM_READ_WRITE, 1000, 0);
        CHECK(blocks[i] != NULL);
        CL_OK(clEnqueueSVMMemFill(t->queue, blocks[i], &pattern, 1, 1000, 0, NULL, NULL));
    }
    for (int i = 0; i < BLOCKS; i++) {
        map(t, CL_MAP_READ, blocks[i], 1000);
        CHECK(blocks[i][0] == i && blocks[i][999] == i);
        unmap(t, blocks[i]);
    }
    CL_OK(clFinish(t->queue));
    for (int i = 0; i < BLOCKS; i++)
        clSVMFree(t->context, blocks[i]);
    for (int i = 0; i < CROWD; i++)
        if (crowd[i] != MAP_FAILED)
            munmap(crowd[i], STEP);
    printf("%d in a crowd\n", BLOCKS);
}

static void refuse_bad_arguments(const struct clt *t, cl_program program)
{
    cl_kernel kernel = clt_kernel(program, "address");
    int *p = allocate(t, 64);
    cl_command_queue queue = t->queue;

    CHECK(clSVMAlloc(t->context, CL_MEM_READ_WRITE, 0, 0) == NULL);
    CHECK(clSVMAlloc(t->context, CL_MEM_READ_WRITE, 64, 3) == NULL);
    CHECK(clSVMAlloc(NULL, CL_MEM_READ_WRITE, 64, 0) == NULL);
    CHECK(clSVMAlloc(t->context, CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY, 64, 0) == NULL);
    EXPECT(clSetKernelArgSVMPointer(kernel, 2, p), CL_INVALID_ARG_INDEX);
    EXPECT(clSetKernelArgSVMPointer(NULL, 0, p), CL_INVALID_KERNEL);
    EXPECT(clEnqueueSVMMap(queue, CL_TRUE, CL_MAP_READ, NULL, 64, 0, NULL, NULL), CL_INVALID_VALUE);
    EXPECT(clEnqueueSVMMap(queue, CL_TRUE, CL_MAP_READ, p, 0, 0, NULL, NULL), CL_INVALID_VALUE);
    EXPECT(clEnqueueSVMUnmap(queue, NULL, 0, NULL, NULL), CL_INVALID_VALUE);
    EXPECT(clEnqueueSVMMap(NULL, CL_TRUE, CL_MAP_READ, p, 64, 0, NULL, NULL),
           CL_INVALID_COMMAND_QUEUE);
    CL_OK(clFinish(queue));
    clSVMFree(t->context, p);
    CL_OK(clReleaseKernel(kernel));
}

int main(void)
{
    struct clt t;
    cl_device_svm_capabilities capabilities = 0;

    clt_open(&t);
    clt_need_version(&t, 200);
    CL_OK(clGetDeviceInfo(t.device, CL_DEVICE_SVM_CAPABILITIES, sizeof(capabilities), &capabilities,
                          NULL));
    printf("capabilities %#llx\n", (unsigned long long)capabilities);
    if (!(capabilities & CL_DEVICE_SVM_COARSE_GRAIN_BUFFER))
        clt_skip("the device has no shared virtual memory");
    cl_program program = clt_build(&t, source, NULL);
    walk_a_list(&t, program);
    walk_the_kernels_list(&t, program);
    compare_addresses(&t, program);
    wrap_in_a_buffer(&t);
    allocate_many(&t);
    allocate_in_a_crowd(&t);
    if (clt_validates(&t))
        refuse_bad_arguments(&t, program);
    CL_OK(clReleaseProgram(program));
    clt_close(&t);
    return clt_done();
}
