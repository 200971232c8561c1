/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shapes of launches that the driver took, by kernel: another launch of the same shape, with
 * nothing set in between, can be posted. For those of which nothing else says that they are good:
 * with much shared memory, clusters, attributes. Called by launch.c.
 */
#include "shim/cuda/code.h"

#include <stdlib.h>

#define MOST_SHAPES 16u /* of one kernel; then the oldest goes */

struct wh_cuda_shapes {
    unsigned n, next;
    struct wh_cuda_shape shapes[MOST_SHAPES];
};

/* The bytes of a plain value, which decides alike every time; behind them a program may have left
 * anything. 0: it is none. */
static size_t plain_size(CUlaunchAttributeID id)
{
    switch (id) {
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
        return sizeof(((CUlaunchAttributeValue *)NULL)->clusterDim);
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
        return sizeof(((CUlaunchAttributeValue *)NULL)->memSyncDomainMap);
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
    case CU_LAUNCH_ATTRIBUTE_PRIORITY:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
        return sizeof(int);
    default:
        return 0;
    }
}

static bool copy_attributes(struct wh_cuda_shape *shape, unsigned n,
                            const CUlaunchAttribute *attributes)
{
    shape->nattributes = n;
    if (n)
        memset(shape->attributes, 0, n * sizeof(*attributes));
    for (unsigned i = 0; i < n; i++) {
        size_t size = plain_size(attributes[i].id);
        if (!size)
            return false;
        shape->attributes[i].id = attributes[i].id;
        memcpy(&shape->attributes[i].value, &attributes[i].value, size);
    }
    return true;
}

bool wh_cuda_shape_of(struct wh_cuda_shape *shape, struct wh_object *object,
                      const wh_cuda_grid *grid, unsigned nattributes,
                      const CUlaunchAttribute *attributes)
{
    struct wh_cuda_code *code = wh_cuda_code_of(object);
    if (!code || nattributes > WH_CUDA_SHAPE_ATTRIBUTES)
        return false;
    shape->grid = *grid;
    shape->context = wh_cuda_current();
    shape->set = atomic_load_explicit(&code->set, memory_order_relaxed);
    shape->age = wh_cuda_settings_age(object);
    return copy_attributes(shape, nattributes, attributes);
}

static bool is_same(const struct wh_cuda_shape *a, const struct wh_cuda_shape *b)
{
    return memcmp(&a->grid, &b->grid, sizeof(a->grid)) == 0 && a->context == b->context &&
           a->set == b->set && a->age == b->age && a->nattributes == b->nattributes &&
           memcmp(a->attributes, b->attributes, a->nattributes * sizeof(*a->attributes)) == 0;
}

bool wh_cuda_shape_was_taken(struct wh_cuda_code *code, const struct wh_cuda_shape *shape)
{
    bool found = false;
    pthread_mutex_lock(&code->lock);
    for (unsigned i = 0; code->shapes && !found && i < code->shapes->n; i++)
        found = is_same(&code->shapes->shapes[i], shape);
    pthread_mutex_unlock(&code->lock);
    return found;
}

void wh_cuda_shape_taken(struct wh_cuda_code *code, const struct wh_cuda_shape *shape)
{
    pthread_mutex_lock(&code->lock);
    if (!code->shapes)
        code->shapes = calloc(1, sizeof(*code->shapes));
    struct wh_cuda_shapes *shapes = code->shapes;
    if (shapes) {
        shapes->shapes[shapes->next] = *shape;
        shapes->next = (shapes->next + 1) % MOST_SHAPES;
        shapes->n += shapes->n < MOST_SHAPES;
    }
    pthread_mutex_unlock(&code->lock);
}
