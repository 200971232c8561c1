/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Callback API as far as a driver can be seen from outside: a program may subscribe, and is
 * called when a function of the driver API begins and ends, and when contexts and streams do.
 * Profilers also enable callbacks of the runtime library and of how graphs are made, and do not
 * start where that fails: it is allowed, and said that none come.
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

struct subscriber {
    callback_function callback;
    void *user;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t returned;      /* a callback that the subscriber's end waits for */
    struct subscriber subscriber; /* there can be one */
    bool ending;                  /* it is unsubscribed */
    uint32_t subscriptions;       /* so far */
    unsigned running;             /* callbacks of it, in all threads */
    _Atomic bool resources[RESOURCES];
    _Atomic bool calls[WH_CUPTI_CALLS]; /* of the driver's functions, by their numbers */
    _Atomic unsigned ncalls;            /* that are set */
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .returned = PTHREAD_COND_INITIALIZER};

static _Thread_local unsigned running_here;

/* Other threads' callbacks do not return in a child of fork, nor do they give back the lock, nor
 * end the subscription that they were about to. */
static void in_child(void)
{
    pthread_mutex_init(&state.lock, NULL);
    pthread_cond_init(&state.returned, NULL);
    state.running = running_here;
    if (state.ending)
        state.subscriber = (struct subscriber){0};
    state.ending = false;
}

static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, in_child);
}

/* ---- calling ---- */

/* The subscriber, which does not end before the callback does. `ticket` is 0 or says for which one
 * the callback is. Returns its ticket; 0: it has ended. */
static uint32_t begin(struct subscriber *subscriber, uint32_t ticket)
{
    pthread_mutex_lock(&state.lock);
    *subscriber = state.subscriber;
    uint32_t now = subscriber->callback && !state.ending ? state.subscriptions : 0;
    now = ticket && now != ticket ? 0 : now;
    state.running += now != 0;
    pthread_mutex_unlock(&state.lock);
    running_here += now != 0;
    return now;
}

static void end(void)
{
    running_here--;
    pthread_mutex_lock(&state.lock);
    state.running--;
    pthread_cond_broadcast(&state.returned);
    pthread_mutex_unlock(&state.lock);
}

bool wh_cupti_wants_resources(void)
{
    for (size_t i = 0; i < RESOURCES; i++)
        if (atomic_load(&state.resources[i]))
            return true;
    return false;
}

void wh_cupti_take_resource(enum wh_observed_resource what, CUcontext context, CUstream stream)
{
    const struct resource_data data = {.context = context, .stream = stream};
    uint32_t call = (uint32_t)what + 1; /* in their order */
    struct subscriber subscriber;
    if (!atomic_load(&state.resources[call]) || !begin(&subscriber, 0))
        return;
    subscriber.callback(subscriber.user, DOMAIN_RESOURCE, call, &data);
    end();
}

bool wh_cupti_wants_calls(void)
{
    return atomic_load(&state.ncalls) != 0;
}

static bool wants(uint32_t call)
{
    return atomic_load_explicit(&state.calls[call], memory_order_relaxed);
}

bool wh_cupti_wants_callback(unsigned number, bool per_thread)
{
    return wants(wh_cupti_call_number(number, per_thread)); /* 0, of none, is never set */
}

uint32_t wh_cupti_take_callback(const struct wh_observed_callback *callback)
{
    uint32_t call = wh_cupti_call_number(callback->number, callback->per_thread);
    struct subscriber subscriber;
    uint32_t ticket = wants(call) ? begin(&subscriber, callback->ticket) : 0;
    if (!ticket)
        return 0;
    const struct call_data data = {
        .site = callback->result ? CALL_EXITS : CALL_ENTERS,
        .name = wh_cupti_call_name(call),
        .params = callback->params,
        .result = callback->result,
        .symbol = callback->symbol,
        .context = callback->context,
        .context_id = callback->context_id,
        .shared = callback->shared,
        .correlation = callback->correlation,
    };
    subscriber.callback(subscriber.user, DOMAIN_DRIVER, call, &data);
    end();
    return ticket;
}

/* ---- subscribing ---- */

/* The lock is held. */
static bool is_known(const struct subscriber *subscriber)
{
    return subscriber == &state.subscriber && subscriber->callback && !state.ending;
}

static bool is_subscriber(const struct subscriber *subscriber)
{
    pthread_mutex_lock(&state.lock);
    bool known = is_known(subscriber);
    pthread_mutex_unlock(&state.lock);
    return known;
}

WH_EXPORT CUptiResult cuptiSubscribe(struct subscriber **subscriber, callback_function callback,
                                     void *user)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CUptiResult result = CUPTI_SUCCESS;
    if (!subscriber || !callback)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    if (!wh_cupti_driver())
        return wh_cupti_fail(CUPTI_ERROR_NOT_INITIALIZED);
    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&state.lock);
    if (state.subscriber.callback) {
        result = CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED;
    } else {
        state.subscriber = (struct subscriber){.callback = callback, .user = user};
        state.subscriptions += state.subscriptions == UINT32_MAX ? 2 : 1; /* never 0 */
    }
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
    for (size_t i = 1; i < RESOURCES; i++)
        atomic_store(&state.resources[i], on);
}

static void set_call(uint32_t call, bool on)
{
    bool was = atomic_exchange(&state.calls[call], on);
    if (on && !was)
        atomic_fetch_add(&state.ncalls, 1);
    else if (was && !on)
        atomic_fetch_sub(&state.ncalls, 1);
}

static bool is_call(uint32_t call)
{
    return call > 0 && call < WH_CUPTI_CALLS && wh_cupti_call_name(call);
}

static void set_calls(bool on)
{
    for (uint32_t call = 1; call < WH_CUPTI_CALLS; call++)
        if (!on || is_call(call))
            set_call(call, on);
}

/* False: `subscriber` is none any more. */
static bool end_subscription(const struct subscriber *subscriber)
{
    pthread_mutex_lock(&state.lock);
    bool known = is_known(subscriber);
    state.ending |= known;
    while (known && state.running > running_here)
        pthread_cond_wait(&state.returned, &state.lock);
    pthread_mutex_unlock(&state.lock);
    if (!known)
        return false;
    set_resources(false);
    set_calls(false);
    wh_cupti_apply();
    pthread_mutex_lock(&state.lock);
    state.subscriber = (struct subscriber){0};
    state.ending = false;
    pthread_mutex_unlock(&state.lock);
    return true;
}

void wh_cupti_end_subscription(void)
{
    (void)end_subscription(&state.subscriber);
}

/* When it returns, no callback is running but that which the calling thread may be in. */
WH_EXPORT CUptiResult cuptiUnsubscribe(struct subscriber *subscriber)
{
    return end_subscription(subscriber) ? CUPTI_SUCCESS
                                        : wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
}

/* ---- what it is called for ---- */

/* Callbacks that profilers enable beside others, and which do not come. */
static CUptiResult none_come(uint32_t on, uint32_t domain, uint32_t call)
{
    static _Atomic bool said_runtime, said_resources, said;
    if (domain == DOMAIN_RUNTIME && call > 0 && call < ALL_RUNTIME) {
        if (on)
            wh_cupti_say(&said_runtime, "CUPTI's callbacks of the CUDA runtime's functions do not "
                                        "come; those of the driver's do");
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
    wh_cupti_say(&said, "of CUPTI's callbacks there are those of the driver's functions, of "
                        "contexts and of streams");
    return wh_cupti_fail(CUPTI_ERROR_NOT_SUPPORTED);
}

WH_EXPORT CUptiResult cuptiEnableCallback(uint32_t on, struct subscriber *subscriber,
                                          uint32_t domain, uint32_t call)
{
    if (!is_subscriber(subscriber) || domain == 0 || domain >= DOMAINS ||
        (domain == DOMAIN_DRIVER && !is_call(call)))
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    if (domain == DOMAIN_DRIVER)
        set_call(call, on != 0);
    else if (domain == DOMAIN_RESOURCE && call > 0 && call < RESOURCES)
        atomic_store(&state.resources[call], on != 0);
    else
        return none_come(on, domain, call);
    wh_cupti_apply();
    return CUPTI_SUCCESS;
}

/* Of the runtime's functions that would be too much of a promise. */
WH_EXPORT CUptiResult cuptiEnableDomain(uint32_t on, struct subscriber *subscriber, uint32_t domain)
{
    if (!is_subscriber(subscriber) || domain == 0 || domain >= DOMAINS)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    if (domain == DOMAIN_DRIVER)
        set_calls(on != 0);
    else if (domain == DOMAIN_RESOURCE)
        set_resources(on != 0);
    else
        return none_come(on, domain, 0);
    wh_cupti_apply();
    return domain == DOMAIN_RESOURCE ? none_come(on, domain, RESOURCES) : CUPTI_SUCCESS;
}

WH_EXPORT CUptiResult cuptiEnableAllDomains(uint32_t on, struct subscriber *subscriber)
{
    CUptiResult result = cuptiEnableDomain(on, subscriber, DOMAIN_RESOURCE);
    return result == CUPTI_SUCCESS ? cuptiEnableDomain(on, subscriber, DOMAIN_DRIVER) : result;
}

WH_EXPORT CUptiResult cuptiGetCallbackState(uint32_t *on, struct subscriber *subscriber,
                                            uint32_t domain, uint32_t call)
{
    if (!on || !is_subscriber(subscriber) || domain == 0 || domain >= DOMAINS)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    if (domain == DOMAIN_DRIVER)
        *on = is_call(call) && wants(call);
    else
        *on = domain == DOMAIN_RESOURCE && call < RESOURCES && atomic_load(&state.resources[call]);
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
