/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nbody: bodies that attract each other, tile by tile through shared memory, some steps on end;
 * near the same in double precision on the host.
 */
#include "check.h"

enum { BODIES = 192, TILE = 64, STEPS = 6 };

static const float softening = 0.05f, delta = 0.004f;

__global__ void move(const float4 *from, float4 *to, float4 *velocities, float soft, float dt)
{
    __shared__ float4 tile[TILE];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float4 me = from[i], v = velocities[i];
    float3 pull = {0, 0, 0};

    for (int first = 0; first < BODIES; first += TILE) {
        tile[threadIdx.x] = from[first + threadIdx.x];
        __syncthreads();
#pragma unroll 4
        for (int k = 0; k < TILE; k++) {
            float dx = tile[k].x - me.x, dy = tile[k].y - me.y, dz = tile[k].z - me.z;
            float inverse = rsqrtf(dx * dx + dy * dy + dz * dz + soft);
            float strength = tile[k].w * inverse * inverse * inverse;

            pull.x += dx * strength;
            pull.y += dy * strength;
            pull.z += dz * strength;
        }
        __syncthreads();
    }
    v.x += pull.x * dt;
    v.y += pull.y * dt;
    v.z += pull.z * dt;
    to[i] = make_float4(me.x + v.x * dt, me.y + v.y * dt, me.z + v.z * dt, me.w);
    velocities[i] = v;
}

static double position[BODIES][3], velocity[BODIES][3], mass[BODIES];
static float4 bodies[BODIES], zero[BODIES];

static void move_on_host()
{
    static double pull[BODIES][3];

    memset(pull, 0, sizeof(pull));
    for (int i = 0; i < BODIES; i++)
        for (int k = 0; k < BODIES; k++) {
            double d[3], square = softening;

            for (int a = 0; a < 3; a++) {
                d[a] = position[k][a] - position[i][a];
                square += d[a] * d[a];
            }
            for (int a = 0; a < 3; a++)
                pull[i][a] += d[a] * mass[k] / (square * sqrt(square));
        }
    for (int i = 0; i < BODIES; i++)
        for (int a = 0; a < 3; a++) {
            velocity[i][a] += pull[i][a] * delta;
            position[i][a] += velocity[i][a] * delta;
        }
}

int main()
{
    float4 *places[2], *velocities;
    uint32_t seed = 41;
    double worst = 0;

    for (int i = 0; i < BODIES; i++) {
        for (int a = 0; a < 3; a++)
            position[i][a] = (double)(random32(&seed) % 2001) / 1000 - 1;
        mass[i] = (double)(random32(&seed) % 100 + 1) / 100;
        bodies[i] = make_float4((float)position[i][0], (float)position[i][1], (float)position[i][2],
                                (float)mass[i]);
    }
    for (float4 *&place : places)
        CHECK(cudaMalloc(&place, sizeof(bodies)));
    CHECK(cudaMalloc(&velocities, sizeof(zero)));
    CHECK(cudaMemcpy(places[0], bodies, sizeof(bodies), cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy(velocities, zero, sizeof(zero), cudaMemcpyHostToDevice));
    for (int s = 0; s < STEPS; s++) {
        move<<<BODIES / TILE, TILE>>>(places[s % 2], places[1 - s % 2], velocities, softening,
                                      delta);
        CHECK_LAUNCH();
        move_on_host();
    }
    CHECK(cudaMemcpy(bodies, places[STEPS % 2], sizeof(bodies), cudaMemcpyDeviceToHost));
    for (int i = 0; i < BODIES; i++) {
        const float now[3] = {bodies[i].x, bodies[i].y, bodies[i].z};

        for (int a = 0; a < 3; a++)
            worst = fmax(worst, fabs(now[a] - position[i][a]));
    }
    expect("places", worst < 1e-4);
    printf("the first body: %.3f %.3f %.3f\n", bodies[0].x, bodies[0].y, bodies[0].z);
    for (float4 *place : places)
        CHECK(cudaFree(place));
    CHECK(cudaFree(velocities));
    return verdict();
}
