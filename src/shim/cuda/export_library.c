/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The private tables by which cuBLASLt and cuFFT talk to the driver. Given out by export_table.c.
 * No header describes them; slots without a name here were never seen called.
 */
#include "shim/cuda/export_table.h"
#include "shim/cuda/shim.h"

#include <stdlib.h>

/* ---- what cuBLASLt and cuFFT know a context by ---- */

static CUresult current_context(CUcontext *context)
{
    if (!context)
        return CUDA_ERROR_INVALID_VALUE;
    *context = wh_cuda_current();
    return CUDA_SUCCESS;
}

/* A number that no other context of the process ever has; 0 when it is not active. */
static CUresult context_number(CUcontext context, unsigned long long *number)
{
    if (!number)
        return CUDA_ERROR_INVALID_VALUE;
    if (!context || cuCtxGetId(context, number) != CUDA_SUCCESS)
        *number = 0;
    return CUDA_SUCCESS;
}

/*
 * What cuBLAS knows a stream by, when it solves triangular systems: first something inside of it,
 * then that thing's number, which is the stream's own. Here the inside of a stream is its handle;
 * the context is not looked at, by the driver neither.
 */
static CUresult inside_of_stream(CUcontext context, CUstream stream, CUstream *inside)
{
    unsigned long long number;
    (void)context;
    if (!inside)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = cuStreamGetId(stream, &number);
    if (result == CUDA_SUCCESS)
        *inside = stream ? stream : CU_STREAM_LEGACY;
    return result;
}

static CUresult number_of_stream(CUcontext context, CUstream inside, unsigned long long *number)
{
    (void)context;
    return inside && number ? cuStreamGetId(inside, number) : CUDA_ERROR_INVALID_VALUE;
}

UNKNOWN(thread, 01)

const wh_slot wh_cuda_thread_table[3] = {
    SIZE(sizeof(wh_cuda_thread_table)),
    SLOT(thread_01),
    SLOT(current_context),
};

UNKNOWN(library, 01)
UNKNOWN(library, 02)
UNKNOWN(library, 03)
UNKNOWN(library, 05)
UNKNOWN(library, 06)
UNKNOWN(library, 07)
UNKNOWN(library, 08)
UNKNOWN(library, 09)
UNKNOWNS(library, 1)
UNKNOWNS(library, 2)
UNKNOWN(library, 30)
UNKNOWN(library, 31)
UNKNOWN(library, 32)
UNKNOWN(library, 33)
UNKNOWN(library, 34)
UNKNOWN(library, 35)
UNKNOWN(library, 36)
UNKNOWN(library, 37)
UNKNOWN(library, 38)
UNKNOWNS(library, 4)
UNKNOWN(library, 50)
UNKNOWN(library, 52)
UNKNOWN(library, 53)
UNKNOWN(library, 54)
UNKNOWN(library, 55)
UNKNOWN(library, 56)
UNKNOWN(library, 57)
UNKNOWN(library, 58)
UNKNOWN(library, 59)
UNKNOWNS(library, 6)
UNKNOWNS(library, 7)
UNKNOWNS(library, 8)
UNKNOWN(library, 90)
UNKNOWN(library, 92)

const wh_slot wh_cuda_library_table[93] = {
    SIZE(sizeof(wh_cuda_library_table)),
    SLOT(library_01),
    SLOT(library_02),
    SLOT(library_03),
    SLOT(context_number),
    SLOT(library_05),
    SLOT(library_06),
    SLOT(library_07),
    SLOT(library_08),
    SLOT(library_09),
    SLOTS(library, 1),
    SLOTS(library, 2),
    SLOT(library_30),
    SLOT(library_31),
    SLOT(library_32),
    SLOT(library_33),
    SLOT(library_34),
    SLOT(library_35),
    SLOT(library_36),
    SLOT(library_37),
    SLOT(library_38),
    SLOT(number_of_stream),
    SLOTS(library, 4),
    SLOT(library_50),
    SLOT(inside_of_stream),
    SLOT(library_52),
    SLOT(library_53),
    SLOT(library_54),
    SLOT(library_55),
    SLOT(library_56),
    SLOT(library_57),
    SLOT(library_58),
    SLOT(library_59),
    SLOTS(library, 6),
    SLOTS(library, 7),
    SLOTS(library, 8),
    SLOT(library_90),
    NULL, /* as in the driver's */
    SLOT(library_92),
};

/* ---- what cuFFT finds its kernels with ---- */

typedef void visit_function(void *user, CUfunction function, const char *name, void *nothing);

/* Visits the functions of a module in their order; returns how many there are. The module knows its
 * context. */
static unsigned each_function(CUcontext context, CUmodule module, visit_function *visit, void *user)
{
    unsigned n = 0, visited = 0;
    (void)context;
    if (cuModuleGetFunctionCount(&n, module) != CUDA_SUCCESS || n == 0)
        return 0;
    CUfunction *functions = calloc(n, sizeof(*functions));
    if (functions && cuModuleEnumerateFunctions(functions, n, module) == CUDA_SUCCESS)
        for (; visited < n; visited++) {
            const char *name = NULL;
            cuFuncGetName(&name, functions[visited]);
            visit(user, functions[visited], name, NULL);
        }
    free(functions);
    return visited;
}

UNKNOWN(module, 01)
UNKNOWN(module, 02)
UNKNOWN(module, 03)
UNKNOWN(module, 04)
UNKNOWN(module, 05)
UNKNOWN(module, 06)
UNKNOWN(module, 08)
UNKNOWN(module, 09)
UNKNOWNS(module, 1)
UNKNOWNS(module, 2)
UNKNOWNS(module, 3)
UNKNOWNS(module, 4)
UNKNOWNS(module, 5)
UNKNOWNS(module, 6)
UNKNOWNS(module, 7)
UNKNOWNS(module, 8)
UNKNOWN(module, 90)
UNKNOWN(module, 91)
UNKNOWN(module, 92)
UNKNOWN(module, 94)
UNKNOWN(module, 95)
UNKNOWN(module, 96)
UNKNOWN(module, 97)
UNKNOWN(module, 98)

const wh_slot wh_cuda_module_table[99] = {
    SIZE(sizeof(wh_cuda_module_table)),
    SLOT(module_01),
    SLOT(module_02),
    SLOT(module_03),
    SLOT(module_04),
    SLOT(module_05),
    SLOT(module_06),
    SLOT(each_function),
    SLOT(module_08),
    SLOT(module_09),
    SLOTS(module, 1),
    SLOTS(module, 2),
    SLOTS(module, 3),
    SLOTS(module, 4),
    SLOTS(module, 5),
    SLOTS(module, 6),
    SLOTS(module, 7),
    SLOTS(module, 8),
    SLOT(module_90),
    SLOT(module_91),
    SLOT(module_92),
    NULL, /* as in the driver's */
    SLOT(module_94),
    SLOT(module_95),
    SLOT(module_96),
    SLOT(module_97),
    SLOT(module_98),
};

/* ---- where the device's processors sit ---- */

/* cuBLASLt places the blocks of large products by it, and does without when there is no answer; but
 * it wants the table. */
static CUresult no_placement(void)
{
    return CUDA_ERROR_NOT_SUPPORTED;
}

UNKNOWN(placement, 01)
UNKNOWN(placement, 02)
UNKNOWN(placement, 03)
UNKNOWN(placement, 05)
UNKNOWN(placement, 06)
UNKNOWN(placement, 07)
UNKNOWN(placement, 08)
UNKNOWN(placement, 09)
UNKNOWN(placement, 10)
UNKNOWN(placement, 11)
UNKNOWN(placement, 12)
UNKNOWN(placement, 13)
UNKNOWN(placement, 14)
UNKNOWN(placement, 15)
UNKNOWN(placement, 16)

const wh_slot wh_cuda_placement_table[17] = {
    SIZE(sizeof(wh_cuda_placement_table)),
    SLOT(placement_01),
    SLOT(placement_02),
    SLOT(placement_03),
    SLOT(no_placement),
    SLOT(placement_05),
    SLOT(placement_06),
    SLOT(placement_07),
    SLOT(placement_08),
    SLOT(placement_09),
    SLOT(placement_10),
    SLOT(placement_11),
    SLOT(placement_12),
    SLOT(placement_13),
    SLOT(placement_14),
    SLOT(placement_15),
    SLOT(placement_16),
};
