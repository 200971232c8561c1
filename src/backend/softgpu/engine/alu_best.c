/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chooses the tables of handlers for the processor at hand. Called by the decoders.
 */
#include "access.h"
#include "alu.h"
#include "matrix.h"

#ifdef WH_NO_LEVELS /* one level is built, for tools that need no speed */
#define wh_alu_v3     wh_alu_baseline
#define wh_alu_v4     wh_alu_baseline
#define wh_access_v3  wh_access_baseline
#define wh_access_v4  wh_access_baseline
#define wh_product_v3 wh_product_baseline
#define wh_product_v4 wh_product_baseline
#endif

static unsigned level(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512cd"))
        return 2;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi2");
}

const struct wh_alu *wh_alu_best(void)
{
    static const struct wh_alu *const tables[] = {&wh_alu_baseline, &wh_alu_v3, &wh_alu_v4};
    return tables[level()];
}

const struct wh_access *wh_access_best(void)
{
    static const struct wh_access *const tables[] = {&wh_access_baseline, &wh_access_v3,
                                                     &wh_access_v4};
    return tables[level()];
}

wh_run wh_product_best(void)
{
    const wh_run products[] = {wh_product_baseline, wh_product_v3, wh_product_v4};
    return products[level()];
}
