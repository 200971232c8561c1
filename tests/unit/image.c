/* SPDX-License-Identifier: Apache-2.0 */
/* How many bytes an image's host data have: both sides rely on it, one to copy, the other to check.
 */
#include "support.h"

#include "backend/opencl/image.h"

#define SOME_PIXEL 4u /* bytes of RGBA, 8 bits each */

static cl_image_format format(cl_channel_order order, cl_channel_type type)
{
    return (cl_image_format){.image_channel_order = order, .image_channel_data_type = type};
}

static void test_pixel_sizes(void **state)
{
    static const struct {
        cl_channel_order order;
        cl_channel_type type;
        size_t size;
    } pixels[] = {
        {CL_R, CL_UNORM_INT8, 1},
        {CL_A, CL_SNORM_INT8, 1},
        {CL_RG, CL_UNSIGNED_INT8, 2},
        {CL_RGBA, CL_UNORM_INT8, 4},
        {CL_BGRA, CL_UNORM_INT8, 4},
        {CL_ARGB, CL_SIGNED_INT8, 4},
        {CL_sRGBA, CL_UNORM_INT8, 4},
        {CL_sRGB, CL_UNORM_INT8, 3},
        {CL_R, CL_HALF_FLOAT, 2},
        {CL_RGBA, CL_UNORM_INT16, 8},
        {CL_RGBA, CL_FLOAT, 16},
        {CL_RGBA, CL_UNSIGNED_INT32, 16},
        {CL_R, CL_SIGNED_INT32, 4},
        {CL_RGB, CL_UNORM_SHORT_565, 2},
        {CL_RGB, CL_UNORM_SHORT_555, 2},
        {CL_RGB, CL_UNORM_INT_101010, 4},
        {CL_RGBA, CL_UNORM_INT_101010_2, 4},
        {CL_DEPTH, CL_UNORM_INT16, 2},
        {CL_DEPTH, CL_FLOAT, 4},
        {CL_LUMINANCE, CL_FLOAT, 4},
        {CL_INTENSITY, CL_UNORM_INT8, 1},
        {CL_RGBA, 0, 0},
        {CL_RGBA, 0xffffffff, 0},
        {0, CL_UNORM_INT8, 0},
        {0xffffffff, CL_FLOAT, 0},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(pixels) / sizeof(pixels[0]); i++) {
        cl_image_format f = format(pixels[i].order, pixels[i].type);
        if (wh_opencl_pixel_size(&f) != pixels[i].size)
            fail_msg("order %x, type %x: %zu bytes instead of %zu", f.image_channel_order,
                     f.image_channel_data_type, wh_opencl_pixel_size(&f), pixels[i].size);
    }
}

static const cl_mem_object_type flat = CL_MEM_OBJECT_IMAGE1D;

static void expect(cl_image_desc desc, size_t row, size_t slice, size_t size)
{
    cl_image_format f = format(CL_RGBA, CL_UNORM_INT8);
    struct wh_opencl_host_image image = {0};
    assert_true(wh_opencl_host_image(&f, &desc, &image));
    assert_int_equal(image.row, row);
    assert_int_equal(image.slice, slice);
    assert_int_equal(image.size, size);
}

static void refuse(cl_image_desc desc)
{
    cl_image_format f = format(CL_RGBA, CL_UNORM_INT8);
    struct wh_opencl_host_image image;
    assert_false(wh_opencl_host_image(&f, &desc, &image));
}

static void test_tight_images(void **state)
{
    (void)state;
    expect((cl_image_desc){.image_type = flat, .image_width = 10}, 40, 40, 40);
    expect(
        (cl_image_desc){.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 10, .image_height = 5},
        40, 200, 200);
    expect((cl_image_desc){.image_type = CL_MEM_OBJECT_IMAGE3D,
                           .image_width = 10,
                           .image_height = 5,
                           .image_depth = 3},
           40, 200, 600);
    expect((cl_image_desc){.image_type = CL_MEM_OBJECT_IMAGE1D_ARRAY,
                           .image_width = 10,
                           .image_array_size = 7},
           40, 40, 280);
    expect((cl_image_desc){.image_type = CL_MEM_OBJECT_IMAGE2D_ARRAY,
                           .image_width = 10,
                           .image_height = 5,
                           .image_array_size = 2},
           40, 200, 400);
    expect((cl_image_desc){.image_type = CL_MEM_OBJECT_IMAGE1D_BUFFER,
                           .image_width = 10,
                           .image_height = 99},
           40, 40, 40);
}

static void test_pitches(void **state)
{
    (void)state;
    expect((cl_image_desc){.image_type = CL_MEM_OBJECT_IMAGE2D,
                           .image_width = 10,
                           .image_height = 5,
                           .image_row_pitch = 64},
           64, 320, 320);
    expect((cl_image_desc){.image_type = CL_MEM_OBJECT_IMAGE3D,
                           .image_width = 10,
                           .image_height = 5,
                           .image_depth = 3,
                           .image_row_pitch = 64,
                           .image_slice_pitch = 512},
           64, 512, 1536);
    expect((cl_image_desc){.image_type = CL_MEM_OBJECT_IMAGE1D_ARRAY,
                           .image_width = 10,
                           .image_array_size = 4,
                           .image_slice_pitch = 48},
           40, 48, 192);
    refuse((cl_image_desc){.image_type = CL_MEM_OBJECT_IMAGE2D,
                           .image_width = 10,
                           .image_height = 5,
                           .image_row_pitch = 39});
    refuse((cl_image_desc){.image_type = CL_MEM_OBJECT_IMAGE3D,
                           .image_width = 10,
                           .image_height = 5,
                           .image_depth = 3,
                           .image_slice_pitch = 199});
}

/* What a hostile client says: no sum of it may come out small. */
static void test_impossible_images(void **state)
{
    (void)state;
    refuse((cl_image_desc){.image_type = flat});
    refuse((cl_image_desc){.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 1});
    refuse(
        (cl_image_desc){.image_type = CL_MEM_OBJECT_IMAGE3D, .image_width = 1, .image_height = 1});
    refuse((cl_image_desc){
        .image_type = CL_MEM_OBJECT_IMAGE2D_ARRAY, .image_width = 1, .image_height = 1});
    refuse((cl_image_desc){.image_type = flat, .image_width = SIZE_MAX});
    refuse((cl_image_desc){.image_type = flat, .image_width = SIZE_MAX / SOME_PIXEL + 1});
    refuse((cl_image_desc){.image_type = CL_MEM_OBJECT_IMAGE2D,
                           .image_width = 1ull << 40,
                           .image_height = 1ull << 40});
    refuse((cl_image_desc){.image_type = CL_MEM_OBJECT_IMAGE2D,
                           .image_width = 1,
                           .image_height = 2,
                           .image_row_pitch = SIZE_MAX / 2 + 1});
    refuse((cl_image_desc){.image_type = CL_MEM_OBJECT_IMAGE3D,
                           .image_width = 1,
                           .image_height = 1,
                           .image_depth = 2,
                           .image_slice_pitch = SIZE_MAX / 2 + 1});
    refuse((cl_image_desc){.image_type = CL_MEM_OBJECT_IMAGE3D,
                           .image_width = 1ull << 20,
                           .image_height = 1ull << 20,
                           .image_depth = 1ull << 24});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pixel_sizes),
        cmocka_unit_test(test_tight_images),
        cmocka_unit_test(test_pitches),
        cmocka_unit_test(test_impossible_images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
