/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Callback API as far as it is honest: a program may subscribe, and is called when contexts
 * begin and end, on which PyTorch's profiler insists. Of all else it hears nothing, which it is
 * told when it asks to.
 */
#include "shim/cupti/cupti.h"

enum {
    DOMAIN_DRIVER = 1,
    DOMAIN_RESOURCE = 3,
    DOMAINS = 7,

    CONTEXT_CREATED = 1, /* in that domain */
    CONTEXT_DESTROY_STARTING = 2,
    STREAM_CREATED = 3,
    STREAM_DESTROY_STARTING = 4,
    RESOURCES = 5, /* that are there */
};

/* CUpti_CallbackFunc, and the data of calls in the resource domain. */
typedef void (*callback_function)(void *user, uint32_t domain, uint32_t call, const void *data);

struct resource_data {
    CUcontext context;
    CUstream stream;
    void *descriptor;
};

struct subscriber {
    callback_function callback;
    void *user;
};

static struct {
    pthread_mutex_t lock;
    struct subscriber subscriber; /* there can be one */
    _Atomic bool resources[RESOURCES];
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

bool wh_cupti_wants_resources(void)
{
    for (unsigned i = 0; i < RESOURCES; i++)
        if (atomic_load(&state.resources[i]))
            return true;
    return false;
}

void wh_cupti_take_resource(enum wh_observed_resource what, CUcontext context, CUstream stream)
{
    const struct resource_data data = {.context = context, .stream = stream};
    uint32_t call = (uint32_t)what + 1; /* in their order */
    pthread_mutex_lock(&state.lock);
    struct subscriber subscriber = state.subscriber;
    pthread_mutex_unlock(&state.lock);
    if (subscriber.callback && atomic_load(&state.resources[call]))
        subscriber.callback(subscriber.user, DOMAIN_RESOURCE, call, &data);
}

static bool is_subscriber(const struct subscriber *subscriber)
{
    pthread_mutex_lock(&state.lock);
    bool is = subscriber == &state.subscriber && subscriber->callback;
    pthread_mutex_unlock(&state.lock);
    return is;
}

WH_EXPORT CUptiResult cuptiSubscribe(struct subscriber **subscriber, callback_function callback,
                                     void *user)
{
    CUptiResult result = CUPTI_SUCCESS;
    if (!subscriber || !callback)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    if (!wh_cupti_driver())
        return wh_cupti_fail(CUPTI_ERROR_NOT_INITIALIZED);
    pthread_mutex_lock(&state.lock);
    if (state.subscriber.callback)
        result = CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED;
    else
        state.subscriber = (struct subscriber){.callback = callback, .user = user};
    pthread_mutex_unlock(&state.lock);
    if (result != CUPTI_SUCCESS)
        return wh_cupti_fail(result);
    *subscriber = &state.subscriber;
    return CUPTI_SUCCESS;
}

/* The parameters name the subscriber, for others to see whom they are in the way of. */
WH_EXPORT CUptiResult cuptiSubscribe_v2(struct subscriber **subscriber, callback_function callback,
                                        void *user, void *params)
{
    (void)params;
    return cuptiSubscribe(subscriber, callback, user);
}

static void set_resources(bool on)
{
    for (unsigned i = 1; i < RESOURCES; i++)
        atomic_store(&state.resources[i], on);
    wh_cupti_apply();
}

WH_EXPORT CUptiResult cuptiUnsubscribe(struct subscriber *subscriber)
{
    if (!is_subscriber(subscriber))
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    pthread_mutex_lock(&state.lock);
    state.subscriber = (struct subscriber){0};
    pthread_mutex_unlock(&state.lock);
    set_resources(false);
    return CUPTI_SUCCESS;
}

static _Atomic bool *switch_of(uint32_t domain, uint32_t call)
{
    return domain == DOMAIN_RESOURCE && call > 0 && call < RESOURCES ? &state.resources[call]
                                                                     : NULL;
}

/* To disable what cannot be enabled is done at once. */
static CUptiResult without_callbacks(uint32_t on)
{
    static _Atomic bool said;
    if (!on)
        return CUPTI_SUCCESS;
    wh_cupti_say(&said, "CUPTI's callbacks are not supported, but those of contexts and streams");
    return wh_cupti_fail(CUPTI_ERROR_NOT_SUPPORTED);
}

WH_EXPORT CUptiResult cuptiEnableCallback(uint32_t on, struct subscriber *subscriber,
                                          uint32_t domain, uint32_t call)
{
    _Atomic bool *place = switch_of(domain, call);
    if (!is_subscriber(subscriber) || domain == 0 || domain >= DOMAINS)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    if (!place)
        return without_callbacks(on);
    atomic_store(place, on != 0);
    wh_cupti_apply();
    return CUPTI_SUCCESS;
}

WH_EXPORT CUptiResult cuptiEnableDomain(uint32_t on, struct subscriber *subscriber, uint32_t domain)
{
    static _Atomic bool said;
    if (!is_subscriber(subscriber) || domain == 0 || domain >= DOMAINS)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    if (domain != DOMAIN_RESOURCE)
        return without_callbacks(on);
    if (on)
        wh_cupti_say(&said, "of CUPTI's callbacks of resources there are those of contexts and "
                            "streams only");
    set_resources(on != 0);
    return CUPTI_SUCCESS;
}

WH_EXPORT CUptiResult cuptiEnableAllDomains(uint32_t on, struct subscriber *subscriber)
{
    return cuptiEnableDomain(on, subscriber, DOMAIN_RESOURCE);
}

WH_EXPORT CUptiResult cuptiGetCallbackState(uint32_t *on, struct subscriber *subscriber,
                                            uint32_t domain, uint32_t call)
{
    const _Atomic bool *place = switch_of(domain, call);
    if (!on || !is_subscriber(subscriber) || domain == 0 || domain >= DOMAINS)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    *on = place && atomic_load(place);
    return CUPTI_SUCCESS;
}

WH_EXPORT CUptiResult cuptiSupportedDomains(size_t *n, const uint32_t **domains)
{
    static const uint32_t supported[] = {DOMAIN_RESOURCE};
    if (!n || !domains)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    *n = 1;
    *domains = supported;
    return CUPTI_SUCCESS;
}

static const char *resource_name(uint32_t call)
{
    static const char *const names[RESOURCES] = {
        [CONTEXT_CREATED] = "CONTEXT_CREATED",
        [CONTEXT_DESTROY_STARTING] = "CONTEXT_DESTROY_STARTING",
        [STREAM_CREATED] = "STREAM_CREATED",
        [STREAM_DESTROY_STARTING] = "STREAM_DESTROY_STARTING",
    };
    return call < RESOURCES ? names[call] : NULL;
}

WH_EXPORT CUptiResult cuptiGetCallbackName(uint32_t domain, uint32_t call, const char **name)
{
    if (!name)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    *name = domain == DOMAIN_DRIVER     ? wh_cupti_call_name(call)
            : domain == DOMAIN_RESOURCE ? resource_name(call)
                                        : NULL;
    return *name ? CUPTI_SUCCESS : wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
}
