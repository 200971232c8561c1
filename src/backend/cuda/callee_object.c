/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls in a session's view that make and end objects, of memory that was put by for them
 * (worker/stock.h). The worker's part of it, that an id lives as long as the client holds it, is
 * done as its threads do it. See callee.h.
 */
#include "backend/cuda/callee.h"

/* ---- made; that the object can enter the table is known ---- */

/* Those of several processes need a file. */
CALL(make_event, !(a[1] & CU_EVENT_INTERPROCESS), EventCreate(POINTER(CUevent, 0), (unsigned)a[1]))
CALL(make_stream, soft_callee_reaches_streams(), StreamCreate(POINTER(CUstream, 0), (unsigned)a[1]))
CALL(make_stream_of, soft_callee_reaches_streams(),
     StreamCreateWithPriority(POINTER(CUstream, 0), (unsigned)a[1], (int)a[2]))
CALL(make_array, soft_callee_reaches_maps(),
     ArrayCreate_v2(POINTER(CUarray, 0), POINTER(const CUDA_ARRAY_DESCRIPTOR, 1)))
CALL(make_array_3d, soft_callee_reaches_maps(),
     Array3DCreate_v2(POINTER(CUarray, 0), POINTER(const CUDA_ARRAY3D_DESCRIPTOR, 1)))

/* As the backend's own, which is not here: the context need not exist yet. */
bool wh_callee_name_primary(struct wh_call *call, uint64_t *a)
{
    (void)call;
    if (a[1])
        *POINTER(CUcontext, 1) = NULL;
    a[WH_RESULT] = CUDA_SUCCESS;
    return true;
}

/* ---- textures and surfaces, which have numbers, and no place in the table ---- */

#define ARRAY_AT(i)  soft_callee_reaches_array(POINTER(struct CUarray_st, i))
#define LEVELS_AT(i) soft_callee_reaches_levels(POINTER(struct CUmipmappedArray_st, i))

HAND(make_texture, wh_callee_reaches_maps(call) && ARRAY_AT(1) && LEVELS_AT(2),
     texture_create(call, POINTER(const CUDA_RESOURCE_DESC, 0), POINTER(struct CUarray_st, 1),
                    POINTER(struct CUmipmappedArray_st, 2), POINTER(const CUDA_TEXTURE_DESC, 3),
                    POINTER(const CUDA_RESOURCE_VIEW_DESC, 4), POINTER(CUtexObject, 5)))
HAND(make_surface, ARRAY_AT(0),
     surface_create(call, POINTER(struct CUarray_st, 0), POINTER(CUsurfObject, 1)))
HAND(find_surface, soft_callee_reaches_texture(a[0]), surface_exists(call, a[0]))
CALL(end_texture, soft_callee_reaches_texture_end(a[0]), TexObjectDestroy(a[0]))
CALL(end_surface, soft_callee_reaches_texture_end(a[0]), SurfObjectDestroy(a[0]))

/* ---- found by name; the driver's object may be one that there is ---- */

/* Finding a name takes time by the square of its place. */
#define MOST_NAMED 256u

#define NAMES_AT(i) soft_callee_reaches_names(POINTER(struct CUmod_st, i))
#define PART_AT(i)  soft_callee_reaches_part(POINTER(struct CUlib_st, i))

HAND(get_function, NAMES_AT(0),
     get_function(call, POINTER(struct CUmod_st, 0), POINTER(const char, 1),
                  POINTER(CUfunction, 2)))
HAND(get_kernel, soft_callee_reaches_kernels(POINTER(struct CUlib_st, 0)),
     get_kernel(call, POINTER(struct CUlib_st, 0), POINTER(const char, 1), POINTER(CUkernel, 2)))
HAND(library_module, PART_AT(0),
     library_module(call, POINTER(struct CUlib_st, 0), POINTER(CUmodule, 1)))
HAND(kernel_function, soft_callee_reaches_launchable(POINTER(struct CUfunc_st, 0)),
     kernel_function(call, POINTER(struct CUkern_st, 0), POINTER(CUfunction, 1)))

/* Its bytes are the session's from here on. */
HAND(get_global,
     NAMES_AT(0) && (!a[1] || PART_AT(1)) && !a[3] && wh_callee_reaches_maps(call) &&
         wh_cuda_ranges_have_room(wh_cuda_state(call)->ranges),
     get_global(call, POINTER(struct CUmod_st, 0), POINTER(struct CUlib_st, 1),
                POINTER(const char, 2), (unsigned)a[3], POINTER(CUdeviceptr, 4),
                POINTER(size_t, 5)))
HAND(function_name,
     (unsigned)a[2] < MOST_NAMED && NAMES_AT(0) &&
         (!a[1] || soft_callee_reaches_kernels(POINTER(struct CUlib_st, 1))),
     function_name(call, POINTER(struct CUmod_st, 0), POINTER(struct CUlib_st, 1), (unsigned)a[2],
                   a[3], POINTER(char, 4), POINTER(size_t, 5)))

/* ---- ended ---- */

/* As count_reference of the worker's, which leaves nothing of it for its threads to see to; false:
 * there is, or somebody else knows the object. */
static bool is_last(const struct wh_call *call)
{
    const struct wh_entry *entry = call->entries[0];
    return entry && !entry->discovered && entry->references == 1 && !entry->pins && !entry->extra;
}

/* Whatever the driver says: the client's object is gone. */
#define END(name, reaches, release)                              \
    bool wh_callee_##name(struct wh_call *call, uint64_t *a)     \
    {                                                            \
        if (!is_last(call) || !(reaches))                        \
            return false;                                        \
        (void)(release);                                         \
        wh_callee_forget(call->worker->table, call->entries[0]); \
        a[WH_RESULT] = CUDA_SUCCESS;                             \
        return true;                                             \
    }

END(end_event, a[0] && soft_callee_reaches_event_end(POINTER(struct CUevent_st, 0)),
    cuEventDestroy_v2(POINTER(struct CUevent_st, 0)))
END(end_stream,
    a[0] && !wh_cuda_state(call)->captures &&
        soft_callee_reaches_stream_end(POINTER(struct CUstream_st, 0)),
    cuStreamDestroy_v2(POINTER(struct CUstream_st, 0)))
END(end_array, a[0] && soft_callee_reaches_array_end(POINTER(struct CUarray_st, 0)),
    cuArrayDestroy(POINTER(struct CUarray_st, 0)))

/* Only the client's name for it. */
END(forget_name, true, 0)
