/* SPDX-License-Identifier: Apache-2.0 */
/* Modules: images loaded into a context, their functions and global variables. */
#include "backend/softgpu/library.h"
#include "backend/softgpu/texref.h"
#include "base/log.h"

#include "backend/softgpu/queue.h"
#include "base/util.h"

#include <stdio.h>
#include <string.h>

/* ---- loading ---- */

static CUresult translate(enum wh_soft_status status)
{
    switch (status) {
    case WH_SOFT_OK:
        return CUDA_SUCCESS;
    case WH_SOFT_NO_BINARY:
        return CUDA_ERROR_NO_BINARY_FOR_GPU;
    case WH_SOFT_INVALID_PTX:
    case WH_SOFT_UNRESOLVED:
        return CUDA_ERROR_INVALID_PTX;
    case WH_SOFT_UNSUPPORTED_PTX:
        return CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
    case WH_SOFT_NO_MEMORY:
        return CUDA_ERROR_OUT_OF_MEMORY;
    case WH_SOFT_INVALID_IMAGE:
        break;
    }
    return CUDA_ERROR_INVALID_IMAGE;
}

CUresult soft_code_load(const struct wh_soft_memory *memory, const void *image, size_t size,
                        const struct soft_jit *jit, struct wh_soft_module **code)
{
    const void *images[SOFT_MOST_IMAGES];
    size_t sizes[SOFT_MOST_IMAGES];
    size_t n = soft_payload_split(image, size, images, sizes, SOFT_MOST_IMAGES);
    if (n == 0) {
        images[0] = image;
        sizes[0] = size;
        n = 1;
    }
    struct wh_error error = {0};
    uint64_t start = wh_now_ns();
    CUresult result = translate(wh_soft_load(memory, images, sizes, n, code, &error));
    soft_jit_report(jit, result, error.text, wh_now_ns() - start);
    /* Programs seldom ask for the loader's log, and the error alone does not say what to change. */
    if (result == CUDA_ERROR_UNSUPPORTED_PTX_VERSION)
        wh_log("the software device cannot run this code: %s", error.text);
    return result;
}

CUresult soft_read_file(const char *path, void **bytes, size_t *size)
{
    FILE *file = fopen(path, "rbe");
    if (!file)
        return CUDA_ERROR_FILE_NOT_FOUND;
    char *buffer = NULL;
    long length = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    if (length >= 0 && (buffer = calloc(1, (size_t)length + 1)))
        rewind(file);
    bool whole = buffer && fread(buffer, 1, (size_t)length, file) == (size_t)length;
    (void)fclose(file);
    if (!whole) {
        free(buffer);
        return length < 0 ? CUDA_ERROR_OPERATING_SYSTEM : CUDA_ERROR_OUT_OF_MEMORY;
    }
    *bytes = buffer; /* with a zero byte behind it */
    *size = (size_t)length;
    return CUDA_SUCCESS;
}

/* ---- module objects ---- */

static void destroy_module(void *object)
{
    struct soft_module *module = object;
    wh_soft_unload(module->code);
    free(module->functions);
    pthread_mutex_destroy(&module->lock);
}

CUresult soft_module_make(struct soft_context *context, struct wh_soft_module *code,
                          struct soft_library *library, struct soft_module **made)
{
    struct soft_module *module =
        soft_object_new(SOFT_MODULE, sizeof(*module), context, destroy_module);
    size_t n = wh_soft_nkernels(code);
    struct soft_function **functions = calloc(n ? n : 1, sizeof(struct soft_function *));
    if (!module || !functions) {
        wh_soft_unload(code);
        free(functions);
        if (module)
            module->object.destroy = NULL;
        soft_object_release(module);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    module->code = code;
    module->library = library;
    module->functions = functions;
    module->nfunctions = n;
    pthread_mutex_init(&module->lock, NULL);
    soft_object_list(module);
    *made = module;
    return CUDA_SUCCESS;
}

static CUresult load(CUmodule *handle, const void *image, size_t size, const struct soft_jit *jit)
{
    struct soft_context *context;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    struct wh_soft_module *code;
    struct soft_module *module;
    result = soft_code_load(&context->memory, image, size, jit, &code);
    if (result == CUDA_SUCCESS)
        result = soft_module_make(context, code, NULL, &module);
    if (result == CUDA_SUCCESS)
        *handle = (CUmodule)module;
    return result;
}

SOFT_API CUresult cuModuleLoadDataEx(CUmodule *module, const void *pointer, unsigned count,
                                     CUjit_option *options, void **values)
{
    struct soft_jit jit;
    const void *image;
    size_t size;
    if (!module || !pointer)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = soft_jit_parse(&jit, count, options, values);
    if (result == CUDA_SUCCESS)
        result = soft_payload(pointer, &image, &size);
    return result == CUDA_SUCCESS ? load(module, image, size, &jit) : result;
}

SOFT_API CUresult cuModuleLoadData(CUmodule *module, const void *image)
{
    return cuModuleLoadDataEx(module, image, 0, NULL, NULL);
}

SOFT_API CUresult cuModuleLoadFatBinary(CUmodule *module, const void *image)
{
    return cuModuleLoadDataEx(module, image, 0, NULL, NULL);
}

SOFT_API CUresult cuModuleLoad(CUmodule *module, const char *path)
{
    void *bytes;
    size_t size;
    if (!module || !path)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = soft_read_file(path, &bytes, &size);
    if (result != CUDA_SUCCESS)
        return result;
    result = load(module, bytes, size, &(struct soft_jit){0});
    free(bytes);
    return result;
}

/* The functions' handles go with their module; launches that run keep what they need. */
static void unlist_functions(struct soft_module *module)
{
    pthread_mutex_lock(&module->lock);
    module->dropped = true;
    for (size_t i = 0; i < module->nfunctions; i++) {
        struct soft_function *function = module->functions[i];
        module->functions[i] = NULL;
        if (function)
            soft_object_unlist(function);
    }
    pthread_mutex_unlock(&module->lock);
}

void soft_module_drop(struct soft_module *module)
{
    unlist_functions(module);
    soft_texrefs_drop(module);
    soft_object_unlist(module);
}

void soft_module_forget(struct soft_context *context)
{
    struct soft_module *module;
    while ((module = soft_object_take(SOFT_MODULE, context))) {
        unlist_functions(module);
        soft_texrefs_drop(module);
        soft_object_release(module);
    }
}

static CUresult find_module(CUmodule handle, struct soft_module **module)
{
    struct soft_context *context;
    *module = NULL;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    *module = soft_object_get(handle, SOFT_MODULE);
    return *module ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

SOFT_API CUresult cuModuleUnload(CUmodule handle)
{
    SOFT_HOLD struct soft_module *module;
    CUresult result = find_module(handle, &module);
    if (result != CUDA_SUCCESS)
        return result;
    if (module->library)
        return CUDA_ERROR_NOT_PERMITTED;
    soft_context_wait(module->object.context); /* kernels may still use its variables */
    soft_module_drop(module);
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuModuleGetLoadingMode(CUmoduleLoadingMode *mode)
{
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!mode)
        return CUDA_ERROR_INVALID_VALUE;
    *mode = CU_MODULE_EAGER_LOADING;
    return CUDA_SUCCESS;
}

/* ---- functions and variables ---- */

static size_t kernel_index(struct soft_module *module, const struct wh_soft_kernel *kernel)
{
    size_t i = 0;
    while (i < module->nfunctions && wh_soft_kernel_at(module->code, i) != kernel)
        i++;
    return i;
}

void soft_function_end(void *object)
{
    soft_object_release(((struct soft_function *)object)->module);
}

static struct soft_function *new_function(struct soft_module *module, struct wh_soft_kernel *kernel)
{
    struct soft_function *function = soft_object_new(SOFT_FUNCTION, sizeof(*function),
                                                     module->object.context, soft_function_end);
    if (!function)
        return NULL;
    function->module = soft_object_retain(module);
    function->code = kernel;
    wh_soft_kernel_info(kernel, &function->info);
    soft_settings_init(&function->settings, &function->info);
    soft_object_list(function);
    return function;
}

CUresult soft_module_function(struct soft_module *module, struct wh_soft_kernel *kernel,
                              struct soft_function **function, bool *made)
{
    size_t index = kernel_index(module, kernel);
    *made = false;
    if (index == module->nfunctions)
        return CUDA_ERROR_NOT_FOUND;
    CUresult result = CUDA_SUCCESS;
    pthread_mutex_lock(&module->lock);
    if (module->dropped)
        result = CUDA_ERROR_INVALID_HANDLE; /* unloaded at this moment */
    else if (!module->functions[index])
        *made = (module->functions[index] = new_function(module, kernel)) != NULL;
    *function = module->functions[index];
    if (*function)
        soft_object_retain(*function);
    else if (result == CUDA_SUCCESS)
        result = CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_unlock(&module->lock);
    return result;
}

void soft_module_set(struct soft_module *module, size_t index, int attribute, int value)
{
    pthread_mutex_lock(&module->lock);
    struct soft_function *function = module->functions[index];
    if (function)
        (void)soft_settings_set(&function->settings, &function->info, attribute, value);
    pthread_mutex_unlock(&module->lock);
}

static CUresult give_function(struct soft_module *module, struct wh_soft_kernel *kernel,
                              CUfunction *handle)
{
    bool made;
    SOFT_HOLD struct soft_function *function = NULL;
    CUresult result = soft_module_function(module, kernel, &function, &made);
    if (result == CUDA_SUCCESS)
        *handle = (CUfunction)function;
    return result;
}

SOFT_API CUresult cuModuleGetFunction(CUfunction *handle, CUmodule module_handle, const char *name)
{
    SOFT_HOLD struct soft_module *module;
    CUresult result = find_module(module_handle, &module);
    if (result != CUDA_SUCCESS)
        return result;
    if (!handle || !name)
        return CUDA_ERROR_INVALID_VALUE;
    struct wh_soft_kernel *kernel = wh_soft_find_kernel(module->code, name);
    return kernel ? give_function(module, kernel, handle) : CUDA_ERROR_NOT_FOUND;
}

SOFT_API CUresult cuModuleGetFunctionCount(unsigned *count, CUmodule handle)
{
    SOFT_HOLD struct soft_module *module;
    CUresult result = soft_needs(find_module(handle, &module), count);
    if (result == CUDA_SUCCESS)
        *count = (unsigned)module->nfunctions;
    return result;
}

SOFT_API CUresult cuModuleEnumerateFunctions(CUfunction *functions, unsigned most, CUmodule handle)
{
    SOFT_HOLD struct soft_module *module;
    CUresult result = find_module(handle, &module);
    if (result != CUDA_SUCCESS)
        return result;
    if (!functions || most == 0)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < most && i < module->nfunctions && result == CUDA_SUCCESS; i++)
        result = give_function(module, wh_soft_kernel_at(module->code, i), &functions[i]);
    return result;
}

CUresult soft_module_global(struct soft_module *module, const char *name, CUdeviceptr *pointer,
                            size_t *size)
{
    uint64_t address;
    size_t bytes;
    if (!wh_soft_find_global(module->code, name, &address, &bytes))
        return CUDA_ERROR_NOT_FOUND;
    if (pointer)
        *pointer = address;
    if (size)
        *size = bytes;
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuModuleGetGlobal_v2(CUdeviceptr *pointer, size_t *size, CUmodule handle,
                                       const char *name)
{
    SOFT_HOLD struct soft_module *module;
    CUresult result = find_module(handle, &module);
    if (result != CUDA_SUCCESS)
        return result;
    if (!name || (!pointer && !size))
        return CUDA_ERROR_INVALID_VALUE;
    return soft_module_global(module, name, pointer, size);
}
