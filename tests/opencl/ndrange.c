/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Index spaces: one to three dimensions, offsets, local sizes, what the work-item functions say,
 * empty ranges, sizes that do not divide, and errors.
 */
#include "cltest.h"

#define CELLS 4096

static const char source[] =
    "kernel void ids(global uint *out)\n"
    "{\n"
    "    size_t x = get_global_id(0) - get_global_offset(0);\n"
    "    size_t y = get_global_id(1) - get_global_offset(1);\n"
    "    size_t z = get_global_id(2) - get_global_offset(2);\n"
    "    size_t cell = x + get_global_size(0) * (y + get_global_size(1) * z);\n"
    "    uint word = (uint)(get_global_id(0) + 100 * get_global_id(1) + 10000 * get_global_id(2));\n"
    "    out[cell] = word;\n"
    "}\n"
    "kernel void groups(global uint *out)\n"
    "{\n"
    "    size_t x = get_group_id(0) * get_local_size(0) + get_local_id(0);\n"
    "    size_t y = get_group_id(1) * get_local_size(1) + get_local_id(1);\n"
    "    size_t z = get_group_id(2) * get_local_size(2) + get_local_id(2);\n"
    "    size_t cell = x + get_global_size(0) * (y + get_global_size(1) * z);\n"
    "    out[cell] = (uint)(get_local_id(0) + 16 * get_local_id(1) + 256 * get_local_id(2)\n"
    "        + 4096 * get_group_id(0) + 65536 * get_group_id(1) + 1048576 * get_group_id(2));\n"
    "}\n"
    "kernel void facts(global uint *out)\n"
    "{\n"
    "    out[0] = get_work_dim();\n"
    "    for (uint d = 0; d < 4; d++) {\n"
    "        out[1 + d] = (uint)get_global_size(d);\n"
    "        out[5 + d] = (uint)get_local_size(d);\n"
    "        out[9 + d] = (uint)get_num_groups(d);\n"
    "        out[13 + d] = (uint)get_global_offset(d);\n"
    "    }\n"
    "}\n";

struct range {
    cl_uint dimensions;
    size_t offset[3];
    size_t global[3];
    size_t local[3];
};

static const struct range ranges[] = {
    {1, {0, 0, 0}, {1, 1, 1}, {1, 1, 1}},   {1, {0, 0, 0}, {100, 1, 1}, {10, 1, 1}},
    {1, {7, 0, 0}, {64, 1, 1}, {16, 1, 1}}, {2, {0, 0, 0}, {12, 10, 1}, {4, 5, 1}},
    {2, {3, 9, 0}, {16, 8, 1}, {8, 8, 1}},  {3, {0, 0, 0}, {4, 6, 8}, {2, 3, 4}},
    {3, {11, 22, 3}, {8, 4, 5}, {4, 4, 1}}, {3, {1, 0, 0}, {1, 1, 16}, {1, 1, 16}},
    {2, {0, 5, 0}, {1, 33, 1}, {1, 11, 1}},
};

static void launch(const struct clt *t, cl_kernel kernel, const struct range *r, bool local)
{
    CL_OK(clEnqueueNDRangeKernel(t->queue, kernel, r->dimensions, r->offset, r->global,
                                 local ? r->local : NULL, 0, NULL, NULL));
}

static void check_ids(const struct clt *t, cl_kernel kernel, cl_mem out, const struct range *r,
                      bool local)
{
    static cl_uint got[CELLS];
    cl_uint zero = 0;
    size_t cell = 0;
    unsigned wrong = 0;

    CL_OK(clEnqueueFillBuffer(t->queue, out, &zero, 4, 0, sizeof(got), 0, NULL, NULL));
    launch(t, kernel, r, local);
    clt_read(t, out, 0, sizeof(got), got);
    for (size_t z = 0; z < r->global[2]; z++) {
        for (size_t y = 0; y < r->global[1]; y++) {
            for (size_t x = 0; x < r->global[0]; x++, cell++)
                wrong += got[cell] !=
                         x + r->offset[0] + 100 * (y + r->offset[1]) + 10000 * (z + r->offset[2]);
        }
    }
    for (; cell < CELLS; cell++)
        wrong += got[cell] != 0;
    clt_show_hash(local ? "global ids" : "global ids, any local size", got, sizeof(got));
    CHECK(wrong == 0);
}

static cl_uint expected_group_word(const struct range *r, size_t x, size_t y, size_t z)
{
    size_t word = x % r->local[0] + 16 * (y % r->local[1]) + 256 * (z % r->local[2]) +
                  4096 * (x / r->local[0]) + 65536 * (y / r->local[1]) +
                  1048576 * (z / r->local[2]);

    return (cl_uint)word;
}

static void check_groups(const struct clt *t, cl_kernel kernel, cl_mem out, const struct range *r)
{
    static cl_uint got[CELLS];
    size_t cell = 0;
    unsigned wrong = 0;

    launch(t, kernel, r, true);
    clt_read(t, out, 0, sizeof(got), got);
    for (size_t z = 0; z < r->global[2]; z++) {
        for (size_t y = 0; y < r->global[1]; y++) {
            for (size_t x = 0; x < r->global[0]; x++, cell++)
                wrong += got[cell] != expected_group_word(r, x, y, z);
        }
    }
    clt_show_hash("groups", got, cell * sizeof(got[0]));
    CHECK(wrong == 0);
}

static void check_facts(const struct clt *t, cl_kernel kernel, cl_mem out, const struct range *r)
{
    cl_uint got[17];

    launch(t, kernel, r, true);
    clt_read(t, out, 0, sizeof(got), got);
    CHECK(got[0] == r->dimensions);
    for (size_t d = 0; d < 3; d++) {
        bool used = d < r->dimensions;
        CHECK(got[1 + d] == (used ? r->global[d] : 1));
        CHECK(got[5 + d] == (used ? r->local[d] : 1));
        CHECK(got[9 + d] == (used ? r->global[d] / r->local[d] : 1));
        CHECK(got[13 + d] == (used ? r->offset[d] : 0));
    }
    printf("facts:");
    for (size_t i = 0; i < CLT_COUNT(got); i++)
        printf(" %u", got[i]);
    printf("\n");
}

/* Legal or not depending on version and device: what counts is that nothing else changes. */
static void unusual_sizes(const struct clt *t, cl_kernel kernel)
{
    const size_t seven[3] = {7, 1, 1};
    const size_t two[3] = {2, 1, 1};
    const size_t nothing[3] = {0, 1, 1};
    cl_command_queue queue = t->queue;

    SHOW(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, seven, two, 0, NULL, NULL));
    SHOW(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, nothing, NULL, 0, NULL, NULL));
    SHOW(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, NULL, NULL, 0, NULL, NULL));
    CL_OK(clFinish(queue));
}

static void refuse_bad_ranges(const struct clt *t, cl_kernel kernel)
{
    const size_t eight[3] = {8, 8, 8};
    size_t too_large[3] = {0, 1, 1};
    size_t group_limit = 0;
    cl_command_queue queue = t->queue;

    CL_OK(clGetDeviceInfo(t->device, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof(group_limit),
                          &group_limit, NULL));
    too_large[0] = group_limit * 2;
    EXPECT(clEnqueueNDRangeKernel(NULL, kernel, 1, NULL, eight, NULL, 0, NULL, NULL),
           CL_INVALID_COMMAND_QUEUE);
    /* No NULL kernel in a good queue: some implementations crash here. */
    EXPECT(clEnqueueNDRangeKernel(queue, kernel, 0, NULL, eight, NULL, 0, NULL, NULL),
           CL_INVALID_WORK_DIMENSION);
    EXPECT(clEnqueueNDRangeKernel(queue, kernel, 4, NULL, eight, NULL, 0, NULL, NULL),
           CL_INVALID_WORK_DIMENSION);
    /* No local size of zero: some implementations crash here. */
    EXPECT(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, too_large, too_large, 0, NULL, NULL),
           CL_INVALID_WORK_GROUP_SIZE);
    /* No count of one with a NULL wait list: some implementations crash here. */
    CL_OK(clFinish(queue));
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    cl_program program = clt_build(&t, source, NULL);
    cl_kernel ids = clt_kernel(program, "ids");
    cl_kernel groups = clt_kernel(program, "groups");
    cl_kernel facts = clt_kernel(program, "facts");
    cl_mem out = clt_buffer(&t, 0, CELLS * sizeof(cl_uint), NULL);
    clt_set_buffers(ids, 1, &out);
    clt_set_buffers(groups, 1, &out);
    clt_set_buffers(facts, 1, &out);
    for (size_t i = 0; i < CLT_COUNT(ranges); i++) {
        printf("range %zu\n", i);
        check_ids(&t, ids, out, &ranges[i], true);
        if (i % 3 == 1)
            check_ids(&t, ids, out, &ranges[i], false);
        if (i % 2 == 1)
            check_groups(&t, groups, out, &ranges[i]);
        if (i % 3 == 0)
            check_facts(&t, facts, out, &ranges[i]);
    }
    if (clt_validates(&t)) {
        unusual_sizes(&t, ids);
        refuse_bad_ranges(&t, ids);
    }
    CL_OK(clReleaseMemObject(out));
    CL_OK(clReleaseKernel(ids));
    CL_OK(clReleaseKernel(groups));
    CL_OK(clReleaseKernel(facts));
    CL_OK(clReleaseProgram(program));
    clt_close(&t);
    return clt_done();
}
