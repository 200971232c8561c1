/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two-dimensional kernels: transposition through local memory, 50 generations of life between two
 * buffers, and a Mandelbrot picture, in integers and against the host's results.
 */
#include "cltest.h"

#define WIDTH  96
#define HEIGHT 64
#define CELLS  (WIDTH * HEIGHT)

static const char source[] =
    "kernel void transpose(global const uint *in, global uint *out, local uint *tile)\n"
    "{\n"
    "    size_t x = get_local_id(0), y = get_local_id(1), n = get_local_size(0);\n"
    "    tile[y * n + x] = in[get_global_id(1) * get_global_size(0) + get_global_id(0)];\n"
    "    barrier(CLK_LOCAL_MEM_FENCE);\n"
    "    size_t to_x = get_group_id(1) * n + x, to_y = get_group_id(0) * n + y;\n"
    "    out[to_y * get_global_size(1) + to_x] = tile[x * n + y];\n"
    "}\n"
    "kernel void life(global const uchar *in, global uchar *out)\n"
    "{\n"
    "    int x = get_global_id(0), y = get_global_id(1);\n"
    "    int w = get_global_size(0), h = get_global_size(1);\n"
    "    int around = 0;\n"
    "    for (int dy = -1; dy <= 1; dy++)\n"
    "        for (int dx = -1; dx <= 1; dx++)\n"
    "            around += in[(y + dy + h) % h * w + (x + dx + w) % w];\n"
    "    int self = in[y * w + x];\n"
    "    out[y * w + x] = around == 3 || (self && around == 4);\n"
    "}\n"
    "kernel void mandelbrot(global ushort *out, int limit)\n"
    "{\n"
    "    int x = get_global_id(0), y = get_global_id(1);\n"
    "    /* Fixed point with 20 bits of fraction, so that every device agrees. */\n"
    "    long cr = (-5L << 19) + x * (7L << 19) / (long)get_global_size(0);\n"
    "    long ci = (-5L << 18) + y * (5L << 19) / (long)get_global_size(1);\n"
    "    long zr = 0, zi = 0;\n"
    "    int n = 0;\n"
    "    while (n < limit && zr * zr + zi * zi < (4L << 40)) {\n"
    "        long next = (zr * zr - zi * zi) / (1L << 20) + cr;\n"
    "        zi = 2 * zr * zi / (1L << 20) + ci;\n"
    "        zr = next;\n"
    "        n++;\n"
    "    }\n"
    "    out[y * get_global_size(0) + x] = n;\n"
    "}\n";

static const size_t global[2] = {WIDTH, HEIGHT};
static const size_t local[2] = {8, 8};

static void launch(const struct clt *t, cl_kernel kernel)
{
    CL_OK(clEnqueueNDRangeKernel(t->queue, kernel, 2, NULL, global, local, 0, NULL, NULL));
}

static void transpose(const struct clt *t, cl_program program)
{
    static cl_uint values[CELLS];
    static cl_uint got[CELLS];
    unsigned wrong = 0;
    cl_kernel kernel = clt_kernel(program, "transpose");
    cl_mem buffers[2];

    clt_fill_random(values, sizeof(values), 8);
    buffers[0] = clt_buffer(t, CL_MEM_COPY_HOST_PTR, sizeof(values), values);
    buffers[1] = clt_buffer(t, 0, sizeof(values), NULL);
    clt_set_buffers(kernel, 2, buffers);
    CL_OK(clSetKernelArg(kernel, 2, 64 * sizeof(cl_uint), NULL));
    launch(t, kernel);
    clt_read(t, buffers[1], 0, sizeof(got), got);
    for (size_t y = 0; y < HEIGHT; y++) {
        for (size_t x = 0; x < WIDTH; x++)
            wrong += got[x * HEIGHT + y] != values[y * WIDTH + x];
    }
    clt_show_hash("transposed", got, sizeof(got));
    CHECK(wrong == 0);
    CL_OK(clReleaseMemObject(buffers[0]));
    CL_OK(clReleaseMemObject(buffers[1]));
    CL_OK(clReleaseKernel(kernel));
}

static void live_on_the_host(unsigned char *cells)
{
    static unsigned char next[CELLS];

    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < WIDTH; x++) {
            int around = 0;
            for (int dy = -1; dy <= 1; dy++) {
                for (int dx = -1; dx <= 1; dx++)
                    around += cells[(y + dy + HEIGHT) % HEIGHT * WIDTH + (x + dx + WIDTH) % WIDTH];
            }
            next[y * WIDTH + x] = around == 3 || (cells[y * WIDTH + x] && around == 4);
        }
    }
    memcpy(cells, next, CELLS);
}

static void live(const struct clt *t, cl_program program)
{
    enum { GENERATIONS = 50 };
    static unsigned char cells[CELLS];
    static unsigned char got[CELLS];
    cl_kernel kernel = clt_kernel(program, "life");
    cl_mem buffers[2];

    clt_fill_random(cells, CELLS, 9);
    for (size_t i = 0; i < CELLS; i++)
        cells[i] = cells[i] < 90;
    buffers[0] = clt_buffer(t, CL_MEM_COPY_HOST_PTR, CELLS, cells);
    buffers[1] = clt_buffer(t, 0, CELLS, NULL);
    for (int n = 0; n < GENERATIONS; n++) {
        const cl_mem turn[2] = {buffers[n % 2], buffers[1 - n % 2]};
        clt_set_buffers(kernel, 2, turn);
        launch(t, kernel);
        live_on_the_host(cells);
    }
    clt_read(t, buffers[GENERATIONS % 2], 0, CELLS, got);
    clt_same("life", got, cells, CELLS);
    clt_show_hash("life", got, CELLS);
    CL_OK(clReleaseMemObject(buffers[0]));
    CL_OK(clReleaseMemObject(buffers[1]));
    CL_OK(clReleaseKernel(kernel));
}

static cl_ushort escape(long long x, long long y, int limit)
{
    long long one = 1 << 20;
    long long cr = -5 * one / 2 + x * (7 * one / 2) / WIDTH;
    long long ci = -5 * one / 4 + y * (5 * one / 2) / HEIGHT;
    long long zr = 0;
    long long zi = 0;
    int n = 0;

    while (n < limit && zr * zr + zi * zi < 4 * one * one) {
        long long next = (zr * zr - zi * zi) / one + cr;
        zi = 2 * zr * zi / one + ci;
        zr = next;
        n++;
    }
    return (cl_ushort)n;
}

static void mandelbrot(const struct clt *t, cl_program program)
{
    static cl_ushort got[CELLS];
    unsigned wrong = 0;
    cl_int limit = 200;
    cl_kernel kernel = clt_kernel(program, "mandelbrot");
    cl_mem out = clt_buffer(t, CL_MEM_WRITE_ONLY, sizeof(got), NULL);

    clt_set_buffers(kernel, 1, &out);
    CL_OK(clSetKernelArg(kernel, 1, sizeof(limit), &limit));
    launch(t, kernel);
    clt_read(t, out, 0, sizeof(got), got);
    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < WIDTH; x++)
            wrong += got[y * WIDTH + x] != escape(x, y, limit);
    }
    for (size_t y = 4; y < HEIGHT; y += 6) {
        for (size_t x = 0; x < WIDTH; x += 2)
            putchar(" .:-=+*#%@"[got[y * WIDTH + x] * 9 / limit]);
        printf("|\n");
    }
    clt_show_hash("mandelbrot", got, sizeof(got));
    CHECK(wrong == 0);
    CL_OK(clReleaseMemObject(out));
    CL_OK(clReleaseKernel(kernel));
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    cl_program program = clt_build(&t, source, NULL);
    transpose(&t, program);
    live(&t, program);
    mandelbrot(&t, program);
    CL_OK(clReleaseProgram(program));
    clt_close(&t);
    return clt_done();
}
