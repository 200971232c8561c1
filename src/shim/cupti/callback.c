/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Callback API as far as it is honest: a program may subscribe, and hears of nothing, which it
 * is told when it asks to. Activity records are another matter.
 */
#include "shim/cupti/cupti.h"

enum { DOMAIN_DRIVER = 1, DOMAINS = 7 };

struct subscriber {
    void *callback, *user;
};

static struct {
    pthread_mutex_t lock;
    struct subscriber subscriber; /* there can be one */
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool is_subscriber(const struct subscriber *subscriber)
{
    pthread_mutex_lock(&state.lock);
    bool is = subscriber == &state.subscriber && subscriber->callback;
    pthread_mutex_unlock(&state.lock);
    return is;
}

WH_EXPORT CUptiResult cuptiSubscribe(struct subscriber **subscriber, void *callback, void *user)
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
WH_EXPORT CUptiResult cuptiSubscribe_v2(struct subscriber **subscriber, void *callback, void *user,
                                        void *params)
{
    (void)params;
    return cuptiSubscribe(subscriber, callback, user);
}

WH_EXPORT CUptiResult cuptiUnsubscribe(struct subscriber *subscriber)
{
    if (!is_subscriber(subscriber))
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    pthread_mutex_lock(&state.lock);
    state.subscriber = (struct subscriber){0};
    pthread_mutex_unlock(&state.lock);
    return CUPTI_SUCCESS;
}

/* To disable what cannot be enabled is done at once. */
static CUptiResult enable(uint32_t on, const struct subscriber *subscriber, uint32_t domain)
{
    static _Atomic bool said;
    if (!is_subscriber(subscriber) || domain == 0 || domain >= DOMAINS)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    if (!on)
        return CUPTI_SUCCESS;
    wh_cupti_say(&said, "CUPTI's callbacks are not supported");
    return wh_cupti_fail(CUPTI_ERROR_NOT_SUPPORTED);
}

WH_EXPORT CUptiResult cuptiEnableCallback(uint32_t on, struct subscriber *subscriber,
                                          uint32_t domain, uint32_t call)
{
    (void)call;
    return enable(on, subscriber, domain);
}

WH_EXPORT CUptiResult cuptiEnableDomain(uint32_t on, struct subscriber *subscriber, uint32_t domain)
{
    return enable(on, subscriber, domain);
}

WH_EXPORT CUptiResult cuptiEnableAllDomains(uint32_t on, struct subscriber *subscriber)
{
    return enable(on, subscriber, DOMAIN_DRIVER);
}

WH_EXPORT CUptiResult cuptiGetCallbackState(uint32_t *on, struct subscriber *subscriber,
                                            uint32_t domain, uint32_t call)
{
    (void)call;
    if (!on || !is_subscriber(subscriber) || domain == 0 || domain >= DOMAINS)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    *on = 0;
    return CUPTI_SUCCESS;
}

WH_EXPORT CUptiResult cuptiSupportedDomains(size_t *n, const uint32_t **domains)
{
    static const uint32_t none[1];
    if (!n || !domains)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    *n = 0;
    *domains = none;
    return CUPTI_SUCCESS;
}

WH_EXPORT CUptiResult cuptiGetCallbackName(uint32_t domain, uint32_t call, const char **name)
{
    if (!name)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    *name = domain == DOMAIN_DRIVER ? wh_cupti_call_name(call) : NULL;
    return *name ? CUPTI_SUCCESS : wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
}
