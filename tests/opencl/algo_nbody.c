/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small n-body simulation in floats: 30 steps between two sets of buffers, against the host
 * within a tolerance, and the same bits again when it is run again.
 */
#include "cltest.h"

#include <math.h>

#define BODIES 128
#define STEPS  30

static const char source[] =
    "kernel void advance(global const float4 *from, global float4 *to, global float4 *speed,\n"
    "                    float dt)\n"
    "{\n"
    "    size_t i = get_global_id(0);\n"
    "    float4 me = from[i];\n"
    "    float3 force = (float3)(0.0f);\n"
    "    for (size_t j = 0; j < get_global_size(0); j++) {\n"
    "        float3 d = from[j].xyz - me.xyz;\n"
    "        float r2 = dot(d, d) + 0.05f;\n"
    "        force += d * (from[j].w / (r2 * sqrt(r2)));\n"
    "    }\n"
    "    float3 v = speed[i].xyz + force * dt;\n"
    "    speed[i].xyz = v;\n"
    "    to[i] = (float4)(me.xyz + v * dt, me.w);\n"
    "}\n";

static cl_float start[BODIES][4];

static void simulate(const struct clt *t, cl_kernel kernel, cl_float (*result)[4])
{
    cl_float zero[BODIES][4];
    cl_float dt = 0.01f;
    cl_mem speed;
    cl_mem places[2];

    memset(zero, 0, sizeof(zero));
    speed = clt_buffer(t, CL_MEM_COPY_HOST_PTR, sizeof(zero), zero);
    places[0] = clt_buffer(t, CL_MEM_COPY_HOST_PTR, sizeof(start), start);
    places[1] = clt_buffer(t, 0, sizeof(start), NULL);
    CL_OK(clSetKernelArg(kernel, 3, sizeof(dt), &dt));
    for (int n = 0; n < STEPS; n++) {
        const cl_mem turn[3] = {places[n % 2], places[1 - n % 2], speed};
        clt_set_buffers(kernel, 3, turn);
        clt_run(t, kernel, BODIES, 32);
    }
    clt_read(t, places[STEPS % 2], 0, sizeof(start), result);
    CL_OK(clReleaseMemObject(speed));
    CL_OK(clReleaseMemObject(places[0]));
    CL_OK(clReleaseMemObject(places[1]));
}

static void step_on_the_host(double (*place)[4], double (*speed)[3])
{
    double force[BODIES][3];

    memset(force, 0, sizeof(force));
    for (int i = 0; i < BODIES; i++) {
        for (int j = 0; j < BODIES; j++) {
            double d[3];
            double r2 = 0.05;
            for (int k = 0; k < 3; k++) {
                d[k] = place[j][k] - place[i][k];
                r2 += d[k] * d[k];
            }
            for (int k = 0; k < 3; k++)
                force[i][k] += d[k] * place[j][3] / (r2 * sqrt(r2));
        }
    }
    for (int i = 0; i < BODIES; i++) {
        for (int k = 0; k < 3; k++) {
            speed[i][k] += force[i][k] * 0.01;
            place[i][k] += speed[i][k] * 0.01;
        }
    }
}

static double largest_error(cl_float (*got)[4])
{
    static double place[BODIES][4];
    static double speed[BODIES][3];
    double largest = 0;

    for (int i = 0; i < BODIES; i++) {
        for (int k = 0; k < 4; k++)
            place[i][k] = (double)start[i][k];
    }
    for (int n = 0; n < STEPS; n++)
        step_on_the_host(place, speed);
    for (int i = 0; i < BODIES; i++) {
        for (int k = 0; k < 3; k++)
            largest = fmax(largest, fabs((double)got[i][k] - place[i][k]));
    }
    return largest;
}

int main(void)
{
    static cl_float once[BODIES][4];
    static cl_float twice[BODIES][4];
    struct clt t;
    uint64_t seed = 11;

    clt_open(&t);
    for (int i = 0; i < BODIES; i++) {
        for (int k = 0; k < 3; k++)
            start[i][k] = (cl_float)(clt_next_random(&seed) % 2000) / 1000.0f - 1.0f;
        start[i][3] = 0.02f;
    }
    cl_kernel kernel = clt_build_kernel(&t, source, "advance");
    simulate(&t, kernel, once);
    simulate(&t, kernel, twice);
    clt_same("again", twice, once, sizeof(once));
    clt_show_hash("places", once, sizeof(once));
    bool close = largest_error(once) < 0.001;
    printf("close to the host's result: %d\n", close);
    CHECK(close);
    CL_OK(clReleaseKernel(kernel));
    clt_close(&t);
    return clt_done();
}
