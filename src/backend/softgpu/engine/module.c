/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modules as the driver sees them: loading, unloading, kernels and variables by name. Called by the
 * software driver.
 */
#include "exec.h"
#include "image.h"
#include "symbol.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MODULE_MAX (1ull << 30) /* bytes of one decoded module */

enum wh_soft_status wh_soft_load(const struct wh_soft_memory *memory, const void *const *images,
                                 const size_t *sizes, size_t n, struct wh_soft_module **result,
                                 struct wh_error *error)
{
    enum wh_soft_status status = WH_SOFT_OK;
    struct wh_soft_module *module = calloc(1, sizeof(*module));
    *result = NULL;
    if (!module)
        return WH_SOFT_NO_MEMORY;
    module->arena.limit = MODULE_MAX;
    module->memory = *memory;
    pthread_mutex_init(&module->heap_lock, NULL);
    for (size_t i = 0; i < n && status == WH_SOFT_OK; i++)
        status = wh_image_load(module, images[i], sizes[i], error);
    if (status == WH_SOFT_OK)
        status = wh_link(module, error);
    if (status == WH_SOFT_OK)
        *result = module;
    else
        wh_soft_unload(module);
    return status;
}

void wh_soft_unload(struct wh_soft_module *module)
{
    if (!module)
        return;
    wh_heap_free(module);
    if (module->globals)
        module->memory.release(module->memory.owner, module->globals);
    pthread_mutex_destroy(&module->heap_lock);
    wh_arena_free(&module->arena);
    free(module);
}

struct wh_soft_kernel *wh_soft_find_kernel(struct wh_soft_module *module, const char *name)
{
    for (size_t i = 0; i < module->nkernels; i++)
        if (strcmp(module->kernels[i].function->name, name) == 0)
            return &module->kernels[i];
    return NULL;
}

size_t wh_soft_nkernels(const struct wh_soft_module *module)
{
    return module->nkernels;
}

struct wh_soft_kernel *wh_soft_kernel_at(struct wh_soft_module *module, size_t index)
{
    return index < module->nkernels ? &module->kernels[index] : NULL;
}

/* The global or constant of that name, or NULL. */
static const struct wh_variable *find_global(struct wh_soft_module *module, const char *name)
{
    for (struct wh_module_unit *unit = module->units; unit; unit = unit->next) {
        const struct wh_symbol *symbol =
            wh_symbol_find(unit->symbols, name, (unsigned)strlen(name));
        if (!symbol || symbol->kind != SYMBOL_VARIABLE)
            continue;
        const struct wh_variable *variable = symbol->variable->actual;
        if (variable->placed && (variable->space == SPACE_GLOBAL || variable->space == SPACE_CONST))
            return variable;
    }
    return NULL;
}

bool wh_soft_find_global(struct wh_soft_module *module, const char *name, uint64_t *address,
                         size_t *size)
{
    const struct wh_variable *variable = find_global(module, name);
    if (!variable || variable->opaque)
        return false;
    *address = variable->address;
    *size = variable->size;
    return true;
}

bool wh_soft_find_reference(struct wh_soft_module *module, const char *name, bool surface,
                            uint64_t *address)
{
    const struct wh_variable *variable = find_global(module, name);
    if (!variable || variable->opaque != (surface ? OPAQUE_SURFACE : OPAQUE_TEXTURE))
        return false;
    *address = variable->address;
    return true;
}

bool wh_soft_global_is_managed(struct wh_soft_module *module, const char *name)
{
    const struct wh_variable *variable = find_global(module, name);
    return variable && variable->managed;
}

void wh_soft_kernel_info(const struct wh_soft_kernel *kernel, struct wh_soft_kernel_info *info)
{
    const struct wh_function *function = kernel->function;
    uint32_t slots = function->frame_size / WH_SLOT;
    *info = (struct wh_soft_kernel_info){
        .name = function->name,
        .nparams = function->nparams,
        .params_size = function->params_size,
        .shared = function->shared_own,
        .local = function->local_need,
        .constant = kernel->module->constant_size,
        .registers = slots < 16    ? 16
                     : slots > 255 ? 255
                                   : slots,
        .max_threads = function->max_threads ? function->max_threads : 1024,
        .ptx_version = kernel->ptx_version,
    };
    memcpy(info->required_block, function->required_block, sizeof(info->required_block));
    memcpy(info->required_cluster, function->required_cluster, sizeof(info->required_cluster));
}

bool wh_soft_kernel_param(const struct wh_soft_kernel *kernel, size_t i, size_t *offset,
                          size_t *size)
{
    const struct wh_function *function = kernel->function;
    if (i >= function->nparams)
        return false;
    *offset = function->params[i].offset;
    *size = function->params[i].size;
    return true;
}
