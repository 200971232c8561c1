/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program to which bad things happen: an ordinary OpenCL program with several roles (victim
 * ROLE), started by the fault tests. It says on stdout what it is about to do and what came of it,
 * one line each, and does not know Wormhole.
 */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include "role.h"

#include <pthread.h>
#include <stdio.h>

#define WORDS 1024

static cl_platform_id platform;
static cl_device_id device;
static cl_context context;
static cl_command_queue queue;

static const char source[] =
    "kernel void twice(global uint *p) { p[get_global_id(0)] *= 2; }\n"
    "kernel void spin(global uint *p)\n"
    "{\n"
    "    volatile uint x = p[0];\n"
    "    for (ulong i = 0; i < 4000000000000ul; i++)\n"
    "        x = x * 3 + 1;\n"
    "    p[0] = x;\n"
    "}\n"
    "kernel void crash(global uint *p) { *(global uint *)(ulong)(p[1] << 3) = 1; }\n"
    "kernel void speak(int n) { printf(\"kernel %d\\n\", n); }\n";

static void open_device(void)
{
    cl_int result;
    must(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
    must(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL), "clGetDeviceIDs");
    context = clCreateContext(NULL, 1, &device, NULL, NULL, &result);
    must(result, "clCreateContext");
    queue = clCreateCommandQueue(context, device, 0, &result);
    must(result, "clCreateCommandQueue");
}

static cl_mem make_buffer(void)
{
    static cl_uint words[WORDS];
    cl_int result;
    for (cl_uint i = 0; i < WORDS; i++)
        words[i] = i;
    cl_mem buffer = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, sizeof(words), words, &result);
    must(result, "clCreateBuffer");
    return buffer;
}

static cl_kernel make_kernel(const char *name)
{
    const char *text = source;
    cl_int result;
    cl_program program = clCreateProgramWithSource(context, 1, &text, NULL, &result);
    must(result, "clCreateProgramWithSource");
    must(clBuildProgram(program, 1, &device, NULL, NULL, NULL), "clBuildProgram");
    cl_kernel kernel = clCreateKernel(program, name, &result);
    must(result, "clCreateKernel");
    return kernel;
}

static cl_int launch(cl_kernel kernel, size_t size, const cl_event *after)
{
    return clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &size, NULL, after ? 1 : 0, after, NULL);
}

/* After the loss, everything fails at once, whatever it is. */
static int call_after_loss(void)
{
    cl_int result;
    cl_uint word = 0;
    tell("clFinish", clFinish(queue));
    (void)clCreateUserEvent(context, &result);
    tell("clCreateUserEvent", result);
    cl_mem buffer = clCreateBuffer(context, 0, 64, NULL, &result);
    tell("clCreateBuffer", result);
    if (buffer)
        tell("clEnqueueReadBuffer",
             clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, 4, &word, 0, NULL, NULL));
    say("end");
    return 0;
}

static cl_mem blocked_buffer;
static cl_event gate;

static void *block_in_wait(void *unused)
{
    (void)unused;
    tell("clWaitForEvents", clWaitForEvents(1, &gate));
    return NULL;
}

static void *block_in_read(void *unused)
{
    cl_uint words[WORDS];
    (void)unused;
    tell("blocked read", clEnqueueReadBuffer(queue, blocked_buffer, CL_TRUE, 0, sizeof(words),
                                             words, 0, NULL, NULL));
    return NULL;
}

static void *block_in_map(void *unused)
{
    cl_int result;
    (void)unused;
    (void)clEnqueueMapBuffer(queue, blocked_buffer, CL_TRUE, CL_MAP_READ, 0, 4096, 0, NULL, NULL,
                             &result);
    tell("blocked map", result);
    return NULL;
}

/* Four threads, each blocked in another call behind a user event that nobody completes. */
static int role_blocked(void)
{
    void *(*const blocks[])(void *) = {block_in_wait, block_in_read, block_in_map};
    pthread_t threads[3];
    cl_int result;
    cl_kernel kernel = make_kernel("twice");
    blocked_buffer = make_buffer();
    must(clSetKernelArg(kernel, 0, sizeof(cl_mem), &blocked_buffer), "clSetKernelArg");
    gate = clCreateUserEvent(context, &result);
    must(result, "clCreateUserEvent");
    must(launch(kernel, WORDS, &gate), "launch");
    for (int i = 0; i < 3; i++)
        if (pthread_create(&threads[i], NULL, blocks[i], NULL))
            return 1;
    say("blocked");
    tell("blocked finish", clFinish(queue));
    for (int i = 0; i < 3; i++)
        (void)pthread_join(threads[i], NULL);
    return call_after_loss();
}

/* Alone in a kernel that never ends well. */
static int wait_for_kernel(const char *name)
{
    cl_kernel kernel = make_kernel(name);
    cl_mem buffer = make_buffer();
    must(clSetKernelArg(kernel, 0, sizeof(buffer), &buffer), "clSetKernelArg");
    /* A kernel that crashes may do so before any of these calls returns. */
    cl_int launched = launch(kernel, 1, NULL);
    cl_int flushed = clFlush(queue);
    if (launched != CL_SUCCESS || flushed != CL_SUCCESS)
        printf("lost early: %d %d\n", launched, flushed);
    say("blocked");
    tell("blocked finish", clFinish(queue));
    return call_after_loss();
}

/* In a kernel that takes hours. */
static int role_computing(void)
{
    return wait_for_kernel("spin");
}

/* In a kernel that takes its device down. */
static int role_crashing(void)
{
    return wait_for_kernel("crash");
}

static cl_int compute(cl_kernel kernel, cl_mem buffer)
{
    cl_uint words[WORDS], again[WORDS];
    cl_int result =
        clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, sizeof(words), words, 0, NULL, NULL);
    if (result == CL_SUCCESS)
        result = launch(kernel, WORDS, NULL);
    if (result == CL_SUCCESS)
        result =
            clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, sizeof(again), again, 0, NULL, NULL);
    for (cl_uint i = 0; i < WORDS && result == CL_SUCCESS; i++)
        if (again[i] != words[i] * 2)
            result = -9999;
    return result;
}

/* For each line of stdin, a computation whose result is checked. */
static int role_obedient(void)
{
    char line[64];
    cl_kernel kernel = make_kernel("twice");
    cl_mem buffer = make_buffer();
    must(clSetKernelArg(kernel, 0, sizeof(buffer), &buffer), "clSetKernelArg");
    tell("computed", compute(kernel, buffer));
    while (fgets(line, sizeof(line), stdin))
        tell("computed", compute(kernel, buffer));
    return 0;
}

/* Work without end. */
static int role_busy(void)
{
    cl_kernel kernel = make_kernel("twice");
    cl_mem buffer = make_buffer();
    must(clSetKernelArg(kernel, 0, sizeof(buffer), &buffer), "clSetKernelArg");
    must(compute(kernel, buffer), "computing");
    say("busy");
    for (;;)
        if (launch(kernel, WORDS, NULL) != CL_SUCCESS || compute(kernel, buffer) != CL_SUCCESS)
            return 1;
}

static void *print_along(void *unused)
{
    (void)unused;
    for (int i = 0; i < 500; i++) {
        printf("program %d\n", i);
        (void)fflush(stdout);
    }
    return NULL;
}

/* Kernels print while another thread of the program does. */
static int role_printing(void)
{
    pthread_t thread;
    cl_kernel kernel = make_kernel("speak");
    if (pthread_create(&thread, NULL, print_along, NULL))
        return 1;
    for (cl_int i = 0; i < 500; i++) {
        must(clSetKernelArg(kernel, 0, sizeof(i), &i), "clSetKernelArg");
        must(launch(kernel, 1, NULL), "launch");
        if (i % 7 == 0)
            must(clFinish(queue), "clFinish");
    }
    must(clFinish(queue), "clFinish");
    (void)pthread_join(thread, NULL);
    say("end");
    return 0;
}

/* Which platforms there are, and nothing else. */
static int role_platforms(void)
{
    cl_uint count = 77;
    tell("clGetPlatformIDs", clGetPlatformIDs(0, NULL, &count));
    tell("clGetPlatformIDs", clGetPlatformIDs(0, NULL, &count));
    return 0;
}

static int role_idle(void)
{
    say("idle");
    wait_for_line();
    return call_after_loss();
}

int main(int argc, char **argv)
{
    static const struct role roles[] = {
        {"blocked", role_blocked, false},   {"computing", role_computing, false},
        {"crashing", role_crashing, false}, {"obedient", role_obedient, false},
        {"busy", role_busy, false},         {"printing", role_printing, false},
        {"idle", role_idle, false},         {"platforms", role_platforms, true},
    };
    return role_play(argc, argv, roles, sizeof(roles) / sizeof(roles[0]), open_device);
}
