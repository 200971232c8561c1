/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 20,000 small launches with changing arguments, sizes and buffers, between them small writes,
 * copies, and now and then a read which is checked against a model in host memory.
 */
#include "cltest.h"

#define LAUNCHES 20000
#define BUFFERS  8
#define WORDS    64
#define SIZE     (WORDS * sizeof(cl_uint))

static const char source[] =
    "kernel void blend(global uint *to, global const uint *from, uint key, uint shift)\n"
    "{\n"
    "    size_t i = get_global_id(0);\n"
    "    to[i] = (to[i] << shift) + (from[i] ^ key);\n"
    "}\n";

static cl_uint model[BUFFERS][WORDS];

static void blend(cl_uint *to, const cl_uint *from, cl_uint key, cl_uint shift, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (to[i] << shift) + (from[i] ^ key);
}

static void compare(const struct clt *t, cl_mem buffer, size_t which)
{
    cl_uint got[WORDS];

    clt_read(t, buffer, 0, SIZE, got);
    clt_same("buffer", got, model[which], SIZE);
}

int main(void)
{
    struct clt t;
    cl_mem buffers[BUFFERS];
    uint64_t seed = 1;
    size_t reads = 0;

    clt_open(&t);
    cl_kernel kernel = clt_build_kernel(&t, source, "blend");
    for (size_t i = 0; i < BUFFERS; i++) {
        clt_fill_random(model[i], SIZE, i);
        buffers[i] = clt_buffer(&t, CL_MEM_COPY_HOST_PTR, SIZE, model[i]);
    }
    for (cl_uint n = 0; n < LAUNCHES; n++) {
        uint64_t dice = clt_next_random(&seed);
        size_t to = dice % BUFFERS;
        size_t from = (to + 1 + (dice >> 8) % (BUFFERS - 1)) % BUFFERS;
        cl_uint shift = 1 + (cl_uint)(dice >> 16) % 31;
        cl_uint key = (cl_uint)(dice >> 32);
        size_t count = dice & 0x80 ? WORDS : WORDS / 2;
        CL_OK(clSetKernelArg(kernel, 0, sizeof(cl_mem), &buffers[to]));
        CL_OK(clSetKernelArg(kernel, 1, sizeof(cl_mem), &buffers[from]));
        CL_OK(clSetKernelArg(kernel, 2, sizeof(key), &key));
        CL_OK(clSetKernelArg(kernel, 3, sizeof(shift), &shift));
        clt_run(&t, kernel, count, WORDS / 2);
        blend(model[to], model[from], key, shift, count);
        if (n % 64 == 63) {
            clt_write(&t, buffers[from], 4, 8, model[to]);
            memcpy((char *)model[from] + 4, model[to], 8);
        }
        if (n % 250 == 249) {
            compare(&t, buffers[to], to);
            reads++;
        }
    }
    for (size_t i = 0; i < BUFFERS; i++) {
        compare(&t, buffers[i], i);
        CL_OK(clReleaseMemObject(buffers[i]));
    }
    clt_show_hash("all buffers", model, sizeof(model));
    printf("%d launches, %zu reads between\n", LAUNCHES, reads);
    CL_OK(clReleaseKernel(kernel));
    clt_close(&t);
    return clt_done();
}
