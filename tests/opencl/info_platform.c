/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Platforms and devices as a program first meets them: platform info, device lists by type, counts,
 * and errors. The platform's name and suffix are its own and are not printed.
 */
#include "cltest.h"

static void show_text(cl_platform_id platform, cl_platform_info what, const char *name)
{
    size_t size = 0;

    CL_OK(clGetPlatformInfo(platform, what, 0, NULL, &size));
    char *text = clt_alloc(size + 1);
    CL_OK(clGetPlatformInfo(platform, what, size, text, NULL));
    CHECK(size == strlen(text) + 1);
    printf("%s (%zu bytes): %s\n", name, size, text);
    free(text);
}

static void show_versions(cl_platform_id platform)
{
    cl_version version = 0;
    cl_ulong resolution = 99;
    cl_name_version extensions[128];
    size_t size = 0;

    CL_OK(
        clGetPlatformInfo(platform, CL_PLATFORM_NUMERIC_VERSION, sizeof(version), &version, NULL));
    printf("numeric version %u.%u.%u\n", CL_VERSION_MAJOR(version), CL_VERSION_MINOR(version),
           CL_VERSION_PATCH(version));
    CL_OK(clGetPlatformInfo(platform, CL_PLATFORM_EXTENSIONS_WITH_VERSION, sizeof(extensions),
                            extensions, &size));
    for (size_t i = 0; i < size / sizeof(extensions[0]); i++)
        printf("extension %s %#x\n", extensions[i].name, extensions[i].version);
    CL_OK(clGetPlatformInfo(platform, CL_PLATFORM_HOST_TIMER_RESOLUTION, sizeof(resolution),
                            &resolution, NULL));
    printf("host timer resolution %llu\n", (unsigned long long)resolution);
}

static void show_platform(cl_platform_id platform)
{
    size_t size = 0;

    show_text(platform, CL_PLATFORM_PROFILE, "profile");
    show_text(platform, CL_PLATFORM_VERSION, "version");
    show_text(platform, CL_PLATFORM_VENDOR, "vendor");
    show_text(platform, CL_PLATFORM_EXTENSIONS, "extensions");
    CL_OK(clGetPlatformInfo(platform, CL_PLATFORM_NAME, 0, NULL, &size));
    CHECK(size > 1);
    CL_OK(clGetPlatformInfo(platform, CL_PLATFORM_ICD_SUFFIX_KHR, 0, NULL, &size));
    CHECK(size > 1);
}

static void list_devices(cl_platform_id platform)
{
    static const struct {
        const char *name;
        cl_device_type type;
    } types[] = {
        {"all", CL_DEVICE_TYPE_ALL},
        {"default", CL_DEVICE_TYPE_DEFAULT},
        {"cpu", CL_DEVICE_TYPE_CPU},
        {"gpu", CL_DEVICE_TYPE_GPU},
        {"accelerator", CL_DEVICE_TYPE_ACCELERATOR},
        {"custom", CL_DEVICE_TYPE_CUSTOM},
        {"cpu or gpu", CL_DEVICE_TYPE_CPU | CL_DEVICE_TYPE_GPU},
    };
    cl_device_id devices[16];
    cl_device_id again[16];

    for (size_t i = 0; i < CLT_COUNT(types); i++) {
        cl_uint count = 99;
        cl_uint count_again = 99;
        cl_int err = clGetDeviceIDs(platform, types[i].type, 0, NULL, &count);
        printf("%s: %s", types[i].name, clt_error_name(err));
        printf(err == CL_SUCCESS ? " %u\n" : "\n", count);
        if (err != CL_SUCCESS || count > CLT_COUNT(devices))
            continue;
        CL_OK(clGetDeviceIDs(platform, types[i].type, CLT_COUNT(devices), devices, &count));
        CL_OK(clGetDeviceIDs(platform, types[i].type, count, again, &count_again));
        CHECK(count == count_again && memcmp(devices, again, count * sizeof(devices[0])) == 0);
        for (cl_uint d = 0; d < count; d++) {
            CHECK(clRetainDevice(devices[d]) == CL_SUCCESS);
            CHECK(clReleaseDevice(devices[d]) == CL_SUCCESS);
        }
    }
}

/* Platform handles stay the same for the life of the program. */
static void list_platforms(void)
{
    cl_platform_id first[16];
    cl_platform_id second[16];
    cl_uint count = 0;
    cl_uint again = 0;

    CL_OK(clGetPlatformIDs(0, NULL, &count));
    CHECK(count >= 1);
    CL_OK(clGetPlatformIDs(CLT_COUNT(first), first, NULL));
    CL_OK(clGetPlatformIDs(CLT_COUNT(second), second, &again));
    CHECK(count == again);
    CHECK(memcmp(first, second, (count < 16 ? count : 16) * sizeof(first[0])) == 0);
}

static void refuse_bad_arguments(const struct clt *t)
{
    cl_platform_id platform = t->platform;
    cl_device_id device;
    char small[2];
    size_t size = 0;
    cl_uint count = 0;

    EXPECT(clGetPlatformIDs(0, NULL, NULL), CL_INVALID_VALUE);
    EXPECT(clGetPlatformIDs(0, &platform, &count), CL_INVALID_VALUE);
    EXPECT(clGetPlatformInfo(t->platform, CL_PLATFORM_VERSION, 2, small, NULL), CL_INVALID_VALUE);
    EXPECT(clGetPlatformInfo(t->platform, CL_DEVICE_NAME, 0, NULL, &size), CL_INVALID_VALUE);
    EXPECT(clGetDeviceIDs(t->platform, CL_DEVICE_TYPE_ALL, 0, NULL, NULL), CL_INVALID_VALUE);
    EXPECT(clGetDeviceIDs(t->platform, CL_DEVICE_TYPE_ALL, 0, &device, &count), CL_INVALID_VALUE);
    EXPECT(clGetDeviceIDs(t->platform, 0, 1, &device, &count), CL_INVALID_DEVICE_TYPE);
    SHOW(clGetPlatformInfo(t->platform, CL_PLATFORM_VERSION, 0, NULL, NULL));
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    list_platforms();
    show_platform(t.platform);
    if (t.version >= 300)
        show_versions(t.platform);
    list_devices(t.platform);
    if (clt_validates(&t))
        refuse_bad_arguments(&t);
    clt_close(&t);
    return clt_done();
}
