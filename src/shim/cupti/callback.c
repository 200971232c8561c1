/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Callback API as far as profilers cannot do without: a program may subscribe, and is called
 * when contexts and streams begin and end, on which PyTorch's insists, and when kernels and graphs
 * are launched, which Triton's wants. That one also enables callbacks of the runtime library and of
 * how graphs are made, and does not start where that fails: it is allowed, and said that none come.
 */
#include "shim/cupti/cupti.h"

enum {
    DOMAIN_DRIVER = 1,
    DOMAIN_RUNTIME = 2,
    DOMAIN_RESOURCE = 3,
    DOMAINS = 7,

    CONTEXT_CREATED = 1, /* in the domain of resources */
    CONTEXT_DESTROY_STARTING = 2,
    STREAM_CREATED = 3,
    STREAM_DESTROY_STARTING = 4,
    RESOURCES = 5, /* that are there */
    ALL_RESOURCES = 24,
    ALL_RUNTIME = 1024, /* there are fewer functions */

    CALL_ENTERS = 0,
    CALL_EXITS = 1,
};

/* CUpti_CallbackFunc, CUpti_ResourceData, CUpti_CallbackData. */
typedef void (*callback_function)(void *user, uint32_t domain, uint32_t call, const void *data);

struct resource_data {
    CUcontext context;
    CUstream stream;
    void *descriptor;
};

struct call_data {
    uint32_t site;
    const char *name;
    const void *params;
    const void *result;
    const char *symbol;
    CUcontext context;
    uint32_t context_id;
    uint64_t *shared;
    uint32_t correlation;
};

/* Launches, by the numbers of the driver's functions. Old ones are cuLaunchKernel when they come.
 */
static const uint16_t launches[] = {
    115, /* cuLaunch */
    116, /* cuLaunchGrid */
    117, /* cuLaunchGridAsync */
    307, /* cuLaunchKernel */
    442, /* cuLaunchKernel_ptsz */
    477, /* cuLaunchCooperativeKernel */
    478, /* cuLaunchCooperativeKernel_ptsz */
    480, /* cuLaunchCooperativeKernelMultiDevice */
    514, /* cuGraphLaunch */
    515, /* cuGraphLaunch_ptsz */
    652, /* cuLaunchKernelEx */
    653, /* cuLaunchKernelEx_ptsz */
};

#define NLAUNCHES (sizeof(launches) / sizeof(launches[0]))

struct subscriber {
    callback_function callback;
    void *user;
};

static struct {
    pthread_mutex_t lock;
    struct subscriber subscriber; /* there can be one */
    _Atomic bool resources[RESOURCES];
    _Atomic bool launches[NLAUNCHES];
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- calling ---- */

static struct subscriber who(void)
{
    pthread_mutex_lock(&state.lock);
    struct subscriber subscriber = state.subscriber;
    pthread_mutex_unlock(&state.lock);
    return subscriber;
}

static bool any(const _Atomic bool *switches, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (atomic_load(&switches[i]))
            return true;
    return false;
}

bool wh_cupti_wants_resources(void)
{
    return any(state.resources, RESOURCES);
}

void wh_cupti_take_resource(enum wh_observed_resource what, CUcontext context, CUstream stream)
{
    const struct resource_data data = {.context = context, .stream = stream};
    uint32_t call = (uint32_t)what + 1; /* in their order */
    struct subscriber subscriber = who();
    if (subscriber.callback && atomic_load(&state.resources[call]))
        subscriber.callback(subscriber.user, DOMAIN_RESOURCE, call, &data);
}

static _Atomic bool *launch_switch(uint32_t call)
{
    for (size_t i = 0; i < NLAUNCHES; i++)
        if (launches[i] == call)
            return &state.launches[i];
    return NULL;
}

bool wh_cupti_wants_launches(void)
{
    return any(state.launches, NLAUNCHES);
}

void wh_cupti_take_launch(const struct wh_observed_launch *launch, bool returns)
{
    uint32_t call = wh_cupti_call_number(launch->number, launch->per_thread);
    const _Atomic bool *on = launch_switch(call);
    struct subscriber subscriber = who();
    const struct call_data data = {
        .site = returns ? CALL_EXITS : CALL_ENTERS,
        .name = wh_cupti_call_name(call),
        .params = launch->params,
        .result = returns ? &launch->result : NULL,
        .symbol = launch->symbol,
        .context = launch->context,
        .context_id = launch->context_id,
        .shared = launch->shared,
        .correlation = launch->correlation,
    };
    if (subscriber.callback && on && atomic_load(on))
        subscriber.callback(subscriber.user, DOMAIN_DRIVER, call, &data);
}

/* ---- subscribing ---- */

static bool is_subscriber(const struct subscriber *subscriber)
{
    return subscriber == &state.subscriber && who().callback;
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

static void set_all(_Atomic bool *switches, size_t n, bool on)
{
    for (size_t i = 0; i < n; i++)
        atomic_store(&switches[i], on);
}

WH_EXPORT CUptiResult cuptiUnsubscribe(struct subscriber *subscriber)
{
    if (!is_subscriber(subscriber))
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    set_all(state.resources, RESOURCES, false);
    set_all(state.launches, NLAUNCHES, false);
    wh_cupti_apply();
    pthread_mutex_lock(&state.lock);
    state.subscriber = (struct subscriber){0};
    pthread_mutex_unlock(&state.lock);
    return CUPTI_SUCCESS;
}

/* ---- what it is called for ---- */

static _Atomic bool *switch_of(uint32_t domain, uint32_t call)
{
    if (domain == DOMAIN_RESOURCE)
        return call > 0 && call < RESOURCES ? &state.resources[call] : NULL;
    return domain == DOMAIN_DRIVER ? launch_switch(call) : NULL;
}

/* Callbacks that profilers enable beside others, and which do not come. */
static CUptiResult none_come(uint32_t on, uint32_t domain, uint32_t call)
{
    static _Atomic bool said_runtime, said_resources, said;
    if (domain == DOMAIN_RUNTIME && call > 0 && call < ALL_RUNTIME) {
        if (on)
            wh_cupti_say(&said_runtime, "CUPTI's callbacks of the CUDA runtime's functions do not "
                                        "come; those of the driver's launches do");
        return CUPTI_SUCCESS;
    }
    if (domain == DOMAIN_RESOURCE && call > 0 && call < ALL_RESOURCES) {
        if (on)
            wh_cupti_say(&said_resources, "of CUPTI's callbacks of resources, those of contexts "
                                          "and streams come only");
        return CUPTI_SUCCESS;
    }
    if (!on)
        return CUPTI_SUCCESS;
    wh_cupti_say(&said, "of CUPTI's callbacks there are those of contexts, streams and launches");
    return wh_cupti_fail(CUPTI_ERROR_NOT_SUPPORTED);
}

WH_EXPORT CUptiResult cuptiEnableCallback(uint32_t on, struct subscriber *subscriber,
                                          uint32_t domain, uint32_t call)
{
    _Atomic bool *place = switch_of(domain, call);
    if (!is_subscriber(subscriber) || domain == 0 || domain >= DOMAINS)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    if (!place)
        return none_come(on, domain, call);
    atomic_store(place, on != 0);
    wh_cupti_apply();
    return CUPTI_SUCCESS;
}

/* Of the driver's functions and the runtime's that would be too much of a promise. */
WH_EXPORT CUptiResult cuptiEnableDomain(uint32_t on, struct subscriber *subscriber, uint32_t domain)
{
    if (!is_subscriber(subscriber) || domain == 0 || domain >= DOMAINS)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    if (domain == DOMAIN_RESOURCE) {
        set_all(state.resources + 1, RESOURCES - 1, on != 0);
        wh_cupti_apply();
        return none_come(on, domain, RESOURCES);
    }
    if (domain == DOMAIN_DRIVER && !on) {
        set_all(state.launches, NLAUNCHES, false);
        wh_cupti_apply();
    }
    return none_come(on, domain, 0);
}

WH_EXPORT CUptiResult cuptiEnableAllDomains(uint32_t on, struct subscriber *subscriber)
{
    CUptiResult result = cuptiEnableDomain(on, subscriber, DOMAIN_RESOURCE);
    return result == CUPTI_SUCCESS ? cuptiEnableDomain(on, subscriber, DOMAIN_DRIVER) : result;
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

/* ---- names ---- */

WH_EXPORT CUptiResult cuptiSupportedDomains(size_t *n, const uint32_t **domains)
{
    static const uint32_t supported[] = {DOMAIN_DRIVER, DOMAIN_RESOURCE};
    if (!n || !domains)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    *n = sizeof(supported) / sizeof(supported[0]);
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
