/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attributes of kernels and functions. Libraries set a kernel's before each launch, mostly to what
 * it is already: that need not cross. A value that the driver took once it takes again: that need
 * not be waited for.
 */
#include "shim/cuda/code.h"

static _Atomic unsigned kernels_set, functions_set, clusters_set;

/* Of all settings; behind it that of a wh_cuda_code may be taken. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void renew_lock(void)
{
    pthread_mutex_init(&lock, NULL);
}

/* A child made while another thread held it. */
__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, renew_lock);
}

unsigned wh_cuda_settings_age(const struct wh_object *object)
{
    return atomic_load_explicit(object->type == WH_CUDA_TYPE_CUkernel ? &functions_set
                                                                      : &kernels_set,
                                memory_order_relaxed);
}

unsigned wh_cuda_clusters_set(void)
{
    return atomic_load_explicit(&clusters_set, memory_order_relaxed);
}

static bool is_of_clusters(int attribute)
{
    return attribute == CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH ||
           attribute == CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT ||
           attribute == CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH;
}

void wh_cuda_settings_aged(void)
{
    atomic_fetch_add_explicit(&kernels_set, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&functions_set, 1, memory_order_relaxed);
}

/* With the lock held, as in the three that follow. */
static struct wh_cuda_setting *find(struct wh_cuda_code *code,
                                    const struct wh_cuda_setting *setting)
{
    for (unsigned i = 0; i < code->nsettings; i++)
        if (code->settings[i].attribute == setting->attribute &&
            code->settings[i].device == setting->device &&
            code->settings[i].value == setting->value)
            return &code->settings[i];
    return NULL;
}

/* No value holds any more. */
static void let_go(struct wh_cuda_code *code, const struct wh_cuda_setting *setting)
{
    for (unsigned i = 0; i < code->nsettings; i++)
        if (code->settings[i].attribute == setting->attribute &&
            code->settings[i].device == setting->device)
            code->settings[i].holds = false;
}

/* When all are in use, the one that was taken first goes. */
static void keep(struct wh_cuda_code *code, const struct wh_cuda_setting *setting)
{
    struct wh_cuda_setting *place = find(code, setting);
    if (!place && code->nsettings == WH_CUDA_MOST_SETTINGS)
        memmove(code->settings, code->settings + 1, --code->nsettings * sizeof(*code->settings));
    if (!place)
        place = &code->settings[code->nsettings++];
    *place = *setting;
}

/* A call that sets, of a kernel or a function; `a` are its words. */
struct change {
    uint16_t number;
    uint64_t *a;
    struct wh_object *object;
    struct wh_cuda_setting setting;
};

static void count(const struct change *change, struct wh_cuda_code *code)
{
    bool kernel = change->object->type == WH_CUDA_TYPE_CUkernel;
    atomic_fetch_add_explicit(&code->set, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(kernel ? &kernels_set : &functions_set, 1, memory_order_relaxed);
    if (is_of_clusters(change->setting.attribute))
        atomic_fetch_add_explicit(&clusters_set, 1, memory_order_relaxed);
}

/* Answers alone, or posts, if the value was taken before; with the lock held, so that posts are in
 * the order in which they are kept. False: it must be waited for. */
static bool is_easy(const struct change *change, struct wh_cuda_code *code)
{
    struct wh_cuda_setting *known = find(code, &change->setting);
    if (!known || code->setters > 0)
        return false;
    if (known->holds && known->since == change->setting.since) {
        wh_stats_answered(wh_cuda_session(), wh_cuda_call_desc(change->number));
        return true;
    }
    count(change, code);
    let_go(code, &change->setting);
    if (wh_cuda_post(change->number, change->a) != CUDA_SUCCESS)
        return false;
    count(change, code); /* a launch in between went by the old value */
    known->holds = true;
    known->since = change->setting.since;
    return true;
}

/* Two that wait at once may be carried out in either order: neither value is known to hold. */
static CUresult ask(const struct change *change, struct wh_cuda_code *code)
{
    pthread_mutex_lock(&lock);
    bool alone = code->setters++ == 0;
    let_go(code, &change->setting);
    count(change, code);
    unsigned set = atomic_load_explicit(&code->set, memory_order_relaxed);
    pthread_mutex_unlock(&lock);
    CUresult result = (CUresult)wh_cuda_invoke(change->number, change->a);
    pthread_mutex_lock(&lock);
    code->setters--;
    struct wh_cuda_setting taken = change->setting;
    taken.holds = alone && set == atomic_load_explicit(&code->set, memory_order_relaxed);
    count(change, code); /* launches in between went by the old value, or the new one */
    if (result == CUDA_SUCCESS)
        keep(code, &taken);
    pthread_mutex_unlock(&lock);
    return result;
}

/* A fault and a lost session are the worker's to tell; captures have rules of their own. */
static CUresult set(struct change *change)
{
    struct wh_cuda_code *code = change->object ? wh_cuda_code_of(change->object) : NULL;
    if (!code)
        return (CUresult)wh_cuda_invoke(change->number, change->a);
    bool odd = wh_cuda_ails() || wh_cuda_capturing() || wh_session_lost(wh_cuda_session());
    change->setting.since = wh_cuda_settings_age(change->object);
    pthread_mutex_lock(&lock);
    bool done = !odd && is_easy(change, code);
    pthread_mutex_unlock(&lock);
    return done ? CUDA_SUCCESS : ask(change, code);
}

WH_EXPORT CUresult cuKernelSetAttribute(CUfunction_attribute attribute, int value, CUkernel kernel,
                                        CUdevice device)
{
    uint64_t a[] = {attribute, (uint64_t)(int64_t)value, (uintptr_t)kernel,
                    (uint64_t)(int64_t)device};
    struct change change = {
        .number = WH_CUDA_cuKernelSetAttribute,
        .a = a,
        .object = wh_cuda_object(kernel, WH_CUDA_TYPE_CUkernel),
        .setting = {.attribute = (int)attribute, .value = value, .device = device}};
    return set(&change);
}

WH_EXPORT CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute,
                                      int value)
{
    uint64_t a[] = {(uintptr_t)function, attribute, (uint64_t)(int64_t)value};
    struct change change = {.number = WH_CUDA_cuFuncSetAttribute,
                            .a = a,
                            .object = wh_cuda_object(function, WH_CUDA_TYPE_CUfunction),
                            .setting = {.attribute = (int)attribute, .value = value}};
    return set(&change);
}
