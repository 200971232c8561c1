/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fork before the first OpenCL call: two children and the parent all use the device, each on its
 * own. The children write into pipes; the parent prints in order.
 */
#include "cltest.h"

#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN 2
#define WORDS    512

static const char source[] = "kernel void scale(global uint *data, uint factor)\n"
                             "{\n"
                             "    data[get_global_id(0)] *= factor;\n"
                             "}\n";

static uint64_t use_the_device(cl_uint factor)
{
    struct clt t;
    cl_uint words[WORDS];

    clt_open(&t);
    for (cl_uint i = 0; i < WORDS; i++)
        words[i] = i;
    cl_kernel kernel = clt_build_kernel(&t, source, "scale");
    cl_mem buffer = clt_buffer(&t, CL_MEM_COPY_HOST_PTR, sizeof(words), words);
    clt_set_buffers(kernel, 1, &buffer);
    CL_OK(clSetKernelArg(kernel, 1, sizeof(factor), &factor));
    clt_run(&t, kernel, WORDS, 0);
    clt_read(&t, buffer, 0, sizeof(words), words);
    for (cl_uint i = 0; i < WORDS; i++)
        CHECK(words[i] == i * factor);
    CL_OK(clReleaseMemObject(buffer));
    CL_OK(clReleaseKernel(kernel));
    clt_close(&t);
    return clt_hash(words, sizeof(words));
}

static pid_t start_child(cl_uint factor, int *from_child)
{
    int ends[2];

    if (pipe(ends) != 0)
        return -1;
    pid_t child = fork();
    if (child != 0) {
        close(ends[1]);
        *from_child = ends[0];
        return child;
    }
    close(ends[0]);
    uint64_t hash = use_the_device(factor);
    bool written = write(ends[1], &hash, sizeof(hash)) == (ssize_t)sizeof(hash);
    exit(written ? EXIT_SUCCESS : EXIT_FAILURE);
}

int main(void)
{
    pid_t children[CHILDREN];
    int pipes[CHILDREN] = {-1, -1};

    for (cl_uint i = 0; i < CHILDREN; i++) {
        children[i] = start_child(i + 2, &pipes[i]);
        CHECK(children[i] > 0);
    }
    printf("parent: hash %016llx\n", (unsigned long long)use_the_device(10));
    for (cl_uint i = 0; i < CHILDREN; i++) {
        uint64_t hash = 0;
        int status = -1;
        CHECK(read(pipes[i], &hash, sizeof(hash)) == (ssize_t)sizeof(hash));
        CHECK(waitpid(children[i], &status, 0) == children[i]);
        printf("child %u: hash %016llx, status %d\n", i, (unsigned long long)hash, status);
        CHECK(status == 0);
        close(pipes[i]);
    }
    return clt_done();
}
