/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Platforms. A loader asks for them once, and a child that was forked afterwards goes on with the
 * handles that it was given then. Natively they outlive a fork; here they stand for the platforms
 * of the child's own session.
 */
#include "shim/opencl/shim.h"

#define PLATFORM_NOT_FOUND (-1001) /* cl_khr_icd: CL_PLATFORM_NOT_FOUND_KHR */

#define MOST_PLATFORMS 64u

static struct {
    pthread_mutex_t lock;
    uint64_t given[MOST_PLATFORMS]; /* by any session so far */
    cl_uint place[MOST_PLATFORMS];  /* each one's in the list of its session */
    cl_uint ngiven;
    const struct wh_session *session; /* whose list this is: */
    cl_platform_id list[MOST_PLATFORMS];
    cl_uint n;
} platforms = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void remember_platforms(const cl_platform_id *list, cl_uint n)
{
    pthread_mutex_lock(&platforms.lock);
    for (cl_uint i = 0; i < n; i++) {
        cl_uint k = 0;
        while (k < platforms.ngiven && platforms.given[k] != (uintptr_t)list[i])
            k++;
        if (k == platforms.ngiven && k < MOST_PLATFORMS) {
            platforms.given[k] = (uintptr_t)list[i];
            platforms.place[k] = i;
            platforms.ngiven++;
        }
    }
    pthread_mutex_unlock(&platforms.lock);
}

/* The lock is not held over the call; threads that both ask get the same answer. */
static void list_platforms(const struct wh_session *session)
{
    cl_platform_id list[MOST_PLATFORMS];
    cl_uint n = 0;
    if (wh_opencl_call_clGetPlatformIDs(MOST_PLATFORMS, list, &n) != CL_SUCCESS)
        return;
    n = n < MOST_PLATFORMS ? n : MOST_PLATFORMS;
    pthread_mutex_lock(&platforms.lock);
    memcpy(platforms.list, list, n * sizeof(list[0]));
    platforms.n = n;
    platforms.session = session;
    pthread_mutex_unlock(&platforms.lock);
    remember_platforms(list, n);
}

static bool is_listed(const struct wh_session *session)
{
    pthread_mutex_lock(&platforms.lock);
    bool listed = platforms.session == session;
    pthread_mutex_unlock(&platforms.lock);
    return listed;
}

uint64_t wh_opencl_inherited(struct wh_session *session, uint16_t type, uint64_t handle)
{
    uint64_t found = 0;
    if (type != WH_OPENCL_TYPE_cl_platform_id)
        return 0;
    pthread_mutex_lock(&platforms.lock);
    cl_uint k = 0;
    while (k < platforms.ngiven && platforms.given[k] != handle)
        k++;
    bool known = k < platforms.ngiven;
    pthread_mutex_unlock(&platforms.lock);
    if (known && !is_listed(session))
        list_platforms(session);
    pthread_mutex_lock(&platforms.lock);
    if (known && platforms.session == session && platforms.place[k] < platforms.n)
        found = (uintptr_t)platforms.list[platforms.place[k]];
    pthread_mutex_unlock(&platforms.lock);
    return found;
}

WH_EXPORT cl_int clGetPlatformIDs(cl_uint num_entries, cl_platform_id *list, cl_uint *num_platforms)
{
    cl_uint n = 0;
    if (!list && !num_platforms)
        return CL_INVALID_VALUE;
    if (!wh_opencl_session()) {
        if (num_platforms)
            *num_platforms = 0;
        return PLATFORM_NOT_FOUND;
    }
    cl_int status = wh_opencl_call_clGetPlatformIDs(num_entries, list, &n);
    if (status == CL_SUCCESS && list)
        remember_platforms(list, n < num_entries ? n : num_entries);
    if (status == CL_SUCCESS && num_platforms)
        *num_platforms = n;
    return status;
}

WH_EXPORT cl_int clIcdGetPlatformIDsKHR(cl_uint num_entries, cl_platform_id *list,
                                        cl_uint *num_platforms)
{
    return clGetPlatformIDs(num_entries, list, num_platforms);
}
