/* SPDX-License-Identifier: Apache-2.0 */
/* Texture and surface objects as the client keeps them: their numbers are the driver's, which gives
 * one again as soon as its object is gone. */
#include "support.h"

#include "shim/cuda/shim.h"

#define NUMBER 7u

/* ---- the part of the shim that texture.c needs, and the worker ---- */

static CUresult destroys;                /* what destroying answers */
static void (*on_destroyed)(void);       /* what goes on before it has answered */
static CUDA_RESOURCE_DESC first, second; /* of two objects */

struct wh_session *wh_cuda_session(void)
{
    return (struct wh_session *)(void *)&first;
}

CUresult wh_cuda_ready(void)
{
    return CUDA_SUCCESS;
}

CUresult cuTexObjectGetTextureDesc(CUDA_TEXTURE_DESC *texture, CUtexObject object)
{
    (void)texture;
    assert_int_equal(object, NUMBER);
    return CUDA_SUCCESS;
}

uint64_t wh_cuda_invoke(uint16_t number, uint64_t *a)
{
    switch (number) {
    case WH_CUDA_wh_texture_create:
        *(CUtexObject *)(uintptr_t)a[5] = NUMBER;
        return CUDA_SUCCESS;
    case WH_CUDA_wh_surface_create:
        *(CUsurfObject *)(uintptr_t)a[1] = NUMBER;
        return CUDA_SUCCESS;
    case WH_CUDA_cuTexObjectDestroy:
    case WH_CUDA_cuSurfObjectDestroy:
        assert_int_equal(a[0], NUMBER);
        if (on_destroyed)
            on_destroyed();
        return (uint64_t)destroys;
    default:
        return CUDA_SUCCESS;
    }
}

/* ---- the tests ---- */

static void make(const CUDA_RESOURCE_DESC *resource, bool surface)
{
    const CUDA_TEXTURE_DESC texture = {.flags = 0};
    CUtexObject object = 0;
    assert_int_equal(surface ? cuSurfObjectCreate(&object, resource)
                             : cuTexObjectCreate(&object, resource, &texture, NULL),
                     CUDA_SUCCESS);
    assert_int_equal(object, NUMBER);
}

/* NULL: nothing is known of it. */
static void expect_made_of(const CUDA_RESOURCE_DESC *resource, bool surface)
{
    CUDA_RESOURCE_DESC told;
    CUresult result = surface ? cuSurfObjectGetResourceDesc(&told, NUMBER)
                              : cuTexObjectGetResourceDesc(&told, NUMBER);
    assert_int_equal(result, resource ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
    if (resource)
        assert_memory_equal(&told, resource, sizeof(told));
}

static void *make_second_texture(void *unused)
{
    make(&second, false);
    return unused;
}

static void *make_second_surface(void *unused)
{
    make(&second, true);
    return unused;
}

static void run(void *(*job)(void *))
{
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, job, NULL), 0);
    pthread_join(other, NULL);
}

/* Another thread gets the number before this one has its answer. */
static void number_is_given_again(void)
{
    run(make_second_texture);
}

static void surface_number_is_given_again(void)
{
    run(make_second_surface);
}

static CUresult destroy(bool surface)
{
    return surface ? cuSurfObjectDestroy(NUMBER) : cuTexObjectDestroy(NUMBER);
}

static void come_and_go(bool surface, void (*meanwhile)(void))
{
    destroys = CUDA_SUCCESS;
    on_destroyed = NULL;
    make(&first, surface);
    expect_made_of(&first, surface);
    destroys = CUDA_ERROR_INVALID_CONTEXT;
    assert_int_equal(destroy(surface), CUDA_ERROR_INVALID_CONTEXT);
    expect_made_of(&first, surface);
    destroys = CUDA_SUCCESS;
    on_destroyed = meanwhile;
    assert_int_equal(destroy(surface), CUDA_SUCCESS);
    expect_made_of(&second, surface);
    on_destroyed = NULL;
    assert_int_equal(destroy(surface), CUDA_SUCCESS);
    expect_made_of(NULL, surface);
}

static void test_numbers_are_given_again(void **state)
{
    (void)state;
    first.resType = second.resType = CU_RESOURCE_TYPE_ARRAY;
    first.res.array.hArray = (CUarray)(void *)&first;
    second.res.array.hArray = (CUarray)(void *)&second;
    come_and_go(false, number_is_given_again);
    come_and_go(true, surface_number_is_given_again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_are_given_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
