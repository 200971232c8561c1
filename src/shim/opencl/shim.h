/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OpenCL library that programs load: generated stubs for what the description says, by-hand
 * functions here for what carries host memory, callbacks or nested pointers. One file per kind of
 * object.
 */
#ifndef WH_SHIM_OPENCL_SHIM_H
#define WH_SHIM_OPENCL_SHIM_H

#include "client/session.h"
#include "client/stub.h"
#include "opencl_api.h"
#include "opencl_messages.h"
#include "opencl_types.h"

#include <pthread.h>

#define WH_NO_TOKEN     UINT32_MAX
#define WH_STAGE        (2u << 20) /* bytes of one piece of a pipelined transfer */
#define WH_STAGES       4          /* pieces in flight */
#define WH_INLINE_READ  1024u      /* bytes that fit into a reply's slot */
#define WH_INLINE_WRITE 4096u      /* bytes that go along in the message */

/* Of the answer of wh_context_storage: the arena is the only place of a buffer's bytes, when no
 * command is under way. */
#define WH_STORAGE_IN_PLACE 8

/* ---- per-object state (wh_object.extra) ---- */

struct wh_cl_context {
    _Atomic int storage; /* -1 not asked yet; else the answer of wh_context_storage */
    uint64_t token;      /* of the error callback, 0: none */
};

/* Storage in the arena, shared with the worker's library; outlives the handle until the worker lets
 * go of it. */
struct wh_cl_storage {
    const struct wh_block *block;
};

/* One mapping of a memory object. */
struct wh_cl_map {
    struct wh_cl_map *next;
    void *pointer; /* what the program got */
    cl_map_flags flags;
    size_t offset, size;         /* buffers */
    size_t origin[3], region[3]; /* images */
    size_t row_pitch, slice_pitch;
    const struct wh_block *block; /* staging memory that belongs to the mapping, or NULL */
    int64_t reading;              /* the ticket of a read into it that was not waited for, or -1 */
    struct wh_copy layout;        /* how staging and program memory correspond */
};

struct wh_cl_mem {
    cl_mem_flags flags; /* as the program gave them */
    size_t size;        /* bytes of a buffer */
    uint8_t *host;      /* CL_MEM_USE_HOST_PTR: the program's memory */
    uint8_t *storage;   /* the buffer's bytes in this process, if shared */
    bool is_image, has_svm;
    bool over_svm;            /* the storage is shared virtual memory, at its own address */
    struct wh_object *parent; /* buffer of a sub-buffer; pinned through wh_object.parent */
    size_t pixel;             /* images: bytes of a pixel */
    cl_mem_object_type image_type;
    size_t host_row, host_slice; /* images over the program's memory */
    pthread_mutex_t lock;        /* guards the maps */
    struct wh_cl_map *maps;
    cl_uint nmaps;
    cl_mem_properties *properties;
    size_t nproperties;
};

/* ---- the session ---- */

extern const struct wh_shim wh_opencl_shim;

/* The session, or NULL when no server can be reached. */
struct wh_session *wh_opencl_session(void);

static inline const struct wh_call_desc *wh_opencl_call_desc(uint16_t number)
{
    return &wh_opencl_api.calls[number];
}

/* The live object behind a handle, or NULL. */
struct wh_object *wh_opencl_object(const void *handle, uint16_t type);

/* The state of a memory object or context; NULL for a handle that is none. */
struct wh_cl_mem *wh_opencl_mem(cl_mem mem);
struct wh_cl_context *wh_opencl_context(cl_context context);

/* The context an object belongs to, through its parents; NULL when it has none. */
struct wh_object *wh_opencl_context_of(struct wh_object *object);

/* Fails a function that returns a handle or pointer. */
static inline void *wh_opencl_fail(cl_int *errcode_ret, cl_int error)
{
    if (errcode_ret)
        *errcode_ret = error;
    return NULL;
}

/* Whether every event of a wait list is alive and of this context: then the list cannot make a
 * command fail. */
bool wh_opencl_events_are_good(struct wh_object *context, cl_uint n, const cl_event *events);

/* ---- callbacks (callback.c) ---- */

enum wh_cl_notice_kind {
    WH_CL_NOTICE_CONTEXT,     /* errors of a context: may come often */
    WH_CL_NOTICE_PROGRAM,     /* the end of a build */
    WH_CL_NOTICE_PROGRAM_END, /* the program's own */
    WH_CL_NOTICE_EVENT,
    WH_CL_NOTICE_MEM,
    WH_CL_NOTICE_CONTEXT_END,
    WH_CL_NOTICE_SVM_FREE,
    WH_CL_NOTICE_NATIVE,
    WH_CL_NOTICE_STORAGE,
};

/* What to do when the worker sends a token. */
struct wh_cl_notice {
    enum wh_cl_notice_kind kind;
    void (*function)(void); /* the program's, cast back by kind */
    void *user;
    struct wh_object *object; /* what the function is told about */
    struct wh_cl_storage storage;
};

/* A token for a notice; pins its object if `pin`. 0 when memory is short. */
uint64_t wh_opencl_notice_add(const struct wh_cl_notice *notice, bool pin);

/* Has the program's function called when the object's end comes; `message` tells the worker. */
cl_int wh_opencl_call_at_end(struct wh_object *object, enum wh_cl_notice_kind kind,
                             void (*function)(void), void *user, uint16_t message);

/* The token will not come, or not any more. */
void wh_opencl_notice_cancel(uint64_t token);

/* As wh_opencl_notice_add, for a token that the worker is to send once. And what became of the call
 * that asks for that, whose `result` is returned: the token does not come if it was refused. */
uint64_t wh_opencl_notice_expect(const struct wh_cl_notice *notice, bool pin);
cl_int wh_opencl_notice_judge(uint64_t token, cl_int result);

/* A native kernel's turn has come: runs it (native.c). */
void wh_opencl_run_native(void *native);

void wh_opencl_callback(struct wh_session *session, uint64_t token, const uint64_t *words,
                        size_t nwords);
void wh_opencl_lost(struct wh_session *session);

/* A platform of this session in the place of one that the parent process was given (platform.c). */
uint64_t wh_opencl_inherited(struct wh_session *session, uint16_t type, uint64_t handle);
void wh_opencl_freed(struct wh_session *session, uint64_t token);

/* ---- memory (memory.c, transfer.c, map.c, svm.c) ---- */

/* Frees a memory object's state. */
void wh_opencl_forget_mem(struct wh_cl_mem *mem);

/* How this context's buffers are stored: the answer of wh_context_storage, asked once. */
int wh_opencl_storage(cl_context context);

/* Arena memory, after waiting for what the worker is about to give back; NULL when there is none.
 */
const struct wh_block *wh_opencl_stage(size_t size, size_t align);

/* Writes a new buffer's first bytes through a queue made for it; for data that find no room in the
 * arena at once. */
cl_int wh_opencl_fill_buffer(cl_context context, cl_mem mem, const void *bytes, size_t size);

/* How many bytes of an SVM allocation start at `pointer`; *shared: the device works on these very
 * pages. */
size_t wh_opencl_svm_room(const void *pointer, bool *shared);

/* Whether the pointer lies in an SVM allocation. */
bool wh_opencl_is_svm(const void *pointer);

#endif
