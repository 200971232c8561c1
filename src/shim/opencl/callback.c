/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Callbacks: a table of what to do when the worker sends a token. A token that is not in the table
 * (a worker that lies, or says it twice) does nothing. The program's functions run in the session's
 * callback thread.
 */
#include "shim/opencl/shim.h"

#include <stdlib.h>

#define FIRST_ROOM 64u

struct place {
    struct wh_cl_notice notice;
    bool pins;           /* its object */
    uint32_t generation; /* odd while in use */
};

static struct {
    pthread_mutex_t lock;
    struct place *places;
    uint32_t room, next;
} notices = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* A free place, or the table's end after growing it; the lock is held. */
static struct place *find_place(uint32_t *index)
{
    for (uint32_t i = 0; i < notices.room; i++) {
        *index = (notices.next + i) % notices.room;
        if (notices.places[*index].generation % 2 == 0)
            return &notices.places[*index];
    }
    uint32_t room = notices.room ? 2 * notices.room : FIRST_ROOM;
    struct place *places = realloc(notices.places, room * sizeof(*places));
    if (!places)
        return NULL;
    memset(places + notices.room, 0, (room - notices.room) * sizeof(*places));
    *index = notices.room;
    notices.places = places;
    notices.room = room;
    return &places[*index];
}

uint64_t wh_opencl_notice_add(const struct wh_cl_notice *notice, bool pin)
{
    uint64_t token = 0;
    uint32_t index;
    if (pin && notice->object)
        wh_object_pin(notice->object);
    pthread_mutex_lock(&notices.lock);
    struct place *place = find_place(&index);
    if (place) {
        place->notice = *notice;
        place->pins = pin && notice->object;
        place->generation++;
        notices.next = index + 1;
        token = (uint64_t)place->generation << 32 | (index + 1);
    }
    pthread_mutex_unlock(&notices.lock);
    if (!token && pin && notice->object)
        wh_object_unpin(notice->object);
    return token;
}

/* The place of a live token, or NULL; the lock is held. */
static struct place *place_of(uint64_t token)
{
    uint32_t index = (uint32_t)token - 1;
    bool live = index < notices.room && notices.places[index].generation == token >> 32 &&
                notices.places[index].generation % 2 == 1;
    return live ? &notices.places[index] : NULL;
}

/* What a token from the worker stands for; all but a context's come once. */
static bool take(uint64_t token, struct wh_cl_notice *notice)
{
    pthread_mutex_lock(&notices.lock);
    struct place *place = place_of(token);
    if (place) {
        *notice = place->notice;
        place->generation += notice->kind != WH_CL_NOTICE_CONTEXT;
    }
    pthread_mutex_unlock(&notices.lock);
    return place;
}

void wh_opencl_notice_cancel(uint64_t token)
{
    struct wh_object *pinned = NULL;
    pthread_mutex_lock(&notices.lock);
    struct place *place = place_of(token);
    if (place) {
        pinned = place->pins ? place->notice.object : NULL;
        place->generation++;
    }
    pthread_mutex_unlock(&notices.lock);
    if (pinned)
        wh_object_unpin(pinned);
}

uint64_t wh_opencl_notice_expect(const struct wh_cl_notice *notice, bool pin)
{
    uint64_t token = wh_opencl_notice_add(notice, pin);
    if (token)
        wh_news_expect(wh_opencl_session());
    return token;
}

cl_int wh_opencl_notice_judge(uint64_t token, cl_int result)
{
    if (token && result != CL_SUCCESS) {
        wh_opencl_notice_cancel(token);
        wh_news_unexpect(wh_opencl_session());
    }
    return result;
}

void wh_opencl_freed(struct wh_session *session, uint64_t token)
{
    struct wh_cl_notice notice;
    if (take(token, &notice) && notice.kind == WH_CL_NOTICE_STORAGE)
        wh_arena_release(wh_session_arena(session), notice.storage.block);
}

static void tell_event(const struct wh_cl_notice *notice, cl_int status)
{
    void (*function)(cl_event, cl_int, void *) =
        (void (*)(cl_event, cl_int, void *))notice->function;
    function((cl_event)(void *)notice->object, status, notice->user);
    wh_object_unpin(notice->object);
}

static void tell_svm_free(const struct wh_cl_notice *notice, const uint64_t *words, size_t nwords)
{
    cl_svm_free_callback function = (cl_svm_free_callback)notice->function;
    function((cl_command_queue)(void *)notice->object, (cl_uint)nwords, (void **)(uintptr_t)words,
             notice->user);
    wh_object_unpin(notice->object);
}

static void tell_text(const struct wh_cl_notice *notice, const uint64_t *words, size_t nwords)
{
    const char *text = (const char *)words;
    if (nwords && memchr(text, 0, nwords * 8))
        ((cl_context_callback)notice->function)(text, NULL, 0, notice->user);
}

void wh_opencl_callback(struct wh_session *session, uint64_t token, const uint64_t *words,
                        size_t nwords)
{
    struct wh_cl_notice notice;
    (void)session;
    if (!take(token, &notice))
        return;
    switch (notice.kind) {
    case WH_CL_NOTICE_CONTEXT:
        tell_text(&notice, words, nwords);
        break;
    case WH_CL_NOTICE_PROGRAM:
        ((cl_program_callback)notice.function)((cl_program)(void *)notice.object, notice.user);
        wh_object_unpin(notice.object);
        break;
    case WH_CL_NOTICE_EVENT:
        tell_event(&notice, nwords ? (cl_int)words[0] : CL_COMPLETE);
        break;
    case WH_CL_NOTICE_MEM: /* the handle is dead already: its value is all that the program may use
                            */
        ((cl_mem_destructor_callback)notice.function)((cl_mem)(void *)notice.object, notice.user);
        break;
    case WH_CL_NOTICE_PROGRAM_END:
        ((cl_program_callback)notice.function)((cl_program)(void *)notice.object, notice.user);
        break;
    case WH_CL_NOTICE_CONTEXT_END:
        ((cl_context_destructor_callback)notice.function)((cl_context)(void *)notice.object,
                                                          notice.user);
        break;
    case WH_CL_NOTICE_SVM_FREE:
        tell_svm_free(&notice, words, nwords);
        break;
    case WH_CL_NOTICE_NATIVE:
        wh_opencl_run_native(notice.user);
        break;
    case WH_CL_NOTICE_STORAGE:
        break;
    }
}

/* The next event or build that somebody waits to hear of, from `index` on; taken. */
static bool next_waited(uint32_t *index, uint64_t *token)
{
    bool found = false;
    pthread_mutex_lock(&notices.lock);
    for (; *index < notices.room && !found; ++*index) {
        const struct place *place = &notices.places[*index];
        found = place->generation % 2 == 1 && (place->notice.kind == WH_CL_NOTICE_EVENT ||
                                               place->notice.kind == WH_CL_NOTICE_PROGRAM);
        *token = (uint64_t)place->generation << 32 | (*index + 1);
    }
    pthread_mutex_unlock(&notices.lock);
    return found;
}

void wh_opencl_lost(struct wh_session *session)
{
    const uint64_t error = (uint64_t)(int64_t)CL_DEVICE_NOT_AVAILABLE;
    uint32_t index = 0;
    uint64_t token;
    while (next_waited(&index, &token))
        wh_opencl_callback(session, token, &error, 1);
}

WH_EXPORT cl_int clSetEventCallback(cl_event event, cl_int type, cl_event_callback notify,
                                    void *user_data)
{
    struct wh_object *object = wh_opencl_object(event, WH_OPENCL_TYPE_cl_event);
    if (!object)
        return CL_INVALID_EVENT;
    if (!notify)
        return CL_INVALID_VALUE;
    struct wh_cl_notice notice = {.kind = WH_CL_NOTICE_EVENT,
                                  .function = (void (*)(void))notify,
                                  .user = user_data,
                                  .object = object};
    uint64_t token = wh_opencl_notice_expect(&notice, true);
    if (!token)
        return CL_OUT_OF_HOST_MEMORY;
    return wh_opencl_notice_judge(token, wh_opencl_call_set_event_callback(event, type, token));
}

cl_int wh_opencl_call_at_end(struct wh_object *object, enum wh_cl_notice_kind kind,
                             void (*function)(void), void *user, uint16_t message)
{
    struct wh_cl_notice notice = {
        .kind = kind, .function = function, .user = user, .object = object};
    uint64_t token = wh_opencl_notice_expect(&notice, false);
    uint64_t a[] = {(uintptr_t)object, token};
    if (!token)
        return CL_OUT_OF_HOST_MEMORY;
    object->settles = true;
    return wh_opencl_notice_judge(token, (cl_int)wh_opencl_invoke(message, a));
}

WH_EXPORT cl_int clSetMemObjectDestructorCallback(cl_mem mem, cl_mem_destructor_callback notify,
                                                  void *user_data)
{
    struct wh_object *object = wh_opencl_object(mem, WH_OPENCL_TYPE_cl_mem);
    if (!object)
        return CL_INVALID_MEM_OBJECT;
    if (!notify)
        return CL_INVALID_VALUE;
    return wh_opencl_call_at_end(object, WH_CL_NOTICE_MEM, (void (*)(void))notify, user_data,
                                 WH_OPENCL_wh_set_mem_callback);
}

WH_EXPORT cl_int clSetContextDestructorCallback(cl_context context,
                                                cl_context_destructor_callback notify,
                                                void *user_data)
{
    struct wh_object *object = wh_opencl_object(context, WH_OPENCL_TYPE_cl_context);
    if (!object)
        return CL_INVALID_CONTEXT;
    if (!notify)
        return CL_INVALID_VALUE;
    return wh_opencl_call_at_end(object, WH_CL_NOTICE_CONTEXT_END, (void (*)(void))notify,
                                 user_data, WH_OPENCL_wh_set_context_callback);
}
