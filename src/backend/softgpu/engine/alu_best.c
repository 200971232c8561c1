/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chooses the table of handlers for the processor at hand. Called by the decoders.
 */
#include "alu.h"

const struct wh_alu *wh_alu_best(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd"))
        return &wh_alu_v4;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
        return &wh_alu_v3;
    return &wh_alu_baseline;
}
