/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrix multiplication, tiled through local memory, in integers (exact) and floats (whole numbers,
 * so exact as well), against the host's result.
 */
#include "cltest.h"

#define N    64
#define TILE 8

static const char source[] =
    "#define N 64\n"
    "#define TILE 8\n"
    "#define MULTIPLY(name, type)                                                              \\\n"
    "kernel void name(global const type *a, global const type *b, global type *c)              \\\n"
    "{                                                                                         \\\n"
    "    local type left[TILE][TILE];                                                          \\\n"
    "    local type right[TILE][TILE];                                                         \\\n"
    "    int x = get_local_id(0);                                                              \\\n"
    "    int y = get_local_id(1);                                                              \\\n"
    "    int column = get_global_id(0);                                                        \\\n"
    "    int row = get_global_id(1);                                                           \\\n"
    "    type sum = 0;                                                                         \\\n"
    "    for (int t = 0; t < N / TILE; t++) {                                                  \\\n"
    "        left[y][x] = a[row * N + t * TILE + x];                                           \\\n"
    "        right[y][x] = b[(t * TILE + y) * N + column];                                     \\\n"
    "        barrier(CLK_LOCAL_MEM_FENCE);                                                     \\\n"
    "        for (int k = 0; k < TILE; k++)                                                    \\\n"
    "            sum += left[y][k] * right[k][x];                                              \\\n"
    "        barrier(CLK_LOCAL_MEM_FENCE);                                                     \\\n"
    "    }                                                                                     \\\n"
    "    c[row * N + column] = sum;                                                            \\\n"
    "}\n"
    "MULTIPLY(multiply_int, int)\n"
    "MULTIPLY(multiply_float, float)\n";

static cl_int a[N][N];
static cl_int b[N][N];
static cl_int want[N][N];
static cl_float a_float[N][N];
static cl_float b_float[N][N];

static void prepare(void)
{
    uint64_t seed = 1;

    for (int y = 0; y < N; y++) {
        for (int x = 0; x < N; x++) {
            a[y][x] = (cl_int)(clt_next_random(&seed) % 19) - 9;
            b[y][x] = (cl_int)(clt_next_random(&seed) % 19) - 9;
            a_float[y][x] = (cl_float)a[y][x];
            b_float[y][x] = (cl_float)b[y][x];
        }
    }
    for (int y = 0; y < N; y++) {
        for (int x = 0; x < N; x++) {
            for (int k = 0; k < N; k++)
                want[y][x] += a[y][k] * b[k][x];
        }
    }
}

static void multiply(const struct clt *t, cl_program program, const char *name, void *left,
                     void *right, void *result, size_t size)
{
    const size_t global[2] = {N, N};
    const size_t local[2] = {TILE, TILE};
    cl_kernel kernel = clt_kernel(program, name);
    cl_mem buffers[3];

    buffers[0] = clt_buffer(t, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, size, left);
    buffers[1] = clt_buffer(t, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, size, right);
    buffers[2] = clt_buffer(t, CL_MEM_WRITE_ONLY, size, NULL);
    clt_set_buffers(kernel, 3, buffers);
    CL_OK(clEnqueueNDRangeKernel(t->queue, kernel, 2, NULL, global, local, 0, NULL, NULL));
    clt_read(t, buffers[2], 0, size, result);
    for (size_t i = 0; i < 3; i++)
        CL_OK(clReleaseMemObject(buffers[i]));
    CL_OK(clReleaseKernel(kernel));
}

int main(void)
{
    static cl_int got[N][N];
    static cl_float got_float[N][N];
    struct clt t;
    unsigned wrong = 0;

    clt_open(&t);
    prepare();
    cl_program program = clt_build(&t, source, NULL);
    multiply(&t, program, "multiply_int", a, b, got, sizeof(got));
    clt_same("integers", got, want, sizeof(got));
    clt_show_hash("integers", got, sizeof(got));
    multiply(&t, program, "multiply_float", a_float, b_float, got_float, sizeof(got_float));
    for (int y = 0; y < N; y++) {
        for (int x = 0; x < N; x++)
            wrong += got_float[y][x] != (cl_float)want[y][x];
    }
    clt_show_hash("floats", got_float, sizeof(got_float));
    CHECK(wrong == 0);
    CL_OK(clReleaseProgram(program));
    clt_close(&t);
    return clt_done();
}
